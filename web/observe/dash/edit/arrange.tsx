// arrange.tsx - the page while it is edited: panels are dragged by their head and made larger by their
// corner, with the mouse or, from the panel's menu, with the arrows; panels and rows come and go.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { tell } from "../../base/store";
import { Layer } from "../../parts/bits";
import { lazily } from "../../parts/lazily";
import { MenuButton } from "../../parts/popup";
import { interpolate } from "../interpolate";
import type { Placed } from "../layout";
import type { Dashboard, Panel, Place } from "../model";
import { change, changePanel, type PageState } from "../page_state";
import { HistoryButtons, historyOf } from "./history";
import { editPanel, setEditing } from "./mode";
import { added, addedRow, COLUMNS, duplicated, folded, moved, movedRow, newPanel, nextId, nudged, placeOf, removed, removedRow } from "./moves";

const Settings = lazily(() => import("./settings").then((m) => m.Settings));

const boxOf = (id: number) => document.querySelector<HTMLElement>(`[data-panel-key="panel-${id}"]`);
const focusPanel = (id: number) => requestAnimationFrame(() => setTimeout(() => { boxOf(id)?.focus(); boxOf(id)?.scrollIntoView({ block: "nearest" }); }));

// Takes something away, with a way back at hand for as long as nothing else was changed.
function withUndo(page: PageState, text: string, by: (d: Dashboard) => Dashboard): void {
  const { undo } = historyOf(page);
  change(page, by);
  const after = page.dashboard.value;
  tell(text, false, { text: "Undo", run: () => {
    if (page.dashboard.value === after) undo();
    else tell("Something else was changed since: Undo above the panels (Ctrl-Z) takes back one after the other.");
  } });
}

export function panelTask(page: PageState, placed: Placed, what: "move" | "resize" | "duplicate" | "remove"): void {
  const { id } = placed.panel;
  const { drawing } = historyOf(page);
  if (what === "duplicate") {
    const made = duplicated(page.dashboard.value, id);
    change(page, () => made.dashboard);
    focusPanel(made.id);
  } else if (what === "remove") {
    withUndo(page, `“${interpolate(placed.panel.title || "The panel", placed.scope, "text")}” is removed.`, (d) => removed(d, id));
  } else {
    setEditing(true);
    drawing(true);
    held.value = { page, id, kind: what, before: page.dashboard.value };
    focusPanel(id);
  }
}

// ---- one panel in hand

interface Held { page: PageState; id: number; kind: "move" | "resize"; before: Dashboard }
const held = signal<Held | null>(null);

function letGo(): void {
  if (held.value) historyOf(held.value.page).drawing(false);
  held.value = null;
}

