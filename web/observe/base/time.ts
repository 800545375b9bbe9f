// time.ts - the time range that is looked at, as Grafana's addresses have it: from=now-6h&to=now or
// milliseconds, timezone=utc or Europe/Berlin, refresh=30s. Relative ends are resolved at each refresh.
import { computed, effect, signal } from "@preact/signals";
import { durationText, parseDuration, parseInstant } from "./duration";
import { parameter, setQuery } from "./route";
import { partsIn, zoneOf } from "./zone";

export { durationText, parseDuration, parseInstant };

export const DEFAULT_FROM = "now-1h";
const ZONE_KEY = "sextant.timezone";

// What counts where the address says nothing: a dashboard has its own while it is shown.
const PLAIN = { from: DEFAULT_FROM, to: "now", refresh: "", timezone: "" };
export const rangeDefaults = signal(PLAIN);
export const plainRange = (refresh = ""): void => void (rangeDefaults.value = { ...PLAIN, refresh });

export const from = computed(() => parameter("from") || rangeDefaults.value.from);
export const to = computed(() => parameter("to") || rangeDefaults.value.to);
export const zone = computed(() => zoneOf(parameter("timezone") || rangeDefaults.value.timezone || localStorage.getItem(ZONE_KEY)));
export const refresh = computed(() => {
  const given = parameter("refresh") || rangeDefaults.value.refresh;
  return given === "off" ? "" : given;
});
// "off" is said only where something else would count.
export const setRefresh = (every: string): void => setQuery({ refresh: every || (rangeDefaults.value.refresh ? "off" : null) });

export function setZone(to: string): void {
  localStorage.setItem(ZONE_KEY, to);
  setQuery({ timezone: to });
}

// Counted up whenever what is shown should be asked again: by the interval, and by hand.
export const beat = signal(0);
export const beatAgain = (): void => void beat.value++;

// The range in milliseconds, as of the last beat.
export const range = computed(() => {
  void beat.value;
  const now = Date.now();
  const end = parseInstant(to.value, now, zone.value, true);
  const start = parseInstant(from.value, now, zone.value);
  const sane = Number.isFinite(start) && Number.isFinite(end) && start < end;
  return sane ? { start, end } : { start: now - 3600e3, end: now };
});

// A hidden page asks nothing; shown again, it asks at once.
export function startRefreshing(): void {
  let timer = 0;
  const arm = () => {
    clearInterval(timer);
    const every = parseDuration(refresh.value);
    if (every >= 1000 && !document.hidden) timer = window.setInterval(beatAgain, every);
  };
  effect(arm);
  document.addEventListener("visibilitychange", () => {
    arm();
    if (!document.hidden && refresh.value) beatAgain();
  });
}

export function setRange(newFrom: string, newTo: string): void {
  const usual = rangeDefaults.value;
  const same = newFrom === usual.from && newTo === usual.to;
  setQuery({ from: same ? null : newFrom, to: same || newTo === usual.to ? null : newTo }, true);
}

export function setRangeMs(start: number, end: number): void {
  setRange(String(Math.round(start)), String(Math.round(end)));
}

// Twice as wide about its middle, but not into the future.
export function zoomOut(): void {
  const { start, end } = range.value;
  const now = Date.now();
  const newEnd = Math.min(end + (end - start) / 2, Math.max(now, end));
  setRangeMs(newEnd - 2 * (end - start), newEnd);
}

export function shiftRange(direction: number): void {
  const { start, end } = range.value;
  const by = ((end - start) / 2) * direction;
  setRangeMs(start + by, end + by);
}

// ---- writing times

export const timeParts = (ms: number, inZone = zone.value) => partsIn(ms, inZone);

export function timeText(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  const p = timeParts(ms);
  return `${p.date} ${p.time}`;
}

// "12 s ago", for what a person compares with now.
export function agoText(ms: number): string {
  const s = (Date.now() - ms) / 1000;
  if (!Number.isFinite(s) || ms <= 0) return "never";
  if (s < 0) return `in ${durationText(-s * 1000)}`;
  if (s < 1) return "now";
  const [n, unit] = s < 90 ? [s, "s"] : s < 5400 ? [s / 60, "min"] : s < 129600 ? [s / 3600, "h"] : [s / 86400, "d"];
  return `${Math.round(n)} ${unit} ago`;
}

// ---- ranges that are named

export const QUICK: [text: string, from: string][] = [
  ["5 minutes", "now-5m"], ["15 minutes", "now-15m"], ["30 minutes", "now-30m"],
  ["1 hour", "now-1h"], ["3 hours", "now-3h"], ["6 hours", "now-6h"], ["12 hours", "now-12h"],
  ["24 hours", "now-24h"], ["2 days", "now-2d"], ["7 days", "now-7d"], ["30 days", "now-30d"],
];

export function rangeText(): string {
  const quick = QUICK.find(([, f]) => f === from.value);
  if (quick && to.value === "now") return `Last ${quick[0]}`;
  if (from.value.startsWith("now")) return `${from.value} to ${to.value}`;
  const a = timeParts(range.value.start);
  const b = timeParts(range.value.end);
  return `${a.date} ${a.time} – ${a.date === b.date ? "" : b.date + " "}${b.time}`;
}
