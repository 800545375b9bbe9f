"""The very requests that Grafana's Prometheus data source sends, and Prometheus's own description of
its API (OpenAPI) held against our answers."""
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jsonschema
import pytest
import yaml

from lib.observe import PROMETHEUS, Observe, Prometheus
from lib.wait import wait_for

RULES = """
groups:
  - name: first
    rules:
      - {record: "job:up:sum", expr: "sum by (job) (up)"}
      - {alert: Down, expr: "up == 0", labels: {severity: page}, annotations: {summary: "{{ $labels.job }} is down"}}
  - name: second
    rules:
      - {alert: Always, expr: "vector(1)", for: 1h}
"""
METRICS = b"# HELP demo_total Things.\n# TYPE demo_total counter\ndemo_total{kind=\"a\"} 3\ndemo_total{kind=\"b\"} 4\n"


class Target(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(METRICS)

    def log_message(self, *_):
        pass


@pytest.fixture
def target():
    server = HTTPServer(("127.0.0.1", 0), Target)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def app(serve, sextant_bin, tmp_path, target):
    """Scrapes a target and one that is not there, evaluates rules, has an exemplar."""
    (tmp_path / "rules.yml").write_text(RULES)
    config = f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:1"]}}]}}]}}
scrape_configs:
  - job_name: demo
    static_configs: [{{targets: ["{target}"]}}]
  - job_name: gone
    static_configs: [{{targets: ["127.0.0.1:1"]}}]
  - job_name: dropped
    static_configs: [{{targets: ["127.0.0.1:2"]}}]
    relabel_configs: [{{action: drop, source_labels: [job], regex: dropped}}]
"""
    app = Observe(serve, sextant_bin, tmp_path, config)
    now = int(time.time() * 1000)
    app.write([({"__name__": "seen_total"}, [(now - 1000, 1.0)])],
              exemplars=[({"__name__": "seen_total"}, {"trace_id": "abc"}, 1.0, now - 1000)])
    wait_for(lambda: app.query("demo_total") and len(app.query("job:up:sum")) == 2 and app.data("alerts")["alerts"],
             seconds=20, what="scrapes, rules and an alert")
    return app


def post(app, path, form):
    """As Grafana posts: a form, and the headers of its proxy."""
    answer = app.ask("/api/v1/" + path, form, "POST", {"Accept-Encoding": "gzip", "X-Grafana-Org-Id": "1",
                                                       "User-Agent": "Grafana/11.3.0"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert body["status"] == "success"
    return body["data"]


def test_grafanas_data_source_is_served(app):
    now = time.time()
    # "Save & test": is anybody there, and who?
    health = post(app, "query", {"query": "1+1", "time": f"{now:.3f}"})
    assert health["resultType"] == "scalar" and health["result"][1] == "2"
    build = app.data("status/buildinfo")
    assert build["version"].split(".")[0] == "3"
    assert "features" not in build

    # A panel: a range query with a step in seconds, aligned by Grafana.
    start, end = int(now) // 15 * 15 - 300, int(now) // 15 * 15 + 15
    panel = post(app, "query_range", {"query": 'sum by (kind) (demo_total{kind=~"a|b"})', "start": str(start),
                                      "end": str(end), "step": "15", "timeout": "60s"})
    assert panel["resultType"] == "matrix"
    assert {s["metric"]["kind"] for s in panel["result"]} <= {"a", "b"}
    table = post(app, "query", {"query": "demo_total", "time": f"{time.time():.3f}"})
    assert {s["value"][1] for s in table["result"]} == {"3", "4"}

    # The builder: names of metrics, labels and values, as it asks for them since version 8.
    window = {"start": str(start), "end": str(end)}
    names = app.data("label/__name__/values", window)
    assert {"demo_total", "up", "job:up:sum"} <= set(names)
    labels = app.data("labels", {**window, "match[]": '{__name__="demo_total"}'})
    assert labels == ["__name__", "instance", "job", "kind"]
    assert post(app, "labels", {**window, "match[]": '{__name__="demo_total"}'}) == labels
    assert app.data("label/kind/values", {**window, "match[]": '{__name__="demo_total"}'}) == ["a", "b"]
    assert app.data("label/job/values", window) == ["demo", "gone"]
    series = post(app, "series", {**window, "match[]": "demo_total", "limit": "40000"})
    assert {s["kind"] for s in series} == {"a", "b"}
    metadata = app.data("metadata", {"limit": "40000"})
    assert metadata["demo_total"] == [{"type": "counter", "unit": "", "help": "Things."}]

    # Exemplars, rules of the alert list, and template variables by a query.
    found = post(app, "query_exemplars", {"query": "seen_total", **window})
    assert found[0]["exemplars"][0]["labels"] == {"trace_id": "abc"}
    groups = app.data("rules")["groups"]
    assert [g["name"] for g in groups] == ["first", "second"]
    assert post(app, "query", {"query": "group by (kind) (demo_total)"})["resultType"] == "vector"


def test_rules_are_filtered_and_paged(app):
    names = lambda **params: [r["name"] for g in app.data("rules", params)["groups"] for r in g["rules"]]
    assert names(type="alert") == ["Down", "Always"]
    assert names(type="record") == ["job:up:sum"]
    assert names(**{"rule_name[]": "Down"}) == ["Down"]
    assert names(**{"rule_group[]": "second"}) == ["Always"]
    assert names(**{"file[]": "nowhere"}) == []
    assert names(**{"match[]": '{severity="page"}'}) == ["Down"]
    first = app.data("rules", {"group_limit": 1})
    assert [g["name"] for g in first["groups"]] == ["first"]
    rest = app.data("rules", {"group_limit": 1, "group_next_token": first["groupNextToken"]})
    assert [g["name"] for g in rest["groups"]] == ["second"] and "groupNextToken" not in rest
    for params, words in (({"group_limit": 0}, "greater than 0"), ({"group_next_token": "x"}, "group_limit needs"),
                          ({"group_limit": 1, "group_next_token": "x"}, "were rule groups changed?"),
                          ({"type": "x"}, "not supported value"), ({"exclude_alerts": "x"}, "ParseBool")):
        answer = app.ask("/api/v1/rules", params)
        assert answer.status_code == 400 and words in answer.json()["error"]


def test_targets_tell_what_became_of_them(app):
    health = lambda: {t["scrapePool"]: t["health"] for t in app.data("targets")["activeTargets"]}
    wait_for(lambda: health() == {"demo": "up", "gone": "down"}, what="a scrape of each")
    targets = app.data("targets")
    by_pool = {t["scrapePool"]: t for t in targets["activeTargets"]}
    assert by_pool["gone"]["lastError"]
    assert targets["droppedTargetCounts"]["dropped"] == 1
    assert [t["scrapePool"] for t in app.data("targets", {"state": "dropped"})["droppedTargets"]] == ["dropped"]
    assert app.data("scrape_pools")["scrapePools"] == ["demo", "dropped", "gone"]
    told = app.data("targets/metadata", {"metric": "demo_total"})
    assert told[0]["help"] == "Things." and "metric" not in told[0]


@pytest.mark.skipif(not os.path.exists(PROMETHEUS), reason="no Prometheus here; run scripts/peers.sh")
def test_answers_are_what_prometheus_describes(app, spawn, tmp_path):
    folder = tmp_path / "peer"
    folder.mkdir()
    peer = Prometheus(spawn, folder)
    described = yaml.safe_load(peer.ask("/api/v1/openapi.yaml").text)
    asked = {
        "/query": {"query": "up"}, "/query_range": {"query": "up", "start": time.time() - 60, "end": time.time(),
                                                    "step": 15},
        "/query_exemplars": {"query": "seen_total"}, "/labels": {}, "/series": {"match[]": "up"}, "/metadata": {},
        "/format_query": {"query": "sum(up)"}, "/parse_query": {"query": "sum(up)"}, "/targets": {},
        "/targets/metadata": {}, "/scrape_pools": {}, "/rules": {}, "/alerts": {}, "/alertmanagers": {},
        "/status/config": {}, "/status/runtimeinfo": {}, "/status/buildinfo": {}, "/status/flags": {},
        "/status/tsdb": {}, "/status/walreplay": {}, "/features": {},
    }
    checked = 0
    for path, params in asked.items():
        operation = described["paths"][path]["get"]
        answer = app.ask("/api/v1" + path, params)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": described["components"]}).validate(answer.json())
        refused = app.ask("/api/v1" + path, {"limit": "x", "query": "(", "match[]": "{", "group_limit": "x"})
        if refused.status_code >= 400 and "default" in operation["responses"]:
            schema = operation["responses"]["default"]["content"]["application/json"]["schema"]
            jsonschema.Draft202012Validator({**schema, "components": described["components"]}).validate(refused.json())
        checked += 1
    assert checked == len(asked)
