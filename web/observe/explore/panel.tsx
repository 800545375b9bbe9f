// panel.tsx - one query of the explore page: typed, run, and shown as a graph, a table or an
// explanation. What was run is in the address as gN.expr, gN.tab and so on, as Prometheus's page has
// it; what is only typed is not.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Asked, useAsk } from "../base/data";
import { plural, seriesName, type Unit, unitOf, valueText, matches, sampleNumber } from "../base/format";
import { base, href } from "../base/route";
import { durationText, parseDuration, range, timeText } from "../base/time";
import { Answer, Choice, Copy, Failure, Filter, LabelList, saveFile, Tabs } from "../parts/bits";
import { Chart, type Line } from "../parts/chart";
import { Table } from "../parts/table";
import { QueryField } from "./field";
import { Heatmap } from "./heatmap";
import type { Part } from "./browser";
import { past, remember, saved } from "./memory";
import { align, apiAddress, csvOf, type ExemplarSeries, heatOf, marksOf, rangeQuery, type Result, type Series, type Stats, stepFor } from "./query";

export type PanelState = Record<string, string>; // gN.* of the address, without gN.

const TABS = [["graph", "Graph"], ["table", "Table"], ["explain", "Explain"]] as const;
type Tab = (typeof TABS)[number][0];
const MODES = [["lines", "Lines"], ["stacked", "Stacked"], ["heatmap", "Heat map"]] as const;
type Mode = (typeof MODES)[number][0];
const SHIFTS = ["", "1h", "1d", "1w"];
const LINES_MAX = 10000;

export function Panel({ index, state, change, remove, alone, onBrowse }: {
  index: number; state: PanelState; change: (with_: PanelState, push?: boolean) => void;
  remove: () => void; alone: boolean; onBrowse: (part?: Part) => void;
}) {
  const expr = state.expr ?? "";
  const [typed, setTyped] = useState(expr);
  const [at, setAt] = useState(-1); // in the history
  useEffect(() => setTyped(expr), [expr]);
  const tab = (TABS.find(([t]) => t === state.tab)?.[0] ?? "graph") as Tab;
  const run = () => {
    const text = typed.trim();
    if (text) remember(text);
    setAt(-1);
    change({ expr: text }, true);
  };
  const step = (direction: -1 | 1) => {
    const next = Math.max(-1, Math.min(past.value.length - 1, at - direction));
    setAt(next);
    setTyped(next < 0 ? expr : past.value[next]!);
  };
  const isSaved = saved.value.includes(typed.trim());
  const toggleSaved = () => {
    const text = typed.trim();
    if (text) saved.value = isSaved ? saved.value.filter((s) => s !== text) : [text, ...saved.value];
  };
  return (
    <section class="card panel" aria-label={`Query ${index + 1}`}>
      <div class="query-row">
        <QueryField label={`Query ${index + 1}`} text={typed} onChange={setTyped} onRun={run} onHistory={step} />
        <div class="row query-tools">
          <button type="button" class="main" onClick={run}>Run</button>
          <button type="button" class="icon" aria-pressed={isSaved} aria-label={isSaved ? "Forget this query" : "Keep this query"} title="Keep" onClick={toggleSaved}>{isSaved ? "★" : "☆"}</button>
          <button type="button" class="quiet" aria-pressed={!!state.builder} title="Put the query together step by step" onClick={() => change({ builder: state.builder ? "" : "1" })}>Builder</button>
          <button type="button" class="quiet" onClick={() => onBrowse()}>Metrics</button>
          <button type="button" class="quiet" title="Queries kept and run before" onClick={() => onBrowse(saved.value.length ? "kept" : "past")}>History</button>
          {!alone && <button type="button" class="quiet" onClick={remove}>Remove</button>}
        </div>
      </div>
      {state.builder && <BuilderLater id={`q${index}`} text={typed} onChange={setTyped} onRun={run} onBrowse={() => onBrowse()} />}
      {expr ? (
        <>
          <Tabs label="How it is shown" value={tab} options={TABS} onChange={(t) => change({ tab: t })} />
          {tab === "graph" ? <Graph key={expr} expr={expr} state={state} change={change} />
            : tab === "table" ? <Instant key={expr} expr={expr} state={state} change={change} /> : <Explain key={expr} expr={expr} />}
        </>
      ) : <p class="none">Type a query and press Enter, pick a metric under Metrics, or put one together with the Builder. Ctrl-Space completes, Ctrl-↑ brings back earlier ones.</p>}
    </section>
  );
}

