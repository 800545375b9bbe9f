// What a value panel does before it draws: which values, how large, where; and what colours read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { contrast } from "../observe/dash/color";
import { applyFieldConfig } from "../observe/dash/fields";
import type { Frame } from "../observe/dash/frame";
import type { FieldOptions } from "../observe/dash/model";
import { fit, gridOf } from "../observe/dash/panels/fit";
import { filled, inkOn, legible, solid } from "../observe/dash/panels/ink";
import { chosen, colorsAlong, itemsOf, rangeOf, shareOf, stateText, stepsOf } from "../observe/dash/panels/items";
import { arc, coursePath, fractions, placeOf } from "../observe/dash/panels/shapes";
import { panelType } from "../observe/dash/panels/types";
import { VALUE_TYPES } from "../observe/dash/panels/value_types";

const applied = (frames: Frame[], defaults: FieldOptions = {}): Frame[] =>
  applyFieldConfig(frames, { defaults, overrides: [] }, { dark: true, zone: "utc", interpolate: (t: string) => t });
const series = (name: string, values: (number | null)[]): Frame => ({
  length: values.length,
  fields: [{ name: "Time", type: "time", values: values.map((_, i) => i * 1000), config: {} }, { name, type: "number", values, config: {} }],
});

test("one value a field, by its calculation; with `values` one a row", () => {
  const frames = applied([series("a", [1, 5, null]), series("b", [4, 2, 3])]);
  assert.deepEqual(itemsOf(frames, { calcs: ["lastNotNull"] }).map((i) => [i.title, i.value]), [["a", 5], ["b", 3]]);
  assert.deepEqual(itemsOf(frames, { calcs: ["max"] }).map((i) => i.value), [5, 4]);
  assert.deepEqual(itemsOf(frames, {}).map((i) => i.value), [5, 3]);
  assert.deepEqual(itemsOf(frames, { values: true, limit: 2 }).map((i) => i.value), [1, 5, 4, 2]);
  assert.deepEqual(itemsOf([], {}), []);
});

test("rows are called by their texts, and by the column where several hold numbers", () => {
  const table: Frame = { length: 2, fields: [
    { name: "job", type: "string", values: ["x", "y"], config: {} }, { name: "up", type: "number", values: [1, 0], config: {} }] };
  assert.deepEqual(itemsOf(applied([table]), { values: true }).map((i) => i.title), ["x", "y"]);
  table.fields.push({ name: "age", type: "number", values: [7, 8], config: {} });
  assert.deepEqual(itemsOf(applied([table]), { values: true }).map((i) => i.title), ["x up", "x age", "y up", "y age"].sort((a, b) => Number(a.endsWith("age")) - Number(b.endsWith("age"))));
});

test("fields are numbers, a name, or a pattern; hidden ones are left out", () => {
  const frames = applied([{ length: 1, fields: [
    { name: "version", type: "string", values: ["1.2"], config: {} }, { name: "n", type: "number", values: [1], config: {} },
    { name: "hid", type: "number", values: [1], config: { custom: { hideFrom: { viz: true } } } }] }]);
  const names = (p: string) => chosen(frames, p).map(([, f]) => f.name);
  assert.deepEqual(names(""), ["n"]);
  assert.deepEqual(names("version"), ["version"]);
  assert.deepEqual(names("/^v/"), ["version"]);
  assert.deepEqual(names("/.*/"), ["version", "n"]);
  assert.deepEqual(names("("), []);
  assert.equal(itemsOf(frames, { fields: "/^version$/" })[0].shown.text, "1.2");
});

test("a range is what is configured, else of all values with zero; percents reach their hundred", () => {
  const of = (config: FieldOptions, values: number[]) => {
    const items = itemsOf(applied([series("a", values)], config));
    return rangeOf(items)(items[0].field);
  };
  assert.deepEqual(of({ min: 10, max: 20 }, [12]), [10, 20]);
  assert.deepEqual(of({}, [40, 80]), [0, 80]);
  assert.deepEqual(of({}, [-5, 5]), [-5, 5]);
  assert.deepEqual(of({ unit: "percent" }, [40]), [0, 100]);
  assert.deepEqual(of({ unit: "percentunit" }, [0.4]), [0, 1]);
  assert.deepEqual(of({}, [0]), [0, 1]);
  assert.equal(shareOf(15, [10, 20]), 0.5);
  assert.deepEqual([shareOf(NaN, [0, 1]), shareOf(Infinity, [0, 1]), shareOf(-9, [0, 1]), shareOf(9, [0, 1])], [0, 1, 0, 1]);
});

test("thresholds as places on the range, percentages too, and in words", () => {
  const thresholds = { mode: "absolute" as const, steps: [{ value: null, color: "green" }, { value: 60, color: "orange" }, { value: 80, color: "red" }] };
  const [item] = itemsOf(applied([series("a", [70])], { unit: "percent", thresholds, color: { mode: "thresholds" } }));
  const steps = stepsOf(item.field, [0, 100]);
  assert.deepEqual(steps.map((s) => s.share), [0, 0.6, 0.8]);
  assert.equal(stateText(item), "at or above 60%");
  assert.deepEqual(fractions(steps), [[0, 0.6, "green"], [0.6, 0.8, "orange"], [0.8, 1, "red"]]);
  const [low] = itemsOf(applied([series("a", [7])], { unit: "percent", thresholds, color: { mode: "thresholds" } }));
  assert.equal(stateText(low), "below 60%");
  item.field.config = { ...item.field.config, thresholds: { ...thresholds, mode: "percentage" } };
  assert.deepEqual(stepsOf(item.field, [0, 50]).map((s) => s.at), [0, 30, 40]);
  assert.deepEqual(fractions(steps.map((s) => ({ ...s, share: s.share * 1.5 }))), [[0, 0.8999999999999999, "green"], [0.8999999999999999, 1, "orange"]]);
  assert.equal(new Set(colorsAlong(low, [0, 100], 10)).size, 3);
});

