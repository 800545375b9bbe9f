// dashboard.tsx - one dashboard by its address: fetched, or one that was only dropped here and is not
// stored; its variables, its panels, its keys.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "../base/data";
import { guardLeaving, href, route } from "../base/route";
import { pageTitle, tell } from "../base/store";
import { beat, parseDuration, plainRange, range } from "../base/time";
import { Badge, Empty, Loading, saveFile } from "../parts/bits";
import { typing, viewCommands } from "../parts/commands";
import { Icon } from "../parts/icon";
import { MenuButton } from "../parts/popup";
import { inKiosk, setKiosk, viewed, viewOne } from "../dash/address";
import { isBuiltIn, loadMarks } from "../dash/annotations";
import { isUnsaved, load, mayEdit, star, unsaved } from "../dash/api";
import { EditBar, editedPanel, editing, editPanel, LeaveLayer, mayChange, PanelEditor, SaveLayer, setEditing } from "../dash/edit/mode";
import { Alone, Grid } from "../dash/grid";
import { DropShade, type Found, ImportLayer, useDropped } from "../dash/import";
import { LinkBar } from "../dash/links";
import { MarkLayer, useMarking } from "../dash/marking";
import { discard, followAddress, followSettings, openPage, type PageState, resolveVariables, restart } from "../dash/page_state";
import { fetchType, type PanelActions, panelActions } from "../dash/panel_frame";
import { panelType } from "../dash/panels/types";
import { seen } from "../dash/recent";
import { SCRAPE_S } from "../dash/step";
import { VariablesBar } from "../dash/variables_bar";
import { writeDashboard } from "../dash/write";

// Rates want some scrapes: the interval of the configuration counts where it is longer than the usual.
let scrape: Promise<number> | undefined;
const scrapeInterval = (): Promise<number> => (scrape ??= ask<{ yaml: string }>("/api/v1/status/config").then(
  (r) => Math.max(SCRAPE_S, parseDuration(/^\s+scrape_interval:\s*(\S+)/m.exec(r.data.yaml)?.[1] ?? "") / 1000 || 0), () => SCRAPE_S));

async function fetchPage(uid: string): Promise<{ page: PageState; notes: string[] }> {
  if (isUnsaved(uid)) return openPage(uid, unsaved(uid), { canSave: mayEdit(), canEdit: mayEdit() }, await scrapeInterval());
  const [{ dashboard, meta }, scrape_s] = await Promise.all([load(uid), scrapeInterval()]);
  return openPage(uid, dashboard, meta, scrape_s);
}

const uidOf = (path: string): string => decodeURIComponent(path.split("/")[2] ?? "");

export default function DashboardView() {
  const uid = route.value.path.startsWith("/d/") ? uidOf(route.value.path) : "";
  return uid ? <OneDashboard key={uid} uid={uid} /> : null; // on the way to another page
}

function OneDashboard({ uid }: { uid: string }) {
  const [state, setState] = useState<{ page?: PageState; notes: string[]; error?: string }>({ notes: [] });
  const [importing, setImporting] = useState<Found[]>();
  const over = useDropped(setImporting, !importing);
  useEffect(() => {
    let current = true;
    fetchPage(uid).then(({ page, notes }) => {
      if (!current) return;
      const d = page.dashboard.value;
      followSettings(page);
      for (const type of new Set(d.panels.map((p) => p.type))) {
        const known = panelType(type);
        if (known) fetchType(known).catch(() => undefined); // the panel says it
      }
      void resolveVariables(page);
      if (!isUnsaved(uid)) seen(uid);
      setState({ page, notes: isUnsaved(uid) ? notes : [] });
    }, (e: Error) => current && setState({ notes: [], error: e.message }));
    return () => {
      current = false;
      plainRange();
      delete document.documentElement.dataset.kiosk;
    };
  }, [uid]);
  return (
    <>
      {state.error && <Empty title="Dashboard could not be opened"><p>{state.error}</p><p><a href={href("/dashboards")}>All dashboards</a></p></Empty>}
      {!state.page && !state.error && <Loading />}
      {state.page && <Open page={state.page} notes={state.notes} />}
      {importing && <ImportLayer first={importing} onClose={() => setImporting(undefined)} onSaved={() => undefined} />}
      {over && !importing && <DropShade />}
    </>
  );
}

// ---- keys

// The panel that has the focus, else the one pointed at.
function panelAtHand(): PanelActions | undefined {
  const box = document.activeElement?.closest<HTMLElement>("[data-panel-key]") ?? [...document.querySelectorAll<HTMLElement>("[data-panel-key]:hover")].pop();
  return panelActions.get(box?.dataset.panelKey ?? "");
}

