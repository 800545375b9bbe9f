// expressions.ts - Grafana's server expressions, worked out in the page: math, reduce, resample and
// threshold over the answers of other queries. What else there is says so as a notice.
import { durationText, parseDuration } from "../base/duration";
import { reduceField } from "./calc";
import type { Cell, Field, Frame } from "./frame";
import type { Target } from "./model";
import type { Plan } from "./sources";

// A line over time, or a number without one, with its labels.
interface Line { times?: Cell[]; values: (number | null)[]; labels: Record<string, string>; name?: string }

const linesOf = (frames: Frame[]): Line[] => frames.flatMap((f) => {
  const time = f.fields.find((x) => x.type === "time");
  return f.fields.filter((x) => x.type === "number").map((x): Line => ({
    times: f.kind === "table" ? undefined : time?.values, values: x.values as (number | null)[], labels: x.labels ?? {}, name: x.name,
  }));
});

const frameOf = (line: Line, refId: string): Frame => {
  const value: Field = { name: refId, type: "number", values: line.values, labels: line.labels, config: {} };
  const fields: Field[] = line.times ? [{ name: "Time", type: "time", values: line.times, config: {} }, value] : [value];
  return { refId, length: line.values.length, fields, kind: line.times ? "series" : "table" };
};

// ---- math: numbers, $A, ${A}, + - * / % **, comparisons, && || !, and functions of one value

type Part = { number: number } | { ref: string } | { one: (v: number) => number; of: Part } | { two: (a: number, b: number) => number; a: Part; b: Part };

const bool = (b: boolean): number => (b ? 1 : 0);
const TWO: [level: number, sign: string, f: (a: number, b: number) => number][] = [
  [0, "||", (a, b) => bool(!!a || !!b)], [1, "&&", (a, b) => bool(!!a && !!b)],
  [2, "==", (a, b) => bool(a === b)], [2, "!=", (a, b) => bool(a !== b)], [2, ">=", (a, b) => bool(a >= b)], [2, "<=", (a, b) => bool(a <= b)],
  [2, ">", (a, b) => bool(a > b)], [2, "<", (a, b) => bool(a < b)],
  [3, "+", (a, b) => a + b], [3, "-", (a, b) => a - b], [4, "*", (a, b) => a * b], [4, "/", (a, b) => a / b], [4, "%", (a, b) => a % b],
  [5, "**", (a, b) => a ** b],
];
const ONE: Record<string, (v: number) => number> = {
  abs: Math.abs, ceil: Math.ceil, floor: Math.floor, round: Math.round, log: Math.log, is_nan: (v) => bool(Number.isNaN(v)),
  is_inf: (v) => bool(v === Infinity || v === -Infinity), is_number: (v) => bool(Number.isFinite(v)), is_null: (v) => bool(Number.isNaN(v)),
};
const MATH = /\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?|\$\{[^}]+\}|\$\w+|[a-z_]+|\|\||&&|==|!=|>=|<=|\*\*|[-+*/%<>!(),])/giy;

export function parseMath(text: string): Part {
  const tokens: string[] = [];
  MATH.lastIndex = 0;
  for (let at = 0; text.slice(at).trim(); at = MATH.lastIndex) {
    MATH.lastIndex = at;
    const m = MATH.exec(text);
    if (!m) throw new Error(`“${text.slice(at).trim()}” is no mathematics.`);
    tokens.push(m[1]!);
  }
  let i = 0;
  const need = (t: string) => { if (tokens[i++] !== t) throw new Error(`${t} is missing in “${text}”.`); };
  const unary = (): Part => {
    const t = tokens[i++];
    if (t === undefined) throw new Error(`“${text}” ends too early.`);
    if (t === "-") return { one: (v) => -v, of: unary() };
    if (t === "!") return { one: (v) => bool(!v), of: unary() };
    if (t === "(") {
      const p = binary(0);
      need(")");
      return p;
    }
    if (t.startsWith("$")) return { ref: t.replace(/[${}]/g, "") };
    if (/^\d/.test(t)) return { number: Number(t) };
    const low = t.toLowerCase();
    if (low === "inf" || low === "infn" || low === "nan" || low === "null") {
      if (tokens[i] === "(") { i++; need(")"); }
      return { number: low === "inf" ? Infinity : low === "infn" ? -Infinity : NaN };
    }
    const f = ONE[low];
    if (!f) throw new Error(`There is no function ${t}.`);
    need("(");
    const p = binary(0);
    need(")");
    return { one: f, of: p };
  };
  const binary = (level: number): Part => {
    if (level > 5) return unary();
    let a = binary(level + 1);
    for (;;) {
      const op = TWO.find(([l, s]) => l === level && s === tokens[i]);
      if (!op) return a;
      i++;
      a = { two: op[2], a, b: level === 5 ? binary(5) : binary(level + 1) };
    }
  };
  const out = binary(0);
  if (i < tokens.length) throw new Error(`“${tokens[i]}” does not belong there.`);
  return out;
}

const within = (small: Record<string, string>, large: Record<string, string>): boolean => Object.entries(small).every(([k, v]) => large[k] === v);

