// variables_bar.tsx - the variables above the panels: lists to choose from, boxes to type into, switches,
// and filters that go into every query.
import { useEffect, useState } from "preact/hooks";
import { ask } from "../base/data";
import { type Filter, filtersOf, filterToUrl } from "./adhoc";
import { Icon } from "../parts/icon";
import { Explain } from "../parts/popup";
import { ALL } from "./interpolate";
import type { Variable } from "./model";
import { choose, type PageState } from "./page_state";
import { Pick } from "./pick";
import type { Value } from "./scope";

const listOf = (v: string | string[] | undefined): string[] => (v === undefined || v === "" ? [] : [v].flat());

export function VariablesBar({ page }: { page: PageState }) {
  const shown = page.dashboard.value.templating.list.filter((v) => v.hide !== 2 && v.type !== "constant" && v.type !== "system");
  if (!shown.length) return null;
  return (
    <div class="variables" role="group" aria-label="Variables">
      {shown.map((v) => <One key={v.name} page={page} variable={v} />)}
    </div>
  );
}

function One({ page, variable: v }: { page: PageState; variable: Variable }) {
  const value = page.values.value[v.name];
  const label = v.label || v.name;
  const { error: wrong, note } = page.states.value[v.name] ?? {};
  if (!value) return null;
  return (
    <div class="variable" data-variable={v.name}>
      {v.hide !== 1 && <span class="variable-name" title={v.description || undefined} aria-hidden="true">{label}</span>}
      <Control page={page} variable={v} value={value} label={label} />
      {note && <Explain label={`About ${label}`} text={note}><Icon name="info" /></Explain>}
      {wrong && <Explain label={`Error in ${label}`} text={wrong}><span class="bad-sign"><Icon name="warn" /></span></Explain>}
    </div>
  );
}

function Control({ page, variable: v, value, label }: { page: PageState; variable: Variable; value: Value; label: string }) {
  const set = (values: string[]) => choose(page, v.name, values);
  if (v.type === "textbox") return <TextBox label={label} value={listOf(value.value)[0] ?? ""} onSet={(t) => set([t])} />;
  if (v.type === "switch") return <Switch variable={v} label={label} value={listOf(value.value)[0] ?? ""} onSet={(t) => set([t])} />;
  if (v.type === "adhoc") return <Filters label={label} value={value} onSet={set} />;
  if (v.type === "groupby") return <GroupBy label={label} value={listOf(value.value)} onSet={set} />;
  const options = (page.states.value[v.name]?.options ?? v.options ?? []).filter((o) => o.value !== ALL);
  const typed = v.allowCustomValue !== false && v.type !== "datasource" && v.type !== "interval";
  return <Pick label={label} options={options} value={listOf(value.value)} multi={v.multi} all={v.includeAll} typed={typed} loading={page.asking.value.has(v.name)}
    show={v.multi ? undefined : listOf(value.text).join(" + ") || undefined} onPick={set} />;
}

// Taken on Enter or when it is left.
function TextBox({ label, value, onSet }: { label: string; value: string; onSet: (v: string) => void }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const take = () => { if (typed !== value) onSet(typed); };
  return <input class="variable-text" aria-label={label} value={typed} spellcheck={false} onInput={(e) => setTyped(e.currentTarget.value)} onBlur={take}
    onKeyDown={(e) => { if (e.key === "Enter") take(); else if (e.key === "Escape") setTyped(value); }} />;
}

function Switch({ variable, label, value, onSet }: { variable: Variable; label: string; value: string; onSet: (v: string) => void }) {
  const on = variable.enabledValue ?? "true";
  const off = variable.disabledValue ?? "false";
  return <input type="checkbox" role="switch" aria-label={label} checked={value === on} onChange={(e) => onSet(e.currentTarget.checked ? on : off)} />;
}

const OPERATORS = ["=", "!=", "=~", "!~"];

function useLabels(): { names: string[]; ask: () => void } {
  const [names, setNames] = useState<string[]>([]);
  return { names, ask: () => { if (!names.length) ask<string[]>("/api/v1/labels").then((r) => setNames(r.data.filter((n) => n !== "__name__")), () => undefined); } };
}

// Each filter a chip that goes by a click; a new one is label, operator and value.
function Filters({ label, value, onSet }: { label: string; value: Value; onSet: (all: string[]) => void }) {
  const filters = filtersOf(value);
  const write = (all: Filter[]) => onSet(all.map(filterToUrl));
  const [making, setMaking] = useState<Filter>();
  const [values, setValues] = useState<string[]>([]);
  const labels = useLabels();
  const pickKey = (key: string) => {
    setMaking({ key, operator: making?.operator ?? "=", value: "" });
    ask<string[]>(`/api/v1/label/${encodeURIComponent(key)}/values`).then((r) => setValues(r.data), () => setValues([]));
  };
  const options = (all: string[]) => all.map((v) => ({ text: v, value: v }));
  return (
    <span class="filters" role="group" aria-label={label}>
      {filters.map((f, i) => (
        <button key={i} type="button" class="chip" aria-label={`Remove filter ${f.key} ${f.operator} ${f.value}`} onClick={() => write(filters.filter((_, k) => k !== i))}>
          {f.key} {f.operator} {f.values?.join(", ") ?? f.value} <span aria-hidden="true">×</span></button>
      ))}
      {making ? (
        <>
          <Pick label={`${label}: label`} options={options(labels.names)} value={making.key ? [making.key] : []} typed show={making.key || "label"} onPick={([k]) => k && pickKey(k)} />
          {making.key && <select aria-label={`${label}: operator`} value={making.operator} onChange={(e) => setMaking({ ...making, operator: e.currentTarget.value })}>
            {OPERATORS.map((o) => <option key={o} value={o}>{o}</option>)}
          </select>}
          {making.key && <Pick label={`${label}: value`} options={options(values)} value={[]} typed show="value"
            onPick={([v]) => { if (v !== undefined) { write([...filters, { ...making, value: v }]); setMaking(undefined); } }} />}
          <button type="button" class="icon" aria-label="Cancel filter" onClick={() => setMaking(undefined)}>×</button>
        </>
      ) : <button type="button" class="icon" aria-label={`Add filter to ${label}`} title="Add filter" onClick={() => { labels.ask(); setMaking({ key: "", operator: "=", value: "" }); }}>+</button>}
    </span>
  );
}

function GroupBy({ label, value, onSet }: { label: string; value: string[]; onSet: (all: string[]) => void }) {
  const labels = useLabels();
  useEffect(labels.ask, []);
  return <Pick label={label} options={labels.names.map((n) => ({ text: n, value: n }))} value={value} multi typed show={value.length ? undefined : "nothing"} onPick={onSet} />;
}
