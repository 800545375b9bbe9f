// many.tsx - a panel of one or many values: a grid that fills the panel and scrolls when they are too
// many to be read; what is shown when there is none.
import type { ComponentChildren } from "preact";
import { Linked } from "./links";
import { linksOf } from "../fields";
import type { Grid } from "./fit";
import { type Item, stateText } from "./items";
import { shownText } from "../frame";
import type { PanelProps } from "./panel";

export function Many({ grid, width, height, gap = 8, children }: {
  grid: Grid; width: number; height: number; gap?: number; children: ComponentChildren;
}) {
  return (
    <div class={grid.scrolls ? "many scrolls" : "many"} {...(grid.scrolls ? { tabIndex: 0, role: "region", "aria-label": "Values" } : {})}
      style={{ width: `${width}px`, height: `${height}px`, gap: `${gap}px`, gridTemplateColumns: `repeat(${grid.columns}, ${grid.w}px)`, gridAutoRows: `${grid.h}px` }}>
      {children}
    </div>
  );
}

export const AFFIX = 0.62; // size of units beside their number

// A number with its unit smaller beside it.
export function Value({ item, size, color }: { item: Item; size: number; color: string }) {
  const { prefix, text, suffix } = item.shown;
  return (
    <span class="stat-value" style={{ fontSize: `${size}px`, color }}>
      {prefix && <small>{prefix}</small>}{text}{suffix && <small>{suffix}</small>}
      {!shownText(item.shown) && <span class="unseen">no value</span>}
    </span>
  );
}

export const describe = (item: Item): string =>
  [`${item.title ? `${item.title}: ` : ""}${shownText(item.shown)}`, stateText(item)].filter(Boolean).join(", ");

// One value's box; its threshold is told in words as well.
export function Box({ item, kind, style, children }: {
  item: Item; kind: string; style?: Record<string, string>; children: ComponentChildren;
}) {
  const state = stateText(item);
  return (
    <Linked class={`value-box ${kind}`} style={style} title={describe(item)} label={item.title} links={linksOf(item.field, item.row)}>
      {children}
      {state && <span class="unseen">{state}</span>}
    </Linked>
  );
}

export function NoValue({ panel, width, height }: PanelProps) {
  const text = panel.fieldConfig?.defaults?.noValue || "No data";
  return <div class="no-value" style={{ width: `${width}px`, height: `${height}px` }}>{text}</div>;
}
