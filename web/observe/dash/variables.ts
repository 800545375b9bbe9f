// variables.ts - the values of a dashboard's variables: at first from the address and what was saved,
// then from their queries, each after those it stands on and independent ones at the same time. One
// that fails says so and holds nobody up.
import { filterToUrl } from "./adhoc";
import { ALL, interpolate, usedNames } from "./interpolate";
import { customOptions, chosen, finished, intervalOptions, sorted, type Options } from "./options";
import type { Dashboard, Option, Variable } from "./model";
import { within, type Scope, type Value } from "./scope";
import { askVariable, queryText, type Ask, type Found } from "./variable_query";

export type { Ask } from "./variable_query";

export interface State {
  value: Value;
  options: Option[];
  error?: string;
  note?: string;
}

const list = (x: string | string[] | undefined): string[] => (x === undefined ? [] : Array.isArray(x) ? x : [x]);
const only = (options: Option[]): string[] => options.filter((o) => o.value !== ALL).map((o) => o.value);

// ---- at first

export function initialValues(d: Dashboard, query: URLSearchParams): Record<string, Value> {
  const out: Record<string, Value> = {};
  for (const v of d.templating.list) {
    const given = v.type === "constant" || v.skipUrlSync ? [] : query.getAll(`var-${v.name}`);
    if (given.length) out[v.name] = valueOf(v, given.map((g) => (g === "All" && v.includeAll ? ALL : g)).filter((g) => g !== "" || given.length === 1), undefined, undefined, true);
    else out[v.name] = savedValue(v);
  }
  return out;
}

function savedValue(v: Variable): Value {
  const saved = list(v.current?.value);
  switch (v.type) {
    case "constant": return valueOf(v, [queryText(v.query) || saved[0] || ""]);
    case "textbox": return valueOf(v, [saved[0] ?? queryText(v.query)]);
    case "adhoc": return valueOf(v, (v.filters ?? []).map(filterToUrl));
    case "switch": return valueOf(v, [saved[0] ?? String(v.disabledValue ?? "false")]);
    default: return valueOf(v, saved, list(v.current?.text));
  }
}

// A variable's value with the texts that its options have for it.
function valueOf(v: Variable, values: string[], texts?: string[], loaded?: Option[], given = false): Value {
  const options = loaded ?? v.options ?? [];
  const known = new Map(options.map((o) => [o.value, o.text]));
  const named = values.map((x, i) => known.get(x) ?? (x === ALL ? "All" : texts?.[i] ?? x));
  const several = v.multi || v.type === "adhoc" || v.type === "groupby";
  const all = only(options);
  return {
    value: several ? values : values[0] ?? "", text: several ? named : named[0] ?? "",
    ...(loaded || all.length ? { all } : {}), ...(given ? { given } : {}), variable: loaded ? { ...v, options: loaded } : v,
  };
}

// For the address. What is as it was saved is there too: a shared address shows the same everywhere.
export function toQuery(values: Record<string, Value>): Record<string, string[]> {
  const out: Record<string, string[]> = {};
  for (const [name, v] of Object.entries(values)) {
    if (v.variable?.skipUrlSync || v.variable?.type === "constant" || v.variable?.type === "system") continue;
    out[`var-${name}`] = list(v.value).length ? list(v.value) : [""];
  }
  return out;
}

// A choice of the viewer as a value.
export const chosenValue = (state: State, values: string[]): Value => {
  const v = state.value.variable!;
  const last = values[values.length - 1];
  // All goes with nothing else: whichever was chosen last stays.
  const kept = values.length > 1 && values.includes(ALL) ? (last === ALL ? [ALL] : values.filter((x) => x !== ALL)) : values;
  return valueOf(v, kept, undefined, state.options, true);
};

// ---- in the order of their dependency

