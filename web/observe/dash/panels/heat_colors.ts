// heat_colors.ts - the colours of heatmaps by Grafana's names of them: ColorBrewer's scales and a few
// others, each by a few of its colours, light to dark or end to end.
import { cssColor, cssRgb, rgb, type Rgb, scaleColors, withAlpha } from "../color";

const SEQUENTIAL: Record<string, string> = {
  Oranges: "fff5eb fdd0a2 fd8d3c d94801 7f2704", Blues: "f7fbff c6dbef 6baed6 2171b5 08306b", Greens: "f7fcf5 c7e9c0 74c476 238b45 00441b",
  Greys: "ffffff d9d9d9 969696 525252 000000", Purples: "fcfbfd dadaeb 9e9ac8 6a51a3 3f007d", Reds: "fff5f0 fcbba1 fb6a4a cb181d 67000d",
  BuGn: "f7fcfd ccece6 66c2a4 238b45 00441b", BuPu: "f7fcfd bfd3e6 8c96c6 88419d 4d004b", GnBu: "f7fcf0 ccebc5 7bccc4 2b8cbe 084081",
  OrRd: "fff7ec fdd49e fc8d59 d7301f 7f0000", PuBuGn: "fff7fb d0d1e6 67a9cf 02818a 014636", PuBu: "fff7fb d0d1e6 74a9cf 0570b0 023858",
  PuRd: "f7f4f9 d4b9da df65b0 ce1256 67001f", RdPu: "fff7f3 fcc5c0 f768a1 ae017e 49006a", YlGnBu: "ffffd9 c7e9b4 41b6c4 225ea8 081d58",
  YlGn: "ffffe5 d9f0a3 78c679 238443 004529", YlOrBr: "ffffe5 fee391 fe9929 cc4c02 662506", YlOrRd: "ffffcc fed976 fd8d3c e31a1c 800026",
};
const OTHER: Record<string, string> = {
  Spectral: "9e0142 f46d43 fee08b e6f598 66c2a5 5e4fa2", RdYlGn: "a50026 f46d43 fee08b d9ef8b 66bd63 006837", RdYlBu: "a50026 f46d43 fee090 e0f3f8 74add1 313695",
  RdBu: "67001f d6604d f7f7f7 4393c3 053061", RdGy: "67001f d6604d ffffff 878787 1a1a1a", PuOr: "7f3b08 e08214 f7f7f7 8073ac 2d004b",
  PRGn: "40004b 9970ab f7f7f7 5aae61 00441b", PiYG: "8e0152 de77ae f7f7f7 7fbc41 276419", BrBG: "543005 bf812d f5f5f5 35978f 003c30",
  Turbo: "30123b 4686fb 1ae4b6 a2fc3c fbb938 e4460a 7a0403", Warm: "6e40aa bf3caf fe4b83 ff7847 e2b72f aff05b", Cool: "6e40aa 417de0 1ac7c2 40f373 aff05b",
  Cubehelix: "000000 1a2442 2a694e a07949 cea7d6 ffffff", Rainbow: "6e40aa ff5e63 aff05b 1ac7c2 6e40aa", Sinebow: "ff4040 a7bf0b 0bbf72 4040ff d80b98 ff4040",
};

function between(stops: string[], n: number): string[] {
  const colors = stops.map((c) => rgb(`#${c}`)!);
  return Array.from({ length: n }, (_, i) => {
    const x = (n > 1 ? i / (n - 1) : 1) * (colors.length - 1);
    const k = Math.min(colors.length - 2, Math.floor(x));
    return cssRgb(colors[k]!.map((c, m) => c + (colors[k + 1]![m]! - c) * (x - k)) as Rgb);
  });
}

export interface HeatColor { mode?: string; scheme?: string; fill?: string; scale?: string; exponent?: number; steps?: number; reverse?: boolean; min?: number; max?: number }

// From few to many. Few are like the card: scales from light to dark are turned round in the dark.
export function heatColors(c: HeatColor, dark: boolean): string[] {
  const steps = Math.max(2, Math.min(128, c.steps ?? 64));
  if (c.mode === "opacity") {
    const fill = cssColor(c.fill || "dark-orange", dark);
    return Array.from({ length: steps }, (_, i) => withAlpha(fill, Number(((i + 1) / steps).toFixed(3))));
  }
  const name = c.scheme ?? "Oranges";
  const sequential = SEQUENTIAL[name];
  let out: string[];
  if (sequential) {
    out = between(sequential.split(" "), steps);
    if (dark) out.reverse();
  } else if (OTHER[name]) out = between(OTHER[name]!.split(" "), steps).reverse();
  else {
    const scale = scaleColors(name.toLowerCase(), dark);
    out = Array.from({ length: steps }, (_, i) => scale[Math.round((i / (steps - 1)) * (scale.length - 1))]!);
  }
  return c.reverse ? out.reverse() : out;
}
