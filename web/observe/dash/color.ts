// color.ts - colours by the names that dashboards have, the palettes of series and the scales of values,
// in both themes; and which of them can be read on our cards.
import type { FieldOptions, Threshold } from "./model";

// ---- named colours: six hues in five shades, dark theme then light theme

const SHADES = ["super-light-", "light-", "", "semi-dark-", "dark-"];
const HUES: Record<string, [dark: string, light: string]> = {
  red: ["FFA6B0 FF7383 F2495C E02F44 C4162A", "FF7383 F2495C E02F44 C4162A AD0317"],
  orange: ["FFCB7D FFB357 FF9830 FF780A FA6400", "FFB357 FF9830 FF780A FA6400 E55400"],
  yellow: ["FFF899 FFEE52 FADE2A F2CC0C E0B400", "FFEE52 FADE2A F2CC0C E0B400 CC9D00"],
  green: ["C8F2C2 96D98D 73BF69 56A64B 37872D", "96D98D 73BF69 56A64B 37872D 19730E"],
  blue: ["C0D8FF 8AB8FF 5794F2 3274D9 1F60C4", "8AB8FF 5794F2 3274D9 1F60C4 1250B0"],
  purple: ["DEB6F2 CA95E5 B877D9 A352CC 8F3BB8", "CA95E5 B877D9 A352CC 8F3BB8 7C2EA3"],
};

// What of CSS's own names and of the theme is asked for; other names the browser knows are left to it.
const OWN: Record<string, [dark: string, light: string]> = {
  text: ["#e6e9ef", "#171b22"], "panel-bg": ["#171b22", "#ffffff"],
  white: ["#ffffff", "#ffffff"], black: ["#000000", "#000000"], gray: ["#808080", "#808080"], grey: ["#808080", "#808080"],
};
export const NO_COLOR = "#808080"; // of what has none

export const COLOR_NAMES: string[] = Object.keys(HUES).flatMap((hue) => SHADES.map((s) => s + hue));

const named: [light: Map<string, string>, dark: Map<string, string>] = [new Map(), new Map()];
for (const [hue, values] of Object.entries(HUES))
  values.forEach((shades, light) => shades.split(" ").forEach((hex, i) => named[light ? 0 : 1]!.set(SHADES[i] + hue, `#${hex}`)));
for (const [name, [dark, light]] of Object.entries(OWN)) {
  named[0].set(name, light);
  named[1].set(name, dark);
}

export function cssColor(name: string | null | undefined, dark: boolean): string {
  if (!name) return NO_COLOR;
  if (name[0] === "#") return name;
  return named[dark ? 1 : 0].get(name) ?? (/[;{}\\]|url|image|src/i.test(name) ? NO_COLOR : name); // nothing that is fetched
}

// ---- palettes

const CLASSIC = ("green semi-dark-yellow blue orange red purple dark-green dark-yellow dark-blue dark-orange dark-red dark-purple "
  + "super-light-green super-light-yellow super-light-blue super-light-orange super-light-red super-light-purple "
  + "#447EBC #C15C17 #890F02 #0A437C #6D1F62 #584477 #B7DBAB #F4D598 #70DBED #F9BA8F #F29191 #82B5D8 #E5A8E2 #AEA2E0 "
  + "#629E51 #E5AC0E #64B0C8 #E0752D #BF1B00 #0A50A1 #962D82 #614D93 #9AC48A #F2C96D #65C5DB #F9934E #EA6460 #5195CE #D683CE #806EB7 "
  + "#3F6833 #967302 #2F575E #99440A #58140C #052B51 #511749 #3F2B5B #E0F9D7 #FCEACA #CFFAFF #F9E2D2 #FCE2DE #BADFF4 #F9D9F9 #DEDAF7").split(" ");
const COLOR_BLIND = "#0072B2 #E69F00 #009E73 #CC79A7 #56B4E9 #D55E00 #F0E442 #999999".split(" "); // Okabe and Ito

const PALETTES: Record<string, string[]> = { "palette-classic": CLASSIC, "palette-classic-by-name": CLASSIC, "palette-colorblind": COLOR_BLIND };

export function paletteColor(i: number, dark: boolean, mode = "palette-classic"): string {
  const palette = PALETTES[mode] ?? CLASSIC;
  return cssColor(palette[i % palette.length], dark);
}

// The same name has the same colour on every page; only colours that can be seen on a card are drawn from.
const visible: Record<string, string[]> = {};
export function colorByName(name: string, dark: boolean): string {
  const palette = (visible[String(dark)] ??= CLASSIC.map((c) => cssColor(c, dark)).filter((c) => contrast(c, cardColor(dark)) >= 2));
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  return palette[(hash >>> 0) % palette.length]!;
}

// ---- scales: colours between which values lie

