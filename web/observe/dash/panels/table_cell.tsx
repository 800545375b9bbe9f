// table_cell.tsx - one cell of a table: text, colour, a bar, a line, an image of this server, pills, JSON.
import type { JSX } from "preact";
import type { Styles } from "./links";
import { isDark } from "../../base/store";
import { type Cell as Value, type Field, shownText } from "../frame";
import { type Back, filled, inkOn, legible, solid } from "./ink";
import { colorsAlong, rangeOf, shareOf, show, titleOf } from "./items";
import { coursePath } from "./shapes";
import { type CellKind, cellText, lastOf, lineOf, pillsOf } from "./table_rows";
import { paletteColor, withAlpha } from "../color";

export interface CellProps { field: Field; value: Value; kind: CellKind; width: number; height: number; range: [number, number] }

// The colours of a cell's (or with applyToRow, of a row's) background and of the text on it.
export const backOf = (field: Field, value: Value, gradient: boolean): Back | undefined => filled(show(field, value).color, isDark.value, gradient);

export const rangeOfField = (field: Field): [number, number] =>
  rangeOf([{ key: "", title: "", shown: show(field, null), value: null, field, frame: { length: 0, fields: [] } }])(field);

export function CellBody(p: CellProps) {
  const draw = KINDS[p.kind.type];
  return draw ? draw(p) : <>{cellText(p.field, p.value)}</>;
}

const Icon = ({ name }: { name?: string }) => (name ? <span aria-hidden="true">{ICONS[name] ?? ""}</span> : null);
const ICONS: Record<string, string> = { "check": "✓ ", "check-circle": "✓ ", "times": "✕ ", "times-circle": "✕ ", "exclamation-triangle": "⚠ ", "arrow-up": "↑ ", "arrow-down": "↓ " };

const KINDS: Record<string, (p: CellProps) => JSX.Element> = {
  "color-text": ({ field, value }) => {
    const shown = show(field, value);
    return <span style={{ color: legible(shown.color, isDark.value) }}><Icon name={shown.icon} />{shownText(shown)}</span>;
  },
  gauge: (p) => <Bar {...p} />,
  sparkline: (p) => <Spark {...p} />,
  "json-view": ({ value }) => <code>{json(value)}</code>,
  image: ({ field, value, kind }) => <Image src={cellText(field, value)} name={kind.alt || kind.title || titleOf(field)} />,
  pill: ({ field, value }) => <>{pillsOf(value).map((text, i) => <Pill key={i} text={text} field={field} />)}</>,
};

export function json(value: Value): string {
  if (typeof value !== "string") return JSON.stringify(value ?? null);
  try {
    return JSON.stringify(JSON.parse(value));
  } catch {
    return value;
  }
}

function Bar({ field, value, kind, width, range }: CellProps) {
  const shown = show(field, value);
  const share = shareOf(shown.number, range);
  const hidden = kind.valueDisplay === "hidden";
  const textW = hidden ? 0 : Math.min(width * 0.5, 84);
  const room = Math.max(10, width - 18 - textW);
  const color = shown.color || "var(--main)";
  const style: Styles = { width: `${share * room}px` };
  if (kind.mode === "gradient") Object.assign(style, { backgroundImage: `linear-gradient(to right, ${colorsAlong({ field }, range, 8).join(", ")})`, backgroundSize: `${room}px 100%` });
  else Object.assign(style, { backgroundColor: withAlpha(color, 0.5), borderRight: share > 0 ? `2px solid ${color}` : "none" });
  return (
    <span class="cell-bar">
      {kind.mode === "lcd" ? <Cells field={field} range={range} share={share} room={room} /> : <span class="cell-track" style={{ width: `${room}px` }}><span style={style} /></span>}
      {!hidden && <span class="cell-number" style={{ width: `${textW}px`, color: kind.valueDisplay === "text" ? "inherit" : legible(color, isDark.value) }}>{shownText(shown)}</span>}
    </span>
  );
}

function Cells({ field, range, share, room }: { field: Field; range: [number, number]; share: number; room: number }) {
  const n = Math.max(3, Math.floor(room / 9));
  return (
    <span class="cell-cells" style={{ width: `${room}px` }}>
      {colorsAlong({ field }, range, n).map((c, i) => <i key={i} style={{ backgroundColor: (i + 0.5) / n <= share ? c : withAlpha(c, 0.2) }} />)}
    </span>
  );
}

const LINE_TEXT_PX = 70;

function Spark({ field, value, kind, width, height }: CellProps) {
  const line = lineOf(value);
  if (!line) return <>{cellText(field, value)}</>;
  const text = kind.hideValue ? "" : cellText(field, value);
  const last = lastOf(line);
  const color = show(field, last).color || "var(--main)";
  const w = Math.max(20, width - 18 - (text ? LINE_TEXT_PX : 0));
  const h = height - 12;
  const path = coursePath(line.times, line.values, w, h, field.config);
  return (
    <span class="cell-bar">
      <svg width={w} height={h} aria-hidden="true"><path d={path.area} fill={color} fill-opacity="0.16" /><path d={path.line} fill="none" stroke={color} stroke-width="1.4" /></svg>
      {text && <span class="cell-number" style={{ width: `${LINE_TEXT_PX - 6}px` }}>{text}</span>}
    </span>
  );
}

// Nothing is fetched from another host: such an image is a link to it.
function Image({ src, name }: { src: string; name: string }) {
  const ours = /^data:image\//i.test(src) || (/^\/(?!\/)|^[\w.-]+\//.test(src) && !/^[a-z]+:/i.test(src));
  if (!src) return <></>;
  if (ours) return <img class="cell-image" src={src} alt={name} loading="lazy" />;
  return /^https?:\/\//i.test(src) ? <a href={src} target="_blank" rel="noopener noreferrer">{name}</a> : <>{src}</>;
}

// A pill's colour hangs on its text, so that equal texts look equal.
function Pill({ text, field }: { text: string; field: Field }) {
  const dark = isDark.value;
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) >>> 0;
  const mapped = field.config.mappings?.length ? show(field, text) : undefined;
  const color = (field.config.color?.mode === "fixed" || mapped?.text !== text) && mapped?.color ? mapped.color : paletteColor(hash % 40, dark);
  const back = solid(color, dark) ?? paletteColor(0, dark);
  return <span class="pill" style={{ backgroundColor: back, color: inkOn(back) }}>{mapped?.text || text}</span>;
}
