// plot.tsx - the stage that every drawing on axes stands on: axes by the frame, the drawing itself by a
// layer, the pointer, fingers and keys, the tooltip, the cursor shared with other charts.
//
// What happens while the pointer moves is bounded: at most once a frame the layer looks up what is
// nearest and draws it on a canvas above; the drawing below is not touched. Drawings of very many
// points are painted aside, a piece per frame, and shown when they are whole, so that a refresh neither
// blocks nor flickers. New data never rebuild the axes unless their kind has changed.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { isDark } from "../base/store";
import { type Axis, endsX, endsY, FONT, type Live, type Pen, penOf, shapeOf, valueAt } from "./plot_axes";
import { Frame } from "./plot_frame";
import { Marks, type MarkAt } from "./plot_marks";
import { type Tip, TipBox, type TipPlace } from "./plot_tip";

export interface Hit { at: number } // the value of the x axis that the cursor stands on

// Methods, so that each layer may know more of its hits.
export interface Layer {
  weight: number; // how many points there are to paint
  crosshair?: boolean;
  counts?: Record<string, number>; // work done for the pointer, for tests
  paint(pen: Pen): Iterable<void>; // each step a piece of the work
  hit(pen: Pen, x: number, y?: number): Hit | undefined; // device pixels; without y: of a shared cursor
  over(pen: Pen, hit: Hit | undefined, focus: number | undefined): void;
  step(pen: Pen, hit: Hit | undefined, dx: number, dy: number): { x: number; y: number } | undefined; // by keys
  tip(hit: Hit, pinned: boolean): Tip | undefined;
}

export interface Work { looks: number; paints: number; overs: number; builds: number }

export interface PlotProps {
  x: Axis;
  ys: Axis[];
  layer: Layer;
  label: string; // what a screen reader calls it
  onRange?: (from: number, to: number) => void; // a part of the time axis was chosen, ms
  onZoomOut?: () => void;
  group?: { key: string; tooltip: boolean };
  marks?: MarkAt[];
  focus?: number; // what the legend points at
  height?: number;
  children?: ComponentChildren;
}

const HEAVY = 300_000; // points; above it painting is cut into pieces
const PIECE_MS = 12;
const DRAG_PX = 4;
const LIVE_MS = 25; // a drawing that is painted so fast follows the fingers

// ---- charts that share a cursor

interface Peer { follow: (at: number | undefined, tooltip: boolean) => void }
const groups = new Map<string, Set<Peer>>();

function joinGroup(key: string, peer: Peer): () => void {
  const all = groups.get(key) ?? new Set();
  groups.set(key, all.add(peer));
  return () => {
    all.delete(peer);
    if (!all.size) groups.delete(key);
  };
}

interface Drag { x: number; y: number; shift: boolean; now: { x: number; y: number }; on: boolean }

// All that lives between two renders; one per drawing.
class Stage {
  u?: Frame;
  live: Live;
  props: PlotProps;
  pen?: Pen;
  hit?: Hit;
  drag?: Drag;
  anchor?: Hit; // a range begun by keys
  pinned = false;
  work: Work = { looks: 0, paints: 0, overs: 0, builds: 0 };
  private frame = 0;
  private pointer?: { x: number; y: number };
  private fingers = new Map<number, { x: number; y: number }>();
  private grip?: { view: [number, number]; from: number; to: number };
  private painted?: { key: string; range: string; layer: Layer; canvas: HTMLCanvasElement };
  private job?: { layer: Layer; range: string };
  private paintMs = 0;

  constructor(props: PlotProps, readonly box: HTMLElement, readonly above: HTMLCanvasElement, readonly show: (t: Shown | undefined) => void, readonly drawn: () => void) {
    this.props = props;
    this.live = { x: props.x, ys: props.ys };
    (box as HTMLElement & { work?: Work }).work = this.work;
  }

  build(width: number, height: number): void {
    this.u?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colors = { dim: style.getPropertyValue("--dim").trim(), line: style.getPropertyValue("--grid").trim() || style.getPropertyValue("--line").trim() };
    this.u = new Frame(this.box, width, height, () => this.live, colors, () => this.draw());
    this.work.builds++;
    this.above.style.color = colors.dim;
  }

  update(props: PlotProps): void {
    const moved = props.x !== this.props.x;
    this.props = props;
    this.live.x = props.x;
    this.live.ys = props.ys;
    if (moved && !this.grip) this.live.view = undefined;
    this.redraw();
  }

