// frame.ts - the data of a panel: columns of equal length, as Grafana's data frames. Queries make them,
// transformations change them, field options give each column its name, unit and colours, panels draw
// them. Columns are plain arrays: 10,000 series are 10,000 frames that share one column of times.
import type { Labels } from "../base/format";
import type { FieldOptions, Link } from "./model";

export type FieldType = "time" | "number" | "string" | "boolean" | "other";
export type Cell = number | string | boolean | null | undefined | object;

export interface Field {
  name: string;
  type: FieldType; // times are milliseconds since 1970
  values: Cell[];
  labels?: Labels;
  config: FieldOptions; // as the query had it, then with the panel's defaults and overrides
  title?: string; // what it is called on the page; set by applyFieldConfig()
  show?: (value: Cell) => Shown; // set by applyFieldConfig()
  index?: number; // among the coloured fields of the panel; set by applyFieldConfig()
}

export interface Frame {
  refId?: string;
  name?: string;
  length: number;
  fields: Field[];
  kind?: "series" | "table" | "heatmap" | "heatmap-rows" | "logs" | "exemplars";
  notices?: string[]; // what the query warned of
}

// A value as it is to be shown.
export interface Shown {
  number: number; // NaN if it is none
  prefix?: string;
  text: string;
  suffix?: string; // with its space, if it wants one
  color: string; // a CSS colour of the present theme
  percent?: number; // 0 to 1, within min and max
  icon?: string;
}

export interface DataLink extends Link { href: string }
export const shownText = (s: Shown): string => (s.prefix ?? "") + s.text + (s.suffix ?? "");
