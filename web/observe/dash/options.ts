// options.ts - what a variable offers, from the answer of its query: the regular expression that chooses
// and names, the order, "All"; and the texts of custom variables and intervals.
import { ALL } from "./interpolate";
import type { Option, Variable } from "./model";
import { pattern } from "./pattern";

const MOST = 10000;
const FIT_MS_MAX = 2000; // of all options together: no one waits longer for a list
const FIT_CHARS_MAX = 4096; // of an option; longer ones are none of a list either

export interface Options { options: Option[]; note?: string }

// "/…/flags" or a whole text's pattern. Throws what the browser says of a bad one.
export function regexOf(text: string): RegExp {
  const slashed = /^\/(.*?)\/(g?i?m?u?s?y?)$/s.exec(text);
  return slashed ? pattern(slashed[1]!, slashed[2]) : pattern(`^${text}$`);
}

interface Named { text: string; value: string }

// Those that fit, named by the groups "text" and "value" or by the first group.
export function chosen(all: Named[], regex: string, applyTo: "text" | "value" = "value"): Named[] {
  if (!regex) return all;
  const re = regexOf(regex);
  const every = pattern(re.source, re.flags.includes("g") ? re.flags : `${re.flags}g`);
  const out: Named[] = [];
  const end = performance.now() + FIT_MS_MAX;
  for (const o of all) {
    if (performance.now() > end) throw new Error(`The regular expression took longer than ${FIT_MS_MAX / 1000} seconds for ${all.length.toLocaleString("en")} options; make it simpler.`);
    const on = applyTo === "text" ? o.text : o.value;
    if (on.length > FIT_CHARS_MAX) continue;
    const found = [...on.matchAll(every)];
    if (!found.length) continue;
    const named = found.map((m) => m.groups ?? {});
    const text = named.find((g) => g.text !== undefined)?.text;
    const value = named.find((g) => g.value !== undefined)?.value;
    if (text !== undefined || value !== undefined) out.push({ text: text ?? value!, value: value ?? text! });
    else if (found[0]!.length < 2) out.push(o);
    else for (const m of re.flags.includes("g") ? found : found.slice(0, 1)) out.push({ text: m[1] ?? on, value: m[1] ?? on });
  }
  return out;
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const NATURAL = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const numberIn = (s: string): number => Number(/\d+(?:\.\d+)?/.exec(s)?.[0] ?? -1);

const ORDERS: ((a: string, b: string) => number)[] = [ // by sort / 2
  byText, (a, b) => numberIn(a) - numberIn(b), (a, b) => byText(a.toLowerCase(), b.toLowerCase()), (a, b) => NATURAL.compare(a, b),
];

// 0 as they come, 1 and 2 by letter up and down, 3 and 4 by number, 5 and 6 by letter of any case, 7 and 8 natural.
export function sorted(options: Named[], sort = 0): Named[] {
  const order = ORDERS[Math.ceil(sort / 2) - 1];
  if (!order) return options;
  const out = [...options].sort((a, b) => order(a.text, b.text));
  return sort % 2 ? out : out.reverse();
}

// Each value once, at most 10,000, with "All" before them if it is wanted.
export function finished(v: Variable, found: Named[]): Options {
  const seen = new Set<string>();
  const options: Option[] = v.includeAll && v.type !== "interval" ? [{ text: "All", value: ALL }] : [];
  let note: string | undefined;
  for (const o of found) {
    if (seen.has(o.value)) continue;
    if (seen.size >= MOST) {
      note = `Only the first ${MOST.toLocaleString("en")} values are offered.`;
      break;
    }
    seen.add(o.value);
    options.push({ text: o.text, value: o.value });
  }
  return { options, note };
}

// "a,b", "one : 1, two : 2", with "\," for a comma within; or JSON: ["a"], [{"text": …, "value": …}].
export function customOptions(query: string, format?: string): Named[] {
  const text = query.trim();
  if (format === "json" || /^\[\s*[{"[\]]/.test(text)) {
    try {
      const json: unknown = JSON.parse(text);
      if (Array.isArray(json)) return json.map(jsonOption).filter((o) => o !== undefined) as Named[];
    } catch (e) {
      if (format === "json") throw new Error(`The options are no JSON: ${(e as Error).message}`);
    }
  }
  return (query.match(/(?:\\,|[^,])+/g) ?? []).map((part) => {
    const one = part.replace(/\\,/g, ",").trim();
    const pair = /^(.+?)\s:\s(.+)$/s.exec(one);
    return pair ? { text: pair[1]!.trim(), value: pair[2]!.trim() } : { text: one, value: one };
  }).filter((o) => o.value !== "");
}

function jsonOption(x: unknown): Named | undefined {
  if (typeof x === "string" || typeof x === "number" || typeof x === "boolean") return { text: String(x), value: String(x) };
  if (typeof x !== "object" || x === null) return undefined;
  const { text, label, value } = x as Record<string, unknown>;
  const v = value ?? text;
  return v === undefined || v === null || typeof v === "object" ? undefined : { text: String(text ?? label ?? v), value: String(v) };
}

// "1m,10m,1h", or quoted; "auto" is a part of the range.
export function intervalOptions(v: Variable): Named[] {
  const list = (typeof v.query === "string" ? v.query : "").match(/"[^"]*"|'[^']*'|[^\s,][^,]*/g) ?? [];
  const out = list.map((t) => t.trim().replace(/^["']|["']$/g, "")).filter((t) => t && t !== "auto").map((t) => ({ text: t, value: t }));
  return v.auto ? [{ text: "auto", value: `$__auto_interval_${v.name}` }, ...out] : out;
}
