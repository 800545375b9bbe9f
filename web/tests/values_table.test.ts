// What tables, logs and alert lists do before they draw: columns, rows, footers; lines; which alerts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { applyFieldConfig } from "../observe/dash/fields";
import type { Cell, Field, FieldType, Frame } from "../observe/dash/frame";
import type { FieldOptions } from "../observe/dash/model";
import { alertRows, grouped, labelsMatch, matchersOf } from "../observe/dash/panels/alert_rows";
import { commonLabels, dedup, levelOf, linesOf, ordered, pretty } from "../observe/dash/panels/log_lines";
import {
  alignOf, columnsOf, filtered, filterTest, footerOf, heightsOf, kindOf, lastOf, lineOf, nextSort, pillsOf, rowAt, sorted, topsOf, widthsOf,
} from "../observe/dash/panels/table_rows";
import type { Group } from "../observe/parts/rule";

const field = (name: string, type: FieldType, values: Cell[], config: FieldOptions = {}): Field => ({ name, type, values, config });
const frameOf = (...fields: Field[]): Frame =>
  applyFieldConfig([{ length: fields[0].values.length, fields }], { defaults: {}, overrides: [] }, { dark: true, zone: "utc", interpolate: (t: string) => t })[0];
const all = (f: Frame): number[] => f.fields[0].values.map((_, i) => i);

test("rows are sorted by several columns, those without a value last either way", () => {
  const f = frameOf(field("job", "string", ["b", "a", "b", "", "a10", "a9"]), field("n", "number", [2, null, 1, 5, NaN, 7]));
  assert.deepEqual(sorted(all(f), f.fields, [{ displayName: "job" }, { displayName: "n" }]), [1, 5, 4, 2, 0, 3]);
  assert.deepEqual(sorted(all(f), f.fields, [{ displayName: "n", desc: true }]), [5, 3, 0, 2, 1, 4]);
  assert.deepEqual(sorted(all(f), f.fields, [{ displayName: "n" }]), [2, 0, 3, 5, 1, 4]);
  assert.deepEqual(sorted(all(f), f.fields, [{ displayName: "gone" }]), all(f));
});

test("a click sorts up, down, not; with Shift beside what was", () => {
  const once = nextSort([], "a", false);
  assert.deepEqual(once, [{ displayName: "a", desc: false }]);
  assert.deepEqual(nextSort(once, "a", false), [{ displayName: "a", desc: true }]);
  assert.deepEqual(nextSort([{ displayName: "a", desc: true }], "a", false), []);
  assert.deepEqual(nextSort(once, "b", true), [{ displayName: "a", desc: false }, { displayName: "b", desc: false }]);
  assert.deepEqual(nextSort([...once, { displayName: "b", desc: false }], "b", true)[1], { displayName: "b", desc: true });
  assert.deepEqual(nextSort(once, "b", false), [{ displayName: "b", desc: false }]);
});

test("100,000 rows are sorted and filtered in no time", () => {
  const n = 100000;
  const f = frameOf(field("job", "string", Array.from({ length: n }, (_, i) => `job-${(i * 7919) % n}`)), field("n", "number", Array.from({ length: n }, (_, i) => (i * 31) % 977)));
  const began = performance.now();
  const rows = sorted(filtered(f, { n: { contains: "< 500" } }), f.fields, [{ displayName: "n", desc: true }, { displayName: "job" }]);
  assert.ok(performance.now() - began < 3000);
  assert.equal(f.fields[1].values[rows[0]], 499);
});

test("filters: what is held, compared, chosen", () => {
  const f = frameOf(field("job", "string", ["Alpha", "beta", null]), field("n", "number", [5, 10, null]));
  const rows = (contains: string, i = 1) => all(f).filter(filterTest({ contains }, f.fields[i]));
  assert.deepEqual(rows("alp", 0), [0]);
  assert.deepEqual([rows(">5"), rows(">= 5"), rows("!= 5"), rows("$ < 6"), rows("=10"), rows("1")], [[1], [0, 1], [1], [0], [1], [1]]);
  assert.deepEqual(filtered(f, { job: { texts: ["beta", ""] } }), [1, 2]);
  assert.deepEqual(filtered(f, { job: { texts: [] } }), []);
  assert.deepEqual(filtered(f, {}), [0, 1, 2]);
});

