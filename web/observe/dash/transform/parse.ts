// parse.ts - values out of texts: dates by a pattern, and the parts that extractFields takes apart.
import { fromClock } from "../../base/zone";
import type { Cell } from "../frame";

// ---- dates

const PART: Record<string, [re: string, member: number]> = { // member: 0 year … 6 ms, 7 zone, 8 s, 9 ms since 1970, 10 half of the day, 11 month's name
  YYYY: ["(\\d{4})", 0], YY: ["(\\d\\d)", 0], MMMM: ["([A-Za-z]+)", 11], MMM: ["([A-Za-z]+)", 11], MM: ["(\\d\\d?)", 1], M: ["(\\d\\d?)", 1], DD: ["(\\d\\d?)", 2], D: ["(\\d\\d?)", 2],
  HH: ["(\\d\\d?)", 3], H: ["(\\d\\d?)", 3], hh: ["(\\d\\d?)", 3], h: ["(\\d\\d?)", 3], mm: ["(\\d\\d?)", 4], m: ["(\\d\\d?)", 4], ss: ["(\\d\\d?)", 5], s: ["(\\d\\d?)", 5], SSS: ["(\\d{1,3})", 6],
  Z: ["(Z|[+-]\\d\\d:?\\d\\d)", 7], ZZ: ["(Z|[+-]\\d\\d:?\\d\\d)", 7], X: ["(-?\\d+(?:\\.\\d+)?)", 8], x: ["(-?\\d+)", 9], A: ["([AaPp][Mm])", 10], a: ["([AaPp][Mm])", 10],
};
const TOKEN = /\[([^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DD|D|HH|H|hh|h|mm|m|ss|s|SSS|ZZ|Z|X|x|A|a/g;
const MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split(" ");
const patterns = new Map<string, { re: RegExp; members: number[] }>();

function patternOf(format: string): { re: RegExp; members: number[] } {
  let p = patterns.get(format);
  if (p) return p;
  const members: number[] = [];
  const literal = (s: string): string => s.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
  let source = "";
  let at = 0;
  for (const m of format.matchAll(TOKEN)) {
    source += literal(format.slice(at, m.index));
    const part = PART[m[0]];
    if (part) { members.push(part[1]); source += part[0]; } else source += literal(m[1] ?? m[0]);
    at = m.index! + m[0].length;
  }
  p = { re: new RegExp(`^\\s*${source}${literal(format.slice(at))}`), members };
  if (patterns.size < 100) patterns.set(format, p);
  return p;
}

function byPattern(text: string, format: string, zone: string): number {
  const { re, members } = patternOf(format);
  const m = re.exec(text);
  if (!m) return NaN;
  const d = [1970, 1, 1, 0, 0, 0, 0];
  let offset: number | undefined;
  let half = "";
  for (const [i, member] of members.entries()) {
    const part = m[i + 1]!;
    if (member === 8) return Number(part) * 1000;
    if (member === 9) return Number(part);
    if (member === 7) offset = part === "Z" ? 0 : (part[0] === "-" ? -1 : 1) * (Number(part.slice(1, 3)) * 60 + Number(part.slice(-2)));
    else if (member === 10) half = part.toLowerCase();
    else if (member === 11) d[1] = MONTHS.indexOf(part.slice(0, 3).toLowerCase()) + 1;
    else d[member] = member === 0 && part.length === 2 ? (Number(part) > 68 ? 1900 : 2000) + Number(part) : Number(part);
  }
  if (half) d[3] = (d[3]! % 12) + (half === "pm" ? 12 : 0);
  const [y, mo, day, h, mi, s, ms] = d as [number, number, number, number, number, number, number];
  if (mo < 1) return NaN;
  const clock = Date.UTC(y, mo - 1, day, h, mi, s, ms);
  return offset === undefined ? fromClock(clock, zone) : clock - offset * 60e3;
}

// Milliseconds since 1970; null if it tells none.
export function parseDate(v: Cell, format: string | undefined, zone: string): number | null {
  if (typeof v === "number") return v;
  if (typeof v !== "string") return null;
  let t = format ? byPattern(v, format, zone) : NaN;
  if (Number.isNaN(t) && /^\s*-?\d+(\.\d+)?\s*$/.test(v) && v.trim().length > 8) t = Number(v);
  if (Number.isNaN(t)) {
    const iso = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?$/.exec(v.trim()); // without a zone: the dashboard's
    t = iso ? fromClock(Date.parse(`${iso[1]}T${iso[2] ?? "00:00"}Z`), zone) : Date.parse(v);
  }
  return Number.isNaN(t) ? null : t;
}

// ---- parts of texts

export type Parts = Record<string, Cell>;

export function parseJson(v: Cell): Parts | undefined {
  if (typeof v === "object" && v !== null) return Array.isArray(v) ? ({ ...(v as unknown as Parts) }) : (v as Parts);
  if (typeof v !== "string") return undefined;
  try {
    const parsed: unknown = JSON.parse(v);
    return parsed && typeof parsed === "object" ? (parsed as Parts) : undefined;
  } catch {
    return undefined;
  }
}

// key=value, key:"value", apart by blanks, commas, semicolons or ampersands.
export function parsePairs(v: Cell): Parts | undefined {
  if (typeof v !== "string") return undefined;
  const out: Parts = {};
  for (const m of v.replace(/^\s*\{|\}\s*$/g, "").matchAll(/"?([^\s,;&=:"]+)"?\s*[=:]\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s,;&]*))/g)) out[m[1]!] = m[2]?.replace(/\\(.)/g, "$1") ?? m[3] ?? m[4] ?? "";
  return Object.keys(out).length ? out : undefined;
}

// "a.b[0].c" of an object.
export function memberOf(value: unknown, path: string): Cell {
  let at: unknown = value;
  for (const step of path.replace(/\[(?:"([^"]*)"|'([^']*)'|(\w+))\]/g, (_, a, b, c) => `.${a ?? b ?? c}`).split(".")) {
    if (!step) continue;
    if (at === null || typeof at !== "object" || !Object.hasOwn(at, step)) return null;
    at = (at as Record<string, unknown>)[step];
  }
  return (at ?? null) as Cell;
}
