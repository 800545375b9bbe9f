// series.ts - the fields of frames as lines of a plot: a common row of times, axes by unit and scale,
// styles and colours as the field options say. Shared by the panels that draw series.
import type { Axis, Limits } from "../../parts/plot_axes";
import { rangeOf } from "../../parts/plot_axes";
import type { Stops, Thresholds } from "../../parts/plot_ink";
import { type Exemplar, LINE, type LineStyle, pileLines, type PlotLine } from "../../parts/plot_lines";
import { joinTimes, type Piled, stepsFor, type Values } from "../../parts/plot_math";
import { cssColor, LEAST_LINE, readable, scheme } from "../color";
import { linksOf, seriesColor as fieldColor } from "../fields";
import type { Field, Frame } from "../frame";
import { shownText } from "../frame";
import type { Bag, FieldOptions } from "../model";
import { formatValue } from "../units";

export interface SeriesLine extends PlotLine {
  field: Field;
  inLegend: boolean;
  offAtFirst: boolean; // hidden until its name is clicked
}

export interface Model {
  xs: number[];
  lines: SeriesLine[];
  axes: AxisSpec[];
  exemplars: Exemplar[];
}

export interface AxisSpec { // of which the range is yet to be found
  key: string;
  axis: Axis;
  limits: Limits;
  fromZero: boolean;
  percent: boolean;
  field: Field;
}

const custom = (f: Field): Bag => f.config.custom ?? {};
export const titleOf = (f: Field): string => f.title ?? f.config.displayName ?? f.name;

export const textOf = (f: Field) => (v: number): string => (f.show ? shownText(f.show(v)) : String(v));

// One colour for a whole series, as a line that can be seen on the card.
export const seriesColor = (f: Field, dark: boolean): string => readable(fieldColor(f), dark, LEAST_LINE);

export function thresholdStops(config: FieldOptions, dark: boolean, lo: number, hi: number): { value: number; color: string }[] {
  const percentage = config.thresholds?.mode === "percentage";
  const min = config.min ?? lo;
  const max = config.max ?? hi;
  return (config.thresholds?.steps ?? []).map((s) => ({
    value: s.value === null || s.value === undefined ? -Infinity : percentage ? min + ((max - min) * s.value) / 100 : s.value, color: cssColor(s.color, dark),
  }));
}

// The colours up the axis of a line whose colour goes by value.
function stopsOf(f: Field, dark: boolean, lo: number, hi: number): Stops | undefined {
  const mode = f.config.color?.mode ?? "";
  if (mode === "thresholds") return { hard: true, stops: thresholdStops(f.config, dark, lo, hi) };
  if (!mode.startsWith("continuous-")) return undefined;
  const min = f.config.min ?? lo;
  const max = f.config.max ?? hi;
  return { hard: false, stops: Array.from({ length: 9 }, (_, i) => ({ value: min + ((max - min) * i) / 8, color: scheme(mode, i / 8, dark) })) };
}

const number = (v: unknown): number | undefined => (typeof v === "number" && Number.isFinite(v) ? v : undefined);

function dashOf(style: Bag | undefined, width: number): number[] | undefined {
  if (style?.fill === "dash") return style.dash?.length ? style.dash : [10, 10];
  if (style?.fill === "dot") return [0, style.dash?.[1] ?? Math.max(4, width * 2.5)];
  return style?.fill === "square" ? style.dash ?? [width, width] : undefined;
}

export function styleOf(f: Field): LineStyle {
  const c = custom(f);
  const width = number(c.lineWidth) ?? 1;
  const stack = c.stacking ?? {};
  const stacked = stack.mode === "normal" || stack.mode === "percent";
  const span = c.spanNulls;
  return {
    ...LINE, draw: c.drawStyle ?? "line", curve: c.lineInterpolation ?? "linear", width, dash: dashOf(c.lineStyle, width), fill: (number(c.fillOpacity) ?? 0) / 100,
    gradient: c.gradientMode ?? "none", points: c.showPoints ?? "auto", pointSize: number(c.pointSize) ?? 5,
    join: span === true ? Infinity : typeof span === "number" ? span : 0, breakAt: typeof c.insertNulls === "number" ? c.insertNulls : Infinity,
    barAlign: c.barAlignment ?? 0, barFactor: number(c.barWidthFactor) ?? 0.6, barMax: number(c.barMaxWidth) ?? 200,
    pile: stacked ? stack.group ?? "A" : undefined, percent: stack.mode === "percent",
  };
}

