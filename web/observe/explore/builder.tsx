// builder.tsx - a query put together without knowing the language: a metric, filters, steps one after
// the other, each told in a sentence. The text above is the query; what is changed on either side is
// seen on the other, and what the builder cannot hold stays text.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask } from "../base/data";
import { matches } from "../base/format";
import { type Offers, Suggest } from "../traces/suggest";
import { type Metric, ranked, useMetrics } from "./metrics";
import { begin, type Built, empty, isCounter, isDuration, isNumber, type LabelFilter, OPERATORS, saidOfMetric, saidOfStep, selector, type Step, stepOf, write, wrongIn } from "./model";
import { read } from "./read";
import { isComparison, type Op, OPS, opOf } from "./steps";

const OFFERED_MAX = 50;
const MENUS = [...new Set(OPS.map((o) => o.menu))];
const OFFSET = "offset";
let keys = 0;

const keyed = (q: Built): Built => ({ ...q, steps: q.steps.map((s) => (s.key ? s : { ...s, key: ++keys })) });
const same = (a: Step[], b: Step[]): boolean => JSON.stringify(a.map(({ key: _, ...s }) => s)) === JSON.stringify(b.map(({ key: _, ...s }) => s));

// The labels, or one label's values, that series so selected have.
async function known(path: string, match: string): Promise<string[]> {
  return (await ask<string[]>(path, { "match[]": match || undefined })).data;
}

const offersOf = (list: string[], text: string): Offers | undefined =>
  list.includes(text) ? undefined : { from: 0, list: list.filter((v) => matches(v, text)).slice(0, OFFERED_MAX).map((v) => ({ text: v })) };

