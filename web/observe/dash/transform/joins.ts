// joins.ts - transformations that make one frame of several, or take one apart into series.
import { reduceValues } from "../calc";
import type { Cell, Field, Frame } from "../frame";
import type { Bag } from "../model";
import { shortNames } from "../names";
import { bag, field, find, groups, isSeries, joinedRefs, keyOf, strings, textOf, timeField, title, type Transform, typeOf, within } from "./tools";

// ---- merge: rows that agree in all shared columns become one

export const merge: Transform = (frames) => {
  const full = frames.filter((f) => f.fields.length);
  if (full.length < 2) return full.length ? full : frames;
  const columns = new Map<string, { like: Field; values: Cell[] }>();
  for (const frame of full) for (const f of frame.fields) if (!columns.has(title(unlabelled(f)))) columns.set(title(unlabelled(f)), { like: f, values: [] });
  const names = [...columns.keys()];
  const has = full.map((frame) => new Set(frame.fields.map((f) => title(unlabelled(f)))));
  const shared = names.filter((n) => has.every((h) => h.has(n)));
  within("rows", full.reduce((n, f) => n + f.length, 0));
  const rows = new Map<string, number[]>(); // those with the same shared values
  let length = 0;
  for (const frame of full) {
    const own = new Map(frame.fields.map((f) => [title(unlabelled(f)), f.values]));
    for (let i = 0; i < frame.length; i++) {
      const key = JSON.stringify(shared.map((n) => keyOf(own.get(n)![i])));
      const same = shared.length ? rows.get(key) : undefined;
      // A row that has nothing of ours yet, or the same.
      let at = same?.find((row) => [...own].every(([n, v]) => { const there = columns.get(n)!.values[row]; return there === undefined || there === v[i]; }));
      if (at === undefined) {
        at = length++;
        if (same) same.push(at);
        else rows.set(key, [at]);
      }
      for (const [n, v] of own) columns.get(n)!.values[at] = v[i];
    }
  }
  const filled = (v: Cell[]): Cell[] => Array.from({ length }, (_, i) => v[i] ?? null);
  const fields = names.map((n) => { const { like, values } = columns.get(n)!; return { ...field(like.name, like.type, filled(values), undefined, unlabelled(like).config) }; });
  return [{ refId: joinedRefs(full, "merge"), length, kind: "table", fields }];
};

// A series' column is called by its name alone: its labels are lost in a table.
function unlabelled(f: Field): Field {
  if (!f.labels || f.config.displayName) return f.labels ? f : { ...f, title: f.config.displayName ?? f.config.displayNameFromDS ?? f.name };
  const { displayNameFromDS: _, ...config } = f.config;
  return { ...f, title: f.name, config };
}

// ---- joins

// The column that tables are joined by: the one asked for, else the time.
const keyField = (frame: Frame, name: unknown): Field | undefined => (typeof name === "string" && name ? find(frame, name) : timeField(frame));

// A series' value column is called by its frame.
const joined = (frame: Frame, f: Field): Field => (frame.name && f.name === "Value" ? { ...f, name: frame.name } : f);

interface Side { frame: Frame; key: Field; others: Field[] }

