// panel_data.ts - what one panel shows, kept up to date: it waits until it is near what is seen and its
// variables are there, asks, and keeps what it has while it asks again.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { beat, to } from "../base/time";
import { isDark } from "../base/store";
import { applyFieldConfig } from "./fields";
import type { Frame } from "./frame";
import { interpolate, usedNames } from "./interpolate";
import type { Placed } from "./layout";
import type { Bag, Panel } from "./model";
import { findPanel, type PageState } from "./page_state";
import type { PanelType } from "./panels/panel";
import { type Result, run, transforming } from "./run";
import { type Scope, within } from "./scope";
import { planOf } from "./sources";
import { transform } from "./transform/index";
import { farness, type Size } from "./watch";

export type PanelStatus = "loading" | "ok" | "nodata" | "error" | "unsupported";

export interface PanelView {
  status: PanelStatus;
  message: string;
  loading: boolean; // now, though older data may be there
  result?: Result;
  frames: Frame[];
  panel: Panel; // with the type's defaults, its texts written out
  scope: Scope;
  note?: string; // of a time of its own
}

const isBag = (x: unknown): x is Bag => typeof x === "object" && x !== null && !Array.isArray(x);

// What is given, over the defaults, to any depth; lists are taken whole.
export function withDefaults(defaults: Bag, given: Bag | undefined): Bag {
  const out: Bag = { ...defaults };
  for (const [k, v] of Object.entries(given ?? {})) out[k] = isBag(v) && isBag(out[k]) ? withDefaults(out[k], v) : v === undefined ? out[k] : v;
  return out;
}

// As the panel type is given it.
export function filled(panel: Panel, type: PanelType | undefined, scope: Scope, asViewed?: Bag): Panel {
  const options = withDefaults(withDefaults(type?.options ?? {}, panel.options), asViewed);
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const text = (s?: string) => (s ? interpolate(s, scope, "text") : s);
  return {
    ...panel, options, title: text(panel.title) ?? "", description: text(panel.description),
    fieldConfig: { overrides, defaults: type?.custom ? { ...defaults, custom: withDefaults(type.custom, defaults.custom) } : defaults },
  };
}

// Types whose fields have a colour each where the panel says nothing.
const COLORED = new Set(["timeseries", "trend", "barchart", "histogram", "piechart", "xychart", "candlestick"]);

const hasRows = (frames: Frame[]): boolean => frames.some((f) => f.length > 0 && f.fields.length > 0);

export function usePanelData(page: PageState, placed: Placed, type: PanelType | undefined, near: boolean, size: Size, el: { current: Element | null }): PanelView {
  const { panel } = placed;
  const quiet = !!type?.noQuery;
  const whole = page.scope.value;
  const scope = useMemo(() => within({ ...placed.scope, from: whole.from, to: whole.to, zone: whole.zone, dashboard: whole.dashboard }, {}), [placed.scope, whole]);
  const [state, setState] = useState<{ result?: Result; loading: boolean }>({ loading: false });
  const used = useMemo(() => usedNames([panel.targets, panel.interval, panel.timeFrom, panel.timeShift, panel.datasource]), [panel]);
  const asking = page.asking.value;
  const waits = used.some((n) => asking.has(n));
  const filters = page.filters.value;
  const seen = useRef(false);
  seen.current ||= near && size.width > 0;
  const plan = useMemo(() => (seen.current && !quiet ? planOf(panel, {
    scope, relative: to.value.startsWith("now"), width: Math.max(100, Math.round(size.width)), scrape_s: page.scrape_s, filters,
    panelOf: (id) => findPanel(page.dashboard.value.panels, id),
  }) : undefined), [panel, scope, size.width, filters, quiet, seen.current]);
  const done = useRef("");
  const turn = beat.value;
  const key = plan?.key;
  useEffect(() => {
    const now = `${turn} ${key}`;
    if (!plan || !near || waits || done.current === now) return;
    const abort = new AbortController();
    setState((s) => ({ ...s, loading: true }));
    run(plan, () => farness(el.current), abort.signal).then((result) => {
      if (abort.signal.aborted) return;
      done.current = now;
      // An error leaves what was there before it.
      setState((s) => ({ loading: false, result: result.error && !result.frames.length && s.result ? { ...result, frames: s.result.frames } : result }));
    }, (e: Error) => abort.signal.aborted || setState((s) => ({ loading: false, result: { plan, frames: s.result?.frames ?? [], asked: [], notices: [], error: e.message } })));
    return () => {
      abort.abort();
      setState((s) => (s.loading ? { ...s, loading: false } : s));
    };
  }, [key, turn, near, waits]);

  const dark = isDark.value;
  const asViewed = page.asViewed.value[placed.key];
  const shown = useMemo(() => filled(panel, type, scope, asViewed), [panel, type, placed.scope, whole.values, asViewed]);
  const made = useMemo((): { frames: Frame[]; error?: string } => {
    if (!state.result) return { frames: [] };
    try {
      const changed = panel.transformations?.length ? transform(state.result.frames, panel.transformations, transforming(state.result.plan.scope)) : state.result.frames;
      return { frames: applyFieldConfig(changed, shown.fieldConfig, {
        dark, zone: whole.zone, interpolate: (t, place) => interpolate(t, scope, place ?? "text"),
        colorMode: COLORED.has(panel.type) ? "palette-classic" : undefined, from: scope.from, to: scope.to,
      }) };
    } catch (e) {
      return { frames: [], error: (e as Error).message };
    }
  }, [state.result, panel.transformations, shown.fieldConfig, dark, whole.zone]);
  const error = made.error ?? state.result?.error;
  let status: PanelStatus = "loading";
  let message = "";
  if (quiet) status = near || seen.current ? "ok" : "loading";
  else if (error) [status, message] = ["error", error];
  else if (state.result) {
    if (!type) [status, message] = ["unsupported", `The panel type “${panel.type}” is not supported. Its data:`];
    else if (hasRows(made.frames)) status = "ok";
    else [status, message] = ["nodata", state.result.plan.silence ?? (String(panel.fieldConfig?.defaults?.noValue ?? "") || "No data")];
  }
  return { status, message, loading: state.loading || (waits && near), result: state.result, frames: made.frames, panel: shown, scope, note: plan?.note };
}
