// alerts.tsx - which alerts fire, since when and why, those in trouble first; and when they did within
// the range that is looked at: a bar a rule and a bar an alert, and all of it as a list.
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { useAsk } from "../base/data";
import { matches, plural, valueText } from "../base/format";
import { href, parameter, setQuery } from "../base/route";
import { range, timeText } from "../base/time";
import { stepFor } from "../explore/query";
import { Ago, Answer, Badge, Choice, Empty, Failure, Filter, LabelList, Tabs, useLive } from "../parts/bits";
import { Table } from "../parts/table";
import { type Alert, type AlertState, byTrouble, type Group, type Rule, STATE_TONE } from "../parts/rule";
import { type Course, coursesOf, type Spell, summary } from "../parts/spells";

const exploreAt = (query: string) => href("/explore", { "g0.expr": query, "g0.tab": "graph" });

type Asked = { result: { metric: Record<string, string>; values?: [number, string][] }[] };

export default function AlertsView() {
  useLive();
  const asked = useAsk<{ groups: Group[] }>("/api/v1/rules", { type: "alert" });
  const { start, end } = range.value;
  const step = Math.max(stepFor(end - start), 1);
  const past = useAsk<Asked>("/api/v1/query_range", {
    query: `last_over_time(ALERTS[${step}s])`, start: Math.floor(start / 1000 / step) * step, end: Math.ceil(end / 1000 / step) * step, step });
  const courses = useMemo(() => coursesOf(past.data?.result ?? [], step, end), [past.data]);
  const tab = parameter("tab") || "now";
  return (
    <>
      <Tabs label="Alerts" value={tab} onChange={(v) => setQuery({ tab: v === "now" ? null : v })} options={[["now", "Rules"], ["history", "History"]]} />
      {past.error && <Failure text={past.error} />}
      {tab === "history"
        ? <History courses={courses} loading={!past.data && !past.error} />
        : <Answer of={asked}>{(data) => <Alerts groups={data.groups} courses={courses} />}</Answer>}
    </>
  );
}

// ---- what was

const span = (ms: number) => valueText(ms / 1000, "s");

// When it was so, over the range: firing is a full bar, pending a low one.
function Timeline({ spells, label }: { spells: Spell[]; label: string }) {
  const { start, end } = range.value;
  const x = (t: number) => (100 * (Math.min(Math.max(t, start), end) - start)) / (end - start);
  const { fired, firing_ms } = summary(spells);
  const said = spells.length ? `fired ${plural(fired, "time")}${fired ? `, ${span(firing_ms)} in all` : ""}` : "none in this range";
  return (
    <svg class="timeline" viewBox="0 0 100 16" preserveAspectRatio="none" role="img" aria-label={`${label}: ${said}`}>
      <title>{`${label}: ${said}`}</title>
      <rect class="ground" width="100" height="16" />
      {spells.map((s) => (
        <rect key={`${s.state} ${s.from}`} class={s.state} x={x(s.from)} width={Math.max(x(s.to) - x(s.from), 0.35)}
          y={s.state === "firing" ? 0 : 9} height={s.state === "firing" ? 16 : 7} />
      ))}
    </svg>
  );
}

interface Event { course: Course; spell: Spell }