type BuilderProps = { id: string; text: string; onChange: (text: string) => void; onRun: () => void; onBrowse: () => void };

// Loaded by those who use it.
function BuilderLater(props: BuilderProps) {
  const [made, setMade] = useState<{ Body: ComponentType<BuilderProps> } | string>();
  useEffect(() => void import("./builder").then((m) => setMade({ Body: m.default }), (e: Error) => setMade(e.message)), []);
  return typeof made === "string" ? <Failure text={made} /> : made ? <made.Body {...props} /> : null;
}

function Notices({ of }: { of: Asked<unknown> }) {
  const all = [...(of.reply?.warnings ?? []), ...(of.reply?.infos ?? [])];
  return <>{all.map((w) => <div key={w} class="notice">{w}</div>)}</>;
}

function Figures({ of, stats, series }: { of: Asked<unknown>; stats?: Stats; series: number }) {
  if (!of.reply) return null;
  return (
    <span class="dim small figures">
      {plural(series, "series", "series")}
      {stats && <> · {valueText(stats.samples.totalQueryableSamples)} samples · {valueText(stats.timings.execTotalTime ?? 0, "s")} on the server</>}
      {" · "}{valueText(of.reply.took_ms / 1000, "s")} in all · {valueText(of.reply.bytes, "bytes")}
    </span>
  );
}

function Graph({ expr, state, change }: { expr: string; state: PanelState; change: (s: PanelState, push?: boolean) => void }) {
  const mode = (MODES.find(([m]) => m === state.display_mode)?.[0] ?? "lines") as Mode;
  const { start, end } = range.value;
  const given = parseDuration(state.step_input ?? "") / 1000 || Number(state.step_input) || 0;
  const stepS = given > 0 ? Math.max(given, Math.ceil((end - start) / 11e6)) : stepFor(end - start);
  const query = rangeQuery(expr, start, end, stepS);
  const from = query.start as number;
  const to = query.end as number;
  const asked = useAsk<Result>("/api/v1/query_range", query);
  const shiftS = parseDuration(state.shift ?? "") / 1000 || 0;
  const before = useAsk<Result>(shiftS ? "/api/v1/query_range" : null, { ...query, start: from - shiftS, end: to - shiftS });
  const exemplars = useAsk<ExemplarSeries[]>(state.show_exemplars === "1" ? "/api/v1/query_exemplars" : null, { query: expr, start: from, end: to });
  return (
    <>
      <div class="bar graph-bar">
        <Choice label="Display" value={mode} options={MODES} onChange={(m) => change({ display_mode: m })} />
        <label class="inline">Step <input class="step" value={state.step_input ?? ""} placeholder={durationText(stepS * 1000)}
          aria-label="Step" onChange={(e) => change({ step_input: e.currentTarget.value.trim() })} /></label>
        <label class="inline">Compare <select value={state.shift ?? ""} aria-label="Compare with" onChange={(e) => change({ shift: e.currentTarget.value })}>
          {[...new Set([...SHIFTS, state.shift ?? ""])].map((s) => <option key={s} value={s}>{s ? `${s} before` : "no"}</option>)}
        </select></label>
        <label class="inline"><input type="checkbox" checked={state.show_exemplars === "1"} onChange={(e) => change({ show_exemplars: e.currentTarget.checked ? "1" : "" })} /> Exemplars</label>
      </div>
      <Notices of={asked} />
      {before.error && <Failure text={before.error} />}
      <Answer of={asked}>{(data) => {
        const result = data.resultType === "matrix" ? data.result : [];
        return (
          <>
            <Drawn expr={expr} mode={mode} series={result} from={from} to={to} stepS={stepS} shiftS={shiftS}
              older={before.data?.resultType === "matrix" ? before.data.result : []} exemplars={exemplars.data ?? []} />
            <div class="row foot">
              <Figures of={asked} stats={data.stats} series={result.length} />
              <span class="end row"><Exports expr={expr} series={result} from={from} to={to} stepS={stepS} json={base + apiAddress("/api/v1/query_range", query)} /></span>
            </div>
          </>
        );
      }}</Answer>
    </>
  );
}

