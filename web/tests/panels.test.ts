import assert from "node:assert/strict";
import { test } from "node:test";
import { panelType } from "../observe/dash/panels/types";

test("an unknown panel type has no row", () => {
  assert.equal(panelType("no-such-type"), undefined);
});
