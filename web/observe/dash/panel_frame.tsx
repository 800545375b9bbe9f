// panel_frame.tsx - what is around every panel: title, explanation, links, what the query warned of, the
// menu; and what stands in its place while there is nothing to show. The panel itself is drawn by its
// type, which is fetched when the first of it comes into view.
import type { ComponentType } from "preact";
import { useEffect, useErrorBoundary, useMemo, useRef, useState } from "preact/hooks";
import { go, href } from "../base/route";
import { tell } from "../base/store";
import { setRangeMs } from "../base/time";
import { copyText, saveFile } from "../parts/bits";
import { Icon } from "../parts/icon";
import { Explain, MenuButton, type MenuItem } from "../parts/popup";
import { viewOne } from "./address";
import { editItems } from "./edit/mode";
import { interpolate } from "./interpolate";
import type { Placed } from "./layout";
import { hrefOf, isAway } from "./links";
import type { Bag } from "./model";
import { choose, type PageState } from "./page_state";
import { type PanelView, usePanelData } from "./panel_data";
import type { Mark, PanelProps, PanelType } from "./panels/panel";
import { panelType } from "./panels/types";
import { pngOf } from "./picture";
import { useNear, useSize } from "./watch";

const modules = new Map<string, ComponentType<PanelProps>>();

// Fetches what draws the type; once it is there it is there at once.
export async function fetchType(type: PanelType): Promise<ComponentType<PanelProps>> {
  const have = modules.get(type.type);
  if (have) return have;
  const made = (await type.load()).default;
  modules.set(type.type, made);
  return made;
}

function useType(type: PanelType | undefined, wanted: boolean): { Body?: ComponentType<PanelProps>; failed?: string } {
  const [state, setState] = useState<{ of?: string; Body?: ComponentType<PanelProps>; failed?: string }>({});
  const Body = type && modules.get(type.type);
  useEffect(() => {
    if (!type || !wanted || Body) return;
    let current = true;
    fetchType(type).then((B) => current && setState({ of: type.type, Body: B }), (e: Error) => current && setState({ of: type.type, failed: e.message }));
    return () => { current = false; };
  }, [type, wanted]);
  return Body ? { Body } : state.of === type?.type ? state : {};
}

// What a keyboard asks of the panel that has the focus or is pointed at.
export interface PanelActions { view: () => void; explore: () => void; inspect: () => void; link: () => void; legend: () => void; table: () => void }
export const panelActions = new Map<string, PanelActions>();

export function PanelFrame({ page, placed, full = false, onView }: { page: PageState; placed: Placed; full?: boolean; onView?: (view: PanelView) => void }) {
  const box = useRef<HTMLElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const near = useNear(box);
  const size = useSize(body, near);
  const type = panelType(placed.panel.type);
  const view = usePanelData(page, placed, type, near, size, box);
  const { Body, failed } = useType(type, near);
  const [crash, setCrash] = useState("");
  const [asTable, setAsTable] = useState(false);
  const [inspecting, setInspecting] = useState("");
  useEffect(() => setCrash(""), [view.frames, placed.panel]);
  useEffect(() => onView?.(view), [view.frames, view.result, onView]);
  const broken = crash || (view.status !== "unsupported" && failed) || "";
  const status = broken ? "error" : view.status === "ok" && !Body && !asTable ? "loading" : view.status;
  const message = broken || view.message;
  const title = view.panel.title;
  const act: PanelActions = {
    view: () => viewOne(full ? "" : placed.key),
    explore: () => exploreQueries(view),
    inspect: () => setInspecting("data"),
    link: () => void copyText(linkTo(placed.key)).then(() => tell("Panel link copied.")),
    legend: () => merge(page, placed.key, { legend: { showLegend: !(view.panel.options.legend?.showLegend ?? true) } }),
    table: () => setAsTable((on) => !on),
  };
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    const call = (name: keyof PanelActions) => () => latest.current[name]();
    panelActions.set(placed.key, { view: call("view"), explore: call("explore"), inspect: call("inspect"), link: call("link"), legend: call("legend"), table: call("table") });
    return () => void panelActions.delete(placed.key);
  }, [placed.key]);
  const drawn = size.width > 0 && (near || view.result || type?.noQuery);
  return (
    <section ref={box} tabIndex={0} aria-label={title || type?.title || placed.panel.type}
      class={`dash-panel ${placed.panel.transparent ? "clear" : ""} ${title ? "" : "untitled"} ${full ? "full" : ""}`}
      data-panel-state={status} data-panel-id={placed.panel.id} data-panel-key={placed.key} data-panel-type={placed.panel.type}
      data-panel-title={title} data-panel-message={message || undefined} aria-busy={view.loading || undefined}
      style={full ? undefined : placeStyle(placed)}>
      {view.loading && <div class="panel-line" aria-hidden="true" />}
      <Head view={view} message={status === "error" ? message : ""} page={page}
        menu={() => menuOf(act, view, full, asTable, setInspecting, box.current, type, editItems(page, placed, full))} />
      <div class="panel-body" ref={body}>
        {drawn && (status === "nodata" && !asTable ? <p class="panel-say">{message}</p>
          : status === "error" && !view.frames.length ? <p class="panel-say bad">{message}</p>
          : asTable || status === "unsupported" ? <DataTable view={view} note={status === "unsupported" ? message : ""} height={size.height} />
          : Body && (type?.noQuery || view.result) && !crash && <Guarded key={crash} onCrash={setCrash}>
              <Drawn Body={Body} page={page} placed={placed} view={view} width={size.width} height={size.height} />
            </Guarded>)}
      </div>
      {inspecting && <Inspector view={view} tab={inspecting} page={page} onClose={() => setInspecting("")} />}
    </section>
  );
}

