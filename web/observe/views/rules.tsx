// rules.tsx - every rule by group: what it evaluates, how long that takes, whether it fails.
import { useAsk } from "../base/data";
import { matches, plural, valueText } from "../base/format";
import { href, parameter, setQuery } from "../base/route";
import { Ago, Answer, Badge, Choice, Empty, Failure, Filter, LabelList } from "../parts/bits";
import { type Group, HEALTH_TONE, type Rule, STATE_TONE } from "../parts/rule";

type Show = "" | "alerting" | "recording" | "err";

export default function RulesView() {
  const asked = useAsk<{ groups: Group[] }>("/api/v1/rules");
  return <Answer of={asked}>{(data) => <Groups groups={data.groups} />}</Answer>;
}

function Groups({ groups }: { groups: Group[] }) {
  const show = parameter("show") as Show;
  const filter = parameter("search");
  if (!groups.length)
    return <Empty title="No rules"><p>Name rule files under <code>rule_files</code> in the configuration.</p></Empty>;
  const all = groups.flatMap((g) => g.rules);
  const wanted = (g: Group, r: Rule) => (!show || (show === "err" ? r.health === "err" : r.type === show)) &&
    matches(`${g.name} ${g.file} ${r.name} ${r.query}`, filter);
  const shown = groups.map((g) => ({ g, rules: g.rules.filter((r) => wanted(g, r)) })).filter((x) => x.rules.length);
  const count = (t: string) => all.filter((r) => r.type === t).length;
  return (
    <>
      <div class="bar">
        <Choice label="Kind" value={show} onChange={(v) => setQuery({ show: v })} options={[
          ["", `All ${all.length}`], ["alerting", `Alerting ${count("alerting")}`], ["recording", `Recording ${count("recording")}`],
          ["err", `Failing ${all.filter((r) => r.health === "err").length}`]]} />
        <Filter label="Filter by name, expression or file" value={filter} onInput={(v) => setQuery({ search: v })} />
      </div>
      {!shown.length && <p class="none">No rules match.</p>}
      {shown.map(({ g, rules }) => (
        <section class="card" key={`${g.file} ${g.name}`} aria-label={`Group ${g.name}`}>
          <h2>{g.name} <span class="dim small">{plural(g.rules.length, "rule")}, every {valueText(g.interval, "s")}, last <Ago at={g.lastEvaluation} />, took {valueText(g.evaluationTime, "s")}</span></h2>
          <p class="dim mono small">{g.file}</p>
          <ul class="plain rules">{rules.map((r, i) => <RuleRow key={`${r.name} ${i}`} r={r} />)}</ul>
        </section>
      ))}
    </>
  );
}

function RuleRow({ r }: { r: Rule }) {
  return (
    <li>
      <div class="row">
        {r.type === "alerting" ? <Badge tone={STATE_TONE[r.state ?? "unknown"]}>{r.state}</Badge> : <span class="tag">record</span>}
        <b>{r.name}</b>
        {r.health !== "ok" && <Badge tone={HEALTH_TONE[r.health]}>{r.health === "err" ? "fails" : "not evaluated"}</Badge>}
        <LabelList labels={r.labels ?? {}} />
        <span class="dim end">{valueText(r.evaluationTime, "s")} · <Ago at={r.lastEvaluation} /> · <a href={href("/explore", { "g0.expr": r.query, "g0.tab": "graph" })}>Explore</a></span>
      </div>
      <pre class="query"><code>{r.query}</code></pre>
      {r.lastError && <Failure text={r.lastError} />}
    </li>
  );
}
