// dashboards.tsx - every dashboard by folder: found as one types, starred, opened, imported from files
// that are dropped anywhere, exported, deleted.
import { useEffect, useRef, useState } from "preact/hooks";
import { matches, plural } from "../base/format";
import { go, href, parameter, replaceQuery, route, setQuery } from "../base/route";
import { tell } from "../base/store";
import { beat } from "../base/time";
import { Badge, Choice, Empty, Failure, Filter, Layer, Loading, saveFile } from "../parts/bits";
import { viewCommands } from "../parts/commands";
import { Icon } from "../parts/icon";
import { MenuButton, type MenuItem } from "../parts/popup";
import { addressOf, type Hit, keepUnsaved, load, mayEdit, remove, search, star } from "../dash/api";
import { DropShade, type Found, ImportLayer, useDropped } from "../dash/import";
import { recent } from "../dash/recent";

const SHOWS = [["", "All"], ["starred", "Starred"], ["recent", "Recent"]] as const;
const SORTS = [["", "By folder"], ["alpha-asc", "A to Z"], ["alpha-desc", "Z to A"]] as const;
const GENERAL = "General";

// A dashboard to begin with.
const BLANK = {
  title: "New dashboard", panels: [{ id: 1, type: "timeseries", title: "New panel", gridPos: { x: 0, y: 0, w: 12, h: 8 }, targets: [], options: {}, fieldConfig: { defaults: {}, overrides: [] } }],
  schemaVersion: 41, time: { from: "now-1h", to: "now" }, tags: [], templating: { list: [] },
};

export const exportDashboard = async (hit: { uid: string; title: string }): Promise<void> => {
  const { dashboard } = await load(hit.uid);
  const { id: _, ...rest } = dashboard as Record<string, unknown>;
  saveFile(`${hit.title.replace(/[^\w.-]+/g, "-")}.json`, JSON.stringify(rest, null, 2) + "\n", "application/json");
};

function useHits(turn: number): { hits?: Hit[]; error?: string; change: (hits: Hit[]) => void } {
  const [state, setState] = useState<{ hits?: Hit[]; error?: string }>({});
  const at = beat.value;
  useEffect(() => {
    let current = true;
    search().then((hits) => current && setState({ hits }), (e: Error) => current && setState((s) => ({ ...s, error: e.message })));
    return () => { current = false; };
  }, [turn, at]);
  return { ...state, change: (hits) => setState({ hits }) };
}

// Which of them, in which order, under which headings.
function arrange(hits: Hit[], show: string, sort: string): [heading: string, hits: Hit[]][] {
  const byTitle = (a: Hit, b: Hit) => a.title.localeCompare(b.title, "en", { numeric: true });
  if (show === "recent") {
    const rank = new Map(recent.value.map((r, i) => [r.uid, i]));
    return [["", hits.filter((h) => rank.has(h.uid)).sort((a, b) => rank.get(a.uid)! - rank.get(b.uid)!)]];
  }
  const some = show === "starred" ? hits.filter((h) => h.isStarred) : [...hits];
  some.sort(byTitle);
  if (sort === "alpha-desc") some.reverse();
  if (sort) return [["", some]];
  const folders = new Map<string, Hit[]>();
  for (const h of some) folders.set(h.folderTitle || GENERAL, [...(folders.get(h.folderTitle || GENERAL) ?? []), h]);
  return [...folders].sort(([a], [b]) => Number(b === GENERAL) - Number(a === GENERAL) || a.localeCompare(b));
}

