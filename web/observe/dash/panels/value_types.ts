// value_types.ts - the panel types of values, tables, texts and lists: their defaults and what the
// editor asks of them.
import type { PanelType } from "./panel";

export const VALUE_TYPES: PanelType[] = [];
