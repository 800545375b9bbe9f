"""The HTTP API of `sextant observe`, beside a Prometheus that was written the same samples: a few
hundred requests, whose answers must be the same to the byte wherever Prometheus's have an order.

Where Prometheus is not at hand (scripts/peers.sh gets it) the comparisons are skipped; what is ours
alone is tested in any case."""
import gzip
import itertools
import json
import math
import os
import socket
import struct
import threading
import time

import pytest

from lib.observe import PROMETHEUS, TIMEOUT_S, Observe, Prometheus, _field, _label, _varint, snappy
from lib.wait import wait_for

STEPS, STEP_MS = 240, 15000
NAN_STALE = struct.unpack("<d", struct.pack("<Q", 0x7ff0000000000002))[0]
needs_peer = pytest.mark.skipif(not os.path.exists(PROMETHEUS),
                                reason="no Prometheus here; run scripts/peers.sh")


def samples(t0):
    """Series of every kind that an answer may have to show."""
    times = [t0 + i * STEP_MS for i in range(STEPS)]
    out = []
    for job, instance in itertools.product(("api", "db"), ("a:1", "b:1", "c:1")):
        n = 1 + len(out)
        base = {"job": job, "instance": instance}
        out.append(({"__name__": "up", **base}, [(t, float(i % (n + 3) != 0)) for i, t in enumerate(times)]))
        out.append(({"__name__": "requests_total", "code": "200", **base},
                    [(t, float((i * n * 7) % 5000)) for i, t in enumerate(times)]))
        out.append(({"__name__": "temperature", **base},
                    [(t, math.sin(i / 7.0) * n * 10 ** (n - 4)) for i, t in enumerate(times)]))
        for le in ("0.1", "1", "+Inf"):
            k = {"0.1": 1, "1": 3, "+Inf": 4}[le]
            out.append(({"__name__": "latency_bucket", "le": le, **base},
                        [(t, float(i * n * k)) for i, t in enumerate(times)]))
    odd = [0.0, -0.0, 1e-7, 1e21, 123456789012345680.0, float("inf"), float("-inf"), float("nan"),
           5e-324, 1.7976931348623157e308, 0.1, 1e20, 1e-6, -2.5]
    for i, v in enumerate(odd):
        out.append(({"__name__": "odd", "n": str(i)}, [(times[-1], v)]))
    out.append(({"__name__": "half", "x": "y"}, [(t + 501, 1.5) for t in times]))
    out.append(({"__name__": "stale"}, [(t, 1.0) for t in times[:-20]] + [(times[-20], NAN_STALE)]))
    out.append(({"__name__": "texts", "quote": "a\"b\\c", "html": "<a&b>", "control": "x\ny\tz\u0001"},
                [(times[-1], 1.0)]))
    out.append(({"__name__": "utf8.näme", "läbel.x": "wört\u2028"}, [(times[-1], 2.0)]))
    return out


def float_histogram(ms, count):
    """A prompb.Histogram of three positive buckets, a zero bucket and a negative one."""
    span = lambda offset, length: b"\x08" + _varint(offset << 1) + b"\x10" + _varint(length)
    double = lambda number, v: _varint(number << 3 | 1) + struct.pack("<d", v)
    packed = lambda number, values: _field(number, b"".join(struct.pack("<d", v) for v in values))
    return _field(4, double(2, count) + double(3, count * 1.25) + b"\x20" + _varint(1 << 1) +
                  double(5, 0.001) + double(7, count / 8) + _field(8, span(0, 1)) +
                  packed(10, [count / 8]) + _field(11, span(0, 3)) +
                  packed(13, [count / 4, 0.0, count / 2]) + b"\x78" + _varint(ms))


