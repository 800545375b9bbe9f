// views.ts - the pages: one row each, in the order of the navigation. A page whose path has further
// parts (/d/UID/slug) is a row with `below`; it reads them from the route.
import type { ComponentType } from "preact";
import type { IconName } from "./parts/icon";

export interface View {
  path: string;
  title: string;
  icon: IconName;
  keys: string;
  ranged?: boolean; // it shows a range of time
  below?: boolean; // it is every address below its path, and no entry of the navigation
  bare?: boolean; // it stands alone, and is no entry of the navigation
  aside?: boolean; // it is reached from the navigation's foot
  of?: string; // the entry that it belongs to
  load: () => Promise<{ default: ComponentType }>;
}

export const VIEWS: View[] = [
  { path: "/", title: "Home", icon: "home", keys: "g h", ranged: true, load: () => import("./views/home") },
  { path: "/explore", title: "Explore", icon: "explore", keys: "g e", ranged: true, load: () => import("./views/explore") },
  { path: "/traces", title: "Traces", icon: "traces", keys: "g x", ranged: true, load: () => import("./views/traces") },
  { path: "/trace", title: "Trace", icon: "traces", keys: "", below: true, of: "/traces", load: () => import("./views/trace") },
  { path: "/alerts", title: "Alerts", icon: "alerts", keys: "g a", ranged: true, load: () => import("./views/alerts") },
  { path: "/dashboards", title: "Dashboards", icon: "dashboards", keys: "g d", load: () => import("./views/dashboards") },
  { path: "/d", title: "Dashboard", icon: "dashboards", keys: "", ranged: true, below: true, of: "/dashboards", load: () => import("./views/dashboard") },
  { path: "/rules", title: "Rules", icon: "rules", keys: "g r", load: () => import("./views/rules") },
  { path: "/targets", title: "Targets", icon: "targets", keys: "g t", load: () => import("./views/targets") },
  { path: "/status", title: "Status", icon: "status", keys: "g s", load: () => import("./views/status") },
  { path: "/login", title: "Sign in", icon: "person", keys: "", bare: true, load: () => import("./views/login") },
  { path: "/account", title: "Account", icon: "person", keys: "", aside: true, load: () => import("./views/account") },
  { path: "/admin", title: "Administration", icon: "person", keys: "", aside: true, load: () => import("./views/admin") },
];

// Those that the navigation and the commands list.
export const PLAIN_VIEWS = VIEWS.filter((v) => !v.below && !v.bare && !v.aside);

export const viewOf = (path: string): View | undefined =>
  VIEWS.find((v) => (v.below ? path.startsWith(`${v.path}/`) : v.path === path));
