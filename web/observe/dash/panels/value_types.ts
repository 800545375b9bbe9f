// value_types.ts - the panel types of values, tables, texts and lists: their defaults and what the
// editor asks of them.
import type { Panel } from "../model";
import type { Choice, Control, PanelType } from "./panel";

type When = (p: Panel) => boolean;
const options = (pairs: Record<string, string>): Choice[] => Object.entries(pairs).map(([value, text]) => ({ value, text }));

// Controls by the last part of their path: an option, or with "custom." a field's.
const control = (kind: Control["kind"]) => (path: string, text: string, when?: When): Control => ({ kind, path, text, when });
const [flag, words, lines, calcs, fields] = (["switch", "text", "lines", "calcs", "field"] as const).map(control);
const pick = (path: string, text: string, of: Record<string, string> | Choice[], when?: When): Control =>
  ({ kind: "select", path, text, choices: Array.isArray(of) ? of : options(of), when });
const multi = (path: string, text: string, pairs: Record<string, string>): Control => ({ kind: "multi", path, text, choices: options(pairs) });
const number = (path: string, text: string, least?: number, most?: number, when?: When): Control => ({ kind: "number", path, text, least, most, when });

const switches = (pairs: Record<string, string>): Control[] => Object.entries(pairs).map(([path, text]) => flag(path, text));

// The controls below one heading. A field's can be overridden; of a cell's options only all together.
const under = (group: string, ...controls: Control[]): Control[] => controls.map((c) => {
  const custom = c.path.startsWith("custom.");
  const override = c.path === "custom.cellOptions.type" ? "custom.cellOptions" : custom && !c.path.includes("cellOptions") ? c.path : undefined;
  return { ...c, group, path: `${custom ? "fieldConfig.defaults." : "options."}${c.path}`, ...(override ? { override } : {}) };
});

const value = (name: keyof typeof import("./value_panels")) => () => import("./value_panels").then((m) => ({ default: m[name] }));
const list = (name: keyof typeof import("./list_panels")) => () => import("./list_panels").then((m) => ({ default: m[name] }));

const REDUCE = { reduceOptions: { values: false, calcs: ["lastNotNull"], fields: "" } };
const rowwise: When = (p) => !!p.options.reduceOptions?.values;
const VALUES = under("Value options",
  pick("reduceOptions.values", "Show", [{ value: false, text: "Calculate" }, { value: true, text: "All values" }]),
  calcs("reduceOptions.calcs", "Calculation", (p) => !rowwise(p)),
  number("reduceOptions.limit", "Limit", 1, undefined, rowwise),
  fields("reduceOptions.fields", "Fields (empty: numbers)"));
const ORIENTATION = pick("orientation", "Orientation", { auto: "Auto", horizontal: "Horizontal", vertical: "Vertical" });
const TEXT_SIZE = under("Text size", number("text.titleSize", "Title size", 1, 100), number("text.valueSize", "Value size", 1, 200));
const CELLS = {
  auto: "Auto", "color-text": "Coloured text", "color-background": "Coloured background", gauge: "Gauge", sparkline: "Sparkline",
  "json-view": "JSON", image: "Image", pill: "Pill", "data-links": "Data links",
};
const SHOWN = { color: "Value colour", text: "Text colour", hidden: "Hidden" };
const SIZING = { auto: "Auto", manual: "Manual" };
const manual: When = (p) => p.options.sizing === "manual";
const cell = (type: string): When => (p) => p.fieldConfig.defaults.custom?.cellOptions?.type === type;

const STAT: PanelType = {
  type: "stat", title: "Stat", load: value("stat"),
  options: { ...REDUCE, orientation: "auto", textMode: "auto", wideLayout: true, colorMode: "value", graphMode: "area", justifyMode: "auto", showPercentChange: false, percentChangeColorMode: "standard" },
  controls: [
    ...VALUES,
    ...under("Stat styles",
      ORIENTATION,
      pick("textMode", "Text mode", { auto: "Auto", value: "Value", value_and_name: "Value and name", name: "Name", none: "None" }),
      flag("wideLayout", "Wide layout", (p) => ["auto", "value_and_name"].includes(p.options.textMode)),
      pick("colorMode", "Colour mode", { none: "None", value: "Value", background: "Background gradient", background_solid: "Background solid" }),
      pick("graphMode", "Graph mode", { none: "None", area: "Area" }),
      pick("justifyMode", "Text alignment", { auto: "Auto", center: "Centre" }),
      flag("showPercentChange", "Show percent change"),
      pick("percentChangeColorMode", "Percent change colour", { standard: "Standard", inverted: "Inverted", same_as_value: "Same as value" }, (p) => !!p.options.showPercentChange)),
    ...TEXT_SIZE,
  ],
};

