// home.tsx - what runs, whether it is well, and why not: the services, those in trouble first. It asks
// the same few questions for one service as for hundreds.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Asked, call, useAsk } from "../base/data";
import { type Labels, matches, plural, valueText } from "../base/format";
import { href, parameter, setQuery } from "../base/route";
import {
  byTrouble, errorsOf, inTrouble, type Line, linesOf, type Service, type Signal, SIGNALS, UP, versionOf, VERSIONS,
} from "../base/services";
import { durationText, range } from "../base/time";
import { type Sample, type Series, stepFor } from "../explore/query";
import { Badge, Choice, Empty, Failure, Filter, Loading } from "../parts/bits";
import { viewCommands } from "../parts/commands";
import type { Alert } from "../parts/rule";

const POINTS_SHARE = 4; // of a graph's points: a sparkline is about 60 wide
const WINDOW_MIN_S = 300; // holds four scrapes a minute apart
const AT_ONCE = 100; // rows; the others come when they are wanted
const BAD_ERRORS = 0.05;

// Which services send spans, and which jobs have a dashboard of their kind: one question for all.
const KINDS: [metric: string, dashboard: string][] = [
  ["http_requests_total", "sextant-service"], ["redis_up", "sextant-redis"], ["pg_up", "sextant-postgres"],
  ["node_boot_time_seconds", "sextant-host"],
];
const KINDS_OF = ["group by (service_name) (traces_span_metrics_calls_total)",
  ...KINDS.map(([metric, uid]) => `label_replace(group by (job) (${metric}), "uid", "${uid}", "", "")`)].join(" or ");

type Vector = { result: Sample[] };
type Matrix = { result: Series[] };

interface Times { start: number; end: number; step: number; window: string; answered: Set<string> }

function useServices(): { services?: Service[]; elsewhere: number; error?: string; times: Times } {
  const step = stepFor((range.value.end - range.value.start) * POINTS_SHARE);
  const window = durationText(Math.max(step, WINDOW_MIN_S) * 1000);
  // The last point is the end itself, not the multiple of the step before: a system that has just come up
  // is seen at once.
  const end = Math.floor(range.value.end / 1000);
  const start = end - Math.floor((range.value.end - range.value.start) / 1000 / step) * step;
  const lines = SIGNALS.map((s): Asked<Matrix> => useAsk<Matrix>("/api/v1/query_range", { query: s.all(window), start, end, step }));
  const answered = new Set(SIGNALS.filter((_, i) => lines[i]!.data || lines[i]!.error).map((x) => x.id));
  const times = { start, end, step, window, answered };
  const up = useAsk<Vector>("/api/v1/query", { query: UP, time: end });
  const versions = useAsk<Vector>("/api/v1/query", { query: VERSIONS, time: end });
  const alerts = useAsk<{ alerts: Alert[] }>("/api/v1/alerts");
  // The order hangs on these; the first rows are shown when all are there, so that none jumps.
  const first = [up, alerts, lines[0]!, lines[1]!];
  const ready = first.every((a) => a.data || a.error);
  const all = [...lines, up, versions, alerts];
  const answers = all.map((a) => a.data);
  const made = useMemo(() => (ready ? combine(lines.map((l) => l.data), times, up.data, versions.data, alerts.data) : undefined),
    [ready, ...answers]);
  return { services: made?.services, elsewhere: made?.elsewhere ?? 0, error: all.find((a) => a.error)?.error, times };
}

function combine(lines: (Matrix | undefined)[], times: Times, up?: Vector, versions?: Vector, alerts?: { alerts: Alert[] }) {
  const services = new Map<string, Service>();
  const of = (job: string): Service => {
    let s = services.get(job);
    if (!s) services.set(job, (s = { job, up: 0, down: 0, firing: 0, versions: [], lines: {} }));
    return s;
  };
  for (const { metric, value } of up?.result ?? []) if (metric.job) of(metric.job)[metric.up === "0" ? "down" : "up"] += Number(value![1]);
  lines.forEach((data, i) => {
    for (const [job, line] of linesOf(data?.result ?? [], times.end, times.step)) of(job).lines[SIGNALS[i]!.id] = line;
  });
  for (const { metric } of versions?.result ?? []) {
    const version = versionOf(metric);
    const s = services.get(metric.job ?? "");
    if (s && version && !s.versions.includes(version)) s.versions.push(version);
  }
  let elsewhere = 0; // alerts that are about no service that is known
  for (const a of alerts?.alerts ?? []) {
    if (a.state !== "firing") continue;
    const s = services.get(a.labels.job ?? a.labels.service_name ?? "");
    if (s) s.firing++;
    else elsewhere++;
  }
  return { services: [...services.values()].sort(byTrouble), elsewhere };
}

