// dashlist.tsx - links to other dashboards: starred, last seen, found by name, tag or folder. Time range and
// variables go along if the panel says so.
import { href, route } from "../../base/route";
import { usePlain } from "./plain_ask";
import type { PanelProps } from "./panel";

interface Hit { uid: string; title: string; url?: string; type?: string; tags?: string[]; folderTitle?: string; isStarred?: boolean }

const MOST = 30;

// As the dashboards' page remembers them.
function lastSeen(): string[] {
  try {
    const list = JSON.parse(localStorage.getItem("sextant.recent") ?? "[]") as { uid?: string }[];
    return list.flatMap((d) => (d.uid ? [d.uid] : []));
  } catch {
    return [];
  }
}

export function addressOf(hit: Hit, keepTime: boolean, keepValues: boolean, query: URLSearchParams): string {
  const path = hit.url?.replace(/^.*?\/d\//, "/d/") || `/d/${encodeURIComponent(hit.uid)}`;
  const plain = new URL(href(path), "http://x");
  for (const k of ["from", "to", "timezone", "refresh"]) if (!keepTime) plain.searchParams.delete(k);
  if (keepValues) for (const [k, v] of query) if (k.startsWith("var-")) plain.searchParams.append(k, v);
  return plain.pathname + plain.search;
}

export default function DashList({ panel, width, height, interpolate }: PanelProps) {
  const o = panel.options;
  const most = Number(o.maxItems) || 10;
  const starred = usePlain<Hit[]>(o.showStarred ? `/api/search?type=dash-db&starred=true&limit=${most}` : null);
  const all = usePlain<Hit[]>(o.showRecentlyViewed ? "/api/search?type=dash-db&limit=5000" : null);
  const query = new URLSearchParams({ type: "dash-db", limit: String(Math.max(most, MOST)) });
  if (o.query) query.set("query", interpolate(String(o.query)));
  for (const tag of o.tags ?? []) query.append("tag", interpolate(String(tag)));
  if (o.folderUID) query.set("folderUIDs", o.folderUID);
  const found = usePlain<Hit[]>(o.showSearch ? `/api/search?${query}` : null);
  const byUid = new Map((all.data ?? []).map((h) => [h.uid, h]));
  const parts: [string, string | undefined, Hit[] | undefined][] = [];
  if (o.showStarred) parts.push(["Starred dashboards", starred.error, starred.data]);
  if (o.showRecentlyViewed) parts.push(["Recently viewed dashboards", all.error, all.data && lastSeen().flatMap((uid) => byUid.get(uid) ?? [])]);
  if (o.showSearch) parts.push(["Search", found.error, found.data]);
  return (
    <div class="list-panel" tabIndex={0} role="region" aria-label={panel.title || "Dashboards"} style={{ width: `${width}px`, height: `${height}px` }}>
      {!parts.length && <p class="none">Nothing to show: choose starred, recently viewed or searched dashboards.</p>}
      {parts.map(([title, error, hits]) => (
        <section key={title}>
          {o.showHeadings !== false && <h3>{title}</h3>}
          {error && <p class="notice">{error}</p>}
          {hits && !hits.length && <p class="none">None.</p>}
          <ul>{hits?.slice(0, most).map((h) => (
            <li key={h.uid} class="list-row row">
              <a href={addressOf(h, !!o.keepTime, !!o.includeVars, route.value.query)}>{h.title}</a>
              {o.showFolderNames !== false && h.folderTitle && <span class="dim">{h.folderTitle}</span>}
              {h.isStarred && <span aria-label="starred" role="img" class="dim end">★</span>}
            </li>
          ))}</ul>
        </section>
      ))}
    </div>
  );
}
