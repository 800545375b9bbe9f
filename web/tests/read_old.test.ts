import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bag, Dashboard, Panel } from "../observe/dash/model";
import { readDashboard } from "../observe/dash/read";
import { writeDashboard } from "../observe/dash/write";

const read = (json: object): { dashboard: Dashboard; notes: string[] } => {
  const r = readDashboard(structuredClone(json));
  assert.deepEqual(readDashboard(JSON.parse(JSON.stringify(writeDashboard(r.dashboard)))).dashboard, r.dashboard);
  return r;
};
const panelOf = (panel: object, more: object = {}): Panel => read({ title: "t", schemaVersion: 27, panels: [{ id: 1, title: "p", gridPos: { x: 0, y: 0, w: 12, h: 8 }, ...panel }], ...more }).dashboard.panels[0]!;
const over = (p: Panel, id: string): Bag | undefined => {
  const o = p.fieldConfig.overrides.find((x) => x.matcher.options === id);
  return o && Object.fromEntries(o.properties.map((q) => [q.id, q.value]));
};

test("rows with spans become a grid", () => {
  const d = read({
    title: "t", schemaVersion: 14, sharedCrosshair: true, hideControls: true, rows: [
      { title: "One", showTitle: true, height: "250px", panels: [{ type: "graph", id: 1, span: 4 }, { type: "graph", id: 2, span: 8, height: 500 }, { type: "graph", id: 3, span: "4" }] },
      { title: "Two", collapse: true, height: 100, panels: [{ type: "text", id: 4, span: 12, content: "x" }], repeat: "host" },
      { repeatIteration: 7, panels: [{ type: "graph", id: 9 }] },
    ],
  }).dashboard;
  assert.deepEqual(d.panels.map((p) => [p.type, p.title, p.gridPos.x, p.gridPos.y, p.gridPos.w, p.gridPos.h]), [
    ["row", "One", 0, 0, 24, 1], ["timeseries", "", 0, 1, 8, 7], ["timeseries", "", 8, 1, 16, 14], ["timeseries", "", 0, 8, 8, 7], ["row", "Two", 0, 15, 24, 1],
  ]);
  assert.deepEqual([d.panels[4]!.collapsed, d.panels[4]!.panels!.map((p) => [p.id, p.gridPos.h, p.options.content]), d.panels[4]!.repeat], [true, [[4, 3, "x"]], "host"]);
  assert.deepEqual([d.graphTooltip, d.timepicker.hidden, new Set(d.panels.map((p) => p.id)).size], [1, true, 5]);
});

test("rows that never showed a title leave none", () => {
  const d = read({ title: "t", rows: [{ title: "x", panels: [{ type: "graph", span: 12 }] }, { panels: [{ type: "graph", span: 6 }] }] }).dashboard;
  assert.deepEqual(d.panels.map((p) => [p.type, p.gridPos.y]), [["timeseries", 0], ["timeseries", 7]]);
});

test("the first members of all", () => {
  const d = read({
    title: "t", schemaVersion: 1, services: { filter: { time: { from: "now-1d", to: "now" }, list: [{ name: "host", type: "filter", query: "x" }] } },
    pulldowns: [{ type: "annotations", annotations: [{ name: "deploys", enable: true }] }], nav: [{ type: "timepicker", refresh_intervals: ["5s"], time_options: ["1h"] }],
    rows: [{ panels: [{ type: "graphite", span: 12, aliasYAxis: { zero: 2 }, y_formats: ["bytes", "ms"], grid: { min: 0, max: 9, threshold1: 5, threshold1Color: "red" }, legend: true }] }],
  }).dashboard;
  assert.deepEqual([d.time.from, d.templating.list[0]!.type, d.annotations.list[0]!.name, d.timepicker.refresh_intervals], ["now-1d", "query", "deploys", ["5s"]]);
  const p = d.panels[0]!;
  assert.deepEqual([p.type, p.fieldConfig.defaults.unit, p.fieldConfig.defaults.min, p.fieldConfig.defaults.max], ["timeseries", "bytes", 0, 9]);
  assert.deepEqual(over(p, "zero"), { unit: "ms", "custom.axisPlacement": "right" });
  assert.deepEqual(p.fieldConfig.defaults.thresholds!.steps, [{ color: "transparent", value: null }, { color: "red", value: 5 }]);
  assert.equal(p.fieldConfig.defaults.custom!.thresholdsStyle.mode, "area");
});

