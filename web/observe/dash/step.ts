// step.ts - the step of a query over a range, as Grafana has it: about one value for each pixel, of a
// round length, not below what is asked for at least, and aligned so that a refresh moves no point.
import { durationText, parseDuration, parseInstant } from "../base/duration";
import type { Panel } from "./model";

const S = 1000, M = 60 * S, H = 60 * M, D = 24 * H;
// Below the first number of a row its second is taken; beyond all, a year.
const ROUND: [below: number, ms: number][] = [
  [1.5 * S, S], [3.5 * S, 2 * S], [7.5 * S, 5 * S], [12.5 * S, 10 * S], [17.5 * S, 15 * S], [25 * S, 20 * S], [45 * S, 30 * S],
  [1.5 * M, M], [3.5 * M, 2 * M], [7.5 * M, 5 * M], [12.5 * M, 10 * M], [17.5 * M, 15 * M], [25 * M, 20 * M], [45 * M, 30 * M],
  [1.5 * H, H], [2.5 * H, 2 * H], [4.5 * H, 3 * H], [9 * H, 6 * H], [24 * H, 12 * H],
  [7 * D, D], [21 * D, 7 * D], [42 * D, 30 * D],
];
const MOST_POINTS = 11000; // of a series, by Prometheus's rule
export const SCRAPE_S = 15;

export const roundInterval = (ms: number): number => ROUND.find(([below]) => ms < below)?.[1] ?? 365 * D;

export interface StepFor {
  from: number; // ms
  to: number;
  width: number; // of the panel, px
  maxDataPoints?: number | null;
  interval?: string | null; // the query's least step, interpolated: "1m", ">1m"
  panelInterval?: string | null; // the panel's, if the query has none
  intervalFactor?: number;
  scrape_s?: number;
}

export interface Step {
  step_s: number;
  interval_ms: number; // $__interval_ms
  interval: string; // $__interval
  rate_interval: string; // $__rate_interval
  start: number; // s; multiples of the step
  end: number;
}

// A least step as it is written; 0 if there is none. "$__rate_interval" and its like are none.
function leastOf(text: string | null | undefined): number {
  const ms = parseDuration((text ?? "").replace(/^\s*[><]/, ""));
  if (ms > 0) return ms;
  const plain = Number(text); // seconds without a unit
  return text && plain > 0 && Number.isFinite(plain) ? plain * S : 0;
}

export function stepOf(o: StepFor): Step {
  const range = Math.max(1, o.to - o.from);
  const points = o.maxDataPoints && o.maxDataPoints > 0 ? o.maxDataPoints : Math.max(1, o.width);
  const own = leastOf(o.interval);
  const scrape = (o.scrape_s ?? SCRAPE_S) * S;
  const wanted = Math.max(roundInterval(range / points), own || leastOf(o.panelInterval) || scrape);
  const safe = range / MOST_POINTS;
  const factor = o.intervalFactor && o.intervalFactor > 1 ? o.intervalFactor : 1;
  let base = safe > wanted ? Math.max(roundInterval(safe), Math.ceil(safe / S) * S) : wanted;
  const rate = Math.max(base + (own || scrape), 4 * (own || scrape));
  if (o.interval && /\$_*\{?__rate_interval/.test(o.interval)) base = rate; // the step is that of the rates
  const step = Math.max(1, base * factor);
  return {
    step_s: step / S, interval_ms: step, interval: durationText(step), rate_interval: durationText(rate),
    start: Math.floor(o.from / step) * step / S, end: Math.floor(o.to / step) * step / S,
  };
}

// The range that a panel with a time of its own looks at, and what its head says of it. The texts are
// interpolated already.
export function panelRange(panel: Pick<Panel, "timeFrom" | "timeShift" | "hideTimeOverride">, from: number, to: number,
                           zone = "utc", now = Date.now()): { from: number; to: number; info?: string } {
  const info: string[] = [];
  const own = (panel.timeFrom ?? "").trim();
  if (own) {
    const back = parseDuration(own.replace(/^now-/, ""));
    const rounded = /^(?:now)?\/[a-zA-Z]{1,2}$|^now[-/]/.test(own) ? (own.startsWith("now") ? own : `now${own}`) : "";
    if (back > 0) {
      from = to - back;
      info.push(`Last ${own.replace(/^now-/, "")}`);
    } else if (rounded) {
      const start = parseInstant(rounded, now, zone);
      const end = rounded.includes("/") ? parseInstant(rounded, now, zone, true) : now;
      if (start < end) {
        [from, to] = [start, end];
        info.push(own);
      }
    } else info.push("Its time range is not understood");
  }
  const shift = (panel.timeShift ?? "").trim();
  if (shift) {
    const by = parseDuration(shift.replace(/^-/, ""));
    if (by > 0) {
      from -= by;
      to -= by;
      info.push(`timeshift -${shift.replace(/^-/, "")}`);
    } else if (/^\d*[a-zA-Z]\/[a-zA-Z]$/.test(shift)) { // "1d/d": the same hours of whole days before
      [from, to] = [parseInstant(`now-${shift}`, from, zone), parseInstant(`now-${shift}`, to, zone, true)];
      info.push(`timeshift -${shift}`);
    } else info.push("Its time shift is not understood");
  }
  return { from, to, info: panel.hideTimeOverride || !info.length ? undefined : info.join(" ") };
}
