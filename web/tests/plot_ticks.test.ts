// Ticks of axes: round, within the range, by the zone's clock.
import assert from "node:assert/strict";
import { test } from "node:test";
import { numberTicks, roomy, stepFor, TIME_STEPS, timeTicks, wholePowers } from "../observe/parts/plot_ticks";

const at = (text: string): number => Date.parse(text);
const utc = (ticks: number[]): string[] => ticks.map((t) => new Date(t).toISOString().slice(0, 16));

test("ticks of numbers have no digits left over from sums", () => {
  assert.deepEqual(numberTicks(-0.3, 0.31, 0.1), [-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]);
  assert.deepEqual(numberTicks(1e9 + 1, 1e9 + 5, 2), [1e9 + 2, 1e9 + 4]);
  assert.deepEqual(numberTicks(0, 1, 0), []);
});

test("the step is the smallest whose ticks stand apart", () => {
  assert.equal(stepFor([1, 2, 5, 10], 0, 10, 100, 20), 2);
  assert.equal(stepFor([1, 2], 0, 100, 100, 20), 0);
  assert.ok(TIME_STEPS.every((s, i) => !i || s > TIME_STEPS[i - 1]!), "they ascend");
});

test("times are round in their zone, over a change of the clock as well", () => {
  const hour = 3600e3;
  assert.deepEqual(utc(timeTicks(at("2026-03-28T20:00Z"), at("2026-03-29T09:00Z"), 6 * hour, "Europe/Berlin")), ["2026-03-28T23:00", "2026-03-29T04:00"]);
  assert.deepEqual(utc(timeTicks(at("2026-10-24T20:00Z"), at("2026-10-25T12:00Z"), 6 * hour, "Europe/Berlin")), ["2026-10-24T22:00", "2026-10-25T05:00", "2026-10-25T11:00"]);
  assert.deepEqual(utc(timeTicks(at("2026-01-01T00:00Z"), at("2026-01-20T00:00Z"), 7 * 24 * hour, "utc")), ["2026-01-05T00:00", "2026-01-12T00:00", "2026-01-19T00:00"]);
  assert.deepEqual(utc(timeTicks(at("2025-11-15T00:00Z"), at("2026-08-01T00:00Z"), 90 * 24 * hour, "utc")), ["2026-01-01T00:00", "2026-04-01T00:00", "2026-07-01T00:00"]);
  assert.deepEqual(utc(timeTicks(at("1999-05-01T00:00Z"), at("2011-01-01T00:00Z"), 5 * 365 * 24 * hour, "utc")), ["2000-01-01T00:00", "2005-01-01T00:00", "2010-01-01T00:00"]);
});

test("a range gets a tenth of room, and stops at zero or at its soft limits", () => {
  assert.deepEqual(roomy(10, 90, null, null), [2, 98]);
  assert.deepEqual(roomy(1000, 1010, null, null), [999, 1011]);
  assert.deepEqual(roomy(-5, 5, null, null), [-6, 6]);
  assert.deepEqual(roomy(50, 60, 0, 100), [0, 100]);
  assert.deepEqual(roomy(-5, 120, 0, 100), [-20, 140]);
  assert.deepEqual(roomy(7, 7, null, null), [0, 14]);
});

test("a logarithm's range goes out to whole powers", () => {
  assert.deepEqual(wholePowers(3, 800, 10), [1, 1000]);
  assert.deepEqual(wholePowers(-30, 5, 2), [-32, 8]);
  assert.deepEqual(wholePowers(0.002, 0.002, 10), [0.0001, 0.1]);
  assert.deepEqual(wholePowers(0, 5, 10), [0, 10]);
});
