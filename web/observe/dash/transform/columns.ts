// columns.ts - transformations that choose, order, rename and rewrite columns.
import { patternOf } from "../pattern";
import type { Cell, Field, FieldType, Frame } from "../frame";
import { fieldMatcher, frameMatcher, regex } from "../matchers";
import type { Bag } from "../model";
import { zoneOf } from "../../base/zone";
import { formatDate } from "../moments";
import { parseDate } from "./parse";
import { bag, field, find, joinedRefs, renamed, strings, textOf, title, type Transform, type TransformContext } from "./tools";

const mapFrames = (f: (frame: Frame, options: Bag, context: TransformContext, frames: Frame[]) => Frame): Transform => (frames, options, context) => frames.map((frame) => f(frame, options, context, frames));
const mapFields = (frame: Frame, f: (field: Field) => Field): Frame => ({ ...frame, fields: frame.fields.map(f) });

// ---- which frames and fields

export const filterByRefId: Transform = (frames, o) => {
  const include = o.include ? frameMatcher({ id: "byRefId", options: o.include }) : () => true;
  const exclude = o.exclude ? frameMatcher({ id: "byRefId", options: o.exclude }) : () => false;
  return frames.filter((f) => include(f) && !exclude(f));
};

function wanted(o: Bag, context: TransformContext): ((f: Field) => boolean) | undefined {
  if (!o || typeof o !== "object") return undefined;
  let names = strings(o.names);
  if (o.variable && context.variable) names = names.concat(context.variable(String(o.variable).replace(/[${}]/g, "")));
  const set = new Set(names.map((n) => (n.includes("$") ? context.interpolate(n) : n)));
  const re = o.pattern ? regex(context.interpolate(String(o.pattern))) : undefined;
  if (!set.size && !re) return undefined;
  return (f) => set.has(title(f)) || !!re?.test(title(f));
}

export const filterFieldsByName: Transform = (frames, o, context) => {
  // byVariable: the chosen names are a variable's values.
  const by = (part: unknown): ((f: Field) => boolean) | undefined => {
    const p = typeof part === "string" ? { pattern: part } : bag(part);
    return wanted(o.byVariable && !p.variable ? { ...p, names: undefined } : p, context);
  };
  const include = by(o.include);
  const exclude = by(o.exclude);
  return frames.map((frame) => ({ ...frame, fields: frame.fields.filter((f) => (!include || include(f)) && !exclude?.(f)) })).filter((f) => f.fields.length);
};

export const filterFields: Transform = (frames, o) => {
  const include = o.include ? fieldMatcher(o.include) : undefined;
  const exclude = o.exclude ? fieldMatcher(o.exclude) : undefined;
  return frames.map((frame) => ({ ...frame, fields: frame.fields.filter((f) => (!include || include(f, frame, frames)) && !exclude?.(f, frame, frames)) })).filter((f) => f.fields.length);
};

export const filterFrames: Transform = (frames, o) => {
  const include = o.include ? frameMatcher(o.include) : () => true;
  const exclude = o.exclude ? frameMatcher(o.exclude) : () => false;
  return frames.filter((f) => include(f) && !exclude(f));
};

// ---- order and names

const naturally = new Intl.Collator(undefined, { numeric: true }).compare;

function orderAutomatically(fields: Field[], by: Bag[]): Field[] {
  const out = fields.slice();
  const key = (f: Field, rule: Bag): string => (rule.type === "label" ? f.labels?.[String(rule.name)] ?? "" : title(f));
  const rules = by.filter((r) => r && typeof r === "object");
  // Time stays before, whatever the order.
  return out.sort((a, b) => {
    const time = Number(b.type === "time") - Number(a.type === "time");
    if (time) return time;
    for (const rule of rules) {
      const d = naturally(key(a, rule), key(b, rule));
      if (d) return rule.desc ? -d : d;
    }
    return 0;
  });
}

function order(fields: Field[], o: Bag): Field[] {
  if (o.orderByMode === "auto" && Array.isArray(o.orderBy)) return orderAutomatically(fields, o.orderBy);
  const index = bag(o.indexByName);
  const at = (f: Field): number => { const i = Number(index[title(f)]); return Object.hasOwn(index, title(f)) && Number.isFinite(i) ? i : Infinity; };
  return fields.map((f, i) => ({ f, at: at(f), i })).sort((a, b) => (a.at === b.at ? a.i - b.i : a.at - b.at)).map((x) => x.f);
}

const rename = (f: Field, names: Bag, context: TransformContext): Field => {
  const to = Object.hasOwn(names, title(f)) ? names[title(f)] : undefined;
  return typeof to === "string" && to ? renamed(f, context.interpolate(to)) : f;
};

export const organize: Transform = mapFrames((frame, o, context) => {
  const exclude = bag(o.excludeByName);
  const include = bag(o.includeByName);
  const only = Object.values(include).some((v) => v === true);
  const kept = frame.fields.filter((f) => !(Object.hasOwn(exclude, title(f)) && exclude[title(f)]) && (!only || (Object.hasOwn(include, title(f)) && include[title(f)])));
  return { ...frame, fields: order(kept, o).map((f) => rename(f, bag(o.renameByName), context)) };
});
export const orderFields: Transform = mapFrames((frame, o) => ({ ...frame, fields: order(frame.fields, o) }));
export const renameFields: Transform = mapFrames((frame, o, context) => mapFields(frame, (f) => rename(f, bag(o.renameByName), context)));

