"""Attacks: clients, files and surroundings that mean harm. Whatever comes, the next client is served,
memory and descriptors stay bounded, every log line is JSON, and the server stops cleanly (the
fixtures insist on that). A test marked xfail shows a fault that is known and not mended yet."""
import contextlib
import gzip
import itertools
import json
import os
import random
import re
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from lib.clients import curl, promtool, run
from lib.raw import Raw
from lib.service import READY
from lib.wait import SLOWER, wait_for

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
HELLO = "hello, world"


def known_fault(reason):
    return pytest.mark.xfail(reason=reason, strict=True)


def greets(service):
    return curl(service.url()).strip() == HELLO


def log_lines(service):
    """Every line of the access log, decoded; a line that is no JSON fails the test."""
    return [json.loads(line) for line in service.stdout().rpartition("\n")[0].splitlines()]


def open_files(service):
    return len(os.listdir(f"/proc/{service.pid}/fd"))


# ---- HTTP/1.1: slow, silent and smuggling clients

def test_a_trickled_head_is_given_up(start_hello):
    service = start_hello(HELLO_HTTP_HEADER_MS_MAX="300ms")
    with Raw(service.host_port()) as connection:
        connection.sock.settimeout(0.02)
        came = b""
        for n in itertools.count():
            with contextlib.suppress(TimeoutError):
                came = connection.sock.recv(4096)
                break
            connection.send(b"X-%d: a\r\n" % n if n else b"GET / HTTP/1.1\r\n")
    assert came.startswith(b"HTTP/1.1 408 ")
    assert greets(service)


def test_a_silent_body_is_given_up(start_hello):
    service = start_hello(HELLO_HTTP_BODY_MS_MAX="200ms")
    with Raw(service.host_port()) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        assert connection.to_end().startswith(b"HTTP/1.1 408 ")


SMUGGLING = [b"Transfer-Encoding: \x0bchunked", b'Transfer-Encoding: "chunked"', b"Transfer-Encoding:",
             b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked;a=b", b"Transfer-Encoding: x, chunked",
             b"Transfer-Encoding: chunked,", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
             b"Content-Length: 5, 5", b"Content-Length: 0x5", b"Content-Length:", b"Content-Length: -5",
             b"Content-Length: 5 5", b"Content-Length: 5\r\nContent-Length: 5", b"Content-Length: \xa05"]
CHUNKS = [b"0x3\r\nabc\r\n0\r\n\r\n", b"-3\r\nabc\r\n", b" 3\r\nabc\r\n", b"3\nabc\n0\n\n", b"fffffffffffffffff\r\n",
          b"3\r\nabcX0\r\n\r\n", b"3;a\n\r\nabc\r\n0\r\n\r\n", b"3;a\rb\r\nabc\r\n0\r\n\r\n", b"3;\0\r\nabc\r\n0\r\n\r\n",
          b"0\r\nX y\r\n\r\n", b"3;" + b"a" * 10_000 + b"\r\n", b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n"]


def test_no_framing_lets_a_second_request_through(hello):
    heads = [b"GET / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n0\r\n\r\n" for field in SMUGGLING]
    heads.append(b"GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    heads += [b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body for body in CHUNKS]
    for sent in heads:
        with Raw(hello.host_port()) as connection:
            connection.send(sent + LAST)
            came = connection.to_end()
        assert re.match(rb"HTTP/1.1 (400|431|501) ", came), (sent[:100], came[:100])
        assert came.count(b"HTTP/1.1 ") == 1 and b"alive" not in came, sent[:100]
    assert greets(hello)


def test_a_length_in_a_trailer_counts_for_nothing(hello):
    with Raw(hello.host_port()) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"3;x=y\r\nabc\r\n0\r\nContent-Length: 500\r\n\r\n" + LAST)
        came = connection.to_end()
    assert re.findall(rb"HTTP/1.1 (\d+)", came) == [b"200", b"200"] and b"alive" in came


def test_half_closed_clients_get_their_answers(hello):
    with Raw(hello.host_port()) as connection:
        connection.send(GET * 3)
        connection.sock.shutdown(socket.SHUT_WR)
        assert connection.to_end().count(HELLO.encode()) == 3


def test_who_never_reads_costs_little_and_is_dropped(start_hello):
    service = start_hello(HELLO_HTTP_WRITE_MS_MAX="500ms")
    assert greets(service)
    rss, files = service.rss_kb(), open_files(service)
    with contextlib.ExitStack() as held:
        for _ in range(10):
            connection = held.enter_context(Raw(service.host_port()))
            connection.sock.settimeout(0.1)
            with contextlib.suppress(OSError):
                for _ in range(100):
                    connection.send(GET.replace(b"/ ", b"/metrics ") * 500)
        assert service.rss_kb() - rss < 32 * 1024 * SLOWER
        wait_for(lambda: open_files(service) <= files + 2, 10, "the connections to be dropped")
    assert greets(service)


def test_a_storm_of_resets_leaves_nothing_behind(hello):
    assert greets(hello)
    files, rss = open_files(hello), hello.rss_kb()
    for i in range(600):
        with Raw(hello.host_port()) as connection:
            connection.send(GET[:i % 40] if i % 2 else GET)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: open_files(hello) <= files + 2, 10, "the connections to go")
    assert hello.rss_kb() - rss < 16 * 1024 * SLOWER
    assert greets(hello)


