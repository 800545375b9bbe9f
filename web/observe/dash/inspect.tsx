// inspect.tsx - what is behind a panel: its data as a table and as files, its queries as they were asked
// with what they cost, its JSON.
import { useMemo, useState } from "preact/hooks";
import { valueText } from "../base/format";
import { base } from "../base/route";

import { timeText, zone } from "../base/time";
import { Copy, Layer, saveFile, Tabs } from "../parts/bits";
import { Table } from "../parts/table";
import { exploreAddress } from "./panel_frame";
import { type Cell, type Field, type Frame, shownText } from "./frame";
import { findPanel, type PageState } from "./page_state";
import type { PanelView } from "./panel_data";

export interface Sheet { name: string; columns: Field[]; length: number }

const fieldName = (f: Field): string => f.title ?? f.name;

// Series that all have times are one sheet, joined by them; the others are a sheet each.
export function sheetsOf(frames: Frame[]): Sheet[] {
  const all = frames.filter((f) => f.fields.length);
  const series = all.filter((f) => f.fields[0]!.type === "time" && f.kind !== "table" && f.kind !== "logs");
  const out: Sheet[] = [];
  if (series.length > 1) out.push(joined(series));
  if (series.length === 1) out.push({ name: series[0]!.name || series[0]!.refId || "Data", columns: series[0]!.fields, length: series[0]!.length });
  for (const f of all) if (!series.includes(f)) out.push({ name: f.name || f.refId || "Data", columns: f.fields, length: f.length });
  return out;
}

function joined(series: Frame[]): Sheet {
  const first = series[0]!.fields[0]!;
  const same = series.every((f) => f.fields[0]!.values === first.values);
  if (same) return { name: "All series", columns: [first, ...series.flatMap((f) => f.fields.slice(1))], length: first.values.length };
  const times = [...new Set(series.flatMap((f) => f.fields[0]!.values as number[]))].sort((a, b) => a - b);
  const at = new Map(times.map((t, i) => [t, i]));
  const columns: Field[] = [{ ...first, values: times }];
  for (const f of series)
    for (const x of f.fields.slice(1)) {
      const values = new Array<Cell>(times.length).fill(null);
      f.fields[0]!.values.forEach((t, i) => { values[at.get(t as number)!] = x.values[i]; });
      columns.push({ ...x, values });
    }
  return { name: "All series", columns, length: times.length };
}

function cellText(f: Field, v: Cell): string {
  if (v === null || v === undefined) return "";
  if (f.show) return shownText(f.show(v));
  if (f.type === "time") return timeText(Number(v));
  return typeof v === "object" ? JSON.stringify(v) : String(v);
}

function rawText(f: Field, v: Cell): string {
  if (v === null || v === undefined) return "";
  if (f.type === "time" && Number.isFinite(Number(v))) return new Date(Number(v)).toISOString();
  return typeof v === "object" ? JSON.stringify(v) : String(v);
}

// A cell that a spreadsheet would take for a formula is told that it is text.
const csvCell = (s: string): string => {
  const safe = /^[=@\t\r]|^[+-](?![\d.])/.test(s) ? `'${s}` : s;
  return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
};

export function csvOf(sheet: Sheet, formatted: boolean): string {
  const text = formatted ? cellText : rawText;
  const rows = [sheet.columns.map((c) => csvCell(fieldName(c))).join(",")];
  for (let i = 0; i < sheet.length; i++) rows.push(sheet.columns.map((c) => csvCell(text(c, c.values[i]))).join(","));
  return rows.join("\r\n") + "\r\n";
}

const COLUMNS_MAX = 60;

export function FrameTable({ frames, height }: { frames: Frame[]; height?: number }) {
  const sheets = useMemo(() => sheetsOf(frames), [frames]);
  const [at, setAt] = useState(0);
  const sheet = sheets[Math.min(at, sheets.length - 1)];
  void zone.value;
  if (!sheet) return <p class="panel-say">No data</p>;
  const columns = sheet.columns.slice(0, COLUMNS_MAX).map((c, k) => ({
    key: String(k), title: fieldName(c), right: c.type === "number",
    value: (i: number) => { const v = c.values[i]; return typeof v === "number" ? v : v === null || v === undefined ? "" : String(v); },
    cell: (i: number) => cellText(c, c.values[i]),
  }));
  const rows = Array.from({ length: sheet.length }, (_, i) => i);
  return (
    <div class="frame-table" style={height ? { height: `${height}px` } : undefined}>
      {(sheets.length > 1 || sheet.columns.length > COLUMNS_MAX) && (
        <div class="row">
          {sheets.length > 1 && <select aria-label="Data frame" value={String(at)} onChange={(e) => setAt(Number(e.currentTarget.value))}>
            {sheets.map((s, i) => <option key={i} value={String(i)}>{s.name}</option>)}
          </select>}
          {sheet.columns.length > COLUMNS_MAX && <span class="dim small">Showing the first {COLUMNS_MAX} of {sheet.columns.length} columns; the download has all.</span>}
        </div>
      )}
      <Table key={at} label={sheet.name} columns={columns} rows={rows} id={String} none="No data" />
    </div>
  );
}

