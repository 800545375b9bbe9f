"""examples/hello, the smallest service, seen by the clients and tools that people really use."""
import json
import re
import socket

import httpx
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from lib import clients
from lib.clients import curl, promtool, run
from lib.service import Service, free_port
from lib.wait import SLOWER, wait_for

HELLO = "hello, world"
UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


def metrics(service):
    """{(name, labels): value} of everything on /metrics."""
    text = requests.get(service.url("/metrics"), timeout=10 * SLOWER).text
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for family in text_string_to_metric_families(text) for s in family.samples}


def test_curl_gets_the_greeting(hello):
    assert curl(hello.url()).strip() == HELLO


def test_head_has_the_length_but_no_body(hello):
    got = requests.get(hello.url(), timeout=10 * SLOWER)
    head = requests.head(hello.url(), timeout=10 * SLOWER)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))


def test_an_unknown_path_is_404(hello):
    answer = requests.get(hello.url("/no/such/path"), timeout=10 * SLOWER)
    assert answer.status_code == 404
    assert answer.headers["x-request-id"]


def test_requests_keeps_its_connection(hello):
    with requests.Session() as session:
        for _ in range(50):
            answer = session.get(hello.url(), timeout=10 * SLOWER)
            assert answer.status_code == 200
            assert answer.text.strip() == HELLO
        pool = session.get_adapter(hello.url()).poolmanager
        assert [p.num_connections for p in map(pool.pools.get, pool.pools.keys())] == [1]


def test_httpx_over_http1_and_http2(hello):
    with httpx.Client(timeout=10 * SLOWER) as client:
        assert client.get(hello.url()).http_version == "HTTP/1.1"
    with httpx.Client(http1=False, http2=True, timeout=10 * SLOWER) as client:
        for _ in range(20):
            answer = client.get(hello.url())
            assert (answer.http_version, answer.text.strip()) == ("HTTP/2", HELLO)


def test_curl_with_prior_knowledge_speaks_http2(hello):
    out = curl("--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}", hello.url())
    assert out.splitlines()[0] == HELLO
    assert out.splitlines()[-1] == "2 200"


def test_curl_that_offers_an_upgrade_is_served(hello):
    out = curl("--http2", "-w", "\n%{http_code}", hello.url())
    assert out.splitlines()[0] == HELLO
    assert out.splitlines()[-1] == "200"


def test_nghttp_sees_the_headers(hello):
    out = run("nghttp", "-v", "--no-dep", hello.url()).stdout
    assert ":status: 200" in out
    assert HELLO in out
    assert re.search(r"x-request-id: \S+", out)


@pytest.mark.parametrize("version", [["--h1"], []], ids=["http1", "http2"])
def test_h2load_has_every_request_answered(hello, version):
    out = run("h2load", *version, "-n", "5000", "-c", "20", "-m", "10", hello.url(), seconds=60).stdout
    assert re.search(r"requests: 5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed", out)
    assert re.search(r"status codes: 5000 2xx", out)


def test_node_by_fetch_and_by_undici(hello):
    said = clients.node("hello.mjs", hello.url())
    assert said["fetch"]["status"] == 200
    assert said["fetch"]["body"].strip() == HELLO
    assert said["fetch"]["requestId"] == "from-node-fetch"
    assert said["undici"]["answered"] == 200
    assert said["undici"]["body"].strip() == HELLO


def test_java_by_the_jdks_client(hello):
    said = clients.java("HttpHello.java", hello.url())
    for way in ("http1", "upgrade"):
        assert said[way]["status"] == 200
        assert [b.strip() for b in said[way]["bodies"].split("|")] == [HELLO] * 3 + [""]
        assert UUID7.match(said[way]["requestId"])


def test_java_by_okhttp(hello):
    said = clients.java("OkHello.java", hello.url())
    assert (said["http1"]["protocol"], said["http2"]["protocol"]) == ("http/1.1", "h2_prior_knowledge")
    for way in said.values():
        assert (way["status"], way["body"].strip()) == (200, HELLO)


def test_a_sane_request_id_is_kept_and_others_are_replaced(hello):
    def ask(request_id):
        headers = {} if request_id is None else {"X-Request-ID": request_id}
        return requests.get(hello.url(), headers=headers, timeout=10 * SLOWER).headers["x-request-id"]

    assert ask("checkout-42.A_b") == "checkout-42.A_b"
    for mad in (None, "", "two words", 'quo"te', "x" * 5000):
        assert UUID7.match(ask(mad)), f"for {str(mad)[:20]!r}"


def test_made_request_ids_differ_and_rise(hello):
    with requests.Session() as session:
        ids = [session.get(hello.url(), timeout=10 * SLOWER).headers["x-request-id"]
               for _ in range(200)]
    assert len(set(ids)) == 200
    stamps = [i[:13] for i in ids]
    assert stamps == sorted(stamps), "a UUIDv7 opens with the milliseconds"


def test_the_access_log_has_the_request_as_json(hello):
    requests.get(hello.url("/?page=2"), headers={"X-Request-ID": "find-me-in-the-log"},
                 timeout=10 * SLOWER)

    def line():
        lines = [t for out in (hello.stdout(), hello.stderr())
                 for t in out.rpartition("\n")[0].splitlines()]  # whole ones only
        return next((t for t in lines if "find-me-in-the-log" in t), None)

    entry = json.loads(wait_for(line, 5, "a line of the access log"))
    values = [str(v) for v in _leaves(entry)]
    assert "find-me-in-the-log" in values
    assert "GET" in values
    assert "200" in values


