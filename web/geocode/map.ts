// map.ts - a small map drawn on a canvas from the addresses themselves: no tiles, no outside host.
//
// This file is the view: where it stands, how it is moved, what is asked of the server for it. What
// is drawn for an answer is in paint.ts. Web Mercator; the world is the square from 0 to 1.
import { around, type Box, type Geometry, type MapAnswer } from "./api";
import { paint, type Mark, type View } from "./paint";

const EARTH_PIXELS = 256; // width of the world at zoom 0
const ZOOM_LEAST = 1;
const ZOOM_MOST = 20;
const ASK_AFTER_MS = 150; // of standing still
const MARGIN = 0.25; // of the view is asked for on each side, so that a small move asks nothing
const FINER = 0.7; // zoomed in by this much, a simplified answer is asked for again
const TAP_PX = 5; // a pointer that moved less has tapped
const MARK_PX = 18; // this near to a mark, it is the mark that is meant

const worldX = (lon: number) => (lon + 180) / 360;
const worldY = (lat: number) => {
  const s = Math.sin((lat * Math.PI) / 180);
  return 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI);
};
const lonOf = (x: number) => x * 360 - 180;
const latOf = (y: number) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
const clamp = (v: number, least: number, most: number) => Math.max(least, Math.min(most, v));

export interface MapEvents {
  picked(lon: number, lat: number): void; // a point was clicked, or Enter pressed
  marked(index: number): void; // a mark was
  moved(): void; // the view has come to rest
  failed(why: string): void;
}

export class SmallMap {
  private x = 0.5;
  private y = 0.5;
  private zoom = 2;
  private placed = false; // nothing is asked for before somebody said where to look
  private data: MapAnswer | null = null;
  private loaded: Box | null = null; // what `data` covers
  private loadedZoom = 0;
  private loading: AbortController | null = null;
  private marks: Mark[] = [];
  private dots: [number, number][] = [];
  private outline: Geometry | null = null;
  private pointers = new Map<number, { x: number; y: number }>();
  private dragged = false;
  private frame = 0;
  private timer = 0;
  private colors = new Map<string, string>();

