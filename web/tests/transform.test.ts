import assert from "node:assert/strict";
import { test } from "node:test";
import type { Labels } from "../observe/base/format";
import type { Cell, Field, FieldType, Frame } from "../observe/dash/frame";
import { applyFieldConfig } from "../observe/dash/fields";
import type { Bag } from "../observe/dash/model";
import { transform, TransformError, TRANSFORMS } from "../observe/dash/transform";
import { parseDate } from "../observe/dash/transform/parse";

const context = { zone: "utc", interpolate: (t: string) => t.replace(/\$host/g, "b"), variable: (name: string) => (name === "columns" ? ["cpu"] : []) };
const field = (name: string, type: FieldType, values: Cell[], labels?: Labels): Field => ({ name, type, values, labels, config: {} });
const frame = (refId: string, ...fields: Field[]): Frame => ({ refId, length: fields[0]!.values.length, fields });
const run = (frames: Frame[], id: string, options: Bag = {}): Frame[] => transform(frames, [{ id, options }], context);
const names = (f: Frame): string[] => f.fields.map((x) => x.config.displayName ?? x.name);
const rows = (f: Frame): Record<string, Cell[]> => Object.fromEntries(f.fields.map((x, i) => [names(f)[i]!, x.values]));

const series = (): Frame[] => [
  frame("A", field("Time", "time", [1000, 2000, 3000]), field("Value", "number", [1, 2, 3], { job: "a", i: "1" })),
  frame("B", field("Time", "time", [2000, 3000, 4000]), field("Value", "number", [10, 20, null], { job: "a", i: "2" })),
];
const tables = (): Frame[] => [
  frame("A", field("Time", "time", [5, 5, 5]), field("host", "string", ["h1", "h2", "h3"]), field("Value #A", "number", [1, 2, 3])),
  frame("B", field("Time", "time", [5, 5]), field("host", "string", ["h2", "h4"]), field("Value #B", "number", [20, 40])),
];
const one = (): Frame[] => [frame("A", field("Time", "time", [1, 2, 3, 4]), field("host", "string", ["a", "b", "a", "b"]), field("cpu", "number", [5, 1, 4, 2]), field("mem", "number", [50, 10, 40, 20]))];

