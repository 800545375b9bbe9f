// page.tsx - the page of one trace: what it is about, and its spans in the several ways to see them.
// What is chosen is in the address, but for what is folded.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { plural, valueText } from "../base/format";
import { href, parameter, setQuery } from "../base/route";
import { timeText } from "../base/time";
import { Copy, Failure, Loading, Tabs } from "../parts/bits";
import { viewCommands } from "../parts/commands";
import { LOCAL, loadTrace, type Opened, useLoad } from "./api";
import { Details } from "./details";
import { Flame } from "./flame";
import { TraceGraph } from "./graph";
import { colorsOf, nsText, shortId } from "./look";
import { Minimap, type Span2 } from "./minimap";
import { findSpan, KINDS, keptBy, nameOf, rowsOf, searchSpans, serviceOf, spanId, startMs, type Trace } from "./model";
import { criticalPath, longestRoot, type Path, selfTimes } from "./path";
import { CriticalList, OperationTable } from "./tables";
import { saveTrace } from "./save";
import { rowOf, rowsText, Waterfall, type WaterfallHandle } from "./waterfall";

const VIEWS = [["", "Waterfall"], ["flame", "Flame graph"], ["table", "Operations"], ["critical", "Critical path"], ["graph", "Graph"]] as const;
type View = (typeof VIEWS)[number][0];
const SHARES = [0, 0.001, 0.01, 0.05, 0.1, 0.25];
const FIND_MS = 150;
const ADDRESS_MS = 250; // browsers refuse an address that changes too often

export function TracePage({ id }: { id: string }) {
  // Asked again by hand or by the interval, for spans may still arrive; while none has, nothing changes.
  const last = useRef<Opened | undefined>(undefined);
  const asked = useLoad<Opened>(id, async (signal) => {
    const now = await loadTrace(id, signal);
    const before = last.current?.trace;
    if (!before || before.count !== now.trace.count || before.length !== now.trace.length || before.partial !== now.trace.partial) last.current = now;
    return last.current!;
  });
  return (
    <>
      {asked.error && <Failure text={asked.error} />}
      {asked.error && <p class="row"><a href={href("/traces")}>Search traces</a><button type="button" onClick={() => location.reload()}>Ask again</button></p>}
      {asked.data ? <Shown key={asked.data.trace.count} opened={asked.data} /> : !asked.error && <Loading />}
    </>
  );
}

function Shown({ opened }: { opened: Opened }) {
  const t = opened.trace;
  const made = useMemo(() => {
    const began = performance.now();
    return { path: criticalPath(t), self: selfTimes(t), ms: performance.now() - began };
  }, [t]);
  const view = (VIEWS.find(([v]) => v === parameter("view"))?.[0] ?? "") as View;
  const toSpan = (i: number) => setQuery({ view: null, span: spanId(t, i) });
  return (
    <div class={view ? "trace-page" : "trace-page falls"} data-spans={t.count} data-asked={Math.round(opened.asked_ms)} data-read={Math.round(opened.read_ms + made.ms)}>
      <Head t={t} opened={opened} />
      <Tabs label="How the trace is shown" value={view} options={VIEWS} onChange={(v) => setQuery({ view: v || null })} />
      {view === "" && <Spans t={t} path={made.path} self={made.self} />}
      {view === "flame" && <Flame t={t} onSpan={toSpan} />}
      {view === "table" && <OperationTable t={t} path={made.path} onSpan={toSpan} />}
      {view === "critical" && <CriticalList t={t} path={made.path} onSpan={toSpan} />}
      {view === "graph" && <TraceGraph t={t} onSpan={toSpan} path={made.path} />}
    </div>
  );
}

