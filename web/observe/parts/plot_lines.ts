// plot_lines.ts - the layer of lines, bars and points over a common row of x: painted in the order of
// the series, decimated to the pixels there are; and the search for what is nearest, which ranks the
// values of one time once and then halves, however many series there are.
import type { Pen } from "./plot_axes";
import { fade, hueGradient, opacityGradient, paintThresholds, type Stops, type Thresholds, valueGradient } from "./plot_ink";
import { decimate, nearestPlace, type Piled, pileUp, rank, type Ranked, type Values } from "./plot_math";
import { type MarkAt, paintMarks } from "./plot_marks";
import type { Hit, Layer } from "./plot";
import type { Tip, TipLink } from "./plot_tip";

export interface LineStyle {
  draw: "line" | "bars" | "points";
  curve: "linear" | "smooth" | "stepBefore" | "stepAfter";
  width: number; // CSS px
  dash?: number[];
  fill: number; // 0 to 1
  gradient: "none" | "opacity" | "hue" | "scheme";
  points: "auto" | "always" | "never";
  pointSize: number;
  join: number; // gaps up to so many ms are joined
  breakAt: number; // samples further apart are not joined
  barAlign: -1 | 0 | 1;
  barFactor: number;
  barMax: number;
  pile?: string; // the group it is stacked in
  percent?: boolean;
}

export const LINE: LineStyle = {
  draw: "line", curve: "linear", width: 1, fill: 0, gradient: "none", points: "auto", pointSize: 5, join: 0, breakAt: Infinity,
  barAlign: 0, barFactor: 0.6, barMax: 200,
};

export interface PlotLine {
  name: string;
  color: string;
  values: Values; // at the times of the plot
  axis: number;
  style: LineStyle;
  text: (v: number) => string;
  stops?: Stops; // of the "scheme" gradient
  inTip?: boolean; // false: hidden from the tooltip
  fillTo?: number; // the line that the fill ends at, an index
  links?: (index: number) => TipLink[];
}

export interface Exemplar { at: number; value: number; axis: number; labels: Record<string, string>; text: string }

export interface LinesProps {
  times: number[];
  lines: PlotLine[]; // those that are seen
  title: (x: number) => string;
  mode: "single" | "multi" | "none";
  sort: "none" | "asc" | "desc";
  maxHeight?: number;
  maxWidth?: number;
  hideZeros?: boolean;
  thresholds?: Thresholds[];
  marks?: MarkAt[];
  exemplars?: Exemplar[];
}

export interface LineHit extends Hit { index: number; near: number; place: number; exemplar?: Exemplar } // near: a line's index or -1

const TIP_ROWS = 16;
const TIP_ROWS_PINNED = 200;
const DOTS_MAX = 40;
const REACH_PX = 24; // a sample so far from the cursor still counts for a series that has none there
const EXEMPLAR_PX = 8;
// Above so many points lines are hairlines: one device pixel is painted seventeen times faster.
const HAIRLINE_FROM = 60_000;

// Least distance of two times; what a bar may take.
function leastStep(xs: ArrayLike<number>): number {
  let least = Infinity;
  for (let i = 1; i < xs.length; i++) least = Math.min(least, xs[i]! - xs[i - 1]!);
  return Number.isFinite(least) ? least : 0;
}

// What lines are drawn at: their own values, or piled up. Given to who chooses the range, too.
export function pileLines(lines: PlotLine[], length: number): (Piled | undefined)[] {
  const piled = lines.filter((l) => l.style.pile !== undefined);
  const made = piled.length
    ? pileUp(piled.map((l) => ({ values: l.values, group: `${l.axis} ${l.style.draw} ${l.style.pile}`, percent: !!l.style.percent })), length) : [];
  let k = 0;
  return lines.map((l) => (l.style.pile === undefined ? undefined : made[k++]));
}

export class Lines implements Layer {
  readonly weight: number;
  readonly counts = { ranked: 0, gathered: 0, compared: 0 }; // work done for the pointer
  private readonly piles: (Piled | undefined)[];
  private ranked?: { r: Ranked; pen: Pen };
  private readonly bars: number;

