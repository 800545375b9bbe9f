"""The metric store beside Prometheus: its chunks, its log and its data directory, both ways."""
import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from lib.wait import wait_for

DEADLINE_S = 60


@pytest.fixture
def peers(repo):
    found = os.path.join(repo, ".cache", "peers", "bin")
    if not os.path.exists(os.path.join(found, "prometheus")):
        pytest.skip("no Prometheus 3: scripts/peers.sh builds one into .cache/peers/bin")
    return found


@pytest.fixture
def tool():
    from conftest import BUILD
    return os.path.join(BUILD, "tests", "e2e", "programs", "tsdb_tool")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Prometheus:
    """A peer on a port of its own; `with` kills it at the end."""

    def __init__(self, peers, folder, data, config, *more):
        self.port = free_port()
        path = os.path.join(folder, f"prometheus-{self.port}.yml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config.replace("PORT", str(self.port)))
        self.log = open(path + ".log", "w", encoding="utf-8")
        self.child = subprocess.Popen(
            [os.path.join(peers, "prometheus"), f"--config.file={path}",
             f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{self.port}", *more],
            stdout=self.log, stderr=self.log)

    def __enter__(self):
        self.wait(lambda: self.get("/-/ready") is not None)
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.log.close()

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as r:
                return r.read()
        except OSError:
            return None

    def query(self, expr):
        answer = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expr}))
        return json.loads(answer)["data"]["result"] if answer else []

    @staticmethod
    def wait(condition):
        wait_for(condition, seconds=DEADLINE_S)


def test_float_chunks_have_the_very_bytes_of_prometheus(peers, tool, tmp_path):
    random.seed(7)
    steps = [1, 15000, 15001, 8191, 8192, 8193, 65535, 65536, 65537, 524288, 524289, 1000000]
    lines = []
    for name in ("still", "counter", "noise", "special"):
        lines.append(f"# TYPE {name} gauge")
        t, total = 1700000000000, 0
        for _ in range(500):
            t += 15000 if name in ("still", "counter") else random.choice(steps)
            total += random.randrange(1000)
            value = {"still": "42", "counter": str(total), "noise": repr(random.gauss(0, 1e6)),
                     "special": random.choice(["NaN", "+Inf", "-Inf", "-0", "5e-324"])}[name]
            lines.append(f"{name} {value} {t / 1000:.3f}")
    source = tmp_path / "in.om"
    source.write_text("\n".join(lines + ["# EOF", ""]))
    subprocess.run([os.path.join(peers, "promtool"), "tsdb", "create-blocks-from", "openmetrics",
                    str(source), str(tmp_path / "blocks")], check=True, timeout=DEADLINE_S,
                   stdout=subprocess.DEVNULL)
    files = sorted((tmp_path / "blocks").glob("*/chunks/*"))
    assert files
    for path in files:
        out = subprocess.run([tool, "chunks", str(path)], check=True, timeout=DEADLINE_S,
                             capture_output=True, text=True).stdout
        assert int(out.split()[0]) > 0


def test_a_killed_prometheus_is_read_as_it_reads_itself(peers, tool, tmp_path):
    scraping = ("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: self\n"
                "  static_configs: [{targets: ['127.0.0.1:PORT']}]\n")
    data = str(tmp_path / "data")
    with Prometheus(peers, tmp_path, data, scraping) as peer:
        peer.wait(lambda: any(float(s["value"][1]) >= 5
                              for s in peer.query("count_over_time(up[1m])")))
    copy = str(tmp_path / "copy")
    shutil.copytree(data, copy)
    ours = {}
    dump = subprocess.run([tool, "dump", copy], check=True, timeout=DEADLINE_S,
                          capture_output=True, text=True)
    for line in dump.stdout.splitlines():
        labels, t, bits = line.rsplit(" ", 2)
        name = re.search(r'__name__="([^"]*)"', labels).group(1)
        value = struct.unpack(">d", bytes.fromhex(bits))[0]
        if bits != "7ff0000000000002":  # a query does not show stale markers
            ours.setdefault(name, []).append((int(t), repr(value)))
    theirs = {}
    with Prometheus(peers, tmp_path, data, "global: {}\n") as peer:
        for series in peer.query('{__name__=~".+"}[1h]'):
            theirs.setdefault(series["metric"]["__name__"], []).extend(
                (round(t * 1000), repr(float(v))) for t, v in series["values"])
    assert "corruptions 0" in dump.stderr
    assert len(ours) > 100
    assert {k: sorted(v) for k, v in ours.items()} == {k: sorted(v) for k, v in theirs.items()}


def test_prometheus_takes_our_directory_back(peers, tool, tmp_path):
    now = int(time.time() * 1000)
    lines = [f"{s}_total {now - 600000 + k * 1000} {k}" for k in range(300) for s in ("a", "b")]
    lines += [f"late_total {now - 1000 * (k * 7 % 50)} {k * 7 % 50}" for k in range(50)]
    text = "\n".join(lines) + "\n"
    data = str(tmp_path / "data")
    echoed = subprocess.run([tool, "append", data], input=text, check=True, timeout=DEADLINE_S,
                            capture_output=True, text=True).stdout
    assert echoed == text
    subprocess.run([tool, "verify", data], input=text, check=True, timeout=DEADLINE_S, text=True,
                   stdout=subprocess.DEVNULL)
    config = "global: {}\nstorage: {tsdb: {out_of_order_time_window: 1h}}\n"
    with Prometheus(peers, tmp_path, data, config) as peer:
        for name, count in (("a_total", 300), ("b_total", 300), ("late_total", 50)):
            answer = peer.query(f"count_over_time({name}[1h])")
            assert [float(s["value"][1]) for s in answer] == [count]
