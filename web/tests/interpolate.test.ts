import assert from "node:assert/strict";
import { test } from "node:test";
import { filterFromUrl, filterToUrl, withFilters } from "../observe/dash/adhoc";
import { interpolate, sourceOf, usedNames } from "../observe/dash/interpolate";
import type { Variable } from "../observe/dash/model";
import type { Scope, Value } from "../observe/dash/scope";

const v = (value: string | string[], variable: Partial<Variable> = {}, more: Partial<Value> = {}): Value =>
  ({ text: value, value, variable: { name: "x", type: "query", ...variable }, ...more });
const scope = (values: Record<string, Value>, more: Partial<Scope> = {}): Scope =>
  ({ values, from: Date.UTC(2026, 0, 2, 3, 4, 5), to: Date.UTC(2026, 0, 2, 9, 4, 5), zone: "utc", dashboard: { uid: "u", title: "D" }, ...more });
const S = scope({
  one: v("a.b"), multi: v(["a.b", "c"], { multi: true }), single: v(["a.b"], { multi: true }),
  all: v(["$__all"], { includeAll: true, multi: true }, { all: ["x", "y.z"], text: ["All"] }),
  star: v("$__all", { includeAll: true, allValue: ".*" }, { all: ["x"], text: "All" }),
  quote: v('say "hi" \\ it\'s'), sp: v("a b&c"), html: v("<b>&"), named: v("1", {}, { text: "One" }),
});
const promql = (text: string, s = S) => interpolate(text, s, "promql");

test("the forms of a name", () => {
  for (const text of ["$one", "${one}", "[[one]]", "${one:raw}", "[[one:raw]]"]) assert.equal(interpolate(text, S), "a.b", text);
  assert.equal(interpolate("$unknown ${unknown:csv} $ ${} [[ ]] $$one", S), "$unknown ${unknown:csv} $ ${} [[ ]] $a.b");
  assert.equal(interpolate("x$one-y", S), "xa.b-y");
});

test("formats", () => {
  const of = (f: string, name = "multi") => interpolate(`\${${name}:${f}}`, S);
  assert.equal(of("csv"), "a.b,c");
  assert.equal(of("pipe"), "a.b|c");
  assert.equal(of("regex"), "(a\\.b|c)");
  assert.equal(of("glob"), "{a.b,c}");
  assert.equal(of("json"), '["a.b","c"]');
  assert.equal(of("json", "one"), '"a.b"');
  assert.equal(of("raw"), "a.b,c");
  assert.equal(of("text"), "a.b + c");
  assert.equal(of("text", "named"), "One");
  assert.equal(of("singlequote"), "'a.b','c'");
  assert.equal(of("doublequote"), '"a.b","c"');
  assert.equal(of("sqlstring", "quote"), "'say \"hi\" \\ it''s'");
  assert.equal(of("percentencode"), "%7Ba.b%2Cc%7D");
  assert.equal(of("percentencode", "sp"), "a%20b%26c");
  assert.equal(of("queryparam"), "var-multi=a.b&var-multi=c");
  assert.equal(of("queryparam", "all"), "var-all=%24__all");
  assert.equal(of("html", "html"), "&lt;b&gt;&amp;");
  assert.equal(of("join"), "a.b,c");
  assert.equal(of("join: and "), "a.b and c");
  assert.equal(of("lucene"), '("a.b" OR "c")');
  assert.equal(of("csv", "all"), "x,y.z");
  assert.equal(of("text", "all"), "All");
  assert.equal(of("nonsense"), "{a.b,c}");
});

