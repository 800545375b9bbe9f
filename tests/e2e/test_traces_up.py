"""`sextant up` traces itself: a request for an address, from the HTTP server down to the index."""
import json
import re

import requests

from lib.traces import by_trace, export, spans_of, tree
from lib.wait import wait_for

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER = 2
OTLP = re.compile(r"http://(\S+)/v1/traces")


def start(spawn, sextant_bin, state, *flags, env=None):
    up = spawn(sextant_bin, "up", "--dir", state, "--metrics", "127.0.0.1:0", "--listen",
               "127.0.0.1:0", "--no-visitor", *flags, name="up", env=env)
    wait_for(lambda: "Sextant is up" in up.stdout(), 60, "sextant up")
    targets = json.loads((state / "observe" / "targets.json").read_text())
    return up, {t["labels"]["service"]: t["targets"][0] for t in targets}


def whole(address):
    """Whether the trace of the request and one of the metrics server's own are there."""
    found = requests.get(f"http://{address}/api/v3/traces/{TRACE}", timeout=10)
    services = requests.get(f"http://{address}/api/services", timeout=10).json()["data"]
    return found.ok and "geocode.format" in found.text and "/search/" in found.text and \
        "observe" in (services or [])


def test_a_request_for_an_address_from_the_server_to_the_index(spawn, sextant_bin, tmp_path):
    state = tmp_path / "state"
    up, address = start(spawn, sextant_bin, state, "--traces", "127.0.0.1:0")
    assert OTLP.search(up.stdout())
    answer = requests.get(f"http://{address['geocode']}/search/",
                          params={"q": "34 avenue de l opera"}, timeout=10,
                          headers={"traceparent": f"00-{TRACE}-{PARENT}-01",
                                   "x-request-id": "find-me-7"})
    assert answer.status_code == 200
    requests.get(f"http://{address['observe']}/api/v1/query?query=up", timeout=10)
    wait_for(lambda: whole(address["observe"]), 30, "the trace of the request")
    # From a request's id to its trace, by a search.
    by_id = requests.get(f"http://{address['observe']}/api/traces", timeout=10, params={
        "service": "geocode", "tags": json.dumps({"request_id": "find-me-7"})}).json()["data"]
    assert [t["traceID"] for t in by_id] == [TRACE]
    # From a metric's exemplar to its trace.
    page = requests.get(f"http://{address['geocode']}/metrics", timeout=10, headers={
        "Accept": "application/openmetrics-text"}).text
    assert f'trace_id="{TRACE}"' in page
    assert up.stop() == 0

    stored = by_trace(s for line in export(sextant_bin, state / "observe" / "data")
                      for s in spans_of(line))
    ((root, below),) = tree(stored[TRACE])
    assert root == ("geocode", "GET /search/", SERVER)
    phases = [name for (_, name, _), _ in below]
    assert phases[0] == "geocode.normalise" and phases[-1] == "geocode.format"
    assert {"geocode.candidates", "geocode.score"} <= set(phases)
    server = next(s for s in stored[TRACE] if s["kind"] == SERVER)
    assert server["parentSpanId"] == PARENT
    assert server["attributes"]["request_id"] == ("string", "find-me-7")
    assert server["attributes"]["http.route"] == ("string", "/search/")

    # The metrics server's own requests are there, but not those that bring spans: no loop.
    every = [s for spans in stored.values() for s in spans]
    assert {s["service"] for s in every} == {"geocode", "observe"}
    assert any(s["attributes"].get("http.route") == ("string", "/api/v1/query") for s in every)
    assert not [s for s in every if s["attributes"].get("url.path") == ("string", "/v1/traces")]


def test_up_without_traces(spawn, sextant_bin, tmp_path):
    up, address = start(spawn, sextant_bin, tmp_path / "state", "--traces", "")
    assert not OTLP.search(up.stdout())
    assert requests.get(f"http://{address['geocode']}/search/?q=paris", timeout=10).ok
    assert up.stop() == 0
    assert not (tmp_path / "state" / "observe" / "data" / "sextant" / "traces").exists()
