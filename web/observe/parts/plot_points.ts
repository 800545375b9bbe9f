// plot_points.ts - the layer of points that have an x and a y of their own, joined by lines or not; and
// of candles, whose parts are found in the same way.
import type { Pen } from "./plot_axes";
import { fade } from "./plot_ink";
import type { Hit, Layer } from "./plot";
import { type MarkAt, paintMarks } from "./plot_marks";
import type { Tip } from "./plot_tip";

export interface Spot { x: number; y: number; size: number; color: string }
export interface Cloud { name: string; color: string; axis: number; spots: Spot[]; line: number; dash?: number[]; points: boolean; square?: boolean; fill: number; rows: (i: number) => { name: string; text: string }[] }

interface SpotHit extends Hit { cloud: number; spot: number }
interface Sorted { pen: Pen; xs: Float64Array; cloud: Uint32Array; spot: Uint32Array }

const REACH_PX = 60;

export class Points implements Layer {
  readonly weight: number;
  readonly crosshair = false;
  private sorted?: Sorted;

  constructor(readonly clouds: Cloud[], readonly mode: "single" | "multi" | "none") {
    this.weight = clouds.reduce((n, c) => n + c.spots.length * 4, 0);
  }

  *paint(pen: Pen): Iterable<void> {
    const { g, ratio } = pen;
    for (const c of this.clouds) {
      if (c.line > 0) {
        g.strokeStyle = c.color;
        g.lineWidth = c.line * ratio;
        g.setLineDash((c.dash ?? []).map((d) => d * ratio));
        g.beginPath();
        c.spots.forEach((s, i) => (i ? g.lineTo(pen.x(s.x), pen.y(s.y, c.axis)) : g.moveTo(pen.x(s.x), pen.y(s.y, c.axis))));
        g.stroke();
        g.setLineDash([]);
      }
      if (!c.points) continue;
      g.lineWidth = ratio;
      for (let i = 0; i < c.spots.length; i++) {
        const s = c.spots[i]!;
        this.dot(pen, c, s, s.size);
        g.fillStyle = fade(s.color, c.fill);
        g.fill();
        g.strokeStyle = s.color;
        g.stroke();
        if ((i & 2047) === 2047) yield;
      }
    }
  }

  private dot(pen: Pen, c: Cloud, s: Spot, size: number): void {
    const { g } = pen;
    const [x, y, r] = [pen.x(s.x), pen.y(s.y, c.axis), (size * pen.ratio) / 2];
    g.beginPath();
    if (c.square) g.rect(x - r, y - r, 2 * r, 2 * r);
    else g.arc(x, y, r, 0, 2 * Math.PI);
  }

  // All points by their place from the left, once for each layout.
  private order(pen: Pen): Sorted {
    if (this.sorted?.pen.y === pen.y) return this.sorted;
    const all: [number, number, number][] = this.clouds.flatMap((c, k) => c.spots.map((s, i): [number, number, number] => [pen.x(s.x), k, i]));
    all.sort((a, b) => a[0] - b[0]);
    return (this.sorted = { pen, xs: Float64Array.from(all, (a) => a[0]), cloud: Uint32Array.from(all, (a) => a[1]), spot: Uint32Array.from(all, (a) => a[2]) });
  }

  hit(pen: Pen, x: number, y?: number): SpotHit | undefined {
    if (y === undefined) return undefined;
    const o = this.order(pen);
    const reach = REACH_PX * pen.ratio;
    let lo = 0;
    let hi = o.xs.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (o.xs[mid]! < x - reach) lo = mid + 1;
      else hi = mid;
    }
    let best = -1;
    let far = reach;
    for (let i = lo; i < o.xs.length && o.xs[i]! <= x + reach; i++) {
      const c = this.clouds[o.cloud[i]!]!;
      const d = Math.hypot(o.xs[i]! - x, pen.y(c.spots[o.spot[i]!]!.y, c.axis) - y);
      if (d < far) [far, best] = [d, i];
    }
    return best < 0 ? undefined : { at: this.clouds[o.cloud[best]!]!.spots[o.spot[best]!]!.x, cloud: o.cloud[best]!, spot: o.spot[best]! };
  }

  step(pen: Pen, hit: SpotHit | undefined, dx: number, dy: number): { x: number; y: number } | undefined {
    const o = this.order(pen);
    if (!o.xs.length) return undefined;
    const now = hit ? o.cloud.findIndex((c, i) => c === hit.cloud && o.spot[i] === hit.spot) : -1;
    const i = Math.max(0, Math.min(o.xs.length - 1, hit ? now + dx + dy : dx < 0 ? o.xs.length - 1 : 0));
    const c = this.clouds[o.cloud[i]!]!;
    return { x: o.xs[i]!, y: pen.y(c.spots[o.spot[i]!]!.y, c.axis) };
  }

  over(pen: Pen, hit: SpotHit | undefined, focus: number | undefined): void {
    const { g, ratio } = pen;
    g.strokeStyle = pen.dark ? "#fff" : "#171b22";
    g.lineWidth = 2 * ratio;
    const f = focus === undefined ? undefined : this.clouds[focus];
    for (const s of f?.spots.slice(0, 2000) ?? []) {
      this.dot(pen, f!, s, s.size + 2);
      g.fillStyle = s.color;
      g.fill();
    }
    if (!hit) return;
    const c = this.clouds[hit.cloud]!;
    const s = c.spots[hit.spot]!;
    this.dot(pen, c, s, s.size + 4);
    g.fillStyle = s.color;
    g.fill();
    g.stroke();
  }

  tip(hit: SpotHit): Tip | undefined {
    if (this.mode === "none") return undefined;
    const c = this.clouds[hit.cloud]!;
    return { title: c.name, rows: c.rows(hit.spot).map((r) => ({ ...r, color: "transparent" })) };
  }
}

