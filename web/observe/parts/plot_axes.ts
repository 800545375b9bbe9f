// plot_axes.ts - axes of a drawing: what a caller says of them, made into what the frame draws, and the pen
// that turns values into pixels. Nothing here grows with the number of series.
import { partsIn } from "../base/zone";
import type { Box, Colors, Frame } from "./plot_frame";
import { everyName, stepsFor, tickText } from "./plot_math";
import { numberTicks, roomy, stepFor, TIME_STEPS, timeTicks, wholePowers } from "./plot_ticks";

export interface Axis {
  kind: "time" | "linear" | "log" | "symlog" | "names";
  min: number; // ms for times; names have none: 0 is the first
  max: number;
  base?: 2 | 10;
  threshold?: number; // of a symlog: linear up to it
  names?: string[];
  text?: (v: number, decimals?: number) => string; // decimals: what tells two ticks apart
  label?: string;
  side?: "left" | "right" | "hidden";
  grid?: boolean;
  border?: boolean;
  size?: number; // px, else what the labels need
  color?: string; // of the labels
  reverse?: boolean;
  steps?: number[];
  space?: number; // least px between two ticks
  zones?: string[]; // of times: "utc", "browser" or a zone's name; one row of labels each
  rotate?: number; // degrees, of names below
  spacing?: number; // least px between two labels
  every?: boolean; // every name, even if they touch
}

export interface Pen {
  g: CanvasRenderingContext2D;
  ratio: number; // device pixels per CSS pixel
  left: number; // the plot within the canvas, device pixels
  top: number;
  width: number;
  height: number;
  x: (v: number) => number; // device pixels
  y: (v: number, axis: number) => number;
  dark: boolean;
}

export const FONT_PX = 12;
export const FONT = `${FONT_PX}px system-ui, "Segoe UI", "Liberation Sans", sans-serif`;

const ruler = typeof document === "undefined" ? null : document.createElement("canvas").getContext("2d");
export function textWidth(texts: readonly string[], font = FONT): number {
  if (!ruler) return 50;
  ruler.font = font;
  let most = 0;
  for (const t of texts) for (const line of String(t ?? "").split("\n")) most = Math.max(most, ruler.measureText(line).width);
  return most;
}

// What cannot be changed without building anew.
export const shapeOf = (x: Axis, ys: Axis[]): string => JSON.stringify([x, ...ys].map((a) =>
  [a.kind, a.base, a.threshold, a.side, a.grid, a.border, a.size, a.color, a.label, a.reverse, a.zones, a.rotate, a.spacing, a.every]));

export interface Live { x: Axis; ys: Axis[]; view?: [number, number]; yView?: Map<number, [number, number]> }

const ends = (a: Axis, view?: [number, number]): [number, number] =>
  a.kind === "names" ? [-0.5, Math.max(1, a.names?.length ?? 0) - 0.5] : view ?? [a.min, a.max];

export const endsX = (l: Live): [number, number] => ends(l.x, l.view);
export const endsY = (l: Live, i: number): [number, number] => ends(l.ys[i]!, l.yView?.get(i));

const NAMES_MAX_SHARE = 0.4; // of the width go to names beside the plot, at most

function clip(text: string, px: number): string {
  if (textWidth([text]) <= px) return text;
  let n = text.length;
  while (n > 1 && textWidth([text.slice(0, n) + "…"]) > px) n -= Math.max(1, n >> 4);
  return text.slice(0, n) + "…";
}

// Labels of numbers: where two would read the same, the second stays away.
function numberTexts(a: Axis, at: number[], incr: number): string[] {
  const text = a.text ?? String;
  let before = "";
  const linear = a.kind === "linear";
  const digits = Math.max(0, Math.min(13, -Math.floor(Math.log10(incr || 1) + 1e-9)));
  const round = 10 ** (digits + 2);
  const decimals = !linear ? undefined : Math.abs(incr * 10 ** digits - Math.round(incr * 10 ** digits)) > 1e-6 ? digits + 1 : digits;
  return at.map((v) => {
    if (v === null || v === undefined) return "";
    const t = text(linear ? Math.round(v * round) / round : v, decimals);
    if (t === before) return "";
    return (before = t);
  });
}

// What the frame draws at one side of the plot.
export type Place = "left" | "right" | "below";
export interface Ticks { at: number[]; texts: string[] }
export interface Side {
  at: Place;
  scale: number; // of placesOf
  ticks: (px: number, wholePx: number) => Ticks; // px: how long the axis is; wholePx: how wide the drawing is
  size: (texts: string[]) => number; // px away from the plot that the texts need
  color: string;
  line: string; // color of the grid and the marks
  grid: boolean;
  marks: boolean;
  border: boolean;
  label?: string;
  labelPx: number;
  angle: number; // of the texts, clockwise
}

