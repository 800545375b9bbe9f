// matchers.ts - which fields and which frames an override or a transformation means.
import { reduceField } from "./calc";
import type { Cell, Field, Frame } from "./frame";
import { patternOf } from "./pattern";

export type FieldMatch = (field: Field, frame: Frame, frames: Frame[]) => boolean;
export type FrameMatch = (frame: Frame) => boolean;
export interface MatcherConfig { id: string; options?: any }

const NEVER = /[^\s\S]/;
const regexes = new Map<string, RegExp>();

// "/re/i" or the bare expression; one that is none matches nothing.
export function regex(text: unknown): RegExp {
  const source = typeof text === "string" ? text : "";
  let re = regexes.get(source);
  if (!re) {
    try {
      re = patternOf(source.replace(/\/[a-z]*$/, (flags) => flags.replace(/g/g, "")));
    } catch {
      re = NEVER;
    }
    if (regexes.size < 1000) regexes.set(source, re);
  }
  return re;
}

export const titleOf = (field: Field): string => field.title ?? field.config.displayName ?? field.config.displayNameFromDS ?? field.name;

const named = (names: Iterable<unknown>): ((f: Field) => boolean) => {
  const set = new Set(names);
  return (f) => set.has(titleOf(f)) || set.has(f.name);
};

const list = (x: unknown): any[] => (Array.isArray(x) ? x : []);

const COMPARE: Record<string, (a: Cell, b: number) => boolean> = {
  eq: (a, b) => a === b, neq: (a, b) => a !== b,
  lt: (a, b) => (a as number) < b, lte: (a, b) => (a as number) <= b, gt: (a, b) => (a as number) > b, gte: (a, b) => (a as number) >= b,
};

function byNames(options: any): FieldMatch {
  const names = Array.isArray(options) ? options : list(options?.names);
  const hit = named(names);
  // "All but these": what times are drawn over is never meant.
  if (options?.mode === "exclude") return (f) => f.type !== "time" && !hit(f);
  return hit;
}

function byRegexpOrNames(options: any): FieldMatch {
  const names = named(list(options?.names));
  const re = options?.pattern ? regex(options.pattern) : NEVER;
  return (f) => names(f) || re.test(titleOf(f)) || re.test(f.name);
}

const FIELD: Record<string, (options: any) => FieldMatch> = {
  byName: (o) => named([o]),
  byNames,
  byRegexp: (o) => { const re = regex(o); return (f) => re.test(titleOf(f)); },
  byRegexpOrNames,
  byType: (o) => (f) => f.type === o,
  byTypes: (o) => { const types = new Set(list(o)); return (f) => types.has(f.type); },
  numeric: () => (f) => f.type === "number",
  time: () => (f) => f.type === "time",
  first: () => (f, frame) => frame.fields[0] === f,
  firstTimeField: () => (f, frame) => frame.fields.find((x) => x.type === "time") === f,
  byFrameRefID: (o) => (_, frame) => frame.refId === o,
  byValue: (o) => (f) => {
    const compare = COMPARE[String(o?.op)];
    return f.type === "number" && !!compare && compare(reduceField(f, String(o?.reducer ?? "lastNotNull")), Number(o?.value));
  },
  any: () => () => true,
  none: () => () => false,
  anyMatch: (o) => { const all = list(o).map(fieldMatcher); return (...a) => all.some((m) => m(...a)); },
  allMatch: (o) => { const all = list(o).map(fieldMatcher); return (...a) => all.every((m) => m(...a)); },
  invertMatch: (o) => { const m = fieldMatcher(o); return (...a) => !m(...a); },
};

// What is not known matches nothing.
export function fieldMatcher(config: MatcherConfig | null | undefined): FieldMatch {
  const make = config && Object.hasOwn(FIELD, config.id) ? FIELD[config.id] : undefined;
  return make ? make(config!.options) : () => false;
}

const FRAME: Record<string, (options: any) => FrameMatch> = {
  byName: (o) => (f) => f.name === o,
  byRefId: (o) => {
    const re = regex(typeof o === "string" && o.startsWith("/") ? o : `^(?:${String(o ?? "")})$`);
    return (f) => re.test(f.refId ?? "");
  },
  byIndex: () => () => false,
  any: () => () => true,
  anyMatch: (o) => { const all = list(o).map(frameMatcher); return (f) => all.some((m) => m(f)); },
  allMatch: (o) => { const all = list(o).map(frameMatcher); return (f) => all.every((m) => m(f)); },
  invertMatch: (o) => { const m = frameMatcher(o); return (f) => !m(f); },
};

export function frameMatcher(config: MatcherConfig | null | undefined): FrameMatch {
  const make = config && Object.hasOwn(FRAME, config.id) ? FRAME[config.id] : undefined;
  return make ? make(config!.options) : () => true;
}
