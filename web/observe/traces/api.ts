// api.ts - what the pages about traces ask the server: Jaeger's API of the third version for searches
// by fields, Tempo's for TraceQL, for completion, and for a trace in protobuf. Their answers have forms
// of their own, not that of base/data.ts.
import { useEffect, useState } from "preact/hooks";
import { encode, type Query, underWay } from "../base/data";
import { base, href } from "../base/route";
import { beat } from "../base/time";
import { type Hit, hitOf, type Matched, ofSpans, withServices } from "./hit";
import { build, type Trace } from "./model";
import { parseTags, type Question } from "./query";

async function reply(path: string, query: Query, signal?: AbortSignal, accept = "application/json"): Promise<Response> {
  underWay.value++;
  try {
    const form = encode(query);
    return await fetch(`${base}${path}${form ? `?${form}` : ""}`, { signal, headers: { Accept: accept } });
  } catch (e) {
    if (e instanceof TypeError) throw new Error("The server does not answer.");
    throw e;
  } finally {
    underWay.value--;
  }
}

// What is wrong, in the words of whichever API says it.
async function trouble(r: Response): Promise<Error> {
  const text = (await r.text()).trim();
  let said = text.slice(0, 500);
  try {
    const json = JSON.parse(text);
    said = json.error?.message ?? json.errors?.[0]?.msg ?? json.error ?? said;
  } catch {
    // a plain text says it
  }
  return new Error(r.status === 501 ? "This server stores no traces: --traces.store is off." : said || `HTTP ${r.status}`);
}

export async function askJson<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const r = await reply(path, query, signal);
  if (!r.ok) throw await trouble(r);
  return (await r.json()) as T;
}

// What `load` gives, again when the key changes and, if it is live, at each beat; what was there stays until then.
export function useLoad<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>, live = true): { data?: T; error?: string; loading: boolean } {
  const [state, setState] = useState<{ data?: T; error?: string; loading: boolean; key?: string | null }>({ loading: key !== null });
  const turn = live ? beat.value : 0;
  useEffect(() => {
    if (key === null) {
      setState({ loading: false });
      return;
    }
    const abort = new AbortController();
    setState((old) => ({ ...old, loading: true }));
    load(abort.signal).then((data) => abort.signal.aborted || setState({ data, loading: false, key }),
      (e: Error) => abort.signal.aborted || setState((old) => ({ data: old.key === key ? old.data : undefined, error: e.message, loading: false, key })));
    return () => abort.abort();
  }, [key, turn]);
  return state;
}

// ---- searching

export interface Found {
  id: string;
  service: string; // of the root; empty: it is not there
  name: string;
  start: number; // ms since 1970
  duration: number; // s
  spans: number;
  errors: number;
  orphans: number;
  services: { name: string; spans: number; errors: number }[];
  hit?: Hit; // where one span was asked for, and it is not the root
}

export const traceHref = (f: Found): string => href(`/trace/${f.id}`, f.hit && { span: f.hit.span });

export interface Answered { traces: Found[]; partial: boolean; full: boolean } // full: as many as were asked for

interface Summary {
  traceId: string; rootServiceName?: string; rootOperationName?: string; minStartTimeUnixNano: string; maxEndTimeUnixNano: string;
  spanCount?: number; errorSpanCount?: number; orphanSpanCount?: number; services?: { name?: string; spanCount?: number; errorSpanCount?: number }[];
}

interface TempoTrace extends Matched {
  traceID: string; rootServiceName?: string; startTimeUnixNano: string; durationMs?: number;
  serviceStats?: Record<string, { spanCount: number; errorCount?: number }>;
}

const NO_ROOT = "<root span not yet received>";
const msOf = (ns: string): number => Number(BigInt(ns) / 1000n) / 1000;
const SPANS_MAX = 4000; // of an answer: enough of each trace to find the longest among them
const byName = (a: { name: string }, b: { name: string }): number => a.name.localeCompare(b.name);

function fromSummary(s: Summary): Found {
  return {
    id: s.traceId, service: s.rootServiceName ?? "", name: s.rootOperationName ?? "", start: msOf(s.minStartTimeUnixNano),
    duration: Math.max(0, Number(BigInt(s.maxEndTimeUnixNano) - BigInt(s.minStartTimeUnixNano)) / 1e9), spans: s.spanCount ?? 0, errors: s.errorSpanCount ?? 0,
    orphans: s.orphanSpanCount ?? 0,
    services: (s.services ?? []).map((x) => ({ name: x.name || "no service name", spans: x.spanCount ?? 0, errors: x.errorSpanCount ?? 0 })).sort(byName),
  };
}

function fromTempo(t: TempoTrace): Found {
  const services = Object.entries(t.serviceStats ?? {}).map(([name, s]) => ({ name: name || "no service name", spans: s.spanCount, errors: s.errorCount ?? 0 })).sort(byName);
  const sum = (what: "spans" | "errors") => services.reduce((n, s) => n + s[what], 0);
  const rooted = t.rootServiceName !== NO_ROOT;
  return {
    id: t.traceID.padStart(32, "0"), service: rooted ? t.rootServiceName ?? "" : "", name: t.rootTraceName ?? "", start: msOf(t.startTimeUnixNano),
    duration: t.durationNanos ? Number(t.durationNanos) / 1e9 : (t.durationMs ?? 0) / 1000, spans: sum("spans"), errors: sum("errors"), orphans: rooted ? 0 : 1, services,
    hit: hitOf(t, sum("spans")),
  };
}

