"""Remote write: what is written to us arrives at a receiver, Prometheus's or our own, over 1.0 and
2.0, whatever happens to either end meanwhile."""
import http.server
import os
import socket
import threading
import time

import pytest

from lib.observe import PROMETHEUS, TIMEOUT_S, Observe, Prometheus, snappy, write_request
from lib.service import free_port
from lib.wait import wait_for

MESSAGES = {"1.0": "prometheus.WriteRequest", "2.0": "io.prometheus.write.v2.Request"}
PEER = pytest.param("prometheus", marks=pytest.mark.skipif(
    not os.path.exists(PROMETHEUS), reason="no Prometheus"))
SERIES = 40


def config(address, message="1.0", more="", external=""):
    return f"""
global:
  external_labels: {{{external}}}
remote_write:
  - url: http://{address}/api/v1/write
    name: far
    protobuf_message: {MESSAGES[message]}
    send_exemplars: true
    queue_config: {{batch_send_deadline: 100ms, max_backoff: 200ms, max_samples_per_send: 50,
                   min_shards: 2}}
{more}"""


@pytest.fixture
def receiver(serve, spawn, sextant_bin, tmp_path):
    def make(kind, *flags):
        folder = tmp_path / "far"
        folder.mkdir()
        if kind == "prometheus":
            far = Prometheus(spawn, folder, flags=flags)
            far.always = far.address
            return far
        always = f"127.0.0.1:{free_port()}"  # also after a restart
        far = Observe(serve, sextant_bin, folder, flags=(f"--web.listen-address={always}",))
        far.always = always
        return far
    return make


@pytest.fixture
def sender(serve, sextant_bin, tmp_path):
    def make(text):
        folder = tmp_path / "near"
        folder.mkdir()
        return Observe(serve, sextant_bin, folder, text,
                       flags=("--web.enable-lifecycle", "--web.enable-otlp-receiver"))
    return make


def rounds(app, first, count, start):
    """One sample a second of every series, as many requests as there are seconds."""
    for i in range(first, first + count):
        app.write([({"__name__": "demo_total", "job": "x", "n": str(n)},
                    [((start + i) * 1000, float(1000 * n + i))]) for n in range(SERIES)])


def samples(app, start, name="demo_total"):
    """{labels: [(time, value)]} of all there is since `start`."""
    found = app.query(f"{name}[30m]", time=start + 1000)
    return {tuple(sorted(s["metric"].items())): [(t, float(v)) for t, v in s["values"]]
            for s in found}


def wait_equal(near, far, start, count):
    def arrived():
        here = samples(near, start)
        return len(here) == SERIES and here == samples(far, start) and \
            all(len(s) == count for s in here.values())
    wait_for(arrived, seconds=60, what="the same samples at both ends")


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("kind", [PEER, "ours"])
def test_all_arrives(receiver, sender, kind, message):
    far = receiver(kind)
    near = sender(config(far.always, message))
    start = int(time.time()) - 600
    rounds(near, 0, 20, start)
    wait_equal(near, far, start, 20)
    name = 'prometheus_remote_storage_samples_total{remote_name="far",' \
           f'url="http://{far.always}/api/v1/write"}}'
    wait_for(lambda: near.metric(name) == 20 * SERIES, what="the count of samples sent")


@pytest.mark.parametrize("kind", [PEER, "ours"])
def test_a_receiver_that_was_away_misses_nothing(receiver, sender, kind):
    far = receiver(kind)
    near = sender(config(far.always))
    start = int(time.time()) - 600
    rounds(near, 0, 5, start)
    wait_equal(near, far, start, 5)
    far.process.kill("KILL")
    rounds(near, 5, 15, start)
    far.process.start()
    if kind == "ours":
        far.address = far.process.address("http")
    wait_for(far.is_ready, seconds=30, what="the receiver")
    rounds(near, 20, 5, start)
    wait_equal(near, far, start, 25)


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("kind", [PEER, "ours"])
def test_we_are_killed_and_go_on_where_we_were(receiver, sender, kind, message):
    far = receiver(kind)
    near = sender(config(far.always, message))
    start = int(time.time()) - 600
    rounds(near, 0, 10, start)
    near.restart("KILL")
    rounds(near, 10, 10, start)
    near.restart()
    rounds(near, 20, 10, start)
    wait_equal(near, far, start, 30)


def test_late_samples_are_sent(receiver, sender):
    far = receiver("ours")
    near = sender(config(far.always))
    start = int(time.time()) - 600
    rounds(near, 10, 10, start)
    rounds(near, 0, 10, start)
    wait_equal(near, far, start, 20)


