// way_back.ts - where one is led after signing in: never to another site.

// A way back that stays on this site: the path alone decides, not what it looks like.
export function safeReturn(to: string, origin: string, below: string): string {
  const home = `${below}/`;
  if (!to.startsWith("/") || /^\/[\\/]/.test(to) || /[\u0000-\u0020\\]/.test(to)) return home;
  const url = new URL(to, origin);
  const inside = url.origin === origin && url.pathname.startsWith(home) && !url.pathname.startsWith(`${home}/`);
  return inside && url.pathname !== `${below}/login` ? url.pathname + url.search + url.hash : home;
}