# ---- HTTP/2: frames by hand

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, WHOLE = 1, 4, 5
ROOT = b"\x82\x84\x86\x41\x01a"  # GET, /, http, authority a


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name, value):
    assert max(len(name), len(value)) < 127
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


class Http2(Raw):
    def __init__(self, service):
        super().__init__(service.host_port())
        self.send(PREFACE + frame(SETTINGS, 0, 0))

    def next(self):
        """(kind, flags, stream, payload) of the next frame, or None at the end."""
        def take(size):
            while len(self.seen) < size:
                try:
                    more = self.sock.recv(65536)
                except ConnectionResetError:
                    more = b""
                if not more:
                    return None
                self.seen += more
            found, self.seen = self.seen[:size], self.seen[size:]
            return found
        if not (head := take(9)):
            return None
        payload = take(int.from_bytes(head[:3], "big"))
        return None if payload is None else (head[3], head[4], int.from_bytes(head[5:], "big"), payload)

    def find(self, *kinds):
        """The next frame of one of these kinds; None if the connection ends first."""
        while (got := self.next()) and got[0] not in kinds:
            pass
        return got


def error_code(goaway):
    return int.from_bytes(goaway[3][4:8], "big")


FLOODS = {
    "rapid reset": lambda i: frame(HEADERS, WHOLE, 2 * i + 1, ROOT) + frame(RST, 0, 2 * i + 1, b"\0\0\0\x08"),
    "pings": lambda i: frame(PING, 0, 0, b"8 bytes.") * 10,
    "settings": lambda i: frame(SETTINGS, 0, 0) * 10,
    "priorities": lambda i: frame(PRIORITY, 0, 1, b"\0\0\0\3\0") * 10,
    "empty data": lambda i: (b"" if i else frame(HEADERS, END_HEADERS, 1, ROOT)) + frame(DATA, 0, 1) * 10,
    "continuations": lambda i: (b"" if i else frame(HEADERS, 0, 1, ROOT)) + frame(CONTINUATION, 0, 1) * 10,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_frames_ends_the_connection(hello, name):
    with Http2(hello) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for i in range(3000):
                client.send(FLOODS[name](i))
        got = client.find(GOAWAY)
        assert got is None or error_code(got) in (2, 11), got  # INTERNAL_ERROR, ENHANCE_YOUR_CALM
    assert greets(hello)


BROKEN_STREAMS = {
    "upper case": field(b"X", b"y"), "connection field": field(b"connection", b"close"), "te": field(b"te", b"gzip"),
    "transfer-encoding": field(b"transfer-encoding", b"chunked"), "two paths": field(b":path", b"/x"),
    "CR LF in a value": field(b"a", b"b\r\nc: d"), "NUL in a value": field(b"a", b"b\0c"),
    "length without end": field(b"content-length", b"99999999999999999999"),
}


@pytest.mark.parametrize("name", BROKEN_STREAMS)
def test_a_broken_request_is_reset_and_the_next_answered(hello, name):
    with Http2(hello) as client:
        client.send(frame(HEADERS, WHOLE, 1, ROOT + BROKEN_STREAMS[name]) + frame(HEADERS, WHOLE, 3, ROOT))
        seen = [client.find(RST, HEADERS, GOAWAY)[:3:2] for _ in range(2)]
    assert sorted(seen) == [(HEADERS, 3), (RST, 1)]


BROKEN_CONNECTIONS = {
    "window overflow": frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 2, "window by nothing": frame(WINDOW, 0, 0, b"\0" * 4),
    "huge first window": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 31)), "even stream": frame(HEADERS, WHOLE, 2, ROOT),
    "push": frame(PUSH, 4, 1, b"\0\0\0\2" + ROOT), "long frame": frame(DATA, 0, 1, b"x" * 20_000),
    "HPACK index": frame(HEADERS, WHOLE, 1, b"\xff\xff\xff\xff\xff\x0f"), "data on idle": frame(DATA, 1, 5, b"x"),
    "HPACK table size": frame(HEADERS, WHOLE, 1, b"\x3f\xe1\xff\xff\xff\x0f" + ROOT),
    "padding over all": frame(HEADERS, 0xd, 1, b"\xff" + ROOT), "continuation of nothing": frame(CONTINUATION, 4, 1, ROOT),
}


