// read.ts - any form of a Grafana dashboard in, our model out: the classic form of every schema
// version, with or without its wrapping, and the resources of Grafana's newer API. What is old is
// told by the members that are there, since old panels sit in new dashboards too.
import { bag, bags, cleanCopy, drop, isBag, list, num, parseText, put, str } from "./json";
import type { Annotations, Bag, Dashboard, Link, Panel } from "./model";
import { giveIds, readPanel, UNPLACED } from "./read_panels";
import { oldMembers, oldRows } from "./read_old";
import { readRef, Sources } from "./read_source";
import { fromV2 } from "./read_v2";
import { readVariables } from "./read_variables";

const NEWEST = 42;
const MOST_PANELS = 2000;

// What a reader of a part is given: the place for its notes, and what the dashboard says elsewhere.
export interface Reading {
  notes: string[];
  version: number; // of the schema that was read
  sources: Sources;
  elements: Map<string, Bag>; // library panels that came along
}

// Throws an Error that says in a sentence why this is no dashboard; what was left out is in `notes`.
export function readDashboard(json: unknown): { dashboard: Dashboard; notes: string[] } {
  const notes: string[] = [];
  const classic = unwrapped(cleanCopy(typeof json === "string" ? parseText(json) : json), notes);
  return { dashboard: readClassic(classic, notes), notes: [...new Set(notes)] };
}

// The classic model within what wraps it.
function unwrapped(json: unknown, notes: string[]): Bag {
  if (!isBag(json)) throw new Error("This is no dashboard: an object is expected.");
  if (Array.isArray(json.items) && !json.panels && !json.elements)
    throw new Error("This is a list of dashboards: open them one by one.");
  if (typeof json.kind === "string" && json.spec?.panels && isBag(json.spec.panels) && Array.isArray(json.spec?.layouts))
    throw new Error("This is a dashboard of Perses, which has another form than Grafana's.");
  for (const name of ["dashboard", "json"])
    if (isBag(json[name]) && !json.panels && !json.rows && !json.elements) {
      const inner = unwrapped(json[name], notes);
      if (name === "dashboard" && isBag(json.meta)) put(inner, "uid", inner.uid ?? json.meta.uid);
      return inner;
    }
  let spec = json;
  if (isBag(json.spec) && !json.panels && !json.rows) {
    spec = json.spec;
    if (typeof spec.json === "string") spec = bag(cleanCopy(parseText(spec.json)));
    put(spec, "uid", spec.uid ?? bag(json.metadata).name);
  }
  if (isBag(spec.elements) && isBag(spec.layout)) spec = fromV2(spec, notes);
  const known = ["panels", "rows", "templating", "schemaVersion", "annotations", "title"];
  if (!known.some((name) => name in spec))
    throw new Error("This is no dashboard of Grafana: it has neither panels nor rows nor elements.");
  return spec;
}

function readClassic(raw: Bag, notes: string[]): Dashboard {
  oldMembers(raw);
  const sources = new Sources(raw);
  const reading: Reading = { notes, version: num(raw.schemaVersion) ?? 0, sources, elements: libraryPanels(raw) };
  if (Array.isArray(raw.rows)) oldRows(raw);
  const d = raw as Dashboard;
  d.uid = str(raw.uid);
  d.title = str(raw.title) || "Untitled";
  d.tags = list(raw.tags).filter((t) => typeof t === "string");
  d.timezone = str(raw.timezone);
  d.editable = raw.editable !== false;
  const tip = num(raw.graphTooltip);
  d.graphTooltip = tip === 1 || tip === 2 ? tip : 0;
  const time = bag(raw.time);
  d.time = { ...time, from: str(time.from) || "now-6h", to: str(time.to) || "now" };
  d.timepicker = bag(raw.timepicker);
  d.refresh = str(raw.refresh);
  d.version = num(raw.version) ?? 0;
  d.templating = { ...bag(raw.templating), list: readVariables(bag(raw.templating).list, reading) };
  d.annotations = { ...bag(raw.annotations), list: bags(bag(raw.annotations).list).map((a) => readAnnotations(a, reading)) };
  d.links = bags(raw.links).map((l) => readLink({ ...LINK, ...l }));
  d.panels = readPanels(bags(raw.panels), reading);
  d.schemaVersion = Math.max(NEWEST, reading.version);
  return d;
}

// `__elements` of an export: an object by uid, earlier a list.
function libraryPanels(raw: Bag): Map<string, Bag> {
  const all = Array.isArray(raw.__elements) ? raw.__elements : Object.values(bag(raw.__elements));
  return new Map(bags(all).filter((e) => isBag(e.model)).map((e) => [str(e.uid), e.model]));
}

// Open rows are followed by their panels, folded ones hold them; no row is within another.
function readPanels(raw: Bag[], reading: Reading): Panel[] {
  const out: Panel[] = [];
  let count = 0;
  const counted = (): void => {
    if (++count > MOST_PANELS) throw new Error(`The dashboard has more than ${MOST_PANELS} panels.`);
  };
  // Until schema 27 the clones of a repeated panel were saved along with it.
  const clone = (p: Bag): boolean => reading.version < 27 && (p.repeatPanelId !== undefined && p.repeatPanelId !== null && !p.repeat || !!p.repeatByRow);
  for (const p of raw) {
    if (clone(p)) continue;
    counted();
    const panel = readPanel(p, reading);
    drop(panel, "repeatPanelId", "repeatIteration", "repeatByRow", "scopedVars");
    out.push(panel);
    if (panel.type !== "row") continue;
    const held = flat(bags(panel.panels)).filter((one) => !clone(one)).map((one) => {
      counted();
      return readPanel(one, reading);
    });
    panel.collapsed = panel.collapsed === true;
    panel.panels = panel.collapsed ? held : [];
    if (!panel.collapsed) out.push(...held);
  }
  giveIds(out);
  for (const row of out) if (row.panels) row.panels = inOrder(row.panels);
  return inOrder(out);
}

// From the top, as Grafana sorts them: what follows a row is in it. What has no place comes below what is before it.
function inOrder(panels: Panel[]): Panel[] {
  let y = 0;
  for (const { gridPos } of panels) {
    if (gridPos.y >= UNPLACED) gridPos.y = y;
    y = Math.max(y, gridPos.y + gridPos.h);
  }
  return [...panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
}

const flat = (panels: Bag[]): Bag[] => panels.flatMap((p) => (p.type === "row" ? bags(p.panels) : [p]));

function readAnnotations(a: Bag, reading: Reading): Annotations {
  const out = a as Annotations;
  out.name = str(a.name) || "Annotations";
  out.enable = a.enable !== false;
  out.iconColor = str(a.iconColor) || "red";
  if ("datasource" in a) put(out, "datasource", readRef(a.datasource, reading.sources));
  if (!out.expr && typeof a.target?.expr === "string") out.expr = a.target.expr;
  return out;
}

// What Grafana wants to be there in a dashboard's link.
const LINK = { asDropdown: false, icon: "external link", includeVars: false, keepTime: false, tags: [], targetBlank: false, tooltip: "", type: "link", url: "" };

export function readLink(l: Bag): Link {
  const out = l as Link;
  out.title = str(l.title);
  for (const name of ["url", "tooltip", "icon"]) if (typeof out[name] !== "string") delete out[name];
  if (l.tags !== undefined) out.tags = list(l.tags).filter((t) => typeof t === "string");
  return out;
}
