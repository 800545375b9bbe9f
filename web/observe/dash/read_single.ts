// read_single.ts - panels of one value each: singlestat to stat or gauge, the first forms of gauge, bar
// gauge and stat, and the pie chart that was a plugin.
import { bag, bags, drop, isBag, list, num, put, str } from "./json";
import type { Bag } from "./model";
import type { Reading } from "./read";
import { readMappings, readThresholds, stepsOf } from "./read_fields";
import { newCalc } from "./read_panels";

const CALCS: Record<string, string> = { first: "firstNotNull", last_time: "lastNotNull", name: "lastNotNull", last: "lastNotNull" };
export const calcOf = (valueName: unknown): string => CALCS[str(valueName)] ?? (newCalc(valueName) || "mean");

const OLD = [
  "cacheTimeout", "colorBackground", "colorValue", "colorPostfix", "colorPrefix", "colors", "decimals", "format", "gauge", "mappingType", "mappingTypes",
  "nullPointMode", "nullText", "postfix", "postfixFontSize", "prefix", "prefixFontSize", "rangeMaps", "sparkline", "tableColumn", "thresholds",
  "valueFontSize", "valueMaps", "valueName", "hideTimeOverride_", "isNew", "editable", "error", "pluginVersion", "NullLayer", "NullPointMode",
];

export function fromSingleStat(p: Bag, reading: Reading): void {
  const gauge = bag(p.gauge), spark = bag(p.sparkline);
  const colored = p.colorBackground === true || p.colorValue === true;
  const f: Bag = { ...bag(bag(p.fieldConfig).defaults) };
  unitOf(p, f, reading);
  put(f, "decimals", num(p.decimals) ?? f.decimals);
  if (typeof p.nullPointMode === "string") f.nullValueMode = p.nullPointMode;
  put(f, "noValue", str(p.nullText) || f.noValue);
  const steps = stepsOf(p.thresholds, p.colors, reading.version > 0 && reading.version < 9);
  if (steps.length) f.thresholds = { mode: "absolute", steps };
  if (spark.show === true && !colored && typeof spark.lineColor === "string") f.color = { mode: "fixed", fixedColor: spark.lineColor };
  else f.color = { mode: "thresholds" };
  f.mappings = oldMaps(p);
  const column = str(p.tableColumn);
  const reduceOptions = { values: false, calcs: [calcOf(p.valueName)], fields: column ? `/^${column.replace(/[\\^$*+?.()|[\]{}/]/g, "\\$&")}$/` : "" };
  if (gauge.show === true) {
    p.type = "gauge";
    f.min = num(gauge.minValue) ?? 0;
    f.max = num(gauge.maxValue) ?? 100;
    p.options = { orientation: "auto", reduceOptions, showThresholdLabels: gauge.thresholdLabels === true, showThresholdMarkers: gauge.thresholdMarkers !== false };
  } else {
    p.type = "stat";
    put(f, "min", num(spark.ymin));
    put(f, "max", num(spark.ymax));
    p.options = {
      colorMode: p.colorBackground === true ? "background" : p.colorValue === true ? "value" : "none",
      graphMode: spark.show === true ? "area" : "none", justifyMode: "auto", orientation: "horizontal", reduceOptions,
      textMode: p.valueName === "name" ? "name" : "auto",
    };
  }
  p.fieldConfig = { defaults: f, overrides: bags(bag(p.fieldConfig).overrides) };
  drop(p, ...OLD);
}

// A text before or after the value has its place in the unit if there is no other.
function unitOf(p: Bag, f: Bag, reading: Reading): void {
  const unit = str(p.format);
  const [before, after] = [plain(p.prefix), plain(p.postfix)];
  put(f, "unit", unit || f.unit);
  if (!before && !after) return;
  const free = !unit || unit === "none" || unit === "short";
  if (free && after && !before) f.unit = `suffix:${after}`;
  else if (free && before && !after) f.unit = `prefix:${before}`;
  else reading.notes.push(`Panel "${p.title}": the text around its value is left out (${[before, after].filter(Boolean).join(", ")}).`);
}
const plain = (x: unknown): string => (typeof x === "string" && x.trim() ? x.replace(/<[^>]*>/g, "") : "");

// Texts for values: `mappingType` says which of the two lists counts.
function oldMaps(p: Bag): Bag[] {
  const ranges = bags(p.rangeMaps).map((m) => ({ type: 2, from: m.from, to: m.to, text: m.text }));
  const values = bags(p.valueMaps).map((m) => ({ type: 1, value: m.value, text: m.text }));
  const type = num(p.mappingType);
  return readMappings(type === 2 ? ranges : type === 1 ? values : [...values, ...ranges]) as Bag[];
}

