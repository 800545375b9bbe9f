// waterfall.tsx - the spans of a trace below each other, each where it stands in time. Only the rows
// that are seen are drawn; the keys work on the tree as a whole.
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { plural } from "../base/format";
import { colorsOf, nsText } from "./look";
import type { Span2 } from "./minimap";
import { CYCLE, type Detail, durationOf, EARLY, ERROR, HAS_EVENTS, HAS_LINKS, KINDS, MISSING, nameOf, NEGATIVE, serviceOf, type Trace, TWICE } from "./model";
import type { Path } from "./path";
import { Rows, type RowsHandle } from "./rows";

const ROW = 24;
const INDENT = 12;
const INDENTS_MAX = 16; // deeper ones say how deep they are
const STRETCHES_MAX = 60; // of the critical path on one bar
const TOOK_PX = 62; // a duration beside its bar
const TICKS = [0, 0.25, 0.5, 0.75, 1];

const WARN: [number, string][] = [
  [MISSING, "Its parent is not in the trace."], [TWICE, "Another span has the same id."], [CYCLE, "It is its own ancestor; it was cut off there."],
  [NEGATIVE, "It ends before it begins."], [EARLY, "It begins before its parent: the clocks differ."],
];
export const warningsOf = (t: Trace, i: number): string[] => WARN.filter(([flag]) => t.flags[i] & flag).map(([, text]) => text);
const WARNED = MISSING | TWICE | CYCLE | NEGATIVE | EARLY;

export interface WaterfallProps {
  t: Trace;
  path: Path;
  rows: Int32Array;
  kept: Uint8Array | null;
  folded: Uint8Array;
  window: Span2;
  cursor: number; // span
  hits: ReadonlySet<number>;
  handle: RefObject<WaterfallHandle | null>;
  onFold: (span: number, fold: boolean) => void;
  onCursor: (span: number) => void;
  onOpen: (span: number) => void;
  onWindow: (w: Span2 | null) => void;
}

export interface WaterfallHandle { show: (span: number, middle?: boolean) => void; step: (by: number) => void; focus: () => void }

// The row of a span, or of the one above it that is shown.
export function rowOf(rows: Int32Array, span: number): number {
  let lo = 0;
  let hi = rows.length - 1;
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (rows[mid] <= span) lo = mid;
    else hi = mid - 1;
  }
  return lo;
}

// Events of spans that are drawn, read once.
function useDetails(t: Trace): (i: number) => Detail {
  const held = useRef(new Map<number, Detail>());
  useEffect(() => held.current.clear(), [t]);
  return (i) => {
    let d = held.current.get(i);
    if (!d) {
      if (held.current.size > 500) held.current.clear();
      held.current.set(i, (d = t.source.detail(t.from[i], t.base)));
    }
    return d;
  };
}

