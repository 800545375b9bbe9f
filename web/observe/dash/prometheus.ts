// prometheus.ts - answers of Prometheus's API as frames: time series, tables, heatmaps, exemplars.
// All series of an answer share one column of times: 10,000 series are then drawn without being joined.
import { type Labels, sampleNumber, seriesName } from "../base/format";
import type { ExemplarSeries, Histogram, Result, Sample, Series } from "../explore/query";
import type { Cell, Field, FieldType, Frame } from "./frame";
import type { Target } from "./model";
import { fillLegend } from "./names";

export interface Asked {
  step_s: number; // of a range query; 0 for an instant one
  several?: boolean; // the panel has more queries: values of tables are named by theirs
  interpolate?: (text: string) => string; // for legends
}

const field = (name: string, type: FieldType, values: Cell[], labels?: Labels): Field => ({ name, type, values, labels, config: {} });

// ---- names

function legendOf(target: Target, labels: Labels, asked: Asked): string | undefined {
  const format = target.legendFormat ?? "";
  if (format === "__auto") return Object.keys(labels).length ? undefined : target.expr;
  if (!format) {
    const name = seriesName(labels);
    return name === "{}" ? target.expr || name : name;
  }
  return fillLegend(asked.interpolate ? asked.interpolate(format) : format, labels);
}

// ---- one grid of times

interface Grid { from: number; step: number; times: number[] } // ms

const timesOf = (s: Series): number[] => [...(s.values ?? []).map((p) => p[0]), ...(s.histograms ?? []).map((p) => p[0])];
const MOST_POINTS = 50000; // of one row of times: what is asked has at most 11,000

// The times of all samples if they lie on one grid of the step; else undefined.
function gridOf(series: Series[], step_s: number): Grid | undefined {
  if (!(step_s > 0)) return undefined;
  let first = Infinity;
  let last = -Infinity;
  for (const s of series)
    for (const points of [s.values, s.histograms])
      if (points?.length) {
        first = Math.min(first, points[0]![0]);
        last = Math.max(last, points[points.length - 1]![0]);
      }
  const n = Math.round((last - first) / step_s) + 1;
  if (!(n > 0) || n > MOST_POINTS) return undefined;
  const from = Math.round(first * 1000);
  const step = step_s * 1000;
  return { from, step, times: Array.from({ length: n }, (_, i) => Math.round(from + i * step)) };
}

// The samples in their places; null where there is none, undefined if one lies beside the grid.
function placed<T>(points: [number, T][], grid: Grid, value: (v: T) => number, into?: Cell[]): Cell[] | undefined {
  const n = grid.times.length;
  const whole = points.length === n && !into;
  const out: Cell[] = into ?? new Array(n);
  if (!whole && !into) out.fill(null);
  for (let i = 0; i < points.length; i++) {
    const t = Math.round(points[i]![0] * 1000);
    let at = i;
    if (!whole || t !== grid.times[i]) {
      at = Math.round((t - grid.from) / grid.step);
      if (t !== grid.times[at]) return undefined;
    }
    out[at] = value(points[i]![1]);
  }
  return out;
}

const histogramCount = (h: Histogram): number => sampleNumber(h.count);

function valuesOn(s: Series, grid: Grid): Cell[] | undefined {
  const out = s.values ? placed(s.values, grid, sampleNumber) : new Array<Cell>(grid.times.length).fill(null);
  return s.histograms && out ? placed(s.histograms, grid, histogramCount, out) : out;
}

// ---- time series

function seriesFrame(target: Target, labels: Labels, times: Cell[], values: Cell[], asked: Asked): Frame {
  const legend = legendOf(target, labels, asked);
  const value = field("Value", "number", values, labels);
  if (legend !== undefined) value.config = { displayNameFromDS: legend };
  return { refId: target.refId, name: legend, length: times.length, fields: [field("Time", "time", times), value], kind: "series" };
}