test("graph to time series", () => {
  const p = panelOf({
    type: "graph", fill: 2, linewidth: 3, lines: true, points: true, pointradius: 3, steppedLine: true, nullPointMode: "connected", stack: true, percentage: true, decimals: 2,
    aliasColors: { up: "#fff" }, seriesOverrides: [{ alias: "/^err/", yaxis: 2, transform: "negative-Y", stack: false, lines: false, bars: true, color: "#f00", dashes: true }, { alias: "none" }],
    yaxes: [{ format: "bytes", logBase: 2, min: "1", max: null, label: "size" }, { format: "ops", logBase: 10, show: true, max: "5" }], xaxis: { mode: "time", show: false },
    legend: { show: true, values: true, avg: true, current: true, total: true, max: false, alignAsTable: true, rightSide: true, sideWidth: 200, sort: "avg", sortDesc: true, hideZero: true },
    thresholds: [{ value: 80, op: "gt", colorMode: "critical", fill: true, line: true }, { value: 10, op: "lt", colorMode: "warning", line: true }],
    tooltip: { shared: true, sort: 2 }, targets: [{ expr: "up" }, { expr: "down" }], alert: { name: "x" }, timeRegions: [{}], links: [{ dashboard: "My board", keepTime: true, type: "dashboard", title: "L" }],
    datasource: "$ds", repeat: "host", minSpan: 6, options: { dataLinks: [{ title: "a", url: "/x?n=$__series_name" }] },
  });
  const f = p.fieldConfig.defaults;
  assert.deepEqual(f.custom, {
    fillOpacity: 20, lineWidth: 3, pointSize: 8, lineInterpolation: "stepAfter", drawStyle: "line", showPoints: "always", spanNulls: true, stacking: { mode: "percent", group: "A" },
    axisPlacement: "auto", axisLabel: "size", scaleDistribution: { type: "log", log: 2 }, axisColorMode: "text", thresholdsStyle: { mode: "line+area" },
  });
  assert.deepEqual([f.unit, f.min, f.max, f.decimals], ["bytes", 1, undefined, 2]);
  assert.deepEqual(f.thresholds!.steps, [{ color: "orange", value: null }, { color: "transparent", value: 10 }, { color: "red", value: 80 }]);
  assert.deepEqual(f.links, [{ title: "a", url: "/x?n=${__series.name}" }]);
  assert.deepEqual(over(p, "up"), { color: { mode: "fixed", fixedColor: "#fff" } });
  assert.deepEqual(over(p, "/^err/"), {
    unit: "ops", max: 5, "custom.axisPlacement": "right", "custom.scaleDistribution": { type: "log", log: 10 }, "custom.lineStyle": { fill: "dash", dash: [10, 10] },
    "custom.drawStyle": "bars", "custom.fillOpacity": 100, "custom.transform": "negative-Y", "custom.stacking": { mode: "none", group: "A" }, color: { mode: "fixed", fixedColor: "#f00" },
  });
  assert.equal(over(p, "none"), undefined);
  assert.deepEqual(over(p, "time"), { "custom.axisPlacement": "hidden" });
  assert.deepEqual(p.options, {
    legend: { showLegend: true, displayMode: "table", placement: "right", calcs: ["mean", "lastNotNull", "sum"], width: 200, sortBy: "Mean", sortDesc: true }, tooltip: { mode: "multi", sort: "desc" },
  });
  assert.deepEqual([p.targets.map((t) => t.refId), p.links[0]!.url, p.maxPerRow, p.repeatDirection, p.datasource, "alert" in p], [["A", "B"], "dashboard/db/my-board?$__url_time_range", 4, "h", { uid: "$ds" }, false]);
});

