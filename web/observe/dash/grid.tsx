// grid.tsx - the panels in their places: 24 columns, rows that fold, on a phone one below the other. A
// folded row's panels are not on the page and ask nothing.
import { useMemo } from "preact/hooks";
import { plural } from "../base/format";
import { isViewed } from "./address";
import { Arranger, editing, RowTools } from "./edit/mode";
import { interpolate } from "./interpolate";
import { expand, expandAll, type Placed } from "./layout";
import { type PageState } from "./page_state";
import { PanelFrame } from "./panel_frame";

export function Grid({ page }: { page: PageState }) {
  const d = page.dashboard.value;
  const values = page.values.value;
  const folded = page.folded.value;
  // Places hang on the values, not on the time: panels take that from the page.
  const placed = useMemo(() => expand(d, page.scope.peek(), folded), [d, values, folded]);
  const edited = editing(page);
  const cuts = placed.flatMap((p) => p.cut ?? []);
  return (
    <>
    {cuts.length > 0 && <p class="notice" role="status">{[...new Set(cuts.map((c) => `Showing ${c.drawn} of the ${c.of} values of “${c.name}”.`))].join(" ")}</p>}
    <div class={edited ? "dash-grid ed-grid" : "dash-grid"}>
      {edited && <Arranger page={page} />}
      {placed.map((p) => (p.panel.type === "row" ? <Row key={p.key} page={page} placed={p} /> : <PanelFrame key={p.key} page={page} placed={p} />))}
    </div>
    </>
  );
}

function Row({ page, placed }: { page: PageState; placed: Placed }) {
  const open = !placed.folded;
  const title = interpolate(placed.panel.title || "Row", placed.scope, "text");
  const toggle = () => { page.folded.value = new Map(page.folded.value).set(placed.key, open); };
  return (
    <div class={open ? "dash-row" : "dash-row shut"} style={{ gridRow: `${placed.place.y + 1}`, gridColumn: "1 / -1" }}>
      <h2><button type="button" data-row-toggle={placed.key} aria-expanded={open} class="fold" onClick={toggle}>{title}</button></h2>
      {!open && <span class="dim small">{plural(placed.count ?? 0, "panel")}</span>}
      {editing(page) && <RowTools page={page} placed={placed} />}
    </div>
  );
}

// One panel alone, as large as the window.
export function Alone({ page, name }: { page: PageState; name: string }) {
  const d = page.dashboard.value;
  const values = page.values.value;
  const placed = useMemo(() => expandAll(d, page.scope.peek()).find((p) => p.panel.type !== "row" && isViewed(name, p.key, p.panel.id)), [d, values, name]);
  if (!placed) return page.ready.value ? <p class="none">Panel “{name}” was not found.</p> : null;
  return <div class="dash-alone"><PanelFrame key={placed.key} page={page} placed={placed} full /></div>;
}
