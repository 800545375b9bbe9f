// icon.tsx - the few pictures of the shell, drawn in strokes of the text's colour.
const PATHS = {
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 20c0-3.3 3.6-6 8-6s8 2.7 8 6",
  users: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2 20c0-3 3-5.5 7-5.5s7 2.5 7 5.5M15.5 4.5a3.5 3.5 0 0 1 0 6M18.5 15c2 .8 3.5 2.7 3.5 5",
  home: "M3 11 12 4l9 7M6 9.5V20h12V9.5",
  explore: "M4 19h16M5 15l4-5 4 3 6-8",
  traces: "M3 6h11M7 11h9M11 16h6M14 21h7",
  dashboards: "M4 5h7v6H4ZM13 5h7v10h-7ZM4 13h7v6H4ZM13 17h7v2h-7Z",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  info: "M12 12m-8 0a8 8 0 1 0 16 0a8 8 0 1 0-16 0M12 11v5M12 8v.01",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  warn: "M12 4 3 20h18ZM12 10v4M12 17v.01",
  alerts: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4ZM10 21h4",
  rules: "M5 6h14M5 12h14M5 18h9",
  targets: "M12 12m-8 0a8 8 0 1 0 16 0a8 8 0 1 0-16 0M12 12m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
  status: "M4 12h4l2-6 4 12 2-6h4",
  clock: "M12 12m-8 0a8 8 0 1 0 16 0a8 8 0 1 0-16 0M12 8v4l3 2",
  refresh: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
  search: "M10.5 10.5m-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0M15 15l5 5",
  theme: "M12 12m-8 0a8 8 0 1 0 16 0a8 8 0 1 0-16 0M12 4v16M12 4a8 8 0 0 0 0 16",
  menu: "M4 7h16M4 12h16M4 17h16",
  help: "M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2M12 17.5v.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return <svg class="pic" viewBox="0 0 24 24" aria-hidden="true"><path d={PATHS[name]} /></svg>;
}
