import assert from "node:assert/strict";
import { test } from "node:test";
import { bucketsOf, bucketSize, decimate, everyName, joinTimes, nearestIndex, nearestPlace, pileUp, rank, runsOf, stepsFor, tickText } from "../observe/parts/plot_math";

// The same numbers on every run.
function dice(seed: number): () => number {
  let s = seed;
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
}

test("decimation keeps each column's extremes, ends and gaps", () => {
  const random = dice(1);
  const n = 20000;
  const x = Float64Array.from({ length: n }, (_, i) => (i / n) * 300);
  const y = Float64Array.from({ length: n }, (_, i) => (i % 997 === 5 ? NaN : random() * 100));
  const picks = new Int32Array(n);
  const m = decimate(x, y, n, picks);
  assert.ok(m < 300 * 4 + 2 * 25 * 4, `${m} picked`);
  const kept = new Set(picks.subarray(0, m));
  for (let column = 0; column < 300; column++) {
    let lo = Infinity;
    let hi = -Infinity;
    let keptLo = Infinity;
    let keptHi = -Infinity;
    for (let i = 0; i < n; i++) {
      if (Math.floor(x[i]!) !== column || Number.isNaN(y[i]!)) continue;
      lo = Math.min(lo, y[i]!);
      hi = Math.max(hi, y[i]!);
      if (!kept.has(i)) continue;
      keptLo = Math.min(keptLo, y[i]!);
      keptHi = Math.max(keptHi, y[i]!);
    }
    assert.deepEqual([keptLo, keptHi], [lo, hi]);
  }
  for (let i = 0; i < n; i++) if (Number.isNaN(y[i]!)) assert.ok(kept.has(i), "a gap is lost");
  for (let k = 1; k < m; k++) assert.ok(picks[k]! > picks[k - 1]!, "out of order");
  assert.ok(kept.has(0) && kept.has(n - 1));
});

test("few points are all kept", () => {
  const x = Float64Array.from([0, 10, 20]);
  const picks = new Int32Array(3);
  assert.equal(decimate(x, Float64Array.from([1, 2, 3]), 3, picks), 3);
});

test("the nearest is what looking at all finds", () => {
  const random = dice(2);
  for (let round = 0; round < 200; round++) {
    const ys = Float64Array.from({ length: 1 + Math.floor(random() * 60) }, () => (random() < 0.2 ? NaN : Math.floor(random() * 50)));
    const r = rank(0, ys);
    const at = random() * 60 - 5;
    const place = nearestPlace(r, at);
    const present = [...ys].filter((v) => !Number.isNaN(v));
    if (!present.length) assert.equal(place, -1);
    else {
      assert.equal(ys[r.order[place]!], r.ys[place]);
      assert.equal(Math.abs(r.ys[place]! - at), Math.min(...present.map((v) => Math.abs(v - at))));
    }
  }
});

test("the nearest of sorted times", () => {
  assert.equal(nearestIndex([], 3), -1);
  assert.equal(nearestIndex([1], 300), 0);
  assert.equal(nearestIndex([0, 10, 20], 14), 1);
  assert.equal(nearestIndex([0, 10, 20], 16), 2);
  assert.equal(nearestIndex([0, 10, 20], -5), 0);
});

test("series are piled up, those below zero downward, gaps stay gaps", () => {
  const pile = (values: (number | null)[], percent = false) => ({ values, group: "A", percent });
  const [a, b, c, d] = pileUp([pile([1, 2, 3]), pile([-1, -2, null]), pile([10, null, 30]), pile([-5, -5, -5])], 3);
  assert.deepEqual([...a!.top], [1, 2, 3]);
  assert.deepEqual([...b!.top], [-1, -2, NaN]);
  assert.deepEqual([...c!.top], [11, NaN, 33]);
  assert.deepEqual([...c!.base], [1, 2, 3]);
  assert.deepEqual([...d!.top], [-6, -7, -5]);
});

