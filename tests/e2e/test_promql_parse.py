"""Our PromQL parser beside Prometheus's own: the same tree, the same layout, the same errors.

The first test compares with answers of a Prometheus that were recorded, the second with one that
runs (it is skipped where there is none). SX_RECORD=1 makes the second write down what it heard.
"""
import hashlib
import http.client
import json
import os
import subprocess
import urllib.parse

import pytest

from conftest import BUILD, ROOT
from lib.promql_cases import generated, hand_cases
from lib.service import free_port
from lib.wait import wait_for

RECORDED = os.path.join(ROOT, "tests", "e2e", "data", "promql_parse.jsonl")
PROMETHEUS = os.path.join(ROOT, ".cache", "peers", "bin", "prometheus")
TOOL = os.path.join(BUILD, "tests", "e2e", "programs", "promql_tool")
FLAGS = ("promql-experimental-functions,promql-extended-range-selectors,"
         "promql-binop-fill-modifiers")
ALL = 1 | 2 | 4 | 16
ERROR_CHARS_MAX = 430  # longer ones are cut by us

# Prometheus prints an empty selector as nothing, which it cannot read again; we print {}.
LAYOUT_DIFFERS = {"info(a, {})": "info(a, )"}


def run_tool(mode, features, cases):
    """Our answers: (True, text) or (False, error)."""
    text = "".join(c + "\0" for c in cases).encode()
    out = subprocess.run([TOOL, mode, str(features)], input=text, stdout=subprocess.PIPE,
                         timeout=120, check=True).stdout.decode().split("\0")[:-1]
    assert len(out) == len(cases)
    return [(answer[0] == "+", answer[1:]) for answer in out]


def digest(tree):
    """A tree's short name."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def our_answers(features, cases):
    """What recorded() holds, from our parser."""
    trees, layouts = run_tool("json", features, cases), run_tool("format", features, cases)
    for query, (good, text), (_, layout) in zip(cases, trees, layouts):
        if good:
            yield {"q": query, "f": features, "h": digest(json.loads(text)),
                   "t": LAYOUT_DIFFERS.get(query, layout)}
        else:
            yield {"q": query, "f": features, "e": text[:ERROR_CHARS_MAX]}


class Peer:
    """A Prometheus that is asked to parse."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ready(self):
        try:
            self.connection.request("GET", "/-/ready")
            answer = self.connection.getresponse()
            answer.read()
            return answer.status == 200
        except OSError:
            self.connection.close()
            return False

    def ask(self, path, query):
        self.connection.request("POST", "/api/v1/" + path, urllib.parse.urlencode({"query": query}),
                                {"Content-Type": "application/x-www-form-urlencoded"})
        return json.loads(self.connection.getresponse().read())

    def answer(self, features, query):
        got = self.ask("parse_query", query)
        if got["status"] != "success":
            error = got["error"].removeprefix('invalid parameter "query": ')
            return {"q": query, "f": features, "e": error[:ERROR_CHARS_MAX]}
        return {"q": query, "f": features, "h": digest(got["data"]),
                "t": self.ask("format_query", query)["data"]}


@pytest.fixture(params=[ALL, 0], ids=["every-feature", "no-feature"])
def peer(request, spawn, tmp_path):
    if not os.path.exists(PROMETHEUS):
        pytest.skip("no Prometheus 3: scripts/peers.sh builds one into .cache/peers/bin")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    flags = [f"--enable-feature={FLAGS}"] if request.param else []
    spawn(PROMETHEUS, f"--config.file={tmp_path}/prometheus.yml",
          f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}", *flags,
          name="prometheus")
    server = Peer(port)
    wait_for(server.ready, 60)
    return server, request.param


def test_recorded_answers_of_prometheus_are_ours():
    with open(RECORDED, encoding="utf-8") as f:
        recorded = [json.loads(line) for line in f]
    assert len(recorded) > 2000
    wrong = []
    for features in (ALL, 0):
        theirs = [{"t": r["q"], **r} if "h" in r else r for r in recorded if r["f"] == features]
        ours = our_answers(features, [r["q"] for r in theirs])
        wrong += [(a, b) for a, b in zip(theirs, ours) if a != b]
    assert not wrong, wrong[:10]


def test_a_running_prometheus_parses_as_we_do(peer):
    prometheus, features = peer
    cases = hand_cases() + generated(2000, 1)
    theirs = [prometheus.answer(features, query) for query in cases]
    wrong = [(a, b) for a, b in zip(theirs, our_answers(features, cases)) if a != b]
    if os.environ.get("SX_RECORD"):
        record(features, theirs)
    assert not wrong, wrong[:10]


