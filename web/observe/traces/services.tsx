// services.tsx - the services that call each other over the range: from the metrics of the service
// graph, which know rates, errors, times, databases and queues; without them from the stored traces.
import { useMemo } from "preact/hooks";
import { useAsk } from "../base/data";
import { valueText } from "../base/format";
import { go, href } from "../base/route";
import { durationText, range } from "../base/time";
import { Empty, Failure } from "../parts/bits";
import { type GraphEdge, type GraphNode, GraphOrTable } from "./graph";
import { shareText } from "./look";

type Vector = { result: { metric: Record<string, string>; value: [number, string] }[] };

interface Tie { from: string; to: string; type: string; rate: number; errors: number; p95: number; count?: number }

const BY = "client, server, connection_type";

export function ServiceGraph() {
  const { start, end } = range.value;
  const time = Math.floor(end / 1000);
  const w = durationText(Math.max(60e3, Math.round((end - start) / 1000) * 1000));
  const rate = useAsk<Vector>("/api/v1/query", { query: `sum by (${BY}) (rate(traces_service_graph_request_total[${w}])) > 0`, time });
  const failed = useAsk<Vector>("/api/v1/query", { query: `sum by (${BY}) (rate(traces_service_graph_request_failed_total[${w}]))`, time });
  const p95 = useAsk<Vector>("/api/v1/query", { query: `histogram_quantile(0.95, sum by (${BY}, le) (rate(traces_service_graph_request_server_seconds_bucket[${w}])))`, time });
  const none = !!rate.data && !rate.data.result.length;
  const stored = useAsk<{ parent: string; child: string; callCount: number }[]>(none || rate.error ? "/api/dependencies" : null, { endTs: end, lookback: Math.round(end - start) });
  const ties = useMemo(() => tiesOf(rate.data, failed.data, p95.data, stored.data), [rate.data, failed.data, p95.data, stored.data]);
  const made = useMemo(() => graphOf(ties), [ties]);
  const error = rate.error ?? stored.error;
  return (
    <>
      {error && <Failure text={error} />}
      {!ties.length ? ((none && stored.data) || error) && (
        <Empty title="No service has called another in this range"><p>The graph comes from spans: a client's and its server's are an edge.</p></Empty>
      ) : (
        <GraphOrTable nodes={made.nodes} edges={made.edges} label="Services and their calls" columns={none ? ["Calls"] : ["Calls/s", "Errors", "p95"]}
          onPick={(n) => !n.virtual && go(href("/traces", { service: n.title }))}>
          {none && <span class="dim small">Counted from stored traces: without span metrics there are no rates, errors and times.</span>}
        </GraphOrTable>
      )}
    </>
  );
}

export function tiesOf(rate?: Vector, failed?: Vector, p95?: Vector, stored?: { parent: string; child: string; callCount: number }[]): Tie[] {
  const key = (m: Record<string, string>) => `${m.client}\n${m.server}\n${m.connection_type ?? ""}`;
  const byKey = (v?: Vector) => new Map((v?.result ?? []).map((s) => [key(s.metric), Number(s.value[1])]));
  const bad = byKey(failed);
  const slow = byKey(p95);
  const out = (rate?.result ?? []).map(({ metric: m, value }): Tie => ({
    from: m.client ?? "", to: m.server ?? "", type: m.connection_type ?? "", rate: Number(value[1]), errors: bad.get(key(m)) ?? 0, p95: slow.get(key(m)) ?? NaN,
  }));
  if (out.length) return out;
  return (stored ?? []).map((d) => ({ from: d.parent, to: d.child, type: "", rate: d.callCount, errors: 0, p95: NaN, count: d.callCount }));
}

const KINDS: Record<string, string> = { database: "database", messaging_system: "queue", virtual_node: "sends no spans" };

export function graphOf(ties: Tie[]): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const served = new Map<string, { rate: number; errors: number; type: string; counted: boolean; own: boolean }>();
  const of = (name: string) => {
    let s = served.get(name);
    if (!s) served.set(name, (s = { rate: 0, errors: 0, type: "", counted: false, own: false }));
    return s;
  };
  for (const tie of ties) {
    of(tie.from).own ||= tie.from !== "user";
    const to = of(tie.to);
    to.rate += tie.rate;
    to.errors += tie.errors;
    to.type ||= tie.from === "user" ? "" : tie.type;
    to.counted ||= tie.count !== undefined;
  }
  const nodes = [...served].map(([name, s]): GraphNode => {
    const share = s.rate ? s.errors / s.rate : 0;
    const asked = s.counted ? `${valueText(s.rate)} calls` : `${valueText(s.rate, "ops")}${share > 0 ? `, ${shareText(share)} errors` : ""}`;
    const kind = s.own ? "" : KINDS[s.type] ?? "";
    return { key: name, title: name || "no name", sub: kind, service: name, bad: share >= 0.001, virtual: !!kind || name === "user", note: s.rate ? asked : "calls others" };
  });
  const edges = new Map<string, Tie>();
  for (const tie of ties) { // one line for calls of every kind
    const k = `${tie.from}\n${tie.to}`;
    const e = edges.get(k);
    if (!e) edges.set(k, { ...tie });
    else Object.assign(e, { rate: e.rate + tie.rate, errors: e.errors + tie.errors, p95: Math.max(e.p95 || 0, tie.p95 || 0) || NaN });
  }
  return {
    nodes,
    edges: [...edges.values()].map((e): GraphEdge => ({
      from: e.from, to: e.to, weight: e.rate, bad: e.rate > 0 && e.errors / e.rate >= 0.001,
      label: e.count !== undefined ? valueText(e.rate) : `${valueText(e.rate, "ops")}${Number.isFinite(e.p95) ? ` · ${valueText(e.p95, "s")}` : ""}`,
      cells: [e.rate ? shareText(e.errors / e.rate) : "–", Number.isFinite(e.p95) ? valueText(e.p95, "s") : "–"],
    })),
  };
}
