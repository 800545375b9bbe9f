// queries.tsx - what a panel asks, and what is done with the answers: the editor's first two tabs.
import { QueryField } from "../../explore/field";
import type { Dashboard, Panel, Target, Transformation } from "../model";
import { TRANSFORMS } from "../transform/index";
import { pick } from "./choices";
import { Items } from "./items";
import { ASKING } from "./panel_rows";
import { JsonField, type Row, Rows, useSettled } from "./rows";
import { effective, freshTarget, isExpression, kindOf, OTHER_PANEL, OtherTarget, sent, SourceField, usePlaces } from "./targets";

export type SetPanel = (by: (p: Panel) => Panel) => void;

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
function freeRef(targets: Target[]): string {
  const taken = new Set(targets.map((t) => t.refId));
  for (let n = 0; ; n++) {
    const ref = (n >= 26 ? LETTERS[Math.floor(n / 26) - 1]! : "") + LETTERS[n % 26];
    if (!taken.has(ref)) return ref;
  }
}

const isPromql = (p: Panel, t: Target): boolean => !isExpression(t) && ["prometheus", "mixed"].includes(kindOf(t.datasource ?? p.datasource));

const TARGET: Row[] = [
  { path: "legendFormat", text: "Legend", kind: "text", hint: "{{label}}" },
  { path: "format", text: "Format", kind: "select", choices: pick({ time_series: "Time series", table: "Table", heatmap: "Heatmap" }) },
  { path: "interval", text: "Min step", kind: "text", hint: "1m" },
  { path: "exemplar", text: "Exemplars", kind: "switch" },
];

export function QueryTab({ dashboard, panel, set }: { dashboard: Dashboard; panel: Panel; set: SetPanel }) {
  const targets = panel.targets ?? [];
  const places = [...usePlaces(dashboard), OTHER_PANEL];
  const put = (to: Target[]) => set((p) => ({ ...p, targets: to }));
  const one = (refId: string, by: (t: Target) => Target) => set((p) => ({ ...p, targets: p.targets.map((x) => (x.refId === refId ? by(x) : x)) }));
  return (
    <>
      <Items all={targets} put={put} keyOf={(t) => t.refId} name={(t) => `Query ${t.refId}`}
        head={(t) => (
          <>
            <b>{t.refId}</b>
            {!isExpression(t) && <SourceField label={`Source of query ${t.refId}`} value={effective(panel, t)} places={places} set={(to) => set((p) => sent(p, t.refId, to))} />}
            <label class="inline"><input type="checkbox" checked={!t.hide} onChange={() => one(t.refId, (x) => ({ ...x, hide: !t.hide }))} /> shown</label>
          </>
        )}
        tools={(t, i) => <button type="button" class="icon" title="Duplicate" aria-label={`Duplicate query ${t.refId}`}
          onClick={() => put([...targets.slice(0, i + 1), { ...structuredClone(t), refId: freeRef(targets) }, ...targets.slice(i + 1)])}>⧉</button>}
        body={(t) => (isPromql(panel, t) ? <PromQuery key={String(t.datasource?.uid)} target={t} dashboard={dashboard} put={(by) => one(t.refId, by)} />
          : <OtherTarget target={t} panel={panel} dashboard={dashboard} put={(to) => one(t.refId, () => to)} />)} />
      <div class="row">
        <button type="button" onClick={() => put([...targets, freshTarget(panel, freeRef(targets))])}>Add query</button>
        <button type="button" onClick={() => put([...targets, { refId: freeRef(targets), datasource: { type: "__expr__", uid: "__expr__" }, type: "math", expression: "" }])}>Add expression</button>
      </div>
      <Rows of={panel} rows={ASKING} onChange={(to) => set(() => to)} />
    </>
  );
}

function PromQuery({ target, dashboard, put }: { target: Target; dashboard: Dashboard; put: (by: (t: Target) => Target) => void }) {
  const [text, type, settle] = useSettled(target.expr ?? "", (expr) => put((t) => ({ ...t, expr })));
  const how = target.instant ? (target.range ? "both" : "instant") : "range";
  return (
    <div onFocusOut={settle}>
      <QueryField text={text} label={`PromQL of query ${target.refId}`} variables={() => dashboard.templating.list.map((v) => v.name)} onChange={type} onRun={settle} onHistory={() => undefined} />
      <div class="ed-parts">
        <Rows of={target} shown={{ format: "time_series", ...target }} rows={TARGET} onChange={(to) => put((t) => ({ ...to, expr: t.expr }))} />
        <label class="ed-field"><span>Type</span><select value={how} onChange={(e) => { const v = e.currentTarget.value; put((t) => ({ ...t, instant: v !== "range", range: v !== "instant" })); }}>
          <option value="range">Range</option><option value="instant">Instant</option><option value="both">Both</option>
        </select></label>
      </div>
    </div>
  );
}

const NAMES = new Map(TRANSFORMS.map((t) => [t.id, t.text]));

export function TransformTab({ panel, set }: { panel: Panel; set: SetPanel }) {
  const all = panel.transformations ?? [];
  const put = (to: Transformation[]) => set((p) => ({ ...p, transformations: to }));
  return (
    <>
      <Items all={all} put={put} name={(_, i) => `Transformation ${i + 1}`}
        head={(t, i) => <><b>{i + 1}. {NAMES.get(t.id) ?? t.id}</b>
          <label class="inline"><input type="checkbox" checked={!t.disabled} onChange={() => put(all.map((x, j) => (j === i ? turned(x) : x)))} /> on</label></>}
        body={(t, change, i) => <JsonField label={`Options of transformation ${i + 1}`} value={t.options} onApply={(options) => change({ ...t, options })} />} />
      <label class="ed-field"><span>Add a transformation</span><select value="" onChange={(e) => { if (e.currentTarget.value) put([...all, { id: e.currentTarget.value, options: {} }]); }}>
        <option value="">Which?</option>
        {TRANSFORMS.map((t) => <option key={t.id} value={t.id}>{t.text}</option>)}
      </select></label>
    </>
  );
}

const turned = ({ disabled, ...rest }: Transformation): Transformation => (disabled ? rest : { ...rest, disabled: true });
