// operations.tsx - what every operation does over the range: requests, errors and durations, from the
// metrics of spans. Each number leads to the traces behind it.
import { useMemo } from "preact/hooks";
import { useAsk } from "../base/data";
import { matches, valueText } from "../base/format";
import { href, parameter, setQuery } from "../base/route";
import { durationText, range } from "../base/time";
import { Choice, Empty, Failure, Filter } from "../parts/bits";
import { Table } from "../parts/table";
import { stepFor } from "../explore/query";
import { colorsOf, shareText } from "./look";

type Labels = Record<string, string>;
type Vector = { result: { metric: Labels; value: [number, string] }[] };
type Matrix = { result: { metric: Labels; values?: [number, string][] }[] };

const BY = "service_name, span_name, span_kind";
const CALLS = "traces_span_metrics_calls_total";
const TIMES = "traces_span_metrics_duration_milliseconds_bucket";
const POINTS_SHARE = 6; // of a graph's points: a sparkline is small

interface Row { key: string; service: string; name: string; kind: string; rate: number; errors: number; p50: number; p95: number; p99: number; calls: string; slow: string }

const keyOf = (m: Labels): string => `${m.service_name}\n${m.span_name}\n${m.span_kind}`;

// A line from the least to the most of its values, over the range.
function sparkOf(m: Matrix | undefined, start: number, end: number): Map<string, string> {
  const out = new Map<string, string>();
  for (const s of m?.result ?? []) {
    const points = (s.values ?? []).map(([t, v]): [number, number] => [t, Number(v)]).filter(([, v]) => Number.isFinite(v));
    const most = points.reduce((a, [, v]) => Math.max(a, v), 0);
    if (points.length < 2 || !most) continue;
    out.set(keyOf(s.metric), points.map(([t, v], i) => `${i ? "L" : "M"}${((100 * (t - start)) / (end - start)).toFixed(1)} ${(21 - 19 * (v / most)).toFixed(1)}`).join(""));
  }
  return out;
}

const Spark = ({ d }: { d: string }) => <svg class="spark small-spark" viewBox="0 0 100 22" preserveAspectRatio="none" aria-hidden="true">{d && <path d={d} />}</svg>;

