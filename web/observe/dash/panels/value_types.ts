// value_types.ts - the panel types of values, tables, texts and lists: their defaults and what the
// editor asks of them.
import type { Control, PanelType } from "./panel";

const options = (pairs: Record<string, string>): { value: string; text: string }[] => Object.entries(pairs).map(([value, text]) => ({ value, text }));

const value = (name: keyof typeof import("./value_panels")) => () => import("./value_panels").then((m) => ({ default: m[name] }));
const list = (name: keyof typeof import("./list_panels")) => () => import("./list_panels").then((m) => ({ default: m[name] }));

const REDUCE = { reduceOptions: { values: false, calcs: ["lastNotNull"], fields: "" } };
const VALUES: Control[] = [
  { path: "options.reduceOptions.values", text: "Show", kind: "select", group: "Value options", choices: [{ value: false, text: "Calculate" }, { value: true, text: "All values" }] },
  { path: "options.reduceOptions.calcs", text: "Calculation", kind: "calcs", group: "Value options", when: (p) => !p.options.reduceOptions?.values },
  { path: "options.reduceOptions.limit", text: "Limit", kind: "number", least: 1, group: "Value options", when: (p) => !!p.options.reduceOptions?.values },
  { path: "options.reduceOptions.fields", text: "Fields (empty: numbers)", kind: "field", group: "Value options" },
];
const ORIENTATION = (group: string): Control =>
  ({ path: "options.orientation", text: "Orientation", kind: "select", group, choices: options({ auto: "Auto", horizontal: "Horizontal", vertical: "Vertical" }) });
const TEXT_SIZE: Control[] = [
  { path: "options.text.titleSize", text: "Title size", kind: "number", least: 1, most: 100, group: "Text size" },
  { path: "options.text.valueSize", text: "Value size", kind: "number", least: 1, most: 200, group: "Text size" },
];
const LEGEND: Control[] = [
  { path: "options.legend.showLegend", text: "Visible", kind: "switch", group: "Legend" },
  { path: "options.legend.displayMode", text: "Mode", kind: "select", group: "Legend", choices: options({ list: "List", table: "Table" }) },
  { path: "options.legend.placement", text: "Placement", kind: "select", group: "Legend", choices: options({ bottom: "Bottom", right: "Right" }) },
];
const CELLS = options({
  auto: "Auto", "color-text": "Coloured text", "color-background": "Coloured background", gauge: "Gauge", sparkline: "Sparkline",
  "json-view": "JSON", image: "Image", pill: "Pill", "data-links": "Data links",
});
const cell = (p: { fieldConfig: { defaults: { custom?: { cellOptions?: { type?: string } } } } }): string => p.fieldConfig.defaults.custom?.cellOptions?.type ?? "auto";
const CUSTOM = "fieldConfig.defaults.custom.";

const STAT: PanelType = {
  type: "stat", title: "Stat", load: value("stat"),
  options: { ...REDUCE, orientation: "auto", textMode: "auto", wideLayout: true, colorMode: "value", graphMode: "area", justifyMode: "auto", showPercentChange: false, percentChangeColorMode: "standard" },
  controls: [
    ...VALUES, ORIENTATION("Stat styles"),
    { path: "options.textMode", text: "Text mode", kind: "select", group: "Stat styles", choices: options({ auto: "Auto", value: "Value", value_and_name: "Value and name", name: "Name", none: "None" }) },
    { path: "options.wideLayout", text: "Wide layout", kind: "switch", group: "Stat styles", when: (p) => ["auto", "value_and_name"].includes(p.options.textMode) },
    { path: "options.colorMode", text: "Colour mode", kind: "select", group: "Stat styles", choices: options({ none: "None", value: "Value", background: "Background gradient", background_solid: "Background solid" }) },
    { path: "options.graphMode", text: "Graph mode", kind: "select", group: "Stat styles", choices: options({ none: "None", area: "Area" }) },
    { path: "options.justifyMode", text: "Text alignment", kind: "select", group: "Stat styles", choices: options({ auto: "Auto", center: "Centre" }) },
    { path: "options.showPercentChange", text: "Show percent change", kind: "switch", group: "Stat styles" },
    { path: "options.percentChangeColorMode", text: "Percent change colour", kind: "select", group: "Stat styles", choices: options({ standard: "Standard", inverted: "Inverted", same_as_value: "Same as value" }), when: (p) => !!p.options.showPercentChange },
    ...TEXT_SIZE,
  ],
};

