// json.ts - traces out of JSON that somebody has: what Jaeger's page saves and its API answers, OTLP's
// JSON (of `sextant traces export`, a line each, of collectors, of Tempo with its ids in base64). The
// file stays in the browser. Also what the server answers for a trace of the archive.
import { type Attribute, type Detail, ERROR, fits, HAS_EVENTS, HAS_LINKS, type Op, type Raw, type Source, type SpanEvent, type SpanLink, type Wanted } from "./model";

type Json = Record<string, any>; // what comes is anybody's

const list = (v: unknown): Json[] => (Array.isArray(v) ? v.filter((x) => x && typeof x === "object") : []);
const word = (v: unknown): string => (v === undefined || v === null ? "" : typeof v === "object" ? JSON.stringify(v) : String(v));

// One span, of whichever form, as what the columns want.
interface Given {
  id: string;
  up: string;
  name: string;
  service: string;
  start: bigint;
  end: bigint;
  kind: number;
  status: number;
  marks: number;
  span: Json;
  around: Json; // the process, or {resource, scope}
}

class Held implements Source {
  constructor(private readonly spans: Given[], private readonly read: (g: Given, base: bigint) => Detail) {}
  detail(i: number, base: bigint): Detail {
    return this.read(this.spans[i], base);
  }
  search(found: Uint8Array, want: Wanted): void {
    this.spans.forEach((_, i) => {
      const d = this.detail(i, 0n);
      const all = [...d.attributes, ...(want.key ? d.resource : []), ...d.events.flatMap((e) => [{ key: "event", value: e.name }, ...e.attributes]), { key: "message", value: d.message }];
      if (all.some((a) => fits(want, a.key, a.value))) found[i] = 1;
    });
  }
}

// An id of up to 16 hex digits, or 8 bytes in base64, as two halves.
function halves(id: string): [number, number] {
  const hex = /^[0-9a-f]*$/i.test(id) && id.length !== 12 ? id : base64Hex(id);
  const full = hex.slice(-16).padStart(16, "0");
  return [parseInt(full.slice(0, 8), 16) || 0, parseInt(full.slice(8), 16) || 0];
}

