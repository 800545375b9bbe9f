// rows.ts - transformations that choose, sort, group and turn rows.
import { calcText, keepsUnit, reduceRow, reduceValues } from "../calc";
import type { Cell, Field, Frame } from "../frame";
import { regex } from "../matchers";
import type { Bag } from "../model";
import { memberOf, parseJson, parsePairs, type Parts } from "./parse";
import { bag, field, find, groups, joinedRefs, keyOf, pick, strings, textOf, title, type Transform, typeOf, wholeNumber, within } from "./tools";

// ---- sorting, limiting, filtering

const collator = new Intl.Collator(undefined, { numeric: false });
const nothing = (v: Cell): boolean => v === null || v === undefined || (typeof v === "number" && Number.isNaN(v));

function compare(a: Cell, b: Cell): number {
  if (nothing(a) || nothing(b)) return Number(nothing(b)) - Number(nothing(a));
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  return collator.compare(textOf(a), textOf(b));
}

export const sortBy: Transform = (frames, o) => {
  const sort: Bag[] = (Array.isArray(o.sort) ? o.sort : []).filter((s: Bag) => s?.field);
  return frames.map((frame) => {
    const by = sort.flatMap((s) => { const f = find(frame, s.field); return f ? [{ values: f.values, sign: s.desc ? -1 : 1 }] : []; });
    if (!by.length) return frame;
    const rows = Array.from({ length: frame.length }, (_, i) => i);
    rows.sort((a, b) => {
      for (const { values, sign } of by) { const d = compare(values[a], values[b]); if (d) return d * sign; }
      return a - b;
    });
    return pick(frame, rows);
  });
};

export const limit: Transform = (frames, o, context) => {
  const n = wholeNumber(typeof o.limitField === "string" ? context.interpolate(o.limitField) : o.limitField, 10);
  const cut = (v: Cell[]): Cell[] => (n < 0 ? v.slice(n) : v.slice(0, n));
  return frames.map((frame) => (frame.length <= Math.abs(n) ? frame : { ...frame, length: Math.abs(n), fields: frame.fields.map((f) => ({ ...f, values: cut(f.values) })) }));
};

type Test = (v: Cell) => boolean;
const numberOf = (v: Cell): number => (v === null || v === undefined || v === "" ? NaN : Number(v));
const looseEqual = (v: Cell, to: unknown): boolean => {
  if (v === null || v === undefined) return to === null || to === undefined || to === "";
  return typeof v === "number" ? v === numberOf(to as Cell) : textOf(v) === String(to);
};
const CHECKS: Record<string, (o: Bag) => Test> = {
  isNull: () => (v) => v === null || v === undefined, isNotNull: () => (v) => v !== null && v !== undefined,
  greater: (o) => (v) => numberOf(v) > o.value, greaterOrEqual: (o) => (v) => numberOf(v) >= o.value,
  lower: (o) => (v) => numberOf(v) < o.value, lowerOrEqual: (o) => (v) => numberOf(v) <= o.value,
  between: (o) => (v) => numberOf(v) > o.from && numberOf(v) < o.to,
  equal: (o) => (v) => looseEqual(v, o.value), notEqual: (o) => (v) => !looseEqual(v, o.value),
  substring: (o) => { const t = String(o.value ?? "").toLowerCase(); return (v) => textOf(v).toLowerCase().includes(t); },
  notSubstring: (o) => { const t = String(o.value ?? "").toLowerCase(); return (v) => !textOf(v).toLowerCase().includes(t); },
  regex: (o) => { const re = regex(o.value); return (v) => re.test(textOf(v)); },
};

export const filterByValue: Transform = (frames, o, context) => {
  const resolve = (x: unknown): unknown => (typeof x === "string" ? context.interpolate(x) : x);
  const filters = (Array.isArray(o.filters) ? o.filters : []).flatMap((f: Bag) => {
    const make = Object.hasOwn(CHECKS, String(f?.config?.id)) ? CHECKS[String(f.config.id)] : undefined;
    const given = bag(f?.config?.options);
    const numeric = (x: unknown): unknown => { const r = resolve(x); return ["greater", "greaterOrEqual", "lower", "lowerOrEqual", "between"].includes(f.config.id) ? Number(r) : r; };
    return make ? [{ name: f.fieldName, test: make({ value: numeric(given.value), from: numeric(given.from), to: numeric(given.to) }) }] : [];
  });
  if (!filters.length) return frames;
  const include = o.type !== "exclude";
  return frames.map((frame) => {
    const tests = filters.flatMap((f) => { const column = find(frame, f.name); return column ? [{ values: column.values, test: f.test }] : []; });
    if (!tests.length) return frame;
    const rows: number[] = [];
    for (let i = 0; i < frame.length; i++) {
      const hit = o.match === "all" ? tests.every((t) => t.test(t.values[i])) : tests.some((t) => t.test(t.values[i]));
      if (hit === include) rows.push(i);
    }
    return pick(frame, rows);
  });
};

