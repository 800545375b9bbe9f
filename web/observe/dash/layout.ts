// layout.ts - where everything is on the page: rows open and folded, panels and rows repeated over the
// values of a variable, all packed upward in 24 columns. What comes out is in reading order, which is
// also the order on a phone, where each takes the whole width.
import { ALL } from "./interpolate";
import type { Dashboard, Panel, Place } from "./model";
import { within, type Scope, type Value } from "./scope";

export interface Placed {
  panel: Panel;
  key: string; // "panel-12", a repeat "panel-12-clone-1": what viewPanel= names
  scope: Scope; // with the values of its repeats
  place: Place;
  row?: string; // key of the row it is in
  folded?: boolean; // of a row
  count?: number; // of a row: its panels, repeats among them
  first?: string; // of a repeat: the key of what it repeats
  cut?: Cut; // of the last of a repeat: there are more values than are drawn
}

export interface Cut { name: string; drawn: number; of: number }

// A variable may have thousands of values: nobody looks at that many panels, and the browser would hold them all.
export const REPEATS_MAX = 200; // of one panel or row
export const PANELS_MAX = 2000; // of the page, from where on nothing is repeated
interface Budget { left: number }

function cutTo<T>(all: T[], name: string | undefined, budget: Budget): { over: T[]; cut?: Cut } {
  const drawn = Math.max(1, Math.min(REPEATS_MAX, budget.left));
  return all.length > drawn ? { over: all.slice(0, drawn), cut: { name: name ?? "", drawn, of: all.length } } : { over: all };
}

// A row and what is below it; the panels before the first row have none.
interface Section { row?: Panel; panels: Panel[] }

function sections(panels: Panel[]): Section[] {
  const out: Section[] = [{ panels: [] }];
  for (const p of panels)
    if (p.type === "row") out.push({ row: p, panels: [...(p.panels ?? [])] });
    else out[out.length - 1]!.panels.push(p);
  return out;
}

const keyOf = (p: Panel, ...clones: number[]): string => `panel-${p.id}${clones.some(Boolean) ? `-clone-${clones.join("-")}` : ""}`;

// What a repeat goes over; none if the variable is not there or has no values.
function repeated(name: string | undefined, scope: Scope): Record<string, Value>[] {
  const v = name && Object.hasOwn(scope.values, name) ? scope.values[name] : undefined;
  if (!name || !v) return [];
  const values = Array.isArray(v.value) ? v.value : [v.value];
  const all = values.includes(ALL);
  const each = all ? v.all ?? [] : values;
  const texts = Array.isArray(v.text) ? v.text : [v.text];
  const known = new Map(v.variable?.options?.map((o) => [o.value, o.text]));
  return each.map((value, i) => ({ [name]: { ...v, value, text: known.get(value) ?? (all ? value : texts[i] ?? value) } }));
}

// `folded` says of rows by their key whether they are folded, where the viewer has changed that.
export function expand(d: Dashboard, scope: Scope, folded?: ReadonlyMap<string, boolean>): Placed[] {
  const out: Placed[] = [];
  let y = 0;
  const budget: Budget = { left: PANELS_MAX };
  for (const { row, panels } of sections(d.panels)) {
    const { over, cut } = cutTo(row ? repeated(row.repeat, scope) : [], row?.repeat, budget);
    const clones = over.length ? over : [{}];
    for (const [i, values] of clones.entries()) {
      const inner = within(scope, values);
      const spent = i > 0 && budget.left <= 0;
      const under = spent ? [] : body(panels, inner, i, budget);
      let shut = false;
      if (row) {
        const key = keyOf(row, i);
        const last = spent ? { name: row.repeat ?? "", drawn: i, of: cut?.of ?? clones.length } : i === clones.length - 1 ? cut : undefined;
        if (spent) {
          out[out.length - 1]!.cut = last;
          break;
        }
        shut = folded?.get(key) ?? row.collapsed === true;
        out.push({ panel: row, key, scope: inner, place: { x: 0, y, w: 24, h: 1 }, folded: shut, count: under.length, ...(i ? { first: keyOf(row) } : {}), ...(last ? { cut: last } : {}) });
        y++;
        for (const p of under) p.row = key;
      }
      if (shut) continue;
      for (const p of under) p.place.y += y;
      out.push(...under);
      y = under.reduce((most, p) => Math.max(most, p.place.y + p.place.h), y);
    }
  }
  return out;
}

// A panel with its repeats is placed as one block: across it takes the whole width.
interface Block { placed: Placed[]; place: Place }

// The panels of a section with their clones, each as far up as what is above it lets it.
function body(panels: Panel[], scope: Scope, rowClone: number, budget: Budget): Placed[] {
  const blocks = panels.map((p) => blockOf(p, scope, rowClone, budget)).sort((a, b) => a.place.y - b.place.y || a.place.x - b.place.x);
  const low = new Array<number>(24).fill(0);
  for (const { place, placed } of blocks) {
    let y = 0;
    for (let x = place.x; x < place.x + place.w; x++) y = Math.max(y, low[x]!);
    for (const p of placed) p.place.y += y - place.y;
    low.fill(y + place.h, place.x, place.x + place.w);
  }
  return blocks.flatMap((b) => b.placed).sort((a, b) => a.place.y - b.place.y || a.place.x - b.place.x);
}

function blockOf(panel: Panel, scope: Scope, rowClone: number, budget: Budget): Block {
  const { x, y, w, h } = panel.gridPos;
  const { over, cut } = cutTo(repeated(panel.repeat, scope), panel.repeat, budget);
  budget.left -= Math.max(1, over.length);
  if (!over.length)
    return { place: { x, y, w, h }, placed: [{ panel, key: keyOf(panel, rowClone), scope, place: { x, y, w, h }, ...(rowClone ? { first: keyOf(panel) } : {}) }] };
  const across = panel.repeatDirection !== "v";
  const perRow = across ? Math.min(over.length, Math.max(1, Math.min(24, panel.maxPerRow ?? 4))) : 1;
  const edge = (column: number): number => Math.round(column * 24 / perRow);
  const placed = over.map((values, i): Placed => {
    const c = i % perRow;
    const place = { x: across ? edge(c) : x, y: y + Math.floor(i / perRow) * h, w: across ? edge(c + 1) - edge(c) : w, h };
    return { panel, key: rowClone ? keyOf(panel, rowClone, i) : keyOf(panel, i), scope: within(scope, values), place, ...(i || rowClone ? { first: keyOf(panel) } : {}) };
  });
  if (cut) placed[placed.length - 1]!.cut = cut;
  return { placed, place: { x: across ? 0 : x, y, w: across ? 24 : w, h: Math.ceil(over.length / perRow) * h } };
}

// Panels that `viewPanel=` may name: "panel-12", "panel-12-clone-1", or as it was, "12".
export function findPlaced(all: Placed[], name: string): Placed | undefined {
  const key = /^\d+$/.test(name) ? `panel-${name}` : name;
  return all.find((p) => p.key === key);
}

// Every panel of the dashboard placed as if all rows were open: viewPanel finds what is folded, too.
export const expandAll = (d: Dashboard, scope: Scope): Placed[] => {
  const open = new Map(expand(d, scope).filter((p) => p.folded).map((p) => [p.key, false]));
  return expand(d, scope, open);
};
