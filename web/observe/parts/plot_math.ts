// plot_math.ts - the arithmetic of drawing: which points are worth a pixel, what is nearest to the
// pointer, what lies on what, where ticks go. No canvas, no page: tests run it as it is.

export type Values = ArrayLike<number | null | undefined>; // null: a gap; undefined: no sample at this time

// The index of the sorted `xs` nearest to `x`; -1 of none.
export function nearestIndex(xs: ArrayLike<number>, x: number): number {
  let lo = 0;
  let hi = xs.length - 1;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (xs[mid]! < x) lo = mid + 1;
    else hi = mid;
  }
  return lo > 0 && x - xs[lo - 1]! <= xs[lo]! - x ? lo - 1 : Math.min(lo, xs.length - 1);
}

// Which of the points are drawn, so that no column of pixels has more than four: where the line comes
// in, its least, its greatest, where it leaves. `x` ascends; a NaN in `y` ends a line and is kept.
export function decimate(x: Float64Array, y: Float64Array, n: number, picks: Int32Array): number {
  let out = 0;
  let i = 0;
  while (i < n) {
    if (Number.isNaN(y[i]!)) {
      picks[out++] = i++;
      continue;
    }
    const column = Math.floor(x[i]!);
    const first = i;
    let lo = i;
    let hi = i;
    while (++i < n && Math.floor(x[i]!) === column && !Number.isNaN(y[i]!)) {
      if (y[i]! < y[lo]!) lo = i;
      if (y[i]! > y[hi]!) hi = i;
    }
    const last = i - 1;
    const [a, b] = lo < hi ? [lo, hi] : [hi, lo];
    picks[out++] = first;
    if (a !== first && a !== last) picks[out++] = a;
    if (b !== a && b !== first && b !== last) picks[out++] = b;
    if (last !== first) picks[out++] = last;
  }
  return out;
}

// ---- one row of times for frames that have their own

export interface Joined { times: number[]; columns: Values[] }

export function joinTimes(parts: { times: number[]; columns: Values[] }[]): Joined {
  const first = parts[0];
  if (!first) return { times: [], columns: [] };
  const same = (a: number[], b: number[]) => a === b || (a.length === b.length && a.every((t, i) => t === b[i]));
  const sorted = (a: number[]) => a.every((t, i) => i === 0 || a[i - 1]! < t);
  if (parts.every((p) => same(p.times, first.times)) && sorted(first.times))
    return { times: first.times, columns: parts.flatMap((p) => p.columns) };
  const times = [...new Set(parts.flatMap((p) => p.times))].filter(Number.isFinite).sort((a, b) => a - b);
  const place = new Map(times.map((t, i) => [t, i]));
  const columns = parts.flatMap((p) => {
    const at = p.times.map((t) => place.get(t));
    return p.columns.map((c) => {
      const out = new Array<number | null | undefined>(times.length).fill(undefined);
      at.forEach((to, from) => { if (to !== undefined) out[to] = c[from]; });
      return out;
    });
  });
  return { times, columns };
}

// ---- what lies on what

export interface Pile { values: Values; group: string; percent: boolean }
export interface Piled { top: Float64Array; base: Float64Array } // NaN is a gap

const finite = (v: number | null | undefined): v is number => v !== null && v !== undefined && Number.isFinite(v);

// Whether all that it has is below zero: such a series hangs from the axis.
export function hangs(values: Values): boolean {
  let below = false;
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (!finite(v)) continue;
    if (v > 0) return false;
    if (v < 0) below = true;
  }
  return below;
}

// Each series on those before it in its group, upward and downward apart. As shares, each is divided
// by what its group has on its side at that time.
export function pileUp(piles: Pile[], length: number): Piled[] {
  const sums = new Map<string, Float64Array>();
  const keys = piles.map((p) => `${hangs(p.values) ? "-" : "+"}${p.group}`);
  const sumOf = (key: string): Float64Array => {
    let s = sums.get(key);
    if (!s) sums.set(key, (s = new Float64Array(length)));
    return s;
  };
  const whole = new Map<string, Float64Array>();
  piles.forEach((p, k) => {
    if (!p.percent) return;
    let s = whole.get(keys[k]!);
    if (!s) whole.set(keys[k]!, (s = new Float64Array(length)));
    for (let i = 0; i < length; i++) if (finite(p.values[i])) s[i] = s[i]! + Math.abs(p.values[i]!);
  });
  return piles.map((p, k) => {
    const sum = sumOf(keys[k]!);
    const all = whole.get(keys[k]!);
    const top = new Float64Array(length);
    const base = sum.slice();
    for (let i = 0; i < length; i++) {
      const v = p.values[i];
      if (!finite(v)) top[i] = NaN;
      else top[i] = sum[i] = sum[i]! + (all && p.percent ? (all[i] ? v / all[i]! : 0) : v);
    }
    return { top, base };
  });
}

// ---- who is nearest: the present values of one time in order, found by halving

export interface Ranked { at: number; order: Uint32Array; ys: Float64Array } // ys ascend

