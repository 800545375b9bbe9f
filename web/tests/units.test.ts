import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { formatDate, fromNow } from "../observe/dash/moments";
import { type Formatted, formatValue } from "../observe/dash/units";

declare const TESTS: string;
const shown = (f: Formatted): string => (f.prefix ?? "") + f.text + (f.suffix ?? "");
const say = (unit: string, v: number, d?: number): string => shown(formatValue(unit, v, d, "utc"));

test("the units that dashboards have most", () => {
  const rows: [unit: string, v: number, text: string, decimals?: number][] = [
    ["short", 1234567, "1.23 Mil"], ["short", 0, "0"], ["short", 999.5, "1000"], ["short", -1500, "-1.50 K"], ["none", 12.345, "12.3"],
    ["bytes", 1536, "1.50 KiB"], ["decbytes", 1500, "1.50 kB"], ["s", 0.0123, "12.3 ms"], ["s", 90, "1.50 mins"], ["s", 86400, "1 day"],
    ["ms", 1500, "1.50 s"], ["percent", 12.5, "12.5%"], ["percentunit", 0.1234, "12.3%"], ["percentunit", 0.5, "50.0%", 1],
    ["ops", 1500, "1.50K ops/s"], ["reqps", 12, "12 req/s"], ["Bps", 2e6, "2 MB/s"], ["bps", 1e9, "1 Gb/s"], ["pps", 10, "10 p/s"],
    ["currencyUSD", -1500, "-$1.50K"], ["dtdurations", 3661, "1 hour, 1 minute", 1], ["dthms", 3661, "01:01:01"], ["bool_yes_no", 1, "Yes"],
    ["dateTimeAsIso", 1e12, "2001-09-09 01:46:40"], ["hex0x", 255, "0xFF"], ["celsius", 21.5, "21.5 °C"], ["mwatth", 1500, "1.50 GWh"],
    ["suffix:cats", 3, "3 cats"], ["prefix:~", 3, "~3"], ["si:mF", 1500, "1.50 F"], ["count:req", 1500, "1.50K req"], ["bool:up/down", 0, "down"],
    ["time:YYYY-MM-DD", 1e12, "2001-09-09"], ["no such unit", 5, "5 no such unit"], ["currency:₿", 5, "₿5"],
  ];
  for (const [unit, v, text, decimals] of rows) assert.equal(say(unit, v, decimals), text, unit);
  assert.equal(shown(formatValue("s", null)), "");
  assert.equal(say("s", NaN), "NaN");
  assert.equal(say("bytes", -Infinity), "-∞");
});

// data/units.json holds what Grafana's own formatter (@grafana/data 13) says, measured: for each unit
// the texts of the same values, some with decimals.
test("every unit as Grafana has it", () => {
  const { cases, units } = JSON.parse(readFileSync(join(TESTS, "data/units.json"), "utf8")) as { cases: [number, number | null][]; units: Record<string, string> };
  const wrong: string[] = [];
  for (const [unit, texts] of Object.entries(units))
    texts.split("|").forEach((want, i) => {
      const [v, d] = cases[i]!;
      const got = say(unit, v, d ?? undefined);
      if (got !== want) wrong.push(`${unit} ${v}: ${got}, not ${want}`);
    });
  assert.deepEqual(wrong, []);
});

test("dates by moment's tokens", () => {
  const t = Date.UTC(2026, 10, 22, 15, 4, 5, 67);
  assert.equal(formatDate(t, "dddd, MMMM Do YYYY, h:mm:ss.SSS a Z [at] [Z] DDDD w W Q X", "utc"), "Sunday, November 22nd 2026, 3:04:05.067 pm +00:00 at Z 326 48 47 4 1795359845");
  assert.equal(formatDate(NaN, "YYYY", "utc"), "Invalid date");
  assert.equal(fromNow(0, 10e3), "a few seconds ago");
  assert.equal(fromNow(3600e3 * 5, 0), "in 5 hours");
});

test("any number in any unit is written", () => {
  const units = ["short", "bytes", "s", "dtdurations", "clocks", "hex", "sci", "locale", "dateTimeFromNow", "time:[", "si:", "count:", "currency:financial:", "bool:", "__proto__", "constructor", "toString:x"];
  for (const unit of units)
    for (const v of [0, -0, 1e-320, Number.MAX_VALUE, -Number.MAX_VALUE, NaN, Infinity, 8.64e15 + 1, 1e21])
      for (const d of [undefined, 0, 3, 20, 200, -1]) assert.equal(typeof formatValue(unit, v, d).text, "string");
});
