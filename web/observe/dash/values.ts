// values.ts - one value as it is to be shown: mapped, formatted with its unit, coloured. Asked for every
// cell of a table and every bar, so all that depends on the field alone is settled before.
import { cssColor, DEFAULT_THRESHOLDS, NO_COLOR, paletteColor, colorByName, scheme, shadeOf, thresholdColor } from "./color";
import { formatDate } from "./moments";
import type { Cell, Field, Shown } from "./frame";
import { regex } from "./matchers";
import type { FieldOptions, MappedTo, Mapping } from "./model";
import { formatterOf, isTimeUnit } from "./units";

export interface Range { min: number; max: number }
export interface Look { dark: boolean; zone: string }

// ---- value mappings: the first that fits

type Mapper = (value: Cell) => MappedTo | undefined;

const numeric = (v: Cell): number => (typeof v === "number" ? v : typeof v === "string" && v.trim() !== "" ? Number(v) : NaN);

function byValue(options: Record<string, MappedTo>): Mapper {
  const texts = new Map(Object.entries(options));
  const numbers = new Map(Object.keys(options).filter((k) => k.trim() !== "" && !Number.isNaN(Number(k))).map((k) => [Number(k), options[k]!]));
  return (v) => {
    if (typeof v === "number") return numbers.get(v) ?? texts.get(String(v));
    if (typeof v === "string") return texts.get(v);
    if (typeof v === "boolean") return texts.get(String(v)) ?? numbers.get(v ? 1 : 0);
    return v === null || v === undefined ? texts.get("null") : undefined;
  };
}

const SPECIAL: Record<string, (v: Cell) => boolean> = {
  null: (v) => v === null || v === undefined,
  nan: (v) => typeof v === "number" && Number.isNaN(v),
  "null+nan": (v) => v === null || v === undefined || (typeof v === "number" && Number.isNaN(v)),
  true: (v) => v === true || v === "true",
  false: (v) => v === false || v === "false",
  empty: (v) => v === "",
};

function mapperOf(m: Mapping): Mapper {
  switch (m?.type) {
    case "value": return byValue(m.options ?? {});
    case "range": {
      const { from, to, result } = m.options;
      return (v) => { const n = numeric(v); return n >= (from ?? -Infinity) && n <= (to ?? Infinity) ? result : undefined; };
    }
    case "regex": {
      const re = regex(m.options.pattern);
      const { result } = m.options;
      return (v) => (typeof v === "string" && re.test(v) ? { ...result, text: result.text && v.replace(re, result.text) } : undefined);
    }
    case "special": {
      const fits = SPECIAL[m.options.match];
      return (v) => (fits?.(v) ? m.options.result : undefined);
    }
    default: return () => undefined;
  }
}

export function mapperFor(mappings: Mapping[] | undefined): Mapper | undefined {
  if (!mappings?.length) return undefined;
  const all = mappings.map(mapperOf);
  return (v) => {
    for (const m of all) { const hit = m(v); if (hit) return hit; }
    return undefined;
  };
}

// ---- colours

export const colorMode = (config: FieldOptions): string => config.color?.mode || "thresholds";
export const isByValue = (mode: string): boolean => mode === "thresholds" || mode.startsWith("continuous-");

// The colour of a value; of fields that are coloured as a whole, always the same.
function colorer(config: FieldOptions, index: number, title: string, dark: boolean, percent: (v: number) => number): (v: number) => string {
  const mode = colorMode(config);
  if (mode.startsWith("continuous-")) return (v) => scheme(mode, percent(v), dark);
  if (isByValue(mode)) {
    const thresholds = config.thresholds?.steps?.length ? config.thresholds : DEFAULT_THRESHOLDS;
    return (v) => thresholdColor(thresholds, v, () => percent(v), dark);
  }
  const own = cssColor(config.color?.fixedColor, dark);
  const one = mode === "fixed" ? own
    : mode === "shades" ? shadeOf(own, index, dark)
    : mode === "palette-classic-by-name" ? colorByName(title, dark)
    : paletteColor(index, dark, mode);
  return () => one;
}

// ---- the whole

const objectText = (v: object): string => { try { return JSON.stringify(v) ?? ""; } catch { return String(v); } };

export function showerOf(field: Field, look: Look, range: () => Range): (value: Cell) => Shown {
  const config = field.config;
  const map = mapperFor(config.mappings);
  const unit = config.unit ?? "";
  // A panel's unit is that of its numbers: of times only those of dates count.
  const format = formatterOf(field.type === "time" && !isTimeUnit(unit) ? "dateTimeAsSystem" : unit);
  const textual = !unit || unit === "string" || unit === "none"; // texts stay as they are
  const decimals = config.decimals ?? undefined;
  const percentOf = (v: number): number => {
    const { min, max } = range();
    const p = max > min ? (v - min) / (max - min) : v >= max ? 1 : 0;
    return p >= 0 ? Math.min(1, p) : 0;
  };
  const colorOf = colorer(config, field.index ?? 0, field.title ?? field.name, look.dark, percentOf);

  // Columns of booleans: true is green or the scale's upper end, false red or its lower end.
  const mode = colorMode(config);
  const ofBoolean = (v: boolean): string => (mode.startsWith("continuous-") ? scheme(mode, v ? 1 : 0, look.dark) : cssColor(v ? "green" : "red", look.dark));

  const plainly = (value: Cell): Shown => {
    if (typeof value === "number") {
      if (value !== value) return { number: value, text: "NaN", color: colorOf(value) };
      const f = format(value, decimals, look.zone);
      return { number: value, prefix: f.prefix, text: f.text, suffix: f.suffix, color: colorOf(value) };
    }
    if (value === null || value === undefined) return { number: NaN, text: config.noValue ?? "", color: colorOf(NaN) };
    if (typeof value === "boolean") {
      const n = value ? 1 : 0;
      return { number: n, text: unit.startsWith("bool") ? format(n).text : String(value), color: field.type === "boolean" ? ofBoolean(value) : colorOf(n) };
    }
    // A series in a cell is written and sorted by its one value.
    if (typeof value === "object" && "fields" in value && "value" in value) return plainly(value.value as Cell);
    if (typeof value === "object") return { number: NaN, text: objectText(value), color: colorOf(NaN) };
    const n = numeric(value);
    if (textual || Number.isNaN(n)) return { number: n, text: value, color: colorOf(n) };
    return { ...format(n, decimals, look.zone), number: n, color: colorOf(n) };
  };

  return (value) => {
    const shown = plainly(value);
    if (shown.number === shown.number && field.type !== "time") shown.percent = percentOf(shown.number);
    const to = map?.(value);
    if (to) {
      if (to.text !== undefined && to.text !== null && to.text !== "") { shown.text = to.text; shown.prefix = shown.suffix = undefined; }
      if (to.color) shown.color = cssColor(to.color, look.dark);
      if (to.icon) shown.icon = to.icon;
    }
    return shown;
  };
}

export const noColor = NO_COLOR;
export const dateText = (ms: number, zone: string): string => formatDate(ms, "YYYY-MM-DD HH:mm:ss", zone);
