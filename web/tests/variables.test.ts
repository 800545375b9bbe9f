import assert from "node:assert/strict";
import { test } from "node:test";
import { chosen, customOptions, finished, intervalOptions, sorted } from "../observe/dash/options";
import { readDashboard } from "../observe/dash/read";
import type { Dashboard, Variable } from "../observe/dash/model";
import type { Scope } from "../observe/dash/scope";
import { chosenValue, initialValues, loadVariables, toQuery, type Ask } from "../observe/dash/variables";
import { queryText } from "../observe/dash/variable_query";

const board = (...list: object[]): Dashboard => readDashboard({ title: "T", panels: [], schemaVersion: 42, templating: { list } }).dashboard;
const scopeOf = (d: Dashboard, query = ""): Scope => ({ values: initialValues(d, new URLSearchParams(query)), from: 0, to: 3600e3, zone: "utc" });
const named = (...all: string[]) => all.map((x) => ({ text: x, value: x }));

// Answers by path and match; records what was asked.
function server(answers: Record<string, unknown>) {
  const asked: string[] = [];
  const ask = (async (path: string, query: Record<string, unknown> = {}) => {
    const key = [path, query["match[]"] ?? query.query].filter(Boolean).join(" ");
    asked.push(key);
    await new Promise((done) => setTimeout(done, 1));
    const found = answers[key];
    if (found === undefined) throw new Error(`no answer to ${key}`);
    return { data: found };
  }) as Ask;
  return { ask, asked };
}

test("regular expressions choose and name", () => {
  assert.deepEqual(chosen(named("a1", "b2"), "/a.*/"), named("a1"));
  assert.deepEqual(chosen(named("a1", "ba1"), "a.*"), named("a1"), "without slashes it is the whole text");
  assert.deepEqual(chosen(named('up{instance="h:1",job="x"} 1 0'), '/instance="([^"]+)"/'), named("h:1"));
  assert.deepEqual(chosen(named('x{ip="1",name="one"}'), '/name="(?<text>[^"]+)|ip="(?<value>[^"]+)/g'), [{ text: "one", value: "1" }]);
  assert.deepEqual(chosen(named("a,b"), "/(\\w)/g"), named("a", "b"));
  assert.throws(() => chosen(named("a"), "/(/"));
});

test("orders", () => {
  const of = (sort: number, ...all: string[]) => sorted(named(...all), sort).map((o) => o.text).join(" ");
  assert.equal(of(0, "b", "a"), "b a");
  assert.equal(of(1, "b", "a", "B"), "B a b");
  assert.equal(of(2, "a", "b"), "b a");
  assert.equal(of(3, "n10", "n9", "x"), "x n9 n10");
  assert.equal(of(4, "n10", "n9"), "n10 n9");
  assert.equal(of(5, "b", "a", "B"), "a b B");
  assert.equal(of(7, "n10", "n9", "N1"), "N1 n9 n10");
  assert.equal(of(8, "n10", "n9"), "n10 n9");
});

test("custom options and intervals", () => {
  assert.deepEqual(customOptions("a, b\\,c ,one : 1"), [...named("a", "b,c"), { text: "one", value: "1" }]);
  assert.deepEqual(customOptions('[{"text":"A","value":"1"},"b"]'), [{ text: "A", value: "1" }, ...named("b")]);
  assert.throws(() => customOptions("{", "json"));
  assert.deepEqual(intervalOptions({ name: "i", type: "interval", query: '1m,"10m"', auto: true }).map((o) => o.value), ["$__auto_interval_i", "1m", "10m"]);
  const many = Array.from({ length: 12000 }, (_, i) => ({ text: `${i}`, value: `${i}` }));
  const cut = finished({ name: "x", type: "query", includeAll: true }, many);
  assert.equal(cut.options.length, 10001);
  assert.match(cut.note!, /10,000/);
});

test("the forms of a query", () => {
  assert.equal(queryText("label_values(a)"), "label_values(a)");
  assert.equal(queryText({ query: "label_values(up, job)", refId: "x" }), "label_values(up, job)");
  assert.equal(queryText({ qryType: 1, label: "job", metric: "up", labelFilters: [{ label: "a", op: "=~", value: "b" }] }), 'label_values(up{a=~"b"},job)');
  assert.equal(queryText({ qryType: 3, varQuery: "sum(up)" }), "query_result(sum(up))");
});

