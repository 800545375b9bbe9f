// panel.ts - what a panel type is given and what it tells the editor. Each type is a file of its own,
// loaded when the first panel of it is drawn; types.ts has the table.
import type { ComponentType } from "preact";
import type { Frame } from "../frame";
import type { Bag, Panel } from "../model";
import type { Scope } from "../scope";

export interface Mark { // an annotation
  from: number; // ms
  to?: number; // of a region
  title: string;
  text?: string;
  tags: string[];
  color: string;
}

export interface PanelProps {
  panel: Panel; // titles and texts already interpolated; options filled with the type's defaults
  frames: Frame[]; // transformed, field options applied
  width: number; // of the body, px
  height: number;
  scope: Scope;
  interpolate: (text: string) => string; // as plain text
  marks: Mark[];
  tooltipGroup?: { key: string; tooltip: boolean }; // dashboards with a shared cursor
  onRange: (from: number, to: number) => void; // ms; a drag over the time axis
  onVariable: (name: string, value: string) => void;
  onOptions: (options: Bag) => void; // what the viewer changed in place and an editor would keep (column widths, sort)
}

// One control of the editor's form. `path` is below the panel: "options.legend.showLegend",
// "fieldConfig.defaults.custom.lineWidth".
export interface Choice { value: string | number | boolean; text: string }
export interface Control {
  path: string;
  text: string;
  kind: "switch" | "number" | "text" | "select" | "multi" | "color" | "lines" | "calc" | "calcs" | "unit" | "field";
  choices?: Choice[];
  least?: number;
  most?: number;
  group?: string; // heading: "Legend", "Axis", "Graph styles"
  when?: (panel: Panel) => boolean;
  override?: string; // the property's id if it can be overridden for a field: "custom.lineWidth"
}

export interface PanelModule {
  default: ComponentType<PanelProps>;
}

export interface PanelType {
  type: string;
  title: string; // "Time series"
  load: () => Promise<PanelModule>;
  options: Bag; // defaults
  custom?: Bag; // defaults of fieldConfig.defaults.custom
  controls: Control[];
  noQuery?: boolean; // text, lists: no targets
}
