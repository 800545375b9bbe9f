// layered.ts - where the nodes of a graph of calls go: columns from who calls to who is called, few
// crossings, no two nodes over each other. Edges against the stream (cycles) are turned for the layout
// and drawn the way they are. Own, since a graph library weighs more than this page.
// Method: Sugiyama, Tagawa, Toda 1981: layers by longest path, order by barycentres, both ways.

export interface Node { key: string; width: number; height: number }
export interface Edge { from: string; to: string }
export interface Spot { x: number; y: number } // the middle
export interface Layout {
  width: number;
  height: number;
  nodes: Map<string, Spot>;
  lines: Spot[][]; // of each edge, from the one node's side to the other's; empty for a loop
}

const GAP_X = 130; // an edge's label fits; for short ones less will do
const GAP_Y = 22;
const SWEEPS = 12;

interface Item { key: string; layer: number; width: number; height: number; at: number; y: number; left: Item[]; right: Item[] }

// The edges that close a cycle, met from the nodes that nobody calls on.
function backEdges(keys: string[], out: Map<string, number[]>, edges: Edge[]): Set<number> {
  const state = new Map<string, number>(); // 1: under way, 2: done
  const back = new Set<number>();
  const called = new Set(edges.filter((e) => e.from !== e.to).map((e) => e.to));
  const roots = [...keys.filter((k) => !called.has(k)), ...keys];
  for (const root of roots) {
    if (state.has(root)) continue;
    const stack = [{ key: root, next: 0 }];
    state.set(root, 1);
    while (stack.length) {
      const top = stack[stack.length - 1];
      const list = out.get(top.key) ?? [];
      if (top.next >= list.length) {
        state.set(top.key, 2);
        stack.pop();
        continue;
      }
      const e = list[top.next++];
      const to = edges[e].to;
      if (state.get(to) === 1) back.add(e);
      else if (!state.has(to)) {
        state.set(to, 1);
        stack.push({ key: to, next: 0 });
      }
    }
  }
  return back;
}

// The longest way from a node that nobody calls.
function layersOf(keys: string[], edges: [string, string][]): Map<string, number> {
  const layer = new Map(keys.map((k) => [k, 0]));
  const waits = new Map(keys.map((k) => [k, 0]));
  const out = new Map<string, string[]>();
  for (const [a, b] of edges) {
    waits.set(b, waits.get(b)! + 1);
    out.set(a, [...(out.get(a) ?? []), b]);
  }
  const ready = keys.filter((k) => !waits.get(k));
  for (let k; (k = ready.pop()) !== undefined;)
    for (const to of out.get(k) ?? []) {
      layer.set(to, Math.max(layer.get(to)!, layer.get(k)! + 1));
      waits.set(to, waits.get(to)! - 1);
      if (!waits.get(to)) ready.push(to);
    }
  return layer;
}

export function crossings(layers: { at: number; right: { at: number }[] }[][]): number {
  let n = 0;
  for (const layer of layers) {
    const ends: [number, number][] = layer.flatMap((a) => a.right.map((b): [number, number] => [a.at, b.at]));
    for (let i = 0; i < ends.length; i++)
      for (let k = i + 1; k < ends.length; k++) if ((ends[i][0] - ends[k][0]) * (ends[i][1] - ends[k][1]) < 0) n++;
  }
  return n;
}

function reorder(layer: Item[], side: "left" | "right"): void {
  const weight = new Map(layer.map((n) => [n, n[side].length ? n[side].reduce((s, m) => s + m.at, 0) / n[side].length : n.at]));
  layer.sort((a, b) => weight.get(a)! - weight.get(b)! || a.at - b.at);
  layer.forEach((n, i) => (n.at = i));
}

function untangle(layers: Item[][]): void {
  let best = crossings(layers);
  let kept = layers.map((l) => l.slice());
  for (let sweep = 0; sweep < SWEEPS && best > 0; sweep++) {
    if (sweep % 2) for (let i = layers.length - 2; i >= 0; i--) reorder(layers[i], "right");
    else for (let i = 1; i < layers.length; i++) reorder(layers[i], "left");
    const now = crossings(layers);
    if (now >= best) continue;
    best = now;
    kept = layers.map((l) => l.slice());
  }
  kept.forEach((l, i) => {
    layers[i] = l;
    l.forEach((n, k) => (n.at = k));
  });
}

