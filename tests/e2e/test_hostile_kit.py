"""Hostile input to what the kit itself reads of a request and to what stands around a service: fields of
tracing, identity and time of every length and byte, keys of the limiter, logs that nobody takes,
receivers of telemetry that do harm, clients that are slow or go. Whatever comes, requests are answered,
memory and descriptors stay bounded, nothing stays in flight, and the service ends within its time."""
import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time

import pytest
import requests

from lib.clients import promtool
from lib.otlp import Mad, Receiver
from lib.raw import Raw
from lib.service import Service
from lib.wait import SLOWER, deadline, wait_for

TIME = 10 * SLOWER
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
ASK = b"GET / HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture
def hello_with(serve):
    """hello_with(flag...) starts examples/hello with flags, on free ports and with an admin's one."""
    from conftest import BUILD

    def start(*flags, env=None):
        return serve(os.path.join(BUILD, "examples", "hello"), "--listen=127.0.0.1:0",
                     "--admin.listen=127.0.0.1:0", *flags, env={"PORT": "0", **(env or {})},
                     name="hello")
    return start


def exposition(service):
    answer = requests.get(service.url("/metrics", "admin"), timeout=TIME)
    assert answer.status_code == 200
    return answer.text


def metric(service, line):
    m = re.search("^" + re.escape(line) + r" (\S+)$", exposition(service), re.M)
    return float(m.group(1)) if m else 0.0


def wait_idle(service):
    """Nothing is in flight but the scrape that looks."""
    wait_for(lambda: metric(service, "http_requests_in_flight") == 1, 20, "requests to end")


def grew(service, since_kb, kb):
    """Whether it has more memory than `kb` over `since_kb`. AddressSanitizer keeps 256 MiB of what was
    freed, to find uses of it."""
    return service.rss_kb() - since_kb > kb * SLOWER + (300_000 if "asan" in service.argv[0] else 0)


def open_files(service):
    return len(os.listdir(f"/proc/{service.pid}/fd"))


# ---- header fields

# A field that is read, and values that it may have.
FIELDS = {
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "tracestate": "rojo=00f067aa0ba902b7,congo@vendor=t61rcWkgMzE",
    "baggage": "user=alice;ttl=5,server%20node=DF%2028",
    "b3": f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90",
    "X-B3-TraceId": TRACE,
    "uber-trace-id": f"{TRACE}:{SPAN}:0:1",
    "X-Request-ID": "req-42",
    "X-Request-Timeout": "2.5s",
    "X-Envoy-Expected-Rq-Timeout-Ms": "2500",
    "grpc-timeout": "2500m",
    "X-Client": "somebody",
    "Accept": "text/html;q=0.5, */*",
    "Accept-Encoding": "gzip;q=1.0, br;q=0.5",
    "User-Agent": "hostile/1.0",
    "Origin": "https://a.example",
    "Authorization": "Basic YWxpY2U6eA==",
}
PROPAGATORS = "--tracing.propagators=tracecontext,baggage,b3,b3multi,jaeger"


def ask_all(service, heads, per_connection=400):
    """Sends the heads in a few pipelined connections; how many answers of each status there were, and
    the request ids that they had."""
    counts, ids = {}, []
    for at in range(0, len(heads), per_connection):
        batch = heads[at:at + per_connection]
        last = ASK + b"Connection: close\r\n\r\n"
        with Raw(service.host_port(), 20) as connection:
            writer = threading.Thread(target=connection.sock.sendall, args=(b"".join(batch) + last,))
            writer.start()
            came = connection.to_end()
            writer.join(TIME)
        statuses = re.findall(rb"HTTP/1\.1 (\d+) ", came)
        assert len(statuses) == len(batch) + 1, (len(statuses), batch[len(statuses) - 1][:200])
        for status in statuses:
            counts[int(status)] = counts.get(int(status), 0) + 1
        ids += re.findall(rb"^x-request-id: ([^\r]*)\r$", came, re.M | re.I)
    return counts, ids


def check_ids(ids, count):
    assert len(ids) == count
    for one in ids:
        assert re.fullmatch(rb"[\x21-\x7e]{1,128}", one), one


