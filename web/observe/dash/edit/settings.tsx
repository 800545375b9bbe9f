// settings.tsx - what is said of the dashboard as a whole: its name, its time, its variables, its links,
// and all of it as JSON. Every change counts at once; "Discard" on the page takes it back.
import { useEffect, useRef, useState } from "preact/hooks";
import { zoneNames } from "../../base/zone";
import { Layer, Tabs } from "../../parts/bits";
import type { Bag, Dashboard, Variable } from "../model";
import { change, followSettings, type PageState, restart } from "../page_state";
import { readDashboard } from "../read";
import { writeDashboard } from "../write";
import { JsonField, type Row, Rows } from "./rows";

const pick = (pairs: Record<string, string>) => Object.entries(pairs).map(([value, text]) => ({ value, text }));
const count = (...texts: string[]) => texts.map((text, value) => ({ value, text }));

const GENERAL: Row[] = [
  { path: "title", text: "Title", kind: "text", group: "About" }, { path: "description", text: "Description", kind: "area", group: "About" }, { path: "tags", text: "Tags, one a line", kind: "lines", group: "About" },
  { path: "time.from", text: "From", kind: "text", group: "Time" }, { path: "time.to", text: "To", kind: "text", group: "Time" },
  { path: "refresh", text: "Asks again every", kind: "select", group: "Time", choices: pick({ "": "Off", "5s": "5 s", "10s": "10 s", "30s": "30 s", "1m": "1 min", "5m": "5 min", "15m": "15 min", "30m": "30 min", "1h": "1 h" }) },
  { path: "timezone", text: "Time zone", kind: "select", group: "Time", choices: pick({ "": "The viewer's choice", browser: "The browser's", utc: "UTC", ...Object.fromEntries(zoneNames().map((z) => [z, z])) }) },
  { path: "graphTooltip", text: "Cursor", kind: "select", group: "Charts", choices: count("Each chart its own", "Shared crosshair", "Shared crosshair and tooltip") },
];

const of = (...types: string[]) => (v: Variable) => types.includes(v.type);
const many = of("query", "custom", "datasource");
const VARIABLE: Row[] = [
  { path: "name", text: "Name", kind: "text" },
  { path: "type", text: "Type", kind: "select", choices: pick({ query: "Query", custom: "Custom", textbox: "Text box", interval: "Interval", datasource: "Data source", constant: "Constant", adhoc: "Ad hoc filters" }) },
  { path: "label", text: "Label", kind: "text" }, { path: "description", text: "Description", kind: "text" },
  { path: "hide", text: "Shown", kind: "select", choices: count("Label and value", "Value only", "Nothing") },
  { path: "query", text: "Query: label_values(up, job)", kind: "area", when: (v) => v.type === "query" && typeof v.query !== "object" },
  { path: "query.query", text: "Query: label_values(up, job)", kind: "area", when: (v) => v.type === "query" && typeof v.query === "object" },
  { path: "query", text: "Values, with commas between: a, b, text : value", kind: "area", when: of("custom") },
  { path: "query", text: "Intervals: 1m,10m,1h", kind: "text", when: of("interval") },
  { path: "query", text: "Value", kind: "text", when: of("textbox", "constant") },
  { path: "query", text: "Type of data source: prometheus", kind: "text", when: of("datasource") },
  { path: "regex", text: "Only what matches the regex", kind: "text", when: of("query", "datasource") },
  { path: "sort", text: "Order", kind: "select", when: of("query"), choices: count("As it comes", "A to Z", "Z to A", "Numbers up", "Numbers down", "A to Z, any case", "Z to A, any case", "Natural up", "Natural down") },
  { path: "refresh", text: "Asked", kind: "select", when: of("query"), choices: [{ value: 1, text: "When the dashboard opens" }, { value: 2, text: "When the time changes" }, { value: 0, text: "Never" }] },
  { path: "multi", text: "Several at once", kind: "switch", when: many }, { path: "includeAll", text: "With “All”", kind: "switch", when: many },
  { path: "allValue", text: "What “All” stands for", kind: "text", when: (v) => many(v) && !!v.includeAll },
  { path: "auto", text: "With “auto”", kind: "switch", when: of("interval") },
  { path: "auto_count", text: "Steps of “auto”", kind: "number", least: 1, when: (v) => v.type === "interval" && !!v.auto }, { path: "auto_min", text: "Least of “auto”", kind: "text", when: (v) => v.type === "interval" && !!v.auto },
];

