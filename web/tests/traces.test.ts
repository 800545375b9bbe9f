import assert from "node:assert/strict";
import { test } from "node:test";
import { hitOf, ofSpans, withServices } from "../observe/traces/hit";
import { readJson } from "../observe/traces/json";
import { curve, layout } from "../observe/traces/layered";
import {
  build, CYCLE, durationOf, EARLY, findSpan, keptBy, MISSING, nameOf, NEGATIVE, type Raw, rowsOf, searchSpans, serviceOf, type Source, spanId, type Trace, TWICE,
} from "../observe/traces/model";
import { readOtlp } from "../observe/traces/otlp";
import { criticalPath, longestRoot, selfTimes } from "../observe/traces/path";
import { byOperation, callsOf, changeOf, flameOf, placesOf } from "../observe/traces/places";
import { parseTags, questionOf, spotIn, tagsText, toTraceQl, traceIdIn } from "../observe/traces/query";

// ---- making traces

interface Given { id: number; up?: number; start: number; end: number; name?: string; service?: string; kind?: number; status?: number }

const NOTHING: Source = { detail: () => { throw new Error("not asked for"); }, search: () => undefined };

function trace(spans: Given[]): Trace {
  const services: string[] = [];
  const ops: { service: number; name: string }[] = [];
  const n = spans.length;
  const raw: Raw = {
    trace: "t", count: n, id: new Uint32Array(2 * n), up: new Uint32Array(2 * n), start: new Uint32Array(2 * n), end: new Uint32Array(2 * n), op: new Int32Array(n),
    kind: new Uint8Array(n), status: new Uint8Array(n), marks: new Uint8Array(n), services, ops, source: NOTHING,
  };
  spans.forEach((s, i) => {
    raw.id[2 * i + 1] = s.id;
    raw.up[2 * i + 1] = s.up ?? 0;
    raw.start[2 * i + 1] = s.start;
    raw.end[2 * i + 1] = s.end;
    raw.kind[i] = s.kind ?? 0;
    raw.status[i] = s.status ?? 0;
    let service = services.indexOf(s.service ?? "x");
    if (service < 0) service = services.push(s.service ?? "x") - 1;
    let op = ops.findIndex((o) => o.service === service && o.name === (s.name ?? "work"));
    if (op < 0) op = ops.push({ service, name: s.name ?? "work" }) - 1;
    raw.op[i] = op;
  });
  return build(raw);
}

let seed = 1;
const random = (below: number): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return (seed >>> 8) % below;
};

// Any tree of any times: children may begin before their parents, overlap, end after them.
function randomTrace(n: number): Trace {
  return trace(Array.from({ length: n }, (_, i): Given => {
    const start = 100 + random(100);
    return { id: i + 1, up: random(12) ? random(n) + 1 : 0, start, end: start + random(60) - (random(20) ? 0 : 30), name: `op ${random(5)}`, service: `s${random(3)}`, status: random(4) ? 0 : 2 };
  }));
}

const idsOf = (t: Trace): number[] => Array.from({ length: t.count }, (_, i) => t.ids[2 * i + 1]);

// ---- the tree

test("the tree is read from the top, siblings by their start", () => {
  const t = trace([{ id: 3, up: 1, start: 30, end: 40 }, { id: 4, up: 2, start: 12, end: 15 }, { id: 1, start: 10, end: 50 }, { id: 2, up: 1, start: 11, end: 20 }]);
  assert.deepEqual(idsOf(t), [1, 2, 4, 3]);
  assert.deepEqual([...t.depth], [0, 1, 2, 1]);
  assert.deepEqual([...t.size], [4, 2, 1, 1]);
  assert.deepEqual([...t.parent], [-1, 0, 1, 0]);
  assert.equal(t.length, 40);
  assert.equal(t.base, 10n);
  assert.equal(findSpan(t, "4"), 2);
  assert.equal(findSpan(t, "0000000000000003"), 3);
  assert.equal(findSpan(t, "no"), -1);
});

