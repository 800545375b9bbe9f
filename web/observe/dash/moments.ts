// moments.ts - instants as text: moment's format tokens, which dashboards use ("time:YYYY-MM-DD"), the
// browser's own manner, and "3 hours ago".
import { clockOf, intlZone, offsetOf } from "../base/zone";

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const DAY_MS = 86400e3;
export const INVALID = "Invalid date";

const pad = (n: number, width = 2): string => (n < 0 ? "-" : "") + String(Math.abs(n)).padStart(width, "0");

function ordinal(n: number): string {
  const tail = n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return n + tail;
}

const dayOfYear = (d: Date): number => Math.floor((Date.UTC(d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate()) - Date.UTC(d.getUTCFullYear(), 0, 1)) / DAY_MS) + 1;

// ISO 8601's week: the one that holds the year's first Thursday is the first.
function isoWeek(d: Date): [year: number, week: number] {
  const thursday = new Date(d.getTime());
  thursday.setUTCDate(d.getUTCDate() + 4 - (d.getUTCDay() || 7));
  return [thursday.getUTCFullYear(), Math.ceil(dayOfYear(thursday) / 7)];
}

// The week as counted in America: from Sunday, the first holds January 1.
function localWeek(d: Date): [year: number, week: number] {
  const saturday = new Date(d.getTime() + (6 - d.getUTCDay()) * DAY_MS);
  return [saturday.getUTCFullYear(), Math.ceil(dayOfYear(saturday) / 7)];
}

function offset(zone: string, ms: number, colon: string): string {
  const minutes = offsetOf(ms, zone);
  const size = Math.floor(Math.abs(minutes));
  return `${minutes < 0 ? "-" : "+"}${pad(Math.floor(size / 60))}${colon}${pad(size % 60)}`;
}

type Token = (d: Date, zone: string, ms: number) => string | number;
const year4 = (d: Date): string => pad(d.getUTCFullYear(), 4);
const hour12 = (d: Date): number => d.getUTCHours() % 12 || 12;
const hour24 = (d: Date): number => d.getUTCHours() || 24;
const half = (d: Date): string => (d.getUTCHours() < 12 ? "AM" : "PM");

const short: Token = (_, zone) => (zone === "utc" ? "UTC" : zone === "browser" ? "" : zone);

const TOKENS: Record<string, Token> = {
  YYYY: year4, YY: (d) => pad(d.getUTCFullYear() % 100), Y: (d) => d.getUTCFullYear(),
  Q: (d) => Math.floor(d.getUTCMonth() / 3) + 1, Qo: (d) => ordinal(Math.floor(d.getUTCMonth() / 3) + 1),
  MMMM: (d) => MONTHS[d.getUTCMonth()]!, MMM: (d) => MONTHS[d.getUTCMonth()]!.slice(0, 3),
  MM: (d) => pad(d.getUTCMonth() + 1), Mo: (d) => ordinal(d.getUTCMonth() + 1), M: (d) => d.getUTCMonth() + 1,
  DDDD: (d) => pad(dayOfYear(d), 3), DDDo: (d) => ordinal(dayOfYear(d)), DDD: dayOfYear,
  DD: (d) => pad(d.getUTCDate()), Do: (d) => ordinal(d.getUTCDate()), D: (d) => d.getUTCDate(),
  dddd: (d) => DAYS[d.getUTCDay()]!, ddd: (d) => DAYS[d.getUTCDay()]!.slice(0, 3), dd: (d) => DAYS[d.getUTCDay()]!.slice(0, 2),
  do: (d) => ordinal(d.getUTCDay()), d: (d) => d.getUTCDay(), e: (d) => d.getUTCDay(), E: (d) => d.getUTCDay() || 7,
  GGGG: (d) => isoWeek(d)[0], GG: (d) => pad(isoWeek(d)[0] % 100), WW: (d) => pad(isoWeek(d)[1]), Wo: (d) => ordinal(isoWeek(d)[1]), W: (d) => isoWeek(d)[1],
  gggg: (d) => localWeek(d)[0], gg: (d) => pad(localWeek(d)[0] % 100), ww: (d) => pad(localWeek(d)[1]), wo: (d) => ordinal(localWeek(d)[1]), w: (d) => localWeek(d)[1],
  HH: (d) => pad(d.getUTCHours()), H: (d) => d.getUTCHours(), hh: (d) => pad(hour12(d)), h: hour12, kk: (d) => pad(hour24(d)), k: hour24,
  A: half, a: (d) => half(d).toLowerCase(), mm: (d) => pad(d.getUTCMinutes()), m: (d) => d.getUTCMinutes(),
  ss: (d) => pad(d.getUTCSeconds()), s: (d) => d.getUTCSeconds(),
  SSS: (d) => pad(d.getUTCMilliseconds(), 3), SS: (d) => pad(Math.floor(d.getUTCMilliseconds() / 10)), S: (d) => Math.floor(d.getUTCMilliseconds() / 100),
  ZZ: (_, zone, ms) => offset(zone, ms, ""), Z: (_, zone, ms) => offset(zone, ms, ":"), zz: short, z: short,
  X: (_d, _u, ms) => Math.floor(ms / 1000), x: (_d, _u, ms) => ms,
};

