import assert from "node:assert/strict";
import { test } from "node:test";
import { rangeFromText, rangeToText } from "../observe/base/range_text";
import { begin, type Built, isDuration, isNumber, OPERATORS, saidOfMetric, saidOfStep, type Step, stepOf, write, wrongIn } from "../observe/explore/model";
import { read } from "../observe/explore/read";
import { OPS } from "../observe/explore/steps";

let seed = 7;
const random = (n: number): number => (seed = (seed * 48271) % 2147483647) % n;
const one = <T>(list: readonly T[]): T => list[random(list.length)]!;

const METRICS = ["up", "http_requests_total", "job:up:avg", "my.metric", "sum", "offset", "größe", "a b", ":rec"];
const NAMES = ["job", "le", "by", "on", "service.name", "größe", "inf"];
const VALUES = ["", "x", 'a"b', "a\\b", "two\nlines", "`t'", ".+|\\d{3}", "}) or (", "#", "ünï→", "5m", "\t"];

function anyQuery(): Built {
  const steps = Array.from({ length: random(6) }, (): Step => {
    const op = one(OPS);
    const args = op.args.map((a) => (a.optional && random(2) ? "" : a.kind === "range" ? one(["5m", "1h30m", "1d", "500ms"]) : a.kind === "text" ? one(["v", 'a"b']) : one(["0.95", "-1", "1e3", "0x1F", "+Inf", "NaN", "2", ".5"]).replace(/^\+/, "")));
    const s: Step = { id: op.id, args };
    if (op.kind === "group" && random(2)) {
      s.group = one(["by", "without"] as const);
      s.labels = Array.from({ length: random(3) + (s.group === "by" ? 1 : 0) }, () => one(NAMES));
    }
    if (op.kind === "number" && random(2)) s.left = true;
    if (/[=<>]/.test(op.id) && random(2)) s.bool = true;
    return s;
  });
  const metric = random(9) ? one(METRICS) : "";
  const filters = Array.from({ length: random(3) + (metric ? 0 : 1) }, () => ({ name: one(NAMES), op: one(OPERATORS), value: one(VALUES) }));
  return { metric, filters, offset: random(3) ? "" : one(["1h", "-5m"]), steps };
}

const q = (text: string): Built => {
  const r = read(text);
  assert.ok("q" in r, `${text}: ${"why" in r ? r.why : ""}`);
  return r.q;
};
const why = (text: string): string => {
  const r = read(text);
  assert.ok("why" in r, `${text} should be refused, and is ${JSON.stringify(r)}`);
  return r.why;
};

test("what is built is read back as it was, whatever it is", () => {
  for (let i = 0; i < 4000; i++) {
    const built = anyQuery();
    const text = write(built);
    assert.deepEqual(q(text), built, text);
    for (const s of built.steps) {
      assert.equal(wrongIn(s), "");
      assert.doesNotMatch(saidOfStep(s), /\$|undefined/);
    }
  }
});

test("parentheses stand where precedence wants them, and nowhere else", () => {
  const up = (...steps: Step[]) => write({ metric: "x", filters: [], offset: "", steps });
  const n = (id: string, v: string, left = false): Step => ({ id, args: [v], left });
  assert.equal(up(n("+", "1"), n("*", "2")), "(x + 1) * 2");
  assert.equal(up(n("*", "2"), n("+", "1")), "x * 2 + 1");
  assert.equal(up(n("-", "1"), n("-", "2")), "x - 1 - 2");
  assert.equal(up(n("-", "1"), n("-", "2", true)), "2 - (x - 1)");
  assert.equal(up(n("^", "2"), n("^", "3")), "(x ^ 2) ^ 3");
  assert.equal(up(n("^", "2"), n("^", "3", true)), "3 ^ x ^ 2");
  assert.equal(up(n("^", "-2", true)), "(-2) ^ x");
  assert.equal(up(n(">", "0"), n("/", "2")), "(x > 0) / 2");
  assert.equal(up({ ...n(">", "0"), bool: true }), "x > bool 0");
  assert.equal(up(n("*", "8"), stepOf("max_over_time")), "max_over_time((x * 8)[5m:])");
  assert.equal(write({ ...begin("a_total", "counter"), offset: "1d" }), "sum(rate(a_total[5m] offset 1d))");
});

test("others' ways of writing are understood", () => {
  const same = (a: string, b: string) => assert.equal(write(q(a)), b, a);
  same("sum(rate(x[5m])) by (le)", "sum by (le) (rate(x[5m]))");
  same("SUM BY (a, b,) ( x{ c='d', } )", 'sum by (a, b) (x{c="d"})');
  same("topk(3, x) without ()", "topk without () (3, x)");
  same("((x)) + (1)", "x + 1");
  same('{__name__="x", a=~`b\\d`}', 'x{a=~"b\\\\d"}');
  same('{"http.requests"}', '{"http.requests"}');
  same("-1 * x", "-1 * x");
  same("- - 1 * x", "1 * x");
  same('x{a="\\x41\\u00e9\\n"}', 'x{a="Aé\\n"}');
  same("round(x)", "round(x)");
  same("sum by () (x)", "sum(x)");
  same("\n histogram_quantile ( 0.9 ,\n sum by (le)(rate(x_bucket[1h30m]))) ", "histogram_quantile(0.9, sum by (le) (rate(x_bucket[1h30m])))");
  same("", "");
});

