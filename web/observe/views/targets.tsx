// targets.tsx - what is scraped: pools, their targets, why one is down, what relabelling made of it.
import { useMemo, useState } from "preact/hooks";
import { ask, useAsk } from "../base/data";
import { type Labels, matches, plural, valueText } from "../base/format";
import { parameter, setQuery } from "../base/route";
import { Ago, Answer, Badge, Choice, Empty, Failure, Filter, LabelList, type Tone, useLive } from "../parts/bits";

interface Target {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: "up" | "down" | "unknown";
  scrapeInterval: string;
  scrapeTimeout: string;
}

interface Dropped {
  discoveredLabels: Labels;
  scrapePool: string;
}

interface Targets {
  activeTargets: Target[];
  droppedTargets: Dropped[];
  droppedTargetCounts: Record<string, number>;
}

const TONE: Record<Target["health"], Tone> = { up: "good", down: "bad", unknown: "calm" };
const DROPPED_SHOWN_MAX = 100;

type State = "" | "up" | "down" | "unknown" | "dropped";

const textOf = (t: Target): string =>
  `${t.scrapePool} ${t.scrapeUrl} ${t.lastError} ${Object.entries(t.labels).map(([k, v]) => `${k}=${v}`).join(" ")}`;

export default function TargetsView() {
  useLive();
  const asked = useAsk<Targets>("/api/v1/targets", { state: "any" });
  return <Answer of={asked}>{(data) => <Pools data={data} />}</Answer>;
}

function Pools({ data }: { data: Targets }) {
  const state = parameter("state") as State;
  const filter = parameter("search");
  const pool = parameter("pool");
  const count = (health: string) => data.activeTargets.filter((t) => t.health === health).length;
  const dropped = Object.values(data.droppedTargetCounts ?? {}).reduce((a, b) => a + b, 0);
  const pools = useMemo(() => {
    const out = new Map<string, Target[]>();
    for (const t of data.activeTargets) {
      if (!out.has(t.scrapePool)) out.set(t.scrapePool, []);
      out.get(t.scrapePool)!.push(t);
    }
    for (const list of out.values()) list.sort((a, b) => a.health.localeCompare(b.health) || a.scrapeUrl.localeCompare(b.scrapeUrl));
    return [...out].sort((a, b) => a[0].localeCompare(b[0]));
  }, [data]);
  if (!data.activeTargets.length && !dropped)
    return (
      <Empty title="No targets yet">
        <p>Add them under <code>scrape_configs</code> in the configuration, then reload it
          with <code>kill -HUP</code>.</p>
      </Empty>
    );
  const wanted = (t: Target) => (!state || t.health === state) && matches(textOf(t), filter) && (!pool || t.scrapePool === pool);
  const shown = pools.map(([name, all]) => ({ name, all, list: all.filter(wanted) })).filter((p) => p.list.length);
  return (
    <>
      <div class="bar">
        <Choice label="State" value={state} onChange={(v) => setQuery({ state: v })} options={[
          ["", `All ${data.activeTargets.length}`], ["up", `Up ${count("up")}`], ["down", `Down ${count("down")}`],
          ["unknown", `Unknown ${count("unknown")}`], ["dropped", `Dropped ${dropped}`]]} />
        <select aria-label="Scrape pool" value={pool} onChange={(e) => setQuery({ pool: e.currentTarget.value })}>
          <option value="">All pools</option>
          {pools.map(([name]) => <option key={name} value={name}>{name}</option>)}
        </select>
        <Filter label="Filter by address, label or error" value={filter} onInput={(v) => setQuery({ search: v })} />
      </div>
      {state === "dropped" ? <DroppedList data={data} filter={filter} pool={pool} />
        : shown.length ? shown.map((p) => <Pool key={p.name} {...p} open={!!filter || !!state || !!pool} />)
        : <p class="none">No targets match.</p>}
    </>
  );
}

function Pool({ name, all, list, open }: { name: string; all: Target[]; list: Target[]; open: boolean }) {
  const up = all.filter((t) => t.health === "up").length;
  const [folded, setFolded] = useState(false);
  const tone: Tone = up === all.length ? "good" : up ? "warn" : "bad";
  return (
    <section class="card pool" aria-label={`Scrape pool ${name}`}>
      <h2>
        <button type="button" class="fold" aria-expanded={!folded || open} onClick={() => setFolded(!folded)}>{name}</button>
        <Badge tone={tone}>{up} of {plural(all.length, "target")} up</Badge>
      </h2>
      {(!folded || open) && (
        <ul class="targets">{list.map((t) => <TargetRow key={t.scrapeUrl + JSON.stringify(t.labels)} t={t} />)}</ul>
      )}
    </section>
  );
}

