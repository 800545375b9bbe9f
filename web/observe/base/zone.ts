// zone.ts - clocks of time zones: "utc", "browser", or a name as "Europe/Berlin". Everything that reads or
// writes a time of day goes through these three, so that a page never mixes two zones.
const MINUTE_MS = 60e3;
const DAY_MS = 86400e3;
const HOLDS_MS = 900e3; // zones change at quarters of an hour

const named = new Map<string, Intl.DateTimeFormat | undefined>();
function formatIn(zone: string): Intl.DateTimeFormat | undefined {
  if (!named.has(zone)) {
    let made: Intl.DateTimeFormat | undefined;
    try {
      made = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
    } catch {
      // the browser does not know it
    }
    named.set(zone, made);
  }
  return named.get(zone);
}

// As addresses and dashboards have it; what is not known is the browser's.
export function zoneOf(text: string | null | undefined): string {
  if (!text || /^browser$/i.test(text)) return "browser";
  if (/^(utc|gmt|etc\/(utc|gmt))$/i.test(text)) return "utc";
  return formatIn(text) ? text : "browser";
}

export const zoneNames = (): string[] => Intl.supportedValuesOf?.("timeZone") ?? [];

// As Intl's formatters want it.
export const intlZone = (zone: string): string | undefined => (zone === "utc" ? "UTC" : zone === "browser" ? undefined : zone);

const last = { zone: "", quarter: NaN, minutes: 0 };

// Minutes that the zone's clock is ahead of UTC.
export function offsetOf(ms: number, zone: string): number {
  if (zone === "utc" || !(Math.abs(ms) <= 8.64e15)) return 0;
  if (zone === "browser") return -new Date(ms).getTimezoneOffset();
  const quarter = Math.floor(ms / HOLDS_MS);
  if (last.zone !== zone || last.quarter !== quarter) {
    const m = /GMT([+-])(\d\d):(\d\d)(?::(\d\d))?/.exec(formatIn(zone)?.format(ms) ?? "");
    const minutes = m ? (m[1] === "-" ? -1 : 1) * (Number(m[2]) * 60 + Number(m[3]) + Number(m[4] ?? 0) / 60) : 0;
    Object.assign(last, { zone, quarter, minutes });
  }
  return last.minutes;
}

// A date whose getUTC… members tell the zone's clock.
export const clockOf = (ms: number, zone: string): Date => new Date(ms + offsetOf(ms, zone) * MINUTE_MS);

// Back from such a clock. An hour that is there twice is its first; one that is left out comes after the gap.
export function fromClock(clock: number, zone: string): number {
  const [before, after] = [offsetOf(clock - DAY_MS, zone), offsetOf(clock + DAY_MS, zone)];
  const t = clock - before * MINUTE_MS;
  const u = clock - after * MINUTE_MS;
  return offsetOf(t, zone) !== before && offsetOf(u, zone) === after ? u : t;
}

const two = (n: number): string => String(n).padStart(2, "0");

export function partsIn(ms: number, zone: string): { date: string; time: string; ms: string } {
  const d = clockOf(ms, zone);
  return {
    date: `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`,
    time: `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`,
    ms: String(d.getUTCMilliseconds()).padStart(3, "0"),
  };
}

// With milliseconds where there are some.
export function timeIn(ms: number, zone: string): string {
  const p = partsIn(ms, zone);
  return `${p.date} ${p.time}${p.ms === "000" ? "" : `.${p.ms}`}`;
}