test("graph by its x axis, bars, points and nothing drawn", () => {
  const graph = (more: object) => panelOf({ type: "graph", ...more });
  assert.deepEqual([graph({ bars: true, lines: false }).fieldConfig.defaults.custom!.drawStyle, graph({ bars: true, lines: false }).fieldConfig.defaults.custom!.fillOpacity], ["bars", 100]);
  assert.equal(graph({ lines: false, points: true }).fieldConfig.defaults.custom!.drawStyle, "points");
  const bars = graph({ xaxis: { mode: "series", values: ["current"] }, yaxes: [{ format: "s" }] });
  assert.deepEqual([bars.type, bars.transformations[0]!.id, bars.transformations[0]!.options.reducers, bars.fieldConfig.defaults.unit], ["barchart", "reduce", ["lastNotNull"], "s"]);
  const gauge = graph({ xaxis: { mode: "series", values: ["max"] }, legend: { values: true } });
  assert.deepEqual([gauge.type, gauge.options.reduceOptions.calcs], ["bargauge", ["max"]]);
  assert.deepEqual([graph({ xaxis: { mode: "histogram", buckets: 20 } }).type, graph({ xaxis: { mode: "histogram", buckets: 20 } }).options.bucketCount], ["histogram", 20]);
});

test("singlestat to stat or gauge", () => {
  const stat = panelOf({
    type: "singlestat", valueName: "current", format: "ms", decimals: 1, colorBackground: true, colors: ["a", "b", "c"], thresholds: "10, 20", sparkline: { show: true, lineColor: "x" }, nullText: "-",
    mappingType: 2, valueMaps: [{ value: "1", text: "one" }], rangeMaps: [{ from: "1", to: "5", text: "few" }, { from: "null", to: "null", text: "N/A" }], tableColumn: "a.b",
  });
  assert.deepEqual(stat.options, {
    colorMode: "background", graphMode: "area", justifyMode: "auto", orientation: "horizontal", reduceOptions: { values: false, calcs: ["lastNotNull"], fields: "/^a\\.b$/" }, textMode: "auto",
  });
  const f = stat.fieldConfig.defaults;
  assert.deepEqual([f.unit, f.decimals, f.noValue, f.color], ["ms", 1, "-", { mode: "thresholds" }]);
  assert.deepEqual(f.thresholds!.steps, [{ color: "a", value: null }, { color: "b", value: 10 }, { color: "c", value: 20 }]);
  assert.deepEqual(f.mappings!.map((m) => [m.type, m.options]), [["range", { from: 1, to: 5, result: { text: "few", index: 0 } }], ["special", { match: "null", result: { text: "N/A", index: 1 } }]]);
  const gauge = panelOf({ type: "singlestat", gauge: { show: true, minValue: 5, maxValue: 50, thresholdLabels: true }, thresholds: "0,50,80", colors: ["a", "b", "c"] }, { schemaVersion: 8 });
  assert.deepEqual([gauge.type, gauge.fieldConfig.defaults.min, gauge.fieldConfig.defaults.max, gauge.options.showThresholdLabels], ["gauge", 5, 50, true]);
  assert.deepEqual(gauge.fieldConfig.defaults.thresholds!.steps.map((s) => s.value), [null, 50, 80], "the least value came first then");
  assert.equal(panelOf({ type: "singlestat", postfix: " req", format: "none" }).fieldConfig.defaults.unit, "suffix: req");
  const { notes } = read({ title: "t", panels: [{ type: "singlestat", title: "p", prefix: "a", postfix: "b", format: "s" }] });
  assert.match(notes.join(), /text around its value is left out \(a, b\)/);
  assert.deepEqual(panelOf({ type: "singlestat", sparkline: { show: true, lineColor: "#123" } }).fieldConfig.defaults.color, { mode: "fixed", fixedColor: "#123" });
});

