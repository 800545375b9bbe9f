import assert from "node:assert/strict";
import { test } from "node:test";
import { durationText, parseDuration, parseInstant } from "../observe/base/duration";

const NOW = Date.UTC(2026, 2, 31, 13, 14, 15, 161); // a Tuesday
const at = (text: string, end = false) => new Date(parseInstant(text, NOW, "utc", end)).toISOString();

test("durations", () => {
  assert.equal(parseDuration("1h30m"), 5400e3);
  assert.equal(parseDuration("250ms"), 250);
  assert.ok(Number.isNaN(parseDuration("1x")) && Number.isNaN(parseDuration("")));
  assert.equal(durationText(5400e3), "1h30m");
});

test("instants, relative and rounded", () => {
  assert.equal(at("now"), "2026-03-31T13:14:15.161Z");
  assert.equal(at("now-6h"), "2026-03-31T07:14:15.161Z");
  assert.equal(at("now - 1h30m"), "2026-03-31T11:44:15.161Z");
  assert.equal(at("now-1M"), "2026-02-28T13:14:15.161Z");
  assert.equal(at("now/d"), "2026-03-31T00:00:00.000Z");
  assert.equal(at("now-1d/d", true), "2026-03-30T23:59:59.999Z");
  assert.equal(at("now/w"), "2026-03-30T00:00:00.000Z");
  assert.equal(at("now/M", true), "2026-03-31T23:59:59.999Z");
  assert.equal(at("now/y"), "2026-01-01T00:00:00.000Z");
  assert.equal(at("now/Q"), "2026-01-01T00:00:00.000Z");
  assert.equal(at("2026-01-02 03:04"), "2026-01-02T03:04:00.000Z");
  assert.equal(parseInstant("1700000000000", NOW, "utc"), 1700000000000);
  for (const bad of ["nowish", "now-x", "", "yesterday"]) assert.ok(Number.isNaN(parseInstant(bad, NOW, "utc")), bad);
});
