// plot_frame.ts - the canvas of a drawing with its axes: room is given to the labels, ticks, grid and
// labels are drawn, and the rest is told to be drawn. What is asked for within one task is done once.
import { FONT, FONT_PX, type Live, type Place, placesOf, roomOf, type Side, sidesOf, type Ticks } from "./plot_axes";

export interface Box { left: number; top: number; width: number; height: number }
interface Laid extends Ticks { side: Side; px: number; from: number } // from: how far from the plot it begins

const TURNS_MAX = 3; // labels take room, and how many there are depends on the room that they leave
const TICK_PX = 4;
const GAP_PX = 6;
const LINE_HEIGHT = 1.5;

export interface Colors { dim: string; line: string }

export class Frame {
  readonly root = document.createElement("div");
  readonly g: CanvasRenderingContext2D;
  width = 0;
  height = 0;
  ratio = 1; // device pixels per CSS pixel
  box: Box = { left: 0, top: 0, width: 0, height: 0 }; // the plot within the canvas, device pixels
  private readonly over = document.createElement("div"); // lies on the plot, for those who look for it in the page
  private due = false;
  private gone = false;
  private screen?: MediaQueryList;

  constructor(parent: HTMLElement, width: number, height: number, private readonly live: () => Live, private readonly colors: Colors, private readonly draw: () => void) {
    const canvas = document.createElement("canvas");
    this.g = canvas.getContext("2d")!;
    this.over.className = "plot-over";
    this.root.append(canvas, this.over);
    parent.append(this.root);
    this.watch();
    this.resize(width, height);
  }

  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    this.redraw();
  }

  redraw(): void {
    if (this.due) return;
    this.due = true;
    queueMicrotask(() => {
      this.due = false;
      if (!this.gone) this.paint();
    });
  }

  destroy(): void {
    this.gone = true;
    this.screen?.removeEventListener("change", this.rescaled);
    this.root.remove();
  }

  // Another screen, or the browser's zoom.
  private readonly rescaled = (): void => {
    this.screen?.removeEventListener("change", this.rescaled);
    this.watch();
    this.redraw();
  };

  private watch(): void {
    this.ratio = devicePixelRatio || 1;
    this.screen = matchMedia(`(resolution: ${this.ratio}dppx)`);
    this.screen.addEventListener("change", this.rescaled);
  }

  private layOut(live: Live): Laid[] {
    const sides = sidesOf(live, this.colors);
    const [top, right, bottom, left] = roomOf(live);
    let plot: Box = { left, top, width: this.width - left - right, height: this.height - top - bottom };
    let laid: Laid[] = [];
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const used: Record<Place, number> = { left: 0, right: 0, below: 0 };
      laid = sides.map((side) => {
        const ticks = side.ticks(Math.max(1, side.at === "below" ? plot.width : plot.height), this.width);
        const px = Math.ceil(side.size(ticks.texts));
        const from = used[side.at];
        used[side.at] += px + (side.label ? side.labelPx : 0);
        return { ...ticks, side, px, from };
      });
      const next = { left: left + used.left, top, width: this.width - left - right - used.left - used.right, height: this.height - top - bottom - used.below };
      const same = next.left === plot.left && next.width === plot.width && next.height === plot.height;
      plot = next;
      if (same) break;
    }
    const { ratio } = this;
    this.box = { left: Math.round(plot.left * ratio), top: Math.round(plot.top * ratio), width: Math.round(Math.max(1, plot.width) * ratio), height: Math.round(Math.max(1, plot.height) * ratio) };
    return laid;
  }

  private paint(): void {
    const live = this.live();
    const laid = this.layOut(live);
    const { g, box, ratio, over } = this;
    const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (g.canvas.width !== width || g.canvas.height !== height) {
      Object.assign(g.canvas, { width, height });
      Object.assign(g.canvas.style, { width: `${this.width}px`, height: `${this.height}px` });
    } else g.clearRect(0, 0, width, height);
    Object.assign(over.style, { left: `${box.left / ratio}px`, top: `${box.top / ratio}px`, width: `${box.width / ratio}px`, height: `${box.height / ratio}px` });
    const places = placesOf(live, box);
    for (const l of laid) this.axis(l, l.at.map((v) => Math.round(places[l.side.scale]!(v))));
    this.draw();
  }

  // One axis; `spots` are its ticks' places along it.
  private axis({ side, texts, px, from }: Laid, spots: number[]): void {
    const { g, box, ratio } = this;
    const below = side.at === "below";
    const out = side.at === "left" ? -1 : 1; // the way from the plot
    const edge = (below ? box.top + box.height : side.at === "left" ? box.left : box.left + box.width) + out * Math.round(from * ratio);
    const wide = Math.max(1, Math.round(ratio));
    const lines = (color: string, at: readonly number[], begin: number, end: number, along: boolean): void => {
      g.strokeStyle = color;
      g.lineWidth = wide;
      g.beginPath();
      for (const spot of at) {
        const s = spot + (wide % 2) / 2;
        g.moveTo(along ? begin : s, along ? s : begin);
        g.lineTo(along ? end : s, along ? s : end);
      }
      g.stroke();
    };
    if (side.grid) lines(side.line, spots, below ? box.top : box.left, below ? box.top + box.height : box.left + box.width, !below);
    if (side.marks) lines(side.line, spots, edge, edge + out * Math.round(TICK_PX * ratio), !below);
    if (side.border) lines(side.color, [edge], below ? box.left : box.top, below ? box.left + box.width : box.top + box.height, below);
    g.fillStyle = side.color;
    g.font = FONT.replace(/^\d+/, String(FONT_PX * ratio));
    const far = edge + out * Math.round((GAP_PX + (side.marks ? TICK_PX : 0)) * ratio);
    const { angle } = side;
    g.textAlign = angle > 0 ? "left" : angle < 0 ? "right" : below ? "center" : side.at === "left" ? "right" : "left";
    g.textBaseline = below && !angle ? "top" : "middle";
    texts.forEach((text, i) => this.text(text, below ? spots[i]! : far, below ? far : spots[i]!, angle));
    if (!side.label) return;
    const beyond = edge + out * Math.round(px * ratio);
    g.textAlign = "center";
    g.textBaseline = below ? "top" : "bottom";
    if (below) this.text(side.label, box.left + box.width / 2, beyond, 0);
    else this.text(side.label, beyond + out * Math.round(2 * ratio), box.top + box.height / 2, (out * Math.PI) / 2);
  }

  private text(text: string, x: number, y: number, angle: number): void {
    const { g, ratio } = this;
    String(text).split("\n").forEach((line, i) => {
      g.save();
      g.translate(x, y + i * FONT_PX * LINE_HEIGHT * ratio);
      g.rotate(angle);
      g.fillText(line, 0, 0);
      g.restore();
    });
  }
}