function rangeFrames(target: Target, series: Series[], asked: Asked): Frame[] {
  const grid = gridOf(series, asked.step_s);
  return series.map((s) => {
    const values = grid && valuesOn(s, grid);
    if (values) return seriesFrame(target, s.metric, grid.times, values, asked);
    const points: [number, Cell][] = [...(s.values ?? []).map(([t, v]): [number, Cell] => [t, sampleNumber(v)]), ...(s.histograms ?? []).map(([t, h]): [number, Cell] => [t, histogramCount(h)])];
    if (s.histograms && s.values) points.sort((a, b) => a[0] - b[0]);
    return seriesFrame(target, s.metric, points.map((p) => Math.round(p[0] * 1000)), points.map((p) => p[1]), asked);
  });
}

const asSeries = (s: Sample): Series => ({ metric: s.metric, values: s.value && [s.value], histograms: s.histogram && [s.histogram] });

// ---- tables: a row for each sample, a column for each label

function tableFrame(target: Target, series: Series[], asked: Asked): Frame {
  const names = new Set<string>();
  for (const s of series) for (const name in s.metric) names.add(name);
  const columns = [...names].sort();
  const times: Cell[] = [];
  const values: Cell[] = [];
  const cells: Cell[][] = columns.map(() => []);
  for (const s of series) {
    const points = s.values ?? [];
    for (let i = 0; i < points.length; i++) { times.push(Math.round(points[i]![0] * 1000)); values.push(sampleNumber(points[i]![1])); }
    for (const [t, h] of s.histograms ?? []) { times.push(Math.round(t * 1000)); values.push(histogramCount(h)); }
    columns.forEach((name, c) => { const label = s.metric[name] ?? ""; while (cells[c]!.length < times.length) cells[c]!.push(label); });
  }
  const value = field(asked.several ? `Value #${target.refId}` : "Value", "number", values);
  return {
    refId: target.refId, length: times.length, kind: "table",
    fields: [field("Time", "time", times), ...columns.map((name, c) => field(name, "string", cells[c]!)), value],
  };
}

// ---- heatmaps: a row of numbers for each bucket, not cumulative

const tidy = (bound: number): string => (Number.isFinite(bound) ? String(Number(bound.toPrecision(6))) : bound > 0 ? "+Inf" : "-Inf");

function heatmapFrames(target: Target, series: Series[], asked: Asked): Frame[] {
  const grid = gridOf(series, asked.step_s) ?? timesGrid(series);
  const native = series.some((s) => s.histograms?.length);
  if (!native && !series.some((s) => s.metric.le !== undefined)) return rangeFrames(target, series, asked);
  const rows = native ? nativeRows(series, grid) : classicRows(series, grid);
  const fields = rows.map(([bound, values, labels]) => {
    const f = field(tidy(bound), "number", values, labels);
    f.config = { displayNameFromDS: tidy(bound) };
    return f;
  });
  return [{ refId: target.refId, length: grid.times.length, kind: "heatmap-rows", fields: [field("Time", "time", grid.times), ...fields] }];
}

// Without a step (instant queries): the times there are.
function timesGrid(series: Series[]): Grid {
  const times = [...new Set(series.flatMap(timesOf).map((t) => Math.round(t * 1000)))].sort((a, b) => a - b);
  return { from: times[0] ?? 0, step: times.length > 1 ? times[1]! - times[0]! : 1, times };
}

type Row = [bound: number, values: Cell[], labels?: Labels];

function classicRows(series: Series[], grid: Grid): Row[] {
  const sums = new Map<number, Cell[]>();
  for (const s of series) {
    if (s.metric.le === undefined) continue;
    const le = sampleNumber(s.metric.le);
    const values = valuesOn(s, grid) ?? [];
    const sum = sums.get(le);
    if (!sum) sums.set(le, values);
    else values.forEach((v, i) => { if (typeof v === "number" && v === v) sum[i] = ((sum[i] as number | null) ?? 0) + v; });
  }
  const sorted = [...sums].sort((a, b) => a[0] - b[0]);
  return sorted.map(([le, values], k) => {
    const below = k ? sorted[k - 1]![1] : undefined;
    return [le, values.map((v, i) => (typeof v === "number" ? Math.max(0, v - (((below?.[i] as number | null) ?? 0) || 0)) : v)), { le: tidy(le) }];
  });
}

