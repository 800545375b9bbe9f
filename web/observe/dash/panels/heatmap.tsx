// heatmap.tsx - how many values fell into which bucket when: buckets that the query has (`le`, native
// histograms: one field each), or made here of the values of series.
import { useMemo } from "preact/hooks";
import { isDark } from "../../base/store";
import { Plot } from "../../parts/plot";
import { timeIn } from "../../base/zone";
import { type Axis, rangeOf } from "../../parts/plot_axes";
import { Heat, type HeatData, placeOf, rowsUpTo } from "../../parts/plot_heat";
import type { Exemplar } from "../../parts/plot_lines";
import { DECIMAL_STEPS, stepsFor } from "../../parts/plot_math";
import { cssColor } from "../color";
import { type Field, type Frame, shownText } from "../frame";
import type { Bag } from "../model";
import { formatValue } from "../units";
import { heatColors } from "./heat_colors";
import type { PanelProps } from "./panel";
import { Nothing, zonesOf, zoomedOut } from "./plot_panel";
import { textOf, timeField, titleOf } from "./series";

interface Made { data: HeatData; y: Axis; place: (v: number) => number }

const numbersIn = (f: Frame): Field[] => f.fields.filter((x) => x.type === "number");
const textIn = (unit: string | undefined, decimals?: number | null) => (v: number): string => (Number.isFinite(v) ? shownText({ ...formatValue(unit, v, decimals), number: v, color: "" }) : v > 0 ? "+Inf" : "-Inf");
const boundOf = (name: string): number => (/^\+?inf/i.test(name) ? Infinity : /^\s*$/.test(name) ? NaN : Number(name));

// ---- buckets that are there

function fromRows(frames: Frame[], options: Bag): Made | undefined {
  const fields = frames.flatMap(numbersIn);
  const times = frames.map(timeField).find(Boolean)?.values as number[] | undefined;
  if (!times?.length || !fields.length) return undefined;
  // Series with an `le` of their own frames, as queries without the heatmap's format have them: cumulative.
  const own = frames.length > 1 && fields.every((f) => f.labels?.le !== undefined);
  const named = fields.map((f) => ({ f, bound: boundOf(own ? f.labels!.le! : titleOf(f)) }));
  const numeric = named.every((n) => !Number.isNaN(n.bound));
  if (numeric) named.sort((a, b) => a.bound - b.bound);
  const cells = named.map(({ f }, k) => (own ? f.values.map((v, i) => (typeof v === "number" ? v - (k ? Number(named[k - 1]!.f.values[i] ?? 0) : 0) : null)) : f.values) as (number | null)[]);
  const unit = options.yAxis?.unit ?? fields[0]!.config.unit;
  const text = textIn(unit, options.yAxis?.decimals);
  const size = times.length > 1 ? Math.min(...times.slice(1).map((t, i) => t - times[i]!)) : 60e3;
  if (!numeric) {
    const names = named.map((n) => titleOf(n.f));
    return { data: { xs: times, size, cells, rows: names.map((name, i) => ({ from: i - 0.5, to: i + 0.5, name })) }, y: { kind: "names", names, min: 0, max: 0 }, place: () => NaN };
  }
  const bounds = named.map((n) => n.bound);
  const upward = options.rowsFrame?.layout === "ge"; // names are lower bounds
  const rows = upward ? bounds.map((b, i) => ({ from: i, to: i + 1, name: i + 1 < bounds.length ? `${text(b)} to ${text(bounds[i + 1]!)}` : `from ${text(b)}` })) : rowsUpTo(bounds, text);
  const at = (v: number) => bounds[Math.round(v) - (upward ? 0 : 1)];
  return {
    data: { xs: times, size, cells, rows }, place: (v) => placeOf(bounds, v),
    y: { kind: "linear", min: 0, max: bounds.length, steps: stepsFor(undefined, true), space: 18, text: (v) => (at(v) === undefined || Math.abs(v - Math.round(v)) > 1e-6 ? "" : text(at(v)!)) },
  };
}

// ---- buckets of the values

const roundUp = (raw: number, steps: number[]): number => steps.find((s) => s >= raw) ?? raw;
const TIME_STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800].map((s) => s * 1000);