test("orphans and several roots stand at the top and are told", () => {
  const t = trace([{ id: 1, start: 0, end: 9 }, { id: 2, up: 99, start: 1, end: 2 }, { id: 3, start: 5, end: 20 }]);
  assert.equal(t.roots, 3);
  assert.equal(t.missing, 1);
  assert.ok(t.flags[findSpan(t, "2")] & MISSING);
  assert.equal(longestRoot(t), findSpan(t, "3"));
});

test("a cycle is cut once, and what hangs on it is below", () => {
  const t = trace([{ id: 1, up: 3, start: 1, end: 9 }, { id: 2, up: 1, start: 2, end: 3 }, { id: 3, up: 2, start: 3, end: 4 }, { id: 4, up: 3, start: 4, end: 5 }, { id: 5, up: 5, start: 6, end: 7 }]);
  assert.equal(t.count, 5);
  assert.equal(t.roots, 2);
  assert.equal([...t.flags].filter((f) => f & CYCLE).length, 2);
  assert.equal(new Set(idsOf(t)).size, 5);
});

test("an id that is there twice keeps both; a client and a server that share one are parent and child", () => {
  const same = trace([{ id: 1, start: 0, end: 9 }, { id: 2, up: 1, start: 1, end: 2 }, { id: 2, up: 1, start: 3, end: 4 }, { id: 3, up: 2, start: 1, end: 2 }]);
  assert.equal(same.count, 4);
  assert.equal([...same.flags].filter((f) => f & TWICE).length, 2);
  const zipkin = trace([{ id: 1, start: 0, end: 9, kind: 3, name: "client" }, { id: 1, start: 1, end: 8, kind: 2, name: "server" }, { id: 2, up: 1, start: 2, end: 3, name: "inner" }]);
  assert.deepEqual([0, 1, 2].map((i) => nameOf(zipkin, i)), ["client", "server", "inner"]);
  assert.deepEqual([...zipkin.depth], [0, 1, 2]);
  assert.equal([...zipkin.flags].filter((f) => f & TWICE).length, 0);
});

test("times that cannot be are told and drawn as nothing", () => {
  const t = trace([{ id: 1, start: 100, end: 200 }, { id: 2, up: 1, start: 150, end: 120 }, { id: 3, up: 1, start: 90, end: 110 }]);
  const negative = findSpan(t, "2");
  assert.ok(t.flags[negative] & NEGATIVE);
  assert.equal(durationOf(t, negative), 0);
  assert.ok(t.flags[findSpan(t, "3")] & EARLY);
  assert.equal(t.start[findSpan(t, "3")], 0);
});

test("every span of any trace is in its tree once, below its parent", () => {
  for (let k = 0; k < 300; k++) {
    const t = randomTrace(1 + random(30));
    assert.equal(new Set(idsOf(t)).size, t.count);
    for (let i = 0; i < t.count; i++) {
      const p = t.parent[i];
      assert.ok(p < i);
      assert.equal(t.depth[i], p < 0 ? 0 : t.depth[p] + 1);
      if (p >= 0) assert.ok(i < p + t.size[p]);
      assert.ok(t.start[i] >= 0 && t.end[i] >= t.start[i] && t.end[i] <= t.length);
    }
  }
});

test("ten thousand levels need no stack", () => {
  const t = trace(Array.from({ length: 10000 }, (_, i) => ({ id: i + 1, up: i, start: i, end: 20000 - i })));
  assert.equal(t.depthMax, 9999);
  assert.equal(criticalPath(t).span.length, 2 * 9999 + 1);
  assert.equal(placesOf([t]).length, 10000);
  assert.equal(selfTimes(t)[9999], 20000 - 2 * 9999);
});

// ---- rows

