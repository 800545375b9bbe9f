// values_editors.tsx - thresholds and value mappings, a line each.
import { DEFAULT_THRESHOLDS } from "../color";
import type { Mapping, MappedTo, Threshold } from "../model";
import { ColorField } from "./rows";

type Thresholded = { mode: "absolute" | "percentage"; steps: Threshold[] };

export function Thresholds({ value, onChange }: { value?: Thresholded; onChange: (v: Thresholded | undefined) => void }) {
  const t = value ?? (DEFAULT_THRESHOLDS as Thresholded);
  const put = (steps: Threshold[]) => onChange({ ...t, steps: [...steps].sort((a, b) => (a.value ?? -Infinity) - (b.value ?? -Infinity)) });
  const top = t.steps[t.steps.length - 1]?.value ?? 0;
  return (
    <div class="ed-list">
      <select aria-label="Thresholds are" value={t.mode} onChange={(e) => onChange({ ...t, mode: e.currentTarget.value as Thresholded["mode"] })}>
        <option value="absolute">Absolute</option><option value="percentage">Percentage of min and max</option>
      </select>
      {t.steps.map((s, i) => (
        <div key={i} class="ed-line">
          {s.value === null ? <span>Base</span>
            : <input type="number" step="any" aria-label={`Threshold ${i}`} value={s.value} onChange={(e) => { const n = e.currentTarget.valueAsNumber; if (!Number.isNaN(n)) put(t.steps.map((x, j) => (j === i ? { ...x, value: n } : x))); }} />}
          <ColorField label={s.value === null ? "Base color" : `Color of threshold ${i}`} value={s.color} onChange={(color) => put(t.steps.map((x, j) => (j === i ? { ...x, color: color ?? "green" } : x)))} />
          {s.value !== null && <button type="button" class="icon" aria-label={`Remove threshold ${i}`} onClick={() => put(t.steps.filter((_, j) => j !== i))}>×</button>}
        </div>
      ))}
      <button type="button" onClick={() => put([...t.steps, { value: t.steps.length > 1 ? top + 10 : 80, color: ["red", "orange", "purple", "blue"][(t.steps.length - 1) % 4]! }])}>Add threshold</button>
    </div>
  );
}

// One line of the form: several values of one mapping are a line each.
interface Line { type: Mapping["type"]; value?: string; from?: number | null; to?: number | null; pattern?: string; match?: string; result: MappedTo }

function linesOf(all: Mapping[]): Line[] {
  return all.flatMap((m): Line[] => {
    if (m.type === "value") return Object.entries(m.options).sort((a, b) => (a[1].index ?? 0) - (b[1].index ?? 0)).map(([value, result]) => ({ type: "value", value, result }));
    const { result, ...rest } = m.options;
    return [{ type: m.type, ...rest, result }];
  });
}

// Values one after the other are one mapping again.
function mappingsOf(lines: Line[]): Mapping[] {
  const out: Mapping[] = [];
  lines.forEach((l, index) => {
    const result = { ...l.result, index };
    const last = out[out.length - 1];
    if (l.type === "value" && last?.type === "value" && !Object.hasOwn(last.options, l.value ?? "")) last.options[l.value ?? ""] = result;
    else if (l.type === "value") out.push({ type: "value", options: { [l.value ?? ""]: result } });
    else if (l.type === "range") out.push({ type: "range", options: { from: l.from ?? null, to: l.to ?? null, result } });
    else if (l.type === "regex") out.push({ type: "regex", options: { pattern: l.pattern ?? "", result } });
    else out.push({ type: "special", options: { match: (l.match ?? "null") as "null", result } });
  });
  return out;
}

const TYPES = { value: "Value", range: "Range", regex: "Regex", special: "Special" };
const SPECIAL = ["null", "nan", "null+nan", "true", "false", "empty"];
const number = (e: { currentTarget: HTMLInputElement }): number | null => (Number.isNaN(e.currentTarget.valueAsNumber) ? null : e.currentTarget.valueAsNumber);

export function Mappings({ value = [], onChange }: { value?: Mapping[]; onChange: (v: Mapping[] | undefined) => void }) {
  const lines = linesOf(value);
  const put = (to: Line[]) => onChange(to.length ? mappingsOf(to) : undefined);
  const set = (i: number, by: Partial<Line>) => put(lines.map((l, j) => (j === i ? { ...l, ...by } : l)));
  return (
    <div class="ed-list">
      {lines.map((l, i) => (
        <div key={i} class="ed-line">
          <select aria-label={`Mapping ${i + 1}: of`} value={l.type} onChange={(e) => set(i, { type: e.currentTarget.value as Line["type"] })}>
            {Object.entries(TYPES).map(([v, t]) => <option key={v} value={v}>{t}</option>)}
          </select>
          {l.type === "value" && <input aria-label={`Mapping ${i + 1}: value`} value={l.value} onChange={(e) => set(i, { value: e.currentTarget.value })} />}
          {l.type === "range" && <><input type="number" step="any" aria-label={`Mapping ${i + 1}: from`} value={l.from ?? ""} onChange={(e) => set(i, { from: number(e) })} />
            <input type="number" step="any" aria-label={`Mapping ${i + 1}: to`} value={l.to ?? ""} onChange={(e) => set(i, { to: number(e) })} /></>}
          {l.type === "regex" && <input aria-label={`Mapping ${i + 1}: pattern`} value={l.pattern} onChange={(e) => set(i, { pattern: e.currentTarget.value })} />}
          {l.type === "special" && <select aria-label={`Mapping ${i + 1}: which`} value={l.match} onChange={(e) => set(i, { match: e.currentTarget.value })}>{SPECIAL.map((s) => <option key={s}>{s}</option>)}</select>}
          <span aria-hidden="true">→</span>
          <input aria-label={`Mapping ${i + 1}: text`} placeholder="text" value={l.result?.text ?? ""} onChange={(e) => set(i, { result: { ...l.result, text: e.currentTarget.value || undefined } })} />
          <ColorField label={`Mapping ${i + 1}: color`} value={l.result?.color} onChange={(color) => set(i, { result: { ...l.result, color } })} />
          <button type="button" class="icon" aria-label={`Remove mapping ${i + 1}`} onClick={() => put(lines.filter((_, j) => j !== i))}>×</button>
        </div>
      ))}
      <button type="button" onClick={() => put([...lines, { type: "value", value: String(lines.length), result: {} }])}>Add mapping</button>
    </div>
  );
}