export function Waterfall(p: WaterfallProps) {
  const { t, rows, cursor } = p;
  const colors = useMemo(() => colorsOf(t.services), [t]);
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<RowsHandle>(null);
  const detail = useDetails(t);
  const [names, setNames] = useState(() => (globalThis.innerWidth < 700 ? 46 : 38)); // percent
  const live = useRef(p);
  live.current = p;
  useEffect(() => {
    const go = (row: number) => {
      const now = live.current;
      const to = Math.max(0, Math.min(now.rows.length - 1, row));
      if (now.rows.length) now.onCursor(now.rows[to]);
      list.current?.show(to);
    };
    p.handle.current = {
      show: (span, middle) => list.current?.show(rowOf(live.current.rows, span), middle),
      step: (by) => go(rowOf(live.current.rows, live.current.cursor) + by),
      focus: () => box.current?.querySelector<HTMLElement>(".rows-box")?.focus({ preventScroll: true }),
    };
  }, []);
  const keys = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target !== e.currentTarget) return;
    const step = p.handle.current!.step;
    const leaf = t.size[cursor] === 1;
    switch (e.key) {
      case "ArrowDown": step(1); break;
      case "ArrowUp": step(-1); break;
      case "PageDown": step(list.current?.page() ?? 10); break;
      case "PageUp": step(-(list.current?.page() ?? 10)); break;
      case "Home": step(-t.count); break;
      case "End": step(t.count); break;
      case "ArrowLeft":
        if (!leaf && !p.folded[cursor]) p.onFold(cursor, true);
        else if (t.parent[cursor] >= 0) {
          p.onCursor(t.parent[cursor]);
          p.handle.current!.show(t.parent[cursor]);
        }
        break;
      case "ArrowRight":
        if (!leaf && p.folded[cursor]) p.onFold(cursor, false);
        else if (!leaf) step(1);
        break;
      case "Enter": p.onOpen(cursor); break;
      default: return;
    }
    e.preventDefault();
  };
  const click = (e: MouseEvent) => {
    const at = (e.target as Element).closest<HTMLElement>("[data-span]");
    if (!at) return;
    const i = Number(at.dataset.span);
    if (!(e.target as Element).closest(".twist") || t.size[i] === 1) return p.onOpen(i);
    p.onCursor(i);
    p.onFold(i, !p.folded[i]);
    p.handle.current!.focus();
  };
  const wheel = (e: WheelEvent) => {
    if (!e.ctrlKey) return;
    e.preventDefault();
    const lane = box.current!.querySelector(".lane-head")!.getBoundingClientRect();
    const w = p.window;
    const at = w.from + Math.max(0, Math.min(1, (e.clientX - lane.left) / lane.width)) * (w.to - w.from);
    const by = e.deltaY < 0 ? 0.7 : 1 / 0.7;
    const from = Math.max(0, at - (at - w.from) * by);
    const to = Math.min(t.length, at + (w.to - at) * by);
    p.onWindow(from <= 0 && to >= t.length ? null : { from, to });
  };
  useEffect(() => {
    const b = box.current!;
    const on = (e: WheelEvent) => wheelRef.current(e);
    b.addEventListener("wheel", on, { passive: false });
    return () => b.removeEventListener("wheel", on);
  }, []);
  const wheelRef = useRef(wheel);
  wheelRef.current = wheel;
  const w = p.window;
  const split = (e: PointerEvent) => {
    const r = box.current!.getBoundingClientRect();
    if (e.buttons & 1) setNames(Math.max(12, Math.min(75, (100 * (e.clientX - r.left)) / r.width)));
  };
  return (
    <div class="waterfall" ref={box} style={{ "--names": `${names}%` }}>
      <div class="fall-head">
        <span class="names-head">Service and operation</span>
        <span class="splitter" role="separator" aria-orientation="vertical" aria-label="Width of the names" aria-valuenow={Math.round(names)} aria-valuemin={12} aria-valuemax={75} tabIndex={0}
          onPointerDown={(e) => e.currentTarget.setPointerCapture(e.pointerId)} onPointerMove={split}
          onKeyDown={(e) => { const by = e.key === "ArrowRight" ? 3 : e.key === "ArrowLeft" ? -3 : 0; if (by) { e.preventDefault(); setNames(Math.max(12, Math.min(75, names + by))); } }} />
        <span class="lane-head" aria-hidden="true">
          {TICKS.map((x) => <span key={x} style={x === 1 ? { right: "6px" } : { left: `${x * 100}%` }}>{nsText(w.from + x * (w.to - w.from))}</span>)}
        </span>
      </div>
      <Rows count={rows.length} height={ROW} handle={list} role="treegrid" tabIndex={0} aria-label="Spans" aria-rowcount={rows.length} aria-colcount={2}
        aria-activedescendant={rows.length ? `span-${cursor}` : undefined} onKeyDown={keys} onClick={click}>
        {(row, slot, place) => <SpanRow key={slot} p={p} i={rows[row]} row={row} place={place} color={colors.get(serviceOf(t, rows[row]))!} detail={detail} />}
      </Rows>
    </div>
  );
}

interface SpanRowProps { p: WaterfallProps; i: number; row: number; place: { top: string }; color: string; detail: (i: number) => Detail }

// A row of which nothing changed is not looked at again.
function SpanRow(r: SpanRowProps) {
  const { p, i } = r;
  return useMemo(() => drawRow(r), [p.t, i, r.row, r.color, p.window.from, p.window.to, p.cursor === i, p.hits.has(i), p.kept?.[i], p.folded[i]]);
}