test("gauge, bar gauge and stat in their first forms", () => {
  const one = panelOf({ type: "gauge", options: { fieldOptions: { values: false, calcs: ["current"], defaults: { unit: "s", title: "T", min: 0, max: "9" }, mappings: [{ type: 1, value: "1", text: "x" }], thresholds: [{ value: -Infinity, color: "g", index: 0 }, { value: 5, color: "r", index: 1 }] } } });
  assert.deepEqual(one.options.reduceOptions, { values: false, calcs: ["lastNotNull"], fields: "" });
  assert.deepEqual(one.fieldConfig.defaults, { mappings: [{ type: "value", options: { 1: { text: "x", index: 0 } } }], thresholds: { mode: "absolute", steps: [{ color: "g", value: null }, { color: "r", value: 5 }] }, unit: "s", min: 0, max: 9, displayName: "T" });
  const two = panelOf({ type: "gauge", options: { valueOptions: { unit: "ms", stat: "avg", decimals: 2 }, minValue: 0, maxValue: 10, thresholds: [{ value: null, color: "g" }], valueMappings: [] } });
  assert.deepEqual([two.options.reduceOptions.calcs, two.fieldConfig.defaults.unit, two.fieldConfig.defaults.max], [["mean"], "ms", 10]);
});

test("old table to overrides", () => {
  const p = panelOf({
    type: "table", transform: "timeseries_aggregations", columns: [{ text: "Avg", value: "avg" }, { text: "Current", value: "current" }], targets: [{ expr: "up" }], styles: [
      { pattern: "Time", type: "date", alias: "When", dateFormat: "YYYY-MM-DD" }, { pattern: "/Value #A/", type: "number", unit: "bytes", decimals: "1", colorMode: "cell", thresholds: ["1", "2"], colors: ["a", "b", "c"], link: true, linkUrl: "/d/x?h=$__cell_1&v=${__cell:raw}", linkTargetBlank: true },
      { pattern: "secret", type: "hidden" }, { pattern: "job", type: "string", mappingType: 1, valueMaps: [{ value: "1", text: "one" }], align: "right", colorMode: "row" }, { pattern: "/.*/", type: "number", unit: "short", decimals: 3 },
    ],
  });
  assert.equal(p.type, "table");
  assert.deepEqual([p.fieldConfig.defaults.unit, p.fieldConfig.defaults.decimals], ["short", 3]);
  assert.deepEqual(over(p, "Time"), { displayName: "When", unit: "time: YYYY-MM-DD" });
  assert.deepEqual(over(p, "/Value #A/"), {
    unit: "bytes", decimals: 1, links: [{ title: "", url: "/d/x?h=${__data.fields[1]}&v=${__value.raw}", targetBlank: true }], "custom.cellOptions": { type: "color-background", mode: "basic" },
    color: { mode: "thresholds" }, thresholds: { mode: "absolute", steps: [{ color: "a", value: null }, { color: "b", value: 1 }, { color: "c", value: 2 }] },
  });
  assert.deepEqual(over(p, "secret"), { "custom.hidden": true });
  assert.deepEqual(over(p, "job"), { mappings: [{ type: "value", options: { 1: { text: "one", index: 0 } } }], "custom.align": "right", "custom.cellOptions": { type: "color-background", mode: "basic", applyToRow: true } });
  assert.deepEqual(p.transformations, [{ id: "reduce", options: { mode: "seriesToRows", includeTimeField: false, reducers: ["mean", "lastNotNull"] } }]);
  assert.deepEqual(panelOf({ type: "table-old", transform: "timeseries_to_rows" }).transformations, [{ id: "seriesToRows", options: {} }]);
  const fresh = panelOf({ type: "table", styles: [], options: { showHeader: true }, fieldConfig: { defaults: { custom: { displayMode: "lcd-gauge" } }, overrides: [{ matcher: { id: "byName", options: "a" }, properties: [{ id: "custom.displayMode", value: "color-background-solid" }] }] } });
  assert.deepEqual([fresh.fieldConfig.defaults.custom!.cellOptions, over(fresh, "a")], [{ type: "gauge", mode: "lcd" }, { "custom.cellOptions": { type: "color-background", mode: "basic" } }]);
});