// Lines go with the numbers and lines whose labels are theirs, or a part of theirs.
function both(a: Line[], b: Line[], f: (x: number, y: number) => number): Line[] {
  const out: Line[] = [];
  for (const x of a)
    for (const y of b) {
      if (!within(x.labels, y.labels) && !within(y.labels, x.labels)) continue;
      const labels = Object.keys(x.labels).length >= Object.keys(y.labels).length ? x.labels : y.labels;
      if (!x.times && !y.times) out.push({ values: [f(x.values[0] ?? NaN, y.values[0] ?? NaN)], labels });
      else if (!y.times) out.push({ times: x.times, labels, values: x.values.map((v) => (v === null ? null : f(v, y.values[0] ?? NaN))) });
      else if (!x.times) out.push({ times: y.times, labels, values: y.values.map((v) => (v === null ? null : f(x.values[0] ?? NaN, v))) });
      else {
        const at = new Map(y.times.map((t, i) => [t, y.values[i]]));
        const both_ = x.times.map((t, i) => [t, x.values[i], at.get(t)] as const).filter(([, , w]) => w !== undefined);
        out.push({ times: both_.map(([t]) => t), labels, values: both_.map(([, v, w]) => (v === null || v === undefined || w === null ? null : f(v, w!))) });
      }
    }
  return out;
}

function compute(p: Part, refs: Map<string, Line[]>): Line[] {
  if ("number" in p) return [{ values: [p.number], labels: {} }];
  if ("ref" in p) {
    const lines = refs.get(p.ref);
    if (!lines) throw new Error(`There is no query ${p.ref}.`);
    return lines;
  }
  if ("one" in p) return compute(p.of, refs).map((l) => ({ ...l, values: l.values.map((v) => (v === null ? null : p.one(v))) }));
  return both(compute(p.a, refs), compute(p.b, refs), p.two);
}

// ---- the others

const CALC: Record<string, string> = { avg: "mean" };

function reduce(t: Target, lines: Line[]): Line[] {
  const mode = t.settings?.mode ?? "";
  const calc = CALC[t.reducer] ?? t.reducer ?? "last";
  return lines.map((l) => {
    let values = l.values.map((v) => (v === null || v === undefined ? NaN : v));
    if (mode === "dropNN") values = values.filter((v) => Number.isFinite(v));
    if (mode === "replaceNN") values = values.map((v) => (Number.isFinite(v) ? v : Number(t.settings?.replaceWithValue ?? 0)));
    const got = reduceField({ name: "", type: "number", values, config: {} }, calc);
    return { values: [typeof got === "number" ? got : NaN], labels: l.labels };
  });
}

function resample(t: Target, lines: Line[], plan: Plan): Line[] {
  const step = parseDuration(t.window || durationText((plan.to - plan.from) / 100));
  if (!(step > 0)) throw new Error(`“${t.window}” is no duration.`);
  const times: number[] = [];
  for (let at = plan.from; at <= plan.to && times.length < 11000; at += step) times.push(at);
  const down = CALC[t.downsampler] ?? t.downsampler ?? "mean";
  return lines.filter((l) => l.times).map((l) => {
    const cells: number[][] = times.map(() => []);
    l.times!.forEach((at, i) => {
      const k = Math.ceil((Number(at) - plan.from) / step);
      if (k >= 0 && k < cells.length && l.values[i] !== null) cells[k]!.push(l.values[i]!);
    });
    let last: number | null = null;
    const values = cells.map((c) => {
      if (c.length) return (last = Number(reduceField({ name: "", type: "number", values: c, config: {} }, down)));
      return t.upsampler === "pad" ? last : null;
    });
    return { times, values, labels: l.labels };
  });
}

const COMPARE: Record<string, (v: number, p: number[]) => boolean> = {
  gt: (v, [a]) => v > a!, lt: (v, [a]) => v < a!, gte: (v, [a]) => v >= a!, lte: (v, [a]) => v <= a!, eq: (v, [a]) => v === a!, ne: (v, [a]) => v !== a!,
  within_range: (v, [a, b]) => v > a! && v < b!, outside_range: (v, [a, b]) => v < a! || v > b!,
};

function threshold(t: Target, lines: Line[]): Line[] {
  const evaluator = t.conditions?.[0]?.evaluator ?? {};
  const test = COMPARE[evaluator.type];
  if (!test) throw new Error(`There is no threshold ${evaluator.type}.`);
  return lines.map((l) => ({ ...l, values: l.values.map((v) => (v === null ? null : bool(test(v, evaluator.params ?? [])))) }));
}

// Expressions may use each other: those whose queries are there first.
export function evaluate(expressions: Target[], frames: Frame[], plan: Plan): { frames: Frame[]; notices: string[] } {
  const refs = new Map<string, Line[]>();
  for (const f of frames) refs.set(f.refId ?? "", [...(refs.get(f.refId ?? "") ?? []), ...linesOf([f])]);
  for (const p of plan.parts) {
    const refId = "path" in p ? p.target.refId : p.refId;
    if (!refs.has(refId)) refs.set(refId, []);
  }
  const out: Frame[] = [];
  const notices: string[] = [];
  let left = expressions;
  while (left.length) {
    const ready = left.filter((t) => !left.some((o) => o !== t && String(t.expression ?? "").match(new RegExp(`(^|\\$\\{?)${o.refId}\\b`))));
    const now = ready.length ? ready : left; // a circle is told by compute()
    for (const t of now) {
      try {
        const of = () => refs.get(String(t.expression ?? "").replace(/[${}]/g, "")) ?? [];
        const lines = t.type === "math" ? compute(parseMath(String(t.expression ?? "")), refs) : t.type === "reduce" ? reduce(t, of())
          : t.type === "resample" ? resample(t, of(), plan) : t.type === "threshold" ? threshold(t, of()) : undefined;
        if (!lines) throw new Error(`Expressions of the kind “${t.type}” are not worked out here.`);
        refs.set(t.refId, lines);
        if (!t.hide) out.push(...lines.map((l) => frameOf(l, t.refId)));
      } catch (e) {
        notices.push(`${t.refId}: ${(e as Error).message}`);
        refs.set(t.refId, []);
      }
    }
    left = left.filter((t) => !now.includes(t));
  }
  return { frames: out, notices };
}
