// plot_ink.ts - colours on a canvas: with an opacity, as gradients up the value axis; threshold lines
// and areas. What a canvas understands is told by a canvas.
import type { Pen } from "./plot_axes";

const scratch = typeof document === "undefined" ? null : document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const known = new Map<string, [number, number, number, number]>();

export function rgba(color: string): [number, number, number, number] {
  let c = known.get(color);
  if (c) return c;
  c = [128, 128, 128, 1];
  if (scratch) {
    scratch.clearRect(0, 0, 1, 1);
    scratch.fillStyle = "#808080";
    scratch.fillStyle = color;
    scratch.fillRect(0, 0, 1, 1);
    const d = scratch.getImageData(0, 0, 1, 1).data;
    c = [d[0]!, d[1]!, d[2]!, d[3]! / 255];
  }
  if (known.size > 5000) known.clear();
  known.set(color, c);
  return c;
}

export function fade(color: string, alpha: number): string {
  const [r, g, b, a] = rgba(color);
  return `rgba(${r},${g},${b},${Number((a * alpha).toFixed(3))})`;
}

// The same colour turned a little and darker or lighter: the other end of a "hue" gradient.
export function turned(color: string, dark: boolean): string {
  const [r, g, b] = rgba(color).map((v) => v / 255) as [number, number, number];
  const max = Math.max(r, g, b);
  const min = Math.min(r, g, b);
  const d = max - min;
  const l = (max + min) / 2;
  const s = d ? d / (1 - Math.abs(2 * l - 1)) : 0;
  const h = !d ? 0 : max === r ? ((g - b) / d + 6) % 6 : max === g ? (b - r) / d + 2 : (r - g) / d + 4;
  return `hsl(${Math.round(h * 60 + (dark ? 40 : -40))} ${Math.round(s * 100)}% ${Math.round(l * (dark ? 55 : 150 - 50 * l))}%)`;
}

// Colours from a value on: hard edges (thresholds), or flowing into each other.
export interface Stop { value: number; color: string }
export interface Stops { stops: Stop[]; hard: boolean }

export function valueGradient(pen: Pen, axis: number, { stops, hard }: Stops, alpha: number): CanvasGradient | string {
  if (!stops.length) return fade("#808080", alpha);
  const { g, top, height } = pen;
  const ends = stops.map((s) => pen.y(s.value, axis)).map((y) => (Number.isFinite(y) ? y : top + height));
  const lo = Math.max(...ends, top + height);
  const hi = Math.min(...ends, top);
  const gradient = g.createLinearGradient(0, lo, 0, hi);
  const at = (y: number) => Math.max(0, Math.min(1, (lo - y) / (lo - hi || 1)));
  stops.forEach((s, i) => {
    const p = at(ends[i]!);
    if (hard && i) gradient.addColorStop(p, fade(stops[i - 1]!.color, alpha));
    gradient.addColorStop(hard && !i ? 0 : p, fade(s.color, alpha));
  });
  return gradient;
}

export interface Thresholds { axis: number; style: string; steps: Stop[] } // the first from minus infinity

export function paintThresholds(pen: Pen, t: Thresholds): void {
  const { g, left, top, width, height } = pen;
  const y = (v: number) => Math.max(top - 2, Math.min(top + height + 2, Number.isFinite(v) ? pen.y(v, t.axis) : top + height));
  if (t.style.includes("area") || t.style === "series")
    t.steps.forEach((s, i) => {
      const a = y(s.value);
      const b = i + 1 < t.steps.length ? y(t.steps[i + 1]!.value) : top;
      g.fillStyle = fade(s.color, 0.1);
      g.fillRect(left, Math.min(a, b), width, Math.abs(a - b));
    });
  if (!t.style.includes("line") && !t.style.includes("dashed")) return;
  g.save();
  g.lineWidth = 2 * pen.ratio;
  if (t.style.includes("dashed")) g.setLineDash([8 * pen.ratio, 8 * pen.ratio]);
  for (const s of t.steps) {
    if (!Number.isFinite(s.value)) continue;
    g.strokeStyle = s.color;
    g.beginPath();
    const at = Math.round(pen.y(s.value, t.axis));
    g.moveTo(left, at);
    g.lineTo(left + width, at);
    g.stroke();
  }
  g.restore();
}

// A vertical fill from the colour to nothing.
export function opacityGradient(pen: Pen, color: string, alpha: number): CanvasGradient {
  const gradient = pen.g.createLinearGradient(0, pen.top, 0, pen.top + pen.height);
  gradient.addColorStop(0, fade(color, alpha));
  gradient.addColorStop(1, fade(color, 0));
  return gradient;
}

export function hueGradient(pen: Pen, color: string, alpha: number): CanvasGradient {
  const gradient = pen.g.createLinearGradient(0, pen.top, 0, pen.top + pen.height);
  gradient.addColorStop(0, fade(color, alpha));
  gradient.addColorStop(1, fade(turned(color, pen.dark), alpha));
  return gradient;
}

