import assert from "node:assert/strict";
import { test } from "node:test";
import { coursesOf, summary } from "../observe/parts/spells";

const at = (...times: number[]): [number, string][] => times.map((t) => [t, "1"]);
const alert = (state: string, times: number[], more = {}) =>
  ({ metric: { __name__: "ALERTS", alertname: "Down", alertstate: state, ...more }, values: at(...times) });

test("points in a row are one spell, each telling of the step before it", () => {
  const [c] = coursesOf([alert("firing", [100, 110, 120, 200, 210])], 10, 400e3);
  assert.deepEqual(c!.spells, [
    { state: "firing", from: 90e3, to: 120e3, open: false },
    { state: "firing", from: 190e3, to: 210e3, open: false },
  ]);
  assert.deepEqual(summary(c!.spells), { fired: 2, firing_ms: 50e3 });
});

test("pending that becomes firing ends where firing begins", () => {
  const [c] = coursesOf([alert("firing", [120, 130]), alert("pending", [100, 110, 120])], 10, 130e3);
  assert.deepEqual(c!.spells.map((s) => [s.state, s.from, s.to, s.open]),
    [["pending", 90e3, 110e3, false], ["firing", 110e3, 130e3, true]]);
});

test("alerts are told apart by their labels, the latest first", () => {
  const all = coursesOf([alert("firing", [100], { job: "a" }), alert("firing", [200], { job: "b" }), alert("odd", [300])], 10, 900e3);
  assert.deepEqual(all.map((c) => c.labels.job), ["b", "a"]);
});

test("no points, no spell", () => {
  assert.deepEqual(coursesOf([alert("firing", [])], 10, 0).flatMap((c) => c.spells), []);
  assert.deepEqual(coursesOf([], 10, 0), []);
});