const TABS = [["general", "General"], ["variables", "Variables"], ["links", "Links"], ["json", "JSON model"]] as const;
type Tab = (typeof TABS)[number][0];

export function Settings({ page, onClose }: { page: PageState; onClose: () => void }) {
  const [tab, setTab] = useState<Tab>("general");
  const d = page.dashboard.value;
  const put = (to: Dashboard) => {
    change(page, () => ({ ...to, title: to.title ?? "" }));
    followSettings(page);
  };
  // Their values are asked for once the typing pauses.
  const first = useRef(d.templating);
  useEffect(() => {
    if (first.current === d.templating) return undefined;
    const timer = setTimeout(() => { first.current = d.templating; restart(page); }, 600);
    return () => clearTimeout(timer);
  }, [d.templating]);
  const close = () => {
    if (first.current !== page.dashboard.peek().templating) restart(page);
    onClose();
  };
  return (
    <Layer label="Settings of the dashboard" onClose={close} kind="ed-settings">
      <div class="bar"><h2>Settings</h2><button type="button" class="quiet end" data-first onClick={close}>Close</button></div>
      <Tabs label="Settings" value={tab} options={TABS} onChange={setTab} />
      {tab === "general" ? <Rows of={d} rows={GENERAL} onChange={put} />
        : tab === "variables" ? <Variables d={d} put={put} />
        : tab === "links" ? <JsonField label="Links as JSON" rows={16} value={d.links} onApply={(links) => {
            if (!Array.isArray(links)) throw new Error("Links are a list: [ … ].");
            put({ ...d, links: readDashboard({ panels: [], links }).dashboard.links });
          }} />
        : <JsonField label="The dashboard as JSON" rows={26} value={writeDashboard(d)} onApply={(json) => put({ ...readDashboard(json).dashboard, uid: d.uid, version: d.version })} />}
    </Layer>
  );
}

function Variables({ d, put }: { d: Dashboard; put: (d: Dashboard) => void }) {
  const [open, setOpen] = useState(-1);
  const all = d.templating.list;
  const set = (list: Variable[]) => put({ ...d, templating: { ...d.templating, list } });
  const swap = (i: number) => { const out = [...all]; [out[i - 1], out[i]] = [out[i]!, out[i - 1]!]; set(out); setOpen(-1); };
  const add = () => {
    let n = 0;
    while (all.some((v) => v.name === `query${n}`)) n++;
    set([...all, { name: `query${n}`, type: "query", query: "", definition: "", refresh: 1, sort: 1, hide: 0, regex: "", multi: false, includeAll: false, options: [], current: {} }]);
    setOpen(all.length);
  };
  return (
    <>
      {all.map((v, i) => (
        <section key={i} class="ed-query" aria-label={`Variable ${v.name}`}>
          <div class="row">
            <button type="button" class="fold" aria-expanded={open === i} onClick={() => setOpen(open === i ? -1 : i)}>${v.name}</button><span class="dim small">{v.type}</span>
            <span class="row end">
              <button type="button" class="icon" aria-label={`${v.name}: up`} disabled={!i} onClick={() => swap(i)}>↑</button>
              <button type="button" class="icon" aria-label={`${v.name}: down`} disabled={i === all.length - 1} onClick={() => swap(i + 1)}>↓</button>
              <button type="button" class="icon" aria-label={`Remove ${v.name}`} onClick={() => { set(all.filter((_, j) => j !== i)); setOpen(-1); }}>×</button>
            </span>
          </div>
          {open === i && <Rows of={v} shown={{ hide: 0, sort: 0, refresh: 0, ...v }} rows={VARIABLE} onChange={(to) => set(all.map((x, j) => (j === i ? changed(x, to) : x)))} />}
        </section>
      ))}
      <button type="button" onClick={add}>Add variable</button>
    </>
  );
}

// Of another type or with other options, what was chosen before means nothing.
function changed(before: Variable, to: Bag): Variable {
  const now = { ...to, name: (to.name ?? "").replace(/\W/g, "_") } as Variable;
  if (to.type !== before.type) Object.assign(now, { query: to.type === "datasource" ? "prometheus" : to.type === "interval" ? "1m,10m,1h" : "", options: [], current: {} });
  else if (to.query !== before.query) {
    now.query ??= "";
    if (now.type === "query") now.definition = typeof now.query === "string" ? now.query : now.query?.query ?? "";
    Object.assign(now, { options: [], ...(now.type === "textbox" || now.type === "constant" ? { current: { text: now.query, value: now.query } } : { current: {} }) });
  }
  return now;
}