  redraw(): void {
    this.u?.redraw();
  }

  resize(width: number, height: number): void {
    if (this.u && (this.u.width !== width || this.u.height !== height)) this.u.resize(width, height);
  }

  // ---- painting

  private draw(): void {
    const u = this.u!;
    const pen = (this.pen = penOf(u, this.live, isDark.value));
    const { layer } = this.props;
    const { g } = pen;
    this.work.paints++;
    if (this.above.width !== g.canvas.width || this.above.height !== g.canvas.height) {
      this.above.width = g.canvas.width;
      this.above.height = g.canvas.height;
      this.above.style.width = `${u.width}px`;
      this.above.style.height = `${u.height}px`;
    }
    if (layer.weight > HEAVY) this.drawHeavy(pen);
    else {
      const begin = performance.now();
      for (const _ of clipped(pen, layer)) void _;
      this.paintMs = performance.now() - begin;
      this.box.dataset.drawn = "yes";
    }
    this.follow();
    this.drawn();
  }

  private drawHeavy(pen: Pen): void {
    const { layer } = this.props;
    const range = JSON.stringify([endsX(this.live), this.live.ys.map((_, i) => endsY(this.live, i)), pen.left, pen.top, pen.width, pen.height]);
    const old = this.painted;
    if (old && old.range === range) pen.g.drawImage(old.canvas, 0, 0);
    if (old && old.range === range && old.layer === layer) return;
    if (this.job?.layer === layer && this.job.range === range) return;
    this.box.dataset.drawn = "no";
    const canvas = document.createElement("canvas");
    canvas.width = pen.g.canvas.width;
    canvas.height = pen.g.canvas.height;
    const job = (this.job = { layer, range });
    const first = old?.range !== range;
    const begin = performance.now();
    const steps = clipped({ ...pen, g: canvas.getContext("2d")! }, layer)[Symbol.iterator]();
    const piece = () => {
      if (this.job !== job || !this.u) return;
      const until = performance.now() + PIECE_MS;
      while (performance.now() < until)
        if (steps.next().done) {
          this.paintMs = performance.now() - begin;
          this.job = undefined;
          this.painted = { key: range, range, layer, canvas };
          this.box.dataset.drawn = "yes";
          this.u.redraw();
          return;
        }
      // What was never seen appears as it grows; what replaces a drawing waits until it is whole.
      if (first) this.u.g.drawImage(canvas, 0, 0);
      requestAnimationFrame(piece);
    };
    piece();
  }

  // ---- the cursor

  over(): void {
    const { pen } = this;
    if (!pen) return;
    const g = this.above.getContext("2d")!;
    const on: Pen = { ...pen, g };
    this.work.overs++;
    g.clearRect(0, 0, this.above.width, this.above.height);
    g.save();
    g.beginPath();
    g.rect(pen.left, pen.top - 4 * pen.ratio, pen.width, pen.height + 8 * pen.ratio);
    g.clip();
    if (this.hit && this.props.layer.crosshair !== false) {
      const x = Math.round(pen.x(this.hit.at)) + 0.5;
      g.strokeStyle = this.above.style.color;
      g.lineWidth = pen.ratio;
      g.setLineDash([4 * pen.ratio, 3 * pen.ratio]);
      g.beginPath();
      g.moveTo(x, pen.top);
      g.lineTo(x, pen.top + pen.height);
      g.stroke();
      g.setLineDash([]);
    }
    this.props.layer.over(on, this.hit, this.props.focus);
    this.drawChosen(on);
    g.restore();
  }

  private drawChosen(pen: Pen): void {
    const { g, left, top, width, height } = pen;
    let rect: [number, number, number, number] | undefined;
    const d = this.drag;
    if (d?.on) rect = d.shift ? [left, Math.min(d.y, d.now.y), width, Math.abs(d.y - d.now.y)] : [Math.min(d.x, d.now.x), top, Math.abs(d.x - d.now.x), height];
    else if (this.anchor && this.hit) {
      const [a, b] = [pen.x(this.anchor.at), pen.x(this.hit.at)];
      rect = [Math.min(a, b), top, Math.abs(a - b), height];
    }
    if (!rect) return;
    g.fillStyle = g.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--main");
    g.globalAlpha = 0.2;
    g.fillRect(...rect);
    g.globalAlpha = 0.8;
    g.strokeRect(...rect);
    g.globalAlpha = 1;
  }

