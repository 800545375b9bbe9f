// table.tsx - a frame as rows: sorted by several columns, filtered, with pages or scrolled (only what is
// seen is drawn: 100,000 rows stay smooth), footers, and cells that are more than text.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { copyText, Layer } from "../../parts/bits";
import { calcText } from "../calc";
import { linksOf } from "../fields";
import type { Cell as Value, Field, Frame } from "../frame";
import { titleOf } from "./items";
import { Linked } from "./links";
import { NoValue } from "./many";
import type { PanelProps } from "./panel";
import { backOf, CellBody, json, rangeOfField } from "./table_cell";
import { FilterLayer } from "./table_filter";
import {
  type Align, alignOf, CELL_HEIGHT, type CellKind, cellText, columnsOf, type Filter, filtered, footerOf, heightsOf, kindOf,
  nextSort, rowAt, type SortBy, sorted, topsOf, widthsOf,
} from "./table_rows";

const HEAD_PX = 34;
const HEAD_LINES_PX = 52; // with wrapped texts
const FOOT_LINE_PX = 22;
const BAR_PX = 38; // pages, and the choice of a frame
const BEYOND = 6; // rows drawn above and below what is seen
const SCROLLBAR_PX = 10;

interface Column { field: Field; title: string; width: number; kind: CellKind; align: Align; range: [number, number]; left?: number; links: boolean }

export default function TablePanel(props: PanelProps) {
  const { panel, frames, width, height, onOptions } = props;
  const o = panel.options;
  const full = frames.filter((f) => columnsOf(f).length);
  const [chosen, setChosen] = useState<number>(o.frameIndex ?? 0);
  const frame = full[Math.min(chosen, full.length - 1)];
  if (!frame) return <NoValue {...props} />;
  const several = full.length > 1;
  const choose = (i: number) => {
    setChosen(i);
    onOptions({ frameIndex: i });
  };
  return (
    <div class="table-panel" style={{ width: `${width}px`, height: `${height}px` }}>
      <Grid key={chosen} props={props} frame={frame} height={height - (several ? BAR_PX : 0)} />
      {several && (
        <div class="table-bar">
          <select aria-label="Table" value={String(chosen)} onChange={(e) => choose(Number(e.currentTarget.value))}>
            {full.map((f, i) => <option key={i} value={String(i)}>{nameOf(f, i)}</option>)}
          </select>
        </div>
      )}
    </div>
  );
}

const nameOf = (frame: Frame, i: number): string => {
  const number = frame.fields.find((f) => f.type === "number");
  return frame.name || (number && titleOf(number)) || frame.refId || `Table ${i + 1}`;
};