export function dependencies(d: Dashboard): Map<string, string[]> {
  const names = new Set(d.templating.list.map((v) => v.name));
  return new Map(d.templating.list.map((v) => {
    const stands = v.type === "query" || v.type === "custom" || v.type === "datasource" || v.type === "groupby" || v.type === "adhoc"
      ? [v.query, v.regex, v.datasource?.uid ?? ""] : [];
    return [v.name, usedNames(stands).filter((n) => names.has(n) && n !== v.name)];
  }));
}

// The names that stand on each other in a circle, by name.
function circles(deps: Map<string, string[]>): Map<string, string[]> {
  const out = new Map<string, string[]>();
  const done = new Set<string>();
  const visit = (name: string, path: string[]): void => {
    const at = path.indexOf(name);
    if (at >= 0) {
      for (const one of path.slice(at)) if (!out.has(one)) out.set(one, [...path.slice(at), name]);
      return;
    }
    if (done.has(name)) return;
    for (const next of deps.get(name) ?? []) visit(next, [...path, name]);
    done.add(name);
  };
  for (const name of deps.keys()) visit(name, []);
  return out;
}

export interface How {
  changed?: string | string[]; // chosen by the viewer: only what stands on these is asked again
  range?: boolean; // the range has changed: only what asks to be refreshed then, and what stands on it
  before?: Record<string, State>; // of the last time, for what is not asked again
  signal?: AbortSignal;
  each?: (name: string, state: State) => void; // as soon as one is there
}

// `scope.values` holds the present values (at first those of initialValues). Resolves when all are done;
// never rejects but for its own abort.
export async function loadVariables(d: Dashboard, scope: Scope, ask: Ask, how: How = {}): Promise<Record<string, State>> {
  const deps = dependencies(d);
  const circle = circles(deps);
  const values: Record<string, Value> = { ...scope.values };
  const out: Record<string, State> = {};
  const changed = new Set(typeof how.changed === "string" ? [how.changed] : how.changed ?? []);
  const partial = (changed.size > 0 || how.range === true) && how.before !== undefined;
  const running = new Map<string, Promise<void>>();

  const load = async (v: Variable): Promise<void> => {
    const on = circle.has(v.name) ? [] : deps.get(v.name)!;
    await Promise.all(on.map((name) => run(name)));
    how.signal?.throwIfAborted();
    const before = how.before?.[v.name];
    const wanted = !partial || !before || (how.range && v.refresh === 2) || on.some((name) => changed.has(name));
    let state: State;
    if (!wanted) state = { ...before, value: values[v.name] ?? before.value };
    else {
      state = await stateOf(v, within(scope, values), ask, how, circle.get(v.name));
      if (!sameValue(values[v.name], state.value)) changed.add(v.name);
    }
    values[v.name] = state.value;
    out[v.name] = state;
    how.each?.(v.name, state);
  };
  const byName = new Map(d.templating.list.map((v) => [v.name, v]));
  const run = (name: string): Promise<void> => {
    let one = running.get(name);
    if (!one) running.set(name, (one = load(byName.get(name)!)));
    return one;
  };
  await Promise.all(d.templating.list.map((v) => run(v.name)));
  return out;
}

function sameValue(a: Value | undefined, b: Value): boolean {
  if (!a) return false;
  const [x, y] = [list(a.value), list(b.value)];
  if (x.length !== y.length || x.some((v, i) => v !== y[i])) return false;
  if (!x.includes(ALL)) return true;
  return a.all?.length === b.all?.length && (a.all ?? []).every((v, i) => v === b.all![i]); // All of others is another
}

async function stateOf(v: Variable, scope: Scope, ask: Ask, how: How, circle: string[] | undefined): Promise<State> {
  const present = scope.values[v.name] ?? savedValue(v);
  if (circle) return { value: present, options: v.options ?? [], error: `Variables stand on each other: ${circle.join(" → ")}.` };
  try {
    const found = await optionsOf(v, scope, ask, how);
    if (!found) return { value: { ...present, variable: v }, options: v.options ?? [] };
    return { value: selected(v, present, found.options), options: found.options, note: found.note };
  } catch (e) {
    how.signal?.throwIfAborted();
    const options = how.before?.[v.name]?.options ?? v.options ?? [];
    return { value: { ...present, variable: v }, options, error: (e as Error).message || String(e) };
  }
}