const GAUGE: PanelType = {
  type: "gauge", title: "Gauge", load: value("gauge"),
  options: { ...REDUCE, orientation: "auto", showThresholdLabels: false, showThresholdMarkers: true, sizing: "auto", minVizWidth: 75, minVizHeight: 75 },
  controls: [
    ...VALUES, ORIENTATION("Gauge"),
    { path: "options.showThresholdLabels", text: "Show threshold labels", kind: "switch", group: "Gauge" },
    { path: "options.showThresholdMarkers", text: "Show threshold markers", kind: "switch", group: "Gauge" },
    { path: "options.shape", text: "Shape", kind: "select", group: "Gauge", choices: options({ gauge: "Arc", circle: "Circle" }) },
    { path: "options.sizing", text: "Gauge size", kind: "select", group: "Gauge", choices: options({ auto: "Auto", manual: "Manual" }) },
    { path: "options.minVizWidth", text: "Least width", kind: "number", least: 20, most: 600, group: "Gauge", when: (p) => p.options.sizing === "manual" },
    { path: "options.minVizHeight", text: "Least height", kind: "number", least: 20, most: 600, group: "Gauge", when: (p) => p.options.sizing === "manual" },
    { path: `${CUSTOM}neutral`, text: "Neutral value", kind: "number", group: "Gauge", override: "custom.neutral" },
    ...TEXT_SIZE,
  ],
};

const BARGAUGE: PanelType = {
  type: "bargauge", title: "Bar gauge", load: value("bargauge"),
  options: { ...REDUCE, orientation: "auto", displayMode: "gradient", valueMode: "color", namePlacement: "auto", showUnfilled: true, sizing: "auto", minVizWidth: 8, minVizHeight: 16, maxVizHeight: 300 },
  controls: [
    ...VALUES, ORIENTATION("Bar gauge"),
    { path: "options.displayMode", text: "Display mode", kind: "select", group: "Bar gauge", choices: options({ gradient: "Gradient", lcd: "Retro LCD", basic: "Basic" }) },
    { path: "options.valueMode", text: "Value display", kind: "select", group: "Bar gauge", choices: options({ color: "Value colour", text: "Text colour", hidden: "Hidden" }) },
    { path: "options.namePlacement", text: "Name placement", kind: "select", group: "Bar gauge", choices: options({ auto: "Auto", top: "Top", left: "Left", hidden: "Hidden" }), when: (p) => p.options.orientation !== "vertical" },
    { path: "options.showUnfilled", text: "Show unfilled area", kind: "switch", group: "Bar gauge" },
    { path: "options.sizing", text: "Bar size", kind: "select", group: "Bar gauge", choices: options({ auto: "Auto", manual: "Manual" }) },
    { path: "options.minVizWidth", text: "Least width", kind: "number", least: 0, most: 300, group: "Bar gauge", when: (p) => p.options.sizing === "manual" },
    { path: "options.minVizHeight", text: "Least height", kind: "number", least: 0, most: 300, group: "Bar gauge", when: (p) => p.options.sizing === "manual" },
    { path: "options.maxVizHeight", text: "Most height", kind: "number", least: 0, most: 300, group: "Bar gauge", when: (p) => p.options.sizing === "manual" },
    ...TEXT_SIZE,
  ],
};

const TABLE: PanelType = {
  type: "table", title: "Table", load: value("table"),
  options: { showHeader: true, cellHeight: "sm", sortBy: [], frameIndex: 0 },
  custom: { align: "auto", cellOptions: { type: "auto" }, inspect: false, filterable: false },
  controls: [
    { path: "options.showHeader", text: "Show table header", kind: "switch", group: "Table" },
    { path: "options.cellHeight", text: "Cell height", kind: "select", group: "Table", choices: options({ sm: "Small", md: "Medium", lg: "Large" }) },
    { path: "options.enablePagination", text: "Enable pagination", kind: "switch", group: "Table" },
    { path: "options.frozenColumns.left", text: "Frozen columns", kind: "number", least: 0, most: 10, group: "Table" },
    { path: `${CUSTOM}minWidth`, text: "Least column width", kind: "number", least: 50, most: 500, group: "Table", override: "custom.minWidth" },
    { path: `${CUSTOM}width`, text: "Column width", kind: "number", least: 20, most: 1000, group: "Table", override: "custom.width" },
    { path: `${CUSTOM}align`, text: "Column alignment", kind: "select", group: "Table", choices: options({ auto: "Auto", left: "Left", center: "Centre", right: "Right" }), override: "custom.align" },
    { path: `${CUSTOM}filterable`, text: "Column filter", kind: "switch", group: "Table", override: "custom.filterable" },
    { path: `${CUSTOM}hidden`, text: "Hide in table", kind: "switch", group: "Table", override: "custom.hidden" },
    { path: `${CUSTOM}inspect`, text: "Cell value inspect", kind: "switch", group: "Table", override: "custom.inspect" },
    { path: `${CUSTOM}wrapHeaderText`, text: "Wrap header text", kind: "switch", group: "Table", override: "custom.wrapHeaderText" },
    { path: `${CUSTOM}cellOptions.type`, text: "Cell type", kind: "select", group: "Cell options", choices: CELLS, override: "custom.cellOptions" },
    { path: `${CUSTOM}cellOptions.wrapText`, text: "Wrap text", kind: "switch", group: "Cell options" },
    { path: `${CUSTOM}cellOptions.mode`, text: "Background display mode", kind: "select", group: "Cell options", choices: options({ basic: "Basic", gradient: "Gradient" }), when: (p) => cell(p) === "color-background" },
    { path: `${CUSTOM}cellOptions.applyToRow`, text: "Apply to entire row", kind: "switch", group: "Cell options", when: (p) => cell(p) === "color-background" },
    { path: `${CUSTOM}cellOptions.mode`, text: "Gauge display mode", kind: "select", group: "Cell options", choices: options({ basic: "Basic", gradient: "Gradient", lcd: "Retro LCD" }), when: (p) => cell(p) === "gauge" },
    { path: `${CUSTOM}cellOptions.valueDisplayMode`, text: "Value display", kind: "select", group: "Cell options", choices: options({ color: "Value colour", text: "Text colour", hidden: "Hidden" }), when: (p) => cell(p) === "gauge" },
    { path: `${CUSTOM}cellOptions.hideValue`, text: "Hide value", kind: "switch", group: "Cell options", when: (p) => cell(p) === "sparkline" },
    { path: `${CUSTOM}footer.reducers`, text: "Calculation", kind: "calcs", group: "Table footer", override: "custom.footer.reducers" },
  ],
};

