// read_old.ts - the dashboard itself in its old forms: rows with heights and panels with spans before
// there was a grid (schema 16), and members that have moved or been named anew since.
import { bag, bags, drop, isBag, list, num, str } from "./json";
import type { Bag } from "./model";

export function oldMembers(raw: Bag): void {
  const filter = bag(bag(raw.services).filter); // schema 1
  if (filter.time && !raw.time) raw.time = filter.time;
  if (filter.list && !isBag(raw.templating)) raw.templating = { list: filter.list };
  for (const p of bags(raw.pulldowns)) // until schema 6
    if (p.type === "annotations" && !isBag(raw.annotations)) raw.annotations = { list: bags(p.annotations) };
  if (Array.isArray(raw.templating)) raw.templating = { list: raw.templating };
  if (Array.isArray(raw.annotations)) raw.annotations = { list: raw.annotations };
  const nav = list(raw.nav)[0]; // until schema 7
  if (isBag(nav) && !raw.timepicker) raw.timepicker = nav;
  if (raw.sharedCrosshair !== undefined && raw.graphTooltip === undefined) raw.graphTooltip = raw.sharedCrosshair ? 1 : 0;
  if (raw.hideControls === true) raw.timepicker = { hidden: true, ...bag(raw.timepicker) };
  if (isBag(raw.timepicker)) delete raw.timepicker.time_options;
  if (raw.title === undefined && raw.originalTitle) raw.title = raw.originalTitle;
  if (Array.isArray(raw.rows) && Array.isArray(raw.panels) && raw.panels.length) delete raw.rows;
  inputConstants(raw);
  drop(raw, "services", "pulldowns", "nav", "sharedCrosshair", "hideControls", "originalTitle", "style");
}

// An export's constants stand in texts as ${VAR_NAME}: their values take their place, as they would on import.
function inputConstants(raw: Bag): void {
  const values = new Map(bags(raw.__inputs).filter((i) => i.type === "constant" && i.value !== undefined).map((i) => [`\${${str(i.name)}}`, str(i.value)]));
  if (!values.size) return;
  const visit = (x: unknown): unknown => {
    if (typeof x === "string") {
      let text = x;
      for (const [name, value] of values) text = text.split(name).join(value);
      return text;
    }
    if (Array.isArray(x)) return x.map(visit);
    if (isBag(x)) for (const name of Object.keys(x)) x[name] = visit(x[name]);
    return x;
  };
  for (const name of Object.keys(raw)) if (name !== "__inputs") raw[name] = visit(raw[name]);
}

const px = (height: unknown): number => num(typeof height === "string" ? height.replace(/px$/i, "") : height) ?? 250;
const units = (height: unknown): number => Math.max(3, Math.ceil(px(height) / 38)); // a row of the grid with its gap

// Rows of panels become panels of a grid; rows that show themselves become panels that head them.
export function oldRows(raw: Bag): void {
  const rows = bags(raw.rows);
  const shown = rows.some((r) => r.collapse === true || r.showTitle === true || r.repeat);
  const out: Bag[] = [];
  let y = 0;
  for (const r of rows) {
    const panels = bags(r.panels);
    if (r.repeatIteration || r.repeatRowId) continue; // a saved clone
    const head: Bag = { type: "row", title: str(r.title), collapsed: r.collapse === true, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } };
    if (r.repeat) head.repeat = r.repeat;
    if (shown) {
      out.push(head);
      y++;
    }
    y += place(panels, y, units(r.height));
    if (shown && head.collapsed) head.panels = panels;
    else out.push(...panels);
  }
  raw.panels = out;
  delete raw.rows;
}

// Puts them beside each other as far as the width goes; answers how high all are together. Low ones
// stack beside a high one.
function place(panels: Bag[], top: number, rowHeight: number): number {
  const low = new Array<number>(24).fill(0);
  let x = 0;
  for (const p of panels) {
    const w = Math.min(24, Math.max(1, Math.round((num(p.span) || 4) * 2)));
    const h = p.height === undefined || p.height === null || p.height === "" ? rowHeight : units(p.height);
    if (x + w > 24) x = firstFit(low, w);
    const y = Math.max(...low.slice(x, x + w));
    p.gridPos = { x, y: top + y, w, h };
    low.fill(y + h, x, x + w);
    x += w;
    drop(p, "span", "height");
  }
  return Math.max(...low);
}

// The leftmost of the lowest places that are wide enough.
function firstFit(low: number[], w: number): number {
  let best = 0, least = Infinity;
  for (let x = 0; x + w <= 24; x++) {
    const y = Math.max(...low.slice(x, x + w));
    if (y < least) [best, least] = [x, y];
  }
  return best;
}