const placeStyle = ({ place }: Placed) => ({
  gridColumn: `${place.x + 1} / span ${place.w}`, gridRow: `${place.y + 1} / span ${place.h}`, "--h": String(place.h),
}) as Record<string, string>;

function Drawn({ Body, page, placed, view, width, height }: { Body: ComponentType<PanelProps>; page: PageState; placed: Placed; view: PanelView; width: number; height: number }) {
  const shared = page.crosshair.value;
  const group = useMemo(() => (shared ? { key: page.uid, tooltip: shared === 2 } : undefined), [shared]);
  const marks = useMarks(page, placed.panel.id);
  const props: PanelProps = {
    panel: view.panel, frames: view.frames, width, height, scope: view.scope, marks, tooltipGroup: group,
    interpolate: (t) => interpolate(t, view.scope, "text"),
    onRange: setRangeMs,
    onVariable: (name, value) => choose(page, name, [value]),
    onOptions: (options) => merge(page, placed.key, options),
  };
  return <Body {...props} />;
}

// The annotations that this panel is to show.
function useMarks(page: PageState, id: number): Mark[] {
  const all = page.marks.value;
  const kinds = page.dashboard.value.annotations.list;
  return useMemo(() => all.filter(({ of }) => {
    const filter = kinds[of]?.filter;
    return !filter?.ids?.length || filter.ids.includes(id) !== !!filter.exclude;
  }).map((m) => m.mark), [all, kinds]);
}

function merge(page: PageState, key: string, options: Bag): void {
  const before = page.asViewed.value[key] ?? {};
  page.asViewed.value = { ...page.asViewed.value, [key]: { ...before, ...options } };
}

function Guarded({ children, onCrash }: { children: preact.ComponentChildren; onCrash: (why: string) => void }) {
  const [error] = useErrorBoundary((e) => onCrash(`This panel could not be rendered: ${(e as Error)?.message ?? e}`));
  return error ? null : <>{children}</>;
}

// ---- the head