def test_relabelling_and_external_labels(receiver, sender):
    far = receiver("ours")
    near = sender(config(far.always, external="site: here, job: none", more="""
    write_relabel_configs:
      - {source_labels: [n], regex: "[0-4]", action: keep}
      - {source_labels: [n], target_label: number, replacement: "no $1"}
      - {regex: n, action: labeldrop}
"""))
    start = int(time.time()) - 600
    rounds(near, 0, 5, start)
    wait_for(lambda: sum(map(len, samples(far, start).values())) == 25, what="five series")
    assert sorted(samples(far, start)) == [
        (("__name__", "demo_total"), ("job", "x"), ("number", f"no {n}"), ("site", "here"))
        for n in range(5)]
    name = 'prometheus_remote_storage_samples_dropped_total{remote_name="far",' \
           f'url="http://{far.always}/api/v1/write",reason="dropped_series"}}'
    assert near.metric(name) == 5 * (SERIES - 5)


def test_a_reload_keeps_what_has_not_changed(receiver, sender):
    far = receiver("ours")
    text = config(far.always)
    near = sender(text)
    start = int(time.time()) - 600
    rounds(near, 0, 5, start)
    with open(near.config, "w", encoding="utf-8") as out:
        out.write(text.replace("global:", "global:\n  scrape_interval: 7s"))
    assert near.ask("/-/reload", method="POST").status_code == 200
    rounds(near, 5, 5, start)
    with open(near.config, "w", encoding="utf-8") as out:
        out.write(text.replace("min_shards: 2", "min_shards: 3"))
    assert near.ask("/-/reload", method="POST").status_code == 200
    rounds(near, 10, 5, start)
    wait_equal(near, far, start, 15)


class Refusing:
    """A receiver that answers with given statuses, then 204, and notes each request's headers."""

    def __init__(self, *answers):
        self.requests, left = [], list(answers)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(handler):
                handler.rfile.read(int(handler.headers["Content-Length"]))
                self.requests.append((time.monotonic(), dict(handler.headers)))
                status, headers = left.pop(0) if left else (204, {})
                handler.send_response(status)
                for name, value in headers.items():
                    handler.send_header(name, value)
                handler.send_header("Content-Length", "0")
                handler.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def counts(app, address):
    def read(kind):
        return app.metric(f'prometheus_remote_storage_samples_{kind}{{remote_name="far",'
                          f'url="http://{address}/api/v1/write"}}')
    return read("total"), read("retried_total"), read("failed_total")


ONE_SHARD = "    metadata_config: {send: false}\n"


@pytest.mark.parametrize("answers,retry,expected", [
    ([(500, {}), (503, {})], "false", (1, 2, 0)),
    ([(400, {})], "false", (0, 0, 1)),
    ([(429, {})], "false", (0, 0, 1)),
    ([(429, {"Retry-After": "1"})], "true", (1, 1, 0)),
])
def test_what_a_receiver_answers_is_heeded(sender, answers, retry, expected):
    with Refusing(*answers) as far:
        text = config(far.address, more=ONE_SHARD)
        near = sender(text.replace("min_shards: 2", f"retry_on_http_429: {retry}"))
        near.write([({"__name__": "one"}, [(int(time.time()) * 1000, 1.0)])])
        wait_for(lambda: counts(near, far.address) == expected, what=f"{expected}")
        (first, headers), *again = far.requests
        assert headers["Content-Encoding"] == "snappy"
        assert headers["Content-Type"] == "application/x-protobuf"
        assert headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
        assert [h["Retry-Attempt"] for _, h in again] == [str(i + 1) for i in range(len(again))]
        if "Retry-After" in answers[0][1]:
            assert again[0][0] - first >= 0.99


def test_a_receiver_that_does_not_know_2_0_is_told(sender):
    with Refusing() as far:
        near = sender(config(far.address, "2.0", more=ONE_SHARD))
        near.write([({"__name__": "one"}, [(int(time.time()) * 1000, 1.0)])])
        wait_for(lambda: counts(near, far.address) == (0, 0, 1), what="a failed sample")


def test_samples_that_have_grown_too_old_are_dropped(sender):
    with Refusing() as far:
        text = config(far.address, more=ONE_SHARD)
        near = sender(text.replace("min_shards: 2", "sample_age_limit: 1m"))
        now = int(time.time())
        near.write([({"__name__": "one"}, [((now - 300) * 1000, 1.0), (now * 1000, 1.0)])])
        wait_for(lambda: counts(near, far.address) == (1, 0, 0), what="the new sample")
        name = 'prometheus_remote_storage_samples_dropped_total{remote_name="far",' \
               f'url="http://{far.address}/api/v1/write",reason="too_old"}}'
        assert near.metric(name) == 1


