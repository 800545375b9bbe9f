// queries.tsx - what a panel asks, and what is done with the answers: the editor's first two tabs.
import { useEffect, useRef, useState } from "preact/hooks";
import { QueryField } from "../../explore/field";
import type { Panel, Target, Transformation } from "../model";
import { TRANSFORMS } from "../transform/index";
import { ASKING } from "./panel_rows";
import { JsonField, type Row, Rows } from "./rows";

export type SetPanel = (by: (p: Panel) => Panel) => void;

const moved = <T,>(list: T[], i: number, by: number): T[] => {
  const out = [...list];
  const [one] = out.splice(i, 1);
  out.splice(Math.max(0, i + by), 0, one!);
  return out;
};

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
function freeRef(targets: Target[]): string {
  const taken = new Set(targets.map((t) => t.refId));
  for (let n = 0; ; n++) {
    const ref = (n >= 26 ? LETTERS[Math.floor(n / 26) - 1]! : "") + LETTERS[n % 26];
    if (!taken.has(ref)) return ref;
  }
}

const isPromql = (t: Target): boolean => !t.datasource?.type || t.datasource.type === "prometheus" || t.datasource.type.startsWith("$");

const TARGET: Row[] = [
  { path: "legendFormat", text: "Legend ({{label}})", kind: "text" },
  { path: "format", text: "Format", kind: "select", choices: [{ value: "time_series", text: "Time series" }, { value: "table", text: "Table" }, { value: "heatmap", text: "Heatmap" }] },
  { path: "interval", text: "Min step", kind: "text" },
  { path: "exemplar", text: "Exemplars", kind: "switch" },
];

export function QueryTab({ panel, set }: { panel: Panel; set: SetPanel }) {
  const targets = panel.targets ?? [];
  const put = (to: Target[]) => set((p) => ({ ...p, targets: to }));
  const add = (more: Partial<Target>) => put([...targets, { refId: freeRef(targets), ...more }]);
  return (
    <>
      {targets.map((t, i) => (
        <section key={t.refId} class="ed-query" aria-label={`Query ${t.refId}`}>
          <div class="row">
            <b>{t.refId}</b>
            <label class="inline"><input type="checkbox" checked={!t.hide} onChange={() => put(targets.map((x, j) => (j === i ? { ...x, hide: !t.hide } : x)))} /> shown</label>
            <span class="row end">
              <button type="button" class="icon" aria-label={`Query ${t.refId}: up`} disabled={!i} onClick={() => put(moved(targets, i, -1))}>↑</button>
              <button type="button" class="icon" aria-label={`Query ${t.refId}: down`} disabled={i === targets.length - 1} onClick={() => put(moved(targets, i, 1))}>↓</button>
              <button type="button" class="quiet" aria-label={`Duplicate query ${t.refId}`} onClick={() => put([...targets.slice(0, i + 1), { ...structuredClone(t), refId: freeRef(targets) }, ...targets.slice(i + 1)])}>Duplicate</button>
              <button type="button" class="icon" aria-label={`Remove query ${t.refId}`} onClick={() => put(targets.filter((_, j) => j !== i))}>×</button>
            </span>
          </div>
          <OneQuery target={t} put={(by) => set((p) => ({ ...p, targets: p.targets.map((x) => (x.refId === t.refId ? by(x) : x)) }))} />
        </section>
      ))}
      <div class="row">
        <button type="button" onClick={() => add({ expr: "", range: true, instant: false, editorMode: "code", legendFormat: "__auto" })}>Add query</button>
        <button type="button" onClick={() => add({ datasource: { type: "__expr__", uid: "__expr__" }, type: "math", expression: "" })}>Add expression</button>
      </div>
      <Rows of={panel} rows={ASKING} onChange={(to) => set(() => to)} />
    </>
  );
}

const SETTLED_MS = 500;

function OneQuery({ target, put }: { target: Target; put: (by: (t: Target) => Target) => void }) {
  const [text, setText] = useState(target.expr ?? "");
  const draft = useRef<string | undefined>(undefined);
  const timer = useRef(0);
  const latest = useRef(put);
  latest.current = put;
  // What is typed counts when the typing pauses, or it is left.
  const settle = () => {
    clearTimeout(timer.current);
    const expr = draft.current;
    draft.current = undefined;
    if (expr !== undefined) latest.current((t) => ({ ...t, expr }));
  };
  useEffect(() => settle, []);
  useEffect(() => { if (draft.current === undefined) setText(target.expr ?? ""); }, [target.expr]);
  if (!isPromql(target)) return <JsonField label={`Query ${target.refId} as JSON`} value={target} onApply={(to) => put(() => ({ ...to, refId: target.refId }))} />;
  const type = (to: string) => {
    setText(to);
    draft.current = to;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(settle, SETTLED_MS);
  };
  const how = target.instant ? (target.range ? "both" : "instant") : "range";
  return (
    <div onFocusOut={settle}>
      <QueryField text={text} label={`PromQL of query ${target.refId}`} onChange={type} onRun={settle} onHistory={() => undefined} />
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
  const change = (i: number, by: (t: Transformation) => Transformation) => put(all.map((t, j) => (j === i ? by(t) : t)));
  return (
    <>
      {all.map((t, i) => (
        <section key={`${i} ${t.id}`} class="ed-query" aria-label={NAMES.get(t.id) ?? t.id}>
          <div class="row">
            <b>{i + 1}. {NAMES.get(t.id) ?? t.id}</b>
            <label class="inline"><input type="checkbox" checked={!t.disabled} onChange={() => change(i, ({ disabled, ...rest }) => (disabled ? rest : { ...rest, disabled: true }))} /> on</label>
            <span class="row end">
              <button type="button" class="icon" aria-label={`Transformation ${i + 1}: up`} disabled={!i} onClick={() => put(moved(all, i, -1))}>↑</button>
              <button type="button" class="icon" aria-label={`Transformation ${i + 1}: down`} disabled={i === all.length - 1} onClick={() => put(moved(all, i, 1))}>↓</button>
              <button type="button" class="icon" aria-label={`Remove transformation ${i + 1}`} onClick={() => put(all.filter((_, j) => j !== i))}>×</button>
            </span>
          </div>
          <JsonField label={`Options of transformation ${i + 1}`} value={t.options} onApply={(options) => change(i, (x) => ({ ...x, options }))} />
        </section>
      ))}
      <label class="ed-field"><span>Add a transformation</span><select value="" onChange={(e) => { if (e.currentTarget.value) put([...all, { id: e.currentTarget.value, options: {} }]); }}>
        <option value="">Which?</option>
        {TRANSFORMS.map((t) => <option key={t.id} value={t.id}>{t.text}</option>)}
      </select></label>
    </>
  );
}
