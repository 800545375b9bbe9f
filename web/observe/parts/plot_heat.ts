// plot_heat.ts - the layer of cells: how many fell into each bucket at each time. Rows lie on each other
// as buckets do, or on an axis of numbers; the colour says how many. The cursor stands on one cell.
import type { Pen } from "./plot_axes";
import type { Hit, Layer } from "./plot";
import { diamond, type Exemplar } from "./plot_lines";
import { type MarkAt, paintMarks } from "./plot_marks";
import { nearestIndex } from "./plot_math";
import type { Tip } from "./plot_tip";

export interface HeatRow { from: number; to: number; name: string } // on the y axis; its bucket in words

export interface HeatData {
  xs: number[]; // ends of the columns, ms or values
  size: number; // a column's width; it lies before its end
  rows: HeatRow[]; // upward
  cells: ArrayLike<number | null | undefined>[]; // [row][column]; nothing is drawn where there is none
}

export interface HeatProps extends HeatData {
  colors: string[]; // from few to many
  min?: number;
  max?: number;
  exponent: number; // of the share: below 1, the few are seen, too
  gap: number; // px between cells
  least?: number; // cells up to it are not drawn
  most?: number;
  count: (v: number) => string;
  title: (from: number, to: number) => string;
  label?: string; // of the counted, in the tooltip
  histogram?: boolean;
  showValue?: boolean;
  tooltip: boolean;
  marks?: MarkAt[];
  exemplars?: Exemplar[]; // values on the y axis
  exemplarColor?: string;
}

interface HeatHit extends Hit { column: number; row: number; exemplar?: Exemplar }

export class Heat implements Layer {
  readonly weight: number;
  readonly crosshair = false;
  readonly ends: [number, number];

  constructor(readonly p: HeatProps) {
    this.weight = p.rows.length * p.xs.length;
    let [lo, hi] = [Infinity, -Infinity];
    for (const row of p.cells) for (let i = 0; i < row.length; i++) {
      const v = row[i];
      if (!this.seen(v)) continue;
      if (v < lo) lo = v;
      if (v > hi) hi = v;
    }
    this.ends = [p.min ?? Math.min(lo, hi), p.max ?? hi];
  }

  private seen(v: number | null | undefined): v is number {
    return v !== null && v !== undefined && Number.isFinite(v) && v > (this.p.least ?? -Infinity) && v < (this.p.most ?? Infinity);
  }

  color(v: number): string {
    const [lo, hi] = this.ends;
    const share = hi > lo ? Math.max(0, Math.min(1, (v - lo) / (hi - lo))) : 1;
    const { colors } = this.p;
    return colors[Math.min(colors.length - 1, Math.floor(share ** this.p.exponent * colors.length))]!;
  }

  private box(pen: Pen, column: number, row: number): [number, number, number, number] {
    const { xs, size, rows } = this.p;
    const x = pen.x(xs[column]! - size);
    const y = pen.y(rows[row]!.to, 0);
    return [x, y, pen.x(xs[column]!) - x, pen.y(rows[row]!.from, 0) - y];
  }

  *paint(pen: Pen): Iterable<void> {
    const { g, ratio } = pen;
    const { xs, rows, cells } = this.p;
    for (let row = 0; row < rows.length; row++) {
      for (let column = 0; column < xs.length; column++) {
        const v = cells[row]![column];
        if (!this.seen(v)) continue;
        const [x, y, w, h] = this.box(pen, column, row);
        if (x + w < pen.left || x > pen.left + pen.width) continue;
        const [top, bottom] = h < 0 ? [y + h, y] : [y, y + h];
        // A gap only where there is room for one; edges on whole pixels, so that no seams show.
        const gx = w > 4 * this.p.gap * ratio ? this.p.gap * ratio : 0;
        const gy = bottom - top > 4 * this.p.gap * ratio ? this.p.gap * ratio : 0;
        const [x0, x1, y0, y1] = [Math.round(x), Math.round(x + w), Math.round(top), Math.round(bottom)];
        g.fillStyle = this.color(v);
        g.fillRect(x0, y0, Math.max(1, x1 - x0 - gx), Math.max(1, y1 - y0 - gy));
        if (this.p.showValue && w > 34 * ratio && y1 - y0 > 16 * ratio) this.write(pen, this.p.count(v), x + w / 2, (y0 + y1) / 2);
      }
      yield;
    }
    paintMarks(pen, this.p.marks ?? []);
    g.fillStyle = this.p.exemplarColor ?? (pen.dark ? "#ff85b3" : "#b91c5c");
    for (const e of this.p.exemplars ?? []) {
      diamond(g, pen.x(e.at), pen.y(e.value, 0), 4 * ratio);
      g.fill();
    }
  }

