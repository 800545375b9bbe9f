// table_rows.ts - what a table does with its frame before it is drawn: which columns, how wide, which
// rows in which order, what stands below. Rows are numbers into the frame: 100,000 of them are sorted
// without being copied.
import { calcText, reduceField } from "../calc";
import { type Cell, type Field, type Frame, shownText } from "../frame";
import type { Bag } from "../model";
import { widthOf } from "./fit";
import { show, titleOf } from "./items";

export interface SortBy { displayName: string; desc?: boolean }
export interface Filter { texts?: string[]; contains?: string } // by a column's title

const NARROW_PX = 60; // the least and the most that a column's texts may ask for
const WIDE_PX = 260;
const DRAWN_PX = 120; // of bars and lines
const LOOKED_AT = 30; // rows
const FONT_PX = 13;
const SIDES_PX = 22;

export const columnsOf = (frame: Frame): Field[] =>
  frame.fields.filter((f) => !f.config.custom?.hidden && f.config.custom?.hideFrom?.viz !== true);

// What a column needs so that its head and its first texts are not cut.
function needOf(field: Field): number {
  const { minWidth, filterable } = field.config.custom ?? {};
  if (typeof minWidth === "number") return minWidth;
  if (["gauge", "sparkline"].includes(kindOf(field).type)) return DRAWN_PX;
  let most = widthOf(titleOf(field), 600) * FONT_PX + 12 + (filterable ? 26 : 0);
  for (const v of field.values.slice(0, LOOKED_AT)) most = Math.max(most, widthOf(cellText(field, v)) * FONT_PX);
  return Math.ceil(Math.max(NARROW_PX, Math.min(WIDE_PX, most + SIDES_PX)));
}

// Widths that are set stay, the others share what is left, none below its need.
export function widthsOf(fields: Field[], width: number, dragged: Record<string, number> = {}): number[] {
  const set = fields.map((f) => dragged[titleOf(f)] ?? f.config.custom?.width);
  const needs = fields.map((f, i) => (set[i] ? 0 : needOf(f)));
  const out = set.map((w) => (typeof w === "number" && w > 0 ? w : 0));
  let free = width - out.reduce((a, b) => a + b, 0);
  let open = fields.map((_, i) => i).filter((i) => !out[i]);
  for (let again = true; again && open.length; ) {
    again = false;
    const share = free / open.length;
    for (const i of open)
      if (needs[i] > share) {
        out[i] = needs[i];
        free -= out[i];
        again = true;
      }
    open = open.filter((i) => !out[i]);
    if (!again) for (const i of open) out[i] = share;
  }
  const whole = out.map(Math.floor);
  const rest = Math.round(width - whole.reduce((a, b) => a + b, 0));
  const last = set.map((w) => !w).lastIndexOf(true);
  if (rest > 0 && last >= 0) whole[last] += rest;
  return whole;
}

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const isNone = (v: Cell): boolean => v === null || v === undefined || v === "" || (typeof v === "number" && Number.isNaN(v));

// What a cell is sorted by: what a sparkline's last value is, not the line.
export function sortable(v: Cell): string | number | boolean | null {
  if (typeof v !== "object" || v === null) return v ?? null;
  const line = lineOf(v);
  return line ? lastOf(line) : JSON.stringify(v);
}

function compare(a: Cell, b: Cell): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return collator.compare(String(a), String(b));
}

// Rows in order; cells without a value are last, whichever way.
export function sorted(rows: number[], fields: Field[], by: SortBy[]): number[] {
  const keys = by.flatMap(({ displayName, desc }) => {
    const field = fields.find((f) => titleOf(f) === displayName || f.name === displayName);
    return field ? [{ field, values: field.type === "other" ? field.values.map(sortable) : field.values, sign: desc ? -1 : 1 }] : [];
  });
  if (!keys.length) return rows;
  return [...rows].sort((a, b) => {
    for (const { values, sign } of keys) {
      const [x, y] = [values[a], values[b]];
      const [nx, ny] = [isNone(x), isNone(y)];
      if (nx || ny) {
        if (nx !== ny) return nx ? 1 : -1;
        continue;
      }
      const order = compare(x, y);
      if (order) return sign * order;
    }
    return a - b;
  });
}

