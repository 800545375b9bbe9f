import assert from "node:assert/strict";
import { test } from "node:test";
import { partsIn } from "../observe/base/zone";
import { logTicks, rangeOf, valueAt } from "../observe/parts/plot_axes";
import { placeOf, rowsUpTo } from "../observe/parts/plot_heat";
import { picked } from "../observe/parts/plot_legend";
import { LINE, Lines, pileLines, type PlotLine } from "../observe/parts/plot_lines";
import { groupMarks } from "../observe/parts/plot_marks";
import type { Pen } from "../observe/parts/plot_axes";

test("ranges leave room, take zero in when it is near, and keep limits", () => {
  const [lo, hi] = rangeOf(5, 100, "linear", 10, {});
  assert.equal(lo, 0);
  assert.ok(hi >= 100 && hi <= 120);
  const far = rangeOf(1000, 1010, "linear", 10, {});
  assert.ok(far[0] > 900 && far[0] < 1000 && far[1] > 1010);
  assert.deepEqual(rangeOf(10, 90, "linear", 10, { min: 0, max: 100 }), [0, 100]);
  assert.equal(rangeOf(10, 90, "linear", 10, { softMax: 200 })[1], 200);
  assert.ok(rangeOf(10, 300, "linear", 10, { softMax: 200 })[1] >= 300);
  const centered = rangeOf(-5, 20, "linear", 10, { centered: true });
  assert.equal(centered[0], -centered[1]);
  assert.deepEqual(rangeOf(0, 0, "linear", 10, {}), [0, 1]);
  for (const [a, b] of [[Infinity, -Infinity], [5, 5], [-3, -3]] as const) {
    const [x, y] = rangeOf(a, b, "linear", 10, {});
    assert.ok(x < y && Number.isFinite(x) && Number.isFinite(y));
  }
});

test("a logarithm's range and ticks are powers", () => {
  assert.deepEqual(rangeOf(3, 800, "log", 10, {}), [1, 1000]);
  assert.ok(rangeOf(Infinity, -Infinity, "log", 10, {})[0] > 0);
  assert.deepEqual(logTicks({ kind: "log", min: 1, max: 1000 }, 1, 1000, 4), [1, 10, 100, 1000]);
  assert.deepEqual(logTicks({ kind: "log", min: 1, max: 10 }, 1, 10, 10), [1, 2, 5, 10]);
  assert.ok(logTicks({ kind: "log", min: 1e-9, max: 1e12 }, 1e-9, 1e12, 5).length <= 6);
  assert.deepEqual(logTicks({ kind: "log", base: 2, min: 1, max: 8 }, 1, 8, 10), [1, 2, 4, 8]);
  assert.deepEqual(logTicks({ kind: "symlog", threshold: 1, min: -10, max: 100 }, -10, 100, 12), [-10, -1, 0, 1, 10, 100]);
});

test("a share of the axis is a value, on every scale", () => {
  assert.equal(valueAt({ kind: "linear", min: 0, max: 10 }, [0, 10], 0.25), 2.5);
  assert.equal(valueAt({ kind: "linear", min: 0, max: 10, reverse: true }, [0, 10], 0.25), 7.5);
  assert.equal(Math.round(valueAt({ kind: "log", min: 1, max: 100 }, [1, 100], 0.5)), 10);
  assert.ok(Math.abs(valueAt({ kind: "symlog", min: -100, max: 100 }, [-100, 100], 0.5)) < 1e-9);
});

test("times are written in the zone asked for", () => {
  const ms = Date.UTC(2026, 10, 22, 23, 30);
  assert.deepEqual(partsIn(ms, "Asia/Tokyo"), { date: "2026-11-23", time: "08:30:00", ms: "000" });
  assert.equal(partsIn(ms + 7, "America/New_York").ms, "007");
  assert.equal(partsIn(ms, "No/Such_Zone").date.length, 10);
});

test("a click shows one alone and again all; with Ctrl it turns one on and off", () => {
  const names = ["a", "b", "c"];
  const alone = picked(new Set(), names, "a", false);
  assert.deepEqual([...alone].sort(), ["b", "c"]);
  assert.equal(picked(alone, names, "a", false).size, 0);
  assert.deepEqual([...picked(alone, names, "b", false)].sort(), ["a", "c"]);
  assert.deepEqual([...picked(new Set(), names, "b", true)], ["b"]);
  assert.equal(picked(new Set(["b"]), names, "b", true).size, 0);
});

