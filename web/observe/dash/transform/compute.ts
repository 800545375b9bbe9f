// compute.ts - transformations that calculate: columns of columns, histograms, heatmaps, regressions.
import { calcText, numbersOf, reduceRow } from "../calc";
import type { Cell, Field, Frame } from "../frame";
import { fieldMatcher } from "../matchers";
import type { Bag } from "../model";
import { joinByField } from "./joins";
import { bag, field, find, isSeries, renamed, strings, timeField, title, type Transform, type TransformContext, within } from "./tools";

const num = (v: Cell): number => (typeof v === "number" ? v : typeof v === "boolean" ? Number(v) : typeof v === "string" && v.trim() ? Number(v) : NaN);
const orNull = (v: number): Cell => (Number.isNaN(v) ? null : v);
const numbers = (frame: Frame): Field[] => frame.fields.filter((f) => f.type === "number" || f.type === "boolean");
const isNull = (v: Cell): boolean => v === null || v === undefined;

// ---- calculateField

const BINARY: Record<string, (a: number, b: number) => number> = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "%": (a, b) => a % b, "^": (a, b) => a ** b, "**": (a, b) => a ** b,
  "==": (a, b) => Number(a === b), "!=": (a, b) => Number(a !== b), ">": (a, b) => Number(a > b), ">=": (a, b) => Number(a >= b), "<": (a, b) => Number(a < b), "<=": (a, b) => Number(a <= b),
};
const UNARY: Record<string, (v: number, total: number) => number> = {
  abs: Math.abs, exp: Math.exp, ln: Math.log, floor: Math.floor, ceil: Math.ceil, round: Math.round, sqrt: Math.sqrt, percent: (v, total) => v / total,
};

interface Made { field: Field; after?: Field } // a new column, where it goes if not last

// One side of a calculation: columns, or a number that all rows have.
interface Operand { name: string; fields?: Field[]; fixed?: number }

function operand(side: unknown, frame: Frame, frames: Frame[], context: TransformContext): Operand | undefined {
  const text = typeof side === "number" ? String(side) : typeof side === "string" ? context.interpolate(side) : undefined;
  if (text !== undefined) {
    const f = find(frame, text);
    if (f) return { name: text, fields: [f] };
    return text.trim() !== "" && !Number.isNaN(Number(text)) ? { name: text, fixed: Number(text) } : undefined;
  }
  const s = bag(side);
  if (s.matcher) {
    const m = s.matcher;
    const match = fieldMatcher(m.id === "byName" && typeof m.options === "string" ? { ...m, options: context.interpolate(m.options) } : m);
    const fields = frame.fields.filter((f) => f.type !== "time" && match(f, frame, frames));
    return fields.length ? { name: title(fields[0]!), fields: m.id === "byName" ? fields.slice(0, 1) : fields } : undefined;
  }
  return s.fixed === undefined || s.fixed === "" ? undefined : operand(String(s.fixed), frame, frames, context);
}

function binary(frame: Frame, o: Bag, context: TransformContext, frames: Frame[]): Made[] {
  const b = bag(o.binary);
  const left = operand(b.left, frame, frames, context);
  const right = operand(b.right, frame, frames, context);
  const sign = String(b.operator ?? "+");
  const how = Object.hasOwn(BINARY, sign) ? BINARY[sign] : undefined;
  if (!left || !right || !how) return [];
  const several = bag(bag(b.left).matcher).id !== "byName" && !!left.fields && !!b.left?.matcher;
  const rightValues = right.fields?.[0]?.values;
  return (left.fields ?? [undefined]).map((f): Made => {
    const values = Array.from({ length: frame.length }, (_, i): Cell => {
      const x = f ? f.values[i] : left.fixed!;
      const y = rightValues ? rightValues[i] : right.fixed!;
      return isNull(x) || isNull(y) ? null : orNull(how(num(x), num(y)));
    });
    const name = `${f ? title(f) : left.name} ${sign} ${right.name}`;
    return { field: field(o.alias && !several ? context.interpolate(String(o.alias)) : name, "number", values, several ? f?.labels : undefined), after: several ? f : undefined };
  });
}

function reduced(frame: Frame, o: Bag, context: TransformContext): Made[] {
  const r = bag(o.reduce);
  const include = strings(r.include);
  const names = new Set(include.map((n) => context.interpolate(n)));
  const columns = numbers(frame).filter((f) => !include.length || names.has(title(f)) || names.has(f.name));
  const calc = String(r.reducer ?? "sum");
  if (!columns.length) return [];
  const values = Array.from({ length: frame.length }, (_, i) => reduceRow(columns.map((f) => f.values[i]), calc));
  return [{ field: field(o.alias ? context.interpolate(String(o.alias)) : calcText(calc), "number", values) }];
}