function Head({ t, opened }: { t: Trace; opened: Opened }) {
  const root = longestRoot(t);
  const colors = colorsOf(t.services);
  const expr = parameter("expr"); // of the exemplar that led here
  const local = t.id && location.pathname.includes(`/${LOCAL}`);
  const [all, setAll] = useState(false);
  const names = all ? t.services : t.services.slice(0, 12);
  const only = parameter("only");
  const notes = [
    t.partial, t.roots > 1 && t.missing < t.roots - 1 ? `It has ${t.roots} roots.` : "",
    t.missing ? `The parent of ${plural(t.missing, "span")} is not here: the trace is incomplete, or still arriving.` : "",
  ].filter(Boolean);
  return (
    <div class="trace-head">
      <div class="row">
        <h2><b style={{ "--service": colors.get(serviceOf(t, root)) }}>{serviceOf(t, root)}</b> {nameOf(t, root)}</h2>
        <code class="dim" title={t.id}>{shortId(t.id)}</code><Copy text={t.id} what="the trace's id" />
        <span class="end row">
          {expr && <a class="quiet" href={href("/explore", { "g0.expr": expr, "g0.show_exemplars": "1" })}>Back to the graph</a>}
          {!local && <a class="quiet" href={href("/traces", { with: t.id, service: serviceOf(t, root), operation: nameOf(t, root) })}>Compare…</a>}
          <button type="button" class="quiet" onClick={() => saveTrace(t)}>JSON</button>
        </span>
      </div>
      <dl class="facts wrap">
        <div><dt>Duration</dt><dd><b>{nsText(t.length)}</b></dd></div>
        <div><dt>Begins</dt><dd>{timeText(startMs(t))}</dd></div>
        <div><dt>Spans</dt><dd>{t.count}</dd></div>
        <div><dt>Errors</dt><dd class={t.errors ? "bad-text" : ""}>{t.errors ? `◆ ${t.errors}` : "0"}</dd></div>
        <div><dt>Depth</dt><dd>{t.depthMax + 1}</dd></div>
        <div><dt>Services</dt><dd>{t.services.length}</dd></div>
        {opened.bytes > 0 && <div class="loaded"><dt>Loaded</dt><dd>{valueText(opened.bytes, "bytes")} in {valueText(opened.asked_ms / 1000, "s")}, read in {valueText(opened.read_ms / 1000, "s")}</dd></div>}
      </dl>
      <div class="chips">
        {names.map((s) => (
          <button key={s} type="button" class="service-chip" aria-pressed={only === s} title={only === s ? "Show all services" : "Show this service alone"} onClick={() => setQuery({ only: only === s ? null : s, view: null })}>
            <i style={{ background: colors.get(s) }} />{s}
          </button>
        ))}
        {t.services.length > 12 && <button type="button" class="quiet" onClick={() => setAll(!all)}>{all ? "Fewer" : `All ${t.services.length}`}</button>}
      </div>
      {notes.map((n) => <p key={String(n)} class="notice">▲ {n}</p>)}
    </div>
  );
}

function zoomOf(t: Trace): Span2 {
  const [a, b] = parameter("zoom").split("-").map(Number);
  return a >= 0 && b > a && b <= t.length * 1.0001 ? { from: a, to: b } : { from: 0, to: t.length };
}

