// chart.tsx - lines over time. uPlot draws; what grows with the number of series is ours: the nearest
// line is found by our own search, the tooltip shows a few lines of thousands, the legend is a table
// that draws only what is seen, the line pointed at is drawn over the others. Cursors of all charts on
// a page go together. A refresh keeps the cursor, the hidden lines and the size.
import uPlot from "uplot";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Unit, valueText } from "../base/format";
import { isDark } from "../base/store";
import { setRangeMs, timeParts, timeText, utc, zoomOut } from "../base/time";
import { Table } from "./table";

export interface Line {
  name: string;
  values: (number | null)[];
  color?: string;
  dashed?: boolean;
}

export interface Mark { // an exemplar
  at: number; // seconds
  value: number;
  labels: Record<string, string>;
}

// Twelve hues of one lightness for each theme: at least 3:1 on the card.
const LIGHT = ["#2f5fd0", "#b45309", "#15803d", "#b91c5c", "#7c3aed", "#0e7490", "#a16207", "#be123c", "#4d7c0f", "#6d28d9", "#0369a1", "#9a3412"];
const DARK = ["#7aa5ff", "#f2a65a", "#5fd38d", "#ff85b3", "#b79bff", "#4fd0e3", "#e5c454", "#ff8a8a", "#a5d65a", "#d59bff", "#6cc3ff", "#ffb08a"];

export const colorOf = (i: number): string => (isDark.value ? DARK : LIGHT)[i % LIGHT.length]!;

const sync = uPlot.sync("time");
const HEIGHT = 300;
const TIP_MAX = 12;
export const POINTS_SHOWN_MAX = 60;

export interface ChartProps {
  times: number[]; // seconds
  lines: Line[];
  unit: Unit;
  stacked?: boolean;
  label: string;
  marks?: Mark[];
  height?: number;
}

// Each value with all below it added; a gap counts as nothing.
export function stack(lines: Line[], hidden: ReadonlySet<string>): (number | null)[][] {
  const sum = new Array<number>(lines[0]?.values.length ?? 0).fill(0);
  return lines.map((l) => hidden.has(l.name) ? l.values : l.values.map((v, i) => (v === null || !Number.isFinite(v) ? null : (sum[i]! += v))));
}

const finite = (v: number | null): number | null => (v !== null && Number.isFinite(v) ? v : null);

interface Tip { left: number; top: number; at: number; rows: { name: string; value: number; color: string; near: boolean }[]; more: number; mark?: Mark }

