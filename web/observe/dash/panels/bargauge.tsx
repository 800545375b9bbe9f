// bargauge.tsx - values as bars: plain, as lit cells, or in a run of the colours that the value passes.
// Names and numbers are texts beside the bars.
import { isDark } from "../../base/store";
import { shownText } from "../frame";
import { fit, widthOf } from "./fit";
import { withAlpha } from "../color";
import { legible } from "./ink";
import { colorsAlong, type Item, itemsOf, rangeOf, shareOf } from "./items";
import { Box, Many, NoValue } from "./many";
import type { PanelProps } from "./panel";

const GAP = 8;
const CELL_PX = 10;
const CELL_GAP_PX = 2;
const STOPS = 12; // of a run of colours
const NAME_MOST_SHARE = 0.4;
const NAME_ROOM = 10; // px beside a name

interface Layout { lying: boolean; w: number; h: number; name: number; nameW: number; onTop: boolean; value: number; valueW: number; bar: number }

export default function BarGauge(props: PanelProps) {
  const { panel, frames, width, height } = props;
  const o = panel.options;
  const items = itemsOf(frames, o.reduceOptions, isDark.value);
  if (!items.length) return <NoValue {...props} />;
  const lying = o.orientation === "horizontal" || (o.orientation !== "vertical" && width <= height);
  const range = rangeOf(items);
  const gap = items.length > 30 ? 4 : GAP;
  const l = lying ? lyingLayout(items, o, width, height, gap) : standingLayout(items, o, width, height, gap);
  const columns = lying ? 1 : items.length;
  const scrolls = lying ? (l.h + gap) * items.length - gap > height + 1 : (l.w + gap) * items.length - gap > width + 1;
  return (
    <Many grid={{ columns, rows: 0, w: lying && scrolls ? l.w - 10 : l.w, h: l.h, scrolls }} width={width} height={height} gap={gap}>
      {items.map((item) => <One key={item.key} item={item} props={props} layout={scrolls && lying ? { ...l, bar: l.bar - 10 } : l} range={range(item.field)} />)}
    </Many>
  );
}

const values = (items: Item[], o: Record<string, any>): number =>
  o.valueMode === "hidden" ? 0 : Math.max(...items.map((i) => widthOf(shownText(i.shown), 600)));
const named = (items: Item[], o: Record<string, any>): number =>
  o.namePlacement === "hidden" || (items.length === 1 && !items[0].field.config.displayName) ? 0 : Math.max(...items.map((i) => widthOf(i.title)));

function lyingLayout(items: Item[], o: Record<string, any>, width: number, height: number, gap: number): Layout {
  const least = o.sizing === "manual" ? o.minVizHeight ?? 16 : 16;
  const most = o.sizing === "manual" ? o.maxVizHeight ?? 300 : 300;
  const relative = named(items, o);
  const room = (height - gap * (items.length - 1)) / items.length;
  const onTop = relative > 0 && (o.namePlacement === "top" || (o.namePlacement !== "left" && room > 40));
  const h = Math.floor(Math.max(Math.min(least, height) + (onTop ? 14 : 0), Math.min(most, room)));
  const name = relative ? o.text?.titleSize || (onTop ? Math.max(10, Math.min(20, h * 0.28, fit(relative, width, h * 0.35))) : Math.max(10, Math.min(h * 0.75, 18, fit(relative, width * NAME_MOST_SHARE - NAME_ROOM, h)))) : 0;
  const nameW = onTop ? 0 : relative ? Math.min(width * NAME_MOST_SHARE, relative * name + NAME_ROOM) : 0;
  const barH = onTop ? h - name * 1.3 : h;
  const texts = values(items, o);
  const value = texts ? o.text?.valueSize || Math.max(9, fit(texts, Math.min(width * 0.24, width - nameW), barH * 0.8, 26)) : 0;
  const valueW = texts ? texts * value + 12 : 0;
  return { lying: true, w: width, h, name, nameW, onTop, value, valueW, bar: Math.max(4, width - nameW - valueW) };
}