// One click sorts upwards, the next downwards, the third not at all; with `more` beside what was.
export function nextSort(by: SortBy[], displayName: string, more: boolean): SortBy[] {
  const old = by.find((s) => s.displayName === displayName);
  const next = !old ? { displayName, desc: false } : !old.desc ? { displayName, desc: true } : undefined;
  if (!more) return next ? [next] : [];
  const others = by.filter((s) => s !== old);
  return !next ? others : old ? by.map((s) => (s === old ? next : s)) : [...others, next];
}

// How a number is compared in a filter's text: ">= 5", "!= 0", "$ < 3".
const ORDERS: Record<string, (a: number, b: number) => boolean> = {
  ">=": (a, b) => a >= b, "<=": (a, b) => a <= b, "!=": (a, b) => a !== b, ">": (a, b) => a > b, "<": (a, b) => a < b, "=": (a, b) => a === b, "==": (a, b) => a === b,
};

export function filterTest(filter: Filter, field: Field): (row: number) => boolean {
  const texts = filter.texts && new Set(filter.texts);
  const wanted = filter.contains?.trim() ?? "";
  const asked = field.type === "number" ? /^\$?\s*(>=|<=|!=|==|>|<|=)\s*(-?[\d.]+(?:e[+-]?\d+)?)$/i.exec(wanted) : null;
  const low = wanted.toLowerCase();
  return (row) => {
    const v = field.values[row];
    if (asked) {
      if (typeof v !== "number" || !ORDERS[asked[1]](v, Number(asked[2]))) return false;
    } else if (low && !cellText(field, v).toLowerCase().includes(low)) return false;
    return !texts || texts.has(cellText(field, v));
  };
}

export function filtered(frame: Frame, filters: Record<string, Filter>): number[] {
  const tests = frame.fields.flatMap((f) => (filters[titleOf(f)] ? [filterTest(filters[titleOf(f)], f)] : []));
  const out: number[] = [];
  for (let row = 0; row < frame.length; row++) if (tests.every((t) => t(row))) out.push(row);
  return out;
}

export const cellText = (field: Field, v: Cell): string => {
  const line = v && typeof v === "object" ? lineOf(v) : undefined;
  return shownText(show(field, line ? lastOf(line) : v));
};

// ---- lines in cells

export interface Line { times: number[]; values: (number | null)[] }

// What a line is sorted by and told as.
export function lastOf({ values }: Line): number | null {
  for (let i = values.length; i-- > 0; ) if (typeof values[i] === "number") return values[i];
  return null;
}

// A cell of timeSeriesTable is a frame; of other sources {x, y}, or an array of numbers.
export function lineOf(v: Cell): Line | undefined {
  if (!v || typeof v !== "object") return undefined;
  if (Array.isArray(v)) return v.length && v.every((x) => x === null || typeof x === "number") ? { times: v.map((_, i) => i), values: v } : undefined;
  const bag = v as Bag;
  if (Array.isArray(bag.fields)) {
    const time = (bag.fields as Field[]).find((f) => f.type === "time");
    const number = (bag.fields as Field[]).find((f) => f.type === "number");
    return number && { times: (time?.values ?? number.values.map((_, i) => i)) as number[], values: number.values as (number | null)[] };
  }
  const [x, y] = [bag.x, bag.y].map((a) => (Array.isArray(a) ? a : a?.values));
  return Array.isArray(y) ? { times: Array.isArray(x) ? x : y.map((_: unknown, i: number) => i), values: y } : undefined;
}

// ---- cells

export interface CellKind { type: string; mode?: string; wrap?: boolean; applyToRow?: boolean; valueDisplay?: string; title?: string; alt?: string; hideValue?: boolean }

// Names that older dashboards have for what cellOptions say now.
const OLD: Record<string, CellKind> = {
  "color-background-solid": { type: "color-background", mode: "basic" }, "color-background": { type: "color-background", mode: "gradient" },
  "gradient-gauge": { type: "gauge", mode: "gradient" }, "lcd-gauge": { type: "gauge", mode: "lcd" }, basic: { type: "gauge", mode: "basic" }, custom: { type: "auto" },
};

