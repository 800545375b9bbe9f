// panel_editor.tsx - one panel as it will be, and beside it all that can be said of it. Every change counts
// at once, for the page as well; nothing is stored before "Save".
import { useMemo, useState } from "preact/hooks";
import { Filter, Tabs } from "../../parts/bits";
import { isViewed } from "../address";
import { expandAll } from "../layout";
import { titleOf } from "../matchers";
import type { Bag, Override, Panel } from "../model";
import { changePanel, findPanel, type PageState } from "../page_state";
import { type PanelView, withDefaults } from "../panel_data";
import { PanelFrame } from "../panel_frame";
import type { Control } from "../panels/panel";
import { PANEL_TYPES, panelType } from "../panels/types";
import { readDashboard } from "../read";
import { alike } from "./choices";
import { HistoryButtons } from "./history";
import { editPanel } from "./mode";
import { panelRows, properties, STANDARD } from "./panel_rows";
import { QueryTab, type SetPanel, TransformTab } from "./queries";
import { Field, getIn, JsonField, type Row, Rows, setIn } from "./rows";

const TABS = [["query", "Query"], ["transform", "Transform"], ["style", "Style"], ["overrides", "Overrides"], ["json", "JSON"]] as const;
type Tab = (typeof TABS)[number][0];

const namesOf = (view: PanelView | undefined): string[] => [...new Set((view?.frames ?? []).flatMap((f) => f.fields.map(titleOf)))];

export function PanelEditor({ page, name }: { page: PageState; name: string }) {
  const d = page.dashboard.value;
  const values = page.values.value;
  const placed = useMemo(() => expandAll(d, page.scope.peek()).find((p) => p.panel.type !== "row" && isViewed(name, p.key, p.panel.id)), [d, values, name]);
  const [tab, setTab] = useState<Tab>();
  const [view, setView] = useState<PanelView>();
  if (!placed) return page.ready.value ? <p class="none">This dashboard has no panel “{name}”. <button type="button" onClick={() => editPanel(null)}>Back</button></p> : null;
  const panel = findPanel(d.panels, placed.panel.id) ?? placed.panel;
  const set: SetPanel = (by) => changePanel(page, panel.id, by);
  const asks = !panelType(panel.type)?.noQuery;
  const tabs = TABS.filter(([t]) => asks || !["query", "transform", "overrides"].includes(t));
  const at = tabs.some(([t]) => t === tab) ? tab! : tabs[0]![0];
  const fields = namesOf(view);
  return (
    <div class="ed-editor">
      <div class="ed-preview">
        <div class="bar"><button type="button" onClick={() => editPanel(null)}>‹ Back to the dashboard</button><span class="dim small">Panel {panel.id}, {panelType(panel.type)?.title ?? panel.type}</span><span class="row end"><HistoryButtons page={page} /></span></div>
        <div class="ed-stage"><PanelFrame key={placed.key} page={page} placed={placed} full onView={setView} /></div>
      </div>
      <section class="ed-form card" aria-label="Edit the panel">
        <Tabs label="What to edit" value={at} options={tabs} onChange={setTab} />
        {at === "query" ? <QueryTab dashboard={d} panel={panel} set={set} /> : at === "transform" ? <TransformTab panel={panel} set={set} />
          : at === "style" ? <StyleTab page={page} panel={panel} set={set} fields={fields} />
          : at === "overrides" ? <OverridesTab panel={panel} set={set} fields={fields} />
          : <JsonField label="The panel as JSON" rows={28} value={panel} onApply={(to) => set((p) => read(to, p))} />}
      </section>
    </div>
  );
}

// What was typed as a panel of ours, with its own id.
function read(json: Bag, before: Panel): Panel {
  if (typeof json?.type !== "string") throw new Error("A panel has a type, for example \"type\": \"timeseries\".");
  const [made] = readDashboard({ title: "one", panels: [json] }).dashboard.panels;
  return { ...made!, id: before.id, gridPos: json.gridPos ? made!.gridPos : before.gridPos };
}

// ---- style

// What another type knows, too, stays; what it does not is kept for the way back.
const left = new Map<string, Panel>();

function ofType(p: Panel, type: string): Panel {
  left.set(`${p.id} ${p.type}`, p);
  const before = left.get(`${p.id} ${type}`);
  const known = panelType(type);
  const some = (bag: Bag | undefined, by: Bag | undefined): Bag => Object.fromEntries(Object.entries(bag ?? {}).filter(([k]) => by && k in by));
  const custom = before?.fieldConfig.defaults.custom ?? some(p.fieldConfig.defaults.custom, known?.custom);
  return {
    ...p, type, options: before?.options ?? some(p.options, known?.options),
    fieldConfig: { ...p.fieldConfig, defaults: setIn(p.fieldConfig.defaults, "custom", Object.keys(custom).length ? custom : undefined) },
  };
}