function unary(frame: Frame, o: Bag, context: TransformContext): Made[] {
  const u = bag(o.unary);
  const f = find(frame, u.fieldName);
  const how = Object.hasOwn(UNARY, String(u.operator)) ? UNARY[String(u.operator)] : undefined;
  if (!f || !how) return [];
  const total = u.operator === "percent" ? numbersOf(f.values).sum : 0;
  return [{ field: field(o.alias ? context.interpolate(String(o.alias)) : `${u.operator}(${title(f)})`, "number", f.values.map((v) => (isNull(v) ? null : orNull(how(num(v), total)))), undefined, u.operator === "percent" ? { unit: "percentunit" } : {}) }];
}

function cumulative(frame: Frame, o: Bag): Made[] {
  const c = bag(o.cumulative);
  const f = find(frame, c.field);
  const calc = c.reducer === "mean" ? "mean" : "sum";
  if (!f) return [];
  let sum = 0;
  let n = 0;
  const values = f.values.map((v) => {
    if (!isNull(v) && !Number.isNaN(num(v))) { sum += num(v); n++; }
    return calc === "mean" ? (n ? sum / n : 0) : sum;
  });
  return [{ field: field(o.alias || `cumulative ${calc}(${title(f)})`, "number", values) }];
}

// Running sums make each window's mean and variance one step, however wide it is.
function windowed(frame: Frame, o: Bag): Made[] {
  const w = bag(o.window);
  const f = find(frame, w.field);
  if (!f) return [];
  const calc = w.reducer === "variance" || w.reducer === "stdDev" ? w.reducer : "mean";
  const given = Number(w.windowSize ?? 0.1);
  const size = Math.max(1, Math.floor(w.windowSizeMode === "fixed" ? given : given * frame.length) || 1);
  const centered = w.windowAlignment === "centered";
  const n = frame.length;
  const shift = numbersOf(f.values).first; // sums of differences from one value keep their digits
  const zero = typeof shift === "number" && Number.isFinite(shift) ? shift : 0;
  const sums = new Float64Array(n + 1), squares = new Float64Array(n + 1), counts = new Float64Array(n + 1);
  for (let i = 0; i < n; i++) {
    const v = num(f.values[i]);
    const ok = Number.isFinite(v);
    const d = ok ? v - zero : 0;
    sums[i + 1] = sums[i]! + d;
    squares[i + 1] = squares[i]! + d * d;
    counts[i + 1] = counts[i]! + (ok ? 1 : 0);
  }
  const before = centered ? Math.floor(size / 2) : size - 1;
  const values = Array.from({ length: n }, (_, i): Cell => {
    const from = Math.max(0, i - before);
    const to = Math.min(n, i - before + size);
    const count = counts[to]! - counts[from]!;
    if (count < 1) return null;
    const mean = (sums[to]! - sums[from]!) / count;
    if (calc === "mean") return mean + zero;
    const variance = Math.max(0, (squares[to]! - squares[from]!) / count - mean * mean);
    return calc === "variance" ? variance : Math.sqrt(variance);
  });
  return [{ field: field(o.alias || `${centered ? "centered" : "trailing"} moving ${calc}(${title(f)})`, "number", values) }];
}

function indexed(frame: Frame, o: Bag): Made[] {
  const share = !!bag(o.index).asPercentile;
  return [{ field: field(o.alias || "Row", "number", Array.from({ length: frame.length }, (_, i) => (share ? i / frame.length : i)), undefined, share ? { unit: "percentunit" } : {}) }];
}

const MODES: Record<string, (frame: Frame, o: Bag, context: TransformContext, frames: Frame[]) => Made[]> = {
  binary, reduceRow: reduced, unary, cumulativeFunctions: cumulative, windowFunctions: windowed, index: indexed,
};

export const calculateField: Transform = (frames, o, context) => {
  // Series are put side by side first: what is calculated is mostly between them.
  if (o.timeSeries !== false && frames.length > 1 && frames.every(isSeries)) frames = joinByField(frames, { mode: "outer" }, context);
  const mode = String(o.mode ?? "reduceRow");
  const how = Object.hasOwn(MODES, mode) ? MODES[mode]! : reduced;
  return frames.map((frame) => {
    const made = how(frame, o, context, frames).map((m) => ({ ...m, field: o.alias && !m.after ? renamed(m.field, m.field.name) : m.field }));
    if (!made.length) return frame;
    if (o.replaceFields) return { ...frame, fields: [...frame.fields.filter((f) => f === timeField(frame)), ...made.map((m) => m.field)] };
    const after = new Map(made.filter((m) => m.after).map((m) => [m.after!, m.field]));
    return { ...frame, fields: [...frame.fields.flatMap((f) => (after.has(f) ? [f, after.get(f)!] : [f])), ...made.filter((m) => !m.after).map((m) => m.field)] };
  });
};

