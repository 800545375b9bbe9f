// plot_axes.ts - axes of a drawing: what a caller says of them, made into uPlot's options, and the pen
// that turns values into pixels. uPlot lays the axes out, chooses ticks and draws them; it is given no
// series, so that nothing it does grows with their number.
import uPlot from "uplot";
import { partsIn } from "../base/zone";
import { everyName, stepsFor, tickText } from "./plot_math";

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

const FONT_PX = 12;
export const FONT = `${FONT_PX}px system-ui, "Segoe UI", "Liberation Sans", sans-serif`;

const ruler = typeof document === "undefined" ? null : document.createElement("canvas").getContext("2d");
export function textWidth(texts: readonly string[], font = FONT): number {
  if (!ruler) return 50;
  ruler.font = font;
  let most = 0;
  for (const t of texts) for (const line of String(t ?? "").split("\n")) most = Math.max(most, ruler.measureText(line).width);
  return most;
}

// ---- times in a zone

const zoned = (ms: number, zone: string): Date =>
  zone === "browser" ? new Date(ms) : uPlot.tzDate(new Date(ms), zone === "utc" ? "Etc/UTC" : zone);

// ---- uPlot's options

// What cannot be changed without building anew.
export const shapeOf = (x: Axis, ys: Axis[]): string => JSON.stringify([x, ...ys].map((a) =>
  [a.kind, a.base, a.threshold, a.side, a.grid, a.border, a.size, a.color, a.label, a.reverse, a.zones, a.rotate, a.spacing, a.every]));

export interface Live { x: Axis; ys: Axis[]; view?: [number, number]; yView?: Map<number, [number, number]> }

const ends = (a: Axis, view?: [number, number]): [number, number] =>
  a.kind === "names" ? [-0.5, Math.max(1, a.names?.length ?? 0) - 0.5] : view ?? [a.min, a.max];

export const endsX = (l: Live): [number, number] => ends(l.x, l.view);
export const endsY = (l: Live, i: number): [number, number] => ends(l.ys[i]!, l.yView?.get(i));

function scaleOf(a: Axis, range: () => [number, number]): uPlot.Scale {
  const dir = a.reverse ? -1 : 1;
  if (a.kind === "time") return { time: true, range, dir };
  const distr = a.kind === "log" ? 3 : a.kind === "symlog" ? 4 : 1;
  return { time: false, range, distr, log: a.base ?? 10, asinh: a.threshold ?? 1, dir } as uPlot.Scale;
}

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

