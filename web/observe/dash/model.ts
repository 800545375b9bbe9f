// model.ts - a dashboard as the page works with it: Grafana's classic model in its newest form, whatever
// form was read. Members that nothing here knows are kept as they came, so that what is saved again
// loses nothing. read.ts makes it of any form, write.ts gives it back.
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Bag = Record<string, any>; // options whose members a panel type knows

export interface Ref { type?: string; uid?: string } // of a data source

export interface Dashboard extends Bag {
  uid: string;
  title: string;
  description?: string;
  tags: string[];
  timezone: string; // "", "browser", "utc" or a zone's name
  editable: boolean;
  graphTooltip: 0 | 1 | 2; // default, shared crosshair, shared tooltip
  time: { from: string; to: string };
  timepicker: Bag;
  refresh: string; // "" is off
  schemaVersion: number;
  version: number;
  panels: Panel[]; // open rows are followed by their panels, folded rows hold them
  templating: { list: Variable[] };
  annotations: { list: Annotations[] };
  links: Link[];
}

export interface Place { x: number; y: number; w: number; h: number } // of 24 columns; rows of 30 px, 8 apart

export interface Panel extends Bag {
  id: number;
  type: string; // "timeseries", never an old type that has a successor
  title: string;
  description?: string;
  transparent?: boolean;
  gridPos: Place;
  datasource: Ref | null; // null: the default
  targets: Target[];
  options: Bag;
  fieldConfig: { defaults: FieldOptions; overrides: Override[] };
  transformations: Transformation[];
  links: Link[];
  interval?: string | null; // least step: "1m", ">1m", "$var"
  maxDataPoints?: number | null;
  timeFrom?: string | null;
  timeShift?: string | null;
  hideTimeOverride?: boolean;
  repeat?: string;
  repeatDirection?: "h" | "v";
  maxPerRow?: number;
  collapsed?: boolean; // of a row
  panels?: Panel[]; // of a folded row
}

export interface Target extends Bag {
  refId: string;
  datasource?: Ref | null;
  hide?: boolean;
  expr?: string;
  legendFormat?: string;
  interval?: string;
  intervalFactor?: number;
  format?: "time_series" | "table" | "heatmap";
  instant?: boolean;
  range?: boolean;
  exemplar?: boolean;
}

export interface Override { matcher: { id: string; options?: any }; properties: { id: string; value?: any }[] }

export interface Transformation { id: string; options: Bag; disabled?: boolean; filter?: { id: string; options?: any }; topic?: string }

export interface Link extends Bag { title: string; url?: string; type?: string; tags?: string[]; targetBlank?: boolean; keepTime?: boolean; includeVars?: boolean; asDropdown?: boolean; tooltip?: string; icon?: string }

export interface Threshold { value: number | null; color: string } // null: minus infinity

export type Mapping =
  | { type: "value"; options: Record<string, MappedTo> }
  | { type: "range"; options: { from: number | null; to: number | null; result: MappedTo } }
  | { type: "regex"; options: { pattern: string; result: MappedTo } }
  | { type: "special"; options: { match: "null" | "nan" | "null+nan" | "true" | "false" | "empty"; result: MappedTo } };
export interface MappedTo { text?: string; color?: string; icon?: string; index?: number }

// How a field is shown; `custom` is what one panel type alone knows (line width, cell type …).
export interface FieldOptions extends Bag {
  unit?: string;
  decimals?: number | null;
  min?: number | null;
  max?: number | null;
  displayName?: string;
  displayNameFromDS?: string;
  description?: string;
  noValue?: string;
  filterable?: boolean;
  color?: { mode: string; fixedColor?: string; seriesBy?: "last" | "min" | "max" };
  thresholds?: { mode: "absolute" | "percentage"; steps: Threshold[] };
  mappings?: Mapping[];
  links?: Link[];
  custom?: Bag;
}

export interface Option { text: string; value: string; selected?: boolean }

export interface Variable extends Bag {
  name: string;
  type: "query" | "custom" | "constant" | "datasource" | "interval" | "textbox" | "adhoc" | "groupby" | "switch" | "system";
  label?: string;
  description?: string;
  hide?: 0 | 1 | 2 | 3; // shown, without its label, hidden, in the controls' menu
  query?: any; // a text, or {query, refId, qryType …}
  definition?: string;
  datasource?: Ref | null;
  regex?: string;
  sort?: number;
  refresh?: 0 | 1 | 2; // never, on load, on each change of the range
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string | null;
  allowCustomValue?: boolean;
  options?: Option[];
  current?: { text?: string | string[]; value?: string | string[] };
  auto?: boolean; // of an interval
  auto_count?: number;
  auto_min?: string;
  skipUrlSync?: boolean;
  filters?: { key: string; operator: string; value: string; values?: string[] }[]; // of adhoc
}

export interface Annotations extends Bag {
  name: string;
  enable: boolean;
  hide?: boolean;
  iconColor: string;
  datasource?: Ref | null;
  expr?: string;
  builtIn?: number;
  filter?: { exclude?: boolean; ids: number[] };
}