// ---- one row out of many

const reducersOf = (o: Bag): string[] => { const r = strings(o.reducers); return r.length ? r : ["max"]; };

const unitOnly = (f: Field, calc: string): Bag => (keepsUnit(calc) && f.config.unit ? { unit: f.config.unit } : {});

function reduceToFields(frame: Frame, o: Bag): Frame {
  const reducers = reducersOf(o);
  const fields = frame.fields.filter((f) => f.type !== "time" || o.includeTimeField).flatMap((f) => reducers.map((calc): Field => {
    const value = reduceValues(f.values, calc);
    const type = f.type === "time" && keepsUnit(calc) ? "time" : value === null || value === undefined ? f.type === "string" ? "number" : f.type : typeOf([value]);
    return { ...field(f.name, type, [value], reducers.length > 1 ? { ...f.labels, reducer: calcText(calc) } : f.labels, f.config) };
  }));
  return { ...frame, length: 1, fields };
}

export const reduce: Transform = (frames, o) => {
  if (o.mode === "reduceFields") return frames.map((f) => reduceToFields(f, o));
  if (!frames.length) return frames;
  const reducers = reducersOf(o);
  const names: Cell[] = [];
  const labels = new Map<string, Cell[]>();
  const columns = reducers.map((): Cell[] => []);
  const kept: Field[] = [];
  for (const frame of frames)
    for (const f of frame.fields) {
      if (f.type === "time") continue;
      names.push(o.labelsToFields ? f.name : title(f));
      if (o.labelsToFields)
        for (const [k, v] of Object.entries(f.labels ?? {})) {
          if (!labels.has(k)) labels.set(k, []);
          labels.get(k)![names.length - 1] = v;
        }
      kept.push(f);
      reducers.forEach((calc, c) => columns[c]!.push(reduceValues(f.values, calc)));
    }
  const unit = kept.length && kept.every((f) => f.config.unit === kept[0]!.config.unit) ? kept[0]! : undefined;
  const fields = [
    field("Field", "string", names),
    ...[...labels].map(([k, v]) => field(k, "string", names.map((_, i) => v[i] ?? null))),
    ...reducers.map((calc, c) => field(calcText(calc), typeOf(columns[c]!), columns[c]!, undefined, unit ? unitOnly(unit, calc) : {})),
  ];
  return [{ refId: joinedRefs(frames, "reduce"), length: names.length, kind: "table", fields }];
};

// ---- groups

export const groupBy: Transform = (frames, o) => frames.flatMap((frame): Frame[] => {
  const how = (f: Field): Bag => { const all = bag(o.fields); return bag(Object.hasOwn(all, title(f)) ? all[title(f)] : undefined); };
  const keys = frame.fields.filter((f) => how(f).operation === "groupby");
  if (!keys.length) return [];
  const rows = [...groups(keys.map((f) => f.values), frame.length).values()];
  const fields = keys.map((f) => ({ ...f, values: rows.map((r) => f.values[r[0]!]) }));
  for (const f of frame.fields) {
    if (how(f).operation !== "aggregate") continue;
    for (const calc of strings(how(f).aggregations)) {
      const values = rows.map((r) => reduceRow(r.map((i) => f.values[i]), calc));
      const type = f.type === "time" && keepsUnit(calc) ? "time" : typeOf(values);
      fields.push(field(`${title(f)} (${calc})`, type, values, undefined, unitOnly(f, calc)));
    }
  }
  return [{ refId: frame.refId, name: frame.name, length: rows.length, kind: "table", fields }];
});

const EMPTY: Record<string, Cell> = { null: null, true: true, false: false, empty: "", zero: 0 };

export const groupingToMatrix: Transform = (frames, o) => {
  if (frames.length !== 1) return frames;
  const frame = frames[0]!;
  const rowName = o.rowField || "Time";
  const columnName = o.columnField || "Time";
  const row = find(frame, rowName);
  const column = find(frame, columnName);
  const value = find(frame, o.valueField || "Value");
  if (!row || !column || !value) return frames;
  const rowAt = new Map<unknown, number>();
  const rowValues: Cell[] = [];
  const cells = new Map<unknown, Map<number, Cell>>();
  const names = new Map<unknown, string>();
  for (let i = 0; i < frame.length; i++) {
    const key = keyOf(row.values[i]);
    if (!rowAt.has(key)) rowAt.set(key, rowValues.push(row.values[i]) - 1);
    const c = keyOf(column.values[i]);
    if (!cells.has(c)) { cells.set(c, new Map()); names.set(c, textOf(column.values[i])); }
    cells.get(c)!.set(rowAt.get(key)!, value.values[i]);
  }
  within("columns", cells.size);
  within("rows", (cells.size * rowValues.length) / 20); // a matrix of twenty million cells
  const none = Object.hasOwn(EMPTY, String(o.emptyValue)) ? EMPTY[String(o.emptyValue)]! : "";
  const fields = [...cells].map(([key, column]) => field(names.get(key)!, value.type, rowValues.map((_, i) => column.get(i) ?? none), undefined, value.config.unit ? { unit: value.config.unit } : {}));
  return [{ refId: frame.refId, length: rowValues.length, kind: "table", fields: [field(`${rowName}\\${columnName}`, row.type, rowValues), ...fields] }];
};