const GAUGE: PanelType = {
  type: "gauge", title: "Gauge", load: value("gauge"),
  options: { ...REDUCE, orientation: "auto", showThresholdLabels: false, showThresholdMarkers: true, sizing: "auto", minVizWidth: 75, minVizHeight: 75 },
  controls: [
    ...VALUES,
    ...under("Gauge",
      ORIENTATION,
      flag("showThresholdLabels", "Show threshold labels"),
      flag("showThresholdMarkers", "Show threshold markers"),
      pick("shape", "Shape", { gauge: "Arc", circle: "Circle" }),
      pick("sizing", "Gauge size", SIZING),
      number("minVizWidth", "Min width", 20, 600, manual),
      number("minVizHeight", "Min height", 20, 600, manual),
      number("custom.neutral", "Neutral value")),
    ...TEXT_SIZE,
  ],
};

const BARGAUGE: PanelType = {
  type: "bargauge", title: "Bar gauge", load: value("bargauge"),
  options: { ...REDUCE, orientation: "auto", displayMode: "gradient", valueMode: "color", namePlacement: "auto", showUnfilled: true, sizing: "auto", minVizWidth: 8, minVizHeight: 16, maxVizHeight: 300 },
  controls: [
    ...VALUES,
    ...under("Bar gauge",
      ORIENTATION,
      pick("displayMode", "Display mode", { gradient: "Gradient", lcd: "Retro LCD", basic: "Basic" }),
      pick("valueMode", "Value display", SHOWN),
      pick("namePlacement", "Name placement", { auto: "Auto", top: "Top", left: "Left", hidden: "Hidden" }, (p) => p.options.orientation !== "vertical"),
      flag("showUnfilled", "Show unfilled area"),
      pick("sizing", "Bar size", SIZING),
      number("minVizWidth", "Min width", 0, 300, manual),
      number("minVizHeight", "Min height", 0, 300, manual),
      number("maxVizHeight", "Max height", 0, 300, manual)),
    ...TEXT_SIZE,
  ],
};

const TABLE: PanelType = {
  type: "table", title: "Table", load: value("table"),
  options: { showHeader: true, cellHeight: "sm", sortBy: [], frameIndex: 0 },
  custom: { align: "auto", cellOptions: { type: "auto" }, inspect: false, filterable: false },
  controls: [
    ...under("Table",
      flag("showHeader", "Show table header"),
      pick("cellHeight", "Cell height", { sm: "Small", md: "Medium", lg: "Large" }),
      flag("enablePagination", "Enable pagination"),
      number("frozenColumns.left", "Frozen columns", 0, 10),
      number("custom.minWidth", "Minimum column width", 50, 500),
      number("custom.width", "Column width", 20, 1000),
      pick("custom.align", "Column alignment", { auto: "Auto", left: "Left", center: "Centre", right: "Right" }),
      flag("custom.filterable", "Column filter"),
      flag("custom.hidden", "Hide in table"),
      flag("custom.inspect", "Cell value inspect"),
      flag("custom.wrapHeaderText", "Wrap header text")),
    ...under("Cell options",
      pick("custom.cellOptions.type", "Cell type", CELLS),
      flag("custom.cellOptions.wrapText", "Wrap text"),
      pick("custom.cellOptions.mode", "Background display mode", { basic: "Basic", gradient: "Gradient" }, cell("color-background")),
      flag("custom.cellOptions.applyToRow", "Apply to entire row", cell("color-background")),
      pick("custom.cellOptions.mode", "Gauge display mode", { basic: "Basic", gradient: "Gradient", lcd: "Retro LCD" }, cell("gauge")),
      pick("custom.cellOptions.valueDisplayMode", "Value display", SHOWN, cell("gauge")),
      flag("custom.cellOptions.hideValue", "Hide value", cell("sparkline"))),
    ...under("Table footer", calcs("custom.footer.reducers", "Calculation")),
  ],
};

const TEXT: PanelType = {
  type: "text", title: "Text", load: value("text"), noQuery: true,
  options: { mode: "markdown", content: "", code: { language: "plaintext", showLineNumbers: false, showMiniMap: false } },
  controls: [
    ...under("Text",
      pick("mode", "Mode", { markdown: "Markdown", html: "HTML", code: "Code" }),
      flag("code.showLineNumbers", "Show line numbers", (p) => p.options.mode === "code"),
      lines("content", "Content")),
  ],
};

