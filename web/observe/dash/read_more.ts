// read_more.ts - the other panels whose options once lay about the panel itself: text, heatmap, lists,
// and the plugins that state timeline and status history took the place of.
import { bag, bags, drop, list, num, put, str } from "./json";
import type { Bag } from "./model";
import { readMappings, stepsOf } from "./read_fields";

// ---- text

const MODES = ["markdown", "html", "code"];

export function fromText(p: Bag): void {
  p.type = "text";
  const o = p.options as Bag;
  if (typeof p.content === "string") o.content ??= p.content;
  if (typeof p.mode === "string") o.mode ??= p.mode;
  o.content = str(o.content);
  if (!MODES.includes(o.mode)) o.mode = "markdown";
  drop(p, "content", "mode", "style", "isNew", "editable", "error");
}

// ---- heatmap

const BOUND: Record<string, string> = { lower: "ge", upper: "le", middle: "unknown" };

export function fromHeatmap(p: Bag): void {
  p.type = "heatmap";
  if (p.options.calculate !== undefined || !["dataFormat", "cards", "yAxis", "color", "heatmap", "hideZeroBuckets", "highlightCards"].some((name) => name in p)) return;
  const c = bag(p.color), y = bag(p.yAxis), cards = bag(p.cards);
  const scheme = str(c.colorScheme).replace(/^interpolate/, "") || "Oranges";
  const opacity = c.mode === "opacity";
  const o: Bag = {
    calculate: p.dataFormat !== "tsbuckets",
    calculation: { xBuckets: buckets(p.xBucketSize, p.xBucketNumber), yBuckets: { ...buckets(p.yBucketSize, p.yBucketNumber), ...logOf(y) } },
    cellGap: num(cards.cardPadding) ?? 1,
    cellRadius: num(cards.cardRound) ?? 0,
    cellValues: {},
    color: {
      mode: opacity ? "opacity" : "scheme", scheme, fill: str(c.cardColor) || "dark-orange", exponent: num(c.exponent) ?? 0.5,
      scale: c.colorScale === "linear" ? "linear" : "exponential", reverse: false, steps: 128,
    },
    exemplars: { color: "rgba(255,0,255,0.7)" },
    filterValues: p.hideZeroBuckets === true ? { le: 1e-9 } : {},
    legend: { show: bag(p.legend).show === true },
    rowsFrame: { layout: BOUND[str(p.yBucketBound)] ?? "auto" },
    showValue: "never",
    tooltip: { mode: bag(p.tooltip).show === false ? "none" : "single", yHistogram: bag(p.tooltip).showHistogram === true, showColorScale: false },
    yAxis: { axisPlacement: y.show === false ? "hidden" : "left", reverse: p.reverseYBuckets === true },
  };
  put(o.color, "min", num(c.min));
  put(o.color, "max", num(c.max));
  put(o.yAxis, "unit", str(y.format) || undefined);
  for (const name of ["decimals", "min", "max"]) put(o.yAxis, name, num(y[name]));
  if (bag(p.xAxis).show === false) o.xAxis = { show: false };
  p.options = o;
  p.fieldConfig = {
    defaults: { ...bag(bag(p.fieldConfig).defaults), custom: { hideFrom: { legend: false, tooltip: false, viz: false }, scaleDistribution: { type: "linear" } } },
    overrides: bags(bag(p.fieldConfig).overrides),
  };
  drop(p, "cards", "color", "dataFormat", "heatmap", "hideZeroBuckets", "highlightCards", "legend", "reverseYBuckets", "tooltip", "xAxis", "xBucketNumber",
       "xBucketSize", "yAxis", "yBucketBound", "yBucketNumber", "yBucketSize", "cacheTimeout", "pluginVersion", "isNew", "editable", "error");
}

function buckets(size: unknown, count: unknown): Bag {
  const text = str(size);
  if (text) return { mode: "size", value: text };
  return num(count) ? { mode: "count", value: str(count) } : {};
}
const logOf = (y: Bag): Bag => (num(y.logBase) && num(y.logBase)! > 1 ? { scale: { type: "log", log: num(y.logBase) } } : {});

// ---- states over time