  constructor(readonly p: LinesProps, piles?: (Piled | undefined)[]) {
    this.piles = piles ?? pileLines(p.lines, p.times.length);
    this.weight = p.lines.length * p.times.length;
    this.bars = p.lines.some((l) => l.style.draw === "bars") ? leastStep(p.times) : 0;
  }

  private drawnAt(line: number, i: number): number {
    const pile = this.piles[line];
    const v = pile ? pile.top[i] : this.p.lines[line]!.values[i];
    return v === null || v === undefined ? NaN : v;
  }

  // ---- painting

  *paint(pen: Pen): Iterable<void> {
    for (const t of this.p.thresholds ?? []) paintThresholds(pen, t);
    paintMarks(pen, this.p.marks ?? []);
    const xs = Float64Array.from(this.p.times, pen.x);
    const work = new Brush(xs.length);
    for (let k = 0; k < this.p.lines.length; k++) {
      this.paintLine(pen, xs, k, work);
      if ((k & 15) === 15) yield;
    }
    this.paintExemplars(pen);
  }

  private load(pen: Pen, xs: Float64Array, k: number, b: Brush): void {
    const line = this.p.lines[k]!;
    const pile = this.piles[k];
    const under = line.fillTo === undefined ? undefined : line.fillTo;
    const { join, breakAt } = line.style;
    const margin = 2 * pen.width;
    b.n = 0;
    let last = -1;
    let gap = false;
    for (let i = 0; i < xs.length; i++) {
      const raw = pile ? pile.top[i]! : line.values[i];
      if (raw === undefined) continue;
      if (raw === null || !Number.isFinite(raw)) {
        gap = true;
        continue;
      }
      if (xs[i]! < pen.left - margin || xs[i]! > pen.left + pen.width + margin) continue;
      if (last >= 0) {
        const far = this.p.times[i]! - this.p.times[last]!;
        if (gap ? far > join : far > breakAt) b.cut();
      }
      gap = false;
      last = i;
      b.x[b.n] = xs[i]!;
      b.y[b.n] = pen.y(raw, line.axis);
      b.base[b.n] = pile ? pen.y(pile.base[i]!, line.axis) : under !== undefined ? pen.y(this.drawnAt(under, i), line.axis) : NaN;
      b.at[b.n++] = i;
    }
  }

  private paintLine(pen: Pen, xs: Float64Array, k: number, b: Brush): void {
    const line = this.p.lines[k]!;
    const { style } = line;
    const { g, ratio } = pen;
    this.load(pen, xs, k, b);
    if (!b.n) return;
    const zero = baseY(pen, line.axis);
    const solid = style.gradient === "scheme" && line.stops ? valueGradient(pen, line.axis, line.stops, 1)
      : style.gradient === "hue" ? hueGradient(pen, line.color, 1) : line.color;
    g.strokeStyle = solid;
    g.lineWidth = this.weight > HAIRLINE_FROM ? Math.min(1, style.width * ratio) : style.width * ratio;
    g.lineJoin = "round";
    g.lineCap = style.dash?.[0] === 0 ? "round" : "butt";
    const fill = style.fill > 0 ? this.fillOf(pen, line) : undefined;
    if (style.draw === "bars") {
      this.paintBars(pen, b, line, zero, fill);
      return;
    }
    if (style.draw === "line") {
      if (b.n > 4 * pen.width) b.thin();
      if (fill) {
        g.fillStyle = fill;
        g.fill(b.area(style.curve, zero));
      }
      if (style.width > 0) {
        g.setLineDash((style.dash ?? []).map((d) => d * ratio));
        g.stroke(b.path(style.curve));
        g.setLineDash([]);
      }
    }
    this.paintPoints(pen, b, line, solid);
  }

  private fillOf(pen: Pen, line: PlotLine): string | CanvasGradient {
    const { gradient, fill } = line.style;
    if (gradient === "scheme" && line.stops) return valueGradient(pen, line.axis, line.stops, fill);
    if (gradient === "opacity") return opacityGradient(pen, line.color, fill);
    return gradient === "hue" ? hueGradient(pen, line.color, fill) : fade(line.color, fill);
  }