// What Grafana's own transformations (@grafana/data 13) make of the same frames.
test("as Grafana does", () => {
  const expected: [make: () => Frame[], id: string, options: Bag, result: Record<string, Cell[]>[]][] = [
    [one, "reduce", { reducers: ["max", "min"] }, [{ Field: ["host", "cpu", "mem"], Max: [null, 5, 50], Min: [null, 1, 10] }]],
    [series, "reduce", { reducers: ["mean"], labelsToFields: true }, [{ Field: ["Value", "Value"], job: ["a", "a"], i: ["1", "2"], Mean: [2, 15] }]],
    [one, "reduce", { mode: "reduceFields", reducers: ["max"] }, [{ host: [null], cpu: [5], mem: [50] }]],
    [tables, "merge", {}, [{ Time: [5, 5, 5, 5], host: ["h1", "h2", "h3", "h4"], "Value #A": [1, 2, 3, null], "Value #B": [null, 20, null, 40] }]],
    [series, "merge", {}, [{ Time: [1000, 2000, 3000, 2000, 3000, 4000], Value: [1, 2, 3, 10, 20, null] }]],
    [one, "organize", { excludeByName: { mem: true }, indexByName: { cpu: 0, host: 1 }, renameByName: { cpu: "CPU" } }, [{ CPU: [5, 1, 4, 2], host: ["a", "b", "a", "b"], Time: [1, 2, 3, 4] }]],
    [one, "organize", { includeByName: { cpu: true, host: false } }, [{ cpu: [5, 1, 4, 2] }]],
    [one, "filterFieldsByName", { include: { names: ["cpu"], pattern: "/m/" } }, [{ Time: [1, 2, 3, 4], cpu: [5, 1, 4, 2], mem: [50, 10, 40, 20] }]],
    [one, "filterFieldsByName", { include: { variable: "$columns" }, byVariable: true }, [{ cpu: [5, 1, 4, 2] }]],
    [one, "renameByRegex", { regex: "(.)(.*)", renamePattern: "$2$1" }, [{ imeT: [1, 2, 3, 4], osth: ["a", "b", "a", "b"], puc: [5, 1, 4, 2], emm: [50, 10, 40, 20] }]],
    [tables, "joinByField", { byField: "host", mode: "inner" }, [{ host: ["h2"], Time: [5], "Value #A": [2], "Value #B": [20] }]],
    [tables, "joinByField", { byField: "host", mode: "outerTabular" }, [{ host: ["h2", "h1", "h3", "h4"], Time: [5, null, null, 5], "Value #A": [2, 1, 3, null], "Value #B": [20, null, null, 40] }]],
    [one, "calculateField", { mode: "reduceRow", reduce: { reducer: "mean", include: ["cpu"] }, alias: "M", replaceFields: true }, [{ Time: [1, 2, 3, 4], M: [5, 1, 4, 2] }]],
    [one, "calculateField", { mode: "binary", binary: { left: { matcher: { id: "byName", options: "cpu" } }, operator: "/", right: { fixed: "2" } }, replaceFields: true }, [{ Time: [1, 2, 3, 4], "cpu / 2": [2.5, 0.5, 2, 1] }]],
    [one, "calculateField", { mode: "unary", unary: { operator: "percent", fieldName: "mem" }, replaceFields: true }, [{ Time: [1, 2, 3, 4], "percent(mem)": [5 / 12, 1 / 12, 1 / 3, 1 / 6] }]],
    [one, "calculateField", { mode: "cumulativeFunctions", cumulative: { field: "cpu", reducer: "sum" }, replaceFields: true }, [{ Time: [1, 2, 3, 4], "cumulative sum(cpu)": [5, 6, 10, 12] }]],
    [one, "calculateField", { mode: "windowFunctions", window: { field: "cpu", reducer: "stdDev", windowAlignment: "trailing", windowSizeMode: "fixed", windowSize: 2 }, replaceFields: true }, [{ Time: [1, 2, 3, 4], "trailing moving stdDev(cpu)": [0, 2, 1.5, 1] }]],
    [one, "groupBy", { fields: { host: { operation: "groupby", aggregations: [] }, cpu: { operation: "aggregate", aggregations: ["max", "mean"] } } }, [{ host: ["a", "b"], "cpu (max)": [5, 2], "cpu (mean)": [4.5, 1.5] }]],
    [one, "groupingToMatrix", { columnField: "host", rowField: "Time", valueField: "cpu" }, [{ "Time\\host": [1, 2, 3, 4], a: [5, "", 4, ""], b: ["", 1, "", 2] }]],
    [one, "sortBy", { sort: [{ field: "cpu", desc: true }] }, [{ Time: [1, 3, 4, 2], host: ["a", "a", "b", "b"], cpu: [5, 4, 2, 1], mem: [50, 40, 20, 10] }]],
    [one, "limit", { limitField: "-1" }, [{ Time: [4], host: ["b"], cpu: [2], mem: [20] }]],
    [one, "filterByValue", { filters: [{ fieldName: "cpu", config: { id: "greater", options: { value: 2 } } }], type: "include", match: "any" }, [{ Time: [1, 3], host: ["a", "a"], cpu: [5, 4], mem: [50, 40] }]],
    [one, "filterByValue", { filters: [{ fieldName: "host", config: { id: "equal", options: { value: "$host" } } }], type: "exclude", match: "all" }, [{ Time: [1, 3], host: ["a", "a"], cpu: [5, 4], mem: [50, 40] }]],
    [series, "labelsToFields", { valueLabel: "i" }, [{ Time: [1000, 2000, 3000], 1: [1, 2, 3], job: ["a", "a", "a"] }, { Time: [2000, 3000, 4000], 2: [10, 20, null], job: ["a", "a", "a"] }]],
    [series, "labelsToFields", { mode: "rows", keepLabels: ["i"] }, [{ label: ["i"], value: ["1"] }, { label: ["i"], value: ["2"] }]],
    [one, "transpose", { firstFieldName: "F" }, [{ F: ["host", "cpu", "mem"], Value: ["b", "2", "20"] }]],
    [one, "histogram", { bucketSize: 10, combine: true }, [{ xMin: [0, 10, 20, 40, 50], xMax: [10, 20, 30, 50, 60], count: [4, 1, 1, 1, 1] }]],
    [one, "formatString", { stringField: "host", outputFormat: "Upper Case" }, [{ ...rows(one()[0]!), host: ["A", "B", "A", "B"] }]],
    [one, "formatTime", { timeField: "Time", outputFormat: "HH:mm:ss.SSS" }, [{ ...rows(one()[0]!), Time: ["00:00:00.001", "00:00:00.002", "00:00:00.003", "00:00:00.004"] }]],
  ];
  for (const [make, id, options, result] of expected) assert.deepEqual(run(make(), id, options).map(rows), result, `${id} ${JSON.stringify(options)}`);
  const [wide] = run(series(), "seriesToColumns", { byField: "Time" });
  assert.deepEqual(wide!.fields.map((f) => f.values), [[1000, 2000, 3000, 4000], [1, 2, 3, null], [null, 10, 20, null]]);
  assert.deepEqual(run(series(), "filterByRefId", { include: "B" }).map((f) => f.refId), ["B"]);
  const [sum] = run(series(), "calculateField", { reduce: { reducer: "sum" } });
  assert.deepEqual(sum!.fields.at(-1)!.values, [1, 12, 23, 0]);
});

