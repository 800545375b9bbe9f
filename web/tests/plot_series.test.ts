import assert from "node:assert/strict";
import { test } from "node:test";
import { applyFieldConfig } from "../observe/dash/fields";
import type { Frame } from "../observe/dash/frame";
import { modelOf, seen } from "../observe/dash/panels/series";
import { CHART_TYPES } from "../observe/dash/panels/chart_types";

const TIMES = [1000, 2000, 3000];
const frame = (name: string, values: (number | null)[], times = TIMES): Frame => ({
  length: values.length, kind: "series", fields: [{ name: "Time", type: "time", values: times, config: {} }, { name, type: "number", values, config: { displayNameFromDS: name } }],
});
const model = (frames: Frame[], defaults = {}, overrides: { matcher: { id: string; options?: unknown }; properties: { id: string; value?: unknown }[] }[] = []) =>
  modelOf(applyFieldConfig(frames, { defaults, overrides }, { dark: false, zone: "utc", interpolate: (t) => t, colorMode: "palette-classic" }), { dark: false });
const byName = (options: string, id: string, value: unknown) => ({ matcher: { id: "byName", options }, properties: [{ id, value }] });

test("units have axes of their own: the first on the left, others on the right", () => {
  const m = model([frame("a", [1, 2, 3]), frame("b", [4, 5, 6]), frame("c", [7, 8, 9])], { unit: "bytes" }, [byName("b", "unit", "percent")]);
  assert.deepEqual(m.axes.map((a) => a.axis.side), ["left", "right"]);
  assert.deepEqual(m.lines.map((l) => l.axis), [0, 1, 0]);
});

test("strings and frames without a time are skipped; exemplars are no lines", () => {
  const text: Frame = { length: 1, fields: [{ name: "Time", type: "time", values: [1], config: {} }, { name: "s", type: "string", values: ["x"], config: {} }] };
  const none: Frame = { length: 1, fields: [{ name: "n", type: "number", values: [1], config: {} }] };
  const exemplars: Frame = { length: 1, kind: "exemplars", fields: [{ name: "Time", type: "time", values: [1500], config: {} }, { name: "Value", type: "number", values: [2], config: {} },
    { name: "trace_id", type: "string", values: ["abc"], config: {} }] };
  const m = model([text, none, exemplars, frame("a", [1, 2, 3])]);
  assert.deepEqual(m.lines.map((l) => l.name), ["a"]);
  assert.deepEqual(m.exemplars.map((e) => [e.at, e.value, e.labels]), [[1500, 2, { trace_id: "abc" }]]);
});

test("stacks start at zero, shares end at one, hidden lines count for nothing", () => {
  const stacked = { custom: { stacking: { mode: "normal", group: "A" } } };
  const m = model([frame("a", [10, 20, 30]), frame("b", [10, 10, 1000])], stacked);
  const all = seen(m, new Set(), false);
  assert.equal(all.ys[0]!.min, 0);
  assert.ok(all.ys[0]!.max >= 1030);
  assert.ok(seen(m, new Set(["b"]), false).ys[0]!.max < 100);
  const shares = seen(model([frame("a", [1, 1, 1]), frame("b", [3, 3, 3])], { custom: { stacking: { mode: "percent", group: "A" } } }), new Set(), false);
  assert.deepEqual([shares.ys[0]!.min, shares.ys[0]!.max], [0, 1]);
});

test("negative Y and constant change what is drawn", () => {
  const m = model([frame("a", [1, null, 3]), frame("b", [4, 5, 6])], {}, [byName("a", "custom.transform", "negative-Y"), byName("b", "custom.transform", "constant")]);
  assert.deepEqual([...(m.lines[0]!.values as (number | null)[])], [-1, null, -3]);
  assert.deepEqual([...(m.lines[1]!.values as number[])], [4, 4, 4]);
});

test("thresholds in percent lie between min and max; colours by value make stops", () => {
  const m = model([frame("a", [0, 50, 100])], { min: 0, max: 200, color: { mode: "thresholds" },
    thresholds: { mode: "percentage", steps: [{ value: null, color: "green" }, { value: 50, color: "red" }] }, custom: { thresholdsStyle: { mode: "line" }, gradientMode: "scheme" } });
  const s = seen(m, new Set(), false);
  assert.deepEqual(s.thresholds[0]!.steps.map((t) => t.value), [-Infinity, 100]);
  assert.ok(s.lines[0]!.stops?.hard);
});

test("what is hidden from the tooltip, the legend, the drawing", () => {
  const m = model([frame("a", [1, 2, 3])], { custom: { hideFrom: { tooltip: true, legend: true, viz: true } } });
  assert.deepEqual([m.lines[0]!.inTip, m.lines[0]!.inLegend, m.lines[0]!.offAtFirst], [false, false, true]);
});

test("frames of other times share a row of times", () => {
  const m = model([frame("a", [1, 2, 3]), frame("b", [7, 8], [1500, 3000])]);
  assert.deepEqual(m.xs, [1000, 1500, 2000, 3000]);
  assert.deepEqual([...(m.lines[1]!.values as number[])], [undefined, 7, undefined, 8]);
});

test("every type of chart has controls whose paths and overrides fit together", () => {
  for (const t of CHART_TYPES) {
    assert.ok(t.controls.length > 5 && t.title, t.type);
    const paths = t.controls.map((c) => c.path);
    assert.equal(new Set(paths).size, paths.length, `${t.type}: a control is there twice: ${paths.find((p, i) => paths.indexOf(p) !== i)}`);
    for (const c of t.controls) {
      assert.match(c.path, /^(options|fieldConfig\.defaults)\./);
      if (c.kind === "select") assert.ok(c.choices?.length, c.path);
      if (c.override) assert.ok(c.path.startsWith("fieldConfig.defaults."), c.path);
    }
  }
});
