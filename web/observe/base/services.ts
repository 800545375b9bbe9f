// services.ts - which services there are and how they do, from the metrics that services commonly have.
// Each signal is one query for all services, however many: the families of metrics are tried in turn,
// and what each series came from is in its label `via`, so that a link can ask for just that.
import { type Labels, matcher, type Unit } from "./format";

interface Family {
  calls: string; // a counter of requests
  seconds: string; // its buckets of durations
  scale?: number; // by which they are made seconds
  errors: string[]; // matchers of failed requests, any of which
  only?: string; // a matcher for the requests that are served, not made
  job?: string; // the label that names the service
  split: string; // labels that a request's kind is in
}

const ROUTES = "route, handler, path, http_route";
const CODES = ['code=~"5.."', 'status=~"5.."', 'status_code=~"5.."'];
const SPANS: Omit<Family, "seconds"> = {
  calls: "traces_span_metrics_calls_total", errors: ['status_code="STATUS_CODE_ERROR"'],
  only: 'span_kind=~"SPAN_KIND_(SERVER|CONSUMER)"', job: "service_name", split: "span_name",
};

// In the order of how much they tell; our own services have the first.
const FAMILIES: Family[] = [
  { calls: "http_requests_total", seconds: "http_request_duration_seconds_bucket", errors: CODES, split: ROUTES },
  { calls: "http_server_request_duration_seconds_count", seconds: "http_server_request_duration_seconds_bucket",
    errors: ['http_response_status_code=~"5.."'], split: ROUTES },
  { calls: "http_request_duration_seconds_count", seconds: "http_request_duration_seconds_bucket", errors: CODES, split: ROUTES },
  { calls: "prometheus_http_requests_total", seconds: "prometheus_http_request_duration_seconds_bucket",
    errors: ['code=~"5.."'], split: ROUTES },
  { ...SPANS, seconds: "traces_span_metrics_duration_milliseconds_bucket", scale: 0.001 },
  { ...SPANS, seconds: "traces_span_metrics_duration_seconds_bucket" },
];

const rate = (metric: string, window: string, ...only: (string | undefined)[]): string =>
  `rate(${metric}{${only.filter(Boolean).join(", ")}}[${window}])`.replace("{}", "");

const failed = (f: Family, window: string, ...only: (string | undefined)[]): string =>
  f.errors.map((e) => rate(f.calls, window, e, ...only)).join(" or ");

// Spans name their service by another label; the rest is as if it were scraped.
const named = (f: Family, series: string): string => (f.job ? `label_replace(${series}, "job", "$1", "${f.job}", "(.+)")` : series);

const firstOf = (exprs: string[]): string =>
  exprs.map((e, i) => `label_replace(${e}, "via", "${i}", "", "")`).join(" or on (job) ");

const scaled = (f: Family, quantile: string): string => (f.scale ? `${f.scale} * ${quantile}` : quantile);

export interface Signal {
  id: string;
  title: string;
  unit: Unit;
  all: (window: string) => string; // of every service, by job
  one: (window: string, labels: Labels) => string; // of the service of these labels, as one explores it
}

// The same for every service by the first of these that it has.
function plain(id: string, title: string, unit: Unit, exprs: ((window: string, only: string) => string)[]): Signal {
  return {
    id, title, unit,
    all: (w) => firstOf(exprs.map((e) => `sum by (job) (${e(w, "")})`)),
    one: (w, l) => `sum by (instance) (${exprs[Number(l.via)]?.(w, matcher("job", l.job!)) ?? "vector(0)"})`,
  };
}

const familyOf = (labels: Labels): Family => FAMILIES[Number(labels.via)] ?? FAMILIES[0]!;
const whose = (f: Family, labels: Labels): string => matcher(f.job ?? "job", labels.job!);