test("folding leaves out what is below; filters keep what is above", () => {
  const t = trace([{ id: 1, start: 0, end: 100 }, { id: 2, up: 1, start: 1, end: 90 }, { id: 3, up: 2, start: 2, end: 3, status: 2 }, { id: 4, up: 1, start: 95, end: 96, service: "y" }]);
  const folded = new Uint8Array(4);
  assert.deepEqual([...rowsOf(t, folded, null)], [0, 1, 2, 3]);
  folded[1] = 1;
  assert.deepEqual([...rowsOf(t, folded, null)], [0, 1, 3]);
  folded[1] = 0;
  const keep = { minShare: 0, services: new Set<string>(), kind: -1, errors: false };
  assert.equal(keptBy(t, keep), null);
  const errors = keptBy(t, { ...keep, errors: true })!;
  assert.deepEqual([...errors], [1, 1, 2, 0]);
  assert.deepEqual([...rowsOf(t, folded, errors)], [0, 1, 2]);
  assert.deepEqual([...rowsOf(t, folded, keptBy(t, { ...keep, minShare: 0.5 }))], [0, 1]);
  assert.deepEqual([...rowsOf(t, folded, keptBy(t, { ...keep, services: new Set(["y"]) }))], [0, 3]);
});

// ---- the critical path, against its definition

// What the trace waits for within [from, to] of a span: read off the definition, one recursion a child.
function slowPath(t: Trace, i: number, from: number, to: number, out: [number, number, number][]): void {
  const children = Array.from({ length: t.count }, (_, k) => k).filter((k) => t.parent[k] === i)
    .sort((a, b) => t.end[b] - t.end[a] || a - b);
  let until = to;
  for (const c of children) {
    const end = Math.min(t.end[c], t.end[i]);
    const start = Math.max(t.start[c], from);
    if (end > until || end <= start) continue;
    if (until > end) out.push([i, end, until]);
    slowPath(t, c, start, end, out);
    until = start;
  }
  if (until > from) out.push([i, from, until]);
}

test("the critical path is what its definition says, without gap or overlap", () => {
  for (let k = 0; k < 500; k++) {
    const t = randomTrace(1 + random(25));
    const path = criticalPath(t);
    const root = longestRoot(t);
    const slow: [number, number, number][] = [];
    slowPath(t, root, t.start[root], t.end[root], slow);
    slow.sort((a, b) => a[1] - b[1]);
    assert.deepEqual(Array.from(path.span, (s, n) => [s, path.from[n], path.to[n]]), slow);
    let at = t.start[root];
    path.from.forEach((from, n) => {
      assert.equal(from, at);
      at = path.to[n];
    });
    if (path.span.length) assert.equal(at, t.end[root]);
    for (let i = 0; i < t.count; i++)
      for (let n = path.first[i]; n < path.first[i + 1]; n++) assert.equal(path.span[path.by[n]], i);
  }
});

test("a span's own time is what no child covers, tick by tick", () => {
  for (let k = 0; k < 300; k++) {
    const t = randomTrace(1 + random(20));
    const self = selfTimes(t);
    for (let i = 0; i < t.count; i++) {
      let own = 0;
      for (let tick = t.start[i]; tick < t.end[i]; tick++) {
        let covered = false;
        for (let c = 0; c < t.count; c++) covered ||= t.parent[c] === i && t.start[c] <= tick && t.end[c] > tick;
        if (!covered) own++;
      }
      assert.equal(self[i], own);
    }
  }
});

// ---- places

test("a flame graph's boxes do not overlap and lie within their parents", () => {
  for (let k = 0; k < 100; k++) {
    const places = placesOf([randomTrace(1 + random(40))]);
    const f = flameOf(places);
    const rows = new Map<number, [number, number][]>();
    places.forEach((p, i) => {
      const near = 1e-9;
      if (p.parent >= 0) assert.ok(f.x[i] >= f.x[p.parent] - near && f.x[i] + f.width[i] <= f.x[p.parent] + f.width[p.parent] + near);
      rows.set(p.depth, [...(rows.get(p.depth) ?? []), [f.x[i], f.x[i] + f.width[i]]]);
    });
    for (const row of rows.values()) {
      row.sort((a, b) => a[0] - b[0]);
      for (let i = 1; i < row.length; i++) assert.ok(row[i][0] >= row[i - 1][1] - 1e-9);
    }
  }
});

