// duration.ts - durations and instants as texts: "1h30m", "now-6h", "now-1d/d". Apart from time.ts,
// which knows the page's address: what is computed without a page uses these too.
import { clockOf, fromClock } from "./zone";

const UNIT_S: Record<string, number> = {
  s: 1, m: 60, h: 3600, d: 86400, w: 604800, M: 2592000, Q: 7776000, y: 31536000,
};

// "1h30m" in milliseconds; NaN if it is none.
export function parseDuration(text: string): number {
  let ms = 0;
  const rest = text.trim().replace(/(\d+(?:\.\d+)?)(ms|[smhdwMQy])/g, (_, n: string, unit: string) => {
    ms += Number(n) * (unit === "ms" ? 1 : UNIT_S[unit]! * 1000);
    return "";
  });
  return rest.trim() || !text.trim() ? NaN : ms;
}

// The shortest exact text: 5400000 is "1h30m".
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  let seconds = Math.round(ms / 1000);
  let out = "";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]] as const) {
    const n = Math.floor(seconds / size);
    if (n) out += n + unit;
    seconds -= n * size;
  }
  return out;
}

// The parts of a time that months and days are counted in, from the year to the millisecond.
type Parts = [number, number, number, number, number, number, number];
const partsOf = (ms: number, zone: string): Parts => {
  const d = clockOf(ms, zone);
  return [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds(), d.getUTCMilliseconds()];
};
const ofParts = (p: Parts, zone: string): number => fromClock(Date.UTC(...p), zone);
const PART: Record<string, number> = { y: 0, M: 1, d: 2, h: 3, m: 4, s: 5 };

// Months and years are as long as the calendar has them, days as long as the zone's clock has them.
function moved(ms: number, by: number, unit: string, zone: string): number {
  const p = partsOf(ms, zone);
  if (unit === "w") p[2] += 7 * by;
  else if (unit === "Q") p[1] += 3 * by;
  else if (unit === "h" || unit === "m" || unit === "s") return ms + by * UNIT_S[unit]! * 1000;
  else p[PART[unit]!]! += by;
  if (unit === "M" || unit === "Q" || unit === "y") // the 31st of a shorter month is its last day
    p[2] = Math.min(p[2], partsOf(ofParts([p[0], p[1] + 1, 0, 0, 0, 0, 0], zone), zone)[2]);
  return ofParts(p, zone);
}

// The beginning of the unit that `ms` is in; weeks begin on Monday.
function floored(ms: number, unit: string, zone: string): number {
  const p = partsOf(ms, zone);
  if (unit === "w") {
    const weekday = clockOf(ms, zone).getUTCDay();
    return ofParts([p[0], p[1], p[2] - ((weekday + 6) % 7), 0, 0, 0, 0], zone);
  }
  if (unit === "Q") return ofParts([p[0], p[1] - (p[1] % 3), 1, 0, 0, 0, 0], zone);
  const last = PART[unit]!;
  return ofParts(p.map((v, i) => (i <= last ? v : i === 2 ? 1 : 0)) as Parts, zone);
}

// "now-1h", "now-1d/d", "2026-11-22 10:00", "2026-11-22T10:00:00Z" or milliseconds; NaN if it is none.
// "now/d" is the day's beginning, or with `end` its last millisecond.
export function parseInstant(text: string, now: number, zone: string, end = false): number {
  const t = text.replace(/\s+/g, " ").trim();
  if (/^now\b/.test(t)) {
    let ms = now;
    const rest = t.slice(3).replace(/ /g, "").replace(/([+-])((?:\d+[smhdwMQy])+)|\/f?([smhdwMQy])/g, (_, sign: string, by: string, whole: string) => {
      for (const [, n, unit] of (by ?? "").matchAll(/(\d+)(\D)/g)) ms = moved(ms, (sign === "-" ? -1 : 1) * Number(n), unit!, zone);
      if (whole) ms = end ? moved(floored(ms, whole, zone), 1, whole, zone) - 1 : floored(ms, whole, zone);
      return "";
    });
    return rest ? NaN : ms;
  }
  if (/^\d{11,}$/.test(t)) return Number(t);
  const parts = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(t);
  if (!parts) return NaN;
  const ms = Date.parse(`${parts[1]}T${parts[2] ?? "00:00"}${parts[3] ?? "Z"}`);
  return parts[3] ? ms : fromClock(ms, zone);
}
