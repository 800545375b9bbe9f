// plot_legend.tsx - the names of what is drawn, as a list or a table of figures. Long ones draw only
// what is seen. A click shows the one alone and again brings all back; with Ctrl or Shift, or on the
// colour itself (there is no Ctrl on a phone), it turns the one on and off. One stop of the Tab key:
// inside, arrows move.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

export interface LegendItem { name: string; color: string; dashed?: boolean }
export interface LegendCell { text: string; number: number }

export interface LegendProps {
  items: LegendItem[];
  off: (i: number) => boolean;
  mode: "list" | "table";
  right?: boolean;
  width?: number;
  columns?: string[]; // headings of the figures
  cell?: (i: number, column: number) => LegendCell;
  sort?: { column: string; down: boolean }; // "Name" or one of the columns
  onSort?: (column: string, down: boolean) => void;
  onPick: (i: number, one: boolean) => void;
  onFocus?: (i: number | undefined) => void;
}

const ROW_PX = 24;
const BEYOND = 4;
const FLOW_MAX = 150; // names that flow like words; more are one per row
const SWATCH_PX = 22;
export const NAME_COLUMN = "Name";

export function Legend(p: LegendProps) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(200);
  const [active, setActive] = useState(0);
  const moved = useRef(false);
  const want = useRef(0); // keys may come faster than rows are drawn
  const table = p.mode === "table";
  const columns = p.columns ?? [];
  const flows = !table && !p.right && p.items.length <= FLOW_MAX;
  const order = useMemo(() => {
    const all = p.items.map((_, i) => i);
    const by = p.sort && (p.sort.column === NAME_COLUMN ? -1 : columns.indexOf(p.sort.column));
    if (!p.sort || by === undefined || (by < 0 && p.sort.column !== NAME_COLUMN) || !table) return all;
    const down = p.sort.down ? -1 : 1;
    if (by < 0) return all.sort((a, b) => down * p.items[a]!.name.localeCompare(p.items[b]!.name, "en", { numeric: true }));
    const numbers = all.map((i) => p.cell?.(i, by).number ?? NaN);
    return all.sort((a, b) => (Number.isNaN(numbers[a]!) ? 1 : Number.isNaN(numbers[b]!) ? -1 : down * (numbers[a]! - numbers[b]!)) || a - b);
  }, [p.items, p.sort?.column, p.sort?.down, table, p.cell]);

  useEffect(() => {
    const watch = new ResizeObserver(() => box.current && setHeight(box.current.clientHeight));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (!moved.current) return;
    const b = box.current!;
    if (!flows) {
      const y = (active + (table ? 1 : 0)) * ROW_PX;
      if (y < b.scrollTop + ROW_PX) b.scrollTop = y - ROW_PX;
      else if (y + ROW_PX > b.scrollTop + b.clientHeight) b.scrollTop = y + ROW_PX - b.clientHeight;
      setTop(b.scrollTop);
    }
    const to = b.querySelector<HTMLElement>(`[data-row="${active}"]`);
    if (!to) return; // drawn with the next
    moved.current = false;
    to.focus({ preventScroll: true });
  }, [active, top]);

  const begin = flows ? 0 : Math.max(0, Math.floor(top / ROW_PX) - BEYOND);
  const end = flows ? order.length : Math.min(order.length, Math.ceil((top + height) / ROW_PX) + BEYOND);
  const keys = (e: KeyboardEvent) => {
    const row = (e.target as Element).getAttribute?.("data-row");
    if (row === null || row === undefined) return;
    const by = e.key === "ArrowDown" || e.key === "ArrowRight" ? 1 : e.key === "ArrowUp" || e.key === "ArrowLeft" ? -1 : 0;
    if (by || e.key === "Home" || e.key === "End") {
      if (!moved.current) want.current = Number(row);
      moved.current = true;
      want.current = e.key === "Home" ? 0 : e.key === "End" ? order.length - 1 : Math.max(0, Math.min(order.length - 1, want.current + by));
      setActive(want.current);
    } else if ((e.key === "Enter" || e.key === " ") && (e.ctrlKey || e.shiftKey || e.metaKey)) p.onPick(order[Number(row)]!, true);
    else return;
    e.preventDefault();
  };
  const stop = active >= begin && active < end ? active : begin;
  const button = (i: number, row: number) => {
    const item = p.items[i]!;
    return (
      <button type="button" class="series" aria-pressed={!p.off(i)} data-row={row} tabIndex={row === stop ? 0 : -1}
        title={`${item.name}\nClick: this one alone; Ctrl-click or a click on the colour: on and off`}
        onClick={(e) => p.onPick(i, e.ctrlKey || e.metaKey || e.shiftKey || (e.detail > 0 && e.offsetX < SWATCH_PX && e.target !== e.currentTarget.lastChild))}
        onFocus={() => { if (!moved.current) setActive(row); p.onFocus?.(i); }} onBlur={() => p.onFocus?.(undefined)}
        onMouseEnter={() => p.onFocus?.(i)} onMouseLeave={() => p.onFocus?.(undefined)}>
        <i class={item.dashed ? "dashed" : ""} style={item.dashed ? { borderColor: item.color } : { background: item.color }} /><span>{item.name}</span>
      </button>
    );
  };
  const figures = (i: number) => columns.map((c, k) => ({ c, v: p.cell?.(i, k) }));
  const shown = order.slice(begin, end);
  const pad = (rows: number) => (rows > 0 ? { height: `${rows * ROW_PX}px` } : undefined);
  const style = p.right && p.width ? { width: `${p.width}px` } : undefined;
  const scroll = (e: Event) => !flows && setTop((e.currentTarget as Element).scrollTop);
  if (!table)
    return (
      <div class={`legend ${p.right ? "right" : "bottom"} ${flows ? "flows" : ""}`} ref={box} style={style} role="group" aria-label="Legend" onScroll={scroll} onKeyDown={keys}>
        {!flows && <div style={pad(begin)} />}
        {shown.map((i, k) => (
          <div key={i} class="legend-item">{button(i, begin + k)}{figures(i).map(({ c, v }) => <span key={c} class="figure">{c}: {v?.text}</span>)}</div>
        ))}
        {!flows && <div style={pad(order.length - end)} />}
      </div>
    );
  const head = (name: string, right: boolean) => {
    const on = p.sort?.column === name;
    return (
      <th key={name} class={right ? "right" : ""} aria-sort={on ? (p.sort!.down ? "descending" : "ascending") : "none"}>
        <button type="button" onClick={() => p.onSort?.(name, on ? !p.sort!.down : right)}>{name}<span aria-hidden="true" class="arrow">{on ? (p.sort!.down ? "▼" : "▲") : ""}</span></button>
      </th>
    );
  };
  return (
    <div class={`legend as-table ${p.right ? "right" : "bottom"}`} ref={box} style={style} onScroll={scroll} onKeyDown={keys} role="region" aria-label="Legend" tabIndex={-1}>
      <table aria-rowcount={order.length + 1}>
        <thead><tr>{head(NAME_COLUMN, false)}{columns.map((c) => head(c, true))}</tr></thead>
        <tbody>
          {begin > 0 && <tr aria-hidden="true" class="gap"><td colSpan={columns.length + 1} style={pad(begin)} /></tr>}
          {shown.map((i, k) => (
            <tr key={i} aria-rowindex={begin + k + 2}>
              <td>{button(i, begin + k)}</td>
              {figures(i).map(({ c, v }) => <td key={c} class="right">{v?.text}</td>)}
            </tr>
          ))}
          {end < order.length && <tr aria-hidden="true" class="gap"><td colSpan={columns.length + 1} style={pad(order.length - end)} /></tr>}
        </tbody>
      </table>
    </div>
  );
}

// What a click makes of those that are hidden.
export function picked(off: ReadonlySet<string>, names: readonly string[], name: string, one: boolean): Set<string> {
  const next = new Set(off);
  if (one) {
    if (!next.delete(name)) next.add(name);
    return next;
  }
  const alone = !off.has(name) && names.every((n) => n === name || off.has(n));
  return alone ? new Set() : new Set(names.filter((n) => n !== name));
}
