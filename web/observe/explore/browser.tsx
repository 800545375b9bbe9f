// browser.tsx - the metrics browser: every metric with its type, unit, help and number of series, as a
// table or by the beginnings of the names; and the queries that were kept or run before. What is picked
// goes into the query, or into its builder.
import { useEffect, useMemo, useState } from "preact/hooks";
import { useAsk } from "../base/data";
import { matches, plural } from "../base/format";
import { Answer, Choice, Filter, Layer } from "../parts/bits";
import { Table } from "../parts/table";
import { past, saved } from "./memory";
import { isLike, type Metric, useMetrics } from "./metrics";
import { begin, write } from "./model";

// What one usually wants to see first of a metric of this kind.
export function starter(name: string, type: string): string {
  if (type === "counter" || /_total$/.test(name)) return `rate(${name}[5m])`;
  if (/_bucket$/.test(name)) return `histogram_quantile(0.95, sum by (le) (rate(${name}[5m])))`;
  if (/_(count|sum)$/.test(name) && /histogram|summary/.test(type)) return `rate(${name}[5m])`;
  return write({ metric: name, filters: [], offset: "", steps: [] });
}

export type Part = "metrics" | "kept" | "past";
type Pick = (expr: string, inBuilder?: boolean) => void;

export function Browser({ first = "metrics", onPick, onClose }: { first?: Part; onPick: Pick; onClose: () => void }) {
  const [part, setPart] = useState<Part>(first);
  const [filter, setFilter] = useState("");
  const list = part === "kept" ? saved : past;
  return (
    <Layer label="Metrics and queries" onClose={onClose} kind="browser">
      <div class="bar">
        <Choice label="What" value={part} onChange={setPart} options={[["metrics", "Metrics"], ["kept", "Kept"], ["past", "History"]]} />
        <Filter label="Filter by name or help" value={filter} onInput={setFilter} />
        <button type="button" class="quiet end" onClick={onClose}>Close</button>
      </div>
      {part === "metrics" ? <Metrics filter={filter} onPick={onPick} /> : (
        <>
          {!list.value.length && <p class="none">{part === "kept" ? "None is kept yet: the star beside a query keeps it." : "Nothing has been run here yet."}</p>}
          <ul class="plain picks">
            {list.value.filter((q) => matches(q, filter)).map((q) => (
              <li key={q} class="row">
                <button type="button" class="mono pick" onClick={() => onPick(q)}>{q}</button>
                <button type="button" class="icon" aria-label={`Forget ${q}`} onClick={() => (list.value = list.value.filter((x) => x !== q))}>×</button>
              </li>
            ))}
          </ul>
        </>
      )}
    </Layer>
  );
}

function Metrics({ filter, onPick }: { filter: string; onPick: Pick }) {
  const [type, setType] = useState("");
  const [job, setJob] = useState("");
  const [form, setForm] = useState<"flat" | "tree">("flat");
  const jobs = useAsk<string[]>("/api/v1/label/job/values");
  const { names, metrics } = useMetrics(job);
  const types = useMemo(() => [...new Set(metrics.map((m) => m.type))].sort(), [metrics]);
  const shown = useMemo(() => metrics.filter((m) => (!type || (m.type || "none") === type) && isLike(m, filter)), [metrics, type, filter]);
  return (
    <>
      <div class="bar">
        <label class="inline">Type <select value={type} onChange={(e) => setType(e.currentTarget.value)}>
          <option value="">all</option>{types.map((t) => <option key={t} value={t || "none"}>{t || "none"}</option>)}
        </select></label>
        <label class="inline">Job <select class="qb-job" value={job} onChange={(e) => setJob(e.currentTarget.value)}>
          <option value="">all</option>{jobs.data?.map((j) => <option key={j}>{j}</option>)}
        </select></label>
        <Choice label="Form" value={form} onChange={setForm} options={[["flat", "List"], ["tree", "Tree"]]} />
        <span class="dim small" role="status">{plural(shown.length, "metric")}, {plural(shown.reduce((n, m) => n + m.series, 0), "series", "series")}</span>
      </div>
      <Answer of={names}>{() => (form === "flat" || !shown.length ? <List metrics={shown} onPick={onPick} /> : <Branches metrics={shown} prefix="" onPick={onPick} />)}</Answer>
    </>
  );
}

function List({ metrics, onPick, label = "Metrics" }: { metrics: Metric[]; onPick: Pick; label?: string }) {
  return (
    <Table label={label} rows={metrics} id={(r) => r.name} sort="name" none="No metric is like that. Nothing scraped yet?" columns={[
      { key: "name", title: "Metric", value: (r) => r.name, cell: (r) => <button type="button" class="mono pick" title="Insert" onClick={() => onPick(starter(r.name, r.type))}>{r.name}</button> },
      { key: "builder", title: "Builder", value: () => "", cell: (r) => <button type="button" class="pick" aria-label={`Open ${r.name} in the builder`} onClick={() => onPick(write(begin(r.name, r.type)), true)}>Build</button> },
      { key: "type", title: "Type", value: (r) => r.type },
      { key: "unit", title: "Unit", value: (r) => r.unit },
      { key: "series", title: "Series", right: true, value: (r) => r.series },
      { key: "help", title: "Help", value: (r) => r.help, cell: (r) => <span title={r.help}>{r.help}</span> },
    ]} />
  );
}

const FEW = 30; // as many are listed without another branch

// Names that begin alike, up to the next "_", ":" or "."; what is alone there stands by itself.
function branch(metrics: Metric[], prefix: string): [string, Metric[]][] {
  const groups = new Map<string, Metric[]>();
  for (const m of metrics) {
    const rest = /^[^_:.]*[_:.]*/.exec(m.name.slice(prefix.length))![0];
    const key = prefix + rest;
    const group = groups.get(key);
    if (group) group.push(m);
    else groups.set(key, [m]);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

function Branches({ metrics, prefix, onPick }: { metrics: Metric[]; prefix: string; onPick: Pick }) {
  let list = branch(metrics, prefix);
  // Where all go on alike there is nothing to choose.
  while (list.length === 1 && list[0]![1].length > FEW && list[0]![1].some((m) => m.name !== list[0]![0])) list = branch(metrics, list[0]![0]);
  if (prefix && (metrics.length <= FEW || list.length === 1)) return <List metrics={metrics} onPick={onPick} label={`Metrics ${prefix}`} />;
  return <ul class="plain qb-tree">{list.map(([key, of]) => <Branch key={key} prefix={key} metrics={of} onPick={onPick} />)}</ul>;
}

function Branch({ prefix, metrics, onPick }: { prefix: string; metrics: Metric[]; onPick: Pick }) {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen((was) => was && metrics.length > 0), [metrics.length]);
  return (
    <li>
      <button type="button" class="fold" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="mono">{prefix}</span> <span class="dim small">{plural(metrics.length, "metric")}, {plural(metrics.reduce((n, m) => n + m.series, 0), "series", "series")}</span>
      </button>
      {open && <Branches metrics={metrics} prefix={prefix} onPick={onPick} />}
    </li>
  );
}
