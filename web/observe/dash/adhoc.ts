// adhoc.ts - filters that the viewer adds to every query: how an address holds them, and how they get
// into each selector of a PromQL expression.
import { regexEscape } from "./formats";
import type { Value } from "./scope";

export interface Filter { key: string; operator: string; value: string; values?: string[] }

const ESCAPES: [RegExp, string][] = [[/\|/g, "__gfp__"], [/#/g, "__gfh__"], [/,/g, "__gfc__"]];
const escaped = (s: string): string => ESCAPES.reduce((t, [re, by]) => t.replace(re, by), s);
const plain = (s: string): string => s.replace(/__gfp__/g, "|").replace(/__gfh__/g, "#").replace(/__gfc__/g, ",");

// As Grafana's addresses have them: "key|=|value"; what several values are asked of, "key|=__gfp__|a|b".
export const filterToUrl = (f: Filter): string =>
  [f.key, f.operator, ...(f.values?.length && f.operator.endsWith("|") ? f.values : [f.value])].map(escaped).join("|");

export function filterFromUrl(text: string): Filter | undefined {
  // A text for people may follow the key and each value after a comma.
  const [key, operator, ...values] = text.split("|").map((part) => plain(part.split(",")[0]!));
  if (!key || !operator || !values.length) return undefined;
  return values.length > 1 ? { key, operator, value: values[0]!, values } : { key, operator, value: values[0]! };
}

export const filtersOf = (v: Value): Filter[] =>
  (Array.isArray(v.value) ? v.value : [v.value]).map(filterFromUrl).filter((f) => f !== undefined) as Filter[];

const OPERATORS = ["=", "!=", "=~", "!~", "=|", "!=|"]; // comparing as numbers is nothing that selectors can
const quoted = (s: string): string => `"${s.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;

function matcherOf(f: Filter): string | undefined {
  if (!f.key || !OPERATORS.includes(f.operator)) return undefined;
  const name = /^[a-zA-Z_]\w*$/.test(f.key) ? f.key : quoted(f.key);
  if (!f.operator.endsWith("|")) return `${name}${f.operator}${quoted(f.value)}`;
  const any = (f.values?.length ? f.values : [f.value]).map(regexEscape).join("|");
  return `${name}${f.operator === "=|" ? "=~" : "!~"}${quoted(any)}`;
}

// What stands between the braces of a selector.
export const filterText = (filters: Filter[]): string => filters.map(matcherOf).filter(Boolean).join(",");

const WORDS = new Set(["and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "fill", "fill_left", "fill_right", "smoothed", "anchored"]);
const LISTS = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]); // names of labels may follow in parentheses
const TOKEN = /\s+|#[^\n]*|"(?:\\.|[^"\\])*(?:"|$)|'(?:\\.|[^'\\])*(?:'|$)|`[^`]*(?:`|$)|\[[^\]]*(?:\]|$)|\d[\w.]*|(?:[a-zA-Z_:]|\$\{\w+(?::\w+)?\}|\$\w+)(?:[\w:]|\$\{\w+(?::\w+)?\}|\$\w+)*|[^]/gy;

// The expression with the filters in every selector. What is no PromQL comes back with its braces filled
// all the same, never an exception.
export function withFilters(expr: string, filters: Filter[]): string {
  const add = filterText(filters);
  if (!add) return expr;
  const tokens = expr.match(TOKEN) ?? [];
  const meant = (i: number): number => { // the next that is neither blank nor comment
    while (i < tokens.length && /^[\s#]/.test(tokens[i]!)) i++;
    return i;
  };
  const out: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const t = tokens[i]!;
    out.push(t);
    if (t === "{") {
      i = braces(tokens, i, add, out);
      continue;
    }
    if (!/^[a-zA-Z_:$]/.test(t)) continue;
    const next = meant(i + 1);
    const word = t.toLowerCase();
    if (LISTS.has(word) && tokens[next] === "(") {
      while (i + 1 < tokens.length && tokens[i] !== ")") out.push(tokens[++i]!);
      continue;
    }
    const follows = tokens[next] ?? "";
    // A function or an aggregation: "(" follows, or "by" and "without", which follow nothing else.
    if (LISTS.has(word) || WORDS.has(word) || follows === "(" || follows === "{" || /^(?:by|without)$/i.test(follows)) continue;
    out.push(`{${add}}`);
  }
  return out.join("");
}

function braces(tokens: string[], i: number, add: string, out: string[]): number {
  let last = "";
  for (i++; i < tokens.length && tokens[i] !== "}"; i++) {
    out.push(tokens[i]!);
    if (!/^[\s#]/.test(tokens[i]!)) last = tokens[i]!;
  }
  out.push(last && last !== "," ? `,${add}` : add);
  if (i < tokens.length) out.push("}");
  return i;
}