export default function HomeView() {
  const { services, elsewhere, error, times } = useServices();
  return (
    <>
      {error && <Failure text={error} />}
      {!services ? <Loading />
        : services.length ? <List services={services} elsewhere={elsewhere} times={times} />
        : !error && <Beginning />}
    </>
  );
}

function Beginning() {
  return (
    <Empty title="No service is known yet">
      <p>Services come from what is scraped, pushed or traced. Name a target in the configuration, then
        reload it with <code>kill -HUP</code>:</p>
      <pre><code>{"scrape_configs:\n  - job_name: shop\n    static_configs:\n      - targets: [\"localhost:8080\"]"}</code></pre>
      <p>Or send metrics and traces by OTLP, or run <code>make up</code> for a sample system
        that fills every page. <a href={href("/targets")}>Targets</a> tells what is scraped, and why something is not.</p>
    </Empty>
  );
}

// The dashboards that come with the program: whoever runs the server may have left them out.
function useShipped(): Set<string> {
  const [uids, setUids] = useState(new Set<string>());
  useEffect(() => {
    call<{ uid: string }[]>("GET", "/api/search?type=dash-db&tag=sextant").then((hits) => setUids(new Set(hits.map((h) => h.uid))), () => {});
  }, []);
  return uids;
}

// While somebody is on a row it stays where it is: the order of before is kept, what is new comes last.
function useCalmOrder(sorted: Service[], list: { current: HTMLElement | null }): Service[] {
  const before = useRef<string[]>([]);
  const busy = list.current?.matches(":hover") || list.current?.contains(document.activeElement);
  let out = sorted;
  if (busy) {
    const rank = new Map(before.current.map((job, i) => [job, i]));
    out = [...sorted].sort((a, b) => (rank.get(a.job) ?? Infinity) - (rank.get(b.job) ?? Infinity) || 0);
  }
  before.current = out.map((s) => s.job);
  return out;
}

function List({ services, elsewhere, times }: { services: Service[]; elsewhere: number; times: Times }) {
  const kinds = useAsk<Vector>("/api/v1/query", { query: KINDS_OF, time: times.end });
  const shipped = useShipped();
  const [spans, boards] = useMemo(() => {
    const all = (kinds.data?.result ?? []).map((r) => r.metric);
    return [new Set(all.map((l) => l.service_name)), new Map(all.filter((l) => shipped.has(l.uid!)).map((l) => [l.job, l.uid!]))];
  }, [kinds.data, shipped]);
  const state = parameter("state");
  const filter = parameter("search");
  const list = useRef<HTMLUListElement>(null);
  const [most, setMost] = useState(AT_ONCE);
  const ordered = useCalmOrder(services, list);
  useEffect(() => {
    const step = (by: number) => {
      const rows = [...(list.current?.querySelectorAll<HTMLElement>("h2 a") ?? [])];
      const on = document.activeElement?.closest(".service");
      const now = rows.findIndex((r) => on?.contains(r));
      rows[Math.max(0, Math.min(rows.length - 1, now + by))]?.focus();
    };
    return viewCommands([
      { id: "filter", title: "Filter services", keys: "/", run: () => document.querySelector<HTMLElement>(".filter")?.focus() },
      { id: "next", title: "Next service", keys: "j", run: () => step(1) },
      { id: "previous", title: "Service before", keys: "k", run: () => step(-1) },
    ]);
  }, []);
  const troubled = services.filter(inTrouble).length;
  const shown = ordered.filter((s) => (state !== "trouble" || inTrouble(s)) && matches(`${s.job} ${s.versions.join(" ")}`, filter));
  return (
    <>
      <div class="bar">
        <Choice label="Services" value={state === "trouble" ? state : ""} onChange={(v) => setQuery({ state: v })} options={[
          ["", `All ${services.length}`], ["trouble", `In trouble ${troubled}`]]} />
        <Filter label="Filter services" value={filter} onInput={(v) => setQuery({ search: v })} />
        {elsewhere > 0 && <a href={href("/alerts", { state: "firing" })}><Badge tone="bad">{plural(elsewhere, "other alert")} firing</Badge></a>}
        {!troubled && !elsewhere && <Badge tone="good">All is well</Badge>}
      </div>
      {!shown.length && <p class="none">No service is like that.</p>}
      <ul class="services" ref={list} aria-label="Services">
        {shown.slice(0, most).map((s) => <Row key={s.job} s={s} times={times} traced={spans.has(s.job)} board={boards.get(s.job)} />)}
      </ul>
      {shown.length > most && <p class="row"><button type="button" onClick={() => setMost(Infinity)}>Show all {shown.length}</button></p>}
    </>
  );
}