function useKeys(page: PageState): void {
  useEffect(() => {
    const on = (what: keyof PanelActions) => () => panelAtHand()?.[what]();
    const edit = () => {
      if (!mayChange(page)) return tell("You can view this dashboard but not edit it.");
      const id = Number(document.activeElement?.closest<HTMLElement>("[data-panel-id]")?.dataset.panelId);
      if (editedPanel()) editPanel(null);
      else if (id) editPanel(id);
      else setEditing(!editing(page));
    };
    const gone = viewCommands([
      { id: "edit", title: "Edit the focused panel, or the dashboard", keys: "e", run: edit },
      { id: "panel view", title: "Panel: view it alone, and back", keys: "v", run: on("view") },
      { id: "panel inspect", title: "Panel: inspect", keys: "i", run: on("inspect") },
      { id: "panel explore", title: "Panel: explore its queries", keys: "p x", run: on("explore") },
      { id: "panel link", title: "Panel: copy its link", keys: "p s", run: on("link") },
      { id: "panel legend", title: "Panel: legend on and off", keys: "p l", run: on("legend") },
      { id: "panel table", title: "Panel: show as table", keys: "p t", run: on("table") },
      { id: "kiosk", title: "Toggle kiosk mode", keys: "d k", run: () => setKiosk(!inKiosk()) },
      { id: "fold", title: "Collapse all rows", keys: "d C", run: () => foldAll(page, true) },
      { id: "unfold", title: "Expand all rows", keys: "d E", run: () => foldAll(page, false) },
    ]);
    const key = (e: KeyboardEvent) => {
      if (document.querySelector("dialog[open], [popover]:popover-open")) return;
      if (e.key === "Escape" && !e.defaultPrevented) {
        // Out of the field first: one Escape too many for a list of offers is not to lose the place.
        if (typing(e)) (e.composedPath()[0] as HTMLElement).blur();
        else if (editedPanel()) editPanel(null);
        else if (viewed()) viewOne("");
        else if (inKiosk()) setKiosk(false);
      } else if (e.key.toLowerCase() === "o" && (e.ctrlKey || e.metaKey)) {
        e.preventDefault();
        page.crosshair.value = ((page.crosshair.value + 1) % 3) as 0 | 1 | 2;
        tell(["Crosshair and tooltip are not shared.", "Shared crosshair.", "Shared crosshair and tooltip."][page.crosshair.value]!);
      }
    };
    document.addEventListener("keydown", key);
    return () => {
      gone();
      document.removeEventListener("keydown", key);
    };
  }, [page]);
}

function foldAll(page: PageState, fold: boolean): void {
  const all = new Map(page.folded.value);
  for (const b of document.querySelectorAll<HTMLElement>("[data-row-toggle]")) all.set(b.dataset.rowToggle!, fold);
  page.folded.value = all;
}

// ---- the page

function useAnnotations(page: PageState): { off: ReadonlySet<number>; toggle: (i: number) => void } {
  const kinds = page.dashboard.value.annotations.list;
  const first = () => new Set(kinds.flatMap((a, i) => (a.enable ? [] : [i])));
  const [off, setOff] = useState<ReadonlySet<number>>(first);
  const asSaved = kinds.map((a) => `${a.enable} ${a.name}`).join("\n");
  const before = useRef(asSaved);
  useEffect(() => {
    if (before.current === asSaved) return;
    before.current = asSaved;
    setOff(first()); // they were edited
  }, [asSaved]);
  const scope = page.scope.value;
  const ready = page.ready.value;
  const turn = beat.value;
  useEffect(() => {
    if (!ready || !kinds.length) return;
    const abort = new AbortController();
    loadMarks(page, off, abort.signal).then((marks) => {
      if (!abort.signal.aborted && (marks.length || page.marks.peek().length)) page.marks.value = marks;
    }, () => undefined);
    return () => abort.abort();
  }, [ready, scope, kinds, off, turn]);
  const toggle = (i: number) => setOff((old) => { const now = new Set(old); if (!now.delete(i)) now.add(i); return now; });
  return { off, toggle };
}