function replacing(text: string): RegExp | undefined {
  try { return patternOf(text); } catch { return undefined; }
}

export const renameByRegex: Transform = mapFrames((frame, o, context) => {
  const re = replacing(context.interpolate(String(o.regex ?? "")));
  const to = context.interpolate(String(o.renamePattern ?? ""));
  if (!re || !o.regex) return frame;
  return mapFields(frame, (f) => {
    const name = title(f).replace(re, to);
    return name !== title(f) ? renamed(f, name) : f;
  });
});

// ---- types and texts

const FALSE = new Set(["", "0", "false", "no", "off"]);

function converter(c: Bag, zone: string): ((v: Cell) => Cell) | undefined {
  const present = (f: (v: NonNullable<Cell>) => Cell) => (v: Cell): Cell => (v === null || v === undefined ? v : f(v));
  switch (c.destinationType) {
    case "number": return present((v) => { const n = typeof v === "string" && !v.trim() ? NaN : Number(v); return Number.isNaN(n) ? null : n; });
    case "string": return present((v) => (Array.isArray(v) ? v.map((x) => textOf(x)).join(typeof c.joinWith === "string" ? c.joinWith : ",") : c.dateFormat && typeof v === "number" ? formatDate(v, String(c.dateFormat), zone) : textOf(v)));
    case "boolean": return present((v) => (typeof v === "string" ? !FALSE.has(v.trim().toLowerCase()) : Boolean(v)));
    case "time": return present((v) => parseDate(v, typeof c.dateFormat === "string" ? c.dateFormat : undefined, zone));
    case "other": return present((v) => { if (typeof v !== "string") return v; try { return JSON.parse(v) as Cell; } catch { return null; } });
    case "enum": return (v) => v;
    default: return undefined;
  }
}

export const convertFieldType: Transform = mapFrames((frame, o, context) => {
  const rules = (Array.isArray(o.conversions) ? o.conversions : []).filter((c: Bag) => c && typeof c === "object");
  return mapFields(frame, (f) => {
    for (const c of rules) {
      const to = c.targetField && (c.targetField === title(f) || c.targetField === f.name) ? converter(c, context.zone) : undefined;
      if (to) f = { ...f, values: f.values.map(to), type: c.destinationType === "enum" ? f.type : (c.destinationType as FieldType) };
    }
    return f;
  });
});

export const formatTime: Transform = mapFrames((frame, o, context) => mapFields(frame, (f) => {
  if (!o.timeField || (title(f) !== o.timeField && f.name !== o.timeField)) return f;
  const zone = o.useTimezone === false ? "utc" : o.timezone ? zoneOf(String(o.timezone)) : context.zone;
  return { ...f, type: "string", values: f.values.map((v) => (typeof v === "number" ? formatDate(v, String(o.outputFormat ?? ""), zone) : v)) };
}));

const capital = (w: string): string => w.charAt(0).toUpperCase() + w.slice(1).toLowerCase();
const words = (s: string): string[] => s.replace(/([a-z\d])([A-Z])/g, "$1 $2").split(/[^\p{L}\p{N}]+/u).filter(Boolean);
const TEXTS: Record<string, (s: string, o: Bag) => string> = {
  "upper case": (s) => s.toUpperCase(), "lower case": (s) => s.toLowerCase(),
  "sentence case": (s) => s.charAt(0).toUpperCase() + s.slice(1),
  "title case": (s) => s.split(" ").map((w) => w.charAt(0).toUpperCase() + w.slice(1)).join(" "),
  "pascal case": (s) => words(s).map(capital).join(""),
  "camel case": (s) => words(s).map((w, i) => (i ? capital(w) : w.toLowerCase())).join(""),
  "snake case": (s) => words(s).map((w) => w.toLowerCase()).join("_"),
  "kebab case": (s) => words(s).map((w) => w.toLowerCase()).join("-"),
  trim: (s) => s.trim(),
  substring: (s, o) => s.substring(Number(o.substringStart) || 0, o.substringEnd === undefined ? 100 : Number(o.substringEnd)),
};

export const formatString: Transform = mapFrames((frame, o) => {
  const name = String(o.outputFormat ?? "").toLowerCase();
  const how = Object.hasOwn(TEXTS, name) ? TEXTS[name] : undefined;
  return mapFields(frame, (f) => (how && o.stringField && (title(f) === o.stringField || f.name === o.stringField) ? { ...f, type: "string", values: f.values.map((v) => (v === null || v === undefined ? v : how(textOf(v), o))) } : f));
});

// ---- labels