function drawRow({ p, i, row, place, color, detail }: SpanRowProps) {
  const { t, window: w } = p;
  const span = Math.max(w.to - w.from, 1e-9);
  const pos = (ns: number): number => Math.max(-1, Math.min(101, (100 * (ns - w.from)) / span));
  const a = pos(t.start[i]);
  const b = pos(t.end[i]);
  const failed = t.status[i] === ERROR;
  const deep = Math.min(t.depth[i], INDENTS_MAX);
  const parent = t.size[i] > 1;
  const folded = !!p.folded[i];
  const warned = t.flags[i] & WARNED;
  const kind = t.kind[i] > 1 ? KINDS[t.kind[i]] : "";
  const took = nsText(durationOf(t, i));
  const kinds = `${i === p.cursor ? " at" : ""}${p.hits.has(i) ? " hit" : ""}${p.kept && p.kept[i] === 1 ? " context" : ""}${failed ? " failed" : ""}`;
  const outside = b < 0 || a > 100;
  const label = b <= 78 ? { left: `max(2px, ${Math.max(b, 0)}%)` } : a > 22 ? { right: `${100 - a}%` } : { left: `min(${b}%, 100% - ${TOOK_PX}px)` };
  return (
    <div class={`span-row${kinds}`} id={`span-${i}`} role="row" aria-level={t.depth[i] + 1} aria-expanded={parent ? !folded : undefined} aria-rowindex={row + 1}
      aria-selected={i === p.cursor} style={place} data-span={i}>
      <div class="span-name" role="gridcell" style={{ paddingLeft: `${deep * INDENT}px`, "--rails": `${deep * INDENT}px` }}>
        {parent ? (
          <button type="button" class="twist" tabIndex={-1} aria-label={folded ? "Unfold" : "Fold"}>
            {folded ? "▸" : "▾"}
          </button>
        ) : <span class="twist" />}
        {t.depth[i] > INDENTS_MAX && <small class="dim">{t.depth[i]}·</small>}
        {failed && <span class="bad-text" role="img" aria-label="error">◆</span>}
        {warned > 0 && <span class="warn-text" role="img" aria-label="warning" title={warningsOf(t, i).join(" ")}>▲</span>}
        <b style={{ "--service": color }}>{serviceOf(t, i)}</b>
        <span class="op">{nameOf(t, i)}</span>
        {folded && <small class="dim">+{t.size[i] - 1}</small>}
      </div>
      <div class="span-lane" role="gridcell" aria-label={`${took}, from ${nsText(t.start[i])}${kind ? `, ${kind}` : ""}`}>
        {outside ? <span class="beyond" aria-hidden="true">{b < 0 ? "◂" : "▸"}</span> : (
          <span class="span-bar" style={{ left: `${a}%`, width: `max(2px, ${b - a}%)`, background: color }} />
        )}
        {!outside && stretches(p, i, pos)}
        {!outside && t.flags[i] & HAS_EVENTS ? detail(i).events.slice(0, 40).map((e, k) => <i key={k} class="event" style={{ left: `${pos(e.at)}%` }} title={`${e.name} at ${nsText(e.at)}`} />) : null}
        {!outside && <span class={b > 78 && a <= 22 ? "span-took within" : "span-took"} style={label}>{took}{t.flags[i] & HAS_LINKS ? " ↗" : ""}</span>}
      </div>
    </div>
  );
}

// Where the trace waited for this very span.
function stretches(p: WaterfallProps, i: number, pos: (ns: number) => number) {
  const { path } = p;
  const out = [];
  for (let k = path.first[i]; k < path.first[i + 1] && out.length < STRETCHES_MAX; k++) {
    const a = pos(path.from[path.by[k]]);
    const b = pos(path.to[path.by[k]]);
    if (b > 0 && a < 100) out.push(<i key={k} class="critical" style={{ left: `${a}%`, width: `max(1px, ${b - a}%)` }} />);
  }
  return out;
}

export const rowsText = (rows: Int32Array, t: Trace): string =>
  rows.length === t.count ? plural(t.count, "span") : `${rows.length} of ${plural(t.count, "span")} shown`;
