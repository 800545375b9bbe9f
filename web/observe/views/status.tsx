// status.tsx - the server about itself: build and runtime, storage and cardinality, flags, the
// configuration that runs, queries under way, Alertmanagers, the last lines of its log.
import type { ComponentChildren } from "preact";
import { act, useAsk } from "../base/data";
import { matches, plural, valueText } from "../base/format";
import { may } from "../base/me";
import { href, parameter, setQuery } from "../base/route";
import { tell } from "../base/store";
import { beatAgain, timeText } from "../base/time";
import { Ago, Answer, Badge, Copy, Empty, Filter, Tabs, type Tone } from "../parts/bits";
import { Table } from "../parts/table";

const TABS = [["server", "Server"], ["storage", "Storage"], ["queries", "Queries"], ["configuration", "Configuration"],
  ["flags", "Flags"], ["alertmanagers", "Alertmanagers"], ["logs", "Logs"]] as const;
type Tab = (typeof TABS)[number][0];

const BODY: Record<Tab, () => ComponentChildren> = {
  server: () => <Server />, storage: () => <Storage />, queries: () => <Queries />,
  configuration: () => <Configuration />, flags: () => <Flags />, alertmanagers: () => <Alertmanagers />, logs: () => <Logs />,
};

export default function StatusView() {
  const tab = (TABS.find(([t]) => t === parameter("tab"))?.[0] ?? "server") as Tab;
  return (
    <>
      <Tabs label="Status" value={tab} options={TABS.filter(([t]) => t !== "logs" || may("admin"))} onChange={(v) => setQuery({ tab: v === "server" ? null : v, search: null })} />
      <div role="tabpanel" aria-label={tab} key={tab}>{BODY[tab]()}</div>
    </>
  );
}

function Facts({ title, rows }: { title: string; rows: [string, ComponentChildren][] }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      <dl class="pairs wide">{rows.map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>
    </section>
  );
}

interface Runtime {
  startTime: string; CWD: string; hostname: string; serverTime: string; reloadConfigSuccess: boolean; lastConfigTime: string;
  corruptionCount: number; GOMAXPROCS: number; storageRetention: string;
}
interface Replay { min: number; max: number; current: number }
interface Notice { text: string; date: string; active: boolean }

function Server() {
  const build = useAsk<Record<string, string>>("/api/v1/status/buildinfo");
  const runtime = useAsk<Runtime>("/api/v1/status/runtimeinfo");
  const replay = useAsk<Replay>("/api/v1/status/walreplay");
  const notes = useAsk<Notice[]>("/api/v1/notifications");
  return (
    <>
      {notes.data?.filter((n) => n.active).map((n) => <div key={n.text} class="failure" role="status">{n.text}</div>)}
      <div class="columns">
        <Answer of={runtime}>{(r) => (
          <Facts title="Runtime" rows={[
            ["Host", r.hostname], ["Started", <>{timeText(Date.parse(r.startTime))} (<Ago at={r.startTime} />)</>],
            ["Working directory", <span class="mono">{r.CWD}</span>], ["CPUs (GOMAXPROCS)", r.GOMAXPROCS], ["Retention", r.storageRetention || "unlimited"],
            ["Configuration", r.reloadConfigSuccess ? <Badge tone="good">loaded <Ago at={r.lastConfigTime} /></Badge> : <Badge tone="bad">last reload failed</Badge>],
            ["WAL corruptions", r.corruptionCount], ["Server time", timeText(Date.parse(r.serverTime))],
          ]} />
        )}</Answer>
        <Answer of={build}>{(b) => (
          <Facts title="Build" rows={[["Revision", b.revision || "–"], ["Prometheus API version", b.version ?? "–"]]} />
        )}</Answer>
        {replay.data && replay.data.current < replay.data.max && (
          <Facts title="WAL replay" rows={[["Segments", `${replay.data.current - replay.data.min} of ${replay.data.max - replay.data.min}`]]} />
        )}
      </div>
    </>
  );
}

interface Count { name: string; value: number }
interface Tsdb {
  headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
  seriesCountByMetricName: Count[]; labelValueCountByLabelName: Count[]; memoryInBytesByLabelName: Count[]; seriesCountByLabelValuePair: Count[];
}
interface Block {
  ulid: string; minTime: number; maxTime: number;
  stats: { numSamples?: number; numSeries?: number; numChunks?: number };
  compaction?: { level?: number };
}

