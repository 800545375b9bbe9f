// home.tsx - what runs, whether it is well, and why not: the services, those in trouble first, and the
// machines that they run on. It asks the same few questions for one service as for hundreds.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Asked, call, useAsk } from "../base/data";
import { type Labels, matches, plural, type Unit, valueText } from "../base/format";
import { href, parameter, setQuery } from "../base/route";
import {
  byTrouble, errorsOf, inTrouble, isBusy, type Line, linesOf, type Machine, MACHINE, machineInTrouble, machinesByTrouble, machinesOf, machinesQuery, ofMachine,
  type Service, SIGNALS, toneOf, UP, versionOf, VERSIONS,
} from "../base/services";
import { durationText, range } from "../base/time";
import { type Sample, type Series, stepFor } from "../explore/query";
import { Badge, Choice, Empty, Failure, Filter, Loading, useLive } from "../parts/bits";
import { viewCommands } from "../parts/commands";
import type { Alert } from "../parts/rule";

const POINTS_SHARE = 4; // of a graph's points: a sparkline is about 60 wide
const WINDOW_MIN_S = 300; // holds four scrapes a minute apart
const AT_ONCE = 100; // rows; the others come when they are wanted
const BAD_ERRORS = 0.05;

// Which services send spans, which jobs have a dashboard of their kind, what machines are called, and which
// jobs tell of the programs on them: one question for all.
const KINDS: [metric: string, dashboard: string][] = [
  ["http_requests_total", "sextant-service"], ["redis_up", "sextant-redis"], ["pg_up", "sextant-postgres"],
  ["namedprocess_namegroup_num_procs", "programs"],
];
const HOST = "sextant-host";
const KINDS_OF = ["group by (service_name) (traces_span_metrics_calls_total)", "group by (job, instance, nodename) (node_uname_info)",
  ...KINDS.map(([metric, uid]) => `label_replace(group by (job) (${metric}), "uid", "${uid}", "", "")`)].join(" or ");

// All that is known of what there is, told apart by its labels: how many are up, their versions, their kinds.
const ABOUT = [UP, VERSIONS, KINDS_OF].join(" or ");

type Vector = { result: Sample[] };
type Matrix = { result: Series[] };

interface Found { services: Service[]; machines: Machine[]; collectors: Service[]; elsewhere: number; spans: Set<string>; boards: Map<string, string> }
interface Times { start: number; end: number; step: number; window: string; answered: Set<string> }

function useServices(): { found?: Found; error?: string; times: Times } {
  const step = stepFor((range.value.end - range.value.start) * POINTS_SHARE);
  const window = durationText(Math.max(step, WINDOW_MIN_S) * 1000);
  // The last point is the end itself, not the multiple of the step before: a system that has just come up
  // is seen at once.
  const end = Math.floor(range.value.end / 1000);
  const start = end - Math.floor((range.value.end - range.value.start) / 1000 / step) * step;
  const lines = SIGNALS.map((s): Asked<Matrix> => useAsk<Matrix>("/api/v1/query_range", { query: s.all(window), start, end, step }));
  const answered = new Set(SIGNALS.filter((_, i) => lines[i]!.data || lines[i]!.error).map((x) => x.id));
  const times = { start, end, step, window, answered };
  const about = useAsk<Vector>("/api/v1/query", { query: ABOUT, time: end });
  const alerts = useAsk<{ alerts: Alert[] }>("/api/v1/alerts");
  const machines = useAsk<Matrix>("/api/v1/query_range", { query: machinesQuery(window), start, end, step });
  // The order hangs on these; the first rows are shown when all are there, so that none jumps.
  const first = [about, alerts, machines, lines[0]!, lines[1]!];
  const ready = first.every((a) => a.data || a.error);
  const all = [...lines, about, alerts, machines];
  const answers = all.map((a) => a.data);
  const found = useMemo(() => (ready ? combine(lines.map((l) => l.data), times, about.data, alerts.data, machines.data) : undefined),
    [ready, ...answers]);
  return { found, error: all.find((a) => a.error)?.error, times };
}

