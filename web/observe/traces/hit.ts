// hit.ts - which of a trace's spans a search was about: the question in TraceQL, whose answer has the
// spans that match, and the longest of them.
import { parseTags, type Question, toTraceQl } from "./query";

// Names that Jaeger's search makes up; TraceQL has none of these.
const MADE_UP = /^(event|(span|otel|resource|scope|w3c)\..*)$/;
const NAMELESS = /^(missing|empty)-(service|span)-name$/;

// The question in TraceQL where it is about spans, whose answer has those that match. Of a whole
// service, of a time and of what only Jaeger's search knows, traces are asked for instead.
export function ofSpans(q: Question): string | undefined {
  if (q.mode === "traceql") return q.q.trim() || "{}";
  const tags = Object.keys(parseTags(q.tags));
  if (!(q.operation || tags.length || q.errors) || tags.some((k) => MADE_UP.test(k)) || NAMELESS.test(q.service) || NAMELESS.test(q.operation)) return undefined;
  return toTraceQl(q, true);
}

// Each span with its service, unless the query's end is one that takes no further step.
export const withServices = (q: string): string => (/\b(with|select)\s*\(|service\.name/.test(q) ? q : `${q} | select(resource.service.name)`);

// The longest of the spans that were asked for.
export interface Hit { span: string; service: string; name: string; duration: number; among: string }

interface TempoSpan { spanID: string; name?: string; durationNanos?: string; attributes?: { key: string; value: { stringValue?: string } }[] }

export interface Matched { spanSets?: { spans?: TempoSpan[]; matched?: number }[]; rootTraceName?: string; durationNanos?: string }

export function hitOf(t: Matched, spans: number): Hit | undefined {
  const sets = t.spanSets ?? [];
  const of = sets.reduce((n, s) => n + (s.matched ?? 0), 0);
  const took = (s: TempoSpan): number => Number(s.durationNanos ?? 0);
  const given = sets.flatMap((s) => s.spans ?? []);
  const longest = given.reduce<TempoSpan | undefined>((a, b) => (a && took(a) >= took(b) ? a : b), undefined);
  if (!longest || of === spans) return undefined; // all of them: it was not a span that was asked for
  if (longest.name === t.rootTraceName && longest.durationNanos === t.durationNanos) return undefined;
  const service = longest.attributes?.find((a) => a.key === "service.name")?.value.stringValue ?? "";
  return { span: longest.spanID.padStart(16, "0"), service, name: longest.name ?? "", duration: took(longest) / 1e9, among: of > 1 ? `${of > given.length ? "one" : "longest"} of ${of}` : "" };
}
