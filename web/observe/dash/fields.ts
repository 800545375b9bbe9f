// fields.ts - the panel's field options applied to frames: every column gets its title, its options with
// the overrides that mean it, and what writes and colours its values.
import { calcId, numbersOf, reduceField } from "./calc";
import { NO_COLOR } from "./color";
import type { Cell, DataLink, Field, Frame, Shown } from "./frame";
import { shownText } from "./frame";
import { fieldMatcher } from "./matchers";
import type { Bag, FieldOptions, Link, Override } from "./model";
import { nameFields } from "./names";
import { colorMode, isByValue, type Range, showerOf } from "./values";

export interface FieldContext {
  dark: boolean;
  zone: string;
  interpolate: (text: string, place?: string) => string; // of the dashboard's variables
  colorMode?: string; // of the panel's type, where the panel has none: "palette-classic" for charts
  from?: number; // of the panel, ms: for ${__url_time_range} of links
  to?: number;
}

interface Behind { frame: Frame; frames: Frame[]; context: FieldContext; range: () => Range }
const behind = new WeakMap<Field, Behind>(); // what a field's links and range are found from

// ---- options

const UNSAFE = new Set(["__proto__", "constructor", "prototype"]);

// A copy of the options with one member set, however deep: "custom.lineStyle.fill".
function withMember(bag: Bag, path: string[], value: unknown): Bag {
  const [name, ...rest] = path;
  if (UNSAFE.has(name!)) return bag;
  const out = { ...bag };
  if (rest.length) out[name!] = withMember(typeof out[name!] === "object" && out[name!] ? out[name!] : {}, rest, value);
  else if (value === undefined || value === null) delete out[name!];
  else out[name!] = value;
  return out;
}

const given = (v: unknown): boolean => v !== undefined && v !== null && !(Array.isArray(v) && !v.length);

// What the query said of the field wins over the panel's defaults.
function merged(defaults: FieldOptions, own: FieldOptions): FieldOptions {
  const out: FieldOptions = { ...defaults };
  for (const name in own) if (name === "custom") out.custom = { ...defaults.custom, ...own.custom }; else if (given(own[name])) out[name] = own[name];
  return out;
}

interface Rule { match: ReturnType<typeof fieldMatcher>; set: [path: string[], value: unknown][] }

const rulesOf = (overrides: Override[]): Rule[] => overrides.filter((o) => o?.matcher && Array.isArray(o.properties)).map((o) => ({
  match: fieldMatcher(o.matcher),
  set: o.properties.map((p) => [String(p.id).split("."), p.value]),
}));

// ---- min and max: the options', else of all numbers of the panel, or the field's own

function spread(fields: Iterable<Field>): Range | undefined {
  let min = Infinity;
  let max = -Infinity;
  for (const f of fields) {
    if (f.type !== "number") continue;
    const n = numbersOf(f.values);
    if (n.min !== null && n.min < min) min = n.min;
    if (n.max !== null && n.max > max) max = n.max;
  }
  return min <= max ? { min, max } : undefined;
}

function* allFields(frames: Frame[]): Generator<Field> {
  for (const f of frames) yield* f.fields;
}

function rangeOf(field: Field, whole: () => Range | undefined): () => Range {
  let range: Range | undefined;
  return () => {
    if (range) return range;
    const { min, max } = field.config;
    const bound = (v: unknown): number | undefined => (v === null || v === undefined || v === "" || Number.isNaN(Number(v)) ? undefined : Number(v));
    const low = bound(min);
    const high = bound(max);
    const data = low === undefined || high === undefined ? (field.config.fieldMinMax ? spread([field]) : whole()) : undefined;
    return (range = { min: low ?? data?.min ?? 0, max: high ?? data?.max ?? 100 });
  };
}

// The range that the field's percentages and scales of colours lie in.
export const fieldRange = (field: Field): Range => behind.get(field)?.range() ?? { min: 0, max: 100 };

// ---- the whole

export function applyFieldConfig(frames: Frame[], config: { defaults?: FieldOptions; overrides?: Override[] } | undefined, context: FieldContext): Frame[] {
  const out = frames.map((frame) => ({ ...frame, fields: frame.fields.map((f) => ({ ...f })) }));
  nameFields(out);
  const defaults = { ...config?.defaults };
  if (!defaults.color?.mode && context.colorMode) defaults.color = { ...defaults.color, mode: context.colorMode };
  const rules = rulesOf(config?.overrides ?? []);
  let known: { range: Range | undefined } | undefined;
  const whole = (): Range | undefined => (known ??= { range: spread(allFields(out)) }).range;
  let index = 0;
  for (const frame of out)
    for (const field of frame.fields) {
      field.config = merged(defaults, field.config);
      let named = field.config.displayName;
      if (named) field.title = fillName(named, field, frame, context);
      // All overrides match the name as it was before any of them.
      const hits = rules.filter((r) => r.match(field, frame, out));
      for (const rule of hits)
        for (const [path, value] of rule.set) field.config = withMember(field.config, path, value);
      if (field.config.displayName !== named) {
        named = field.config.displayName;
        if (named) field.title = fillName(named, field, frame, context);
      }
      field.index = field.type === "time" ? index : index++;
      const range = rangeOf(field, whole);
      behind.set(field, { frame, frames: out, context, range });
      field.show = lazily(field, context, range);
    }
  return out;
}