@pytest.mark.parametrize("name", BROKEN_CONNECTIONS)
def test_a_broken_connection_is_told_goaway(hello, name):
    with Http2(hello) as client:
        client.send(BROKEN_CONNECTIONS[name])
        assert error_code(client.find(GOAWAY)) != 0
    assert greets(hello)


def test_a_broken_request_does_not_end_the_connection_later(start_hello):
    service = start_hello(HELLO_HTTP_HEADER_MS_MAX="200ms", HELLO_HTTP_IDLE_MS_MAX="1500ms")
    with Http2(service) as client:
        client.send(frame(HEADERS, WHOLE, 1, ROOT + field(b"Bad Name", b"x")))
        assert error_code(client.find(GOAWAY)) == 0, "the idle time-out must end it, not the header's"


@pytest.mark.parametrize("what", ["431", "400", "408"])
def test_a_refusal_is_seen_while_the_body_is_open(start_hello, what):
    service = start_hello(HELLO_HTTP_BODY_MS_MAX="200ms")
    more = {"431": b"".join(field(b"x-%d" % i, b"") for i in range(200)), "400": field(b"host", b"other"), "408": b""}
    with Http2(service) as client:
        client.send(frame(HEADERS, END_HEADERS, 1, ROOT + more[what]))
        assert client.find(HEADERS, RST, GOAWAY)[0] == HEADERS


# ---- PROXY headers and TLS

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
NO_PROXY_HEADERS = [b"", b"PROXY TCP4 1.2.3.400 5.6.7.8 1 2\r\n", b'PROXY TCP4 1.2.3.4"} 5.6.7.8 1 2\r\n',
                    b"PROXY TCP4 1.2.3.4 5.6.7.8 70000 2\r\n", b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n", b"PROXY UNKNOWN\n",
                    SIGNATURE + b"\x21\x11\0\x041234", SIGNATURE + b"\x31\x11\0\x0c" + b"\0" * 12,
                    SIGNATURE + b"\x21\x11\xff\xff" + b"\0" * 65535, random.Random(1).randbytes(3000)]


def test_proxy_headers_are_right_or_refused(start_hello):
    service = start_hello(HELLO_PROXY_PROTOCOL="true")
    for head in NO_PROXY_HEADERS:
        with Raw(service.host_port()) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(head + GET)
            assert connection.to_end() == b"", head[:40]
    with Raw(service.host_port()) as connection:
        for byte in b"PROXY TCP4 9.8.7.6 5.6.7.8 1 2\r\n" + LAST:
            connection.send(bytes([byte]))
        assert b"alive" in connection.to_end()
    wait_for(lambda: [line["client"] for line in log_lines(service)] == ["9.8.7.6"], 5, "the client's address")


