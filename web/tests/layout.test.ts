import assert from "node:assert/strict";
import { test } from "node:test";
import { expand, expandAll, findPlaced, type Placed } from "../observe/dash/layout";
import type { Dashboard } from "../observe/dash/model";
import { readDashboard } from "../observe/dash/read";
import type { Scope } from "../observe/dash/scope";
import { panelRange, roundInterval, stepOf } from "../observe/dash/step";

const board = (...panels: object[]): Dashboard => readDashboard({ title: "T", schemaVersion: 42, panels }).dashboard;
const at = (id: number, x: number, y: number, w: number, h: number, more: object = {}) => ({ id, type: "stat", title: "", gridPos: { x, y, w, h }, ...more });
const row = (id: number, y: number, more: object = {}) => ({ id, type: "row", title: `row ${id}`, gridPos: { x: 0, y, w: 24, h: 1 }, ...more });
const scope = (values: Record<string, string[]> = {}): Scope => ({
  values: Object.fromEntries(Object.entries(values).map(([n, value]) => [n, { text: value, value, all: ["a", "b", "c"], variable: { name: n, type: "query", multi: true } }])), from: 0, to: 1, zone: "utc",
});
const places = (all: Placed[]) => all.map((p) => `${p.key} ${p.place.x},${p.place.y} ${p.place.w}x${p.place.h}`);

test("panels are packed upward", () => {
  assert.deepEqual(places(expand(board(at(1, 0, 3, 12, 4), at(2, 12, 0, 12, 2), at(3, 12, 20, 6, 2)), scope())), ["panel-1 0,0 12x4", "panel-2 12,0 12x2", "panel-3 12,2 6x2"]);
});

test("folded rows hold their panels, and open by their key", () => {
  const d = board(at(1, 0, 0, 24, 2), row(2, 2, { collapsed: true, panels: [at(3, 0, 3, 12, 5), at(4, 12, 3, 12, 5)] }), row(5, 3, { collapsed: false, panels: [] }), at(6, 0, 4, 24, 2));
  const shut = expand(d, scope());
  assert.deepEqual(places(shut), ["panel-1 0,0 24x2", "panel-2 0,2 24x1", "panel-5 0,3 24x1", "panel-6 0,4 24x2"]);
  assert.deepEqual([shut[1]!.folded, shut[1]!.count, shut[2]!.folded, shut[3]!.row], [true, 2, false, "panel-5"]);
  assert.deepEqual(places(expand(d, scope(), new Map([["panel-2", false], ["panel-5", true]]))),
    ["panel-1 0,0 24x2", "panel-2 0,2 24x1", "panel-3 0,3 12x5", "panel-4 12,3 12x5", "panel-5 0,8 24x1"]);
  assert.equal(findPlaced(expandAll(d, scope()), "4")?.key, "panel-4");
  assert.equal(findPlaced(expandAll(d, scope()), "panel-3")?.panel.id, 3);
});

test("a panel repeats across, at most maxPerRow beside each other, and pushes down what is below", () => {
  const d = board(at(1, 0, 0, 6, 4, { repeat: "h", maxPerRow: 2 }), at(2, 0, 4, 24, 2));
  const all = expand(d, scope({ h: ["x", "y", "z"] }));
  assert.deepEqual(places(all), ["panel-1 0,0 12x4", "panel-1-clone-1 12,0 12x4", "panel-1-clone-2 0,4 12x4", "panel-2 0,8 24x2"]);
  assert.deepEqual(all.map((p) => p.scope.values.h!.value), ["x", "y", "z", ["x", "y", "z"]]);
  assert.equal(all[1]!.first, "panel-1");
  assert.deepEqual(places(expand(board(at(1, 0, 0, 6, 4, { repeat: "h" })), scope({ h: ["$__all"] }))), ["panel-1 0,0 8x4", "panel-1-clone-1 8,0 8x4", "panel-1-clone-2 16,0 8x4"]);
  assert.deepEqual(places(expand(board(at(1, 3, 0, 6, 4, { repeat: "gone" })), scope())), ["panel-1 3,0 6x4"]);
});

test("a panel repeats downward in its column", () => {
  const d = board(at(1, 0, 0, 6, 4, { repeat: "h", repeatDirection: "v" }), at(2, 6, 0, 18, 4), at(3, 0, 4, 24, 2));
  assert.deepEqual(places(expand(d, scope({ h: ["x", "y"] }))), ["panel-1 0,0 6x4", "panel-2 6,0 18x4", "panel-1-clone-1 0,4 6x4", "panel-3 0,8 24x2"]);
});

test("a row repeats with its panels", () => {
  const d = board(row(1, 0, { repeat: "h", title: "$h" }), at(2, 0, 1, 12, 3), at(3, 12, 1, 12, 3, { repeat: "k" }), row(4, 4), at(5, 0, 5, 24, 2));
  const all = expand(d, scope({ h: ["x", "y"], k: ["1", "2"] }));
  assert.deepEqual(all.map((p) => p.key), ["panel-1", "panel-2", "panel-3", "panel-3-clone-1", "panel-1-clone-1", "panel-2-clone-1", "panel-3-clone-1-0", "panel-3-clone-1-1", "panel-4", "panel-5"]);
  assert.equal(new Set(all.map((p) => p.key)).size, all.length);
  assert.deepEqual([all[5]!.scope.values.h!.value, all[7]!.scope.values.k!.value, all[5]!.row], ["y", "2", "panel-1-clone-1"]);
  assert.deepEqual(places(all).slice(-2), ["panel-4 0,14 24x1", "panel-5 0,15 24x2"]);
});

