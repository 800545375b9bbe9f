// read_v2.ts - the newer form of a dashboard (apiVersion dashboard.grafana.app/v2…): panels as named
// elements, layouts of several kinds that refer to them. It becomes the classic form here; tabs become
// rows, a grid without places gets places.
import { bag, bags, isBag, num, put, str } from "./json";
import type { Bag } from "./model";

interface Layouting { elements: Bag; used: Set<string>; notes: string[]; y: number; out: Bag[]; depth: number }

const SYNC: Record<string, number> = { Off: 0, Crosshair: 1, Tooltip: 2 };

export function fromV2(spec: Bag, notes: string[]): Bag {
  const time = bag(spec.timeSettings);
  const out: Bag = {
    uid: spec.uid, title: spec.title, description: spec.description, tags: spec.tags, links: spec.links, editable: spec.editable,
    liveNow: spec.liveNow, preload: spec.preload, graphTooltip: SYNC[str(spec.cursorSync)] ?? 0,
    time: { from: time.from, to: time.to }, timezone: time.timezone, refresh: time.autoRefresh, weekStart: time.weekStart,
    fiscalYearStartMonth: time.fiscalYearStartMonth,
    timepicker: {}, schemaVersion: 42, panels: [],
    templating: { list: bags(spec.variables).map((v) => variable(v, notes)).filter(isBag) },
    annotations: { list: bags(spec.annotations).map(annotations) },
  };
  put(out.timepicker, "refresh_intervals", time.autoRefreshIntervals);
  put(out.timepicker, "nowDelay", time.nowDelay);
  put(out.timepicker, "quick_ranges", time.quickRanges);
  if (time.hideTimepicker === true) out.timepicker.hidden = true;
  const l: Layouting = { elements: spec.elements, used: new Set(), notes, y: 0, out: [], depth: 0 };
  layout(spec.layout, l);
  out.panels = l.out;
  for (const name of Object.keys(out)) if (out[name] === undefined) delete out[name];
  return out;
}

// ---- layouts

function layout(x: unknown, l: Layouting): void {
  const spec = bag(bag(x).spec);
  if (++l.depth > 20) throw new Error("The dashboard's layouts are nested deeper than 20 levels.");
  switch (str(bag(x).kind)) {
    case "GridLayout": grid(bags(spec.items), l); break;
    case "RowsLayout": for (const r of bags(spec.rows)) rowOf(bag(r.spec), l); break;
    case "TabsLayout": for (const t of bags(spec.tabs)) rowOf(bag(t.spec), l); break;
    case "AutoGridLayout":
    case "ResponsiveGridLayout": autoGrid(spec, l); break;
    default: l.notes.push(`The layout "${str(bag(x).kind)}" is not known: its panels are left out.`);
  }
  l.depth--;
}

// Rows, and tabs, which become rows. Rows within a row follow it.
function rowOf(r: Bag, l: Layouting): void {
  if (r.conditionalRendering) l.notes.push("Rows and panels that show themselves on a condition are always shown.");
  const head: Bag = { type: "row", title: str(r.title), collapsed: r.collapse === true, panels: [], gridPos: { x: 0, y: l.y, w: 24, h: 1 } };
  put(head, "repeat", bag(r.repeat).value);
  const plain = r.hideHeader === true && !head.repeat;
  if (!plain) {
    l.out.push(head);
    l.y++;
  }
  const inner: Layouting = { ...l, out: [] };
  layout(r.layout, inner);
  l.y = inner.y;
  if (!plain && head.collapsed) {
    head.panels = inner.out.filter((p) => p.type !== "row");
  } else l.out.push(...inner.out);
}

