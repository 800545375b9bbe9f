"""What every service of the kit does, by examples/hello and foreign clients: users and TLS of the web
configuration file, compression, admin pages, traces that leave, the service manager's protocol."""
import base64
import os
import socket
import subprocess
import sys

import pytest
import requests

from lib.clients import curl, run
from lib.otlp import Receiver
from lib.wait import SLOWER, wait_for

# htpasswd -nBC 4 alice, of "correct horse": quick to check, on purpose here.
HASH = "$2y$04$QFPMsjNt6WOn/3YCuW4yDO.sndMwqVTZLhNIdkL3DKzTePDhsBo1."
TIME = 10 * SLOWER


@pytest.fixture
def hello_with(serve):
    """hello_with(flag...) starts examples/hello with flags, on free ports."""
    from conftest import BUILD

    def start(*flags, env=None):
        return serve(os.path.join(BUILD, "examples", "hello"), "--listen=127.0.0.1:0", *flags,
                     env={"PORT": "0", **(env or {})}, name="hello")
    return start


@pytest.fixture
def certificate(tmp_path):
    """A certificate for localhost and its key, as files."""
    cert, key = str(tmp_path / "server.crt"), str(tmp_path / "server.key")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", cert, "-keyout", key)
    return cert, key


def test_a_file_of_the_exporters_protects_a_service(hello_with, tmp_path, certificate):
    cert, _ = certificate
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key,\n"
                   "  min_version: TLS13, curve_preferences: [X25519]}\n"
                   "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n"
                   f"basic_auth_users: {{alice: '{HASH}'}}\n")
    run("promtool", "check", "web-config", str(web))
    hello = hello_with(f"--web.config.file={web}")
    url = "https://" + hello.address("https")
    nobody = requests.get(url, verify=cert, timeout=TIME)
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"].startswith("Basic ")
    assert requests.get(url, verify=cert, auth=("alice", "wrong"), timeout=TIME).status_code == 401
    for _ in range(3):
        alice = requests.get(url, verify=cert, auth=("alice", "correct horse"), timeout=TIME)
        assert alice.status_code == 200
        assert alice.headers["x-frame-options"] == "sameorigin"
    assert curl("--cacert", cert, "--http2", "-u", "alice:correct horse", "-w", "%{http_version}",
                "-o", "/dev/null", url) == "2"
    # TLS 1.2 is below min_version.
    refused = run("curl", "-sS", "--cacert", cert, "--tls-max", "1.2", url, check=False)
    assert refused.returncode != 0


def test_clients_prove_who_they_are(hello_with, tmp_path, certificate):
    cert, key = certificate
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
                   "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: server.crt\n"
                   "  client_allowed_sans: [localhost]\n")
    hello = hello_with(f"--web.config.file={web}")
    url = "https://" + hello.address("https")
    assert requests.get(url, verify=cert, cert=(cert, key), timeout=TIME).status_code == 200
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(url, verify=cert, timeout=TIME)
    web.write_text(web.read_text().replace("[localhost]", "[somebody.else]"))
    hello.signal("HUP")

    def refused():
        try:
            requests.get(url, verify=cert, cert=(cert, key), timeout=TIME)
        except requests.exceptions.RequestException:
            return True
        return False
    wait_for(refused, what="the changed names to hold")


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_metrics_are_compressed_as_curl_asks(hello_with, coding):
    hello = hello_with()
    head = curl("-D", "-", "-o", "/dev/null", "-H", f"Accept-Encoding: {coding}",
                hello.url("/metrics"))
    assert f"content-encoding: {coding}" in head.lower()
    assert "vary: accept-encoding" in head.lower()
    # The first request is counted when its reply has gone out, which curl may see before.
    wait_for(lambda: "# TYPE http_requests_total counter" in curl("--compressed", hello.url("/metrics")))


def test_admin_pages_are_on_their_own_listener(hello_with):
    hello = hello_with("--admin.listen=127.0.0.1:0", "--limits.rate=1000/second")
    assert requests.get(hello.url("/admin/config"), timeout=TIME).status_code == 404
    assert requests.get(hello.url("/metrics"), timeout=TIME).status_code == 404
    admin = "http://" + hello.address("admin")
    assert "/admin/breakers" in requests.get(admin, timeout=TIME).text
    config = requests.get(admin + "/admin/config", timeout=TIME).json()
    assert config["limits.rate"] == {"value": "1000/second", "source": "flag"}
    limits = requests.get(admin + "/admin/limits", timeout=TIME).json()
    assert [each["name"] for each in limits["limiters"]] == ["default"]
    levels = requests.put(admin + "/admin/log-levels", json={"all": "debug"}, timeout=TIME)
    assert levels.status_code == 200
    health = requests.get(admin + "/health/detailed", timeout=TIME).json()
    assert health["status"] == "healthy"
    assert health["memory"]["resident_bytes"] > 100000
    assert requests.get(admin + "/health/live", timeout=TIME).text == '{"status":"alive"}'