export function fromStates(p: Bag): void {
  const status = p.type === "flant-statusmap-panel";
  const f: Bag = { ...bag(bag(p.fieldConfig).defaults) };
  const values = bags(p.valueMaps).map((m) => ({ type: 1, value: m.value, text: m.text }));
  const ranges = bags(p.rangeMaps).map((m) => ({ type: 2, from: m.from, to: m.to, text: m.text }));
  f.mappings = [...readMappings([...values, ...ranges]), ...colorMaps(bags(p.colorMaps))];
  put(f, "unit", str(p.units) || undefined);
  put(f, "decimals", num(p.decimals));
  const c = bag(p.color);
  f.color = { mode: status ? "thresholds" : "palette-classic" };
  if (status) discrete(c, f);
  f.custom = { lineWidth: 0, fillOpacity: status ? 100 : 80 };
  p.options = status
    ? { rowHeight: 0.9, colWidth: 0.9, showValue: "never", legend: { showLegend: bag(p.legend).show !== false, displayMode: "list", placement: "bottom" }, tooltip: { mode: "single", sort: "none" } }
    : {
      mergeValues: true, alignValue: "left", rowHeight: 0.9, showValue: p.writeLastValue === false && p.writeAllValues !== true ? "never" : "auto",
      legend: { showLegend: p.showLegend !== false, displayMode: "list", placement: "bottom" }, tooltip: { mode: "single", sort: "none" },
    };
  p.fieldConfig = { defaults: f, overrides: bags(bag(p.fieldConfig).overrides) };
  p.type = status ? "status-history" : "state-timeline";
  drop(p, "backgroundColor", "colorMaps", "crosshairColor", "display", "extendLastValue", "highlightOnMouseover", "legendSortBy", "lineColor", "mappingType", "mappingTypes",
       "metricNameColor", "rangeMaps", "rowHeight", "showDistinctCount", "showLegend", "showLegendCounts", "showLegendNames", "showLegendPercent", "showLegendTime",
       "showLegendValues", "showTimeAxis", "showTransitionCount", "textSize", "textSizeTime", "timeOptions", "timePrecision", "timeTextColor", "units", "use12HourClock",
       "useTimePrecision", "valueMaps", "valueTextColor", "writeAllValues", "writeLastValue", "writeMetricNames", "cards", "color", "legend", "xAxis", "yAxis", "tooltip",
       "yAxisSort", "data", "nullPointMode", "decimals", "cacheTimeout", "pluginVersion", "isNew", "editable", "error");
}

// A colour for a text that is shown.
function colorMaps(maps: Bag[]): Bag[] {
  const options: Bag = {};
  for (const m of maps) if (typeof m.color === "string" && str(m.text) && str(m.text) !== "__proto__") options[str(m.text)] = { color: m.color };
  return Object.keys(options).length ? [{ type: "value", options }] : [];
}

function discrete(c: Bag, f: Bag): void {
  const parts = bags(c.thresholds).filter((t) => num(t.value) !== undefined);
  if (c.mode !== "discrete" || !parts.length) return;
  f.mappings.push(...readMappings(parts.map((t) => ({ type: 1, value: t.value, text: str(t.tooltip), color: t.color }))));
  f.thresholds = { mode: "absolute", steps: stepsOf(parts.slice(1).map((t) => t.value), parts.map((t) => t.color)) };
}

// ---- lists

const RENAMED: Record<string, [from: string, to: string][]> = {
  dashlist: [["starred", "showStarred"], ["recent", "showRecentlyViewed"], ["search", "showSearch"], ["headings", "showHeadings"], ["limit", "maxItems"], ["query", "query"], ["tags", "tags"], ["folderId", "folderId"]],
  alertlist: [["limit", "maxItems"], ["sortOrder", "sortOrder"], ["dashboardFilter", "dashboardTitle"], ["nameFilter", "alertName"], ["dashboardTags", "tags"], ["folderId", "folderId"], ["onlyAlertsOnDashboard", "dashboardAlerts"], ["stateFilter", "stateFilter"], ["show", "showOptions"]],
  annolist: [["limit", "limit"], ["tags", "tags"], ["onlyFromThisDashboard", "onlyFromThisDashboard"], ["onlyInTimeRange", "onlyInTimeRange"], ["showTags", "showTags"], ["showUser", "showUser"], ["showTime", "showTime"]],
  news: [["feedUrl", "feedUrl"]],
};

export function fromList(p: Bag): void {
  if (p.type === "ryantxu-annolist-panel") p.type = "annolist";
  const o = p.options as Bag;
  for (const [from, to] of RENAMED[p.type]!) {
    if (p[from] === undefined) continue;
    o[to] ??= p[from];
    delete p[from];
  }
  if (Array.isArray(o.stateFilter)) o.stateFilter = stateFilter(list(o.stateFilter));
}

// The states that an alert list shows, once a list, now a switch for each.
function stateFilter(states: unknown[]): Bag {
  const has = (...names: string[]): boolean => names.some((n) => states.includes(n));
  return { firing: has("alerting", "firing"), pending: has("pending"), noData: has("no_data"), normal: has("ok", "normal"), error: has("execution_error") };
}
