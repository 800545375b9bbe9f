// page_state.ts - one dashboard as it is open: its model, the variables' values, what is folded, what is
// not saved yet. Everything on the page reads these signals, so that a change of one panel redraws that
// panel at once; nothing in the model is changed in place, so that who holds a panel can tell by its
// identity whether it changed.
import { batch, computed, type ReadonlySignal, signal, type Signal } from "@preact/signals";
import { ask, Refused } from "../base/data";
import { replaceQuery, route } from "../base/route";
import { tell } from "../base/store";
import { range, rangeDefaults, zone } from "../base/time";
import { type Filter, filtersOf } from "./adhoc";
import { forgetUnsaved, isUnsaved, load, type Meta, save as store, type Saved } from "./api";
import type { Mark } from "./panels/panel";
import type { Bag, Dashboard, Json, Panel } from "./model";
import { readDashboard } from "./read";
import type { Scope, Value } from "./scope";
import { chosenValue, dependencies, initialValues, loadVariables, type State, toQuery } from "./variables";
import { writeDashboard } from "./write";

export interface PageState {
  uid: string; // of the address
  dashboard: Signal<Dashboard>;
  meta: Signal<Meta>;
  values: Signal<Readonly<Record<string, Value>>>;
  asking: Signal<ReadonlySet<string>>; // variables whose options are not there yet
  states: Signal<Readonly<Record<string, State>>>; // what each variable offers, or why it does not
  ready: Signal<boolean>; // the first values are there
  scope: ReadonlySignal<Scope>;
  filters: ReadonlySignal<Filter[]>;
  marks: Signal<readonly { mark: Mark; of: number }[]>; // annotations, and which kind of the list they are
  folded: Signal<ReadonlyMap<string, boolean>>; // rows by key, where a viewer has folded or opened them
  asViewed: Signal<Readonly<Record<string, Bag>>>; // by panel's key: what a viewer changed in place
  dirty: ReadonlySignal<boolean>;
  crosshair: Signal<0 | 1 | 2>;
  scrape_s: number;
}

const isVariable = (k: string): boolean => k.startsWith("var-");
const text = (d: Dashboard): string => JSON.stringify(writeDashboard(d));
const stored = new WeakMap<PageState, Signal<{ dashboard: Dashboard; text: string }>>();

export function openPage(uid: string, json: Json | unknown, meta: Meta, scrape_s: number): { page: PageState; notes: string[] } {
  const { dashboard: d, notes } = readDashboard(json);
  const kept = signal({ dashboard: d, text: text(d) });
  const dashboard = signal(d);
  const values = signal<Readonly<Record<string, Value>>>(initialValues(d, route.value.query));
  const page: PageState = {
    uid, dashboard, meta: signal(meta), values, asking: signal(new Set<string>()), states: signal({}), ready: signal(false),
    scope: computed(() => ({
      values: values.value, from: range.value.start, to: range.value.end, zone: zone.value,
      dashboard: { uid: dashboard.value.uid, title: dashboard.value.title },
    })),
    filters: computed(() => Object.values(values.value).filter((v) => v.variable?.type === "adhoc").flatMap(filtersOf)),
    marks: signal([]), folded: signal(new Map<string, boolean>()), asViewed: signal({}),
    dirty: computed(() => dashboard.value !== kept.value.dashboard && text(dashboard.value) !== kept.value.text),
    crosshair: signal(d.graphTooltip), scrape_s,
  };
  stored.set(page, kept);
  return { page, notes };
}

// ---- changes

export function change(page: PageState, by: (d: Dashboard) => Dashboard): void {
  page.dashboard.value = by(page.dashboard.value);
}

const inPanels = (panels: Panel[], id: number, by: (p: Panel) => Panel | null): Panel[] => {
  let changed = false;
  const out = panels.flatMap((p) => {
    if (p.id === id) {
      changed = true;
      return by(p) ?? [];
    }
    if (!p.panels?.length) return p;
    const inner = inPanels(p.panels, id, by);
    changed ||= inner !== p.panels;
    return inner === p.panels ? p : { ...p, panels: inner };
  });
  return changed ? out : panels;
};

// Gives the panel another form; null takes it away. The others stay the same objects.
export function changePanel(page: PageState, id: number, by: (p: Panel) => Panel | null): void {
  change(page, (d) => ({ ...d, panels: inPanels(d.panels, id, by) }));
}

export function findPanel(panels: Panel[], id: number): Panel | undefined {
  for (const p of panels) {
    if (p.id === id) return p;
    const inner = p.panels && findPanel(p.panels, id);
    if (inner) return inner;
  }
  return undefined;
}

export function discard(page: PageState): void {
  page.dashboard.value = stored.get(page)!.value.dashboard;
  followSettings(page);
}

// What the page takes from the dashboard as a whole: its time, its cursor.
export function followSettings(page: PageState): void {
  const d = page.dashboard.value;
  page.crosshair.value = d.graphTooltip;
  rangeDefaults.value = { from: d.time.from || "now-6h", to: d.time.to || "now", refresh: d.refresh, timezone: d.timezone };
}

// What the server has now, instead of what is here.
export async function reopen(page: PageState): Promise<void> {
  const { dashboard, meta } = await load(page.uid);
  const d = readDashboard(dashboard).dashboard;
  batch(() => {
    stored.get(page)!.value = { dashboard: d, text: text(d) };
    page.dashboard.value = d;
    page.meta.value = meta;
    followSettings(page);
  });
  restart(page);
}

