// heatmap.tsx - how a histogram's observations lie over time: columns are times, rows buckets, darker
// is more. Drawn on a canvas; the cell under the pointer is told. The numbers themselves are to be had
// as the panel's table and its CSV, of the latest instant and of all times.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Unit, valueText } from "../base/format";
import { isDark } from "../base/store";
import { timeParts, timeText, utc } from "../base/time";
import type { Heat } from "./query";

const HEIGHT = 300;
const LEFT = 64;
const BOTTOM = 22;

// From the card's colour to the main one and beyond: few are seen, many stand out.
function shade(share: number, dark: boolean): string {
  const s = Math.sqrt(share);
  return dark ? `hsl(${220 - 170 * s} 75% ${14 + 54 * s}%)` : `hsl(${220 + 60 * s} 70% ${94 - 62 * s}%)`;
}

export function Heatmap({ heat, unit, label }: { heat: Heat; unit: Unit; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState<{ t: number; b: number; x: number }>();
  useEffect(() => {
    const watch = new ResizeObserver(() => setWidth(box.current!.clientWidth));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  const columns = heat.times.length;
  const rows = heat.bounds.length;
  useEffect(() => {
    if (!width) return;
    const c = canvas.current!;
    c.width = width * devicePixelRatio;
    c.height = HEIGHT * devicePixelRatio;
    const g = c.getContext("2d")!;
    g.scale(devicePixelRatio, devicePixelRatio);
    let most = 0;
    for (const row of heat.cells) for (const v of row) if (v !== null && v > most) most = v;
    const w = (width - LEFT) / columns;
    const h = (HEIGHT - BOTTOM) / rows;
    heat.cells.forEach((row, b) => row.forEach((v, t) => {
      if (!v || !most) return;
      g.fillStyle = shade(v / most, isDark.value);
      g.fillRect(LEFT + t * w, HEIGHT - BOTTOM - (b + 1) * h, Math.ceil(w), Math.max(1, h - (h > 6 ? 1 : 0)));
    }));
    g.fillStyle = getComputedStyle(c).color;
    g.font = "11px system-ui";
    g.textAlign = "right";
    const every = Math.ceil(rows / 14);
    heat.bounds.forEach((bound, b) => {
      if (b % every === 0) g.fillText(bound === "+Inf" ? "+Inf" : valueText(Number(bound), unit), LEFT - 6, HEIGHT - BOTTOM - b * h - h / 2 + 4);
    });
    g.textAlign = "center";
    for (let i = 1; i < 6; i++) {
      const t = Math.floor((columns * i) / 6);
      g.fillText(timeParts(heat.times[t]! * 1000).time.slice(0, 5), LEFT + (t + 0.5) * w, HEIGHT - 6);
    }
  }, [heat, width, isDark.value, utc.value]);
  const point = (e: PointerEvent) => {
    const r = canvas.current!.getBoundingClientRect();
    const t = Math.floor(((e.clientX - r.left - LEFT) / (width - LEFT)) * columns);
    const b = rows - 1 - Math.floor(((e.clientY - r.top) / (HEIGHT - BOTTOM)) * rows);
    setAt(t >= 0 && t < columns && b >= 0 && b < rows ? { t, b, x: e.clientX - r.left } : undefined);
  };
  return (
    <div class="plot heat" ref={box}>
      <canvas ref={canvas} role="img" aria-label={`${label}: heat map of ${rows} buckets`} onPointerMove={point} onPointerLeave={() => setAt(undefined)} />
      {at && (
        <div class="tip" style={at.x > width / 2 ? { right: `${width - at.x + 16}px`, top: "14px" } : { left: `${at.x + 16}px`, top: "14px" }}>
          <b>{timeText(heat.times[at.t]! * 1000)}</b>
          <div><span class="tip-name">{at.b ? `${heat.bounds[at.b - 1]} to ` : "up to "}{heat.bounds[at.b]}</span><span>{valueText(heat.cells[at.b]![at.t])}</span></div>
        </div>
      )}
    </div>
  );
}