interface BucketOption { mode?: string; value?: string | number; scale?: { type?: string; log?: number } }

function sizeOf(o: BucketOption | undefined, span: number, wanted: number, steps: number[]): number {
  const value = Number(o?.value);
  if (o?.mode === "size" && value > 0) return Math.max(value, span / 2000);
  return roundUp(span / (o?.mode === "count" && value > 0 ? value : wanted), steps);
}

function fromValues(frames: Frame[], options: Bag, from: number, to: number, width: number, height: number): Made | undefined {
  const points: [number, number][] = [];
  for (const frame of frames) {
    const times = timeField(frame)?.values as number[] | undefined;
    if (times) for (const f of numbersIn(frame)) f.values.forEach((v, i) => { if (typeof v === "number" && Number.isFinite(v) && times[i]! >= from && times[i]! <= to) points.push([times[i]!, v]); });
  }
  const calc: { xBuckets?: BucketOption; yBuckets?: BucketOption } = options.calculation ?? {};
  const log = calc.yBuckets?.scale?.type === "log";
  const base = calc.yBuckets?.scale?.log ?? 2;
  const used = log ? points.filter(([, v]) => v > 0) : points;
  if (!used.length) return undefined;
  let [lo, hi] = [Infinity, -Infinity];
  for (const [, v] of used) {
    const y = log ? Math.log(v) / Math.log(base) : v;
    if (y < lo) lo = y;
    if (y > hi) hi = y;
  }
  const xSize = sizeOf(calc.xBuckets, to - from, Math.max(8, Math.min(80, width / 14)), TIME_STEPS);
  const ySize = log ? 1 / Math.max(1, Number(calc.yBuckets?.value) || 1) : sizeOf(calc.yBuckets, hi - lo || 1, Math.max(4, Math.min(40, height / 12)), DECIMAL_STEPS);
  const first = Math.floor(lo / ySize + 1e-9);
  const count = Math.floor(hi / ySize + 1e-9) - first + 1;
  const begin = Math.floor(from / xSize);
  const columns = Math.max(1, Math.ceil(to / xSize) - begin);
  const cells = Array.from({ length: count }, () => new Array<number>(columns).fill(0));
  for (const [t, v] of used) {
    const y = log ? Math.log(v) / Math.log(base) : v;
    cells[Math.min(count - 1, Math.floor(y / ySize + 1e-9) - first)]![Math.min(columns - 1, Math.floor(t / xSize) - begin)]!++;
  }
  const edge = (i: number): number => (log ? base ** ((first + i) * ySize) : Number(((first + i) * ySize).toPrecision(12)));
  const unit = options.yAxis?.unit ?? numbersIn(frames[0]!)[0]?.config.unit;
  const text = textIn(unit, options.yAxis?.decimals);
  const rows = cells.map((_, i) => ({ from: edge(i), to: edge(i + 1), name: `${text(edge(i))} to ${text(edge(i + 1))}` }));
  const ends = log ? [edge(0), edge(count)] : [edge(0), edge(count)];
  const [min, max] = ends[0]! < ends[1]! ? ends as [number, number] : rangeOf(lo, hi, "linear", 10, {});
  return { data: { xs: Array.from({ length: columns }, (_, i) => (begin + i + 1) * xSize), size: xSize, rows, cells }, place: (v) => v, y: { kind: log ? "log" : "linear", base: base === 10 ? 10 : 2, min, max, text, steps: stepsFor(unit) } };
}

// ---- the panel

function exemplarsOf(frames: Frame[], place: (v: number) => number): Exemplar[] {
  return frames.filter((f) => f.kind === "exemplars").flatMap((frame) => {
    const at = timeField(frame)?.values as number[] | undefined;
    const value = numbersIn(frame)[0];
    if (!at || !value) return [];
    return at.map((t, i): Exemplar => ({ at: t, value: place(Number(value.values[i])), axis: 0, text: textOf(value)(Number(value.values[i])),
      labels: Object.fromEntries(frame.fields.filter((f) => f.type === "string" && f.values[i]).map((f) => [f.name, String(f.values[i])])) }));
  });
}

