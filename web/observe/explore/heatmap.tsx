// heatmap.tsx - how a histogram's observations lie over time: columns are times, rows buckets, darker
// is more. The same drawing as the dashboards': by pointer and by keys the cell is told. The numbers
// themselves are to be had as the panel's table and its CSV, of the latest instant and of all times.
import { useMemo } from "preact/hooks";
import { sampleNumber, type Unit, valueText } from "../base/format";
import { isDark } from "../base/store";
import { setRangeMs, timeText, zone, zoomOut } from "../base/time";
import { Plot } from "../parts/plot";
import type { Axis } from "../parts/plot_axes";
import { Heat, rowsUpTo } from "../parts/plot_heat";
import { stepsFor } from "../parts/plot_math";
import type { Heat as Buckets } from "./query";

const HEIGHT = 300;
const SHADES = 64;
const TOGETHER = { key: "explore", tooltip: false };

// From the card's colour to the main one and beyond: few are seen, many stand out.
const shades = (dark: boolean): string[] => Array.from({ length: SHADES }, (_, i) => {
  const s = i / (SHADES - 1);
  return dark ? `hsl(${220 - 170 * s} 75% ${14 + 54 * s}%)` : `hsl(${220 + 60 * s} 70% ${94 - 62 * s}%)`;
});

export function Heatmap({ heat, unit, label }: { heat: Buckets; unit: Unit; label: string }) {
  const dark = isDark.value;
  const { x, ys, layer } = useMemo(() => {
    const text = (v: number) => (Number.isFinite(v) ? valueText(v, unit) : "+Inf");
    const bounds = heat.bounds.map(sampleNumber);
    const xs = heat.times.map((t) => t * 1000);
    const size = xs.length > 1 ? xs[1]! - xs[0]! : 1000;
    const time: Axis = { kind: "time", min: (xs[0] ?? 0) - size, max: xs[xs.length - 1] ?? 1, zones: [zone.value], grid: false };
    const rows: Axis = { kind: "linear", min: 0, max: bounds.length, steps: stepsFor(undefined, true), space: 18, grid: false, text: (v) => (v >= 1 && bounds[v - 1] !== undefined ? text(bounds[v - 1]!) : "") };
    return { x: time, ys: [rows], layer: new Heat({
      xs, size, rows: rowsUpTo(bounds, text), cells: heat.cells, colors: shades(dark), exponent: 0.5, gap: 1, least: 0, min: 0, tooltip: true, histogram: true,
      count: (v) => valueText(v), title: (_from, to) => timeText(to),
    }) };
  }, [heat, unit, dark, zone.value]);
  return <Plot x={x} ys={ys} layer={layer} height={HEIGHT} group={TOGETHER} onRange={setRangeMs} onZoomOut={zoomOut}
    label={`${label}: heat map of ${heat.bounds.length} buckets. Arrow keys move from cell to cell.`} />;
}