test("values come from the address, else from what was saved", () => {
  const d = board(
    { name: "ds", type: "datasource", query: "prometheus", current: { text: "P", value: "P1" } },
    { name: "host", type: "query", query: "label_values(host)", multi: true, includeAll: true, current: { text: ["All"], value: ["$__all"] } },
    { name: "c", type: "constant", query: "fixed", hide: 2 },
    { name: "t", type: "textbox", query: "typed" },
    { name: "f", type: "adhoc", filters: [{ key: "a", operator: "=", value: "b|c" }] },
  );
  const values = initialValues(d, new URLSearchParams("var-host=a&var-host=b&var-c=x"));
  assert.deepEqual([values.host!.value, values.c!.value, values.t!.value, values.ds!.value], [["a", "b"], "fixed", "typed", "P1"]);
  assert.deepEqual(values.f!.value, ["a|=|b__gfp__c"]);
  assert.deepEqual(initialValues(d, new URLSearchParams("var-host=All")).host!.value, ["$__all"]);
  assert.deepEqual(toQuery(values)["var-host"], ["a", "b"]);
  assert.equal(toQuery(values)["var-c"], undefined);
});

test("chained variables are asked in their order, independent ones at the same time", async () => {
  const d = board(
    { name: "pod", type: "query", query: 'label_values(kube_pod{ns="$ns"}, pod)', refresh: 2 },
    { name: "ns", type: "query", query: "label_values(kube_ns, ns)", refresh: 1, current: { text: "old", value: "old" } },
    { name: "job", type: "query", query: { query: "label_values(job)", refId: "q" }, refresh: 1, includeAll: true, current: { text: "b", value: "b" } },
  );
  const { ask, asked } = server({
    "/api/v1/label/ns/values kube_ns": ["one", "two"], "/api/v1/label/job/values": ["a", "b"],
    '/api/v1/label/pod/values kube_pod{ns="one"}': ["p1"], '/api/v1/label/pod/values kube_pod{ns="two"}': ["p2"],
  });
  const scope = scopeOf(d);
  const seen: string[] = [];
  const first = await loadVariables(d, scope, ask, { each: (name) => seen.push(name) });
  assert.deepEqual(asked.slice(0, 2).sort(), ["/api/v1/label/job/values", "/api/v1/label/ns/values kube_ns"]);
  assert.equal(seen[2], "pod");
  assert.deepEqual([first.ns!.value.value, first.pod!.value.value, first.job!.value.value], ["one", "p1", "b"]);
  assert.deepEqual(first.job!.options[0], { text: "All", value: "$__all" });

  asked.length = 0;
  const values = { ...Object.fromEntries(Object.entries(first).map(([n, s]) => [n, s.value])), ns: chosenValue(first.ns!, ["two"]) };
  const second = await loadVariables(d, { ...scope, values }, ask, { changed: "ns", before: first });
  assert.deepEqual(asked, ['/api/v1/label/pod/values kube_pod{ns="two"}'], "only what stands on it");
  assert.equal(second.pod!.value.value, "p2");

  asked.length = 0;
  await loadVariables(d, { ...scope, values: Object.fromEntries(Object.entries(second).map(([n, s]) => [n, s.value])) }, ask, { range: true, before: second });
  assert.equal(asked.length, 1, "only what is refreshed with the range");
});

test("what fails says so and holds nobody up; circles are named", async () => {
  const d = board(
    { name: "bad", type: "query", query: "label_values(nope)", current: { text: "kept", value: "kept" } },
    { name: "re", type: "query", query: "label_values(job)", regex: "/(/" },
    { name: "fine", type: "query", query: "label_values(job)" },
    { name: "a", type: "query", query: "label_values(x{b=\"$b\"}, a)" }, { name: "b", type: "query", query: "label_values(x{a=\"$a\"}, b)" },
    { name: "sql", type: "query", query: "show tables", datasource: { type: "loki", uid: "L" }, current: { text: "t", value: "t" } },
  );
  const { ask } = server({ "/api/v1/label/job/values": ["j"] });
  const s = await loadVariables(d, scopeOf(d), ask);
  assert.match(s.bad!.error!, /no answer/);
  assert.equal(s.bad!.value.value, "kept");
  assert.ok(s.re!.error);
  assert.equal(s.fine!.value.value, "j");
  assert.match(s.a!.error!, /a → b → a|b → a → b/);
  assert.match(s.sql!.error!, /loki/);
});