test("those that run only inside Grafana", () => {
  const json = [frame("A", field("line", "string", ['{"a":1,"b":{"c":"x"}}', "no", '{"a":2}']))];
  assert.deepEqual(rows(run(json, "extractFields", { source: "line", format: "json", replace: true })[0]!), { a: [1, null, 2], b: [{ c: "x" }, null, null] });
  assert.deepEqual(rows(run(json, "extractFields", { source: "line", format: "json", replace: true, jsonPaths: [{ path: "b.c", alias: "C" }] })[0]!), { C: ["x", null, null] });
  assert.deepEqual(rows(run([frame("A", field("l", "string", ['a=1 b="x y"', "a=2"]))], "extractFields", { source: "l", format: "kvp", replace: true })[0]!), { a: [1, 2], b: ["x y", null] });
  assert.deepEqual(rows(run([frame("A", field("l", "string", ["web-7", "db"]))], "extractFields", { source: "l", format: "regexp", regExp: "/(?<kind>\\w+)-(?<n>\\d+)/", replace: true })[0]!), { kind: ["web", null], n: [7, null] });

  const [long] = run(series(), "prepareTimeSeries", { format: "long" });
  assert.deepEqual(rows(long!), { Time: [1000, 2000, 2000, 3000, 3000, 4000], i: ["1", "1", "2", "1", "2", "2"], job: ["a", "a", "a", "a", "a", "a"], Value: [1, 2, 10, 3, 20, null] });
  assert.deepEqual(run(one(), "prepareTimeSeries", { format: "multi" }).map((f) => [f.fields[1]!.name, f.fields[1]!.labels, f.fields[1]!.values]), [["cpu", { host: "a" }, [5, 4]], ["mem", { host: "a" }, [50, 40]], ["cpu", { host: "b" }, [1, 2]], ["mem", { host: "b" }, [10, 20]]]);
  assert.equal(run(series(), "prepareTimeSeries", { format: "wide" })[0]!.fields.length, 3);

  const table = run(series(), "timeSeriesTable", { A: { stat: "max" } });
  assert.deepEqual(table.map(names), [["job", "i", "Trend #A"], ["job", "i", "Trend #B"]]);
  assert.equal((table[0]!.fields[2]!.values[0] as { value: number }).value, 3);
  assert.equal(applyFieldConfig(table, {}, { dark: true, zone: "utc", interpolate: (t) => t })[0]!.fields[2]!.show!(table[0]!.fields[2]!.values[0]).text, "3");

  const by = run(one(), "partitionByValues", { fields: ["host"] });
  assert.deepEqual(by.map((f) => [f.name, rows(f).cpu]), [["a", [5, 4]], ["b", [1, 2]]]);
  assert.deepEqual(rows(run([frame("A", field("n", "string", ["x", "y"]), field("v", "number", [1, 2]), field("unit", "string", ["s", "bytes"]))], "rowsToFields")[0]!), { x: [1], y: [2] });
  const config = [frame("cfg", field("Max", "number", [7]), field("c", "string", ["red"])), ...series()];
  const set = run(config, "configFromData", { configRefId: "cfg", mappings: [{ fieldName: "Max", handlerKey: "max" }, { fieldName: "c", handlerKey: "color" }] });
  assert.deepEqual(set.map((f) => f.fields[1]!.config), [{ max: 7, color: { mode: "fixed", fixedColor: "red" } }, { max: 7, color: { mode: "fixed", fixedColor: "red" } }]);
  const joined = run([frame("A", field("v", "number", [1], { kind: "cpu", host: "a" })), frame("A", field("v", "number", [2], { kind: "mem", host: "a" })), frame("A", field("v", "number", [3], { kind: "cpu", host: "b" }))], "joinByLabels", { value: "kind" });
  assert.deepEqual(rows(joined[0]!), { host: ["a", "b"], cpu: [1, 3], mem: [2, null] });
  const [, line] = run([frame("A", field("Time", "time", [0, 1, 2, 3]), field("v", "number", [1, 3, 5, 7]))], "regression", { predictionCount: 3 });
  assert.deepEqual(line!.fields[1]!.values.map((v) => Math.round((v as number) * 1e6) / 1e6), [1, 4, 7]);
  const [heat] = run([frame("A", field("Time", "time", [0, 500, 1000, 1500]), field("v", "number", [1, 2, 11, 12]))], "heatmap", { xBuckets: { mode: "size", value: "1s" }, yBuckets: { mode: "size", value: "10" } });
  assert.deepEqual([heat!.kind, rows(heat!)], ["heatmap-rows", { Time: [0, 1000], 10: [2, 0], 20: [0, 2] }]);
});