// ---- histogram

const NICE = [1, 2, 4, 5, 10, 20, 25, 50, 100];

// The least round number that is not smaller.
export function niceStep(v: number): number {
  if (!(v > 0) || !Number.isFinite(v)) return 1;
  const power = 10 ** Math.floor(Math.log10(v));
  return (NICE.find((n) => n * power >= v * (1 - 1e-9)) ?? 10) * power;
}

const MOST_BUCKETS = 2000;

export const histogram: Transform = (frames, o) => {
  const columns = frames.flatMap((frame) => frame.fields.filter((f) => f.type === "number"));
  let min = Infinity, max = -Infinity;
  for (const f of columns) { const n = numbersOf(f.values); if (n.min !== null && Number.isFinite(n.min)) min = Math.min(min, n.min); if (n.max !== null && Number.isFinite(n.max)) max = Math.max(max, n.max); }
  if (!columns.length || min > max) return [];
  const given = Number(o.bucketSize);
  const size = given > 0 && (max - min) / given <= MOST_BUCKETS ? given : niceStep((max - min) / (Number(o.bucketCount) > 0 ? Math.min(MOST_BUCKETS, Number(o.bucketCount)) : 30) || 1);
  const offset = Number(o.bucketOffset) || 0;
  const bucket = (v: number): number => Math.floor((v - offset) / size + 1e-9);
  const counts = columns.map(() => new Map<number, number>());
  columns.forEach((f, c) => { for (const v of f.values) if (typeof v === "number" && Number.isFinite(v)) { const b = bucket(v); counts[c]!.set(b, (counts[c]!.get(b) ?? 0) + 1); } });
  const buckets = [...new Set(counts.flatMap((m) => [...m.keys()]))].sort((a, b) => a - b);
  const edge = (b: number): number => Number((b * size + offset).toPrecision(12));
  const config = columns[0]!.config.unit ? { unit: columns[0]!.config.unit } : {};
  const per = counts.map((m) => buckets.map((b) => m.get(b) ?? 0));
  const counted = o.combine
    ? [field("count", "number", buckets.map((_, i) => per.reduce((n, c) => n + c[i]!, 0)))]
    : columns.map((f, c) => field(f.name, "number", per[c]!, f.labels, { ...f.config, unit: undefined, displayName: f.config.displayName, displayNameFromDS: f.config.displayNameFromDS ?? (f.labels ? title(f) : undefined) }));
  return [{ refId: "histogram", length: buckets.length, kind: "table", fields: [field("xMin", "number", buckets.map(edge), undefined, config), field("xMax", "number", buckets.map((b) => edge(b + 1)), undefined, config), ...counted] }];
};

// ---- heatmap: how many values lie in each bucket of time and size

const MOST_CELLS = 500_000;

const durationMs = (text: unknown): number => {
  const m = /^\s*([\d.]+)\s*(ms|[smhdwMy])\s*$/.exec(String(text ?? ""));
  const units: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5, M: 2592e6, y: 31536e6 };
  return m ? Number(m[1]) * units[m[2]!]! : Number(text);
};

function stepOf(buckets: Bag, spread: number, otherwise: number, isTime: boolean): number {
  const value = isTime && buckets.mode !== "count" ? durationMs(buckets.value) : Number(buckets.value);
  const step = buckets.value && value > 0 ? (buckets.mode === "count" ? spread / value : value) : niceStep(spread / otherwise);
  return step > 0 && Number.isFinite(step) ? step : 1;
}

