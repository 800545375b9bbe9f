"""Profiles of a running service: as pprof takes them, decoded by hand, and when clients misbehave."""
import gzip
import os
import re
import shutil
import socket
import threading

import pytest
import requests

from lib.clients import run
from lib.wait import SLOWER, wait_for

TIME = 60 * SLOWER
TSAN = "tsan" in os.environ.get("SEXTANT_BUILD", "")


# ---- profile.proto by hand: github.com/google/pprof, proto/profile.proto ----

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, value) of each field; bytes for strings, messages and packed lists."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 2:
            size, at = varint(data, at)
            assert at + size <= len(data)
            value, at = data[at:at + size], at + size
        else:
            raise AssertionError(f"wire type {tag & 7} of field {tag >> 3}")
        yield tag >> 3, value


def packed(data):
    at, values = 0, []
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values


class Profile:
    """A profile with its references resolved, each of which is checked."""

    def __init__(self, raw):
        assert raw[:2] == b"\x1f\x8b"
        parts = {}
        for number, value in fields(gzip.decompress(raw)):
            parts.setdefault(number, []).append(value)
        self.strings = [s.decode() for s in parts[6]]
        assert self.strings[0] == ""
        self.types = [tuple(self.strings[v] for _, v in fields(t)) for t in parts[1]]
        self.period = parts[12][0]
        self.default = self.strings[parts[14][0]]
        self.comments = [self.strings[c] for c in parts.get(13, [])]
        self.mappings = {}
        for raw_mapping in parts[3]:
            m = dict(fields(raw_mapping))
            self.mappings[m[1]] = (m[2], m[3], self.strings[m[5]], self.strings[m[6]])
        functions = {f[1]: self.strings[f[2]] for f in (dict(fields(x)) for x in parts.get(5, []))}
        names = {}
        for raw_location in parts.get(4, []):
            location = dict(fields(raw_location))
            if 2 in location:
                start, end, _, _ = self.mappings[location[2]]
                assert start <= location[3] < end
            line = dict(fields(location[4])) if 4 in location else {}
            names[location[1]] = functions[line[1]] if line else hex(location[3])
        self.samples = []
        for raw_sample in parts.get(2, []):
            sample = dict(fields(raw_sample))
            label = dict(fields(sample[3])) if 3 in sample else {}
            self.samples.append(([names[i] for i in packed(sample[1])], packed(sample[2]),
                                 self.strings[label[2]] if label else None))

    def total(self, value, function=None):
        return sum(v[value] for stack, v, _ in self.samples if function is None or function in stack)


@pytest.fixture
def profiled(serve):
    """profiled(flag...) starts examples/hello with an admin listener; gives it and the base address."""
    from conftest import BUILD

    def start(*flags):
        hello = serve(os.path.join(BUILD, "examples", "hello"), "--listen=127.0.0.1:0",
                      "--admin.listen=127.0.0.1:0", "--access_log=off", *flags,
                      env={"PORT": "0"}, name="hello")
        return hello, f"http://{hello.address('admin')}/debug/pprof"
    return start


class Load:
    """Requests, one after the other, until the end of the block."""

    def __init__(self, hello):
        self.url, self.over = f"http://{hello.address('http')}/", threading.Event()
        self.threads = [threading.Thread(target=self.ask) for _ in range(2)]

    def ask(self):
        with requests.Session() as session:
            while not self.over.is_set():
                session.get(self.url, timeout=TIME)

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def go_pprof(tmp_path, *args):
    """What `go tool pprof` prints; None where Go is not installed."""
    if not shutil.which("go"):
        return None
    env = {**os.environ, "PPROF_TMPDIR": str(tmp_path)}
    return run("go", "tool", "pprof", *args, env=env, seconds=300).stdout  # Go may have to build it


def test_processor_time_is_found_in_the_functions_that_use_it(profiled, tmp_path):
    hello, pprof = profiled()

    def look():
        taken = requests.get(f"{pprof}/profile?seconds=2", timeout=TIME)
        assert taken.status_code == 200
        seen = Profile(taken.content)
        # Each request passes here. libuv, between it and the loop, has no frame pointers.
        return (TSAN or seen.total(0, "sx_chain_handler") > 0) and (taken, seen)

    with Load(hello):
        answer, profile = wait_for(look, TIME)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "content-encoding" not in answer.headers
    assert 'filename="profile"' in answer.headers["content-disposition"]
    assert profile.types == [("samples", "count"), ("cpu", "nanoseconds")]
    assert profile.default == "cpu" and profile.period == 10_000_000
    assert profile.total(1) == profile.total(0) * 10_000_000
    binary = next(m for m in profile.mappings.values() if m[2].endswith("examples/hello"))
    assert re.fullmatch("[0-9a-f]{40}", binary[3])
    if TSAN:  # it holds signals back
        return
    assert {thread for _, _, thread in profile.samples} >= {"hello"}
    file = tmp_path / "cpu.pprof"
    file.write_bytes(answer.content)
    top = go_pprof(tmp_path, "-top", "-cum", file)
    if top:
        assert "Type: cpu" in top and "sx_chain_handler" in top
        assert "sx_chain_handler" in go_pprof(tmp_path, "-raw", file)


def test_go_fetches_profiles_itself(profiled, tmp_path):
    hello, pprof = profiled("--profile.heap_bytes=4096")
    with Load(hello):
        top = go_pprof(tmp_path, "-top", "-seconds=1", f"{pprof}/profile")
    if top is None:
        pytest.skip("Go is not installed")
    assert "Type: cpu" in top
    assert "Type: inuse_space" in go_pprof(tmp_path, "-top", f"{pprof}/heap")
    assert "Type: alloc_space" in go_pprof(tmp_path, "-top", f"{pprof}/allocs")
    text = tmp_path / "heap.txt"
    text.write_bytes(requests.get(f"{pprof}/heap?debug=1", timeout=TIME).content)
    assert "inuse_space" in go_pprof(tmp_path, "-top", "-sample_index=inuse_space", text)