test("two thousand panels are placed at once", () => {
  const d = board(...Array.from({ length: 1999 }, (_, i) => at(i + 1, (i % 4) * 6, Math.floor(i / 4) * 3, 6, 3)));
  const began = performance.now();
  expand(d, scope());
  assert.ok(performance.now() - began < 300);
});

test("the step is round, not below what is asked for, and aligned", () => {
  const s = (o: Partial<Parameters<typeof stepOf>[0]>) => stepOf({ from: 1000e3, to: 1000e3 + 3600e3, width: 1000, ...o });
  assert.deepEqual(s({}), { step_s: 15, interval_ms: 15000, interval: "15s", rate_interval: "1m", start: 990, end: 4590 });
  assert.equal(s({ to: 1000e3 + 24 * 3600e3 }).step_s, 60);
  assert.equal(s({ to: 1000e3 + 24 * 3600e3 }).rate_interval, "1m15s");
  assert.equal(s({ interval: "1m" }).rate_interval, "4m");
  assert.equal(s({ interval: "1m" }).step_s, 60);
  assert.equal(s({ panelInterval: ">2m" }).step_s, 120);
  assert.equal(s({ panelInterval: ">2m" }).rate_interval, "2m15s");
  assert.equal(s({ interval: "5s" }).step_s, 5);
  assert.equal(s({ intervalFactor: 4 }).step_s, 60);
  assert.equal(s({ intervalFactor: 4 }).rate_interval, "1m");
  assert.equal(s({ maxDataPoints: 10 }).step_s, 300);
  assert.equal(s({ interval: "1s", to: 1000e3 + 86400e3, maxDataPoints: 1e6 }).step_s, 10, "at most 11,000 points");
  assert.equal(s({ scrape_s: 60 }).rate_interval, "4m");
  assert.equal(s({ interval: "$__rate_interval" }).step_s, 60);
  for (const [ms, want] of [[1400, 1], [1500, 2], [26000, 30], [44000, 30], [46000, 60], [89000, 60], [2.4 * 3600e3, 7200], [23 * 3600e3, 43200], [25 * 3600e3, 86400], [8 * 86400e3, 604800], [22 * 86400e3, 2592000], [60 * 86400e3, 31536000]] as const)
    assert.equal(roundInterval(ms), want * 1000, String(ms));
});

test("a panel's own range and shift", () => {
  const H = 3600e3, now = Date.UTC(2026, 0, 2, 12), from = now - 6 * H;
  assert.deepEqual(panelRange({}, from, now), { from, to: now, info: undefined });
  assert.deepEqual(panelRange({ timeFrom: "1h" }, from, now), { from: now - H, to: now, info: "Last 1h" });
  assert.deepEqual(panelRange({ timeShift: "1d" }, from, now), { from: from - 24 * H, to: now - 24 * H, info: "timeshift -1d" });
  assert.deepEqual(panelRange({ timeFrom: "2h", timeShift: "1h", hideTimeOverride: true }, from, now), { from: now - 3 * H, to: now - H, info: undefined });
  assert.deepEqual(panelRange({ timeFrom: "now/d" }, from, now, "utc", now).from, Date.UTC(2026, 0, 2));
  assert.match(panelRange({ timeFrom: "soon" }, from, now).info!, /not understood/);
});

test("a variable of thousands draws the first 200, and the page has an end", () => {
  const many = Array.from({ length: 3412 }, (_, i) => `h${i}`);
  const d = readDashboard({ panels: [{ id: 1, type: "stat", repeat: "host", gridPos: { x: 0, y: 0, w: 24, h: 4 } }, { id: 2, type: "text", gridPos: { x: 0, y: 4, w: 24, h: 4 } }] }).dashboard;
  const placed = expand(d, scope({ host: many }));
  assert.equal(placed.length, 201);
  assert.deepEqual(placed.flatMap((p) => p.cut ?? []), [{ name: "host", drawn: 200, of: 3412 }]);
  const rows = readDashboard({ panels: [{ id: 1, type: "row", repeat: "host", gridPos: { x: 0, y: 0, w: 24, h: 1 } }, ...Array.from({ length: 30 }, (_, i) => ({ id: 2 + i, type: "stat", gridPos: { x: 0, y: 1 + i, w: 24, h: 1 } }))] }).dashboard;
  const tall = expand(rows, scope({ host: many }));
  assert.ok(tall.length > 2000 && tall.length < 2100, String(tall.length));
  const cut = tall.flatMap((p) => p.cut ?? []);
  assert.deepEqual([cut.length, cut[0]!.of], [1, 3412]);
});