// ---- candles

export interface Candle { at: number; open: number; high: number; low: number; close: number; volume: number; color: string }
export interface CandlesProps { candles: Candle[]; step: number; style: "candles" | "ohlcbars"; prices: boolean; volume: boolean; title: (at: number) => string; rows: (i: number) => { name: string; text: string }[]; mode: string; marks?: MarkAt[] }

interface CandleHit extends Hit { index: number }

export class Candles implements Layer {
  readonly weight: number;

  constructor(readonly p: CandlesProps) {
    this.weight = p.candles.length * 8;
  }

  *paint(pen: Pen): Iterable<void> {
    const { g, ratio } = pen;
    const width = Math.max(1, Math.abs(pen.x(this.p.step) - pen.x(0)) * 0.7);
    const volumeAxis = this.p.prices ? 1 : 0;
    for (const c of this.p.candles) {
      const x = Math.round(pen.x(c.at));
      const w = Math.round(width);
      g.fillStyle = g.strokeStyle = c.color;
      g.lineWidth = Math.max(1, Math.min(2, width / 4)) * ratio;
      if (this.p.volume && Number.isFinite(c.volume)) {
        const y = pen.y(c.volume, volumeAxis);
        g.globalAlpha = this.p.prices ? 0.4 : 0.8;
        g.fillRect(x - w / 2, y, w, pen.y(0, volumeAxis) - y);
        g.globalAlpha = 1;
      }
      if (!this.p.prices) continue;
      const [open, close, high, low] = [c.open, c.close, c.high, c.low].map((v) => pen.y(v, 0)) as [number, number, number, number];
      g.beginPath();
      g.moveTo(x, high);
      g.lineTo(x, low);
      if (this.p.style === "ohlcbars") {
        g.moveTo(x - w / 2, open);
        g.lineTo(x, open);
        g.moveTo(x, close);
        g.lineTo(x + w / 2, close);
      }
      g.stroke();
      if (this.p.style === "candles") g.fillRect(x - w / 2, Math.min(open, close), w, Math.max(ratio, Math.abs(open - close)));
    }
    paintMarks(pen, this.p.marks ?? []);
    yield;
  }

  hit(pen: Pen, x: number): CandleHit | undefined {
    const { candles } = this.p;
    let best = -1;
    let far = Infinity;
    for (let i = 0; i < candles.length; i++) {
      const d = Math.abs(pen.x(candles[i]!.at) - x);
      if (d < far) [far, best] = [d, i];
    }
    return best < 0 ? undefined : { at: candles[best]!.at, index: best };
  }

  step(pen: Pen, hit: CandleHit | undefined, dx: number): { x: number; y: number } | undefined {
    const { candles } = this.p;
    if (!candles.length) return undefined;
    const c = candles[Math.max(0, Math.min(candles.length - 1, hit ? hit.index + dx : dx < 0 ? candles.length - 1 : 0))]!;
    return { x: pen.x(c.at), y: this.p.prices ? pen.y(c.close, 0) : pen.top + pen.height / 2 };
  }

  over(): void {}

  tip(hit: CandleHit): Tip | undefined {
    const c = this.p.candles[hit.index]!;
    return this.p.mode === "none" ? undefined : { title: this.p.title(c.at), rows: this.p.rows(hit.index).map((r) => ({ ...r, color: c.color })) };
  }
}