function Storage() {
  const limit = parameter("limit") || "20";
  const tsdb = useAsk<Tsdb>("/api/v1/status/tsdb", { limit });
  const blocks = useAsk<{ blocks: Block[] }>("/api/v1/status/tsdb/blocks");
  return (
    <>
      <Answer of={tsdb}>{(t) => (
        <>
          <div class="tiles">
            <Tile name="Series in memory" value={valueText(t.headStats.numSeries)} />
            <Tile name="Chunks in memory" value={valueText(t.headStats.chunkCount)} />
            <Tile name="Label pairs" value={valueText(t.headStats.numLabelPairs)} />
            <Tile name="Oldest sample in memory" value={t.headStats.numSeries ? timeText(t.headStats.minTime) : "–"} />
            <Tile name="Newest sample" value={t.headStats.numSeries ? timeText(t.headStats.maxTime) : "–"} />
          </div>
          <div class="bar"><label class="inline">Rows <select value={limit} onChange={(e) => setQuery({ limit: e.currentTarget.value })}>
            {["10", "20", "50", "100", "1000"].map((n) => <option key={n}>{n}</option>)}
          </select></label></div>
          <div class="columns">
            <Top title="Series by metric" rows={t.seriesCountByMetricName} link={(n) => href("/explore", { "g0.expr": n, "g0.tab": "table" })} />
            <Top title="Values by label" rows={t.labelValueCountByLabelName} />
            <Top title="Memory by label" rows={t.memoryInBytesByLabelName} bytes />
            <Top title="Series by label and value" rows={t.seriesCountByLabelValuePair} />
          </div>
        </>
      )}</Answer>
      <Answer of={blocks}>{(b) => (
        <section class="card">
          <h2>Blocks on disk <span class="dim small">{plural(b.blocks.length, "block")}</span></h2>
          <Table label="Blocks" rows={b.blocks} id={(x) => x.ulid} sort="-min" none="None yet: a block is written every two hours." columns={[
            { key: "ulid", title: "Block", value: (x) => x.ulid, cell: (x) => <span class="mono">{x.ulid}</span> },
            { key: "min", title: "From", value: (x) => x.minTime, cell: (x) => timeText(x.minTime) },
            { key: "max", title: "To", value: (x) => x.maxTime, cell: (x) => timeText(x.maxTime) },
            { key: "series", title: "Series", right: true, value: (x) => x.stats.numSeries ?? 0, cell: (x) => valueText(x.stats.numSeries ?? 0) },
            { key: "samples", title: "Samples", right: true, value: (x) => x.stats.numSamples ?? 0, cell: (x) => valueText(x.stats.numSamples ?? 0) },
            { key: "level", title: "Level", right: true, value: (x) => x.compaction?.level ?? 0 },
          ]} />
        </section>
      )}</Answer>
    </>
  );
}

function Tile({ name, value }: { name: string; value: string }) {
  return <div class="tile"><span class="dim">{name}</span><b>{value}</b></div>;
}