export function Chart({ times, lines, unit, stacked, label, marks, height = HEIGHT }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [tip, setTip] = useState<Tip>();
  const live = useRef({ times, lines, unit, marks, hidden, stacked });
  live.current = { times, lines, unit, marks, hidden, stacked };
  const data = (): uPlot.AlignedData => [times, ...(stacked ? stack(lines, hidden) : lines.map((l) => l.values.map(finite)))] as uPlot.AlignedData;
  const shape = `${lines.length} ${stacked} ${isDark.value} ${utc.value} ${unit} ${lines.map((l) => l.color ?? "").join()}`;

  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const dim = style.getPropertyValue("--dim");
    const grid = style.getPropertyValue("--line");
    const axis = { stroke: dim, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: "11px system-ui" };
    const few = times.length <= POINTS_SHOWN_MAX && lines.length <= 20;
    const u = new uPlot({
      width: box.current!.clientWidth, height, legend: { show: false }, padding: [10, 12, 0, 0],
      cursor: { sync: { key: sync.key, setSeries: false }, points: { show: false }, focus: { prox: -1 }, drag: { x: true, y: false, setScale: false } },
      tzDate: (s) => (utc.value ? uPlot.tzDate(new Date(s * 1000), "Etc/UTC") : new Date(s * 1000)),
      scales: { x: { time: true }, y: { range: (_u, lo, hi) => yRange(lo, hi, !!stacked) } },
      axes: [{ ...axis, values: (_u, at) => timeTicks(at) }, { ...axis, size: 68, values: (_u, at) => at.map((v) => valueText(v, unit)) }],
      series: [{}, ...lines.map((l, i): uPlot.Series => ({
        label: l.name, stroke: l.color ?? colorOf(i), width: 1.5, dash: l.dashed ? [6, 4] : undefined,
        fill: stacked ? `${l.color ?? colorOf(i)}40` : undefined, points: { show: few, size: 4 }, show: !hidden.has(l.name),
      }))],
      hooks: {
        setCursor: [(p) => setTip(tipAt(p, live.current))],
        setSelect: [(p) => {
          if (p.select.width < 4) return;
          setRangeMs(p.posToVal(p.select.left, "x") * 1000, p.posToVal(p.select.left + p.select.width, "x") * 1000);
          p.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        draw: [(p) => drawMarks(p, live.current.marks ?? [], dim)],
      },
    }, data(), box.current!);
    plot.current = u;
    u.over.addEventListener("dblclick", zoomOut);
    const resize = new ResizeObserver(() => {
      const width = box.current?.clientWidth ?? 0;
      if (width && width !== u.width) u.setSize({ width, height });
    });
    resize.observe(box.current!);
    return () => {
      resize.disconnect();
      u.destroy();
      plot.current = undefined;
    };
  }, [shape]);

  useEffect(() => {
    const u = plot.current;
    if (!u) return;
    lines.forEach((l, i) => { if (u.series[i + 1]!.show === hidden.has(l.name)) u.setSeries(i + 1, { show: !hidden.has(l.name) }, false); });
    const { left, top } = u.cursor;
    u.setData(data());
    if (left !== undefined && left >= 0) u.setCursor({ left, top: top ?? 0 }, false);
  }, [times, lines, hidden, marks]);

  // The cursor by keys: arrows along the time, Escape takes it away, Space and arrows choose a range.
  const anchor = useRef<number | undefined>(undefined);
  const keys = (e: KeyboardEvent) => {
    const u = plot.current;
    if (!u || !times.length) return;
    const by = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    const now = u.cursor.idx ?? times.length - 1;
    if (by) {
      const next = Math.max(0, Math.min(times.length - 1, now + by * (e.shiftKey ? 10 : 1)));
      u.setCursor({ left: u.valToPos(times[next]!, "x"), top: u.over.clientHeight / 3 });
      if (anchor.current !== undefined) {
        const a = u.valToPos(times[anchor.current]!, "x");
        const b = u.valToPos(times[next]!, "x");
        u.setSelect({ left: Math.min(a, b), top: 0, width: Math.abs(a - b), height: u.over.clientHeight }, false);
      }
    } else if (e.key === " ") anchor.current = now;
    else if (e.key === "Enter" && anchor.current !== undefined) {
      const [a, b] = [times[anchor.current]!, times[now]!].sort((x, y) => x - y);
      anchor.current = undefined;
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      if (a! < b!) setRangeMs(a! * 1000, b! * 1000);
    } else if (e.key === "Escape") {
      anchor.current = undefined;
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      u.setCursor({ left: -10, top: -10 });
    } else return;
    e.preventDefault();
  };

  // A click isolates a line and again brings all back; with Ctrl or Shift it toggles the one.
  const pick = (name: string, one: boolean) => setHidden((old) => {
    if (one) {
      const next = new Set(old);
      if (!next.delete(name)) next.add(name);
      return next;
    }
    const others = lines.filter((l) => l.name !== name).map((l) => l.name);
    const alone = !old.has(name) && others.every((n) => old.has(n));
    return alone ? new Set() : new Set(others);
  });

  return (
    <div class="chart">
      <div class="plot" ref={box} role="img" tabIndex={0} onKeyDown={keys}
        aria-label={`${label}: ${lines.length} lines. Arrow keys move the cursor; the table below has the values.`}>
        {tip && <TipBox tip={tip} unit={unit} width={box.current!.clientWidth} />}
      </div>
      <Legend lines={lines} unit={unit} hidden={hidden} onPick={pick} />
    </div>
  );
}

function yRange(lo: number | null, hi: number | null, fromZero: boolean): [number, number] {
  if (lo === null || hi === null || !Number.isFinite(lo) || !Number.isFinite(hi)) return [0, 1];
  if (lo === hi) return lo === 0 ? [0, 1] : [Math.min(0, lo), Math.max(0, hi) * 1.1];
  if (fromZero || (lo >= 0 && lo < hi * 0.5)) lo = Math.min(lo, 0);
  const room = (hi - lo) * 0.06;
  return [lo === 0 ? 0 : lo - room, hi + room];
}

function timeTicks(at: number[]): string[] {
  const step = at.length > 1 ? at[1]! - at[0]! : 60;
  let day = "";
  return at.map((s) => {
    const p = timeParts(s * 1000);
    const text = step >= 86400 ? p.date.slice(5) : step >= 60 ? p.time.slice(0, 5) : p.time;
    const fresh = p.date !== day && (day !== "" || step >= 3600);
    day = p.date;
    return step < 86400 && fresh ? `${text}\n${p.date.slice(5)}` : text;
  });
}

type Live = Pick<ChartProps, "times" | "lines" | "unit" | "marks" | "stacked"> & { hidden: ReadonlySet<string> };

