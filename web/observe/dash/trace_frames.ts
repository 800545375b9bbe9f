// trace_frames.ts - panels that ask for traces: TraceQL and Jaeger's search as tables whose ids lead to
// the trace, TraceQL's metrics as lines.
import { href } from "../base/route";
import type { Cell, Field, FieldType, Frame } from "./frame";
import { interpolate } from "./interpolate";
import type { FieldOptions, Target } from "./model";
import { framesOf } from "./prometheus";
import type { Scope } from "./scope";
import type { Ask } from "./sources";
import { stepOf } from "./step";

const LIMIT = 20;

function table(refId: string, columns: [name: string, type: FieldType, values: Cell[], config?: FieldOptions][]): Frame {
  const fields = columns.map(([name, type, values, config = {}]): Field => ({ name, type, values, config }));
  return { refId, kind: "table", length: fields[0]?.values.length ?? 0, fields };
}

const traceLinks = (): FieldOptions => ({ links: [{ title: "Open the trace", url: `${href("/trace/")}`.replace(/\/(\?.*)?$/, "/${__value.raw}$1") }] });

interface Found { traceID: string; rootServiceName?: string; rootTraceName?: string; startTimeUnixNano?: string; durationMs?: number }

const traceTable = (refId: string, traces: Found[]): Frame => table(refId, [
  ["Trace ID", "string", traces.map((t) => t.traceID), traceLinks()],
  ["Start time", "time", traces.map((t) => Number(t.startTimeUnixNano ?? 0) / 1e6), { unit: "dateTimeAsIso" }],
  ["Service", "string", traces.map((t) => t.rootServiceName ?? "")],
  ["Name", "string", traces.map((t) => t.rootTraceName ?? "")],
  ["Duration", "number", traces.map((t) => t.durationMs ?? 0), { unit: "ms" }],
]);

const quoted = (v: unknown): string => (/^-?[\d.]+(ms|s|m|h|us|ns)?$|^(true|false|error|ok|unset|server|client|producer|consumer|internal)$/.test(String(v)) ? String(v) : JSON.stringify(String(v)));

// The search form's filters as TraceQL.
export function queryOf(t: Target): string {
  if (t.queryType !== "traceqlSearch") return String(t.query ?? "");
  const parts = (t.filters ?? []).filter((f: any) => f.tag && f.value && [f.value].flat().length).map((f: any) => {
    const scope = !f.scope || f.scope === "intrinsic" ? "" : f.scope === "unscoped" ? "." : `${f.scope}.`;
    const values = [f.value].flat();
    const value = values.length > 1 ? JSON.stringify(values.join("|")) : f.valueType === "string" ? JSON.stringify(String(values[0])) : quoted(values[0]);
    return `${scope}${f.tag}${values.length > 1 ? "=~" : (f.operator ?? "=")}${value}`;
  });
  return `{${parts.join(" && ")}}`;
}

const HEX_ID = /^[0-9a-f]{16,32}$/i;

export function tempoAsk(t: Target, scope: Scope): Ask[] {
  if (t.queryType === "serviceMap") return [];
  const q = interpolate(queryOf(t), scope, "raw").trim();
  if (!q) return [];
  if (HEX_ID.test(q)) return [spansAsk(t, q)];
  const range = { start: Math.floor(scope.from / 1000), end: Math.ceil(scope.to / 1000) };
  if (/\|\s*(rate|\w+_over_time|quantile_over_time|histogram_over_time|compare)\s*\(/.test(q)) {
    const step = stepOf({ from: scope.from, to: scope.to, width: 600, interval: t.step || undefined, scrape_s: 15 });
    return [{ target: t, expr: q, path: "/tempo/api/metrics/query_range", query: { q, ...range, step: step.step_s }, bare: true, frames: (data) => metricFrames(t, data, step) }];
  }
  return [{ target: t, expr: q, path: "/tempo/api/search", query: { q, limit: Number(t.limit) || LIMIT, ...range }, bare: true,
            frames: (data) => [traceTable(t.refId, data.traces ?? [])] }];
}

// Tempo's metrics as Prometheus's answer.
function metricFrames(t: Target, data: any, step: { step_s: number }): Frame[] {
  const text = (v: any): string => String(v?.stringValue ?? v?.intValue ?? v?.doubleValue ?? v?.boolValue ?? "");
  const result = (data.series ?? []).map((s: any) => ({
    metric: Object.fromEntries((s.labels ?? []).map((l: any) => [l.key, text(l.value)])),
    values: (s.samples ?? []).map((x: any) => [Number(x.timestampMs) / 1000, String(x.value ?? 0)]),
  }));
  return framesOf({ ...t, legendFormat: t.legendFormat ?? "__auto" }, { resultType: "matrix", result }, { step_s: step.step_s });
}

interface JaegerTrace { traceID: string; spans: { spanID: string; operationName: string; startTime: number; duration: number; processID: string; references: unknown[] }[]; processes: Record<string, { serviceName: string }> }

function rootOf(trace: JaegerTrace): Found {
  const root = trace.spans.find((s) => !s.references?.length) ?? [...trace.spans].sort((a, b) => a.startTime - b.startTime)[0];
  const end = Math.max(...trace.spans.map((s) => s.startTime + s.duration));
  const start = Math.min(...trace.spans.map((s) => s.startTime));
  return { traceID: trace.traceID, rootServiceName: trace.processes[root?.processID ?? ""]?.serviceName, rootTraceName: root?.operationName,
           startTimeUnixNano: String(start * 1000), durationMs: (end - start) / 1000 };
}

const spansAsk = (t: Target, id: string): Ask => ({
  target: t, expr: id, path: `/api/traces/${id}`, query: {}, frames: (data: JaegerTrace[]) => data.map((trace) => {
    const spans = [...trace.spans].sort((a, b) => a.startTime - b.startTime);
    return table(t.refId, [
      ["Trace ID", "string", spans.map(() => trace.traceID), traceLinks()],
      ["Start time", "time", spans.map((s) => s.startTime / 1000), { unit: "dateTimeAsIso" }],
      ["Service", "string", spans.map((s) => trace.processes[s.processID]?.serviceName ?? "")],
      ["Operation", "string", spans.map((s) => s.operationName)],
      ["Duration", "number", spans.map((s) => s.duration), { unit: "µs" }],
    ]);
  }),
});

export function jaegerAsk(t: Target, scope: Scope): Ask[] {
  const text = (v: unknown) => interpolate(String(v ?? ""), scope, "raw").trim();
  const id = text(t.query);
  if (t.queryType !== "search") return HEX_ID.test(id) ? [spansAsk(t, id)] : [];
  const service = text(t.service);
  if (!service) return [];
  const query = {
    service, operation: text(t.operation).replace(/^All$/, "") || undefined, tags: text(t.tags) || undefined, minDuration: text(t.minDuration) || undefined,
    maxDuration: text(t.maxDuration) || undefined, limit: Number(t.limit) || LIMIT, start: Math.floor(scope.from * 1000), end: Math.ceil(scope.to * 1000), lookback: "custom",
  };
  return [{ target: t, expr: service, path: "/api/traces", query, frames: (data: JaegerTrace[]) => [traceTable(t.refId, data.map(rootOf))] }];
}
