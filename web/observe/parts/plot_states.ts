// plot_states.ts - the layer of rows of states over time: stretches of one value, or a cell per sample.
import { FONT, type Pen } from "./plot_axes";
import { fade } from "./plot_ink";
import type { Hit, Layer } from "./plot";
import { type MarkAt, paintMarks } from "./plot_marks";
import type { Tip } from "./plot_tip";

export interface Stretch { from: number; to: number; text: string; color: string }
export interface StateRow { name: string; color: string; stretches: Stretch[] } // stretches ascend and do not overlap

export interface StatesProps {
  rows: StateRow[]; // the first is on top
  height: number; // share of a row that is filled
  values: "auto" | "always" | "never";
  align: "left" | "center" | "right";
  fill: number;
  border: number; // px
  inset: number; // px between neighbours
  title: (at: number, s: Stretch | undefined) => string;
  mode: "single" | "multi" | "none";
  marks?: MarkAt[];
}

interface StateHit extends Hit { row: number }

const TIP_ROWS = 16;

export class States implements Layer {
  readonly weight: number;

  constructor(readonly p: StatesProps) {
    this.weight = p.rows.reduce((n, r) => n + r.stretches.length, 0);
  }

  private band(pen: Pen, row: number): [top: number, height: number] {
    const a = pen.y(row - 0.5, 0);
    const b = pen.y(row + 0.5, 0);
    const whole = Math.abs(b - a);
    return [Math.round(Math.min(a, b) + (whole * (1 - this.p.height)) / 2), Math.max(1, Math.round(whole * this.p.height))];
  }

  *paint(pen: Pen): Iterable<void> {
    const { g, ratio } = pen;
    const { p } = this;
    g.font = FONT.replace(/^\d+/, (n) => String(Number(n) * ratio));
    g.textBaseline = "middle";
    for (let row = 0; row < p.rows.length; row++) {
      const [top, height] = this.band(pen, row);
      // Stretches too short to be seen are one: of the colour that was first in the pixel.
      let drawnTo = -Infinity;
      for (const s of p.rows[row]!.stretches) {
        const left = Math.max(pen.left, pen.x(s.from));
        const right = Math.min(pen.left + pen.width, pen.x(s.to));
        if (right < pen.left || left > pen.left + pen.width || right <= drawnTo) continue;
        const x = Math.round(left);
        const width = Math.max(1, Math.round(right) - x - (right - left > 4 * ratio ? p.inset * ratio : 0));
        drawnTo = x + width;
        g.fillStyle = fade(s.color, p.fill);
        g.fillRect(x, top, width, height);
        if (p.border > 0 && width > 8 * ratio) {
          g.strokeStyle = s.color;
          g.lineWidth = p.border * ratio;
          g.strokeRect(x + g.lineWidth / 2, top + g.lineWidth / 2, width - g.lineWidth, height - g.lineWidth);
        }
        if (p.values !== "never" && s.text && height > 13 * ratio) this.write(pen, s.text, x, width, top + height / 2, s.color);
      }
      yield;
    }
    paintMarks(pen, p.marks ?? []);
  }

  private write(pen: Pen, text: string, x: number, width: number, y: number, color: string): void {
    const { g, ratio } = pen;
    const pad = 4 * ratio;
    let shown = text;
    const fits = (t: string) => g.measureText(t).width <= width - 2 * pad;
    if (!fits(shown)) {
      if (this.p.values === "auto" && width < 24 * ratio) return;
      while (shown.length > 1 && !fits(`${shown}…`)) shown = shown.slice(0, -1);
      if (this.p.values === "auto" && shown.length < 3) return;
      shown = shown.length > 1 || this.p.values === "always" ? `${shown}…` : "";
    }
    g.textAlign = this.p.align;
    g.fillStyle = textOn(color, this.p.fill, pen.dark);
    g.fillText(shown, this.p.align === "left" ? x + pad : this.p.align === "right" ? x + width - pad : x + width / 2, y);
  }

