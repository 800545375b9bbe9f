// names.ts - what fields are called: the panel's name for them, the query's legend, or as short a name
// as tells them apart.
import { type Labels, seriesName } from "../base/format";
import type { Field, Frame } from "./frame";

// "{{pod}} of {{ job }}" with a series' labels; what a series does not have is left out.
export const fillLegend = (format: string, labels: Labels): string =>
  format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name: string) => (Object.hasOwn(labels, name) ? labels[name]! : ""));

// The labels in which many series differ.
function differing(all: Labels[]): Set<string> {
  const out = new Set<string>();
  const [first = {}] = all;
  const names = Object.keys(first).length;
  for (const labels of all) {
    let same = 0;
    for (const name in labels) if (labels[name] === first[name]) same++; else out.add(name);
    if (same < names) for (const name in first) if (labels[name] === undefined) out.add(name);
  }
  return out;
}

// A function that names series among themselves: by what differs, a lone label by its bare value.
export function shortNames(all: Labels[]): (labels: Labels) => string {
  const wanted = all.length > 1 ? differing(all) : new Set<string>();
  if (!wanted.size) all.slice(0, 1).forEach((l) => Object.keys(l).forEach((name) => wanted.add(name)));
  const lone = wanted.size === 1 ? [...wanted][0]! : undefined;
  return (labels) => {
    if (lone !== undefined) return labels[lone] ?? "";
    const kept: Labels = {};
    for (const name in labels) if (wanted.has(name)) kept[name] = labels[name]!;
    return seriesName(kept);
  };
}

const unnamed = (name: string): boolean => name === "Value" || name === "value" || name === "";

// Each field's title, whatever the panel's options say later; O(all fields).
export function nameFields(frames: Frame[]): void {
  const labelled: Labels[] = [];
  const frameNames = new Set<string | undefined>();
  for (const frame of frames) {
    frameNames.add(frame.name);
    for (const f of frame.fields) if (f.labels && !f.config.displayNameFromDS && !f.config.displayName && Object.keys(f.labels).length) labelled.push(f.labels);
  }
  const short = shortNames(labelled);
  const framesDiffer = frames.length > 1 && frameNames.size > 1;
  for (const frame of frames) {
    for (const f of frame.fields) f.title = f.config.displayName || f.config.displayNameFromDS || own(f, frame, short, framesDiffer);
    number(frame);
  }
}

function own(f: Field, frame: Frame, short: (l: Labels) => string, framesDiffer: boolean): string {
  const labels = f.labels && Object.keys(f.labels).length ? short(f.labels) : "";
  if (f.type === "time" && !labels) return f.name;
  const parts = [];
  if (framesDiffer && frame.name) parts.push(frame.name);
  if (!unnamed(f.name)) parts.push(f.name);
  if (labels) parts.push(labels);
  return parts.join(" ") || frame.name || f.name;
}

// Two of one name in one frame get numbers.
function number(frame: Frame): void {
  if (frame.fields.length < 2) return;
  const seen = new Map<string, Field[]>();
  for (const f of frame.fields) {
    const same = seen.get(f.title!);
    if (same) same.push(f);
    else seen.set(f.title!, [f]);
  }
  for (const same of seen.values()) if (same.length > 1) same.forEach((f, i) => (f.title += ` ${i + 1}`));
}
