// plot_bars.ts - the layer of bars that stand for something named or for a bucket of values: upright or
// lying, side by side or stacked, with their values written at their ends where there is room.
import type { Pen } from "./plot_axes";
import { fade, hueGradient, opacityGradient, paintThresholds, type Stops, type Thresholds, valueGradient } from "./plot_ink";
import type { Hit, Layer } from "./plot";
import type { Tip, TipLink } from "./plot_tip";

export interface Bar {
  category: number; // index
  series: number;
  from: number; // on the axis of categories
  to: number;
  base: number; // on the axis of values
  top: number;
  axis: number;
  color: string;
  text: string;
}

export interface BarsProps {
  bars: Bar[];
  lying: boolean;
  categories: { at: number; name: string }[]; // middles, ascending
  series: { name: string; color: string; inTip: boolean; stops?: Stops; links?: (category: number) => TipLink[] }[];
  fill: number;
  border: number;
  gradient: string;
  radius: number; // share of half the width
  values: "auto" | "always" | "never";
  valueSize?: number;
  mode: "single" | "multi" | "none";
  sort: "none" | "asc" | "desc";
  thresholds?: Thresholds[];
}

interface BarHit extends Hit { category: number; bar?: Bar }

export class Bars implements Layer {
  readonly weight: number;
  readonly crosshair = false;
  private readonly byCategory = new Map<number, Bar[]>();

  constructor(readonly p: BarsProps) {
    this.weight = p.bars.length * 4;
    for (const b of p.bars) this.byCategory.set(b.category, [...(this.byCategory.get(b.category) ?? []), b]);
  }

  private box(pen: Pen, b: Bar): [x: number, y: number, w: number, h: number] {
    const clamp = (v: number, lo: number, size: number) => Math.max(lo - 4, Math.min(lo + size + 4, Number.isFinite(v) ? v : lo + size));
    if (this.p.lying) {
      const [a, z] = [pen.y(b.from, 0), pen.y(b.to, 0)];
      const [l, r] = [clamp(pen.x(b.base), pen.left, pen.width), clamp(pen.x(b.top), pen.left, pen.width)];
      return [Math.round(Math.min(l, r)), Math.round(Math.min(a, z)), Math.abs(Math.round(r) - Math.round(l)), Math.max(1, Math.round(Math.abs(z - a)))];
    }
    const [a, z] = [pen.x(b.from), pen.x(b.to)];
    const [lo, hi] = [clamp(pen.y(b.base, b.axis), pen.top, pen.height), clamp(pen.y(b.top, b.axis), pen.top, pen.height)];
    return [Math.round(a), Math.round(Math.min(lo, hi)), Math.max(1, Math.round(z) - Math.round(a)), Math.abs(Math.round(hi) - Math.round(lo))];
  }

  *paint(pen: Pen): Iterable<void> {
    const { g, ratio } = pen;
    const { p } = this;
    if (!p.lying) for (const t of p.thresholds ?? []) paintThresholds(pen, t);
    let n = 0;
    for (const b of p.bars) {
      const [x, y, w, h] = this.box(pen, b);
      this.shape(pen, b, x, y, w, h);
      g.fillStyle = this.fillOf(pen, b);
      g.fill();
      const edge = Math.min(p.border * ratio, w / 4, h / 2);
      if (edge > 0.4) {
        g.strokeStyle = b.color;
        g.lineWidth = edge;
        this.shape(pen, b, x + edge / 2, y + edge / 2, w - edge, h - edge);
        g.stroke();
      }
      if (++n % 500 === 0) yield;
    }
    if (p.values !== "never") this.write(pen);
  }

  private fillOf(pen: Pen, b: Bar): string | CanvasGradient {
    const { gradient, fill, lying } = this.p;
    const stops = this.p.series[b.series]?.stops;
    if (lying || gradient === "none" || !gradient) return fade(b.color, fill);
    if (gradient === "scheme") return stops ? valueGradient(pen, b.axis, stops, fill) : fade(b.color, fill);
    return gradient === "hue" ? hueGradient(pen, b.color, fill) : opacityGradient(pen, b.color, fill);
  }

  // The end away from the base is round.
  private shape(pen: Pen, b: Bar, x: number, y: number, w: number, h: number): void {
    const { g } = pen;
    const r = (Math.min(w, h) / 2) * this.p.radius;
    g.beginPath();
    if (!r || !g.roundRect) g.rect(x, y, w, h);
    else if (this.p.lying) g.roundRect(x, y, w, h, b.top >= b.base ? [0, r, r, 0] : [r, 0, 0, r]);
    else g.roundRect(x, y, w, h, b.top >= b.base ? [r, r, 0, 0] : [0, 0, r, r]);
  }