function outer(sides: Side[]): { key: Cell[]; fields: Field[] } {
  const first = sides[0]!.key.values;
  // Series of one answer share their times: nothing is to be joined.
  if (sides.every((s) => s.key.values === first)) return { key: first, fields: sides.flatMap((s) => s.others.map((f) => joined(s.frame, f))) };
  const at = new Map<unknown, number>();
  const keys: Cell[] = [];
  for (const { key } of sides) for (const v of key.values) { const k = keyOf(v); if (!at.has(k)) at.set(k, keys.push(v) - 1); }
  within("rows", keys.length);
  const numeric = keys.every((k) => typeof k === "number");
  const order = keys.map((_, i) => i);
  if (numeric) order.sort((a, b) => (keys[a] as number) - (keys[b] as number));
  const place = new Array<number>(keys.length);
  order.forEach((from, to) => (place[from] = to));
  const key = order.map((i) => keys[i]);
  const cells = sides.reduce((n, s) => n + s.others.length, 0) * keys.length;
  within("rows", cells / 50); // fifty million cells
  const rowsOf = new Map<Cell[], number[]>(); // of each column of keys, for series that share one
  const fields = sides.flatMap(({ frame, key: k, others }) => {
    let rows = rowsOf.get(k.values);
    if (!rows) rowsOf.set(k.values, (rows = k.values.map((v) => place[at.get(keyOf(v))!]!)));
    return others.map((f) => {
      const values = new Array<Cell>(keys.length).fill(null);
      for (let i = 0; i < rows!.length; i++) values[rows![i]!] = f.values[i];
      return { ...joined(frame, f), values };
    });
  });
  return { key, fields };
}

// Every pair of rows with the same key; with `all`, those without a partner after them.
function pairs(left: Frame, keyName: string, right: Side, all: boolean): Frame {
  const [leftKey, ...leftFields] = left.fields as [Field, ...Field[]];
  const rightRows = new Map<unknown, number[]>();
  right.key.values.forEach((v, i) => { const k = keyOf(v); const r = rightRows.get(k); if (r) r.push(i); else rightRows.set(k, [i]); });
  const hits: [number, number][] = [];
  const lonely: [number, number][] = [];
  const used = new Set<unknown>();
  leftKey.values.forEach((v, i) => {
    const k = keyOf(v);
    const partners = rightRows.get(k);
    if (!partners) return void (all && lonely.push([i, -1]));
    used.add(k);
    within("rows", hits.length + partners.length);
    for (const r of partners) hits.push([i, r]);
  });
  const rest = all ? right.key.values.flatMap((v, i): [number, number][] => (used.has(keyOf(v)) ? [] : [[-1, i]])) : [];
  const rows = [...hits, ...lonely, ...rest];
  within("rows", rows.length);
  const fields = [
    { ...leftKey, name: keyName, values: rows.map(([l, r]) => (l >= 0 ? leftKey.values[l] : right.key.values[r])) },
    ...leftFields.map((f) => ({ ...f, values: rows.map(([l]) => (l >= 0 ? f.values[l] : null)) })),
    ...right.others.map((f) => ({ ...joined(right.frame, f), values: rows.map(([, r]) => (r >= 0 ? f.values[r] : null)) })),
  ];
  return { ...left, length: rows.length, fields };
}

export const joinByField: Transform = (frames, o) => {
  const sides = frames.flatMap((frame): Side[] => { const key = keyField(frame, o.byField); return key ? [{ frame, key, others: frame.fields.filter((f) => f !== key) }] : []; });
  if (frames.length < 2 || sides.length < 2) return sides.length === 1 ? [sides[0]!.frame] : frames;
  within("columns", sides.reduce((n, s) => n + s.others.length, 1));
  const refId = joinedRefs(sides.map((s) => s.frame), "joinByField");
  const [first, ...rest] = sides as [Side, ...Side[]];
  if (o.mode === "inner" || o.mode === "outerTabular") {
    const start: Frame = { refId, length: first.frame.length, fields: [first.key, ...first.others.map((f) => joined(first.frame, f))] };
    return [rest.reduce((left, right) => pairs(left, first.key.name, right, o.mode === "outerTabular"), start)];
  }
  const { key, fields } = outer(sides);
  return [{ refId, length: key.length, fields: [{ ...first.key, values: key }, ...fields] }];
};