export function Operations() {
  const service = parameter("service");
  const filter = parameter("search");
  const kinds = parameter("kind") || "server";
  const only = [service && `service_name=${JSON.stringify(service)}`, kinds === "server" && 'span_kind=~"SPAN_KIND_(SERVER|CONSUMER)"'].filter(Boolean).join(", ");
  const { start, end } = range.value;
  const time = Math.floor(end / 1000);
  const w = durationText(Math.max(60e3, Math.round((end - start) / 1000) * 1000));
  const step = stepFor((end - start) * POINTS_SHARE);
  const near = durationText(Math.max(step * 1000, 300e3));
  const from = Math.floor(start / 1000);
  const quantile = (q: number, over: string) => `histogram_quantile(${q}, sum by (${BY}, le) (rate(${TIMES}{${only}}[${over}])))`;
  const at = (query: string) => useAsk<Vector>("/api/v1/query", { query, time });
  const rate = at(`sum by (${BY}) (rate(${CALLS}{${only}}[${w}])) > 0`);
  const errors = at(`sum by (${BY}) (rate(${CALLS}{${[only, 'status_code="STATUS_CODE_ERROR"'].filter(Boolean).join(", ")}}[${w}]))`);
  const p = [at(quantile(0.5, w)), at(quantile(0.95, w)), at(quantile(0.99, w))];
  const calls = useAsk<Matrix>("/api/v1/query_range", { query: `sum by (${BY}) (rate(${CALLS}{${only}}[${near}]))`, start: from, end: time, step });
  const slow = useAsk<Matrix>("/api/v1/query_range", { query: quantile(0.95, near), start: from, end: time, step });
  const rows = useMemo(() => {
    const by = (v?: Vector) => new Map((v?.result ?? []).map((s) => [keyOf(s.metric), Number(s.value[1])]));
    const bad = by(errors.data);
    const q = p.map((x) => by(x.data));
    const callLines = sparkOf(calls.data, from, time);
    const slowLines = sparkOf(slow.data, from, time);
    return (rate.data?.result ?? []).map(({ metric: m, value }): Row => {
      const key = keyOf(m);
      return {
        key, service: m.service_name ?? "", name: m.span_name ?? "", kind: (m.span_kind ?? "").replace("SPAN_KIND_", "").toLowerCase(), rate: Number(value[1]),
        errors: (bad.get(key) ?? 0) / Number(value[1]), p50: q[0].get(key) ?? NaN, p95: q[1].get(key) ?? NaN, p99: q[2].get(key) ?? NaN,
        calls: callLines.get(key) ?? "", slow: slowLines.get(key) ?? "",
      };
    });
  }, [rate.data, errors.data, p[0].data, p[1].data, p[2].data, calls.data, slow.data]);
  const services = [...new Set([...rows.map((r) => r.service), ...(service ? [service] : [])])].sort();
  const colors = colorsOf(services);
  const error = rate.error ?? calls.error;
  const find = (r: Row, more: Record<string, string>) => href("/traces", { service: r.service, operation: r.name, ...more });
  const took = (key: "p50" | "p95" | "p99") => ({
    key, title: key, right: true, value: (r: Row) => r[key],
    cell: (r: Row) => (Number.isFinite(r[key]) ? <a href={find(r, { minDuration: `${Number(r[key].toPrecision(3))}ms` })} title={`Traces from this ${key} on`}>{valueText(r[key] / 1000, "s")}</a> : "–"),
  });
  return (
    <>
      {error && <Failure text={error} />}
      <section class="card" aria-label="Operations">
        <div class="bar">
          <Choice label="Kind" value={kinds === "server" ? "server" : "all"} options={[["server", "What is served"], ["all", "Every kind"]]} onChange={(v) => setQuery({ kind: v === "server" ? null : v })} />
          <select aria-label="Service" value={service} onChange={(e) => setQuery({ service: e.currentTarget.value || null })}>
            <option value="">Every service</option>{services.map((s) => <option key={s} value={s}>{s}</option>)}
          </select>
          <Filter label="Filter operations" value={filter} onInput={(v) => setQuery({ search: v })} />
        </div>
        {rate.data && !rows.length ? (
          <Empty title="No span metrics in this range"><p>They are made of the spans that arrive, unless <code>--no-traces.metrics</code> is given; the first come after 15 seconds.</p></Empty>
        ) : (
          <Table label="Operations" sort="-rate" id={(r) => r.key} rows={rows.filter((r) => matches(`${r.service} ${r.name} ${r.kind}`, filter))} columns={[
            { key: "name", title: "Operation", value: (r) => `${r.service} ${r.name}`, cell: (r) => <a href={find(r, {})}><b style={{ "--service": colors.get(r.service) }}>{r.service}</b> {r.name} {kinds !== "server" && <span class="tag">{r.kind}</span>}</a> },
            { key: "rate", title: "Requests", right: true, value: (r) => r.rate, cell: (r) => valueText(r.rate, "ops") },
            { key: "calls", title: "Over time", value: () => 0, cell: (r) => <Spark d={r.calls} /> },
            { key: "errors", title: "Errors", right: true, value: (r) => r.errors, cell: (r) => (r.errors > 0 ? <a class="bad-text" href={find(r, { errors: "1" })}>◆ {shareText(r.errors)}</a> : "0 %") },
            took("p50"), took("p95"), took("p99"),
            { key: "slow", title: "p95 over time", value: () => 0, cell: (r) => <Spark d={r.slow} /> },
          ]} />
        )}
      </section>
    </>
  );
}