// What is under the cursor: the nearest lines first, as many as fit.
function tipAt(u: uPlot, live: Live): Tip | undefined {
  const { left = -1, top = -1, idx } = u.cursor;
  if (left < 0 || idx === null || idx === undefined || idx >= live.times.length) return undefined;
  const y = u.posToVal(top, "y");
  const drawn = u.data;
  const rows: (Tip["rows"][number] & { far: number })[] = [];
  live.lines.forEach((l, i) => {
    const v = l.values[idx];
    if (v === null || v === undefined || live.hidden.has(l.name)) return;
    const shown = (drawn[i + 1]?.[idx] as number | null | undefined) ?? v;
    rows.push({ name: l.name, value: v, color: l.color ?? colorOf(i), near: false, far: top < 0 ? 0 : Math.abs(shown - y) });
  });
  rows.sort((a, b) => a.far - b.far);
  const some = rows.slice(0, TIP_MAX);
  if (some.length && top >= 0) some[0]!.near = true;
  some.sort((a, b) => b.value - a.value);
  const mark = live.marks?.find((m) => Math.abs(u.valToPos(m.at, "x") - left) < 8 && Math.abs(u.valToPos(m.value, "y") - top) < 8);
  return { left, top: Math.max(0, top), at: live.times[idx]!, rows: some, more: rows.length - some.length, mark };
}

function TipBox({ tip, unit, width }: { tip: Tip; unit: Unit; width: number }) {
  const leftSide = tip.left > width / 2;
  const at = leftSide ? { right: `${width - tip.left - 56}px` } : { left: `${tip.left + 88}px` };
  return (
    <div class="tip" style={{ ...at, top: "14px" }}>
      <b>{timeText(tip.at * 1000)}</b>
      {tip.mark && <div class="tip-mark">◆ exemplar {valueText(tip.mark.value, unit)} {Object.entries(tip.mark.labels).map(([k, v]) => `${k}=${v}`).join(" ")}</div>}
      {tip.rows.map((r) => (
        <div key={r.name} class={r.near ? "near" : ""}><i style={{ background: r.color }} /><span class="tip-name">{r.name}</span><span>{valueText(r.value, unit)}</span></div>
      ))}
      {tip.more > 0 && <div class="dim">and {tip.more} more</div>}
    </div>
  );
}

function drawMarks(u: uPlot, marks: Mark[], color: string): void {
  const c = u.ctx;
  const r = 4 * devicePixelRatio;
  c.save();
  c.fillStyle = color;
  for (const m of marks) {
    const x = u.valToPos(m.at, "x", true);
    const y = u.valToPos(m.value, "y", true);
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width || y < u.bbox.top || y > u.bbox.top + u.bbox.height) continue;
    c.beginPath();
    c.moveTo(x, y - r);
    c.lineTo(x + r, y);
    c.lineTo(x, y + r);
    c.lineTo(x - r, y);
    c.fill();
  }
  c.restore();
}

function last(values: (number | null)[]): number {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null) return values[i]!;
  return NaN;
}

interface LegendRow { line: Line; i: number; last: number; mean: number; max: number }

function Legend({ lines, unit, hidden, onPick }: { lines: Line[]; unit: Unit; hidden: ReadonlySet<string>; onPick: (name: string, one: boolean) => void }) {
  const rows = lines.map((line, i): LegendRow => {
    let sum = 0;
    let n = 0;
    let max = -Infinity;
    for (const v of line.values)
      if (v !== null && Number.isFinite(v)) {
        sum += v;
        n++;
        if (v > max) max = v;
      }
    return { line, i, last: last(line.values), mean: n ? sum / n : NaN, max: n ? max : NaN };
  });
  const number = (key: "last" | "mean" | "max", title: string) => ({
    key, title, right: true, value: (r: LegendRow) => r[key], cell: (r: LegendRow) => valueText(r[key], unit),
  });
  return (
    <div class="legend">
      <Table label="Legend" rows={rows} id={(r) => r.line.name} columns={[
        { key: "name", title: "Series", value: (r) => r.line.name, cell: (r) => (
          <button type="button" class="series" aria-pressed={!hidden.has(r.line.name)} title="Click: this one alone; Ctrl-click: on and off"
            onClick={(e) => onPick(r.line.name, e.ctrlKey || e.metaKey || e.shiftKey)}>
            <i style={{ background: r.line.color ?? colorOf(r.i) }} />{r.line.name}
          </button>
        ) },
        number("last", "Last"), number("mean", "Mean"), number("max", "Max"),
      ]} />
    </div>
  );
}

// A line without axes, as text of a number's course. Drawn once per change, no uPlot.
export function Spark({ values, color, label }: { values: (number | null)[]; color: string; label: string }) {
  const present = values.filter((v): v is number => v !== null && Number.isFinite(v));
  if (present.length < 2) return <span class="spark none" aria-hidden="true" />;
  const lo = Math.min(0, ...present);
  const hi = Math.max(...present, lo + 1e-12);
  let pen = "M";
  let path = "";
  values.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) {
      pen = "M";
      return;
    }
    path += `${pen}${((100 * i) / (values.length - 1)).toFixed(1)} ${(23 - (21 * (v - lo)) / (hi - lo)).toFixed(1)}`;
    pen = "L";
  });
  return <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={label}><path d={path} stroke={color} /></svg>;
}

