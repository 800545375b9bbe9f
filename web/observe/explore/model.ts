// model.ts - a query as the builder has it: a metric, filters on its labels, and steps that follow each
// other. Here it is written as PromQL, told in sentences and begun by a metric's type; read.ts reads it.
import { isComparison, opOf } from "./steps";

export const OPERATORS = ["=", "!=", "=~", "!~"] as const;
export type Operator = (typeof OPERATORS)[number];
export interface LabelFilter { name: string; op: Operator; value: string }

export interface Step {
  id: string; // of steps.ts
  args: string[]; // as they are written
  group?: "by" | "without";
  labels?: string[]; // of the group
  bool?: boolean; // a comparison that answers 1 or 0
  left?: boolean; // the number stands before
  key?: number; // the page's own
}

export interface Built { metric: string; filters: LabelFilter[]; offset: string; steps: Step[] }

export const empty = (): Built => ({ metric: "", filters: [], offset: "", steps: [] });

export function stepOf(id: string, more: Partial<Step> = {}): Step {
  return { id, args: opOf(id)!.args.map((a) => (a.optional ? "" : a.first)), ...more };
}

// ---- writing

export const quote = (s: string): string => `"${s.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;

// Words that a name must not be taken for.
const WORDS = /^(and|or|unless|atan2|by|without|on|ignoring|group_left|group_right|bool|offset|inf|nan|start|end|sum|avg|count|min|max|group|stddev|stdvar|topk|bottomk|count_values|quantile|limitk|limit_ratio|fill|fill_left|fill_right|anchored|smoothed)$/i;
const isLabel = (s: string): boolean => /^[a-zA-Z_]\w*$/.test(s);
const label = (s: string): string => (isLabel(s) ? s : quote(s));

// Where `without` is left out, too: for the values that one filter can still have.
export function selector(q: Built, without = -1): string {
  const plain = /^[a-zA-Z_][\w:]*$/.test(q.metric) && !WORDS.test(q.metric);
  const inner = q.filters.filter((f, i) => f.name && i !== without).map((f) => `${label(f.name)}${f.op}${quote(f.value)}`);
  if (q.metric && !plain) inner.unshift(quote(q.metric));
  return (plain ? q.metric : "") + (inner.length ? `{${inner.join(", ")}}` : "");
}

const LEVEL: Record<string, number> = { "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "^": 6 };
export const levelOf = (op: string): number => LEVEL[op] ?? 3;
const WHOLE = 9; // what needs no parentheses anywhere

export function write(q: Built): string {
  let text = selector(q);
  if (!text) return "";
  const offset = q.offset ? ` offset ${q.offset}` : "";
  let level = WHOLE;
  if (opOf(q.steps[0]?.id ?? "")?.kind !== "range") text += offset;
  q.steps.forEach((s, i) => {
    const op = opOf(s.id)!;
    if (op.kind === "number") {
      const mine = levelOf(s.id);
      // Equal ones are taken from the left, powers from the right.
      const apart = level < mine || (level === mine && (s.id === "^") !== !!s.left);
      const of = apart ? `(${text})` : text;
      const sign = s.id + (s.bool && isComparison(s.id) ? " bool" : "");
      const n = s.left && s.id === "^" && s.args[0]!.startsWith("-") ? `(${s.args[0]})` : s.args[0]!;
      text = s.left ? `${n} ${sign} ${of}` : `${of} ${sign} ${n}`;
      level = mine;
      return;
    }
    let of = text;
    if (op.kind === "range") {
      const over = s.args[op.args.findIndex((a) => a.kind === "range")]!;
      of = i ? `${level < WHOLE ? `(${text})` : text}[${over}:]` : `${text}[${over}]${offset}`;
    }
    const args = op.args.map((a, k) => ({ a, text: a.kind === "text" ? quote(s.args[k] ?? "") : (s.args[k] ?? "") }))
      .filter(({ a, text: t }) => a.kind !== "range" && (t || !a.optional));
    const inner = [...args.filter((x) => x.a.before).map((x) => x.text), of, ...args.filter((x) => !x.a.before).map((x) => x.text)].join(", ");
    const by = op.kind === "group" && s.group && (s.labels?.length || s.group === "without") ? ` ${s.group} (${(s.labels ?? []).map(label).join(", ")}) ` : "";
    text = `${s.id}${by}(${inner})`;
    level = WHOLE;
  });
  return text;
}

// ---- telling

const SAID: Record<Operator, string> = { "=": "is", "!=": "is not", "=~": "matches", "!~": "does not match" };
const list = (words: string[]): string => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`);