test("shares of a group make one, of each side and at each time", () => {
  const made = pileUp([[1, 0, 4], [3, 0, null], [-2, -1, 0]].map((values) => ({ values, group: "g", percent: true })), 3);
  assert.deepEqual([...made[0]!.top], [0.25, 0, 1]);
  assert.deepEqual([...made[1]!.top], [1, 0, NaN]);
  assert.deepEqual([...made[2]!.top], [-1, -1, 0]);
});

test("groups are piled apart", () => {
  const made = pileUp([{ values: [1], group: "a", percent: false }, { values: [2], group: "b", percent: false }], 1);
  assert.deepEqual(made.map((m) => m.top[0]), [1, 2]);
});

test("frames of other times are joined; equal ones are left as they are", () => {
  const times = [1, 2, 3];
  const same = joinTimes([{ times, columns: [[1, 2, 3]] }, { times, columns: [[4, 5, 6]] }]);
  assert.equal(same.times, times);
  const other = joinTimes([{ times: [1, 3], columns: [[1, null]] }, { times: [4, 2], columns: [[40, 20]] }]);
  assert.deepEqual(other.times, [1, 2, 3, 4]);
  assert.deepEqual(other.columns, [[1, undefined, null, undefined], [undefined, 20, undefined, 40]]);
});

test("ticks: the date at midnight, the clock else, as fine as the step", () => {
  const p = (date: string, time: string, ms = "000") => ({ date, time, ms });
  assert.equal(tickText(p("2026-11-22", "00:00:00"), 3600e3), "11-22");
  assert.equal(tickText(p("2026-01-01", "00:00:00"), 3600e3), "2026-01-01");
  assert.equal(tickText(p("2026-11-22", "03:00:00"), 3600e3), "03:00");
  assert.equal(tickText(p("2026-11-22", "03:00:30"), 30e3), "03:00:30");
  assert.equal(tickText(p("2026-11-22", "03:00:30", "250"), 250), "00:30.250");
  assert.equal(tickText(p("2026-11-01", "00:00:00"), 30 * 86400e3), "2026-11");
});

test("steps are round in their unit", () => {
  assert.ok(stepsFor("bytes").includes(1024) && !stepsFor("bytes").includes(1000));
  assert.ok(stepsFor("s").includes(60) && stepsFor("s").includes(3600) && !stepsFor("s").includes(1000));
  assert.ok(stepsFor("ms").includes(3600e3));
  assert.ok(stepsFor("short").includes(2.5) && !stepsFor("short", true).includes(2.5));
  for (const unit of ["bytes", "s", "ms", "short"]) {
    const all = stepsFor(unit);
    for (let i = 1; i < all.length; i++) assert.ok(all[i]! > all[i - 1]!, `${unit} ${all[i]}`);
  }
  assert.equal(everyName(100, 50), 1);
  assert.equal(everyName(10, 52), 6);
});

test("equal neighbours become one state", () => {
  assert.deepEqual(runsOf(["a", "a", undefined, "a", "b", null, null], true), [
    { from: 0, to: 4, value: "a" }, { from: 4, to: 5, value: "b" }, { from: 5, to: 7, value: null }]);
  assert.deepEqual(runsOf(["a", "a"], false).length, 2);
  assert.deepEqual(runsOf([undefined, "a"], true), [{ from: 1, to: 2, value: "a" }]);
});

test("buckets hold every value once", () => {
  const random = dice(3);
  const values = Array.from({ length: 1000 }, () => random() * 7 - 2);
  const b = bucketsOf([values, [null, NaN, 1]], undefined);
  assert.equal(b.counts[0]!.reduce((s, c) => s + c, 0), 1000);
  assert.equal(b.counts[1]!.reduce((s, c) => s + c, 0), 1);
  values.forEach((v) => {
    const i = b.from.findIndex((f) => v >= f && v < f + b.size);
    assert.ok(i >= 0);
  });
  const given = bucketsOf([[0, 9.99, 10, 25]], 10, 5);
  assert.deepEqual(given.from, [-5, 5, 15, 25]);
  assert.deepEqual(given.counts, [[1, 2, 0, 1]]);
  assert.equal(bucketSize(0, 0), 1);
  assert.equal(bucketsOf([[0.1, 0.2, 0.3]], 0.1).from.join(), "0.1,0.2,0.3");
});
