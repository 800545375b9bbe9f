// moves.ts - panels put elsewhere, made larger, added and taken away. Places are always as the page packs
// them: nothing overlaps, and everything is as far up as what is above it lets it. Panels that keep their
// place stay the same objects.
import type { Dashboard, Panel, Place } from "../model";

export const COLUMNS = 24;
const NEW = { w: 12, h: 8 };

export const allPanels = (d: Dashboard): Panel[] => d.panels.flatMap((p) => [p, ...(p.panels ?? [])]);
export const nextId = (d: Dashboard): number => allPanels(d).reduce((most, p) => Math.max(most, p.id), 0) + 1;

const boxOf = (p: Panel): Place => (p.type === "row" ? { x: 0, y: p.gridPos.y, w: COLUMNS, h: 1 } : p.gridPos);
const at = (p: Panel, { x, y, w, h }: Place): Panel =>
  (p.gridPos.x === x && p.gridPos.y === y && p.gridPos.w === w && p.gridPos.h === h ? p : { ...p, gridPos: { ...p.gridPos, x, y, w, h } });

export function within({ x, y, w, h }: Place): Place {
  const width = Math.max(1, Math.min(COLUMNS, Math.round(w)));
  return { x: Math.max(0, Math.min(COLUMNS - width, Math.round(x))), y: Math.max(0, Math.round(y)), w: width, h: Math.max(1, Math.min(200, Math.round(h))) };
}

// Packs a list from the line `top` down; `first` goes before what stands at the same height, and when it
// moves down it passes what its middle has passed.
function packed(panels: Panel[], top: number, first?: { id: number; down: boolean }): Panel[] {
  const rank = (p: Panel): number => {
    const { y, h } = boxOf(p);
    return p.id === first?.id ? y - 0.25 + (first.down ? Math.floor(h / 2) : 0) : y;
  };
  const low = new Array<number>(COLUMNS).fill(top);
  return [...panels].sort((a, b) => rank(a) - rank(b) || a.gridPos.x - b.gridPos.x).map((p) => {
    const box = boxOf(p);
    let y = top;
    for (let x = box.x; x < box.x + box.w; x++) y = Math.max(y, low[x]!);
    low.fill(y + box.h, box.x, box.x + box.w);
    return at(p, { ...box, y });
  }).sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
}

// What comes to lie below a folded row is in it.
function intoFolded(panels: Panel[]): Panel[] {
  const out: Panel[] = [];
  for (const p of panels) {
    const row = out[out.length - 1];
    if (p.type !== "row" && row?.type === "row" && row.collapsed) {
      const y = (row.panels ?? []).reduce((most, q) => Math.max(most, q.gridPos.y + q.gridPos.h), row.gridPos.y + 1);
      out[out.length - 1] = { ...row, panels: [...(row.panels ?? []), at(p, { ...p.gridPos, y })] };
    } else out.push(p);
  }
  return out;
}

const whole = (d: Dashboard, panels: Panel[], first?: { id: number; down: boolean }): Dashboard => ({ ...d, panels: intoFolded(packed(panels, 0, first)) });

export const placeOf = (d: Dashboard, id: number): Place | undefined => allPanels(d).find((p) => p.id === id)?.gridPos;

// The panel with another place or size, among those of its list: the page's, or a folded row's.
export function moved(d: Dashboard, id: number, to: Place): Dashboard {
  const place = within(to);
  const put = (p: Panel): Panel => (p.id === id ? at(p, place) : p);
  const before = placeOf(d, id);
  if (!before) return d;
  const first = { id, down: place.y > before.y };
  if (d.panels.some((p) => p.id === id)) return whole(d, d.panels.map(put), first);
  return { ...d, panels: d.panels.map((row) => (row.panels?.some((p) => p.id === id)
    ? { ...row, panels: packed(row.panels.map(put), row.gridPos.y + 1, first) } : row)) };
}

// Up and down by the keyboard: as far as it takes until something changes.
export function nudged(d: Dashboard, id: number, dx: number, dy: number): Dashboard {
  const from = placeOf(d, id);
  if (!from) return d;
  const now = packedText(moved(d, id, from));
  for (let n = 1; n <= (dy ? 60 : 1); n++) {
    const next = moved(d, id, { ...from, x: from.x + dx * n, y: from.y + dy * n });
    if (packedText(next) !== now) return next;
    if (dy < 0 && from.y + dy * n <= 0) break;
  }
  return d;
}

const packedText = (d: Dashboard): string => JSON.stringify(allPanels(d).map((p) => [p.id, p.gridPos]));

export const newPanel = (id: number, type: string, more: Partial<Panel> = {}): Panel => ({
  id, type, title: "New panel", gridPos: { x: 0, y: 0, ...NEW }, datasource: null, options: {}, fieldConfig: { defaults: {}, overrides: [] },
  targets: [], transformations: [], links: [], ...more,
});