def write_histograms(api, t0):
    body = b"".join(_label(n, v) for n, v in (("__name__", "native"), ("job", "api")))
    body += b"".join(float_histogram(t0 + i * STEP_MS, 8.0 * (i + 1)) for i in range(STEPS))
    answer = api.session.post(api.url("/api/v1/write"), data=snappy(_field(1, body)), headers={
        "Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}, timeout=TIMEOUT_S)
    assert answer.status_code in (200, 204), answer.text


@pytest.fixture
def ours(serve, sextant_bin, tmp_path):
    """One of ours with the samples; `t0` is the first one's time."""
    app = Observe(serve, sextant_bin, tmp_path, flags=["--web.enable-admin-api"])
    app.t0 = int(time.time()) // 60 * 60000 - STEPS * STEP_MS
    app.write(samples(app.t0))
    write_histograms(app, app.t0)
    return app


@pytest.fixture
def both(ours, spawn, tmp_path):
    peer = Prometheus(spawn, tmp_path, flags=["--web.enable-admin-api"])
    peer.write(samples(ours.t0))
    write_histograms(peer, ours.t0)
    return ours, peer


def exact(text):
    """JSON with every number as it was written and every object in its order."""
    return json.loads(text, parse_int=lambda s: "n" + s, parse_float=lambda s: "n" + s,
                      object_pairs_hook=lambda pairs: ("object", pairs))


def unordered(value):
    """The same, lists of series sorted: for answers to which Prometheus gives no order."""
    if isinstance(value, tuple):
        return ("object", [(k, sorted(map(unordered, v), key=repr) if k in ("result", "data", "warnings", "infos") and
                            isinstance(v, list) else unordered(v)) for k, v in value[1]])
    return value


def alike(a, b):
    """Equal; a value may differ in its last digits, which depend on the order in which series are added up."""
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(alike, a, b))
    if a == b or not isinstance(a, str) or not isinstance(b, str):
        return a == b
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-13)
    except ValueError:
        return False


def same(both, path, params=(), method="GET", ordered=False):
    answers = [api.ask(path, params, method) for api in both]
    codes = [a.status_code for a in answers]
    assert codes[0] == codes[1], f"{path} {params}: {codes}\n{answers[0].text}\n{answers[1].text}"
    types = [a.headers.get("Content-Type") for a in answers]
    assert types[0] == types[1], f"{path} {params}: {types}"
    ordered = ordered and not (codes[0] == 200 and path.endswith("query"))
    if answers[0].text == answers[1].text:
        return 1
    assert not ordered, f"{path} {params}:\n{answers[0].text[:2000]}\n{answers[1].text[:2000]}"
    left, right = (unordered(exact(a.text)) for a in answers)
    assert alike(left, right), f"{path} {params}:\n{answers[0].text[:2000]}\n{answers[1].text[:2000]}"
    return 1


EXPRESSIONS = [
    "up", "up == 0", 'up{job="api"}', "odd", "half", "stale", "texts", '{"utf8.näme"}', "native",
    "-native", "native * 2", "histogram_quantile(0.9, native)", "histogram_count(native)", "sum(native)",
    "rate(native[5m])", "rate(requests_total[5m])", "irate(requests_total[1m])",
    "sum by (job) (rate(requests_total[5m]))", "sum without (instance) (up)", "avg(temperature)",
    "topk(2, temperature)", "quantile(0.5, temperature)", "count_values('v', up)", "max by (job) (temperature)",
    "histogram_quantile(0.9, sum by (le, job) (rate(latency_bucket[5m])))", "temperature > 1",
    "up and on(job) (temperature > 0)", "up * on(job, instance) group_left(code) requests_total",
    "absent(nothing)", "absent(up)", "vector(1)", "scalar(vector(3))", "1 + 1", "1e21", "1/0", "-1/0", "0/0",
    "'text'", "time()", "up offset 5m", "up[1m]", "half[1m]", "native[1m]", "max_over_time(temperature[10m:1m])",
    "label_replace(up, 'x', '$1', 'job', '(.).*')", "sort(temperature)", "sort_desc(temperature)",
    "requests_total % 7", "temperature ^ 2", "predict_linear(temperature[10m], 60)", "deriv(temperature[10m])",
    "changes(up[10m])", "resets(requests_total[10m])", "delta(temperature[5m])", "rate(temperature[5m])",
    "stddev_over_time(temperature[5m])", "count(up) by (job)", "up unless temperature", "day_of_month()",
    "clamp_max(temperature, 0.5)", "round(temperature, 0.25)", "up + temperature", "group(up)", "avg(native)",
]
BROKEN = [
    "", "up{", "up{job=}", "sum(", "rate(up)", "up[5m", "1 1", "foo bar", "up + ", "nofunc(up)", "sum by (up",
    "up offset", "up{job=~\"(\"}", "{}", "up @", "rate(up[5m:])[", "count_values(1, up)", "topk(up)", "(", ")", "'",
    "1 == 2", "up == bool", "label_replace(up)", "up or 1", "{__name__=\"a\", __name__=\"b\"}",
]