function Spans({ t, path, self }: { t: Trace; path: Path; self: Float64Array }) {
  const colors = useMemo(() => colorsOf(t.services), [t]);
  const given = findSpan(t, parameter("span"));
  const [cursor, setCursor] = useState(given >= 0 ? given : 0);
  const [open, setOpen] = useState(given >= 0);
  const [folds, setFolds] = useState({ of: new Uint8Array(t.count) });
  const [text, setText] = useState(parameter("find") || parameter("uiFind")); // uiFind: Jaeger's
  const [hits, setHits] = useState<{ list: Int32Array; set: ReadonlySet<number> }>({ list: new Int32Array(0), set: new Set() });
  const sought = useRef<{ t: Trace; text: string; list: Int32Array }>(undefined);
  const handle = useRef<WaterfallHandle>(null);
  const window = zoomOf(t);
  const keep = { minShare: Number(parameter("min")) || 0, kind: KINDS.indexOf(parameter("kind")), errors: parameter("errors") === "1", only: parameter("only") };
  const kept = useMemo(() => keptBy(t, { ...keep, services: new Set(keep.only ? [keep.only] : []) }), [t, ...Object.values(keep)]);
  const rows = useMemo(() => rowsOf(t, folds.of, kept), [t, folds, kept]);

  // What is looked for, once typing pauses or at Enter.
  const seek = (): Int32Array => {
    if (sought.current?.t !== t || sought.current.text !== text) {
      const list = searchSpans(t, text);
      sought.current = { t, text, list };
      setHits({ list, set: new Set(list) });
      setQuery({ find: text || null, uiFind: null });
    }
    return sought.current.list;
  };
  useEffect(() => {
    const timer = setTimeout(seek, text ? FIND_MS : 0);
    return () => clearTimeout(timer);
  }, [t, text]);
  useEffect(() => {
    const timer = setTimeout(() => setQuery({ span: open ? spanId(t, cursor) : null }), ADDRESS_MS);
    return () => clearTimeout(timer);
  }, [cursor, open]);

  // Unfolds what is above a span and goes to it.
  const reveal = (i: number) => {
    let changed = false;
    for (let p = t.parent[i]; p >= 0; p = t.parent[p]) if (folds.of[p]) {
      folds.of[p] = 0;
      changed = true;
    }
    if (changed) setFolds({ of: folds.of });
    setCursor(i);
    requestAnimationFrame(() => handle.current?.show(i, true));
  };
  const fold = (i: number, on: boolean) => {
    folds.of[i] = on ? 1 : 0;
    setFolds({ of: folds.of });
  };
  const foldAll = (on: boolean) => {
    for (let i = 0; i < t.count; i++) folds.of[i] = on && t.size[i] > 1 ? 1 : 0;
    setFolds({ of: folds.of });
    if (on) {
      let top = cursor;
      while (t.parent[top] >= 0) top = t.parent[top];
      setCursor(top);
      requestAnimationFrame(() => handle.current?.show(top));
    }
  };
  const jump = (by: number) => {
    const list = seek();
    const n = list.length;
    if (!n) return;
    let at = list.findIndex((h) => (by > 0 ? h > cursor : h >= cursor));
    if (at < 0) at = by > 0 ? 0 : n;
    reveal(list[by > 0 ? at : (at - 1 + n) % n]);
  };
  const zoom = (w: Span2 | null) => setQuery({ zoom: w && w.to > w.from ? `${Math.round(w.from)}-${Math.max(Math.round(w.to), Math.round(w.from) + 1)}` : null });
  const zoomTo = (i: number) => {
    const room = Math.max(t.end[i] - t.start[i], 10) * 0.05;
    zoom({ from: Math.max(0, t.start[i] - room), to: Math.min(t.length, t.end[i] + room) });
  };
  const live = useRef({ jump, foldAll, cursor, zoom, zoomTo });
  live.current = { jump, foldAll, cursor, zoom, zoomTo };
  useEffect(() => {
    if (given >= 0) reveal(given);
    if (document.activeElement === document.body) handle.current?.focus();
    const find = () => document.querySelector<HTMLElement>(".trace-bar input[type=search]")?.focus();
    return viewCommands([
      { id: "find", title: "Search within the trace", keys: "/", run: find },
      { id: "next hit", title: "Next match", keys: "n", run: () => live.current.jump(1) },
      { id: "hit before", title: "Match before", keys: "N", run: () => live.current.jump(-1) },
      { id: "next span", title: "Next span", keys: "f", run: () => handle.current?.step(1) },
      { id: "span before", title: "Span before", keys: "b", run: () => handle.current?.step(-1) },
      { id: "fold all", title: "Fold all spans", keys: "[", run: () => live.current.foldAll(true) },
      { id: "unfold all", title: "Unfold all spans", keys: "]", run: () => live.current.foldAll(false) },
      { id: "zoom span", title: "Zoom to the span", keys: "z", run: () => live.current.zoomTo(live.current.cursor) },
      { id: "zoom none", title: "Show the whole trace", keys: "Z", run: () => live.current.zoom(null) },
    ]);
  }, []);
  const nth = hits.list.indexOf(cursor);
  const close = () => {
    setOpen(false);
    handle.current?.focus();
  };
  return (
    <>
      <div class="bar trace-bar">
        <input class="filter" type="search" value={text} placeholder="Search spans: a word, or key=value" aria-label="Search spans" spellcheck={false}
          onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => { if (e.key === "Enter") { e.preventDefault(); jump(e.shiftKey ? -1 : 1); } else if (e.key === "Escape") handle.current?.focus(); }} />
        <span class="row hits" role="status">{text && (hits.list.length ? <>{nth >= 0 ? `${nth + 1} of ${hits.list.length}` : plural(hits.list.length, "match", "matches")}</> : "no match")}</span>
        <button type="button" class="icon" aria-label="Match before" title="Match before (N)" disabled={!hits.list.length} onClick={() => jump(-1)}>↑</button>
        <button type="button" class="icon" aria-label="Next match" title="Next match (n)" disabled={!hits.list.length} onClick={() => jump(1)}>↓</button>
        <select aria-label="Hide short spans" value={String(keep.minShare)} onChange={(e) => setQuery({ min: e.currentTarget.value === "0" ? null : e.currentTarget.value })}>
          {[...new Set([...SHARES, keep.minShare])].map((s) => <option key={s} value={String(s)}>{s ? `from ${s * 100} % on` : "any duration"}</option>)}
        </select>
        <select aria-label="Kind of spans" value={keep.kind >= 0 ? KINDS[keep.kind] : ""} onChange={(e) => setQuery({ kind: e.currentTarget.value || null })}>
          <option value="">any kind</option>{KINDS.map((k) => <option key={k} value={k}>{k}</option>)}
        </select>
        <label class="inline"><input type="checkbox" checked={keep.errors} onChange={(e) => setQuery({ errors: e.currentTarget.checked ? "1" : null })} /> Errors</label>
        <button type="button" class="quiet" title="Fold all ([)" onClick={() => foldAll(true)}>Fold</button>
        <button type="button" class="quiet" title="Unfold all (])" onClick={() => foldAll(false)}>Unfold</button>
        {parameter("zoom") && <button type="button" class="quiet" title="The whole trace (Z)" onClick={() => zoom(null)}>Whole</button>}
        <span class="dim small end">{rowsText(rows, t)}</span>
      </div>
      <div class={open ? "trace-split open" : "trace-split"}>
        <div class="trace-main card">
          <Minimap t={t} colors={colors} window={window} onWindow={zoom} />
          {rows.length ? <Waterfall t={t} path={path} rows={rows} kept={kept} folded={folds.of} window={window} cursor={rows[rowOf(rows, cursor)]} hits={hits.set} handle={handle}
            onFold={fold} onCursor={setCursor} onWindow={zoom} onOpen={(i) => { setCursor(i); setOpen(!(open && i === cursor)); }} />
            : <p class="none">No span is like that. <button type="button" class="quiet" onClick={() => setQuery({ min: null, kind: null, errors: null, only: null })}>Show all</button></p>}
        </div>
        {open && <Details t={t} i={cursor} self={self[cursor]} onClose={close} onSpan={reveal} onZoom={() => zoomTo(cursor)} />}
      </div>
    </>
  );
}