  // `covered` tells how many pixels at the bottom something else lies over.
  constructor(
    private canvas: HTMLCanvasElement,
    private events: MapEvents,
    private covered: () => number,
  ) {
    new ResizeObserver(() => this.moved()).observe(canvas);
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"])
      matchMedia(query).addEventListener("change", () => {
        this.colors.clear();
        this.redraw();
      });
    canvas.addEventListener("pointerdown", (e) => this.down(e));
    canvas.addEventListener("pointermove", (e) => this.move(e));
    canvas.addEventListener("pointerup", (e) => this.up(e));
    canvas.addEventListener("pointercancel", (e) => this.pointers.delete(e.pointerId));
    canvas.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    canvas.addEventListener("keydown", (e) => this.key(e));
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.redraw());
  }

  // The middle of what can be seen.
  get centre(): { lon: number; lat: number; zoom: number } {
    const p = this.at(this.canvas.clientWidth / 2, this.middle());
    return { lon: lonOf(p.x), lat: clamp(latOf(p.y), -90, 90), zoom: this.zoom };
  }

  show(lon: number, lat: number, zoom: number): void {
    this.zoom = clamp(zoom, ZOOM_LEAST, ZOOM_MOST);
    this.x = worldX(lon);
    this.y = worldY(lat) + (this.canvas.clientHeight / 2 - this.middle()) / this.scale();
    this.placed = true;
    this.moved();
  }

  // The whole rectangle, with a little room around it.
  fit([west, south, east, north]: Box, zoomMost = ZOOM_MOST): void {
    const w = Math.max(this.canvas.clientWidth - 24, 50);
    const h = Math.max(this.middle() * 2 - 24, 50);
    const across = Math.max(worldX(east) - worldX(west), 1e-9);
    const down = Math.max(worldY(south) - worldY(north), 1e-9);
    const zoom = Math.log2(Math.min(w / across, h / down) / EARTH_PIXELS);
    const y = (worldY(south) + worldY(north)) / 2;
    this.show((west + east) / 2, latOf(y), Math.min(zoom, zoomMost));
  }

  // Pins of results, and the small dots of a file's rows.
  setMarks(marks: Mark[]): void {
    this.marks = marks;
    this.redraw();
  }

  setDots(dots: [number, number][]): void {
    this.dots = dots;
    this.redraw();
  }

  // What the open result is shaped like; null: nothing, or a point.
  setOutline(outline: Geometry | null): void {
    if (outline === this.outline) return;
    this.outline = outline;
    this.redraw();
  }

  zoomBy(step: number, px = this.canvas.clientWidth / 2, py = this.middle()): void {
    const before = this.at(px, py);
    this.zoom = clamp(this.zoom + step, ZOOM_LEAST, ZOOM_MOST);
    const after = this.at(px, py);
    this.x += before.x - after.x;
    this.y += before.y - after.y;
    this.moved();
  }

  // What covers the map has changed its size: the same place stays in the middle of the rest.
  redraw(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private middle(): number {
    return (this.canvas.clientHeight - this.covered()) / 2;
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
    if (e.button !== 0) return;
    this.canvas.setPointerCapture(e.pointerId);
    this.pointers.set(e.pointerId, { x: e.offsetX, y: e.offsetY });
    this.dragged = this.pointers.size > 1;
  }

  private move(e: PointerEvent): void {
    const old = this.pointers.get(e.pointerId);
    if (!old) return;
    const dx = e.offsetX - old.x;
    const dy = e.offsetY - old.y;
    if (!this.dragged && Math.hypot(dx, dy) < TAP_PX) return;
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
    const hit = this.marks.findIndex((m) => {
      const [x, y] = this.toPixels(m.lon, m.lat);
      return Math.hypot(e.offsetX - x, e.offsetY - (y - 12)) < MARK_PX;
    });
    if (hit >= 0) {
      this.events.marked(hit);
      return;
    }
    const p = this.at(e.offsetX, e.offsetY);
    this.events.picked(lonOf(p.x), latOf(p.y));
  }

  private wheel(e: WheelEvent): void {
    e.preventDefault();
    const lines = e.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    this.zoomBy(-clamp((e.deltaY * lines) / 200, -1, 1), e.offsetX, e.offsetY);
  }

  private key(e: KeyboardEvent): void {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const step = (e.shiftKey ? 10 : 60) / this.scale(); // with Shift: as finely as a pointer
    const acts: Record<string, () => void> = {
      ArrowLeft: () => (this.x -= step),
      ArrowRight: () => (this.x += step),
      ArrowUp: () => (this.y -= step),
      ArrowDown: () => (this.y += step),
      "+": () => this.zoomBy(0.5),
      "=": () => this.zoomBy(0.5),
      "-": () => this.zoomBy(-0.5),
      Enter: () => this.events.picked(this.centre.lon, this.centre.lat),
    };
    const act = acts[e.key];
    if (!act) return;
    e.preventDefault();
    act();
    this.moved();
  }

  // The view changed: draw what there is at once, ask for what belongs to it a little later.
  private moved(): void {
    this.x = clamp(this.x, 0, 1);
    this.y = clamp(this.y, 0, 1);
    this.redraw();
    clearTimeout(this.timer);
    if (!this.placed) return;
    this.timer = window.setTimeout(() => {
      this.events.moved();
      if (this.wantsData()) void this.load();
    }, ASK_AFTER_MS);
  }

  // The view as a rectangle, widened by `margin` of its size on each side.
  private box(margin: number): Box {
    const w = this.canvas.clientWidth;
    const h = this.canvas.clientHeight;
    const a = this.at(-w * margin, h * (1 + margin));
    const b = this.at(w * (1 + margin), -h * margin);
    return [
      clamp(lonOf(a.x), -180, 180),
      clamp(latOf(a.y), -85, 85),
      clamp(lonOf(b.x), -180, 180),
      clamp(latOf(b.y), -85, 85),
    ];
  }

  private wantsData(): boolean {
    if (!this.canvas.clientWidth || !this.canvas.clientHeight) return false;
    if (!this.data || !this.loaded) return true;
    const whole = !this.data.truncated && !this.data.lines && this.data.places.every((p) => p.numbers || p.points.length === 1);
    if (!whole && Math.abs(this.zoom - this.loadedZoom) >= FINER) return true;
    const [west, south, east, north] = this.box(0);
    return west < this.loaded[0] || south < this.loaded[1] || east > this.loaded[2] || north > this.loaded[3];
  }

  private async load(): Promise<void> {
    const box = this.box(MARGIN);
    const zoom = this.zoom;
    this.loading?.abort();
    const mine = (this.loading = new AbortController());
    try {
      this.data = await around(box, mine.signal);
      this.loaded = box;
      this.loadedZoom = zoom;
      this.redraw();
    } catch (e) {
      if (!mine.signal.aborted) this.events.failed(`The map cannot be drawn. ${(e as Error).message}`);
    }
  }

  private color = (name: string): string => {
    let value = this.colors.get(name);
    if (value === undefined) {
      value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
      this.colors.set(name, value);
    }
    return value;
  };

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
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    const view: View = {
      w,
      h: h - this.covered(),
      zoom: this.zoom,
      toPixels: (lon, lat) => this.toPixels(lon, lat),
      cell: (zoom, column, row) => {
        const side = 2 ** zoom;
        const left = (column / side - this.x) * this.scale() + w / 2;
        const top = (row / side - this.y) * this.scale() + h / 2;
        return [left, top, this.scale() / side];
      },
      color: this.color,
      metresPerPixel: (40075016.7 * Math.cos((this.centre.lat * Math.PI) / 180)) / this.scale(),
      crosshair: this.canvas.matches(":focus-visible") ? [w / 2, this.middle()] : null,
    };
    paint(g, view, this.data, this.dots, this.marks, this.outline);
  }
}