// stat, gauge, bargauge as they were before fieldConfig: `options.fieldOptions`, before it `valueOptions`.
export function fromGauge(p: Bag): void {
  if (p.type === "singlestat2") p.type = "stat";
  const o = p.options as Bag;
  const fc: Bag = { ...bag(p.fieldConfig), defaults: { ...bag(bag(p.fieldConfig).defaults) }, overrides: bags(bag(p.fieldConfig).overrides) };
  if (isBag(o.valueOptions)) {
    const v = o.valueOptions;
    const minus: Bag = { unit: v.unit, decimals: v.decimals, min: o.minValue, max: o.maxValue, mappings: o.valueMappings, thresholds: o.thresholds };
    o.fieldOptions ??= { calcs: [v.stat], values: false, defaults: minus };
    drop(o, "valueOptions", "minValue", "maxValue", "valueMappings", "thresholds", "baseColor");
  }
  const fo = o.fieldOptions;
  if (isBag(fo)) {
    Object.assign(fc.defaults, firstOf({ mappings: fo.mappings, thresholds: fo.thresholds, unit: fo.unit, ...bag(fo.override), ...bag(fo.defaults) }));
    fc.overrides.push(...bags(fo.overrides).filter((x) => isBag(x.matcher)));
    const t = fc.defaults.thresholds !== undefined ? readThresholds(fc.defaults.thresholds) : undefined;
    if (t) fc.defaults.thresholds = t;
    const calcs = list(fo.calcs).length ? list(fo.calcs) : fo.stat ? [fo.stat] : ["mean"];
    const first: Bag = { values: fo.values === true, calcs: calcs.map(newCalc), fields: str(fo.fields) };
    if (num(fo.limit)) first.limit = num(fo.limit);
    o.reduceOptions ??= first;
    delete o.fieldOptions;
  }
  if (typeof o.graphMode !== "string" && isBag(o.sparkline)) {
    o.graphMode = o.sparkline.show ? "area" : "none";
    delete o.sparkline;
  }
  if (typeof o.colorMode !== "string" && (o.colorBackground !== undefined || o.colorValue !== undefined)) {
    o.colorMode = o.colorBackground ? "background" : o.colorValue ? "value" : "none";
    drop(o, "colorBackground", "colorValue");
  }
  p.fieldConfig = fc;
}
const firstOf = (b: Bag): Bag => Object.fromEntries(Object.entries(b).filter(([, v]) => v !== undefined && v !== null));

export function fromBarGauge(p: Bag): void {
  fromGauge(p);
  if (p.options.displayMode === "retro-lcd") p.options.displayMode = "lcd";
}

const SIDES: Record<string, string> = { "Right side": "right", "Under graph": "bottom" };

export function fromPie(p: Bag, reading: Reading): void {
  if (p.type === "piechart") {
    fromGauge(p);
    return;
  }
  const l = bag(p.legend);
  const f: Bag = { ...bag(bag(p.fieldConfig).defaults), color: { mode: "palette-classic" } };
  put(f, "unit", str(p.format) || f.unit);
  put(f, "decimals", num(p.decimals));
  const overrides = bags(bag(p.fieldConfig).overrides);
  for (const [alias, color] of Object.entries(bag(p.aliasColors)))
    if (typeof color === "string") overrides.push({ matcher: { id: "byName", options: alias }, properties: [{ id: "color", value: { mode: "fixed", fixedColor: color } }] });
  const values = [...(l.values === true ? ["value"] : []), ...(l.percentage === true ? ["percent"] : [])];
  p.options = {
    pieType: p.pieType === "donut" ? "donut" : "pie",
    reduceOptions: { values: false, calcs: [calcOf(p.valueName)], fields: "" },
    legend: { showLegend: l.show !== false && p.legendType !== "On graph", displayMode: values.length ? "table" : "list", placement: SIDES[str(p.legendType)] ?? "bottom", values, calcs: [] },
    displayLabels: p.legendType === "On graph" ? ["name", ...values] : [],
    tooltip: { mode: "single", sort: "none" },
  };
  if (num(bag(p.combine).threshold)) reading.notes.push(`Panel "${p.title}": small slices are not combined.`);
  p.fieldConfig = { defaults: f, overrides };
  p.type = "piechart";
  drop(p, ...OLD, "aliasColors", "breakPoint", "combine", "fontSize", "legend", "legendType", "pieType", "strokeWidth", "maxDataPoint");
}
