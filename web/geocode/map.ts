// map.ts - a small map drawn on a canvas from the addresses themselves: no tiles, no outside host.
//
// Web Mercator. A street is drawn as two lines, through its odd and its even numbers; places are dots
// with their names, the biggest first, left out where they would overlap.
import { around, type MapAnswer, type Place } from "./api";

const EARTH_PIXELS = 256; // width of the world at zoom 0
const ZOOM_LEAST = 5;
const ZOOM_MOST = 20;

const worldX = (lon: number) => (lon + 180) / 360;
const worldY = (lat: number) => {
  const s = Math.sin((lat * Math.PI) / 180);
  return 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI);
};
const lonOf = (x: number) => x * 360 - 180;
const latOf = (y: number) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;

interface Box { left: number; top: number; right: number; bottom: number }

export class SmallMap {
  private x = worldX(2.4);
  private y = worldY(46.6);
  private zoom = 5.6;
  private data: MapAnswer = { places: [], truncated: false };
  private mark: { lon: number; lat: number } | null = null;
  private loading: AbortController | null = null;
  private pointers = new Map<number, { x: number; y: number }>();
  private dragged = false;
  private frame = 0;
  private timer = 0;

  constructor(
    private canvas: HTMLCanvasElement,
    private picked: (lon: number, lat: number) => void,
    private failed: (why: string) => void,
  ) {
    new ResizeObserver(() => this.moved()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    canvas.addEventListener("pointerdown", (e) => this.down(e));
    canvas.addEventListener("pointermove", (e) => this.move(e));
    canvas.addEventListener("pointerup", (e) => this.up(e));
    canvas.addEventListener("pointercancel", (e) => this.pointers.delete(e.pointerId));
    canvas.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    canvas.addEventListener("keydown", (e) => this.key(e));
  }

  show(lon: number, lat: number, zoom: number): void {
    this.mark = { lon, lat };
    this.x = worldX(lon);
    this.y = worldY(lat);
    this.zoom = zoom;
    this.moved();
  }

  pin(lon: number, lat: number): void {
    this.mark = { lon, lat };
    this.redraw();
  }

  zoomBy(step: number, px = this.canvas.clientWidth / 2, py = this.canvas.clientHeight / 2): void {
    const before = this.at(px, py);
    this.zoom = Math.min(ZOOM_MOST, Math.max(ZOOM_LEAST, this.zoom + step));
    const after = this.at(px, py);
    this.x += before.x - after.x;
    this.y += before.y - after.y;
    this.moved();
  }

  private scale(): number {
    return EARTH_PIXELS * 2 ** this.zoom;
  }

  private at(px: number, py: number): { x: number; y: number } {
    return {
      x: this.x + (px - this.canvas.clientWidth / 2) / this.scale(),
      y: this.y + (py - this.canvas.clientHeight / 2) / this.scale(),
    };
  }

  private toPixels(lon: number, lat: number): [number, number] {
    return [
      (worldX(lon) - this.x) * this.scale() + this.canvas.clientWidth / 2,
      (worldY(lat) - this.y) * this.scale() + this.canvas.clientHeight / 2,
    ];
  }

  private down(e: PointerEvent): void {
    this.canvas.setPointerCapture(e.pointerId);
    this.pointers.set(e.pointerId, { x: e.offsetX, y: e.offsetY });
    this.dragged = this.pointers.size > 1;
  }

  private move(e: PointerEvent): void {
    const old = this.pointers.get(e.pointerId);
    if (!old) return;
    const dx = e.offsetX - old.x;
    const dy = e.offsetY - old.y;
    if (!this.dragged && Math.hypot(dx, dy) < 4) return;
    this.dragged = true;
    const others = [...this.pointers].filter(([id]) => id !== e.pointerId).map(([, p]) => p);
    this.pointers.set(e.pointerId, { x: e.offsetX, y: e.offsetY });
    if (others.length) {
      const was = Math.hypot(old.x - others[0].x, old.y - others[0].y);
      const is = Math.hypot(e.offsetX - others[0].x, e.offsetY - others[0].y);
      if (was > 0 && is > 0)
        this.zoomBy(Math.log2(is / was), (e.offsetX + others[0].x) / 2, (e.offsetY + others[0].y) / 2);
      return;
    }
    this.x -= dx / this.scale();
    this.y -= dy / this.scale();
    this.moved();
  }

  private up(e: PointerEvent): void {
    const known = this.pointers.delete(e.pointerId);
    if (!known || this.dragged) return;
    const p = this.at(e.offsetX, e.offsetY);
    this.picked(lonOf(p.x), latOf(p.y));
  }

  private wheel(e: WheelEvent): void {
    e.preventDefault();
    this.zoomBy(-Math.max(-1, Math.min(1, e.deltaY / 200)), e.offsetX, e.offsetY);
  }

  private key(e: KeyboardEvent): void {
    const step = 60 / this.scale();
    const moves: Record<string, () => void> = {
      ArrowLeft: () => (this.x -= step),
      ArrowRight: () => (this.x += step),
      ArrowUp: () => (this.y -= step),
      ArrowDown: () => (this.y += step),
      "+": () => this.zoomBy(0.5),
      "=": () => this.zoomBy(0.5),
      "-": () => this.zoomBy(-0.5),
      Enter: () => this.picked(lonOf(this.x), latOf(this.y)),
    };
    const act = moves[e.key];
    if (!act || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    act();
    this.moved();
  }

  // The view changed: draw what there is at once, ask for what belongs to the new view a little later.
  private moved(): void {
    this.redraw();
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.load(), 120);
  }

  private async load(): Promise<void> {
    const w = this.canvas.clientWidth;
    const h = this.canvas.clientHeight;
    if (!w || !h) return;
    const a = this.at(0, h);
    const b = this.at(w, 0);
    const clamp = (v: number, most: number) => Math.max(-most, Math.min(most, v));
    this.loading?.abort();
    const mine = (this.loading = new AbortController());
    try {
      this.data = await around(
        [clamp(lonOf(a.x), 180), clamp(latOf(a.y), 90), clamp(lonOf(b.x), 180), clamp(latOf(b.y), 90)],
        mine.signal,
      );
      this.redraw();
    } catch (e) {
      if (!mine.signal.aborted) this.failed(`the map cannot be drawn: ${(e as Error).message}`);
    }
  }

  private redraw(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private draw(): void {
    const ratio = devicePixelRatio || 1;
    const w = this.canvas.clientWidth;
    const h = this.canvas.clientHeight;
    if (this.canvas.width !== Math.round(w * ratio) || this.canvas.height !== Math.round(h * ratio)) {
      this.canvas.width = Math.round(w * ratio);
      this.canvas.height = Math.round(h * ratio);
    }
    const g = this.canvas.getContext("2d");
    if (!g) return;
    const css = getComputedStyle(document.documentElement);
    const color = (name: string) => css.getPropertyValue(name);
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);

    g.strokeStyle = color("--line");
    g.lineWidth = this.zoom > 16 ? 1.5 : 0.7;
    g.fillStyle = color("--accent");
    for (const place of this.data.places) this.drawShape(g, place);
    this.drawNames(g, color("--ink"), color("--card"), w, h);
    if (this.mark) this.drawMark(g, color("--mark"), color("--card"));
  }

  private drawShape(g: CanvasRenderingContext2D, place: Place): void {
    if (place.points.length > 1) {
      for (const parity of [0, 1]) {
        g.beginPath();
        let began = false;
        place.points.forEach(([lon, lat], i) => {
          if ((parseInt(place.numbers?.[i] ?? String(i), 10) & 1) !== parity) return;
          const [x, y] = this.toPixels(lon, lat);
          if (began) g.lineTo(x, y);
          else g.moveTo(x, y);
          began = true;
        });
        g.stroke();
      }
    }
    const size = place.points.length > 1 ? (this.zoom > 16 ? 2 : 0.8) : 1.8;
    for (const [lon, lat] of place.points) {
      const [x, y] = this.toPixels(lon, lat);
      g.fillRect(x - size / 2, y - size / 2, size, size);
    }
  }

  // Names and, close up, house numbers; one that would cover an earlier one is left out.
  private drawNames(g: CanvasRenderingContext2D, ink: string, ground: string, w: number, h: number): void {
    const taken: Box[] = [];
    const put = (text: string, lon: number, lat: number, font: string, size: number): void => {
      const [x, y] = this.toPixels(lon, lat);
      g.font = font;
      const half = g.measureText(text).width / 2;
      const box = { left: x - half - 2, right: x + half + 2, top: y - size - 4, bottom: y - 2 };
      if (box.left < 0 || box.right > w || box.top < 0 || box.bottom > h) return;
      if (taken.some((t) => t.left < box.right && box.left < t.right && t.top < box.bottom && box.top < t.bottom))
        return;
      taken.push(box);
      g.lineWidth = 3;
      g.strokeStyle = ground;
      g.strokeText(text, x, y - 5);
      g.fillStyle = ink;
      g.fillText(text, x, y - 5);
    };
    g.textAlign = "center";
    for (const place of this.data.places) {
      if (place.points.length > 1 && this.zoom < 15.5) continue;
      const [lon, lat] = place.points[place.points.length >> 1];
      put(place.name, lon, lat, place.points.length > 1 ? "12px sans-serif" : "13px sans-serif", 12);
    }
    if (this.zoom < 17.5) return;
    for (const place of this.data.places)
      place.numbers?.forEach((n, i) => put(n, place.points[i][0], place.points[i][1], "10px sans-serif", 9));
  }

  private drawMark(g: CanvasRenderingContext2D, fill: string, edge: string): void {
    const [x, y] = this.toPixels(this.mark!.lon, this.mark!.lat);
    g.beginPath();
    g.arc(x, y - 14, 8, Math.PI * 0.85, Math.PI * 0.15);
    g.lineTo(x, y);
    g.closePath();
    g.fillStyle = fill;
    g.fill();
    g.lineWidth = 1.5;
    g.strokeStyle = edge;
    g.stroke();
    g.beginPath();
    g.arc(x, y - 15, 3, 0, Math.PI * 2);
    g.fillStyle = edge;
    g.fill();
  }
}