  private paintBars(pen: Pen, b: Brush, line: PlotLine, zero: number, fill: string | CanvasGradient | undefined): void {
    const { g, ratio } = pen;
    const { style } = line;
    const [width, shift] = this.barOf(pen, style);
    const edge = style.width > 0 && width > 3 * ratio ? style.width * ratio : 0;
    g.fillStyle = fill ?? "transparent";
    g.beginPath();
    for (let i = 0; i < b.n; i++) {
      if (Number.isNaN(b.y[i]!)) continue;
      const from = Number.isNaN(b.base[i]!) ? zero : b.base[i]!;
      const [top, bottom] = b.y[i]! < from ? [b.y[i]!, from] : [from, b.y[i]!];
      const left = Math.round(b.x[i]! - width / 2 + shift);
      g.rect(left + edge / 2, Math.round(top) + edge / 2, Math.max(1, Math.round(width)) - edge, Math.max(ratio, Math.round(bottom) - Math.round(top)) - edge);
    }
    if (fill) g.fill();
    if (edge) g.stroke();
    else if (!fill) {
      g.fillStyle = g.strokeStyle;
      g.fill();
    }
  }

  private barOf(pen: Pen, style: LineStyle): [width: number, shift: number] {
    const step = this.bars ? Math.abs(pen.x(this.p.times[0]! + this.bars) - pen.x(this.p.times[0]!)) : pen.width / 4;
    const width = Math.max(pen.ratio, Math.min(step * style.barFactor, style.barMax * pen.ratio));
    return [width, (style.barAlign * width) / 2];
  }

  private paintPoints(pen: Pen, b: Brush, line: PlotLine, color: string | CanvasGradient): void {
    const { style } = line;
    const { g, ratio } = pen;
    const size = (style.pointSize || 5) * ratio;
    const all = style.draw === "points" || style.points === "always" || (style.points === "auto" && b.n * size * 1.6 < pen.width && b.n < 200);
    if (style.points === "never" && style.draw !== "points") return;
    g.fillStyle = color;
    g.beginPath();
    for (let i = 0; i < b.n; i++) {
      if (Number.isNaN(b.y[i]!)) continue;
      // One that no line leads to would not be seen at all.
      const alone = (i === 0 || Number.isNaN(b.y[i - 1]!)) && (i === b.n - 1 || Number.isNaN(b.y[i + 1]!));
      if (!all && !alone) continue;
      const r = (all ? size : Math.max(size * 0.6, style.width * ratio * 2)) / 2;
      g.moveTo(b.x[i]! + r, b.y[i]!);
      g.arc(b.x[i]!, b.y[i]!, r, 0, 2 * Math.PI);
    }
    g.fill();
  }

  private paintExemplars(pen: Pen): void {
    const { g, ratio } = pen;
    const r = 4 * ratio;
    for (const e of this.p.exemplars ?? []) {
      const x = pen.x(e.at);
      const y = Math.max(pen.top + r, Math.min(pen.top + pen.height - r, pen.y(e.value, e.axis)));
      g.fillStyle = pen.dark ? "#8bb0ff" : "#1f55c4";
      diamond(g, x, y, r);
      g.fill();
    }
  }

  // ---- what is at a place

  private ranking(pen: Pen, index: number): Ranked {
    if (this.ranked?.r.at === index && this.ranked.pen.y === pen.y) return this.ranked.r;
    const ys = new Float64Array(this.p.lines.length);
    const t = this.p.times[index]!;
    for (let k = 0; k < ys.length; k++) {
      const line = this.p.lines[k]!;
      const at = line.inTip === false ? -1 : this.valueNear(pen, k, index, t);
      ys[k] = at < 0 ? NaN : pen.y(this.drawnAt(k, at), line.axis);
    }
    this.counts.ranked++;
    this.counts.gathered += ys.length;
    const r = rank(index, ys);
    this.ranked = { r, pen };
    return r;
  }

