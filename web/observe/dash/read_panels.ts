// read_panels.ts - one panel of any age in its newest form: old types turn into their successors
// (read_graph.ts, read_single.ts, read_table.ts, read_more.ts), and what every type shares is brought
// up to date here: targets, data sources, field options, legends, tooltips, transformations.
import { bag, bags, drop, isBag, list, num, put, str } from "./json";
import type { Bag, Panel, Place, Target, Transformation } from "./model";
import { readLink, type Reading } from "./read";
import { fieldsUpToDate } from "./read_fields";
import { fromGraph } from "./read_graph";
import { fromBarGauge, fromGauge, fromPie, fromSingleStat } from "./read_single";
import { fromHeatmap, fromList, fromStates, fromText } from "./read_more";
import { fromTable } from "./read_table";
import { readRef } from "./read_source";

// By type; each looks for itself whether the members of the old form are there.
const OLD: Record<string, (p: Bag, reading: Reading) => void> = {
  graph: fromGraph, "react-graph": fromGraph, graph2: fromGraph, graph3: fromGraph, graphite: fromGraph,
  singlestat: fromSingleStat, "grafana-singlestat-panel": fromSingleStat,
  stat: fromGauge, singlestat2: fromGauge, gauge: fromGauge, bargauge: fromBarGauge,
  "grafana-piechart-panel": fromPie, piechart: fromPie,
  table: fromTable, "table-old": fromTable, table2: fromTable,
  heatmap: fromHeatmap, "heatmap-new": fromHeatmap,
  text: fromText, text2: fromText,
  "natel-discrete-panel": fromStates, "flant-statusmap-panel": fromStates,
  dashlist: fromList, alertlist: fromList, annolist: fromList, "ryantxu-annolist-panel": fromList, news: fromList,
};

export function readPanel(raw: Bag, reading: Reading): Panel {
  const p = library(raw, reading);
  p.type = str(p.type) || "unknown";
  p.title = str(p.title);
  if (p.alert) {
    reading.notes.push(`Panel "${p.title}": its alert is left out; alerts are rules of their own.`);
    delete p.alert;
  }
  p.gridPos = readPlace(p);
  if (p.minSpan !== undefined && p.maxPerRow === undefined && num(p.minSpan)) p.maxPerRow = Math.max(1, Math.floor(24 / num(p.minSpan)!));
  delete p.minSpan;
  put(p, "repeat", typeof p.repeat === "string" ? p.repeat : undefined);
  if (p.repeat) p.repeatDirection = p.repeatDirection === "v" ? "v" : "h";
  p.datasource = readRef(p.datasource, reading.sources);
  for (const name of ["interval", "timeFrom", "timeShift", "maxDataPoints", "cacheTimeout", "description"]) if (p[name] === null) delete p[name];
  p.targets = readTargets(p, reading);
  p.links = bags(p.links).map(oldLink);
  p.transformations = bags(p.transformations).flatMap((t) => readTransformation(t, reading));
  p.options = bag(p.options);
  if (Object.hasOwn(OLD, p.type)) OLD[p.type]!(p, reading);
  optionsUpToDate(p.options);
  fieldsUpToDate(p, reading);
  return p as Panel;
}

// A library panel is an ordinary one if the file brings it along, else its place is kept.
function library(raw: Bag, reading: Reading): Bag {
  if (!isBag(raw.libraryPanel)) return raw;
  const found = reading.elements.get(str(raw.libraryPanel.uid));
  const model = found ?? (isBag(raw.libraryPanel.model) ? raw.libraryPanel.model : undefined);
  if (model) {
    const { libraryPanel: _, ...own } = raw;
    return { ...structuredClone(model), ...own, type: str(own.type) && own.type !== "library-panel-ref" ? own.type : model.type };
  }
  if (raw.targets || (raw.options && raw.type)) return raw; // it is all there
  const name = str(raw.libraryPanel.name) || str(raw.title);
  reading.notes.push(`The library panel "${name}" is not part of the file.`);
  return { ...raw, title: str(raw.title) || name, type: "library-panel-ref" };
}

export const UNPLACED = 1e6; // the y of a panel that says nothing of its place

