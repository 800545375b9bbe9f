// items.ts - the values that a stat, a gauge, a bar gauge or a pie shows: of every field that the
// panel's reduceOptions name one reduced value, or with `values` one of every row.
import { type Cell, type Field, type Frame, type Shown, shownText } from "../frame";
import type { Bag } from "../model";
import { reduceField } from "../calc";
import { paletteColor } from "../color";
import { titleOf } from "../matchers";
import { patternOf } from "../pattern";

export interface Item {
  key: string;
  title: string;
  shown: Shown;
  value: Cell;
  field: Field;
  frame: Frame;
  row?: number; // of the frame, if it is one
}

const ROWS_MAX = 25; // Grafana's limit if none is set
const ITEMS_MAX = 1000;

const textOf = (pattern: string): RegExp | undefined => {
  try {
    return patternOf(pattern, (t) => `^${t}$`);
  } catch {
    return undefined;
  }
};

export { titleOf };

const PLAIN: Shown = { number: NaN, text: "", color: "" };
export const show = (field: Field, value: Cell): Shown =>
  field.show?.(value) ?? { ...PLAIN, text: value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value) };

// A pattern is Grafana's: "" for numbers, "/re/flags", else a whole name.
export function chosen(frames: Frame[], pattern: string | undefined): [Frame, Field][] {
  const re = pattern ? textOf(pattern) : undefined;
  const out: [Frame, Field][] = [];
  for (const frame of frames)
    for (const field of frame.fields) {
      if (field.config.custom?.hideFrom?.viz) continue;
      if (pattern ? re && (re.test(titleOf(field)) || re.test(field.name)) && field.type !== "time" || titleOf(field) === pattern
        : field.type === "number") out.push([frame, field]);
    }
  return out;
}

// What tells a row from the others: its texts; the column as well where several hold numbers.
function rowTitle(frame: Frame, field: Field, row: number): string {
  const texts: string[] = [];
  let others = 0;
  for (const f of frame.fields) {
    if (f === field) continue;
    if (f.type === "number") others++;
    if (f.type === "string" && f.values[row]) texts.push(shownText(show(f, f.values[row])));
  }
  if (others || !texts.length) texts.push(titleOf(field));
  return texts.join(" ");
}

// Rows of one column would all have its colour: with a palette each has its own.
function rowColor(field: Field, shown: Shown, i: number, dark: boolean): Shown {
  const mode = field.config.color?.mode ?? "";
  return mode.startsWith("palette-classic") && shown.color === field.show?.(null).color ? { ...shown, color: paletteColor(i, dark, mode) } : shown;
}

export function itemsOf(frames: Frame[], reduce: Bag = {}, dark = true): Item[] {
  const out: Item[] = [];
  const fields = chosen(frames, reduce.fields);
  const calcs: string[] = reduce.calcs?.length ? reduce.calcs : ["lastNotNull"];
  for (const [frame, field] of fields) {
    if (out.length >= ITEMS_MAX) break;
    if (reduce.values) {
      const most = Math.min(frame.length, Number(reduce.limit) || ROWS_MAX);
      for (let row = 0; row < most; row++) {
        const value = field.values[row];
        out.push({ key: `${out.length}`, title: field.config.displayName ? titleOf(field) : rowTitle(frame, field, row), shown: rowColor(field, show(field, value), out.length, dark), value, field, frame, row });
      }
      continue;
    }
    for (const calc of calcs) {
      const value = reduceField(field, calc);
      out.push({ key: `${out.length}`, title: titleOf(field), shown: show(field, value), value, field, frame });
    }
  }
  return out;
}

// From where to where a field's values go: as configured, else over all numbers of the panel, zero
// included, so that no bar is empty only because its value is the least.
export function rangeOf(items: Item[]): (field: Field) => [number, number] {
  let lo = Infinity;
  let hi = -Infinity;
  for (const field of new Set(items.map((i) => i.field)))
    for (const v of field.values)
      if (typeof v === "number" && Number.isFinite(v)) {
        if (v < lo) lo = v;
        if (v > hi) hi = v;
      }
  for (const { shown } of items)
    if (Number.isFinite(shown.number)) [lo, hi] = [Math.min(lo, shown.number), Math.max(hi, shown.number)];
  return (field) => {
    const { min, max, unit } = field.config;
    const least = typeof min === "number" ? min : Math.min(0, Number.isFinite(lo) ? lo : 0);
    const auto = unit === "percent" ? Math.max(100, hi) : unit === "percentunit" ? Math.max(1, hi) : hi;
    const most = typeof max === "number" ? max : Number.isFinite(auto) ? auto : 100;
    return [least, most > least ? most : least + 1];
  };
}

export const shareOf = (value: number, [lo, hi]: [number, number]): number =>
  Number.isFinite(value) ? Math.max(0, Math.min(1, (value - lo) / (hi - lo))) : value === Infinity ? 1 : 0;

export interface Step { at: number; share: number; color: string } // `at` is a value of the field

// A field's thresholds within its range, percentages made values.
export function stepsOf(field: Field, [lo, hi]: [number, number]): Step[] {
  const { steps = [], mode } = field.config.thresholds ?? {};
  return steps.map(({ value, color }) => {
    const at = value === null || value === undefined || (value as unknown) === -Infinity ? lo : mode === "percentage" ? lo + (value / 100) * (hi - lo) : value;
    return { at, share: (at - lo) / (hi - lo), color };
  });
}

// The threshold that a value has reached, in words: colour is not the only sign of it.
export function stateText(item: Item): string {
  const { steps = [], mode } = item.field.config.thresholds ?? {};
  const n = item.shown.number;
  if (mode === "percentage" || steps.length < 2 || !Number.isFinite(n) || (item.field.config.color?.mode ?? "thresholds") !== "thresholds") return "";
  const reached = steps.filter((s) => typeof s.value === "number" && s.value <= n).pop();
  return reached ? `at or above ${shownText(show(item.field, reached.value))}` : `below ${shownText(show(item.field, steps[1].value))}`;
}

// The times that a field is a series over, if it is one.
export const timesOf = (frame: Frame): Field | undefined => frame.fields.find((f) => f.type === "time");

// The colours along a bar, as the field colours the values there.
export function colorsAlong(item: Pick<Item, "field">, [lo, hi]: [number, number], n: number): string[] {
  return Array.from({ length: n }, (_, i) => show(item.field, lo + ((hi - lo) * i) / Math.max(1, n - 1)).color);
}
