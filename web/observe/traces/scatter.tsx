// scatter.tsx - traces found, as points: when they began and how long they took. Two paths, however
// many: discs, and diamonds for those with an error. The list below is its text.
import { useEffect, useRef, useState } from "preact/hooks";
import { valueText } from "../base/format";
import { go } from "../base/route";
import { setRangeMs, timeParts, timeText } from "../base/time";
import { type Found, traceHref } from "./api";

const HEIGHT = 150;
const LEFT = 62;
const BOTTOM = 20;
const NEAR = 14; // px

export function Scatter({ found, start, end }: { found: Found[]; start: number; end: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(800);
  const [near, setNear] = useState<number>();
  const [drag, setDrag] = useState<[number, number]>();
  useEffect(() => {
    const watch = new ResizeObserver(() => setWidth(box.current?.clientWidth ?? 800));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  // Durations differ by powers of ten: the axis is logarithmic.
  const durations = found.map((f) => Math.max(f.duration, 1e-7));
  const lo = Math.floor(Math.log10(Math.min(...durations, 1)) * 2) / 2;
  const hi = Math.max(lo + 1, Math.ceil(Math.log10(Math.max(...durations, 1e-6)) * 2) / 2);
  const x = (ms: number): number => LEFT + ((ms - start) / (end - start)) * (width - LEFT - 10);
  const y = (s: number): number => 8 + (1 - (Math.log10(Math.max(s, 1e-7)) - lo) / (hi - lo)) * (HEIGHT - BOTTOM - 14);
  const at = found.map((f) => [Math.max(LEFT, Math.min(width - 8, x(f.start))), y(f.duration)] as const);
  let discs = "";
  let diamonds = "";
  at.forEach(([px, py], i) => {
    if (found[i].errors) diamonds += `M${px.toFixed(1)} ${(py - 5.5).toFixed(1)}l5.5 5.5l-5.5 5.5l-5.5 -5.5z`;
    else discs += `M${(px - 4).toFixed(1)} ${py.toFixed(1)}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0`;
  });
  const ticksY = Array.from({ length: Math.floor(hi) - Math.ceil(lo) + 1 }, (_, i) => Math.ceil(lo) + i);
  const ticksX = Array.from({ length: width > 600 ? 6 : 3 }, (_, i, all = width > 600 ? 5 : 2) => start + ((end - start) * i) / all);
  const local = (e: MouseEvent): [number, number] => {
    const r = box.current!.getBoundingClientRect();
    return [e.clientX - r.left, e.clientY - r.top];
  };
  const nearest = ([px, py]: [number, number]): number | undefined => {
    let best = NEAR * NEAR;
    let which: number | undefined;
    at.forEach(([ax, ay], i) => {
      const far = (ax - px) ** 2 + (ay - py) ** 2;
      if (far < best) {
        best = far;
        which = i;
      }
    });
    return which;
  };
  const move = (e: PointerEvent) => (drag ? setDrag([drag[0], local(e)[0]]) : setNear(nearest(local(e))));
  const up = (e: PointerEvent) => {
    const [a, b] = drag ? [drag[0], local(e)[0]].sort((p, q) => p - q) : [0, 0];
    const which = nearest(local(e));
    setDrag(undefined);
    const when = (px: number): number => start + ((px - LEFT) / (width - LEFT - 10)) * (end - start);
    if (b - a > 6) setRangeMs(when(a), when(b));
    else if (which !== undefined) go(traceHref(found[which]));
  };
  const tip = near === undefined ? undefined : found[near];
  return (
    <div class="scatter" ref={box} onPointerMove={move} onPointerLeave={() => { setNear(undefined); setDrag(undefined); }}
      onPointerDown={(e) => e.button === 0 && setDrag([local(e)[0], local(e)[0]])} onPointerUp={up}>
      <svg width={width} height={HEIGHT} role="img" aria-label={`Duration of ${found.length} traces over time; the list below has them`}>
        {ticksY.map((p) => <g key={p}><line class="grid" x1={LEFT} x2={width - 8} y1={y(10 ** p)} y2={y(10 ** p)} /><text x={LEFT - 8} y={y(10 ** p) + 4} text-anchor="end">{valueText(10 ** p, "s")}</text></g>)}
        {ticksX.map((ms, i) => <text key={i} x={x(ms)} y={HEIGHT - 4} text-anchor={i ? (i === ticksX.length - 1 ? "end" : "middle") : "start"}>{timeParts(ms).time.slice(0, end - start < 600e3 ? 8 : 5)}</text>)}
        <path class="ok" d={discs} />
        <path class="failed" d={diamonds} />
        {near !== undefined && <circle class="near" cx={at[near][0]} cy={at[near][1]} r="8" />}
        {drag && Math.abs(drag[1] - drag[0]) > 6 && <rect class="drag" x={Math.min(...drag)} width={Math.abs(drag[1] - drag[0])} y="4" height={HEIGHT - BOTTOM} />}
      </svg>
      {tip && (
        <div class="tip" style={{ top: "6px", ...(at[near!][0] > width / 2 ? { right: `${width - at[near!][0] + 14}px` } : { left: `${at[near!][0] + 14}px` }) }}>
          <b>{tip.service || "no root"}: {tip.name}</b>
          <div>{valueText(tip.duration, "s")} · {tip.spans} spans{tip.errors ? ` · ${tip.errors} errors` : ""}</div><div>{timeText(tip.start)}</div>
        </div>
      )}
    </div>
  );
}