function Drawn({ expr, mode, series, older, from, to, stepS, shiftS, exemplars }: {
  expr: string; mode: Mode; series: Series[]; older: Series[]; from: number; to: number; stepS: number; shiftS: number; exemplars: ExemplarSeries[];
}) {
  const unit = unitOf(expr);
  if (!series.length) return <p class="none">Nothing was found in this range. Is the name right, and the time?</p>;
  if (mode === "heatmap") {
    const heat = heatOf(series, from, to, stepS);
    return heat ? <Heatmap heat={heat} unit={unit} label={expr} />
      : <p class="none">A heat map wants a histogram: native, or buckets as in <code>sum by (le) (rate(name_bucket[5m]))</code>.</p>;
  }
  const { times, lines } = align(series.slice(0, LINES_MAX), from, to, stepS);
  const names = new Map(lines.map((l, i) => [l.name, i]));
  const all: Line[] = !older.length ? lines : [...lines, ...align(older, from - shiftS, to - shiftS, stepS).lines
    .filter((l) => names.has(l.name)).map((l) => ({ ...l, name: `${l.name} ${durationText(shiftS * 1000)} before`, dashed: true }))];
  return (
    <>
      {series.length > LINES_MAX && <div class="notice">The first {LINES_MAX} of {series.length} series are drawn.</div>}
      <Chart times={times} lines={all} unit={unit} stacked={mode === "stacked"} label={expr} marks={marksOf(exemplars)} />
      <ExemplarLinks expr={expr} series={exemplars} unit={unit} />
    </>
  );
}

const EXEMPLARS_SHOWN = 12;

// The largest values that tell which trace they were seen in lead there; the trace leads back to here.
function ExemplarLinks({ expr, series, unit }: { expr: string; series: ExemplarSeries[]; unit: Unit }) {
  const traced = marksOf(series).filter((m) => m.labels.trace_id ?? m.labels.traceID).sort((a, b) => b.value - a.value).slice(0, EXEMPLARS_SHOWN);
  if (!traced.length) return null;
  return (
    <div class="row small" role="group" aria-label="Traces of exemplars">
      <span class="dim">Traces, the largest first:</span>
      {traced.map((m) => {
        const id = m.labels.trace_id ?? m.labels.traceID!;
        return <a key={`${id} ${m.at}`} class="quiet" href={href(`/trace/${id}`, { span: m.labels.span_id ?? m.labels.spanID ?? "", expr })} title={`${id} at ${timeText(m.at * 1000)}`}>◆ {valueText(m.value, unit)}</a>;
      })}
    </div>
  );
}

function Exports({ expr, series, from, to, stepS, json }: { expr: string; series: Series[]; from: number; to: number; stepS: number; json: string }) {
  const csv = () => {
    const { times, lines } = align(series, from, to, stepS);
    saveFile("query.csv", csvOf(times, lines), "text/csv");
  };
  const png = (e: Event) => {
    const canvas = (e.currentTarget as Element).closest(".panel")!.querySelector("canvas");
    if (!canvas) return;
    const out = document.createElement("canvas");
    out.width = canvas.width;
    out.height = canvas.height + 28;
    const g = out.getContext("2d")!;
    const style = getComputedStyle(document.documentElement);
    g.fillStyle = style.getPropertyValue("--card");
    g.fillRect(0, 0, out.width, out.height);
    g.fillStyle = style.getPropertyValue("--text");
    g.font = "14px monospace";
    g.fillText(expr.replace(/\s+/g, " "), 10, 19);
    g.drawImage(canvas, 0, 28);
    out.toBlob((b) => b && saveFile("query.png", b, "image/png"));
  };
  return (
    <>
      <button type="button" class="quiet" onClick={csv}>CSV</button>
      <button type="button" class="quiet" onClick={png}>PNG</button>
      <a class="quiet" href={json} target="_blank" rel="noreferrer">JSON</a>
      <Copy text={location.href} what="the address of this view" />
    </>
  );
}

