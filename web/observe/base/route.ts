// route.ts - which view is shown and with what state: all of it is in the address, so that any view
// can be shared, reloaded and reached with the back button. Views read `route` and write through
// go() and setQuery(); nobody else touches the history. The peers' own addresses lead to ours.
import { signal } from "@preact/signals";

export interface Route {
  path: string; // below the base: "/targets"
  query: URLSearchParams;
}

// The server writes <base>: below a prefix everything is relative to it.
export const base = new URL(document.baseURI).pathname.replace(/\/+$/, "");

// Other pages' addresses, and where what they showed is here; `query` is added to theirs.
const ALIASES: Record<string, [path: string, query?: Record<string, string>]> = {
  "/query": ["/explore"],
  "/graph": ["/explore"],
  "/search": ["/traces"],
  "/flags": ["/status", { tab: "flags" }],
  "/config": ["/status", { tab: "configuration" }],
  "/tsdb-status": ["/status", { tab: "storage" }],
  "/service-discovery": ["/targets"],
  "/alertmanager-discovery": ["/status", { tab: "alertmanagers" }],
};

// What Jaeger's search page has in its address: start and end in microseconds, unless lookback says how
// long ago; tags as JSON, or one by one as key:value. The other names are ours, too.
export function fromJaeger(query: URLSearchParams): void {
  const [start, end, lookback] = ["start", "end", "lookback"].map((name) => query.get(name) ?? "");
  if (!query.has("from")) {
    if (/^\d+[smhdw]$/.test(lookback)) query.set("from", `now-${lookback}`);
    else if (/^\d+$/.test(start) && /^\d+$/.test(end)) {
      query.set("from", String(Math.floor(Number(start) / 1000)));
      query.set("to", String(Math.ceil(Number(end) / 1000)));
    }
  }
  const tags = query.getAll("tag").map((t) => [t.slice(0, t.indexOf(":")), t.slice(t.indexOf(":") + 1)]).filter(([key]) => key);
  if (tags.length && !query.get("tags")) query.set("tags", JSON.stringify(Object.fromEntries(tags)));
  if (query.get("operation") === "all") query.delete("operation");
  for (const name of ["start", "end", "lookback", "tag"]) query.delete(name);
  for (const name of ["service", "operation", "tags", "minDuration", "maxDuration", "limit"]) if (!query.get(name)) query.delete(name);
}

function read(): Route {
  let path = location.pathname;
  if (path.startsWith(base)) path = path.slice(base.length);
  path = path.replace(/\/+$/, "") || "/";
  const query = new URLSearchParams(location.search);
  const alias = ALIASES[path];
  if (alias) {
    path = alias[0];
    for (const [k, v] of Object.entries(alias[1] ?? {})) query.set(k, v);
    if (path === "/traces") fromJaeger(query);
    history.replaceState(null, "", address(path, query));
  }
  return { path, query };
}

function address(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return base + path + (text ? `?${text}` : "");
}

// What stays when one goes to another view: the time that is looked at.
const KEPT = ["from", "to", "timezone", "refresh"];

export const route = signal<Route>(read());

// The address of a view; the time range goes along.
export function href(path: string, query: Record<string, string> = {}): string {
  const all = new URLSearchParams();
  for (const [k, v] of Object.entries(query)) if (v) all.set(k, v);
  for (const k of KEPT) {
    const v = route.value.query.get(k);
    if (v && !all.has(k)) all.set(k, v);
  }
  return address(path, all);
}

// A view that would lose something is asked first; it keeps what would go on.
export type Guard = (goOn: () => void) => boolean;
let guard: Guard | undefined;
export const guardLeaving = (by: Guard | undefined): void => { guard = by; };
const stays = (path: string, goOn: () => void): boolean => path !== base + route.value.path && !!guard?.(goOn);

export function go(to: string): void {
  if (stays(new URL(to, location.href).pathname, () => { guard = undefined; go(to); })) return;
  history.pushState(null, "", to);
  route.value = read();
  scrollTo(0, 0);
}

// Changes parameters of the present view; null takes one out. What the user would want to go back
// from (a range, a query run) is pushed, what they type is not.
export function setQuery(changes: Record<string, string | null>, push = false): void {
  const query = new URLSearchParams(route.value.query);
  for (const [k, v] of Object.entries(changes))
    if (v === null || v === "") query.delete(k);
    else query.set(k, v);
  replaceQuery(query, push);
}

export function replaceQuery(query: URLSearchParams, push = false): void {
  const to = address(route.value.path, query);
  if (to === location.pathname + location.search) return;
  if (push) history.pushState(null, "", to);
  else history.replaceState(null, "", to);
  route.value = read();
}

export function parameter(name: string): string {
  return route.value.query.get(name) ?? "";
}

// Links are ordinary links; those that stay within the page do not load it again.
export function followLinks(): void {
  addEventListener("popstate", () => {
    const to = location.pathname + location.search;
    if (stays(location.pathname, () => { guard = undefined; go(to); })) history.pushState(null, "", address(route.value.path, route.value.query));
    else route.value = read();
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
      return;
    const link = (event.target as Element).closest?.("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!link.pathname.startsWith(base + "/") || link.pathname.startsWith(base + "/api/")) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
