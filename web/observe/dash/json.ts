// json.ts - what came from outside as JSON, looked at without trust: every reader of dashboards asks
// through these, so that a wrong type is an absent member and never an exception.
import type { Bag } from "./model";

export const isBag = (x: unknown): x is Bag => typeof x === "object" && x !== null && !Array.isArray(x);
export const bag = (x: unknown): Bag => (isBag(x) ? x : {});
export const list = (x: unknown): any[] => (Array.isArray(x) ? x : []);
export const bags = (x: unknown): Bag[] => list(x).filter(isBag);
export const str = (x: unknown, or = ""): string => (typeof x === "string" ? x : typeof x === "number" ? String(x) : or);

// Old dashboards have numbers as texts: "12".
export function num(x: unknown): number | undefined {
  if (typeof x === "number") return Number.isFinite(x) ? x : undefined;
  return typeof x === "string" && x.trim() && Number.isFinite(Number(x)) ? Number(x) : undefined;
}

// Sets the member, or takes it away if there is nothing to set.
export function put(into: Bag, name: string, value: unknown): void {
  if (value === undefined || value === null || value === "") delete into[name];
  else into[name] = value;
}

export function drop(from: Bag, ...names: string[]): void {
  for (const name of names) delete from[name];
}

const MOST_DEPTH = 100;
const MOST_CHARS = 50e6;

// A copy that shares nothing with what was given and has no member "__proto__" (JSON.parse makes one
// of its own, and assigning it elsewhere would change the prototype). Refuses what is too deep or too big.
export function cleanCopy(json: unknown): unknown {
  let chars = 0;
  const copy = (x: unknown, depth: number): unknown => {
    if (typeof x === "string") chars += x.length;
    if (++chars > MOST_CHARS) throw new Error("The dashboard is larger than 50 MB.");
    if (typeof x !== "object" || x === null) return x;
    if (depth > MOST_DEPTH) throw new Error(`The dashboard is nested deeper than ${MOST_DEPTH} levels.`);
    if (Array.isArray(x)) return x.map((one) => copy(one, depth + 1));
    const out: Bag = {};
    for (const name of Object.keys(x)) {
      const value = (x as Bag)[name];
      if (name !== "__proto__" && value !== undefined) out[name] = copy(value, depth + 1);
    }
    return out;
  };
  return copy(json, 0);
}

export function parseText(text: string): unknown {
  if (text.length > MOST_CHARS) throw new Error("The dashboard is larger than 50 MB.");
  try {
    return JSON.parse(text);
  } catch (e) {
    throw new Error(`The text is no JSON: ${(e as Error).message}`);
  }
}