  private stretchAt(row: number, at: number): Stretch | undefined {
    const all = this.p.rows[row]!.stretches;
    let lo = 0;
    let hi = all.length - 1;
    while (lo <= hi) {
      const mid = (lo + hi) >> 1;
      if (all[mid]!.to <= at) lo = mid + 1;
      else if (all[mid]!.from > at) hi = mid - 1;
      else return all[mid];
    }
    return undefined;
  }

  hit(pen: Pen, x: number, y?: number): StateHit | undefined {
    const { rows } = this.p;
    if (!rows.length) return undefined;
    const unit = (pen.x(1e6) - pen.x(0)) / 1e6;
    const at = (x - pen.x(0)) / unit;
    const band = Math.abs(pen.y(1, 0) - pen.y(0, 0));
    const row = y === undefined ? -1 : Math.max(0, Math.min(rows.length - 1, Math.floor((y - pen.top) / band)));
    return { at, row };
  }

  step(pen: Pen, hit: StateHit | undefined, dx: number, dy: number): { x: number; y: number } | undefined {
    const row = Math.max(0, Math.min(this.p.rows.length - 1, (hit && hit.row >= 0 ? hit.row : 0) - dy));
    const all = this.p.rows[row]?.stretches ?? [];
    if (!all.length) return undefined;
    const now = hit ? all.findIndex((s) => hit.at < s.to) : dx > 0 ? -1 : all.length;
    const s = all[Math.max(0, Math.min(all.length - 1, (now < 0 && hit ? all.length - 1 : now) + dx))]!;
    const [top, height] = this.band(pen, row);
    const x = (Math.max(pen.left, pen.x(s.from)) + Math.min(pen.left + pen.width, pen.x(s.to))) / 2;
    return { x: Math.max(pen.left, Math.min(pen.left + pen.width, x)), y: top + height / 2 };
  }

  over(pen: Pen, hit: StateHit | undefined): void {
    if (!hit || hit.row < 0) return;
    const s = this.stretchAt(hit.row, hit.at);
    if (!s) return;
    const [top, height] = this.band(pen, hit.row);
    pen.g.strokeStyle = pen.dark ? "#fff" : "#171b22";
    pen.g.lineWidth = 1.5 * pen.ratio;
    const x = Math.max(pen.left, pen.x(s.from));
    pen.g.strokeRect(x, top, Math.min(pen.left + pen.width, pen.x(s.to)) - x, height);
  }

  tip(hit: StateHit, pinned: boolean): Tip | undefined {
    const { rows, mode } = this.p;
    if (mode === "none") return undefined;
    const s = hit.row >= 0 ? this.stretchAt(hit.row, hit.at) : undefined;
    const all = mode === "multi" || hit.row < 0 ? rows.map((_, i) => i) : [hit.row];
    const most = pinned ? 200 : TIP_ROWS;
    const begin = all.length > most ? Math.max(0, Math.min(all.length - most, hit.row - (most >> 1))) : 0;
    return {
      title: this.p.title(hit.at, mode === "single" ? s : undefined), more: Math.max(0, all.length - most),
      rows: all.slice(begin, begin + most).map((i) => {
        const state = this.stretchAt(i, hit.at);
        return { name: rows[i]!.name, text: state ? state.text || "(empty)" : "–", color: state?.color ?? "transparent", near: i === hit.row };
      }),
    };
  }
}

// Dark or light text, as the colour under it wants it.
function textOn(color: string, fill: number, dark: boolean): string {
  const m = /rgba\((\d+),(\d+),(\d+)/.exec(fade(color, 0.99));
  if (!m) return dark ? "#fff" : "#171b22";
  const back = dark ? 23 : 255;
  const [r, g, b] = m.slice(1, 4).map((v) => Number(v) * fill + back * (1 - fill)) as [number, number, number];
  const linear = (v: number) => (v / 255) ** 2.2;
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) > 0.2 ? "#111418" : "#fff";
}
