import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate, parseMath } from "../observe/dash/expressions";
import type { Frame } from "../observe/dash/frame";
import type { Target } from "../observe/dash/model";
import type { Plan } from "../observe/dash/sources";

const T = [0, 1000, 2000];
const line = (refId: string, values: (number | null)[], labels: Record<string, string> = {}): Frame => ({
  refId, length: values.length, kind: "series",
  fields: [{ name: "Time", type: "time", values: T.slice(0, values.length), config: {} }, { name: "Value", type: "number", values, labels, config: {} }],
});
const plan = (...refIds: string[]): Plan => ({ key: "", parts: refIds.map((refId) => ({ target: { refId } })), expressions: [], hidden: [], from: 0, to: 4000, scope: {} } as unknown as Plan);
const expression = (refId: string, more: object): Target => ({ refId, datasource: { uid: "__expr__" }, ...more }) as Target;
const run = (list: Target[], frames: Frame[], ...refIds: string[]) => evaluate(list, frames, plan("A", ...refIds));
const values = (f: Frame) => f.fields[f.fields.length - 1]!.values;

test("math goes by precedence, over lines and numbers whose labels fit", () => {
  const made = run([expression("C", { type: "math", expression: "2 + $A * -${B} ** 2" })], [line("A", [1, null, 3], { a: "x", b: "y" }), line("B", [2, 2, 2], { a: "x" })], "B");
  assert.deepEqual(made.notices, []);
  assert.deepEqual(values(made.frames[0]!), [2 + 1 * (-2) ** 2, null, 2 + 3 * (-2) ** 2]);
  assert.deepEqual(made.frames[0]!.fields[1]!.labels, { a: "x", b: "y" });
  const apart = run([expression("C", { type: "math", expression: "$A + $B" })], [line("A", [1], { a: "x" }), line("B", [1], { a: "z" })], "B");
  assert.deepEqual(apart.frames, []);
});

test("what is no mathematics says so", () => {
  for (const text of ["", "1 +", "(1", "1 1", "$A # 2", "sin($A)", "1 )"]) assert.throws(() => parseMath(text), Error, text);
  const made = run([expression("C", { type: "math", expression: "$Z + 1" })], [line("A", [1])]);
  assert.match(made.notices[0]!, /C: There is no query Z/);
});

test("expressions use each other whatever their order, and circles end", () => {
  const made = run([
    expression("D", { type: "threshold", expression: "C", conditions: [{ evaluator: { type: "gt", params: [10] } }] }),
    expression("C", { type: "math", expression: "$B * 5" }), expression("B", { type: "reduce", expression: "A", reducer: "max" }),
  ], [line("A", [1, 3, 2])]);
  assert.deepEqual(made.frames.map((f) => [f.refId, ...values(f)]), [["B", 3], ["C", 15], ["D", 1]]);
  run([expression("B", { type: "math", expression: "$C" }), expression("C", { type: "math", expression: "$B" })], []);
});

test("reduce drops or replaces what is no number, resample fills its grid", () => {
  const a = [line("A", [1, NaN, 5])];
  assert.deepEqual(values(run([expression("B", { type: "reduce", expression: "A", reducer: "count", settings: { mode: "dropNN" } })], a).frames[0]!), [2]);
  assert.deepEqual(values(run([expression("B", { type: "reduce", expression: "A", reducer: "sum", settings: { mode: "replaceNN", replaceWithValue: 10 } })], a).frames[0]!), [16]);
  const grid = run([expression("B", { type: "resample", expression: "A", window: "1s", downsampler: "mean", upsampler: "pad" })], [line("A", [1, 2, 3])]);
  assert.deepEqual(values(grid.frames[0]!), [1, 2, 3, 3, 3]);
  assert.match(run([expression("B", { type: "sql", expression: "SELECT 1" })], []).notices[0]!, /not worked out/);
});