export function saidOfMetric(q: Built): string {
  if (!q.metric && !q.filters.some((f) => f.name)) return "Pick a metric to begin with.";
  const where = q.filters.filter((f) => f.name).map((f) => `${f.name} ${SAID[f.op]} “${f.value}”`);
  return `Take every series of ${q.metric || "any metric"}${where.length ? ` whose ${list(where)}` : ""}${q.offset ? `, as it was ${q.offset} before` : ""}.`;
}

export function saidOfStep(s: Step): string {
  if (s.id === "round" && !s.args[0]) return "Round to a whole number.";
  if (s.left && !isComparison(s.id)) return `Calculate ${s.args[0]} ${s.id} each value.`;
  if (s.bool) return `Show 1 where ${s.left ? `${s.args[0]} ${s.id} the value` : `the value ${s.id} ${s.args[0]}`}, else 0.`;
  if (s.left) return `Keep only what makes ${s.args[0]} ${s.id} the value true.`;
  const op = opOf(s.id)!;
  const labels = list(s.labels ?? []);
  const each = op.kind !== "group" ? "" : s.group === "without" ? `, apart from ${labels || "no label"}` : s.group && labels ? `, for each ${labels}` : s.id.endsWith("k") ? "" : ", all in one";
  return op.said.replace(/\$(by|\d)/g, (_, k: string) => (k === "by" ? each : s.args[Number(k)] || "…"));
}

// What the server would not understand, in words; nothing if all is well.
export function wrongIn(s: Step): string {
  const op = opOf(s.id)!;
  for (const [i, a] of op.args.entries()) {
    const v = s.args[i] ?? "";
    if (a.kind === "range" && !isDuration(v)) return `${s.id}: “${v}” is no span of time; 5m or 1h30m are.`;
    if (a.kind === "number" && !(a.optional && !v) && !isNumber(v)) return `${s.id}: “${v}” is no number.`;
    if (a.kind === "text" && !v) return `${s.id}: the label's name is missing.`;
  }
  return "";
}

export const isDuration = (s: string): boolean => /^(\d+(ms|[smhdwy]))+$/.test(s) && /[1-9]/.test(s);
export const isNumber = (s: string): boolean => /^[-+]?(0x[\da-f]+|(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|inf|nan)$/i.test(s);

// ---- how a metric is usually begun

export const isCounter = (name: string, type: string): boolean =>
  type === "counter" || /_total$/.test(name) || (/_(count|sum|bucket)$/.test(name) && /^(histogram|summary|)$/.test(type));

export function begin(metric: string, type: string, filters: LabelFilter[] = []): Built {
  const q: Built = { metric, filters, offset: "", steps: [] };
  if (/_bucket$/.test(metric) && /^(histogram|)$/.test(type))
    q.steps = [stepOf("rate"), stepOf("sum", { group: "by", labels: ["le"] }), stepOf("histogram_quantile")];
  else if (isCounter(metric, type)) q.steps = [stepOf("rate"), stepOf("sum")];
  else if (type === "histogram" && !metric.includes(":")) q.steps = [stepOf("rate"), stepOf("sum"), stepOf("histogram_quantile")];
  return q;
}
