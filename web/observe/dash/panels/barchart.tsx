// barchart.tsx - numbers of named things as bars: one group of bars for each row of the table, one bar
// in it for each column.
import { useMemo, useState } from "preact/hooks";
import { isDark } from "../../base/store";
import { timeParts } from "../../base/time";
import { Plot } from "../../parts/plot";
import { type Axis, rangeOf, textWidth } from "../../parts/plot_axes";
import { type Bar, Bars } from "../../parts/plot_bars";
import { joinTimes, type Pile, pileUp, type Values } from "../../parts/plot_math";
import { LEAST_LINE, paletteColor, readable } from "../color";
import { linksOf } from "../fields";
import { type Field, type Frame, shownText } from "../frame";
import type { Bag } from "../model";
import type { PanelProps } from "./panel";
import { Nothing, PlotPanel, tooltipOf, useOff } from "./plot_panel";
import { axisOf, type AxisSpec, seriesColor, textOf, thresholdStops, titleOf } from "./series";

// By its place among the bars, not among all columns.
export const placeColor = (f: Field, k: number, dark: boolean): string => {
  const mode = f.config.color?.mode ?? "palette-classic";
  return mode === "palette-classic" || mode === "palette-colorblind" ? readable(paletteColor(k, dark, mode), dark, LEAST_LINE) : seriesColor(f, dark);
};

interface Table { names: string[]; short?: string[]; fields: Field[]; columns: Values[]; rows: boolean }

// The table whose rows are drawn: names of one column, numbers of the others.
function tableOf(frames: Frame[], options: Bag): Table | undefined {
  const used = frames.filter((f) => f.kind !== "exemplars" && f.fields.some((x) => x.type === "number"));
  const wanted: string | undefined = options.xField;
  const named = (f: Frame) => f.fields.find((x) => wanted && (titleOf(x) === wanted || x.name === wanted)) ?? f.fields.find((x) => x.type === "string") ?? f.fields.find((x) => x.type === "time");
  const first = used[0];
  if (!first) return undefined;
  const brief = (x: Field | undefined) => (x?.type !== "time" ? undefined : (x.values as number[]).map((t) => { const p = timeParts(t); return `${p.date.slice(5)} ${p.time.slice(0, 5)}`; }));
  const text = (x: Field, v: Field["values"][number]) => (x.show ? shownText(x.show(v)) : String(v));
  if (used.length === 1) {
    const x = named(first);
    const fields = first.fields.filter((f) => f !== x && f.type === "number");
    return { names: x ? x.values.map((v) => text(x, v)) : Array.from({ length: first.length }, (_, i) => String(i + 1)), short: brief(x), fields, columns: fields.map((f) => f.values as Values), rows: true };
  }
  const xs = used.map(named);
  const numbers = (f: Frame, x: Field | undefined): Field[] => f.fields.filter((y) => y !== x && y.type === "number");
  if (xs.every((x) => x?.type === "time")) {
    const joined = joinTimes(used.map((f, i) => ({ times: xs[i]!.values as number[], columns: numbers(f, xs[i]).map((y) => y.values as Values) })));
    return { names: joined.times.map((t) => text(xs[0]!, t)), short: brief({ ...xs[0]!, values: joined.times }), fields: used.flatMap((f, i) => numbers(f, xs[i])), columns: joined.columns, rows: false };
  }
  const names = [...new Set(xs.flatMap((x) => (x ? x.values.map((v) => text(x, v)) : [])))];
  const fields = used.flatMap((f, i) => numbers(f, xs[i]));
  const columns = used.flatMap((f, i) => numbers(f, xs[i]).map((y): Values => {
    const byName = new Map(xs[i]?.values.map((v, k) => [text(xs[i]!, v), y.values[k] as number]));
    return names.map((n) => byName.get(n));
  }));
  return { names, fields, columns, rows: false };
}

interface Drawn { bars: Bar[]; axes: AxisSpec[]; ends: [number, number][] }

function barsOf(table: Table, shown: number[], options: Bag, dark: boolean, colorField: Field | undefined): Drawn {
  const stacking = options.stacking ?? "none";
  const axes: AxisSpec[] = [];
  const axisAt = shown.map((k) => {
    const spec = axisOf(stacking === "percent" ? { ...table.fields[k]!, config: { ...table.fields[k]!.config, custom: { ...table.fields[k]!.config.custom, stacking: { mode: "percent" } } } } : table.fields[k]!, axes.some((a) => a.axis.side === "left"));
    const found = axes.findIndex((a) => a.key === spec.key);
    return found >= 0 ? found : axes.push(spec) - 1;
  });
  const piles = stacking === "none" ? undefined : pileUp(shown.map((k): Pile => ({ values: table.columns[k]!, group: "all", percent: stacking === "percent" })), table.names.length);
  const group = Math.max(0.05, Math.min(1, options.groupWidth ?? 0.7));
  const width = Math.max(0.05, Math.min(1, options.barWidth ?? 0.97));
  const slots = piles ? 1 : shown.length;
  const ends = axes.map((): [number, number] => [0, 0]);
  const bars: Bar[] = [];
  shown.forEach((k, s) => {
    const field = table.fields[k]!;
    const whole = placeColor(field, k, dark);
    const byValue = /^(thresholds|continuous)/.test(field.config.color?.mode ?? "") || !!field.config.mappings?.length;
    const text = textOf(field);
    for (let c = 0; c < table.names.length; c++) {
      const v = table.columns[k]![c];
      if (v === null || v === undefined || !Number.isFinite(v)) continue;
      const slot = (1 / slots) * group;
      const left = c - group / 2 + (piles ? 0 : s * slot) + (slot * (1 - width)) / 2;
      const [base, top] = piles ? [piles[s]!.base[c]!, piles[s]!.top[c]!] : [0, v];
      const e = ends[axisAt[s]!]!;
      e[0] = Math.min(e[0], base, top);
      e[1] = Math.max(e[1], base, top);
      const color = colorField?.show ? colorField.show(colorField.values[c]).color : byValue && field.show ? readable(field.show(v).color, dark, 3) : whole;
      bars.push({ category: c, series: s, from: left, to: left + slot * width, base, top, axis: axisAt[s]!, color, text: text(v) });
    }
  });
  return { bars, axes, ends };
}