function History({ courses, loading }: { courses: Course[]; loading: boolean }) {
  const filter = parameter("search");
  const events = courses.flatMap((course): Event[] => course.spells.map((spell) => ({ course, spell })))
    .filter((e) => matches(e.course.key, filter)).sort((a, b) => b.spell.from - a.spell.from);
  return (
    <>
      <div class="bar"><Filter label="Filter by name or label" value={filter} onInput={(v) => setQuery({ search: v })} /></div>
      <Table label="Alerts in this range" rows={events} id={(e) => `${e.course.key} ${e.spell.state} ${e.spell.from}`}
        none={loading ? "Loading…" : "No alerts were pending or firing in this range."} columns={[
          { key: "from", title: "From", value: (e) => e.spell.from, cell: (e) => <span class="mono nowrap">{timeText(e.spell.from)}</span> },
          { key: "for", title: "Duration", right: true, value: (e) => e.spell.to - e.spell.from, cell: (e) => <>{span(e.spell.to - e.spell.from)}{e.spell.open ? ", ongoing" : ""}</> },
          { key: "state", title: "State", value: (e) => e.spell.state, cell: (e) => <Badge tone={STATE_TONE[e.spell.state]}>{e.spell.state}</Badge> },
          { key: "name", title: "Alert", value: (e) => e.course.name,
            cell: (e) => <a href={exploreAt(`ALERTS{alertname="${e.course.name}"}`)}>{e.course.name}</a> },
          { key: "labels", title: "Labels", value: (e) => e.course.key,
            cell: (e) => { const { alertname: _, ...labels } = e.course.labels; return <LabelList labels={labels} onPick={(n, v) => setQuery({ search: `${n}="${v}"` })} />; } },
        ]} />
    </>
  );
}

// ---- what is

function Alerts({ groups, courses }: { groups: Group[]; courses: Course[] }) {
  const state = parameter("state") as AlertState | "";
  const filter = parameter("search");
  const rules = useMemo(
    () => groups.flatMap((g) => g.rules.map((rule) => ({ rule, group: g }))).sort((a, b) => byTrouble(a.rule, b.rule)), [groups]);
  if (!rules.length)
    return (
      <Empty title="No alert rules">
        <p>Alert rules are read from the files listed under <code>rule_files</code> in the configuration.
          Check them with <code>sextant check</code>.</p>
      </Empty>
    );
  const count = (s: AlertState) => rules.filter((r) => r.rule.state === s).length;
  const shown = rules.filter(({ rule, group }) => (!state || rule.state === state) &&
    matches(`${rule.name} ${group.name} ${rule.query} ${JSON.stringify(rule.labels)} ${rule.alerts?.map((a) => JSON.stringify(a.labels)).join(" ")}`, filter));
  return (
    <>
      <div class="bar">
        <Choice label="State" value={state} onChange={(v) => setQuery({ state: v })} options={[
          ["", `All ${rules.length}`], ["firing", `Firing ${count("firing")}`], ["pending", `Pending ${count("pending")}`], ["inactive", `Inactive ${count("inactive")}`]]} />
        <Filter label="Filter by name, label or group" value={filter} onInput={(v) => setQuery({ search: v })} />
      </div>
      {!shown.length && <p class="none">No alerts match.</p>}
      <ul class="plain">
        {shown.map(({ rule, group }) => <AlertRule key={`${group.file} ${group.name} ${rule.name} ${rule.query}`} rule={rule} group={group} courses={coursesOfRule(courses, rule)} />)}
      </ul>
    </>
  );
}

// Rules may share a name; their own labels are on each of their alerts, unless they are templates.
function coursesOfRule(courses: Course[], rule: Rule): Course[] {
  const fixed = Object.entries(rule.labels ?? {}).filter(([, v]) => !v.includes("{{"));
  return courses.filter((c) => c.name === rule.name && fixed.every(([k, v]) => c.labels[k] === v));
}

