import assert from "node:assert/strict";
import { test } from "node:test";
import { calcId, CALCS, reduceValues } from "../observe/dash/calc";
import { colorByName, contrast, cssColor, paletteColor, readable, rgb, scheme } from "../observe/dash/color";
import { applyFieldConfig, type FieldContext, fieldRange, linksOf, seriesColor } from "../observe/dash/fields";
import type { Cell, Field, FieldType, Frame } from "../observe/dash/frame";
import { shownText } from "../observe/dash/frame";
import type { Labels } from "../observe/base/format";

const context: FieldContext = { dark: true, zone: "utc", interpolate: (t) => t.replace(/\$env/g, "prod"), from: 1, to: 2 };
const field = (name: string, type: FieldType, values: Cell[], labels?: Labels): Field => ({ name, type, values, labels, config: {} });
const frame = (fields: Field[], refId = "A"): Frame => ({ refId, length: fields[0]!.values.length, fields });
const series = (labels: Labels, values: Cell[], refId = "A"): Frame => frame([field("Time", "time", values.map((_, i) => i * 1000)), field("Value", "number", values, labels)], refId);

test("calcs", () => {
  const of = (values: Cell[], ...ids: string[]): Cell[] => ids.map((id) => reduceValues(values, id));
  assert.deepEqual(of([1, 2, 3, 10], "last", "min", "max", "mean", "median", "variance", "sum", "count", "range", "delta", "step", "diff", "diffperc", "p50", "p99"), [10, 1, 10, 4, 2.5, 12.5, 16, 4, 9, 9, 1, 9, 900, 3, 10]);
  assert.deepEqual(of([null, 5, null, 2, 7, null], "lastNotNull", "last", "firstNotNull", "first", "mean", "count", "countAll", "diff", "changeCount", "distinctCount", "logmin", "allIsNull"), [7, null, 5, null, 14 / 3, 3, 6, 2, 2, 3, 2, false]);
  assert.deepEqual(of([NaN, 1, 2, NaN], "lastNotNull", "last", "mean", "max"), [2, NaN, 1.5, 2]);
  assert.deepEqual(of([], "sum", "count", "last", "allIsNull", "p95"), [0, 0, null, true, null]);
  assert.deepEqual(of([100, 110, 120, 5, 15, 20], "delta", "allIsZero"), [25, false]);
  assert.deepEqual(of(["a", "b", "a", null], "lastNotNull", "distinctCount", "max"), ["a", 2, null]);
  assert.deepEqual([calcId("avg"), calcId("current"), calcId("total"), calcId("toString"), CALCS.length], ["mean", "lastNotNull", "sum", undefined, 124]);
});

test("colours", () => {
  assert.equal(cssColor("dark-red", true), "#C4162A");
  assert.equal(cssColor("dark-red", false), "#AD0317");
  assert.equal(cssColor("rgb(1, 2, 3)", true), "rgb(1, 2, 3)");
  assert.deepEqual([0, 1, 2, 3, 4, 5, 64].map((i) => paletteColor(i, true)), ["#73BF69", "#F2CC0C", "#5794F2", "#FF9830", "#F2495C", "#B877D9", "#447EBC"].map((c, i) => (i === 6 ? paletteColor(64 % 66, true) : c)));
  assert.equal(scheme("continuous-GrYlRd", 0, true), "#73bf69");
  assert.deepEqual(rgb(scheme("continuous-GrYlRd", 0.5, true)), [226, 192, 61]);
  assert.equal(scheme("continuous-viridis", 2, true), "#fde725");
  assert.equal(scheme("no-such", NaN, true), "#73bf69");
  for (const dark of [true, false])
    for (const color of ["red", "yellow", "#447EBC", "#052B51", "#FFFFFF", "black", "hsl(60, 100%, 50%)"]) {
      const back = dark ? "#171b22" : "#fff";
      assert.ok(contrast(readable(cssColor(color, dark), dark), back) >= 4.5, color);
      assert.ok(contrast(readable(cssColor(color, dark), dark, 3), back) >= 3, color);
    }
  assert.equal(colorByName("api", true), colorByName("api", true));
});