test("columns fill the width, set ones stay, hidden ones are gone", () => {
  const f = frameOf(field("a", "string", ["x"]), field("b", "number", [1], { custom: { width: 80 } }), field("c", "number", [1], { custom: { hidden: true } }), field("d", "number", [1]));
  const columns = columnsOf(f);
  assert.deepEqual(columns.map((c) => c.name), ["a", "b", "d"]);
  assert.deepEqual(widthsOf(columns, 600), [260, 80, 260]);
  assert.deepEqual(widthsOf(columns, 100), [60, 80, 60]);
  const long = frameOf(field("a", "string", ["a text that is rather long for its column"]), field("b", "number", [1]), field("c", "number", [1], { custom: { minWidth: 90 } }));
  const [a, b, c] = widthsOf(long.fields, 600);
  assert.ok(a > 200 && b >= 60 && c >= 90 && a + b + c === 600, `${[a, b, c]}`);
  assert.ok(widthsOf(long.fields, 100)[2] === 90, "as wide as it must be at least");
  assert.equal(widthsOf(columns, 601).reduce((x, y) => x + y), 601);
});

test("cells by their options, old names too; alignment", () => {
  const kind = (custom: object, type: FieldType = "number", values: Cell[] = [1]) => kindOf(field("f", type, values, { custom }));
  assert.equal(kind({}).type, "auto");
  assert.deepEqual([kind({ displayMode: "color-background-solid" }).mode, kind({ displayMode: "lcd-gauge" }).mode, kind({ displayMode: "basic" }).type], ["basic", "lcd", "gauge"]);
  assert.deepEqual([kind({ cellOptions: { type: "gauge", mode: "gradient" } }).mode, kind({ cellOptions: { type: "color-background" } }).mode], ["gradient", "gradient"]);
  assert.equal(kind({}, "other", [{ fields: [field("v", "number", [1])] }]).type, "sparkline");
  assert.equal(kind({ cellOptions: { type: "auto", wrapText: true } }).wrap, true);
  assert.equal(alignOf(field("n", "number", []), { type: "auto" }), "right");
  assert.equal(alignOf(field("n", "number", [], { custom: { align: "center" } }), { type: "auto" }), "center");
  assert.equal(alignOf(field("n", "string", []), { type: "auto" }), "left");
});

test("lines in cells: frames, x and y, lists", () => {
  assert.deepEqual(lineOf({ fields: [field("t", "time", [1, 2]), field("v", "number", [3, null])] }), { times: [1, 2], values: [3, null] });
  assert.deepEqual(lineOf({ x: [1, 2], y: [5, 6] }), { times: [1, 2], values: [5, 6] });
  assert.deepEqual(lineOf([4, 5]), { times: [0, 1], values: [4, 5] });
  assert.deepEqual([lineOf({}), lineOf(null), lineOf(["a"]), lineOf([])], [undefined, undefined, undefined, undefined]);
  assert.equal(lastOf({ times: [], values: [1, 2, null] }), 2);
  assert.deepEqual([pillsOf("a, b,,c"), pillsOf('["x","y"]'), pillsOf(null), pillsOf("[x")], [["a", "b", "c"], ["x", "y"], [], ["[x"]]);
});

test("footers: of the panel, of fields, counts; over the rows that are shown", () => {
  const f = frameOf(field("job", "string", ["a", "b", "c"]), field("n", "number", [1, 2, 4]), field("m", "number", [1, 1, 1]));
  const texts = (footer: object | undefined, rows = all(f), fields = f.fields) => footerOf(fields, rows, footer)?.map((c) => c.values.map((v) => v.text).join());
  assert.equal(texts(undefined), undefined);
  assert.equal(texts({ show: false, reducer: ["sum"] }), undefined);
  assert.deepEqual(texts({ show: true, reducer: ["sum"] }), ["", "7", "3"]);
  assert.deepEqual(texts({ show: true, reducer: ["sum"], fields: ["n"] }), ["", "7", ""]);
  assert.deepEqual(texts({ show: true, reducer: ["sum"] }, [0, 1]), ["", "3", "2"]);
  assert.deepEqual(texts({ show: true, countRows: true, reducer: ["count"] }), ["3", "", ""]);
  const own = frameOf(field("n", "number", [1, 2], { custom: { footer: { reducers: ["max", "min"] } } }));
  assert.deepEqual(texts(undefined, [0, 1], own.fields), ["2,1"]);
});

test("wrapped texts make rows higher, and rows are found by their height", () => {
  const f = frameOf(field("a", "string", ["x", "word ".repeat(60), "y"], { custom: { wrapText: true } }));
  const heights = heightsOf([0, 1, 2], f.fields, [200], f.fields.map(kindOf), 34)!;
  assert.ok(heights[0] === 34 && heights[1] > 200);
  assert.equal(heightsOf([0], f.fields, [200], [{ type: "auto" }], 34), undefined);
  const tops = topsOf(heights);
  assert.deepEqual([rowAt(tops, 0), rowAt(tops, 33), rowAt(tops, 34), rowAt(tops, tops[2]), rowAt(tops, 1e9)], [0, 0, 1, 2, 3]);
});