@needs_peer
def test_instant_queries_answer_as_prometheus_does(both):
    t0, count = both[0].t0 / 1000, 0
    last = t0 + (STEPS - 1) * STEP_MS / 1000
    for expr, at in itertools.product(EXPRESSIONS, (last, last - 1000.25, t0 - 600)):
        count += same(both, "/api/v1/query", {"query": expr, "time": at})
    for expr in EXPRESSIONS[:20]:
        count += same(both, "/api/v1/query", {"query": expr, "time": last}, "POST")
    assert count > 180


@needs_peer
def test_range_queries_answer_as_prometheus_does(both):
    t0 = both[0].t0 / 1000
    for expr in EXPRESSIONS:
        same(both, "/api/v1/query_range", {"query": expr, "start": t0 + 600, "end": t0 + 1200.5, "step": "30"})
    for step in ("15s", "1m", "0.5", "1h", "7.25"):
        same(both, "/api/v1/query_range", {"query": "up", "start": t0, "end": t0 + 300, "step": step}, "POST")


@needs_peer
def test_faults_are_told_in_prometheus_words(both):
    t0 = both[0].t0 / 1000
    for expr in BROKEN:
        same(both, "/api/v1/query", {"query": expr, "time": t0}, ordered=True)
        same(both, "/api/v1/query_range", {"query": expr, "start": t0, "end": t0, "step": 1}, ordered=True)
        same(both, "/api/v1/format_query", {"query": expr}, ordered=True)
        same(both, "/api/v1/parse_query", {"query": expr}, ordered=True)
        same(both, "/api/v1/query_exemplars", {"query": expr}, ordered=True)
    for name, values in {
            "time": ["x", "1e", "2026-13-01T00:00:00Z", "2026-01-01", "--1", "0x10", "1_0", "1__0", "_1", "0x1p4", "0x1.p4", "1e5_0", "+1", ".5", "5.", ".", "inf", "\"", "ü"],
            "timeout": ["x", "1y2", "", "1h1", "-"], "lookback_delta": ["x", "1e400"],
            "limit": ["x", "-1", "1.5", "99999999999999999999", "+"]}.items():
        for value in values:
            same(both, "/api/v1/query", {"query": "up", "time": t0, name: value}, ordered=True)
    for start, end, step in [("", "", ""), (1, "", ""), (1, 2, ""), (2, 1, 1), (1, 2, 0), (1, 2, -1), (1, 2, "x"),
                             (0, 11001, 1), (0, 11000, 1), (1, 2, "1e300"), ("x", 1, 1), (1, "x", 1),
                             ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:06+01:00", 1)]:
        same(both, "/api/v1/query_range", {"query": "up", "start": start, "end": end, "step": step}, ordered=True)
    for path in ("series", "labels", "label/job/values"):
        for pairs in ([("match[]", "{")], [("match[]", '{a=""}')], [("match[]", "")], [("match[]", "up"), ("start", "x")],
                      [("match[]", "up"), ("end", "x")], [("match[]", "up"), ("limit", "-2")], [("limit", "y")],
                      [("match[]", '{a=~".*"}')]):
            same(both, "/api/v1/" + path, pairs, ordered=True)
    for path in ("series", "label/%ff/values", "label/a%ffb/values", "status/tsdb?limit=0", "status/tsdb?limit=10001",
                 "status/tsdb?limit=x", "metadata?limit=x", "metadata?limit_per_metric=y", "nothing/here", "query?%zz=1",
                 "series?match[]=%zz", "query_exemplars?query=up&start=5&end=4", "query_exemplars?query=1"):
        same(both, "/api/v1/" + path, ordered=True)


@needs_peer
def test_series_and_labels_answer_as_prometheus_does(both):
    t0 = both[0].t0 / 1000
    matches = [["up"], ["up", "temperature"], ['{job="api"}'], ['{__name__=~".+"}'], ["nothing"], ["odd", "texts"],
               ['{job=~"a.*", code!=""}'], ["up", "up"], ['{"utf8.näme"}']]
    for match in matches:
        for extra in ([], [("start", t0), ("end", t0 + 60)], [("limit", 2)], [("limit", 1000)]):
            pairs = [("match[]", m) for m in match] + extra
            if ("limit", 2) in pairs:
                continue  # Prometheus takes any two
            same(both, "/api/v1/series", pairs)
            same(both, "/api/v1/series", pairs, "POST")
            if ("start", t0) in pairs:
                continue  # inside of its head Prometheus does not tell labels apart by time; we do
            same(both, "/api/v1/labels", pairs, ordered=True)
            for name in ("job", "__name__", "code", "nothing", "U__l_e4_bel_2e_x", "l%C3%A4bel.x"):
                same(both, f"/api/v1/label/{name}/values", pairs, ordered=True)
    same(both, "/api/v1/labels", ordered=True)


@needs_peer
def test_texts_of_queries_answer_as_prometheus_does(both):
    for expr in EXPRESSIONS:
        same(both, "/api/v1/format_query", {"query": expr}, ordered=True)
        same(both, "/api/v1/parse_query", {"query": expr}, "POST", ordered=True)


@needs_peer
def test_limits_and_statistics_are_told_as_by_prometheus(both):
    last = both[0].t0 / 1000 + (STEPS - 1) * 15
    for expr in ("up", "temperature", "up[1m]", "1"):
        answers = [api.ask("/api/v1/query", {"query": expr, "time": last, "limit": 3}).json() for api in both]
        assert answers[0].get("warnings") == answers[1].get("warnings")
        assert len(answers[0]["data"]["result"]) == len(answers[1]["data"]["result"])
    for stats in ("true", "all", "zz"):
        answers = [api.ask("/api/v1/query", {"query": "sum(rate(requests_total[5m]))", "time": last,
                                             "stats": stats}).json() for api in both]
        assert answers[0].get("warnings") == answers[1].get("warnings")
        ours, peers = (a["data"]["stats"] for a in answers)
        assert ours["timings"].keys() == peers["timings"].keys()
        assert ours["samples"]["totalQueryableSamples"] == peers["samples"]["totalQueryableSamples"]


@needs_peer
def test_federation_shows_the_samples_that_prometheus_shows(both):
    for pairs in ([("match[]", "up")], [("match[]", '{job="db"}'), ("match[]", "up")], [("match[]", "odd")],
                  [("match[]", "{")], [], [("match[]", "texts")]):
        answers = [api.ask("/federate", pairs) for api in both]
        assert answers[0].status_code == answers[1].status_code
        lines = [sorted(a.text.splitlines()) for a in answers]
        assert lines[0] == lines[1]


@needs_peer
def test_cross_origin_pages_are_let_in_as_by_prometheus(both):
    names = ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
             "Access-Control-Expose-Headers")
    for method in ("GET", "OPTIONS"):
        answers = [api.ask("/api/v1/query", {"query": "1"}, method, {"Origin": "http://x.example"}) for api in both]
        assert answers[0].status_code == answers[1].status_code
        for name in names:
            assert answers[0].headers.get(name) == answers[1].headers.get(name)