  private spot(e: { clientX: number; clientY: number }): { x: number; y: number } {
    const r = this.u!.root.getBoundingClientRect();
    const ratio = this.pen?.ratio ?? 1;
    return { x: (e.clientX - r.left) * ratio, y: (e.clientY - r.top) * ratio };
  }

  private within(p: { x: number; y: number }): boolean {
    const { pen } = this;
    return !!pen && p.x >= pen.left - 2 && p.x <= pen.left + pen.width + 2 && p.y >= pen.top - 2 && p.y <= pen.top + pen.height + 2;
  }

  // At most once a frame, however many events there are.
  private later(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.pointer || !this.pen || !this.u) return;
      this.look(this.pointer);
    });
  }

  // Looks up what is at a place of the canvas, shows it, and tells the others.
  look(p: { x: number; y: number } | undefined, tell = true): void {
    const { pen } = this;
    if (!pen || !this.u) return;
    this.work.looks++;
    this.hit = p ? this.props.layer.hit(pen, p.x, p.y) : undefined;
    if (this.props.layer.counts) Object.assign(this.work, this.props.layer.counts);
    this.over();
    this.say(p);
    if (tell) this.tell(this.hit?.at);
  }

  private tell(at: number | undefined): void {
    const { group } = this.props;
    if (!group || this.live.x.kind !== "time") return;
    for (const peer of groups.get(group.key) ?? []) if (peer !== this.peer) peer.follow(at, group.tooltip);
  }

  private say(p: { x: number; y: number } | undefined): void {
    const tip = this.hit && !this.drag?.on ? this.props.layer.tip(this.hit, this.pinned) : undefined;
    if (!tip || !p || !this.pen) return this.show(undefined);
    const r = this.u!.root.getBoundingClientRect();
    this.show({ tip, pinned: this.pinned, at: { x: r.left + p.x / this.pen.ratio, y: r.top + p.y / this.pen.ratio } });
  }

  readonly peer: Peer = {
    follow: (at, tooltip) => {
      const { pen } = this;
      if (!pen || !this.u || this.pinned) return;
      const r = this.box.getBoundingClientRect();
      if (r.bottom < 0 || r.top > innerHeight) return;
      const x = at === undefined ? undefined : pen.x(at);
      this.hit = x === undefined || x < pen.left || x > pen.left + pen.width ? undefined : this.props.layer.hit(pen, x);
      this.over();
      if (tooltip && this.hit) this.say({ x: pen.x(this.hit.at), y: pen.top });
      else this.show(undefined);
    },
  };

  // After new data or another size: what the pointer is at may be something else now.
  private follow(): void {
    if (this.hit && this.pointer) this.look(this.pointer, false);
    else if (this.hit && this.pen) {
      this.hit = this.props.layer.hit(this.pen, this.pen.x(this.hit.at)) ?? undefined;
      this.over();
    } else this.over();
  }

  clear(tell = true): void {
    this.pointer = undefined;
    this.pinned = false;
    this.anchor = undefined;
    this.drag = undefined;
    this.look(undefined, tell);
  }

  // ---- pointers

  down(e: PointerEvent): void {
    const p = this.spot(e);
    if (!this.within(p)) return;
    if (e.pointerType === "touch") return this.touch(e, p);
    if (e.button) return;
    this.drag = { ...p, shift: e.shiftKey, now: p, on: false };
    this.box.setPointerCapture?.(e.pointerId);
  }

  move(e: PointerEvent): void {
    if (e.pointerType === "touch") return this.slide(e);
    const p = this.spot(e);
    if (this.drag) {
      this.drag.now = p;
      const far = this.drag.shift ? Math.abs(p.y - this.drag.y) : Math.abs(p.x - this.drag.x);
      if (far > DRAG_PX * this.pen!.ratio && (this.props.onRange || this.live.x.kind !== "names")) this.drag.on = true;
    }
    if (this.pinned && !this.drag?.on) return;
    if (!this.within(p) && !this.drag) {
      if (this.hit) this.clear();
      return;
    }
    this.pointer = p;
    this.later();
  }

  up(e: PointerEvent): void {
    if (e.pointerType === "touch") return this.lift(e);
    const d = this.drag;
    this.drag = undefined;
    if (!d) return;
    if (d.on) this.choose(d);
    else {
      this.pinned = !this.pinned && !!this.hit;
      this.pointer = d.now;
      this.look(d.now);
    }
  }

  leave(): void {
    if (!this.pinned && !this.drag) this.clear();
  }

  private valueX(x: number): number {
    const pen = this.pen!;
    return valueAt(this.live.x, endsX(this.live), Math.max(0, Math.min(1, (x - pen.left) / pen.width)));
  }

  private choose(d: Drag): void {
    const pen = this.pen!;
    if (d.shift) {
      const [a, b] = [d.y, d.now.y].map((y) => Math.max(0, Math.min(1, 1 - (y - pen.top) / pen.height))).sort((m, n) => m - n) as [number, number];
      const view = new Map<number, [number, number]>();
      this.live.ys.forEach((axis, i) => {
        const ends = endsY(this.live, i);
        if (axis.kind !== "names") view.set(i, [valueAt(axis, ends, axis.reverse ? 1 - a : a), valueAt(axis, ends, axis.reverse ? 1 - b : b)].sort((m, n) => m - n) as [number, number]);
      });
      this.live.yView = view;
      this.redraw();
    } else this.goTo(this.valueX(Math.min(d.x, d.now.x)), this.valueX(Math.max(d.x, d.now.x)));
    this.look(undefined);
  }

  private goTo(from: number, to: number): void {
    if (!(to > from)) return;
    if (this.live.x.kind === "time") this.props.onRange?.(from, to);
    else if (this.live.x.kind !== "names") {
      this.live.view = [from, to];
      this.redraw();
    }
  }

  double(): void {
    this.pinned = false;
    if (this.live.yView || (this.live.view && this.live.x.kind !== "time")) {
      this.live.yView = undefined;
      this.live.view = undefined;
      this.redraw();
    } else this.props.onZoomOut?.();
  }

  // ---- fingers: one moves along the time, two stretch it; up and down the page scrolls (touch-action)

  private touch(e: PointerEvent, p: { x: number; y: number }): void {
    this.fingers.set(e.pointerId, p);
    if (this.fingers.size > 2) return;
    const xs = [...this.fingers.values()].map((f) => f.x);
    this.grip = { view: endsX(this.live), from: Math.min(...xs), to: Math.max(...xs) };
    this.drag = undefined;
  }

  private slide(e: PointerEvent): void {
    const f = this.fingers.get(e.pointerId);
    if (!f || !this.grip || this.live.x.kind === "names" || (this.live.x.kind === "time" && !this.props.onRange)) return;
    const p = this.spot(e);
    if (!this.live.view && Math.abs(p.x - this.grip.from) < 2 * DRAG_PX && this.fingers.size === 1) return;
    this.fingers.set(e.pointerId, p);
    const xs = [...this.fingers.values()].map((q) => q.x);
    const pen = this.pen!;
    const { view: [lo, hi], from, to } = this.grip;
    const per = (hi - lo) / pen.width;
    // The values that lay under the fingers lie under them again.
    const scale = xs.length > 1 ? (to - from) / Math.max(20, Math.max(...xs) - Math.min(...xs)) : 1;
    const begin = lo + (from - pen.left) * per - (Math.min(...xs) - pen.left) * per * scale;
    this.live.view = [begin, begin + (hi - lo) * scale];
    if (this.paintMs < LIVE_MS) this.redraw();
  }

  private lift(e: PointerEvent): void {
    const f = this.fingers.get(e.pointerId);
    if (!this.fingers.delete(e.pointerId) || !f) return;
    const view = this.live.view;
    if (this.fingers.size) {
      this.grip = { view: endsX(this.live), from: [...this.fingers.values()][0]!.x, to: 0 };
      return;
    }
    const moved = this.grip && view && (view[0] !== this.grip.view[0] || view[1] !== this.grip.view[1]);
    this.grip = undefined;
    if (view && (moved || this.live.x.kind === "time")) {
      this.goTo(view[0], view[1]);
      return;
    }
    this.pinned = true;
    this.pointer = f;
    this.look(f);
  }

  cancel(e: PointerEvent): void {
    this.fingers.delete(e.pointerId);
    this.drag = undefined;
    if (this.grip && this.live.view && this.live.x.kind === "time") {
      this.live.view = undefined;
      this.redraw();
    }
    this.grip = undefined;
  }

  // ---- keys: arrows, Home and End move the cursor, Space begins a range, Enter takes it or pins

  key(e: KeyboardEvent): void {
    const { pen } = this;
    if (!pen || e.ctrlKey || e.metaKey || e.altKey) return;
    const far = e.shiftKey ? 10 : 1;
    const by = KEYS[e.key];
    if (by) {
      const p = this.props.layer.step(pen, this.hit, by[0] * far, by[1]);
      if (!p) return;
      this.pinned = false;
      this.pointer = p;
      this.look(p);
    } else if (e.key === " " && this.hit) this.anchor = this.hit;
    else if (e.key === "Enter" && this.anchor && this.hit) {
      const [a, b] = [this.anchor.at, this.hit.at].sort((m, n) => m - n) as [number, number];
      this.anchor = undefined;
      this.goTo(a, b);
      this.over();
    } else if (e.key === "Enter" && this.hit) {
      this.pinned = true;
      this.look(this.pointer);
    } else if (e.key === "Escape" && (this.hit || this.anchor)) {
      this.clear();
      e.stopPropagation();
    } else return;
    e.preventDefault();
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
    this.job = undefined;
    this.u?.destroy();
    this.u = undefined;
  }
}