export default function DashboardsView() {
  const [turn, setTurn] = useState(0);
  const [importing, setImporting] = useState<Found[]>();
  const [leaving, setLeaving] = useState<Hit>();
  const { hits, error, change } = useHits(turn);
  const list = useRef<HTMLDivElement>(null);
  const show = parameter("show");
  const sort = parameter("sort");
  const text = parameter("query");
  const tags = route.value.query.getAll("tag");
  const over = useDropped(setImporting, !importing);
  useEffect(() => {
    const step = (by: number) => {
      const rows = [...(list.current?.querySelectorAll<HTMLElement>("a.dash-link") ?? [])];
      const on = document.activeElement?.closest("li");
      rows[Math.max(0, Math.min(rows.length - 1, rows.findIndex((r) => on?.contains(r)) + by))]?.focus();
    };
    return viewCommands([
      { id: "filter", title: "Search dashboards", keys: "/", run: () => document.querySelector<HTMLElement>(".filter")?.focus() },
      { id: "next", title: "Next dashboard", keys: "j", run: () => step(1) },
      { id: "previous", title: "Previous dashboard", keys: "k", run: () => step(-1) },
      { id: "import", title: "Import a dashboard", run: () => setImporting([]) },
    ]);
  }, []);
  // From what is typed straight to what was found.
  const fromFilter = (e: KeyboardEvent) => {
    if ((e.key !== "ArrowDown" && e.key !== "Enter") || !(e.target as Element).matches(".filter")) return;
    e.preventDefault();
    list.current?.querySelector<HTMLElement>("a.dash-link")?.focus();
  };
  const setTags = (to: string[]) => {
    const query = new URLSearchParams(route.value.query);
    query.delete("tag");
    for (const t of to) query.append("tag", t);
    replaceQuery(query);
  };
  const toggleStar = (h: Hit) => {
    change(hits!.map((x) => (x.uid === h.uid ? { ...x, isStarred: !h.isStarred } : x)));
    star(h.uid, !h.isStarred).catch((e: Error) => {
      tell(e.message, true);
      setTurn((t) => t + 1);
    });
  };
  const shown = (hits ?? []).filter((h) => tags.every((t) => h.tags.includes(t)) && matches(`${h.title} ${h.tags.join(" ")} ${h.folderTitle ?? ""}`, text));
  const groups = arrange(shown, show, sort);
  const counts = new Map<string, number>();
  for (const h of shown) for (const t of h.tags) counts.set(t, (counts.get(t) ?? 0) + 1);
  const offered = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).filter(([t]) => !tags.includes(t)).slice(0, 12);
  return (
    <>
      <div class="bar" onKeyDown={fromFilter}>
        <Filter label="Search by title, tag or folder" value={text} onInput={(v) => setQuery({ query: v })} />
        <Choice label="Show" value={SHOWS.find(([s]) => s === show)?.[0] ?? ""} options={SHOWS} onChange={(v) => setQuery({ show: v })} />
        {show !== "recent" && <select aria-label="Sort" value={sort} onChange={(e) => setQuery({ sort: e.currentTarget.value })}>
          {SORTS.map(([v, t]) => <option key={v} value={v}>{t}</option>)}
        </select>}
        <span class="row end">
          <button type="button" onClick={() => setImporting([])}>Import</button>
          {mayEdit() && <button type="button" class="main" onClick={() => go(href(`/d/${keepUnsaved(BLANK)}`, { edit: "1" }))}>New</button>}
        </span>
      </div>
      {(tags.length > 0 || offered.length > 0) && (
        <div class="bar tags" role="group" aria-label="Tags">
          {tags.map((t) => <button key={t} type="button" class="tag-button" aria-pressed="true" onClick={() => setTags(tags.filter((x) => x !== t))}>{t} <span aria-hidden="true">×</span></button>)}
          {offered.map(([t, n]) => <button key={t} type="button" class="tag-button" aria-pressed="false" onClick={() => setTags([...tags, t])}>{t} <small>{n}</small></button>)}
        </div>
      )}
      {error && <Failure text={error} />}
      {!hits && !error && <Loading />}
      {hits && !hits.length && <NoneYet onImport={() => setImporting([])} />}
      {hits && hits.length > 0 && !shown.length && <p class="none">No dashboards match.</p>}
      {hits && show && shown.length > 0 && !groups.some(([, g]) => g.length) && <p class="none">{show === "starred" ? "No starred dashboards yet." : "No recently viewed dashboards yet."}</p>}
      <div ref={list}>
        {groups.filter(([, g]) => g.length).map(([heading, some]) => (
          <section key={heading} class="card dash-list" aria-label={heading || "Dashboards"}>
            {heading && <h2>{heading} <span class="dim small">{plural(some.length, "dashboard")}</span></h2>}
            <ul>{some.map((h) => <Row key={h.uid} hit={h} folder={!!sort || !!show} onStar={() => toggleStar(h)} onDelete={() => setLeaving(h)} onTag={(t) => setTags([...new Set([...tags, t])])} />)}</ul>
          </section>
        ))}
      </div>
      {importing && <ImportLayer first={importing} onClose={() => setImporting(undefined)} onSaved={() => setTurn((t) => t + 1)} />}
      {leaving && <DeleteLayer hit={leaving} onClose={() => setLeaving(undefined)} onDone={() => { setLeaving(undefined); setTurn((t) => t + 1); }} />}
      {over && !importing && <DropShade />}
    </>
  );
}

function Row({ hit, folder, onStar, onDelete, onTag }: { hit: Hit; folder: boolean; onStar: () => void; onDelete: () => void; onTag: (t: string) => void }) {
  const items = (): MenuItem[] => [
    { text: "Open", href: href(addressOf(hit)) },
    { text: "Export JSON", run: () => void exportDashboard(hit).catch((e: Error) => tell(e.message, true)) },
    ...(mayEdit() && !hit.provisioned ? [{ text: "Delete", bad: true, apart: true, run: onDelete }] : []),
  ];
  return (
    <li>
      <button type="button" class="icon star" aria-pressed={hit.isStarred} aria-label={`Star ${hit.title}`} onClick={onStar}>{hit.isStarred ? "★" : "☆"}</button>
      <a class="dash-link" href={href(addressOf(hit))}>{hit.title}</a>
      {folder && hit.folderTitle && <span class="dim small">{hit.folderTitle}</span>}
      {hit.provisioned && <Badge tone="calm">Provisioned</Badge>}
      <span class="dash-tags">{hit.tags.map((t) => <button key={t} type="button" class="tag-button" onClick={() => onTag(t)}>{t}</button>)}</span>
      <MenuButton label={`More about ${hit.title}`} items={items}><Icon name="more" /></MenuButton>
    </li>
  );
}

function NoneYet({ onImport }: { onImport: () => void }) {
  return (
    <Empty title="No dashboards yet">
      <p>Drop Grafana dashboard files anywhere on this page, or <button type="button" class="quiet" onClick={onImport}>import them</button>.
        Files in the folders of <code>--dashboards.path</code> are loaded automatically.</p>
    </Empty>
  );
}

function DeleteLayer({ hit, onClose, onDone }: { hit: Hit; onClose: () => void; onDone: () => void }) {
  const [error, setError] = useState("");
  const run = () => remove(hit.uid).then(() => { tell(`${hit.title} deleted.`); onDone(); }, (e: Error) => setError(e.message));
  return (
    <Layer label="Delete dashboard" onClose={onClose}>
      <h2>Delete “{hit.title}”?</h2>
      <p>The dashboard and its versions are deleted for everyone. Metrics are not affected.</p>
      {error && <Failure text={error} />}
      <div class="row import-end">
        <button type="button" class="danger" onClick={run}>Delete</button>
        <button type="button" data-first onClick={onClose}>Cancel</button>
      </div>
    </Layer>
  );
}