test("two traces differ by what is added, removed, slower and faster", () => {
  const M = 1e6;
  const a = trace([{ id: 1, start: 0, end: 100 * M, name: "root" }, { id: 2, up: 1, start: 0, end: 10 * M, name: "gone" }, { id: 3, up: 1, start: 10 * M, end: 20 * M, name: "slow" }, { id: 4, up: 1, start: 30 * M, end: 90 * M, name: "fast" }]);
  const b = trace([{ id: 1, start: 0, end: 101 * M, name: "root" }, { id: 3, up: 1, start: 10 * M, end: 50 * M, name: "slow" }, { id: 4, up: 1, start: 50 * M, end: 60 * M, name: "fast" }, { id: 5, up: 4, start: 51 * M, end: 52 * M, name: "new" }]);
  const spans: Int32Array[] = [];
  const places = placesOf([a, b], spans);
  assert.deepEqual(places.map((p) => [p.name, p.depth, changeOf(p)]), [["root", 0, "same"], ["gone", 1, "removed"], ["slow", 1, "slower"], ["fast", 1, "faster"], ["new", 2, "added"]]);
  assert.equal(nameOf(b, spans[1][4]), "new");
  assert.equal(spans[0][4], -1);
  places.forEach((p, i) => assert.ok(p.parent < i));
});

test("operations and calls are counted", () => {
  const t = trace([{ id: 1, start: 0, end: 100, name: "a", service: "one" }, { id: 2, up: 1, start: 10, end: 40, name: "b", service: "two", status: 2 }, { id: 3, up: 1, start: 40, end: 90, name: "b", service: "two" }]);
  const rows = byOperation(t, criticalPath(t));
  const b = rows.find((r) => r.name === "b")!;
  assert.deepEqual([b.spans, b.errors, b.total, b.self, b.max, b.critical], [2, 1, 80, 80, 50, 80]);
  assert.deepEqual(callsOf(t, true), [{ from: "one\n", to: "two\n", calls: 2, errors: 1 }]);
});

// ---- layered graphs

test("no two nodes of a graph lie over each other, whatever calls whatever", () => {
  for (let k = 0; k < 150; k++) {
    const n = 1 + random(25);
    const nodes = Array.from({ length: n }, (_, i) => ({ key: `n${i}`, width: 60 + random(100), height: 30 + random(30) }));
    const edges = Array.from({ length: random(3 * n) }, () => ({ from: `n${random(n)}`, to: `n${random(n)}` }));
    const l = layout(nodes, edges);
    assert.equal(l.nodes.size, n);
    const boxes = nodes.map((x) => ({ ...x, ...l.nodes.get(x.key)! }));
    boxes.forEach((a, i) => {
      assert.ok(a.x - a.width / 2 >= -1e-6 && a.x + a.width / 2 <= l.width + 1e-6 && a.y - a.height / 2 >= -1e-6 && a.y + a.height / 2 <= l.height + 1e-6);
      for (const b of boxes.slice(i + 1))
        assert.ok(Math.abs(a.x - b.x) >= (a.width + b.width) / 2 - 1e-6 || Math.abs(a.y - b.y) >= (a.height + b.height) / 2 - 1e-6, `${a.key} over ${b.key}`);
    });
    edges.forEach((e, i) => {
      assert.equal(l.lines[i].length >= 2, e.from !== e.to);
      assert.ok(!curve(l.lines[i]).includes("NaN"));
    });
  }
});

test("a graph without cycles flows to the right", () => {
  const edges = [["a", "b"], ["b", "c"], ["a", "c"], ["c", "d"], ["b", "d"]].map(([from, to]) => ({ from, to }));
  const l = layout(["a", "b", "c", "d"].map((key) => ({ key, width: 50, height: 20 })), edges);
  for (const e of edges) assert.ok(l.nodes.get(e.from)!.x < l.nodes.get(e.to)!.x);
});

// ---- reading

