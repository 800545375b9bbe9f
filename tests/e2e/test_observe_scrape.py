"""Scraping: targets of many minds beside what Prometheus makes of them, and targets that mean harm."""
import gzip
import http.server
import json
import os
import re
import threading

import pytest

from lib.observe import PROMETHEUS, Observe, Prometheus
from lib.wait import wait_for

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OM = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Target:
    """An HTTP server on a thread of its own; `answer(handler)` answers a GET."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                try:
                    answer(self)
                except OSError:
                    pass  # the scraper has had enough
                self.close_connection = True

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def target():
    made = []

    def make(answer):
        made.append(Target(answer))
        return made[-1]
    yield make
    for t in made:
        t.stop()


def send(handler, body, kind=TEXT, status=200, fields=()):
    body = body if isinstance(body, bytes) else body.encode()
    handler.send_response(status)
    if kind is not None:
        handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in fields:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


# --- Many bodies, two scrapers.

BODIES = [
    (TEXT, "a 1\n"), (TEXT, "a 1"), (TEXT, "a{} 1\n"), (TEXT, 'a{b="c"} 1\na{b="d",} 2\n'),
    (TEXT, 'a { b = "c" , d = "e" } 1\n'), (TEXT, "a 1\na 2\n"), (TEXT, "a 1 \n"),
    (TEXT, "a\t1\n\n\nb 2\n"), (TEXT, "# a comment\n# HELP a Help \\\\ \\n.\n# TYPE a counter\na 1\n"),
    (TEXT, "# TYPE a nonsense\na 1\n"), (TEXT, "# TYPE a info\na 1\n"), (TEXT, "a NaN\nb +Inf\nc -inf\n"),
    (TEXT, "a 0x1p3\n"), (TEXT, "a 1_000\n"), (TEXT, "a 1e400\n"), (TEXT, "a\n"), (TEXT, "a x\n"),
    (TEXT, "a{b} 1\n"), (TEXT, 'a{b="c} 1\n'), (TEXT, 'a{b="c" 1\n'), (TEXT, 'a{b=c} 1\n'),
    (TEXT, "9a 1\n"), (TEXT, "a-b 1\n"), (TEXT, '{"a.b"} 1\n'), (TEXT, '{"a.b",c="d"} 1\n'),
    (TEXT, '{c="d"} 1\n'), (TEXT, '{"a","b"} 1\n'), (TEXT, 'a{"b.c"="d"} 1\n'),
    (TEXT, 'a{b="1",b="2"} 1\n'), (TEXT, 'a{b="\\"\\\\\\n\\x"} 1\n'), (TEXT, b'a{b="\xff"} 1\n'),
    (TEXT, 'a{instance="x",job="y"} 1\n'), (TEXT, 'a{b=""} 1\n'), (TEXT, "a 1 x\n"),
    (TEXT, "# HELP\n"), (TEXT, "# TYPE a\n"), (TEXT, "#HELP a b\na 1\n"), (TEXT, "a 1\r\n"),
    (TEXT, "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"),
    (TEXT, "# TYPE s summary\ns{quantile=\"1\"} 1\ns_sum 3\ns_count 2\n"), (TEXT, ""),
    (None, "a 1\n"), ("text/html", "a 1\n"), ("???", "a 1\n"), ("application/json", "{}"),
    (OM, "a 1\n# EOF\n"), (OM, "a 1\n# EOF"), (OM, "a 1\n"), (OM, "a 1\n# EOF\nb 2\n"),
    (OM, "a  1\n# EOF\n"), (OM, "# TYPE a counter\na_total 1\na_created 5\n# EOF\n"),
    (OM, '# TYPE a counter\na_total 1 # {t="x"} 1 5\n# EOF\n'), (OM, "\n# EOF\n"),
    (OM, '# TYPE a counter\na_total 1 # {t="x"}\n# EOF\n'),
    (OM, "# UNIT a_seconds seconds\na_seconds 1\n# EOF\n"), (OM, "# UNIT a seconds\na 1\n# EOF\n"),
    (OM, "# TYPE a stateset\na{a=\"b\"} 1\n# EOF\n"), (OM, "a NaN\n# EOF\n"), (OM, "# HELP a\n# EOF\n"),
    (OM, '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_count 1\nh_sum 1\n# EOF\n'),
]


# Refused by both. Prometheus's lexer takes more bytes into a token, and quotes them; ours stops at the
# first that is wrong.
WORDED_OTHERWISE = ["a  1\n# EOF\n", "a{b} 1\n", 'a{b="c} 1\n', '{c="d"} 1\n', '{"a","b"} 1\n']


def job_of(name, address, **more):
    return {"job_name": name, "scrape_interval": "1s",
            "static_configs": [{"targets": [address]}], **more}


def bodies_config(address):
    """Scraped every few seconds, so that a busy machine is in time."""
    return json.dumps({"scrape_configs": [
        job_of(f"body{i}", address, metrics_path=f"/{i}", scrape_interval="5s")
        for i in range(len(BODIES))]})


def all_scraped(api, count):
    active = api.data("targets", {"state": "active"})["activeTargets"]
    assert len(active) == count
    return all(t["health"] != "unknown" for t in active) and active


def errors_of(api):
    """The last error of each job: its first line, which in ours also says where in the body."""
    return {t["scrapePool"]: re.sub(r" \(line \d+\)$", "", t["lastError"]).split("\n")[0]
            for t in all_scraped(api, len(BODIES))}


def samples_of(api, job):
    """Labels and value of each series of a job that is there now."""
    found = api.query('{job="%s",__name__!~"scrape_(duration_seconds|series_added)"}' % job)
    return sorted((sorted(s["metric"].items()), s["value"][1]) for s in found)


@pytest.mark.skipif(not os.path.exists(PROMETHEUS), reason="no Prometheus here: scripts/peers.sh")
def test_bodies_become_what_prometheus_makes_of_them(serve, spawn, sextant_bin, tmp_path, target):
    def answer(handler):
        kind, body = BODIES[int(handler.path.strip("/"))]
        send(handler, body, kind)
    server = target(answer)
    config = bodies_config(server.address)
    ours = Observe(serve, sextant_bin, tmp_path, config)
    peer = Prometheus(spawn, tmp_path, config)
    for api in (ours, peer):
        wait_for(lambda a=api: all_scraped(a, len(BODIES)), seconds=40, what="a scrape of each")
    differences = []

    def compare():
        differences.clear()
        mine, its = errors_of(ours), errors_of(peer)
        for i, (kind, body) in enumerate(BODIES):
            job = f"body{i}"
            seen, wanted = samples_of(ours, job), samples_of(peer, job)
            if seen != wanted:
                differences.append((kind, body, seen, wanted))
            if mine[job] != its[job] and body not in WORDED_OTHERWISE:
                differences.append((kind, body, mine[job], its[job]))
        assert not differences, "\n".join(map(str, differences))
        return True
    wait_for(compare, seconds=30, what="the same samples and errors")


# --- Targets that mean harm.

def hostile(stop):
    bomb = gzip.compress(b"a" * (1 << 20) * 64, 9) * 16  # 1 GiB in 16 members

    def stream(handler, piece, pause_s=0.0, length=None):
        handler.send_response(200)
        handler.send_header("Content-Type", TEXT)
        if length is None:
            handler.send_header("Transfer-Encoding", "chunked")
        else:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        sent = 0
        while not stop.is_set() and (length is None or sent < length):
            handler.wfile.write(piece if length is not None else
                                b"%x\r\n%s\r\n" % (len(piece), piece))
            sent += len(piece)
            stop.wait(pause_s) if pause_s else None

    def answer(handler):
        path = handler.path.split("?")[0]
        if path == "/good":
            send(handler, "good 1\n")
        elif path == "/huge":
            stream(handler, b"a 1\n" * 16384, length=1 << 30)
        elif path == "/endless":
            stream(handler, b"a 1\n" * 16384)
        elif path == "/drip":
            stream(handler, b"a", pause_s=0.1)
        elif path == "/lying":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                b"Content-Length: 1000\r\n\r\na 1\n")
        elif path == "/short":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                b"Content-Length: 2\r\n\r\na 1\nand much more\n")
        elif path == "/bomb":
            send(handler, bomb, fields=[("Content-Encoding", "gzip")])
        elif path == "/broken":
            send(handler, bomb[:5000], fields=[("Content-Encoding", "gzip")])
        elif path == "/loop":
            send(handler, "", status=302, fields=[("Location", "/loop")])
        elif path == "/flood":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not stop.is_set():
                handler.wfile.write(b"x-more: and more\r\n" * 1000)
        elif path == "/noise":
            handler.wfile.write(os.urandom(4096))
        elif path == "/series":
            send(handler, "".join(f'a{{b="{os.urandom(8).hex()}"}} 1\n' for _ in range(20000)))
        elif path == "/silent":
            stop.wait(30)
    return answer


HOSTILE = {
    "huge": "body size limit exceeded", "endless": "body size limit exceeded",
    "drip": "context deadline exceeded", "lying": "", "short": "",
    "bomb": "body size limit exceeded", "broken": "gzip", "loop": "redirects", "flood": "",
    "noise": "", "series": "sample limit exceeded", "silent": "context deadline exceeded",
}


def peak_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1024


def test_hostile_targets_harm_only_themselves(serve, sextant_bin, tmp_path, target):
    stop = threading.Event()
    server = target(hostile(stop))
    config = {"scrape_configs": [
        job_of(name, server.address, metrics_path=f"/{name}", body_size_limit="20MB",
               sample_limit=1000) for name in HOSTILE]}
    config["scrape_configs"].append(job_of("good", server.address, metrics_path="/good"))
    app = Observe(serve, sextant_bin, tmp_path, json.dumps(config))
    try:
        def judged():
            active = {t["scrapePool"]: t for t in
                      app.data("targets", {"state": "active"})["activeTargets"]}
            for name, words in HOSTILE.items():
                t = active[name]
                if name == "short":  # what is declared is taken, and makes no sense
                    assert t["health"] in ("up", "down")
                    continue
                assert t["health"] == "down" and words in t["lastError"], (name, t["lastError"])
                assert t["lastError"], name
            assert active["good"]["health"] == "up"
            return active
        wait_for(judged, seconds=40, what="all to be judged")
        wait_for(lambda: float(app.query('count_over_time(good[1m])')[0]["value"][1]) >= 8,
                 seconds=30, what="the good one going on")
        assert app.query('min_over_time(up{job="good"}[1m])')[0]["value"][1] == "1"
        assert peak_mib(app.process.pid) < 400
    finally:
        stop.set()
