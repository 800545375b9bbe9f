// timeseries.tsx - series over time.
import { timeIn } from "../../base/zone";
import type { PanelProps } from "./panel";
import { zonesOf } from "./plot_panel";
import { SeriesPanel } from "./series_panel";

export default function TimeSeries(props: PanelProps) {
  const zones = zonesOf(props);
  const { from, to } = props.scope;
  return <SeriesPanel props={props} title={(ms) => timeIn(ms, zones[0]!)} axis={() => ({ kind: "time", min: from, max: to > from ? to : from + 1, zones })} />;
}