function transformed(values: Values, how: string | undefined): Values {
  if (how === "negative-Y") return Array.from(values, (v) => (v === null || v === undefined ? v : -v));
  if (how !== "constant") return values;
  const first = Array.from(values).find((v) => v !== null && v !== undefined);
  return Array.from(values, () => first);
}

// ---- axes

export function axisOf(f: Field, right: boolean): AxisSpec {
  const c = custom(f);
  const distribution = c.scaleDistribution ?? {};
  const percent = c.stacking?.mode === "percent";
  const place = c.axisPlacement === "auto" || !c.axisPlacement ? (right ? "right" : "left") : c.axisPlacement;
  const unit = f.config.unit;
  const kind: Axis["kind"] = distribution.type === "log" ? "log" : distribution.type === "symlog" ? "symlog" : "linear";
  const limits: Limits = { min: number(f.config.min), max: number(f.config.max), softMin: number(c.axisSoftMin), softMax: number(c.axisSoftMax), centered: !!c.axisCenteredZero };
  if (percent) Object.assign(limits, { min: number(f.config.min) ?? undefined, softMin: 0, softMax: 1, max: number(f.config.max) ?? undefined });
  const text = percent ? (v: number) => `${Math.round(v * 1000) / 10}%` : tickTextOf(f);
  return {
    key: [unit, kind, distribution.log, limits.min, limits.max, limits.softMin, limits.softMax, limits.centered, c.axisPlacement, c.axisLabel, percent].join("|"),
    limits, percent, field: f, fromZero: false,
    axis: {
      kind, min: 0, max: 1, base: distribution.log === 2 ? 2 : 10, threshold: number(distribution.linearThreshold) ?? 1, text,
      label: c.axisLabel || undefined, side: place === "hidden" ? "hidden" : place === "right" ? "right" : "left", grid: c.axisGridShow ?? undefined,
      border: c.axisBorderShow || undefined, size: number(c.axisWidth), steps: stepsFor(percent ? undefined : unit, f.config.decimals === 0),
    },
  };
}

// Ticks have values mapped as the field's are; else plain numbers in its unit.
const PLAIN = new Set(["none", "short", "percent"]); // units that scale nothing below a thousand
export function tickTextOf(f: Field): (v: number, decimals?: number) => string {
  if (f.config.mappings?.length) return textOf(f);
  const plain = !f.config.unit || PLAIN.has(f.config.unit);
  return (v, decimals) => shownText({ ...formatValue(f.config.unit, v, f.config.decimals ?? (plain && Math.abs(v) < 1000 ? decimals : undefined)), number: v, color: "" });
}

// ---- the model

export interface ModelOptions { dark: boolean; x?: (frame: Frame) => Field | undefined }

export const timeField = (frame: Frame): Field | undefined => frame.fields.find((f) => f.type === "time");

export function modelOf(frames: Frame[], { dark, x = timeField }: ModelOptions): Model {
  const used = frames.filter((f) => f.kind !== "exemplars").map((frame) => ({ frame, x: x(frame) })).filter((u) => u.x && u.frame.fields.some((f) => f !== u.x && f.type === "number"));
  const joined = joinTimes(used.map(({ frame, x: at }) => ({
    times: at!.values as number[], columns: frame.fields.filter((f) => f !== at && f.type === "number").map((f) => f.values as Values),
  })));
  const fields = used.flatMap(({ frame, x: at }) => frame.fields.filter((f) => f !== at && f.type === "number"));
  const axes: AxisSpec[] = [];
  const byKey = new Map<string, number>();
  const styles = new Map<FieldOptions["custom"], LineStyle>();
  const lines = fields.map((field, i): SeriesLine => {
    const c = custom(field);
    let spec = axisOf(field, axes.some((a) => a.axis.side === "left"));
    let axis = byKey.get(spec.key);
    if (axis === undefined) {
      axis = axes.push(spec) - 1;
      byKey.set(spec.key, axis);
    } else spec = axes[axis]!;
    if (c.axisColorMode === "series" && !spec.axis.color) spec.axis.color = seriesColor(field, dark);
    if (c.drawStyle === "bars" || (c.stacking?.mode && c.stacking.mode !== "none")) spec.fromZero = true;
    const style = styles.get(field.config.custom) ?? styleOf(field);
    if (field.config.custom) styles.set(field.config.custom, style);
    const hide = c.hideFrom ?? {};
    return {
      name: titleOf(field), color: seriesColor(field, dark), values: transformed(joined.columns[i]!, c.transform), axis, style, text: textOf(field), field,
      links: field.config.links?.length ? (k) => linksOf(field, rowOf(used, field, joined.times[k]!)) : undefined, inTip: !hide.tooltip, inLegend: !hide.legend, offAtFirst: !!hide.viz,
    };
  });
  return { xs: joined.times, lines, axes, exemplars: exemplarsOf(frames) };
}