export default function Builder({ id, text, onChange, onRun, onBrowse }: {
  id: string; text: string; onChange: (text: string) => void; onRun: () => void; onBrowse: () => void;
}) {
  const { metrics } = useMetrics("", false);
  const [q, setQ] = useState<Built>(empty);
  const [why, setWhy] = useState("");
  const [told, setTold] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const focus = useRef("");
  const mine = useRef<string[]>([]); // told from here and not yet come back, and the last
  useEffect(() => {
    const at = mine.current.lastIndexOf(text);
    if (at >= 0) return void mine.current.splice(0, at); // an older one may come while a newer is on its way
    mine.current = [text];
    const r = read(text);
    setWhy("why" in r ? r.why : "");
    if ("q" in r) setQ(keyed(r.q));
  }, [text]);
  useEffect(() => {
    if (!focus.current) return;
    const found = [...box.current!.querySelectorAll<HTMLElement>(focus.current)].find((e) => !(e as HTMLButtonElement).disabled);
    focus.current = "";
    found?.focus();
  });
  const change = (next: Built, say = "", to = "") => {
    const k = keyed(next);
    setQ(k);
    setTold(say);
    focus.current = to;
    const said = write(k);
    mine.current.push(said);
    onChange(said);
  };
  if (why)
    return (
      <div class="qb" role="group" aria-label="Query builder">
        <p class="notice" role="status">This query stays text: {why}</p>
        <button type="button" class="quiet" onClick={() => { setWhy(""); change(empty()); }}>Begin a new one</button>
      </div>
    );
  const type = metrics.find((m) => m.name === q.metric)?.type ?? "";
  const pick = (name: string) => {
    if (name === q.metric) return;
    // Steps that were only the usual ones of the metric before make room for those of the new one.
    const usual = !q.steps.length || same(q.steps, begin(q.metric, type).steps);
    const begun = begin(name, metrics.find((m) => m.name === name)?.type ?? "");
    change({ ...q, metric: name, steps: usual ? begun.steps : q.steps }, `${name} is taken.`);
  };
  const steps = (list: Step[], say?: string, to?: string) => change({ ...q, steps: list }, say, to);
  const move = (i: number, by: number) => {
    const list = [...q.steps];
    const [s] = list.splice(i, 1);
    list.splice(i + by, 0, s!);
    steps(list, `${s!.id} is step ${i + by + 1} of ${list.length} now.`, `[data-key="${s!.key}"] [data-do="${by}"], [data-key="${s!.key}"] [data-do]`);
  };
  const add = (what: string) => {
    if (what === OFFSET) return change({ ...q, offset: "1h" }, "It looks back by one hour.", ".qb-offset input");
    const more: Partial<Step> = what === "histogram_quantile" || opOf(what)!.kind !== "group" ? {} : { group: "by", labels: [] };
    const s = { ...stepOf(what, more), key: ++keys };
    // A range of time is of the metric itself, so it comes first where none is yet.
    const first = opOf(what)!.kind === "range" && !q.steps.some((o) => opOf(o.id)!.kind === "range");
    steps(first ? [s, ...q.steps] : [...q.steps, s], `${what} is added.`, `[data-key="${s.key}"] :is(input, select, button)`);
  };
  const problems = [...q.steps.map(wrongIn), q.offset && !isDuration(q.offset.replace(/^-/, "")) ? `“${q.offset}” is no span of time; 1h or 7d are.` : ""].filter(Boolean);
  const bare = q.metric && isCounter(q.metric, type) && !q.steps.some((s) => opOf(s.id)!.kind === "range");
  return (
    <div class="qb" ref={box} role="group" aria-label="Query builder"
      onKeyDown={(e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); onRun(); } }}>
      <MetricField id={id} metric={q.metric} metrics={metrics} onPick={pick} onBrowse={onBrowse} />
      <Filters id={id} q={q} onChange={(filters, to) => change({ ...q, filters }, "", to)} />
      <p class="qb-said">{saidOfMetric(q)}</p>
      {q.offset && (
        <div class="row qb-offset">
          <label class="inline">As it was <Field label="Look back by" value={q.offset} wrong={!isDuration(q.offset.replace(/^-/, ""))} onInput={(v) => change({ ...q, offset: v || "1h" })} /> before</label>
          <button type="button" class="icon" aria-label="Remove looking back" onClick={() => change({ ...q, offset: "" }, "Looking back is removed.", ".qb-add select")}>×</button>
        </div>
      )}
      <ol class="qb-steps" aria-label="Steps">
        {q.steps.map((s, i) => (
          <StepCard key={s.key} id={`${id}-${s.key}`} step={s} q={q} onChange={(n) => steps(q.steps.map((o, k) => (k === i ? n : o)))}>
            <button type="button" class="icon" data-do="-1" disabled={!i} aria-label={`Move ${s.id} up`} onClick={() => move(i, -1)}>↑</button>
            <button type="button" class="icon" data-do="1" disabled={i === q.steps.length - 1} aria-label={`Move ${s.id} down`} onClick={() => move(i, 1)}>↓</button>
            <button type="button" class="icon" aria-label={`Remove ${s.id}`} onClick={() => steps(q.steps.filter((_, k) => k !== i), `${s.id} is removed.`, ".qb-add select")}>×</button>
          </StepCard>
        ))}
      </ol>
      <Adder offset={!q.offset} onAdd={add} />
      {bare && <p class="notice row">A counter only ever grows: its rate tells more. <button type="button" onClick={() => add("rate")}>Take its rate</button></p>}
      {problems.map((p) => <p key={p} class="failure">{p}</p>)}
      <p class="unseen" role="status">{told}</p>
    </div>
  );
}