// Ready formats, and those that mean others.
const LONG: Record<string, string> = {
  LTS: "h:mm:ss A", LT: "h:mm A", LLLL: "dddd, MMMM D, YYYY h:mm A", LLL: "MMMM D, YYYY h:mm A", LL: "MMMM D, YYYY", L: "MM/DD/YYYY",
  llll: "ddd, MMM D, YYYY h:mm A", lll: "MMM D, YYYY h:mm A", ll: "MMM D, YYYY", l: "M/D/YYYY",
};
const PIECES = /\[([^\]]*)\]|LTS|LT|L{1,4}|l{1,4}|YYYYYY|YYYYY|YYYY|YY|Y|GGGG|GG|gggg|gg|Qo|Q|MMMM|MMM|MM|Mo|M|DDDD|DDDo|DDD|DD|Do|D|dddd|ddd|dd|do|d|Wo|WW|W|wo|ww|w|e|E|HH|H|hh|h|kk|k|A|a|mm|m|ss|s|S{1,9}|ZZ|Z|zz|z|X|x/g;

type Piece = string | Token;
const compiled = new Map<string, Piece[]>();

function pieceOf(text: string): Piece {
  if (/^S{4,}$/.test(text)) return (d) => pad(d.getUTCMilliseconds(), 3).padEnd(text.length, "0");
  return TOKENS[text] ?? TOKENS[text.slice(0, 4)] ?? text;
}

function compile(format: string): Piece[] {
  let pieces = compiled.get(format);
  if (pieces) return pieces;
  pieces = [];
  const whole = format.replace(/\[[^\]]*\]|LTS|LT|L{1,4}|l{1,4}/g, (t) => LONG[t] ?? t);
  let at = 0;
  for (const m of whole.matchAll(PIECES)) {
    if (m.index! > at) pieces.push(whole.slice(at, m.index));
    pieces.push(m[1] !== undefined ? m[1] : pieceOf(m[0]));
    at = m.index! + m[0].length;
  }
  pieces.push(whole.slice(at));
  if (compiled.size < 1000) compiled.set(format, pieces);
  return pieces;
}

export function formatDate(ms: number, format: string, zone: string): string {
  const d = clockOf(ms, zone);
  if (Number.isNaN(d.getTime())) return INVALID;
  const whole = Math.trunc(ms);
  return compile(format || "YYYY-MM-DDTHH:mm:ssZ").map((p) => (typeof p === "string" ? p : p(d, zone, whole))).join("");
}

const locals = new Map<string, Intl.DateTimeFormat>();

// As the browser's language has it.
export function localDate(ms: number, zone: string, timeOnly = false): string {
  if (!(Math.abs(ms) <= 8.64e15)) return INVALID;
  const two = "2-digit" as const;
  if (timeOnly) return new Date(ms).toLocaleTimeString(undefined, { hour: two, minute: two, second: two, timeZone: intlZone(zone) }).replace(/\u202f/g, " ");
  let f = locals.get(zone);
  if (!f) locals.set(zone, (f = new Intl.DateTimeFormat(undefined, { year: "numeric", month: two, day: two, hour: two, minute: two, second: two, timeZone: intlZone(zone) })));
  return f.format(ms).replace(/\u202f/g, " ");
}

export const sameDay = (a: number, b: number, zone: string): boolean =>
  Math.floor(clockOf(a, zone).getTime() / DAY_MS) === Math.floor(clockOf(b, zone).getTime() / DAY_MS);

// "3 hours ago", "in a minute": [largest of the smaller unit, its size in seconds, one, many].
const AGO: [below: number, size_s: number, one: string, many: string][] = [
  [45, 60, "a minute", "minutes"], [22, 3600, "an hour", "hours"], [26, 86400, "a day", "days"],
  [11, 2629746, "a month", "months"], [Infinity, 31556952, "a year", "years"],
];

export function fromNow(ms: number, now = Date.now()): string {
  if (!(Math.abs(ms) <= 8.64e15)) return INVALID;
  const s = Math.abs(ms - now) / 1000;
  let text = "a few seconds";
  if (Math.round(s) >= 45)
    for (const [below, size, one, many] of AGO) {
      const n = Math.round(s / size);
      text = n <= 1 ? one : `${n} ${many}`;
      if (n < below) break;
    }
  return ms > now ? `in ${text}` : `${text} ago`;
}