const ARROWS: Record<string, [dx: number, dy: number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function step({ page, id, kind }: Held, dx: number, dy: number): void {
  const d = page.dashboard.value;
  const place = placeOf(d, id);
  if (!place) return;
  change(page, () => (kind === "move" ? nudged(d, id, dx, dy)
    : moved(d, id, { ...place, w: Math.max(1, Math.min(COLUMNS - place.x, place.w + dx)), h: Math.max(1, place.h + dy) })));
}

function onKey(e: KeyboardEvent): void {
  const now = held.value;
  if (!now || e.ctrlKey || e.metaKey || e.altKey) return;
  const arrow = ARROWS[e.key];
  if (!arrow && e.key !== "Enter" && e.key !== "Escape") return;
  e.preventDefault();
  e.stopPropagation();
  if (arrow) step(now, ...arrow);
  else {
    if (e.key === "Escape") now.page.dashboard.value = now.before;
    letGo();
  }
  focusPanel(now.id);
}

const CORNER_PX = 22;
const GAP_PX = 8;
const ROW_PX = 30;

// What the pointer takes hold of: a head moves, the lower right corner resizes.
function grip(e: PointerEvent): { box: HTMLElement; kind: "move" | "resize" } | undefined {
  const at = e.target as Element;
  const box = at.closest<HTMLElement>("[data-panel-id]");
  if (!box || e.button || at.closest("button, a, input, .popup, dialog")) return undefined;
  const r = box.getBoundingClientRect();
  if (r.right - e.clientX < CORNER_PX && r.bottom - e.clientY < CORNER_PX) return { box, kind: "resize" };
  return at.closest(".panel-head") ? { box, kind: "move" } : undefined;
}

function drag(page: PageState, grid: HTMLElement, e: PointerEvent): void {
  const got = grip(e);
  if (!got || getComputedStyle(grid).display !== "grid") return;
  e.preventDefault();
  e.stopPropagation();
  got.box.focus();
  const id = Number(got.box.dataset.panelId);
  const before = page.dashboard.value;
  const from = placeOf(moved(before, id, placeOf(before, id)!), id)!;
  const cell = (grid.clientWidth + GAP_PX) / COLUMNS;
  let last = "";
  const { drawing } = historyOf(page);
  drawing(true);
  const move = (to: PointerEvent) => {
    const dx = Math.round((to.pageX - e.pageX) / cell);
    const dy = Math.round((to.pageY - e.pageY) / (ROW_PX + GAP_PX));
    if (`${dx} ${dy}` === last) return;
    last = `${dx} ${dy}`;
    const place: Place = got.kind === "move" ? { ...from, x: from.x + dx, y: from.y + dy } : { ...from, w: Math.max(1, Math.min(COLUMNS - from.x, from.w + dx)), h: from.h + dy };
    page.dashboard.value = dx || dy ? moved(before, id, place) : before;
  };
  const end = (how?: Event) => {
    document.removeEventListener("pointermove", move);
    document.removeEventListener("pointerup", end);
    document.removeEventListener("pointercancel", end);
    document.removeEventListener("keydown", escape, true);
    if (how?.type === "keydown" || how?.type === "pointercancel") page.dashboard.value = before;
    drawing(false);
    delete grid.dataset.dragging;
  };
  const escape = (k: KeyboardEvent) => {
    if (k.key !== "Escape") return;
    k.preventDefault();
    k.stopPropagation();
    end(k);
  };
  grid.dataset.dragging = got.kind;
  document.addEventListener("pointermove", move);
  document.addEventListener("pointerup", end);
  document.addEventListener("pointercancel", end);
  document.addEventListener("keydown", escape, true);
}

// Hands for the grid; what is in hand is said.
export function Arranger({ page }: { page: PageState }) {
  useEffect(() => {
    const grid = document.querySelector<HTMLElement>(".dash-grid");
    const down = (e: PointerEvent) => drag(page, grid!, e);
    grid?.addEventListener("pointerdown", down, true);
    document.addEventListener("keydown", onKey, true);
    return () => {
      grid?.removeEventListener("pointerdown", down, true);
      document.removeEventListener("keydown", onKey, true);
      letGo();
    };
  }, []);
  const now = held.value;
  const place = now && placeOf(page.dashboard.value, now.id);
  return (
    <div class="ed-say" role="status">
      {now && place && <p>{now.kind === "move" ? "Move" : "Resize"}: column {place.x + 1}, line {place.y + 1}, {place.w} wide, {place.h} high. Arrows change it, Enter keeps it, Escape puts it back.</p>}
    </div>
  );
}

// ---- the bar and the rows

export function EditBar({ page }: { page: PageState }) {
  const [settings, setSettings] = useState(false);
  const add = (type: string, more: Partial<Panel> = {}, edit = true) => {
    const id = nextId(page.dashboard.value);
    change(page, (d) => added(d, newPanel(id, type, more)));
    if (edit) editPanel(id);
    else focusPanel(id);
  };
  return (
    <div class="ed-bar row" role="toolbar" aria-label="Edit the dashboard">
      <MenuButton label="Add to the dashboard" kind="ed-add" end={false} items={() => [
        { text: "Panel", run: () => add("timeseries") },
        { text: "Text", run: () => add("text", { title: "", options: { mode: "markdown", content: "Some **text**." }, gridPos: { x: 0, y: 0, w: 12, h: 4 } }) },
        { text: "Row", run: () => change(page, addedRow) },
      ]}>Add</MenuButton>
      <button type="button" onClick={() => setSettings(true)}>Settings</button>
      <HistoryButtons page={page} />
      <button type="button" onClick={() => setEditing(false)}>Done</button>
      <span class="dim small ed-hint">Drag panels by their head, their size by the corner; or Move and Resize in a panel's menu.</span>
      {settings && <Settings page={page} onClose={() => setSettings(false)} />}
    </div>
  );
}

export function RowTools({ page, placed }: { page: PageState; placed: Placed }) {
  const [renaming, setRenaming] = useState(false);
  const { id, title, collapsed } = placed.panel;
  const name = title || "Row";
  const fold = () => {
    const all = new Map(page.folded.value);
    all.delete(placed.key);
    page.folded.value = all;
    change(page, (d) => folded(d, id, !collapsed));
  };
  return (
    <>
      <MenuButton label={`Edit the row ${name}`} kind="quiet" items={() => [
        { text: "Title and repeat", run: () => setRenaming(true) },
        { text: collapsed ? "Saved folded" : "Save it folded", checked: !!collapsed, run: fold },
        { text: "Move up", run: () => change(page, (d) => movedRow(d, id, -1)) },
        { text: "Move down", run: () => change(page, (d) => movedRow(d, id, 1)) },
        { text: "Remove the row, keep its panels", apart: true, run: () => withUndo(page, `The row “${name}” is removed.`, (d) => removedRow(d, id, false)) },
        { text: "Remove the row and its panels", bad: true, run: () => withUndo(page, `The row “${name}” and its panels are removed.`, (d) => removedRow(d, id, true)) },
      ]}>Edit</MenuButton>
      {renaming && <RowLayer page={page} row={placed.panel} onClose={() => setRenaming(false)} />}
    </>
  );
}

function RowLayer({ page, row, onClose }: { page: PageState; row: Panel; onClose: () => void }) {
  const [title, setTitle] = useState(row.title);
  const [repeat, setRepeat] = useState(row.repeat ?? "");
  const keep = (e: Event) => {
    e.preventDefault();
    changePanel(page, row.id, ({ repeat: _, ...rest }) => ({ ...rest, title, ...(repeat ? { repeat } : {}) }) as Panel);
    onClose();
  };
  return (
    <Layer label="Row" onClose={onClose} kind="save">
      <form onSubmit={keep}>
        <h2>Row</h2>
        <label>Title<input data-first value={title} onInput={(e) => setTitle(e.currentTarget.value)} /></label>
        <label>Repeat for<select value={repeat} onChange={(e) => setRepeat(e.currentTarget.value)}>
          <option value="">Nothing</option>
          {page.dashboard.value.templating.list.map((v) => <option key={v.name} value={v.name}>{v.label || v.name}</option>)}
        </select></label>
        <div class="row import-end"><button type="submit" class="main">Keep</button><button type="button" onClick={onClose}>Cancel</button></div>
      </form>
    </Layer>
  );
}
