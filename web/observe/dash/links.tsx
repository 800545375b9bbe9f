// links.tsx - the links of a dashboard and of its panels: to addresses, with the time and the variables
// along if they say so, and to the dashboards that have certain tags.
import { useEffect, useState } from "preact/hooks";
import { base, route } from "../base/route";
import { from, to } from "../base/time";
import { Icon } from "../parts/icon";
import { MenuButton, type MenuItem } from "../parts/popup";
import { addressOf, type Hit, search } from "./api";
import { interpolate } from "./interpolate";
import type { Link } from "./model";
import type { PageState } from "./page_state";
import type { Scope } from "./scope";
import { toQuery } from "./variables";

// An address that may be followed: our own pages below the base, or the web's; nothing that runs.
export function safeHref(url: string): string {
  const text = url.replace(/[\u0000-\u001f\u007f]/g, "").trim(); // browsers leave these out, so that "java\nscript:" runs
  if (/^[a-z][a-z0-9+.-]*:/i.test(text)) return /^(https?|mailto|tel):/i.test(text) ? text : "#";
  if (text.startsWith("//")) return text;
  if (text.startsWith("/")) return base + text;
  if (text.startsWith("?")) return location.pathname + text;
  return /^d\//.test(text) ? `${base}/${text}` : text || "#";
}

function withState(url: string, link: Link, page: PageState): string {
  const more = new URLSearchParams();
  if (link.keepTime) {
    more.set("from", from.value);
    more.set("to", to.value);
    if (route.value.query.has("timezone")) more.set("timezone", route.value.query.get("timezone")!);
  }
  if (link.includeVars) for (const [k, all] of Object.entries(toQuery(page.values.value))) for (const v of all) more.append(k, v);
  const text = more.toString();
  if (!text) return url;
  const [path, hash = ""] = url.split("#");
  return `${path}${path!.includes("?") ? "&" : "?"}${text}${hash && `#${hash}`}`;
}

export const hrefOf = (link: Link, scope: Scope, page: PageState): string => withState(safeHref(interpolate(link.url ?? "", scope, "url")), link, page);

export const isAway = (link: Link) => (link.targetBlank ? { target: "_blank", rel: "noreferrer" } : {});

// The bar of a dashboard's links.
export function LinkBar({ page }: { page: PageState }) {
  const links = page.dashboard.value.links;
  const scope = page.scope.value;
  const [hits, setHits] = useState<Hit[]>();
  const byTags = links.some((l) => l.type === "dashboards");
  useEffect(() => { if (byTags) search().then(setHits, () => undefined); }, [byTags]);
  const tagged = (l: Link): MenuItem[] => (hits ?? [])
    .filter((h) => h.uid !== page.uid && (l.tags ?? []).every((t) => h.tags.includes(t)))
    .map((h) => ({ text: h.title, href: withState(base + addressOf(h), l, page), away: l.targetBlank }));
  return (
    <>
      {links.map((l, i) => {
        const title = interpolate(l.title || "", scope, "text");
        if (l.type !== "dashboards")
          return <a key={i} class="dash-link-out" href={hrefOf(l, scope, page)} title={interpolate(l.tooltip ?? "", scope, "text")} {...isAway(l)}>{title || l.url}<Icon name="link" /></a>;
        const items = tagged(l);
        if (!items.length) return null;
        if (l.asDropdown) return <MenuButton key={i} label={title || "Dashboards"} kind="" items={() => items}>{title || "Dashboards"} ▾</MenuButton>;
        return items.map((m) => <a key={`${i} ${m.text}`} class="dash-link-out" href={m.href} {...isAway(l)}>{m.text}</a>);
      })}
    </>
  );
}
