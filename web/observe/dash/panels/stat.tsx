// stat.tsx - one large number, or many in a grid: its name, its course as a line below it, its colour on
// the text or behind it. All texts of a panel have the size in which the longest fits.
import { isDark } from "../../base/store";
import type { Field } from "../frame";
import { reduceField } from "../calc";
import { fit, gridOf, widthOf } from "./fit";
import { filled as filledWith, legible } from "./ink";
import { type Item, itemsOf, timesOf } from "./items";
import { AFFIX, Box, Many, NoValue, Value } from "./many";
import { coursePath } from "./shapes";
import type { PanelProps } from "./panel";

const LINE = 1.15;
const NAME_MOST = 30;
const WIDE = 2.5; // width by height from which name and value stand side by side
const CHART_LEAST_PX = 46; // height of a box that has room for a line

export default function Stat(props: PanelProps) {
  const { frames, width, height } = props;
  const o = props.panel.options;
  const items = itemsOf(frames, o.reduceOptions, isDark.value);
  if (!items.length) return <NoValue {...props} />;
  const many = items.length > 1;
  const grid = gridOf(items.length, width, height, { orientation: o.orientation, shape: 2.2, gap: 6, least: { w: 64, h: 30 } });
  const mode = textMode(o.textMode, many || !!items[0].field.config.displayName);
  const layout = layoutOf(grid.w, grid.h, mode, o, items);
  return (
    <Many grid={grid} width={width} height={height} gap={6}>
      {items.map((item) => <One key={item.key} item={item} props={props} mode={mode} layout={layout} />)}
    </Many>
  );
}

interface Mode { name: boolean; value: boolean }
const MODES: Record<string, Mode> = {
  value: { name: false, value: true }, value_and_name: { name: true, value: true },
  name: { name: true, value: false }, none: { name: false, value: false },
};
const textMode = (mode: string, named: boolean): Mode => MODES[mode] ?? MODES[named ? "value_and_name" : "value"];

interface Layout { w: number; h: number; pad: number; wide: boolean; chart: number; name: number; value: number; percent: number; center: boolean }

const affixed = (item: Item): number =>
  widthOf(item.shown.text, 600) + AFFIX * widthOf((item.shown.prefix ?? "") + (item.shown.suffix ?? ""), 600);

function layoutOf(w: number, h: number, mode: Mode, o: PanelProps["panel"]["options"], items: Item[]): Layout {
  const pad = Math.round(Math.max(2, Math.min(12, h * 0.08, w * 0.06)));
  const chart = o.graphMode !== "none" && h >= CHART_LEAST_PX && items.some((i) => i.row === undefined && timesOf(i.frame) && i.field.values.length > 1)
    ? Math.round(h * (mode.name || mode.value ? 0.42 : 0.9)) : 0;
  const inW = w - 2 * pad;
  const inH = h - (chart ? chart * 0.8 + pad : 2 * pad);
  const both = mode.name && mode.value;
  const wide = both && o.wideLayout !== false && inW / inH > WIDE && !o.showPercentChange;
  const widest = (of: (i: Item) => number) => Math.max(...items.map(of), 0.1);
  const names = widest((i) => widthOf(i.title));
  const values = widest(affixed);
  const set = o.text ?? {};
  const nameBox = both && !wide ? Math.min(inH * 0.34, NAME_MOST * LINE) : inH;
  const least = Math.min(11, nameBox / LINE); // a long name is cut rather than made unreadable
  const name = mode.name ? set.titleSize || Math.max(least, fit(names, wide ? inW * 0.55 : inW, nameBox, mode.value ? Math.min(NAME_MOST, inH * 0.4) : NAME_MOST * 2, LINE)) : 0;
  const percentH = o.showPercentChange ? inH * 0.22 : 0;
  const valueH = inH - percentH - (both && !wide ? name * LINE : 0);
  const valueW = wide ? inW - Math.min(names * name, inW * 0.6) - 10 : inW;
  const value = mode.value ? set.valueSize || fit(values, valueW, valueH, Infinity, LINE) : 0;
  const center = o.justifyMode === "center" || (o.justifyMode !== "start" && !both);
  return { w, h, pad, wide, chart, name, value, percent: Math.max(10, Math.min(percentH / LINE, value * 0.5, 26)), center };
}

function One({ item, props, mode, layout: l }: { item: Item; props: PanelProps; mode: Mode; layout: Layout }) {
  const dark = isDark.value;
  const o = props.panel.options;
  const color = item.shown.color || (dark ? "#8e9bb0" : "#5a6577");
  const back = o.colorMode === "background" || o.colorMode === "background_solid" ? filledWith(color, dark, o.colorMode === "background") : undefined;
  const filled = !!back;
  const ink = back?.color ?? "var(--text)";
  const value = back ? ink : o.colorMode === "none" ? "var(--text)" : legible(color, dark);
  const style = { color: ink, ...back, borderRadius: filled ? "6px" : "0", padding: `${l.pad}px`, ...(l.chart ? { paddingBottom: `${Math.round(l.chart * 0.8)}px` } : {}) };
  return (
    <Box item={item} kind={`stat${l.wide ? " wide" : ""}${l.center ? " center" : ""}${l.chart ? " charted" : ""}`} style={style}>
      {l.chart > 0 && <Course item={item} w={l.w} h={l.chart} color={filled ? ink : color} strong={filled} round={filled} />}
      {mode.name && <span class="stat-name" style={{ fontSize: `${l.name}px` }}>{item.title}</span>}
      {mode.value && <Value item={item} size={l.value} color={value} />}
      {o.showPercentChange && item.row === undefined && <Change field={item.field} size={l.percent} mode={o.percentChangeColorMode} own={value} filled={filled} dark={dark} />}
    </Box>
  );
}

function Change({ field, size, mode, own, filled, dark }: { field: Field; size: number; mode?: string; own: string; filled: boolean; dark: boolean }) {
  const percent = reduceField(field, "diffperc");
  if (typeof percent !== "number" || !Number.isFinite(percent)) return null;
  const up = percent > 0;
  const good = mode === "inverted" ? !up : up;
  const color = filled || mode === "same_as_value" || percent === 0 ? own : legible(good ? "#1a9e4b" : "#e02f44", dark);
  return <span class="stat-change" style={{ fontSize: `${size}px`, color }}>{percent === 0 ? "" : up ? "▲ " : "▼ "}{Math.abs(percent).toFixed(Math.abs(percent) < 10 ? 2 : 1)}%</span>;
}

// The values over time; where there is none, a gap. From the least to the most, or as configured.
function Course({ item, w, h, color, strong, round }: { item: Item; w: number; h: number; color: string; strong: boolean; round: boolean }) {
  const times = timesOf(item.frame)?.values as number[] | undefined;
  if (!times || times.length < 2) return null;
  const { line, area } = coursePath(times, item.field.values as (number | null)[], w, h, item.field.config);
  return (
    <svg class="stat-course" aria-hidden="true" width={w} height={h} viewBox={`0 0 ${w} ${h}`} style={{ borderRadius: round ? "0 0 6px 6px" : "0" }}>
      <path d={area} fill={color} fill-opacity={strong ? 0.22 : 0.16} />
      <path d={line} fill="none" stroke={color} stroke-opacity={strong ? 0.75 : 1} stroke-width="1.6" stroke-linejoin="round" />
    </svg>
  );
}
