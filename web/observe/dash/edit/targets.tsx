// targets.tsx - what is asked that is no PromQL: traces, another panel's data, expressions; and where each
// query of a panel goes.
import { useEffect, useState } from "preact/hooks";
import { ask, call } from "../../base/data";
import { sourceOf } from "../interpolate";
import type { Dashboard, Panel, Ref, Target } from "../model";
import type { Scope, Source } from "../scope";
import { queryOf } from "../trace_frames";
import { alike, pick } from "./choices";
import { allPanels } from "./moves";
import { JsonField, type Row, Rows } from "./rows";


const TEMPO: Row[] = [
  { path: "query", text: "TraceQL, or a trace's id", kind: "area", late: true, hint: '{ resource.service.name = "shop" && duration > 100ms }' },
  { path: "limit", text: "Most traces", kind: "number", least: 1, hint: "20" },
  { path: "legendFormat", text: "Legend of metrics", kind: "text", hint: "{{span.name}}" }, { path: "step", text: "Min step of metrics", kind: "text", hint: "1m" },
];
const found = (t: Target) => t.queryType === "search";
const jaeger = (services: string[], operations: string[]): Row[] => [
  { path: "queryType", text: "Ask for", kind: "select", choices: [{ value: "search", text: "Traces like this" }, { value: "", text: "One trace" }] },
  { path: "query", text: "Trace's id", kind: "text", when: (t) => !found(t) },
  { path: "service", text: "Service", kind: "field", choices: alike(services), when: found }, { path: "operation", text: "Operation", kind: "field", choices: alike(operations), when: found },
  { path: "tags", text: "Tags", kind: "text", hint: "http.response.status_code=500 error=true", when: found },
  { path: "minDuration", text: "Min duration", kind: "text", hint: "100ms", when: found }, { path: "maxDuration", text: "Max duration", kind: "text", hint: "2s", when: found },
  { path: "limit", text: "Most traces", kind: "number", least: 1, hint: "20", when: found },
];

const REDUCERS = alike(["last", "mean", "sum", "min", "max", "count", "median"]);
const kind = (...types: string[]) => (t: Target) => types.includes(t.type);
const test = (t: Target) => t.conditions?.[0]?.evaluator?.type ?? "";
const EXPRESSION: Row[] = [
  { path: "type", text: "Kind", kind: "select", choices: pick({ math: "Math", reduce: "Reduce", resample: "Resample", threshold: "Threshold" }) },
  { path: "expression", text: "Expression", kind: "text", hint: "$A / $B * 100", when: kind("math") },
  { path: "expression", text: "Of the query", kind: "text", hint: "A", when: kind("reduce", "resample", "threshold") },
  { path: "reducer", text: "By", kind: "select", choices: REDUCERS, when: kind("reduce") },
  { path: "settings.mode", text: "Missing values", kind: "select", choices: pick({ "": "Make the result missing", dropNN: "Are left out", replaceNN: "Are replaced" }), when: kind("reduce") },
  { path: "settings.replaceWithValue", text: "Replaced by", kind: "number", hint: "0", when: (t) => t.type === "reduce" && t.settings?.mode === "replaceNN" },
  { path: "window", text: "One value each", kind: "text", hint: "1m", when: kind("resample") },
  { path: "downsampler", text: "Of several values", kind: "select", choices: REDUCERS, when: kind("resample") },
  { path: "upsampler", text: "Where there is none", kind: "select", choices: pick({ fillna: "Nothing", pad: "The one before" }), when: kind("resample") },
  { path: "conditions.0.evaluator.type", text: "Is", kind: "select", when: kind("threshold"),
    choices: pick({ gt: "above", lt: "below", gte: "at least", lte: "at most", eq: "equal to", ne: "not equal to", within_range: "within", outside_range: "outside of" }) },
  { path: "conditions.0.evaluator.params.0", text: "Value", kind: "number", hint: "0", when: kind("threshold") },
  { path: "conditions.0.evaluator.params.1", text: "and", kind: "number", hint: "0", when: (t) => t.type === "threshold" && test(t).endsWith("_range") },
];

// What Grafana wants to be there of each kind.
const EXPRESSIONS: Record<string, Partial<Target>> = {
  math: {}, reduce: { reducer: "last", settings: { mode: "" } }, resample: { window: "1m", downsampler: "mean", upsampler: "fillna" },
  threshold: { conditions: [{ evaluator: { type: "gt", params: [0, 0] }, type: "query", operator: { type: "and" }, query: { params: [] }, reducer: { type: "last", params: [] } }] },
};

export const isExpression = (t: Target): boolean => t.datasource?.uid === "__expr__" || t.datasource?.type === "__expr__";
const plainScope: Scope = { values: {}, from: 0, to: 1, zone: "utc" };
export const kindOf = (ref: Ref | null | undefined): Source | "expression" => (ref?.type === "__expr__" ? "expression" : sourceOf(ref, plainScope).kind);

function Expression({ target, put }: { target: Target; put: (t: Target) => void }) {
  return <Rows of={target} rows={EXPRESSION} onChange={(to) => put(to.type === target.type ? { ...to, expression: to.expression ?? "" } : { ...EXPRESSIONS[to.type], ...to })} />;
}

function Tempo({ target, put }: { target: Target; put: (t: Target) => void }) {
  const form = target.queryType === "traceqlSearch";
  return (
    <>
      {form && <p class="dim small">Grafana's search form made <code>{queryOf(target)}</code>. <button type="button" onClick={() => {
        const { filters: _, ...rest } = target;
        put({ ...rest, refId: target.refId, queryType: "traceql", query: queryOf(target) });
      }}>Edit it as TraceQL</button></p>}
      <Rows of={target} rows={form ? TEMPO.slice(1) : TEMPO} onChange={put} />
    </>
  );
}

