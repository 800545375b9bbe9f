import assert from "node:assert/strict";
import { test } from "node:test";
import { parseInstant } from "../observe/base/duration";
import { clockOf, fromClock, offsetOf, partsIn, timeIn, zoneOf } from "../observe/base/zone";
import { formatDate, localDate, sameDay } from "../observe/dash/moments";
import { parseDate } from "../observe/dash/transform/parse";

const BERLIN = "Europe/Berlin";
const at = (text: string): number => Date.parse(text);

test("a zone is UTC, the browser's or one that is known by its name", () => {
  for (const [given, want] of [["", "browser"], [null, "browser"], ["browser", "browser"], ["UTC", "utc"], ["utc", "utc"], ["Etc/UTC", "utc"], [BERLIN, BERLIN], ["No/Such_Zone", "browser"]] as const)
    assert.equal(zoneOf(given), want);
});

test("a named zone's clock follows its summer time, half hours and history", () => {
  assert.equal(offsetOf(at("2026-01-15T12:00:00Z"), BERLIN), 60);
  assert.equal(offsetOf(at("2026-07-15T12:00:00Z"), BERLIN), 120);
  assert.equal(offsetOf(at("2026-07-15T12:00:00Z"), "Asia/Kolkata"), 330);
  assert.equal(offsetOf(at("2026-07-15T12:00:00Z"), "America/St_Johns"), -150);
  assert.equal(offsetOf(NaN, BERLIN), 0);
  assert.deepEqual(partsIn(at("2026-03-29T01:00:00Z") - 1, BERLIN), { date: "2026-03-29", time: "01:59:59", ms: "999" });
  assert.equal(timeIn(at("2026-03-29T01:00:00Z"), BERLIN), "2026-03-29 03:00:00");
  assert.equal(timeIn(at("2026-11-22T23:30:00.007Z"), "Asia/Tokyo"), "2026-11-23 08:30:00.007");
});

test("every clock leads back to its time; a doubled hour is its first, a missing one comes after the gap", () => {
  for (const zone of ["utc", "browser", BERLIN, "Australia/Lord_Howe", "America/New_York"])
    for (let t = at("2026-01-01T00:00:00Z"); t < at("2027-01-01T00:00:00Z"); t += 7.3 * 3600e3) {
      const back = fromClock(clockOf(t, zone).getTime(), zone);
      assert.ok(back === t || clockOf(back, zone).getTime() === clockOf(t, zone).getTime() && back < t, `${zone} ${new Date(t).toISOString()}`);
    }
  assert.equal(fromClock(at("2026-10-25T02:30:00Z"), BERLIN), at("2026-10-25T00:30:00Z"));
  assert.equal(fromClock(at("2026-03-29T02:30:00Z"), BERLIN), at("2026-03-29T01:30:00Z"));
});

test("ranges, dates of units and texts that are read are all of the zone", () => {
  const now = at("2026-11-22T23:30:00Z"); // already the 23rd in Berlin
  assert.equal(parseInstant("now/d", now, BERLIN), at("2026-11-22T23:00:00Z"));
  assert.equal(parseInstant("now/w", now, BERLIN), at("2026-11-22T23:00:00Z"), "a Monday there");
  assert.equal(parseInstant("2026-11-22 10:00", now, BERLIN), at("2026-11-22T09:00:00Z"));
  assert.equal(parseInstant("2026-11-22T10:00Z", now, BERLIN), at("2026-11-22T10:00:00Z"));
  assert.equal(parseInstant("now-1M", at("2026-11-15T12:00:00Z"), BERLIN), at("2026-10-15T11:00:00Z"), "by the clock, over the end of summer time");
  assert.equal(formatDate(now, "YYYY-MM-DD HH:mm Z z", BERLIN), "2026-11-23 00:30 +01:00 Europe/Berlin");
  assert.equal(formatDate(now, "HH:mm ZZ z", "America/New_York"), "18:30 -0500 America/New_York");
  assert.equal(sameDay(now, now - 3600e3, BERLIN), false);
  assert.equal(sameDay(now, now - 3600e3, "utc"), true);
  assert.match(localDate(now, BERLIN), /23/);
  assert.equal(parseDate("23.11.2026 00:30", "DD.MM.YYYY HH:mm", BERLIN), now);
  assert.equal(parseDate("2026-11-23 00:30", undefined, BERLIN), now);
  assert.equal(parseDate("2026-11-23 00:30 +02:00", "YYYY-MM-DD HH:mm Z", BERLIN), at("2026-11-22T22:30:00Z"));
});