def _leaves(node):
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _leaves(child)
    else:
        yield node


def test_liveness_and_readiness(hello):
    live = requests.get(hello.url("/health/live"), timeout=10 * SLOWER)
    assert live.status_code == 200
    assert live.headers["content-type"].startswith("application/json")
    assert live.json() == {"status": "alive"}
    ready = requests.get(hello.url("/health/ready"), timeout=10 * SLOWER)
    assert ready.status_code == 200
    assert ready.headers["content-type"].startswith("application/json")


def test_promtool_finds_nothing_to_say_about_the_metrics(hello):
    requests.get(hello.url(), timeout=10 * SLOWER)
    text = requests.get(hello.url("/metrics"), timeout=10 * SLOWER)
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    said = promtool("check", "metrics", input=text.text)
    assert said.stdout + said.stderr == ""


def test_requests_are_counted(hello):
    before = metrics(hello)
    with requests.Session() as session:
        for _ in range(30):
            session.get(hello.url(), timeout=10 * SLOWER)
    after = metrics(hello)
    grown = {key: after[key] - before.get(key, 0) for key in after if key[0].endswith("_total")}
    # 31 where the look at /metrics counts as a request too.
    assert any(rise in (30, 31) for rise in grown.values()), grown


def test_every_family_has_help_and_type(hello):
    text = requests.get(hello.url("/metrics"), timeout=10 * SLOWER).text
    families = list(text_string_to_metric_families(text))
    assert len(families) >= 5
    for family in families:
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram", "summary"), family.name


def test_prometheus_scrapes_without_a_warning(hello, spawn, tmp_path):
    config = tmp_path / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
                      "scrape_configs:\n"
                      "- job_name: hello\n"
                      f"  static_configs: [{{targets: ['{hello.address()}']}}]\n")
    web = f"127.0.0.1:{free_port()}"
    prometheus = spawn("prometheus", f"--config.file={config}", f"--web.listen-address={web}",
                       f"--storage.tsdb.path={tmp_path}/tsdb", "--log.level=debug")

    def query(expression):
        answer = requests.get(f"http://{web}/api/v1/query", params={"query": expression}, timeout=10)
        return [float(r["value"][1]) for r in answer.json()["data"]["result"]]

    wait_for(lambda: query('min_over_time(up{job="hello"}[1m])') == [1.0], 30, "up == 1")
    # A second scrape shows that what the first brought is accepted again.
    wait_for(lambda: query('count_over_time(up{job="hello"}[1m]) >= 3'), 30, "three scrapes")
    assert query('scrape_samples_scraped{job="hello"}')[0] >= 10
    loud = [line for line in prometheus.log().splitlines()
            if re.search(r"level=(warn|error)|append failed|Scrape", line)]
    assert loud == []


def test_sigterm_ends_it_while_a_client_idles(hello):
    with socket.create_connection(hello.host_port()) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        assert hello.stop(seconds=5) == 0
        assert idle.recv(1) == b"", "the idle connection is closed, not reset"


def test_sigint_ends_it_too(hello):
    hello.signal("INT")
    assert hello.wait(5) == 0


def test_a_port_in_use_is_named(start_hello, hello, tmp_path):
    _, port = hello.host_port()
    second = Service(hello.argv, str(tmp_path), name="second", env={"PORT": str(port)})
    with pytest.raises(AssertionError) as refused:
        second.start()
    assert "before it was ready" in str(refused.value)
    assert str(port) in second.stderr()
    assert curl(hello.url()).strip() == HELLO, "the first is not disturbed"


@pytest.mark.parametrize("port", ["http", "-1", "65536", "80 81"])
def test_a_port_that_is_none_is_refused(start_hello, port):
    with pytest.raises(AssertionError) as refused:
        start_hello(port)
    assert port in str(refused.value), "the message shows what was given"


@pytest.mark.kill
def test_it_comes_back_on_its_port_after_each_kill(start_hello):
    service = start_hello(free_port())
    for _ in range(20):
        requests.get(service.url(), timeout=10 * SLOWER)
        service.kill()
        service.start()
        assert curl(service.url()).strip() == HELLO


@pytest.mark.kill
def test_it_stops_cleanly_under_load(start_hello, spawn):
    for _ in range(5):
        service = start_hello()
        load = spawn("h2load", "--h1", "-n", "1000000", "-c", "20", service.url(), name="load")
        before = metrics(service)
        wait_for(lambda: sum(metrics(service).values()) > sum(before.values()), 10, "load to arrive")
        assert service.stop() == 0
        load.kill()


@pytest.mark.peers
def test_h2spec_finds_every_rule_kept(hello):
    host, port = hello.host_port()
    done = run(clients.peer("h2spec"), "http2", "hpack", "generic", "-h", host, "-p", port,
               "--timeout", 5 * SLOWER, seconds=300, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"\d+ tests, \d+ passed, \d+ skipped, 0 failed", done.stdout)
