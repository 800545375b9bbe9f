"""examples/hello under requests that no proper client sends. Each is answered by a status or by a
closed connection, and the next client is served as if nothing had been."""
import contextlib
import os

import pytest

from lib.clients import curl
from lib.raw import Raw
from lib.wait import wait_for

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"

# What is sent, what the first response's status may be. RFC 9112 and RFC 9110 sections in the id.
REFUSED = {
    "bare LF ends a line (9112 2.2)": (b"GET / HTTP/1.1\nHost: a\n\n", {400}),
    "bare CR in a header (9112 2.2)": (GET + b"X: a\rb\r\n\r\n", {400}),
    "NUL in a header (9110 5.5)": (GET + b"X: a\0b\r\n\r\n", {400}),
    "obs-fold (9112 5.2)": (GET + b"X: a\r\n b\r\n\r\n", {400}),
    "space before the colon (9112 5.1)": (GET + b"X : a\r\n\r\n", {400}),
    "no Host (9112 3.2)": (b"GET / HTTP/1.1\r\n\r\n", {400}),
    "two Hosts (9112 3.2)": (GET + b"Host: b\r\n\r\n", {400}),
    "length beside chunked (9112 6.3)":
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         {400}),
    "two lengths (9112 6.3)":
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", {400}),
    "length with a sign (9110 8.6)": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", {400}),
    "length over 64 bits (9110 8.6)":
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", {400, 413}),
    "unknown coding (9112 6.1)":
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: tape\r\n\r\n", {400, 501}),
    "chunked not last (9112 6.3)":
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", {400, 501}),
    "HTTP/3.0 (9110 2.5)": (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", {400, 505}),
    "not HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    "headers over the limit": (GET + b"X: " + b"a" * 100_000 + b"\r\n\r\n", {400, 431}),
    "ten thousand headers": (GET + b"X: a\r\n" * 10_000 + b"\r\n", {400, 431}),
    "target over the limit": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", {400, 414, 431}),
}


def first_status(connection):
    """The status of the first response, or None if the connection just ended."""
    came = connection.to_end()
    if not came:
        return None
    assert came.startswith(b"HTTP/1.1 "), came[:100]
    return int(came[9:12])


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_request_is_refused_and_its_connection_closed(hello, name):
    sent, statuses = REFUSED[name]
    with Raw(hello.host_port()) as connection:
        # A server may close before a long request is out.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(sent)
        status = first_status(connection)
        assert status in statuses or (status is None and len(sent) > 50_000)
    assert curl(hello.url()).strip() == "hello, world"


def test_what_hides_behind_a_refused_request_is_never_answered(hello):
    smuggled = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    with Raw(hello.host_port()) as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled)
        came = connection.to_end()
    assert came.count(b"HTTP/1.1 ") == 1
    assert b"alive" not in came


def test_pipelined_requests_are_answered_in_order(hello):
    with Raw(hello.host_port()) as connection:
        connection.send(b"".join(b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: n%d\r\n\r\n" % i
                                 for i in range(100)))
        for i in range(100):
            status, headers, body = connection.response()
            assert (status, headers["x-request-id"]) == (200, f"n{i}")
            assert body.strip() == b"hello, world"


def test_a_request_in_single_bytes_is_understood(hello):
    with Raw(hello.host_port()) as connection:
        for byte in GET + b"Connection: close\r\n\r\n":
            connection.send(bytes([byte]))
        assert connection.to_end().startswith(b"HTTP/1.1 200 ")


def test_connections_that_come_and_go_leave_nothing_behind(hello):
    curl(hello.url())
    before = len(_open_files(hello))
    for i in range(200):
        with Raw(hello.host_port()) as connection:
            connection.send(GET[:i % len(GET)])
    curl(hello.url())
    wait_for(lambda: len(_open_files(hello)) <= before + 2, 10, "the server to close its side")


def test_a_thousand_half_open_requests_do_not_keep_others_out(hello):
    with contextlib.ExitStack() as held:
        for _ in range(1000):
            held.enter_context(Raw(hello.host_port())).send(GET)
        assert curl(hello.url()).strip() == "hello, world"


def _open_files(service):
    return os.listdir(f"/proc/{service.pid}/fd")