test("a text fills its box and never more", () => {
  for (const [w, h, text] of [[200, 100, 3], [20, 100, 8], [1800, 600, 2]]) {
    const size = fit(text, w, h);
    assert.ok(size * text <= w + 0.1 && size * 1.15 <= h + 0.1, `${size}`);
  }
  assert.equal(fit(1, 1000, 1000, 30), 30);
  assert.equal(fit(100, 1, 1), 1);
});

test("boxes fill the panel, in every number and shape", () => {
  for (const n of [1, 2, 3, 5, 8, 12, 40])
    for (const [w, h] of [[60, 40], [300, 200], [1800, 600], [200, 900], [900, 60]])
      for (const orientation of ["auto", "horizontal", "vertical"]) {
        const g = gridOf(n, w, h, { orientation, shape: 2, gap: 4 });
        assert.ok(g.columns * g.rows >= n && (g.columns - 1) * g.rows < n + g.rows, JSON.stringify(g));
        assert.ok(g.w >= 1 && g.h >= 1);
        if (!g.scrolls) assert.ok(g.w * g.columns + 4 * (g.columns - 1) <= w + 0.5 && g.h * g.rows + 4 * (g.rows - 1) <= h + 0.5, JSON.stringify([n, w, h, orientation, g]));
      }
  assert.equal(gridOf(5, 500, 100, { orientation: "vertical", shape: 1 }).columns, 5);
  assert.equal(gridOf(5, 500, 100, { orientation: "horizontal", shape: 1 }).rows, 5);
  assert.equal(gridOf(4, 400, 400, { shape: 1 }).columns, 2);
  const many = gridOf(100, 300, 200, { shape: 2, least: { w: 60, h: 40 } });
  assert.ok(many.scrolls && many.h === 40 && many.columns >= 4);
});

test("arcs lie in their box; a whole turn is closed", () => {
  for (const [w, h] of [[60, 40], [300, 300], [1000, 80], [80, 1000]])
    for (const circle of [true, false]) {
      const p = placeOf(w, h, { circle });
      const all = p.r + p.gap + p.ring;
      assert.ok(p.x - all >= -0.01 && p.x + all <= w + 0.01 && p.y - all >= -0.01 && p.height <= h + 1, JSON.stringify(p));
    }
  const p = placeOf(100, 100, { circle: true });
  assert.equal(arc(p, 10, 20, 0, 1).match(/M/g)!.length, 2);
  assert.equal(arc(p, 10, 20, 0, 0.25).match(/M/g)!.length, 1);
  assert.ok(!/NaN/.test(arc(p, 0, 20, 0.1, 0.1)));
});

test("a line has gaps where there is no value, and as many points as can be seen", () => {
  const { line, area } = coursePath([0, 1, 2, 3, 4], [1, 2, null, 2, 3], 100, 50);
  assert.equal(line.match(/M/g)!.length, 2);
  assert.equal(area.match(/Z/g)!.length, 2);
  const long = Array.from({ length: 10000 }, (_, i) => i);
  assert.ok(coursePath(long, long, 50, 20).line.match(/L/g)!.length <= 102);
  assert.ok(coursePath(long, long, 50, 20).line.endsWith("50.0 2.0"), "the last value is drawn");
  assert.equal(coursePath([0, 1], [5, 5], 10, 10).line, "M0.0 5.0L10.0 5.0");
  assert.equal(coursePath([0, 1], [null, NaN], 10, 10).line, "");
});

test("every colour has text that reads on it, and is read on the card", () => {
  for (const color of ["#73BF69", "#F2495C", "#FADE2A", "#FFFFFF", "#000000", "#808080", "rgba(245, 54, 54, 0.9)", "rgba(50, 172, 45, 0.3)", "hsl(200, 50%, 50%)"])
    for (const dark of [true, false]) {
      const seen = solid(color, dark)!;
      assert.ok(contrast(inkOn(seen), seen) >= 4.5, `${color} ${dark}`);
      const back = filled(color, dark, true)!;
      const ends = back.backgroundImage.match(/#\w{6}/g) ?? [back.backgroundColor];
      for (const end of ends) assert.ok(contrast(back.color, end) >= 4.5, `${color} ${dark} ${end}`);
      assert.ok(contrast(legible(color, dark), dark ? "#171b22" : "#ffffff") >= 4.4, `${color} ${dark} ${legible(color, dark)}`);
    }
  assert.equal(solid("transparent", true), undefined);
  assert.equal(filled("", true, false), undefined);
  assert.equal(legible("nocolour", true), "var(--text)");
});

test("each type has its row, with controls that lie in the panel", () => {
  for (const type of ["stat", "gauge", "bargauge", "table", "text", "piechart", "logs", "alertlist", "dashlist", "annolist", "news", "welcome", "gettingstarted"])
    assert.equal(panelType(type)?.type, type);
  assert.equal(new Set(VALUE_TYPES.map((t) => t.type)).size, VALUE_TYPES.length);
  for (const t of VALUE_TYPES)
    for (const c of t.controls) {
      assert.match(c.path, /^(options|fieldConfig\.defaults)\./, `${t.type} ${c.path}`);
      if (c.kind === "select" || c.kind === "multi") assert.ok(c.choices?.length, `${t.type} ${c.path}`);
    }
});
