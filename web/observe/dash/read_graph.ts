// read_graph.ts - the old graph panel, whose options lay about the panel itself: to a time series, or by
// its x axis to a bar chart, bar gauge or histogram.
import { bag, bags, drop, isBag, list, num, put, str } from "./json";
import type { Bag, Override, Threshold } from "./model";
import type { Reading } from "./read";
import { newCalc } from "./read_panels";

type Property = Override["properties"][number];

// Members of the old panel, all of which have their place elsewhere now.
const OLD = [
  "aliasColors", "bars", "cacheTimeout", "dashLength", "dashes", "decimals", "fill", "fillGradient", "hiddenSeries", "legend", "lines", "linewidth",
  "nullPointMode", "paceLength", "percentage", "pointradius", "points", "renderer", "seriesOverrides", "spaceLength", "stack", "steppedLine",
  "thresholds", "timeRegions", "tooltip", "xaxis", "yaxes", "yaxis", "grid", "y-axis", "x-axis", "y_formats", "y_format", "y2_format",
  "leftYAxisLabel", "rightYAxisLabel", "annotate", "interactive", "zerofill", "legend_counts", "options_graph", "scopedVars", "isNew", "error",
  "resolution", "scale", "spyable", "timezone", "aliasYAxis", "editable", "pluginVersion", "heatmap", "percentile", "y_axis", "tableColumn",
];

interface Axis { format?: string; label?: string; logBase?: number; min?: number; max?: number; show: boolean; decimals?: number }

export function fromGraph(p: Bag, reading: Reading): void {
  const [left, right] = axesOf(p);
  const defaults: Bag = { ...bag(bag(p.fieldConfig).defaults), color: { mode: "palette-classic" } };
  const custom: Bag = { ...lineOf(p), ...axisCustom(left), axisColorMode: "text" };
  axisField(defaults, left);
  put(defaults, "decimals", num(p.decimals) ?? left.decimals);
  const overrides: Override[] = bags(bag(p.fieldConfig).overrides) as Override[];
  for (const [alias, color] of Object.entries(bag(p.aliasColors)))
    if (typeof color === "string") overrides.push({ matcher: { id: "byName", options: alias }, properties: [fixed(color)] });
  for (const o of seriesOverrides(p)) overrides.push(...overridden(o, right));
  if (bag(p.xaxis).show === false || p["x-axis"] === false)
    overrides.push({ matcher: { id: "byType", options: "time" }, properties: [{ id: "custom.axisPlacement", value: "hidden" }] });
  const legend = legendOf(bag(p.legend), overrides);
  thresholds(p, defaults, custom);
  if (list(p.timeRegions).length) reading.notes.push(`Panel "${p.title}": its time regions are left out.`);
  defaults.custom = custom;
  const links = [...bags(defaults.links), ...bags(p.options.dataLinks)];
  if (links.length) defaults.links = links;
  const tip = bag(p.tooltip);
  const tooltip = { mode: tip.shared === false ? "single" : "multi", sort: ["none", "asc", "desc"][num(tip.sort) ?? 0] ?? "none" };
  const own = p.options;
  p.fieldConfig = { defaults, overrides };
  p.options = { legend, tooltip };
  p.type = "timeseries";
  byAxis(p, own);
  drop(p, ...OLD);
}

// The x axis may be the series or a histogram instead of the time.
function byAxis(p: Bag, own: Bag): void {
  const x = bag(p.xaxis);
  const calc = newCalc(list(x.values)[0]) || "sum";
  if (x.mode === "histogram") {
    p.type = "histogram";
    p.options = { legend: p.options.legend, tooltip: p.options.tooltip, ...(num(x.buckets) ? { bucketCount: num(x.buckets) } : {}) };
    p.fieldConfig.defaults.custom = { lineWidth: 1, fillOpacity: 80, gradientMode: "none", ...pick(p.fieldConfig.defaults.custom, "stacking") };
  } else if (x.mode === "series" && bag(p.legend).values === true) {
    p.type = "bargauge";
    p.options = { ...own, displayMode: "basic", orientation: "horizontal", showUnfilled: true, reduceOptions: { calcs: [calc], fields: "", values: false } };
    delete p.fieldConfig.defaults.custom;
  } else if (x.mode === "series") {
    p.type = "barchart";
    p.transformations = [...list(p.transformations), { id: "reduce", options: { mode: "seriesToRows", reducers: [calc], includeTimeField: false } }];
    p.options = { ...p.options, orientation: "auto", showValue: "auto", stacking: "none", barWidth: 0.8, groupWidth: 0.7, xTickLabelRotation: 0 };
    p.fieldConfig.defaults.custom = { lineWidth: 1, fillOpacity: 80, gradientMode: "none", ...pick(p.fieldConfig.defaults.custom, "axisPlacement", "axisLabel", "scaleDistribution") };
  }
}
const pick = (from: Bag, ...names: string[]): Bag => Object.fromEntries(names.filter((n) => from[n] !== undefined).map((n) => [n, from[n]]));