export const partitionByValues: Transform = (frames, o) => frames.flatMap((frame): Frame[] => {
  const by = strings(o.fields).flatMap((name) => find(frame, name) ?? []);
  if (!by.length) return [frame];
  const naming = bag(o.naming);
  const parts = groups(by.map((f) => f.values), frame.length);
  within("columns", parts.size);
  return [...parts.values()].map((rows) => {
    const labels = Object.fromEntries(by.map((f) => [title(f), textOf(f.values[rows[0]!])]));
    const part = pick(frame, rows);
    part.fields = part.fields.filter((_, i) => o.keepFields || !by.includes(frame.fields[i]!)).map((f) => (naming.asLabels && f.type !== "time" ? { ...f, labels: { ...f.labels, ...labels } } : f));
    if (!naming.asLabels) {
      const name = by.map((f) => (naming.withNames ? title(f) + (naming.separator1 ?? "=") : "") + labels[title(f)]).join(naming.separator2 ?? " ");
      part.name = naming.append && frame.name ? `${frame.name} ${name}` : name;
    }
    return part;
  });
});

export const transpose: Transform = (frames, o) => frames.map((frame) => {
  const [first, ...rest] = frame.fields;
  if (!first) return frame;
  within("columns", frame.length);
  const types = new Set(rest.map((f) => f.type));
  const one = types.size === 1 ? rest[0]!.type : "string";
  const fields = first.values.map((v, row) => field(o.restFieldsName || "Value", one, rest.map((f) => (types.size === 1 ? f.values[row] : textOf(f.values[row]))), { [title(first)]: textOf(v) }, { displayNameFromDS: textOf(v) }));
  return { refId: joinedRefs([frame], "transpose"), length: rest.length, kind: "table" as const, fields: [field(o.firstFieldName || "Field", "string", rest.map(title)), ...fields] };
});

// ---- a text's parts as columns

function parserOf(o: Bag): (v: Cell) => Parts | undefined {
  switch (o.format) {
    case "json": return parseJson;
    case "kvp": return parsePairs;
    case "regexp": {
      const re = regex(o.regExp);
      return (v) => { const m = re.exec(textOf(v)); return m ? (m.groups as Parts | undefined) ?? Object.fromEntries(m.slice(1).map((x, i) => [String(i + 1), x])) : undefined; };
    }
    case "delimiter": {
      const by = typeof o.delimiter === "string" && o.delimiter ? o.delimiter : ",";
      return (v) => (v === null || v === undefined ? undefined : Object.fromEntries(textOf(v).split(by).map((part) => [part.trim(), true])));
    }
    default: return (v) => parseJson(v) ?? parsePairs(v);
  }
}

const asNumbers = (values: Cell[]): Cell[] => values.map((v) => (typeof v === "string" && v.trim() ? Number(v) : v));
const allNumeric = (values: Cell[]): boolean => values.some((v) => v !== null) && values.every((v) => v === null || typeof v === "number" || (typeof v === "string" && v.trim() !== "" && Number.isFinite(Number(v))));

export const extractFields: Transform = (frames, o) => frames.map((frame) => {
  const source = o.source ? find(frame, o.source) : undefined;
  if (!source) return frame;
  const parse = parserOf(o);
  const paths: Bag[] | undefined = o.format === "json" && Array.isArray(o.jsonPaths) && o.jsonPaths.length ? o.jsonPaths.filter((p: Bag) => p?.path) : undefined;
  const columns = new Map<string, Cell[]>();
  source.values.forEach((v, i) => {
    const parts = parse(v);
    if (!parts) return;
    const put = (name: string, value: Cell): void => {
      let column = columns.get(name);
      if (!column) { within("columns", columns.size + 1); columns.set(name, (column = new Array<Cell>(frame.length).fill(null))); }
      column[i] = value ?? null;
    };
    if (paths) for (const p of paths) put(String(p.alias || p.path), memberOf(parts, String(p.path)));
    else for (const name of Object.keys(parts)) put(name, parts[name]);
  });
  const added = [...columns].map(([name, values]) => (o.format !== "json" && allNumeric(values) ? field(name, "number", asNumbers(values)) : field(name, typeOf(values), values)));
  const old = o.replace ? frame.fields.filter((f) => o.keepTime && f.type === "time") : frame.fields;
  return { ...frame, kind: "table" as const, fields: [...old, ...added] };
});