function Head({ view, message, menu, page }: { view: PanelView; message: string; menu: () => MenuItem[]; page: PageState }) {
  const { panel, result, scope } = view;
  const notices = [...(result?.notices ?? []), ...view.frames.flatMap((f) => f.notices ?? [])];
  const links = panel.links ?? [];
  return (
    <div class="panel-head">
      <h2 title={panel.title}>{panel.title}</h2>
      {panel.description && <Explain label="Panel description" text={<span class="pre">{panel.description}</span>}><Icon name="info" /></Explain>}
      {links.length === 1 && <a class="panel-link" href={hrefOf(links[0]!, scope, page)} aria-label={interpolate(links[0]!.title || "Link", scope, "text")} title={interpolate(links[0]!.title || "", scope, "text")} {...isAway(links[0]!)}><Icon name="link" /></a>}
      {links.length > 1 && <MenuButton label="Links" items={() => links.map((l) => ({ text: interpolate(l.title || l.url || "", scope, "text"), href: hrefOf(l, scope, page), away: !!l.targetBlank }))}><Icon name="link" /></MenuButton>}
      {view.note && <span class="panel-time">{view.note}</span>}
      {notices.length > 0 && <Explain label="Query warnings" text={<span class="pre">{[...new Set(notices)].join("\n")}</span>}><span class="warn-sign"><Icon name="warn" /></span></Explain>}
      {message && view.frames.length > 0 && <Explain label="Query error" text={<span class="pre">{message}</span>}><span class="bad-sign"><Icon name="warn" /></span></Explain>}
      <span class="panel-menu"><MenuButton label={`Menu of ${panel.title || "the panel"}`} items={menu}><Icon name="more" /></MenuButton></span>
    </div>
  );
}

export function linkTo(key: string): string {
  const query = new URLSearchParams(location.search);
  query.set("viewPanel", key);
  return `${location.origin}${location.pathname}?${query}`;
}

export function exploreAddress(view: PanelView): string {
  const query: Record<string, string> = {};
  [...new Set((view.result?.asked ?? []).filter((a) => a.address.startsWith("/api/v1/query")).map((a) => a.expr))].forEach((e, i) => {
    query[`g${i}.expr`] = e;
    query[`g${i}.tab`] = "graph";
  });
  return Object.keys(query).length ? href("/explore", query) : "";
}

function exploreQueries(view: PanelView): void {
  const to = exploreAddress(view);
  if (to) go(to);
}

function menuOf(act: PanelActions, view: PanelView, full: boolean, asTable: boolean, inspect: (tab: string) => void, box: HTMLElement | null, type: PanelType | undefined, edits: MenuItem[]): MenuItem[] {
  const explore = exploreAddress(view);
  const canvas = box?.querySelector(".panel-body canvas");
  const asks = !type?.noQuery;
  return [
    { text: full ? "Back to the dashboard" : "View", keys: "v", run: act.view },
    ...edits.slice(0, 1).filter((e) => e.text === "Edit"),
    ...(explore ? [{ text: "Explore", keys: "p x", href: explore }] : []),
    { text: "Copy link", keys: "p s", run: act.link },
    ...(asks ? [
      { text: "Show as table", checked: asTable, apart: true, run: act.table },
      { text: "Inspect data", keys: "i", run: () => inspect("data") },
      { text: "Inspect queries", run: () => inspect("query") },
    ] : []),
    { text: "Panel JSON", apart: !asks, run: () => inspect("json") },
    ...(view.panel.options.legend ? [{ text: "Legend", keys: "p l", checked: view.panel.options.legend.showLegend !== false, apart: true, run: act.legend }] : []),
    ...(canvas ? [{ text: "Download PNG", run: () => void pngOf(box!).then((b) => b && saveFile(`${view.panel.title || "panel"}.png`, b, "image/png")) }] : []),
    ...edits.filter((e) => e.text !== "Edit"),
  ];
}

// ---- what is fetched when it is wanted

type InspectModule = typeof import("./inspect");
let inspectModule: InspectModule | undefined;

function useInspect(): InspectModule | undefined {
  const [have, setHave] = useState(inspectModule);
  useEffect(() => { if (!have) void import("./inspect").then((m) => setHave((inspectModule = m))); }, []);
  return have;
}

function DataTable({ view, note, height }: { view: PanelView; note: string; height: number }) {
  const m = useInspect();
  return <>{note && <p class="notice">{note}</p>}{m && <m.FrameTable frames={view.frames} height={height} />}</>;
}

function Inspector({ view, tab, page, onClose }: { view: PanelView; tab: string; page: PageState; onClose: () => void }) {
  const m = useInspect();
  return m ? <m.InspectLayer view={view} tab={tab} page={page} onClose={onClose} /> : null;
}