test("heatmap, pie, text, states and lists", () => {
  const heat = panelOf({ type: "heatmap", dataFormat: "tsbuckets", hideZeroBuckets: true, color: { mode: "spectrum", colorScheme: "interpolateOranges", exponent: 0.3 }, yAxis: { format: "s", decimals: 0, logBase: 1 }, yBucketBound: "upper", reverseYBuckets: true, legend: { show: true } });
  assert.deepEqual([heat.options.calculate, heat.options.color.scheme, heat.options.filterValues, heat.options.rowsFrame.layout, heat.options.yAxis, heat.options.legend],
    [false, "Oranges", { le: 1e-9 }, "le", { axisPlacement: "left", reverse: true, unit: "s", decimals: 0 }, { show: true }]);
  assert.equal(panelOf({ type: "heatmap", dataFormat: "timeseries", xBucketSize: "5m", yBucketNumber: 10 }).options.calculation.xBuckets.value, "5m");
  const pie = panelOf({ type: "grafana-piechart-panel", pieType: "donut", legendType: "Right side", legend: { show: true, values: true, percentage: true }, valueName: "total", format: "bytes", aliasColors: { a: "red" } });
  assert.deepEqual([pie.type, pie.options.pieType, pie.options.legend.placement, pie.options.legend.values, pie.options.reduceOptions.calcs, pie.fieldConfig.defaults.unit], ["piechart", "donut", "right", ["value", "percent"], ["sum"], "bytes"]);
  assert.deepEqual(panelOf({ type: "text", mode: "html", content: "<b>x</b>" }).options, { content: "<b>x</b>", mode: "html" });
  assert.deepEqual(panelOf({ type: "text2", mode: "text", options: { content: "x" } }).options, { content: "x", mode: "markdown" });
  const states = panelOf({ type: "natel-discrete-panel", valueMaps: [{ value: "1", text: "UP" }], colorMaps: [{ text: "UP", color: "#0f0" }], rangeMaps: [] });
  assert.deepEqual([states.type, states.fieldConfig.defaults.mappings!.length], ["state-timeline", 2]);
  const status = panelOf({ type: "flant-statusmap-panel", color: { mode: "discrete", thresholds: [{ value: "0", tooltip: "ok", color: "g" }, { value: "1", tooltip: "bad", color: "r" }] } });
  assert.deepEqual([status.type, status.fieldConfig.defaults.mappings![0]!.options], ["status-history", { 0: { text: "ok", color: "g", index: 0 }, 1: { text: "bad", color: "r", index: 1 } }]);
  assert.deepEqual(panelOf({ type: "dashlist", starred: true, limit: 5, query: "q", tags: ["a"] }).options, { showStarred: true, maxItems: 5, query: "q", tags: ["a"] });
  assert.deepEqual(panelOf({ type: "alertlist", stateFilter: ["alerting"], limit: 3 }).options.stateFilter, { firing: true, pending: false, noData: false, normal: false, error: false });
  assert.equal(panelOf({ type: "grafana-worldmap-panel" }).type, "grafana-worldmap-panel");
});

test("what all panels share", () => {
  const p = panelOf({
    type: "timeseries", targets: [{ expr: "a", datasource: "Other" }, { refId: "A", expr: "b", datasource: null }], transformations: [{ id: "seriesToColumns", options: { byField: "x" } }, { id: "labelsToFields" }],
    options: { legend: { displayMode: "hidden", calcs: ["current"] }, tooltipOptions: { mode: "multi" } }, timeShift: null,
    fieldConfig: { defaults: { mappings: [{ id: 1, type: 2, from: "0", to: "1", text: "low" }], custom: { axisPlacement: "hidden", hideFrom: { graph: true, legend: false, tooltip: false } } }, overrides: [{ properties: [] }, { matcher: { id: "byName", options: "x" }, properties: [{ id: "custom.hideFrom", value: { viz: true } }] }] },
  });
  assert.deepEqual(p.targets.map((t) => [t.refId, t.datasource]), [["B", { uid: "Other" }], ["A", undefined]]);
  assert.deepEqual(p.transformations.map((t) => t.id), ["joinByField", "labelsToFields", "merge"], "it merged by itself before schema 31");
  assert.deepEqual(p.options, { legend: { displayMode: "list", calcs: ["lastNotNull"], showLegend: false }, tooltip: { mode: "multi" } });
  assert.deepEqual([p.fieldConfig.defaults.custom!.hideFrom.viz, over(p, "x"), over(p, "time")], [true, { "custom.hideFrom": { viz: true, tooltip: true } }, { "custom.axisPlacement": "auto" }]);
  assert.equal("timeShift" in p, false);
  assert.deepEqual(panelOf({ type: "table" }).fieldConfig, { defaults: {}, overrides: [] });
});

