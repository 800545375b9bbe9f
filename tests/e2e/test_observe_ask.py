"""Commands that ask a server: `sextant check healthy|ready`, `sextant query exemplars|analyze|series|labels`,
beside promtool where it has the same."""
import os
import struct
import subprocess
import time

import pytest

from lib.observe import PROMTOOL, TIMEOUT_S, Observe, _field, _label, _varint, snappy

NOW = int(time.time())


@pytest.fixture
def app(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path)
    series = []
    for job in ("a", "b"):
        for n, le in enumerate(("0.1", "1", "10", "+Inf")):
            per = {"a": (0, 3, 3, 5), "b": (1, 2, 3, 4)}[job][n]
            series.append(({"__name__": "took_bucket", "job": job, "le": le},
                           [((NOW - 60 + 15 * i) * 1000, float(per * i)) for i in range(4)]))
    app.write(series, exemplars=[({"__name__": "took_bucket", "job": "a", "le": "1"}, {"trace_id": "x"}, 0.5, (NOW - 20) * 1000)])
    return app


def run(binary, *args):
    return subprocess.run([binary, *args], capture_output=True, text=True, timeout=60)


def test_a_server_is_healthy_and_ready_or_not(app, sextant_bin):
    for kind in ("healthy", "ready"):
        good = run(sextant_bin, "check", kind, "--url", app.url(""))
        assert good.returncode == 0 and f"SUCCESS: Prometheus Server is {kind.capitalize()}." in good.stdout
        gone = run(sextant_bin, "check", kind, "--url", "http://127.0.0.1:1")
        assert gone.returncode == 1 and "Connection refused" in gone.stderr
        other = run(sextant_bin, "check", kind, "--url", app.url("/elsewhere"))
        assert other.returncode == 1 and "status 404" in other.stderr
        if os.path.exists(PROMTOOL):
            assert run(PROMTOOL, "check", kind, "--url", app.url("")).returncode == 0
            assert run(PROMTOOL, "check", kind, "--url", "http://127.0.0.1:1").returncode == 1


def test_exemplars_are_lines_of_openmetrics(app, sextant_bin):
    done = run(sextant_bin, "query", "exemplars", "took_bucket", "--url", app.url(""), "--start", str(NOW - 300), "--end", str(NOW))
    assert done.stdout == f'took_bucket{{job="a", le="1"}} # {{trace_id="x"}} 0.5 {NOW - 20}\n', done.stderr
    assert run(sextant_bin, "query", "exemplars", "took_bucket", "--url", app.url(""), "--end", "5").stdout == ""
    bad = run(sextant_bin, "query", "exemplars", "took{", "--url", app.url(""))
    assert bad.returncode != 0 and "parse error" in bad.stderr


def test_lists_have_bounds_of_time(app, sextant_bin):
    ask = lambda *args: run(sextant_bin, "query", *args, "--url", app.url("")).stdout
    assert len(ask("series", "took_bucket").splitlines()) == 8
    assert ask("series", "took_bucket", "--end", "1000") == ""
    assert ask("labels", "took_bucket", "--start", str(NOW - 300)) == "__name__\njob\nle\n"
    assert ask("label-values", "job", "--start", str(NOW - 300)) == "a\nb\n"
    assert run(sextant_bin, "query", "labels", "--start", "soon").returncode == 1


@pytest.mark.skipif(not os.path.exists(PROMTOOL), reason="no promtool here; run scripts/peers.sh")
def test_histograms_are_analyzed_as_promtool_does(app, sextant_bin):
    span = lambda offset, length: b"\x08" + _varint(offset << 1) + b"\x10" + _varint(length)
    double = lambda number, v: _varint(number << 3 | 1) + struct.pack("<d", v)
    body = b"".join(_label(n, v) for n, v in (("__name__", "native"), ("job", "a")))
    for i, counts in enumerate(([1.0, 0.0, 2.0], [1.0, 1.0, 2.0], [3.0, 1.0, 2.0])):
        body += _field(4, double(2, sum(counts)) + double(3, 1.0) + b"\x20" + _varint(1 << 1) + double(5, 0.001) + double(7, 0.0) +
                       _field(11, span(0, 3)) + _field(13, b"".join(struct.pack("<d", c) for c in counts)) +
                       b"\x78" + _varint((NOW - 60 + 15 * i) * 1000))
    answer = app.session.post(app.url("/api/v1/write"), data=snappy(_field(1, body)), timeout=TIMEOUT_S,
                              headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
    assert answer.status_code in (200, 204), answer.text
    theirs = run(PROMTOOL, "query", "analyze", "--server", app.url(""), "--type", "histogram", "--time", str(NOW),
                 "--match", "took_bucket", "--match", "native")
    ours = run(sextant_bin, "query", "analyze", "took_bucket", "native", "--url", app.url(""), "--time", str(NOW))
    assert theirs.returncode == ours.returncode == 0, theirs.stderr + ours.stderr
    figures = lambda text: sorted(line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith("- "))
    assert figures(ours.stdout) == figures(theirs.stdout) and len(figures(ours.stdout)) >= 9, theirs.stdout + ours.stdout
    for kind in ("Native histogram series (1 in total)", "Classic histogram series (2 in total)"):
        assert kind in ours.stdout and kind in theirs.stdout
