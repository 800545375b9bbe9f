// histogram.tsx - how values are spread: how many of them, over all times, fall into each bucket. Frames
// that are buckets already (a field of lower bounds, one of counts) are drawn as they are.
import { useMemo, useState } from "preact/hooks";
import { isDark } from "../../base/store";
import { Plot } from "../../parts/plot";
import { type Axis, rangeOf } from "../../parts/plot_axes";
import { type Bar, Bars } from "../../parts/plot_bars";
import { bucketsOf, pileUp, stepsFor, type Values } from "../../parts/plot_math";
import type { Field, Frame } from "../frame";
import type { Bag } from "../model";
import type { PanelProps } from "./panel";
import { Nothing, PlotPanel, tooltipOf, useOff } from "./plot_panel";
import { seriesColor, textOf, tickTextOf, titleOf } from "./series";

interface Made { from: number[]; to: number[]; counts: number[][]; fields: Field[]; names: string[] }

// The histogram transformation's frames: xMin, xMax and counts.
function ready(frames: Frame[]): Made | undefined {
  const frame = frames.find((f) => f.fields.some((x) => x.name === "xMin") && f.fields.some((x) => x.name === "xMax"));
  if (!frame) return undefined;
  const by = (name: string) => frame.fields.find((x) => x.name === name)!.values as number[];
  const fields = frame.fields.filter((x) => x.type === "number" && x.name !== "xMin" && x.name !== "xMax");
  return { from: by("xMin"), to: by("xMax"), counts: fields.map((f) => f.values as number[]), fields, names: fields.map(titleOf) };
}

function made(frames: Frame[], options: Bag): Made | undefined {
  const is = ready(frames);
  if (is) return is;
  const fields = frames.filter((f) => f.kind !== "exemplars").flatMap((f) => f.fields.filter((x) => x.type === "number"));
  if (!fields.length) return undefined;
  const series = options.combine ? [fields.flatMap((f) => f.values as (number | null)[])] : fields.map((f) => f.values as Values);
  const size = Number(options.bucketSize) || undefined;
  const wanted = Number(options.bucketCount) || 0;
  const b = bucketsOf(series, size ?? (wanted ? spanOf(series) / wanted || undefined : undefined), Number(options.bucketOffset) || 0);
  if (!b.from.length) return undefined;
  return { from: b.from, to: b.from.map((v) => Number((v + b.size).toPrecision(12))), counts: b.counts, fields: options.combine ? [fields[0]!] : fields, names: options.combine ? ["All"] : fields.map(titleOf) };
}

function spanOf(series: Values[]): number {
  let [lo, hi] = [Infinity, -Infinity];
  for (const s of series) for (let i = 0; i < s.length; i++) if (typeof s[i] === "number" && Number.isFinite(s[i])) {
    lo = Math.min(lo, s[i]!);
    hi = Math.max(hi, s[i]!);
  }
  return hi - lo;
}

export default function Histogram(props: PanelProps) {
  const { panel, frames, width, height } = props;
  const { options } = panel;
  const dark = isDark.value;
  const [focus, setFocus] = useState<number>();
  const data = useMemo(() => made(frames, options), [frames, options]);
  const [off, pick] = useOff(data?.fields.filter((f) => f.config.custom?.hideFrom?.viz).map(titleOf) ?? []);
  const drawn = useMemo(() => {
    if (!data) return undefined;
    const shown = data.names.map((_, i) => i).filter((i) => !off.has(data.names[i]!));
    const custom = data.fields[0]!.config.custom ?? {};
    const mode = custom.stacking?.mode ?? "none";
    const piles = mode === "none" ? undefined : pileUp(shown.map((k) => ({ values: data.counts[k]!, group: "all", percent: mode === "percent" })), data.from.length);
    const bars: Bar[] = [];
    let most = 0;
    shown.forEach((k, s) => data.from.forEach((from, c) => {
      const n = data.counts[k]![c] ?? 0;
      if (!n) return;
      const [base, top] = piles ? [piles[s]!.base[c]!, piles[s]!.top[c]!] : [0, n];
      most = Math.max(most, top);
      bars.push({ category: c, series: s, from, to: data.to[c]!, base, top, axis: 0, color: seriesColor(data.fields[k]!, dark), text: String(n) });
    }));
    const text = textOf(data.fields[0]!);
    const [min, max] = mode === "percent" ? [0, 1] : rangeOf(0, most, "linear", 10, { softMin: custom.axisSoftMin, softMax: custom.axisSoftMax });
    const x: Axis = { kind: "linear", min: data.from[0]!, max: data.to[data.to.length - 1]!, text: tickTextOf(data.fields[0]!), steps: stepsFor(data.fields[0]!.config.unit), grid: false };
    const y: Axis = { kind: "linear", min, max, steps: mode === "percent" ? undefined : stepsFor(undefined, true), text: (v) => (mode === "percent" ? `${Math.round(v * 100)}%` : String(v)), label: custom.axisLabel || undefined,
      side: custom.axisPlacement === "hidden" ? "hidden" : custom.axisPlacement === "right" ? "right" : "left" };
    const layer = new Bars({
      bars, lying: false, categories: data.from.map((from, c) => ({ at: (from + data.to[c]!) / 2, name: `${text(from)} to ${text(data.to[c]!)}` })), radius: 0, values: "never",
      fill: (custom.fillOpacity ?? 80) / 100, border: custom.lineWidth ?? 1, gradient: custom.gradientMode ?? "none", ...tooltipOf(options), mode: options.tooltip?.mode === "none" ? "none" : "multi",
      series: shown.map((k) => ({ name: data.names[k]!, color: seriesColor(data.fields[k]!, dark), inTip: !data.fields[k]!.config.custom?.hideFrom?.tooltip })),
    });
    return { x, ys: [y], layer, shown };
  }, [data, off, options, dark]);
  const entries = useMemo(() => (data?.names ?? []).map((name, i) => ({ name, color: seriesColor(data!.fields[i]!, dark), field: data!.fields[i], off: off.has(name) })).filter((_, i) => !data!.fields[i]!.config.custom?.hideFrom?.legend), [data, off, dark]);
  if (!data || !drawn) return <Nothing width={width} height={height}>{frames.length ? "No numeric fields" : "No data"}</Nothing>;
  return (
    <PlotPanel props={props} entries={entries} onPick={(i, one) => pick(entries[i]!.name, data.names, one)}
      onFocus={(i) => { const k = i === undefined ? -1 : drawn.shown.findIndex((s) => data.names[s] === entries[i]!.name); setFocus(k < 0 ? undefined : k); }}>
      <Plot x={drawn.x} ys={drawn.ys} layer={drawn.layer} focus={focus} label={`${panel.title || "Histogram"}: histogram of ${data.from.length} buckets. Arrow keys move the cursor.`} />
    </PlotPanel>
  );
}
