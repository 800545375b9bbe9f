// notes.tsx - panels of Grafana that show nothing of one's own systems: they say so, and ask no other host.
import { href } from "../../base/route";
import type { PanelProps } from "./panel";

const NEWS = "This panel reads a feed from another server. Sextant makes no requests to other hosts; open the feed yourself:";

export default function Note({ panel, width, height }: PanelProps) {
  const feed = String(panel.options.feedUrl ?? "");
  return (
    <div class="text-panel note-panel" style={{ width: `${width}px`, height: `${height}px` }}>
      {panel.type === "news" ? (
        <p>{NEWS} {/^https?:\/\//i.test(feed) ? <a href={feed} target="_blank" rel="noopener noreferrer">{feed}</a> : "it names none."}</p>
      ) : (
        <>
          <p>See what is running and how it is doing.</p>
          <ul>
            <li><a href={href("/")}>Services</a> with their rates, errors and durations</li>
            <li><a href={href("/dashboards")}>Dashboards</a></li>
            <li><a href={href("/explore")}>Explore</a> what is measured</li>
            <li><a href={href("/alerts")}>Alerts</a> and <a href={href("/targets")}>targets</a></li>
          </ul>
        </>
      )}
    </div>
  );
}