function readPlace(p: Bag): Place {
  const g = bag(p.gridPos);
  const row = p.type === "row";
  const w = Math.min(24, Math.max(1, Math.round(num(g.w) ?? (row ? 24 : 12))));
  return {
    ...g,
    h: row ? 1 : Math.min(1000, Math.max(1, Math.round(num(g.h) ?? 8))),
    w: row ? 24 : w,
    x: row ? 0 : Math.min(24 - w, Math.max(0, Math.round(num(g.x) ?? 0))),
    y: Math.min(UNPLACED, Math.max(0, Math.round(num(g.y) ?? UNPLACED))),
  };
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
export function refIdAt(i: number): string {
  return i < 26 ? LETTERS[i]! : refIdAt(Math.floor(i / 26) - 1) + LETTERS[i % 26]!;
}

function readTargets(p: Bag, reading: Reading): Target[] {
  const targets = bags(p.targets);
  const taken = new Set(targets.map((t) => t.refId));
  let next = 0;
  for (const t of targets) {
    if (typeof t.refId !== "string" || !t.refId) {
      while (taken.has(refIdAt(next))) next++;
      t.refId = refIdAt(next);
      taken.add(t.refId);
    }
    if ("datasource" in t) put(t, "datasource", readRef(t.datasource, reading.sources)); // none: the panel's
    if (t.expr !== undefined) t.expr = str(t.expr);
    if (t.intervalFactor !== undefined) put(t, "intervalFactor", num(t.intervalFactor));
    if (t.interval !== undefined) t.interval = str(t.interval);
    if (t.step !== undefined && typeof t.step !== "number") put(t, "step", num(t.step));
    if (t.legendFormat !== undefined) t.legendFormat = str(t.legendFormat);
    if (t.format !== undefined && !["time_series", "table", "heatmap"].includes(t.format) && "expr" in t) delete t.format;
  }
  return targets as Target[];
}

// Links to a dashboard by its title, as they were before links had addresses of their own.
function oldLink(l: Bag): ReturnType<typeof readLink> {
  if (typeof l.url !== "string" && (l.dashUri || l.dashboard || l.type === "absolute")) {
    const slug = str(l.dashboard).toLowerCase().trim().replace(/[^a-z0-9]+/g, "-");
    let url = l.dashUri ? `dashboard/${str(l.dashUri)}` : slug ? `dashboard/db/${slug}` : "";
    const add = (part: string): void => {
      if (part) url += (url.includes("?") ? "&" : "?") + part;
    };
    if (url) {
      if (l.keepTime) add("$__url_time_range");
      if (l.includeVars) add("$__all_variables");
      add(str(l.params));
      l.url = url;
      drop(l, "dashUri", "dashboard", "params", "keepTime", "includeVars", "type");
    }
  }
  if (typeof l.url === "string" && typeof l.params === "string") {
    if (l.params) l.url += (l.url.includes("?") ? "&" : "?") + l.params;
    drop(l, "params", "type");
  }
  if (l.targetBlank === undefined && l.openInNewTab !== undefined) l.targetBlank = l.openInNewTab === true;
  return readLink(l);
}

function readTransformation(t: Bag, reading: Reading): Transformation[] {
  if (typeof t.id !== "string") return [];
  t.options = bag(t.options);
  if (t.id === "seriesToColumns") {
    t.id = "joinByField";
    t.options = { ...t.options, mode: t.options.mode ?? "outer" };
  } else if (t.id === "timeSeriesTable") {
    for (const [ref, stat] of Object.entries(bag(t.options.refIdToStat))) {
      t.options[ref] = { ...bag(t.options[ref]), stat };
    }
    delete t.options.refIdToStat;
  } else if (t.id === "labelsToFields" && reading.version > 0 && reading.version < 31) {
    return [t as Transformation, { id: "merge", options: {} }]; // it merged by itself then
  }
  return [t as Transformation];
}

// Old names of the calculations that legends and reductions ask for.
const CALCS: Record<string, string> = { current: "lastNotNull", avg: "mean", total: "sum" };
export const newCalc = (id: unknown): string => (Object.hasOwn(CALCS, str(id)) ? CALCS[str(id)]! : str(id));

function optionsUpToDate(o: Bag): void {
  if (isBag(o.tooltipOptions)) {
    o.tooltip ??= o.tooltipOptions;
    delete o.tooltipOptions;
  }
  const legend = o.legend;
  if (isBag(legend) && typeof legend.show !== "boolean") { // a heatmap has a legend of its own
    if (legend.displayMode === "hidden" || legend.showLegend === undefined)
      legend.showLegend = legend.displayMode === "hidden" ? false : legend.isVisible !== false;
    if (legend.displayMode === "hidden" || legend.displayMode === undefined) legend.displayMode = legend.asTable ? "table" : "list";
    drop(legend, "isVisible", "asTable");
    if (legend.calcs !== undefined) legend.calcs = list(legend.calcs).map(newCalc);
  }
  if (isBag(o.reduceOptions) && o.reduceOptions.calcs !== undefined) o.reduceOptions.calcs = list(o.reduceOptions.calcs).map(newCalc);
}

// Every panel of the dashboard has an id of its own: what is missing or there twice gets a new one.
export function giveIds(panels: Panel[]): void {
  const all = panels.flatMap((p) => [p, ...(p.panels ?? [])]);
  const taken = new Set<number>();
  const without: Panel[] = [];
  for (const p of all) {
    const id = num(p.id);
    if (id === undefined || !Number.isInteger(id) || id < 1 || taken.has(id)) without.push(p);
    else taken.add((p.id = id));
  }
  let next = 1;
  for (const p of without) {
    while (taken.has(next)) next++;
    taken.add((p.id = next));
  }
}