def test_a_request_is_a_span_that_leaves(hello_with):
    with Receiver() as receiver:
        hello = hello_with(f"--otlp.endpoint={receiver.url}", "--otlp.batch_delay_ms=100ms",
                           "--otlp.signals=traces", env={"OTEL_TRACES_SAMPLER": "always_on"})
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        answer = requests.get(hello.url("/"), timeout=TIME, headers={
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Request-ID": "the-one"})
        assert answer.headers["x-request-id"] == "the-one"
        wait_for(lambda: receiver.spans(), what="the span to arrive")
        span = receiver.spans()[0]
        assert span.name.startswith("GET ")
        assert span.trace_id.hex() == trace
        assert span.parent_span_id.hex() == "00f067aa0ba902b7"
        assert span.kind == 2
        said = {a.key: a.value for a in span.attributes}
        assert said["http.request.method"].string_value == "GET"
        assert said["http.response.status_code"].int_value == 200
        assert said["request_id"].string_value == "the-one"
        metrics = requests.get(hello.url("/metrics"), timeout=TIME, headers={
            "Accept": "application/openmetrics-text;version=1.0.0"}).text
        assert f'trace_id="{trace}"' in metrics  # the exemplar of the histogram


class Manager:
    """A service manager's end of the notify protocol."""

    def __init__(self, folder):
        self.path = os.path.join(str(folder), "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(TIME)

    def hear(self, part):
        """The next message that has `part`."""
        while True:
            message = self.socket.recv(4096).decode()
            if part in message:
                return message


def test_systemd_hears_what_happens(hello_with, tmp_path):
    manager = Manager(tmp_path)
    hello = hello_with(env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"})
    assert "READY=1" in manager.hear("READY=1")
    for _ in range(3):
        manager.hear("WATCHDOG=1")
    hello.signal("HUP")
    assert "MONOTONIC_USEC=" in manager.hear("RELOADING=1")
    manager.hear("READY=1")
    hello.signal("TERM")
    manager.hear("STOPPING=1")
    assert hello.wait() == 0


# Puts descriptor `fd` at 3 and becomes the service, as a service manager does.
LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
if sys.argv[2]:
    os.environ["LISTEN_FDNAMES"] = sys.argv[2]
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.mark.parametrize("name", ["", "http", "hello.socket"])
def test_a_socket_that_was_opened_before_is_served(tmp_path, name):
    from conftest import BUILD
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    host, port = listener.getsockname()
    # Somebody asks before there is a service: the socket keeps them waiting.
    early = socket.create_connection((host, port), timeout=TIME)
    early.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    os.set_inheritable(listener.fileno(), True)
    log = open(tmp_path / "hello.err", "wb")
    child = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(listener.fileno()), name,
         os.path.join(BUILD, "examples", "hello"), "--listen=127.0.0.1:1", "--loops=3",
         "--shutdown_delay_ms=0"],
        stderr=log, stdout=subprocess.DEVNULL, close_fds=False, env={**os.environ, "PORT": "1"})
    try:
        early.settimeout(TIME)
        answer = b""
        while piece := early.recv(4096):
            answer += piece
        assert b"200 OK" in answer and b"hello, world" in answer
        for _ in range(30):
            assert requests.get(f"http://{host}:{port}/", timeout=TIME).status_code == 200
        text = (tmp_path / "hello.err").read_text()
        assert f"http={host}:{port}" in text
        child.terminate()
        assert child.wait(TIME) == 0
    finally:
        child.kill()
        child.wait()
        log.close()


def test_a_drain_says_that_it_is_not_ready_first(hello_with):
    hello = hello_with("--shutdown_delay_ms=60s", "--admin.listen=127.0.0.1:0")
    admin = "http://" + hello.address("admin")
    assert requests.get(admin + "/health/ready", timeout=TIME).status_code == 200
    hello.signal("TERM")
    wait_for(lambda: requests.get(admin + "/health/ready", timeout=TIME).status_code == 503,
             what="the service to be unready")
    answer = requests.get(hello.url("/"), timeout=TIME)  # and still served
    assert answer.status_code == 200
    assert requests.get(admin + "/health/live", timeout=TIME).status_code == 200
    hello.signal("TERM")  # at once
    assert hello.wait() == 128 + 15
    hello.child = None


def test_basic_authentication_takes_bytes_of_utf8(hello_with, tmp_path):
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users: {{'zoë': '{HASH}'}}\n", encoding="utf-8")
    hello = hello_with(f"--web.config.file={web}")
    token = base64.b64encode("zoë:correct horse".encode()).decode()
    answer = requests.get(hello.url("/"), timeout=TIME, headers={"Authorization": "Basic " + token})
    assert answer.status_code == 200
