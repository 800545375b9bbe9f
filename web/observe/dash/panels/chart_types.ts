// chart_types.ts - the panel types that draw on axes: their defaults and what the editor asks of them.
import type { Panel } from "../model";
import type { Choice, Control, PanelType } from "./panel";

const choices = (...texts: [value: string | number | boolean, text: string][]): Choice[] => texts.map(([value, text]) => ({ value, text }));
const custom = "fieldConfig.defaults.custom.";
type Extra = Partial<Control>;

// An option of the panel, and one of the field, which can be overridden.
const option = (path: string, text: string, kind: Control["kind"], extra: Extra = {}): Control => ({ path: `options.${path}`, text, kind, ...extra });
const own = (path: string, text: string, kind: Control["kind"], extra: Extra = {}): Control => ({ path: custom + path, text, kind, override: `custom.${path}`, ...extra });

const customOf = (p: Panel): Record<string, any> => p.fieldConfig?.defaults?.custom ?? {};
const drawn = (...styles: string[]) => (p: Panel): boolean => styles.includes(customOf(p).drawStyle ?? "line");
const legendOn = (p: Panel): boolean => p.options?.legend?.showLegend !== false && p.options?.legend?.displayMode !== "hidden";
const grouped = (group: string, list: Control[]): Control[] => list.map((c) => ({ group, ...c }));

export const LEGEND_OPTIONS = { displayMode: "list", placement: "bottom", showLegend: true, calcs: [] as string[] };
export const TOOLTIP_OPTIONS = { mode: "single", sort: "none", hideZeros: false };

const LEGEND: Control[] = grouped("Legend", [
  option("legend.showLegend", "Visibility", "switch"),
  option("legend.displayMode", "Mode", "select", { choices: choices(["list", "List"], ["table", "Table"]), when: legendOn }),
  option("legend.placement", "Placement", "select", { choices: choices(["bottom", "Bottom"], ["right", "Right"]), when: legendOn }),
  option("legend.width", "Width", "number", { least: 40, most: 2000, when: (p) => legendOn(p) && p.options?.legend?.placement === "right" }),
  option("legend.calcs", "Values", "calcs", { when: legendOn }),
]);

const TOOLTIP: Control[] = grouped("Tooltip", [
  option("tooltip.mode", "Tooltip mode", "select", { choices: choices(["single", "Single"], ["multi", "All"], ["none", "Hidden"]) }),
  option("tooltip.sort", "Values sort order", "select", { choices: choices(["none", "None"], ["asc", "Ascending"], ["desc", "Descending"]), when: (p) => p.options?.tooltip?.mode === "multi" }),
  option("tooltip.hideZeros", "Hide zeros", "switch", { when: (p) => p.options?.tooltip?.mode === "multi" }),
  option("tooltip.maxWidth", "Max width", "number", { least: 50, most: 2000 }),
  option("tooltip.maxHeight", "Max height", "number", { least: 50, most: 2000 }),
]);
const SINGLE_TOOLTIP = TOOLTIP.filter((c) => !c.path.endsWith("hideZeros"));

const AXIS: Control[] = grouped("Axis", [
  own("axisPlacement", "Placement", "select", { choices: choices(["auto", "Auto"], ["left", "Left"], ["right", "Right"], ["hidden", "Hidden"]) }),
  own("axisLabel", "Label", "text"),
  own("axisWidth", "Width", "number", { least: 0, most: 500 }),
  own("axisGridShow", "Show grid lines", "select", { choices: choices([true, "On"], [false, "Off"]) }),
  own("axisColorMode", "Color", "select", { choices: choices(["text", "Text"], ["series", "Series"]) }),
  own("axisBorderShow", "Show border", "switch"),
  own("scaleDistribution.type", "Scale", "select", { choices: choices(["linear", "Linear"], ["log", "Logarithmic"], ["symlog", "Symlog"]), override: "custom.scaleDistribution" }),
  own("scaleDistribution.log", "Log base", "select", { choices: choices([2, "2"], [10, "10"]), override: undefined, when: (p) => ["log", "symlog"].includes(customOf(p).scaleDistribution?.type) }),
  own("scaleDistribution.linearThreshold", "Linear threshold", "number", { override: undefined, when: (p) => customOf(p).scaleDistribution?.type === "symlog" }),
  own("axisCenteredZero", "Centered zero", "switch"),
  own("axisSoftMin", "Soft min", "number"),
  own("axisSoftMax", "Soft max", "number"),
]);