// `yaxes`, or what came before it: formats, limits and labels each on their own.
function axesOf(p: Bag): [Axis, Axis] {
  const grid = bag(p.grid);
  const axis = (i: 0 | 1): Axis => {
    const a = list(p.yaxes)[i];
    const side = i ? "right" : "left";
    const b: Bag = isBag(a) ? a : {
      format: list(p.y_formats)[i] ?? (i ? p.y2_format : p.y_format), label: p[`${side}YAxisLabel`],
      min: grid[`${side}Min`] ?? (i ? undefined : grid.min), max: grid[`${side}Max`] ?? (i ? undefined : grid.max),
      logBase: grid[`${side}LogBase`], show: p["y-axis"] !== false,
    };
    return { format: str(b.format) || undefined, label: str(b.label) || undefined, logBase: num(b.logBase), min: num(b.min), max: num(b.max), decimals: num(b.decimals), show: b.show !== false };
  };
  return [axis(0), axis(1)];
}

function axisField(f: Bag, a: Axis): void {
  put(f, "unit", a.format ?? f.unit);
  put(f, "min", a.min ?? f.min);
  put(f, "max", a.max ?? f.max);
}

const axisCustom = (a: Axis): Bag => ({
  axisPlacement: a.show ? "auto" : "hidden",
  ...(a.label ? { axisLabel: a.label } : {}),
  scaleDistribution: a.logBase && a.logBase > 1 ? { type: "log", log: a.logBase === 2 ? 2 : 10 } : { type: "linear" },
});

// How a line is drawn, of the panel or of one series; what is not said stays unsaid.
function style(o: Bag, out: (name: string, value: unknown) => void): void {
  const fill = num(o.fill), gradient = num(o.fillGradient);
  if (fill !== undefined) out("fillOpacity", Math.min(100, fill * 10));
  if (gradient) {
    out("gradientMode", "opacity");
    out("fillOpacity", Math.min(100, gradient * 10));
  }
  if (num(o.linewidth) !== undefined) out("lineWidth", num(o.linewidth));
  if (num(o.pointradius) !== undefined) out("pointSize", 2 + num(o.pointradius)! * 2);
  if (typeof o.steppedLine === "boolean") out("lineInterpolation", o.steppedLine ? "stepAfter" : "linear");
  if (o.dashes === true) out("lineStyle", { fill: "dash", dash: [num(o.dashLength) ?? 10, num(o.spaceLength) ?? 10] });
  if (o.dashes === false) out("lineStyle", { fill: "solid" });
}

function lineOf(p: Bag): Bag {
  const c: Bag = {};
  const lines = p.lines !== false;
  style({ fill: 1, linewidth: 1, ...p }, (name, value) => (c[name] = value));
  if (!p.dashes) delete c.lineStyle;
  c.drawStyle = p.bars ? "bars" : lines ? "line" : p.points ? "points" : "line";
  if (p.bars && !lines) Object.assign(c, { fillOpacity: 100, gradientMode: "none", lineWidth: num(p.linewidth) === undefined ? 0 : c.lineWidth });
  if (p.bars && lines) c.fillOpacity = 100;
  if (!lines && !p.bars && !p.points) Object.assign(c, { lineWidth: 0 });
  c.showPoints = p.points ? "always" : "never";
  c.spanNulls = p.nullPointMode === "connected";
  if (p.stack) c.stacking = { mode: p.percentage ? "percent" : "normal", group: "A" };
  else c.stacking = { mode: "none", group: "A" };
  return c;
}

const fixed = (color: string): Property => ({ id: "color", value: { mode: "fixed", fixedColor: color } });

// `seriesOverrides`, and the first form of its yaxis.
const seriesOverrides = (p: Bag): Bag[] => [
  ...Object.entries(bag(p.aliasYAxis)).map(([alias, yaxis]) => ({ alias, yaxis })), ...bags(p.seriesOverrides),
];