function MetricField({ id, metric, metrics, onPick, onBrowse }: {
  id: string; metric: string; metrics: Metric[]; onPick: (name: string) => void; onBrowse: () => void;
}) {
  const [draft, setDraft] = useState(metric);
  useEffect(() => setDraft(metric), [metric]);
  const names = useMemo(() => new Set(metrics.map((m) => m.name)), [metrics]);
  const of = metrics.find((m) => m.name === metric);
  const offers = async (text: string): Promise<Offers | undefined> => names.has(text) ? undefined : {
    from: 0, list: ranked(metrics, text).slice(0, OFFERED_MAX).map((m) => ({ text: m.name, note: [m.type, m.help].filter(Boolean).join(" · ").slice(0, 90) })),
  };
  const typed = draft.trim();
  const none = metrics.length > 0 && typed !== metric && !ranked(metrics, typed).length;
  const take = () => { if (typed !== metric && !none) onPick(typed); };
  return (
    <div class="row qb-metric" onKeyDown={(e) => { if (e.key === "Enter" && !e.defaultPrevented && !e.ctrlKey && (e.target as Element).tagName === "INPUT") take(); }} onFocusOut={take}>
      <label class="qb-name" for={`${id}-metric`}>Metric</label>
      <Suggest id={`${id}-metric`} label="Metric: by name, help, type or unit" placeholder="Name, help, type or unit" first value={draft} offers={offers}
        onInput={(v) => { setDraft(v); if (names.has(v)) onPick(v); }} />
      <button type="button" class="quiet" onClick={onBrowse}>Browse</button>
      {none && <span class="failure" role="status">No metric is like that.</span>}
      {of && <span class="dim small">{[of.type, of.unit, of.help].filter(Boolean).join(" · ")}</span>}
    </div>
  );
}

const SAID = { "=": "is", "!=": "is not", "=~": "matches", "!~": "matches not" };

function Filters({ id, q, onChange }: { id: string; q: Built; onChange: (filters: LabelFilter[], focus?: string) => void }) {
  const set = (i: number, to: Partial<LabelFilter>) => onChange(q.filters.map((f, k) => (k === i ? { ...f, ...to } : f)));
  return (
    <div class="qb-filters" role="group" aria-label="Label filters">
      {q.filters.map((f, i) => (
        <div key={i} class="row qb-filter">
          <Suggest id={`${id}-label${i}`} label={`Label ${i + 1}`} placeholder="label" value={f.name} onInput={(name) => set(i, { name })}
            offers={async (t) => offersOf((await known("/api/v1/labels", selector(q, i))).filter((n) => n !== "__name__"), t)} />
          <select aria-label={`How label ${i + 1} is compared`} value={f.op} onChange={(e) => set(i, { op: e.currentTarget.value as LabelFilter["op"] })}>
            {OPERATORS.map((o) => <option key={o} value={o} title={SAID[o]}>{o} {SAID[o]}</option>)}
          </select>
          <Suggest id={`${id}-value${i}`} label={`Value ${i + 1}`} placeholder={f.op.endsWith("~") ? "regular expression" : "value"} value={f.value} onInput={(value) => set(i, { value })}
            offers={async (t) => (f.name ? offersOf(await known(`/api/v1/label/${encodeURIComponent(f.name)}/values`, selector(q, i)), t) : undefined)} />
          <button type="button" class="icon" aria-label={`Remove filter ${i + 1}`} onClick={() => onChange(q.filters.filter((_, k) => k !== i), ".qb-more")}>×</button>
        </div>
      ))}
      <button type="button" class="quiet qb-more" onClick={() => onChange([...q.filters, { name: "", op: "=", value: "" }], `#${CSS.escape(`${id}-label${q.filters.length}`)}`)}>+ Filter by a label</button>
    </div>
  );
}

function Field({ label, value, wrong, onInput }: { label: string; value: string; wrong: boolean; onInput: (v: string) => void }) {
  return <input class="qb-field" aria-label={label} title={label} value={value} aria-invalid={wrong} spellcheck={false} autocomplete="off" onInput={(e) => onInput(e.currentTarget.value.trim())} />;
}

