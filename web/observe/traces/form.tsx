// form.tsx - what is searched for: by fields, as Jaeger's page has them, or in TraceQL. What is typed
// goes to the address when it is run; what was run before is remembered by the browser.
import { useEffect, useState } from "preact/hooks";
import { go, href, route, setQuery } from "../base/route";
import { kept } from "../base/store";
import { parseDuration, range } from "../base/time";
import { Choice } from "../parts/bits";
import { operations, services, tagScopes, type TagScope, tagValues } from "./api";
import { describe, fieldName, LIMITS, literal, parseTags, type Question, questionOf, spotIn, tagsText, toTraceQl, traceIdIn } from "./query";
import { type Offers, Suggest } from "./suggest";

const RECENT_MAX = 20;
const recent = kept<string[]>("traces.recent", []); // the addresses' queries

const fieldsOf = (q: Question): Record<string, string | null> => ({
  service: q.service || null, operation: q.operation || null, tags: q.tags.trim() || null, minDuration: q.min.trim() || null, maxDuration: q.max.trim() || null,
  errors: q.errors ? "1" : null, limit: q.limit === 20 ? null : String(q.limit), q: q.mode === "traceql" ? q.q.trim() || "{ }" : null, mode: null,
});

let scopes: { at: number; list: Promise<TagScope[]> } | undefined; // asked once a minute
function names(): Promise<TagScope[]> {
  const { start, end } = range.value;
  if (!scopes || Date.now() - scopes.at > 60000) scopes = { at: Date.now(), list: tagScopes(start, end).catch(() => []) };
  return scopes.list;
}

const has = (text: string, part: string): boolean => text.toLowerCase().includes(part.toLowerCase());
const KEYWORDS = ["status = error", "kind = server", "duration > 100ms", "| count() > 1", "&& ", "|| "];

async function traceQlOffers(text: string, cursor: number): Promise<Offers | undefined> {
  const spot = spotIn(text, cursor);
  if (!spot) return undefined;
  const { start, end } = range.value;
  if (spot.field) {
    const values = await tagValues(spot.field, start, end);
    return { from: spot.from, list: values.filter((v) => has(v.value, spot.word)).map((v) => ({ text: literal(v.type, v.value), note: v.type })) };
  }
  const all = (await names()).flatMap((s) => s.tags.map((t) => ({ text: fieldName(s.name, t), note: s.name })));
  const found = all.filter((o) => has(o.text, spot.word)).sort((a, b) => Number(b.text.startsWith(spot.word)) - Number(a.text.startsWith(spot.word)));
  return { from: spot.from, list: spot.word ? found : [...KEYWORDS.map((k) => ({ text: k })), ...found] };
}