const OTLP = { resourceSpans: [{ resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] }, scopeSpans: [{ scope: { name: "lib", version: "2" }, spans: [
  { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", name: "GET", kind: 2, startTimeUnixNano: "1700000000000000001", endTimeUnixNano: "1700000000000000101",
    attributes: [{ key: "n", value: { intValue: "42" } }, { key: "list", value: { arrayValue: { values: [{ intValue: "1" }, { stringValue: "x" }] } } }], status: { code: 2, message: "bad" },
    events: [{ timeUnixNano: "1700000000000000051", name: "half" }], links: [{ traceId: "0af7651916cd43dd8448eb211c80319d", spanId: "b7ad6b7169203332" }] },
  { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203339", parentSpanId: "b7ad6b7169203331", name: "inner", kind: "SPAN_KIND_CLIENT", startTimeUnixNano: "1700000000000000011", endTimeUnixNano: "1700000000000000021" },
] }] }] };

test("OTLP's JSON is read to the nanosecond, with all that a span has", () => {
  const [raw] = readJson(JSON.stringify(OTLP));
  const t = build(raw);
  assert.equal(t.base, 1700000000000000001n);
  assert.deepEqual([t.id, t.count, t.length, t.errors, spanId(t, 1), serviceOf(t, 0), t.kind[1]], ["0af7651916cd43dd8448eb211c80319c", 2, 100, 1, "b7ad6b7169203339", "shop", 3]);
  const d = t.source.detail(t.from[0], t.base);
  assert.deepEqual(d.attributes.map((a) => [a.key, a.value, a.type]), [["n", "42", "int"], ["list", '["1","x"]', "list"]]);
  assert.deepEqual([d.message, d.scope, d.events[0].at, d.links[0].span], ["bad", "lib 2", 50, "b7ad6b7169203332"]);
  assert.deepEqual([...searchSpans(t, "n=42")], [0]);
  assert.deepEqual([...searchSpans(t, "INNER")], [1]);
  assert.deepEqual([...searchSpans(t, "nothing like it")], []);
});

test("Jaeger's JSON is read, as its page saves it and as its API answers", () => {
  const jaeger = { traceID: "abc", spans: [
    { traceID: "abc", spanID: "1", operationName: "root", references: [], startTime: 1700000000000000, duration: 5000, tags: [{ key: "error", type: "bool", value: true }, { key: "span.kind", type: "string", value: "server" }], logs: [{ timestamp: 1700000000001000, fields: [{ key: "event", value: "went" }] }], processID: "p1", warnings: ["clock skew"] },
    { traceID: "abc", spanID: "2", operationName: "child", references: [{ refType: "CHILD_OF", traceID: "abc", spanID: "1" }], startTime: 1700000000001000, duration: 10, tags: [], logs: [], processID: "p1" },
  ], processes: { p1: { serviceName: "old", tags: [] } } };
  for (const form of [jaeger, [jaeger], { data: [jaeger] }]) {
    const t = build(readJson(JSON.stringify(form))[0]);
    assert.deepEqual([t.count, t.length, t.errors, t.depth[1], serviceOf(t, 0), t.kind[0]], [2, 5e6, 1, 1, "old", 2]);
    const d = t.source.detail(t.from[0], t.base);
    assert.deepEqual([d.events[0].name, d.events[0].at, d.warnings], ["went", 1e6, ["clock skew"]]);
  }
});

test("what is no trace is refused in words, and lines of JSON are taken", () => {
  assert.throws(() => readJson("{"), /no JSON/);
  assert.throws(() => readJson("[]"), /no trace/);
  assert.throws(() => readJson('{"a":1}\n{'), /Line 2/);
  assert.equal(readJson(`${JSON.stringify(OTLP)}\n${JSON.stringify(OTLP).replaceAll("319c", "319e")}\n`).length, 2);
  for (const evil of ['{"resourceSpans":[null,5,{"scopeSpans":[{"spans":[{"traceId":1,"spanId":{},"startTimeUnixNano":"x","status":null}]}]}]}', '{"data":[{"spans":[{"tags":5,"references":[null],"duration":"x"}]}]}'])
    assert.equal(build(readJson(evil)[0]).count, 1);
});