function StepCard({ id, step: s, q, onChange, children }: { id: string; step: Step; q: Built; onChange: (s: Step) => void; children: ComponentChildren }) {
  const op = opOf(s.id)!;
  const set = (i: number, v: string) => onChange({ ...s, args: op.args.map((_, k) => (k === i ? v : s.args[k] ?? "")) });
  const wrong = (i: number) => {
    const a = op.args[i]!;
    const v = s.args[i] ?? "";
    return a.kind === "range" ? !isDuration(v) : a.kind === "number" ? !isNumber(v) && !(a.optional && !v) : !v;
  };
  return (
    <li class="qb-step" data-key={s.key} data-op={s.id}>
      <div class="row">
        <b class="mono">{s.id}</b>
        {op.args.map((a, i) => <label key={a.name} class="inline small">{a.name} <Field label={`${s.id}: ${a.name}`} value={s.args[i] ?? ""} wrong={wrong(i)} onInput={(v) => set(i, v)} /></label>)}
        {op.kind === "number" && <label class="inline small"><input type="checkbox" checked={!!s.left} onChange={(e) => onChange({ ...s, left: e.currentTarget.checked || undefined })} /> number first</label>}
        {isComparison(s.id) && <label class="inline small"><input type="checkbox" checked={!!s.bool} onChange={(e) => onChange({ ...s, bool: e.currentTarget.checked || undefined })} /> as 1 or 0</label>}
        {op.kind === "group" && <Grouping id={id} step={s} q={q} onChange={onChange} />}
        <span class="end qb-do">{children}</span>
      </div>
      <p class="qb-said">{saidOfStep(s)}</p>
    </li>
  );
}

function Grouping({ id, step: s, q, onChange }: { id: string; step: Step; q: Built; onChange: (s: Step) => void }) {
  const [draft, setDraft] = useState("");
  const labels = s.labels ?? [];
  const list = useRef<string[]>([]);
  const take = (name: string) => {
    setDraft("");
    if (name && !labels.includes(name)) onChange({ ...s, group: s.group ?? "by", labels: [...labels, name] });
  };
  return (
    <>
      <select aria-label={`${s.id}: which labels`} value={s.group ?? "by"} onChange={(e) => onChange({ ...s, group: e.currentTarget.value as "by" | "without", labels })}>
        <option value="by">by</option><option value="without">without</option>
      </select>
      {labels.map((l) => <button key={l} type="button" class="label" aria-label={`${s.id}: remove the label ${l}`} onClick={() => onChange({ ...s, labels: labels.filter((x) => x !== l) })}>{l} ×</button>)}
      <div class="qb-group" onKeyDown={(e) => { if (e.key === "Enter" && !e.defaultPrevented && !e.ctrlKey) take(draft.trim()); }} onFocusOut={() => take(draft.trim())}>
        <Suggest id={`${id}-by`} label={`${s.id}: add a label`} placeholder="add a label" value={draft}
          onInput={(v) => { if (list.current.includes(v)) take(v); else setDraft(v); }}
          offers={async (t) => {
            list.current = (await known("/api/v1/labels", selector(q))).filter((n) => n !== "__name__" && !labels.includes(n));
            return offersOf(list.current, t);
          }} />
      </div>
    </>
  );
}

function Adder({ offset, onAdd }: { offset: boolean; onAdd: (id: string) => void }) {
  const [what, setWhat] = useState("rate");
  const option = (o: Op) => <option key={o.id} value={o.id}>{o.id}</option>;
  return (
    <div class="row qb-add">
      <label class="inline">Next step <select aria-label="Step to add" value={what} onChange={(e) => setWhat(e.currentTarget.value)}>
        {MENUS.map((m) => (
          <optgroup key={m} label={m}>
            {OPS.filter((o) => o.menu === m).map(option)}
            {m === "Over time" && offset && <option value={OFFSET}>offset (look back)</option>}
          </optgroup>
        ))}
      </select></label>
      <button type="button" onClick={() => onAdd(what)}>Add</button>
      <span class="dim small">{opOf(what) ? saidOfStep(stepOf(what)) : "Look at an earlier time."}</span>
    </div>
  );
}