def test_the_heap_is_found_where_it_was_allocated(profiled):
    hello, pprof = profiled("--profile.heap_bytes=1024")
    with Load(hello):
        answer = requests.get(f"{pprof}/heap", timeout=TIME)
        profile = wait_for(lambda: (p := Profile(requests.get(f"{pprof}/allocs", timeout=TIME).content))
                           .total(1) > 1_000_000 and p, TIME)
    assert Profile(answer.content).default == "inuse_space"
    assert profile.default == "alloc_space" and profile.period == 1024
    assert profile.types == [("alloc_objects", "count"), ("alloc_space", "bytes"),
                             ("inuse_objects", "count"), ("inuse_space", "bytes")]
    assert 0 <= profile.total(3) <= profile.total(1)
    assert profile.total(1, "sx_alloc") + profile.total(1, "sx_calloc") + profile.total(
        1, "sx_realloc") + profile.total(1, "sx_arena_alloc_slow") > 0
    text = requests.get(f"{pprof}/heap?debug=1", timeout=TIME)
    assert text.headers["content-type"].startswith("text/plain")
    assert re.match(r"heap profile: \d+: \d+ \[\d+: \d+\] @ heapprofile\n", text.text)
    assert "# sample_bytes = 1024\n" in text.text


def test_the_heap_may_be_left_alone(profiled):
    _, pprof = profiled("--profile.heap_bytes=0")
    profile = Profile(requests.get(f"{pprof}/heap", timeout=TIME).content)
    assert profile.samples == [] and "profile.heap_bytes" in profile.comments[0]
    assert "is not sampled" in requests.get(f"{pprof}/", timeout=TIME).text


def hold_profile(hello, pprof):
    """A connection whose profile of two minutes runs, and what a second client is told meanwhile."""
    host, port = hello.address("admin").rsplit(":", 1)

    def look():
        held = socket.create_connection((host, int(port)), timeout=TIME)
        held.sendall(b"GET /debug/pprof/profile?seconds=120 HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = requests.get(f"{pprof}/profile?seconds=1", timeout=TIME)
        if answer.status_code == 409:
            return held, answer.json()["error"]
        held.close()  # the other was first
        return None
    return wait_for(look, TIME)


def test_one_profile_at_a_time_and_a_client_that_leaves_ends_its_own(profiled):
    hello, pprof = profiled("--shutdown_ms_max=300")
    held, why = hold_profile(hello, pprof)
    assert "already" in why
    assert requests.get(f"{pprof}/heap", timeout=TIME).status_code == 200  # that is no matter
    held.close()
    wait_for(lambda: requests.get(f"{pprof}/profile?seconds=1", timeout=TIME).status_code == 200, TIME)
    # A service that ends does not wait for a profile longer than it waits for any request.
    held, _ = hold_profile(hello, pprof)
    assert hello.stop() == 0
    held.close()


def test_wrong_questions_are_told_so(profiled):
    _, pprof = profiled("--profile.seconds_max=5")
    for path, code, words in (("profile?seconds=x", 400, "whole number"),
                              ("profile?seconds=-1", 400, "whole number"),
                              ("profile?seconds=6", 400, "profile.seconds_max"),
                              ("profile?seconds=99999999999999999999", 400, "whole number"),
                              ("heap?seconds=1", 400, "-base"),
                              ("symbol?word", 400, "0x1234")):
        answer = requests.get(f"{pprof}/{path}", timeout=TIME)
        assert answer.status_code == code and words in answer.json()["error"], path
    assert requests.get(f"{pprof}/goroutine", timeout=TIME).status_code == 404


def test_pages(profiled):
    hello, pprof = profiled("--otlp.headers=authorization=secret-token")
    listed = requests.get(pprof, timeout=TIME).text
    assert all(f"/debug/pprof/{page}" in listed for page in
               ("allocs", "cmdline", "heap", "profile", "symbol", "threads"))
    page = requests.get(f"{pprof}/", headers={"Accept": "text/html"}, timeout=TIME)
    assert page.headers["content-type"].startswith("text/html") and "<a href=" in page.text
    arguments = requests.get(f"{pprof}/cmdline", timeout=TIME).text.split("\0")
    assert arguments[0].endswith("hello") and "--otlp.headers=<redacted>" in arguments
    assert "secret-token" not in "".join(arguments)
    threads = requests.get(f"{pprof}/threads", timeout=TIME).text.splitlines()
    assert threads[0].split() == ["thread", "state", "cpu_seconds", "name"]
    assert len(threads) >= 3 and all(t.split()[-1] == "hello" or TSAN for t in threads[1:])
    profile = Profile(requests.get(f"{pprof}/heap", timeout=TIME).content)
    start = min(m[0] for m in profile.mappings.values() if m[2].endswith("examples/hello"))
    symbols = requests.post(f"{pprof}/symbol", data=f"{start:#x}+{start + 0x800:#x}", timeout=TIME)
    assert symbols.text.startswith("num_symbols: 1\n")
    assert requests.get(f"{pprof}/symbol", timeout=TIME).text == "num_symbols: 1\n"
    # Never beside what everybody may ask.
    outside = f"http://{hello.address('http')}/debug/pprof/"
    assert requests.get(outside + "heap", timeout=TIME).status_code == 404
    assert requests.get(outside, timeout=TIME).status_code == 404