  // A series without a sample at just this time has one close by, or none.
  private valueNear(pen: Pen, k: number, index: number, t: number): number {
    const { values } = this.p.lines[k]!;
    if (values[index] !== undefined) return values[index] === null || !Number.isFinite(values[index]!) ? -1 : index;
    const reach = (i: number) => Math.abs(pen.x(this.p.times[i]!) - pen.x(t)) < REACH_PX * pen.ratio;
    for (let d = 1; d < 200; d++) {
      const a = index - d;
      const b = index + d;
      const inA = a >= 0 && reach(a);
      const inB = b < values.length && reach(b);
      if (!inA && !inB) return -1;
      if (inA && values[a] !== undefined && values[a] !== null) return a;
      if (inB && values[b] !== undefined && values[b] !== null) return b;
    }
    return -1;
  }

  hit(pen: Pen, x: number, y?: number): LineHit | undefined {
    const { times } = this.p;
    if (!times.length) return undefined;
    const a = pen.x(times[0]!);
    const b = pen.x(times[times.length - 1]!);
    // times need not be linear on the screen (a logarithm); their pixels ascend as they do
    const index = a === b ? 0 : this.nearestTime(pen, x);
    const r = this.ranking(pen, index);
    let place = -1;
    if (y !== undefined) {
      place = nearestPlace(r, y);
      this.counts.compared += Math.ceil(Math.log2(r.ys.length + 1));
    }
    const exemplar = y === undefined ? undefined : this.p.exemplars?.find((e) => Math.abs(pen.x(e.at) - x) < EXEMPLAR_PX * pen.ratio && Math.abs(pen.y(e.value, e.axis) - y) < EXEMPLAR_PX * pen.ratio);
    return { at: times[index]!, index, near: place < 0 ? -1 : r.order[place]!, place, exemplar };
  }

