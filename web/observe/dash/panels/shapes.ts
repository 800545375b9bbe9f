// shapes.ts - outlines: where a gauge's arc lies in its box, rings, slices, and lines over time.
export interface Place {
  x: number; y: number; // the middle
  r: number; // outer radius of the arc that is filled
  thick: number;
  gap: number; // between the arc and the thresholds' ring
  ring: number; // the ring's thickness
  hole: number; // inner radius, for the text
  height: number; // of all of it
  from: number; // radians; 0 is to the right, clockwise
  sweep: number;
}

const OPEN = (7 / 6) * Math.PI; // an arc that is open below: 210 degrees

export function placeOf(w: number, h: number, { circle = false, markers = true, side = 0, top = 0 } = {}): Place {
  const sweep = circle ? 2 * Math.PI : OPEN;
  const from = circle ? -Math.PI / 2 : Math.PI / 2 + (2 * Math.PI - OPEN) / 2;
  const below = circle ? 1 : Math.max(Math.sin(from), 0.45); // how far it reaches below its middle, in radii
  const all = Math.max(1, Math.min(w / 2 - side, (h - top) / (1 + below)) - 1);
  const ring = markers ? Math.max(1, all * 0.045) : 0;
  const gap = markers ? Math.max(1, all * 0.02) : 0;
  const r = all - ring - gap;
  const thick = r * 0.24;
  return { x: w / 2, y: top + all, height: Math.ceil(top + all * (1 + below)), r, thick, gap, ring, hole: r - thick, from, sweep };
}

const at = (p: { x: number; y: number }, r: number, angle: number): string => `${(p.x + r * Math.cos(angle)).toFixed(2)} ${(p.y + r * Math.sin(angle)).toFixed(2)}`;

// A piece of a ring, from share `a` to share `b` of its sweep. A whole turn is two halves: an arc's ends
// must differ.
export function arc(p: { x: number; y: number; from: number; sweep: number }, inner: number, outer: number, a: number, b: number): string {
  if (p.sweep * (b - a) > 2 * Math.PI - 1e-4) return arc(p, inner, outer, a, (a + b) / 2) + arc(p, inner, outer, (a + b) / 2, b - 1e-5);
  const [s, e] = [p.from + a * p.sweep, p.from + b * p.sweep];
  const large = e - s > Math.PI ? 1 : 0;
  const back = inner > 0 ? `L${at(p, inner, e)}A${inner.toFixed(2)} ${inner.toFixed(2)} 0 ${large} 0 ${at(p, inner, s)}` : `L${at(p, 0, 0)}`;
  return `M${at(p, outer, s)}A${outer.toFixed(2)} ${outer.toFixed(2)} 0 ${large} 1 ${at(p, outer, e)}${back}Z`;
}

// What part of 0 to 1 each colour has; steps beyond the range have none.
export function fractions(steps: { share: number; color: string }[]): [from: number, to: number, color: string][] {
  const out: [number, number, string][] = [];
  steps.forEach((s, i) => {
    const a = Math.max(0, i === 0 ? 0 : s.share);
    const b = Math.min(1, i + 1 < steps.length ? steps[i + 1].share : 1);
    if (b > a) out.push([a, b, s.color]);
  });
  return out;
}

// ---- lines

const POINTS_PER_PX = 2;

// The line of values over time and the area below it; where there is no value there is a gap.
export function coursePath(times: number[], values: (number | null)[], w: number, h: number, range: { min?: number | null; max?: number | null } = {}): { line: string; area: string } {
  const by = Math.max(1, Math.floor(values.length / (w * POINTS_PER_PX)));
  let lo = Infinity;
  let hi = -Infinity;
  for (const v of values)
    if (typeof v === "number" && Number.isFinite(v)) [lo, hi] = [Math.min(lo, v), Math.max(hi, v)];
  if (typeof range.min === "number") lo = Math.min(range.min, lo);
  if (typeof range.max === "number") hi = Math.max(range.max, hi);
  const from = times[0];
  const wide = times[times.length - 1] - from || 1;
  const x = (i: number) => (((times[i] - from) / wide) * w).toFixed(1);
  const y = (v: number) => (hi > lo ? h - 2 - ((v - lo) / (hi - lo)) * (h - 4) : h / 2).toFixed(1);
  let line = "";
  let area = "";
  let last = -1;
  for (let i = 0; i < values.length; i += i + by < values.length || i === values.length - 1 ? by : values.length - 1 - i) {
    const v = values[i];
    if (typeof v !== "number" || !Number.isFinite(v)) {
      if (last >= 0) area += `L${x(last)} ${h}Z`;
      last = -1;
      continue;
    }
    line += `${last < 0 ? "M" : "L"}${x(i)} ${y(v)}`;
    area += `${last < 0 ? `M${x(i)} ${h}` : ""}L${x(i)} ${y(v)}`;
    last = i;
  }
  if (last >= 0) area += `L${x(last)} ${h}Z`;
  return { line, area };
}