// A writer of protobuf, enough for a trace.
const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) | 128, ...varint(Math.floor(n / 128))]);
const bytes = (field: number, b: number[]): number[] => [...varint(field * 8 + 2), ...varint(b.length), ...b];
const string = (field: number, s: string): number[] => bytes(field, [...new TextEncoder().encode(s)]);
const fixed64 = (field: number, v: bigint): number[] => [...varint(field * 8 + 1), ...Array.from({ length: 8 }, (_, i) => Number((v >> BigInt(8 * i)) & 255n))];
const number = (field: number, n: number): number[] => [...varint(field * 8), ...varint(n)];
const pairOf = (field: number, key: string, v: number[]): number[] => bytes(field, [...string(1, key), ...bytes(2, v)]);
const ID = (n: number): number[] => [0xff, 0, 0, 0, 0, 0, 0, n];

function protobuf(): Uint8Array {
  const span = (n: number, up: number, from: bigint, to: bigint, more: number[]): number[] => bytes(2, [
    ...bytes(1, new Array(16).fill(7)), ...bytes(2, ID(n)), ...(up ? bytes(4, ID(up)) : []), ...string(5, n === 2 ? "Größe" : "work"), ...number(6, 2), ...fixed64(7, from), ...fixed64(8, to), ...more]);
  const scope = bytes(2, [...bytes(1, [...string(1, "lib"), ...string(2, "3")]),
    ...span(1, 0, 2n ** 63n - 100n, 2n ** 63n, [...pairOf(9, "http.route", string(1, "/Orders")), ...pairOf(9, "n", number(3, 42)), ...bytes(15, [...string(2, "went wrong"), ...number(3, 2)])]),
    ...span(2, 1, 2n ** 63n - 90n, 2n ** 63n - 80n, bytes(11, [...fixed64(1, 2n ** 63n - 85n), ...string(2, "happened"), ...pairOf(3, "why", string(1, "so"))]))]);
  return Uint8Array.from([...bytes(1, bytes(1, [...bytes(1, pairOf(1, "service.name", string(1, "shop"))), ...scope])), ...number(3, 1), ...string(4, "too long")]);
}

test("OTLP's protobuf is read to the nanosecond, its attributes when asked for", () => {
  const t = build(readOtlp(protobuf(), "07"));
  assert.deepEqual([t.count, t.base, t.length, nameOf(t, 1), serviceOf(t, 0), t.partial, t.errors], [2, 2n ** 63n - 100n, 100, "Größe", "shop", "too long", 1]);
  const d = t.source.detail(t.from[0], t.base);
  assert.deepEqual(d.attributes.map((a) => [a.key, a.value]), [["http.route", "/Orders"], ["n", "42"]]);
  assert.deepEqual([d.message, d.scope, d.resource[0].value], ["went wrong", "lib 3", "shop"]);
  assert.deepEqual(t.source.detail(t.from[1], t.base).events.map((e) => [e.at, e.name, e.attributes[0].value]), [[15, "happened", "so"]]);
  for (const [text, want] of [["/orders", [0]], ["n=42", [0]], ["n=43", []], ["HAPPENED", [1]], ["why=so", [1]], ["wrong", [0]], ["größe", [1]], ["service.name=shop", [0, 1]]] as const)
    assert.deepEqual([...searchSpans(t, text)], want, text);
});

test("protobuf that is cut off anywhere is refused or read, never more", () => {
  const whole = protobuf();
  for (let n = 0; n < whole.length; n++) {
    try {
      const t = build(readOtlp(whole.slice(0, n), "07"));
      for (let i = 0; i < t.count; i++) t.source.detail(t.from[i], t.base);
    } catch (e) {
      assert.match((e as Error).message, /cut off/);
    }
  }
});

// ---- questions