function grid(items: Bag[], l: Layouting): void {
  const top = l.y;
  let end = top;
  for (const item of items) {
    const s = bag(item.spec);
    const y = top + (num(s.y) ?? 0);
    if (item.kind === "GridLayoutRow") {
      const head: Bag = { type: "row", title: str(s.title), collapsed: s.collapsed === true, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } };
      put(head, "repeat", bag(s.repeat).value);
      const inner: Layouting = { ...l, out: [], y: y + 1 };
      grid(bags(s.elements), inner);
      end = Math.max(end, inner.y);
      if (head.collapsed) head.panels = inner.out;
      l.out.push(head, ...(head.collapsed ? [] : inner.out));
      continue;
    }
    const p = element(s, { x: num(s.x) ?? 0, y, w: num(s.width) ?? 12, h: num(s.height) ?? 8 }, l);
    if (p) end = Math.max(end, y + p.gridPos.h);
  }
  l.y = end;
}

const HEIGHTS: Record<string, number> = { short: 168, standard: 320, tall: 512 }; // px
const WIDTHS: Record<string, number> = { narrow: 192, standard: 448, wide: 768 };
const PAGE = 1440; // the width that a classic grid is made for, px

// As many columns as the page has place for, filled from left to right.
function autoGrid(s: Bag, l: Layouting): void {
  const items = bags(s.items);
  const width = s.columnWidthMode === "custom" ? num(s.columnWidth) ?? 448 : WIDTHS[str(s.columnWidthMode)] ?? 448;
  const most = Math.max(1, Math.min(24, num(s.maxColumnCount) ?? 3, Math.floor(PAGE / Math.max(60, width))));
  const columns = Math.max(1, Math.min(most, items.length));
  const px = s.rowHeightMode === "custom" ? num(s.rowHeight) ?? 320 : HEIGHTS[str(s.rowHeightMode)] ?? 320;
  const h = Math.max(3, Math.round((px + 8) / 38));
  const edge = (i: number): number => Math.round(i * 24 / columns);
  items.forEach((item, i) => {
    const c = i % columns;
    element(bag(item.spec), { x: edge(c), y: l.y + Math.floor(i / columns) * h, w: edge(c + 1) - edge(c), h }, l, columns);
  });
  l.y += Math.ceil(items.length / columns) * h;
}

function element(item: Bag, gridPos: Bag, l: Layouting, perRow?: number): Bag | undefined {
  const name = str(bag(item.element).name);
  const e = Object.hasOwn(l.elements, name) ? bag(l.elements[name]) : undefined;
  if (!e) {
    l.notes.push(`The layout names a panel "${name}" that is not there.`);
    return undefined;
  }
  if (item.conditionalRendering) l.notes.push("Rows and panels that show themselves on a condition are always shown.");
  const p = e.kind === "LibraryPanel" ? { ...pick(bag(e.spec), "id", "title", "libraryPanel"), gridPos } : panel(bag(e.spec), gridPos);
  if (l.used.has(name)) delete (p as Bag).id; // shown a second time
  l.used.add(name);
  const repeat = bag(item.repeat);
  if (str(repeat.value)) {
    Object.assign(p, { repeat: repeat.value, repeatDirection: repeat.direction === "v" ? "v" : "h" });
    put(p, "maxPerRow", num(repeat.maxPerRow) ?? perRow);
  }
  l.out.push(p);
  return p;
}

const pick = (from: Bag, ...names: string[]): Bag => Object.fromEntries(names.filter((n) => from[n] !== undefined).map((n) => [n, from[n]]));

// ---- panels

// A query's data source: by its group (type) and name; in the first version of the form by an object.
function refOf(query: Bag, spec: Bag): Bag | undefined {
  if (isBag(spec.datasource)) return spec.datasource;
  const type = str(query.group) || (query.kind !== "DataQuery" ? str(query.kind) : "");
  const uid = str(bag(query.datasource).name);
  return type || uid ? { ...(type ? { type } : {}), ...(uid ? { uid } : {}) } : undefined;
}

