// mode.ts - whether the page is being edited, and which panel: all that the page itself must know of the
// editor. What edits is fetched when it is first wanted.
import { parameter, route, setQuery } from "../../base/route";
import { lazily } from "../../parts/lazily";
import type { MenuItem } from "../../parts/popup";
import { mayEdit } from "../api";
import type { Placed } from "../layout";
import type { PageState } from "../page_state";

export const mayChange = (page: PageState): boolean => mayEdit() && page.dashboard.value.editable !== false;
export const editing = (page: PageState): boolean => route.value.query.has("edit") && mayChange(page);
export const setEditing = (on: boolean): void => setQuery({ edit: on ? "1" : null });

// "panel-12", as Grafana has it; "" goes back to the page.
export const editedPanel = (): string => parameter("editPanel");
export const editPanel = (id: number | null): void => setQuery({ editPanel: id === null ? null : `panel-${id}` }, true);

const arrange = () => import("./arrange");
export const EditBar = lazily(() => arrange().then((m) => m.EditBar));
export const Arranger = lazily(() => arrange().then((m) => m.Arranger));
export const RowTools = lazily(() => arrange().then((m) => m.RowTools));
export const PanelEditor = lazily(() => import("./panel_editor").then((m) => m.PanelEditor));
export const SaveLayer = lazily(() => import("./save").then((m) => m.SaveLayer));
export const LeaveLayer = lazily(() => import("./save").then((m) => m.LeaveLayer));

// What the panel's menu offers to those who may change it. Clones are changed with what they repeat.
export function editItems(page: PageState, placed: Placed, full: boolean): MenuItem[] {
  if (!mayChange(page)) return [];
  const { id } = placed.panel;
  const run = (what: "move" | "resize" | "duplicate" | "remove") => () => void arrange().then((m) => m.panelTask(page, placed, what));
  return [
    ...(editedPanel() ? [] : [{ text: "Edit", keys: "e", run: () => editPanel(id) }]),
    ...(full ? [] : [
      { text: "Move", apart: true, run: run("move") }, { text: "Resize", run: run("resize") },
      { text: "Duplicate", run: run("duplicate") }, { text: "Remove", bad: true, run: run("remove") },
    ]),
  ];
}