function TargetRow({ t }: { t: Target }) {
  const [open, setOpen] = useState(false);
  return (
    <li>
      <div class="target">
        <Badge tone={TONE[t.health]}>{t.health}</Badge>
        <div class="grow">
          <a href={t.scrapeUrl} class="mono" target="_blank" rel="noreferrer">{t.scrapeUrl}</a>
          <LabelList labels={t.labels} onPick={(n, v) => setQuery({ search: `${n}=${v}` })} />
        </div>
        <dl class="facts">
          <div><dt>Last scrape</dt><dd><Ago at={t.lastScrape} /></dd></div>
          <div><dt>Scrape duration</dt><dd>{valueText(t.lastScrapeDuration, "s")}</dd></div>
          <div><dt>Interval</dt><dd>{t.scrapeInterval}</dd></div>
        </dl>
        <button type="button" class="quiet" aria-expanded={open} aria-label={`${open ? "Less" : "Labels"} of ${t.scrapeUrl}`} onClick={() => setOpen(!open)}>
          {open ? "Less" : "Labels"}
        </button>
      </div>
      {t.lastError && <Failure text={t.lastError} />}
      {open && <Relabelling pool={t.scrapePool} discovered={t.discoveredLabels} labels={t.labels} />}
    </li>
  );
}

interface Step {
  rule: Record<string, unknown>;
  output: Labels;
  keep: boolean;
}

function Relabelling({ pool, discovered, labels }: { pool: string; discovered: Labels; labels?: Labels }) {
  const [steps, setSteps] = useState<Step[]>();
  const [error, setError] = useState("");
  const show = () =>
    ask<{ steps: Step[] }>("/api/v1/targets/relabel_steps", { scrapePool: pool, labels: JSON.stringify(discovered) })
      .then((r) => setSteps(r.data.steps), (e: Error) => setError(e.message));
  return (
    <div class="relabel">
      <div><h3>Before relabelling</h3><Pairs labels={discovered} /></div>
      {labels && <div><h3>After</h3><Pairs labels={labels} was={discovered} /></div>}
      <div class="steps">
        {!steps && !error && <button type="button" onClick={show}>Show each step</button>}
        {error && <Failure text={error} />}
        {steps && !steps.length && <p class="dim">This pool has no relabelling rules.</p>}
        {steps?.map((s, i) => (
          <div key={i} class="step">
            <h3>Step {i + 1}: {String(s.rule.action)} {!s.keep && <Badge tone="bad">dropped</Badge>}</h3>
            <code>{Object.entries(s.rule).filter(([k]) => k !== "action").map(([k, v]) => `${k}: ${Array.isArray(v) ? `[${v.join(", ")}]` : v}`).join("\n")}</code>
            {s.keep && <Pairs labels={s.output} was={i ? steps[i - 1]!.output : discovered} changedOnly />}
          </div>
        ))}
      </div>
    </div>
  );
}

// Labels below each other; what `was` does not have the same is marked.
function Pairs({ labels, was, changedOnly }: { labels: Labels; was?: Labels; changedOnly?: boolean }) {
  const all = Object.entries(labels);
  const shown = changedOnly && was ? all.filter(([k, v]) => was[k] !== v) : all;
  if (!shown.length) return <p class="dim">Nothing changes.</p>;
  return (
    <dl class="pairs">
      {shown.map(([k, v]) => <div key={k} class={was && was[k] !== v ? "changed" : ""}><dt>{k}</dt><dd>{v}</dd></div>)}
    </dl>
  );
}

function DroppedList({ data, filter, pool }: { data: Targets; filter: string; pool: string }) {
  const all = data.droppedTargets.filter((t) => (!pool || t.scrapePool === pool) && matches(`${t.scrapePool} ${JSON.stringify(t.discoveredLabels)}`, filter));
  if (!all.length) return <p class="none">No targets were dropped by relabelling.</p>;
  return (
    <section class="card">
      <p class="dim">Dropped by relabelling.{all.length > DROPPED_SHOWN_MAX && ` Showing the first ${DROPPED_SHOWN_MAX} of ${all.length}; filter to see others.`}</p>
      <ul class="targets">
        {all.slice(0, DROPPED_SHOWN_MAX).map((t, i) => (
          <li key={i}><h3>{t.scrapePool}</h3><Relabelling pool={t.scrapePool} discovered={t.discoveredLabels} /></li>
        ))}
      </ul>
    </section>
  );
}
