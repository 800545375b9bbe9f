// places.ts - traces by what was done rather than when: spans that have the same operations above them
// are one place. The flame graph is the places of one trace, a comparison those of two; by operation
// alone they are rows of a table and nodes of a graph.
import { durationOf, ERROR, nameOf, serviceOf, type Trace } from "./model";
import { type Path, selfTimes } from "./path";

export interface Tally { spans: number; errors: number; total: number; self: number } // ns

export interface Place {
  parent: number; // index; -1: a root
  depth: number;
  service: string;
  name: string;
  of: Tally[]; // by trace
}

const none = (): Tally => ({ spans: 0, errors: 0, total: 0, self: 0 });

function count(into: Tally, t: Trace, i: number, self: Float64Array): void {
  into.spans++;
  if (t.status[i] === ERROR) into.errors++;
  into.total += durationOf(t, i);
  into.self += self[i];
}

// The places of all the traces, each after the one above it. `spans` gets the first span of each.
export function placesOf(traces: Trace[], spans: Int32Array[] = []): Place[] {
  const places: Place[] = [];
  const ops = new Map<string, number>(); // of all the traces, by service and name
  const at = new Map<number, number>(); // places by the one above and the operation
  const OPS_MAX = 2 ** 26;
  traces.forEach((t, k) => {
    const self = selfTimes(t);
    const op = t.ops.map((o) => {
      const key = `${t.services[o.service]}\n${o.name}`;
      if (!ops.has(key)) ops.set(key, ops.size);
      return ops.get(key)!;
    });
    const place = new Int32Array(t.count);
    const first: number[] = [];
    for (let i = 0; i < t.count; i++) {
      const parent = t.parent[i] < 0 ? -1 : place[t.parent[i]];
      const key = (parent + 1) * OPS_MAX + op[t.op[i]];
      let p = at.get(key);
      if (p === undefined) {
        p = places.push({ parent, depth: parent < 0 ? 0 : places[parent].depth + 1, service: serviceOf(t, i), name: nameOf(t, i), of: traces.map(none) }) - 1;
        at.set(key, p);
      }
      place[i] = p;
      first[p] ??= i;
      count(places[p].of[k], t, i, self);
    }
    spans[k] = Int32Array.from(places, (_, p) => first[p] ?? -1);
  });
  return traces.length > 1 ? inOrder(places, spans) : places;
}

// A place of the second trace alone comes to stand behind its parent, not at the end.
function inOrder(places: Place[], spans: Int32Array[]): Place[] {
  const children: number[][] = places.map(() => []);
  const roots: number[] = [];
  places.forEach((p, i) => (p.parent < 0 ? roots : children[p.parent]).push(i));
  const order: number[] = [];
  const stack = roots.reverse();
  while (stack.length) {
    const i = stack.pop()!;
    order.push(i);
    for (let k = children[i].length - 1; k >= 0; k--) stack.push(children[i][k]);
  }
  const to = new Int32Array(places.length);
  order.forEach((old, now) => (to[old] = now));
  spans.forEach((s, k) => (spans[k] = Int32Array.from(order, (old) => s[old] ?? -1)));
  return order.map((old) => ({ ...places[old], parent: places[old].parent < 0 ? -1 : to[places[old].parent] }));
}

export type Change = "added" | "removed" | "slower" | "faster" | "same";

const SAME_SHARE = 0.05; // less is noise
const SAME_NS = 50_000;

// How the second trace differs from the first at a place, by the time in all.
export function changeOf(p: Place): Change {
  const [a, b] = p.of;
  if (!a.spans) return "added";
  if (!b.spans) return "removed";
  const by = b.total - a.total;
  if (Math.abs(by) <= Math.max(SAME_NS, SAME_SHARE * a.total)) return "same";
  return by > 0 ? "slower" : "faster";
}

// ---- a flame graph: as wide as the time that it and all below it took themselves, so that what ran
// at the same time does not overlap

export interface Flame {
  place: Int32Array;
  x: Float64Array; // 0 to 1
  width: Float64Array;
  depthMax: number;
}

export function flameOf(places: Place[]): Flame {
  const n = places.length;
  const value = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    value[i] += Math.max(places[i].of[0].self, 1); // who took no time is still there
    if (places[i].parent >= 0) value[places[i].parent] += value[i];
  }
  let sum = 0;
  places.forEach((p, i) => { if (p.parent < 0) sum += value[i]; });
  const out: Flame = { place: Int32Array.from(places, (_, i) => i), x: new Float64Array(n), width: new Float64Array(n), depthMax: 0 };
  const next = new Float64Array(n); // where the next child of each begins
  let root = 0;
  places.forEach((p, i) => {
    out.width[i] = value[i] / sum;
    out.x[i] = p.parent < 0 ? root : next[p.parent];
    if (p.parent < 0) root += out.width[i];
    else next[p.parent] += out.width[i];
    next[i] = out.x[i];
    if (p.depth > out.depthMax) out.depthMax = p.depth;
  });
  return out;
}

// ---- by operation

export interface OpRow extends Tally {
  service: string;
  name: string;
  max: number;
  critical: number; // ns of the critical path
  longest: number; // the span
}

export function byOperation(t: Trace, path: Path, services = false): OpRow[] {
  const self = selfTimes(t);
  const rows = new Map<string, OpRow>();
  for (let i = 0; i < t.count; i++) {
    const service = serviceOf(t, i);
    const name = services ? "" : nameOf(t, i);
    const key = `${service}\n${name}`;
    let row = rows.get(key);
    if (!row) rows.set(key, (row = { ...none(), service, name, max: -1, critical: 0, longest: i }));
    count(row, t, i, self);
    if (durationOf(t, i) > row.max) {
      row.max = durationOf(t, i);
      row.longest = i;
    }
    for (let k = path.first[i]; k < path.first[i + 1]; k++) row.critical += path.to[path.by[k]] - path.from[path.by[k]];
  }
  return [...rows.values()];
}

export interface Call { from: string; to: string; calls: number; errors: number }

// Who called whom, by service or by operation; the keys are those of byOperation's rows.
export function callsOf(t: Trace, services: boolean): Call[] {
  const key = (i: number): string => `${serviceOf(t, i)}\n${services ? "" : nameOf(t, i)}`;
  const calls = new Map<string, Call>();
  for (let i = 0; i < t.count; i++) {
    if (t.parent[i] < 0) continue;
    const from = key(t.parent[i]);
    const to = key(i);
    if (from === to) continue;
    const both = `${from}\n\n${to}`;
    let c = calls.get(both);
    if (!c) calls.set(both, (c = { from, to, calls: 0, errors: 0 }));
    c.calls++;
    if (t.status[i] === ERROR) c.errors++;
  }
  return [...calls.values()];
}
