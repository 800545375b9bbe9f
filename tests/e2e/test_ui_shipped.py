"""The dashboards that come with the program, in Chromium, on what `sextant up` has of itself, its geocoder,
its visitor, this machine, a Redis and a PostgreSQL: every panel shows something, and a slow route is found
from the home page by clicks alone."""
import json
import os
import socket

import pytest

from lib.databases import PG_BIN, REDIS, Postgres, Redis
from lib.service import Process, free_port
from lib.ui import SIZES, drawn_at, query
from lib.wait import wait_for

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "dashboards")
BOARDS = {name: json.load(open(os.path.join(FOLDER, f"{name}.json"), encoding="utf-8"))
          for name in ("sextant", "service", "geocoder", "host", "redis", "postgres", "traces")}

# Panels that may have no data here, and why; every other one has some.
EMPTY = {}

pytestmark = [pytest.mark.skipif(not (REDIS and PG_BIN), reason="no redis-server or PostgreSQL"), pytest.mark.timeout(400)]


def panels_of(board):
    for p in board["panels"]:
        yield p
        yield from p.get("panels", [])


# ---- the files

@pytest.mark.parametrize("name", BOARDS)
def test_a_shipped_dashboard_is_whole(name):
    board = BOARDS[name]
    assert board["uid"] == ("sextant" if name == "sextant" else f"sextant-{name}")
    assert board["schemaVersion"] == 41 and board["tags"] == ["sextant"]
    assert board["templating"]["list"][0]["name"] == "datasource" and board["templating"]["list"][0]["type"] == "datasource"
    assert any(link["type"] == "dashboards" and link["tags"] == ["sextant"] for link in board["links"])
    panels = list(panels_of(board))
    assert len({p["id"] for p in panels}) == len(panels), "an id is there twice"
    for p in panels:
        if p["type"] == "row":
            continue
        assert p["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, p["title"]
        assert p["description"].endswith("."), p["title"]
        assert p["type"] == "heatmap" or p["type"] == "state-timeline" or "thresholds" in p["fieldConfig"]["defaults"], p["title"]
    with open(os.path.join(FOLDER, "meson.build"), encoding="utf-8") as f:
        assert f"'{name}.json'" in f.read()


# ---- in the browser

def ask_redis(port):
    """A few reads, some of which find nothing, and a few writes."""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        for words in (("SET", "a", "1", "EX", "1000"), ("SET", "b", "2"), ("GET", "a"), ("GET", "none")):
            s.sendall(f"*{len(words)}\r\n".encode() + b"".join(f"${len(w)}\r\n{w}\r\n".encode() for w in words))
            s.recv(100)


@pytest.fixture(scope="module")
def server(sextant_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shipped")
    port = free_port()
    redis = Redis(str(folder)).start()
    postgres = Postgres()
    postgres.start()
    up = Process([sextant_bin, "up", "--dir", folder / "up", "--listen", "127.0.0.1:0", "--metrics", f"127.0.0.1:{port}",
                  "--redis", f"cache={redis.url}", "--postgres", f"main=postgresql://{postgres.user}@127.0.0.1:{postgres.port}/postgres"],
                 str(folder), name="up")
    try:
        up.start()
        up.at = f"http://127.0.0.1:{port}"
        wait_for(lambda: "Sextant is up" in up.stdout(), 120, "sextant up")

        def ready():
            ask_redis(redis.port)
            return all(query(up.at, q, drawn_at()) for q in (
                'rate(redis_commands_total{cmd="get"}[30s]) > 0', "rate(pg_stat_database_xact_commit[30s]) > 0", "rate(node_cpu_seconds_total[30s]) > 0",
                'rate(http_requests_total{job="geocode", route="/search/csv/"}[1m])', 'rate(http_client_requests_total{job="visitor"}[30s]) > 0',
                'rate(traces_span_metrics_calls_total{span_name="geocode.score"}[1m]) > 0', "rate(traces_service_graph_request_total[1m]) > 0"))
        wait_for(ready, 150, "samples of everything")
        yield up
    finally:
        up.stop()
        redis.stop()
        postgres.remove()


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_shows_something(ui, name, tmp_path):
    board = BOARDS[name]
    ui.open(f"/d/{board['uid']}?from=now-5m&to=now", 1400)
    seen = ui.scroll_through()
    wanted = sorted(p["title"] for p in panels_of(board) if p["type"] != "row")
    assert sorted(p["title"] for p in seen) == wanted
    empty = {p["title"] for p in seen if p["state"] == "nodata"}
    assert [p for p in seen if p["state"] not in ("ok", "nodata")] == []
    assert empty <= set(EMPTY.get(name, {})), empty


@pytest.mark.parametrize("width,scheme", SIZES)
def test_the_service_dashboard_is_readable(ui, width, scheme):
    ui.open("/d/sextant-service?from=now-5m&to=now&var-job=geocode", width, scheme)
    ui.settled()
    ui.judge()


def test_a_slow_route_is_found_from_home_by_clicks(ui):
    ui.open("/?from=now-15m").wait("geocode", "visitor")
    ui.wait_for("[...document.querySelectorAll('.service h2 a')].some((a) => a.innerText === 'geocode' && a.pathname === '/d/sextant-service')",
                "the service's dashboard")
    ui.click(".service h2 a", "geocode")
    ui.wait_for("location.pathname.startsWith('/d/sextant-service') && location.search.includes('var-job=geocode')", "the dashboard")
    table = "document.querySelector('[data-panel-title=\"Slowest routes\"]')"
    ui.wait_for(f"{table}?.dataset.panelState === 'ok'", "the routes")
    ui.wait_for(f"{table}.querySelector('a[href*=\"/traces?\"][href*=\"operation=\"]')", "a route that leads to its traces")
    ui.js(f"{table}.querySelector('a[href*=\"operation=\"]').click()")
    ui.wait_for("location.pathname === '/traces'", "the traces")
    assert "service=geocode" in ui.path() and "operation=" in ui.path()
    ui.wait_for("document.querySelector('a[href*=\"/trace/\"]')", "a trace of the route")


def test_home_leads_to_the_dashboard_of_each_kind_and_to_the_targets(ui):
    ui.open("/").wait("redis", "postgres", "node", "geocode")
    ui.wait_for("document.querySelector('.service h2 a[href*=\"/d/sextant-redis\"]')", "the dashboards")
    named = lambda where: ui.js(f"return Object.fromEntries([...document.querySelectorAll('{where}')].map((a) => [a.innerText, a.pathname]))")  # noqa: E731
    found = named(".service h2 a")
    assert found == {**found, "geocode": "/d/sextant-service", "observe": "/d/sextant-service", "visitor": "/d/sextant-service",
                     "redis": "/d/sextant-redis", "postgres": "/d/sextant-postgres"}
    assert not {"node", "process"} & set(found), "what tells of machines and programs is no service"
    assert list(named(".machine h3 a").values()) == ["/d/sextant-host"]
    ui.click("a[title='Targets of redis']").wait("cache")
    assert ui.path().startswith("/targets?search=job%3Dredis")