// Before the first row, where it comes highest.
export function added(d: Dashboard, panel: Panel): Dashboard {
  const row = d.panels.findIndex((p) => p.type === "row");
  const above = row < 0 ? d.panels : d.panels.slice(0, row);
  const under = (x: number): number => above.filter((p) => p.gridPos.x < x + panel.gridPos.w && p.gridPos.x + p.gridPos.w > x)
    .reduce((most, p) => Math.max(most, p.gridPos.y + p.gridPos.h), 0);
  let x = 0;
  for (let i = 1; i + panel.gridPos.w <= COLUMNS; i++) if (under(i) < under(x)) x = i;
  const placed = at(panel, { ...panel.gridPos, x, y: under(x) });
  return whole(d, [...d.panels, placed], { id: panel.id, down: false });
}

// A row below everything.
export function addedRow(d: Dashboard): Dashboard {
  const y = d.panels.reduce((most, p) => Math.max(most, p.gridPos.y + boxOf(p).h), 0);
  return { ...d, panels: [...d.panels, newPanel(nextId(d), "row", { title: "New row", collapsed: false, panels: [], gridPos: { x: 0, y, w: COLUMNS, h: 1 } })] };
}

// A copy beside it, or below it where there is no room.
export function duplicated(d: Dashboard, id: number): { dashboard: Dashboard; id: number } {
  const own = nextId(d);
  const copy = (p: Panel): Panel => {
    const { x, y, w, h } = p.gridPos;
    return { ...structuredClone(p), id: own, gridPos: x + 2 * w <= COLUMNS ? { x: x + w, y, w, h } : { x, y: y + h, w, h } };
  };
  const top = d.panels.find((p) => p.id === id);
  if (top) return { dashboard: whole(d, [...d.panels, copy(top)], { id: own, down: false }), id: own };
  const panels = d.panels.map((row) => {
    const inner = row.panels?.find((p) => p.id === id);
    return inner ? { ...row, panels: packed([...row.panels!, copy(inner)], row.gridPos.y + 1, { id: own, down: false }) } : row;
  });
  return { dashboard: { ...d, panels }, id: own };
}

export function removed(d: Dashboard, id: number): Dashboard {
  const panels = d.panels.filter((p) => p.id !== id);
  if (panels.length < d.panels.length) return whole(d, panels);
  return { ...d, panels: d.panels.map((row) => (row.panels?.some((p) => p.id === id)
    ? { ...row, panels: packed(row.panels.filter((p) => p.id !== id), row.gridPos.y + 1) } : row)) };
}

// ---- rows: a row and what is below it

function sections(d: Dashboard): Panel[][] {
  const out: Panel[][] = [[]];
  for (const p of d.panels) {
    if (p.type === "row") out.push([]);
    out[out.length - 1]!.push(p);
  }
  return out;
}

// One below the other, each from where the one before it ends.
function stacked(d: Dashboard, list: Panel[][]): Dashboard {
  let y = 0;
  return { ...d, panels: list.flatMap((panels) => {
    const top = Math.min(...panels.map((p) => p.gridPos.y));
    const out = panels.map((p) => at(p, { ...boxOf(p), y: p.gridPos.y - top + y }));
    y = out.reduce((most, p) => Math.max(most, p.gridPos.y + boxOf(p).h), y);
    return out;
  }) };
}

export function movedRow(d: Dashboard, id: number, by: -1 | 1): Dashboard {
  const list = sections(d);
  const i = list.findIndex((s) => s[0]?.id === id);
  const j = i + by;
  if (i < 1 || j < 1 || j >= list.length) return d;
  [list[i], list[j]] = [list[j]!, list[i]!];
  return stacked(d, list);
}

// Folded, its panels are within it; open, they follow it.
export function folded(d: Dashboard, id: number, fold: boolean): Dashboard {
  const list = sections(d).map((s) => {
    const [row, ...below] = s;
    if (row?.id !== id || row.collapsed === fold) return s;
    if (fold) return [{ ...row, collapsed: true, panels: [...(row.panels ?? []), ...below] }];
    const inner = row.panels ?? [];
    const top = Math.min(...inner.map((p) => p.gridPos.y));
    return [{ ...row, collapsed: false, panels: [] }, ...inner.map((p) => at(p, { ...p.gridPos, y: p.gridPos.y - top + row.gridPos.y + 1 })), ...below];
  });
  return stacked(d, list);
}

// Without its panels they go to what is above it.
export function removedRow(d: Dashboard, id: number, withPanels: boolean): Dashboard {
  const open = withPanels ? d : folded(d, id, false);
  return stacked(open, sections(open).map((s) => (s[0]?.id !== id ? s : withPanels ? [] : s.slice(1))).filter((s) => s.length));
}