def test_tls_bears_garbage_and_broken_handshakes(start_hello, tmp_path):
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
        "-out", chain, "-days", "2", "-subj", "/CN=localhost")
    service = start_hello(HELLO_TLS_CHAIN_FILE=str(chain), HELLO_TLS_KEY_FILE=str(key))
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    greeting, rng = out.read(), random.Random(1)
    attacks = [greeting[:cut] for cut in range(0, len(greeting), 25)] + [GET, PREFACE, rng.randbytes(3000)]
    for _ in range(60):
        bad = bytearray(greeting)
        for _ in range(4):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        attacks.append(bytes(bad))
    for sent in attacks:
        with Raw(service.host_port("https")) as connection:
            connection.send(sent)
    for _ in range(10):
        service.signal("HUP")
    assert curl("-k", f"https://{service.address('https')}/").strip() == HELLO


# ---- logs, metrics, descriptors, signals

def test_odd_requests_neither_break_the_log_nor_grow_the_metrics(hello):
    with Raw(hello.host_port()) as connection:
        for i in range(1000):
            connection.send(b'M%d /p%d"\\\xff\xc0%%22%%0a{} HTTP/1.1\r\nHost: h%d\r\nX-Request-ID: "}\xff\\\r\n'
                            b'User-Agent: \xed\xa0\x80"\\\t%d\r\n\r\n' % (i, i, i, i))
        connection.send(LAST)
        assert connection.to_end().count(b"HTTP/1.1 404") == 1000
    text = curl(hello.url("/metrics"))
    assert len(text.splitlines()) < 200
    said = promtool("check", "metrics", input=text)
    assert said.stdout + said.stderr == ""
    wait_for(lambda: sum(line["method"].startswith("M") for line in log_lines(hello)) == 1000, 5, "the log")


def test_a_log_that_cannot_be_written_loses_lines_not_requests(start_hello):
    service = start_hello(HELLO_ACCESS_LOG="/dev/full")
    for _ in range(5):
        assert greets(service)
    wait_for(lambda: re.search(r'lines_dropped_total\{log="access"\} [1-9]', curl(service.url("/metrics"))), 5,
             "lost lines to be counted")
    assert "lines are lost" in service.stderr()


def test_it_recovers_when_descriptors_run_out(serve, hello):
    service = serve("sh", "-c", 'ulimit -n 64; exec "$0"', hello.argv[0], env={"PORT": "0"}, name="few")
    for _ in range(2):
        with contextlib.ExitStack() as held:
            for _ in range(150):
                with contextlib.suppress(OSError):
                    held.enter_context(Raw(service.host_port())).send(GET[:10])
            service.signal("HUP")
            service.signal("USR1")
            spent = service.cpu_seconds()
            threading.Event().wait(0.3)
            assert service.cpu_seconds() - spent < 0.25, "it spins while it has no descriptor"
        wait_for(lambda: greets(service), 10, "it to recover")


def test_no_answer_is_lost_to_signals_and_a_stop(start_hello, tmp_path):
    service = start_hello(HELLO_ACCESS_LOG=str(tmp_path / "access.log"))
    lost, answered, over = [], [0], threading.Event()

    def ask():
        while not over.is_set():
            try:
                connection = Raw(service.host_port())
            except ConnectionRefusedError:
                return
            with connection:
                try:
                    for _ in range(50):
                        status, headers, _ = connection.send(GET).response()
                        assert status == 200
                        answered[0] += 1
                        if headers.get("connection") == "close":
                            break
                except OSError as e:
                    if connection.seen or isinstance(e, ConnectionResetError):
                        lost.append(e)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for i in range(100):
            service.signal("USR1" if i % 2 else "HUP")
            threading.Event().wait(0.002)
        wait_for(lambda: answered[0] > 100, 10, "some answers")
        assert service.stop() == 0
    finally:
        over.set()
        for thread in threads:
            thread.join(20)
    assert lost == []
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert len(lines) >= answered[0]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in itertools.pairwise("abcdefgh"))
CONFIGS = {"bomb": BOMB, "deep": "a: " + "[" * 100_000, "itself": "a: &a [*a]\n", "list": "- a\n",
           "two documents": "loops: 1\n---\nloops: 2\n", "twice": "loops: 1\nloops: 2\n", "NUL": "loops: 1\0\n",
           "many keys": "".join(f"k{i}: 1\n" for i in range(5_000)), "folder": None, "/dev/zero": None}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_configuration_is_refused_by_name(hello, tmp_path, name):
    path = "/dev/zero" if name == "/dev/zero" else tmp_path / "hostile.yml"
    if CONFIGS[name] is not None:
        path.write_text(CONFIGS[name])
    elif name == "folder":
        path.mkdir()
    done = subprocess.run([hello.argv[0], f"--config.file={path}", "--listen=127.0.0.1:0"], capture_output=True,
                          text=True, timeout=10 * SLOWER, env={**os.environ, "PORT": "0"})
    assert done.returncode in (1, 2) and str(path) in done.stderr, done.stderr[-500:]