function Row({ s, times, traced, board }: { s: Service; times: Times; traced: boolean; board?: string }) {
  const scraped = s.up + s.down;
  const tone = s.down || s.firing ? "bad" : errorsOf(s) ? "warn" : "";
  const targets = href("/targets", { search: `job=${s.job}` });
  const about = board ? href(`/d/${board}`, { "var-job": s.job })
    : scraped ? targets
    : href("/explore", { "g0.expr": SIGNALS[0]!.one(times.window, s.lines.rate?.labels ?? { job: s.job }) });
  return (
    <li class={`card service ${tone}`}>
      <div class="who">
        <h2><a href={about}>{s.job}</a></h2>
        <span class="row">
          {scraped === 0 ? <Badge tone="calm">not scraped</Badge>
            : <a href={targets} title={`Targets of ${s.job}`}><Badge tone={s.down ? (s.up ? "warn" : "bad") : "good"}>
                {scraped === 1 ? (s.down ? "down" : "up") : s.down ? `${s.down} of ${scraped} down` : `${scraped} up`}
              </Badge></a>}
          {s.firing > 0 && <a href={href("/alerts", { state: "firing", search: s.job })}><Badge tone="bad">{plural(s.firing, "alert")} firing</Badge></a>}
          {traced && <a class="small" href={href("/traces", { service: s.job })} aria-label={`Traces of ${s.job}`}>Traces</a>}
          {s.versions.length > 0 && <span class="tag" title={s.versions.join(", ")}>{s.versions.length > 1 ? plural(s.versions.length, "version") : s.versions[0]}</span>}
        </span>
      </div>
      {SIGNALS.map((signal) => <Cell key={signal.id} job={s.job} signal={signal} line={s.lines[signal.id]} times={times} waiting={!times.answered.has(signal.id)} />)}
    </li>
  );
}

function Cell({ job, signal, line, waiting, times }: { job: string; signal: Signal; line?: Line; waiting: boolean; times: Times }) {
  const text = valueText(line?.now, signal.unit);
  const inside = <><small>{signal.title}</small>{" "}<b>{text}</b><Spark line={line} times={times} /></>;
  if (!line) return <div class={waiting ? "signal" : "signal none"}>{inside}</div>;
  const labels: Labels = line.labels;
  const most = line.points.reduce((m, [, v]) => Math.max(m, v), 0);
  const bad = signal.id === "errors" && (line.now ?? 0) >= BAD_ERRORS;
  return (
    <a class={bad ? "signal bad" : "signal"} href={href("/explore", { "g0.expr": signal.one(times.window, labels) })}
      aria-label={`${signal.title} ${text}, of ${job}, at most ${valueText(most, signal.unit)}`}>{inside}</a>
  );
}

// From zero to the most, over the range; where nothing was measured there is a gap.
function Spark({ line, times }: { line?: Line; times: Times }) {
  const points = line?.points ?? [];
  const most = points.reduce((m, [, v]) => Math.max(m, v), 0);
  const x = (t: number) => (((t - times.start) / (times.end - times.start)) * 100).toFixed(1);
  let path = "";
  let area = "";
  let before = -Infinity;
  for (const [t, v] of points) {
    const y = (most > 0 ? 25 - 24 * Math.max(0, v / most) : 25).toFixed(1);
    const apart = t - before > times.step * 1.5;
    if (apart && area) area += `L${x(before)} 26Z`;
    path += `${apart ? `M${x(t)} ${y}h0` : `L${x(t)} ${y}`}`; // one alone is a dot
    area += `${apart ? `M${x(t)} 26` : ""}L${x(t)} ${y}`;
    before = t;
  }
  if (area) area += `L${x(before)} 26Z`;
  return (
    <svg class="spark" viewBox="0 0 100 26" preserveAspectRatio="none" aria-hidden="true">
      {path && <><path class="area" d={area} /><path d={path} /></>}
    </svg>
  );
}