export const labelsToFields: Transform = (frames, o) => {
  const keep = Array.isArray(o.keepLabels) && o.keepLabels.length ? new Set<string>(o.keepLabels) : undefined;
  const kept = (name: string): boolean => !keep || keep.has(name);
  if (o.mode === "rows") {
    return frames.flatMap((frame) => frame.fields.filter((f) => f.labels && Object.keys(f.labels).length).map((f): Frame => {
      const names = Object.keys(f.labels!).filter(kept);
      return { refId: frame.refId, name: title(f), length: names.length, kind: "table", fields: [field("label", "string", names), field("value", "string", names.map((n) => f.labels![n]!))] };
    }));
  }
  return frames.map((frame) => {
    const columns = new Map<string, string>();
    const fields = frame.fields.map((f) => {
      if (!f.labels || !Object.keys(f.labels).length) return f;
      let name = f.name;
      for (const [label, value] of Object.entries(f.labels))
        if (label === o.valueLabel) name = value;
        else if (kept(label)) columns.set(label, value);
      const { displayNameFromDS: _, ...config } = f.config; // it told the labels, which are columns now
      return { ...f, name, labels: undefined, config };
    });
    const added = [...columns].map(([label, value]) => field(label, "string", new Array<Cell>(frame.length).fill(value)));
    const { name: _, ...rest } = frame;
    return { ...rest, kind: "table" as const, fields: [...fields, ...added] };
  });
};

// ---- options out of data

type Handler = (config: Bag, v: Cell, args: Bag) => void;
const asNumber = (member: string): Handler => (c, v) => { const n = Number(v); if (v !== null && v !== "" && !Number.isNaN(n)) c[member] = n; };
const asText = (member: string): Handler => (c, v) => { if (v !== null && v !== undefined) c[member] = textOf(v); };
const HANDLERS: Record<string, Handler> = {
  displayName: asText("displayName"), "field.displayName": asText("displayName"), unit: asText("unit"), description: asText("description"), noValue: asText("noValue"),
  min: asNumber("min"), max: asNumber("max"), decimals: asNumber("decimals"),
  color: (c, v) => { if (v) c.color = { mode: "fixed", fixedColor: textOf(v) }; },
  threshold1: (c, v, args) => {
    const n = Number(v);
    if (v === null || Number.isNaN(n)) return;
    const steps = c.thresholds?.steps ?? [{ value: null, color: "green" }];
    c.thresholds = { mode: c.thresholds?.mode ?? "absolute", steps: [...steps, { value: n, color: bag(args.threshold).color ?? "red" }].sort((a, b) => (a.value ?? -Infinity) - (b.value ?? -Infinity)) };
  },
};

// What a configuration's columns set: by the options' mappings, else by their names.
function handlerOf(name: string, mappings: Bag[]): { key: string; args: Bag } {
  const m = mappings.find((x) => x?.fieldName === name);
  return { key: String(m?.handlerKey ?? (m ? "__ignore" : name)), args: bag(m?.handlerArguments) };
}

const lastOf = (values: Cell[], mapping?: Bag): Cell => (mapping?.reducerId === "first" ? values[0] : values[values.length - 1]);

export const configFromData: Transform = (frames, o) => {
  const source = frames.find((f) => f.refId === o.configRefId);
  if (!source) return frames;
  const mappings: Bag[] = Array.isArray(o.mappings) ? o.mappings : [];
  const applies = o.applyTo ? fieldMatcher(o.applyTo) : fieldMatcher({ id: "numeric" });
  const set: Bag = {};
  for (const f of source.fields) {
    const { key, args } = handlerOf(title(f), mappings);
    if (f.values.length && Object.hasOwn(HANDLERS, key)) HANDLERS[key]!(set, lastOf(f.values, mappings.find((m) => m?.fieldName === title(f))), args);
  }
  const rest = frames.filter((f) => f !== source);
  return rest.map((frame) => mapFields(frame, (f) => (applies(f, frame, rest) ? { ...f, config: { ...f.config, ...set } } : f)));
};

export const rowsToFields: Transform = (frames, o) => frames.map((frame) => {
  const mappings: Bag[] = Array.isArray(o.mappings) ? o.mappings : [];
  const chosen = (key: string): Field | undefined => { const m = mappings.find((x) => x?.handlerKey === key); return m && find(frame, m.fieldName); };
  const names = chosen("field.name") ?? frame.fields.find((f) => f.type === "string") ?? frame.fields[0];
  const values = chosen("field.value") ?? frame.fields.find((f) => f.type === "number");
  if (!names || !values) return frame;
  const others = frame.fields.filter((f) => f !== names && f !== values);
  const fields = values.values.map((v, row) => {
    const config: Bag = {};
    const labels: Record<string, string> = {};
    for (const f of others) {
      const { key, args } = handlerOf(title(f), mappings);
      if (Object.hasOwn(HANDLERS, key)) HANDLERS[key]!(config, f.values[row], args);
      else if (key === "field.label" || (key === title(f) && f.type === "string")) labels[title(f)] = textOf(f.values[row]);
    }
    return field(textOf(names.values[row]), values.type, [v], Object.keys(labels).length ? labels : undefined, config);
  });
  return { refId: joinedRefs([frame], "rowsToFields"), length: 1, kind: "table" as const, fields };
});
