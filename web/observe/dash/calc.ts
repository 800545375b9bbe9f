// calc.ts - one value of a column: its last, its mean, a percentile. What a column's numbers say is
// found in one pass and kept with the column as long as it lives.
import type { Cell, Field } from "./frame";

interface Calc { id: string; text: string }

const CALC_ROWS: [id: string, text: string, aliases?: string[]][] = [
  ["lastNotNull", "Last *", ["current"]],
  ["last", "Last"],
  ["firstNotNull", "First *"],
  ["first", "First"],
  ["min", "Min"],
  ["max", "Max"],
  ["mean", "Mean", ["avg"]],
  ["median", "Median"],
  ["variance", "Variance"],
  ["stdDev", "StdDev"],
  ["sum", "Total", ["total"]],
  ["count", "Count"],
  ["countAll", "Count all"],
  ["range", "Range", ["rng"]],
  ["delta", "Delta"],
  ["step", "Step"],
  ["diff", "Difference"],
  ["logmin", "Min (above zero)"],
  ["allIsZero", "All Zeros"],
  ["allIsNull", "All Nulls"],
  ["changeCount", "Change Count"],
  ["distinctCount", "Distinct Count"],
  ["diffperc", "Difference percent"],
  ["allValues", "All values"],
  ["uniqueValues", "All unique values"],
];