function overridden(o: Bag, right: Axis): Override[] {
  const alias = str(o.alias);
  if (!alias) return [];
  const q: Property[] = [];
  const custom = (name: string, value: unknown): void => {
    const id = `custom.${name}`;
    const there = q.find((one) => one.id === id);
    if (there) there.value = value;
    else q.push({ id, value });
  };
  if (num(o.yaxis) === 2) {
    const f: Bag = {};
    axisField(f, right);
    for (const [id, value] of Object.entries(f)) q.push({ id, value });
    if (right.decimals !== undefined) q.push({ id: "decimals", value: right.decimals });
    const c = axisCustom(right);
    custom("axisPlacement", right.show ? "right" : "hidden");
    if (c.axisLabel) custom("axisLabel", c.axisLabel);
    if (c.scaleDistribution.type === "log") custom("scaleDistribution", c.scaleDistribution);
  }
  style(o, custom);
  if (o.lines === false && o.bars !== true) custom("lineWidth", 0);
  if (o.lines === false && o.points === true && o.bars !== true) custom("drawStyle", "points");
  if (o.lines === true) custom("drawStyle", "line");
  if (o.bars === true) {
    custom("drawStyle", "bars");
    if (num(o.fill) === undefined) custom("fillOpacity", 100);
  } else if (o.bars === false && o.lines === undefined) custom("drawStyle", "line");
  if (typeof o.points === "boolean") custom("showPoints", o.points ? "always" : "never");
  if (o.nullPointMode !== undefined) custom("spanNulls", o.nullPointMode === "connected");
  if (o.transform) custom("transform", o.transform);
  if (o.stack !== undefined) custom("stacking", o.stack === false ? { mode: "none", group: "A" } : { mode: "normal", group: typeof o.stack === "string" ? o.stack : "A" });
  if (o.fillBelowTo) custom("fillBelowTo", o.fillBelowTo);
  if (o.legend === false || o.hideTooltip === true) custom("hideFrom", { legend: o.legend === false, tooltip: o.hideTooltip === true, viz: false });
  if (typeof o.color === "string") q.push(fixed(o.color));
  if (!q.length) return [];
  const regex = /^\/.*\/[a-z]*$/.test(alias);
  return [{ matcher: { id: regex ? "byRegexp" : "byName", options: alias }, properties: q }];
}

const VALUES = ["min", "max", "avg", "current", "total"]; // in the order of the old legend
const SHOWN: Record<string, string> = { min: "Min", max: "Max", avg: "Mean", current: "Last *", total: "Total" };

function legendOf(l: Bag, overrides: Override[]): Bag {
  const calcs = l.values === true ? VALUES.filter((v) => l[v] === true).map(newCalc) : [];
  const legend: Bag = {
    showLegend: l.show !== false, displayMode: l.alignAsTable ? "table" : "list", placement: l.rightSide ? "right" : "bottom", calcs,
  };
  put(legend, "width", num(l.sideWidth) || undefined);
  if (l.sort && Object.hasOwn(SHOWN, str(l.sort)) && l[l.sort] === true) Object.assign(legend, { sortBy: SHOWN[str(l.sort)], sortDesc: l.sortDesc === true });
  const hide = (reducer: string): void => {
    overrides.push({
      matcher: { id: "byValue", options: { reducer, op: "gte", value: 0 } },
      properties: [{ id: "custom.hideFrom", value: { legend: true, tooltip: true, viz: false } }],
    });
  };
  if (l.hideEmpty === true) hide("allIsNull");
  if (l.hideZero === true) hide("allIsZero");
  return legend;
}

const CRITICAL: Record<string, string> = { critical: "red", warning: "orange", ok: "green" };

// Lines and areas of the plot. Above (gt) colours from its value on, below (lt) up to it.
function thresholds(p: Bag, defaults: Bag, custom: Bag): void {
  const old = [...bags(p.thresholds), ...gridThresholds(bag(p.grid))].filter((t) => num(t.value) !== undefined).sort((a, b) => num(a.value)! - num(b.value)!);
  if (!old.length) return;
  const steps: Threshold[] = [{ color: "transparent", value: null }];
  let area = false, line = false;
  for (const t of old) {
    area ||= t.fill === true;
    line ||= t.line === true;
    const color = CRITICAL[str(t.colorMode)] ?? (str(t.fill ? t.fillColor : t.lineColor) || "red");
    if (t.op === "lt") {
      steps[steps.length - 1]!.color = color;
      steps.push({ color: "transparent", value: num(t.value)! });
    } else {
      const last = steps[steps.length - 1]!;
      if (last.value === num(t.value)) last.color = color;
      else steps.push({ color, value: num(t.value)! });
    }
  }
  defaults.thresholds = { mode: "absolute", steps };
  custom.thresholdsStyle = { mode: area && line ? "line+area" : area ? "area" : line ? "line" : "off" };
}

// Until schema 12 the grid had two thresholds.
function gridThresholds(g: Bag): Bag[] {
  const one = num(g.threshold1), two = num(g.threshold2);
  const op = one !== undefined && two !== undefined && one > two ? "lt" : "gt";
  return [[one, g.threshold1Color], [two, g.threshold2Color]].filter(([value]) => value !== undefined)
    .map(([value, color]) => ({ value, op, colorMode: "custom", ...(g.thresholdLine ? { line: true, lineColor: color } : { fill: true, fillColor: color }) }));
}