// The row of a field's own frame that a time is in.
function rowOf(used: { frame: Frame; x: Field | undefined }[], field: Field, at: number): number | undefined {
  const row = used.find((u) => u.frame.fields.includes(field))?.x?.values.indexOf(at);
  return row === undefined || row < 0 ? undefined : row;
}

function exemplarsOf(frames: Frame[]): Exemplar[] {
  return frames.filter((f) => f.kind === "exemplars").flatMap((frame) => {
    const at = timeField(frame);
    const value = frame.fields.find((f) => f.type === "number");
    if (!at || !value) return [];
    const rest = frame.fields.filter((f) => f !== at && f !== value);
    return Array.from({ length: frame.length }, (_, i): Exemplar => ({
      at: Number(at.values[i]), value: Number(value.values[i]), axis: 0, text: textOf(value)(Number(value.values[i])),
      labels: Object.fromEntries(rest.filter((f) => f.values[i] !== null && f.values[i] !== undefined && f.values[i] !== "").map((f) => [f.name, String(f.values[i])])),
    }));
  });
}

// ---- what is seen: ranges of the axes, thresholds, colours by value

export interface Seen { lines: SeriesLine[]; piles: (Piled | undefined)[]; ys: Axis[]; thresholds: Thresholds[] }

export function seen(model: Model, off: ReadonlySet<string>, dark: boolean): Seen {
  const lines = model.lines.filter((l) => !off.has(l.name));
  const piles = pileLines(lines, model.xs.length);
  const ends = model.axes.map((): [number, number] => [Infinity, -Infinity]);
  lines.forEach((l, i) => {
    const values = piles[i]?.top ?? l.values;
    const log = model.axes[l.axis]!.axis.kind === "log";
    const e = ends[l.axis]!;
    for (let k = 0; k < values.length; k++) {
      const v = values[k];
      if (v === null || v === undefined || !Number.isFinite(v) || (log && v <= 0)) continue;
      if (v < e[0]) e[0] = v;
      if (v > e[1]) e[1] = v;
    }
  });
  const ys = model.axes.map((a, i): Axis => {
    const e = ends[i]!;
    if (a.fromZero && a.axis.kind !== "log" && e[0] <= e[1]) {
      e[0] = Math.min(e[0], 0);
      e[1] = Math.max(e[1], 0);
    }
    const [min, max] = a.percent ? [a.limits.min ?? Math.min(0, Math.floor(e[0] + 1e-6)), a.limits.max ?? (e[1] > 0 ? 1 : 0)] : rangeOf(e[0], e[1], a.axis.kind, a.axis.base ?? 10, a.limits);
    return { ...a.axis, min, max };
  });
  for (const l of lines) {
    if (l.style.gradient === "scheme") l.stops = stopsOf(l.field, dark, ys[l.axis]!.min, ys[l.axis]!.max);
    const below = custom(l.field).fillBelowTo;
    const to = below ? lines.findIndex((o) => o.name === below || o.field.name === below) : -1;
    l.fillTo = to < 0 ? undefined : to;
  }
  const thresholds = model.axes.flatMap((a, axis): Thresholds[] => {
    const style = custom(a.field).thresholdsStyle?.mode;
    return style && style !== "off" ? [{ axis, style, steps: thresholdStops(a.field.config, dark, ys[axis]!.min, ys[axis]!.max) }] : [];
  });
  return { lines, piles, ys, thresholds };
}
