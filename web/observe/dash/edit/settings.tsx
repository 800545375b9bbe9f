// settings.tsx - what is said of the dashboard as a whole: its name, its time, its variables, annotations
// and links, and all of it as JSON. Every change counts at once; "Discard" on the page takes it back.
import { useEffect, useRef, useState } from "preact/hooks";
import { zoneNames } from "../../base/zone";
import { Layer, Tabs } from "../../parts/bits";
import type { Dashboard } from "../model";
import { change, followSettings, type PageState, restart } from "../page_state";
import { readDashboard } from "../read";
import { writeDashboard } from "../write";
import { AnnotationsTab } from "./annotations_tab";
import { count, pick } from "./choices";
import { DashboardLinks } from "./link_rows";
import { JsonField, type Row, Rows } from "./rows";
import { VariablesTab } from "./variables_tab";

const GENERAL: Row[] = [
  { path: "title", text: "Title", kind: "text", group: "About" }, { path: "description", text: "Description", kind: "area", group: "About" }, { path: "tags", text: "Tags, one a line", kind: "lines", group: "About" },
  { path: "time.from", text: "From", kind: "text", group: "Time" }, { path: "time.to", text: "To", kind: "text", group: "Time" },
  { path: "refresh", text: "Asks again every", kind: "select", group: "Time", choices: pick({ "": "Off", "5s": "5 s", "10s": "10 s", "30s": "30 s", "1m": "1 min", "5m": "5 min", "15m": "15 min", "30m": "30 min", "1h": "1 h" }) },
  { path: "timezone", text: "Time zone", kind: "select", group: "Time", choices: pick({ "": "The viewer's choice", browser: "The browser's", utc: "UTC", ...Object.fromEntries(zoneNames().map((z) => [z, z])) }) },
  { path: "graphTooltip", text: "Cursor", kind: "select", group: "Charts", choices: count("Each chart its own", "Shared crosshair", "Shared crosshair and tooltip") },
];

const TABS = [["general", "General"], ["variables", "Variables"], ["annotations", "Annotations"], ["links", "Links"], ["json", "JSON model"]] as const;
type Tab = (typeof TABS)[number][0];

export function Settings({ page, onClose }: { page: PageState; onClose: () => void }) {
  const [tab, setTab] = useState<Tab>("general");
  const d = page.dashboard.value;
  const put = (to: Dashboard) => {
    change(page, () => ({ ...to, title: to.title ?? "" }));
    followSettings(page);
  };
  // Their values are asked for once the typing pauses.
  const first = useRef(d.templating);
  useEffect(() => {
    if (first.current === d.templating) return undefined;
    const timer = setTimeout(() => { first.current = d.templating; restart(page); }, 600);
    return () => clearTimeout(timer);
  }, [d.templating]);
  const close = () => {
    if (first.current !== page.dashboard.peek().templating) restart(page);
    onClose();
  };
  return (
    <Layer label="Settings of the dashboard" onClose={close} kind="ed-settings">
      <div class="bar"><h2>Settings</h2><button type="button" class="quiet end" data-first onClick={close}>Close</button></div>
      <Tabs label="Settings" value={tab} options={TABS} onChange={setTab} />
      {tab === "general" ? <Rows of={d} rows={GENERAL} onChange={put} />
        : tab === "variables" ? <VariablesTab page={page} put={(list) => put({ ...d, templating: { ...d.templating, list } })} />
        : tab === "annotations" ? <AnnotationsTab d={d} put={(list) => put({ ...d, annotations: { ...d.annotations, list } })} />
        : tab === "links" ? <DashboardLinks links={d.links} put={(links) => put({ ...d, links })} />
        : <JsonField label="The dashboard as JSON" rows={26} value={writeDashboard(d)} onApply={(json) => put({ ...readDashboard(json).dashboard, uid: d.uid, version: d.version })} />}
    </Layer>
  );
}