function nameTicks(a: Axis, across: boolean, px: number, wholePx: number): Ticks {
  const names = a.names ?? [];
  const band = px / Math.max(1, names.length);
  const need = !across ? FONT_PX + 2 : a.rotate ? FONT_PX + 4 : a.spacing ? Math.abs(a.spacing) : textWidth(names);
  const every = a.every ? 1 : everyName(band, need - (across ? 0 : 6));
  // A negative spacing keeps the last name instead of the first.
  const begin = (a.spacing ?? 0) < 0 ? (names.length - 1) % every : 0;
  const at = names.map((_, i) => i).filter((i) => i % every === begin);
  return { at, texts: at.map((i) => (across ? names[i]! : clip(names[i]!, wholePx * NAMES_MAX_SHARE - 16))) };
}

// Of numbers: `space` px from tick to tick at least, of powers one in `powerPx`.
function numberedTicks(a: Axis, [lo, hi]: [number, number], px: number, space: number, powerPx: number): Ticks {
  if (a.kind !== "linear") {
    const at = logTicks(a, lo, hi, px / powerPx);
    return { at, texts: numberTexts(a, at, 0) };
  }
  const step = stepFor(a.steps ?? stepsFor(undefined), lo, hi, px, space);
  const at = numberTicks(lo, hi, step);
  return { at, texts: numberTexts(a, at, step) };
}

// Ticks of a logarithm: powers, thinned to what there is room for; within two of them, 1 2 5 as well.
export function logTicks(a: Axis, lo: number, hi: number, room: number): number[] {
  const base = a.base ?? 10;
  if (a.kind === "symlog") {
    const t = a.threshold ?? 1;
    const powers = (end: number) => Math.max(0, Math.floor(Math.log(Math.max(1, end / t)) / Math.log(base)));
    const [down, up] = [lo < 0 ? powers(-lo) : -1, hi > 0 ? powers(hi) : -1];
    const every = Math.max(1, Math.ceil((down + up + 3) / Math.max(2, room)));
    const side = (n: number, sign: number) => Array.from({ length: n + 1 }, (_, k) => sign * t * base ** k).filter((_, k) => (n - k) % every === 0);
    return [...side(down, -1).reverse(), ...(lo <= 0 && hi >= 0 ? [0] : []), ...side(up, 1)].filter((v) => v >= lo && v <= hi);
  }
  const from = Math.ceil(Math.log(lo) / Math.log(base) - 1e-9);
  const to = Math.floor(Math.log(hi) / Math.log(base) + 1e-9);
  const every = Math.max(1, Math.ceil((to - from + 1) / Math.max(2, room)));
  const out: number[] = [];
  for (let e = from - 1; e <= to; e++) {
    const power = Number((base ** e).toPrecision(12));
    if (e >= from && (e - from) % every === 0) out.push(power);
    if (base === 10 && (to - from + 1) * 3 <= room) for (const m of [2, 5]) if (power * m >= lo && power * m <= hi) out.push(power * m);
  }
  return out.sort((x, y) => x - y);
}

function timeSpace(step: number): number {
  return step < 1000 ? 90 : step < 60e3 ? 80 : step < 27 * 86400e3 ? 62 : 80;
}

function sideY(live: Live, i: number, { dim, line }: Colors): Side {
  const a = live.ys[i]!;
  const names = a.kind === "names";
  return {
    at: a.side === "right" ? "right" : "left", scale: i + 1, color: a.color ?? dim, line, grid: !names && (a.grid ?? i === 0), marks: !names && !!a.border, border: !!a.border,
    label: a.label, labelPx: 18, angle: 0, size: (texts) => a.size ?? Math.max(18, textWidth(texts) + 14),
    ticks: (px, wholePx) => (names ? nameTicks(a, false, px, wholePx) : numberedTicks(a, endsY(live, i), px, a.space ?? Math.max(22, Math.min(46, px / 5)), 30)),
  };
}

function sidesX(live: Live, { dim, line }: Colors): Side[] {
  const a = live.x;
  const [lo, hi] = endsX(live);
  const names = a.kind === "names";
  const side: Side = {
    at: "below", scale: 0, color: a.color ?? dim, line, grid: !names && (a.grid ?? true), marks: !names && !!a.border, border: !!a.border, label: a.label, labelPx: 20, angle: 0,
    size: () => 24, ticks: (px) => numberedTicks(a, [lo, hi], px, textWidth([lo, hi].map(a.text ?? String)) + 28, 60),
  };
  if (names) {
    const angle = ((a.rotate ?? 0) * Math.PI) / 180;
    return [{ ...side, angle, size: (texts) => 22 + Math.abs(Math.sin(angle)) * textWidth(texts), ticks: (px, wholePx) => nameTicks(a, true, px, wholePx) }];
  }
  if (a.kind !== "time") return [side];
  const zones = a.zones?.length ? a.zones : ["browser"];
  return zones.map((zone, row) => ({
    ...side, grid: side.grid && !row, label: zones.length > 1 ? zone : a.label,
    ticks: (px) => {
      const step = stepFor(TIME_STEPS, lo, hi, px, timeSpace(((hi - lo) / px) * 70));
      const at = timeTicks(lo, hi, step, zones[0]!);
      return { at, texts: at.map((ms) => tickText(partsIn(ms, zone), step)) };
    },
  }));
}