test("names: the legend, what differs, the panel's name", () => {
  const titles = (frames: Frame[], defaults = {}): string[] => applyFieldConfig(frames, { defaults }, context).map((f) => f.fields[1]!.title!);
  assert.deepEqual(titles([series({ job: "a", pod: "x" }, [1]), series({ job: "a", pod: "y" }, [1])]), ["x", "y"]);
  assert.deepEqual(titles([series({ job: "a", pod: "x" }, [1]), series({ job: "b", pod: "y" }, [1])]), ['{job="a", pod="x"}', '{job="b", pod="y"}']);
  assert.deepEqual(titles([series({ job: "a" }, [1])]), ["a"]);
  assert.deepEqual(titles([series({}, [1])]), ["Value"]);
  assert.deepEqual(titles([series({ job: "a" }, [1])], { displayName: "${__field.labels.job} in $env" }), ["a in prod"]);
  const legend = series({ job: "a" }, [1]);
  legend.fields[1]!.config = { displayNameFromDS: "the legend" };
  assert.deepEqual(titles([legend]), ["the legend"]);
  const [twice] = applyFieldConfig([frame([field("n", "number", [1]), field("n", "number", [2])])], undefined, context);
  assert.deepEqual(twice!.fields.map((f) => f.title), ["n 1", "n 2"]);
});

test("defaults and every override matcher", () => {
  const make = (): Frame[] => [
    frame([field("Time", "time", [1000]), field("cpu", "number", [5]), field("host", "string", ["a"])], "A"),
    frame([field("Time", "time", [1000]), field("mem", "number", [500])], "B"),
  ];
  const hit = (id: string, options?: unknown): string[] => applyFieldConfig(make(), { defaults: {}, overrides: [{ matcher: { id, options }, properties: [{ id: "custom.mark", value: true }] }] }, context)
    .flatMap((f) => f.fields).filter((f) => f.config.custom?.mark).map((f) => f.name);
  assert.deepEqual(hit("byName", "cpu"), ["cpu"]);
  assert.deepEqual(hit("byNames", { names: ["cpu", "mem"] }), ["cpu", "mem"]);
  assert.deepEqual(hit("byNames", { mode: "exclude", names: ["cpu"] }), ["host", "mem"]);
  assert.deepEqual(hit("byRegexp", "/^C/i"), ["cpu"]);
  assert.deepEqual(hit("byRegexp", "("), []);
  assert.deepEqual(hit("byType", "string"), ["host"]);
  assert.deepEqual(hit("byFrameRefID", "B"), ["Time", "mem"]);
  assert.deepEqual(hit("byValue", { reducer: "max", op: "gte", value: 100 }), ["mem"]);
  assert.deepEqual(hit("numeric"), ["cpu", "mem"]);
  assert.deepEqual(hit("first"), ["Time", "Time"]);
  assert.deepEqual(hit("firstTimeField"), ["Time", "Time"]);
  assert.deepEqual(hit("no such"), []);

  const [a, b] = applyFieldConfig(make(), {
    defaults: { unit: "bytes", custom: { lineWidth: 2 } },
    overrides: [
      { matcher: { id: "byName", options: "cpu" }, properties: [{ id: "unit", value: "percent" }, { id: "displayName", value: "CPU" }, { id: "custom.lineWidth", value: 4 }, { id: "custom.hideFrom", value: { viz: true } }, { id: "color", value: { mode: "fixed", fixedColor: "red" } }] },
      { matcher: { id: "byName", options: "cpu" }, properties: [{ id: "custom.__proto__.bad", value: 1 }, { id: "decimals", value: 2 }] },
    ],
  }, context);
  const cpu = a!.fields[1]!;
  assert.deepEqual([cpu.title, shownText(cpu.show!(5)), cpu.show!(5).color, cpu.config.custom], ["CPU", "5.00%", "#F2495C", { lineWidth: 4, hideFrom: { viz: true } }]);
  assert.deepEqual([b!.fields[1]!.config.custom, shownText(b!.fields[1]!.show!(2048))], [{ lineWidth: 2 }, "2 KiB"]);
  assert.equal(({} as Record<string, unknown>).bad, undefined);
  assert.deepEqual([cpu.index, a!.fields[2]!.index, b!.fields[1]!.index], [0, 1, 2]);
});