test("marks that would lie on each other are one; those outside are none", () => {
  const mark = (from: number, to?: number) => ({ from, to, title: "t", tags: [], color: "red" });
  const groups = groupMarks([mark(50), mark(10), mark(12), mark(-5), mark(-5, 3), mark(200)], (ms) => ms, 0, 100);
  assert.deepEqual(groups.map((g) => [g.left, g.marks.length]), [[0, 1], [10, 2], [50, 1]]);
});

test("buckets by their upper bounds, and where a value lies among them", () => {
  const bounds = [0.1, 1, Infinity];
  const rows = rowsUpTo(bounds, String);
  assert.deepEqual(rows.map((r) => r.name), ["up to 0.1", "0.1 to 1", "over 1"]);
  assert.deepEqual([rows[0]!.from, rows[2]!.to], [0, 3]);
  assert.equal(placeOf(bounds, 0.05), 0.5);
  assert.ok(Math.abs(placeOf(bounds, 0.55) - 1.5) < 1e-9);
  assert.equal(placeOf(bounds, 70), 2.5);
});

// ---- the search for the nearest, on a pen without a canvas

const pen = { ratio: 1, left: 0, top: 0, width: 1000, height: 500, x: (v: number) => v, y: (v: number) => 500 - v, dark: false } as unknown as Pen;
const line = (name: string, values: (number | null | undefined)[], more: Partial<PlotLine> = {}): PlotLine =>
  ({ name, color: "red", values, axis: 0, style: LINE, text: String, ...more });

test("what is hit is what looking at all finds, and a second look at a time ranks nothing", () => {
  let seed = 5;
  const random = () => ((seed = (seed * 16807) % 2147483647) / 2147483647);
  const times = Array.from({ length: 100 }, (_, i) => i * 10);
  const lines = Array.from({ length: 300 }, (_, k) => line(`l${k}`, times.map(() => (random() < 0.1 ? null : random() * 500))));
  const layer = new Lines({ times, lines, title: String, mode: "multi", sort: "desc" });
  for (let i = 0; i < 200; i++) {
    const [x, y] = [random() * 1000, random() * 500];
    const hit = layer.hit(pen, x, y)!;
    const index = Math.min(99, Math.round(x / 10));
    assert.ok(Math.abs(hit.index - index) <= 1);
    const far = (k: number) => Math.abs(pen.y(lines[k]!.values[hit.index]!, 0) - y);
    const least = Math.min(...lines.flatMap((l, k) => (l.values[hit.index] === null ? [] : [far(k)])));
    assert.equal(far(hit.near), least);
  }
  const { ranked } = layer.counts;
  layer.hit(pen, 500, 10);
  const first = layer.counts.ranked;
  for (let y = 0; y < 500; y += 10) layer.hit(pen, 500, y);
  assert.ok(first <= ranked + 1);
  assert.equal(layer.counts.ranked, first);
});

test("the tooltip has a bounded number of rows, in the order asked for, without what hides from it", () => {
  const times = [0, 10];
  const lines = Array.from({ length: 100 }, (_, k) => line(`l${k}`, [k, k], { inTip: k !== 50 }));
  const layer = new Lines({ times, lines, title: String, mode: "multi", sort: "asc" });
  const hit = layer.hit(pen, 10, 450)!;
  const tip = layer.tip(hit, false)!;
  assert.equal(tip.rows.length, 16);
  assert.equal(tip.more, 99 - 16);
  assert.ok(!tip.rows.some((r) => r.name === "l50"));
  assert.deepEqual(tip.rows.map((r) => Number(r.text)), tip.rows.map((r) => Number(r.text)).sort((a, b) => a - b));
  assert.equal(layer.tip(hit, true)!.rows.length, 99);
  const single = new Lines({ times, lines, title: String, mode: "single", sort: "none" });
  assert.deepEqual(single.tip(single.hit(pen, 10, 480)!, false)!.rows.map((r) => r.name), ["l20"]);
});

test("a series without a sample at the cursor's time is told by one close by, not by one far away", () => {
  const times = [0, 10, 20, 500];
  const layer = new Lines({ times, lines: [line("a", [1, undefined, undefined, 7]), line("b", [undefined, undefined, 2, 3])], title: String, mode: "multi", sort: "none" });
  const tip = layer.tip(layer.hit(pen, 10, 0)!, false)!;
  assert.deepEqual(tip.rows.map((r) => r.text), ["1", "2"]);
});

test("lines of one group are piled, others are left", () => {
  const piles = pileLines([line("a", [1]), line("b", [2], { style: { ...LINE, pile: "g" } }), line("c", [3], { style: { ...LINE, pile: "g" } })], 1);
  assert.deepEqual(piles.map((p) => p?.top[0]), [undefined, 2, 5]);
});
