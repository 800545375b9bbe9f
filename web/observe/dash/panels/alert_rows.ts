// alert_rows.ts - which alerts an alert list shows, by the options of Grafana's present panel and of its
// old one: states, names, labels, groups, order.
import type { Labels } from "../../base/format";
import type { Bag } from "../model";
import { pattern } from "../pattern";
import type { Alert, AlertState, Group, Rule } from "../../parts/rule";

export interface Row { rule: Rule; group: Group; alerts: Alert[]; state: AlertState }

interface Matcher { name: string; op: string; value: string; re?: RegExp }

// `{a="b", c=~"d.*"}`; what is no matcher is left out.
export function matchersOf(text: string): Matcher[] {
  return [...text.matchAll(/([a-zA-Z_][\w.]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s,{}"']+))/g)].map(([, name, op, a, b, c]) => {
    const value = a !== undefined ? a.replace(/\\(.)/g, "$1") : b ?? c ?? "";
    let re: RegExp | undefined;
    if (op.includes("~"))
      try {
        re = pattern(`^(?:${value})$`);
      } catch {
        re = /^$/;
      }
    return { name, op, value, re };
  });
}

export const labelsMatch = (labels: Labels, matchers: Matcher[]): boolean => matchers.every(({ name, op, value, re }) => {
  const have = labels[name] ?? "";
  return (re ? re.test(have) : have === value) !== op.startsWith("!");
});

// The states wanted: new panels have an object of switches, old ones a list; none set means those in trouble.
function wanted(o: Bag): Set<AlertState> {
  const f = o.stateFilter;
  const out = new Set<AlertState>();
  const old = Array.isArray(f) ? new Set(f as string[]) : undefined;
  const on = (name: string, ...others: string[]) => (old ? [name, ...others].some((n) => old.has(n)) : !!f?.[name]);
  if (on("firing", "alerting")) out.add("firing");
  if (on("pending")) out.add("pending");
  if (on("normal", "ok") || on("inactive")) out.add("inactive");
  if (on("noData", "no_data") || on("error", "execution_error")) out.add("unknown");
  if (old?.size === 0) for (const s of ["firing", "pending", "inactive", "unknown"] as const) out.add(s);
  if (!f) for (const s of ["firing", "pending", "unknown"] as const) out.add(s);
  return out;
}

const RANK: Record<AlertState, number> = { firing: 0, pending: 1, unknown: 2, inactive: 3 };
const since = (r: Row): number => Math.max(0, ...r.alerts.map((a) => Date.parse(a.activeAt) || 0));
const byName = (a: Row, b: Row): number => a.rule.name.localeCompare(b.rule.name, "en", { numeric: true });
const ORDERS: Record<number, (a: Row, b: Row) => number> = {
  1: byName, 2: (a, b) => byName(b, a), 3: (a, b) => RANK[a.state] - RANK[b.state] || byName(a, b), 4: (a, b) => since(a) - since(b), 5: (a, b) => since(b) - since(a),
};

export function alertRows(groups: Group[], o: Bag, interpolate: (text: string) => string): Row[] {
  const states = wanted(o);
  const name = interpolate(o.alertName ?? o.nameFilter ?? "").toLowerCase();
  const matchers = matchersOf(interpolate(o.alertInstanceLabelFilter ?? ""));
  const rows: Row[] = [];
  for (const group of groups)
    for (const rule of group.rules) {
      const state = rule.health === "err" ? "unknown" : rule.state ?? "unknown";
      if (rule.type === "recording" || !states.has(state) || (name && !rule.name.toLowerCase().includes(name))) continue;
      const all = rule.alerts ?? [];
      const alerts = matchers.length ? all.filter((a) => labelsMatch(a.labels, matchers)) : all;
      // A rule without alerts is told by its own labels.
      if (matchers.length && !alerts.length && (all.length || !labelsMatch({ ...rule.labels, alertname: rule.name }, matchers))) continue;
      rows.push({ rule, group, alerts, state });
    }
  return rows.sort(ORDERS[Number(o.sortOrder)] ?? ORDERS[3]).slice(0, Number(o.maxItems ?? o.limit) || 20);
}

// With groupBy: alerts under the values that they share.
export function grouped(rows: Row[], labels: string[]): [name: string, alerts: { row: Row; alert: Alert }[]][] {
  const out = new Map<string, { row: Row; alert: Alert }[]>();
  for (const row of rows)
    for (const alert of row.alerts) {
      const key = labels.map((l) => `${l}=${alert.labels[l] ?? ""}`).join(", ");
      out.set(key, [...(out.get(key) ?? []), { row, alert }]);
    }
  return [...out].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
}
