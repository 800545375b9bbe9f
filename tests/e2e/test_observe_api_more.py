"""What the API tells beyond series: notifications as they come, the server's own metrics, running queries,
the log of queries."""
import json
import os
import socket
import time

import pytest
import requests

from lib.observe import PROMETHEUS, TIMEOUT_S, Observe, Prometheus, write_config
from lib.wait import wait_for

SLOW = "quantile_over_time(0.5,quantile_over_time(0.5,quantile_over_time(0.5,temperature[50m:1s])[50m:1s])[50m:1s])"


class Events:
    """The events of /api/v1/notifications/live, as they come."""

    def __init__(self, app):
        self.answer = requests.get(app.url("/api/v1/notifications/live"), stream=True, timeout=TIMEOUT_S)
        self.lines = self.answer.iter_lines()

    def next(self):
        for line in self.lines:
            if line.startswith(b"data: "):
                return json.loads(line[6:])
        return None

    def close(self):
        self.answer.close()


def test_notifications_are_listed_and_sent_as_they_come(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path, flags=["--web.enable-lifecycle"])
    wait_for(lambda: app.data("notifications") == [], what="the start to be over")
    events = Events(app)
    assert events.answer.status_code == 200
    assert events.answer.headers["Content-Type"] == "text/event-stream"
    write_config(tmp_path, "nonsense: 1\n")
    assert app.ask("/-/reload", method="POST").status_code == 500
    told = events.next()
    assert told["active"] and told["text"] == "Configuration reload has failed."
    assert app.data("notifications") == [told]
    newcomer = Events(app)
    assert newcomer.next() == told
    newcomer.close()
    write_config(tmp_path, "global: {}\n")
    assert app.ask("/-/reload", method="POST").status_code == 200
    assert events.next() == {**told, "active": False}
    assert app.data("notifications") == []
    assert app.metric("prometheus_api_notification_updates_sent_total") >= 3
    # An open stream does not hold up the end: it is told, and ends.
    began = time.monotonic()
    assert app.ask("/-/quit", method="POST").status_code == 200
    assert events.next()["text"].startswith("Prometheus is shutting down")
    assert events.next() is None
    assert app.process.wait() == 0
    assert time.monotonic() - began < 8


def test_subscribers_are_no_more_than_the_flag_says(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path, flags=["--web.max-notifications-subscribers=2"])
    streams = [Events(app) for _ in range(2)]
    third = app.ask("/api/v1/notifications/live")
    assert third.status_code == 204
    assert app.metric("prometheus_api_notification_active_subscribers") == 2
    streams[0].close()
    wait_for(lambda: app.metric("prometheus_api_notification_active_subscribers") == 1, seconds=20,
             what="the subscriber to be gone")
    again = Events(app)
    assert again.answer.status_code == 200
    for s in (streams[1], again):
        s.close()


def test_own_metrics_as_json_are_those_of_the_page(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path)
    app.query("1")
    page = {line.split()[2]: line.split()[3] for line in app.ask("/metrics").text.splitlines()
            if line.startswith("# TYPE")}
    families = app.data("status/self_metrics")
    assert {f["name"]: f["type"].lower() for f in families} == page
    ready = app.data("status/self_metrics", {"metric_name_pattern": "prometheus_ready"})
    assert ready == [{"name": "prometheus_ready", "help": ready[0]["help"], "type": "GAUGE",
                      "metric": [{"gauge": {"value": 1}}]}]
    times = app.data("status/self_metrics", {"metric_name_pattern": "prometheus_engine_query_duration_histogram.*"})
    slices = {m["label"][0]["value"]: m["histogram"] for m in times[0]["metric"]}
    assert int(slices["inner_eval"]["sampleCount"]) >= 1
    assert slices["inner_eval"]["bucket"][-1]["upperBound"] in (60, "Infinity")
    times = app.data("status/self_metrics", {"metric_name_pattern": "prometheus_engine_query_duration_seconds"})
    slices = {m["label"][0]["value"]: m["summary"] for m in times[0]["metric"]}
    assert int(slices["inner_eval"]["sampleCount"]) >= 1
    assert [q["quantile"] for q in slices["inner_eval"]["quantile"]] == [0.5, 0.9, 0.99]
    assert app.ask("/api/v1/status/self_metrics", {"metric_name_pattern": "("}).status_code == 400


def test_features_say_how_deltas_are_taken(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path, flags=["--enable-feature=otlp-deltatocumulative"])
    assert app.data("features")["otlp_receiver"] == {"delta_conversion": True,
                                                     "native_delta_ingestion": False}