export function kindOf(field: Field): CellKind {
  const custom = field.config.custom ?? {};
  const options = custom.cellOptions;
  const wrap = custom.wrapText ?? options?.wrapText;
  const type = options?.type ?? custom.displayMode ?? "auto";
  const old = (!options || !options.mode) && OLD[type];
  if (old) return { ...old, wrap, valueDisplay: options?.valueDisplayMode };
  const lines = type === "auto" && field.type === "other" && field.values.some((v) => v && typeof v === "object" && lineOf(v));
  return { type: lines ? "sparkline" : type, mode: options?.mode, wrap, applyToRow: options?.applyToRow, valueDisplay: options?.valueDisplayMode, title: options?.title, alt: options?.alt, hideValue: options?.hideValue };
}

export type Align = "left" | "center" | "right";
export function alignOf(field: Field, kind: CellKind): Align {
  const set = field.config.custom?.align;
  if (set && set !== "auto") return set;
  return field.type === "number" && kind.type !== "gauge" ? "right" : "left";
}

// A pill's values: a list, a JSON list, or texts between commas.
export function pillsOf(v: Cell): string[] {
  if (Array.isArray(v)) return v.map(String);
  const text = v === null || v === undefined ? "" : String(v);
  if (text[0] === "[")
    try {
      const list = JSON.parse(text);
      if (Array.isArray(list)) return list.map(String);
    } catch {
      // no JSON, then a text
    }
  return text.split(",").map((t) => t.trim()).filter(Boolean);
}

// ---- what stands below the columns

const part = (field: Field, rows: number[]): Field => ({ ...field, values: rows.map((r) => field.values[r]) });

// By column, the reducers' texts; undefined if there is no footer. Old panels name their reducers once,
// newer ones at each field.
export function footerOf(fields: Field[], rows: number[], footer: Bag | undefined): { label?: string; values: { calc: string; text: string }[] }[] | undefined {
  const old = footer?.show ? footer : undefined;
  const own = fields.some((f) => f.config.custom?.footer?.reducers?.length);
  if (!old && !own) return undefined;
  const only: string[] = Array.isArray(old?.fields) ? old.fields : old?.fields ? [old.fields] : [];
  const cells = fields.map((field, i): { label?: string; values: { calc: string; text: string }[] } => {
    const named = field.config.custom?.footer?.reducers as string[] | undefined;
    const calcs: string[] = named?.length ? named : old && !old.countRows ? [old.reducer ?? []].flat() : [];
    if (old?.countRows && i === 0) return { values: [{ calc: "count", text: String(rows.length) }], label: "Count" };
    const counts = calcs.every((c) => /count/i.test(c));
    if (!named?.length && only.length && !only.includes(field.name) && !only.includes(titleOf(field))) return { values: [] };
    if (field.type !== "number" && !counts) return { values: [] };
    const mine = part(field, rows);
    return { values: calcs.map((calc) => ({ calc, text: /count/i.test(calc) ? String(reduceField(mine, calc)) : shownText(show(field, reduceField(mine, calc))) })) };
  });
  const calcs = new Set(cells.flatMap((c) => c.values.map((v) => v.calc)));
  if (calcs.size === 1 && cells.length && !cells[0].values.length) cells[0].label = calcText([...calcs][0]);
  return cells;
}

// ---- heights

export const CELL_HEIGHT: Record<string, number> = { sm: 34, md: 42, lg: 52 };
const LINE_PX = 19;
const CHAR_PX = 7;

// With wrapped texts rows differ in height: about as many lines as the longest wrapped text takes.
export function heightsOf(rows: number[], fields: Field[], widths: number[], kinds: CellKind[], least: number): number[] | undefined {
  const wrapped = fields.flatMap((f, i) => (kinds[i].wrap || kinds[i].type === "json-view" && kinds[i].wrap ? [[f, Math.max(4, Math.floor((widths[i] - 18) / CHAR_PX))] as const] : []));
  if (!wrapped.length) return undefined;
  return rows.map((row) => {
    let lines = 1;
    for (const [field, chars] of wrapped) {
      const n = cellText(field, field.values[row]).split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / chars)), 0);
      if (n > lines) lines = n;
    }
    return least + (Math.min(lines, 60) - 1) * LINE_PX;
  });
}

// Tops of rows, one more than rows.
export function topsOf(heights: number[]): Float64Array {
  const out = new Float64Array(heights.length + 1);
  heights.forEach((h, i) => (out[i + 1] = out[i] + h));
  return out;
}

// The row at a height.
export function rowAt(tops: Float64Array, y: number): number {
  let lo = 0;
  let hi = tops.length - 1;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (tops[mid + 1] <= y) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}