test("PromQL: escaped by what the value is and by the quotes around it", () => {
  assert.equal(promql('up{a="$one"}'), 'up{a="a.b"}', "neither several nor All: no regular expression");
  assert.equal(promql('up{a=~"$multi"}'), 'up{a=~"(a\\\\.b|c)"}');
  assert.equal(promql('up{a=~"$single"}'), 'up{a=~"a\\\\.b"}');
  assert.equal(promql('up{a=~"$all"}'), 'up{a=~"(x|y\\\\.z)"}');
  assert.equal(promql('up{a=~"$star"}'), 'up{a=~".*"}');
  assert.equal(promql('up{a="$quote"}'), 'up{a="say \\"hi\\" \\\\ it\'s"}');
  assert.equal(promql("up{a='$quote'}"), "up{a='say \"hi\" \\\\ it\\'s'}");
  assert.equal(promql("up{a=`$quote`}"), "up{a=`say \"hi\" \\ it's`}");
  assert.equal(promql("up{a=~`$multi`}"), "up{a=~`(a\\.b|c)`}");
  assert.equal(promql('x{a="\\"$one"} # "$one"\n + y{b=~"$multi"}'), 'x{a="\\"a.b"} # "a.b"\n + y{b=~"(a\\\\.b|c)"}');
  assert.equal(promql("rate(x[$r])", scope({ r: v(["5m"], { multi: true }) })), "rate(x[5m])");
  assert.equal(promql('x{a=~"$none"}', scope({ none: v("$__all", { includeAll: true }) })), 'x{a=~".*"}', "All of what is not known yet");
  assert.equal(promql('x{a=~"${multi:pipe}"}'), 'x{a=~"a.b|c"}');
});

test("what is there without being a variable", () => {
  const s = scope({}, { interval_ms: 30000, rate_interval: "2m" });
  assert.equal(promql("rate(x[$__rate_interval]) $__interval $__interval_ms $__range $__range_s ${__range_ms}", s), "rate(x[2m]) 30s 30000 21600s 21600 21600000");
  assert.equal(interpolate("$__from ${__to}", s), `${s.from} ${s.to}`);
  assert.equal(interpolate("${__from:date} ${__from:date:iso} ${__from:date:seconds} ${__from:date:YYYY-MM}", s),
    "2026-01-02T03:04:05.000Z 2026-01-02T03:04:05.000Z 1767323045 2026-01");
  assert.equal(interpolate("${__dashboard} ${__dashboard.uid} ${__org.name} ${__timezone}", s), "D u Main Org. utc");
  assert.equal(interpolate("/d/x?$__all_variables&${__url_time_range}", scope({ a: v(["1", "2"], { multi: true }) })), "/d/x?var-a=1&var-a=2&from=1767323045000&to=1767344645000");
  assert.equal(interpolate("$__timeFilter(x)", s), `time >= ${s.from}ms and time <= ${s.to}ms(x)`);
  assert.equal(interpolate("$constructor ${toString} ${__proto__}", s), "$constructor ${toString} ${__proto__}");
});

test("fields and cells answer through lookup", () => {
  const s = scope({}, { lookup: (name, path) => (name === "__field" && path === "labels.job" ? "j b" : name === "__value" ? "1&2" : undefined) });
  assert.equal(interpolate("${__field.labels.job} ${__value.raw:percentencode} ${__data.fields[0]}", s), "j b 1%262 ${__data.fields[0]}");
  assert.equal(interpolate("/a/${__field.labels.job}?x=${__value.raw}", s, "url"), "/a/j%20b?x=1%262");
});

test("addresses", () => {
  assert.equal(interpolate("/d/x?var-a=$sp", S, "url"), "/d/x?var-a=a%20b%26c");
  assert.equal(interpolate("$link/x", scope({ link: v("https://a.b/c") }), "url"), "https://a.b/c/x");
  assert.equal(interpolate("?${multi:queryparam}", S, "url"), "?var-multi=a.b&var-multi=c");
});

test("an automatic interval is a part of the range", () => {
  const i = v("$__auto_interval_i", { type: "interval", auto_count: 30, auto_min: "10s" });
  assert.equal(promql("rate(x[$i])", scope({ i })), "rate(x[10m])");
  assert.equal(interpolate("$i", scope({ i })), "10m");
});

test("a value may be one of what is always there, an allValue may stand on others", () => {
  const s = scope({
    i: v("$__rate_interval", { type: "custom" }), a: v("$__all", { includeAll: true, allValue: "$b-$a" }), b: v("$__all", { includeAll: true, allValue: "x$a" }),
  }, { rate_interval: "2m" });
  assert.equal(promql("rate(x[$i])", s), "rate(x[2m])");
  assert.equal(promql("$a", s), "x$a-$a");
});

test("the names that a text stands on", () => {
  assert.deepEqual(usedNames('a{b="$x", c="${y:regex}"}[[z]] $x ${w.text}'), ["x", "y", "z", "w"]);
  assert.deepEqual(usedNames({ query: "label_values($a)", more: ["$b"] }), ["a", "b"]);
});

