// read_fields.ts - a panel's field options and overrides in their newest form: value mappings,
// thresholds, cell types, and names that older versions had for the same.
import { bag, bags, isBag, list, num, put, str } from "./json";
import type { Bag, MappedTo, Mapping, Override, Threshold } from "./model";
import type { Reading } from "./read";

export function fieldsUpToDate(p: Bag, reading: Reading): void {
  const fc = bag(p.fieldConfig);
  const defaults = bag(fc.defaults);
  options(defaults, p.type);
  const overrides = bags(fc.overrides).filter((o) => typeof bag(o.matcher).id === "string") as Override[];
  for (const o of overrides) {
    o.properties = bags(o.properties).filter((q) => typeof q.id === "string") as Override["properties"];
    for (const q of o.properties) property(q, reading.version > 0 && reading.version < 42);
  }
  p.fieldConfig = { ...fc, defaults, overrides };
  axisOnceShown(p, reading);
}

// Until schema 35 hiding the axis of the values left that of the time alone.
function axisOnceShown(p: Bag, reading: Reading): void {
  if (p.type !== "timeseries" || reading.version >= 35 || reading.version === 0) return;
  if (bag(p.fieldConfig.defaults.custom).axisPlacement !== "hidden") return;
  p.fieldConfig.overrides.push({ matcher: { id: "byType", options: "time" }, properties: [{ id: "custom.axisPlacement", value: "auto" }] });
}

function options(f: Bag, type: string): void {
  if (f.title !== undefined && f.displayName === undefined) f.displayName = f.title;
  delete f.title;
  for (const name of ["min", "max", "decimals"]) if (name in f && typeof f[name] !== "number") put(f, name, num(f[name]));
  if (f.unit !== undefined && typeof f.unit !== "string") delete f.unit;
  if (f.mappings !== undefined) f.mappings = readMappings(f.mappings);
  if (f.thresholds !== undefined) put(f, "thresholds", readThresholds(f.thresholds));
  if (f.color !== undefined && typeof bag(f.color).mode !== "string") delete f.color;
  if (f.links !== undefined) f.links = bags(f.links);
  for (const l of list(f.links)) if (typeof l.url === "string") l.url = newNames(l.url);
  if (typeof f.displayName === "string") f.displayName = newNames(f.displayName);
  const custom = f.custom;
  if (custom === undefined) return;
  f.custom = bag(custom);
  if (f.custom.displayMode !== undefined && type === "table") {
    f.custom.cellOptions ??= cellOf(f.custom.displayMode);
    delete f.custom.displayMode;
  }
  if (isBag(f.custom.hideFrom)) hideFrom(f.custom.hideFrom);
}

function hideFrom(h: Bag): void {
  if (h.graph === undefined) return;
  h.viz ??= h.graph;
  delete h.graph;
}

const CELLS: Record<string, Bag> = {
  basic: { type: "gauge", mode: "basic" }, "gradient-gauge": { type: "gauge", mode: "gradient" },
  "lcd-gauge": { type: "gauge", mode: "lcd" }, "color-background": { type: "color-background", mode: "gradient" },
  "color-background-solid": { type: "color-background", mode: "basic" },
};
const cellOf = (mode: unknown): Bag => ({ ...(Object.hasOwn(CELLS, str(mode)) ? CELLS[str(mode)] : { type: str(mode) || "auto" }) });

// What is hidden from the drawing was hidden from the tooltip as well until schema 42.
function property(q: { id: string; value?: any }, tooltipToo: boolean): void {
  if (q.id === "title") q.id = "displayName";
  else if (q.id === "custom.displayMode") {
    q.id = "custom.cellOptions";
    q.value = cellOf(q.value);
  } else if (q.id === "mappings") q.value = readMappings(q.value);
  else if (q.id === "thresholds") {
    const t = readThresholds(q.value);
    if (t) q.value = t;
  } else if (q.id === "custom.hideFrom" && isBag(q.value)) {
    hideFrom(q.value);
    if (tooltipToo && q.value.viz === true) q.value.tooltip = true;
  }
}

// The first step is minus infinity, whatever number it was saved with.
export function readThresholds(x: unknown): Bag | undefined {
  const steps = (Array.isArray(x) ? bags(x) : bags(bag(x).steps)).filter((s) => typeof s.color === "string");
  if (!Array.isArray(x) && !isBag(x)) return undefined;
  const out = steps.map((s, i): Threshold => {
    const { index: _, ...rest } = s;
    return { ...rest, color: s.color, value: i === 0 ? null : num(s.value) ?? null };
  });
  const mode = bag(x).mode === "percentage" ? "percentage" : "absolute";
  return { ...(isBag(x) ? x : {}), mode, steps: out };
}

const NEW_KINDS = ["value", "range", "regex", "special"];

// Until schema 30: {type: 1, value, text} and {type: 2, from, to, text}.
export function readMappings(x: unknown): Mapping[] {
  const out: Mapping[] = [];
  let values: Record<string, MappedTo> | undefined;
  let index = 0;
  for (const m of bags(x)) {
    if (NEW_KINDS.includes(m.type)) {
      if (isBag(m.options)) out.push(m as Mapping);
      continue;
    }
    const result: MappedTo = { text: str(m.text), index: index++ };
    if (typeof m.color === "string") result.color = m.color;
    if (num(m.type) === 2 || (m.type === undefined && (m.from !== undefined || m.to !== undefined))) {
      if (isNull(m.from) && isNull(m.to)) out.push({ type: "special", options: { match: "null", result } });
      else out.push({ type: "range", options: { from: num(m.from) ?? null, to: num(m.to) ?? null, result } });
    } else if (isNull(m.value)) out.push({ type: "special", options: { match: "null", result } });
    else if (m.value !== undefined) {
      if (!values) out.push({ type: "value", options: (values = {}) });
      if (str(m.value) !== "__proto__") values[typeof m.value === "boolean" ? String(m.value) : str(m.value)] ??= result;
    }
  }
  return out;
}
const isNull = (x: unknown): boolean => x === "null" || x === null;

// Old thresholds of a single value: "50,80" and the three colours around them. In the first versions the
// least value stood before them.
export function stepsOf(thresholds: unknown, colors: unknown, leastFirst = false): Threshold[] {
  const texts = Array.isArray(thresholds) ? list(thresholds) : str(thresholds).split(",");
  const at = texts.map((t) => num(typeof t === "string" ? t.trim() : t)).filter((n) => n !== undefined) as number[];
  const names = list(colors).filter((c) => typeof c === "string") as string[];
  if (leastFirst && at.length >= 3) at.shift();
  return names.slice(0, at.length + 1).map((color, i) => ({ value: i ? at[i - 1]! : null, color }));
}

// Names that links and titles had for what they belong to before it had a syntax of its own (schema 20, 21).
export const newNames = (text: string): string => text
  .replace(/\$__series_name\b/g, "${__series.name}").replace(/\$__value_time\b/g, "${__value.time}").replace(/\$__field_name\b/g, "${__field.name}")
  .replace(/\$\{__series\.labels\b/g, "${__field.labels");
