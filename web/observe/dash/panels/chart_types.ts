// chart_types.ts - the panel types that draw on axes: their defaults and what the editor asks of them.
import type { PanelType } from "./panel";

export const CHART_TYPES: PanelType[] = [];