function Grid({ props, frame, height }: { props: PanelProps; frame: Frame; height: number }) {
  const { panel, width, onOptions } = props;
  const o = panel.options;
  const [by, setBy] = useState<SortBy[]>(o.sortBy ?? []);
  const [filters, setFilters] = useState<Record<string, Filter>>({});
  const [filterOf, setFilterOf] = useState<Field>();
  const [looked, setLooked] = useState<{ field: Field; value: Value }>();
  const [page, setPage] = useState(0);
  const [dragged, setDragged] = useState<Record<string, number>>({});
  useEffect(() => setBy(o.sortBy ?? []), [JSON.stringify(o.sortBy ?? [])]);

  const rows = useMemo(() => sorted(filtered(frame, filters), frame.fields, by), [frame, filters, by]);
  const fields = columnsOf(frame);
  const rowPx = CELL_HEIGHT[o.cellHeight] ?? CELL_HEIGHT.sm;
  const footer = useMemo(() => footerOf(fields, rows, o.footer), [frame, rows, o.footer]);
  const footPx = footer ? 12 + FOOT_LINE_PX * Math.max(1, ...footer.map((c) => c.values.length)) : 0;
  const headPx = o.showHeader === false ? 0 : fields.some((f) => f.config.custom?.wrapHeaderText) ? HEAD_LINES_PX : HEAD_PX;
  const paged = !!(o.enablePagination ?? o.footer?.enablePagination);
  const bodyPx = Math.max(rowPx, height - headPx - footPx - (paged ? BAR_PX : 0));
  const perPage = paged ? Math.max(1, Math.floor((bodyPx - 4) / rowPx)) : rows.length;
  const pages = Math.max(1, Math.ceil(rows.length / Math.max(1, perPage)));
  const at = Math.min(page, pages - 1);
  const shown = paged ? rows.slice(at * perPage, (at + 1) * perPage) : rows;
  const columns = useColumns(fields, frame, width - (shown.length * rowPx > bodyPx ? SCROLLBAR_PX : 0), dragged, o.frozenColumns?.left ?? 0);
  const sort = (title: string, more: boolean) => {
    const next = nextSort(by, title, more);
    setBy(next);
    setPage(0);
    onOptions({ sortBy: next });
  };
  return (
    <>
      <Rows columns={columns} rows={shown} props={props} rowPx={rowPx} headPx={headPx} height={height - (paged ? BAR_PX : 0)}
        footer={footer} by={by} filters={filters} onSort={sort} onFilter={setFilterOf} onLook={(field, value) => setLooked({ field, value })}
        onWidth={(title, w) => setDragged((d) => ({ ...d, [title]: w }))} />
      {paged && <Pages at={at} pages={pages} perPage={perPage} rows={rows.length} onPage={setPage} />}
      {filterOf && (
        <FilterLayer field={filterOf} filter={filters[titleOf(filterOf)]} onClose={() => setFilterOf(undefined)}
          onFilter={(f) => {
            setFilters(({ [titleOf(filterOf)]: _, ...others }) => (f ? { ...others, [titleOf(filterOf)]: f } : others));
            setPage(0);
          }} />
      )}
      {looked && <Look {...looked} onClose={() => setLooked(undefined)} />}
    </>
  );
}

function useColumns(fields: Field[], frame: Frame, width: number, dragged: Record<string, number>, frozen: number): Column[] {
  return useMemo(() => {
    const widths = widthsOf(fields, width, dragged);
    let left = 0;
    return fields.map((field, i) => {
      const kind = kindOf(field);
      const column: Column = {
        field, title: titleOf(field), width: widths[i], kind, align: alignOf(field, kind),
        range: kind.type === "gauge" ? rangeOfField(field) : [0, 1], left: i < frozen ? left : undefined, links: !!field.config.links?.length,
      };
      left += widths[i];
      return column;
    });
  }, [frame, width, dragged, frozen]);
}

