// plot_ticks.ts - where the ticks of an axis stand: round numbers, powers, round times of a zone's clock.
import { clockOf, fromClock } from "../base/zone";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
const MONTH = 30 * DAY; // stands for a month of the calendar, as YEAR does for a year
const YEAR = 365 * DAY;
const MONDAY = 4 * DAY; // the first one after 1970 began

const times = (unit: number, ...counts: number[]): number[] => counts.map((n) => n * unit);
export const TIME_STEPS = [
  ...times(1, 1, 2, 5, 10, 20, 50, 100, 200, 500), ...times(SECOND, 1, 2, 5, 10, 15, 30), ...times(MINUTE, 1, 2, 5, 10, 15, 30),
  ...times(HOUR, 1, 2, 3, 4, 6, 8, 12), ...times(DAY, 1, 2, 4, 7, 14), ...times(MONTH, 1, 2, 3, 6), ...times(YEAR, 1, 2, 5, 10, 20, 50, 100, 200, 500),
];

// The smallest step that keeps two ticks `space` apart; 0: none does. Steps ascend.
export const stepFor = (steps: readonly number[], lo: number, hi: number, px: number, space: number): number =>
  steps.find((s) => (s / (hi - lo)) * px >= space) ?? 0;

// The multiples of a step within a range, without the digits that sums of fractions leave behind.
export function numberTicks(lo: number, hi: number, step: number): number[] {
  const out: number[] = [];
  if (!(step > 0)) return out;
  for (let n = Math.ceil(lo / step - 1e-9); n <= hi / step + 1e-9; n++) out.push(Number((n * step).toPrecision(12)) || 0);
  return out;
}

// Round times of the zone's clock: a step of hours begins at midnight, of weeks on a Monday, of months on a first.
export function timeTicks(lo: number, hi: number, step: number, zone: string): number[] {
  const out: number[] = [];
  if (!(step > 0)) return out;
  const add = (clock: number): void => {
    const t = fromClock(clock, zone);
    if (t >= lo && t <= hi && !(t <= out[out.length - 1]!)) out.push(t);
  };
  const first = clockOf(lo, zone);
  if (step < MONTH) {
    const shift = step % WEEK ? 0 : MONDAY;
    for (let c = Math.floor((first.getTime() - shift) / step) * step + shift; c <= hi + DAY; c += step) add(c);
    return out;
  }
  const months = step < YEAR ? step / MONTH : (step / YEAR) * 12;
  const begun = first.getUTCFullYear() * 12 + first.getUTCMonth();
  for (let m = begun - (begun % months); ; m += months) {
    const clock = Date.UTC(1970, m - 1970 * 12);
    if (!(clock <= hi + DAY)) return out;
    add(clock);
  }
}

const power = (base: 2 | 10, up: boolean, v: number): number => {
  const e = base === 10 ? Math.log10(Math.abs(v)) : Math.log2(Math.abs(v));
  // Further out is the greater power above zero, the smaller one below.
  return v && Math.sign(v) * Number((base ** (up === v > 0 ? Math.ceil(e) : Math.floor(e))).toPrecision(12));
};

// A range out to whole powers, of either sign.
export const wholePowers = (lo: number, hi: number, base: 2 | 10): [number, number] =>
  lo === hi ? [power(base, false, lo > 0 ? lo / base : lo * base), power(base, true, hi > 0 ? hi * base : hi / base)] : [power(base, false, lo), power(base, true, hi)];

// A range with a tenth of room at both ends, out to two digits of its size. It stops at a soft limit that
// no value passes; where none is given, at zero.
export function roomy(lo: number, hi: number, softMin: number | null | undefined, softMax: number | null | undefined): [number, number] {
  const far = Math.max(Math.abs(lo), Math.abs(hi));
  const flat = hi - lo < far * 1e-10;
  const span = (flat ? far : hi - lo) || 1000;
  const unit = 10 ** Math.floor(Math.log10(span)) / 10;
  const room = flat ? span : span / 10;
  const out = (v: number, round: (n: number) => number): number => Number((round(Number((v / unit).toPrecision(12))) * unit).toPrecision(12));
  const from = out(lo - room, Math.floor);
  const to = out(hi + room, Math.ceil);
  const [least, most] = [softMin ?? 0, softMax ?? 0];
  return [
    lo >= least && (from <= least || softMin !== null && softMin !== undefined) ? least : from,
    hi <= most && (to >= most || softMax !== null && softMax !== undefined) ? most : to,
  ];
}