const TEXT: PanelType = {
  type: "text", title: "Text", load: value("text"), noQuery: true,
  options: { mode: "markdown", content: "", code: { language: "plaintext", showLineNumbers: false, showMiniMap: false } },
  controls: [
    { path: "options.mode", text: "Mode", kind: "select", group: "Text", choices: options({ markdown: "Markdown", html: "HTML", code: "Code" }) },
    { path: "options.code.showLineNumbers", text: "Show line numbers", kind: "switch", group: "Text", when: (p) => p.options.mode === "code" },
    { path: "options.content", text: "Content", kind: "lines", group: "Text" },
  ],
};

const PIE: PanelType = {
  type: "piechart", title: "Pie chart", load: value("piechart"),
  options: { ...REDUCE, pieType: "pie", sort: "desc", displayLabels: [], tooltip: { mode: "single", sort: "none" }, legend: { showLegend: true, displayMode: "list", placement: "bottom", values: [] } },
  controls: [
    ...VALUES,
    { path: "options.pieType", text: "Pie chart type", kind: "select", group: "Pie chart", choices: options({ pie: "Pie", donut: "Donut" }) },
    { path: "options.sort", text: "Slice sorting", kind: "select", group: "Pie chart", choices: options({ desc: "Descending", asc: "Ascending", none: "None" }) },
    { path: "options.displayLabels", text: "Labels", kind: "multi", group: "Pie chart", choices: options({ percent: "Percent", name: "Name", value: "Value" }) },
    { path: "options.tooltip.mode", text: "Tooltip mode", kind: "select", group: "Tooltip", choices: options({ single: "Single", multi: "All", none: "Hidden" }) },
    ...LEGEND,
    { path: "options.legend.values", text: "Legend values", kind: "multi", group: "Legend", choices: options({ percent: "Percent", value: "Value" }) },
  ],
};

const LOGS: PanelType = {
  type: "logs", title: "Logs", load: list("logs"),
  options: { showTime: true, showLabels: false, showCommonLabels: false, wrapLogMessage: true, prettifyLogMessage: false, enableLogDetails: true, dedupStrategy: "none", sortOrder: "Descending" },
  controls: [
    { path: "options.showTime", text: "Time", kind: "switch", group: "Logs" },
    { path: "options.showLabels", text: "Unique labels", kind: "switch", group: "Logs" },
    { path: "options.showCommonLabels", text: "Common labels", kind: "switch", group: "Logs" },
    { path: "options.wrapLogMessage", text: "Wrap lines", kind: "switch", group: "Logs" },
    { path: "options.prettifyLogMessage", text: "Prettify JSON", kind: "switch", group: "Logs" },
    { path: "options.enableLogDetails", text: "Enable log details", kind: "switch", group: "Logs" },
    { path: "options.dedupStrategy", text: "Deduplication", kind: "select", group: "Logs", choices: options({ none: "None", exact: "Exact", numbers: "Numbers", signature: "Signature" }) },
    { path: "options.sortOrder", text: "Order", kind: "select", group: "Logs", choices: options({ Descending: "Newest first", Ascending: "Oldest first" }) },
  ],
};

