// memory.ts - the queries that were run here, newest first, and those that were kept. In the browser.
import { kept } from "../base/store";

const PAST_MAX = 100;

export const past = kept<string[]>("queries.past", []);
export const saved = kept<string[]>("queries.saved", []);

export function remember(expr: string): void {
  past.value = [expr, ...past.value.filter((q) => q !== expr)].slice(0, PAST_MAX);
}
