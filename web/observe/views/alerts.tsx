// alerts.tsx - which alerts fire, since when and why; those in trouble first.
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { useAsk } from "../base/data";
import { matches, plural, valueText } from "../base/format";
import { href, parameter, setQuery } from "../base/route";
import { Ago, Answer, Badge, Choice, Empty, Failure, Filter, LabelList } from "../parts/bits";
import { type Alert, type AlertState, byTrouble, type Group, type Rule, STATE_TONE } from "../parts/rule";

const exploreAt = (query: string) => href("/explore", { "g0.expr": query, "g0.tab": "graph" });

export default function AlertsView() {
  const asked = useAsk<{ groups: Group[] }>("/api/v1/rules", { type: "alert" });
  return <Answer of={asked}>{(data) => <Alerts groups={data.groups} />}</Answer>;
}

function Alerts({ groups }: { groups: Group[] }) {
  const state = parameter("state") as AlertState | "";
  const filter = parameter("search");
  const rules = useMemo(
    () => groups.flatMap((g) => g.rules.map((rule) => ({ rule, group: g }))).sort((a, b) => byTrouble(a.rule, b.rule)), [groups]);
  if (!rules.length)
    return (
      <Empty title="No alert is defined">
        <p>Alerting rules live in the files that <code>rule_files</code> of the configuration names.
          <code>sextant check</code> checks them.</p>
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
      {!shown.length && <p class="none">No alert is like that.</p>}
      <ul class="plain">
        {shown.map(({ rule, group }) => <AlertRule key={`${group.file} ${group.name} ${rule.name} ${rule.query}`} rule={rule} group={group} />)}
      </ul>
    </>
  );
}

function AlertRule({ rule, group }: { rule: Rule; group: Group }) {
  const state = rule.state ?? "unknown";
  return (
    <li class={`card alert-rule ${state}`}>
      <details open={state === "firing" || state === "pending"}>
        <summary>
          <Badge tone={STATE_TONE[state]}>{state}</Badge>
          <h2>{rule.name}</h2>
          {rule.health === "err" && <Badge tone="bad">fails</Badge>}
          {!!rule.alerts?.length && <span class="dim">{plural(rule.alerts.length, "alert")}</span>}
          <LabelList labels={rule.labels ?? {}} />
          <span class="dim end">{group.name}</span>
        </summary>
        <pre class="query"><code>{rule.query}</code></pre>
        <p class="row dim">
          <a href={exploreAt(rule.query)}>Explore</a>
          {!!rule.duration && <span>for {valueText(rule.duration, "s")}</span>}
          {!!rule.keepFiringFor && <span>kept for {valueText(rule.keepFiringFor, "s")}</span>}
          <span>evaluated <Ago at={rule.lastEvaluation} />, took {valueText(rule.evaluationTime, "s")}</span>
          <span class="mono">{group.file}</span>
        </p>
        {rule.lastError && <Failure text={rule.lastError} />}
        {rule.alerts?.map((a) => <AlertRow key={JSON.stringify(a.labels)} a={a} />)}
      </details>
    </li>
  );
}

function AlertRow({ a }: { a: Alert }) {
  const { alertname: _, ...labels } = a.labels;
  return (
    <div class="alert">
      <div class="row">
        <Badge tone={STATE_TONE[a.state]}>{a.state}</Badge>
        <span>since <Ago at={a.activeAt} /></span>
        <span>value <b class="mono">{valueText(Number(a.value))}</b></span>
        <LabelList labels={labels} onPick={(n, v) => setQuery({ search: `"${n}":"${v}"` })} />
      </div>
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