# ---- the geocoder: files and parameters

DOCUMENT = ('{"id":"%d","type":"municipality","name":"Aix %d","postcode":"13100","citycode":"13001","city":"Aix",'
            '"lon":5.4,"lat":43.5,"importance":0.5}\n')


@pytest.fixture
def source(tmp_path, repo):
    """The first documents of France."""
    path = tmp_path / "some.ndjson"
    with gzip.open(f"{repo}/data/france.ndjson.gz", "rt", encoding="utf-8") as lines:
        path.write_text("".join(itertools.islice(lines, 300)))
    return path


def import_into(sextant_bin, output, *files, seconds=30):
    return subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", str(output), *map(str, files)],
                          capture_output=True, text=True, timeout=seconds * SLOWER)


def is_whole(sextant_bin, index):
    return subprocess.run([sextant_bin, "geocode", "verify", "--index", str(index)], capture_output=True,
                          timeout=60 * SLOWER).returncode == 0


@pytest.fixture
def small_index(sextant_bin, source, tmp_path):
    path = tmp_path / "some.idx"
    assert import_into(sextant_bin, path, source).returncode == 0
    return path


def serve_index(sextant, index, **more):
    return sextant("geocode", "serve", "--index", str(index), "--listen", "127.0.0.1:0", "--loops=1", **more)


PROBES = ["/search/?q=rue+de+la&autocomplete=1&limit=20", "/search/?q=a&limit=20", "/search/?q=saint+denis&lat=48&lon=2",
          "/search/?q=mairie&type=street&postcode=75001", "/reverse/?lat=46.2&lon=5.2&limit=20", "/map?bbox=-180,-90,180,90"]


def test_a_damaged_index_gives_answers_or_errors_never_a_crash(sextant, small_index, tmp_path):
    whole, rng = small_index.read_bytes(), random.Random(7)
    for i in range(14):
        bad = bytearray(whole)
        start = rng.randrange(4096, len(bad) - 64)
        for _ in range(8 if i % 2 else 2000):  # one place, or everywhere
            bad[start + rng.randrange(64) if i % 2 else rng.randrange(4096, len(bad))] = rng.randrange(256)
        path = tmp_path / "bad.idx"
        path.write_bytes(bad)
        server = serve_index(sextant, path, name=f"damaged{i}")
        for probe in PROBES:
            out = run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", server.url(probe)).stdout
            assert out in ("200", "500"), (i, probe, out)
        assert server.stop() == 0


def test_an_index_may_be_replaced_and_removed_while_served(sextant, sextant_bin, small_index, source):
    server = serve_index(sextant, small_index)
    before = curl(server.url(PROBES[0]))
    assert import_into(sextant_bin, small_index, source).returncode == 0
    server.signal("HUP")
    small_index.unlink()
    assert curl(server.url(PROBES[0])) == before


def test_an_index_cut_while_served_ends_with_a_reason(spawn, sextant_bin, small_index):
    server = spawn(sextant_bin, "geocode", "serve", "--index", small_index, "--listen", "127.0.0.1:0")
    ready = wait_for(lambda: next(filter(None, map(READY.match, server.stderr().splitlines())), None), 10, "ready")
    os.truncate(small_index, 8192)
    run("curl", "-s", f"http://{ready.group(2).split('=')[1]}{PROBES[0]}", check=False)
    assert server.wait(10 * SLOWER) != 0
    assert f"the index {small_index} was cut" in server.stderr() and "geocode import" in server.stderr()