export const heatmap: Transform = (frames, o) => {
  const points: [number, number][] = [];
  let unit: string | undefined;
  for (const frame of frames) {
    const time = timeField(frame);
    if (!time) continue;
    for (const f of frame.fields) {
      if (f.type !== "number") continue;
      unit ??= f.config.unit;
      f.values.forEach((v, i) => { const t = time.values[i]; if (typeof v === "number" && Number.isFinite(v) && typeof t === "number" && Number.isFinite(t)) points.push([t, v]); });
    }
  }
  if (!points.length) return frames;
  let t0 = Infinity, t1 = -Infinity, v0 = Infinity, v1 = -Infinity;
  for (const [t, v] of points) { t0 = Math.min(t0, t); t1 = Math.max(t1, t); v0 = Math.min(v0, v); v1 = Math.max(v1, v); }
  const scale = bag(bag(o.yBuckets).scale);
  const base = scale.type === "log" && v0 > 0 ? Math.max(2, Number(scale.log) || 2) : 0;
  const place = (v: number): number => (base ? Math.log(v) / Math.log(base) : v);
  const xStep = stepOf(bag(o.xBuckets), t1 - t0, 30, true);
  const split = Number(bag(o.yBuckets).value);
  const yStep = base ? 1 / (split >= 1 && split <= 100 ? Math.floor(split) : 1) : stepOf(bag(o.yBuckets), place(v1) - place(v0), 20, false);
  const x0 = Math.floor(t0 / xStep);
  const y0 = Math.floor(place(v0) / yStep + 1e-9);
  const xs = Math.floor(t1 / xStep) - x0 + 1;
  const ys = Math.floor(place(v1) / yStep + 1e-9) - y0 + 1;
  within("columns", ys);
  within("rows", ((xs * ys) / MOST_CELLS) * 1e6);
  const rows = Array.from({ length: ys }, () => new Array<Cell>(xs).fill(0));
  for (const [t, v] of points) {
    const row = rows[Math.min(ys - 1, Math.floor(place(v) / yStep + 1e-9) - y0)]!;
    const x = Math.floor(t / xStep) - x0;
    row[x] = (row[x] as number) + 1;
  }
  const edge = (i: number): string => String(Number((base ? base ** ((y0 + i) * yStep) : (y0 + i) * yStep).toPrecision(6)));
  const fields = rows.map((values, i) => field(edge(i + 1), "number", values, { le: edge(i + 1), ge: edge(i) }, { displayNameFromDS: edge(i + 1) }));
  const result: Frame = { refId: "heatmap", length: xs, kind: "heatmap-rows", fields: [field("Time", "time", Array.from({ length: xs }, (_, i) => (x0 + i) * xStep)), ...fields] };
  if (unit) for (const f of result.fields.slice(1)) f.config.unit = unit;
  return o.keepOriginalData ? [...frames, result] : [result];
};

// ---- regression

// The polynomial of least squares, of x scaled to -1..1.
function fit(xs: number[], ys: number[], degree: number): ((x: number) => number) | undefined {
  const n = degree + 1;
  if (xs.length < n) return undefined;
  const a = Array.from({ length: n }, () => new Array<number>(n + 1).fill(0));
  xs.forEach((x, i) => {
    for (let r = 0; r < n; r++) {
      for (let c = 0; c < n; c++) a[r]![c]! += x ** (r + c);
      a[r]![n]! += ys[i]! * x ** r;
    }
  });
  for (let p = 0; p < n; p++) {
    let best = p;
    for (let r = p + 1; r < n; r++) if (Math.abs(a[r]![p]!) > Math.abs(a[best]![p]!)) best = r;
    [a[p], a[best]] = [a[best]!, a[p]!];
    if (Math.abs(a[p]![p]!) < 1e-12) return undefined;
    for (let r = 0; r < n; r++) {
      if (r === p) continue;
      const by = a[r]![p]! / a[p]![p]!;
      for (let c = p; c <= n; c++) a[r]![c]! -= by * a[p]![c]!;
    }
  }
  const k = a.map((row, i) => row[n]! / row[i]!);
  return (x) => k.reduce((sum, c, i) => sum + c * x ** i, 0);
}

export const regression: Transform = (frames, o) => {
  const polynomial = o.modelType === "polynomial";
  const degree = polynomial ? Math.min(5, Math.max(1, Math.trunc(Number(o.degree) || 2))) : 1;
  const source = frames.find((f) => (o.xFieldName ? find(f, o.xFieldName) : timeField(f)) && f.fields.some((x) => x.type === "number"));
  if (!source) return frames;
  const x = o.xFieldName ? find(source, o.xFieldName)! : timeField(source)!;
  const y = (o.yFieldName ? frames.map((f) => find(f, o.yFieldName)).find(Boolean) : undefined) ?? source.fields.find((f) => f.type === "number" && f !== x);
  if (!y) return frames;
  const points = x.values.map((v, i): [number, number] => [num(v), num(y.values[i])]).filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
  if (points.length < 2) return frames;
  let low = Infinity, high = -Infinity;
  for (const [a] of points) { low = Math.min(low, a); high = Math.max(high, a); }
  const scaled = (v: number): number => (high > low ? (2 * (v - low)) / (high - low) - 1 : 0);
  const f = fit(points.map((p) => scaled(p[0])), points.map((p) => p[1]), degree) ?? fit(points.map((p) => scaled(p[0])), points.map((p) => p[1]), 0);
  if (!f) return frames;
  const count = Math.min(100_000, Math.max(2, Math.trunc(Number(o.predictionCount)) || 100));
  const step = (high - low) / (count - 1);
  const at = Array.from({ length: count }, (_, i) => (i === count - 1 ? high : low + step * i));
  const name = polynomial ? "Polynomial regression" : "Linear regression";
  const predicted: Frame = { refId: "regression", name, length: count, kind: "series", fields: [{ ...x, labels: undefined, values: at }, field(name, "number", at.map((v) => f(scaled(v))), undefined, y.config.unit ? { unit: y.config.unit } : {})] };
  return [...frames, predicted];
};