test("what the builder cannot hold is refused, and says why", () => {
  assert.match(why("a + b"), /joins two queries/);
  assert.match(why("a and on (x) b"), /joins two queries/);
  assert.match(why("label_replace(x, \"a\", \"b\", \"c\", \"d\")"), /label_replace is not among/);
  assert.match(why("x[5m]"), /needs a function/);
  assert.match(why("rate(x)"), /wants a range/);
  assert.match(why("abs(x[5m])"), /takes no range/);
  assert.match(why("max_over_time(rate(x[5m])[1h:1m])"), /subquery/);
  assert.match(why("max_over_time(x[1h:])"), /subquery/);
  assert.match(why("x @ 5"), /fixed time/);
  assert.match(why("-x"), /minus/);
  assert.match(why("-2 ^ x"), /minus/);
  assert.match(why("x # why"), /comment/);
  assert.match(why("1 + 2"), /numbers alone/);
  assert.match(why("5"), /names no metric/);
  assert.match(why('x{a="b" or c="d"}'), /or/);
  assert.match(why("clamp(x, 1 + 1, 2)"), /numbers alone/);
  assert.match(why("topk(scalar(y), x)"), /scalar/);
  assert.match(why("topk(y, x)"), /plain number/);
  assert.match(why("rate(x[$__rate_interval])"), /not understood/);
  for (const bad of ["{}", "sum(", "x)", "x{", "x{a}", "x{a=b}", "sum by", "sum by (", "sum(x,", "x +", "rate(x[5m)", "rate(x[5])", "rate(x[0s])", '"', 'x{a="', "abs(x) offset 5m", "rate(x[5m] offset 1h offset 2h)", "x y", "round(x, 1, 2)", "sum(1)", "(x)[5m]", "sum by (a) (x) by (b)", "x > bool y", "x or 1", "x atan2 1", 'x{a="\\q"}', 'x{a="\\xff"}', "rate((x[5m]))", "[5m]", "x offset", "count_values(5, x)"])
    why(bad);
});

test("every beginning of a query is read or refused, never an exception", () => {
  const text = 'histogram_quantile(0.95, sum by (le, "a.b") (rate(http_x_bucket{job=~"a\\"b", c!=`d`}[1h30m] offset -5m))) > bool -1e3';
  for (let i = 0; i <= text.length; i++) for (const t of [text.slice(0, i), text.slice(i)]) assert.ok(read(t));
  assert.ok("q" in read(text));
  assert.ok("why" in read("(".repeat(100000) + "x"));
});

test("a metric is begun by its type", () => {
  const begun = (name: string, type: string) => write(begin(name, type));
  assert.equal(begun("a_total", "counter"), "sum(rate(a_total[5m]))");
  assert.equal(begun("a_total", ""), "sum(rate(a_total[5m]))");
  assert.equal(begun("t_bucket", "histogram"), "histogram_quantile(0.95, sum by (le) (rate(t_bucket[5m])))");
  assert.equal(begun("t", "histogram"), "histogram_quantile(0.95, sum(rate(t[5m])))");
  assert.equal(begun("t_count", "histogram"), "sum(rate(t_count[5m]))");
  assert.equal(begun("items_count", "gauge"), "items_count");
  assert.equal(begun("temperature", "gauge"), "temperature");
});

test("each part is told in a sentence", () => {
  const built = q('topk(3, sum by (job, le) (rate(x_total{job="a", code!~"5.."}[5m] offset 1d)))');
  assert.equal(saidOfMetric(built), "Take every series of x_total whose job is “a” and code does not match “5..”, as it was 1d before.");
  assert.deepEqual(built.steps.map(saidOfStep), ["How much it grows each second, averaged over 5m: the right thing for counters.", "Add the series up, for each job and le.", "Keep the 3 largest series."]);
  for (const o of OPS) assert.match(saidOfStep(stepOf(o.id)), /^[A-Z][^$]*\.$/, o.id);
});

test("numbers and spans are checked as the server does", () => {
  for (const good of ["1", "-1.5", ".5", "1e-3", "0x1f", "Inf", "+inf", "NaN"]) assert.ok(isNumber(good), good);
  for (const bad of ["", "a", "1m", "--1", "1e", "1 2", "."]) assert.ok(!isNumber(bad), bad);
  for (const good of ["5m", "1h30m", "100ms", "1y"]) assert.ok(isDuration(good), good);
  for (const bad of ["", "5", "m", "0s", "-5m", "5 m"]) assert.ok(!isDuration(bad), bad);
});

test("a time range is copied and pasted", () => {
  const now = Date.UTC(2026, 10, 22, 12);
  assert.deepEqual(rangeFromText(rangeToText("now-6h", "now"), now), ["now-6h", "now"]);
  assert.deepEqual(rangeFromText('{"from":"2026-11-22T10:00:00.000Z","to":"2026-11-22T11:00:00.000Z"}', now)!.length, 2);
  assert.deepEqual(rangeFromText("https://x/d/y?a=1&from=1700000000000&to=1700003600000#z", now), ["1700000000000", "1700003600000"]);
  assert.deepEqual(rangeFromText("from=now-1h", now), ["now-1h", "now"]);
  for (const bad of ["", "hello", "{}", "null", "[]", '{"from":"now","to":"now-1h"}', "?from=x&to=y"]) assert.equal(rangeFromText(bad, now), undefined, bad);
});