function nativeRows(series: Series[], grid: Grid): Row[] {
  const rows = new Map<number, Cell[]>();
  for (const s of series)
    for (const [t, h] of s.histograms ?? []) {
      const at = Math.round((Math.round(t * 1000) - grid.from) / grid.step);
      if (at < 0 || at >= grid.times.length) continue;
      for (const [, , upper, n] of h.buckets ?? []) {
        const bound = sampleNumber(upper);
        let row = rows.get(bound);
        if (!row) rows.set(bound, (row = new Array<Cell>(grid.times.length).fill(null)));
        row[at] = ((row[at] as number | null) ?? 0) + sampleNumber(n);
      }
    }
  return [...rows].sort((a, b) => a[0] - b[0]).map(([bound, values]) => [bound, values, { le: tidy(bound) }]);
}

// ---- the whole

const EMPTY: Labels = {};

function seriesOf(result: Result): Series[] {
  if (result.resultType === "matrix") return result.result;
  if (result.resultType === "vector") return result.result.map(asSeries);
  if (result.resultType === "scalar") return [{ metric: EMPTY, values: [result.result] }];
  return [];
}

function textFrame(target: Target, [t, text]: [number, string]): Frame {
  return { refId: target.refId, length: 1, kind: "table", fields: [field("Time", "time", [Math.round(t * 1000)]), field("Value", "string", [text])] };
}

export function framesOf(target: Target, result: Result, asked: Asked): Frame[] {
  if (result.resultType === "string") return [textFrame(target, result.result)];
  const series = seriesOf(result);
  if (target.format === "table") return [tableFrame(target, series, asked)];
  if (target.format === "heatmap") return heatmapFrames(target, series, asked);
  return rangeFrames(target, series, asked);
}

// Tables of several instant queries as one, as old tables had them: rows with the same labels become one.
export function mergeInstantTables(frames: Frame[]): Frame[] {
  if (frames.length < 2 || frames.some((f) => f.kind !== "table")) return frames;
  const isValue = (f: Field): boolean => f.type === "number" && f.name.startsWith("Value");
  const keys = [...new Set(frames.flatMap((f) => f.fields.filter((x) => !isValue(x)).map((x) => x.name)))];
  const values = frames.map((f) => f.fields.find(isValue));
  const rows = new Map<string, Cell[]>();
  frames.forEach((frame, n) => {
    const columns = keys.map((k) => frame.fields.find((f) => f.name === k)?.values);
    for (let i = 0; i < frame.length; i++) {
      const cells = columns.map((c) => c?.[i] ?? "");
      const key = JSON.stringify(cells);
      let row = rows.get(key);
      if (!row) rows.set(key, (row = [...cells, ...frames.map(() => null)]));
      row[keys.length + n] = values[n]?.values[i];
    }
  });
  const all = [...rows.values()];
  const type = (name: string): FieldType => (name === "Time" ? "time" : "string");
  return [{
    length: all.length, kind: "table",
    fields: [...keys.map((name, c) => field(name, type(name), all.map((r) => r[c]))),
             ...frames.map((f, n) => field(`Value #${f.refId ?? n}`, "number", all.map((r) => r[keys.length + n])))],
  }];
}

// Exemplars as points with their labels.
export function exemplarFrames(target: Target, all: ExemplarSeries[]): Frame[] {
  const rows = all.flatMap((s) => s.exemplars.map((e) => ({ t: Math.round(e.timestamp * 1000), v: sampleNumber(String(e.value)), labels: { ...s.seriesLabels, ...e.labels } as Labels })));
  if (!rows.length) return [];
  rows.sort((a, b) => a.t - b.t);
  const names = [...new Set(rows.flatMap((r) => Object.keys(r.labels)))].sort();
  return [{
    refId: target.refId, name: "exemplar", kind: "exemplars", length: rows.length,
    fields: [field("Time", "time", rows.map((r) => r.t)), field("Value", "number", rows.map((r) => r.v)), ...names.map((n) => field(n, "string", rows.map((r) => r.labels[n] ?? "")))],
  }];
}