const inList = (p: { options: Record<string, unknown> }): boolean => p.options.viewMode !== "stat";
const ALERTS: PanelType = {
  type: "alertlist", title: "Alert list", load: list("alertlist"), noQuery: true,
  options: { viewMode: "list", groupMode: "default", groupBy: [], maxItems: 20, sortOrder: 1, alertName: "", alertInstanceLabelFilter: "", dashboardAlerts: false, showInstances: false, stateFilter: { firing: true, pending: true, noData: false, normal: false, error: true } },
  controls: [
    { path: "options.viewMode", text: "View mode", kind: "select", group: "Options", choices: options({ list: "List", stat: "Stat" }) },
    { path: "options.groupMode", text: "Group mode", kind: "select", group: "Options", choices: options({ default: "By rule", custom: "By labels" }), when: inList },
    { path: "options.groupBy", text: "Group by", kind: "lines", group: "Options", when: (p) => p.options.groupMode === "custom" },
    { path: "options.maxItems", text: "Most rules", kind: "number", least: 1, most: 1000, group: "Options" },
    { path: "options.sortOrder", text: "Sort order", kind: "select", group: "Options", choices: [{ value: 1, text: "By name" }, { value: 2, text: "By name, from Z" }, { value: 3, text: "By importance" }, { value: 4, text: "Oldest first" }, { value: 5, text: "Newest first" }] },
    { path: "options.showInstances", text: "Show instances", kind: "switch", group: "Options", when: inList },
    { path: "options.alertName", text: "Alert name", kind: "text", group: "Filter" },
    { path: "options.alertInstanceLabelFilter", text: "Labels", kind: "text", group: "Filter" },
    ...Object.entries({ firing: "Firing", pending: "Pending", noData: "No data", normal: "Normal", error: "Error" }).map(([state, text]): Control => ({ path: `options.stateFilter.${state}`, text, kind: "switch", group: "States" })),
  ],
};

const switches = (group: string, pairs: Record<string, string>): Control[] => Object.entries(pairs).map(([name, text]) => ({ path: `options.${name}`, text, kind: "switch", group }));

const DASHBOARDS: PanelType = {
  type: "dashlist", title: "Dashboard list", load: list("dashlist"), noQuery: true,
  options: { showStarred: true, showRecentlyViewed: false, showSearch: false, showHeadings: true, showFolderNames: true, includeVars: false, keepTime: false, maxItems: 10, query: "", tags: [] },
  controls: [
    ...switches("Dashboard list", { keepTime: "Include current time range", includeVars: "Include current variable values", showStarred: "Starred", showRecentlyViewed: "Recently viewed", showSearch: "Search", showHeadings: "Show headings", showFolderNames: "Show folder names" }),
    { path: "options.maxItems", text: "Most dashboards", kind: "number", least: 1, most: 1000, group: "Dashboard list" },
    { path: "options.query", text: "Query", kind: "text", group: "Search", when: (p) => !!p.options.showSearch },
    { path: "options.folderUID", text: "Folder (its uid)", kind: "text", group: "Search", when: (p) => !!p.options.showSearch },
    { path: "options.tags", text: "Tags", kind: "lines", group: "Search", when: (p) => !!p.options.showSearch },
  ],
};

const ANNOTATIONS: PanelType = {
  type: "annolist", title: "Annotations list", load: list("annolist"), noQuery: true,
  options: { onlyFromThisDashboard: false, onlyInTimeRange: false, tags: [], limit: 10, showUser: true, showTime: true, showTags: true, navigateToPanel: true, navigateBefore: "10m", navigateAfter: "10m" },
  controls: [
    ...switches("Annotations", { onlyFromThisDashboard: "Only of this dashboard", onlyInTimeRange: "Only in the time range", showUser: "Show user", showTime: "Show time", showTags: "Show tags" }),
    { path: "options.tags", text: "Tags", kind: "lines", group: "Annotations" },
    { path: "options.limit", text: "Limit", kind: "number", least: 1, most: 1000, group: "Annotations" },
    { path: "options.navigateBefore", text: "Time before", kind: "text", group: "Link" },
    { path: "options.navigateAfter", text: "Time after", kind: "text", group: "Link" },
  ],
};

const note = (type: string, title: string): PanelType => ({ type, title, load: list("note"), options: {}, controls: [], noQuery: true });
// Data that have a page of their own are rows here.
const asTable = (type: string, title: string): PanelType => ({ type, title, load: value("table"), options: TABLE.options, custom: TABLE.custom, controls: [] });

export const VALUE_TYPES: PanelType[] = [
  STAT, GAUGE, BARGAUGE, TABLE, PIE, TEXT, LOGS, ALERTS, DASHBOARDS, ANNOTATIONS,
  asTable("nodeGraph", "Node graph"), asTable("traces", "Traces"), asTable("flamegraph", "Flame graph"),
  note("news", "News"), note("welcome", "Welcome"), note("gettingstarted", "Getting started"),
];
