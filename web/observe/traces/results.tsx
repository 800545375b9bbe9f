// results.tsx - the traces that a search found: points over time and a list, sorted as wanted. The newest
// come first; those before them are asked for page by page, back to the range's beginning.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { plural, valueText } from "../base/format";
import { go, href, parameter, route, setQuery } from "../base/route";
import { from, range, timeParts, timeText, to } from "../base/time";
import { Ago, Badge, Choice, Empty, Failure, Loading } from "../parts/bits";
import { viewCommands } from "../parts/commands";
import { type Answered, type Found, search, traceHref, useLoad } from "./api";
import { colorsOf, shortId } from "./look";
import { type Question, questionOf } from "./query";
import { Scatter } from "./scatter";

const LIMIT_MAX = 10000;
const AT_ONCE = 50;
const SERVICES_SHOWN = 12;

const took = (f: Found): number => (f.hit ?? f).duration; // of what was asked for

const SORTS = {
  newest: ["Newest", (a: Found, b: Found) => b.start - a.start],
  longest: ["Longest", (a: Found, b: Found) => took(b) - took(a)],
  shortest: ["Shortest", (a: Found, b: Found) => took(a) - took(b)],
  spans: ["Most spans", (a: Found, b: Found) => b.spans - a.spans],
  errors: ["Most errors", (a: Found, b: Found) => b.errors - a.errors],
} as const;
type Sort = keyof typeof SORTS;

export function Results() {
  const q = questionOf(route.value.query);
  const { start, end } = range.value;
  const asked = useLoad(JSON.stringify([q, start, end]), (signal) => search(q, start, end, signal), false);
  const older = useOlder(q, asked.data, start);
  const all = useMemo(() => joined(asked.data?.traces ?? [], older.found.filter((f) => f.start >= start)), [asked.data, older.found, start]);
  return (
    <>
      {asked.error && <Failure text={asked.error} />}
      {!asked.data ? !asked.error && <Loading />
        : !asked.data.traces.length ? (
          <Empty title="No trace is like that in this range">
            <p>Widen the range, or take a condition away. Spans arrive at <code>localhost:4318</code> by OTLP; <a href={href("/status")}>Status</a> and
              <code> sextant_receiver_accepted_spans_total</code> tell whether any did.</p>
          </Empty>
        ) : (
          <>
            {asked.data.partial && <div class="notice">Not all that is stored was looked through: a limit of time or size ended the search.</div>}
            <FoundList found={all} start={start} end={end} />
            {older.error && <Failure text={older.error} />}
            {older.more && <p class="row"><button type="button" disabled={older.loading} onClick={older.load}>Load more</button>
              <span class="dim small">The {all.length} newest are here, back to {timeText(oldestOf(all))}.</span></p>}
          </>
        )}
    </>
  );
}

const oldestOf = (found: Found[]): number => found.reduce((t, f) => Math.min(t, f.start), Infinity);
const joined = (a: Found[], b: Found[]): Found[] => [...new Map([...b, ...a].map((f) => [f.id, f])).values()];

// Pages before the first. They stay while the first is asked again, and go with the question.
function useOlder(q: Question, first: Answered | undefined, start: number) {
  const key = JSON.stringify([q, from.value, to.value]);
  const none = { key, found: [] as Found[], more: undefined as boolean | undefined, loading: false, error: "" };
  const [kept, set] = useState(none);
  const state = kept.key === key ? kept : none;
  const load = async () => {
    set({ ...state, loading: true, error: "" });
    try {
      const known = joined(first?.traces ?? [], state.found);
      const ids = new Set(known.map((f) => f.id));
      // Where more began in one moment than a page has, the page has to be larger.
      for (let limit = q.limit; ; limit *= 4) {
        const page = await search({ ...q, limit: Math.min(limit, LIMIT_MAX) }, start, oldestOf(known) + 1);
        const fresh = page.traces.filter((f) => !ids.has(f.id));
        if (!fresh.length && page.full && limit < LIMIT_MAX) continue;
        set({ key, found: [...state.found, ...fresh], more: page.full && fresh.length > 0, loading: false, error: "" });
        return;
      }
    } catch (e) {
      set({ ...state, loading: false, error: (e as Error).message });
    }
  };
  return { ...state, more: state.more ?? first?.full ?? false, load };
}