const SCALES: Record<string, string> = {
  GrYlRd: "green yellow red", RdYlGr: "red yellow green", BlYlRd: "dark-blue super-light-yellow dark-red", YlRd: "super-light-yellow dark-red",
  BlPu: "blue purple", YlBl: "super-light-yellow dark-blue",
  blues: "panel-bg dark-blue", reds: "panel-bg dark-red", greens: "panel-bg dark-green", purples: "panel-bg dark-purple",
  viridis: "#440154 #472d7b #3b528b #2c728e #21918c #28ae80 #5ec962 #addc30 #fde725",
  magma: "#000004 #1d1147 #51127c #832681 #b73779 #e75263 #fc8961 #fec488 #fcfdbf",
  plasma: "#0d0887 #4c02a1 #7e03a8 #aa2395 #cc4778 #e66c5c #f89540 #fdc527 #f0f921",
  inferno: "#000004 #210c4a #57106e #8a226a #bc3754 #e45a31 #f98e09 #f9cb35 #fcffa4",
  cividis: "#002051 #11366c #3c4d6e #62646f #7f7c75 #9a9478 #bbaf71 #e2cb5c #fdea45",
};

// Grafana's texts, for the editor.
export const COLOR_MODES: { id: string; text: string; scale?: boolean }[] = [
  { id: "fixed", text: "Single color" }, { id: "shades", text: "Shades of a color" }, { id: "thresholds", text: "From thresholds (by value)" },
  { id: "palette-classic", text: "Classic palette" }, { id: "palette-classic-by-name", text: "Classic palette (by series name)" },
  { id: "palette-colorblind", text: "Color blind safe" },
  ...Object.entries({
    GrYlRd: "Green-Yellow-Red", RdYlGr: "Red-Yellow-Green", BlYlRd: "Blue-Yellow-Red", YlRd: "Yellow-Red", BlPu: "Blue-Purple", YlBl: "Yellow-Blue",
    blues: "Blues", reds: "Reds", greens: "Greens", purples: "Purples", viridis: "Viridis", magma: "Magma", plasma: "Plasma", inferno: "Inferno", cividis: "Cividis",
  }).map(([id, text]) => ({ id: `continuous-${id}`, text: `${text} (by value)`, scale: true })),
];

const STEPS = 256;
const scales = new Map<string, string[]>();

// The scale as 256 colours: heatmaps look one up for each cell.
export function scaleColors(mode: string, dark: boolean): string[] {
  const key = mode + dark;
  let out = scales.get(key);
  if (out) return out;
  const stops = (SCALES[mode.replace("continuous-", "")] ?? SCALES.GrYlRd!).split(" ").map((c) => rgb(cssColor(c, dark))!);
  out = Array.from({ length: STEPS }, (_, i) => cssRgb(stops.length < 4 ? bend(stops, i / (STEPS - 1)) : between(stops, i / (STEPS - 1))));
  scales.set(key, out);
  return out;
}

export function scheme(mode: string, at: number, dark: boolean): string {
  const t = at > 0 ? Math.min(1, at) : 0;
  return scaleColors(mode, dark)[Math.round(t * (STEPS - 1))]!;
}

function between(stops: Rgb[], t: number): Rgb {
  const x = t * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(x));
  return stops[i]!.map((c, k) => c + (stops[i + 1]![k]! - c) * (x - i)) as Rgb;
}

// A smooth curve through the stops (uniform cubic B-spline with mirrored ends): no edge at the middle one.
function bend(stops: Rgb[], t: number): Rgb {
  const n = stops.length - 1;
  const i = Math.min(n - 1, Math.floor(t * n));
  const u = t * n - i;
  return [0, 1, 2].map((k) => {
    const b = stops[i]![k]!;
    const c = stops[i + 1]![k]!;
    const a = i > 0 ? stops[i - 1]![k]! : 2 * b - c;
    const d = i < n - 1 ? stops[i + 2]![k]! : 2 * c - b;
    return ((1 - 3 * u + 3 * u * u - u ** 3) * a + (4 - 6 * u * u + 3 * u ** 3) * b + (1 + 3 * u + 3 * u * u - 3 * u ** 3) * c + u ** 3 * d) / 6;
  }) as Rgb;
}

// ---- thresholds

// The last step that the value reaches; the first is minus infinity. Steps in percent lie within min and max.
export function thresholdOf(thresholds: FieldOptions["thresholds"], value: number, percent: () => number): Threshold | undefined {
  const steps = thresholds?.steps;
  if (!steps?.length) return undefined;
  const v = thresholds!.mode === "percentage" ? percent() * 100 : value;
  let hit = steps[0];
  for (let i = 1; i < steps.length; i++) if (v >= (steps[i]!.value ?? -Infinity)) hit = steps[i];
  return hit;
}

export const DEFAULT_THRESHOLDS: FieldOptions["thresholds"] = { mode: "absolute", steps: [{ value: null, color: "green" }, { value: 80, color: "red" }] };