// Most fields of a chart never show a value: what shows them is made when one is asked for.
function lazily(field: Field, context: FieldContext, range: () => Range): (v: Cell) => Shown {
  let show: ((v: Cell) => Shown) | undefined;
  return (v) => (show ??= showerOf(field, context, range))(v);
}

// The colour that stands for the whole field: its line, its legend.
export function seriesColor(field: Field): string {
  if (!field.show) return NO_COLOR;
  if (!isByValue(colorMode(field.config))) return field.show(null).color;
  return field.show(reduceField(field, field.config.color?.seriesBy ?? "last")).color;
}

// ---- templates: ${__field.labels.pod}, ${__value.text}, ${__data.fields["x"].numeric}

export interface Row { field: Field; frame: Frame; row?: number }
const FILLED = /\$\{(__(?:field|series|value|data)\b[^}]*?|__url_time_range)(?::(\w+))?\}|\$(__url_time_range)\b/g;

function member(path: string): string[] {
  return [...path.matchAll(/\[\s*(?:"([^"]*)"|'([^']*)'|(\d+))\s*\]|\.?([^.[\]]+)/g)].map((m) => m[1] ?? m[2] ?? m[3] ?? m[4] ?? "");
}

const raw = (v: Cell): string => (v === null || v === undefined ? "" : typeof v === "object" ? JSON.stringify(v) : String(v));

function ofValue(field: Field, frame: Frame, row: number | undefined, what: string | undefined): string {
  const value = row === undefined ? reduceField(field, "lastNotNull") : field.values[row];
  switch (what) {
    case "numeric": { const n = Number(value); return value === null || Number.isNaN(n) ? "" : String(n); }
    case "time": {
      const time = frame.fields.find((f) => f.type === "time");
      return raw(row === undefined ? reduceField(time ?? field, "lastNotNull") : time?.values[row]);
    }
    case "calc": return calcId(String(field.config.custom?.calc ?? "")) ?? "";
    case "text":
    case undefined: return field.show ? shownText(field.show(value)) : raw(value);
    default: return raw(value);
  }
}

function lookUp(path: string[], { field, frame, row }: Row): string {
  const [root, ...rest] = path;
  switch (root) {
    case "__series": return frame.name ?? field.title ?? field.name;
    case "__value": return ofValue(field, frame, row, rest[0]);
    case "__field":
      if (rest[0] === "labels") return rest.length > 1 ? (field.labels?.[rest.slice(1).join(".")] ?? "") : Object.entries(field.labels ?? {}).map(([k, v]) => `${k}="${v}"`).join(", ");
      return rest[0] === "name" ? field.name : rest[0] === "displayName" || !rest.length ? field.title ?? field.name : "";
    case "__data": {
      if (rest[0] !== "fields") return rest[0] === "refId" ? frame.refId ?? "" : frame.name ?? "";
      const other = frame.fields.find((f) => f.name === rest[1] || f.title === rest[1]) ?? frame.fields[Number(rest[1])];
      return other ? ofValue(other, frame, row, rest[2]) : "";
    }
  }
  return "";
}

// A text with the row's values in it; what is between them goes through the dashboard's variables, the
// values themselves do not.
function fill(text: string, at: Row, context: FieldContext, write: (value: string, how: string | undefined, before: string) => string): string {
  let out = "";
  let from = 0;
  for (const m of text.matchAll(FILLED)) {
    out += context.interpolate(text.slice(from, m.index));
    const path = m[1] ?? m[3]!;
    out += path === "__url_time_range" ? `from=${context.from ?? "now-6h"}&to=${context.to ?? "now"}` : write(lookUp(member(path), at), m[2], out);
    from = m.index! + m[0].length;
  }
  return out + context.interpolate(text.slice(from));
}

const fillName = (text: string, field: Field, frame: Frame, context: FieldContext): string =>
  text.includes("$") || text.includes("[[") ? fill(text, { field, frame, row: 0 }, context, (v) => v) : text;

// Into addresses values go encoded; one that is the whole address goes as it is.
function inAddress(value: string, how: string | undefined, before: string): string {
  if (how === "raw" || !before) return how === "percentencode" ? encodeURIComponent(value) : encodeURI(value);
  return before.includes("?") || how === "percentencode" || how === "queryparam" ? encodeURIComponent(value) : encodeURI(value);
}

const SAFE = /^(?:https?:|mailto:|tel:|ftp:|[^a-z]|[^:]*$|[^:]*[/?#])/i;
export const safeAddress = (href: string): string => { const bare = href.replace(/[\u0000-\u0020]+/g, (s) => (s.includes(" ") ? " " : "")).trim(); return SAFE.test(bare) ? bare : "about:blank"; };

// The links of one value, ready to be followed.
export function linksOf(field: Field, row?: number): DataLink[] {
  const links = field.config.links;
  const b = behind.get(field);
  if (!links?.length || !b) return [];
  const at: Row = { field, frame: b.frame, row };
  return links.filter((l) => l?.url).map((l: Link) => ({
    ...l,
    title: fill(l.title || "", at, b.context, (v) => v) || l.url!,
    href: safeAddress(fill(l.url!, at, b.context, inAddress)),
  }));
}