test("values: mappings, thresholds, percent, what has no value", () => {
  const shower = (defaults: object, values: Cell[] = [0, 50], type: FieldType = "number") => applyFieldConfig([frame([field("v", type, values)])], { defaults }, context)[0]!.fields[0]!.show!;
  const map = shower({ mappings: [
    { type: "value", options: { 1: { text: "up", color: "green" }, true: { text: "yes" } } },
    { type: "range", options: { from: 10, to: null, result: { text: "many" } } },
    { type: "regex", options: { pattern: "/^web-(.*)/", result: { text: "W $1", icon: "x" } } },
    { type: "special", options: { match: "null+nan", result: { text: "N/A", color: "red" } } },
    { type: "special", options: { match: "empty", result: { text: "(empty)" } } },
  ] });
  assert.deepEqual([1, 5, 10, "web-7", null, NaN, undefined, "", true].map((v) => map(v).text), ["up", "5", "many", "W 7", "N/A", "N/A", "N/A", "(empty)", "yes"]);
  assert.deepEqual([map(1).color, map(null).color, map("web-7").icon], ["#73BF69", "#F2495C", "x"]);

  const steps = [{ value: null, color: "green" }, { value: 50, color: "yellow" }, { value: 80, color: "red" }];
  const absolute = shower({ thresholds: { mode: "absolute", steps } });
  assert.deepEqual([-1, 49, 50, 80, NaN].map((v) => absolute(v).color), ["green", "green", "yellow", "red", "green"].map((c) => cssColor(c, true)));
  const percentage = shower({ thresholds: { mode: "percentage", steps }, min: 0, max: 1000 });
  assert.deepEqual([400, 500, 900].map((v) => percentage(v).color), ["green", "yellow", "red"].map((c) => cssColor(c, true)));
  assert.deepEqual([0, 25, 50, 80, -5].map((v) => shower({})(v).percent), [0, 0.5, 1, 1, 0]);
  assert.equal(shower({ color: { mode: "continuous-GrYlRd" } })(50).color, "#f2495c");
  assert.deepEqual([null, "", true, { a: 1 }, ["x"], "7"].map((v) => shower({ noValue: "none" })(v).text), ["none", "", "true", '{"a":1}', '["x"]', "7"]);
  assert.equal(shownText(shower({ unit: "percent" }, ["12.5"], "string")("12.5")), "12.5%");
  assert.equal(shower({}, [0], "time")(1e12).text, "2001-09-09 01:46:40");
});

test("min and max are the panel's data's, or the field's own", () => {
  const frames = (): Frame[] => [series({ a: "1" }, [1, 2]), series({ a: "2" }, [100, 400])];
  assert.deepEqual(applyFieldConfig(frames(), {}, context).map((f) => fieldRange(f.fields[1]!)), [{ min: 1, max: 400 }, { min: 1, max: 400 }]);
  assert.deepEqual(applyFieldConfig(frames(), { defaults: { fieldMinMax: true } }, context).map((f) => fieldRange(f.fields[1]!)), [{ min: 1, max: 2 }, { min: 100, max: 400 }]);
  assert.deepEqual(applyFieldConfig(frames(), { defaults: { min: 0 } }, context).map((f) => fieldRange(f.fields[1]!)), [{ min: 0, max: 400 }, { min: 0, max: 400 }]);
  const [, loud] = applyFieldConfig(frames(), { defaults: { thresholds: { mode: "absolute", steps: [{ value: null, color: "green" }, { value: 300, color: "red" }] } } }, context);
  assert.equal(seriesColor(loud!.fields[1]!), "#F2495C");
  assert.deepEqual(applyFieldConfig(frames(), {}, { ...context, colorMode: "palette-classic" }).map((f) => seriesColor(f.fields[1]!)), ["#73BF69", "#F2CC0C"]);
});

test("links have the row's values, encoded, and go nowhere unsafe", () => {
  const links = (url: string, row = 1): string => {
    const [f] = applyFieldConfig([frame([field("path", "string", ["/a", "/b c&d$env"], { pod: "p 1" }), field("n", "number", [1, 2000])])], { defaults: { unit: "short", links: [{ title: "to ${__value.text}", url }] } }, context);
    return linksOf(f!.fields[0]!, row)[0]!.href;
  };
  assert.equal(links("/d/x?var-p=${__value.raw}&e=$env"), "/d/x?var-p=%2Fb%20c%26d%24env&e=prod");
  assert.equal(links("/d/x?n=${__data.fields.n.numeric}&t=${__data.fields[1].text}&l=${__field.labels.pod}"), "/d/x?n=2000&t=2%20K&l=p%201");
  assert.equal(links("/d/x?${__url_time_range}"), "/d/x?from=1&to=2");
  assert.equal(links("javascript:alert(1)"), "about:blank");
  assert.equal(links(" java\nscript:alert(1)//"), "about:blank");
  assert.equal(links("https://x.example/${__value.raw}"), "https://x.example//b%20c&d$env");
});