export const SIGNALS: Signal[] = [
  {
    id: "rate", title: "Requests", unit: "ops",
    all: (w) => firstOf(FAMILIES.map((f) => `sum by (job) (${named(f, rate(f.calls, w, f.only))})`)),
    one: (w, l) => {
      const f = familyOf(l);
      return `sum by (${f.split}) (${rate(f.calls, w, whose(f, l), f.only)})`;
    },
  },
  {
    id: "errors", title: "Errors", unit: "percentunit",
    all: (w) => firstOf(FAMILIES.map((f) => {
      const calls = `sum by (job) (${named(f, rate(f.calls, w, f.only))})`;
      return `(sum by (job) (${named(f, failed(f, w, f.only))}) / ${calls} or 0 * ${calls})`;
    })),
    one: (w, l) => {
      const f = familyOf(l);
      return `sum by (${f.split}) (${failed(f, w, whose(f, l), f.only)})`;
    },
  },
  {
    id: "p95", title: "Duration p95", unit: "s",
    all: (w) => firstOf(FAMILIES.map((f) =>
      scaled(f, `histogram_quantile(0.95, sum by (job, le) (${named(f, rate(f.seconds, w, f.only))}))`))),
    one: (w, l) => {
      const f = familyOf(l);
      return scaled(f, `histogram_quantile(0.95, sum by (le, ${f.split}) (${rate(f.seconds, w, whose(f, l), f.only)}))`);
    },
  },
  // A machine's own counts before those of the process that tells them; 100 % is one processor.
  plain("cpu", "CPU", "percentunit", [
    (w, only) => rate("node_cpu_seconds_total", w, 'mode!~"idle|iowait"', only),
    (w, only) => rate("process_cpu_seconds_total", w, only)]),
  plain("memory", "Memory", "bytes", [
    (_, only) => `node_memory_MemTotal_bytes{${only}} - node_memory_MemAvailable_bytes{${only}}`,
    (_, only) => `process_resident_memory_bytes{${only}}`]),
];

// ---- machines: what a host says of itself. A host is no service; one question has all of all of them.

const cores = (only: string): string => `count by (job, instance) (node_cpu_seconds_total{mode="idle"${only}})`;
const DISKS = 'fstype!~"tmpfs|overlay|squashfs|ramfs"';
export const MACHINE: { id: string; title: string; unit: Unit; full: number; expr: (window: string, only: string) => string }[] = [
  { id: "cpu", title: "CPU", unit: "percentunit", full: 0.95,
    expr: (w, only) => `sum by (job, instance) (rate(node_cpu_seconds_total{mode!~"idle|iowait"${only}}[${w}])) / ${cores(only)}` },
  { id: "load", title: "Load by core", unit: "short", full: 2, expr: (_, only) => `sum by (job, instance) (node_load1{job!=""${only}}) / ${cores(only)}` },
  { id: "memory", title: "Memory", unit: "percentunit", full: 0.95,
    expr: (_, only) => `sum by (job, instance) (1 - node_memory_MemAvailable_bytes{job!=""${only}} / node_memory_MemTotal_bytes)` },
  { id: "disk", title: "Fullest disk", unit: "percentunit", full: 0.9,
    expr: (_, only) => `max by (job, instance) (1 - node_filesystem_avail_bytes{${DISKS}${only}} / node_filesystem_size_bytes)` },
];
export const machinesQuery = (window: string): string =>
  MACHINE.map((m) => `label_replace(${m.expr(window, "")}, "signal", "${m.id}", "", "")`).join(" or ");
export const ofMachine = (m: Machine): string => `, ${matcher("job", m.job)}, ${matcher("instance", m.instance)}`;

// How many targets of each job are up ("1") and down ("0"), and what versions say that they run.
export const UP = 'count_values by (job) ("up", up)';
export const VERSIONS = 'group by (job, version, revision, branch) ({__name__=~".+_build_info", __name__!="go_build_info", version!=""}' +
  ' or label_replace(target_info{service_version!=""}, "version", "$1", "service_version", "(.+)"))';