const HIDE: Control[] = grouped("Series", [own("hideFrom", "Hide in area", "multi", { choices: choices(["legend", "Legend"], ["tooltip", "Tooltip"], ["viz", "Visualization"]) })]);
const GRADIENTS = choices(["none", "None"], ["opacity", "Opacity"], ["hue", "Hue"], ["scheme", "Scheme"]);
const THRESHOLD_STYLE = own("thresholdsStyle.mode", "Show thresholds", "select", {
  group: "Thresholds", override: "custom.thresholdsStyle",
  choices: choices(["off", "Off"], ["line", "As lines"], ["dashed", "As lines (dashed)"], ["area", "As filled regions"], ["line+area", "As filled regions and lines"], ["dashed+area", "As filled regions and lines (dashed)"]),
});

const STYLE: Control[] = grouped("Graph styles", [
  own("drawStyle", "Style", "select", { choices: choices(["line", "Lines"], ["bars", "Bars"], ["points", "Points"]) }),
  own("lineInterpolation", "Line interpolation", "select", { choices: choices(["linear", "Linear"], ["smooth", "Smooth"], ["stepBefore", "Step before"], ["stepAfter", "Step after"]), when: drawn("line") }),
  own("barAlignment", "Bar alignment", "select", { choices: choices([-1, "Before"], [0, "Center"], [1, "After"]), when: drawn("bars") }),
  own("barWidthFactor", "Bar width factor", "number", { least: 0.1, most: 1, when: drawn("bars") }),
  own("barMaxWidth", "Bar max width", "number", { least: 1, most: 1000, when: drawn("bars") }),
  own("lineWidth", "Line width", "number", { least: 0, most: 10, when: drawn("line", "bars") }),
  own("fillOpacity", "Fill opacity", "number", { least: 0, most: 100, when: drawn("line", "bars") }),
  own("gradientMode", "Gradient mode", "select", { choices: GRADIENTS, when: drawn("line", "bars") }),
  own("fillBelowTo", "Fill below to", "text", { when: drawn("line") }),
  own("lineStyle.fill", "Line style", "select", { choices: choices(["solid", "Solid"], ["dash", "Dash"], ["dot", "Dots"]), when: drawn("line"), override: "custom.lineStyle" }),
  own("spanNulls", "Connect null values", "select", { choices: choices([false, "Never"], [true, "Always"]), when: drawn("line") }),
  own("insertNulls", "Disconnect values (ms apart)", "number", { least: 1, when: drawn("line") }),
  own("showPoints", "Show points", "select", { choices: choices(["auto", "Auto"], ["always", "Always"], ["never", "Never"]), when: drawn("line") }),
  own("pointSize", "Point size", "number", { least: 1, most: 40, when: drawn("line", "points") }),
]);
const STACK: Control[] = grouped("Graph styles", [
  own("stacking.mode", "Stack series", "select", { choices: choices(["none", "Off"], ["normal", "Normal"], ["percent", "100%"]), override: "custom.stacking" }),
  own("stacking.group", "Stacking group", "text", { override: undefined, when: (p) => !!customOf(p).stacking?.mode && customOf(p).stacking.mode !== "none" }),
]);
const BAR_STYLE: Control[] = grouped("Graph styles", [
  own("lineWidth", "Line width", "number", { least: 0, most: 10 }), own("fillOpacity", "Fill opacity", "number", { least: 0, most: 100 }), own("gradientMode", "Gradient mode", "select", { choices: GRADIENTS }),
]);
const AUTO_VALUES = choices(["auto", "Auto"], ["always", "Always"], ["never", "Never"]);
const calculated = (p: Panel): boolean => !!p.options?.calculate;
// Grafana's names; heat_colors.ts has the colours, loaded with the first heatmap.
const SCHEMES = ("BrBG PRGn PiYG PuOr RdBu RdGy RdYlBu RdYlGn Spectral BuGn BuPu GnBu OrRd PuBu PuBuGn PuRd RdPu YlGn YlGnBu YlOrBr YlOrRd "
  + "Blues Greens Greys Oranges Purples Reds Turbo Cividis Viridis Magma Inferno Plasma Warm Cool Cubehelix Rainbow Sinebow").split(" ");