test("data sources in all their forms", () => {
  const inputs = { __inputs: [{ name: "DS_PROM", type: "datasource", pluginId: "prometheus" }, { name: "VAR_JOB", type: "constant", value: "node" }], templating: { list: [{ name: "ds", type: "datasource", query: "tempo" }, { name: "job", type: "constant", query: "${VAR_JOB}", hide: 2 }] } };
  const of = (datasource: unknown) => panelOf({ type: "timeseries", datasource }, inputs).datasource;
  assert.deepEqual(of("${DS_PROM}"), { type: "prometheus", uid: "${DS_PROM}" });
  assert.deepEqual(of("$ds"), { type: "tempo", uid: "$ds" });
  assert.deepEqual(of({ uid: "${ds}" }), { type: "tempo", uid: "${ds}" });
  assert.deepEqual(of("-- Mixed --"), { type: "datasource", uid: "-- Mixed --" });
  assert.deepEqual(of("-- Grafana --"), { type: "datasource", uid: "grafana" });
  assert.deepEqual([of(null), of(undefined), of(""), of("default"), of({})], [null, null, null, null, null]);
  assert.deepEqual(of({ type: "influxdb", uid: null }), { type: "influxdb" });
  assert.equal(read({ title: "t", panels: [], ...inputs }).dashboard.templating.list[1]!.query, "node");
});

test("variables of old forms", () => {
  const { dashboard: d, notes } = read({ title: "t", schemaVersion: 11, panels: [], templating: { list: [
    { name: "a", type: "query", query: "x", refresh: true, useTags: true, tags: [], tagsQuery: "", tagValuesQuery: "", hideLabel: true, datasource: null, multi: true, current: { text: "p + q", value: ["p", "q"], tags: [] } },
    { name: "b", query: "x", refresh: false, hideVariable: true, current: { text: "All", value: ["$__all"] }, includeAll: true }, { name: "c", type: "constant", query: "k", hide: 0 }, { name: "a" }, {}, { name: "s", type: "snapshot", current: { value: "v", text: "v" } },
  ] } });
  assert.deepEqual(d.templating.list.map((v) => [v.name, v.type, v.refresh, v.hide]), [["a", "query", 1, 1], ["b", "query", 0, 2], ["c", "textbox", undefined, 0], ["s", "constant", undefined, undefined]]);
  assert.deepEqual(d.templating.list[0]!.current, { text: ["p", "q"], value: ["p", "q"] });
  assert.deepEqual(d.templating.list[1]!.current, { text: "All", value: "$__all" });
  assert.equal("useTags" in d.templating.list[0]!, false);
  assert.equal(notes.length, 3);
});

test("repeats that were saved with their clones, and ids there twice", () => {
  const d = read({ title: "t", schemaVersion: 20, panels: [{ id: 1, type: "stat", repeat: "h" }, { id: 2, type: "stat", repeatPanelId: 1 }, { id: 1, type: "stat" }, { type: "stat" }] }).dashboard;
  assert.deepEqual(d.panels.map((p) => p.id), [1, 2, 3]);
});

test("library panels: those of the file, and their places", () => {
  const ref = { id: 4, gridPos: { x: 1, y: 2, w: 3, h: 4 }, libraryPanel: { uid: "u", name: "Lib" } };
  const model = { type: "stat", title: "From the library", options: { colorMode: "value" } };
  const { dashboard: d } = read({ title: "t", panels: [ref], __elements: { u: { uid: "u", name: "Lib", kind: 1, model } } });
  assert.deepEqual([d.panels[0]!.type, d.panels[0]!.title, d.panels[0]!.id, d.panels[0]!.gridPos.w, d.panels[0]!.libraryPanel], ["stat", "From the library", 4, 3, undefined]);
  assert.equal(read({ title: "t", panels: [ref], __elements: [{ uid: "u", model }] }).dashboard.panels[0]!.type, "stat");
  const lost = read({ title: "t", panels: [ref] });
  assert.deepEqual([lost.dashboard.panels[0]!.type, lost.dashboard.panels[0]!.title], ["library-panel-ref", "Lib"]);
  assert.match(lost.notes.join(), /library panel "Lib"/);
});