const KEYS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1], Home: [-Infinity, 0], End: [Infinity, 0],
};

function* clipped(pen: Pen, layer: Layer): Iterable<void> {
  const { g } = pen;
  g.save();
  g.beginPath();
  g.rect(pen.left, pen.top, pen.width, pen.height);
  g.clip();
  g.font = FONT;
  yield* layer.paint(pen);
  g.restore();
}

interface Shown { tip: Tip; at: TipPlace; pinned: boolean }

export function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const stage = useRef<Stage | undefined>(undefined);
  const [shown, setShown] = useState<Shown>();
  const [, setDrawn] = useState(0);
  const [spoken, setSpoken] = useState("");
  const latest = useRef(props);
  latest.current = props;
  const shape = `${shapeOf(props.x, props.ys)}${isDark.value}`;

  useLayoutEffect(() => {
    const e = box.current!;
    const s = (stage.current = new Stage(latest.current, e, above.current!, setShown, () => { if (latest.current.marks?.length) setDrawn((n) => n + 1); }));
    const fit = () => {
      const { clientWidth: width, clientHeight: height } = e;
      if (width < 2 || height < 2) return;
      if (s.u) s.resize(width, height);
      else s.build(width, height);
    };
    const watch = new ResizeObserver(fit);
    watch.observe(e);
    const listen: [string, (ev: never) => void][] = [
      ["pointerdown", (ev: PointerEvent) => s.down(ev)], ["pointermove", (ev: PointerEvent) => s.move(ev)], ["pointerup", (ev: PointerEvent) => s.up(ev)],
      ["pointercancel", (ev: PointerEvent) => s.cancel(ev)], ["pointerleave", () => s.leave()], ["dblclick", () => s.double()],
    ];
    for (const [name, f] of listen) e.addEventListener(name, f as EventListener);
    return () => {
      watch.disconnect();
      for (const [name, f] of listen) e.removeEventListener(name, f as EventListener);
      s.destroy();
      stage.current = undefined;
    };
  }, [shape]);

  useLayoutEffect(() => stage.current?.update(props), [props.x, props.ys, props.layer]);
  useEffect(() => {
    const s = stage.current;
    if (s) {
      s.props = props;
      s.over();
    }
  }, [props.focus]);
  useEffect(() => (props.group && stage.current ? joinGroup(props.group.key, stage.current.peer) : undefined), [props.group?.key, shape]);
  const current = stage.current;
  if (current) current.props = props;

  const keys = (e: KeyboardEvent) => {
    stage.current?.key(e);
    const s = stage.current;
    const tip = s?.hit && s.props.layer.tip(s.hit, false);
    setSpoken(tip ? `${tip.title}: ${tip.rows.filter((r) => r.near || tip.rows.length < 4).map((r) => `${r.name} ${r.text}`).join(", ")}` : "");
  };
  return (
    <div class="plot-box" style={props.height ? { height: `${props.height}px` } : undefined}>
      <div class="plot" ref={box} role="img" tabIndex={0} aria-label={props.label} onKeyDown={keys}
        onBlur={() => { if (!stage.current?.pinned) stage.current?.clear(); setSpoken(""); }}>
        <canvas class="above" ref={above} />
      </div>
      {props.children}
      {!!props.marks?.length && current?.pen && <Marks marks={props.marks} pen={current.pen} />}
      {shown && <TipBox {...shown} onClose={() => { stage.current?.clear(); box.current?.focus(); }} />}
      <span class="unseen" role="status">{spoken}</span>
    </div>
  );
}
