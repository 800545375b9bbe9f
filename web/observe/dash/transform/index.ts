// transform/index.ts - Grafana's transformations by name, one after the other. What is not known here is
// left out and said: the panel still shows what there is.
import type { Frame } from "../frame";
import { frameMatcher } from "../matchers";
import type { Transformation } from "../model";
import { nameFields } from "../names";
import * as columns from "./columns";
import * as compute from "./compute";
import * as joins from "./joins";
import * as rows from "./rows";
import type { Transform, TransformContext } from "./tools";

export type { TransformContext } from "./tools";
export { TransformError } from "./tools";

const TABLE: [id: string, text: string, run: Transform, more?: { aliases?: string[]; hidden?: boolean }][] = [
  ["calculateField", "Add field from calculation", compute.calculateField, { aliases: ["addFieldFromCalculation"] }],
  ["concatenate", "Concatenate fields", joins.concatenate],
  ["configFromData", "Config from query results", columns.configFromData],
  ["convertFieldType", "Convert field type", columns.convertFieldType],
  ["heatmap", "Create heatmap", compute.heatmap],
  ["extractFields", "Extract fields", rows.extractFields],
  ["filterFieldsByName", "Filter fields by name", columns.filterFieldsByName, { aliases: ["filterByName"] }],
  ["filterByRefId", "Filter data by query refId", columns.filterByRefId, { aliases: ["filterFramesByRefId"] }],
  ["filterByValue", "Filter data by values", rows.filterByValue],
  ["formatString", "Format string", columns.formatString],
  ["formatTime", "Format time", columns.formatTime],
  ["groupBy", "Group by", rows.groupBy],
  ["groupToNestedTable", "Group to nested tables", rows.groupBy],
  ["groupingToMatrix", "Grouping to Matrix", rows.groupingToMatrix],
  ["histogram", "Histogram", compute.histogram],
  ["joinByField", "Join by field", joins.joinByField, { aliases: ["seriesToColumns"] }],
  ["joinByLabels", "Join by labels", joins.joinByLabels],
  ["labelsToFields", "Labels to fields", columns.labelsToFields],
  ["limit", "Limit", rows.limit],
  ["merge", "Merge series/tables", joins.merge],
  ["organize", "Organize fields by name", columns.organize],
  ["partitionByValues", "Partition by values", rows.partitionByValues],
  ["prepareTimeSeries", "Prepare time series", joins.prepareTimeSeries],
  ["reduce", "Reduce", rows.reduce],
  ["regression", "Trendline", compute.regression],
  ["renameByRegex", "Rename fields by regex", columns.renameByRegex],
  ["rowsToFields", "Rows to fields", columns.rowsToFields],
  ["seriesToRows", "Series to rows", joins.seriesToRows],
  ["sortBy", "Sort by", rows.sortBy],
  ["timeSeriesTable", "Time series to table", joins.timeSeriesTable],
  ["transpose", "Transpose", rows.transpose],
  ["order", "Order fields by name", columns.orderFields, { hidden: true }],
  ["rename", "Rename fields by name", columns.renameFields, { hidden: true }],
  ["filterFields", "Filter fields", columns.filterFields, { hidden: true }],
  ["filterFrames", "Filter frames", columns.filterFrames, { hidden: true }],
  ["ensureColumns", "Ensure columns", joins.prepareTimeSeries, { hidden: true }],
  ["noop", "Nothing", (frames) => frames, { hidden: true }],
];

const byId = new Map(TABLE.flatMap(([id, , run, more]) => [[id, run] as const, ...(more?.aliases ?? []).map((a) => [a, run] as const)]));

// What the editor offers.
export const TRANSFORMS: { id: string; text: string }[] = TABLE.filter(([, , , more]) => !more?.hidden).map(([id, text]) => ({ id, text }));

export const isTransform = (id: string): boolean => byId.has(id);

function noticed(frames: Frame[], notice: string): Frame[] {
  if (!frames.length) return [{ length: 0, fields: [], notices: [notice] }];
  return frames.map((f, i) => (i ? f : { ...f, notices: [...(f.notices ?? []), notice] }));
}

function step(frames: Frame[], t: Transformation, context: TransformContext): Frame[] {
  const run = byId.get(t.id);
  if (!run) return noticed(frames, `The transformation “${t.id}” is not known here and was left out.`);
  const match = t.filter ? frameMatcher(t.filter) : undefined;
  const mine = match ? frames.filter(match) : frames;
  nameFields(mine);
  const notices = mine.flatMap((f) => f.notices ?? []);
  let out = run(mine, t.options && typeof t.options === "object" ? t.options : {}, context);
  // What the queries warned of is not lost when their frames are.
  const kept = new Set(out.flatMap((f) => f.notices ?? []));
  for (const n of notices) if (!kept.has(n) && kept.add(n)) out = noticed(out, n);
  return match ? [...out, ...frames.filter((f) => !match(f))] : out;
}

// Throws a TransformError if the result would be too big.
export function transform(frames: Frame[], list: Transformation[] | undefined, context: TransformContext): Frame[] {
  const steps = (list ?? []).filter((t) => t && !t.disabled && (!t.topic || t.topic === "series"));
  if (!steps.length) return frames;
  let out = frames.map((f) => ({ ...f, fields: f.fields.map((x) => ({ ...x })) }));
  for (const t of steps) out = step(out, t, context);
  return out;
}
