// scope.ts - what texts of a dashboard are replaced from: the variables' values, those of a repeated
// panel over them, the range of time and the query's interval. interpolate.ts does the replacing.
import type { Ref, Variable } from "./model";

export interface Value {
  text: string | string[];
  value: string | string[]; // "$__all" is everything
  all?: string[]; // every option, for "$__all" without an allValue
  variable?: Variable; // its allValue, multi and includeAll decide how PromQL sees it; its options are those loaded
  given?: boolean; // typed, or from the address: it stays though no option has it
}

export interface Scope {
  values: Readonly<Record<string, Value>>;
  from: number; // ms
  to: number;
  zone: string; // "utc", "browser" or a zone's name
  interval_ms?: number; // of the query at hand: $__interval, $__interval_ms
  rate_interval?: string; // $__rate_interval
  dashboard?: { uid: string; title: string };
  // What belongs to one field or cell: ("__field", "labels.job"), ("__value", "raw"); undefined: not known here.
  lookup?: (name: string, path: string) => string | undefined;
}

// For the body of one repeat, a query, a cell: the same with some values over it.
export const within = (scope: Scope, values: Record<string, Value>, more: Partial<Scope> = {}): Scope =>
  ({ ...scope, ...more, values: { ...scope.values, ...values } });

// How a text is written into its place: a query of PromQL, plain text, or a format's name ("csv").
export type Place = "promql" | "text" | "url" | string;

export type Interpolate = (text: string, scope: Scope, place?: Place) => string;

// Where a query goes. Grafana's data sources that we have under our own address.
export type Source = "prometheus" | "tempo" | "jaeger" | "loki" | "alertmanager" | "dashboard" | "mixed" | "annotations" | "testdata" | "none";
export interface Sourced { kind: Source; ref: Ref | null }