  private write(pen: Pen): void {
    const { g, ratio } = pen;
    const px = (this.p.valueSize ?? 12) * ratio;
    g.font = `${px}px system-ui, "Segoe UI", "Liberation Sans", sans-serif`;
    g.fillStyle = pen.dark ? "#e6e9ef" : "#171b22";
    const fits = (b: Bar) => {
      const [, , w, h] = this.box(pen, b);
      return this.p.lying ? h >= px * 0.95 : g.measureText(b.text).width <= w * 1.15 + 2 * ratio;
    };
    // All or none: a few numbers among many bars tell nothing.
    if (this.p.values === "auto" && (this.p.bars.length > 400 || !this.p.bars.every(fits))) return;
    for (const b of this.p.bars) {
      const [x, y, w, h] = this.box(pen, b);
      const up = b.top >= b.base;
      const width = g.measureText(b.text).width;
      if (this.p.lying) {
        g.textBaseline = "middle";
        g.textAlign = "left";
        const at = up ? x + w + 4 * ratio : x - width - 4 * ratio;
        g.fillText(b.text, Math.max(pen.left + 2, Math.min(at, pen.left + pen.width - width - 2)), y + h / 2);
      } else {
        g.textAlign = "center";
        g.textBaseline = up ? "bottom" : "top";
        g.fillText(b.text, x + w / 2, up ? Math.max(pen.top + px, y - 2 * ratio) : Math.min(pen.top + pen.height - px, y + h + 2 * ratio));
      }
    }
  }

  private middle = (pen: Pen, c: number): number => (this.p.lying ? pen.y(this.p.categories[c]!.at, 0) : pen.x(this.p.categories[c]!.at));

  hit(pen: Pen, x: number, y?: number): BarHit | undefined {
    const { categories, lying } = this.p;
    if (!categories.length) return undefined;
    const along = lying ? y ?? pen.top : x;
    let best = 0;
    for (let i = 1; i < categories.length; i++) if (Math.abs(this.middle(pen, i) - along) < Math.abs(this.middle(pen, best) - along)) best = i;
    const bars = this.byCategory.get(best) ?? [];
    const spot = y === undefined ? undefined : bars.find((b) => {
      const [bx, by, w, h] = this.box(pen, b);
      return x >= bx - 1 && x <= bx + w + 1 && y >= by - 1 && y <= by + h + 1;
    }) ?? bars.reduce<Bar | undefined>((near, b) => (!near || this.away(pen, b, x, y) < this.away(pen, near, x, y) ? b : near), undefined);
    return { at: categories[best]!.at, category: best, bar: spot };
  }

  private away(pen: Pen, b: Bar, x: number, y: number): number {
    const [bx, by, w, h] = this.box(pen, b);
    return this.p.lying ? Math.abs(by + h / 2 - y) : Math.abs(bx + w / 2 - x) + (y > by && y < by + h ? 0 : 1);
  }

  step(pen: Pen, hit: BarHit | undefined, dx: number, dy: number): { x: number; y: number } | undefined {
    const { categories, lying } = this.p;
    const [next, among] = lying ? [-dy, dx] : [dx, dy];
    const c = Math.max(0, Math.min(categories.length - 1, hit ? hit.category + next : 0));
    const bars = this.byCategory.get(c) ?? [];
    const now = hit?.bar ? bars.findIndex((b) => b.series === hit.bar!.series) : -1;
    const bar = bars[Math.max(0, Math.min(bars.length - 1, now + among))];
    if (!bar) return { x: lying ? pen.left + pen.width / 2 : this.middle(pen, c), y: lying ? this.middle(pen, c) : pen.top + pen.height / 2 };
    const [x, y, w, h] = this.box(pen, bar);
    return { x: x + w / 2, y: y + h / 2 };
  }

  over(pen: Pen, hit: BarHit | undefined, focus: number | undefined): void {
    const { g, ratio } = pen;
    g.lineWidth = 2 * ratio;
    g.strokeStyle = pen.dark ? "#fff" : "#171b22";
    const marked = focus !== undefined ? this.p.bars.filter((b) => b.series === focus) : hit?.bar && this.p.mode === "single" ? [hit.bar] : hit ? this.byCategory.get(hit.category) ?? [] : [];
    for (const b of marked) {
      const [x, y, w, h] = this.box(pen, b);
      this.shape(pen, b, x, y, w, h);
      g.fillStyle = fade(b.color, 0.35);
      g.fill();
      if (b === hit?.bar) g.stroke();
    }
  }

  tip(hit: BarHit, pinned: boolean): Tip | undefined {
    const { mode, sort, series, categories } = this.p;
    if (mode === "none") return undefined;
    const bars = (this.byCategory.get(hit.category) ?? []).filter((b) => series[b.series]?.inTip !== false && (mode === "multi" || !hit.bar || b === hit.bar));
    const size = (b: Bar) => b.top - b.base;
    if (sort !== "none") bars.sort((a, b) => (sort === "asc" ? size(a) - size(b) : size(b) - size(a)));
    const most = pinned ? 200 : 16;
    return {
      title: categories[hit.category]!.name, more: Math.max(0, bars.length - most),
      rows: bars.slice(0, most).map((b) => ({ name: series[b.series]!.name, text: b.text, color: b.color, near: b === hit.bar, links: pinned && b === hit.bar ? series[b.series]!.links?.(b.category) : undefined })),
    };
  }
}
