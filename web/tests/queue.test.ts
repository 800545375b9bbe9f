import assert from "node:assert/strict";
import { test } from "node:test";
import { AT_ONCE, inTurn } from "../observe/dash/queue";

test("a dozen at once, the nearest first, what is given up never", async () => {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const job = (name: string) => () => new Promise<string>((done) => { begun.push(name); ends.push(() => done(name)); });
  const never = new AbortController().signal;
  const first = Array.from({ length: AT_ONCE }, (_, i) => inTurn(job(`f${i}`), () => 0, never));
  await Promise.resolve();
  assert.equal(begun.length, AT_ONCE);
  const gone = new AbortController();
  const later = [inTurn(job("far"), () => 9, never), inTurn(job("gone"), () => 0, gone.signal), inTurn(job("near"), () => 1, never)];
  const refused = assert.rejects(later[1]!, { name: "AbortError" });
  gone.abort();
  await refused;
  ends[0]!();
  assert.equal(await first[0], "f0");
  await new Promise((r) => setTimeout(r));
  assert.deepEqual(begun.slice(AT_ONCE), ["near"]);
  for (let i = 1; i < ends.length; i++) ends[i]!();
  await new Promise((r) => setTimeout(r));
  for (const e of ends) e();
  await new Promise((r) => setTimeout(r));
  for (const e of ends) e();
  assert.deepEqual(await Promise.all([...first, later[0], later[2]]), [...first.map((_, i) => `f${i}`), "far", "near"]);
  assert.ok(!begun.includes("gone"));
});

test("one that fails makes room", async () => {
  const never = new AbortController().signal;
  await assert.rejects(inTurn(() => Promise.reject(new Error("no")), () => 0, never), /no/);
  assert.equal(await inTurn(() => Promise.resolve(1), () => 0, never), 1);
});
