// panel_rows.ts - what can be said of every panel, whatever its type: the rows of the editor's forms.
import { COLOR_MODES } from "../color";
import type { Control, PanelType } from "../panels/panel";
import { alike, pick } from "./choices";
import type { Row } from "./rows";

export const DEFAULTS = "fieldConfig.defaults.";
const colored = (...modes: string[]) => (p: any) => modes.includes(p.fieldConfig?.defaults?.color?.mode);
const standard = (path: string, text: string, kind: Row["kind"], more: Partial<Row> = {}): Row =>
  ({ path: DEFAULTS + path, text, kind, group: "Standard options", override: path.split(".")[0], ...more });

export const STANDARD: Row[] = [
  standard("unit", "Unit", "unit"), standard("min", "Min", "number"), standard("max", "Max", "number"),
  standard("decimals", "Decimals", "number", { least: 0, most: 15 }), standard("displayName", "Display name", "text"), standard("noValue", "No value", "text"),
  standard("color.mode", "Color scheme", "select", { choices: COLOR_MODES.map((m) => ({ value: m.id, text: m.text })) }),
  standard("color.fixedColor", "Color", "color", { when: colored("fixed", "shades") }),
  standard("color.seriesBy", "Color series by", "select", { choices: alike(["last", "min", "max"]),
    when: (p) => /^(thresholds|continuous)/.test(p.fieldConfig?.defaults?.color?.mode ?? "") }),
  standard("thresholds", "Thresholds", "thresholds", { group: "Thresholds" }),
  standard("mappings", "Value mappings", "mappings", { group: "Value mappings" }),
  standard("links", "Data links", "links", { group: "Data links" }),
];

export const panelRows = (variables: string[]): Row[] => [
  { path: "title", text: "Title", kind: "text", group: "Panel" }, { path: "description", text: "Description", kind: "area", group: "Panel" },
  { path: "transparent", text: "Transparent background", kind: "switch", group: "Panel" },
  { path: "repeat", text: "Repeat for", kind: "select", group: "Panel", choices: [{ value: "", text: "Nothing" }, ...alike(variables)] },
  { path: "repeatDirection", text: "Repeat", kind: "select", group: "Panel", choices: pick({ h: "Across", v: "Down" }), when: (p) => !!p.repeat },
  { path: "maxPerRow", text: "Most in a line", kind: "number", least: 1, most: 24, group: "Panel", when: (p) => !!p.repeat && p.repeatDirection !== "v" },
  { path: "links", text: "Links", kind: "links", group: "Panel links" },
];

export const ASKING: Row[] = [
  { path: "interval", text: "Least step", kind: "text", hint: "1m", group: "How it asks" }, { path: "maxDataPoints", text: "Most data points", kind: "number", least: 1, group: "How it asks" },
  { path: "timeFrom", text: "Relative time", kind: "text", hint: "1h", group: "How it asks" }, { path: "timeShift", text: "Time shift", kind: "text", hint: "1d", group: "How it asks" },
  { path: "hideTimeOverride", text: "Do not show that its time is another", kind: "switch", group: "How it asks" },
];

export interface Property { id: string; text: string; rows: Row[] }

// What can be said of some fields only: rows by the property that they are parts of, with paths within its value.
export function properties(type: PanelType | undefined): Property[] {
  const out = new Map<string, Property>();
  for (const row of [...STANDARD, ...((type?.controls ?? []) as Control[])]) {
    if (!row.override || !row.path.startsWith(DEFAULTS)) continue;
    const path = row.path.slice(DEFAULTS.length + row.override.length + 1);
    const have = out.get(row.override) ?? { id: row.override, text: `${row.group ?? ""}: ${row.text}`, rows: [] };
    have.rows.push({ ...(row as Row), path, when: undefined });
    out.set(row.override, have);
  }
  return [...out.values()];
}