interface Row { id: string; name: string; labels: Record<string, string>; value: number; text: string }

function Instant({ expr, state, change }: { expr: string; state: PanelState; change: (s: PanelState) => void }) {
  const time = Math.round(range.value.end / 1000);
  const query = { query: expr, time, stats: "all" };
  const asked = useAsk<Result>("/api/v1/query", query);
  const filter = state.filter ?? "";
  return (
    <>
      <Notices of={asked} />
      <Answer of={asked}>{(data) => {
        const rows = rowsOf(data).filter((r) => matches(r.id, filter));
        return (
          <>
            <div class="bar"><Filter label="Filter series" value={filter} onInput={(v) => change({ filter: v })} /><span class="dim small">at {timeText(time * 1000)}</span></div>
            <Table label={`Values of ${expr}`} rows={rows} id={(r) => r.id} none="Nothing has this name at this time." columns={[
              { key: "series", title: "Series", value: (r) => r.id, cell: (r) => <span class="series-cell"><b class="mono">{r.name}</b> <LabelList labels={r.labels} /></span> },
              { key: "value", title: "Value", right: true, value: (r) => r.value, cell: (r) => <span class="mono" title={r.text}>{r.text}</span> },
            ]} />
            <div class="row foot">
              <Figures of={asked} stats={data.stats} series={rows.length} />
              <span class="end row">
                <button type="button" class="quiet" onClick={() => saveFile("query.csv", rows.reduce((s, r) => `${s}"${r.id.replace(/"/g, '""')}",${r.text}\n`, "series,value\n"), "text/csv")}>CSV</button>
                <a class="quiet" href={base + apiAddress("/api/v1/query", query)} target="_blank" rel="noreferrer">JSON</a>
              </span>
            </div>
          </>
        );
      }}</Answer>
    </>
  );
}

function rowsOf(data: Result): Row[] {
  if (data.resultType === "scalar" || data.resultType === "string")
    return [{ id: data.resultType, name: data.resultType, labels: {}, value: sampleNumber(data.result[1]), text: data.result[1] }];
  if (data.resultType === "matrix")
    return data.result.map((s) => ({
      id: seriesName(s.metric), name: s.metric.__name__ ?? "", labels: s.metric, value: s.values?.length ?? s.histograms?.length ?? 0,
      text: (s.values ?? []).map(([t, v]) => `${v} @${t}`).join("\n") || plural(s.histograms?.length ?? 0, "histogram"),
    }));
  return data.result.map((s) => ({
    id: seriesName(s.metric), name: s.metric.__name__ ?? "", labels: s.metric,
    value: sampleNumber(s.value?.[1] ?? s.histogram?.[1].count ?? "NaN"),
    text: s.value?.[1] ?? `count ${s.histogram?.[1].count}, sum ${s.histogram?.[1].sum}`,
  }));
}

function Explain({ expr }: { expr: string }) {
  const { start, end } = range.value;
  const asked = useAsk<Result & { explain?: string }>("/api/v1/query_range", { ...rangeQuery(expr, start, end, stepFor(end - start)), explain: "1" });
  return (
    <Answer of={asked}>{(data) => (
      <>
        <pre class="yaml" tabIndex={0} aria-label="How the query is evaluated"><code>{data.explain ?? "The server explains nothing."}</code></pre>
        <div class="row foot"><Figures of={asked} stats={data.stats} series={Array.isArray(data.result) ? data.result.length : 1} /></div>
        {data.stats && (
          <dl class="pairs wide">
            {Object.entries(data.stats.timings).map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{valueText(v, "s")}</dd></div>)}
            <div><dt>peakSamples</dt><dd>{valueText(data.stats.samples.peakSamples)}</dd></div>
          </dl>
        )}
      </>
    )}</Answer>
  );
}
