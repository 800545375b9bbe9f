// browser.tsx - the metrics browser: every metric with its type, unit, help and number of series; and
// the queries that were kept or run before. What is picked goes into the query.
import { useMemo, useState } from "preact/hooks";
import { useAsk } from "../base/data";
import { matches, type Labels } from "../base/format";
import { Answer, Choice, Filter, Layer } from "../parts/bits";
import { Table } from "../parts/table";
import { past, saved } from "./memory";

interface Meta { type: string; unit: string; help: string }
interface MetricRow { name: string; type: string; unit: string; help: string; series: number }

// What one usually wants to see first of a metric of this kind.
export function starter(name: string, type: string): string {
  if (type === "counter" || /_total$/.test(name)) return `rate(${name}[5m])`;
  if (/_bucket$/.test(name)) return `histogram_quantile(0.95, sum by (le) (rate(${name}[5m])))`;
  if (/_(count|sum)$/.test(name) && /histogram|summary/.test(type)) return `rate(${name}[5m])`;
  return name;
}

const SUFFIX = /_(bucket|count|sum|total|created)$/;

type Part = "metrics" | "kept" | "past";

export function Browser({ onPick, onClose }: { onPick: (expr: string) => void; onClose: () => void }) {
  const [part, setPart] = useState<Part>("metrics");
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

function Metrics({ filter, onPick }: { filter: string; onPick: (expr: string) => void }) {
  const names = useAsk<string[]>("/api/v1/label/__name__/values");
  const meta = useAsk<Record<string, Meta[]>>("/api/v1/metadata");
  const counts = useAsk<{ resultType: string; result: { metric: Labels; value: [number, string] }[] }>(
    "/api/v1/query", { query: 'count by (__name__) ({__name__!=""})' });
  const rows = useMemo(() => {
    const series = new Map((counts.data?.result ?? []).map((s) => [s.metric.__name__ ?? "", Number(s.value[1])]));
    return (names.data ?? []).map((name): MetricRow => {
      const m = meta.data?.[name]?.[0] ?? meta.data?.[name.replace(SUFFIX, "")]?.[0];
      return { name, type: m?.type ?? "", unit: m?.unit ?? "", help: m?.help ?? "", series: series.get(name) ?? 0 };
    });
  }, [names.data, meta.data, counts.data]);
  const shown = rows.filter((r) => matches(`${r.name} ${r.type} ${r.unit} ${r.help}`, filter));
  return (
    <Answer of={names}>{() => (
      <Table label="Metrics" rows={shown} id={(r) => r.name} sort="name" none="No metric is called so. Nothing scraped yet?" columns={[
        { key: "name", title: "Metric", value: (r) => r.name, cell: (r) => <button type="button" class="mono pick" onClick={() => onPick(starter(r.name, r.type))}>{r.name}</button> },
        { key: "type", title: "Type", value: (r) => r.type },
        { key: "series", title: "Series", right: true, value: (r) => r.series },
        { key: "help", title: "Help", value: (r) => r.help, cell: (r) => <span title={r.help}>{r.help}{r.unit && ` (${r.unit})`}</span> },
      ]} />
    )}</Answer>
  );
}
