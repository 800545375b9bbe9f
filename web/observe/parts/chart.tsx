// chart.tsx - lines over time as Explore and the traces show them: the stage, the layer of lines and a
// legend with figures, put together. Cursors of all such charts on a page go together. A refresh keeps
// the cursor, the hidden lines and the size.
import { useMemo, useState } from "preact/hooks";
import { type Unit, valueText } from "../base/format";
import { isDark } from "../base/store";
import { setRangeMs, timeText, zone, zoomOut } from "../base/time";
import { Late } from "./late";
import { firstTime } from "./late_math";
import { Plot } from "./plot";
import { type Axis, rangeOf } from "./plot_axes";
import { Legend, type LegendCell, NAME_COLUMN, picked } from "./plot_legend";
import { LINE, Lines, type PlotLine, pileLines } from "./plot_lines";
import { stepsFor } from "./plot_math";

export interface Line {
  name: string;
  values: (number | null)[];
  color?: string;
  dashed?: boolean;
}

export interface Mark { // an exemplar
  at: number; // seconds
  value: number;
  labels: Record<string, string>;
}

// Twelve hues of one lightness for each theme: at least 3:1 on the card.
const LIGHT = ["#2f5fd0", "#b45309", "#15803d", "#b91c5c", "#7c3aed", "#0e7490", "#a16207", "#be123c", "#4d7c0f", "#6d28d9", "#0369a1", "#9a3412"];
const DARK = ["#7aa5ff", "#f2a65a", "#5fd38d", "#ff85b3", "#b79bff", "#4fd0e3", "#e5c454", "#ff8a8a", "#a5d65a", "#d59bff", "#6cc3ff", "#ffb08a"];

export const colorOf = (i: number): string => (isDark.value ? DARK : LIGHT)[i % LIGHT.length]!;

const HEIGHT = 300;
const FIGURES = ["Last", "Mean", "Max"];
const TOGETHER = { key: "explore", tooltip: true };

export interface ChartProps {
  times: number[]; // seconds
  lines: Line[];
  unit: Unit;
  stacked?: boolean;
  label: string;
  marks?: Mark[];
  height?: number;
}

export function extent(values: ArrayLike<number | null | undefined>, into: [number, number]): void {
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (v === null || v === undefined || !Number.isFinite(v)) continue;
    if (v < into[0]) into[0] = v;
    if (v > into[1]) into[1] = v;
  }
}

export function Chart({ times, lines, unit, stacked, label, marks, height = HEIGHT }: ChartProps) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [focus, setFocus] = useState<number>();
  const [sort, setSort] = useState<{ column: string; down: boolean }>();
  const dark = isDark.value;

  const { x, ys, layer, places } = useMemo(() => {
    const ms = times.map((t) => t * 1000);
    const style = { ...LINE, width: 1.5, pile: stacked ? "all" : undefined, fill: stacked ? 0.25 : 0 };
    const dashed = { ...style, dash: [6, 4] };
    const text = (v: number) => valueText(v, unit);
    const places: number[] = []; // of each line among those seen
    const seen: PlotLine[] = [];
    lines.forEach((l, i) => {
      places.push(hidden.has(l.name) ? -1 : seen.length);
      if (!hidden.has(l.name)) seen.push({ name: l.name, color: l.color ?? colorOf(i), values: l.values, axis: 0, style: l.dashed ? dashed : style, text });
    });
    const piles = pileLines(seen, ms.length);
    const ends: [number, number] = [Infinity, -Infinity];
    seen.forEach((l, i) => extent(piles[i]?.top ?? l.values, ends));
    if (stacked && ends[0] <= ends[1]) extent([0], ends);
    const [lo, hi] = rangeOf(ends[0], ends[1], "linear", 10, {});
    const axis: Axis = { kind: "linear", min: lo, max: hi, text, steps: stepsFor(unit) };
    const time: Axis = { kind: "time", min: ms[0] ?? 0, max: ms[ms.length - 1] ?? 1, zones: [zone.value] };
    if (time.min === time.max) time.max += 1000;
    const exemplars = marks?.map((m) => ({ at: m.at * 1000, value: m.value, axis: 0, labels: m.labels, text: valueText(m.value, unit) }));
    return { x: time, ys: [axis], places, layer: new Lines({ times: ms, lines: seen, title: timeText, mode: "multi", sort: "desc", exemplars }, piles) };
  }, [times, lines, unit, stacked, marks, hidden, dark, zone.value]);

  const cell = useMemo(() => {
    const made = new Map<number, LegendCell[]>();
    return (i: number, column: number): LegendCell => {
      if (!made.has(i)) made.set(i, figures(lines[i]!.values).map((n) => ({ number: n, text: valueText(n, unit) })));
      return made.get(i)![column]!;
    };
  }, [lines, unit]);
  const items = useMemo(() => lines.map((l, i) => ({ name: l.name, color: l.color ?? colorOf(i), dashed: l.dashed })), [lines, dark]);
  const first = useMemo(() => firstTime(times, lines), [times, lines]);
  return (
    <div class="chart">
      <Plot x={x} ys={ys} layer={layer} height={height} group={TOGETHER} focus={focus} onRange={setRangeMs} onZoomOut={zoomOut}
        label={`${label}: ${lines.length} lines. Arrow keys move the cursor; the table below has the values.`} />
      <Late first={first && first * 1000} from={x.min} end={x.max} />
      <Legend items={items} mode="table" columns={FIGURES} cell={cell} off={(i) => hidden.has(lines[i]!.name)} sort={sort}
        onSort={(column, down) => setSort(column === NAME_COLUMN && down && sort?.column === column ? undefined : { column, down })}
        onFocus={(i) => setFocus(i === undefined || places[i]! < 0 ? undefined : places[i])}
        onPick={(i, one) => setHidden(picked(hidden, lines.map((l) => l.name), lines[i]!.name, one))} />
    </div>
  );
}

function figures(values: (number | null)[]): number[] {
  let sum = 0;
  let n = 0;
  let max = -Infinity;
  let last = NaN;
  for (const v of values) {
    if (v === null) continue;
    last = v;
    if (!Number.isFinite(v)) continue;
    sum += v;
    n++;
    if (v > max) max = v;
  }
  return [last, n ? sum / n : NaN, n ? max : NaN];
}
