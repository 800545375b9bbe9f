// Regular expressions that could hold the page are refused, those that dashboards have are not.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { chosen } from "../observe/dash/options";
import { ambiguous } from "../observe/dash/pattern";

declare const TESTS: string;

test("what repeats a repetition is refused", () => {
  for (const bad of ["(a+)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*x", "(.*a){20}", "(\\w+\\s?)+$", "(a|a)*$", "(a|aa)+$", "((a+))+x", "(?:a{1,}){2,}", "(x|(a+)+)y", "(.*-)*x",
    "([^,]*,?)*$", ".*.*.*x", "(?<n>[a-z]+)*9", "(a?){30}a{30}", "(".repeat(200), "(\\d+|\\w+)*$", "(.|\\s)*x", "(|a)*b"])
    assert.ok(ambiguous(bad), bad);
});

test("what is clear is taken", () => {
  for (const good of ["", ".*", ".*instance=\"(.*?)\".*", "/([^/]+)/", "(?:[a-z0-9]+-)+x", "(?:[^,]+,)*last", "(foo|bar)*", "(a|b)+", "([0-9]{1,3}\\.){3}[0-9]{1,3}", "^(?!go_).+_(total|sum)$",
    "(.+)-(.+)-(.+)", "[a-z]+[0-9]+", "(?<text>[^:]+):(?<value>\\d+)", "(ab)+", "(a.b)*", "\\(a+\\)+", "[(a+)]+", "(a+)?", "(.*)", "(\\d+ )*x"])
    assert.ok(!ambiguous(good), good);
});

test("no pattern of a dashboard that people use is refused", () => {
  const folder = join(TESTS, "../../tests/e2e/data/dashboards/community");
  let seen = 0;
  const look = (x: unknown): void => {
    if (typeof x !== "object" || x === null) return;
    for (const [k, v] of Object.entries(x)) {
      if (/regex|pattern/i.test(k) && typeof v === "string" && v) {
        seen++;
        assert.ok(!ambiguous(v.replace(/^\/(.*)\/[a-z]*$/s, "$1")), v);
      } else look(v);
    }
  };
  for (const name of readdirSync(folder).filter((n) => n.endsWith(".json"))) look(JSON.parse(readFileSync(join(folder, name), "utf8")));
  assert.ok(seen > 20, String(seen));
});

test("a variable says why, and a list does not wait", () => {
  assert.throws(() => chosen([{ text: "a", value: "a".repeat(50) + "!" }], "/^(a+)+$/"), /repeats what repeats/);
  const began = performance.now();
  assert.deepEqual(chosen([{ text: "x", value: "x".repeat(5000) }], "/.*/"), []);
  assert.ok(performance.now() - began < 1000);
});
