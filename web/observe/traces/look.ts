// look.ts - how traces look wherever they are shown: a colour for each service, and times in words.
import { valueText } from "../base/format";
import { isDark } from "../base/store";

// Twelve hues of one lightness for each theme: at least 3:1 on the card.
const LIGHT = ["#2f5fd0", "#b45309", "#15803d", "#a21caf", "#0e7490", "#7c3aed", "#a16207", "#be185d", "#4d7c0f", "#0369a1", "#9a3412", "#57606f"];
const DARK = ["#7aa5ff", "#f2a65a", "#5fd38d", "#e28af0", "#4fd0e3", "#b79bff", "#e5c454", "#ff85b3", "#a5d65a", "#6cc3ff", "#ffb08a", "#a9b4c4"];

function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

// A service mostly has the same colour on every page; two of one page have the same only beyond twelve.
export function colorsOf(services: Iterable<string>): Map<string, string> {
  const hues = isDark.value ? DARK : LIGHT;
  const used = new Set<number>();
  const out = new Map<string, string>();
  for (const s of [...new Set(services)].sort()) {
    let at = hash(s) % hues.length;
    while (used.has(at) && used.size < hues.length) at = (at + 1) % hues.length;
    used.add(at);
    out.set(s, hues[at]);
  }
  return out;
}

export const nsText = (ns: number): string => valueText(ns / 1e9, "s");
export const shareText = (share: number): string => valueText(share, "percentunit");
export const shortId = (id: string): string => id.replace(/^0{16}/, "").slice(0, 8);

// "1.2 MB of text" in a cell would be a page: what is shown of it at first.
export const CUT = 600;
export const cut = (text: string): string => (text.length > CUT ? `${text.slice(0, CUT)}…` : text);
