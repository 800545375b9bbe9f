// variable_query.ts - what the queries of variables ask: Prometheus's label_values(…) and its like, in
// all the forms that they were saved in, and the names that our traces know.
import type { Query } from "../base/data";
import { interpolate, sourceOf } from "./interpolate";
import { bag, bags, num, str } from "./json";
import type { Variable } from "./model";
import { pattern } from "./pattern";
import type { Scope } from "./scope";

export type Ask = <T>(path: string, query?: Query, signal?: AbortSignal) => Promise<{ data: T }>;
export interface Asking { scope: Scope; ask: Ask; signal?: AbortSignal }
export type Found = { text: string; value: string }[];

const LABEL = String.raw`[a-zA-Z_$][\w$:{}.]*|\[\[\w+\]\]|"(?:\\.|[^"\\])*"`;
const LABEL_VALUES = new RegExp(String.raw`^\s*label_values\(\s*(?:([^]+),\s*)?(${LABEL})\s*,?\s*\)\s*$`);
const same = (all: unknown[]): Found => all.filter((x) => x !== null && x !== undefined).map((x) => ({ text: String(x), value: String(x) }));

// The query as text: what it says itself, or what a form with members says.
export function queryText(query: unknown): string {
  if (typeof query === "string") return query;
  const q = bag(query);
  if (typeof q.query === "string" && q.query) return q.query;
  const filters = bags(q.labelFilters).filter((f) => f.label).map((f) => `${str(f.label)}${str(f.op) || "="}${JSON.stringify(str(f.value))}`);
  const selector = str(q.metric) + (filters.length ? `{${filters.join(",")}}` : "");
  switch (num(q.qryType)) {
    case 0: return `label_names(${str(q.match)})`;
    case 1: return `label_values(${selector ? `${selector},` : ""}${str(q.label)})`;
    case 2: return `metrics(${str(q.metricRegex) || str(q.metric) || ".*"})`;
    case 3: return `query_result(${str(q.varQuery) || str(q.expr)})`;
    case 4: return str(q.seriesQuery);
    default: return str(q.expr) || str(q.varQuery);
  }
}

export async function askVariable(v: Variable, a: Asking): Promise<Found> {
  const kind = sourceOf(v.datasource, a.scope).kind;
  if (kind === "tempo" || kind === "jaeger") return traceNames(v.query, a);
  if (kind !== "prometheus") throw new Error(`Its data source (${v.datasource?.type ?? kind}) is not one that is here.`);
  return promNames(queryText(v.query).trim(), a);
}

const seconds = (ms: number): string => String(Math.floor(ms / 1000));

async function promNames(text: string, { scope, ask, signal }: Asking): Promise<Found> {
  const into = (part: string): string => interpolate(part, scope, "promql");
  const range = (match?: string): Query => ({ start: seconds(scope.from), end: seconds(scope.to), ...(match ? { "match[]": match } : {}) });
  const values = async (label: string, match?: string): Promise<string[]> =>
    (await ask<string[]>(`/api/v1/label/${encodeURIComponent(label)}/values`, range(match), signal)).data ?? [];
  if (!text) return [];

  const of = LABEL_VALUES.exec(text);
  if (of) {
    let label = into(of[2]!);
    if (label.startsWith('"')) label = label.slice(1, -1).replace(/\\(.)/g, "$1");
    return same(await values(label, of[1] ? into(of[1].trim()) : undefined));
  }
  const names = /^label_names\(([^]*)\)$/.exec(text);
  if (names) return same((await ask<string[]>("/api/v1/labels", range(into(names[1]!.trim())), signal)).data ?? []);
  const metrics = /^metrics\(([^]*)\)$/.exec(text);
  if (metrics) {
    const re = pattern(interpolate(metrics[1]!.trim().replace(/^"(.*)"$/, "$1"), scope, "regex"));
    return same((await values("__name__")).filter((n) => re.test(n)));
  }
  const result = /^query_result\(([^]+)\)$/.exec(text);
  if (result) return resultTexts((await ask<Instant>("/api/v1/query", { query: into(result[1]!), time: seconds(scope.to) }, signal)).data);
  // What is left is a selector: its series.
  const series = (await ask<Record<string, string>[]>("/api/v1/series", range(into(text)), signal)).data ?? [];
  return same(series.map((labels) => seriesText(labels)));
}

interface Instant { resultType: string; result: unknown }

function seriesText(labels: Record<string, string>): string {
  const { __name__: name = "", ...rest } = labels;
  return `${name}{${Object.entries(rest).map(([k, v]) => `${k}="${v}"`).join(",")}}`;
}

// `name{a="b"} value time`, which is what the regular expressions of dashboards are written for.
function resultTexts(r: Instant): Found {
  if (r.resultType === "scalar" || r.resultType === "string") return same([(r.result as [number, string])[1]]);
  return same(bags(r.result).map((s) => {
    const [time, value] = (s.value ?? (Array.isArray(s.values) ? s.values[s.values.length - 1] : undefined) ?? [0, ""]) as [number, string];
    return `${seriesText(bag(s.metric))} ${value} ${time * 1000}`;
  }));
}

// Tempo's variables name a label, Jaeger's ask for services or for operations of one.
async function traceNames(query: unknown, { scope, ask, signal }: Asking): Promise<Found> {
  const q = bag(query);
  const text = interpolate(typeof query === "string" ? query : str(q.query), scope, "raw").trim();
  const label = interpolate(str(q.label), scope, "raw") || text;
  if (num(q.type) === 0 && !q.label) return same(["service.name", "name"]);
  const service = /^operations?\((.*)\)$/.exec(text)?.[1] ?? (q.service ? interpolate(str(q.service), scope, "raw") : undefined);
  const services = async (): Promise<string[]> => (await ask<string[]>("/api/services", {}, signal)).data ?? [];
  if (service === undefined && !/^\.?(?:span:)?(?:name|operation)s?$/.test(label)) {
    if (label && !/service/.test(label)) throw new Error(`Only names of services and operations are offered, not "${label}".`);
    return same(await services());
  }
  const of = service ? [service] : (await services()).slice(0, 50);
  const each = await Promise.all(of.map((s) => ask<unknown[]>(`/api/services/${encodeURIComponent(s)}/operations`, {}, signal)));
  return same([...new Set(each.flatMap((r) => (r.data ?? []).map((o) => (typeof o === "string" ? o : str(bag(o).name)))))]);
}