test("tags are logfmt or JSON", () => {
  assert.deepEqual(parseTags(' http.status_code=500  error msg="a \\"b\\" c" empty= '), { "http.status_code": "500", error: "true", msg: 'a "b" c', empty: "" });
  assert.deepEqual(parseTags('{"a":"b","n":5}'), { a: "b", n: "5" });
  assert.deepEqual(parseTags(""), {});
  assert.throws(() => parseTags('a="b'), /key=value/);
  assert.throws(() => parseTags("{x"), /no JSON/);
  const hard = { k: 'a "b"\nc\\', plain: "x", "with.dots": "1 2" };
  assert.deepEqual(parseTags(tagsText(hard)), hard);
});

test("a form is TraceQL, too; ids are known", () => {
  const q = questionOf(new URLSearchParams("service=shop&tags=http.code=500 user=x&minDuration=10ms&errors=1&limit=50"));
  assert.equal(q.limit, 50);
  assert.equal(toTraceQl(q), '{ resource.service.name = "shop" && (.http.code = "500" || .http.code = 500) && .user = "x" && duration >= 10ms && status = error }');
  assert.equal(questionOf(new URLSearchParams("q={}")).mode, "traceql");
  assert.equal(traceIdIn(" 0AF7651916cd43dd8448eb211c80319c "), "0af7651916cd43dd8448eb211c80319c");
  assert.equal(traceIdIn("abc"), undefined);
});

test("spans are asked for where a search is about spans that TraceQL can name", () => {
  const of = (text: string) => ofSpans(questionOf(new URLSearchParams(text)));
  assert.equal(of("service=shop&minDuration=10ms"), undefined);
  assert.equal(of("service=shop&operation=GET /"), '{ resource.service.name = "shop" && name = "GET /" }');
  assert.equal(of("tags=a=b"), '{ (.a = "b" || resource.a = "b" || event.a = "b" || instrumentation.a = "b") }');
  assert.equal(of("tags=span.kind=server"), undefined);
  assert.equal(of("tags=a=b event=x"), undefined);
  assert.equal(of("service=shop&operation=empty-span-name"), undefined);
  assert.equal(of("q={}"), "{}");
  assert.equal(withServices("{}"), "{} | select(resource.service.name)");
  for (const q of ["{} | select(.a)", "{} with(x=1)", '{ resource.service.name = "a" }']) assert.equal(withServices(q), q);
});

test("of the spans that match, the longest is shown, unless it is the root or they are all", () => {
  const span = (id: string, ms: number, name = "GET /") => ({ spanID: id, name, durationNanos: `${ms}000000`, attributes: [{ key: "service.name", value: { stringValue: "shop" } }] });
  const trace = (spans: { spanID: string }[], matched = spans.length) => ({ rootTraceName: "visit", durationNanos: "9000000", spanSets: [{ spans, matched }] });
  assert.deepEqual(hitOf(trace([span("1", 3), span("2", 5), span("3", 4)]), 20), { span: "0000000000000002", service: "shop", name: "GET /", duration: 0.005, among: "longest of 3" });
  assert.equal(hitOf(trace([span("1", 3)]), 20)!.among, "");
  assert.equal(hitOf(trace([span("1", 3)], 7), 20)!.among, "one of 7");
  assert.equal(hitOf(trace([span("1", 9, "visit"), span("2", 1)]), 20), undefined);
  assert.equal(hitOf(trace([span("1", 3), span("2", 5)]), 2), undefined);
  assert.equal(hitOf(trace([]), 2), undefined);
});

test("what TraceQL can be completed with hangs on what stands before the cursor", () => {
  const at = (text: string) => spotIn(text, text.length);
  assert.deepEqual(at("{ resour"), { from: 2, word: "resour" });
  assert.deepEqual(at('{ resource.service.name = "sh'), { from: 26, word: "sh", field: "resource.service.name" });
  assert.deepEqual(at("{ status = "), { from: 11, word: "", field: "status" });
  assert.deepEqual(at("{ .http.code=~"), { from: 14, word: "", field: ".http.code" });
  assert.deepEqual(at('{ name = "a b'), { from: 9, word: "a b", field: "name" });
  assert.deepEqual(at('{ name = "a" && ki'), { from: 16, word: "ki" });
});