// The largest, each with a bar of its share of the first.
function Top({ title, rows, bytes, link }: { title: string; rows: Count[]; bytes?: boolean; link?: (name: string) => string }) {
  const most = Math.max(1, ...rows.map((r) => r.value));
  return (
    <section class="card">
      <h2>{title}</h2>
      {!rows.length && <p class="none">No data yet.</p>}
      <ol class="top">
        {rows.map((r) => (
          <li key={r.name}>
            <span class="fill" style={{ width: `${(100 * r.value) / most}%` }} aria-hidden="true" />
            <span class="mono name">{link ? <a href={link(r.name)}>{r.name}</a> : r.name}</span>
            <span class="number">{bytes ? valueText(r.value, "bytes") : r.value.toLocaleString("en")}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

interface Running { id: number | string; query: string; client?: string; started?: string }

function Queries() {
  const asked = useAsk<Running[]>("/api/v1/status/queries");
  const kill = async (id: Running["id"]) => {
    try {
      await act(`/api/v1/admin/queries/${encodeURIComponent(String(id))}/kill`);
      tell("Query stopped.");
      beatAgain();
    } catch (e) {
      tell((e as Error).message, true);
    }
  };
  return (
    <Answer of={asked}>{(rows) => (
      <section class="card">
        <h2>Running queries</h2>
        <Table label="Running queries" rows={rows} id={(q) => String(q.id)} none="No queries are running." columns={[
          { key: "query", title: "Query", value: (q) => q.query, cell: (q) => <code>{q.query}</code> },
          { key: "client", title: "Client", value: (q) => q.client ?? "" },
          { key: "started", title: "Started", value: (q) => q.started ?? "", cell: (q) => <Ago at={q.started ?? ""} /> },
          { key: "kill", title: "Actions", value: () => "", cell: (q) => may("admin") && <button type="button" onClick={() => kill(q.id)}>Stop</button> },
        ]} />
      </section>
    )}</Answer>
  );
}

function Configuration() {
  const asked = useAsk<{ yaml: string }>("/api/v1/status/config");
  return (
    <Answer of={asked}>{(c) => (
      <section class="card">
        <h2>Configuration <span class="dim small">as loaded, including defaults; secrets are hidden</span> <Copy text={c.yaml} what="the configuration" /></h2>
        <pre class="yaml" tabIndex={0} aria-label="The configuration"><code>{c.yaml}</code></pre>
      </section>
    )}</Answer>
  );
}

function Flags() {
  const asked = useAsk<Record<string, string>>("/api/v1/status/flags");
  const filter = parameter("search");
  return (
    <Answer of={asked}>{(flags) => (
      <section class="card">
        <div class="bar"><Filter label="Filter flags" value={filter} onInput={(v) => setQuery({ search: v })} /></div>
        <Table label="Flags" sort="name" id={([k]) => k} rows={Object.entries(flags).filter((f) => matches(f.join(" "), filter))} none="No flags match." columns={[
          { key: "name", title: "Flag", value: ([k]) => k, cell: ([k]) => <span class="mono">--{k}</span> },
          { key: "value", title: "Value", value: ([, v]) => v, cell: ([, v]) => <span class="mono">{v || <span class="dim">empty</span>}</span> },
        ]} />
      </section>
    )}</Answer>
  );
}

interface Managers { activeAlertmanagers: { url: string }[]; droppedAlertmanagers: { url: string }[] }

function Alertmanagers() {
  const asked = useAsk<Managers>("/api/v1/alertmanagers");
  return (
    <Answer of={asked}>{(m) => !m.activeAlertmanagers.length && !m.droppedAlertmanagers.length ? (
      <Empty title="No Alertmanager is configured"><p>Add one under <code>alerting</code> in the configuration and firing alerts are sent to it.</p></Empty>
    ) : (
      <section class="card">
        <ul class="plain">
          {m.activeAlertmanagers.map((a) => <li key={a.url}><Badge tone="good">active</Badge> <span class="mono">{a.url}</span></li>)}
          {m.droppedAlertmanagers.map((a) => <li key={a.url}><Badge tone="calm">dropped</Badge> <span class="mono">{a.url}</span></li>)}
        </ul>
      </section>
    )}</Answer>
  );
}

// ---- the log

interface LogLine { at: number; level: string; text: string; fields: string }

const LEVEL_TONE: Record<string, Tone> = { WARN: "warn", ERROR: "bad", FATAL: "bad" };

// A line is a JSON object; on a terminal the log is written for people, with colours.
function logLine(line: string): LogLine {
  try {
    const { timestamp, level, message, service: _, logger, ...rest } = JSON.parse(line) as Record<string, unknown>;
    const fields = Object.entries(rest).map(([k, v]) => `${k}=${typeof v === "string" ? v : JSON.stringify(v)}`);
    return { at: Date.parse(String(timestamp)), level: String(level), text: `${logger ? `${logger}: ` : ""}${message}`, fields: fields.join(" ") };
  } catch {
    return { at: NaN, level: "", text: line.replace(/\x1b\[[\d;]*m/g, ""), fields: "" };
  }
}

function Logs() {
  const asked = useAsk<{ lines: string[] }>("/api/v1/status/logs");
  const filter = parameter("search");
  return (
    <Answer of={asked}>{({ lines }) => {
      const rows = lines.map((l, i) => ({ ...logLine(l), i })).filter((r) => matches(`${r.level} ${r.text} ${r.fields}`, filter)).reverse();
      return (
        <>
          <div class="bar"><Filter label="Filter by level or text" value={filter} onInput={(v) => setQuery({ search: v })} /></div>
          <Table label="Recent log lines" rows={rows} id={(r) => `${r.i} ${r.at}`} none="No lines match." columns={[
            { key: "at", title: "Time", value: (r) => r.at, cell: (r) => <span class="mono nowrap">{timeText(r.at)}</span> },
            { key: "level", title: "Level", value: (r) => r.level, cell: (r) => <Badge tone={LEVEL_TONE[r.level] ?? "calm"}>{r.level || "–"}</Badge> },
            { key: "text", title: "Message", value: (r) => r.text, cell: (r) => <span class="wrap">{r.text} <span class="dim mono">{r.fields}</span></span> },
          ]} />
        </>
      );
    }}</Answer>
  );
}