export function rank(at: number, ys: ArrayLike<number>): Ranked {
  const present: number[] = [];
  for (let i = 0; i < ys.length; i++) if (!Number.isNaN(ys[i]!)) present.push(i);
  const order = Uint32Array.from(present).sort((a, b) => ys[a]! - ys[b]! || a - b);
  return { at, order, ys: Float64Array.from(order, (i) => ys[i]!) };
}

// The place in the order of what is nearest to y; -1 of none.
export const nearestPlace = (r: Ranked, y: number): number => nearestIndex(r.ys, y);

// ---- ticks

const DECIMAL = [1, 2, 2.5, 5];
const range = (lo: number, hi: number): number[] => Array.from({ length: hi - lo }, (_, i) => lo + i);
export const DECIMAL_STEPS = range(-15, 18).flatMap((e) => DECIMAL.map((m) => Number(`${m}e${e}`)));
const WHOLE_STEPS = DECIMAL_STEPS.filter((s) => Number.isInteger(s));
const BINARY_STEPS = [...DECIMAL_STEPS.filter((s) => s < 1), ...range(0, 62).map((e) => 2 ** e)];
const MINUTE = 60;
const SECOND_STEPS = [...DECIMAL_STEPS.filter((s) => s < 10), ...[10, 15, 30], ...[1, 2, 5, 10, 15, 30].map((m) => m * MINUTE),
  ...[1, 2, 3, 6, 12].map((h) => h * 3600), ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000].map((d) => d * 86400)];

// Steps that are round in the unit: powers of two for 1024 bytes, minutes and hours for seconds.
export function stepsFor(unit: string | undefined, whole = false): number[] {
  if (unit === "bytes" || unit === "bits" || unit === "kbytes" || unit === "mbytes" || unit === "gbytes" || unit === "binBps" || unit === "binbps") return BINARY_STEPS;
  if (unit === "s" || unit === "dtdurations") return SECOND_STEPS;
  if (unit === "ms" || unit === "dtdurationms") return SECOND_STEPS.map((s) => s * 1000);
  return whole ? WHOLE_STEPS : DECIMAL_STEPS;
}

// Every how many names one is written, so that none touches its neighbour.
export const everyName = (bandPx: number, textPx: number): number => Math.max(1, Math.ceil((textPx + 8) / Math.max(1, bandPx)));

// What is written under a tick of time: of the day where one begins, else of the clock, as fine as the
// step needs it.
export function tickText(p: { date: string; time: string; ms: string }, stepMs: number): string {
  if (stepMs >= 27 * 86400e3) return p.date.slice(0, 7);
  if (p.time === "00:00:00" && p.ms === "000") return p.date.endsWith("-01-01") ? p.date : p.date.slice(5);
  if (stepMs >= 86400e3) return p.date.slice(5);
  if (stepMs >= 60e3) return p.time.slice(0, 5);
  return stepMs >= 1000 ? p.time : `${p.time.slice(3)}.${p.ms}`;
}

// ---- equal neighbours as one

export interface Run { from: number; to: number; value: unknown } // indices; `to` is behind the last

// Runs of equal values. With `merge` off each value is its own. undefined continues what was before it.
export function runsOf(values: ArrayLike<unknown>, merge: boolean): Run[] {
  const out: Run[] = [];
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    const last = out[out.length - 1];
    if (last && (v === undefined || (merge && v === last.value))) last.to = i + 1;
    else if (v !== undefined) out.push({ from: i, to: i + 1, value: v });
  }
  return out;
}

// ---- buckets

const BUCKETS_WANTED = 30;

// A round size that gives about thirty buckets between the two.
export function bucketSize(lo: number, hi: number): number {
  const raw = (hi - lo) / BUCKETS_WANTED;
  if (!(raw > 0)) return 1;
  return DECIMAL_STEPS.find((s) => s >= raw) ?? raw;
}

export interface Buckets { size: number; from: number[]; counts: number[][] } // counts[series][bucket]

export function bucketsOf(series: Values[], size?: number, offset = 0): Buckets {
  let lo = Infinity;
  let hi = -Infinity;
  for (const s of series)
    for (let i = 0; i < s.length; i++) {
      const v = s[i];
      if (!finite(v)) continue;
      if (v < lo) lo = v;
      if (v > hi) hi = v;
    }
  if (lo > hi) return { size: size ?? 1, from: [], counts: series.map(() => []) };
  const width = size && size > 0 ? Math.max(size, (hi - lo) / 10000) : bucketSize(lo, hi);
  const place = (v: number) => Math.floor((v - offset) / width + 1e-9);
  const begin = place(lo);
  const n = place(hi) - begin + 1;
  const from = Array.from({ length: n }, (_, i) => Number(((begin + i) * width + offset).toPrecision(12)));
  const counts = series.map((s) => {
    const c = new Array<number>(n).fill(0);
    for (let i = 0; i < s.length; i++) if (finite(s[i])) c[place(s[i]!) - begin]!++;
    return c;
  });
  return { size: width, from, counts };
}