function Open({ page, notes }: { page: PageState; notes: string[] }) {
  const d = page.dashboard.value;
  const kiosk = inKiosk();
  const one = viewed();
  const edited = mayChange(page) ? editedPanel() : "";
  const marks = useAnnotations(page);
  const [told, setTold] = useState(notes.length > 0);
  const marking = useMarking(page);
  useKeys(page);
  useEffect(() => { pageTitle.value = d.title; }, [d.title]);
  useEffect(() => { document.documentElement.toggleAttribute("data-kiosk", kiosk); }, [kiosk]);
  const query = route.value;
  useEffect(() => followAddress(page), [query]);
  // Options that hang on the time are asked again when it moves.
  const { start, end } = range.value;
  const first = useRef(true);
  useEffect(() => {
    if (first.current) first.current = false;
    else if (d.templating.list.some((v) => v.refresh === 2)) void resolveVariables(page, { range: true });
  }, [start, end]);
  return (
    <div class="dash" ref={marking.area}>
      {!kiosk && <Bar page={page} marks={marks} />}
      {kiosk && <div class="dash-bar"><VariablesBar page={page} /></div>}
      {told && (
        <div class="notice notes"><ul>{notes.map((n) => <li key={n}>{n}</li>)}</ul><button type="button" class="icon" aria-label="Close the notes" onClick={() => setTold(false)}>×</button></div>
      )}
      {!kiosk && editing(page) && !edited && <EditBar page={page} />}
      {!d.panels.length && <Empty title="No panels yet"><p>{mayChange(page) ? "Edit the dashboard to add some, or drop" : "Drop"} a dashboard file here to preview it.</p></Empty>}
      {edited ? <PanelEditor key={edited} page={page} name={edited} /> : one ? <Alone page={page} name={one} /> : <Grid page={page} />}
      {marking.made && <MarkLayer page={page} at={marking.made} onClose={marking.close} />}
    </div>
  );
}

function Bar({ page, marks }: { page: PageState; marks: { off: ReadonlySet<number>; toggle: (i: number) => void } }) {
  const d = page.dashboard.value;
  const meta = page.meta.value;
  const kinds = d.annotations.list;
  const fresh = isUnsaved(page.uid);
  const [saving, setSaving] = useState<"" | "here" | "as">("");
  const [leaving, setLeaving] = useState<() => void>();
  const dirty = page.dirty.value;
  useEffect(() => {
    if (!dirty) return;
    guardLeaving((goOn) => page.dirty.peek() && (setLeaving(() => goOn), true));
    const closing = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener("beforeunload", closing);
    return () => {
      guardLeaving(undefined);
      removeEventListener("beforeunload", closing);
    };
  }, [dirty]);
  const toggleStar = () => {
    page.meta.value = { ...meta, isStarred: !meta.isStarred };
    star(page.uid, !meta.isStarred).catch((e: Error) => { page.meta.value = meta; tell(e.message, true); });
  };
  const exported = () => saveFile(`${d.title.replace(/[^\w.-]+/g, "-")}.json`, JSON.stringify({ ...(writeDashboard(d) as object), id: null }, null, 2) + "\n", "application/json");
  const maySave = mayEdit() && (fresh || meta.canSave !== false);
  return (
    <div class="dash-bar">
      {viewed() && <button type="button" onClick={() => viewOne("")}>‹ Back to the dashboard</button>}
      <VariablesBar page={page} />
      <div class="row dash-tools">
        {kinds.map((a, i) => a.hide || (isBuiltIn(a) && kinds.length === 1) ? null : (
          <label key={i} class="inline"><input type="checkbox" checked={!marks.off.has(i)} onChange={() => marks.toggle(i)} /> {a.name}</label>
        ))}
        <LinkBar page={page} />
        {fresh ? <Badge tone="warn">not saved</Badge> : dirty && <Badge tone="warn">changed</Badge>}
        {maySave && (fresh || dirty) && <button type="button" class="main" onClick={() => setSaving("here")}>Save</button>}
        {!fresh && dirty && <button type="button" onClick={() => { discard(page); restart(page); }}>Discard</button>}
        {mayChange(page) && !editing(page) && !editedPanel() && <button type="button" title="Edit (e)" onClick={() => setEditing(true)}>Edit</button>}
        {!fresh && meta.canStar !== false && <button type="button" class="icon star" aria-pressed={!!meta.isStarred} aria-label="Star this dashboard" onClick={toggleStar}>{meta.isStarred ? "★" : "☆"}</button>}
        <MenuButton label="More about this dashboard" items={() => [
          { text: "Kiosk mode", keys: "d k", run: () => setKiosk(true) },
          { text: "Export JSON", run: exported },
          ...(mayEdit() && !fresh ? [{ text: "Save as", run: () => setSaving("as") }] : []),
          { text: "Expand all rows", keys: "d E", run: () => foldAll(page, false), apart: true },
          { text: "Collapse all rows", keys: "d C", run: () => foldAll(page, true) },
          { text: "All dashboards", keys: "g d", href: href("/dashboards"), apart: true },
        ]}><Icon name="more" /></MenuButton>
      </div>
      {saving && <SaveLayer page={page} as={saving === "as"} onClose={() => { setSaving(""); setLeaving(undefined); }} onSaved={leaving} />}
      {leaving && !saving && <LeaveLayer page={page} onClose={() => setLeaving(undefined)} onLeave={leaving} onSave={() => setSaving("here")} />}
    </div>
  );
}
