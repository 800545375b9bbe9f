// log_lines.ts - the lines of log frames: which columns hold what, how loud a line is, which repeat.
import type { Field, Frame } from "../frame";
import type { Labels } from "../../base/format";
import type { Tone } from "../../parts/bits";

export interface LogLine { key: string; ms: number; text: string; labels: Labels; level: string; times: number } // times: how often it repeats

const LEVELS: [name: string, tone: Tone, words: RegExp][] = [
  ["critical", "bad", /\b(emerg|emergency|fatal|alert|crit|critical|panic)\b/i], ["error", "bad", /\b(err|eror|error)\b/i],
  ["warning", "warn", /\b(warn|warning)\b/i], ["info", "good", /\b(info|information|informational|notice)\b/i],
  ["debug", "calm", /\b(dbug|debug)\b/i], ["trace", "calm", /\btrace\b/i],
];
export const toneOf = (level: string): Tone => LEVELS.find(([name]) => name === level)?.[1] ?? "calm";

const LOOKED_AT = 300; // characters of a line in which its level is looked for

export function levelOf(labels: Labels, text: string): string {
  const told = labels.detected_level ?? labels.level ?? labels.lvl ?? labels.severity ?? labels.severity_text ?? labels.loglevel;
  const where = told ?? /(?:^|[\s,{"])(?:level|lvl|severity)"?\s*[=:]\s*"?(\w+)/i.exec(text.slice(0, LOOKED_AT))?.[1] ?? text.slice(0, LOOKED_AT);
  return LEVELS.find(([, , words]) => words.test(where))?.[0] ?? (told ? told.toLowerCase() : "unknown");
}

const named = (frame: Frame, names: string[]): Field | undefined => frame.fields.find((f) => names.includes(f.name.toLowerCase()));

function labelsAt(field: Field | undefined, row: number): Labels {
  let v = field?.values[row];
  if (typeof v === "string")
    try {
      v = JSON.parse(v) as object;
    } catch {
      return {};
    }
  return v && typeof v === "object" && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, typeof x === "string" ? x : JSON.stringify(x)])) : {};
}

export function linesOf(frames: Frame[]): LogLine[] {
  const out: LogLine[] = [];
  frames.forEach((frame, n) => {
    const time = frame.fields.find((f) => f.type === "time");
    const line = named(frame, ["line", "body", "message", "msg"]) ?? frame.fields.find((f) => f.type === "string");
    const labels = named(frame, ["labels", "attributes"]) ?? frame.fields.find((f) => f.type === "other");
    const level = named(frame, ["severity", "level", "detected_level"]);
    const id = named(frame, ["id"]);
    if (!line) return;
    for (let i = 0; i < frame.length; i++) {
      const own = { ...line.labels, ...labelsAt(labels, i) };
      const value = line.values[i];
      const text = typeof value === "object" ? JSON.stringify(value) : String(value ?? "");
      const told = level ? { ...own, level: String(level.values[i] ?? "") } : own;
      out.push({ key: id ? `${n} ${id.values[i]} ${i}` : `${n} ${i}`, ms: Number(time?.values[i] ?? NaN), text, labels: own, level: levelOf(told, text), times: 1 });
    }
  });
  return out;
}

// What makes two lines equal, by the panel's strategy.
const SAME: Record<string, (text: string) => string> = {
  exact: (t) => t.replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.,]*(?:Z|[+-]\d\d:?\d\d)?/g, ""),
  numbers: (t) => t.replace(/\d/g, ""),
  signature: (t) => t.replace(/\w/g, ""),
};

export function dedup(lines: LogLine[], strategy: string | undefined): LogLine[] {
  const same = SAME[strategy ?? "none"];
  if (!same) return lines;
  const out: LogLine[] = [];
  let before: string | undefined;
  for (const l of lines) {
    const now = same(l.text);
    if (now === before) out[out.length - 1] = { ...out[out.length - 1], times: out[out.length - 1].times + 1 };
    else out.push({ ...l });
    before = now;
  }
  return out;
}

export function ordered(lines: LogLine[], order: string | undefined): LogLine[] {
  const sign = order === "Ascending" ? 1 : -1;
  return lines.map((l, i) => [l, i] as const).sort(([a, i], [b, j]) => sign * (a.ms - b.ms) || i - j).map(([l]) => l);
}

// The labels that all lines share: told once instead of at each.
export function commonLabels(lines: LogLine[]): Labels {
  if (!lines.length) return {};
  const common = { ...lines[0].labels };
  for (const { labels } of lines)
    for (const k of Object.keys(common)) if (labels[k] !== common[k]) delete common[k];
  return common;
}

export function pretty(text: string): string {
  const at = text.search(/[[{]/);
  if (at < 0) return text;
  try {
    return text.slice(0, at) + (at ? "\n" : "") + JSON.stringify(JSON.parse(text.slice(at)), null, 2);
  } catch {
    return text;
  }
}