function panel(s: Bag, gridPos: Bag): Bag {
  const viz = bag(s.vizConfig);
  const data = bag(bag(s.data).spec);
  const targets = bags(data.queries).map((q) => target(bag(q.spec)));
  const p: Bag = {
    ...pick(s, "id", "title", "description", "links", "transparent", "subtitle"),
    ...pick(bag(data.queryOptions), "timeFrom", "timeShift", "maxDataPoints", "interval", "cacheTimeout", "hideTimeOverride", "queryCachingTTL", "timeCompare"),
    type: str(viz.group) || str(viz.kind), gridPos, targets,
    options: bag(bag(viz.spec).options), fieldConfig: bag(bag(viz.spec).fieldConfig),
    transformations: bags(data.transformations).map((t) => ({ ...bag(t.spec), id: str(t.group) || str(bag(t.spec).id) || str(t.kind) })),
  };
  put(p, "pluginVersion", str(viz.version) || str(bag(viz.spec).pluginVersion));
  const refs = targets.map((t) => JSON.stringify(t.datasource ?? null));
  if (new Set(refs).size > 1) p.datasource = { type: "datasource", uid: "-- Mixed --" };
  else if (targets.length && targets[0]!.datasource) p.datasource = { ...targets[0]!.datasource };
  return p;
}

function target(q: Bag): Bag {
  const query = bag(q.query);
  const t: Bag = { ...bag(query.spec), refId: str(q.refId) };
  put(t, "datasource", refOf(query, q));
  if (q.hidden === true) t.hide = true;
  return t;
}

// ---- variables and annotations

const KINDS: Record<string, string> = {
  QueryVariable: "query", CustomVariable: "custom", ConstantVariable: "constant", DatasourceVariable: "datasource", IntervalVariable: "interval",
  TextVariable: "textbox", AdhocVariable: "adhoc", GroupByVariable: "groupby", SwitchVariable: "switch",
};
const HIDE: Record<string, number> = { dontHide: 0, hideLabel: 1, hideVariable: 2, inControlsMenu: 3 };
const REFRESH: Record<string, number> = { never: 0, onDashboardLoad: 1, onTimeRangeChanged: 2 };
const SORT = ["disabled", "alphabeticalAsc", "alphabeticalDesc", "numericalAsc", "numericalDesc", "alphabeticalCaseInsensitiveAsc", "alphabeticalCaseInsensitiveDesc", "naturalAsc", "naturalDesc"];

function variable(v: Bag, notes: string[]): Bag | undefined {
  const type = Object.hasOwn(KINDS, str(v.kind)) ? KINDS[str(v.kind)] : undefined;
  if (!type) {
    notes.push(`A variable of kind "${str(v.kind)}" is left out.`);
    return undefined;
  }
  const s = bag(v.spec);
  const out: Bag = { ...s, type };
  if (typeof s.hide === "string") out.hide = HIDE[s.hide] ?? 0;
  if (typeof s.refresh === "string") out.refresh = REFRESH[s.refresh] ?? 1;
  if (typeof s.sort === "string") out.sort = Math.max(0, SORT.indexOf(s.sort));
  if (type === "datasource") {
    out.query = str(s.pluginId);
    delete out.pluginId;
  }
  const query = isBag(s.query) ? s.query : undefined;
  if (type === "query" && query) {
    put(out, "datasource", refOf(query, s));
    const inner = bag(query.spec);
    out.query = typeof inner.__legacyStringValue === "string" ? inner.__legacyStringValue : inner;
  } else if (isBag(v.datasource) || v.group) put(out, "datasource", refOf(v, {}));
  if (type === "switch" && typeof s.current === "string") out.current = { text: s.current, value: s.current };
  return out;
}

function annotations(a: Bag): Bag {
  const { query, legacyOptions, ...s } = bag(a.spec);
  const q = bag(query);
  const out: Bag = { ...bag(legacyOptions), ...s };
  const ref = refOf(q, bag(a.spec));
  if (ref) out.datasource = ref.type === "grafana" ? { type: "grafana", uid: "-- Grafana --" } : ref;
  if (s.builtIn === true) out.builtIn = 1;
  const inner = bag(q.spec);
  if (Object.keys(inner).length) {
    if (typeof inner.expr === "string") out.expr = inner.expr;
    out.target = inner;
  }
  return out;
}