function Rows(p: {
  columns: Column[]; rows: number[]; props: PanelProps; rowPx: number; headPx: number; height: number;
  footer: ReturnType<typeof footerOf>; by: SortBy[]; filters: Record<string, Filter>;
  onSort: (title: string, more: boolean) => void; onFilter: (f: Field) => void; onLook: (f: Field, v: Value) => void; onWidth: (title: string, w: number) => void;
}) {
  const { columns, rows, rowPx, height } = p;
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const tops = useMemo(() => {
    const heights = heightsOf(rows, columns.map((c) => c.field), columns.map((c) => c.width), columns.map((c) => c.kind), rowPx);
    return heights && topsOf(heights);
  }, [rows, columns, rowPx]);
  useEffect(() => {
    // Fewer rows than before: the box has moved without a word.
    if (box.current && box.current.scrollTop !== top) setTop(box.current.scrollTop);
  }, [rows.length, height]);
  const first = tops ? rowAt(tops, top) : Math.floor(top / rowPx);
  const last = tops ? rowAt(tops, top + height) + 1 : Math.ceil((top + height) / rowPx);
  const begin = Math.max(0, Math.min(rows.length, first - BEYOND));
  const end = Math.min(rows.length, last + BEYOND);
  const y = (i: number) => (tops ? tops[i] : i * rowPx);
  const total = columns.reduce((sum, c) => sum + c.width, 0);
  return (
    <div class="grid-box" ref={box} tabIndex={0} role="region" aria-label={p.props.panel.title || "Table"} style={{ height: `${height}px` }}
      onScroll={(e) => setTop(e.currentTarget.scrollTop)}>
      <table class="grid" aria-rowcount={rows.length + 1} style={{ width: `${total}px` }}>
        <colgroup>{columns.map((c, i) => <col key={i} style={{ width: `${c.width}px` }} />)}</colgroup>
        {p.headPx > 0 && <Head {...p} />}
        <tbody>
          {begin > 0 && <Gap px={y(begin)} span={columns.length} />}
          {rows.slice(begin, end).map((row, i) => (
            <Row key={row} row={row} index={begin + i} height={tops ? tops[begin + i + 1] - tops[begin + i] : rowPx} columns={columns} onLook={p.onLook} />
          ))}
          {end < rows.length && <Gap px={y(rows.length) - y(end)} span={columns.length} />}
        </tbody>
        {p.footer && (
          <tfoot><tr>{columns.map((c, i) => {
            const cell = p.footer![i];
            return (
              <td key={i} class={c.align}>
                {cell.label && <span class="dim">{cell.label} </span>}
                {cell.values.map((v) => <div key={v.calc} title={calcText(v.calc)}>{cell.values.length > 1 && <small class="dim">{calcText(v.calc)} </small>}{v.text}</div>)}
              </td>
            );
          })}</tr></tfoot>
        )}
      </table>
      {!rows.length && <p class="none">{Object.keys(p.filters).length ? "No rows match." : p.props.panel.fieldConfig?.defaults?.noValue || "No rows."}</p>}
    </div>
  );
}

const Gap = ({ px, span }: { px: number; span: number }) => <tr aria-hidden="true" class="gap"><td colSpan={span} style={{ height: `${px}px` }} /></tr>;

function Head({ columns, headPx, by, filters, onSort, onFilter, onWidth }: Parameters<typeof Rows>[0]) {
  return (
    <thead>
      <tr style={{ height: `${headPx}px` }}>
        {columns.map((c) => {
          const on = by.findIndex((s) => s.displayName === c.title || s.displayName === c.field.name);
          const down = on >= 0 && by[on].desc;
          return (
            <th key={c.title} class={`${c.align}${c.left !== undefined ? " frozen" : ""}`} style={c.left !== undefined ? { left: `${c.left}px` } : undefined}
              aria-sort={on < 0 ? "none" : down ? "descending" : "ascending"}>
              <span class="head">
                <button type="button" class={c.field.config.custom?.wrapHeaderText ? "wrapped" : ""} title={c.field.config.description || c.title}
                  onClick={(e) => onSort(c.title, e.shiftKey || e.ctrlKey || e.metaKey)}>
                  {c.title}{on >= 0 && <span aria-hidden="true" class="arrow">{down ? "▼" : "▲"}{by.length > 1 ? on + 1 : ""}</span>}
                </button>
                {c.field.config.custom?.filterable && (
                  <button type="button" class="funnel" aria-label={`Filter ${c.title}`} aria-pressed={!!filters[c.title]} onClick={() => onFilter(c.field)}>
                    <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 3h12l-4.5 6v4l-3 1V9Z" /></svg>
                  </button>
                )}
              </span>
              <Grip column={c} onWidth={onWidth} />
            </th>
          );
        })}
      </tr>
    </thead>
  );
}

const KEY_STEP_PX = 10;
const LEAST_PX = 40;