const cut = (name: string, most: number): string => (most > 0 && name.length > most ? `${name.slice(0, most)}…` : name);

export default function BarChart(props: PanelProps) {
  const { panel, frames, width, height } = props;
  const { options } = panel;
  const dark = isDark.value;
  const table = useMemo(() => tableOf(frames, options), [frames, options]);
  const [off, pick] = useOff(table?.fields.filter((f) => f.config.custom?.hideFrom?.viz).map(titleOf) ?? []);
  const [focus, setFocus] = useState<number>();
  const lying = options.orientation === "horizontal" || ((options.orientation ?? "auto") === "auto" && width < height);
  const drawn = useMemo(() => {
    if (!table) return undefined;
    const colorField = frames.flatMap((f) => f.fields).find((f) => options.colorByField && (titleOf(f) === options.colorByField || f.name === options.colorByField));
    const shown = table.fields.map((_, i) => i).filter((i) => !off.has(titleOf(table.fields[i]!)) && !(colorField && table.fields[i] === colorField && table.fields.length > 1));
    const { bars, axes, ends } = barsOf(table, shown, options, dark, colorField);
    const values = axes.map((a, i): Axis => {
      const kind = a.axis.kind;
      const [min, max] = a.percent ? [Math.min(0, ends[i]![0]), ends[i]![1] > 0 ? 1 : 0] : rangeOf(kind === "log" ? Math.min(...bars.filter((b) => b.axis === i && b.top > 0).map((b) => b.top)) : ends[i]![0], ends[i]![1], kind, a.axis.base ?? 10, a.limits);
      return { ...a.axis, min, max, grid: a.axis.grid ?? i === 0 };
    });
    // Room for what is written at the ends.
    const room = Math.min(0.4, (textWidth(bars.slice(0, 200).map((b) => b.text)) + 10) / (0.6 * width));
    if (options.showValue !== "never") values.forEach((a, i) => { if (a.kind === "linear" && axes[i]!.limits.max === undefined && !axes[i]!.percent && ends[i]![1] > 0) a.max = Math.max(a.max, ends[i]![1] * (lying ? 1 / (1 - room) : 1.08)); });
    const names = (table.short ?? table.names).map((n) => cut(n, Number(options.xTickLabelMaxLength) || 0));
    const categories: Axis = { kind: "names", names, min: 0, max: 0, grid: false, reverse: lying, rotate: lying ? 0 : Number(options.xTickLabelRotation) || 0, spacing: lying ? 0 : Number(options.xTickLabelSpacing) || 0 };
    const custom = table.fields[0]?.config.custom ?? {};
    const layer = new Bars({
      bars, lying, categories: table.names.map((name, at) => ({ at, name })), radius: options.barRadius ?? 0, fill: (custom.fillOpacity ?? 80) / 100, border: custom.lineWidth ?? 1,
      gradient: custom.gradientMode ?? "none", values: options.showValue ?? "auto", valueSize: options.text?.valueSize, ...tooltipOf(options),
      series: shown.map((k) => ({ name: titleOf(table.fields[k]!), color: placeColor(table.fields[k]!, k, dark), inTip: !table.fields[k]!.config.custom?.hideFrom?.tooltip,
        links: table.fields[k]!.config.links?.length ? (c: number) => linksOf(table.fields[k]!, table.rows ? c : undefined) : undefined })),
      thresholds: axes.flatMap((a, axis) => {
        const style = a.field.config.custom?.thresholdsStyle?.mode;
        return style && style !== "off" ? [{ axis, style, steps: thresholdStops(a.field.config, dark, values[axis]!.min, values[axis]!.max) }] : [];
      }),
    });
    if (!values.length) values.push({ kind: "linear", min: 0, max: 1 });
    return lying ? { x: { ...values[0]!, side: undefined }, ys: [categories], layer, shown } : { x: categories, ys: values, layer, shown };
  }, [table, options, off, dark, lying, Math.round(width / 50)]);
  const entries = useMemo(() => (table?.fields ?? []).filter((f) => !f.config.custom?.hideFrom?.legend && !(options.colorByField && titleOf(f) === options.colorByField)).map((f) => ({ name: titleOf(f), color: placeColor(f, table!.fields.indexOf(f), dark), field: f, off: off.has(titleOf(f)) })), [table, off, dark]);
  if (!table || !drawn || !table.names.length) return <Nothing width={width} height={height}>{frames.length ? "No numeric fields" : "No data"}</Nothing>;
  return (
    <PlotPanel props={props} entries={entries} onPick={(i, one) => pick(entries[i]!.name, table.fields.map(titleOf), one)}
      onFocus={(i) => { const k = i === undefined ? -1 : drawn.shown.findIndex((s) => titleOf(table.fields[s]!) === entries[i]!.name); setFocus(k < 0 ? undefined : k); }}>
      <Plot x={drawn.x} ys={drawn.ys} layer={drawn.layer} focus={focus}
        label={`${panel.title || "Bar chart"}: bars of ${table.names.length} rows and ${table.fields.length === 1 ? "one column" : `${table.fields.length} columns`}. Arrow keys move the cursor.`} />
    </PlotPanel>
  );
}
