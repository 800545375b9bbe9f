// spells.ts - when alerts were pending and when they fired, from the ALERTS series that rules write.
// The series are asked for as last_over_time(ALERTS[step]): each point then tells of all of the step
// before it, so that no alert falls between two points.
import type { Labels } from "../base/format";
import { seriesName } from "../base/format";

export interface Spell {
  state: "pending" | "firing";
  from: number; // ms
  to: number;
  open: boolean; // it lasts still, as far as the range goes
}

export interface Course { // of one alert: its labels without the state
  key: string;
  name: string;
  labels: Labels;
  spells: Spell[]; // in their order; a pending one that became a firing one touches it
}

interface Series { metric: Labels; values?: [number, string][] }

// Runs of points not further apart than a step, as times of their begin and end.
function runs(values: [number, string][], stepS: number): [number, number][] {
  const out: [number, number][] = [];
  for (const [t] of values) {
    const last = out[out.length - 1];
    if (last && t - last[1] < stepS * 1.5) last[1] = t;
    else out.push([t - stepS, t]);
  }
  return out;
}

// `end` is where the range ends, in ms: a spell that reaches into its last step is open.
export function coursesOf(series: Series[], stepS: number, end: number): Course[] {
  const byKey = new Map<string, Course>();
  for (const s of series) {
    const { __name__: _, alertstate: state, ...labels } = s.metric;
    if (state !== "pending" && state !== "firing") continue;
    const key = seriesName(labels);
    let course = byKey.get(key);
    if (!course) byKey.set(key, (course = { key, name: labels.alertname ?? "", labels, spells: [] }));
    for (const [a, b] of runs(s.values ?? [], stepS))
      course.spells.push({ state, from: a * 1000, to: b * 1000, open: b * 1000 > end - 1500 * stepS });
  }
  for (const c of byKey.values()) c.spells = tidy(c.spells);
  return [...byKey.values()].sort((a, b) => last(b) - last(a) || (a.key < b.key ? -1 : 1));
}

const last = (c: Course): number => c.spells.reduce((n, s) => Math.max(n, s.to), 0);

// In order of time; in the step in which pending becomes firing both have a point: firing has it.
function tidy(spells: Spell[]): Spell[] {
  const out = [...spells].sort((a, b) => a.from - b.from || (a.state === "pending" ? -1 : 1));
  out.forEach((s, i) => {
    const next = out[i + 1];
    if (s.state === "pending" && next?.state === "firing" && next.from < s.to) {
      s.to = next.from;
      s.open = false;
    }
  });
  return out.filter((s) => s.to > s.from);
}

export function summary(spells: Spell[]): { fired: number; firing_ms: number } {
  const firing = spells.filter((s) => s.state === "firing");
  return { fired: firing.length, firing_ms: firing.reduce((n, s) => n + s.to - s.from, 0) };
}
