// range_text.ts - a time range as a text that one copies: {"from":"now-6h","to":"now"}, as Grafana has it,
// or any address with from= and to=.
import { parseInstant } from "./duration";

export const rangeToText = (from: string, to: string): string => JSON.stringify({ from, to });

// A time as an address has it: relative, or milliseconds; nothing if it is none.
function endOf(v: unknown, now: number, late: boolean): string | undefined {
  const text = String(v ?? "").trim();
  if (Number.isFinite(parseInstant(text, now, "utc", late))) return text;
  const ms = Date.parse(text);
  return Number.isFinite(ms) ? String(ms) : undefined;
}

export function rangeFromText(text: string, now: number): [from: string, to: string] | undefined {
  let given: { from?: unknown; to?: unknown };
  try {
    given = JSON.parse(text) as object ?? {};
  } catch {
    const query = new URLSearchParams(text.trim().replace(/^[^?]*\?/, "").replace(/#.*$/, ""));
    given = { from: query.get("from"), to: query.get("to") ?? "now" };
  }
  const from = endOf(given.from, now, false);
  const to = endOf(given.to, now, true);
  if (from === undefined || to === undefined) return undefined;
  return parseInstant(from, now, "utc") < parseInstant(to, now, "utc", true) ? [from, to] : undefined;
}
