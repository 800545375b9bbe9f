// types.ts - the panel types: one row each, in the order in which the editor offers them.
import type { PanelType } from "./panel";
import { CHART_TYPES } from "./chart_types";
import { VALUE_TYPES } from "./value_types";

export const PANEL_TYPES: PanelType[] = [...CHART_TYPES, ...VALUE_TYPES];

const byName = new Map(PANEL_TYPES.map((t) => [t.type, t]));
export const panelType = (type: string): PanelType | undefined => byName.get(type);