  private nearestTime(pen: Pen, x: number): number {
    const { times } = this.p;
    let lo = 0;
    let hi = times.length - 1;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (pen.x(times[mid]!) < x) lo = mid + 1;
      else hi = mid;
    }
    return lo > 0 && x - pen.x(times[lo - 1]!) <= pen.x(times[lo]!) - x ? lo - 1 : lo;
  }

  step(pen: Pen, hit: LineHit | undefined, dx: number, dy: number): { x: number; y: number } | undefined {
    const { times } = this.p;
    if (!times.length) return undefined;
    const index = Math.max(0, Math.min(times.length - 1, hit ? hit.index + dx : dx < 0 || dy ? times.length - 1 : 0));
    const r = this.ranking(pen, index);
    let place = hit && dx ? r.order.indexOf(hit.near) : hit?.place ?? -1;
    if (dy) place = Math.max(0, Math.min(r.ys.length - 1, place - dy));
    const y = place >= 0 ? r.ys[place]! : r.ys.length ? r.ys[r.ys.length >> 1]! : pen.top + pen.height / 2;
    return { x: pen.x(times[index]!), y };
  }

  over(pen: Pen, hit: LineHit | undefined, focus: number | undefined): void {
    const { g, ratio } = pen;
    const on = focus ?? (hit && hit.near >= 0 ? hit.near : undefined);
    if (on !== undefined && on < this.p.lines.length && this.p.lines.length > 1) {
      const line = this.p.lines[on]!;
      const xs = Float64Array.from(this.p.times, pen.x);
      const strong = { ...line, style: { ...line.style, width: Math.max(2.5, line.style.width + 1.5), fill: line.style.draw === "bars" ? Math.min(1, line.style.fill + 0.2) : 0 } };
      const b = new Brush(xs.length);
      this.load(pen, xs, on, b);
      g.save();
      g.strokeStyle = line.color;
      g.lineWidth = strong.style.width * ratio;
      if (line.style.draw === "line" && b.n) {
        if (b.n > 4 * pen.width) b.thin();
        g.stroke(b.path(line.style.curve));
      } else if (line.style.draw === "bars" && b.n) this.paintBars(pen, b, strong, baseY(pen, line.axis), this.fillOf(pen, strong));
      g.restore();
    }
    if (!hit) return;
    const dots = this.p.mode === "multi" ? this.nearestOnes(hit, DOTS_MAX) : hit.near >= 0 ? [hit.near] : [];
    const r = this.ranked?.r;
    for (const k of dots) {
      const place = r ? r.order.indexOf(k) : -1;
      if (place < 0 || this.p.lines[k]!.style.draw === "bars") continue;
      g.fillStyle = this.p.lines[k]!.color;
      g.beginPath();
      g.arc(pen.x(hit.at), r!.ys[place]!, (k === hit.near ? 4.5 : 3) * ratio, 0, 2 * Math.PI);
      g.fill();
    }
  }

  // Those whose values are about the pointer's, at most so many; without a pointer the greatest.
  private nearestOnes(hit: LineHit, most: number): number[] {
    const r = this.ranked?.r;
    if (!r || r.at !== hit.index) return [];
    if (r.order.length <= most) return [...r.order];
    const begin = hit.place < 0 ? 0 : Math.max(0, Math.min(r.order.length - most, hit.place - (most >> 1)));
    return [...r.order.subarray(begin, begin + most)];
  }

  tip(hit: LineHit, pinned: boolean): Tip | undefined {
    const { mode, sort, lines } = this.p;
    if (mode === "none" && !hit.exemplar) return undefined;
    const most = pinned ? TIP_ROWS_PINNED : TIP_ROWS;
    const single = mode === "single" && hit.near >= 0;
    let ks = mode === "none" ? [] : single ? [hit.near] : this.nearestOnes(hit, most);
    const all = mode === "none" || single ? ks.length : this.ranked?.r.order.length ?? 0;
    const t = this.p.times[hit.index]!;
    const value = (k: number): number => {
      const v = lines[k]!.values;
      let i = hit.index;
      if (v[i] === undefined) for (let d = 1; d < 200; d++) {
        if (v[i - d] !== undefined && v[i - d] !== null) { i -= d; break; }
        if (v[i + d] !== undefined && v[i + d] !== null) { i += d; break; }
      }
      return v[i] ?? NaN;
    };
    if (this.p.hideZeros && !single) ks = ks.filter((k) => value(k) !== 0);
    ks.sort(sort === "none" ? (a, b) => a - b : sort === "asc" ? (a, b) => value(a) - value(b) : (a, b) => value(b) - value(a));
    return {
      title: this.p.title(t), more: all - ks.length > 0 && ks.length === most ? all - ks.length : 0, maxHeight: this.p.maxHeight, maxWidth: this.p.maxWidth,
      rows: ks.map((k) => ({ name: lines[k]!.name, text: lines[k]!.text(value(k)), color: lines[k]!.color, near: k === hit.near, links: pinned && (single || k === hit.near) ? lines[k]!.links?.(hit.index) : undefined })),
      notes: hit.exemplar && [`◆ Exemplar ${hit.exemplar.text}`, ...Object.entries(hit.exemplar.labels).map(([n, v]) => `${n}=${v}`)],
    };
  }
}

export function diamond(g: CanvasRenderingContext2D, x: number, y: number, r: number): void {
  g.beginPath();
  g.moveTo(x, y - r);
  g.lineTo(x + r, y);
  g.lineTo(x, y + r);
  g.lineTo(x - r, y);
  g.closePath();
}

// Where fills begin: zero if it is seen, else the nearer edge.
function baseY(pen: Pen, axis: number): number {
  const y = pen.y(0, axis);
  return Number.isFinite(y) ? Math.max(pen.top - 2, Math.min(pen.top + pen.height + 2, y)) : pen.top + pen.height;
}

// The points of one line on the screen, and paths along them.
class Brush {
  n = 0;
  x: Float64Array;
  y: Float64Array;
  base: Float64Array;
  at: Int32Array;
  private picks: Int32Array;

  constructor(length: number) {
    const room = 2 * length + 2; // every point may be followed by a gap
    [this.x, this.y, this.base] = [new Float64Array(room), new Float64Array(room), new Float64Array(room)];
    this.at = new Int32Array(room);
    this.picks = new Int32Array(room);
  }