def test_what_waits_is_sent_when_we_are_stopped(receiver, sender):
    far = receiver("ours")
    near = sender(config(far.always).replace("batch_send_deadline: 100ms",
                                             "batch_send_deadline: 10m"))
    now = int(time.time())
    near.write([({"__name__": "one"}, [(now * 1000, 1.0)])])
    near.process.stop()
    assert far.query("one", time=now)


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("kind", [PEER, "ours"])
def test_exemplars_and_metadata_arrive(receiver, sender, kind, message):
    far = receiver(kind, "--enable-feature=exemplar-storage,metadata-wal-records")
    near = sender(config(far.always, message, more="    metadata_config: {send_interval: 1s}\n"))
    now = int(time.time())
    labels = {"__name__": "demo_total", "job": "x"}
    near.write([(labels, [(now * 1000, 1.0)])], [(labels, {"trace_id": "17"}, 0.5, now * 1000)],
               [("demo_total", 1, "What it counts.", "")])

    def exemplars():
        return far.data("query_exemplars", {"query": "demo_total", "start": now - 60,
                                            "end": now + 60})
    found = wait_for(exemplars, what="the exemplar")
    assert found[0]["exemplars"][0]["labels"] == {"trace_id": "17"}
    if kind == "ours":
        known = wait_for(lambda: far.data("metadata", {"metric": "demo_total"}), what="metadata")
        assert known["demo_total"] == [{"type": "counter", "help": "What it counts.", "unit": ""}]


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("kind", [PEER, "ours"])
def test_we_are_killed_while_much_is_under_way(receiver, sender, kind, message):
    """Batches after the restart hold samples that had arrived beside some that had not."""
    far = receiver(kind)
    near = sender(config(far.always, message))
    start = int(time.time()) - 900
    rounds(near, 0, 3, start)
    wait_equal(near, far, start, 3)
    far.process.signal("STOP")
    rounds(near, 3, 147, start)
    far.process.signal("CONT")
    wait_for(lambda: sum(map(len, samples(far, start).values())) > 4 * SERIES,
             what="some of the samples")
    near.restart("KILL")
    wait_equal(near, far, start, 150)


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("kind", [PEER, "ours"])
def test_native_histograms_arrive(receiver, sender, kind, message):
    far = receiver(kind, *(["--enable-feature=native-histograms"] if kind != "ours" else []))
    near = sender(config(far.always, message, more="    send_native_histograms: true\n"))
    now = int(time.time())
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{
        "name": "took", "unit": "s", "exponentialHistogram": {
            "aggregationTemporality": 2,
            "dataPoints": [{"timeUnixNano": str(now * 10**9), "count": "9", "sum": 12.5,
                            "scale": 2, "zeroCount": "1", "zeroThreshold": 0.001,
                            "positive": {"offset": -3, "bucketCounts": ["2", "0", "1"]},
                            "negative": {"offset": 1, "bucketCounts": ["5"]}}]}}]}]}]}
    answer = near.session.post(near.url("/api/v1/otlp/v1/metrics"), json=body, timeout=30)
    assert answer.status_code == 200, answer.text

    def found(app):
        return [(s["metric"], s["histogram"]) for s in app.query("took_seconds", time=now)]
    here = found(near)
    assert len(here) == 1 and here[0][1][1]["count"] == "9"
    wait_for(lambda: found(far) == here, what="the same histogram")


def test_round_robin_dns_reaches_every_address_of_a_name(sender):
    """Receivers that close each connection, on both addresses of localhost and one port."""
    seen = {"127.0.0.1": 0, "::1": 0}

    class Closing(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            seen[self.server.host] += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    class Six(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6

    four = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Closing)
    four.host = "127.0.0.1"
    port = four.server_address[1]
    try:
        six = Six(("::1", port), Closing)
    except OSError:
        four.server_close()
        pytest.skip("no IPv6 here, or the port is taken")
    six.host = "::1"
    for server in (four, six):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        near = sender(config(f"localhost:{port}").replace(
            "    name: far\n", "    name: far\n    round_robin_dns: true\n"))
        start = int(time.time()) - 60
        for i in range(60):
            if all(seen.values()):
                break
            rounds(near, i, 1, start)
            before = sum(seen.values())
            wait_for(lambda: sum(seen.values()) > before, seconds=10, what="a request")
        assert all(seen.values()), seen
    finally:
        for server in (four, six):
            server.shutdown()
            server.server_close()


def test_the_worst_offenders_are_named_once_series_are_refused(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path, flags=("--storage.series-max=50",))
    now = int(time.time() * 1000)

    def named():
        text = app.session.get(app.url("/metrics"), timeout=TIMEOUT_S).text
        return [line for line in text.splitlines() if line.startswith("sextant_tsdb_series_off")]

    def write(count):
        body = write_request([({"__name__": "bad", "i": str(i)}, [(now, 1.0)])
                              for i in range(count)])
        return app.session.post(app.url("/api/v1/write"), data=snappy(body), timeout=TIMEOUT_S,
                                headers={"Content-Encoding": "snappy",
                                         "Content-Type": "application/x-protobuf"})

    assert write(10).ok and not named()
    assert write(80).status_code == 400
    assert named() == ['sextant_tsdb_series_offenders{metric="bad"} 50']
    assert app.query("count(bad)", time=now / 1000)[0]["value"][1] == "50"
