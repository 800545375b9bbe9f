"""How the server is reached and protected: the web configuration file (TLS, client certificates, users,
header fields), prefixes, lifecycle and admin flags, origins, connections and time-outs: with curl and
Python against the real server."""
import socket
import ssl
import subprocess
import time

import pytest
import requests

from lib.observe import NO_TRACES, TIMEOUT_S, Api, Observe, write_config
from lib.wait import wait_for

# Of "correct horse", cost 4: quick to check, on purpose here.
HASH = "$2y$04$QFPMsjNt6WOn/3YCuW4yDO.sndMwqVTZLhNIdkL3DKzTePDhsBo1."
ALICE = ("alice", "correct horse")


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certificate authority, a server's certificate for 127.0.0.1, and a client's."""
    folder = tmp_path_factory.mktemp("certificates")
    at = lambda name: str(folder / name)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", at("ca.key"), "-out", at("ca.crt"), "-subj", "/CN=test ca")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1,DNS:localhost"), ("client", "subjectAltName=DNS:a.client")):
        (folder / f"{name}.ext").write_text(extension + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", at(f"{name}.key"), "-out", at(f"{name}.csr"), "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", at(f"{name}.csr"), "-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-CAcreateserial",
                "-days", "2", "-extfile", at(f"{name}.ext"), "-out", at(f"{name}.crt"))
    return folder


@pytest.fixture
def start(serve, sextant_bin, tmp_path):
    """start(flags...) or start(web="yaml"): a process; who asks it says how."""
    def run(*flags, web=None):
        config = write_config(tmp_path, "global: {}\n")
        if web:
            (tmp_path / "web.yml").write_text(web)
            flags += (f"--web.config.file={tmp_path}/web.yml",)
        return serve(sextant_bin, "observe", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data",
                     "--web.listen-address=127.0.0.1:0", *NO_TRACES, *flags, name="observe")
    return run


def curl(*args):
    return subprocess.run(["curl", "-sS", "--max-time", "20", *args], capture_output=True, text=True, timeout=60)


def test_tls_with_a_certificate(start, certificates):
    process = start(web=f"tls_server_config: {{cert_file: {certificates}/server.crt, key_file: {certificates}/server.key}}\n")
    url = f"https://{process.address('https')}"
    for version in ("--http1.1", "--http2"):
        done = curl(version, "--cacert", f"{certificates}/ca.crt", url + "/-/healthy", "-w", "%{http_version}")
        assert done.stdout == "Prometheus Server is Healthy.\n" + ("2" if version == "--http2" else "1.1"), done.stderr
    assert curl(url + "/-/healthy").returncode == 60  # nobody vouches for it
    plain = curl(url.replace("https", "http") + "/-/healthy")
    assert plain.returncode != 0 or "Healthy" not in plain.stdout
    answer = requests.get(url + "/api/v1/query", {"query": "1"}, verify=f"{certificates}/ca.crt", timeout=TIMEOUT_S)
    assert answer.json()["data"]["result"][1] == "1"
    old = ssl.create_default_context(cafile=f"{certificates}/ca.crt")
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(socket.create_connection(tuple(url[8:].split(":"))), server_hostname="127.0.0.1")


def test_client_certificates_are_asked_for(start, certificates):
    process = start(web=f"""
tls_server_config:
  cert_file: {certificates}/server.crt
  key_file: {certificates}/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: {certificates}/ca.crt
  client_allowed_sans: [a.client]
