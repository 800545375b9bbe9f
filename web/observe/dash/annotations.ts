// annotations.ts - what is marked on the charts: events that were stored, and those that a query of
// PromQL finds. Each kind can be switched off above the panels.
import { ask, call } from "../base/data";
import { parseDuration } from "../base/duration";
import type { Labels } from "../base/format";
import { isDark } from "../base/store";
import { isUnsaved } from "./api";
import { cssColor } from "./color";
import { interpolate, sourceOf } from "./interpolate";
import type { Annotations } from "./model";
import type { PageState } from "./page_state";
import type { Mark } from "./panels/panel";
import { inTurn } from "./queue";
import { type Scope, within } from "./scope";
import { stepOf } from "./step";

const MOST = 500; // marks of one kind

interface Stored { id?: number; time: number; timeEnd?: number; text?: string; title?: string; tags?: string[]; dashboardUID?: string; panelId?: number }

async function stored(a: Annotations, page: PageState, scope: Scope, signal: AbortSignal): Promise<Mark[]> {
  const target = a.target ?? {};
  const query = new URLSearchParams({ from: String(Math.round(scope.from)), to: String(Math.round(scope.to)), limit: String(target.limit ?? MOST) });
  if (target.type === "tags" || a.type === "tags") {
    for (const t of target.tags ?? a.tags ?? []) query.append("tags", interpolate(String(t), scope, "text"));
    query.set("matchAny", String(!!target.matchAny));
  } else query.set("dashboardUID", page.dashboard.value.uid);
  if (!page.dashboard.value.uid || isUnsaved(page.uid)) return [];
  const all = await call<Stored[]>("GET", `/api/annotations?${query}`, undefined, signal);
  return all.map((s) => ({ from: s.time, to: s.timeEnd && s.timeEnd !== s.time ? s.timeEnd : undefined, title: s.title ?? a.name, text: s.text, tags: s.tags ?? [], color: "" }));
}

const filled = (text: string | undefined, labels: Labels): string => (text ?? "").replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, n: string) => labels[n] ?? "");

// Where the expression has a value that is not zero; samples one step apart are one event. With
// useValueForTime the value itself says when.
async function asked(a: Annotations, page: PageState, scope: Scope, signal: AbortSignal): Promise<Mark[]> {
  const step = stepOf({ from: scope.from, to: scope.to, width: MOST * 2, interval: a.step ? interpolate(String(a.step), scope) : "60s", scrape_s: page.scrape_s });
  const expr = interpolate(a.expr ?? "", within(scope, {}, { interval_ms: step.interval_ms, rate_interval: step.rate_interval }), "promql");
  if (!expr.trim()) return [];
  const { data } = await ask<{ result: { metric: Labels; values?: [number, string][] }[] }>(
    "/api/v1/query_range", { query: expr, start: step.start, end: step.end, step: step.step_s }, signal);
  const gap = (parseDuration(String(a.step ?? "")) > 0 ? step.interval_ms : step.step_s * 1000) * 1.5;
  const out: Mark[] = [];
  for (const { metric, values = [] } of data.result) {
    const { __name__: _, ...labels } = metric;
    const keys = String(a.tagKeys ?? "").split(",").map((k) => k.trim()).filter(Boolean);
    const about = { title: filled(a.titleFormat, labels) || a.name, text: filled(a.textFormat, labels) || undefined, tags: (keys.length ? keys : a.tagKeys === undefined ? [] : Object.keys(labels)).flatMap((k) => labels[k] ?? []), color: "" };
    let open: Mark | undefined;
    let before = -Infinity;
    for (const [t, v] of values) {
      const value = Number(v);
      const at = a.useValueForTime ? value : t * 1000;
      if (!value || !(at >= scope.from && at <= scope.to)) continue;
      if (open && !a.useValueForTime && at - before <= gap) open.to = at;
      else if (!out.some((m) => a.useValueForTime && m.from === at && m.text === about.text)) out.push((open = { ...about, from: at }));
      before = at;
      if (out.length >= MOST) return out;
    }
  }
  return out;
}

export const isBuiltIn = (a: Annotations): boolean => !!a.builtIn || sourceOf(a.datasource, { values: {}, from: 0, to: 1, zone: "utc" }).kind === "annotations";

// All that are switched on, for the page's range and values.
export async function loadMarks(page: PageState, off: ReadonlySet<number>, signal: AbortSignal): Promise<{ mark: Mark; of: number }[]> {
  const scope = page.scope.value;
  const all = await Promise.all(page.dashboard.value.annotations.list.map(async (a, of) => {
    if (off.has(of)) return [];
    const kind = isBuiltIn(a) ? "stored" : sourceOf(a.datasource, scope).kind;
    if (kind !== "stored" && kind !== "prometheus") return [];
    try {
      const marks = await inTurn(() => (kind === "stored" ? stored : asked)(a, page, scope, signal), () => 1, signal);
      const color = cssColor(a.iconColor || "red", isDark.value);
      return marks.map((mark) => ({ mark: { ...mark, color }, of }));
    } catch {
      return []; // marks that cannot be had take nothing from the panels
    }
  }));
  return all.flat();
}

export interface NewMark { dashboardUID: string; panelId?: number; time: number; timeEnd?: number; text: string; tags: string[] }
export const addMark = (mark: NewMark): Promise<unknown> => call("POST", "/api/annotations", mark);