async function tagOffers(text: string, cursor: number): Promise<Offers | undefined> {
  const before = text.slice(0, cursor);
  const value = /(?:^|\s)([^\s="]+)=("?)([^\s"]*)$/.exec(before);
  const { start, end } = range.value;
  if (value) {
    const found = (await tagValues(`.${value[1]}`, start, end)).filter((v) => has(v.value, value[3]));
    return { from: cursor - value[2].length - value[3].length, list: found.map((v) => ({ text: tagsText({ x: v.value }).slice(2), note: v.type })) };
  }
  const word = /[^\s="]*$/.exec(before)![0];
  const tags = [...new Set((await names()).filter((s) => s.name !== "intrinsic").flatMap((s) => s.tags))].sort();
  return { from: cursor - word.length, list: ["error", ...tags].filter((t) => has(t, word)).map((t) => ({ text: `${t}=` })) };
}

// Why the fields cannot be asked for; empty: they can.
function wrong(q: Question): string {
  if (q.mode === "traceql") return "";
  try {
    parseTags(q.tags);
  } catch (e) {
    return (e as Error).message;
  }
  for (const d of [q.min, q.max]) if (d && !/^\d+(\.\d+)?(ns|us|µs)$/.test(d) && Number.isNaN(parseDuration(d))) return `"${d}" is no duration: 100ms, 1.5s or 250us.`;
  return "";
}

export function SearchForm({ onFile }: { onFile: (files: FileList) => void }) {
  const asked = questionOf(route.value.query);
  const key = JSON.stringify(asked);
  const [q, setQ] = useState(asked);
  const [known, setKnown] = useState<string[]>([]);
  const [ops, setOps] = useState<string[]>([]);
  useEffect(() => setQ(questionOf(route.value.query)), [key]);
  useEffect(() => void services().then(setKnown, () => undefined), []);
  useEffect(() => {
    setOps([]);
    if (known.includes(q.service)) operations(q.service).then(setOps, () => undefined);
  }, [q.service, known]);
  const change = (part: Partial<Question>) => setQ({ ...q, ...part });
  const problem = wrong(q);
  const run = (e?: Event) => {
    e?.preventDefault();
    const id = traceIdIn(q.mode === "traceql" ? q.q : q.tags) ?? traceIdIn(q.service);
    if (id) return go(href(`/trace/${id}`));
    if (problem) return;
    setQuery(fieldsOf(q), true);
    const query = new URLSearchParams();
    for (const [k, v] of Object.entries(fieldsOf(q))) if (v) query.set(k, v);
    const text = query.toString();
    if (text) recent.value = [text, ...recent.value.filter((r) => r !== text)].slice(0, RECENT_MAX);
  };
  const mode = (to: Question["mode"]) => change({ mode: to, q: to === "traceql" && !q.q ? toTraceQl(q) : q.q });
  const field = (name: "service" | "operation" | "min" | "max", label: string, list?: string[], placeholder = "") => (
    <label class={`field-${name}`}>{label}
      <input name={name} value={q[name]} placeholder={placeholder} list={list && `${name}-names`} spellcheck={false} autocomplete="off" onInput={(e) => change({ [name]: e.currentTarget.value })} />
      {list && <datalist id={`${name}-names`}>{list.map((n) => <option key={n} value={n} />)}</datalist>}
    </label>
  );
  return (
    <form class="card trace-form" role="search" aria-label="Search traces" onSubmit={run}>
      <div class="row">
        <Choice label="How to search" value={q.mode} options={[["fields", "Fields"], ["traceql", "TraceQL"]]} onChange={mode} />
        {recent.value.length > 0 && (
          <select aria-label="Recent searches" value="" onChange={(e) => e.currentTarget.value && go(href("/traces", Object.fromEntries(new URLSearchParams(e.currentTarget.value))))}>
            <option value="">Recent…</option>
            {recent.value.map((r) => <option key={r} value={r}>{describe(questionOf(new URLSearchParams(r)))}</option>)}
          </select>
        )}
        <label class="button end">Open a file
          <input type="file" class="file-away" accept=".json,.jsonl,application/json" multiple aria-label="Open a file of traces" onChange={(e) => e.currentTarget.files && onFile(e.currentTarget.files)} />
        </label>
      </div>
      <div class={`trace-fields by-${q.mode}`}>
        {q.mode === "traceql" ? (
          <label class="wide">TraceQL, or a trace's id
            <Suggest id="traceql" label="TraceQL" value={q.q} placeholder={'{ resource.service.name = "shop" && status = error }'} onInput={(v) => change({ q: v })} offers={traceQlOffers} />
          </label>
        ) : (
          <>
            {field("service", "Service", known, "any")}
            {field("operation", "Operation", ops, "any")}
            <label class="field-tags">Tags, or a trace's id
              <Suggest id="tags" label="Tags" value={q.tags} placeholder="http.response.status_code=500 error=true" onInput={(v) => change({ tags: v })} offers={tagOffers} />
            </label>
            {field("min", "Longer than", undefined, "100ms")}
            {field("max", "Shorter than", undefined, "2s")}
          </>
        )}
        <label>At most
          <select value={String(q.limit)} onChange={(e) => change({ limit: Number(e.currentTarget.value) })}>
            {[...new Set([...LIMITS, q.limit])].sort((a, b) => a - b).map((n) => <option key={n} value={String(n)}>{n}</option>)}
          </select>
        </label>
        {q.mode === "fields" && <label class="inline"><input type="checkbox" checked={q.errors} onChange={(e) => change({ errors: e.currentTarget.checked })} /> Errors only</label>}
        <button type="submit" class="main">Search</button>
      </div>
      <p class="hint" role="status">{problem}</p>
    </form>
  );
}
