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
];
void SINGLE_TOOLTIP;
