// rows.tsx - a form made of a table of controls, over any object: each control reads and writes one path
// of it. What is taken out of a field is taken out of the object, so that defaults count again.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { isDark } from "../../base/store";
import { matches } from "../../base/format";
import { CALCS } from "../calc";
import { COLOR_NAMES, cssColor, cssRgb, rgb } from "../color";
import type { Bag } from "../model";
import type { Control } from "../panels/panel";
import { CUSTOM_UNITS, UNITS } from "../units_list";
import { SomeLinks } from "./link_rows";
import { Mappings, Thresholds } from "./values_editors";

export interface Row extends Omit<Control, "kind" | "when"> {
  kind: Control["kind"] | "area" | "thresholds" | "mappings" | "links";
  hint?: string; // an example, in the empty field
  late?: boolean; // of an area: it counts when the typing pauses
  when?: (of: any) => boolean;
}

export const getIn = (of: any, path: string): any => path.split(".").reduce((at, k) => at?.[k], of);

// A copy with the member set; undefined takes it out. Numbers in a path are places of lists.
export function setIn(of: any, path: string, value: unknown): any {
  const dot = path.indexOf(".");
  const k = dot < 0 ? path : path.slice(0, dot);
  const old = typeof of === "object" && of !== null ? of : /^\d+$/.test(k) ? [] : {};
  const copy = Array.isArray(old) ? [...old] : { ...old };
  const next = dot < 0 ? value : setIn(old[k], path.slice(dot + 1), value);
  if (next === undefined) delete copy[k];
  else copy[k] = next;
  return copy;
}

export function Rows({ of, shown = of, rows, onChange, fields = [], find = "" }: {
  of: Bag; shown?: Bag; rows: Row[]; onChange: (to: any) => void; fields?: string[]; find?: string;
}) {
  const groups = new Map<string, Row[]>();
  for (const r of rows) if (matches(`${r.group ?? ""} ${r.text}`, find) && (!r.when || r.when(shown))) groups.set(r.group ?? "", [...(groups.get(r.group ?? "") ?? []), r]);
  return (
    <>
      {[...groups].map(([group, list]) => (
        <fieldset key={group} class="ed-group">
          {group && <legend>{group}</legend>}
          {list.map((r) => <Field key={r.path} row={r} value={getIn(shown, r.path)} fields={fields} onChange={(v) => onChange(setIn(of, r.path, v))} />)}
        </fieldset>
      ))}
    </>
  );
}

export function Field({ row, value, onChange, fields }: { row: Row; value: any; onChange: (v: any) => void; fields: string[] }) {
  const id = useId();
  const input = FIELDS[row.kind]({ row, value, onChange, fields, id });
  if (GROUPS.has(row.kind)) return <div class="ed-field" role="group" aria-label={row.text}><span>{row.text}</span>{input}</div>;
  return <label class={row.kind === "switch" ? "ed-field ed-switch" : "ed-field"}><span>{row.text}</span>{input}</label>;
}

const GROUPS = new Set(["thresholds", "mappings", "multi", "links"]); // of several controls

interface Props { row: Row; value: any; onChange: (v: any) => void; fields: string[]; id: string }

const words = (x: unknown): string => (x === undefined || x === null ? "" : String(x));
const lines = (x: unknown): string => (Array.isArray(x) ? x.join("\n") : words(x));
const list = (id: string, all: [value: string, text?: string][]) => <datalist id={id}>{all.map(([v, t]) => <option key={v} value={v}>{t ?? v}</option>)}</datalist>;

const FIELDS: Record<Row["kind"], (p: Props) => ComponentChildren> = {
  switch: ({ value, onChange }) => <input type="checkbox" checked={!!value} onChange={(e) => onChange(e.currentTarget.checked)} />,
  number: (p) => <NumberField {...p} />,
  text: ({ row, value, onChange }) => <input value={words(value)} placeholder={row.hint} onInput={(e) => onChange(e.currentTarget.value || undefined)} />,
  area: ({ row, value, onChange }) => row.late ? <Settled row={row} value={value} onChange={onChange} /> : <textarea rows={3} value={words(value)} placeholder={row.hint} onInput={(e) => onChange(e.currentTarget.value || undefined)} />,
  // One a line where it is a list.
  lines: ({ value, onChange }) => <textarea rows={Array.isArray(value) ? 3 : 8} value={lines(value)}
    onChange={(e) => onChange(Array.isArray(value) ? e.currentTarget.value.split("\n").filter((t) => t.trim()) : e.currentTarget.value)} />,
  select: ({ row, value, onChange }) => {
    const at = (row.choices ?? []).findIndex((c) => c.value === value);
    return (
      <select value={String(at)} onChange={(e) => onChange(row.choices?.[Number(e.currentTarget.value)]?.value)}>
        {at < 0 && <option value="-1">{words(value) || "Default"}</option>}
        {(row.choices ?? []).map((c, i) => <option key={i} value={String(i)}>{c.text}</option>)}
      </select>
    );
  },
  // A list of values, or an object of flags, as it came.
  multi: ({ row, value, onChange }) => (
    <span class="row">{(row.choices ?? []).map(({ value: v, text }) => {
      const flags = typeof value === "object" && value !== null && !Array.isArray(value);
      const all: unknown[] = Array.isArray(value) ? value : [];
      const on = flags ? !!value[String(v)] : all.includes(v);
      return <label key={String(v)} class="inline"><input type="checkbox" checked={on}
        onChange={() => onChange(flags ? { ...value, [String(v)]: !on } : on ? all.filter((x) => x !== v) : [...all, v])} /> {text}</label>;
    })}</span>
  ),
  color: (p) => <ColorField {...p} label={p.row.text} />,
  calc: ({ value, onChange }) => <select value={words(value)} onChange={(e) => onChange(e.currentTarget.value)}>{CALCS.map((c) => <option key={c.id} value={c.id}>{c.text}</option>)}</select>,
  calcs: ({ row, value, onChange }) => {
    const all: string[] = Array.isArray(value) ? value : [];
    return (
      <span class="row">
        {all.map((c) => <button key={c} type="button" class="chip" aria-label={`Take out ${c}`} onClick={() => onChange(all.filter((x) => x !== c))}>{CALCS.find((k) => k.id === c)?.text ?? c} <span aria-hidden="true">×</span></button>)}
        <select aria-label={row.text} value="" onChange={(e) => { if (e.currentTarget.value) onChange([...all, e.currentTarget.value]); }}>
          <option value="">Add…</option>
          {CALCS.filter((c) => !all.includes(c.id)).map((c) => <option key={c.id} value={c.id}>{c.text}</option>)}
        </select>
      </span>
    );
  },
  unit: (p) => <UnitField {...p} />,
  field: ({ row, value, onChange, fields, id }) => <><input list={id} value={words(value)} onChange={(e) => onChange(e.currentTarget.value || undefined)} />
    {list(id, row.choices?.map((c) => [String(c.value)]) ?? fields.map((f) => [f]))}</>,
  thresholds: ({ value, onChange }) => <Thresholds value={value} onChange={onChange} />,
  mappings: ({ value, onChange }) => <Mappings value={value} onChange={onChange} />,
  links: ({ value, onChange }) => <SomeLinks links={value} put={onChange} />,
};