test("data sources", () => {
  const s = scope({ ds: v("P1", { type: "datasource", query: "prometheus" }), tr: v("X", { type: "datasource", query: "jaeger" }) });
  const kind = (x: Parameters<typeof sourceOf>[0]) => sourceOf(x, s).kind;
  for (const x of [null, undefined, "", "Prometheus", "$ds", "${ds}", { uid: "${DS_PROM}" }, { type: "influxdb", uid: "i" }, { type: "prometheus" }, "default"]) assert.equal(kind(x), "prometheus", JSON.stringify(x));
  assert.equal(kind("$tr"), "jaeger");
  assert.equal(kind({ type: "zipkin" }), "jaeger");
  assert.equal(kind({ type: "tempo", uid: "t" }), "tempo");
  assert.equal(kind({ type: "elasticsearch", uid: "t" }), "loki");
  assert.equal(kind("-- Mixed --"), "mixed");
  assert.equal(kind({ type: "datasource", uid: "-- Dashboard --" }), "dashboard");
  assert.equal(kind({ type: "grafana", uid: "-- Grafana --" }), "annotations");
  assert.equal(kind({ type: "grafana-testdata-datasource" }), "testdata");
  assert.equal(kind({ type: "__expr__", uid: "__expr__" }), "none");
});

test("filters get into every selector", () => {
  const f = [{ key: "job", operator: "=", value: 'a"b' }];
  const m = 'job="a\\"b"';
  const cases: Record<string, string> = {
    up: `up{${m}}`,
    "up{}": `up{${m}}`,
    'up{a="}"}': `up{a="}",${m}}`,
    'up{a="b",}': `up{a="b",${m}}`,
    '{__name__="x"}': `{__name__="x",${m}}`,
    "sum by (job, x) (rate(up[5m:1m] offset 1h)) / on (x) group_left (y) count(z) by (q)": `sum by (job, x) (rate(up{${m}}[5m:1m] offset 1h)) / on (x) group_left (y) count(z{${m}}) by (q)`,
    "sum(x)without(le)": `sum(x{${m}})without(le)`,
    "histogram_quantile(0.95, sum(rate(a_bucket[1m])) by (le)) > bool 1e3 and b unless c or Inf": `histogram_quantile(0.95, sum(rate(a_bucket{${m}}[1m])) by (le)) > bool 1e3 and b{${m}} unless c{${m}} or Inf`,
    "a # comment b\n+ c": `a{${m}} # comment b\n+ c{${m}}`,
    'label_replace(up, "a", "$1", "b", "(.*)")': `label_replace(up{${m}}, "a", "$1", "b", "(.*)")`,
    "a:b:c @ end() + time()": `a:b:c{${m}} @ end() + time()`,
    'topk(5, x) * ignoring(a) y{b=~"c"}[5m]': `topk(5, x{${m}}) * ignoring(a) y{b=~"c",${m}}[5m]`,
    "0x1F + 5 * -x": `0x1F + 5 * -x{${m}}`,
  };
  for (const [expr, want] of Object.entries(cases)) assert.equal(withFilters(expr, f), want);
  assert.equal(withFilters("up", [{ key: "a", operator: "=|", value: "x", values: ["x.y", "z"] }, { key: "b.c", operator: "!~", value: "q" }, { key: "n", operator: "<", value: "1" }]),
    'up{a=~"x\\\\.y|z","b.c"!~"q"}');
  for (const bad of ["{", "up{", '"', "sum by (", "[", "a b c ((", "by"]) assert.equal(typeof withFilters(bad, f), "string");
});

test("filters in addresses", () => {
  const f = { key: "a|b", operator: "=~", value: "x,y#z" };
  assert.equal(filterToUrl(f), "a__gfp__b|=~|x__gfc__y__gfh__z");
  assert.deepEqual(filterFromUrl(filterToUrl(f)), f);
  assert.deepEqual(filterFromUrl(filterToUrl({ key: "k", operator: "=|", value: "a", values: ["a", "b"] })), { key: "k", operator: "=|", value: "a", values: ["a", "b"] });
  assert.equal(filterFromUrl("nonsense"), undefined);
});
