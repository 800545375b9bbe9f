// query.ts - asking PromQL and bringing the answer into the forms that views draw.
import { encode, type Query } from "../base/data";
import { type Labels, sampleNumber, seriesName } from "../base/format";
import type { Line, Mark } from "../parts/chart";

export interface Sample { metric: Labels; value?: [number, string]; histogram?: [number, Histogram] }
export interface Series { metric: Labels; values?: [number, string][]; histograms?: [number, Histogram][] }
export interface Histogram { count: string; sum: string; buckets?: [number, string, string, string][] }

export interface Stats {
  timings: Record<string, number>;
  samples: { totalQueryableSamples: number; peakSamples: number };
}

export type Result =
  | { resultType: "vector"; result: Sample[]; stats?: Stats }
  | { resultType: "matrix"; result: Series[]; stats?: Stats }
  | { resultType: "scalar"; result: [number, string]; stats?: Stats }
  | { resultType: "string"; result: [number, string]; stats?: Stats };

export interface ExemplarSeries { seriesLabels: Labels; exemplars: { labels: Labels; value: string; timestamp: number }[] }

const STEPS_S = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800, 2592000];
const POINTS = 250;

// A round step that gives about 250 points, as Prometheus's page has.
export function stepFor(ms: number): number {
  const raw = ms / 1000 / POINTS;
  return STEPS_S.find((s) => s >= raw) ?? Math.ceil(raw);
}

export function rangeQuery(expr: string, start: number, end: number, stepS: number): Query {
  const step = stepS * 1000;
  return { query: expr, start: Math.floor(start / step) * stepS, end: Math.floor(end / step) * stepS, step: stepS, stats: "all" };
}

// All series on one row of times; where one has no sample there is a gap.
export function align(series: Series[], start: number, end: number, stepS: number): { times: number[]; lines: Line[] } {
  const times: number[] = [];
  for (let t = start; t <= end + 1e-6; t += stepS) times.push(Number(t.toFixed(3)));
  const lines = series.map((s): Line => {
    const values = new Array<number | null>(times.length).fill(null);
    for (const [t, v] of s.values ?? []) {
      const i = Math.round((t - start) / stepS);
      if (i >= 0 && i < values.length) values[i] = sampleNumber(v);
    }
    for (const [t, h] of s.histograms ?? []) {
      const i = Math.round((t - start) / stepS);
      if (i >= 0 && i < values.length) values[i] = sampleNumber(h.count);
    }
    return { name: seriesName(s.metric), values };
  });
  return { times, lines };
}

export function marksOf(all: ExemplarSeries[]): Mark[] {
  return all.flatMap((s) => s.exemplars.map((e) => ({ at: e.timestamp, value: sampleNumber(e.value), labels: e.labels })));
}

// ---- heatmaps: how many in each bucket at each time

export interface Heat {
  times: number[];
  bounds: string[]; // upper, ascending
  cells: (number | null)[][]; // [bucket][time]
}

// From classic buckets (series with `le`, cumulative) or native histograms; nothing if it is neither.
export function heatOf(series: Series[], start: number, end: number, stepS: number): Heat | undefined {
  const native = series.find((s) => s.histograms?.length);
  if (native) return nativeHeat(series, start, end, stepS);
  const byLe = new Map<number, Series[]>();
  for (const s of series) {
    if (s.metric.le === undefined) return undefined;
    const le = sampleNumber(s.metric.le);
    byLe.set(le, [...(byLe.get(le) ?? []), s]);
  }
  const les = [...byLe.keys()].sort((a, b) => a - b);
  if (les.length < 2) return undefined;
  const { times } = align([], start, end, stepS);
  const sums = les.map((le) => addUp(align(byLe.get(le)!, start, end, stepS).lines, times.length));
  const cells = sums.map((row, i) => row.map((v, t) => (v === null ? null : Math.max(0, v - (i ? (sums[i - 1]![t] ?? 0) : 0)))));
  return { times, bounds: les.map((le) => (Number.isFinite(le) ? String(le) : "+Inf")), cells };
}

function addUp(lines: Line[], n: number): (number | null)[] {
  const out = new Array<number | null>(n).fill(null);
  for (const l of lines) l.values.forEach((v, i) => { if (v !== null && !Number.isNaN(v)) out[i] = (out[i] ?? 0) + v; });
  return out;
}

function nativeHeat(series: Series[], start: number, end: number, stepS: number): Heat {
  const { times } = align([], start, end, stepS);
  const rows = new Map<number, (number | null)[]>();
  for (const s of series)
    for (const [t, h] of s.histograms ?? []) {
      const i = Math.round((t - start) / stepS);
      for (const [, , upper, count] of h.buckets ?? []) {
        const u = sampleNumber(upper);
        if (!rows.has(u)) rows.set(u, new Array<number | null>(times.length).fill(null));
        const row = rows.get(u)!;
        if (i >= 0 && i < row.length) row[i] = (row[i] ?? 0) + sampleNumber(count);
      }
    }
  const bounds = [...rows.keys()].sort((a, b) => a - b);
  return { times, bounds: bounds.map((b) => String(Number(b.toPrecision(4)))), cells: bounds.map((b) => rows.get(b)!) };
}

// ---- taking it away

export function csvOf(times: number[], lines: Line[]): string {
  const cell = (s: string) => (/[",\n]/.test(s) ? `"${s.replace(/"/g, '""')}"` : s);
  const rows = [["time", ...lines.map((l) => cell(l.name))].join(",")];
  times.forEach((t, i) => rows.push([new Date(t * 1000).toISOString(), ...lines.map((l) => l.values[i] ?? "")].join(",")));
  return rows.join("\n") + "\n";
}

export const apiAddress = (path: string, query: Query): string => `${path}?${encode(query)}`;
