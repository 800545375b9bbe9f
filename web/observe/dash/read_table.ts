// read_table.ts - the old table: what was said of its columns in `styles` become overrides, the shape it
// gave its data becomes a transformation.
import { bag, bags, drop, isBag, list, num, put, str } from "./json";
import type { Bag, Override } from "./model";
import type { Reading } from "./read";
import { readMappings, stepsOf } from "./read_fields";
import { newCalc } from "./read_panels";

type Property = Override["properties"][number];

export function fromTable(p: Bag, reading: Reading): void {
  const isNew = p.options.showHeader !== undefined || isBag(bag(bag(p.fieldConfig).defaults).custom); // what is old lies about unused
  const old = p.type === "table-old" || (!isNew && (Array.isArray(p.styles) || (typeof p.transform === "string" && Array.isArray(p.columns))));
  p.type = "table";
  if (!old) return;
  const styles = bags(p.styles).filter((s) => typeof s.pattern === "string" && s.pattern);
  const defaults: Bag = { ...bag(bag(p.fieldConfig).defaults), custom: { align: "auto", cellOptions: { type: "auto" }, inspect: false } };
  const overrides: Override[] = bags(bag(p.fieldConfig).overrides) as Override[];
  // The first style that fits a column was the one; of overrides the last wins.
  for (const s of [...styles].reverse()) {
    const properties = propertiesOf(s, reading, p.title);
    if (s.pattern === "/.*/") forAll(properties, defaults);
    else if (properties.length) overrides.push({ matcher: matcherOf(s.pattern), properties });
  }
  shape(p);
  const sort = bag(p.sort);
  p.options = { ...bag(p.options), showHeader: p.showHeader !== false, cellHeight: "sm", footer: { show: false, reducer: ["sum"], countRows: false, fields: "" } };
  const by = list(p.columns).length || num(sort.col) === undefined || num(sort.col)! < 0 ? undefined : num(sort.col);
  if (by !== undefined) sortBy(p, by, sort.desc === true);
  p.fieldConfig = { defaults, overrides };
  drop(p, "styles", "columns", "transform", "showHeader", "sort", "fontSize", "scroll", "pageSize", "hideTimeOverride_", "isNew", "editable", "error", "pluginVersion", "filterNull");
}

const matcherOf = (pattern: string): Override["matcher"] =>
  (/^\/.*\/[a-z]*$/.test(pattern) ? { id: "byRegexp", options: pattern } : { id: "byName", options: pattern });

// What is said of every column is the default.
function forAll(properties: Property[], defaults: Bag): void {
  for (const { id, value } of properties)
    if (id.startsWith("custom.")) defaults.custom[id.slice(7)] = value;
    else if (id !== "displayName") defaults[id] = value;
}

// The column's place in the answer is known here only where the styles name the columns in their order.
function sortBy(p: Bag, column: number, desc: boolean): void {
  const names = bags(p.styles).filter((s) => !/^\/.*\/$/.test(str(s.pattern)) && s.type !== "hidden").map((s) => str(s.alias) || str(s.pattern));
  if (column < names.length && names[column]) p.options.sortBy = [{ displayName: names[column], desc }];
}

function propertiesOf(s: Bag, reading: Reading, title: string): Property[] {
  const q: Property[] = [];
  if (str(s.alias)) q.push({ id: "displayName", value: s.alias });
  if (s.type === "hidden") return [...q, { id: "custom.hidden", value: true }];
  if (s.type === "date" && str(s.dateFormat)) q.push({ id: "unit", value: `time: ${s.dateFormat}` });
  if (s.type === "number") {
    if (str(s.unit)) q.push({ id: "unit", value: s.unit });
    if (num(s.decimals) !== undefined) q.push({ id: "decimals", value: num(s.decimals) });
  }
  const mappings = readMappings([
    ...(num(s.mappingType) === 2 ? [] : bags(s.valueMaps).map((m) => ({ type: 1, value: m.value, text: m.text }))),
    ...(num(s.mappingType) === 2 ? bags(s.rangeMaps).map((m) => ({ type: 2, from: m.from, to: m.to, text: m.text })) : []),
  ]);
  if (mappings.length && (s.type === "string" || s.type === "number")) q.push({ id: "mappings", value: mappings });
  if (s.align && s.align !== "auto") q.push({ id: "custom.align", value: s.align });
  if (s.link === true && str(s.linkUrl)) q.push({ id: "links", value: [{ title: cellNames(str(s.linkTooltip)), url: cellNames(s.linkUrl), targetBlank: s.linkTargetBlank === true }] });
  color(s, q, reading.version > 0 && reading.version < 10);
  if (s.preserveFormat || s.sanitize) reading.notes.push(`Panel "${title}": the texts of its cells are shown as they are.`);
  return q;
}

function color(s: Bag, q: Property[], leastFirst: boolean): void {
  if (!["cell", "value", "row"].includes(str(s.colorMode))) return;
  const cell: Bag = s.colorMode === "value" ? { type: "color-text" } : { type: "color-background", mode: "basic" };
  if (s.colorMode === "row") cell.applyToRow = true;
  q.push({ id: "custom.cellOptions", value: cell });
  const steps = stepsOf(s.thresholds, s.colors, leastFirst);
  if (steps.length) q.push({ id: "color", value: { mode: "thresholds" } }, { id: "thresholds", value: { mode: "absolute", steps } });
}

// $__cell, $__cell_2, $__cell:raw as links have them now.
const cellNames = (text: string): string => text
  .replace(/\$(?:\{)?__cell_(\d+)(?::raw)?\}?/g, (_, n: string) => `\${__data.fields[${n}]}`)
  .replace(/\$(?:\{)?__cell(?::raw)?\}?(?![\w])/g, "${__value.raw}")
  .replace(/\$__pattern_(\w+)/g, "${__data.fields.$1}");

function shape(p: Bag): void {
  const columns = bags(p.columns);
  const add = (id: string, options: Bag): void => {
    p.transformations = [...list(p.transformations), { id, options }];
  };
  if (p.transform === "timeseries_to_rows") add("seriesToRows", {});
  else if (p.transform === "timeseries_to_columns") add("joinByField", { byField: "Time", mode: "outer" });
  else if (p.transform === "timeseries_aggregations")
    add("reduce", { mode: "seriesToRows", includeTimeField: false, reducers: columns.length ? columns.map((c) => newCalc(c.value)) : ["mean"] });
  else if (p.transform === "table" || p.transform === undefined) {
    if (list(p.targets).filter((t) => isBag(t) && t.hide !== true).length > 1) add("merge", {});
  }
  if (p.transform !== "timeseries_aggregations" && columns.length && p.transform === "table") only(columns, add);
  for (const t of bags(p.targets)) if (p.transform === "table" && t.format === undefined && typeof t.expr === "string") put(t, "format", "table");
}

// Chosen columns in their order.
function only(columns: Bag[], add: (id: string, options: Bag) => void): void {
  const names = columns.map((c) => str(c.value) || str(c.text)).filter(Boolean);
  add("filterFieldsByName", { include: { names } });
  add("organize", { excludeByName: {}, indexByName: Object.fromEntries(names.map((n, i) => [n, i])), renameByName: {} });
}