// The variables as the dashboard now has them.
export function restart(page: PageState): void {
  page.values.value = initialValues(page.dashboard.value, route.value.query);
  void resolveVariables(page);
}

// Stores it; a `copy` gets an address of its own and the page stays what it is. Somebody else's newer version is not overwritten unless `overwrite`: then it says "conflict".
export async function savePage(page: PageState, more: { message?: string; folderUid?: string; overwrite?: boolean; title?: string; copy?: boolean } = {}): Promise<Saved | "conflict"> {
  const { title, copy, ...rest } = more;
  const d: Dashboard = { ...page.dashboard.value, ...(title ? { title } : {}) };
  if (isUnsaved(page.uid) || copy) delete d.id;
  if (copy) Object.assign(d, { uid: "", version: 0 });
  try {
    const done = await store(d, { folderUid: page.meta.value.folderUid, ...rest });
    if (copy) return done;
    const now = { ...d, uid: done.uid, version: done.version };
    stored.get(page)!.value = { dashboard: now, text: text(now) };
    page.dashboard.value = now;
    if (isUnsaved(page.uid)) forgetUnsaved(page.uid);
    return done;
  } catch (e) {
    if (e instanceof Refused && e.status === 412) return "conflict";
    throw e;
  }
}

// ---- variables

// What the variables have goes into the address, in their order.
function writeAddress(page: PageState, push: boolean): void {
  const query = new URLSearchParams();
  for (const [k, v] of route.value.query) if (!isVariable(k)) query.append(k, v);
  for (const [k, all] of Object.entries(toQuery({ ...page.values.value }))) for (const v of all) query.append(k, v);
  replaceQuery(query, push);
}

const inAddress = (query: URLSearchParams): string => [...query].filter(([k]) => isVariable(k)).map((p) => p.join("=")).sort().join("&");

const TYPED = new Set(["textbox", "constant", "adhoc", "switch", "system"]); // there without being asked for

// The names that stand on these, directly or not.
function standingOn(d: Dashboard, names: string[]): Set<string> {
  const deps = [...dependencies(d)];
  const out = new Set<string>();
  for (let more = names; more.length;) {
    more = deps.filter(([name, on]) => !out.has(name) && on.some((o) => more.includes(o))).map(([name]) => name);
    for (const name of more) out.add(name);
  }
  return out;
}

const MANY = 50; // variables, from which on their values are taken twice a second

function takeStates(page: PageState, all: [string, State][]): void {
  batch(() => {
    page.states.value = { ...page.states.value, ...Object.fromEntries(all) };
    const same = (a: Value, b: Value) => JSON.stringify([a.value, a.text, a.all]) === JSON.stringify([b.value, b.text, b.all]);
    const old = page.values.value;
    const fresh = all.filter(([name, state]) => !old[name] || !same(old[name], state.value));
    if (fresh.length) page.values.value = { ...old, ...Object.fromEntries(fresh.map(([name, state]) => [name, state.value])) };
    const done = new Set(all.map(([name]) => name));
    if ([...page.asking.value].some((n) => done.has(n))) page.asking.value = new Set([...page.asking.value].filter((n) => !done.has(n)));
  });
}

const running = new WeakMap<PageState, AbortController>();

// Asks for the options of all variables, or of those that hang on what changed, and keeps what is still
// valid. Panels wait for those that they use, but not when it is only the time that has moved on.
export async function resolveVariables(page: PageState, how: { changed?: string; range?: boolean } = {}): Promise<void> {
  running.get(page)?.abort();
  const abort = new AbortController();
  running.set(page, abort);
  const d = page.dashboard.value;
  const wanted = how.changed ? standingOn(d, [how.changed]) : how.range ? new Set<string>() : new Set(d.templating.list.filter((v) => !TYPED.has(v.type)).map((v) => v.name));
  page.asking.value = wanted;
  // Each change draws the page again, so that those that come at nearly the same time are taken together.
  let come: [string, State][] = [];
  const take = () => {
    const all = come;
    come = [];
    if (!abort.signal.aborted && all.length) takeStates(page, all);
  };
  try {
    await loadVariables(d, page.scope.peek(), ask, {
      ...how, before: page.ready.value ? page.states.value : undefined, signal: abort.signal,
      each: (name, state) => {
        if (come.push([name, state]) === 1) setTimeout(take, d.templating.list.length > MANY ? 500 : 0);
      },
    });
  } catch (e) {
    if (!abort.signal.aborted) tell((e as Error).message, true);
  }
  if (abort.signal.aborted) return;
  batch(() => {
    take();
    page.asking.value = new Set();
    page.ready.value = true;
  });
  writeAddress(page, false);
}

// The viewer's choice.
export function choose(page: PageState, name: string, values: string[]): void {
  const before = page.values.value[name];
  const state = page.states.value[name] ?? (before && { value: before, options: before.variable?.options ?? [] });
  if (!before || !state) return;
  const value = chosenValue({ ...state, value: before }, values);
  if (JSON.stringify(before.value) === JSON.stringify(value.value)) return;
  page.values.value = { ...page.values.value, [name]: value };
  writeAddress(page, true);
  void resolveVariables(page, { changed: name });
}

// The back button, or a link to the same dashboard with other values.
export function followAddress(page: PageState): void {
  const now = new URLSearchParams();
  for (const [k, all] of Object.entries(toQuery({ ...page.values.value }))) for (const v of all) now.append(k, v);
  if (!page.ready.value || inAddress(now) === inAddress(route.value.query)) return;
  page.values.value = initialValues(page.dashboard.value, route.value.query);
  void resolveVariables(page);
}