export const sidesOf = (live: Live, colors: Colors): Side[] => [
  ...(live.x.side === "hidden" ? [] : sidesX(live, colors)), ...live.ys.map((_, i) => sideY(live, i, colors)).filter((_, i) => live.ys[i]!.side !== "hidden"),
];

// What stays free around plot and axes: top, right, bottom, left. Half of the last label has its room where no axis stands.
export function roomOf({ x, ys }: Live): [number, number, number, number] {
  const right = ys.some((a) => a.side === "right");
  const left = ys.some((a) => a.side !== "right" && a.side !== "hidden");
  const half = x.kind === "time" ? 21 : 12;
  return [8, right ? 4 : half, x.side === "hidden" ? 4 : 0, left ? 2 : half];
}

// ---- values into pixels

function placer(a: Axis, [lo, hi]: [number, number], offset: number, size: number, up: boolean): (v: number) => number {
  const bend = a.kind === "log" ? (v: number) => Math.log(v) : a.kind === "symlog" ? (v: number) => Math.asinh(v / (a.threshold ?? 1)) : null;
  const from = bend ? bend(lo) : lo;
  const to = bend ? bend(hi) : hi;
  const flip = up !== !!a.reverse;
  const by = (size / (to - from || 1)) * (flip ? -1 : 1);
  const zero = flip ? offset + size : offset;
  if (!bend) return (v) => zero + (v - from) * by;
  // What a logarithm does not have lies far below.
  return (v) => (a.kind === "log" && v <= 0 ? offset + size + 1e4 : zero + (bend(v) - from) * by);
}

// Along x, then along each y.
export const placesOf = (live: Live, { left, top, width, height }: Box): ((v: number) => number)[] =>
  [placer(live.x, endsX(live), left, width, false), ...live.ys.map((a, i) => placer(a, endsY(live, i), top, height, true))];

export function penOf({ g, ratio, box }: Frame, live: Live, dark: boolean): Pen {
  const [x, ...ys] = placesOf(live, box);
  return { g, ratio, ...box, dark, x: x!, y: (v, axis) => ys[axis]!(v) };
}

// A pixel of the plot back into a value.
export function valueAt(a: Axis, [lo, hi]: [number, number], share: number): number {
  const s = a.reverse ? 1 - share : share;
  if (a.kind === "log") return Math.exp(Math.log(lo) + s * (Math.log(hi) - Math.log(lo)));
  if (a.kind === "symlog") {
    const t = a.threshold ?? 1;
    return Math.sinh(Math.asinh(lo / t) + s * (Math.asinh(hi / t) - Math.asinh(lo / t))) * t;
  }
  return lo + s * (hi - lo);
}

// ---- ranges, by Grafana's rules: a tenth of room, zero taken in when it is near

export interface Limits { min?: number | null; max?: number | null; softMin?: number | null; softMax?: number | null; centered?: boolean }

export function rangeOf(lo: number, hi: number, kind: Axis["kind"], base: 2 | 10, l: Limits): [number, number] {
  const has = lo <= hi;
  if (kind === "log") {
    const a = l.min ?? (has && lo > 0 ? Math.min(lo, l.softMin ?? lo) : 0);
    const b = l.max ?? (has && hi > 0 ? Math.max(hi, l.softMax ?? hi) : 0);
    const top = b > 0 ? b : 1;
    const bottom = a > 0 ? a : top / 1000;
    const [from, to] = wholePowers(Math.min(bottom, top), Math.max(bottom, top), base);
    return [l.min && l.min > 0 ? l.min : from, l.max && l.max > 0 ? l.max : to];
  }
  let [from, to] = has ? [lo, hi] : [l.softMin ?? l.min ?? 0, l.softMax ?? l.max ?? 1];
  if (l.centered) {
    const far = Math.max(Math.abs(from), Math.abs(to)) || 1;
    [from, to] = [-far, far];
  }
  if (kind === "symlog") {
    from = Math.min(from, l.softMin ?? from);
    to = Math.max(to, l.softMax ?? to);
    [from, to] = from === to ? [from - 1, to + 1] : wholePowers(from, to, base);
  } else if (from === 0 && to === 0) [from, to] = [Math.min(0, l.softMin ?? 0), Math.max(l.softMax ?? 0, 1)];
  else [from, to] = roomy(from, to, l.softMin, l.softMax);
  from = l.min ?? from;
  to = l.max ?? to;
  return from < to ? [from, to] : l.min !== null && l.min !== undefined ? [from, from + 1] : [to - 1, to];
}