# ---- ours alone ----

def test_answers_are_compressed_for_those_that_can_read_it(ours):
    at = ours.t0 / 1000 + 3000
    plain = ours.session.get(ours.url(f"/api/v1/query?query={{__name__%3D~'.%2B'}}&time={at}"),
                             headers={"Accept-Encoding": "identity"}, timeout=TIMEOUT_S)
    zipped = ours.session.get(plain.url, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=TIMEOUT_S)
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped.raw.read()) == plain.content


def test_a_large_answer_is_streamed_whole(ours):
    """Several pieces of half a megabyte, the same as many small ones."""
    t0 = ours.t0 / 1000
    params = {"query": '{__name__=~"up|temperature|requests_total|latency_bucket"}', "start": t0,
              "end": t0 + 3500, "step": 1}
    answer = ours.ask("/api/v1/query_range", params)
    assert len(answer.content) > 2 << 20
    whole = answer.json()["data"]["result"]
    by_metric = {json.dumps(s["metric"], sort_keys=True): s["values"] for s in whole}
    for name in ("up", "latency_bucket"):
        for s in ours.query_range(name, t0, t0 + 3500, 1):
            assert by_metric[json.dumps(s["metric"], sort_keys=True)] == s["values"]


SLOW = "sum_over_time(max_over_time(sum_over_time(temperature[50m:1s])[50m:1s])[50m:1s])"