function base64Hex(text: string): string {
  try {
    return Array.from(atob(text), (c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  } catch {
    return "";
  }
}

const traceHex = (id: string): string => (/^[0-9a-f]*$/i.test(id) && id.length !== 24 ? id.toLowerCase() : base64Hex(id));
const spanHex = (id: string): string => halves(id).map((n) => n.toString(16).padStart(8, "0")).join("");

function columns(trace: string, given: Given[], read: (g: Given, base: bigint) => Detail, partial?: string): Raw {
  const n = given.length;
  const services: string[] = [];
  const ops: Op[] = [];
  const at = new Map<string, number>();
  const raw: Raw = {
    trace, count: n, id: new Uint32Array(2 * n), up: new Uint32Array(2 * n), start: new Uint32Array(2 * n), end: new Uint32Array(2 * n),
    op: new Int32Array(n), kind: new Uint8Array(n), status: new Uint8Array(n), marks: new Uint8Array(n), services, ops, source: new Held(given, read), partial,
  };
  given.forEach((g, i) => {
    raw.id.set(halves(g.id), 2 * i);
    raw.up.set(halves(g.up), 2 * i);
    raw.start.set([Number(BigInt.asUintN(64, g.start) >> 32n), Number(g.start & 0xffffffffn)], 2 * i);
    raw.end.set([Number(BigInt.asUintN(64, g.end) >> 32n), Number(g.end & 0xffffffffn)], 2 * i);
    raw.kind[i] = g.kind;
    raw.status[i] = g.status;
    raw.marks[i] = g.marks;
    const service = g.service || "no service name";
    let s = at.get(service);
    if (s === undefined) at.set(service, (s = services.push(service) - 1));
    const key = `${s}\n${g.name}`;
    let o = at.get(key);
    if (o === undefined) at.set(key, (o = ops.push({ service: s, name: g.name || "(no name)" }) - 1));
    raw.op[i] = o;
  });
  return raw;
}

// ---- Jaeger

const KIND_NAMES: Record<string, number> = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };
const micros = (v: unknown): bigint => (Number.isFinite(Number(v)) ? BigInt(Math.round(Number(v))) * 1000n : 0n);

const tagsOf = (tags: unknown): Attribute[] => list(tags).map((t) => ({ key: word(t.key), value: word(t.value), type: word(t.type) || typeof t.value }));

function jaegerSpan(span: Json, process: Json): Given {
  const tags = list(span.tags);
  const tag = (key: string) => tags.find((t) => t.key === key)?.value;
  const refs = list(span.references);
  const up = refs.find((r) => r.refType === "CHILD_OF" && r.traceID === span.traceID) ?? refs.find((r) => r.traceID === span.traceID);
  const start = micros(span.startTime);
  return {
    id: word(span.spanID), up: word(up?.spanID ?? span.parentSpanID), name: word(span.operationName), service: word(process.serviceName),
    start, end: start + micros(span.duration), kind: KIND_NAMES[word(tag("span.kind"))] ?? 0,
    status: tag("error") === true || word(tag("error")) === "true" || tag("otel.status_code") === "ERROR" ? ERROR : 0,
    marks: (list(span.logs).length ? HAS_EVENTS : 0) | (refs.length > (up ? 1 : 0) ? HAS_LINKS : 0), span, around: process,
  };
}

function jaegerDetail(g: Given, base: bigint): Detail {
  const events = list(g.span.logs).map((l): SpanEvent => {
    const fields = tagsOf(l.fields);
    const name = fields.find((f) => f.key === "event") ?? fields.find((f) => f.key === "message");
    return { at: Number(micros(l.timestamp) - base), name: name?.value ?? "log", attributes: fields.filter((f) => f !== name) };
  });
  const attributes = tagsOf(g.span.tags);
  return {
    attributes, resource: [{ key: "service.name", value: g.service, type: "string" }, ...tagsOf(g.around.tags)],
    scope: attributes.find((a) => a.key === "otel.scope.name")?.value ?? "", scopeAttributes: [], events,
    links: list(g.span.references).filter((r) => r.traceID !== g.span.traceID || word(r.spanID) !== g.up)
      .map((r): SpanLink => ({ trace: word(r.traceID), span: word(r.spanID), attributes: [] })),
    message: attributes.find((a) => a.key === "otel.status_description")?.value ?? "", state: "",
    warnings: Array.isArray(g.span.warnings) ? g.span.warnings.map(word) : [], dropped: 0,
  };
}

const jaegerTrace = (t: Json, partial?: string): Raw => {
  const processes: Json = t.processes ?? {};
  return columns(word(t.traceID).toLowerCase(), list(t.spans).map((s) => jaegerSpan(s, processes[word(s.processID)] ?? s.process ?? {})), jaegerDetail, partial);
};

// ---- OTLP

const nanos = (v: unknown): bigint => {
  try {
    return BigInt(typeof v === "number" ? Math.round(v) : word(v) || 0);
  } catch {
    return 0n;
  }
};

function plain(v: Json | undefined): Omit<Attribute, "key"> {
  const [name, what] = Object.entries(v ?? {})[0] ?? ["empty", ""];
  const kind = name.replace(/Value$/, "");
  if (kind === "array" || kind === "kvlist") return { value: JSON.stringify(nested(v)), type: kind === "array" ? "list" : "map" };
  return { value: word(what), type: kind };
}

function nested(v: Json | undefined): unknown {
  if (v?.arrayValue) return list(v.arrayValue.values).map(nested);
  if (v?.kvlistValue) return Object.fromEntries(list(v.kvlistValue.values).map((p) => [word(p.key), nested(p.value)]));
  return Object.values(v ?? {})[0] ?? null;
}

const pairs = (v: unknown): Attribute[] => list(v).map((a) => ({ key: word(a.key), ...plain(a.value) }));
const numbered = (v: unknown, names: string, count: number): number => {
  const n = typeof v === "number" ? v : KIND_NAMES[word(v).replace(names, "").toLowerCase()] ?? 0;
  return n >= 0 && n <= count ? n : 0;
};
const statusOf = (code: unknown): number => (code === 2 || word(code).endsWith("ERROR") ? ERROR : code === 1 || word(code).endsWith("_OK") ? 1 : 0);

function otlpSpan(span: Json, resource: Json, scope: Json): Given {
  return {
    id: word(span.spanId), up: word(span.parentSpanId), name: word(span.name),
    service: pairs(resource.attributes).find((a) => a.key === "service.name")?.value ?? "",
    start: nanos(span.startTimeUnixNano), end: nanos(span.endTimeUnixNano), kind: numbered(span.kind, "SPAN_KIND_", 5), status: statusOf(span.status?.code),
    marks: (list(span.events).length ? HAS_EVENTS : 0) | (list(span.links).length ? HAS_LINKS : 0), span, around: { resource, scope },
  };
}

function otlpDetail(g: Given, base: bigint): Detail {
  const s = g.span;
  const scope: Json = g.around.scope;
  return {
    attributes: pairs(s.attributes), resource: pairs(g.around.resource.attributes), scope: [scope.name, scope.version].filter(Boolean).map(word).join(" "),
    scopeAttributes: pairs(scope.attributes),
    events: list(s.events).map((e) => ({ at: Number(nanos(e.timeUnixNano) - base), name: word(e.name), attributes: pairs(e.attributes) })),
    links: list(s.links).map((l) => ({ trace: traceHex(word(l.traceId)), span: spanHex(word(l.spanId)), attributes: pairs(l.attributes) })),
    message: word(s.status?.message), state: word(s.traceState), warnings: [],
    dropped: (s.droppedAttributesCount | 0) + (s.droppedEventsCount | 0) + (s.droppedLinksCount | 0),
  };
}

function addOtlp(resourceSpans: unknown, into: Map<string, Given[]>): void {
  for (const r of list(resourceSpans))
    for (const s of list(r.scopeSpans ?? r.instrumentationLibrarySpans))
      for (const span of list(s.spans)) {
        const id = traceHex(word(span.traceId));
        const given = otlpSpan(span, r.resource ?? {}, s.scope ?? s.instrumentationLibrary ?? {});
        const all = into.get(id);
        if (all) all.push(given);
        else into.set(id, [given]);
      }
}

// Everything that is a trace in the value; `otlp` gathers, for spans of one trace may be anywhere.
function take(v: any, out: Raw[], otlp: Map<string, Given[]>): void {
  if (Array.isArray(v)) return v.forEach((x) => take(x, out, otlp));
  if (!v || typeof v !== "object") return;
  const spans = v.resourceSpans ?? v.batches;
  if (spans) addOtlp(spans, otlp);
  else if (Array.isArray(v.spans)) out.push(jaegerTrace(v));
  else for (const inner of [v.data, v.result, v.trace, v.traces]) take(inner, out, otlp);
}

// The traces of a text; an error in words if it is no JSON.
export function tracesIn(text: string): Raw[] {
  const out: Raw[] = [];
  const otlp = new Map<string, Given[]>();
  try {
    take(JSON.parse(text), out, otlp);
  } catch (e) {
    const lines = text.split("\n").filter((l) => l.trim());
    if (lines.length < 2) throw new Error(`This is no JSON: ${(e as Error).message}`);
    lines.forEach((line, i) => {
      try {
        take(JSON.parse(line), out, otlp);
      } catch (inner) {
        throw new Error(`Line ${i + 1} is no JSON: ${(inner as Error).message}`);
      }
    });
  }
  for (const [id, given] of otlp) out.push(columns(id, given, otlpDetail));
  return out.filter((r) => r.count > 0);
}

// The traces of a file; an error if there is none.
export function readJson(text: string): Raw[] {
  const found = tracesIn(text);
  if (!found.length) throw new Error("There is no trace in it: neither resourceSpans (OTLP) nor data with spans (Jaeger).");
  return found;
}
