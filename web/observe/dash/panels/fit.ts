// fit.ts - how large a text may be in its box, and how many boxes share a panel.
const SAMPLE_PX = 100;
const widths = new Map<string, number>();
let pen: CanvasRenderingContext2D | null | undefined;

export const FONT = 'system-ui, "Segoe UI", "Liberation Sans", sans-serif'; // as the page's

// Without a browser: about what a sans-serif takes.
const guess = (text: string): number => [...text].reduce((sum, c) => sum + (/[iljt.,:;|'! ]/.test(c) ? 0.3 : /[mwMW%@]/.test(c) ? 0.9 : 0.57), 0);

// The width of a text per pixel of its font's size.
export function widthOf(text: string, weight = 400): number {
  const key = weight + text;
  let w = widths.get(key);
  if (w !== undefined) return w;
  if (pen === undefined) pen = typeof document === "undefined" ? null : document.createElement("canvas").getContext("2d");
  if (pen) {
    pen.font = `${weight} ${SAMPLE_PX}px ${FONT}`;
    w = pen.measureText(text).width / SAMPLE_PX;
  } else w = guess(text);
  if (widths.size > 20000) widths.clear();
  widths.set(key, w);
  return w;
}

// The font's size with which a text `relative` wide fills the box and no more.
export function fit(relative: number, width: number, height: number, most = Infinity, line = 1.15): number {
  const size = Math.min(width / Math.max(relative, 0.1), height / line, most);
  return Math.max(1, Math.floor(size * 10) / 10);
}

export interface Grid { columns: number; rows: number; w: number; h: number; scrolls: boolean }
export interface Least { w: number; h: number }

const SCROLLBAR_PX = 10;

// Boxes for `n` values: those of the given shape (width by height) become as large as they can.
// "horizontal" is one below the other, "vertical" side by side, as Grafana calls them.
export function gridOf(n: number, width: number, height: number, options: {
  orientation?: string; shape: number; gap?: number; least?: Least;
}): Grid {
  const { orientation = "auto", shape, gap = 8, least = { w: 1, h: 1 } } = options;
  const minW = Math.min(least.w, width);
  const minH = Math.min(least.h, height);
  const made = (columns: number): Grid => {
    const rows = Math.ceil(n / columns);
    const h = (height - gap * (rows - 1)) / rows;
    const w = (width - gap * (columns - 1)) / columns;
    const scrolls = h < minH || w < minW;
    const room = h < minH ? width - SCROLLBAR_PX : width;
    return { columns, rows, w: Math.floor(Math.max((room - gap * (columns - 1)) / columns, minW)), h: Math.floor(Math.max(h, minH)), scrolls };
  };
  if (n <= 1 || orientation === "horizontal") return made(1);
  if (orientation === "vertical") return made(n);
  let best = made(1);
  let bestScore = -1;
  for (let columns = 1; columns <= n; columns++) {
    if ((width - gap * (columns - 1)) / columns < minW) break;
    const grid = made(columns);
    const empty = grid.rows * columns - n;
    const seen = Math.min(1, height / (grid.rows * (grid.h + gap) - gap)); // without scrolling
    const score = Math.min(grid.w / shape, grid.h) * (1 - empty / (n * 4)) * seen;
    if (score > bestScore + 1e-6) [best, bestScore] = [grid, score];
  }
  return best;
}
