// link_rows.tsx - links as forms: of a dashboard, of a panel, of its values.
import type { Link } from "../model";
import { alike, pick } from "./choices";
import { Items } from "./items";
import { type Row, Rows } from "./rows";

const TO: Row[] = [
  { path: "title", text: "Title", kind: "text" },
  { path: "url", text: "Address", kind: "text", hint: "https://… or /d/UID" },
  { path: "targetBlank", text: "In a new tab", kind: "switch" },
];
const ALONG: Row[] = [{ path: "keepTime", text: "With the time range", kind: "switch" }, { path: "includeVars", text: "With the variables", kind: "switch" }];
const byTags = (l: Link) => l.type === "dashboards";
const ICONS = ["external link", "dashboard", "question", "info", "bolt", "doc", "cloud"];

const OF_DASHBOARD: Row[] = [
  { path: "type", text: "Leads to", kind: "select", choices: pick({ link: "An address", dashboards: "Dashboards with tags" }) },
  TO[0]!, { ...TO[1]!, when: (l) => !byTags(l) },
  { path: "tags", text: "Tags, one a line", kind: "lines", when: byTags }, { path: "asDropdown", text: "As a menu", kind: "switch", when: byTags },
  { path: "tooltip", text: "Explanation", kind: "text", when: (l) => !byTags(l) },
  { path: "icon", text: "Icon (in Grafana)", kind: "select", choices: alike(ICONS), when: (l) => !byTags(l) },
  ...ALONG, TO[2]!,
];

const NEW: Link = { title: "", type: "link", icon: "external link", tooltip: "", url: "", tags: [], asDropdown: false, targetBlank: false, includeVars: false, keepTime: false };
const texts = (l: Link): Link => ({ ...l, title: l.title ?? "", ...(l.url === undefined && !byTags(l) ? { url: "" } : {}) });

function Links({ links, put, rows, fresh, fold }: { links: Link[]; put: (all: Link[]) => void; rows: Row[]; fresh: Link; fold?: boolean }) {
  return <Items all={links} put={put} fold={fold} add="Add link" make={() => ({ ...fresh })} name={(l, i) => `Link ${l.title || i + 1}`}
    body={(l, set) => <Rows of={l} shown={l} rows={rows} onChange={(to) => set(texts(to))} />} />;
}

export const DashboardLinks = ({ links, put }: { links: Link[]; put: (all: Link[]) => void }) => <Links links={links} put={put} rows={OF_DASHBOARD} fresh={NEW} fold />;

// Of a panel, or of its values: `${__value.raw}`, `${__field.labels.job}` and `${__url_time_range}` stand for what they say.
export const SomeLinks = ({ links, put }: { links: Link[] | undefined; put: (all: Link[] | undefined) => void }) =>
  <Links links={links ?? []} put={(all) => put(all.length ? all : undefined)} rows={TO} fresh={{ title: "", url: "" }} />;