const aboutAlert = ({ labels, annotations }: Alert): string => `${labels.alertname}${annotations.summary ? `: ${annotations.summary}` : ""}`;

function combine(lines: (Matrix | undefined)[], times: Times, about?: Vector, alerts?: { alerts: Alert[] }, measured?: Matrix): Found {
  const services = new Map<string, Service>();
  const of = (job: string): Service => {
    let s = services.get(job);
    if (!s) services.set(job, (s = { job, up: 0, down: 0, firing: 0, why: [], versions: [], lines: {} }));
    return s;
  };
  const known = about?.result ?? [];
  for (const { metric, value } of known) if (metric.job && metric.up) of(metric.job)[metric.up === "0" ? "down" : "up"] += Number(value![1]);
  lines.forEach((data, i) => {
    for (const [job, line] of linesOf(data?.result ?? [], times.end, times.step)) of(job).lines[SIGNALS[i]!.id] = line;
  });
  for (const { metric } of known) {
    const version = versionOf(metric);
    const s = services.get(metric.job ?? "");
    if (s && version && !s.versions.includes(version)) s.versions.push(version);
  }
  const labels = known.map((r) => r.metric);
  const names = new Map(labels.filter((l) => l.nodename).map((l) => [`${l.job} ${l.instance}`, l.nodename!]));
  const machines = machinesOf(measured?.result ?? [], names, times.end, times.step);
  let elsewhere = 0; // alerts that are about no service that is known
  for (const a of alerts?.alerts ?? []) {
    if (a.state !== "firing") continue;
    const s = services.get(a.labels.job ?? a.labels.service_name ?? "");
    const m = machines.find((x) => x.job === a.labels.job && x.instance === a.labels.instance);
    if (m) m.firing++;
    if (s) {
      s.firing++;
      s.why.push(aboutAlert(a));
    } else elsewhere++;
  }
  // Who measures machines and their programs and serves nothing else is no service.
  const measuring = new Set([...machines.map((m) => m.job), ...labels.filter((l) => l.uid === "programs").map((l) => l.job!)]);
  const [own, collectors]: [Service[], Service[]] = [[], []];
  for (const s of services.values()) (measuring.has(s.job) && !s.lines.rate ? collectors : own).push(s);
  for (const m of machines) m.down = !!services.get(m.job)?.down && Object.values(m.lines).every((l) => l?.now === undefined);
  return {
    services: own.sort(byTrouble), machines: machines.sort(machinesByTrouble), collectors: collectors.sort(byTrouble), elsewhere,
    spans: new Set(labels.flatMap((l) => l.service_name ?? [])), boards: new Map(labels.filter((l) => l.uid && l.job).map((l) => [l.job!, l.uid!])),
  };
}