  cut(): void {
    this.x[this.n] = this.n ? this.x[this.n - 1]! : 0;
    this.y[this.n] = this.base[this.n] = NaN;
    this.at[this.n++] = -1;
  }

  thin(): void {
    const m = decimate(this.x, this.y, this.n, this.picks);
    for (let k = 0; k < m; k++) {
      const i = this.picks[k]!; // never before k: the points move forward over themselves
      this.x[k] = this.x[i]!;
      this.y[k] = this.y[i]!;
      this.base[k] = this.base[i]!;
      this.at[k] = this.at[i]!;
    }
    this.n = m;
  }

  private runs(): [number, number][] {
    const out: [number, number][] = [];
    let from = 0;
    for (let i = 0; i <= this.n; i++)
      if (i === this.n || Number.isNaN(this.y[i]!)) {
        if (i > from) out.push([from, i - 1]);
        from = i + 1;
      }
    return out;
  }

  path(curve: LineStyle["curve"]): Path2D {
    const p = new Path2D();
    for (const [a, b] of this.runs()) {
      p.moveTo(this.x[a]!, this.y[a]!);
      along(p, this.x, this.y, a, b, curve);
    }
    return p;
  }

  area(curve: LineStyle["curve"], zero: number): Path2D {
    const p = new Path2D();
    for (const [a, b] of this.runs()) {
      p.moveTo(this.x[a]!, this.y[a]!);
      along(p, this.x, this.y, a, b, curve);
      if (Number.isNaN(this.base[a]!)) {
        p.lineTo(this.x[b]!, zero);
        p.lineTo(this.x[a]!, zero);
      } else {
        // Back along what it stands on; steps are mirrored, for they are walked the other way.
        const back = b - a + 1;
        const xs = new Float64Array(back);
        const ys = new Float64Array(back);
        for (let i = 0; i < back; i++) {
          xs[i] = this.x[b - i]!;
          ys[i] = Number.isNaN(this.base[b - i]!) ? zero : this.base[b - i]!;
        }
        p.lineTo(xs[0]!, ys[0]!);
        along(p, xs, ys, 0, back - 1, curve === "stepAfter" ? "stepBefore" : curve === "stepBefore" ? "stepAfter" : curve);
      }
      p.closePath();
    }
    return p;
  }
}

function along(p: Path2D, x: Float64Array, y: Float64Array, a: number, b: number, curve: LineStyle["curve"]): void {
  if (curve === "smooth" && b - a > 1) return smooth(p, x, y, a, b);
  for (let i = a + 1; i <= b; i++) {
    if (curve === "stepAfter") p.lineTo(x[i]!, y[i - 1]!);
    else if (curve === "stepBefore") p.lineTo(x[i - 1]!, y[i]!);
    p.lineTo(x[i]!, y[i]!);
  }
}

// A cubic that goes through every point and overshoots none (Fritsch and Carlson's slopes).
function smooth(p: Path2D, x: Float64Array, y: Float64Array, a: number, b: number): void {
  const slope = (i: number) => (y[i + 1]! - y[i]!) / (x[i + 1]! - x[i]! || 1);
  let m0 = slope(a);
  for (let i = a; i < b; i++) {
    const s = slope(i);
    const next = i + 1 < b ? slope(i + 1) : s;
    const h0 = x[i + 1]! - x[i]!;
    const h1 = i + 1 < b ? x[i + 2]! - x[i + 1]! : h0;
    // Weighted harmonic mean: flat where the direction turns.
    const m1 = s * next <= 0 ? 0 : i + 1 === b ? s : (3 * (h0 + h1)) / ((2 * h1 + h0) / s + (h1 + 2 * h0) / next);
    p.bezierCurveTo(x[i]! + h0 / 3, y[i]! + (m0 * h0) / 3, x[i + 1]! - h0 / 3, y[i + 1]! - (m1 * h0) / 3, x[i + 1]!, y[i + 1]!);
    m0 = m1;
  }
}
