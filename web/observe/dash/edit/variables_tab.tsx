// variables_tab.tsx - the variables of a dashboard: what each asks or holds, and what it has come to.
import { Failure } from "../../parts/bits";
import { ALL } from "../interpolate";
import type { Bag, Variable } from "../model";
import type { PageState } from "../page_state";
import { count, pick } from "./choices";
import { Items } from "./items";
import { type Row, Rows } from "./rows";
import { SourceField, usePlaces } from "./targets";

const of = (...types: string[]) => (v: Variable) => types.includes(v.type);
const many = of("query", "custom", "datasource");
const VARIABLE: Row[] = [
  { path: "name", text: "Name", kind: "text" },
  { path: "type", text: "Type", kind: "select", choices: pick({ query: "Query", custom: "Custom", textbox: "Text box", interval: "Interval", datasource: "Data source", constant: "Constant", adhoc: "Ad hoc filters", switch: "Switch", groupby: "Group by" }) },
  { path: "label", text: "Label", kind: "text" }, { path: "description", text: "Description", kind: "text" },
  { path: "hide", text: "Shown", kind: "select", choices: count("Label and value", "Value only", "Nothing") },
  { path: "query", text: "Query", kind: "area", late: true, hint: "label_values(up, job)", when: (v) => v.type === "query" && typeof v.query !== "object" },
  { path: "query.query", text: "Query", kind: "area", late: true, hint: "label_values(up, job)", when: (v) => v.type === "query" && typeof v.query === "object" },
  { path: "query", text: "Values, with commas between", kind: "area", late: true, hint: "a, b, text : value", when: of("custom") },
  { path: "query", text: "Intervals", kind: "text", hint: "1m,10m,1h", when: of("interval") },
  { path: "query", text: "Value", kind: "text", when: of("textbox", "constant") },
  { path: "query", text: "Type of data source", kind: "select", choices: pick({ prometheus: "Prometheus", tempo: "Tempo", jaeger: "Jaeger", loki: "Loki", alertmanager: "Alertmanager" }), when: of("datasource") },
  { path: "regex", text: "Only what matches", kind: "text", hint: "/web-(.*)/", when: of("query", "datasource") },
  { path: "sort", text: "Order", kind: "select", when: of("query"), choices: count("As it comes", "A to Z", "Z to A", "Numbers up", "Numbers down", "A to Z, any case", "Z to A, any case", "Natural up", "Natural down") },
  { path: "refresh", text: "Asked", kind: "select", when: of("query"), choices: [{ value: 1, text: "When the dashboard opens" }, { value: 2, text: "When the time changes" }, { value: 0, text: "Never" }] },
  { path: "multi", text: "Several at once", kind: "switch", when: many }, { path: "includeAll", text: "With “All”", kind: "switch", when: many },
  { path: "allValue", text: "What “All” stands for", kind: "text", when: (v) => many(v) && !!v.includeAll },
  { path: "auto", text: "With “auto”", kind: "switch", when: of("interval") },
  { path: "auto_count", text: "Steps of “auto”", kind: "number", least: 1, when: (v) => v.type === "interval" && !!v.auto }, { path: "auto_min", text: "Least of “auto”", kind: "text", hint: "10s", when: (v) => v.type === "interval" && !!v.auto },
  { path: "enabledValue", text: "Value when on", kind: "text", hint: "true", when: of("switch") }, { path: "disabledValue", text: "Value when off", kind: "text", hint: "false", when: of("switch") },
];

const SHOWN_MAX = 40;

// What it offers, as soon as it was asked.
function Preview({ page, name }: { page: PageState; name: string }) {
  const state = page.states.value[name];
  const options = (state?.options ?? []).filter((o) => o.value !== ALL);
  if (page.asking.value.has(name)) return <p class="dim small">Asking…</p>;
  if (state?.error) return <Failure text={state.error} />;
  if (!state) return null;
  return (
    <div class="ed-field" role="group" aria-label="Values"><span>Values ({options.length})</span><span class="row ed-values">
      {options.slice(0, SHOWN_MAX).map((o) => <code key={o.value} title={o.value}>{o.text || "(empty)"}</code>)}
      {options.length > SHOWN_MAX && <span class="dim small">and {options.length - SHOWN_MAX} more</span>}
    </span></div>
  );
}

export function VariablesTab({ page, put }: { page: PageState; put: (list: Variable[]) => void }) {
  const d = page.dashboard.value;
  const all = d.templating.list;
  const places = usePlaces(d);
  const make = (): Variable => {
    let n = 0;
    while (all.some((v) => v.name === `query${n}`)) n++;
    return { name: `query${n}`, type: "query", query: "", definition: "", refresh: 1, sort: 1, hide: 0, regex: "", multi: false, includeAll: false, options: [], current: {} };
  };
  return <Items all={all} put={put} fold add="Add variable" make={make} name={(v) => `Variable ${v.name}`}
    head={(v) => <>${v.name} <span class="dim small">{v.type}</span></>}
    body={(v, set) => (
      <>
        {asked(v) && <label class="ed-field"><span>Data source</span><SourceField label="Data source" value={v.datasource} places={places}
          set={(ref) => { const { datasource: _, ...rest } = v; set({ ...rest, ...(ref ? { datasource: ref } : {}) } as Variable); }} /></label>}
        <Rows of={v} shown={{ hide: 0, sort: 0, refresh: 0, ...v }} rows={VARIABLE} onChange={(to) => set(changed(v, to))} />
        <Preview page={page} name={v.name} />
      </>
    )} />;
}

const asked = of("query", "adhoc", "groupby");
const FIRST: Record<string, string> = { datasource: "prometheus", interval: "1m,10m,30m,1h,6h,12h,1d" };
const typed = of("textbox", "constant");

// Of another type or with other options, what was chosen before means nothing.
function changed(before: Variable, to: Bag): Variable {
  const now = { ...to, name: (to.name ?? "").replace(/\W/g, "_") } as Variable;
  if (to.type !== before.type) return fresh(now);
  if (to.query === before.query) return now;
  now.query ??= "";
  // The parts that Grafana's form made the text of say something else now.
  if (now.type === "query" && typeof now.query === "object") now.query = { query: now.query.query ?? "", refId: now.query.refId ?? "StandardVariableQuery" };
  if (now.type === "query") now.definition = typeof now.query === "string" ? now.query : now.query.query;
  return { ...now, options: [], current: typed(now) ? { text: now.query, value: now.query } : {} };
}

// Only what every type has goes along.
function fresh({ name, type, label, description, hide, datasource }: Variable): Variable {
  const out: Bag = { name, type, label, description, hide: type === "constant" ? 2 : hide ?? 0, query: FIRST[type] ?? "", options: [], current: {} };
  if (type === "query") Object.assign(out, { definition: "", refresh: 1, sort: 1, regex: "" });
  if (type === "datasource") Object.assign(out, { refresh: 1, regex: "" });
  if (many(out as Variable)) Object.assign(out, { multi: false, includeAll: false });
  if (type === "interval") Object.assign(out, { auto: false, auto_count: 30, auto_min: "10s", refresh: 2 });
  if (type === "adhoc" || type === "groupby") delete out.query;
  if (type === "adhoc") out.filters = [];
  if (type === "switch") Object.assign(out, { enabledValue: "true", disabledValue: "false", current: { text: "false", value: "false" } });
  if (datasource && asked(out as Variable)) out.datasource = datasource;
  return out as Variable;
}