test("selections: what is still offered stays, by value or by text", async () => {
  const job = { name: "job", type: "query", query: "label_values(job)", multi: true, includeAll: true };
  const { ask } = server({ "/api/v1/label/job/values": ["a", "b"] });
  const value = async (current: object | undefined, url = "") => {
    const d = board({ ...job, ...(current ? { current } : {}) });
    const s = await loadVariables(d, scopeOf(d, url), ask);
    return s.job!.value;
  };
  assert.deepEqual((await value({ text: ["a", "gone"], value: ["a", "gone"] })).value, ["a"]);
  assert.deepEqual((await value({ text: ["gone"], value: ["gone"] })).value, ["$__all"]);
  assert.deepEqual((await value(undefined)).value, ["$__all"]);
  assert.deepEqual((await value({ text: ["a"], value: ["a"] }, "var-job=other")).value, ["other"], "an address is taken at its word");
  const all = await value({ text: "All", value: "$__all" });
  assert.deepEqual([all.value, all.all], [["$__all"], ["a", "b"]]);
});

test("queries of other kinds", async () => {
  const list: Partial<Variable>[] = [
    { name: "names", query: "label_names()" }, { name: "m", query: "metrics(node_.*)" }, { name: "q", query: "query_result(up == 1)", regex: '/job="([^"]+)"/' },
    { name: "s", query: { qryType: 4, seriesQuery: "up" } }, { name: "svc", query: "services", datasource: { type: "jaeger", uid: "j" } },
    { name: "op", query: "operations($svc)", datasource: { type: "jaeger", uid: "j" } }, { name: "tempo", query: { type: 1, label: "service.name" }, datasource: { type: "tempo" } },
  ];
  const d = board(...list.map((v) => ({ type: "query", ...v })), { name: "iv", type: "interval", query: "1m,5m", auto: true, current: { text: "auto", value: "$__auto_interval_iv" } },
    { name: "ds", type: "datasource", query: "prometheus", current: { value: "P1809", text: "mine" } });
  const { ask } = server({
    "/api/v1/labels": ["a", "b"], "/api/v1/label/__name__/values": ["node_x", "up"],
    "/api/v1/query up == 1": { resultType: "vector", result: [{ metric: { __name__: "up", job: "j1" }, value: [12, "1"] }] },
    "/api/v1/series up": [{ __name__: "up", job: "x" }], "/api/services": ["front"], "/api/services/front/operations": ["GET /"],
  });
  const s = await loadVariables(d, scopeOf(d), ask);
  const got = Object.fromEntries(Object.entries(s).map(([n, x]) => [n, x.error ?? x.value.value]));
  assert.deepEqual(got, { names: "a", m: "node_x", q: "j1", s: 'up{job="x"}', svc: "front", op: "GET /", tempo: "front", iv: "$__auto_interval_iv", ds: "prometheus" });
});

test("saved options are enough for what is never refreshed", async () => {
  const d = board({ name: "x", type: "query", query: "label_values(job)", refresh: 0, options: [{ text: "a", value: "a" }], current: { text: "a", value: "a" } });
  const { ask, asked } = server({});
  const s = await loadVariables(d, scopeOf(d), ask);
  assert.deepEqual([asked.length, s.x!.value.value, s.x!.error], [0, "a", undefined]);
});

test("what is given up rejects", async () => {
  const d = board({ name: "x", type: "query", query: "label_values(job)" });
  const abort = new AbortController();
  const { ask } = server({ "/api/v1/label/job/values": ["a"] });
  const done = loadVariables(d, scopeOf(d), ask, { signal: abort.signal });
  abort.abort(new Error("given up"));
  await assert.rejects(done, /given up/);
});