export function thresholdColor(thresholds: FieldOptions["thresholds"], value: number, percent: () => number, dark: boolean): string {
  return cssColor(thresholdOf(thresholds, value, percent)?.color, dark);
}

// ---- arithmetic of colours

export type Rgb = [r: number, g: number, b: number];
const BASIC: Record<string, string> = {
  red: "ff0000", lime: "00ff00", aqua: "00ffff", cyan: "00ffff", fuchsia: "ff00ff", magenta: "ff00ff", silver: "c0c0c0", maroon: "800000", olive: "808000",
  navy: "000080", teal: "008080", pink: "ffc0cb", brown: "a52a2a", gold: "ffd700", tomato: "ff6347", coral: "ff7f50", crimson: "dc143c", indigo: "4b0082",
  violet: "ee82ee", lightgreen: "90ee90", lightblue: "add8e6", darkred: "8b0000", darkgreen: "006400", darkblue: "00008b", darkorange: "ff8c00",
  lightgray: "d3d3d3", lightgrey: "d3d3d3", darkgray: "a9a9a9", darkgrey: "a9a9a9", white: "ffffff", black: "000000", gray: "808080", grey: "808080",
};

function hslToRgb(h: number, s: number, l: number): Rgb {
  const f = (n: number): number => {
    const k = (n + h / 30) % 12;
    return 255 * (l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [f(0), f(8), f(4)];
}

// Undefined if it is no colour that we can take apart.
export function rgb(color: string): Rgb | undefined {
  let hex = color[0] === "#" ? color.slice(1) : BASIC[color];
  if (hex) {
    if (hex.length < 6) hex = [...hex.slice(0, 3)].map((c) => c + c).join("");
    const n = /^[0-9a-f]{6}/i.test(hex) ? parseInt(hex.slice(0, 6), 16) : NaN;
    return Number.isNaN(n) ? undefined : [n >> 16, (n >> 8) & 255, n & 255];
  }
  const parts = /^(rgb|hsl)a?\(\s*([\d.]+)[\s,]+([\d.]+)(%?)[\s,]+([\d.]+)/.exec(color);
  if (!parts) return undefined;
  const [, kind, a, b, , c] = parts;
  return kind === "rgb" ? [Number(a), Number(b), Number(c)] : hslToRgb(Number(a) % 360, Number(b) / 100, Number(c) / 100);
}

export const cssRgb = (c: Rgb): string => `#${c.map((x) => Math.round(Math.min(255, Math.max(0, x))).toString(16).padStart(2, "0")).join("")}`;

// With transparency: areas under lines, backgrounds of cells.
export function withAlpha(color: string, alpha: number): string {
  const c = rgb(color);
  return c ? `rgba(${c.map(Math.round).join(",")},${alpha})` : color;
}

function luminance([r, g, b]: Rgb): number {
  const linear = (x: number): number => (x <= 10.31475 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}

// WCAG's ratio, 1 to 21; 21 if one is no colour that we know.
export function contrast(a: string, b: string): number {
  const x = rgb(a);
  const y = rgb(b);
  if (!x || !y) return 21;
  const [low, high] = [luminance(x), luminance(y)].sort((p, q) => p - q) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

export const cardColor = (dark: boolean): string => cssColor("panel-bg", dark);
export const LEAST_TEXT = 4.5;
export const LEAST_LINE = 3;

const readables = new Map<string, string>();

// The colour, as little lighter (dark theme) or darker as it must be to be read on a card.
export function readable(color: string, dark: boolean, least = LEAST_TEXT): string {
  const key = color + dark + least;
  const known = readables.get(key);
  if (known) return known;
  const c = rgb(color);
  const back = cardColor(dark);
  let out = color;
  if (c && contrast(color, back) < least) {
    const end = dark ? 255 : 0;
    let low = 0;
    let high = 1;
    for (let i = 0; i < 8; i++) {
      const t = (low + high) / 2;
      const tried = cssRgb(c.map((x) => x + (end - x) * t) as Rgb);
      if (contrast(tried, back) >= least) { high = t; out = tried; } else low = t;
    }
  }
  if (readables.size < 5000) readables.set(key, out);
  return out;
}

// Black or white, whichever is read better on a colour that fills a cell.
export function onColor(color: string): string {
  return contrast(color, "#ffffff") >= contrast(color, "#171b22") ? "#ffffff" : "#171b22";
}

// The i-th of the shades of one colour, around it: lighter and darker by turns.
export function shadeOf(color: string, i: number, dark: boolean): string {
  const c = rgb(cssColor(color, dark));
  if (!c || !i) return cssColor(color, dark);
  const step = Math.ceil((i % 8) / 2) * 0.15 * (i % 2 ? 1 : -1);
  const end = step > 0 ? 255 : 0;
  return cssRgb(c.map((x) => x + (end - x) * Math.abs(step)) as Rgb);
}