export default function Heatmap(props: PanelProps) {
  const { panel, frames, scope, width, height } = props;
  const { options } = panel;
  const dark = isDark.value;
  const zones = zonesOf(props);
  const made = useMemo(() => {
    const data = frames.filter((f) => f.kind !== "exemplars");
    return options.calculate ? fromValues(data, options, scope.from, scope.to, width, height) : fromRows(data, options);
  }, [frames, options, scope.from, scope.to, width > 0 && Math.round(width / 50), Math.round(height / 50)]);
  const drawn = useMemo(() => {
    if (!made) return undefined;
    const y: Bag = options.yAxis ?? {};
    const color = options.color ?? {};
    const axis: Axis = { ...made.y, reverse: !!y.reverse, label: y.axisLabel || undefined, size: y.axisWidth || undefined, grid: false,
      side: y.axisPlacement === "right" ? "right" : y.axisPlacement === "hidden" ? "hidden" : "left" };
    if (made.y.kind !== "names" && options.calculate) {
      axis.min = y.min !== undefined && y.min !== null && y.min !== "" ? Number(y.min) : axis.min;
      axis.max = y.max !== undefined && y.max !== null && y.max !== "" ? Number(y.max) : axis.max;
    } else if (made.y.kind === "linear") {
      if (y.min !== undefined && y.min !== null && y.min !== "") axis.min = Math.floor(made.place(Number(y.min)));
      if (y.max !== undefined && y.max !== null && y.max !== "") axis.max = Math.ceil(made.place(Number(y.max)));
    }
    const number = (v: unknown) => (v === undefined || v === null || v === "" ? undefined : Number(v));
    const count = textIn(options.cellValues?.unit ?? "short", options.cellValues?.decimals);
    const layer = new Heat({
      ...made.data, colors: heatColors(color, dark), exponent: color.scale === "linear" ? 1 : color.exponent ?? 0.5, min: number(color.min) ?? 0, max: number(color.max), gap: options.cellGap ?? 1,
      least: number(options.filterValues?.le) ?? (options.calculate ? 0 : 1e-9), most: number(options.filterValues?.ge), count, label: options.rowsFrame?.value,
      title: (a, b) => `${timeIn(a, zones[0]!)} – ${timeIn(b, zones[0]!).slice(11)}`, histogram: !!options.tooltip?.yHistogram, tooltip: options.tooltip?.mode !== "none" && options.tooltip?.show !== false,
      showValue: options.showValue === "always" || options.showValue === "auto", marks: props.marks.map((m) => ({ ...m, color: cssColor(m.color, dark) })),
      exemplars: exemplarsOf(frames, made.place), exemplarColor: options.exemplars?.color,
    });
    return { layer, ys: [axis], count };
  }, [made, options, dark, props.marks]);
  const x = useMemo((): Axis => ({ kind: "time", min: scope.from, max: scope.to > scope.from ? scope.to : scope.from + 1, zones, grid: false }), [made, scope.from, scope.to, zones.join()]);
  if (!made || !drawn) return <Nothing width={width} height={height}>{frames.length ? "No buckets to draw" : "No data"}</Nothing>;
  const { layer, count } = drawn;
  const scale = options.legend?.show !== false && height > 120;
  return (
    <div class="plot-frame" style={{ width: `${width}px`, height: `${height}px` }}>
      <Plot x={x} ys={drawn.ys} layer={layer} group={props.tooltipGroup} marks={layer.p.marks} onRange={props.onRange} onZoomOut={zoomedOut(props)}
        label={`${panel.title || "Heat map"}: heat map of ${made.data.rows.length} buckets. Arrow keys move from cell to cell.`} />
      {scale && Number.isFinite(layer.ends[1]) && (
        <div class="heat-scale"><span>{count(layer.ends[0])}</span><i style={{ background: `linear-gradient(to right, ${layer.p.colors.filter((_, i, all) => i % Math.ceil(all.length / 16) === 0 || i === all.length - 1).join()})` }} /><span>{count(layer.ends[1])}</span></div>
      )}
    </div>
  );
}