def test_imports_into_one_place_do_not_mix(sextant_bin, source, tmp_path):
    output = tmp_path / "both.idx"
    children = [subprocess.Popen([sextant_bin, "geocode", "import", "-q", "-o", output, source],
                                 stderr=subprocess.PIPE, text=True) for _ in range(6)]
    said = [(child.communicate(timeout=60 * SLOWER)[1], child.returncode) for child in children]
    assert any(status == 0 for _, status in said)
    assert all(status == 0 or "is being written by another" in text for text, status in said), said
    assert is_whole(sextant_bin, output)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_hostile_sources_are_refused_and_the_index_stays(sextant_bin, small_index, tmp_path):
    before = small_index.read_bytes()
    good = DOCUMENT % (1, 1)
    sources = {"bomb.gz": gzip.compress(b'{"a":"' + b" " * (40 << 20), 1), "deep": b'{"a":' * 100_000,
               "number": good.replace("43.5", "1e999").encode(), "half": good.replace("Aix", "\\ud800").encode(),
               "latin": good.encode().replace(b"Aix", b"A\xefx"), "name": good.replace("Aix", "a" * 100_000).encode(),
               "tail.gz": gzip.compress(good.encode()) + b"garbage", "nan": good.replace("43.5", "NaN").encode()}
    for name, data in sources.items():
        path = tmp_path / name
        path.write_bytes(data)
        done = import_into(sextant_bin, small_index, path)
        assert done.returncode == 1 and str(path) in done.stderr, (name, done.stderr)
    for path in (tmp_path, "/dev/zero"):
        assert import_into(sextant_bin, small_index, path).returncode == 1
    assert small_index.read_bytes() == before


def test_an_empty_source_does_not_replace_an_index(sextant_bin, small_index, tmp_path):
    empty = tmp_path / "empty.ndjson"
    empty.touch()
    before = small_index.read_bytes()
    assert import_into(sextant_bin, small_index, empty).returncode != 0
    assert small_index.read_bytes() == before


def test_an_import_does_not_overwrite_its_source(sextant_bin, source):
    before = source.read_bytes()
    assert import_into(sextant_bin, source, source).returncode != 0
    assert source.read_bytes() == before


def test_a_fifo_is_a_source(sextant_bin, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = subprocess.Popen(["sh", "-c", 'printf %s "$1" > "$2"', "sh", DOCUMENT % (1, 1), fifo])
    try:
        assert import_into(sextant_bin, tmp_path / "x.idx", fifo, seconds=2).returncode == 0
    finally:
        writer.kill()
        writer.wait()


def test_hostile_parameters_are_answered_quickly(sextant, small_index):
    server = serve_index(sextant, small_index, env={"GEOCODE_HTTP_TARGET_BYTES_MAX": "1MiB",
                                                    "GEOCODE_HTTP_HEADER_BYTES_MAX": "1MiB"})
    numbers = ("nan", "inf", "-inf", "1e-320", "5e-324", "1e308", "1e-99999999", "9" * 63, "0x10", "48%00", ".", "")
    targets = [f"/search/?q=aix&lat={n}&lon=2" for n in numbers] + [f"/reverse/?lat=48&lon={n}" for n in numbers]
    targets += ["/search/?q=aix&" + "a=b&" * 100_000, "/search/?" + "&" * 100_000, "/search/?q=" + "%cc%81" * 50_000,
                "/search/?q=rue&postcode=" + "+".join(str(i) for i in range(5000)), "/map?bbox=" + "1," * 100_000,
                "/search/?q=rue" + "".join(f"&type=t{i}" for i in range(5000)), "/map?bbox=-inf,-inf,inf,inf",
                "/reverse/?lat=48&lon=2&limit=-9223372036854775808", "/search/?q=%ed%a0%80%00%22%5c&type=%ff%22"]
    for target, accept in [(t, b"*/*") for t in targets] + [("/search/?q=", b"," * 100_000), ("/", b";" * 100_000)]:
        with Raw(server.host_port(), seconds=3) as connection:
            connection.send(b"GET %b HTTP/1.1\r\nHost: a\r\nAccept: %b\r\nConnection: close\r\n\r\n" % (target.encode(), accept))
            status, headers, body = connection.response()
        assert status in (200, 400, 404, 413), (target[:60], status)
        if body and "json" in headers.get("content-type", ""):
            json.loads(body)
    wait_for(lambda: len(log_lines(server)) == len(targets) + 2, 5, "the log")