function namesAxis(get: () => Axis, across: boolean): Partial<uPlot.Axis> {
  const shown = (a: Axis, dim: number): number[] => {
    const names = a.names ?? [];
    const band = dim / Math.max(1, names.length);
    const need = !across ? FONT_PX + 2 : a.rotate ? FONT_PX + 4 : a.spacing ? Math.abs(a.spacing) : textWidth(names);
    const every = a.every ? 1 : everyName(band, need - (across ? 0 : 6));
    // A negative spacing keeps the last name instead of the first.
    const begin = (a.spacing ?? 0) < 0 ? (names.length - 1) % every : 0;
    return names.map((_, i) => i).filter((i) => i % every === begin);
  };
  return {
    splits: (u) => shown(get(), across ? u.bbox.width / uPlot.pxRatio : u.bbox.height / uPlot.pxRatio),
    values: (u, at) => at.map((i) => {
      const name = get().names?.[i] ?? "";
      return across ? name : clip(name, u.width * NAMES_MAX_SHARE - 16);
    }),
    grid: { show: false }, ticks: { show: false },
  };
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

interface Colors { dim: string; line: string }

const sizeOf = (a: () => Axis) => (_u: uPlot, values: (string | number | null)[] | null): number =>
  a().size ?? Math.max(18, textWidth((values ?? []).map(String)) + 14);

function yAxis(live: () => Live, i: number, colors: Colors): uPlot.Axis {
  const a = () => live().ys[i]!;
  const now = a();
  const common: uPlot.Axis = {
    scale: `y${i}`, side: now.side === "right" ? 1 : 3, stroke: now.color ?? colors.dim, font: FONT, gap: 6, show: now.side !== "hidden",
    size: sizeOf(a) as uPlot.Axis.Size, label: now.label || undefined, labelFont: FONT, labelSize: 18, labelGap: 2,
    grid: { show: now.grid ?? i === 0, stroke: colors.line, width: 1 }, ticks: { show: now.border ?? false, stroke: colors.line, width: 1, size: 4 },
    border: { show: now.border ?? false, stroke: now.color ?? colors.dim, width: 1 },
  };
  if (now.kind === "names") return { ...common, ...namesAxis(a, false) } as uPlot.Axis;
  const log = now.kind === "log" || now.kind === "symlog";
  return {
    ...common, space: (_u, _i, _lo, _hi, dim) => a().space ?? Math.max(22, Math.min(46, dim / 5)),
    ...(log ? { splits: (u: uPlot, _i: number, lo: number, hi: number) => logTicks(a(), lo, hi, u.bbox.height / uPlot.pxRatio / 30), filter: (_u: uPlot, at: number[]) => at }
      : { incrs: () => a().steps ?? stepsFor(undefined) }),
    values: (_u, at, _i, _space, incr) => numberTexts(a(), at as number[], incr),
  };
}

function timeSpace(lo: number, hi: number, dim: number): number {
  const step = ((hi - lo) / Math.max(1, dim)) * 70;
  return step < 1000 ? 90 : step < 60e3 ? 80 : step < 27 * 86400e3 ? 62 : 80;
}

function xAxes(live: () => Live, colors: Colors): uPlot.Axis[] {
  const a = () => live().x;
  const now = a();
  const base: uPlot.Axis = {
    scale: "x", side: 2, stroke: now.color ?? colors.dim, font: FONT, gap: 6, show: now.side !== "hidden", label: now.label || undefined, labelFont: FONT, labelSize: 20, labelGap: 0,
    grid: { show: now.grid ?? true, stroke: colors.line, width: 1 }, ticks: { show: now.border ?? false, stroke: colors.line, width: 1, size: 4 },
    border: { show: now.border ?? false, stroke: colors.dim, width: 1 }, size: 24,
  };
  if (now.kind === "names") {
    const angle = -(now.rotate ?? 0);
    const rise = Math.abs(Math.sin((angle * Math.PI) / 180));
    return [{ ...base, ...namesAxis(a, true), rotate: angle, size: (_u: uPlot, v: string[] | null) => Math.ceil(22 + rise * textWidth(v ?? [])) } as uPlot.Axis];
  }
  if (now.kind !== "time")
    return [{ ...base, space: (_u, _i, lo, hi) => textWidth([(now.text ?? String)(lo), (now.text ?? String)(hi)]) + 28,
      ...(now.kind === "linear" ? { incrs: () => a().steps ?? stepsFor(undefined) }
        : { splits: (u: uPlot, _i: number, lo: number, hi: number) => logTicks(a(), lo, hi, u.bbox.width / uPlot.pxRatio / 60), filter: (_u: uPlot, at: number[]) => at }), values: (_u, at, _i, _s, incr) => numberTexts(a(), at as number[], incr) }];
  const zones = now.zones?.length ? now.zones : ["browser"];
  return zones.map((zone, row) => ({
    ...base, ...(row ? { grid: { show: false } } : {}), space: (_u: uPlot, _i: number, lo: number, hi: number, dim: number) => timeSpace(lo, hi, dim),
    values: (_u: uPlot, at: number[], _i: number, _s: number, incr: number) => at.map((ms) => tickText(partsIn(ms, zone), incr)),
    label: zones.length > 1 ? zone : base.label,
  }));
}

export function optionsOf(live: () => Live, width: number, height: number, colors: Colors, draw: (u: uPlot) => void): uPlot.Options {
  const { x, ys } = live();
  const scales: uPlot.Scales = { x: scaleOf(x, () => endsX(live())) };
  ys.forEach((a, i) => (scales[`y${i}`] = scaleOf(a, () => endsY(live(), i))));
  const left = ys.some((a) => a.side !== "right" && a.side !== "hidden");
  const right = ys.some((a) => a.side === "right");
  // Room for half of the last label, where no axis stands there.
  const half = x.kind === "time" ? 21 : 12;
  return {
    width, height, ms: 1, legend: { show: false }, cursor: { show: false }, padding: [8, right ? 4 : half, x.side === "hidden" ? 4 : 0, left ? 2 : half],
    tzDate: (ms) => zoned(ms, x.zones?.[0] ?? "browser"), scales, axes: [...xAxes(live, colors), ...ys.map((_, i) => yAxis(live, i, colors))],
    series: [{}, ...ys.map((_, i): uPlot.Series => ({ scale: `y${i}`, paths: () => null, points: { show: false } }))],
    hooks: { draw: [draw] },
  };
}

export const dataOf = (live: Live): uPlot.AlignedData => [endsX(live), ...live.ys.map(() => [null, null])] as uPlot.AlignedData;

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

export function penOf(u: uPlot, live: Live, dark: boolean): Pen {
  const { left, top, width, height } = u.bbox;
  const ys = live.ys.map((a, i) => placer(a, endsY(live, i), top, height, true));
  return { g: u.ctx, ratio: uPlot.pxRatio, left, top, width, height, dark, x: placer(live.x, endsX(live), left, width, false), y: (v, axis) => ys[axis]!(v) };
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
    const [from, to] = uPlot.rangeLog(Math.min(bottom, top), Math.max(bottom, top), base, true) as [number, number];
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
    [from, to] = from === to ? [from - 1, to + 1] : uPlot.rangeAsinh(from, to, base, true) as [number, number];
  } else if (from === 0 && to === 0) [from, to] = [Math.min(0, l.softMin ?? 0), Math.max(l.softMax ?? 0, 1)];
  else
    [from, to] = uPlot.rangeNum(from, to, {
      min: { pad: 0.1, soft: l.softMin ?? 0, mode: l.softMin === null || l.softMin === undefined ? 3 : 1 },
      max: { pad: 0.1, soft: l.softMax ?? 0, mode: l.softMax === null || l.softMax === undefined ? 3 : 1 },
    }) as [number, number];
  from = l.min ?? from;
  to = l.max ?? to;
  return from < to ? [from, to] : l.min !== null && l.min !== undefined ? [from, from + 1] : [to - 1, to];
}
