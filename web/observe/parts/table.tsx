// table.tsx - rows that can be sorted by any column, by mouse and keyboard. A long table draws only
// what is seen (rows of one height in a scrolled box), so that 100,000 rows stay smooth.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

export interface Column<R> {
  key: string;
  title: string;
  value: (row: R) => string | number; // sorted by
  cell?: (row: R) => ComponentChildren; // shown; the value without
  right?: boolean;
}

const VIRTUAL_FROM = 300;
const ROW_PX = 33;
const BEYOND = 8; // rows drawn above and below what is seen

function order(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return Number.isNaN(a) ? -1 : Number.isNaN(b) ? 1 : a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

export function Table<R>({ columns, rows, id, label, sort: first, none = "Nothing." }: {
  columns: Column<R>[]; rows: R[]; id: (row: R) => string; label: string; sort?: string; none?: ComponentChildren;
}) {
  const [sort, setSort] = useState(first ?? "");
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const box = useRef<HTMLDivElement>(null);
  const down = sort.startsWith("-");
  const by = columns.find((c) => c.key === (down ? sort.slice(1) : sort));
  const sorted = useMemo(() => {
    if (!by) return rows;
    const copy = rows.map((row, i) => ({ row, i, v: by.value(row) }));
    copy.sort((a, b) => (down ? order(b.v, a.v) : order(a.v, b.v)) || a.i - b.i);
    return copy.map((x) => x.row);
  }, [rows, sort]);
  const virtual = rows.length > VIRTUAL_FROM;
  useEffect(() => {
    if (!virtual) return;
    const watch = new ResizeObserver(() => setHeight(box.current!.clientHeight));
    watch.observe(box.current!);
    return () => watch.disconnect();
  }, [virtual]);
  const begin = virtual ? Math.max(0, Math.floor(top / ROW_PX) - BEYOND) : 0;
  const end = virtual ? Math.min(sorted.length, Math.ceil((top + height) / ROW_PX) + BEYOND) : sorted.length;
  if (!rows.length) return <p class="none">{none}</p>;
  return (
    <div class={virtual ? "table-box long" : "table-box"} ref={box} role="region" aria-label={label} tabIndex={0}
      onScroll={(e) => virtual && setTop(e.currentTarget.scrollTop)}>
      <table aria-rowcount={rows.length}>
        <thead>
          <tr>
            {columns.map((c) => {
              const on = by === c;
              return (
                <th key={c.key} class={c.right ? "right" : ""} aria-sort={on ? (down ? "descending" : "ascending") : "none"}>
                  <button type="button" onClick={() => setSort(on && !down ? `-${c.key}` : c.key)}>
                    {c.title}<span aria-hidden="true" class="arrow">{on ? (down ? "▼" : "▲") : ""}</span>
                  </button>
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {begin > 0 && <Gap rows={begin} span={columns.length} />}
          {sorted.slice(begin, end).map((row, i) => (
            <tr key={id(row)} aria-rowindex={begin + i + 1}>
              {columns.map((c) => (
                <td key={c.key} class={c.right ? "right" : ""}>{c.cell ? c.cell(row) : c.value(row)}</td>
              ))}
            </tr>
          ))}
          {end < sorted.length && <Gap rows={sorted.length - end} span={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

function Gap({ rows, span }: { rows: number; span: number }) {
  return <tr aria-hidden="true" class="gap"><td colSpan={span} style={{ height: `${rows * ROW_PX}px` }} /></tr>;
}