  private write(pen: Pen, text: string, x: number, y: number): void {
    const { g } = pen;
    const [fill, stroke] = pen.dark ? ["#fff", "#171b22"] : ["#171b22", "#fff"];
    g.font = `${11 * pen.ratio}px system-ui, sans-serif`;
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.lineWidth = 3 * pen.ratio;
    g.strokeStyle = stroke;
    g.strokeText(text, x, y);
    g.fillStyle = fill;
    g.fillText(text, x, y);
  }

  hit(pen: Pen, x: number, y?: number): HeatHit | undefined {
    const { xs, size, rows } = this.p;
    if (!xs.length || !rows.length) return undefined;
    const column = nearestIndex(xs.map((v) => pen.x(v - size / 2)), x);
    let row = -1;
    if (y !== undefined)
      row = rows.findIndex((r) => {
        const [a, b] = [pen.y(r.from, 0), pen.y(r.to, 0)];
        return y <= Math.max(a, b) && y >= Math.min(a, b);
      });
    const exemplar = y === undefined ? undefined : this.p.exemplars?.find((e) => Math.abs(pen.x(e.at) - x) < 8 * pen.ratio && Math.abs(pen.y(e.value, 0) - y) < 8 * pen.ratio);
    return { at: xs[column]! - size / 2, column, row, exemplar };
  }

  step(pen: Pen, hit: HeatHit | undefined, dx: number, dy: number): { x: number; y: number } {
    const { xs, rows } = this.p;
    const column = Math.max(0, Math.min(xs.length - 1, hit ? hit.column + dx : dx > 0 ? 0 : xs.length - 1));
    const row = Math.max(0, Math.min(rows.length - 1, (hit && hit.row >= 0 ? hit.row : rows.length >> 1) + dy));
    const [x, y, w, h] = this.box(pen, column, row);
    return { x: x + w / 2, y: y + h / 2 };
  }

  over(pen: Pen, hit: HeatHit | undefined): void {
    if (!hit) return;
    const { g, ratio } = pen;
    g.strokeStyle = pen.dark ? "#fff" : "#171b22";
    g.lineWidth = 1.5 * ratio;
    if (hit.row >= 0) {
      const [x, y, w, h] = this.box(pen, hit.column, hit.row);
      g.strokeRect(x, y, w, h);
      return;
    }
    g.setLineDash([4 * ratio, 3 * ratio]);
    g.beginPath();
    g.moveTo(pen.x(hit.at), pen.top);
    g.lineTo(pen.x(hit.at), pen.top + pen.height);
    g.stroke();
    g.setLineDash([]);
  }

  tip(hit: HeatHit): Tip | undefined {
    const { p } = this;
    if (!p.tooltip || hit.row < 0) return undefined;
    const v = p.cells[hit.row]![hit.column];
    const end = p.xs[hit.column]!;
    const column = p.cells.map((row) => (this.seen(row[hit.column]) ? row[hit.column]! : 0));
    const most = Math.max(...column, 0);
    return {
      title: p.title(end - p.size, end),
      rows: [{ name: p.rows[hit.row]!.name, text: v === null || v === undefined ? "–" : p.count(v), color: v === null || v === undefined ? "transparent" : this.color(v), near: true }],
      bars: p.histogram && most > 0 ? column.map((c, i) => ({ share: c / most, near: i === hit.row })) : undefined,
      notes: hit.exemplar && [`◆ Exemplar ${hit.exemplar.text}`, ...Object.entries(hit.exemplar.labels).map(([n, x]) => `${n}=${x}`)],
    };
  }
}

// ---- rows from bounds

// Buckets known by their upper bounds, one unit of the axis each; the axis' ticks are the bounds.
export const rowsUpTo = (bounds: number[], text: (v: number) => string): HeatRow[] => bounds.map((b, i) => ({
  from: i, to: i + 1,
  name: i ? (b === Infinity ? `over ${text(bounds[i - 1]!)}` : `${text(bounds[i - 1]!)} to ${text(b)}`) : `up to ${text(b)}`,
}));

// Where a value lies among such rows.
export function placeOf(bounds: number[], v: number): number {
  const i = bounds.findIndex((b) => v <= b);
  if (i < 0) return bounds.length - 0.5;
  const lo = i ? bounds[i - 1]! : 0;
  const hi = bounds[i]!;
  return i + (Number.isFinite(hi) && hi > lo ? Math.max(0, Math.min(1, (v - lo) / (hi - lo))) : 0.5);
}
