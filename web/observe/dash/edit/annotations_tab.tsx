// annotations_tab.tsx - what is marked on a dashboard's charts: events that were stored, or that a query finds.
import type { Annotations, Bag, Dashboard } from "../model";
import { pick } from "./choices";
import { Items } from "./items";
import { allPanels } from "./moves";
import { type Row, Rows } from "./rows";
import { kindOf, type Place, SourceField, usePlaces } from "./targets";

const STORED: Place = { text: "Stored here", ref: { type: "grafana", uid: "-- Grafana --" } };
const stored = (a: Annotations) => kindOf(a.datasource) === "annotations";
const asked = (a: Annotations) => kindOf(a.datasource) === "prometheus";
const byTags = (a: Annotations) => stored(a) && a.target?.type === "tags";

const ROWS: Row[] = [
  { path: "name", text: "Name", kind: "text" },
  { path: "enable", text: "Shown at first", kind: "switch" }, { path: "hide", text: "Without a switch above the panels", kind: "switch" },
  { path: "iconColor", text: "Color", kind: "color" },
  { path: "expr", text: "Where this is not zero", kind: "area", late: true, hint: "changes(process_start_time_seconds[1m]) > 0", when: asked },
  { path: "step", text: "Step", kind: "text", hint: "60s", when: asked },
  { path: "titleFormat", text: "Title", kind: "text", hint: "{{instance}} restarted", when: asked }, { path: "textFormat", text: "Text", kind: "text", hint: "{{job}}", when: asked },
  { path: "tagKeys", text: "Labels that become tags", kind: "text", hint: "job,instance", when: asked }, { path: "useValueForTime", text: "Its value says when (ms)", kind: "switch", when: asked },
  { path: "target.type", text: "Which", kind: "select", choices: pick({ dashboard: "Of this dashboard", tags: "With tags, wherever they are" }), when: stored },
  { path: "target.tags", text: "Tags, one a line", kind: "lines", when: byTags }, { path: "target.matchAny", text: "Any of them is enough", kind: "switch", when: byTags },
  { path: "target.limit", text: "Most of them", kind: "number", least: 1, hint: "100", when: stored },
];

const FILTERS = ["On all panels", "On some panels", "On all but some panels"];

// What there is is said where the query is: Grafana has it in `target`, earlier at the top.
function kept(to: Bag): Annotations {
  const out = { ...to, name: to.name ?? "", iconColor: to.iconColor ?? "red" } as Annotations;
  if (typeof out.target?.expr === "string") out.target = { ...out.target, expr: out.expr ?? "" };
  return out;
}

function sent(a: Annotations, to: Place["ref"]): Annotations {
  const { name, enable, hide, iconColor, filter } = a;
  const out: Bag = { name, enable, hide: !!hide, iconColor, datasource: to ?? undefined, ...(filter ? { filter } : {}) };
  if (stored(out as Annotations)) out.target = { type: "dashboard", limit: 100, matchAny: false, tags: [] };
  else out.expr = "";
  return out as Annotations;
}

export function AnnotationsTab({ d, put }: { d: Dashboard; put: (list: Annotations[]) => void }) {
  const places = [...usePlaces(d), STORED];
  const prometheus = places.find((p) => p.ref?.type === "prometheus")?.ref ?? { type: "prometheus", uid: "prometheus" };
  const panels = allPanels(d).filter((p) => p.type !== "row").map((p) => ({ value: p.id, text: p.title || `Panel ${p.id}` }));
  return <Items all={d.annotations.list} put={put} fold add="Add annotations" name={(a) => `Annotations ${a.name}`} head={(a) => a.name}
    make={() => sent({ name: "New annotations", enable: true, iconColor: "red" }, prometheus)}
    body={(a, set) => {
      const at = !a.filter ? 0 : a.filter.exclude ? 2 : 1;
      const { filter, ...rest } = a;
      return (
        <>
          <label class="ed-field"><span>Data source</span><SourceField label="Data source" value={a.datasource} places={places} set={(ref) => set(sent(a, ref))} /></label>
          <Rows of={a} rows={ROWS} onChange={(to) => set(kept(to))} />
          <label class="ed-field"><span>Panels</span><select value={String(at)} onChange={(e) => {
            const n = Number(e.currentTarget.value);
            set((n ? { ...rest, filter: { exclude: n === 2, ids: filter?.ids ?? [] } } : rest) as Annotations);
          }}>{FILTERS.map((t, i) => <option key={i} value={String(i)}>{t}</option>)}</select></label>
          {filter && <Rows of={a} rows={[{ path: "filter.ids", text: "Which panels", kind: "multi", choices: panels }]} onChange={set} />}
        </>
      );
    }} />;
}