const ordinal = (n: number): string => n + (n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th");

export const CALCS: Calc[] = [
  ...CALC_ROWS.map(([id, text]) => ({ id, text })),
  ...Array.from({ length: 99 }, (_, i) => ({ id: `p${i + 1}`, text: `${ordinal(i + 1)} %` })),
];

const ALIASES = new Map(CALC_ROWS.flatMap(([id, , aliases]) => (aliases ?? []).map((a) => [a, id] as const)));
const KNOWN = new Set(CALCS.map((c) => c.id));

// The id in its present form; undefined if there is none such.
export function calcId(id: string): string | undefined {
  const now = ALIASES.get(id) ?? id;
  return KNOWN.has(now) ? now : undefined;
}

export const calcText = (id: string): string => CALCS.find((c) => c.id === calcId(id))?.text ?? id;

// ---- what one pass tells

export interface Numbers {
  length: number;
  first: Cell; last: Cell; firstNotNull: Cell; lastNotNull: Cell;
  min: number | null; max: number | null; logmin: number | null;
  sum: number; count: number; // of values that are neither null nor undefined
  numbers: number; // of those that are numbers
  delta: number; step: number | null; changeCount: number;
  zeros: boolean;
}

const empty = (v: Cell): boolean => v === null || v === undefined;

function look(values: Cell[]): Numbers {
  const n = values.length;
  const out: Numbers = {
    length: n, first: values[0], last: values[n - 1], firstNotNull: null, lastNotNull: null, min: null, max: null, logmin: null,
    sum: 0, count: 0, numbers: 0, delta: 0, step: null, changeCount: 0, zeros: true,
  };
  let min = Infinity, max = -Infinity, logmin = Infinity, step = Infinity;
  let previous: Cell = null; // the last value that is not null
  let before = NaN; // the last number
  let up = true; // not after a counter's reset: the step from there is left out, as Grafana does
  for (let i = 0; i < n; i++) {
    const v = values[i];
    if (v === null || v === undefined) continue;
    out.count++;
    if (typeof v === "number") {
      if (v === v) {
        out.numbers++;
        out.sum += v;
        if (v < min) min = v;
        if (v > max) max = v;
        if (v > 0 && v < logmin) logmin = v;
        if (before === before) {
          const d = v - before;
          if (d < step) step = d;
          if (before <= v && up) out.delta += d;
          up = before <= v;
        }
        before = v;
        if (v !== 0) out.zeros = false;
      } else {
        if (previous !== null && !(typeof previous === "number" && previous !== previous)) out.changeCount++;
        previous = v;
        continue;
      }
    } else out.zeros = false;
    if (out.firstNotNull === null) out.firstNotNull = v;
    out.lastNotNull = v;
    if (previous !== null && v !== previous) out.changeCount++;
    previous = v;
  }
  if (out.numbers) {
    out.min = min;
    out.max = max;
    out.logmin = logmin === Infinity ? null : logmin;
    out.step = step === Infinity ? null : step;
  }
  return out;
}

const looked = new WeakMap<Cell[], Numbers>();

export function numbersOf(values: Cell[]): Numbers {
  let n = looked.get(values);
  if (!n || n.length !== values.length) looked.set(values, (n = look(values)));
  return n;
}

// ---- those that need more than one pass

const finite = (values: Cell[]): number[] => values.filter((v): v is number => typeof v === "number" && v === v);
const sortedBy = new WeakMap<Cell[], number[]>();

function sorted(values: Cell[]): number[] {
  let s = sortedBy.get(values);
  if (!s) sortedBy.set(values, (s = finite(values).sort((a, b) => a - b)));
  return s;
}

function percentile(values: Cell[], p: number): Cell {
  const s = sorted(values);
  return s.length ? s[Math.min(s.length - 1, Math.round((s.length - 1) * (p / 100)))]! : null;
}

function median(values: Cell[]): Cell {
  const s = sorted(values);
  const half = s.length >> 1;
  return !s.length ? null : s.length % 2 ? s[half]! : (s[half - 1]! + s[half]!) / 2;
}

function variance(values: Cell[]): number {
  let n = 0, mean = 0, squares = 0;
  for (const v of values)
    if (typeof v === "number" && v === v) {
      const d = v - mean;
      mean += d / ++n;
      squares += d * (v - mean);
    }
  return n ? squares / n : 0;
}

const asNumber = (v: Cell): number => (typeof v === "number" ? v : NaN);
const orNull = (v: number): Cell => (Number.isNaN(v) ? null : v);

const REDUCE: Record<string, (n: Numbers, values: Cell[]) => Cell> = {
  lastNotNull: (n) => n.lastNotNull, last: (n) => n.last, firstNotNull: (n) => n.firstNotNull, first: (n) => n.first,
  min: (n) => n.min, max: (n) => n.max, logmin: (n) => n.logmin,
  mean: (n) => (n.numbers ? n.sum / n.numbers : null), sum: (n) => n.sum, count: (n) => n.count, countAll: (n) => n.length,
  range: (n) => (n.max === null ? null : n.max - n.min!), delta: (n) => n.delta, step: (n) => n.step,
  diff: (n) => orNull(asNumber(n.lastNotNull) - asNumber(n.firstNotNull)),
  diffperc: (n) => orNull(((asNumber(n.lastNotNull) - asNumber(n.firstNotNull)) / asNumber(n.firstNotNull)) * 100),
  allIsZero: (n) => n.numbers > 0 && n.zeros, allIsNull: (n) => n.lastNotNull === null,
  changeCount: (n) => n.changeCount, distinctCount: (_, v) => new Set(v.filter((x) => !empty(x))).size,
  median: (_, v) => median(v), variance: (_, v) => variance(v), stdDev: (_, v) => Math.sqrt(variance(v)),
  allValues: (_, v) => v.slice(), uniqueValues: (_, v) => [...new Set(v)],
};

export function reduceValues(values: Cell[], calc: string): Cell {
  const id = calcId(calc) ?? "lastNotNull";
  if (!values.length) return id === "sum" || id.startsWith("count") ? 0 : id === "allIsNull" ? true : id === "allIsZero" ? false : null;
  const how = Object.hasOwn(REDUCE, id) ? REDUCE[id] : undefined;
  return how ? how(numbersOf(values), values) : percentile(values, Number(id.slice(1)));
}

// The same for values that are looked at only once: nothing is kept of them.
export function reduceRow(values: Cell[], calc: string): Cell {
  const id = calcId(calc) ?? "lastNotNull";
  const how = values.length && Object.hasOwn(REDUCE, id) ? REDUCE[id] : undefined;
  return how ? how(look(values), values) : reduceValues(values, id);
}

export const reduceField = (field: Field, calc: string): Cell => reduceValues(field.values, calc);

// Calcs whose result is of the column's kind, and so has its unit; the rest count or tell.
const KEEPS = new Set(["lastNotNull", "last", "firstNotNull", "first", "min", "max", "mean", "median", "sum", "range", "delta", "diff", "logmin", "stdDev", "allValues", "uniqueValues"]);
export const keepsUnit = (calc: string): boolean => { const id = calcId(calc); return !id || KEEPS.has(id) || /^p\d+$/.test(id); };