""")
    url = f"https://{process.address('https')}/-/healthy"
    trusted = ["--cacert", f"{certificates}/ca.crt"]
    assert curl(*trusted, url).returncode != 0
    client = ["--cert", f"{certificates}/client.crt", "--key", f"{certificates}/client.key"]
    assert curl(*trusted, *client, url).stdout == "Prometheus Server is Healthy.\n"
    other = ["--cert", f"{certificates}/server.crt", "--key", f"{certificates}/server.key"]
    assert curl(*trusted, *other, url).returncode != 0  # another name


def test_users_and_header_fields(start, tmp_path):
    process = start(web=f"basic_auth_users: {{alice: '{HASH}'}}\n"
                        "http_server_config: {headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff}}\n")
    url = f"http://{process.address('http')}"
    for path in ("/api/v1/query?query=1", "/metrics", "/federate", "/api/v1/status/config", "/nothing"):
        refused = requests.get(url + path, timeout=TIMEOUT_S)
        assert refused.status_code == 401 and refused.headers["WWW-Authenticate"].startswith("Basic"), path
    assert requests.get(url + "/metrics", auth=("alice", "wrong"), timeout=TIMEOUT_S).status_code == 401
    assert requests.get(url + "/metrics", auth=("bob", "correct horse"), timeout=TIMEOUT_S).status_code == 401
    answer = requests.get(url + "/api/v1/query", {"query": "1"}, auth=ALICE, timeout=TIMEOUT_S)
    assert answer.status_code == 200
    assert answer.headers["X-Frame-Options"] == "deny" and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert curl("-u", ":".join(ALICE), url + "/-/ready").stdout == "Prometheus Server is Ready.\n"
    # Another file is taken up by a reload; a broken one leaves the users as they were.
    (tmp_path / "web.yml").write_text("basic_auth_users: {alice: 'no hash'}\n")
    process.signal("HUP")
    wait_for(lambda: "bcrypt" in process.log(), what="the refusal")
    assert requests.get(url + "/metrics", timeout=TIMEOUT_S).status_code == 401
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{bob: '{HASH}'}}\n")
    process.signal("HUP")
    wait_for(lambda: requests.get(url + "/metrics", auth=("bob", "correct horse"), timeout=TIMEOUT_S).status_code == 200,
             what="the new user")
    assert requests.get(url + "/metrics", auth=ALICE, timeout=TIMEOUT_S).status_code == 401


def test_requests_are_no_faster_than_the_file_says(start):
    process = start(web="rate_limit: {interval: 1h, burst: 3}\n")
    url = f"http://{process.address('http')}/api/v1/query?query=1"
    codes = [requests.get(url, timeout=TIMEOUT_S).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]


@pytest.mark.parametrize("text, words", [
    ("tls_server_config: {cert_file: none.crt, key_file: none.key}\n", "none.crt"),
    ("basic_auth_users: {alice: plain}\n", "not a bcrypt hash"), ("users: {}\n", "users"),
    ("http_server_config: {headers: {X-Frame-Options: maybe}}\n", "deny or sameorigin"),
    ("rate_limit: {interval: 1s, burst: 0}\n", "burst"), ("rate_limit: {interval: x, burst: 1}\n", "interval")])
def test_a_broken_web_configuration_is_told_before_the_start(sextant_bin, tmp_path, text, words):
    (tmp_path / "web.yml").write_text(text)
    config = write_config(tmp_path, "global: {}\n")
    done = subprocess.run([sextant_bin, "observe", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data",
                           "--web.listen-address=127.0.0.1:0", f"--web.config.file={tmp_path}/web.yml"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and words in done.stderr, done.stderr
    if "none.crt" not in words:
        checked = subprocess.run([sextant_bin, "check", "web-config", f"{tmp_path}/web.yml"], capture_output=True, text=True, timeout=60)
        assert checked.returncode == 1 and words in checked.stderr


def get(process, path, **more):
    return requests.get(f"http://{process.address('http')}{path}", timeout=TIMEOUT_S, allow_redirects=False, **more)


def test_all_paths_have_the_prefix(start):
    process = start("--web.external-url=https://metrics.example:8443/prom/", "--web.enable-lifecycle")
    assert get(process, "/prom/-/ready").status_code in (200, 503)
    wait_for(lambda: get(process, "/prom/-/ready").status_code == 200, what="readiness")
    assert get(process, "/prom/api/v1/query?query=1").json()["data"]["result"][1] == "1"
    assert get(process, "/api/v1/query?query=1").status_code == 404
    assert get(process, "/prom/metrics").status_code == 200
    servers = get(process, "/prom/api/v1/openapi.yaml").text
    assert "https://metrics.example:8443/prom/api/v1" in servers


def test_the_prefix_may_differ_from_the_address(start):
    process = start("--web.external-url=https://metrics.example/prom", "--web.route-prefix=/inner")
    wait_for(lambda: get(process, "/inner/-/ready").status_code == 200, what="readiness")
    assert get(process, "/prom/-/ready").status_code == 404


def test_root_prefix_behind_an_address_with_a_path(start):
    process = start("--web.external-url=https://metrics.example/prom", "--web.route-prefix=/")
    wait_for(lambda: get(process, "/-/ready").status_code == 200, what="readiness")
    assert get(process, "/api/v1/query?query=1").status_code == 200


def test_only_listed_origins_are_let_in(start):
    process = start("--web.cors.origin=https?://(a|b)\\.example")
    for origin, in_ in (("https://a.example", True), ("http://b.example", True), ("https://c.example", False),
                        ("https://a.example.evil", False), ("xhttps://a.example", False)):
        told = get(process, "/api/v1/query?query=1", headers={"Origin": origin}).headers
        assert told.get("Access-Control-Allow-Origin") == (origin if in_ else None), origin
        assert "Origin" in told["Vary"]


def test_connections_are_no_more_than_the_flag_says(start):
    process = start("--web.max-connections=4", "--loops=1")
    held = []
    for _ in range(4):
        s = socket.create_connection(process.host_port())
        s.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        s.settimeout(TIMEOUT_S)
        assert b" 200 " in s.recv(4096)
        held.append(s)
    late = socket.create_connection(process.host_port())
    late.settimeout(2)
    late.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        assert b" 200 " not in late.recv(4096)
    except (TimeoutError, ConnectionError):
        pass
    for s in held:
        s.close()
    wait_for(lambda: get(process, "/-/healthy").status_code == 200, what="room again")
    late.close()


def test_a_silent_client_is_given_up(start):
    process = start("--web.read-timeout=3s")  # a busy machine may be this long between connecting and asking
    for begin in (b"", b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nquery"):
        s = socket.create_connection(process.host_port())
        s.settimeout(TIMEOUT_S)
        s.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Healthy" in s.recv(4096)
        s.sendall(begin)
        began = time.monotonic()
        while s.recv(4096):
            pass
        assert time.monotonic() - began < 10
        s.close()


def test_who_wrote_while_the_server_stood_still_is_answered(start):
    process = start("--web.read-timeout=1s")
    ask = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    known = [socket.create_connection(process.host_port(), timeout=TIMEOUT_S) for _ in range(4)]
    for s in known:
        s.sendall(ask)
        assert b"Healthy" in s.recv(4096)
    process.signal("STOP")
    try:
        new = [socket.create_connection(process.host_port(), timeout=TIMEOUT_S) for _ in range(4)]
        for s in known + new:
            s.sendall(ask)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() - began > 1.5, what="the time-out to pass")
    finally:
        process.signal("CONT")
    for s in known + new:
        assert b"Healthy" in s.recv(4096)
        s.close()


def test_its_last_metrics_are_exported_while_all_that_they_ask_is_there(start):
    process = start("--otlp.endpoint=http://127.0.0.1:9")  # nobody listens
    process.signal("TERM")
    assert process.wait(20) == 0
    log = process.log()
    assert log.index("OTLP export has trouble") < log.index("stopped"), log
    assert log.index("OTLP export ended with losses") < log.index("stopped"), log


def test_a_configuration_that_cannot_be_read_is_told_once(sextant_bin, tmp_path):
    missing, wrong = tmp_path / "none.yml", tmp_path / "wrong.yml"
    wrong.write_text("global: {scrape_intervall: 3s}\nfoo: 1\n")
    for path, words in (missing, ["cannot open"]), (wrong, ["scrape_intervall", '"foo"']):
        ended = subprocess.run([sextant_bin, "observe", f"--config.file={path}",
                                f"--storage.tsdb.path={tmp_path / 'data'}"], capture_output=True,
                               text=True, timeout=30, check=False)
        assert ended.returncode == 2
        for word in words:
            assert ended.stderr.count(word) == 1, ended.stderr
        assert len(ended.stderr.splitlines()) == len(words), ended.stderr


def test_lifecycle_and_admin_need_their_flags(start):
    process = start()
    url = f"http://{process.address('http')}"
    for path in ("/-/reload", "/-/quit"):
        for method in ("POST", "PUT"):
            answer = requests.request(method, url + path, timeout=TIMEOUT_S)
            assert (answer.status_code, answer.text) == (403, "Lifecycle API is not enabled.")
    for path in ("delete_series?match[]=up", "clean_tombstones", "snapshot"):
        answer = requests.put(f"{url}/api/v1/admin/tsdb/{path}", timeout=TIMEOUT_S)
        assert answer.json() == {"status": "error", "errorType": "unavailable", "error": "admin APIs disabled"}
    for path in ("write", "otlp/v1/metrics"):
        answer = requests.post(f"{url}/api/v1/{path}", data=b"", timeout=TIMEOUT_S,
                               headers={"Content-Type": "application/x-protobuf"})
        assert answer.status_code == 404 and "needs to be enabled" in answer.text


def test_it_listens_on_every_address(serve, sextant_bin, tmp_path):
    app = Observe(serve, sextant_bin, tmp_path, flags=["--web.listen-address=127.0.0.1:0"])
    for proto in ("http", "http2"):
        assert Api(app.process.address(proto)).query("1")[1] == "1"