export function FoundList({ found, start, end }: { found: Found[]; start: number; end: number }) {
  const sort = (parameter("sort") in SORTS ? parameter("sort") : "newest") as Sort;
  const other = parameter("with");
  const [shown, setShown] = useState(AT_ONCE);
  const list = useRef<HTMLUListElement>(null);
  const sorted = [...found].sort(SORTS[sort][1]);
  const longest = Math.max(...found.map((f) => f.duration), 1e-9);
  const colors = colorsOf(found.flatMap((f) => f.services.map((s) => s.name)));
  useEffect(() => {
    const step = (by: number) => {
      const rows = [...(list.current?.querySelectorAll<HTMLElement>("a.trace-link:not([tabindex])") ?? [])];
      const now = rows.findIndex((r) => r.closest("li")!.contains(document.activeElement));
      rows[Math.max(0, Math.min(rows.length - 1, now + by))]?.focus();
    };
    return viewCommands([
      { id: "next", title: "Next trace", keys: "j", run: () => step(1) },
      { id: "previous", title: "Trace before", keys: "k", run: () => step(-1) },
    ]);
  }, []);
  return (
    <section class="card" aria-label="Traces found">
      <div class="bar found-bar">
        <b>{plural(found.length, "trace")}</b>
        <span class="dim small">◆ with an error: {found.filter((f) => f.errors).length}</span>
        <span class="end"><Choice label="Sort" value={sort} options={Object.entries(SORTS).map(([k, [text]]) => [k as Sort, text] as const)} onChange={(s) => setQuery({ sort: s === "newest" ? null : s })} /></span>
      </div>
      {other && <div class="notice row">Compare trace {shortId(other)} with one of these. <button type="button" class="quiet" onClick={() => setQuery({ with: null })}>Do not compare</button></div>}
      <Scatter found={found} start={start} end={end} />
      <ul class="traces-found" ref={list} aria-label="Traces">
        {sorted.slice(0, shown).map((f) => <FoundRow key={f.id} f={f} longest={longest} colors={colors} other={other} />)}
      </ul>
      {sorted.length > shown && <p class="row"><button type="button" onClick={() => setShown(shown + 4 * AT_ONCE)}>Show {Math.min(4 * AT_ONCE, sorted.length - shown)} more of {sorted.length}</button></p>}
    </section>
  );
}

function FoundRow({ f, longest, colors, other }: { f: Found; longest: number; colors: Map<string, string>; other: string }) {
  const compare = () => (other && other !== f.id ? go(href(`/trace/${other}...${f.id}`)) : setQuery({ with: other === f.id ? null : f.id }));
  const clock = timeParts(f.start);
  return (
    <li class={f.errors ? "failed" : ""}>
      <span class="share" aria-hidden="true" style={{ width: `${Math.max(0.2, (100 * f.duration) / longest)}%` }} />
      <div class="found-head">
        <a class="trace-link" href={traceHref(f)}><b style={{ "--service": colors.get(f.service) ?? "var(--dim)" }}>{f.service || "no root yet"}</b> {f.name}</a>
        <code class="dim">{shortId(f.id)}</code>
        {f.errors > 0 && <Badge tone="bad">{plural(f.errors, "error")}</Badge>}
        {f.orphans > 0 && <Badge tone="warn">incomplete</Badge>}
        <span class="end" title={timeText(f.start)}>{clock.time}.{clock.ms} <span class="dim small"><Ago at={f.start} /></span></span>
        <b class="took">{f.duration ? valueText(f.duration, "s") : "< 1 ms"}</b>
      </div>
      {f.hit && (
        <div class="found-head found-hit">
          <a class="trace-link" tabIndex={-1} href={traceHref(f)}><span aria-hidden="true">↳</span><b style={{ "--service": colors.get(f.hit.service) ?? "var(--dim)" }}>{f.hit.service}</b> {f.hit.name}</a>
          <span class="dim small">{f.hit.among}</span>
          <b class="took end">{valueText(f.hit.duration, "s")}</b>
        </div>
      )}
      <div class="found-foot">
        <span class="dim small">{plural(f.spans, "span")}</span>
        {f.services.slice(0, SERVICES_SHOWN).map((s) => (
          <span key={s.name} class="service-chip"><i style={{ background: colors.get(s.name) }} />{s.name} <span class="dim">{s.spans}</span>{s.errors > 0 && <span class="bad-text" title={plural(s.errors, "error")}>◆{s.errors}</span>}</span>
        ))}
        {f.services.length > SERVICES_SHOWN && <span class="dim small">and {f.services.length - SERVICES_SHOWN} more</span>}
        <button type="button" class="quiet end" aria-pressed={other === f.id} aria-label={`Compare trace ${shortId(f.id)}`} onClick={compare}>{other === f.id ? "First of two" : "Compare"}</button>
      </div>
    </li>
  );
}