// Each towards the middle of its neighbours, as far as the order and the gaps allow.
function settle(layers: Item[][]): void {
  for (const layer of layers) {
    let y = 0;
    for (const n of layer) {
      n.y = y + n.height / 2;
      y += n.height + GAP_Y;
    }
  }
  const apart = (a: Item, b: Item): number => (a.height + b.height) / 2 + GAP_Y;
  for (let round = 0; round < 24; round++) {
    const list = round % 2 ? [...layers].reverse() : layers;
    const side = round % 2 ? "right" : "left";
    for (const layer of list) {
      const want = layer.map((n) => {
        const near = n[side].length ? n[side] : [...n.left, ...n.right];
        return near.length ? near.reduce((s, m) => s + m.y, 0) / near.length : n.y;
      });
      // From both ends at once: the mean of what each end's packing gives keeps the gaps.
      const down = want.slice();
      for (let i = 1; i < layer.length; i++) down[i] = Math.max(want[i], down[i - 1] + apart(layer[i - 1], layer[i]));
      const up = want.slice();
      for (let i = layer.length - 2; i >= 0; i--) up[i] = Math.min(want[i], up[i + 1] - apart(layer[i], layer[i + 1]));
      layer.forEach((n, i) => (n.y = (down[i] + up[i]) / 2));
    }
  }
}

export function layout(nodes: Node[], edges: Edge[], gap = GAP_X): Layout {
  const keys = nodes.map((n) => n.key);
  const known = new Set(keys);
  const out = new Map<string, number[]>();
  edges.forEach((e, i) => { if (e.from !== e.to && known.has(e.from) && known.has(e.to)) out.set(e.from, [...(out.get(e.from) ?? []), i]); });
  const back = backEdges(keys, out, edges);
  const real = [...out.values()].flat();
  const layerOf = layersOf(keys, real.map((i) => (back.has(i) ? [edges[i].to, edges[i].from] : [edges[i].from, edges[i].to])));
  const layers: Item[][] = [];
  const items = new Map<string, Item>();
  const add = (key: string, layer: number, width: number, height: number): Item => {
    const item: Item = { key, layer, width, height, at: (layers[layer] ??= []).length, y: 0, left: [], right: [] };
    layers[layer].push(item);
    return item;
  };
  for (const n of nodes) items.set(n.key, add(n.key, layerOf.get(n.key)!, n.width, n.height));
  for (let i = 0; i < layers.length; i++) layers[i] ??= [];
  // A long edge goes through a place of its own in each layer between.
  const chains = new Map<number, Item[]>();
  for (const i of real) {
    const [a, b] = back.has(i) ? [edges[i].to, edges[i].from] : [edges[i].from, edges[i].to];
    const chain = [items.get(a)!];
    for (let l = layerOf.get(a)! + 1; l < layerOf.get(b)!; l++) chain.push(add(`${i}:${l}`, l, 0, 4));
    chain.push(items.get(b)!);
    for (let k = 1; k < chain.length; k++) {
      chain[k - 1].right.push(chain[k]);
      chain[k].left.push(chain[k - 1]);
    }
    chains.set(i, back.has(i) ? chain.reverse() : chain);
  }
  untangle(layers);
  settle(layers);
  return place(layers, nodes, edges, chains, gap);
}

function place(layers: Item[][], nodes: Node[], edges: Edge[], chains: Map<number, Item[]>, gap: number): Layout {
  const all = layers.flat();
  const top = Math.min(...all.map((n) => n.y - n.height / 2), 0);
  for (const n of all) n.y -= top;
  const middle: number[] = [];
  let x = 0;
  for (const layer of layers) {
    const wide = Math.max(0, ...layer.map((n) => n.width));
    middle.push(x + wide / 2);
    x += wide + gap;
  }
  const spots = new Map<string, Spot>();
  const own = new Set(nodes.map((n) => n.key));
  for (const n of all) if (own.has(n.key)) spots.set(n.key, { x: middle[n.layer], y: n.y });
  const lines = edges.map((_, i): Spot[] => {
    const chain = chains.get(i) ?? [];
    return chain.map((n, k): Spot => {
      const last = k === chain.length - 1;
      const towards = last ? chain[k - 1] : chain[k + 1];
      const side = k > 0 && !last ? 0 : towards.layer > n.layer ? 1 : -1;
      return { x: middle[n.layer] + (side * n.width) / 2, y: n.y };
    });
  });
  return { width: Math.max(0, x - gap), height: Math.max(0, ...all.map((n) => n.y + n.height / 2)), nodes: spots, lines };
}

// A line through the spots, level where it leaves and arrives.
export function curve(line: Spot[]): string {
  let d = "";
  line.forEach((p, i) => {
    const q = line[i - 1];
    const mid = q && (q.x + p.x) / 2;
    d += i ? `C${mid.toFixed(1)} ${q.y.toFixed(1)} ${mid.toFixed(1)} ${p.y.toFixed(1)} ${p.x.toFixed(1)} ${p.y.toFixed(1)}` : `M${p.x.toFixed(1)} ${p.y.toFixed(1)}`;
  });
  return d;
}