// One label's values become columns, the others the rows.
export const joinByLabels: Transform = (frames, o) => {
  const label = String(o.value ?? "");
  const series = frames.flatMap((frame) => frame.fields.filter((f) => f.labels && f.labels[label] !== undefined).map((f) => ({ f, frame })));
  if (!series.length) return frames;
  const by = strings(o.join).length ? strings(o.join) : [...new Set(series.flatMap(({ f }) => Object.keys(f.labels!)))].filter((n) => n !== label && n !== "__name__");
  const rows = new Map<string, { labels: string[]; at: number; length: number }>();
  const columns = new Map<string, { like: Field; parts: Map<string, Cell[]> }>();
  for (const { f } of series) {
    const labels = by.map((n) => f.labels![n] ?? "");
    const key = JSON.stringify(labels);
    const row = rows.get(key);
    if (!row) rows.set(key, { labels, at: 0, length: f.values.length });
    else row.length = Math.max(row.length, f.values.length);
    const name = f.labels![label]!;
    if (!columns.has(name)) columns.set(name, { like: f, parts: new Map() });
    columns.get(name)!.parts.set(key, f.values);
  }
  let length = 0;
  for (const r of rows.values()) { r.at = length; length += r.length; }
  within("rows", (length * Math.max(1, columns.size)) / 20);
  const keys = by.map((name, i) => field(name, "string", [...rows.values()].flatMap((r) => new Array<Cell>(r.length).fill(r.labels[i]!))));
  const values = [...columns].map(([name, { like, parts }]) => {
    const out = new Array<Cell>(length).fill(null);
    for (const [key, v] of parts) v.forEach((x, i) => (out[rows.get(key)!.at + i] = x));
    return field(name, like.type, out);
  });
  return [{ refId: joinedRefs(frames, "joinByLabels"), length, kind: "table", fields: [...keys, ...values] }];
};

export const concatenate: Transform = (frames, o) => {
  if (frames.length < 2) return frames;
  const length = Math.max(...frames.map((f) => f.length));
  within("columns", frames.reduce((n, f) => n + f.fields.length, 0));
  const mode = o.frameNameMode ?? "field";
  const fields = frames.flatMap((frame) => frame.fields.map((f): Field => {
    const values = f.values.length === length ? f.values : [...f.values, ...new Array<Cell>(length - f.values.length).fill(null)];
    const out = { ...f, values };
    if (!frame.name || mode === "drop") return out;
    if (mode === "label") return { ...out, labels: { ...f.labels, [o.frameNameLabel || "frame"]: frame.name } };
    return { ...out, name: f.name === "Value" ? frame.name : `${frame.name} · ${f.name}` };
  }));
  return [{ length, fields, refId: joinedRefs(frames, "concatenate") }];
};

// ---- series as rows and back

export const seriesToRows: Transform = (frames) => {
  if (!frames.length || !frames.every(isSeries)) return frames;
  const rows: [t: Cell, name: string, v: Cell][] = [];
  let like: Field | undefined;
  for (const frame of frames) {
    const times = timeField(frame)!.values;
    for (const f of frame.fields) {
      if (f.type !== "number") continue;
      like ??= f;
      within("rows", rows.length + times.length);
      times.forEach((t, i) => rows.push([t, frame.name ?? title(f), f.values[i]]));
    }
  }
  rows.sort((a, b) => (b[0] as number) - (a[0] as number));
  return [{
    refId: joinedRefs(frames, "seriesToRows"), length: rows.length, kind: "table",
    fields: [field("Time", "time", rows.map((r) => r[0])), field("Metric", "string", rows.map((r) => r[1])), field("Value", "number", rows.map((r) => r[2]), undefined, like?.config.unit ? { unit: like.config.unit } : {})],
  }];
};

// Each value column by itself; texts beside it become its labels.
function multi(frame: Frame): Frame[] {
  const time = timeField(frame);
  if (!time) return [frame];
  const texts = frame.fields.filter((f) => f.type === "string");
  const parts = texts.length ? [...groups(texts.map((f) => f.values), frame.length).values()] : [undefined];
  const numbers = frame.fields.filter((f) => f.type === "number" || f.type === "boolean");
  within("columns", parts.length * numbers.length);
  return parts.flatMap((rows) => {
    const taken = (v: Cell[]): Cell[] => (rows ? rows.map((r) => v[r]) : v);
    const labels = rows ? Object.fromEntries(texts.map((f) => [f.name, textOf(f.values[rows[0]!])])) : undefined;
    const times = taken(time.values);
    return numbers.map((f): Frame => ({
      refId: frame.refId, name: frame.name ?? (numbers.length > 1 ? f.name : undefined), length: times.length, kind: "series",
      fields: [{ ...time, values: times }, { ...f, labels: labels || f.labels ? { ...f.labels, ...labels } : undefined, values: taken(f.values) }],
    }));
  });
}

