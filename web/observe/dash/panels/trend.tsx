// trend.tsx - series over something that ascends and is not the time: a size, a rank, an age.
import { useMemo } from "preact/hooks";
import { rangeOf } from "../../parts/plot_axes";
import { stepsFor } from "../../parts/plot_math";
import type { Field, Frame } from "../frame";
import type { PanelProps } from "./panel";
import { Nothing } from "./plot_panel";
import { SeriesPanel } from "./series_panel";
import { textOf, tickTextOf, titleOf } from "./series";

export default function Trend(props: PanelProps) {
  const wanted: string | undefined = props.panel.options.xField;
  const pick = useMemo(() => (frame: Frame): Field | undefined =>
    frame.fields.find((f) => f.type === "number" && (wanted ? titleOf(f) === wanted || f.name === wanted : true)), [wanted]);
  const x = props.frames.map(pick).find(Boolean);
  if (!x) return <Nothing width={props.width} height={props.height}>{wanted ? `Field "${wanted}" not found` : "No numeric fields"}</Nothing>;
  return (
    <SeriesPanel props={props} x={pick} title={(v, f) => (f ? `${titleOf(f)} ${textOf(f)(v)}` : String(v))}
      axis={(xs, f) => {
        const c = f?.config.custom ?? {};
        const kind = c.scaleDistribution?.type === "log" ? "log" : "linear";
        const lo = f?.config.min ?? xs[0] ?? 0;
        const hi = f?.config.max ?? xs[xs.length - 1] ?? 1;
        const [min, max] = lo < hi && !(kind === "log" && lo <= 0) ? [lo, hi] : rangeOf(lo, hi, kind, 10, {});
        return { kind, min, max, text: f ? tickTextOf(f) : String, label: c.axisLabel || undefined, steps: stepsFor(f?.config.unit) };
      }} />
  );
}
