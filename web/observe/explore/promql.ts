// promql.ts - PromQL for the editor: Prometheus's own grammar, completion and checks, taken piece by piece.
// The package's front door would bring an HTTP client and a cache of its own along; the page has both.
import type { CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { LRLanguage } from "@codemirror/language";
import { linter } from "@codemirror/lint";
import type { Extension } from "@codemirror/state";
import type { PrometheusClient } from "@prometheus-io/codemirror-promql/dist/esm/client/prometheus.js";
import { HybridComplete } from "@prometheus-io/codemirror-promql/dist/esm/complete/hybrid.js";
import { HybridLint } from "@prometheus-io/codemirror-promql/dist/esm/lint/hybrid.js";
import { labelMatchersToString } from "@prometheus-io/codemirror-promql/dist/esm/parser/matcher.js";
import type { Matcher } from "@prometheus-io/codemirror-promql/dist/esm/types/index.js";
import { parser } from "@prometheus-io/lezer-promql";
import { ask, type Query } from "../base/data";

const KEEP_MS = 5 * 60_000;
const KEPT_MAX = 200;
const kept = new Map<string, { at: number; answer: Promise<unknown> }>();

// What the API answers, kept for a while; what it refuses is nothing to offer, and asked for again.
function told<T>(path: string, query: Query, nothing: T): Promise<T> {
  const key = path + JSON.stringify(query);
  const old = kept.get(key);
  if (old && Date.now() - old.at < KEEP_MS) return old.answer as Promise<T>;
  const answer = ask<T>(`/api/v1/${path}`, query).then((r) => r.data, () => {
    kept.delete(key);
    return nothing;
  });
  kept.delete(key);
  kept.set(key, { at: Date.now(), answer });
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value!);
  return answer;
}

const match = (metric?: string, matchers?: Matcher[], label?: string): Query =>
  metric ? { "match[]": labelMatchersToString(metric, matchers, label) } : {};

const client: PrometheusClient = {
  labelNames: (metric) => told("labels", match(metric), []),
  labelValues: (label, metric, matchers) => told(`label/${encodeURIComponent(label)}/values`, match(metric, matchers, label), []),
  metricMetadata: () => told("metadata", {}, {}),
  series: (metric, matchers, label) => told("series", match(metric, matchers, label), []),
  metricNames: () => told("label/__name__/values", {}, []),
  flags: () => told("status/flags", {}, {}),
};

// Offered unasked is only how to go on with what is begun: where a query may end, Enter runs it.
const MAY_END = /[)\]}]\s*$/;
const VARIABLE = /\$\{?\w*$/;
const OWN_VARIABLES = ["__rate_interval", "__interval", "__range", "__interval_ms", "__range_s"];

// `variables`: of the dashboard that the query is part of. Its text is PromQL only when they are filled
// in, so nothing is told of mistakes where there are some.
export function promql(variables?: () => string[]): Extension {
  const language = LRLanguage.define({
    parser: parser.configure({ top: "PromQL" }),
    languageData: { closeBrackets: { brackets: ["(", "[", "{", "'", '"', "`"] }, commentTokens: { line: "#" } },
  });
  const complete = new HybridComplete(client);
  const offer = (c: CompletionContext): CompletionResult | null | Promise<CompletionResult | null> => {
    const begun = variables && c.matchBefore(VARIABLE);
    if (begun) return { from: begun.from, options: [...OWN_VARIABLES, ...variables()].map((v) => ({ label: `$${v}`, type: "variable" })), validFor: /^\$\w*$/ };
    return !c.explicit && MAY_END.test(c.state.sliceDoc(0, c.pos)) ? null : complete.promQL(c);
  };
  const lint = new HybridLint().promQL();
  return [language, language.data.of({ autocomplete: offer }), linter((view) => (variables && view.state.doc.toString().includes("$") ? [] : lint(view)))];
}
