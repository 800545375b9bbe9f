// read_variables.ts - template variables of every age in their newest form.
import { bags, drop, isBag, list, num, put, str } from "./json";
import type { Bag, Option, Variable } from "./model";
import type { Reading } from "./read";
import { readRef } from "./read_source";

const TYPES = ["query", "custom", "constant", "datasource", "interval", "textbox", "adhoc", "groupby", "switch", "system"];

export function readVariables(raw: unknown, reading: Reading): Variable[] {
  const out: Variable[] = [];
  const seen = new Set<string>();
  for (const v of bags(raw)) {
    const name = str(v.name);
    const own = name === "__proto__"; // an object's, not a variable's
    if (!name || seen.has(name) || own) {
      reading.notes.push(own ? "A variable cannot be called __proto__." : name ? `A second variable "${name}" is left out.` : "A variable without a name is left out.");
      continue;
    }
    seen.add(name);
    out.push(readVariable(v, name, reading));
  }
  return out;
}

function readVariable(v: Bag, name: string, reading: Reading): Variable {
  const out = v as Variable;
  out.name = name;
  oldHide(v, reading);
  if (!TYPES.includes(str(v.type))) {
    if (v.type && v.type !== "filter") reading.notes.push(`Variable "${name}": its type "${str(v.type)}" is not known; it keeps its saved value.`);
    out.type = v.type && v.type !== "filter" && v.query === undefined ? "constant" : "query";
  }
  put(out, "label", v.label);
  if (typeof v.refresh === "boolean") out.refresh = v.refresh ? 1 : 0;
  else if (v.refresh !== undefined) out.refresh = ([0, 1, 2] as const).find((r) => r === num(v.refresh)) ?? 1;
  if (v.sort !== undefined) out.sort = num(v.sort) ?? 0;
  if ("datasource" in v) put(out, "datasource", readRef(v.datasource, reading.sources));
  if (v.useTags !== undefined || v.tagsQuery !== undefined || v.tagValuesQuery !== undefined)
    drop(v, "useTags", "tags", "tagsQuery", "tagValuesQuery");
  if (v.multi !== undefined) out.multi = v.multi === true;
  if (v.includeAll !== undefined) out.includeAll = v.includeAll === true;
  if (v.allValue !== undefined) put(out, "allValue", str(v.allValue));
  if (v.regex !== undefined) out.regex = str(v.regex);
  if (v.options !== undefined) out.options = bags(v.options).map(readOption);
  if (v.current !== undefined) readCurrent(out);
  if (out.type === "adhoc") out.filters = bags(v.filters).map((f) => ({ ...f, key: str(f.key), operator: str(f.operator) || "=", value: str(f.value) }));
  return out;
}

// A constant was shown as a box to type into until schema 27; constants are hidden since.
function oldHide(v: Bag, reading: Reading): void {
  if (v.hideVariable) v.hide = 2;
  else if (v.hideLabel) v.hide = 1;
  drop(v, "hideVariable", "hideLabel");
  if (v.hide !== undefined) v.hide = [0, 1, 2, 3].find((h) => h === num(v.hide)) ?? (v.hide === true ? 2 : 0);
  if (v.type === "constant" && v.hide !== 2 && reading.version > 0 && reading.version < 27) v.type = "textbox";
}

const one = (x: unknown): string => (typeof x === "boolean" ? String(x) : str(x));

function readOption(o: Bag): Option {
  const value = one(isBag(o.value) ? o.value.value : Array.isArray(o.value) ? o.value[0] : o.value);
  return { ...o, text: one(Array.isArray(o.text) ? o.text[0] : o.text) || value, value };
}

// Lists for what selects several, one value for the rest; the value that is missing is the text.
function readCurrent(v: Variable): void {
  const c = isBag(v.current) ? (v.current as Bag) : { text: one(v.current), value: one(v.current) };
  if (!Object.keys(c).length || (c.value === undefined && c.text === undefined)) {
    v.current = {};
    return;
  }
  const values = (Array.isArray(c.value) ? list(c.value) : c.value === null || c.value === undefined ? [] : [c.value]).map(one);
  let texts = (Array.isArray(c.text) ? list(c.text) : c.text === null || c.text === undefined ? [] : [c.text]).map(one);
  if (!values.length) values.push(...texts.map((t) => (t === "All" && v.includeAll ? "$__all" : t)));
  if (texts.length !== values.length) texts = texts.length === 1 && texts[0]!.includes(" + ") ? texts[0]!.split(" + ") : [];
  if (texts.length !== values.length) texts = values.map((x) => (x === "$__all" ? "All" : x));
  drop(c, "tags");
  v.current = v.multi ? { ...c, text: texts, value: values } : { ...c, text: texts[0] ?? "", value: values[0] ?? "" };
}
