// sources.ts - what a panel asks, worked out before anything is asked: one row per request, its address
// and how its answer becomes frames. Two plans that are equal ask the same, so that a panel whose
// variables, time and size are as before asks nothing.
import { encode, type Query } from "../base/data";
import { withFilters, type Filter } from "./adhoc";
import type { Frame } from "./frame";
import { interpolate, sourceOf } from "./interpolate";
import type { Panel, Target, Transformation } from "./model";
import { exemplarFrames, framesOf } from "./prometheus";
import { type Scope, within } from "./scope";
import { panelRange, stepOf } from "./step";
import { jaegerAsk, tempoAsk } from "./trace_frames";

export interface Ask {
  target: Target;
  expr: string; // as it is asked
  path: string;
  query: Query;
  bare?: boolean; // its answer has no envelope
  optional?: boolean; // it may fail
  frames: (data: any) => Frame[];
}

export interface Plan {
  key: string;
  parts: (Ask | { of: Plan; transformations: Transformation[]; refId: string })[];
  expressions: Target[]; // worked out here
  hidden: string[]; // asked only for expressions
  silence?: string; // why nothing is asked
  from: number; // ms
  to: number;
  note?: string; // of another time than the dashboard's
  scope: Scope;
}

export interface Asking {
  scope: Scope; // of the panel; from and to of the dashboard
  relative: boolean; // the dashboard's range ends now
  width: number;
  scrape_s: number;
  filters: Filter[]; // of all ad-hoc variables
  panelOf: (id: number) => Panel | undefined;
}

const NO_SOURCE: Record<string, string> = {
  loki: "Loki data sources are not supported yet.",
  none: "This data source type is not supported.",
  testdata: "The TestData data source is not supported.",
  alertmanager: "Alertmanager data sources are not supported yet.",
  annotations: "The Grafana data source has no panel data here.",
};

const DEPTH_MAX = 4; // of panels that show panels that show panels

// ---- the panel's own time

function timeOf(panel: Panel, asking: Asking): Pick<Plan, "from" | "to" | "note"> {
  const { scope } = asking;
  const text = (s?: string | null) => (s ? interpolate(s, scope) : undefined);
  // A time of its own is counted from now: it says nothing about a range of last week.
  const { info, ...time } = panelRange({ ...panel, timeFrom: asking.relative ? text(panel.timeFrom) : undefined, timeShift: text(panel.timeShift) },
                                       scope.from, scope.to, scope.zone, scope.to);
  return { ...time, note: info };
}

// ---- one target

function prometheusAsks(t: Target, panel: Panel, scope: Scope, asking: Asking): Ask[] {
  if (!t.expr?.trim()) return [];
  const text = (s?: string | null) => (s ? interpolate(s, scope) : undefined);
  const step = stepOf({
    from: scope.from, to: scope.to, width: asking.width, maxDataPoints: panel.maxDataPoints,
    interval: text(t.interval), panelInterval: text(panel.interval), intervalFactor: t.intervalFactor, scrape_s: asking.scrape_s,
  });
  const inner = within(scope, {}, { interval_ms: step.interval_ms, rate_interval: step.rate_interval });
  const expr = withFilters(interpolate(t.expr, inner, "promql"), asking.filters);
  const several = panel.targets.filter((o) => !o.hide).length > 1;
  const frames = (step_s: number) => (data: any) => framesOf({ ...t, expr }, data, { step_s, several, interpolate: (s) => interpolate(s, inner) });
  const out: Ask[] = [];
  if (t.range || !t.instant)
    out.push({ target: t, expr, path: "/api/v1/query_range", query: { query: expr, start: step.start, end: step.end, step: step.step_s, stats: "true" }, frames: frames(step.step_s) });
  if (t.instant) out.push({ target: t, expr, path: "/api/v1/query", query: { query: expr, time: scope.to / 1000, stats: "true" }, frames: frames(0) });
  if (t.exemplar && (t.range || !t.instant))
    out.push({ target: t, expr, path: "/api/v1/query_exemplars", query: { query: expr, start: step.start, end: step.end }, optional: true,
               frames: (data) => exemplarFrames(t, data) });
  return out;
}

// The data of another panel, by its id.
function panelPart(t: Target, panel: Panel, asking: Asking, depth: number): Plan["parts"] {
  const other = asking.panelOf(Number(t.panelId));
  if (!other || other.id === panel.id || depth >= DEPTH_MAX) return [];
  return [{ of: planOf({ ...other, timeFrom: null, timeShift: null }, asking, depth + 1), refId: t.refId, transformations: t.withTransforms ? other.transformations : [] }];
}

const isExpression = (t: Target): boolean => t.datasource?.type === "__expr__" || t.datasource?.uid === "__expr__" || t.datasource?.uid === "-100";

function partsOf(t: Target, panel: Panel, scope: Scope, asking: Asking, depth: number): Plan["parts"] | string {
  const mixed = sourceOf(panel.datasource, scope).kind;
  const kind = t.datasource ? sourceOf(t.datasource, scope).kind : mixed;
  if (mixed === "dashboard" || kind === "dashboard") return panelPart(t, panel, asking, depth);
  if (kind === "prometheus" || kind === "mixed") return prometheusAsks(t, panel, scope, asking);
  if (kind === "tempo") return tempoAsk(t, scope);
  if (kind === "jaeger") return jaegerAsk(t, scope);
  return NO_SOURCE[kind] ?? NO_SOURCE.none!;
}

const isAsk = (part: Plan["parts"][number]): part is Ask => "path" in part;

export function planOf(panel: Panel, asking: Asking, depth = 0): Plan {
  const time = timeOf(panel, asking);
  const scope = within(asking.scope, {}, { from: time.from, to: time.to });
  const plan: Plan = { key: "", parts: [], expressions: [], hidden: [], scope, ...time };
  const targets = panel.targets ?? [];
  const used = targets.filter((t) => isExpression(t) && !t.hide).map((t) => JSON.stringify(t)).join(" ");
  const silences: string[] = [];
  for (const t of targets) {
    if (isExpression(t)) {
      plan.expressions.push(t);
      continue;
    }
    const wanted = t.hide && used.includes(t.refId);
    if (t.hide && !wanted) continue;
    if (wanted) plan.hidden.push(t.refId);
    const parts = partsOf(t, panel, scope, asking, depth);
    if (typeof parts === "string") silences.push(parts);
    else plan.parts.push(...parts);
  }
  if (!plan.parts.length) plan.silence = silences[0] ?? (targets.length ? "All queries are empty or hidden." : "No queries.");
  plan.key = JSON.stringify([plan.parts.map((p) => (isAsk(p) ? `${p.path}?${encode(p.query)} ${p.target.refId} ${p.target.legendFormat} ${p.target.format}` : [p.of.key, p.transformations])), plan.expressions, plan.hidden, plan.silence]);
  return plan;
}
