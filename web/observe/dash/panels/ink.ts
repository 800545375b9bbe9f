// ink.ts - text on the colours that dashboards choose: fills keep them, see-through ones are taken as they
// look on a card, and the text on them is black or white, whichever reads better.
import { cardColor, contrast, cssRgb, readable, type Rgb, rgb } from "../color";

const BLACK = "#101216";
const WHITE = "#ffffff";

const alphaOf = (color: string): number => {
  if (color === "transparent") return 0;
  if (color[0] === "#") return color.length === 9 ? parseInt(color.slice(7), 16) / 255 : color.length === 5 ? parseInt(color[4], 16) / 15 : 1;
  const call = /^(?:rgb|hsl)a?\((.*)\)$/.exec(color);
  const part = call?.[1].split(/[\s,/]+/).filter(Boolean)[3];
  return part === undefined ? 1 : parseFloat(part) / (part.endsWith("%") ? 100 : 1);
};

const mixed = (a: Rgb, b: Rgb, share: number): string => cssRgb(a.map((x, i) => x + (b[i] - x) * share) as Rgb);

// What a colour looks like on a card; undefined for one that cannot be seen or that only the browser knows.
export function solid(color: string, dark: boolean): string | undefined {
  const c = color ? rgb(color) : undefined;
  const alpha = alphaOf(color ?? "");
  if (!c || !(alpha > 0)) return undefined;
  return alpha < 1 ? mixed(rgb(cardColor(dark))!, c, alpha) : cssRgb(c);
}

export function legible(color: string, dark: boolean): string {
  const seen = solid(color, dark);
  return seen ? readable(seen, dark) : "var(--text)";
}

// Black or white on a colour, or on both ends of a run of colours.
export function inkOn(color: string, other = color): string {
  const worst = (ink: string) => Math.min(contrast(ink, color), contrast(ink, other));
  return worst(BLACK) >= worst(WHITE) ? BLACK : WHITE;
}

// The two ends of the slight run of colour that fills a background: away from its ink, so that it reads
// everywhere.
export function run(color: string): [string, string] {
  const c = rgb(color)!;
  return inkOn(color) === WHITE ? [mixed(c, [0, 0, 0], 0.22), color] : [color, mixed(c, [255, 255, 255], 0.18)];
}

export interface Back extends Record<string, string> { backgroundColor: string; backgroundImage: string; color: string }

// A filled background with the ink on it.
export function filled(color: string, dark: boolean, gradient: boolean): Back | undefined {
  const seen = solid(color, dark);
  if (!seen) return undefined;
  const [a, b] = gradient ? run(seen) : [seen, seen];
  return { backgroundColor: a, backgroundImage: a === b ? "none" : `linear-gradient(120deg, ${a}, ${b})`, color: inkOn(a, b) };
}