const names = (path: string): Promise<string[]> => ask<(string | { name: string })[]>(path).then((r) => (r.data ?? []).map((x) => (typeof x === "string" ? x : x.name)), () => []);

function Jaeger({ target, put }: { target: Target; put: (t: Target) => void }) {
  const [services, setServices] = useState<string[]>([]);
  const [operations, setOperations] = useState<string[]>([]);
  const { service } = target;
  useEffect(() => { void names("/api/services").then(setServices); }, []);
  useEffect(() => { if (service && services.includes(service)) void names(`/api/services/${encodeURIComponent(service)}/operations`).then(setOperations); }, [service, services]);
  return <Rows of={target} shown={{ ...target, queryType: target.queryType ?? "" }} rows={jaeger(services, operations)} onChange={put} />;
}

export function OtherTarget({ target, panel, dashboard, put }: { target: Target; panel: Panel; dashboard: Dashboard; put: (t: Target) => void }) {
  const of = kindOf(target.datasource ?? panel.datasource);
  if (isExpression(target) && EXPRESSIONS[target.type]) return <Expression target={target} put={put} />;
  if (of === "tempo") return <Tempo target={target} put={put} />;
  if (of === "jaeger") return <Jaeger target={target} put={put} />;
  if (of === "dashboard") {
    const others = allPanels(dashboard).filter((p) => p.id !== panel.id && p.targets?.length);
    return <Rows of={target} onChange={put} rows={[
      { path: "panelId", text: "The data of", kind: "select", choices: others.map((p) => ({ value: p.id, text: p.title || `Panel ${p.id}` })) },
      { path: "withTransforms", text: "With its transformations", kind: "switch" }]} />;
  }
  return <JsonField label={`Query ${target.refId} as JSON`} value={target} onApply={(to) => put({ ...to, refId: target.refId })} />;
}

// ---- where it goes

const FRESH: Partial<Record<Source, Partial<Target>>> = {
  prometheus: { expr: "", range: true, instant: false, editorMode: "code", legendFormat: "__auto" },
  tempo: { queryType: "traceql", query: "", limit: 20, tableType: "traces" }, jaeger: { queryType: "search", service: "" }, dashboard: {},
};
const MIXED: Ref = { type: "datasource", uid: "-- Mixed --" };
const same = (a: Ref | null | undefined, b: Ref | null | undefined): boolean => (a?.uid ?? "") === (b?.uid ?? "") && (!a || !b || (a.type ?? b.type) === (b.type ?? a.type));

export interface Place { text: string; ref: Ref | null }

let ours: Place[] = [];

// Those of the server, and variables that stand for one.
export function usePlaces(d: Dashboard): Place[] {
  const [have, setHave] = useState(ours);
  useEffect(() => {
    if (!ours.length) call<{ name: string; type: string; uid: string }[]>("GET", "/api/datasources").then((all) => setHave((ours = all.map((s) => ({ text: s.name, ref: { type: s.type, uid: s.uid } })))), () => undefined);
  }, []);
  const variables = d.templating.list.filter((v) => v.type === "datasource").map((v): Place => ({ text: `$${v.name}`, ref: { type: String(v.query), uid: `\${${v.name}}` } }));
  return [{ text: "Default", ref: null }, ...have, ...variables];
}

export const OTHER_PANEL: Place = { text: "Another panel", ref: { type: "datasource", uid: "-- Dashboard --" } };

export const effective = (p: Panel, t: Target): Ref | null => t.datasource ?? (kindOf(p.datasource) === "mixed" ? null : p.datasource);

// A new query asks where the one before it does.
export function freshTarget(p: Panel, refId: string): Target {
  const last = [...p.targets].reverse().find((t) => !isExpression(t));
  const ref = last ? effective(p, last) : kindOf(p.datasource) === "mixed" ? null : p.datasource;
  return { refId, ...(ref ? { datasource: ref } : {}), ...(FRESH[kindOf(ref) as Source] ?? FRESH.prometheus) };
}

// Sends one query elsewhere; the panel says where all of them go, or that they are mixed.
export function sent(p: Panel, refId: string, to: Ref | null): Panel {
  const targets = p.targets.map((t): Target => {
    if (isExpression(t)) return t;
    const before = effective(p, t);
    const ref = t.refId === refId ? to : before;
    const { datasource: _, ...rest } = t;
    const kept = kindOf(ref) === kindOf(before) ? rest : { refId: t.refId, ...(t.hide === undefined ? {} : { hide: t.hide }), ...FRESH[kindOf(ref) as Source] };
    return { ...kept, refId: t.refId, ...(ref ? { datasource: ref } : {}) };
  });
  const refs = targets.filter((t) => !isExpression(t)).map((t) => t.datasource ?? null);
  return { ...p, targets, datasource: refs.every((r) => same(r, refs[0])) ? refs[0] ?? null : MIXED };
}

export function SourceField({ label, value, places, set }: { label: string; value: Ref | null | undefined; places: Place[]; set: (to: Ref | null) => void }) {
  const at = places.findIndex((p) => same(p.ref, value));
  return (
    <select aria-label={label} value={String(at)} onChange={(e) => set(places[Number(e.currentTarget.value)]?.ref ?? null)}>
      {at < 0 && <option value="-1">{value?.uid ?? value?.type}</option>}
      {places.map((p, i) => <option key={p.text} value={String(i)}>{p.text}</option>)}
    </select>
  );
}
