// metrics.ts - every metric with its type, unit, help and number of series, for who looks for one.
import { useMemo } from "preact/hooks";
import { type Asked, useAsk } from "../base/data";
import { type Labels, matches } from "../base/format";
import { quote } from "./model";

interface Meta { type: string; unit: string; help: string }
export interface Metric { name: string; type: string; unit: string; help: string; series: number }

// A family's metadata is told under its own name, its series have these behind it.
const SUFFIX = /_(bucket|count|sum|total|created)$/;

export function useMetrics(job = "", counted = true): { names: Asked<string[]>; metrics: Metric[] } {
  const of = job ? `{job=${quote(job)}}` : undefined;
  const names = useAsk<string[]>("/api/v1/label/__name__/values", { "match[]": of });
  const meta = useAsk<Record<string, Meta[]>>("/api/v1/metadata");
  const counts = useAsk<{ result: { metric: Labels; value: [number, string] }[] }>(
    counted ? "/api/v1/query" : null, { query: `count by (__name__) (${of ?? '{__name__!=""}'})` });
  const metrics = useMemo(() => {
    const series = new Map((counts.data?.result ?? []).map((s) => [s.metric.__name__ ?? "", Number(s.value[1])]));
    return (names.data ?? []).map((name): Metric => {
      const m = meta.data?.[name]?.[0] ?? meta.data?.[name.replace(SUFFIX, "")]?.[0];
      return { name, type: m?.type ?? "", unit: m?.unit ?? "", help: m?.help ?? "", series: series.get(name) ?? 0 };
    });
  }, [names.data, meta.data, counts.data]);
  return { names, metrics };
}

export const isLike = (m: Metric, filter: string): boolean => matches(`${m.name} ${m.type} ${m.unit} ${m.help}`, filter);

// Those whose name is so, or begins so, come first.
export function ranked(metrics: Metric[], filter: string): Metric[] {
  const low = filter.trim().toLowerCase();
  const rank = (m: Metric) => {
    const name = m.name.toLowerCase();
    return name === low ? 0 : name.startsWith(low) ? 1 : matches(name, low) ? 2 : 3;
  };
  return metrics.filter((m) => isLike(m, low)).map((m) => ({ m, r: rank(m) })).sort((a, b) => a.r - b.r).map((x) => x.m);
}
