// moves.test.ts - panels moved, added, folded and taken away: nothing overlaps, nothing is lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Dashboard, Panel } from "../observe/dash/model";
import { added, allPanels, duplicated, folded, moved, movedRow, newPanel, nextId, nudged, placeOf, removed, removedRow } from "../observe/dash/edit/moves";

const panel = (id: number, x: number, y: number, w: number, h: number, more: Partial<Panel> = {}): Panel => newPanel(id, "stat", { gridPos: { x, y, w, h }, ...more });
const row = (id: number, y: number, more: Partial<Panel> = {}): Panel => newPanel(id, "row", { gridPos: { x: 0, y, w: 24, h: 1 }, collapsed: false, panels: [], ...more });
const page = (...panels: Panel[]) => ({ panels }) as unknown as Dashboard;
const START = page(panel(1, 0, 0, 12, 8), panel(2, 12, 0, 12, 8), row(3, 8), panel(4, 0, 9, 24, 4), row(5, 13, { collapsed: true, panels: [panel(6, 0, 14, 8, 4)] }));
const at = (d: Dashboard, id: number) => { const { x, y, w, h } = placeOf(d, id)!; return [x, y, w, h]; };

function sound(d: Dashboard): void {
  for (const a of d.panels) for (const b of d.panels) {
    if (a === b) continue;
    const [p, q] = [a.gridPos, b.gridPos];
    assert.ok(p.x + p.w <= q.x || q.x + q.w <= p.x || p.y + p.h <= q.y || q.y + q.h <= p.y, `${a.id} over ${b.id}`);
  }
}

test("a panel moves, and what it would cover makes way", () => {
  const d = moved(START, 2, { x: 0, y: 0, w: 12, h: 8 });
  sound(d);
  assert.deepEqual([at(d, 2), at(d, 1), at(d, 3)], [[0, 0, 12, 8], [0, 8, 12, 8], [0, 16, 24, 1]]);
  assert.equal(moved(START, 1, placeOf(START, 1)!).panels[0], START.panels[0], "what stays is the same object");
  assert.deepEqual(at(moved(START, 1, { x: 20, y: -3, w: 99, h: 0 }), 1).slice(2), [24, 1]);
});

test("the arrows always lead somewhere else", () => {
  const d = nudged(START, 1, 0, 1);
  sound(d);
  assert.notDeepEqual(at(d, 1), at(START, 1));
  assert.deepEqual(at(nudged(START, 1, 0, -1), 1), [0, 0, 12, 8]);
});

test("panels come, are copied and go", () => {
  const d = added(START, newPanel(nextId(START), "timeseries"));
  sound(d);
  assert.deepEqual(at(d, 7), [0, 8, 12, 8]);
  const twice = duplicated(START, 6);
  assert.deepEqual(at(twice.dashboard, twice.id), [8, 14, 8, 4]);
  assert.equal(allPanels(removed(START, 6)).length, 5);
  sound(removed(START, 1));
});

test("rows fold with what is below them, change places, and give their panels back", () => {
  const shut = folded(START, 3, true);
  assert.deepEqual(shut.panels.map((p) => p.id), [1, 2, 3, 5]);
  assert.deepEqual(folded(shut, 3, false).panels.map((p) => [p.id, p.gridPos.y]), START.panels.map((p) => [p.id, p.gridPos.y]));
  const swapped = movedRow(START, 5, -1);
  sound(swapped);
  assert.deepEqual(swapped.panels.map((p) => p.id), [1, 2, 5, 3, 4]);
  assert.deepEqual(removedRow(START, 5, false).panels.map((p) => p.id), [1, 2, 3, 4, 6]);
  assert.equal(allPanels(removedRow(START, 5, true)).length, 4);
});
