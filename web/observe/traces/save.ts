// save.ts - a trace as a file: OTLP's JSON, which this page, `sextant traces import` and collectors read.
import { saveFile } from "../parts/bits";
import { type Attribute, durationOf, hex8, nameOf, serviceOf, spanId, type Trace } from "./model";

type Json = Record<string, unknown>;

function valueOf(a: Attribute): Json {
  switch (a.type) {
    case "bool": return { boolValue: a.value === "true" };
    case "int": case "int64": return { intValue: a.value };
    case "double": case "float64": return { doubleValue: Number(a.value) };
    case "list": case "map": return nested(JSON.parse(a.value));
    default: return { stringValue: a.value };
  }
}

function nested(v: unknown): Json {
  if (Array.isArray(v)) return { arrayValue: { values: v.map(nested) } };
  if (v && typeof v === "object") return { kvlistValue: { values: Object.entries(v).map(([key, x]) => ({ key, value: nested(x) })) } };
  if (typeof v === "number") return Number.isInteger(v) ? { intValue: String(v) } : { doubleValue: v };
  return typeof v === "boolean" ? { boolValue: v } : { stringValue: String(v ?? "") };
}

const attributes = (list: Attribute[]): Json[] => list.map((a) => ({ key: a.key, value: valueOf(a) }));
const at = (t: Trace, ns: number): string => String(t.base + BigInt(Math.round(ns)));

// A line each resource, so that no text of the whole has to be made at once.
export function otlpOf(t: Trace): string[] {
  const out: string[] = [];
  const groups = new Map<string, { resource: Json; spans: string[] }>();
  for (let i = 0; i < t.count; i++) {
    const d = t.source.detail(t.from[i], t.base);
    const key = `${serviceOf(t, i)}\n${JSON.stringify(d.resource)}\n${d.scope}`;
    let g = groups.get(key);
    if (!g) groups.set(key, (g = { resource: { resource: { attributes: attributes(d.resource) }, scope: { name: d.scope } }, spans: [] }));
    g.spans.push(JSON.stringify({
      traceId: t.id.padStart(32, "0"), spanId: spanId(t, i), parentSpanId: t.ups[2 * i] || t.ups[2 * i + 1] ? hex8(t.ups[2 * i]) + hex8(t.ups[2 * i + 1]) : "", name: nameOf(t, i), kind: t.kind[i],
      startTimeUnixNano: at(t, t.start[i]), endTimeUnixNano: at(t, t.start[i] + durationOf(t, i)), attributes: attributes(d.attributes),
      events: d.events.map((e) => ({ timeUnixNano: at(t, e.at), name: e.name, attributes: attributes(e.attributes) })),
      links: d.links.map((l) => ({ traceId: l.trace, spanId: l.span, attributes: attributes(l.attributes) })),
      status: { code: t.status[i], message: d.message }, traceState: d.state,
    }));
  }
  for (const g of groups.values()) {
    const { resource, scope } = g.resource as { resource: Json; scope: Json };
    out.push(`{"resource":${JSON.stringify(resource)},"scopeSpans":[{"scope":${JSON.stringify(scope)},"spans":[${g.spans.join(",\n")}]}]}`);
  }
  return out;
}

export function saveTrace(t: Trace): void {
  saveFile(`trace-${t.id || "opened"}.json`, `{"resourceSpans":[${otlpOf(t).join(",\n")}]}\n`, "application/json");
}