@pytest.fixture
def traced(hello_with):
    """hello that reads every format and records everything, with where its telemetry goes."""
    with Receiver() as receiver:
        service = hello_with(PROPAGATORS, f"--otlp.endpoint={receiver.url}", "--otlp.signals=traces",
                             "--otlp.batch_delay_ms=50ms", "--tracing.sampler=always_on",
                             "--limits.rate=1000000000/second", "--limits.key=x-client",
                             "--limits.keys_max=1000", "--log.level=debug", "--cors.origins=*",
                             "--http.pipeline_max=1000")
        yield service, receiver
        service.stop()
        for line in service.stdout().splitlines():
            entry = json.loads(line)
            assert re.fullmatch("[0-9a-f]{32}", entry["trace_id"])
        for span in receiver.spans():
            assert len(span.trace_id) == 16 and any(span.trace_id)
            assert len(span.span_id) == 8 and any(span.span_id)
            assert len(span.parent_span_id) in (0, 8)
            assert len(span.trace_state) <= 8192


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_every_length_is_borne(traced, name):
    service, _ = traced
    valid = FIELDS[name].encode()
    lengths = range(0, 9001, 1 if SLOWER == 1 else 11)
    assert ask_all(service, [ASK + b"\r\n"])[0] == {200: 2}
    rss = service.rss_kb()
    heads = []
    for n in lengths:
        # One long token, a list of the valid value, and the valid value with a tail.
        value = (b"a" * n, (valid + b",") * (n // (len(valid) + 1)) + valid[:n % (len(valid) + 1)],
                 (valid + b"0" * n)[:n])[n % 3]
        heads.append(ASK + name.encode() + b": " + value + b"\r\n\r\n")
    counts, ids = ask_all(service, heads)
    assert set(counts) == {200}, counts
    check_ids(ids, counts[200])
    assert not grew(service, rss, 32 * 1024)
    wait_idle(service)


def test_fields_of_every_byte_are_borne_or_refused(traced):
    service, _ = traced
    heads, refused = [], []
    for name, valid in FIELDS.items():
        for byte in range(256):
            for at in (0, len(valid) // 2, len(valid)):
                value = valid[:at].encode() + bytes([byte]) + valid[at:].encode()
                head = ASK + name.encode() + b": " + value + b"\r\n\r\n"
                may_be = byte == 9 or (byte >= 32 and byte != 127)
                (heads if may_be else refused).append(head)
    counts, ids = ask_all(service, heads)
    assert set(counts) == {200}, counts
    check_ids(ids, counts[200])
    for head in refused[::1 if SLOWER == 1 else 7]:
        with Raw(service.host_port()) as connection:
            connection.send(head)
            connection.sock.shutdown(socket.SHUT_WR)
            came = connection.to_end()
        assert re.match(rb"HTTP/1\.1 (400|200) ", came), (head, came[:80])
    assert not promtool("check", "metrics", input=exposition(service)).stderr.strip()
    wait_idle(service)


def test_many_fields_of_one_name_are_borne(traced):
    """Each of them is one that a client may repeat, or send twice with different words."""
    service, receiver = traced
    heads = []
    for name, valid in FIELDS.items():
        for count in (2, 3, 33, 100):
            field = f"{name}: {valid}\r\n".encode()
            heads.append(ASK + field * count + b"\r\n")
            heads.append(ASK + field + f"{name}: x\r\n".encode() * (count - 1) + b"\r\n")
    everything = "".join(f"{name}: {valid}\r\n" for name, valid in FIELDS.items()).encode()
    heads += [ASK + everything * 7 + b"\r\n"] * 50
    counts, ids = ask_all(service, heads)
    assert set(counts) <= {200, 431}, counts
    check_ids(ids, sum(counts.values()))
    wait_for(receiver.spans, what="spans to arrive")
    wait_idle(service)


def test_time_that_is_no_time_does_not_stop_a_request(traced):
    service, _ = traced
    values = ["0", "-1", "1e9", "NaN", "inf", "9" * 400, "0." + "0" * 400 + "1", "1" * 400 + "h", "1.5.5",
              "0x10", "18446744073709551616", "9223372036854775807", "99999999H", "100000000H", "0n", "H"]
    heads = [ASK + f"{name}: {value}\r\n\r\n".encode() for value in values
             for name in ("X-Request-Timeout", "grpc-timeout", "X-Envoy-Expected-Rq-Timeout-Ms")]
    counts, _ = ask_all(service, heads)
    assert set(counts) == {200}, counts


# ---- limits

def test_keys_without_end_take_bounded_memory(hello_with):
    service = hello_with("--limits.rate=5/hour", "--limits.key=x-client", "--limits.keys_max=1000",
                         "--http.pipeline_max=1000", "--access_log=off")
    ask_all(service, [ASK + b"\r\n"])
    honest = ASK + b"X-Client: honest\r\n\r\n"
    assert ask_all(service, [honest] * 8)[0] == {200: 6, 429: 3}
    rss, files = None, open_files(service)
    count = 200_000 // SLOWER
    for start in range(0, count, 20_000):
        # Whoever is above the limit stays so, as long as they ask amid the flood.
        heads = [ASK + b"X-Client: %d\r\n\r\n" % i for i in range(start, start + 20_000)]
        counts, _ = ask_all(service, [honest if i % 50 == 0 else head for i, head in enumerate(heads)],
                            5000)
        assert counts.get(429, 0) >= 300, counts  # 400 of the honest, less what was forgotten
        rss = rss or service.rss_kb()  # when as much was in flight as will be
    assert not grew(service, rss, 16 * 1024)
    wait_for(lambda: open_files(service) <= files + 2, 10, "the connections to go")
    limits = requests.get(service.url("/admin/limits", "admin"), timeout=TIME).json()["limiters"][0]
    assert limits["keys"] <= 2000 and limits["keys_max"] == 1000
    wait_idle(service)


def test_label_values_of_every_byte_reach_no_exposition_broken(hello_with):
    service = hello_with("--metrics.series_max=20")
    for method in (b"BREW", b"!#$%&'*+-.^_`|~", b"A" * 200, *(b"M%d" % i for i in range(300))):
        for target in (b"/", b"/\xff%ff%00\"", b"/" + b"a" * 500, b"*"):
            with Raw(service.host_port()) as connection:
                connection.send(method + b" " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert connection.to_end().startswith(b"HTTP/1.1 ")
    text = exposition(service)
    assert not promtool("check", "metrics", input=text).stderr.strip()
    assert text.count("\nhttp_requests_total{") <= 21


# ---- logs

def test_a_full_disk_costs_lines_not_requests(hello_with, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)],
                                     stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs to mount a small tmpfs")
    try:
        service = hello_with(f"--log.path={disk}/hello.log", f"--access_log={disk}/access.log",
                             "--http.pipeline_max=1000", "--log.level=debug")
        counts, _ = ask_all(service, [ASK + b"\r\n"] * 4000, 1000)
        assert set(counts) == {200}
        wait_for(lambda: metric(service, 'log_write_errors_total{log="access"}') > 0, 10,
                 "the disk to be full")
        assert ask_all(service, [ASK + b"\r\n"] * 1000, 1000)[0] == {200: 1001}
        # Room again, if need be more than once: what waits to be written takes it first. The log goes
        # on by itself, on a line of its own.
        def logged():
            os.truncate(disk / "access.log", 0)
            ask_all(service, [ASK + b"X-Request-ID: after-the-flood\r\n\r\n"])
            return wait_for(lambda: "after-the-flood" in
                            (disk / "access.log").read_text(errors="replace"), 1)
        wait_for(logged, 10, "a line after there was room")
        service.stop()
        for line in (disk / "access.log").read_text().splitlines():
            json.loads(line)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_pipe_that_nobody_reads_holds_nothing_up(tmp_path):
    from conftest import BUILD
    ends = os.pipe()  # the access log's
    err = open(tmp_path / "hello.err", "wb")
    child = subprocess.Popen([os.path.join(BUILD, "examples", "hello"), "--listen=127.0.0.1:0",
                              "--http.pipeline_max=1000", "--shutdown_ms_max=2s"], stdout=ends[1],
                             stderr=err, env={**os.environ, "PORT": "0"})
    try:
        os.close(ends[1])
        ready = wait_for(lambda: re.search(r"^ready hello http=(\S+):(\d+)",
                                           (tmp_path / "hello.err").read_text(), re.M))
        address = (ready.group(1), int(ready.group(2)))

        class Where:
            host_port = staticmethod(lambda: address)
        start = time.monotonic()
        counts, _ = ask_all(Where, [ASK + b"\r\n"] * 20_000, 1000)
        assert set(counts) == {200}
        assert time.monotonic() - start < 20 * SLOWER
        child.terminate()
        assert child.wait(6 * SLOWER) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ends[0])
        err.close()


# ---- receivers of telemetry

def hang(connection):
    while connection.recv(65536):
        pass


def garbage(connection):
    connection.recv(65536)
    connection.sendall(os.urandom(3000))
    connection.close()


def never_ending(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")


def trickle(connection):
    connection.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000:
        connection.sendall(bytes([byte]))
        threading.Event().wait(0.05)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def throttle(connection):
    while connection.recv(1 << 20):
        connection.sendall(b"HTTP/1.1 429 Slow Down\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("behave", [hang, garbage, never_ending, trickle, reset, throttle, None],
                         ids=lambda b: b.__name__ if b else "refuse")
def test_a_mad_receiver_neither_slows_requests_nor_the_end(hello_with, spawn, behave, protocol):
    with contextlib.ExitStack() as held:
        if behave:
            url = held.enter_context(Mad(behave)).url
        else:
            with socket.create_server(("127.0.0.1", 0)) as s:
                url = f"http://127.0.0.1:{s.getsockname()[1]}"
        service = hello_with("--loops=4", f"--otlp.endpoint={url}", f"--otlp.protocol={protocol}",
                             "--otlp.batch_delay_ms=20ms", "--otlp.metrics_interval_ms=100ms",
                             "--otlp.timeout_ms=500ms", "--tracing.sampler=always_on",
                             "--shutdown_ms_max=2s", "--http.pipeline_max=1000", "--log.level=debug")
        ask_all(service, [ASK + b"\r\n"] * 1000)
        rss, files = service.rss_kb(), open_files(service)
        load = spawn("wrk", "-t1", "-c8", "-d2s", "--timeout", "30s", service.url())
        assert load.wait(20) == 0
        assert "Non-2xx" not in load.log() and "Socket errors" not in load.log(), load.log()
        assert not grew(service, rss, 48 * 1024)
        assert open_files(service) <= files + 16
        load = spawn("wrk", "-t1", "-c8", "-d10s", "--timeout", "30s", service.url())
        wait_for(lambda: metric(service, "http_requests_in_flight") > 1)
        start = time.monotonic()
        service.signal("TERM")
        assert service.wait(6) == 0
        assert time.monotonic() - start < 2 + 3 * SLOWER
        load.kill()


def test_signals_in_a_storm_end_it(hello_with, spawn):
    """A second TERM or INT ends it at once, whatever it is doing."""
    for _ in range(5):
        service = hello_with("--loops=4")
        spawn("wrk", "-t1", "-c8", "-d20s", "--timeout", "30s", service.url())
        # A scrape seldom meets a request of another loop half-way: what was answered tells.
        wait_for(lambda: metric(service, 'http_requests_total{method="GET",route="/",code="200"}') > 100)
        end = deadline(8)
        while service.child.poll() is None and time.monotonic() < end:
            for name in ("HUP", "USR1", "TERM", "INT"):
                service.signal(name)
        assert service.wait(1) in (0, 128 + 15, 128 + 2, -15, -2)
        service.child = None


def test_requests_by_signal_do_not_end_what_ends(hello_with):
    """A terminal that closes and a logrotate that runs while the last records are on their way."""
    with Mad(hang) as receiver:
        service = hello_with(f"--otlp.endpoint={receiver.url}", "--tracing.sampler=always_on",
                             "--shutdown_ms_max=1s")
        ask_all(service, [ASK + b"\r\n"])
        service.signal("TERM")
        end = deadline(10)
        while service.child.poll() is None and time.monotonic() < end:
            service.signal("HUP")
            service.signal("USR1")
            threading.Event().wait(0.001)
        assert service.stop() == 0
        assert '"stopped"' in service.stderr()


# ---- clients

def test_a_thousand_slow_readers_of_compressed_pages(hello_with):
    service = hello_with("--loops=4", "--http.write_ms_max=2s", "--access_log=off",
                         "--http.idle_ms_max=4s")  # the kernel may take all that is sent
    host, port = service.host_port("admin")
    head = b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
    ask_all(service, [ASK + b"\r\n"])
    rss, files = service.rss_kb(), open_files(service)
    with contextlib.ExitStack() as held:
        for i in range(1000 if SLOWER == 1 else 300):
            s = held.enter_context(socket.socket())
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.settimeout(TIME)
            s.connect((host, port))
            s.sendall(head * 8)
            assert s.recv(10)
        assert not grew(service, rss, 400 * 1024)
        start = time.monotonic()
        assert ask_all(service, [ASK + b"\r\n"])[0] == {200: 2}
        assert time.monotonic() - start < 2 * SLOWER
        wait_for(lambda: open_files(service) <= files + 10, 20, "the connections to be dropped")
    wait_idle(service)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def test_rapid_resets_leave_no_span_and_no_request(hello_with):
    """Requests that are taken back at once, each with a span that is recorded."""
    with Receiver() as receiver:
        service = hello_with("--loops=4", f"--otlp.endpoint={receiver.url}", "--otlp.signals=traces",
                             "--otlp.batch_delay_ms=20ms", "--tracing.sampler=always_on",
                             "--http.stream_resets_max=1000000", "--otlp.queue_max=100000")
        block = (b"\x82\x84\x86\x41\x01a" + b"\x00\x0btraceparent" +
                 bytes([55]) + f"00-{TRACE}-{SPAN}-01".encode())
        files = None

        def storm(open_end):
            with Raw(service.host_port(), 20) as c:
                c.send(PREFACE + frame(4, 1, 0))
                for start in range(1, 2001, 200):
                    c.send(b"".join(frame(1, 4 if open_end else 5, i, block) +
                                    frame(3, 0, i, struct.pack(">I", 8))
                                    for i in range(start, start + 200, 2)))
                c.send(frame(6, 0, 0, b"12345678"))
                c.until(frame(6, 1, 0, b"12345678"))
        for turn in range(60 // SLOWER):
            storm(turn % 2)
            if turn == 5:
                wait_idle(service)
                rss, files = service.rss_kb(), open_files(service)
        wait_idle(service)
        wait_for(lambda: open_files(service) <= files + 2, 10, "the connections to go")
        assert not grew(service, rss, 32 * 1024)
        service.stop()
        assert receiver.spans()
        assert all(s.end_time_unix_nano >= s.start_time_unix_nano > 0 for s in receiver.spans())


def test_ten_thousand_connections_come_and_go(hello_with):
    service = hello_with("--access_log=off", "--loops=4")
    ask_all(service, [ASK + b"\r\n"])
    files, rss = open_files(service), service.rss_kb()
    for i in range(10_000 // SLOWER):
        with Raw(service.host_port()) as c:
            c.send((ASK + b"Connection: close\r\n\r\n", ASK, PREFACE, b"")[i % 4])
            if i % 4 == 0:
                assert c.to_end().startswith(b"HTTP/1.1 200 ")
    wait_for(lambda: open_files(service) <= files + 4, 10, "the connections to go")
    assert not grew(service, rss, 16 * 1024)
    wait_idle(service)


def test_killed_in_the_middle_it_leaves_whole_files_and_starts_again(hello_with, spawn, tmp_path):
    access, log = tmp_path / "access.log", tmp_path / "hello.log"
    for _ in range(4):
        service = hello_with("--loops=4", f"--access_log={access}", f"--log.path={log}",
                             "--log.rotate_bytes=1MiB", "--log.rotate_codec=gzip")
        load = spawn("wrk", "-t1", "-c8", "-d20s", "--timeout", "30s", service.url())
        wait_for(lambda: metric(service, "http_requests_in_flight") > 1)
        service.kill()
        load.kill()
    # A line may be cut where a process died; none may be mixed with another.
    torn = 0
    for line in access.read_bytes().splitlines():
        try:
            json.loads(line)
        except ValueError:
            torn += 1
    assert torn <= 4


# ---- servers that we call

def half_a_reply(connection):
    connection.recv(65536)
    connection.sendall(b"$100\r\nhalf")
    connection.close()


def endless_reply(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: " + b"a" * 8000 + b"\r\n")


def deep_reply(connection):
    connection.recv(65536)
    connection.sendall(b"*1\r\n" * 100_000)


def lie_about_length(connection):
    connection.recv(65536)
    connection.sendall(b"*2147483647\r\n$9223372036854775807\r\nx")
    hang(connection)


@pytest.mark.parametrize("behave", [hang, garbage, reset, half_a_reply, endless_reply, deep_reply,
                                    lie_about_length, never_ending], ids=lambda b: b.__name__)
def test_a_mad_server_costs_its_callers_an_error_each(processes, tmp_path, behave):
    """HTTP and Redis, by the kit's clients: an answer each in time, no descriptor and no memory kept."""
    from conftest import BUILD
    with Mad(behave) as server:
        port = server.listener.getsockname()[1]
        zoo = Service([os.path.join(BUILD, "tests/e2e/programs/clients_zoo"),
                       f"redis://127.0.0.1:{port}", "-", "-"], str(tmp_path), name="zoo")
        processes.append(zoo)
        zoo.start()

        def ask(path, body):
            start = time.monotonic()
            answer = requests.post(zoo.url(path), data=body, params={"ms": "100"}, timeout=TIME)
            assert answer.status_code == 200
            assert time.monotonic() - start < 3 * SLOWER
            return answer.text.split("\t")[0]

        def round_of_calls():
            got = {ask("/redis", b"GET\na"), ask("/http", f"{server.url}/".encode())}
            assert "ok" not in got or behave is never_ending, got
        for _ in range(20):
            round_of_calls()
        files, rss = open_files(zoo), zoo.rss_kb()
        for _ in range(150 // SLOWER):
            round_of_calls()
        wait_for(lambda: open_files(zoo) <= files + 4, 10, "descriptors to be given back")
        assert not grew(zoo, rss, 16 * 1024)
