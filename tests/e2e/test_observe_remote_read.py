"""Remote read: Prometheus answers queries with samples that it reads from us."""
import http.server
import json
import os
import subprocess
import threading
import time
import urllib.parse

import pytest

from test_observe_otlp import gauge, number, point, request, exponential
from test_tsdb import Prometheus, peers  # noqa: F401 (a fixture)



@pytest.fixture
def tool():
    from conftest import BUILD
    return os.path.join(BUILD, "tests", "e2e", "programs", "remote_tool")


class Reader:
    """The read endpoint without a server: each request is a run of the tool over the database."""

    def __init__(self, tool, config, data, folder):
        lock, kinds = threading.Lock(), []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    path = os.path.join(folder, "request")
                    with open(path, "wb") as f:
                        f.write(body)
                    out = subprocess.run([tool, "read", config, data, path], capture_output=True,
                                         timeout=30, check=False)
                kind, _, answer = out.stdout.partition(b"\n")
                kinds.append(kind.decode())
                self.send_response(200 if out.returncode == 0 else 500)
                if kind == b"streamed":
                    self.send_header("Content-Type", "application/x-streamed-protobuf; "
                                     "proto=prometheus.ChunkedReadResponse")
                else:
                    self.send_header("Content-Type", "application/x-protobuf")
                    self.send_header("Content-Encoding", "snappy")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.kinds = kinds
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_prometheus_reads_floats_and_histograms_from_us(peers, tool, tmp_path):  # noqa: F811
    now_s = int(time.time()) - 30
    step = 15
    points, histograms = [], []
    for i in range(400):
        t = (now_s - (399 - i) * step) * 1_000_000_000
        points.append(number(t, float(i % 7), {"n": "1"}))
        points.append(number(t, float(i), {"n": "2"}))
        histograms.append(point(t, count=str(3 * i), sum=float(i), scale=3, positive={
            "offset": 2, "bucketCounts": [str(i), str(2 * i)]}))
    body = tmp_path / "b.json"
    body.write_text(json.dumps(request([gauge("g", points), exponential("e", histograms, "")])),
                    encoding="utf-8")
    config = tmp_path / "ours.yml"
    config.write_text("global: {external_labels: {region: eu}}\notlp: {}\n", encoding="utf-8")
    data = str(tmp_path / "ours")
    subprocess.run([tool, "otlp", str(config), data, str(body)], check=True, timeout=60,
                   capture_output=True)
    with Reader(tool, str(config), data, str(tmp_path)) as reader, \
            Prometheus(peers, str(tmp_path), str(tmp_path / "theirs"),
                       f"remote_read: [{{url: 'http://127.0.0.1:{reader.port}/read', "
                       "read_recent: true}]\n") as server:
        def one(expr):
            query = urllib.parse.urlencode({"query": expr, "time": now_s})
            found = json.loads(server.get("/api/v1/query?" + query))["data"]["result"]
            return found[0] if found else None

        assert float(one('sum_over_time(g{n="1"}[200m])')["value"][1]) == \
            sum(i % 7 for i in range(400))
        latest = one('g{n="2", region="eu"}')
        assert float(latest["value"][1]) == 399 and latest["metric"]["region"] == "eu"
        assert float(one("count_over_time(e[200m])")["value"][1]) == 400
        assert float(one("histogram_count(e)")["value"][1]) == 3 * 399
        assert float(one('count({__name__=~"g|e"})')["value"][1]) == 3
        assert one('g{region="us"}') is None
        names = json.loads(server.get("/api/v1/series?match[]=g"))["data"]
        assert sorted(s["n"] for s in names) == ["1", "2"]
    assert "streamed" in reader.kinds