test("log lines: columns, levels, repeats, order", () => {
  const frame: Frame = { length: 4, kind: "logs", fields: [
    field("labels", "other", [{ app: "x", level: "error" }, { app: "x" }, { app: "x" }, { app: "x" }]), field("Time", "time", [1, 2, 3, 4]),
    field("Line", "string", ["boom", "level=warn slow 12ms", "level=warn slow 13ms", '{"a":1}'])] };
  const lines = linesOf([frame]);
  assert.deepEqual(lines.map((l) => l.level), ["error", "warning", "warning", "unknown"]);
  assert.deepEqual(commonLabels(lines), { app: "x" });
  assert.deepEqual(dedup(lines, "numbers").map((l) => l.times), [1, 2, 1]);
  assert.equal(dedup(lines, "exact").length, 4);
  assert.equal(dedup(lines, "none"), lines);
  assert.deepEqual(ordered(lines, "Descending").map((l) => l.ms), [4, 3, 2, 1]);
  assert.deepEqual(ordered(lines, "Ascending").map((l) => l.ms), [1, 2, 3, 4]);
  assert.deepEqual([levelOf({ severity: "CRITICAL" }, ""), levelOf({}, "it panicked"), levelOf({}, "an INFO line"), levelOf({ level: "odd" }, "")], ["critical", "unknown", "info", "odd"]);
  assert.equal(pretty('{"a":[1]}'), '{\n  "a": [\n    1\n  ]\n}');
  assert.equal(pretty("no {json"), "no {json");
  assert.deepEqual(linesOf([{ length: 1, fields: [field("n", "number", [1])] }]), []);
});

test("alerts by state, name, labels and order; old options too", () => {
  const alert = (labels: Record<string, string>, state: "firing" | "pending") => ({ labels, annotations: {}, state, activeAt: `2026-11-22T0${state === "firing" ? 1 : 2}:00:00Z`, value: "1" });
  const rule = (name: string, state: "firing" | "inactive" | "pending", alerts: ReturnType<typeof alert>[] = [], more = {}) =>
    ({ type: "alerting" as const, name, query: "x", health: "ok" as const, evaluationTime: 0, lastEvaluation: "", state, alerts, ...more });
  const groups: Group[] = [{ name: "g", file: "f", interval: 15, evaluationTime: 0, lastEvaluation: "", rules: [
    rule("Zero", "firing", [alert({ job: "a", pod: "x1" }, "firing"), alert({ job: "b" }, "firing")]), rule("Beta", "pending", [alert({ job: "a" }, "pending")]), rule("Calm", "inactive"),
    rule("Broken", "inactive", [], { health: "err" })] }];
  const names = (o: object) => alertRows(groups, o, (t) => t.replace("$job", "a")).map((r) => r.rule.name);
  const every = { firing: true, pending: true, normal: true, error: true };
  assert.deepEqual(names({ stateFilter: every, sortOrder: 1 }), ["Beta", "Broken", "Calm", "Zero"]);
  assert.deepEqual(names({ stateFilter: every, sortOrder: 3 }), ["Zero", "Beta", "Broken", "Calm"]);
  assert.deepEqual(names({ stateFilter: every, sortOrder: 5, maxItems: 1 }), ["Beta"]);
  assert.deepEqual(names({ stateFilter: { firing: true } }), ["Zero"]);
  assert.deepEqual(names({ stateFilter: ["alerting", "ok"], sortOrder: 1, limit: 10 }), ["Calm", "Zero"]);
  assert.deepEqual(names({ stateFilter: every, alertName: "ET" }), ["Beta"]);
  assert.deepEqual(names({ stateFilter: every, alertInstanceLabelFilter: '{job="$job", pod=~"x.*"}' }), ["Zero"]);
  assert.deepEqual(names({}), ["Zero", "Beta", "Broken"]);
  assert.ok(labelsMatch({ a: "1" }, matchersOf('{a!="2", b!~"x.+"}')) && !labelsMatch({ a: "1" }, matchersOf('a=~"("')));
  assert.deepEqual(grouped(alertRows(groups, { stateFilter: every }, (t) => t), ["job"]).map(([k, v]) => [k, v.length]), [["job=a", 2], ["job=b", 1]]);
});