def record(features, answers):
    """All answers of a server with every feature; of one without, those that differ."""
    rows = {}
    if not features:
        with open(RECORDED, encoding="utf-8") as f:
            rows = {row["q"]: row for row in map(json.loads, f)}
    with open(RECORDED, "w" if features else "a", encoding="utf-8") as f:
        for answer in answers:
            row = {k: v for k, v in answer.items() if not (k == "t" and v == answer["q"])}
            if {**row, "f": ALL} != rows.get(row["q"]):
                f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def normal(tree):
    """A tree without what printing does not keep: the order of matchers, a plus before step()."""
    if isinstance(tree, list):
        return [normal(t) for t in tree]
    if not isinstance(tree, dict):
        return tree
    tree = {k: normal(v) for k, v in tree.items()}
    if tree.get("type") == "durationExpr" and tree["op"] == "+" and not tree["lhs"] and \
            not tree["wrapped"]:
        return tree["rhs"]
    if "matchers" in tree:
        tree["matchers"].sort(key=json.dumps)
    return tree


def test_what_is_printed_parses_to_the_same_tree():
    cases = hand_cases() + generated(2000, 2)
    good = [c for c, (ok, _) in zip(cases, run_tool("json", ALL, cases)) if ok]
    trees = [json.loads(text) for _, text in run_tool("json", ALL, good)]
    for mode in ("print", "format"):
        printed = [text for _, text in run_tool(mode, ALL, good)]
        again = run_tool("json", ALL, printed)
        wrong = [(c, p, b) for c, p, a, (ok, b) in zip(good, printed, trees, again)
                 if not ok or normal(json.loads(b)) != normal(a)]
        assert not wrong, wrong[:10]


def test_a_deep_query_is_refused_and_a_long_one_is_not():
    deep = [o * 5000 + "a" + c * 5000 for o, c in
            (("(", ")"), ("-", ""), ("sum(", ")"), ("1^", ""), ("rate(", "[5m])"))]
    deep += ["a[" + "(" * 5000 + "5m" + ")" * 5000 + "]", "a[" + "-" * 5000 + "5m]", "a" + "+a" * 5000]
    for ok, text in run_tool("print", ALL, deep):
        assert not ok and "the limit is 1000" in text, text[:200]
    wide = ["sum by (" + ",".join(f"l{i}" for i in range(4000)) + ") (a)",
            "a{" + ",".join(f'l{i}="x"' for i in range(4000)) + "}", "a" + " or a" * 900]
    assert all(ok for ok, _ in run_tool("print", ALL, wide))
    too_wide = ["sum by (" + ",".join(f"l{i}" for i in range(5000)) + ") (a)",
                "a{" + ",".join(f'l{i}="x"' for i in range(5000)) + "}", "a" * (1 << 20) + "a"]
    for ok, text in run_tool("print", ALL, too_wide):
        assert not ok and "the limit is" in text, text[:200]


SERIES = {
    'a{b="c"} 0+1x3 _ _x2 stale 5 1x2 -1-2x2':
        '{__name__="a", b="c"} 0 1 2 3 _ _ _ stale 5 1 1 1 -1 -3 -5',
    '{"x y",b="c"} Inf NaN -Inf 1e3': '{__name__="x y", b="c"} +Inf NaN -Inf 1000',
    "a": '{__name__="a"}',
    "a {{}} {{ }}x1 {{schema:1 count:3.1 sum:-0.3 buckets:[1 2 Inf]}}":
        '{__name__="a"} {0 0} {0 0} {0 0} {3.1 -0.3}',
    "a {{count:1 sum:2}}+{{count:1 sum:1}}x2": '{__name__="a"} {1 2} {2 3} {3 4}',
    "a 1 2 b": '1:7: parse error: unexpected identifier "b" in series values, '
               'expected number or "stale"',
    "a{": "1:3: parse error: unexpected end of input inside braces",
    "a 1x": "1:5: parse error: unexpected end of input in series values",
    "a x3": '1:3: parse error: unexpected "x"',
    "a 1 by": "1:5: parse error: unexpected <by>",
    "a 5m": '1:3: parse error: bad number syntax: "5"',
    "a{b=} 1": '1:5: parse error: unexpected "}" in label set, expected string',
    "a{b} 1": '1:4: parse error: unexpected "}" in label set, expected "="',
    "a {{foo:1}}": '1:5: parse error: bad histogram descriptor found: "foo"',
    "a {{sum:1 sum:2}}": '1:1: parse error: duplicate key "sum" in histogram',
    "a 1x99999999999": "the query has too many values; the limit is 1048576",
}


def test_series_of_unit_tests():
    got = run_tool("series", 0, list(SERIES))
    assert [text for _, text in got] == list(SERIES.values())


def test_selectors():
    cases = ["up", 'up{a="b"}', '{"up"}', "sum", "sum(up)", "up[5m]", "", "1", "{", "up offset 5m"]
    assert run_tool("selector", 0, cases) == [
        (True, "up"), (True, 'up{a="b"}'), (True, '{__name__="up"}'), (True, "sum"),
        (False, '1:4: parse error: unexpected "("'), (False, '1:3: parse error: unexpected "["'),
        (False, "unknown position: parse error: unexpected end of input"),
        (False, '1:1: parse error: unexpected number "1"'),
        (False, "1:2: parse error: unexpected end of input inside braces"),
        (False, "1:4: parse error: unexpected <offset>")]
