import assert from "node:assert/strict";
import { test } from "node:test";
import { firstTime, isLate, rangeFor } from "../observe/parts/late_math";

const QUICK: [string, string][] = [["5 minutes", "now-5m"], ["15 minutes", "now-15m"], ["1 hour", "now-1h"], ["3 hours", "now-3h"], ["2 days", "now-2d"]];

test("samples that begin late in the range are told, and the shortest range that has them is offered", () => {
  const H = 3600e3;
  assert.equal(firstTime([1, 2, 3], [{ values: [null, null, 5] }, { values: [null, NaN, null] }]), 2);
  assert.equal(firstTime([1, 2], [{ values: [null, null] }]), undefined);
  assert.ok(isLate(23 * H, 0, 24 * H));
  assert.ok(!isLate(2 * H, 0, 24 * H));
  assert.ok(!isLate(undefined, 0, 24 * H));
  assert.deepEqual(rangeFor(24 * H - 7 * 60e3, 24 * H, true, QUICK), ["now-15m", "now"]);
  assert.deepEqual(rangeFor(24 * H - 100 * 60e3, 24 * H, true, QUICK), ["now-3h", "now"]);
  assert.equal(rangeFor(23 * H, 24 * H, false, QUICK), undefined);
});