function standingLayout(items: Item[], o: Record<string, any>, width: number, height: number, gap: number): Layout {
  const least = Math.max(o.minVizWidth ?? 8, 8);
  const w = Math.floor(Math.max(least, (width - gap * (items.length - 1)) / items.length));
  const relative = named(items, o);
  const name = relative ? o.text?.titleSize || Math.max(10, fit(relative, w, height * 0.14, 18)) : 0;
  const texts = values(items, o);
  const value = texts ? o.text?.valueSize || Math.max(9, fit(texts, w - 4, height * 0.2, 26)) : 0;
  return { lying: false, w, h: height, name, nameW: 0, onTop: false, value, valueW: 0, bar: Math.max(4, height - (name ? name * 1.3 + 2 : 0) - (value ? value * 1.25 + 2 : 0)) };
}

function One({ item, props, layout: l, range }: { item: Item; props: PanelProps; layout: Layout; range: [number, number] }) {
  const o = props.panel.options;
  const share = shareOf(item.shown.number, range);
  const bar = o.displayMode === "lcd"
    ? <Cells item={item} range={range} share={share} layout={l} unlit={o.showUnfilled !== false} />
    : <Bar item={item} range={range} share={share} layout={l} gradient={o.displayMode === "gradient"} unfilled={o.showUnfilled !== false} />;
  const color = o.valueMode === "text" ? "var(--text)" : legible(item.shown.color, isDark.value);
  return (
    <Box item={item} kind={l.lying ? `bar-row${l.onTop ? " on-top" : ""}` : "bar-column"}>
      {l.name > 0 && <span class="bar-name" style={{ fontSize: `${l.name}px`, width: l.nameW ? `${l.nameW}px` : "100%" }}>{item.title}</span>}
      <span class="bar-line">
        {bar}
        {l.value > 0 && <span class="bar-value" style={{ fontSize: `${l.value}px`, color, ...(l.lying ? { width: `${l.valueW}px` } : {}) }}>{shownText(item.shown)}</span>}
      </span>
    </Box>
  );
}

const px = (n: number): string => `${Math.max(0, n).toFixed(1)}px`;

function Bar({ item, range, share, layout: l, gradient, unfilled }: {
  item: Item; range: [number, number]; share: number; layout: Layout; gradient: boolean; unfilled: boolean;
}) {
  const color = item.shown.color || "var(--main)";
  const length = share * l.bar;
  const fill: Record<string, string> = l.lying ? { width: px(length) } : { height: px(length) };
  if (gradient) {
    const to = l.lying ? "to right" : "to top";
    const size = `${l.bar}px`;
    fill.backgroundImage = `linear-gradient(${to}, ${colorsAlong(item, range, STOPS).map((c) => c || color).join(", ")})`;
    fill.backgroundSize = l.lying ? `${size} 100%` : `100% ${size}`;
    fill.backgroundPosition = l.lying ? "left" : "bottom";
  } else {
    fill.backgroundColor = withAlpha(color, 0.45);
    fill[l.lying ? "borderRight" : "borderTop"] = length > 2 ? `2px solid ${color}` : "none";
  }
  return (
    <span class={`bar-track${unfilled ? " seen" : ""}`} style={l.lying ? { width: px(l.bar) } : { height: px(l.bar) }}>
      <span class="bar-fill" style={fill} />
    </span>
  );
}

function Cells({ item, range, share, layout: l, unlit }: { item: Item; range: [number, number]; share: number; layout: Layout; unlit: boolean }) {
  const n = Math.max(2, Math.floor(l.bar / (CELL_PX + CELL_GAP_PX)));
  const colors = colorsAlong(item, range, n);
  return (
    <span class="bar-cells" style={l.lying ? { width: px(l.bar) } : { height: px(l.bar) }}>
      {colors.map((c, i) => {
        const lit = (i + 0.5) / n <= share || (i === 0 && share > 0);
        return <i key={i} style={{ backgroundColor: lit ? c : unlit ? withAlpha(c, 0.2) : "transparent" }} />;
      })}
    </span>
  );
}
