// interpolate.ts - variables in the texts of a dashboard: `$x`, `${x}`, `${x:format}`, `${x.path}`,
// `[[x]]`, `[[x:format]]`. How a value is written depends on where it stands: PromQL wants it
// escaped by the quotes around it, a title wants the text that the viewer chose.
import { durationText, parseDuration } from "../base/duration";
import { formatDate } from "./moments";
import { formatValues, promql, regexEscape } from "./formats";
import type { Ref } from "./model";
import { filterText, filtersOf } from "./adhoc";
import { variableName } from "./read_source";
import type { Interpolate, Place, Scope, Source, Sourced, Value } from "./scope";
import { roundInterval, stepOf } from "./step";

const NAMES = /\$(\w+)|\[\[(\w+?)(?:\.([^:\]]+))?(?::([^\]]+))?\]\]|\$\{(\w+)(?:\.([^:}]+))?(?::([^}]+))?\}/g;
export const ALL = "$__all";

const isAll = (v: Value): boolean => (Array.isArray(v.value) ? v.value.includes(ALL) : v.value === ALL);

// The names that a text (or any object's texts) stands on, in the order in which they come.
export function usedNames(text: unknown): string[] {
  const out = new Set<string>();
  const visit = (x: unknown, depth: number): void => {
    if (typeof x === "string") for (const m of x.matchAll(NAMES)) out.add((m[1] ?? m[2] ?? m[5])!);
    else if (typeof x === "object" && x !== null && depth < 50) for (const one of Object.values(x)) visit(one, depth + 1);
  };
  visit(text, 0);
  return [...out];
}

export const interpolate: Interpolate = (text, scope, place = "text") => {
  // Files have anything where a text belongs.
  if (typeof text !== "string") return text === undefined || text === null ? "" : String(text);
  if (!text || (!text.includes("$") && !text.includes("[["))) return text;
  let quote = "", at = 0; // the quotes around where we are, for PromQL
  return text.replace(NAMES, (whole, ...m) => {
    const name: string = m[0] ?? m[1] ?? m[4];
    const path: string = m[2] ?? m[5] ?? "";
    let format: string | undefined = m[3] ?? m[6];
    const offset = m[7] as number;
    if (place === "promql") {
      quote = quoteAt(text, at, offset, quote);
      at = offset;
    }
    if (path && format === undefined && !Object.hasOwn(scope.values, name) && /^__(?:from|to)$/.test(name)) format = path;
    const found = scope.lookup?.(name, path);
    if (found !== undefined) return written(found, format, place, text, offset, quote);
    if (Object.hasOwn(scope.values, name)) return ofVariable(name, scope.values[name]!, path, format, place, scope, text, offset, quote);
    const made = Object.hasOwn(GLOBALS, name) ? GLOBALS[name]!(scope, path, format) : undefined;
    return made ?? whole;
  });
};

function written(value: string, format: string | undefined, place: Place, text: string, offset: number, quote: string): string {
  if (format) return formatValues([value], [value], format, "");
  if (place === "url") return urlPart(value, text, offset);
  return place === "promql" && quote ? promql([value], false, quote) : value;
}

// Within the query of an address every sign is escaped; before it a value may be an address itself.
const urlPart = (value: string, text: string, offset: number): string =>
  (text.lastIndexOf("?", offset) >= 0 ? formatValues([value], [value], "percentencode", "") : formatValues([value], [value], "uriencode", ""));

const list = (x: string | string[]): string[] => (Array.isArray(x) ? x : [x]);

function ofVariable(name: string, v: Value, path: string, format: string | undefined, place: Place, scope: Scope,
                    text: string, offset: number, quote: string): string {
  const variable = v.variable;
  if (path === "text") format ??= "text";
  const all = isAll(v);
  const how = format ?? (place === "promql" || place === "url" ? undefined : place);
  if (variable?.type === "adhoc") return filterText(filtersOf(v));
  if (how === "text") return all ? "All" : list(v.text).map((t, i) => autoText(t, list(v.value)[i] ?? t, v, scope)).join(" + ");
  if (how === "queryparam" && all) return `var-${encodeURIComponent(name)}=${encodeURIComponent(ALL)}`;
  if (all && variable?.allValue && (how === undefined || !["percentencode", "html"].includes(how))) {
    const { [name]: _, ...others } = scope.values; // it may stand on other variables, but not on itself
    const whole = interpolate(variable.allValue, { ...scope, values: others }, place === "promql" ? place : "raw");
    return how === undefined && place === "url" ? urlPart(whole, text, offset) : whole;
  }
  const several = Array.isArray(v.value) || all;
  const values = (all ? v.all ?? (place === "promql" && !format ? [".*"] : []) : list(v.value)).map((x) => ofGlobals(autoInterval(x, v, scope), scope));
  if (how !== undefined) return formatValues(values, all ? v.all ?? [] : list(v.text), how, name, several);
  if (place === "url") return urlPart(formatValues(values, values, "glob", name), text, offset);
  if (all && !v.all) return ".*";
  return promql(values, variable ? !!(variable.multi || variable.includeAll) : several, quote);
}

// A value may be "$__rate_interval" or its like.
const ofGlobals = (value: string, scope: Scope): string =>
  (value.includes("$__") && value !== ALL ? interpolate(value, { ...scope, values: {}, lookup: undefined }, "raw") : value);