// What a variable offers; undefined if it is typed and not chosen.
async function optionsOf(v: Variable, scope: Scope, ask: Ask, how: How): Promise<Options | undefined> {
  switch (v.type) {
    case "query": {
      if (v.refresh === 0 && v.options?.length && !how.before) return { options: v.options };
      const found = await askVariable(v, { scope, ask, signal: how.signal });
      const regex = v.regex ? interpolate(v.regex, scope, "regex") : "";
      const more = customStatic(v.staticOptions);
      return finished(v, [...more, ...sorted(chosen(found, regex, v.regexApplyTo === "text" ? "text" : "value"), v.sort)]);
    }
    case "custom": return finished(v, customOptions(interpolate(queryText(v.query), scope, "raw"), v.valuesFormat as string | undefined));
    case "interval": return finished(v, intervalOptions(v));
    case "datasource": return ourSources(v);
    case "groupby": {
      const saved = only(v.options ?? []);
      const names = saved.length ? saved : (await ask<string[]>("/api/v1/labels", {}, how.signal)).data ?? [];
      return { options: names.filter((n) => n !== "__name__").slice(0, 10000).map((n) => ({ text: n, value: n })) };
    }
    case "switch": {
      const [on, off] = [String(v.enabledValue ?? "true"), String(v.disabledValue ?? "false")];
      return { options: [{ text: on, value: on }, { text: off, value: off }] };
    }
    default: return undefined;
  }
}

const customStatic = (x: unknown): Found => (Array.isArray(x) ? customOptions(JSON.stringify(x), "json") : []);

// Each type of data source is here once or not at all.
const SOURCES: [RegExp, string][] = [
  [/prometheus|mimir|thanos|victoriametrics|cortex/i, "Prometheus"], [/tempo/i, "Tempo"], [/jaeger|zipkin/i, "Jaeger"], [/loki/i, "Loki"], [/alertmanager/i, "Alertmanager"],
];
function ourSources(v: Variable): Options | undefined {
  const type = queryText(v.query);
  const name = SOURCES.find(([re]) => re.test(type))?.[1];
  if (!name) throw new Error(`A data source of type "${type}" is not one that is here.`);
  return { options: [{ text: name, value: name.toLowerCase() }] };
}

// What is still offered stays chosen, by its value or by its text; else the first.
function selected(v: Variable, present: Value, options: Option[]): Value {
  const values = list(present.value), texts = list(present.text);
  const byValue = new Map(options.map((o) => [o.value, o]));
  const byText = new Map(options.map((o) => [o.text, o]));
  const typed = v.type !== "datasource" && v.allowCustomValue !== false && present.given === true;
  const kept: string[] = [];
  values.forEach((value, i) => {
    const o = byValue.get(value) ?? (value.startsWith("$__auto") ? options.find((x) => x.value.startsWith("$__auto")) : undefined) ??
      byText.get(value) ?? (texts[i] !== undefined ? byText.get(texts[i]!) : undefined);
    if (o) kept.push(o.value);
    else if (typed && value !== "" && value !== ALL) kept.push(value);
  });
  const alone = kept.includes(ALL) ? [ALL] : kept;
  const none = v.type === "groupby" || (v.multi && !values.length && v.type === "query" && v.current?.value !== undefined);
  if (!alone.length && !none && options.length) alone.push(options[0]!.value);
  const kepts = [...new Set(v.multi || v.type === "groupby" ? alone : alone.slice(0, 1))];
  return valueOf(v, kepts, undefined, options, typed && kepts.length > 0);
}