function long(frames: Frame[]): Frame {
  const parts = frames.flatMap(multi).filter(isSeries);
  const labels = [...new Set(parts.flatMap((p) => Object.keys(p.fields[1]!.labels ?? {})))].sort();
  const names = [...new Set(parts.map((p) => p.fields[1]!.name))];
  const rows = new Map<string, Cell[]>();
  for (const p of parts) {
    const [time, value] = p.fields as [Field, Field];
    const own = labels.map((l) => value.labels?.[l] ?? "");
    const at = 1 + labels.length + names.indexOf(value.name);
    time.values.forEach((t, i) => {
      const key = JSON.stringify([t, ...own]);
      let row = rows.get(key);
      if (!row) { within("rows", rows.size + 1); rows.set(key, (row = [t, ...own, ...names.map(() => null)])); }
      row[at] = value.values[i];
    });
  }
  const sorted = [...rows.values()].sort((a, b) => (a[0] as number) - (b[0] as number));
  const column = (i: number): Cell[] => sorted.map((r) => r[i]);
  return {
    refId: joinedRefs(frames, "prepareTimeSeries"), length: sorted.length, kind: "table",
    fields: [field("Time", "time", column(0)), ...labels.map((l, i) => field(l, "string", column(1 + i))), ...names.map((n, i) => field(n, typeOf(column(1 + labels.length + i)), column(1 + labels.length + i)))],
  };
}

export const prepareTimeSeries: Transform = (frames, o, context) => {
  if (o.format === "multi" || o.format === "many") return frames.flatMap(multi);
  if (o.format === "long") return [long(frames)];
  const series = frames.flatMap((f) => (f.fields.some((x) => x.type === "string") ? multi(f) : [f]));
  return series.length < 2 ? series : joinByField(series, { mode: "outer" }, context);
};

// A row for each series: its labels, and its course as a small chart in one cell. The cell is the frame
// of the series, with `value`, what it is sorted and written by.
export const timeSeriesTable: Transform = (frames, o) => {
  const byRef = new Map<string, Frame[]>();
  const others: Frame[] = [];
  for (const frame of frames) {
    if (!isSeries(frame)) { others.push(frame); continue; }
    for (const one of frame.fields.some((f) => f.type === "string") || frame.fields.length > 2 ? multi(frame).filter(isSeries) : [frame]) {
      const ref = one.refId ?? "";
      if (!byRef.has(ref)) byRef.set(ref, []);
      byRef.get(ref)!.push(one);
    }
  }
  const tables = [...byRef].map(([ref, series]): Frame => {
    const value = (f: Frame): Field => f.fields.find((x) => x.type === "number")!;
    const names = new Set<string>();
    for (const s of series) for (const n in value(s).labels) names.add(n);
    const how: Bag = bag(o[ref]);
    const cells = series.map((s): Cell => ({ ...s, value: reduceValues(value(s).values, how.stat ?? "lastNotNull") }));
    const labels = [...names].map((n) => field(n, "string", series.map((s) => value(s).labels?.[n] ?? "")));
    const short = shortNames(series.map((s) => value(s).labels ?? {}));
    const named = labels.length ? labels : [field("Name", "string", series.map((s) => s.name ?? short(value(s).labels ?? {})))];
    return { refId: ref, length: series.length, kind: "table", fields: [...named, field(ref ? `Trend #${ref}` : "Trend", "other", cells, undefined, value(series[0]!).config.unit ? { unit: value(series[0]!).config.unit } : {})] };
  });
  return [...tables, ...others];
};
