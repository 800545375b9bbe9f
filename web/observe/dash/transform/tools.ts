// tools.ts - what transformations share: making fields, keys of rows, and the limits that keep a mistaken
// join from filling the memory.
import type { Labels } from "../../base/format";
import type { Cell, Field, FieldType, Frame } from "../frame";
import type { Bag, FieldOptions } from "../model";

export interface TransformContext {
  zone: string;
  interpolate: (text: string) => string;
  variable?: (name: string) => string[]; // a variable's values, for filters by variable
}

export type Transform = (frames: Frame[], options: Bag, context: TransformContext) => Frame[];

export const MOST_ROWS = 1_000_000; // of a frame that a transformation makes
export const MOST_COLUMNS = 20_000;

export class TransformError extends Error {
  override name = "TransformError";
}

export function within(what: "rows" | "columns", n: number): void {
  const most = what === "rows" ? MOST_ROWS : MOST_COLUMNS;
  if (n > most) throw new TransformError(`This makes more than ${most.toLocaleString("en")} ${what}; filter or limit the data before`);
}

export const field = (name: string, type: FieldType, values: Cell[], labels?: Labels, config: FieldOptions = {}): Field => ({ name, type, values, labels, config });

// A field under another name is no longer what the query called it.
export function renamed(f: Field, displayName: string): Field {
  return { ...f, config: { ...f.config, displayName } };
}

export const title = (f: Field): string => f.title ?? f.name;
export const timeField = (frame: Frame): Field | undefined => frame.fields.find((f) => f.type === "time");
export const isSeries = (frame: Frame): boolean => !!timeField(frame) && frame.fields.some((f) => f.type === "number");

// By its title, else by the name it came with.
export const find = (frame: Frame, name: unknown): Field | undefined => frame.fields.find((f) => title(f) === name) ?? frame.fields.find((f) => f.name === name);

export const textOf = (v: Cell): string => (v === null || v === undefined ? "" : typeof v === "object" ? JSON.stringify(v) : String(v));

// The same for equal values; numbers and texts differ.
export const keyOf = (v: Cell): unknown => (v === undefined ? null : typeof v === "object" && v !== null ? JSON.stringify(v) : v);

// A frame of some rows of another, in that order.
export function pick(frame: Frame, rows: number[]): Frame {
  return { ...frame, length: rows.length, fields: frame.fields.map((f) => ({ ...f, values: rows.map((r) => f.values[r]) })) };
}

export function typeOf(values: Cell[]): FieldType {
  const first = values.find((v) => v !== null && v !== undefined);
  if (first === undefined || typeof first === "number") return values.every((v) => v === null || v === undefined || typeof v === "number") ? "number" : "string";
  const type = typeof first;
  return type === "boolean" ? "boolean" : type === "string" ? "string" : "other";
}

export const joinedRefs = (frames: Frame[], by: string): string => `${by}-${frames.map((f) => f.refId ?? "").join("-")}`;
export const strings = (x: unknown): string[] => (Array.isArray(x) ? x.filter((s): s is string => typeof s === "string") : []);
export const bag = (x: unknown): Bag => (x && typeof x === "object" ? (x as Bag) : {});
export const wholeNumber = (x: unknown, otherwise: number): number => { const n = Number(x); return x === null || x === "" || !Number.isFinite(n) ? otherwise : Math.trunc(n); };

// Rows by what they have in some columns, in the order of their first appearance.
export function groups(columns: Cell[][], length: number): Map<string, number[]> {
  const out = new Map<string, number[]>();
  for (let i = 0; i < length; i++) {
    const key = JSON.stringify(columns.map((c) => keyOf(c[i])));
    const rows = out.get(key);
    if (rows) rows.push(i);
    else out.set(key, [i]);
  }
  return out;
}