// An observatory says Prometheus's version first, for who asks for that, and its own as the revision.
export const versionOf = (l: Labels): string => (l.branch === "sextant" ? l.revision : l.version) ?? "";

// ---- what the answers say, by service

export interface Line {
  labels: Labels;
  points: [t: number, v: number][];
  now?: number; // the latest, unless it is of long ago
}

export interface Service {
  job: string;
  up: number;
  down: number;
  firing: number;
  why: string[]; // what its alerts and its targets say
  versions: string[];
  lines: Record<string, Line | undefined>;
}

export interface Machine {
  job: string;
  instance: string;
  name: string; // as it calls itself
  down: boolean;
  firing: number;
  lines: Record<string, Line | undefined>;
}

type Matrix = { metric: Labels; values?: [number, string][] }[];

const lineOf = (labels: Labels, points: [number, number][], end: number, step: number): Line => {
  const last = points[points.length - 1];
  return { labels, points, now: last && last[0] >= end - 3 * step ? last[1] : undefined };
};
const pointsOf = (s: Matrix[number]): [number, number][] =>
  (s.values ?? []).map(([t, v]): [number, number] => [t, Number(v)]).filter(([, v]) => Number.isFinite(v));

// By job; a service that came to have another family of metrics has both after each other.
export function linesOf(result: Matrix, end: number, step: number): Map<string, Line> {
  const out = new Map<string, Line>();
  for (const s of result) {
    if (!s.metric.job) continue;
    const points = pointsOf(s);
    const before = out.get(s.metric.job);
    const all = before ? [...before.points, ...points].sort((a, b) => a[0] - b[0]) : points;
    const latest = !before || all[all.length - 1] === points[points.length - 1] ? s.metric : before.labels;
    out.set(s.metric.job, lineOf(latest, all, end, step));
  }
  return out;
}

// One of each instance; `names` are what the machines call themselves, by job and instance.
export function machinesOf(result: Matrix, names: ReadonlyMap<string, string>, end: number, step: number): Machine[] {
  const out = new Map<string, Machine>();
  for (const s of result) {
    const { job = "", instance = "", signal = "" } = s.metric;
    const key = `${job} ${instance}`;
    let m = out.get(key);
    if (!m) out.set(key, (m = { job, instance, name: names.get(key) ?? instance, down: false, firing: 0, lines: {} }));
    m.lines[signal] = lineOf(s.metric, pointsOf(s), end, step);
  }
  return [...out.values()];
}

// A machine that has no room left is in trouble; one that works hard may be meant to.
const WORK = ["cpu", "load"];
const reaches = (m: Machine, work: boolean): boolean => MACHINE.some(({ id, full }) => WORK.includes(id) === work && (m.lines[id]?.now ?? 0) >= full);
export const isFull = (m: Machine): boolean => reaches(m, false);
export const isBusy = (m: Machine): boolean => reaches(m, true);
export const toneOf = (id: string): "warn" | "bad" => (WORK.includes(id) ? "warn" : "bad");
export const machineInTrouble = (m: Machine): boolean => m.down || m.firing > 0 || isFull(m);
export const machinesByTrouble = (a: Machine, b: Machine): number =>
  Number(b.down) - Number(a.down) || b.firing - a.firing || Number(isFull(b)) - Number(isFull(a)) || a.name.localeCompare(b.name);

const SEEN_ERRORS = 0.001; // fewer change no order: rows would jump at every refresh
export const errorsOf = (s: Service): number => {
  const share = s.lines.errors?.now ?? 0;
  return share < SEEN_ERRORS ? 0 : share;
};

export const inTrouble = (s: Service): boolean => s.down > 0 || s.firing > 0 || errorsOf(s) > 0;

export const byTrouble = (a: Service, b: Service): number =>
  b.down - a.down || b.firing - a.firing || errorsOf(b) - errorsOf(a) || a.job.localeCompare(b.job);