export default function HomeView() {
  useLive();
  const { found, error, times } = useServices();
  return (
    <>
      {error && <Failure text={error} />}
      {!found ? <Loading />
        : found.services.length + found.collectors.length ? <List found={found} times={times} />
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

// What the targets that are down answer: asked only where one is.
function useReasons(found: Found): Map<string, string> {
  const any = [...found.services, ...found.collectors].some((s) => s.down);
  const { data } = useAsk<{ activeTargets: { labels: Labels; health: string; lastError: string }[] }>(any ? "/api/v1/targets" : null, { state: "active" });
  return useMemo(() => new Map((data?.activeTargets ?? []).filter((t) => t.health === "down").map((t) => [t.labels.job ?? "", `${t.labels.instance}: ${t.lastError}`])), [data]);
}

function List({ found, times }: { found: Found; times: Times }) {
  const { services, machines, collectors, elsewhere } = found;
  const shipped = useShipped();
  const reasons = useReasons(found);
  const state = parameter("state");
  const filter = parameter("search");
  const list = useRef<HTMLUListElement>(null);
  const [most, setMost] = useState(AT_ONCE);
  const ordered = useCalmOrder(services, list);
  useEffect(() => {
    const step = (by: number) => {
      const rows = [...document.querySelectorAll<HTMLElement>(".service .who :is(h2, h3) a")];
      const on = document.activeElement?.closest(".service");
      const now = rows.findIndex((r) => on?.contains(r));
      rows[Math.max(0, Math.min(rows.length - 1, now + by))]?.focus();
    };
    return viewCommands([
      { id: "filter", title: "Filter services", keys: "/", run: () => document.querySelector<HTMLElement>(".filter")?.focus() },
      { id: "next", title: "Next service", keys: "j", run: () => step(1) },
      { id: "previous", title: "Previous service", keys: "k", run: () => step(-1) },
    ]);
  }, []);
  const busy = machines.filter(isBusy).length;
  const troubled = services.filter(inTrouble).length + machines.filter(machineInTrouble).length;
  const shown = ordered.filter((s) => (state !== "trouble" || inTrouble(s)) && matches(`${s.job} ${s.versions.join(" ")}`, filter));
  const hosts = machines.filter((m) => (state !== "trouble" || machineInTrouble(m)) && matches(`${m.name} ${m.instance}`, filter));
  const watching = collectors.filter((c) => state !== "trouble" || inTrouble(c));
  return (
    <>
      <div class="bar">
        <Choice label="Services" value={state === "trouble" ? state : ""} onChange={(v) => setQuery({ state: v })} options={[
          ["", `All ${services.length + machines.length}`], ["trouble", `In trouble ${troubled}`]]} />
        <Filter label="Filter services" value={filter} onInput={(v) => setQuery({ search: v })} />
        {elsewhere > 0 && <a href={href("/alerts", { state: "firing" })}><Badge tone="bad">{plural(elsewhere, "other alert")} firing</Badge></a>}
        {!troubled && !elsewhere && !collectors.some(inTrouble) &&
          (busy ? <Badge tone="warn">{plural(busy, "machine is", "machines are")} busy, else all is well</Badge> : <Badge tone="good">All is well</Badge>)}
      </div>
      {!shown.length && !hosts.length && <p class="none">No services match.</p>}
      <ul class="services" ref={list} aria-label="Services">
        {shown.slice(0, most).map((s) => <Row key={s.job} s={s} times={times} traced={found.spans.has(s.job)}
          board={shipped.has(found.boards.get(s.job)!) ? found.boards.get(s.job) : undefined} why={[...s.why, ...(s.down ? [reasons.get(s.job) ?? ""] : [])]} />)}
      </ul>
      {shown.length > most && <p class="row"><button type="button" onClick={() => setMost(Infinity)}>Show all {shown.length}</button></p>}
      {hosts.length + watching.length > 0 && (
        <section class="machines" aria-labelledby="machines">
          <div class="row"><h2 id="machines">Machines</h2>
            {watching.map((c) => <span key={c.job} class="row small"><a href={href("/targets", { search: `job=${c.job}` })}>{c.job}</a><Health s={c} /></span>)}</div>
          <ul class="services" aria-label="Machines">
            {hosts.slice(0, most).map((m) => <MachineRow key={`${m.job} ${m.instance}`} m={m} times={times} board={shipped.has(HOST)} why={reasons.get(m.job)} />)}
          </ul>
        </section>
      )}
    </>
  );
}

function Health({ s }: { s: Service }) {
  const scraped = s.up + s.down;
  return (
    <Badge tone={s.down ? (s.up ? "warn" : "bad") : "good"}>
      {scraped === 1 ? (s.down ? "down" : "up") : s.down ? `${s.down} of ${scraped} down` : `${scraped} up`}
    </Badge>
  );
}

function Why({ lines }: { lines: string[] }) {
  const said = [...new Set(lines.filter(Boolean))];
  return said.length ? <div class="why small">{said.slice(0, 3).map((t) => <p key={t} title={t}>{t}</p>)}</div> : null;
}

function MachineRow({ m, times, board, why }: { m: Machine; times: Times; board: boolean; why?: string }) {
  const about = board ? href(`/d/${HOST}`, { "var-job": m.job, "var-instance": m.instance }) : href("/targets", { search: `job=${m.job}` });
  return (
    <li class={`card service machine ${m.down || m.firing ? "bad" : machineInTrouble(m) ? "warn" : ""}`}>
      <div class="who">
        <h3><a href={about}>{m.name}</a></h3>
        <span class="row">
          <Badge tone={m.down ? "bad" : "good"}>{m.down ? "down" : "up"}</Badge>
          {m.firing > 0 && <a href={href("/alerts", { state: "firing", search: m.instance })}><Badge tone="bad">{plural(m.firing, "alert")} firing</Badge></a>}
          {m.name !== m.instance && <span class="dim small">{m.instance}</span>}
        </span>
      </div>
      {MACHINE.map(({ id, title, unit, full, expr }) => {
        const line = m.lines[id];
        return <Cell key={id} of={m.name} title={title} unit={unit} line={line} times={times} most={unit === "percentunit" ? 1 : undefined} tone={(line?.now ?? 0) >= full ? toneOf(id) : ""}
          expr={expr(times.window, ofMachine(m))} />;
      })}
      {m.down && why && <Why lines={[why]} />}
    </li>
  );
}

function Row({ s, times, traced, board, why }: { s: Service; times: Times; traced: boolean; board?: string; why: string[] }) {
  const scraped = s.up + s.down;
  const tone = s.down || s.firing ? "bad" : errorsOf(s) ? "warn" : "";
  const measured = SIGNALS.some((x) => s.lines[x.id] || !times.answered.has(x.id));
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
            : <a href={targets} title={`Targets of ${s.job}`}><Health s={s} /></a>}
          {s.firing > 0 && <a href={href("/alerts", { state: "firing", search: s.job })}><Badge tone="bad">{plural(s.firing, "alert")} firing</Badge></a>}
          {traced && <a class="small" href={href("/traces", { service: s.job })} aria-label={`Traces of ${s.job}`}>Traces</a>}
          {s.versions.length > 0 && <span class="tag" title={s.versions.join(", ")}>{s.versions.length > 1 ? plural(s.versions.length, "version") : s.versions[0]}</span>}
        </span>
      </div>
      {measured || !why.some(Boolean) ? SIGNALS.map((signal) => {
        const line = s.lines[signal.id];
        return <Cell key={signal.id} of={s.job} title={signal.title} unit={signal.unit} line={line} times={times} waiting={!times.answered.has(signal.id)}
          tone={signal.id === "errors" && (line?.now ?? 0) >= BAD_ERRORS ? "bad" : ""} expr={line && signal.one(times.window, line.labels)} />;
      }) : null}
      <Why lines={why} />
    </li>
  );
}

function Cell({ of, title, unit, line, waiting, times, most, tone, expr }: {
  of: string; title: string; unit: Unit; line?: Line; waiting?: boolean; times: Times; most?: number; tone: string; expr?: string;
}) {
  const text = valueText(line?.now, unit);
  const inside = <><small>{title}</small>{" "}<b>{text}</b><Spark line={line} times={times} most={most} /></>;
  if (!line) return <div class={waiting ? "signal" : "signal none"}>{inside}</div>;
  return (
    <a class={`signal ${tone}`} href={href("/explore", { "g0.expr": expr ?? "" })}
      aria-label={`${title} ${text}, of ${of}, at most ${valueText(mostOf(line), unit)}`}>{inside}</a>
  );
}

const mostOf = (line?: Line): number => (line?.points ?? []).reduce((m, [, v]) => Math.max(m, v), 0);

// From zero to the most, or to the whole that a share is of, over the range; where nothing was measured there is a gap.
function Spark({ line, times, most = mostOf(line) }: { line?: Line; times: Times; most?: number }) {
  const points = line?.points ?? [];
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
