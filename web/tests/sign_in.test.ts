import assert from "node:assert/strict";
import { test } from "node:test";
import { safeReturn } from "../observe/base/way_back";

const SITE = "http://host:9090";

test("the way back keeps path and query", () => {
  assert.equal(safeReturn("/d/abc?from=now-1h", SITE, ""), "/d/abc?from=now-1h");
  assert.equal(safeReturn("/x/d/abc", SITE, "/x"), "/x/d/abc");
});

test("the way back never leaves the site", () => {
  for (const to of ["", "//evil.example", "/\\evil.example", "https://evil.example/", "/\t/evil.example", "javascript:alert(1)",
                    "d/abc", "/.//evil.example", "/login", "/login?to=/login"])
    assert.equal(safeReturn(to, SITE, ""), "/", to);
  assert.equal(safeReturn("/y/d/abc", SITE, "/x"), "/x/");
  assert.equal(safeReturn("/x/../y", SITE, "/x"), "/x/");
});