// The edge of a column: dragged, or moved with the arrows.
function Grip({ column: c, onWidth }: { column: Column; onWidth: (title: string, w: number) => void }) {
  const set = (w: number) => onWidth(c.title, Math.max(LEAST_PX, Math.round(w)));
  const drag = (e: PointerEvent) => {
    const grip = e.currentTarget as HTMLElement;
    const [x, from] = [e.clientX, c.width];
    grip.setPointerCapture(e.pointerId);
    grip.onpointermove = (m) => set(from + m.clientX - x);
    grip.onpointerup = grip.onpointercancel = () => (grip.onpointermove = null);
    e.preventDefault();
  };
  const keys = (e: KeyboardEvent) => {
    const by = e.key === "ArrowLeft" ? -KEY_STEP_PX : e.key === "ArrowRight" ? KEY_STEP_PX : 0;
    if (!by) return;
    e.preventDefault();
    set(c.width + by);
  };
  return <span class="grip" role="separator" aria-orientation="vertical" tabIndex={0} aria-label={`Width of ${c.title}`} aria-valuenow={c.width} onPointerDown={drag} onKeyDown={keys} />;
}

function Row({ row, index, height, columns, onLook }: {
  row: number; index: number; height: number; columns: Column[]; onLook: (f: Field, v: Value) => void;
}) {
  const whole = columns.find((c) => c.kind.applyToRow && c.kind.type === "color-background");
  const rowBack = whole && backOf(whole.field, whole.field.values[row], false);
  return (
    <tr aria-rowindex={index + 2} style={{ height: `${height}px` }}>
      {columns.map((c, i) => {
        const value = c.field.values[row];
        const back = c.kind.type === "color-background" && c !== whole ? backOf(c.field, value, c.kind.mode === "gradient") : rowBack;
        const text = cellText(c.field, value);
        const body = <CellBody field={c.field} value={value} kind={c.kind} width={c.width} height={height} range={c.range} />;
        const links = c.links ? linksOf(c.field, row) : [];
        return (
          <td key={i} class={`${c.align}${c.kind.wrap ? " wrap" : ""}${c.left !== undefined ? " frozen" : ""}${back ? " filled" : ""}`}
            style={c.left !== undefined ? { ...back, left: `${c.left}px` } : back} title={c.kind.type === "sparkline" ? undefined : text}>
            {links.length ? <Linked links={links} label={text || c.title} class="cell-link">{body}</Linked> : body}
            {c.field.config.custom?.inspect && <button type="button" class="look" aria-label={`Inspect ${c.title}`} onClick={() => onLook(c.field, value)}>⤢</button>}
          </td>
        );
      })}
    </tr>
  );
}

function Pages({ at, pages, perPage, rows, onPage }: { at: number; pages: number; perPage: number; rows: number; onPage: (n: number) => void }) {
  return (
    <div class="table-bar">
      <button type="button" class="icon" aria-label="Previous page" disabled={at === 0} onClick={() => onPage(at - 1)}>‹</button>
      <span>{at + 1} of {pages}</span>
      <button type="button" class="icon" aria-label="Next page" disabled={at >= pages - 1} onClick={() => onPage(at + 1)}>›</button>
      <span class="dim end" role="status">{rows ? `${at * perPage + 1}–${Math.min(rows, (at + 1) * perPage)} of ${rows} rows` : "no rows"}</span>
    </div>
  );
}

// A value as it is, with nothing cut.
function Look({ field, value, onClose }: { field: Field; value: Value; onClose: () => void }) {
  const plain = typeof value === "object" && value !== null ? JSON.stringify(value, null, 2) : cellText(field, value);
  let text = plain;
  try {
    if (/^\s*[[{]/.test(plain)) text = JSON.stringify(JSON.parse(json(value)), null, 2);
  } catch {
    text = plain;
  }
  return (
    <Layer label={`Value of ${titleOf(field)}`} onClose={onClose}>
      <h2>{titleOf(field)}</h2>
      <pre class="yaml" tabIndex={0} role="region" aria-label="Value">{text}</pre>
      <p class="row"><button type="button" data-first onClick={() => void copyText(text)}>Copy</button><button type="button" onClick={onClose}>Close</button></p>
    </Layer>
  );
}