export async function search(q: Question, start: number, end: number, signal?: AbortSignal): Promise<Answered> {
  const spans = ofSpans(q);
  if (spans) {
    const r = await askJson<{ traces?: TempoTrace[]; status?: string }>("/tempo/api/search", {
      q: withServices(spans), start: Math.floor(start / 1000), end: Math.ceil(end / 1000), limit: q.limit, spss: Math.max(3, Math.min(100, Math.floor(SPANS_MAX / q.limit))), exact: "1",
    }, signal);
    const traces = (r.traces ?? []).map(fromTempo);
    return { traces, partial: r.status === "PARTIAL", full: traces.length >= q.limit };
  }
  const tags = { ...parseTags(q.tags), ...(q.errors ? { error: "true" } : {}) };
  const r = await askJson<{ summaries?: Summary[] }>("/api/v3/trace-summaries", {
    "query.serviceName": q.service || undefined, "query.operationName": q.operation || undefined,
    "query.attributes": Object.keys(tags).length ? JSON.stringify(tags) : undefined,
    "query.startTimeMin": new Date(start).toISOString(), "query.startTimeMax": new Date(end).toISOString(),
    "query.durationMin": q.min || undefined, "query.durationMax": q.max || undefined, "query.searchDepth": q.limit,
  }, signal);
  const traces = (r.summaries ?? []).map(fromSummary);
  return { traces, partial: false, full: traces.length >= q.limit };
}

// ---- one trace

// Traces of files that were opened here; they go with the page.
const opened = new Map<string, Trace>();
export const LOCAL = "file-";

export function openTrace(t: Trace): string {
  const id = `${LOCAL}${opened.size + 1}`;
  opened.set(id, t);
  return id;
}

export interface Opened { trace: Trace; asked_ms: number; read_ms: number; bytes: number }

export async function loadTrace(id: string, signal?: AbortSignal): Promise<Opened> {
  if (id.startsWith(LOCAL)) {
    const trace = opened.get(id);
    if (!trace) throw new Error("This trace was opened from a file, which the page has let go. Open the file again under Traces.");
    return { trace, asked_ms: 0, read_ms: 0, bytes: 0 };
  }
  const began = performance.now();
  const r = await reply(`/tempo/api/v2/traces/${encodeURIComponent(id)}`, {}, signal, "application/protobuf");
  if (!r.ok && r.status !== 404) throw await trouble(r);
  const bytes = r.ok ? new Uint8Array(await r.arrayBuffer()) : new Uint8Array(0);
  const asked = performance.now();
  const { readOtlp } = await import("./otlp");
  const raw = readOtlp(bytes, id.toLowerCase().padStart(32, "0"));
  if (raw.count) {
    const trace = build(raw);
    return { trace, asked_ms: asked - began, read_ms: performance.now() - asked, bytes: bytes.length };
  }
  return loadArchived(id, began, signal);
}

// What the store has let go may be in the archive, which Jaeger's API knows.
async function loadArchived(id: string, began: number, signal?: AbortSignal): Promise<Opened> {
  const r = await reply("/api/traces", { traceID: id, raw: "true" }, signal);
  if (!r.ok) throw await trouble(r);
  const text = await r.text();
  const asked = performance.now();
  const { tracesIn } = await import("./json");
  const raw = tracesIn(text)[0];
  if (!raw) throw new Error("No trace of this id is stored: it may not have arrived yet, or be older than what is kept.");
  const trace = build(raw);
  return { trace, asked_ms: asked - began, read_ms: performance.now() - asked, bytes: text.length };
}

// ---- names, for the fields

export const services = (): Promise<string[]> => askJson<{ services: string[] }>("/api/v3/services").then((r) => r.services);
export const operations = (service: string): Promise<string[]> =>
  askJson<{ operations: { name: string }[] }>("/api/v3/operations", { service }).then((r) => [...new Set(r.operations.map((o) => o.name))].sort());

export interface TagScope { name: string; tags: string[] }
export const tagScopes = (start: number, end: number): Promise<TagScope[]> =>
  askJson<{ scopes: TagScope[] }>("/tempo/api/v2/search/tags", { start: Math.floor(start / 1000), end: Math.ceil(end / 1000) }).then((r) => r.scopes ?? []);

export interface TagValue { type: string; value: string }
export const tagValues = (tag: string, start: number, end: number): Promise<TagValue[]> =>
  askJson<{ tagValues: TagValue[] }>(`/tempo/api/v2/search/tag/${encodeURIComponent(tag)}/values`,
    { start: Math.floor(start / 1000), end: Math.ceil(end / 1000), limit: 500 }).then((r) => r.tagValues ?? []);
