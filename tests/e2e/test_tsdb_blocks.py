"""Blocks of samples beside Prometheus: theirs read by us, ours by them, byte for byte where it counts."""
import os
import re
import shutil
import struct
import subprocess
import urllib.request

import pytest

from test_tsdb import DEADLINE_S, Prometheus, peers, tool  # noqa: F401 (fixtures)

HISTOGRAM = re.compile(r"\{count:([^,]+), sum:([^,}]+)")


def run(*command):
    return subprocess.run([str(c) for c in command], check=True, timeout=DEADLINE_S,
                          capture_output=True, text=True).stdout


def ours(tool, data):
    """{(labels, time): value} of a directory as we read it."""
    found = {}
    for line in run(tool, "dump", data).splitlines():
        labels, rest = re.fullmatch(r"(\{.*\}) (.*)", line).groups()
        words = rest.split()
        if words[1] == "histogram":
            found[labels, int(words[0])] = f"{words[2]} {words[3]}"
        else:
            found[labels, int(words[0])] = repr(struct.unpack(">d", bytes.fromhex(words[1]))[0])
    return found


def theirs(peers, data):
    """The same as promtool reads it."""
    found = {}
    os.makedirs(os.path.join(data, "wal"), exist_ok=True)  # promtool does not go without
    for line in run(os.path.join(peers, "promtool"), "tsdb", "dump", data).splitlines():
        labels, value, t = re.fullmatch(r"(\{.*?\}) (.*) (-?\d+)", line).groups()
        histogram = HISTOGRAM.match(value)
        if histogram:
            value = " ".join(f"{float(v):g}" for v in histogram.groups())
        else:
            value = repr(float(value))
        found[labels, int(t)] = value
    return found


def test_prometheus_reads_blocks_that_we_cut_and_compacted(peers, tool, tmp_path):
    data = tmp_path / "data"
    run(tool, "fill", data)
    before = ours(tool, data)
    blocks = run(tool, "maintain", data).splitlines()
    assert [b.split()[4] for b in blocks] == ["3", "1"]
    assert ours(tool, data) == before
    assert theirs(peers, data) == before
    listed = run(os.path.join(peers, "promtool"), "tsdb", "list", data)
    assert all(b.split()[0] in listed for b in blocks)
    analyzed = run(os.path.join(peers, "promtool"), "tsdb", "analyze", data)
    assert "Total Series: 30" in analyzed
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    config = "global: {}\nstorage: {tsdb: {out_of_order_time_window: 1d}}\n"
    end = max(t for _, t in before) / 1000
    with Prometheus(peers, tmp_path, str(copy), config, "--storage.tsdb.retention.time=100y") as peer:
        for name in ("fill", "fill_h"):
            count = peer.query(f"sum(count_over_time({name}[14h] @ {end}))")
            assert float(count[0]["value"][1]) == sum(name + '"' in labels for labels, _ in before)


def test_we_read_blocks_that_prometheus_cut_and_pack_the_very_bytes(peers, tool, tmp_path):
    data = tmp_path / "data"
    run(tool, "fill", data)
    before = ours(tool, data)
    config = "global: {}\nstorage: {tsdb: {out_of_order_time_window: 1d}}\n"
    with Prometheus(peers, tmp_path, str(data), config, "--storage.tsdb.retention.time=100y",
                    "--web.enable-admin-api") as peer:
        url = f"http://127.0.0.1:{peer.port}/api/v1/admin/tsdb/snapshot"
        urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=DEADLINE_S)
    snapshot = next((data / "snapshots").iterdir())
    there = theirs(peers, snapshot)
    assert ours(tool, snapshot) == there
    assert len(there) > 40000
    assert there == {k: v for k, v in before.items() if k in there}
    for path in snapshot.glob("*/chunks/*"):
        assert int(run(tool, "chunks", path).split()[0]) > 100


def test_blocks_of_promtool_are_taken_over(peers, tool, tmp_path):
    lines = ["# TYPE m gauge"]
    for k in range(2000):
        lines += [f'm{{i="{i}",text="ü{i % 3}"}} {k * i} {1700000000 + k * 30}' for i in range(7)]
    lines = lines[:1] + sorted(lines[1:], key=lambda x: x.split()[0])
    source = tmp_path / "in.om"
    source.write_text("\n".join(lines + ["# EOF", ""]))
    data = tmp_path / "data"
    run(os.path.join(peers, "promtool"), "tsdb", "create-blocks-from", "openmetrics", source, data)
    before = theirs(peers, data)
    assert len(before) == 14000
    assert ours(tool, data) == before
    compacted = run(tool, "maintain", data).splitlines()
    assert any(int(b.split()[4]) > 1 for b in compacted)
    assert ours(tool, data) == before
    assert theirs(peers, data) == before


@pytest.mark.kill
@pytest.mark.timeout(3600)
def test_two_hundred_kills_in_every_policy_lose_nothing(tool):
    crash = os.path.join(os.path.dirname(tool), "..", "..", "unit", "observe", "tsdb",
                         "test_tsdb_crash")
    if not os.path.exists(crash):
        pytest.skip("test_tsdb_crash is not built: scripts/test.py unit does")
    subprocess.run([crash], check=True, timeout=3500, env={**os.environ, "SX_KILLS": "200"})
