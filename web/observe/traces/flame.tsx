// flame.tsx - where the time went, by what called what: spans with the same operations above them are
// one box, as wide as the time that it and all below it took themselves. On a canvas: a trace may have
// as many boxes as spans. The arrows go from box to box, Enter zooms, Escape goes back.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { plural } from "../base/format";
import { isDark } from "../base/store";
import { colorsOf, nsText, shareText } from "./look";
import type { Trace } from "./model";
import { flameOf, type Place, placesOf } from "./places";

const ROW = 22;
const THIN = 0.7; // px; thinner boxes are not drawn
const ROWS_MAX = 600; // a canvas has its limits; deeper is reached by zooming

interface Drawn { i: number; x: number; y: number; w: number }

export function Flame({ t, onSpan }: { t: Trace; onSpan: (i: number) => void }) {
  const { places, flame, first } = useMemo(() => {
    const spans: Int32Array[] = [];
    const made = placesOf([t], spans);
    return { places: made, flame: flameOf(made), first: spans[0] };
  }, [t]);
  const colors = useMemo(() => colorsOf(t.services), [t, isDark.value]);
  const canvas = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [root, setRoot] = useState(-1);
  const [at, setAt] = useState(0);
  const [text, setText] = useState("");
  const drawn = useRef<Drawn[]>([]);
  useEffect(() => {
    const watch = new ResizeObserver(() => setWidth(Math.floor(box.current?.clientWidth ?? 0)));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  const top = root < 0 ? 0 : places[root].depth;
  const rows = Math.min(ROWS_MAX, flame.depthMax - top + 1);
  const needle = text.trim().toLowerCase();
  const found = useMemo(() => {
    if (!needle) return undefined;
    return new Set(places.flatMap((p, i) => (`${p.service} ${p.name}`.toLowerCase().includes(needle) ? [i] : [])));
  }, [places, needle]);

  useEffect(() => {
    if (!width) return;
    const c = canvas.current!;
    const scale = devicePixelRatio || 1;
    c.width = width * scale;
    c.height = rows * ROW * scale;
    const g = c.getContext("2d")!;
    g.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const [ink, edge] = ["--text", "--main"].map((n) => style.getPropertyValue(n));
    const x0 = root < 0 ? 0 : flame.x[root];
    const full = root < 0 ? 1 : flame.width[root];
    g.font = "12px system-ui, sans-serif";
    g.textBaseline = "middle";
    drawn.current = [];
    places.forEach((p, i) => {
      const row = p.depth - top;
      const a = ((flame.x[i] - x0) / full) * width;
      const w = (flame.width[i] / full) * width;
      const above = root >= 0 && p.depth < top;
      if (above || row >= ROWS_MAX || a + w < 0 || a > width - 0.01 || w < THIN) return;
      const left = Math.max(0, a);
      const wide = Math.min(width, a + w) - left;
      drawn.current.push({ i, x: left, y: row * ROW, w: wide });
      g.globalAlpha = found && !found.has(i) ? 0.12 : 0.3;
      g.fillStyle = colors.get(p.service)!;
      g.fillRect(left, row * ROW, Math.max(wide - 1, 0.5), ROW - 1);
      g.globalAlpha = found && !found.has(i) ? 0.3 : 1;
      g.fillRect(left, row * ROW, Math.min(3, wide), ROW - 1);
      if (wide > 40) label(g, p, left + 7, row * ROW + ROW / 2, wide - 10, ink);
      g.globalAlpha = 1;
      if (i === at) {
        g.strokeStyle = edge;
        g.lineWidth = 2;
        g.strokeRect(left + 1, row * ROW + 1, Math.max(1, wide - 3), ROW - 3);
      }
    });
  }, [width, root, at, found, places, isDark.value]);

  const under = (e: MouseEvent): number => {
    const r = canvas.current!.getBoundingClientRect();
    const x = e.clientX - r.left;
    const y = e.clientY - r.top;
    return drawn.current.find((d) => x >= d.x && x < d.x + d.w && y >= d.y && y < d.y + ROW)?.i ?? -1;
  };
  const near = (test: (p: Place, i: number) => boolean, down = false): number => {
    if (down) {
      for (let i = places.length - 1; i >= 0; i--) if (test(places[i], i)) return i;
      return -1;
    }
    return places.findIndex(test);
  };
  const keys = (e: KeyboardEvent) => {
    const p = places[at];
    let to = -1;
    if (e.key === "ArrowDown") to = near((x) => x.parent === at);
    else if (e.key === "ArrowUp") to = p.parent;
    else if (e.key === "ArrowRight") to = near((x, i) => i > at && x.depth === p.depth);
    else if (e.key === "ArrowLeft") to = near((x, i) => i < at && x.depth === p.depth, true);
    else if (e.key === "Enter" || e.key === " ") setRoot(at === root ? -1 : at);
    else if (e.key === "Escape") setRoot(-1);
    else return;
    e.preventDefault();
    if (to >= 0) setAt(to);
  };
  const p = places[at];
  const tally = p?.of[0];
  return (
    <section class="card" aria-label="Flame graph">
      <div class="bar">
        <input class="filter" type="search" value={text} placeholder="Highlight operations" aria-label="Highlight operations" spellcheck={false} onInput={(e) => setText(e.currentTarget.value)} />
        {found && <span class="dim small" role="status">{plural(found.size, "match", "matches")}</span>}
        {root >= 0 && <button type="button" onClick={() => setRoot(-1)}>Whole trace</button>}
        <span class="dim small end">Width: time of its own and below. Click or Enter zooms.</span>
      </div>
      {p && (
        <p class="flame-line" role="status">
          <b style={{ "--service": colors.get(p.service) }}>{p.service}</b> {p.name} · {plural(tally!.spans, "span")} · {nsText(tally!.total)} in all, {nsText(tally!.self)} itself · {shareText(flame.width[at])}
          {tally!.errors > 0 && <span class="bad-text"> ◆ {plural(tally!.errors, "error")}</span>} <button type="button" class="quiet" onClick={() => onSpan(first[at])}>Show its first span</button>
        </p>
      )}
      <div class="flame" ref={box} tabIndex={0} role="img" aria-label={`Flame graph of ${plural(places.length, "place")}; the tab Operations has the numbers. Arrows move, Enter zooms.`} onKeyDown={keys}>
        <canvas ref={canvas} style={{ height: `${rows * ROW}px` }} aria-hidden="true"
          onPointerMove={(e) => { const i = under(e); if (i >= 0 && i !== at) setAt(i); }} onClick={(e) => { const i = under(e); if (i >= 0) setRoot(i === root ? -1 : i); }} />
      </div>
    </section>
  );
}

function label(g: CanvasRenderingContext2D, p: Place, x: number, y: number, room: number, ink: string): void {
  const most = Math.floor(room / 6.2);
  const text = `${p.service}: ${p.name}`;
  g.fillStyle = ink;
  g.fillText(text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text, x, y, room);
}