const TABS = [["data", "Data"], ["query", "Queries"], ["json", "Panel JSON"]] as const;
type Tab = (typeof TABS)[number][0];

export function InspectLayer({ view, tab: first, page, onClose }: { view: PanelView; tab: string; page: PageState; onClose: () => void }) {
  const [tab, setTab] = useState<Tab>(TABS.find(([t]) => t === first)?.[0] ?? "data");
  const title = view.panel.title || "panel";
  return (
    <Layer label={`Inspect ${title}`} onClose={onClose} kind="inspect">
      <div class="bar"><h2>{title}</h2><button type="button" class="quiet end" onClick={onClose}>Close</button></div>
      <Tabs label="Inspect" value={tab} options={TABS} onChange={setTab} />
      {tab === "data" ? <Data view={view} title={title} /> : tab === "query" ? <Queries view={view} /> : <PanelJson view={view} page={page} />}
    </Layer>
  );
}

function Data({ view, title }: { view: PanelView; title: string }) {
  const [raw, setRaw] = useState(false);
  const [plain, setPlain] = useState(false);
  const frames = raw && view.result ? view.result.frames : view.frames;
  const sheets = sheetsOf(frames);
  const file = title.replace(/[^\w.-]+/g, "-");
  const csv = () => saveFile(`${file}.csv`, sheets.map((s) => csvOf(s, !plain)).join("\r\n"), "text/csv");
  const json = () => saveFile(`${file}.json`, JSON.stringify(frames.map((f) => ({
    name: f.name, refId: f.refId, fields: f.fields.map((x) => ({ name: fieldName(x), type: x.type, labels: x.labels, values: x.values })),
  })), null, 1), "application/json");
  return (
    <>
      <div class="bar">
        {!!view.panel.transformations?.length && <label class="inline"><input type="checkbox" checked={raw} onChange={(e) => setRaw(e.currentTarget.checked)} /> Before transformations</label>}
        <label class="inline"><input type="checkbox" checked={plain} onChange={(e) => setPlain(e.currentTarget.checked)} /> Plain values in CSV</label>
        <span class="row end">
          <button type="button" onClick={csv} disabled={!sheets.length}>Download CSV</button>
          <button type="button" onClick={json} disabled={!sheets.length}>Download JSON</button>
        </span>
      </div>
      <FrameTable frames={frames} />
    </>
  );
}

function Queries({ view }: { view: PanelView }) {
  const { result } = view;
  if (!result?.asked.length) return <p class="none">{result?.plan.silence ?? "No queries have run yet."}</p>;
  const explore = exploreAddress(view);
  return (
    <>
      <p class="dim small">{timeText(result.plan.from)} to {timeText(result.plan.to)}{explore && <> · <a href={explore}>Open in Explore</a></>}</p>
      <ul>
        {result.asked.map((a, i) => (
          <li key={i} class="asked">
            <div class="row"><b>{a.refId}</b><span class="dim small">{a.address.split("?")[0]}</span>
              <span class="end"><Copy text={a.expr} what={`query ${a.refId}`} /></span></div>
            <pre class="query" tabIndex={0} aria-label={`Query ${a.refId}`}><code>{a.expr}</code></pre>
            {a.error && <div class="failure">{a.error}</div>}
            <p class="dim small">{a.series} series · {valueText(a.took_ms / 1000, "s")} in all · {valueText(a.bytes, "bytes")}
              {a.stats && <> · {valueText(a.stats.timings.execTotalTime ?? a.stats.timings.evalTotalTime ?? 0, "s")} on the server · {valueText(a.stats.samples.totalQueryableSamples)} samples, {valueText(a.stats.samples.peakSamples)} at once</>}
              {" · "}<a href={`${base}${a.address}`} target="_blank" rel="noreferrer">the answer as JSON</a></p>
          </li>
        ))}
      </ul>
    </>
  );
}

function PanelJson({ view, page }: { view: PanelView; page: PageState }) {
  const text = JSON.stringify(findPanel(page.dashboard.value.panels, view.panel.id) ?? view.panel, null, 2);
  return (
    <>
      <div class="bar"><span class="end"><Copy text={text} what="the panel's JSON" /></span></div>
      <pre class="yaml" tabIndex={0} aria-label="Panel JSON"><code>{text}</code></pre>
    </>
  );
}