const PIE: PanelType = {
  type: "piechart", title: "Pie chart", load: value("piechart"),
  options: { ...REDUCE, pieType: "pie", sort: "desc", displayLabels: [], tooltip: { mode: "single", sort: "none" }, legend: { showLegend: true, displayMode: "list", placement: "bottom", values: [] } },
  controls: [
    ...VALUES,
    ...under("Pie chart",
      pick("pieType", "Pie chart type", { pie: "Pie", donut: "Donut" }),
      pick("sort", "Slice sorting", { desc: "Descending", asc: "Ascending", none: "None" }),
      multi("displayLabels", "Labels", { percent: "Percent", name: "Name", value: "Value" })),
    ...under("Tooltip", pick("tooltip.mode", "Tooltip mode", { single: "Single", multi: "All", none: "Hidden" })),
    ...under("Legend",
      flag("legend.showLegend", "Visible"),
      pick("legend.displayMode", "Mode", { list: "List", table: "Table" }),
      pick("legend.placement", "Placement", { bottom: "Bottom", right: "Right" }),
      multi("legend.values", "Legend values", { percent: "Percent", value: "Value" })),
  ],
};

const LOGS: PanelType = {
  type: "logs", title: "Logs", load: list("logs"),
  options: { showTime: true, showLabels: false, showCommonLabels: false, wrapLogMessage: true, prettifyLogMessage: false, enableLogDetails: true, dedupStrategy: "none", sortOrder: "Descending" },
  controls: [
    ...under("Logs",
      flag("showTime", "Time"),
      flag("showLabels", "Unique labels"),
      flag("showCommonLabels", "Common labels"),
      flag("wrapLogMessage", "Wrap lines"),
      flag("prettifyLogMessage", "Prettify JSON"),
      flag("enableLogDetails", "Enable log details"),
      pick("dedupStrategy", "Deduplication", { none: "None", exact: "Exact", numbers: "Numbers", signature: "Signature" }),
      pick("sortOrder", "Order", { Descending: "Newest first", Ascending: "Oldest first" })),
  ],
};

const inList: When = (p) => p.options.viewMode !== "stat";
const ALERTS: PanelType = {
  type: "alertlist", title: "Alert list", load: list("alertlist"), noQuery: true,
  options: { viewMode: "list", groupMode: "default", groupBy: [], maxItems: 20, sortOrder: 1, alertName: "", alertInstanceLabelFilter: "", dashboardAlerts: false, showInstances: false, stateFilter: { firing: true, pending: true, noData: false, normal: false, error: true } },
  controls: [
    ...under("Options",
      pick("viewMode", "View mode", { list: "List", stat: "Stat" }),
      pick("groupMode", "Group mode", { default: "By rule", custom: "By labels" }, inList),
      lines("groupBy", "Group by", (p) => p.options.groupMode === "custom"),
      number("maxItems", "Max items", 1, 1000),
      pick("sortOrder", "Sort order", ["By name", "By name, descending", "By importance", "Oldest first", "Newest first"].map((text, i) => ({ value: i + 1, text }))),
      flag("showInstances", "Show instances", inList)),
    ...under("Filter", words("alertName", "Alert name"), words("alertInstanceLabelFilter", "Labels")),
    ...under("States", ...switches({ "stateFilter.firing": "Firing", "stateFilter.pending": "Pending", "stateFilter.noData": "No data", "stateFilter.normal": "Normal", "stateFilter.error": "Error" })),
  ],
};

const searches: When = (p) => !!p.options.showSearch;
const DASHBOARDS: PanelType = {
  type: "dashlist", title: "Dashboard list", load: list("dashlist"), noQuery: true,
  options: { showStarred: true, showRecentlyViewed: false, showSearch: false, showHeadings: true, showFolderNames: true, includeVars: false, keepTime: false, maxItems: 10, query: "", tags: [] },
  controls: [
    ...under("Dashboard list", ...switches({ keepTime: "Include current time range", includeVars: "Include current variable values", showStarred: "Starred", showRecentlyViewed: "Recently viewed", showSearch: "Search", showHeadings: "Show headings", showFolderNames: "Show folder names" }), number("maxItems", "Most dashboards", 1, 1000)),
    ...under("Search", words("query", "Query", searches), words("folderUID", "Folder (its uid)", searches), lines("tags", "Tags", searches)),
  ],
};

const ANNOTATIONS: PanelType = {
  type: "annolist", title: "Annotations list", load: list("annolist"), noQuery: true,
  options: { onlyFromThisDashboard: false, onlyInTimeRange: false, tags: [], limit: 10, showUser: true, showTime: true, showTags: true, navigateToPanel: true, navigateBefore: "10m", navigateAfter: "10m" },
  controls: [
    ...under("Annotations", ...switches({ onlyFromThisDashboard: "This dashboard only", onlyInTimeRange: "Only in time range", showUser: "Show user", showTime: "Show time", showTags: "Show tags" }), lines("tags", "Tags"), number("limit", "Limit", 1, 1000)),
    ...under("Link", words("navigateBefore", "Time before"), words("navigateAfter", "Time after")),
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
