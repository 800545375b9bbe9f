// query.ts - what is asked of the traces: the fields of the form as the address has them, tags as
// Jaeger's page takes them (logfmt or JSON), and what TraceQL's field can be completed with.

export interface Question {
  service: string;
  operation: string;
  tags: string;
  min: string;
  max: string;
  errors: boolean;
  limit: number;
  q: string; // TraceQL; its mode ignores the fields above but the limit
  mode: "fields" | "traceql";
}

export const LIMITS = [20, 50, 100, 200, 500, 1000, 1500];

export function questionOf(query: URLSearchParams): Question {
  const get = (name: string): string => query.get(name) ?? "";
  return {
    service: get("service"), operation: get("operation"), tags: get("tags"), min: get("minDuration"), max: get("maxDuration"),
    errors: get("errors") === "1", limit: Math.min(Math.max(Number(get("limit")) || 20, 1), 10000), q: get("q"),
    mode: get("mode") === "traceql" || (get("q") && !get("mode")) ? "traceql" : "fields",
  };
}

// "http.status_code=500 error name="a b"" or {"http.status_code":"500"}: an error in words otherwise.
export function parseTags(text: string): Record<string, string> {
  const trimmed = text.trim();
  if (trimmed.startsWith("{")) {
    let json: unknown;
    try {
      json = JSON.parse(trimmed);
    } catch (e) {
      throw new Error(`The tags are no JSON: ${(e as Error).message}`);
    }
    return Object.fromEntries(Object.entries(json as object).map(([k, v]) => [k, typeof v === "string" ? v : JSON.stringify(v)]));
  }
  const out: Record<string, string> = {};
  const one = /\s*([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?(?=\s|$)/y;
  let at = 0;
  while (at < trimmed.length) {
    one.lastIndex = at;
    const m = one.exec(trimmed);
    if (!m) throw new Error(`Tags are written as key=value or key="some words": "${trimmed.slice(at).trim().slice(0, 40)}" is neither.`);
    out[m[1]] = m[2] !== undefined ? m[2].replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c)) : m[3] ?? "true";
    at = one.lastIndex;
  }
  return out;
}

export function tagsText(tags: Record<string, string>): string {
  return Object.entries(tags).map(([k, v]) => {
    if (/^[^\s="\\]+$/.test(v)) return `${k}=${v}`;
    return `${k}="${v.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n")}"`;
  }).join(" ");
}

// A trace's id, if the text is one.
export const traceIdIn = (text: string): string | undefined => /^\s*([0-9a-f]{32}|[0-9a-f]{16})\s*$/i.exec(text)?.[1].toLowerCase();

const quoted = (s: string): string => `"${s.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n")}"`;
const name = (key: string): string => (/^[\w.\-/:]+$/.test(key) ? key : quoted(key));

// The form's fields in TraceQL, for who goes on from there. A value of tags is compared as a text, or
// as what it looks like.
// `wide`: tags are looked for in all the places where Jaeger's search looks, too.
export function toTraceQl(q: Question, wide = false): string {
  const all: string[] = [];
  if (q.service) all.push(`resource.service.name = ${quoted(q.service)}`);
  if (q.operation) all.push(`name = ${quoted(q.operation)}`);
  let tags: Record<string, string> = {};
  try {
    tags = parseTags(q.tags);
  } catch {
    // what is half typed is left out
  }
  for (const [k, v] of Object.entries(tags)) {
    const plain = /^(-?\d+(\.\d+)?|true|false)$/.test(v);
    if (k === "error") all.push(v === "false" ? "status != error" : "status = error");
    else {
      const places = wide ? ["", "resource", "event", "instrumentation"] : [""];
      const any = places.flatMap((p) => [quoted(v), ...(plain ? [v] : [])].map((x) => `${p}.${name(k)} = ${x}`));
      all.push(any.length > 1 ? `(${any.join(" || ")})` : any[0]);
    }
  }
  if (q.min) all.push(`duration >= ${q.min}`);
  if (q.max) all.push(`duration <= ${q.max}`);
  if (q.errors) all.push("status = error");
  return `{ ${all.join(" && ")} }`;
}

// ---- completing TraceQL: what stands at the cursor, and what could

export interface Spot {
  from: number; // what is replaced begins here and ends at the cursor
  word: string;
  field?: string; // values of this are wanted; else names
}

const FIELD = String.raw`((?:resource|span|event|link|instrumentation|parent)?\.(?:[\w.\-/]+|"[^"]*")|[a-zA-Z]+(?::[a-zA-Z]+)?)`;
const VALUE = new RegExp(`${FIELD}\\s*(?:=~|!~|!=|>=|<=|=|>|<)\\s*("?)([^"{}()&|\\s]*)$`);

export function spotIn(text: string, cursor: number): Spot | undefined {
  const before = text.slice(0, cursor);
  const open = (before.match(/"/g) ?? []).length % 2 === 1;
  const value = VALUE.exec(before);
  if (value) return { from: cursor - value[2].length - value[3].length, word: value[3], field: value[1] };
  if (open) {
    const within = /((?:resource|span|event|link|instrumentation|parent)?\.[\w.\-/]+|[a-zA-Z]+(?::[a-zA-Z]+)?)\s*(?:=~|!~|!=|=)\s*"([^"]*)$/.exec(before);
    return within ? { from: cursor - within[2].length - 1, word: within[2], field: within[1] } : undefined;
  }
  const word = /[\w.:\-/]*$/.exec(before)![0];
  return { from: cursor - word.length, word };
}

// A value as it is written: texts in quotes, the rest as it is.
export const literal = (type: string, value: string): string => (type === "string" ? quoted(value) : value);
export const fieldName = (scope: string, key: string): string => (scope === "intrinsic" ? key : `${scope}.${name(key)}`);

// ---- what was asked before

export function describe(q: Question): string {
  if (q.mode === "traceql") return q.q || "{ }";
  return [q.service, q.operation, q.tags, q.min && `≥ ${q.min}`, q.max && `≤ ${q.max}`, q.errors && "errors"].filter(Boolean).join(" · ") || "everything";
}
