// minimap.tsx - the whole trace in a strip: every span a run of pixels in its service's colour. A drag
// chooses the time that is looked at; the same is done by keys (z, Z) and by the arrows here.
import { useEffect, useRef, useState } from "preact/hooks";
import { isDark } from "../base/store";
import { nsText } from "./look";
import type { Trace } from "./model";

const HEIGHT = 52;

export interface Span2 { from: number; to: number } // ns of the trace

const rgb = (hex: string): [number, number, number] => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)) as [number, number, number];

// Painted as pixels: 100,000 rectangles would take a canvas longer than a frame.
function paint(canvas: HTMLCanvasElement, t: Trace, colors: Map<string, string>, width: number): void {
  canvas.width = width;
  canvas.height = HEIGHT;
  const g = canvas.getContext("2d");
  if (!g || !t.count) return;
  const image = g.createImageData(width, HEIGHT);
  const px = new Uint32Array(image.data.buffer);
  const color = t.ops.map((o) => {
    const [r, gr, b] = rgb(colors.get(t.services[o.service]) ?? "#888888");
    return ((0xff << 24) | (b << 16) | (gr << 8) | r) >>> 0;
  });
  const scale = width / Math.max(t.length, 1);
  const tall = Math.max(1, Math.min(3, Math.floor(HEIGHT / t.count)));
  for (let i = 0; i < t.count; i++) {
    const y = Math.min(HEIGHT - 1, Math.floor((i * HEIGHT) / t.count));
    const a = Math.min(width - 1, Math.floor(t.start[i] * scale));
    const b = Math.max(a + 1, Math.min(width, Math.ceil(t.end[i] * scale)));
    for (let k = 0; k < tall && y + k < HEIGHT; k++) px.fill(color[t.op[i]], (y + k) * width + a, (y + k) * width + b);
  }
  g.putImageData(image, 0, 0);
}

export function Minimap({ t, colors, window: w, onWindow }: { t: Trace; colors: Map<string, string>; window: Span2; onWindow: (w: Span2 | null) => void }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [drag, setDrag] = useState<[number, number]>();
  useEffect(() => {
    const watch = new ResizeObserver(() => setWidth(Math.round(box.current?.clientWidth ?? 0)));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  useEffect(() => { if (width) paint(canvas.current!, t, colors, width); }, [t, width, isDark.value]);
  const share = (e: PointerEvent): number => {
    const r = box.current!.getBoundingClientRect();
    return Math.max(0, Math.min(1, (e.clientX - r.left) / r.width));
  };
  const up = () => {
    if (!drag) return;
    const [a, b] = [...drag].sort((x, y) => x - y);
    setDrag(undefined);
    onWindow((b - a) * width < 4 ? null : { from: a * t.length, to: b * t.length });
  };
  const keys = (e: KeyboardEvent) => {
    const span = w.to - w.from;
    const by = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (by) {
      const from = Math.max(0, Math.min(t.length - span, w.from + (by * span) / 4));
      onWindow({ from, to: from + span });
    } else if (e.key === "ArrowUp") onWindow({ from: w.from + span / 4, to: w.to - span / 4 });
    else if (e.key === "ArrowDown") onWindow({ from: Math.max(0, w.from - span / 2), to: Math.min(t.length, w.to + span / 2) });
    else if (e.key === "Escape") onWindow(null);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const shown = drag ? { from: Math.min(...drag), to: Math.max(...drag) } : { from: w.from / (t.length || 1), to: w.to / (t.length || 1) };
  const all = shown.from <= 0 && shown.to >= 1;
  return (
    <div class="minimap" ref={box} tabIndex={0} role="img" onKeyDown={keys}
      aria-label={`The whole trace; shown is ${nsText(w.from)} to ${nsText(w.to)}. Arrows left and right move, up and down narrow and widen.`}
      onPointerDown={(e) => { if (e.button === 0) { e.currentTarget.setPointerCapture(e.pointerId); setDrag([share(e), share(e)]); } }}
      onPointerMove={(e) => drag && setDrag([drag[0], share(e)])} onPointerUp={up}>
      <canvas ref={canvas} aria-hidden="true" />
      {!all && <i class="veil" style={{ left: 0, width: `${shown.from * 100}%` }} />}
      {!all && <i class="veil" style={{ right: 0, width: `${(1 - shown.to) * 100}%` }} />}
      {!all && <i class="frame" style={{ left: `${shown.from * 100}%`, width: `${Math.max(0.2, (shown.to - shown.from) * 100)}%` }} />}
    </div>
  );
}