const TRANSFORM = own("transform", "Transform", "select", { group: "Graph styles", choices: choices(["constant", "Constant"], ["negative-Y", "Negative Y"]) });

const AXIS_CUSTOM = {
  axisPlacement: "auto", axisLabel: "", axisColorMode: "text", axisBorderShow: false, axisCenteredZero: false, scaleDistribution: { type: "linear" },
  hideFrom: { legend: false, tooltip: false, viz: false },
};
const LINE_CUSTOM = {
  ...AXIS_CUSTOM, drawStyle: "line", lineInterpolation: "linear", barAlignment: 0, barWidthFactor: 0.6, lineWidth: 1, fillOpacity: 0, gradientMode: "none", spanNulls: false,
  insertNulls: false, showPoints: "auto", pointSize: 5, stacking: { mode: "none", group: "A" }, thresholdsStyle: { mode: "off" }, lineStyle: { fill: "solid" },
};

export const CHART_TYPES: PanelType[] = [
  {
    type: "timeseries", title: "Time series", load: () => import("./timeseries"),
    options: { legend: LEGEND_OPTIONS, tooltip: TOOLTIP_OPTIONS }, custom: LINE_CUSTOM,
    controls: [...TOOLTIP, ...LEGEND, option("timezone", "Time zone", "multi", { group: "Axis", choices: choices(["", "Default"], ["utc", "UTC"], ["browser", "Browser"]) }), ...AXIS, ...STYLE, ...STACK, TRANSFORM, ...HIDE, THRESHOLD_STYLE],
  },
  {
    type: "trend", title: "Trend", load: () => import("./trend"),
    options: { legend: LEGEND_OPTIONS, tooltip: TOOLTIP_OPTIONS }, custom: LINE_CUSTOM,
    controls: [option("xField", "X field", "field", { group: "Trend" }), ...TOOLTIP, ...LEGEND, ...AXIS, ...STYLE, ...STACK, ...HIDE, THRESHOLD_STYLE],
  },
  {
    type: "barchart", title: "Bar chart", load: () => import("./barchart"),
    options: {
      legend: LEGEND_OPTIONS, tooltip: TOOLTIP_OPTIONS, orientation: "auto", showValue: "auto", stacking: "none", groupWidth: 0.7, barWidth: 0.97, barRadius: 0,
      xTickLabelRotation: 0, xTickLabelSpacing: 0, xTickLabelMaxLength: 0, fullHighlight: false,
    },
    custom: { ...AXIS_CUSTOM, lineWidth: 1, fillOpacity: 80, gradientMode: "none", thresholdsStyle: { mode: "off" } },
    controls: [
      ...grouped("Bar chart", [
        option("xField", "X axis", "field"),
        option("orientation", "Orientation", "select", { choices: choices(["auto", "Auto"], ["horizontal", "Horizontal"], ["vertical", "Vertical"]) }),
        option("xTickLabelRotation", "Rotate x-axis tick labels", "select", { choices: choices([-90, "-90°"], [-60, "-60°"], [-45, "-45°"], [-30, "-30°"], [0, "0°"], [30, "30°"], [45, "45°"], [60, "60°"], [90, "90°"]) }),
        option("xTickLabelMaxLength", "X-axis tick label max length", "number", { least: 0, most: 500 }),
        option("xTickLabelSpacing", "X-axis labels minimum spacing", "number", { least: -300, most: 300 }),
        option("showValue", "Show values", "select", { choices: AUTO_VALUES }),
        option("stacking", "Stacking", "select", { choices: choices(["none", "Off"], ["normal", "Normal"], ["percent", "100%"]) }),
        option("groupWidth", "Group width", "number", { least: 0, most: 1 }), option("barWidth", "Bar width", "number", { least: 0, most: 1 }),
        option("barRadius", "Bar radius", "number", { least: 0, most: 0.5 }), option("colorByField", "Color by field", "field"), option("text.valueSize", "Value size", "number", { least: 6, most: 60 }),
      ]),
      ...TOOLTIP, ...LEGEND, ...AXIS, ...BAR_STYLE, ...HIDE, THRESHOLD_STYLE,
    ],
  },
  {
    type: "histogram", title: "Histogram", load: () => import("./histogram"),
    options: { legend: LEGEND_OPTIONS, tooltip: TOOLTIP_OPTIONS, bucketOffset: 0, bucketCount: 30, combine: false },
    custom: { ...AXIS_CUSTOM, lineWidth: 1, fillOpacity: 80, gradientMode: "none", stacking: { mode: "none", group: "A" } },
    controls: [
      ...grouped("Histogram", [option("bucketCount", "Bucket count", "number", { least: 1, most: 1000 }), option("bucketSize", "Bucket size", "number", { least: 0 }),
        option("bucketOffset", "Bucket offset", "number", { least: 0 }), option("combine", "Combine series", "switch")]),
      ...SINGLE_TOOLTIP, ...LEGEND, ...BAR_STYLE, ...STACK, ...HIDE,
    ],
  },
  {
    type: "heatmap", title: "Heatmap", load: () => import("./heatmap"),
    options: {
      calculate: false, calculation: {}, cellGap: 1, cellValues: {}, color: { mode: "scheme", scheme: "Oranges", fill: "dark-orange", scale: "exponential", exponent: 0.5, steps: 64, reverse: false },
      exemplars: { color: "rgba(255,0,255,0.7)" }, filterValues: { le: 1e-9 }, legend: { show: true }, rowsFrame: { layout: "auto" }, showValue: "never",
      tooltip: { mode: "single", yHistogram: false, showColorScale: false }, yAxis: { axisPlacement: "left", reverse: false, unit: "short" },
    },
    custom: { hideFrom: AXIS_CUSTOM.hideFrom, scaleDistribution: { type: "linear" } },
    controls: [
      ...grouped("Heatmap", [
        option("calculate", "Calculate from data", "switch"),
        option("calculation.xBuckets.mode", "X bucket", "select", { choices: choices(["size", "Size"], ["count", "Count"]), when: calculated }), option("calculation.xBuckets.value", "X buckets: size (ms) or count", "number", { when: calculated }),
        option("calculation.yBuckets.mode", "Y bucket", "select", { choices: choices(["size", "Size"], ["count", "Count"]), when: calculated }), option("calculation.yBuckets.value", "Y buckets: size or count", "number", { when: calculated }),
        option("calculation.yBuckets.scale.type", "Y scale", "select", { choices: choices(["linear", "Linear"], ["log", "Logarithmic"]), when: calculated }),
        option("calculation.yBuckets.scale.log", "Log base", "select", { choices: choices([2, "2"], [10, "10"]), when: (p) => calculated(p) && p.options?.calculation?.yBuckets?.scale?.type === "log" }),
        option("rowsFrame.layout", "Bucket bound", "select", { choices: choices(["auto", "Auto"], ["le", "Upper"], ["ge", "Lower"]), when: (p) => !calculated(p) }),
      ]),
      ...grouped("Y axis", [
        option("yAxis.axisPlacement", "Placement", "select", { choices: choices(["left", "Left"], ["right", "Right"], ["hidden", "Hidden"]) }), option("yAxis.unit", "Unit", "unit"), option("yAxis.decimals", "Decimals", "number", { least: 0, most: 15 }),
        option("yAxis.min", "Min value", "number"), option("yAxis.max", "Max value", "number"), option("yAxis.axisWidth", "Axis width", "number", { least: 0, most: 500 }), option("yAxis.axisLabel", "Axis label", "text"), option("yAxis.reverse", "Reverse", "switch"),
      ]),
      ...grouped("Colors", [
        option("color.mode", "Mode", "select", { choices: choices(["scheme", "Scheme"], ["opacity", "Opacity"]) }), option("color.scheme", "Scheme", "select", { choices: SCHEMES.map((s) => ({ value: s, text: s })), when: (p) => p.options?.color?.mode !== "opacity" }),
        option("color.fill", "Color", "color", { when: (p) => p.options?.color?.mode === "opacity" }), option("color.scale", "Scale", "select", { choices: choices(["exponential", "Exponential"], ["linear", "Linear"]) }),
        option("color.exponent", "Exponent", "number", { least: 0.1, most: 2, when: (p) => p.options?.color?.scale !== "linear" }), option("color.steps", "Steps", "number", { least: 2, most: 128 }), option("color.reverse", "Reverse", "switch"),
        option("color.min", "Start color scale from value", "number"), option("color.max", "End color scale at value", "number"),
      ]),
      ...grouped("Cell display", [
        option("showValue", "Show values", "select", { choices: AUTO_VALUES }), option("cellValues.unit", "Unit", "unit"), option("cellValues.decimals", "Decimals", "number", { least: 0, most: 15 }), option("cellGap", "Cell gap", "number", { least: 0, most: 25 }),
        option("filterValues.le", "Hide cells with values <=", "number"), option("filterValues.ge", "Hide cells with values >=", "number"),
      ]),
      option("tooltip.mode", "Tooltip mode", "select", { group: "Tooltip", choices: choices(["single", "Single"], ["none", "Hidden"]) }), option("tooltip.yHistogram", "Show histogram (Y axis)", "switch", { group: "Tooltip" }),
      option("legend.show", "Show legend", "switch", { group: "Legend" }), option("exemplars.color", "Color", "color", { group: "Exemplars" }),
    ],
  },
  {
    type: "state-timeline", title: "State timeline", load: () => import("./state_timeline"),
    options: { legend: LEGEND_OPTIONS, tooltip: TOOLTIP_OPTIONS, mergeValues: true, showValue: "auto", alignValue: "left", rowHeight: 0.9, perPage: 20 },
    custom: { hideFrom: AXIS_CUSTOM.hideFrom, lineWidth: 0, fillOpacity: 70, spanNulls: false, insertNulls: false, axisPlacement: "auto" },
    controls: [
      ...grouped("State timeline", [option("mergeValues", "Merge equal consecutive values", "switch"), option("showValue", "Show values", "select", { choices: AUTO_VALUES }),
        option("alignValue", "Align values", "select", { choices: choices(["left", "Left"], ["center", "Center"], ["right", "Right"]) }), option("rowHeight", "Row height", "number", { least: 0, most: 1 }), option("perPage", "Page size", "number", { least: 1, most: 1000 }),
        own("lineWidth", "Line width", "number", { least: 0, most: 10 }), own("fillOpacity", "Fill opacity", "number", { least: 0, most: 100 }),
        own("spanNulls", "Connect null values", "select", { choices: choices([false, "Never"], [true, "Always"]) }), own("insertNulls", "Disconnect values (ms apart)", "number", { least: 1 })]),
      ...LEGEND, ...SINGLE_TOOLTIP, ...HIDE,
    ],
  },
  {
    type: "status-history", title: "Status history", load: () => import("./status_history"),
    options: { legend: LEGEND_OPTIONS, tooltip: TOOLTIP_OPTIONS, showValue: "auto", rowHeight: 0.9, colWidth: 0.9, perPage: 20 },
    custom: { hideFrom: AXIS_CUSTOM.hideFrom, lineWidth: 1, fillOpacity: 70, axisPlacement: "auto" },
    controls: [
      ...grouped("Status history", [option("showValue", "Show values", "select", { choices: AUTO_VALUES }), option("rowHeight", "Row height", "number", { least: 0, most: 1 }), option("colWidth", "Column width", "number", { least: 0, most: 1 }),
        option("perPage", "Page size", "number", { least: 1, most: 1000 }), own("lineWidth", "Line width", "number", { least: 0, most: 10 }), own("fillOpacity", "Fill opacity", "number", { least: 0, most: 100 })]),
      ...LEGEND, ...SINGLE_TOOLTIP, ...HIDE,
    ],
  },
  {
    type: "xychart", title: "XY chart", load: () => import("./xychart"),
    options: { legend: LEGEND_OPTIONS, tooltip: TOOLTIP_OPTIONS, mapping: "auto", series: [] },
    custom: { ...AXIS_CUSTOM, show: "points", pointSize: { fixed: 5 }, pointShape: "circle", lineWidth: 1, lineStyle: { fill: "solid" }, fillOpacity: 50 },
    controls: [
      ...grouped("XY chart", [
        option("mapping", "Series mapping", "select", { choices: choices(["auto", "Auto"], ["manual", "Manual"]) }),
        option("series.0.x.matcher.options", "X field", "field"), option("series.0.y.matcher.options", "Y field", "field"), option("series.0.size.matcher.options", "Size field", "field"), option("series.0.color.matcher.options", "Color field", "field"),
        own("show", "Show", "select", { choices: choices(["points", "Points"], ["lines", "Lines"], ["points+lines", "Both"]) }),
        own("pointSize.fixed", "Point size", "number", { least: 1, most: 100 }), own("pointSize.min", "Min point size", "number", { least: 1, most: 100 }), own("pointSize.max", "Max point size", "number", { least: 1, most: 100 }),
        own("pointShape", "Point shape", "select", { choices: choices(["circle", "Circle"], ["square", "Square"]) }), own("fillOpacity", "Fill opacity", "number", { least: 0, most: 100 }),
        own("lineWidth", "Line width", "number", { least: 0, most: 10 }), own("lineStyle.fill", "Line style", "select", { choices: choices(["solid", "Solid"], ["dash", "Dash"], ["dot", "Dots"]), override: "custom.lineStyle" }),
      ]),
      ...SINGLE_TOOLTIP.slice(0, 1), ...LEGEND, ...AXIS, ...HIDE,
    ],
  },
  {
    type: "candlestick", title: "Candlestick", load: () => import("./candlestick"),
    options: { legend: LEGEND_OPTIONS, tooltip: { ...TOOLTIP_OPTIONS, mode: "multi" }, mode: "candles+volume", candleStyle: "candles", colorStrategy: "open-close", colors: { up: "green", down: "red", flat: "gray" }, fields: {}, includeAllFields: false },
    custom: LINE_CUSTOM,
    controls: [
      ...grouped("Candlestick", [
        option("mode", "Mode", "select", { choices: choices(["candles+volume", "Both"], ["candles", "Candles"], ["volume", "Volume"]) }), option("candleStyle", "Candle style", "select", { choices: choices(["candles", "Candles"], ["ohlcbars", "OHLC bars"]) }),
        option("colorStrategy", "Color strategy", "select", { choices: choices(["open-close", "Since open"], ["close-close", "Since prior close"]) }), option("colors.up", "Up color", "color"), option("colors.down", "Down color", "color"), option("colors.flat", "Flat color", "color"),
        ...["open", "high", "low", "close", "volume"].map((f) => option(`fields.${f}`, f[0]!.toUpperCase() + f.slice(1), "field")),
      ]),
      ...SINGLE_TOOLTIP.slice(0, 1), ...AXIS,
    ],
  },
];
