// piechart.tsx - shares of a whole, as slices or a ring, with a legend that tells them as text. A slice
// can be taken out: the others are then shares of the rest.
import { useState } from "preact/hooks";
import { isDark } from "../../base/store";
import { shownText } from "../frame";
import { linksOf } from "../fields";
import { arc } from "./shapes";
import { widthOf } from "./fit";
import { inkOn, solid } from "./ink";
import { type Item, itemsOf } from "./items";
import { Linked } from "./links";
import { NoValue } from "./many";
import type { PanelProps } from "./panel";

const HOLE = 0.58; // of a donut, in radii
const LABEL_PX = 12;
const GAP_PX = 10;
const LEGEND_ROW_PX = 24;

export interface Slice { item: Item; from: number; to: number; share: number } // shares of the whole turn

// The slices that are shown, largest first unless told otherwise; what is not above zero has none.
export function slicesOf(items: Item[], sort: string, hidden: ReadonlySet<string> = new Set()): Slice[] {
  const seen = items.filter((i) => i.shown.number > 0 && Number.isFinite(i.shown.number) && !hidden.has(i.key));
  if (sort !== "none") seen.sort((a, b) => (sort === "asc" ? a.shown.number - b.shown.number : b.shown.number - a.shown.number));
  const sum = seen.reduce((n, i) => n + i.shown.number, 0);
  let at = 0;
  return seen.map((item) => {
    const share = item.shown.number / sum;
    const slice = { item, from: at, to: Math.min(1, at + share), share };
    at += share;
    return slice;
  });
}

export const percentText = (share: number, decimals?: number | null): string => `${(share * 100).toFixed(decimals ?? (share >= 0.1 || share === 0 ? 0 : 1))}%`;

export default function Pie(props: PanelProps) {
  const { panel, frames, width, height } = props;
  const o = panel.options;
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const items = itemsOf(frames, o.reduceOptions, isDark.value);
  const legend = o.legend ?? {};
  const shown = legend.showLegend !== false && legend.displayMode !== "hidden" && items.length > 0;
  if (!items.some((i) => i.shown.number > 0)) return <NoValue {...props} />;
  const slices = slicesOf(items, o.sort ?? "desc", hidden);
  const right = legend.placement === "right" && width > 180;
  const legendW = right ? Math.min(width * 0.6, legend.width || Math.max(...items.map((i) => widthOf(i.title))) * 13 + 60 + 60 * (legend.values?.length ?? 0)) : width;
  const rows = right || legend.displayMode === "table" || legend.values?.length ? items.length + (legend.values?.length ? 1 : 0) : Math.ceil(items.reduce((w, i) => w + widthOf(i.title) * 13 + 34, 0) / width);
  const legendH = right ? height : Math.min(height * 0.4, rows * LEGEND_ROW_PX + 4);
  const w = shown && right ? width - legendW - GAP_PX : width;
  const h = shown && !right ? height - legendH - GAP_PX : height;
  const toggle = (key: string, add: boolean) => setHidden((old) => {
    if (add) return new Set(old.has(key) ? [...old].filter((k) => k !== key) : [...old, key]);
    const others = items.map((i) => i.key).filter((k) => k !== key);
    return new Set(old.size === others.length && !old.has(key) ? [] : others);
  });
  return (
    <div class={`pie ${right ? "right" : ""}`} style={{ width: `${width}px`, height: `${height}px`, gap: `${GAP_PX}px` }}>
      <Disc slices={slices} w={Math.max(1, w)} h={Math.max(1, h)} props={props} />
      {shown && <Legend items={items} slices={slices} hidden={hidden} onToggle={toggle} props={props} width={right ? legendW : width} height={legendH} />}
    </div>
  );
}