def test_running_queries_are_counted_told_and_killed(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path, flags=["--web.enable-admin-api", "--query.log-slower-than=1ms"])
    t0 = int(time.time()) * 1000
    app.write([({"__name__": "temperature", "n": str(n)}, [(t0 - 15000 * i, float(i)) for i in range(200, -1, -1)])
               for n in range(300)])
    s = socket.create_connection(app.process.host_port())
    s.sendall(f"GET /api/v1/query?query={SLOW}&time={t0 / 1000} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    running = wait_for(lambda: app.data("status/queries"), what="the query in the list")
    assert running[0]["query"] == SLOW and running[0]["client"] == "127.0.0.1" and running[0]["started"]
    assert app.metric("prometheus_engine_queries") == 1
    assert app.metric("prometheus_engine_queries_concurrent_max") == 20
    assert app.ask(f"/api/v1/admin/queries/{running[0]['id']}/kill", method="PUT").status_code == 204
    s.settimeout(TIMEOUT_S)
    assert b" 499 " in s.recv(65536).split(b"\r\n")[0]
    wait_for(lambda: app.metric("prometheus_engine_queries") == 0, what="the query to end")
    assert app.metric("sextant_engine_queries_killed_total") == 1


def test_killing_needs_the_admin_flag(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path)
    refused = app.ask("/api/v1/admin/queries/1/kill", method="POST")
    assert refused.json()["error"] == "admin APIs disabled"


def test_an_explanation_tells_times(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path)
    app.write([({"__name__": "m", "n": str(i)}, [(int(time.time()) * 1000, 1.0)]) for i in range(10)])
    for path, params in (("query", {}), ("query_range", {"start": time.time() - 60, "end": time.time(), "step": 5})):
        told = app.data(path, {"query": "sum(rate(m[1m]))", "explain": 1, **params})["explain"]
        assert "ms" in told or "µs" in told or "us" in told, told
        assert "10" in told, told


@pytest.mark.skipif(not os.path.exists(PROMETHEUS), reason="no Prometheus here; run scripts/peers.sh")
def test_the_query_log_has_prometheus_fields(serve, sextant_bin, spawn, tmp_path):
    lines = []
    for name in ("ours", "peer"):
        folder = tmp_path / name
        folder.mkdir()
        log = folder / "queries.log"
        config = f"global: {{query_log_file: {log}}}\n"
        api = (Observe(serve, sextant_bin, folder, config) if name == "ours"
               else Prometheus(spawn, folder, config))
        api.query("1 + 1", time=5)
        api.query_range("vector(1)", 0, 10, 5)
        api.ask("/api/v1/query", {"query": "{__name__=~'.+'} * on() {__name__=~'.+'}", "time": 5})
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= 3, what="three lines")
        lines.append([json.loads(line) for line in log.read_text().splitlines()])

    def form(value):
        return {k: form(v) for k, v in value.items()} if isinstance(value, dict) else type(value).__name__

    for ours, theirs in zip(*lines):
        mine, peers = form(ours), form(theirs)
        for beside in ("spanID", "traceID", "source"):
            peers.pop(beside, None), mine.pop(beside, None)
        for part in peers:
            assert part in mine, f"no {part}: {ours}"
        assert mine["params"] == peers["params"] and mine["httpRequest"] == peers["httpRequest"]
        assert ours["params"] == theirs["params"] and ours["httpRequest"]["path"] == theirs["httpRequest"]["path"]
        assert ours["level"] == theirs["level"] and ours["msg"] == theirs["msg"]
        assert set(peers["stats"]["timings"]) == set(mine["stats"]["timings"])


def test_remote_messages_are_those_that_the_flag_names(serve, sextant_bin, tmp_path):
    flag = "--web.remote-write-receiver.accepted-protobuf-messages=io.prometheus.write.v2.Request"
    app = Observe(serve, sextant_bin, tmp_path, flags=[flag])
    post = lambda kind: app.session.post(app.url("/api/v1/write"), data=b"\x00", timeout=TIMEOUT_S,
                                         headers={"Content-Encoding": "snappy", "Content-Type": kind})
    assert post("application/x-protobuf").status_code == 415
    assert post("application/x-protobuf;proto=prometheus.WriteRequest").status_code == 415
    assert post("application/x-protobuf;proto=io.prometheus.write.v2.Request").status_code == 204


def test_a_flag_without_effect_is_told(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path, flags=["--web.console.templates=x"])
    assert "a flag has no effect flag=web.console.templates" in app.process.log()