test("types: dates of many forms, numbers, booleans", () => {
  assert.equal(parseDate("22/11/2026 03:04 PM", "DD/MM/YYYY hh:mm A", "utc"), Date.UTC(2026, 10, 22, 15, 4));
  assert.equal(parseDate("2026-11-22T10:00:00+02:00", undefined, "utc"), Date.UTC(2026, 10, 22, 8));
  assert.equal(parseDate("2026-11-22", undefined, "utc"), Date.UTC(2026, 10, 22));
  assert.equal(parseDate("1700000000", "X", "utc"), 17e11);
  assert.equal(parseDate("nothing", undefined, "utc"), null);
  const [f] = run([frame("A", field("s", "string", ["1.5", "x", null, "true"]))], "convertFieldType", { conversions: [{ targetField: "s", destinationType: "number" }] });
  assert.deepEqual([f!.fields[0]!.type, f!.fields[0]!.values], ["number", [1.5, null, null, null]]);
});

test("disabled, filtered and unknown ones", () => {
  const frames = transform(one(), [{ id: "limit", options: { limitField: 1 }, disabled: true }, { id: "no-such", options: {} }], context);
  assert.deepEqual([frames[0]!.length, frames[0]!.notices!.length], [4, 1]);
  const partly = transform(series(), [{ id: "limit", options: { limitField: 1 }, filter: { id: "byRefId", options: "A" } }], context);
  assert.deepEqual(partly.map((f) => [f.refId, f.length]), [["A", 1], ["B", 3]]);
  const kept = transform(transform(series(), [{ id: "no-such", options: {} }], context), [{ id: "merge", options: {} }], context);
  assert.equal(kept[0]!.notices!.length, 1);
  const input = one();
  run(input, "organize", { renameByName: { cpu: "x" } });
  assert.deepEqual(input[0]!.fields[2]!.config, {});
});