test("rows open and folded, and rows within rows", () => {
  const d = read({ title: "t", panels: [
    { type: "row", id: 1, collapsed: false, panels: [{ type: "stat", id: 2, gridPos: { x: 0, y: 1, w: 6, h: 3 } }] },
    { type: "row", id: 3, collapsed: true, panels: [{ type: "stat", id: 4 }, { type: "row", id: 5, panels: [{ type: "stat", id: 6 }] }] },
  ] }).dashboard;
  assert.deepEqual(d.panels.map((p) => [p.id, p.panels?.map((q) => q.id)]), [[1, []], [2, undefined], [3, [4, 6]]]);
});

test("panels come from the top; those without a place below what is before them", () => {
  const at = (id: number, y?: number, x = 0) => ({ id, type: "stat", ...(y === undefined ? {} : { gridPos: { x, y, w: 6, h: 3 } }) });
  const d = read({ title: "t", panels: [at(1, 10), at(2, 0, 6), at(3, 0), at(4), { id: 5, type: "row" }, at(6)] }).dashboard;
  assert.deepEqual(d.panels.map((p) => [p.id, p.gridPos.y]), [[3, 0], [2, 0], [1, 10], [4, 13], [5, 21], [6, 22]]);
});

test("the resource with elements and layouts", () => {
  const panel = (id: number, more: object = {}) => ({ kind: "Panel", spec: { id, title: `P${id}`, links: [], vizConfig: { kind: "VizConfig", group: "timeseries", version: "12", spec: { options: { legend: { displayMode: "list" } }, fieldConfig: { defaults: { unit: "s" }, overrides: [] } } },
    data: { kind: "QueryGroup", spec: { queries: [{ kind: "PanelQuery", spec: { refId: "A", hidden: true, query: { kind: "DataQuery", group: "prometheus", version: "v0", datasource: { name: "ds1" }, spec: { expr: "up" } } } }], transformations: [{ kind: "Transformation", group: "sortBy", spec: { options: { a: 1 }, disabled: true } }], queryOptions: { interval: "1m", maxDataPoints: 100, timeFrom: "1h" } } }, ...more } });
  const ref = (name: string) => ({ element: { kind: "ElementReference", name } });
  const elements = { a: panel(1), b: panel(2), c: panel(3), d: panel(4), l: { kind: "LibraryPanel", spec: { id: 9, title: "L", libraryPanel: { uid: "x", name: "X" } } } };
  const rows = { kind: "TabsLayout", spec: { tabs: [
    { kind: "TabsLayoutTab", spec: { title: "Tab", layout: { kind: "RowsLayout", spec: { rows: [
      { kind: "RowsLayoutRow", spec: { title: "R", collapse: true, repeat: { mode: "variable", value: "h" }, layout: { kind: "GridLayout", spec: { items: [{ kind: "GridLayoutItem", spec: { x: 6, y: 0, width: 6, height: 4, ...ref("a"), repeat: { mode: "variable", value: "v", direction: "v", maxPerRow: 3 } } }] } } } },
      { kind: "RowsLayoutRow", spec: { hideHeader: true, layout: { kind: "AutoGridLayout", spec: { maxColumnCount: 2, columnWidthMode: "standard", rowHeightMode: "short", items: ["b", "c", "d"].map((n) => ({ kind: "AutoGridLayoutItem", spec: ref(n) })) } } } },
    ] } } } },
    { kind: "TabsLayoutTab", spec: { title: "Two", layout: { kind: "GridLayout", spec: { items: [{ kind: "GridLayoutItem", spec: { x: 0, y: 0, width: 24, height: 3, ...ref("l") } }, { kind: "GridLayoutItem", spec: { ...ref("gone") } }] } } } },
  ] } };
  const { dashboard: d, notes } = read({ apiVersion: "dashboard.grafana.app/v2beta1", kind: "Dashboard", metadata: { name: "uid1" }, spec: {
    title: "V2", cursorSync: "Tooltip", tags: ["x"], editable: true, preload: false, links: [], elements, layout: rows,
    timeSettings: { from: "now-3h", to: "now", timezone: "utc", autoRefresh: "30s", autoRefreshIntervals: ["5s"], hideTimepicker: true, fiscalYearStartMonth: 0 },
    variables: [
      { kind: "QueryVariable", spec: { name: "q", hide: "hideLabel", refresh: "onTimeRangeChanged", sort: "naturalAsc", multi: true, includeAll: true, current: { text: ["All"], value: ["$__all"] }, options: [], regex: "", query: { kind: "DataQuery", group: "prometheus", datasource: { name: "ds1" }, spec: { __legacyStringValue: "label_values(job)" } } } },
      { kind: "DatasourceVariable", spec: { name: "ds", pluginId: "prometheus", current: { text: "P", value: "p" }, options: [] } }, { kind: "SwitchVariable", spec: { name: "s", current: "on", enabledValue: "on", disabledValue: "off" } },
      { kind: "TextVariable", spec: { name: "t", query: "x", current: { text: "x", value: "x" } } }, { kind: "OddVariable", spec: { name: "o" } },
      { kind: "AdhocVariable", group: "prometheus", datasource: { name: "ds1" }, spec: { name: "f", filters: [{ key: "a", operator: "=", value: "b" }], baseFilters: [], defaultKeys: [] } },
    ],
    annotations: [{ kind: "AnnotationQuery", spec: { name: "N", enable: true, hide: false, iconColor: "red", builtIn: false, query: { kind: "DataQuery", group: "prometheus", datasource: { name: "ds1" }, spec: { expr: "changes(x[1m])" } } } }],
  } });
  assert.deepEqual([d.uid, d.title, d.graphTooltip, d.time, d.timezone, d.refresh, d.timepicker.hidden, d.timepicker.refresh_intervals], ["uid1", "V2", 2, { from: "now-3h", to: "now" }, "utc", "30s", true, ["5s"]]);
  assert.deepEqual(d.panels.map((p) => [p.type, p.title, p.gridPos.x, p.gridPos.y, p.gridPos.w, p.gridPos.h]), [
    ["row", "Tab", 0, 0, 24, 1], ["row", "R", 0, 1, 24, 1], ["timeseries", "P2", 0, 6, 12, 5], ["timeseries", "P3", 12, 6, 12, 5], ["timeseries", "P4", 0, 11, 12, 5], ["row", "Two", 0, 16, 24, 1], ["library-panel-ref", "L", 0, 17, 24, 3],
  ]);
  const a = d.panels[1]!.panels![0]!;
  assert.deepEqual([a.repeat, a.repeatDirection, a.maxPerRow, a.interval, a.timeFrom, a.targets, a.datasource, a.fieldConfig.defaults.unit], ["v", "v", 3, "1m", "1h", [{ expr: "up", refId: "A", datasource: { type: "prometheus", uid: "ds1" }, hide: true }], { type: "prometheus", uid: "ds1" }, "s"]);
  assert.deepEqual(a.transformations, [{ options: { a: 1 }, disabled: true, id: "sortBy" }]);
  assert.equal(d.panels[1]!.repeat, "h");
  assert.deepEqual(d.templating.list.map((v) => [v.name, v.type, v.hide, v.refresh, v.sort, v.query]), [
    ["q", "query", 1, 2, 7, "label_values(job)"], ["ds", "datasource", undefined, undefined, undefined, "prometheus"], ["s", "switch", undefined, undefined, undefined, undefined],
    ["t", "textbox", undefined, undefined, undefined, "x"], ["f", "adhoc", undefined, undefined, undefined, undefined],
  ]);
  assert.deepEqual([d.templating.list[0]!.datasource, d.templating.list[4]!.datasource], [{ type: "prometheus", uid: "ds1" }, { type: "prometheus", uid: "ds1" }]);
  assert.deepEqual([d.annotations.list[0]!.expr, d.annotations.list[0]!.datasource], ["changes(x[1m])", { type: "prometheus", uid: "ds1" }]);
  assert.equal(notes.length, 3);
});