function StyleTab({ page, panel, set, fields }: { page: PageState; panel: Panel; set: SetPanel; fields: string[] }) {
  const [find, setFind] = useState("");
  const type = panelType(panel.type);
  const rows: Row[] = [...panelRows(page.dashboard.value.templating.list.map((v) => v.name)), ...(type?.noQuery ? [] : STANDARD), ...((type?.controls ?? []) as Control[] as Row[])];
  const { defaults } = panel.fieldConfig;
  const shown = { repeat: "", repeatDirection: "h", ...panel, options: withDefaults(type?.options ?? {}, panel.options),
    fieldConfig: { ...panel.fieldConfig, defaults: type?.custom ? { ...defaults, custom: withDefaults(type.custom, defaults.custom) } : defaults } };
  return (
    <>
      <label class="ed-field"><span>Panel type</span><select value={panel.type} onChange={(e) => { const to = e.currentTarget.value; set((p) => ofType(p, to)); }}>
        {!type && <option value={panel.type}>{panel.type}</option>}
        {PANEL_TYPES.map((t) => <option key={t.type} value={t.type}>{t.title}</option>)}
      </select></label>
      <Filter label="Search options" value={find} onInput={setFind} />
      <Rows of={panel} shown={shown} rows={rows} fields={fields} find={find} onChange={(to) => set(() => tidy(to))} />
    </>
  );
}

// What was chosen to be nothing is not there.
const tidy = (p: Panel): Panel => {
  const out = { ...p };
  if (!out.repeat) for (const name of ["repeat", "repeatDirection", "maxPerRow"]) delete out[name];
  if (!out.transparent) delete out.transparent;
  if (!out.fieldConfig.defaults.color?.mode) out.fieldConfig = { ...out.fieldConfig, defaults: setIn(out.fieldConfig.defaults, "color", undefined) };
  out.title ??= "";
  out.links ??= [];
  return out;
};

// ---- overrides

const MATCHERS: [id: string, text: string][] = [["byName", "Field with the name"], ["byRegexp", "Fields by a regex"], ["byType", "Fields of the type"], ["byFrameRefID", "Fields of the query"]];
const FIELD_TYPES = ["number", "string", "time", "boolean"];

function OverridesTab({ panel, set, fields }: { panel: Panel; set: SetPanel; fields: string[] }) {
  const all = panel.fieldConfig.overrides;
  const known = properties(panelType(panel.type));
  const put = (overrides: Override[]) => set((p) => ({ ...p, fieldConfig: { ...p.fieldConfig, overrides } }));
  const change = (i: number, by: Partial<Override>) => put(all.map((o, j) => (j === i ? { ...o, ...by } : o)));
  return (
    <>
      {all.map((o, i) => {
        const n = i + 1;
        const kind: Row["kind"] = o.matcher.id === "byType" ? "select" : o.matcher.id === "byRegexp" ? "text" : "field";
        const offered = o.matcher.id === "byFrameRefID" ? panel.targets.map((t) => t.refId) : fields;
        const simple = MATCHERS.some(([id]) => id === o.matcher.id);
        return (
          <section key={i} class="ed-query" aria-label={`Override ${n}`}>
            <div class="row"><b>Override {n}</b><button type="button" class="icon end" aria-label={`Remove override ${n}`} onClick={() => put(all.filter((_, j) => j !== i))}>×</button></div>
            <div class="ed-parts">
              <label class="ed-field"><span>For</span><select value={o.matcher.id} onChange={(e) => change(i, { matcher: { id: e.currentTarget.value, options: e.currentTarget.value === "byType" ? "number" : "" } })}>
                {!simple && <option value={o.matcher.id}>{o.matcher.id}</option>}
                {MATCHERS.map(([id, text]) => <option key={id} value={id}>{text}</option>)}
              </select></label>
              {simple ? <Field row={{ path: "", text: "Which", kind, choices: alike(FIELD_TYPES) }} value={o.matcher.options} fields={offered} onChange={(options) => change(i, { matcher: { ...o.matcher, options: options ?? "" } })} />
                : <JsonField label={`Matcher of override ${n}`} value={o.matcher} onApply={(matcher) => change(i, { matcher })} />}
            </div>
            {o.properties.map((p, k) => (
              <Property key={`${k} ${p.id}`} of={p} n={n} known={known} fields={fields}
                onChange={(value) => change(i, { properties: o.properties.map((x, j) => (j === k ? { ...x, value } : x)) })}
                onRemove={() => change(i, { properties: o.properties.filter((_, j) => j !== k) })} />
            ))}
            <select aria-label={`Add a property to override ${n}`} value="" onChange={(e) => { const id = e.currentTarget.value; if (id) change(i, { properties: [...o.properties, { id }] }); }}>
              <option value="">Add a property…</option>
              {known.filter((p) => !o.properties.some((x) => x.id === p.id)).map((p) => <option key={p.id} value={p.id}>{p.text}</option>)}
            </select>
          </section>
        );
      })}
      <button type="button" onClick={() => put([...all, { matcher: { id: "byName", options: fields[1] ?? fields[0] ?? "" }, properties: [] }])}>Add override</button>
    </>
  );
}

function Property({ of, n, known, fields, onChange, onRemove }: {
  of: { id: string; value?: any }; n: number; known: ReturnType<typeof properties>; fields: string[]; onChange: (v: any) => void; onRemove: () => void;
}) {
  const property = known.find((p) => p.id === of.id);
  return (
    <div class="ed-line ed-property">
      <div class="ed-grow">
        {property ? property.rows.map((r) => <Field key={r.path} row={r} fields={fields} value={r.path ? getIn(of.value, r.path) : of.value} onChange={(v) => onChange(r.path ? setIn(of.value, r.path, v) : v)} />)
          : <><code>{of.id}</code><JsonField label={`${of.id} of override ${n}`} value={of.value ?? null} rows={3} onApply={onChange} /></>}
      </div>
      <button type="button" class="icon" aria-label={`Remove ${property?.text ?? of.id} from override ${n}`} onClick={onRemove}>×</button>
    </div>
  );
}