// What is typed stays as it is typed: "0." is on the way to 0.5.
function NumberField({ row, value, onChange }: Props) {
  const now = typeof value === "number" ? value : undefined;
  const [text, setText] = useState(words(now));
  useEffect(() => { if ((text === "" ? undefined : Number(text)) !== now) setText(words(now)); }, [now]);
  return <input type="number" step="any" min={row.least} max={row.most} value={text} placeholder={row.hint ?? "auto"} onInput={(e) => {
    const { value: typed, valueAsNumber: n, validity } = e.currentTarget;
    setText(typed);
    if (!Number.isNaN(n)) onChange(n);
    else if (!validity.badInput) onChange(undefined);
  }} />;
}

const SETTLED_MS = 500;

// What is typed counts when the typing pauses, or it is left: half a query is not asked.
export function useSettled(value: string, onChange: (v: string) => void): [text: string, type: (v: string) => void, settle: () => void] {
  const [text, setText] = useState(value);
  const draft = useRef<string | undefined>(undefined);
  const timer = useRef(0);
  const latest = useRef(onChange);
  latest.current = onChange;
  const settle = () => {
    clearTimeout(timer.current);
    const now = draft.current;
    draft.current = undefined;
    if (now !== undefined) latest.current(now);
  };
  useEffect(() => settle, []);
  useEffect(() => { if (draft.current === undefined) setText(value); }, [value]);
  const type = (to: string) => {
    setText(to);
    draft.current = to;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(settle, SETTLED_MS);
  };
  return [text, type, settle];
}

function Settled({ row, value, onChange }: { row: Row; value: any; onChange: (v: any) => void }) {
  const [text, type, settle] = useSettled(words(value), (v) => onChange(v || undefined));
  return <textarea rows={3} spellcheck={false} value={text} placeholder={row.hint} onInput={(e) => type(e.currentTarget.value)} onBlur={settle} />;
}

// A name of the palette or any colour of CSS; beside it the colour itself, to pick another.
export function ColorField({ value, onChange, label }: { value: any; onChange: (v: any) => void; label: string }) {
  const id = useId();
  const seen = rgb(cssColor(words(value) || "gray", isDark.value));
  return (
    <span class="ed-color">
      <input type="color" aria-label={`${label}: pick`} value={seen ? cssRgb(seen) : "#808080"} onChange={(e) => onChange(e.currentTarget.value)} />
      <input list={id} aria-label={label} value={words(value)} onChange={(e) => onChange(e.currentTarget.value || undefined)} />
      {list(id, COLOR_NAMES.map((c) => [c]))}
    </span>
  );
}

const ALL_UNITS = [...UNITS, ...CUSTOM_UNITS];

// Found by its name or its id; what is no unit of the list stands behind the number.
function UnitField({ value, onChange, id }: Props) {
  const known = ALL_UNITS.find((u) => u.id === value);
  return (
    <span class="ed-unit">
      <input list={id} value={words(value)} placeholder="Search: bytes, percent, seconds" onChange={(e) => {
        const typed = e.currentTarget.value.trim();
        onChange(ALL_UNITS.find((u) => u.text.toLowerCase() === typed.toLowerCase())?.id ?? (typed || undefined));
      }} />
      {known && <small class="dim">{known.group}: {known.text}</small>}
      {list(id, ALL_UNITS.map((u) => [u.id, `${u.text} (${u.group})`]))}
    </span>
  );
}

// Any JSON as text; nothing is taken over until it is right.
export function JsonField({ label, value, onApply, rows = 6 }: { label: string; value: unknown; onApply: (to: any) => void; rows?: number }) {
  const now = JSON.stringify(value, null, 2);
  const [text, setText] = useState(now);
  const [error, setError] = useState("");
  useEffect(() => setText(now), [now]);
  const apply = () => {
    try {
      onApply(JSON.parse(text));
      setError("");
    } catch (e) {
      setError((e as Error).message);
    }
  };
  return (
    <div class="ed-json">
      <textarea aria-label={label} rows={rows} spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} />
      {error && <p class="failure" role="alert">{error}</p>}
      <button type="button" disabled={text === now} onClick={apply}>Apply</button>
    </div>
  );
}