test("a join or a matrix that would fill the memory is an error with a name", () => {
  const same = (n: number): Frame => frame("A", field("k", "number", new Array<Cell>(n).fill(1)), field("v", "number", new Array<Cell>(n).fill(1)));
  assert.throws(() => run([same(5000), same(5000)], "joinByField", { byField: "k", mode: "inner" }), TransformError);
  const many = Array.from({ length: 30000 }, (_, i) => i);
  assert.throws(() => run([frame("A", field("a", "number", many), field("b", "number", many), field("c", "number", many))], "groupingToMatrix", { rowField: "a", columnField: "b", valueField: "c" }), TransformError);
  assert.throws(() => run([frame("A", field("a", "number", many))], "transpose"), TransformError);
});

test("10,000 series are joined in a moment", () => {
  const times = Array.from({ length: 360 }, (_, i) => i * 15000);
  const values = times.map((t) => t / 7);
  const frames = Array.from({ length: 10000 }, (_, i) => ({ ...frame("A", field("Time", "time", times), field("Value", "number", values, { i: String(i) })) }));
  const began = performance.now();
  assert.equal(run(frames, "joinByField", {})[0]!.fields.length, 10001);
  assert.ok(performance.now() - began < 2000);
});

// Whatever the data and the options are: no exception but the named one, frames whose columns are equally long.
test("random frames and options", () => {
  let seed = 42;
  const random = (n: number): number => { seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff; return seed % n; };
  const pickOne = <T>(from: readonly T[]): T => from[random(from.length)]!;
  const cells: Cell[] = [null, undefined, NaN, 0, 1, -2.5, 1e12, Infinity, "", "a", "b", "7", true, false, '{"a":1}', "k=v", 1700000000000];
  const nameOf = (): string => pickOne(["Time", "Value", "cpu", "host", "a", "", "__proto__", "constructor"]);
  const randomFrame = (): Frame => {
    const length = random(6);
    const fields = Array.from({ length: random(5) }, () => field(nameOf(), pickOne(["time", "number", "string", "boolean", "other"] as const), Array.from({ length }, () => pickOne(cells)), random(2) ? { job: pickOne(["x", "y"]), i: String(random(3)) } : undefined));
    return { refId: pickOne(["A", "B", ""]), name: random(3) ? undefined : nameOf(), length, fields };
  };
  const value = (depth: number): unknown => {
    const k = random(depth > 3 ? 6 : 10);
    if (k < 2) return nameOf();
    if (k < 5) return pickOne([0, 1, -3, 2.5, true, false, null, undefined, "", "(", "/x", "1", "s", "sum", "toString"]);
    if (k < 7) return Array.from({ length: random(3) }, () => value(depth + 1));
    return randomOptions(depth + 1);
  };
  const keys = "reducers mode fields byField include exclude names pattern regex renamePattern indexByName renameByName excludeByName sort field limitField filters conversions source format jsonPaths path delimiter regExp binary left right operator matcher id options unary window windowSize cumulative index alias reduce reducer columnField rowField valueField bucketSize bucketCount xBuckets yBuckets value type degree configRefId mappings value join keepLabels valueLabel stringField outputFormat timeField orderBy orderByMode naming handlerKey fieldName".split(" ");
  const randomOptions = (depth = 0): Bag => Object.fromEntries(Array.from({ length: random(5) }, () => [random(5) ? pickOne(keys) : nameOf(), value(depth)]));
  const ids = TRANSFORMS.map((t) => t.id);
  for (let i = 0; i < 20000; i++) {
    const frames = Array.from({ length: random(4) }, randomFrame);
    const list = Array.from({ length: 1 + random(3) }, () => ({ id: pickOne(ids), options: randomOptions() }));
    try {
      for (const f of transform(frames, list, context)) for (const x of f.fields) if (x.values.length !== f.length) assert.fail(`${x.name}: ${x.values.length} of ${f.length}`);
    } catch (e) {
      if (!(e instanceof TransformError)) assert.fail(`${JSON.stringify(list)} of ${JSON.stringify(frames)}: ${(e as Error).stack}`);
    }
  }
});