def ask_slowly(app, query=SLOW):
    """A raw request whose answer takes long; its socket."""
    s = socket.create_connection(app.process.host_port())
    s.sendall(f"GET /api/v1/query?query={query}&time={app.t0 / 1000 + 3500} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return s


def test_a_client_that_goes_ends_its_query(ours):
    s = ask_slowly(ours)
    wait_for(lambda: ours.data("status/queries"), what="the query in the list")
    s.close()
    wait_for(lambda: not ours.data("status/queries"), what="the query to end")


def test_a_query_can_be_listed_and_killed(ours):
    s = ask_slowly(ours)
    running = wait_for(lambda: ours.data("status/queries"), what="the query in the list")
    assert running[0]["query"] == SLOW
    killed = ours.ask(f"/api/v1/admin/queries/{running[0]['id']}/kill", method="POST")
    assert killed.status_code == 204
    s.settimeout(TIMEOUT_S)
    answer = s.recv(65536).decode()
    assert " 499 " in answer.splitlines()[0] and '"errorType":"canceled"' in answer
    assert ours.ask("/api/v1/admin/queries/999999/kill", method="POST").status_code == 404


def test_an_explanation_comes_with_the_answer_if_asked(ours):
    data = ours.data("query", {"query": "sum(rate(requests_total[5m]))", "explain": 1})
    assert "requests_total" in data["explain"]
    assert "explain" not in ours.data("query", {"query": "up"})


def test_slow_readers_hold_up_nobody(ours):
    """A hundred clients that ask for much and read nothing; the others are served."""
    query = "up" + "%2Bup" * 0
    readers = []
    for _ in range(100):
        s = socket.create_connection(ours.process.host_port())
        s.sendall(f"GET /api/v1/query_range?query={query}&start={ours.t0 / 1000}&end={ours.t0 / 1000 + 10000}&step=1 "
                  "HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        readers.append(s)
    assert ours.query("1+1")[1] == "2"
    for s in readers:
        s.close()


def test_hostile_requests_are_refused(ours):
    assert ours.ask("/api/v1/query", {"query": "(" * 200000}, "POST").status_code == 400
    assert ours.ask("/api/v1/query", {"query": "up" + "+up" * 100000}, "POST").status_code in (400, 422)
    pairs = [("match[]", "up")] * 20000
    assert ours.ask("/api/v1/series", pairs, "POST").status_code == 400
    assert ours.ask("/api/v1/query", [("x", "y" * (11 << 20))], "POST").status_code == 413
    assert ours.is_ready()


def test_a_broken_file_leaves_the_old_configuration_in_force(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path, flags=["--web.enable-lifecycle"])
    before = app.data("status/config")["yaml"]
    with open(app.config, "a", encoding="utf-8") as out:
        out.write("nonsense: 1\n")
    answer = app.ask("/-/reload", method="POST")
    assert answer.status_code == 500 and "nonsense" in answer.text
    assert app.data("status/config")["yaml"] == before
    assert app.metric("prometheus_config_last_reload_successful") == 0
    with open(app.config, "w", encoding="utf-8") as out:
        out.write("global: {external_labels: {site: here}}\n")
    app.process.signal("HUP")
    wait_for(lambda: "site: here" in app.data("status/config")["yaml"], what="the new configuration")
    assert app.metric("prometheus_config_last_reload_successful") == 1
    assert app.ask("/-/quit", method="POST").status_code == 200
    assert app.process.wait() == 0


def test_a_fault_in_one_file_keeps_all_the_others_back(serve, sextant_bin, tmp_path):
    """What a reload takes up it takes up whole, whichever file the fault is in."""
    def group(name):
        return json.dumps({"groups": [{"name": name, "rules": [{"record": "r", "expr": "1"}]}]})

    def collect(name):
        return json.dumps({"process": {"process_names": [{"name": name, "exe": ["sextant"]}]}})

    def config(site, more=""):
        return (f"global: {{external_labels: {{site: {site}}}}}\n"
                f"rule_files: [rules.json]\n{more}")

    files = {name: tmp_path / name for name in ("prometheus.yml", "rules.json", "collect.json")}

    def write(*texts):
        for path, text in zip(files.values(), texts):
            path.write_text(text)

    def in_force():
        site = "old" if "site: old" in app.data("status/config")["yaml"] else "new"
        groups = [g["name"] for g in app.data("rules")["groups"]]
        page = app.ask("/collect/process").text
        return [site, *groups, "new" if 'groupname="new"' in page else "old"]

    write(config("old"), group("old"), collect("old"))
    app = Observe(serve, sextant_bin, tmp_path, config("old"),
                  flags=["--web.enable-lifecycle", f"--collect.config={files['collect.json']}"])
    wait_for(lambda: in_force() == ["old"] * 3, what="the first files")
    log = tmp_path / "no" / "such" / "query.log"
    tls = "{url: http://127.0.0.1:9/, tls_config: {ca_file: missing.pem}}"
    for texts, says in [
            ((config("new"), group("new"), "process: ["), "collect.json"),
            ((config("new"), "groups: [{}]", collect("new")), "rules.json"),
            ((config("new", "nonsense: 1\n"), group("new"), collect("new")), "nonsense"),
            ((config("new", f"remote_write: [{tls}]\n"), group("new"), collect("new")), "missing.pem"),
            ((config("new", f"remote_read: [{tls}]\n"), group("new"), collect("new")), "missing.pem"),
            ((config("new").replace("global: {", f"global: {{query_log_file: {log}, "), group("new"),
              collect("new")), "query.log")]:
        write(*texts)
        answer = app.ask("/-/reload", method="POST")
        assert answer.status_code == 500 and says in answer.text
        assert in_force() == ["old"] * 3, says
    write(config("new"), group("new"), collect("new"))
    assert app.ask("/-/reload", method="POST").status_code == 200
    assert in_force() == ["new"] * 3


def test_without_their_flags_admin_and_lifecycle_are_refused(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path)
    assert app.ask("/-/reload", method="POST").status_code == 403
    answer = app.ask("/api/v1/admin/tsdb/delete_series", {"match[]": "up"}, "POST")
    assert answer.json()["error"] == "admin APIs disabled"


def test_samples_are_there_after_a_kill(ours):
    before = ours.query("count({__name__=~'.+'})", time=ours.t0 / 1000 + 3500)
    ours.restart("KILL")
    assert ours.query("count({__name__=~'.+'})", time=ours.t0 / 1000 + 3500) == before


def test_deleted_series_are_gone(ours):
    at = ours.t0 / 1000 + 3500
    assert len(ours.query("up", time=at)) == 6
    assert ours.ask("/api/v1/admin/tsdb/delete_series", {"match[]": 'up{job="db"}'}, "POST").status_code == 204
    assert len(ours.query("up", time=at)) == 3


def test_a_snapshot_is_a_folder_of_blocks(ours):
    name = ours.ask("/api/v1/admin/tsdb/snapshot", method="POST").json()["data"]["name"]
    folder = os.path.join(ours.data_dir, "snapshots", name)
    assert any(os.path.exists(os.path.join(folder, block, "meta.json")) for block in os.listdir(folder))
    bad = ours.ask("/api/v1/admin/tsdb/snapshot", {"skip_head": "x"}, "POST")
    assert bad.status_code == 400 and "ParseBool" in bad.json()["error"]
    assert ours.ask("/api/v1/admin/tsdb/clean_tombstones", method="POST").status_code == 204
    assert ours.data("status/tsdb/blocks")["blocks"] == []


def test_every_query_is_a_line_of_the_query_log(serve, sextant_bin, tmp_path):
    log = tmp_path / "queries.log"
    app = Observe(serve, sextant_bin, tmp_path, config=f"global: {{query_log_file: {log}}}\n")
    app.query("1 + 1", time=5)
    app.query_range("vector(1)", 0, 10, 5)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["params"]["query"] for line in lines] == ["1 + 1", "vector(1)"]
    assert lines[1]["params"]["step"] == 5
    assert lines[0]["httpRequest"]["path"] == "/api/v1/query"


def test_flags_are_prometheus_flags(sextant_bin, tmp_path):
    import subprocess
    run = lambda *flags: subprocess.run([sextant_bin, "observe", *flags], capture_output=True, text=True, timeout=30)
    for flags, words in ([["--agent"], "agent"], [["--web.lisen-address=x"], "did you mean --web.listen-address"],
                         [["--query.timeout=x"], "--query.timeout"], [["--enable-feature=nope"], "nope"],
                         [["--storage.tsdb.retention.time"], "wants a value"], [["what"], "what"],
                         [[f"--config.file={tmp_path}/none.yml"], "none.yml"]):
        done = run(*flags)
        assert done.returncode == 2 and words in done.stderr, done.stderr


def test_writers_and_readers_side_by_side(ours):
    """Writes go on while queries run: what is read is always a whole number of batches."""
    stop, faults = threading.Event(), []

    def write():
        api = ours.__class__.__mro__[1](ours.address)
        i = 0
        while not stop.is_set():
            i += 1
            api.write([({"__name__": "batch", "n": str(n)}, [(ours.t0 + i * 1000, float(i))]) for n in range(50)])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(60):
            found = ours.query("count by (__name__) (last_over_time(batch[1h]))", time=ours.t0 / 1000 + 3000)
            if found and found[0]["value"][1] != "50":
                faults.append(found)
    finally:
        stop.set()
        thread.join()
    assert not faults
