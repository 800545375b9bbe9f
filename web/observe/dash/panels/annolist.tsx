// annolist.tsx - the annotations of this dashboard or of all: what happened when, by whom; each leads to its
// time.
import { setRangeMs, timeText } from "../../base/time";
import { plural } from "../../base/format";
import { parseDuration } from "../../base/time";
import { usePlain } from "./plain_ask";
import type { PanelProps } from "./panel";

interface Annotation { id: number; time: number; timeEnd?: number; text: string; title?: string; tags?: string[]; login?: string; dashboardUID?: string }

const AROUND_MS = 600e3; // shown before and after, if the panel does not say

export default function AnnoList({ panel, width, height, scope, interpolate }: PanelProps) {
  const o = panel.options;
  const query = new URLSearchParams({ limit: String(Number(o.limit) || 10), type: "annotation" });
  if (o.onlyFromThisDashboard && scope.dashboard) query.set("dashboardUID", scope.dashboard.uid);
  if (o.onlyInTimeRange) {
    query.set("from", String(Math.round(scope.from)));
    query.set("to", String(Math.round(scope.to)));
  }
  for (const tag of o.tags ?? []) query.append("tags", interpolate(String(tag)));
  const { data, error } = usePlain<Annotation[]>(`/api/annotations?${query}`);
  const around = (text: unknown) => { const ms = parseDuration(String(text ?? "")); return Number.isFinite(ms) ? ms : AROUND_MS; };
  const show = (a: Annotation) => setRangeMs(a.time - around(o.navigateBefore), (a.timeEnd || a.time) + around(o.navigateAfter));
  return (
    <div class="list-panel" tabIndex={0} role="region" aria-label={panel.title || "Annotations"} style={{ width: `${width}px`, height: `${height}px` }}>
      {error && <p class="notice">{error}</p>}
      {data && !data.length && <p class="none">No annotations.</p>}
      <ul aria-label={data ? plural(data.length, "annotation") : undefined}>{data?.map((a) => (
        <li key={a.id} class="list-row row">
          <button type="button" class="pick" title="Show its time" onClick={() => show(a)}>{plainText(a.text || a.title || "(no text)")}</button>
          {o.showTags !== false && a.tags?.map((t) => <span key={t} class="tag">{t}</span>)}
          {o.showUser !== false && a.login && <span class="dim">{a.login}</span>}
          {o.showTime !== false && <time class="dim end" dateTime={new Date(a.time).toISOString()}>{timeText(a.time)}</time>}
        </li>
      ))}</ul>
    </div>
  );
}

// Annotations may hold HTML; here they are told as what one would read.
const plainText = (html: string): string => (html.includes("<") ? new DOMParser().parseFromString(html.replace(/<[^>]*>/g, " "), "text/html").body.textContent ?? "" : html).trim();