function AlertRule({ rule, group, courses }: { rule: Rule; group: Group; courses: Course[] }) {
  const state = rule.state ?? "unknown";
  const { fired } = summary(courses.flatMap((c) => c.spells));
  const over = courses.filter((c) => !rule.alerts?.some((a) => sameLabels(a.labels, c.labels)));
  return (
    <li class={`card alert-rule ${state}`}>
      <details open={state === "firing" || state === "pending"}>
        <summary>
          <Badge tone={STATE_TONE[state]}>{state}</Badge>
          <h2>{rule.name}</h2>
          {rule.health === "err" && <Badge tone="bad">error</Badge>}
          {!!rule.alerts?.length && <span class="dim">{plural(rule.alerts.length, "alert")}</span>}
          {fired > 0 && <span class="dim">fired {plural(fired, "time")}</span>}
          <LabelList labels={rule.labels ?? {}} />
          <span class="dim end">{group.name}</span>
        </summary>
        {courses.length > 0 && <Timeline spells={courses.flatMap((c) => c.spells)} label={rule.name} />}
        <pre class="query"><code>{rule.query}</code></pre>
        <p class="row dim">
          <a href={exploreAt(rule.query)}>Explore</a>
          {!!rule.duration && <span>for {valueText(rule.duration, "s")}</span>}
          {!!rule.keepFiringFor && <span>keep firing for {valueText(rule.keepFiringFor, "s")}</span>}
          <span>evaluated <Ago at={rule.lastEvaluation} />, took {valueText(rule.evaluationTime, "s")}</span>
          <span class="mono">{group.file}</span>
        </p>
        {rule.lastError && <Failure text={rule.lastError} />}
        {rule.alerts?.map((a) => <AlertRow key={JSON.stringify(a.labels)} a={a} spells={courses.find((c) => sameLabels(a.labels, c.labels))?.spells} />)}
        {over.slice(0, OVER_MAX).map((c) => <Over key={c.key} course={c} />)}
        {over.length > OVER_MAX && <p class="dim">and {over.length - OVER_MAX} more: <a href={href("/alerts", { tab: "history", search: rule.name })}>history</a></p>}
      </details>
    </li>
  );
}

const OVER_MAX = 10;

const sameLabels = (a: Record<string, string>, b: Record<string, string>): boolean => {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((n) => a[n] === b[n]);
};

// An alert that was, within the range, and is no more.
function Over({ course }: { course: Course }) {
  const { alertname: _, ...labels } = course.labels;
  const last = course.spells[course.spells.length - 1];
  return (
    <div class="alert">
      <div class="row"><Badge tone="calm">resolved</Badge>{last && <span><Ago at={last.to} /></span>}<LabelList labels={labels} /></div>
      <Timeline spells={course.spells} label={course.key} />
    </div>
  );
}

interface Target { labels: Record<string, string>; health: string; lastError: string }

// Where the scrape of a firing alert's instance is looked into, and what went wrong with it.
function ToTarget({ instance, job }: Record<string, string>) {
  const asked = useAsk<{ activeTargets: Target[] }>("/api/v1/targets", { state: "active" }); // one request for all alerts
  const target = asked.data?.activeTargets.find((t) => t.labels.instance === instance && t.labels.job === job);
  return target && <p class="row"><a href={href("/targets", { search: `instance=${instance}` })}>Target</a>{target.health === "down" && <span class="bad-text">{target.lastError}</span>}</p>;
}

function AlertRow({ a, spells }: { a: Alert; spells?: Spell[] }) {
  const { alertname: _, ...labels } = a.labels;
  return (
    <div class="alert">
      <div class="row">
        <Badge tone={STATE_TONE[a.state]}>{a.state}</Badge>
        <span>since <Ago at={a.activeAt} /></span>
        <span>value <b class="mono">{valueText(Number(a.value))}</b></span>
        <LabelList labels={labels} onPick={(n, v) => setQuery({ search: `"${n}":"${v}"` })} />
      </div>
      {spells && <Timeline spells={spells} label={Object.entries(labels).map(([k, v]) => `${k}=${v}`).join(" ") || a.labels.alertname!} />}
      {a.state === "firing" && labels.job && labels.instance && <ToTarget {...labels} />}
      {Object.keys(a.annotations).length > 0 && (
        <dl class="pairs">
          {Object.entries(a.annotations).map(([k, v]) => <div key={k}><dt>{k}</dt><dd><Linked text={v} /></dd></div>)}
        </dl>
      )}
    </div>
  );
}

// Addresses in a text become links; nothing else does.
function Linked({ text }: { text: string }) {
  const parts: ComponentChildren[] = text.split(/(https?:\/\/[^\s<>"]+)/);
  return <>{parts.map((p, i) => (i % 2 ? <a key={i} href={String(p)} target="_blank" rel="noreferrer">{p}</a> : p))}</>;
}
