// series_panel.tsx - lines, bars and points of fields over a common x, with their legend: the body of
// time series and of trends, which differ in what x is.
import { useMemo, useState } from "preact/hooks";
import { isDark } from "../../base/store";
import { Late } from "../../parts/late";
import { firstTime } from "../../parts/late_math";
import { Plot } from "../../parts/plot";
import type { Axis } from "../../parts/plot_axes";
import { Lines } from "../../parts/plot_lines";
import type { Field, Frame } from "../frame";
import { cssColor } from "../color";
import type { PanelProps } from "./panel";
import { Nothing, PlotPanel, tooltipOf, useOff, zoomedOut } from "./plot_panel";
import { modelOf, seen } from "./series";

export interface SeriesProps {
  props: PanelProps;
  x?: (frame: Frame) => Field | undefined; // the time without
  axis: (xs: number[], field: Field | undefined) => Axis;
  title: (x: number, field: Field | undefined) => string;
  frames?: Frame[];
}

export function SeriesPanel({ props, x, axis, title, frames = props.frames }: SeriesProps) {
  const { panel, marks, scope, width, height } = props;
  const dark = isDark.value;
  const model = useMemo(() => modelOf(frames, { dark, x }), [frames, dark, x]);
  const [off, pick] = useOff(model.lines.filter((l) => l.offAtFirst).map((l) => l.name));
  const [focus, setFocus] = useState<number>();
  const colored = useMemo(() => marks.map((m) => ({ ...m, color: cssColor(m.color, dark) })), [marks, dark]);
  const visible = useMemo(() => seen(model, off, dark), [model, off, dark]);
  const xField = useMemo(() => { for (const f of frames) { const found = x?.(f); if (found) return found; } return undefined; }, [frames, x]);
  const across = useMemo(() => axis(model.xs, xField), [model, xField, scope.from, scope.to, JSON.stringify(panel.options.timezone)]);
  const layer = useMemo(() => new Lines({
    ...tooltipOf(panel.options), times: model.xs, lines: visible.lines, title: (v) => title(v, xField), thresholds: visible.thresholds,
    marks: across.kind === "time" ? colored : [], exemplars: visible.ys.length ? model.exemplars : [],
  }, visible.piles), [visible, colored, across, panel.options]);
  const entries = useMemo(() => model.lines.filter((l) => l.inLegend).map((l) => ({ name: l.name, color: l.color, field: l.field, dashed: !!l.style.dash, off: off.has(l.name) })), [model, off]);
  const first = useMemo(() => (across.kind === "time" && !panel.timeFrom && !panel.timeShift ? firstTime(model.xs, model.lines) : undefined), [model, across.kind]);
  if (!model.lines.length) return <Nothing width={width} height={height}>{frames.length ? "No numeric fields" : "No data"}</Nothing>;
  const place = (i: number | undefined) => (i === undefined ? undefined : visible.lines.findIndex((l) => l.name === entries[i]!.name));
  return (
    <PlotPanel props={props} entries={entries} onPick={(i, one) => pick(entries[i]!.name, model.lines.map((l) => l.name), one)}
      onFocus={(i) => { const at = place(i); setFocus(at === undefined || at < 0 ? undefined : at); }}>
      <Plot x={across} ys={visible.ys} layer={layer} focus={focus} marks={across.kind === "time" ? colored : undefined} group={props.tooltipGroup}
        onRange={across.kind === "time" ? props.onRange : undefined} onZoomOut={across.kind === "time" ? zoomedOut(props) : undefined}
        label={`${panel.title || "Chart"}: ${model.lines.length === 1 ? "one series" : `${model.lines.length} series`}. Arrow keys move the cursor.`} />
      <Late first={first} from={scope.from} end={scope.to} />
    </PlotPanel>
  );
}
