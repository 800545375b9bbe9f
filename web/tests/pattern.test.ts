// Regular expressions of dashboards match what the browser's do, and none of them holds the page.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { chosen } from "../observe/dash/options";
import { pattern, patternOf, TOO_LONG } from "../observe/dash/pattern";

declare const TESTS: string;

const EVIL = ["(a+)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*x", "(.*a){20}", "(\\w+\\s?)+$", "(a|a)*$", "(a|aa)+$", "((a+))+x", "(?:a{1,}){2,}", "(x|(a+)+)y", "(.*-)*x",
  "([^,]*,?)*$", ".*.*.*x", "(?<n>[a-z]+)*9", "(a?){30}a{30}", "a?".repeat(40) + "a{40}", "(a|a)".repeat(30) + "b", ".*a.*a.*a.*a.*b", "(\\d+|\\w+)*$", "(.|\\s)*x", "(|a)*b", "(?=(a+)+b)", "(?!(a|a)*c)a+b"];

test("what would hold a browser's page is over at once", () => {
  const began = process.cpuUsage();
  for (const bad of EVIL) {
    const re = pattern(bad);
    for (const text of ["a".repeat(50) + "!", "a".repeat(2000) + "!", "a,b-".repeat(500)]) try {
      re.test(text);
    } catch (e) {
      assert.equal((e as Error).message, TOO_LONG);
    }
  }
  assert.ok(process.cpuUsage(began).user < 20e6, `${process.cpuUsage(began).user} µs`);
});

test("a pattern that goes on and on is stopped, and has time again later", () => {
  const re = pattern("(?:(?:a?){30}){20}b");
  const began = process.cpuUsage();
  assert.throws(() => { for (let i = 0; i < 1e6; i++) re.test("a".repeat(5000)); }, { message: TOO_LONG });
  assert.ok(process.cpuUsage(began).user < 15e6);
});

// Beside the browser's own engine, on patterns made up at random.
test("it finds what the browser's engine finds", () => {
  let seed = 7;
  const roll = (n: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  const pick = <T>(of: readonly T[]): T => of[(roll(1 << 20) >> 4) % of.length]!;
  const atom = (depth: number): string => pick([() => pick(["a", "b", "c", ".", "[ab]", "[^a]", "\\w", "\\d", "\\s", "-"]), () => pick(["a", "b"]), () => "^", () => "$", () => "\\b",
    () => (depth > 2 ? "a" : `(${ways(depth + 1)})`), () => (depth > 2 ? "b" : `(?:${ways(depth + 1)})`), () => (depth > 2 ? "b" : `(?=${ways(depth + 1)})`), () => (depth > 2 ? "c" : `(?!${ways(depth + 1)})`)])();
  const part = (depth: number): string => {
    const a = atom(depth);
    return /^(?:[\^$]|\\b|\(\?[=!])/.test(a) ? a : a + pick(["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?"]);
  };
  const seq = (depth: number): string => Array.from({ length: 1 + roll(3) }, () => part(depth)).join("");
  const ways = (depth: number): string => Array.from({ length: 1 + (roll(3) >> 1) }, () => seq(depth)).join("|");
  let other = 0;
  for (let i = 0; i < 4000; i++) {
    const source = ways(0);
    const flags = pick(["", "i", "g", "m", "s"]);
    const mine = pattern(source, flags);
    const theirs = new RegExp(source, flags);
    for (let k = 0; k < 4; k++) {
      const text = Array.from({ length: roll(9) }, () => pick(["a", "b", "c", "A", "-", "\n", "1", "é"])).join("");
      const [m, t] = [mine.exec(text), theirs.exec(text)];
      assert.deepEqual(m && [m.index, m[0]], t && [t.index, t[0]], `/${source}/${flags} on ${JSON.stringify(text)}`);
      if (JSON.stringify(m) !== JSON.stringify(t)) other++;
      assert.equal(mine.lastIndex, theirs.lastIndex);
      mine.lastIndex = theirs.lastIndex = 0;
    }
  }
  assert.ok(other < 16000 / 200, `${other} of 16000 remember other groups`);
});

test("groups, names, replacing and all matches are as with any RegExp", () => {
  const m = pattern("(?<host>[^:]+):(?<port>\\d+)(x)?").exec("  db-1:5432")!;
  assert.deepEqual([...m], ["  db-1:5432", "  db-1", "5432", undefined]);
  assert.deepEqual({ ...m.groups }, { host: "  db-1", port: "5432" });
  assert.equal("cpu-0 cpu-12".replace(pattern("(\\w+)-(\\d+)", "g"), "$2.$1"), "0.cpu 12.cpu");
  assert.deepEqual([..."a1b22".matchAll(pattern("([a-z]+)(\\d+)", "g"))].map((x) => x[2]), ["1", "22"]);
  assert.equal(patternOf("/^ABC$/i").test("abc"), true);
  assert.equal(patternOf("abc", (t) => `^${t}$`).test("xabc"), false);
  assert.equal(pattern("(?<!x)abc").test("yabc"), true);
  assert.throws(() => pattern("(?<=a+)b"), { message: TOO_LONG });
  assert.throws(() => pattern("(a"), SyntaxError);
  assert.throws(() => pattern("(((a{100}){100}){100})"), { message: TOO_LONG });
});

test("no pattern of a dashboard that people use is refused", () => {
  const folder = join(TESTS, "../../tests/e2e/data/dashboards/community");
  let seen = 0;
  const look = (x: unknown): void => {
    if (typeof x !== "object" || x === null) return;
    for (const [k, v] of Object.entries(x)) {
      if (/regex|pattern/i.test(k) && typeof v === "string" && v && !v.includes("$")) {
        seen++;
        assert.doesNotThrow(() => patternOf(v), v);
      } else look(v);
    }
  };
  for (const name of readdirSync(folder).filter((n) => n.endsWith(".json"))) look(JSON.parse(readFileSync(join(folder, name), "utf8")));
  assert.ok(seen > 15, String(seen));
});

test("a variable takes what was refused, and a list does not wait", () => {
  assert.deepEqual(chosen([{ text: "a", value: "a".repeat(50) + "!" }, { text: "b", value: "aa" }], "/^(a+)+$/"), [{ text: "aa", value: "aa" }]);
  const began = performance.now();
  assert.deepEqual(chosen([{ text: "x", value: "x".repeat(5000) }], "/.*/"), []);
  assert.ok(performance.now() - began < 1000);
});