function Disc({ slices, w, h, props }: { slices: Slice[]; w: number; h: number; props: PanelProps }) {
  const [over, setOver] = useState<{ key: string; x: number; y: number }>();
  const o = props.panel.options;
  const dark = isDark.value;
  const r = Math.max(2, Math.min(w, h) / 2 - 4);
  const place = { x: w / 2, y: h / 2, from: -Math.PI / 2, sweep: 2 * Math.PI };
  const hole = o.pieType === "donut" ? r * HOLE : 0;
  const tips = o.tooltip?.mode === "none" || !over ? [] : o.tooltip?.mode === "multi" ? slices : slices.filter((s) => s.item.key === over.key);
  const label = slices.map((s) => `${s.item.title}: ${shownText(s.item.shown)}, ${percentText(s.share)}`).join("; ");
  return (
    <div class="pie-disc" style={{ width: `${w}px`, height: `${h}px` }} onPointerLeave={() => setOver(undefined)}>
      <svg width={w} height={h} role="img" aria-label={label || "Nothing is shown"}
        onPointerMove={(e) => {
          const key = (e.target as Element).getAttribute("data-key");
          const box = e.currentTarget.getBoundingClientRect();
          setOver(key === null ? undefined : { key, x: e.clientX - box.left, y: e.clientY - box.top });
        }}>
        {slices.map((s) => <path key={s.item.key} data-key={s.item.key} class={slices.length === 1 ? "whole" : over && over.key !== s.item.key ? "away" : ""} d={arc(place, hole, r, s.from, s.to)} fill={s.item.shown.color || "var(--main)"} />)}
        {o.displayLabels?.length > 0 && <g aria-hidden="true" pointer-events="none">{slices.map((s) => <Label key={s.item.key} slice={s} place={place} r={r} hole={hole} kinds={o.displayLabels} ink={inkOn(solid(s.item.shown.color, dark) ?? "#808080")} />)}</g>}
      </svg>
      {tips.length > 0 && over && (
        <div class="tip" style={{ ...(over.x > w / 2 ? { right: `${w - over.x + 12}px` } : { left: `${over.x + 12}px` }), ...(over.y > h / 2 ? { bottom: `${h - over.y + 12}px` } : { top: `${over.y + 12}px` }) }}>
          {tips.map((s) => <div key={s.item.key} class={s.item.key === over.key ? "near" : ""}><i style={{ background: s.item.shown.color }} /><span class="tip-name">{s.item.title}</span><b>{shownText(s.item.shown)}</b>{percentText(s.share)}</div>)}
        </div>
      )}
    </div>
  );
}

// Inside the slice, if it has the room.
function Label({ slice, place, r, hole, kinds, ink }: { slice: Slice; place: { x: number; y: number; from: number; sweep: number }; r: number; hole: number; kinds: string[]; ink: string }) {
  const { item, share } = slice;
  const lines = [kinds.includes("name") && item.title, kinds.includes("value") && shownText(item.shown), kinds.includes("percent") && percentText(share, item.field.config.decimals)].filter(Boolean) as string[];
  const far = hole ? (r + hole) / 2 : r * 0.66;
  const room = share > 0.5 ? r : Math.min(2 * far * Math.sin(Math.PI * share), hole ? (r - hole) * 1.3 : r);
  if (Math.max(...lines.map((l) => widthOf(l))) * LABEL_PX > room || lines.length * LABEL_PX > room) return null;
  const angle = place.from + ((slice.from + slice.to) / 2) * place.sweep;
  const alone = share > 0.999 && !hole;
  const x = alone ? place.x : place.x + Math.cos(angle) * far;
  const y = (alone ? place.y : place.y + Math.sin(angle) * far) - ((lines.length - 1) * LABEL_PX * 1.2) / 2 + LABEL_PX * 0.35;
  return <text text-anchor="middle" font-size={LABEL_PX} fill={ink}>{lines.map((l, i) => <tspan key={i} x={x} y={y + i * LABEL_PX * 1.2}>{l}</tspan>)}</text>;
}

function Legend({ items, slices, hidden, onToggle, props, width, height }: {
  items: Item[]; slices: Slice[]; hidden: ReadonlySet<string>; onToggle: (key: string, add: boolean) => void; props: PanelProps; width: number; height: number;
}) {
  const { legend = {}, sort } = props.panel.options;
  const values: string[] = legend.values ?? [];
  const share = new Map(slices.map((s) => [s.item.key, s.share]));
  const order = sort === "none" ? items : [...items].sort((a, b) => (sort === "asc" ? 1 : -1) * ((a.shown.number || 0) - (b.shown.number || 0)));
  const name = (item: Item) => (
    <button type="button" class="series" aria-pressed={!hidden.has(item.key)} title={`${item.title}\nalone, or all; with Ctrl on and off`} onClick={(e) => onToggle(item.key, e.ctrlKey || e.metaKey || e.shiftKey)}>
      <i style={{ background: item.shown.color }} /><span>{item.title}</span>
    </button>
  );
  const cell = (item: Item, kind: string) => {
    const text = kind === "percent" ? percentText(share.get(item.key) ?? 0, item.field.config.decimals) : shownText(item.shown);
    const links = linksOf(item.field, item.row);
    return links.length ? <Linked links={links} label={item.title} class="cell-link">{text}</Linked> : text;
  };
  const box = { style: { width: `${width}px`, maxHeight: `${height}px` }, tabIndex: 0, role: "region", "aria-label": "Legend" } as const;
  if (!values.length && legend.displayMode !== "table") return <div class="pie-legend" {...box}><ul>{order.map((i) => <li key={i.key}>{name(i)}</li>)}</ul></div>;
  return (
    <div class="pie-legend legend" {...box}>
      <table>
        {values.length > 0 && <thead><tr><th>Name</th>{values.map((v) => <th key={v} class="right">{v === "percent" ? "Percent" : "Value"}</th>)}</tr></thead>}
        <tbody>{order.map((i) => <tr key={i.key}><td>{name(i)}</td>{values.map((v) => <td key={v} class="right">{cell(i, v)}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}
