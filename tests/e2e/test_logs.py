"""Log files as others see them: parsed by Python's json, decompressed by gzip and zstd, moved away by a
logrotate, symbolised by addr2line. Ours is programs/log_zoo.c."""
import json
import os
import re
import select
import shutil
import signal
import subprocess

import pytest

from conftest import BUILD
from lib.wait import wait_for

SECONDS = 30


class Zoo:
    """A log_zoo that is told what to do, a line at a time."""

    def __init__(self, path, *options):
        program = os.path.join(BUILD, "tests", "e2e", "programs", "log_zoo")
        self.path = str(path)
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([program, self.path, *options], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        return self.process.stdout.readline().rstrip("\n")

    def end(self):
        """What it said at last, on both outputs."""
        return self.process.communicate(timeout=SECONDS)

    def lines(self):
        with open(self.path, encoding="utf-8") as f:
            return [json.loads(line) for line in f]


@pytest.fixture
def zoo(tmp_path):
    started = []

    def start(*options, path=None):
        started.append(Zoo(path or tmp_path / "shop.log", *options))
        return started[-1]
    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def test_an_event_has_the_names_that_pipelines_expect(zoo):
    log = zoo()
    assert log.tell("request") == "ok"
    [event] = log.lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("timestamp"))
    assert event == {
        "level": "INFO", "service": "shipping-collector", "layer": "collection",
        "trace_id": "4b" * 16, "span_id": "7f" * 8, "request_id": "req-42",
        "message": "Event processed successfully", "event_id": "evt-12345",
        "processing_time_ms": 125,
        "metadata": {"tracking_id": "ABC123456789", "carrier": "fedex"}}


def test_levels_change_by_a_setting(zoo):
    log = zoo()
    for setting, shown in [("warn,net=debug", {"net", "net.http"}),
                           ("off,orders.*=trace", {"orders.sync"}),
                           ("all=debug", {"net", "net.http", "orders.sync", "network"})]:
        assert log.tell("levels " + setting) == "ok"
        for name in ["net", "net.http", "network", "orders.sync"]:
            log.tell(f"say debug {name} {setting}")
        assert {e["logger"] for e in log.lines() if e["message"] == setting} == shown
    assert "'loud' is no log level" in log.tell("levels loud")


def test_repeats_are_counted(zoo):
    log = zoo("repeats=3")
    for _ in range(20):
        log.tell("say error net connection refused")
    out, _ = log.end()
    assert out == "dropped 0\n"
    events = log.lines()
    assert [e["message"] for e in events] == \
        ["connection refused"] * 3 + ["connection refused (repeated)"]
    assert events[-1]["repeats"] == 17 and events[-1]["level"] == "ERROR"


def read_with(tool, path):
    return subprocess.run([tool, "-dc", path], check=True, capture_output=True, timeout=SECONDS).stdout


@pytest.mark.parametrize("codec,tool,ending", [("gzip", "gzip", ".gz"), ("zstd", "zstd", ".zst")])
def test_rotated_files_are_read_by_the_usual_tools(zoo, tmp_path, codec, tool, ending):
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    log = zoo("rotate_bytes=50000", "keep=100", "codec=" + codec, "repeats=4294967295")
    assert log.tell("spam 2000") == "ok"

    def old():
        return [p for p in tmp_path.iterdir() if p.name != "shop.log"]
    wait_for(lambda: old() and all(p.name.endswith(ending) for p in old()))
    assert log.end()[0] == "dropped 0\n"
    texts = [read_with(tool, p) for p in sorted(old())] + [(tmp_path / "shop.log").read_bytes()]
    assert all(len(t) <= 50000 and t.endswith(b"\n") for t in texts)
    numbers = [json.loads(line)["number"] for line in b"".join(texts).splitlines()]
    assert sorted(numbers) == sorted(list(range(2000)) * 2)


def test_a_logrotate_with_sigusr1_loses_nothing(zoo, tmp_path):
    log = zoo("repeats=4294967295")
    log.process.stdin.write("spam 20000\n")
    rotations = 0
    while not select.select([log.process.stdout], [], [], 0)[0]: # till it has answered
        if os.path.exists(log.path) and os.path.getsize(log.path) > 1000:
            os.rename(log.path, tmp_path / f"shop.log.{rotations}")
            log.process.send_signal(signal.SIGUSR1)
            rotations += 1
    assert rotations > 0 # a machine with much else to do may come to one
    assert log.end()[0] == "ok\ndropped 0\n"
    numbers = []
    for path in tmp_path.iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            numbers.append(json.loads(line)["number"])
    assert sorted(numbers) == sorted(list(range(20000)) * 2)


def test_a_fifo_is_refused_clearly(zoo, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    log = zoo(path=tmp_path / "pipe")
    _, err = log.end()
    assert log.process.returncode == 1
    assert "is a FIFO; log to standard output and pipe from there" in err


def test_a_crash_leaves_a_line_that_addr2line_understands(zoo):
    log = zoo()
    log.process.stdin.write("crash\n")
    _, err = log.end()
    if "AddressSanitizer" in err or "ThreadSanitizer" in err:
        pytest.skip("the sanitizer reports it")
    assert log.process.returncode == -signal.SIGSEGV
    report = json.loads(err.splitlines()[-1])
    assert report["level"] == "FATAL" and report["signal"] == "SIGSEGV"
    assert report["message"] == "SIGSEGV: address not mapped at 0x8"
    assert report["service"] == "shipping-collector" and report["version"] == "1.4"
    assert report["trace_id"] == "4b" * 16 and report["request_id"] == "req-42"
    assert "charge_the_card" in report["backtrace"][0]["function"]
    assert any(f.get("function") == "main" for f in report["backtrace"])
    # The log has what was said before, then the same report.
    events = log.lines()
    assert events[0]["message"] == "just before" and events[-1]["signal"] == "SIGSEGV"
    if not shutil.which("addr2line"):
        return
    frame = report["backtrace"][0]
    place = subprocess.run(["addr2line", "-f", "-e", frame["module"], frame["offset"]], check=True,
                           capture_output=True, text=True, timeout=SECONDS).stdout
    assert "charge_the_card" in place and "log_zoo.c:" in place