// `$__auto` of an interval variable: the range over the number of steps that it asks for.
function autoInterval(value: string, v: Value, scope: Scope): string {
  if (v.variable?.type !== "interval" || !value.startsWith("$__auto")) return value;
  const least = parseDuration((v.variable.auto_min ?? "").replace(/^\s*>/, ""));
  const count = Number(v.variable.auto_count) > 0 ? Number(v.variable.auto_count) : 30;
  return durationText(Math.max(roundInterval((scope.to - scope.from) / count), least > 0 ? least : 0));
}
const autoText = (text: string, value: string, v: Value, scope: Scope): string =>
  (value.startsWith("$__auto") ? autoInterval(value, v, scope) : text);

// Which quotes a place of PromQL is within ("#": a comment): scans on from the last place.
function quoteAt(text: string, from: number, to: number, quote: string): string {
  for (let i = from; i < to; i++) {
    const c = text[i]!;
    if (quote === "#") quote = c === "\n" ? "" : quote;
    else if (quote) {
      if (c === "\\" && quote !== "`") i++;
      else if (c === quote) quote = "";
    } else if (c === '"' || c === "'" || c === "`" || c === "#") quote = c;
  }
  return quote;
}

// ---- what is there without being a variable

type Global = (scope: Scope, path: string, format?: string) => string | undefined;
const seconds = (s: Scope): number => Math.max(1, Math.round((s.to - s.from) / 1000));
const whenOf = (ms: number, zone: string, format?: string): string => {
  if (!format) return String(Math.round(ms));
  if (format === "date" || format === "date:iso") return new Date(ms).toISOString();
  if (format === "date:seconds") return String(Math.floor(ms / 1000));
  return format.startsWith("date:") ? formatDate(ms, format.slice(5), zone) : String(Math.round(ms));
};
const intervalOf = (s: Scope): number => s.interval_ms ?? stepOf({ from: s.from, to: s.to, width: 1000 }).interval_ms;
const rateOf = (s: Scope): string => s.rate_interval ?? stepOf({ from: s.from, to: s.to, width: 1000 }).rate_interval;

const GLOBALS: Record<string, Global> = {
  __from: (s, _, f) => whenOf(s.from, s.zone, f),
  __to: (s, _, f) => whenOf(s.to, s.zone, f),
  __interval: (s) => durationText(intervalOf(s)),
  __interval_ms: (s) => String(Math.round(intervalOf(s))),
  __rate_interval: rateOf,
  __rate_interval_ms: (s) => String(parseDuration(rateOf(s))),
  __range: (s) => `${seconds(s)}s`,
  __range_s: (s) => String(seconds(s)),
  __range_ms: (s) => String(Math.round(s.to - s.from)),
  __dashboard: (s, path) => (path === "uid" ? s.dashboard?.uid : s.dashboard?.title) ?? "",
  __org: (_, path) => (path === "name" ? "Main Org." : "1"),
  __user: (_, path) => (path === "id" || !path ? "0" : ""),
  __name: (s) => s.dashboard?.title ?? "",
  __timezone: (s) => s.zone,
  timezone: (s) => s.zone,
  timeFilter: timeFilter,
  __timeFilter: timeFilter,
  __all_variables: (s) => Object.entries(s.values).filter(([, v]) => !v.variable?.skipUrlSync && v.variable?.type !== "constant")
    .flatMap(([name, v]) => (isAll(v) ? [ALL] : list(v.value)).map((x) => `var-${encodeURIComponent(name)}=${encodeURIComponent(x)}`)).join("&"),
  __url_time_range: (s) => `from=${Math.round(s.from)}&to=${Math.round(s.to)}`,
};
function timeFilter(s: Scope): string {
  return `time >= ${Math.round(s.from)}ms and time <= ${Math.round(s.to)}ms`;
}

// ---- where a query goes

const KINDS: [RegExp, Source][] = [
  [/tempo/i, "tempo"], [/jaeger|zipkin/i, "jaeger"], [/loki|elastic|opensearch|victorialogs|victoriametrics-logs/i, "loki"],
  [/alertmanager/i, "alertmanager"], [/testdata|^test-?data/i, "testdata"], [/^__expr__$/, "none"],
];
const NAMED: Record<string, Source> = {
  "-- Mixed --": "mixed", "-- Dashboard --": "dashboard", "-- Grafana --": "annotations", grafana: "annotations", __expr__: "none",
};

// Whatever is not known is our Prometheus: its name in another place says nothing here.
export function sourceOf(ref: Ref | null | undefined | string, scope: Scope): Sourced {
  let uid = typeof ref === "string" ? ref : ref?.uid ?? "";
  let type = typeof ref === "string" ? "" : ref?.type ?? "";
  const name = variableName(uid);
  const value = name !== undefined && Object.hasOwn(scope.values, name) ? scope.values[name] : undefined;
  if (value) {
    uid = list(value.value)[0] ?? "";
    if (typeof value.variable?.query === "string") type = value.variable.query;
  }
  const given: Ref | null = typeof ref === "string" ? { uid: ref } : ref ?? null;
  if (Object.hasOwn(NAMED, uid)) return { kind: NAMED[uid]!, ref: given };
  const kind = KINDS.find(([re]) => re.test(type || uid))?.[1] ?? "prometheus";
  return { kind, ref: given };
}

export { regexEscape };
