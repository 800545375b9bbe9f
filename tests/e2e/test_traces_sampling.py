"""Remote sampling over HTTP and gRPC: a file of strategies, its changes, and adaptive answers; beside
Jaeger 1.76 where it is at hand."""
import json
import os

import grpc
import pytest
import requests

from lib.observe import ROOT, Observe
from lib.service import free_port
from lib.wait import wait_for

JAEGER = os.path.join(ROOT, ".cache", "peers", "bin", "jaeger")
STRATEGIES = {
    "service_strategies": [
        {"service": "foo", "type": "probabilistic", "param": 0.8, "operation_strategies": [
            {"operation": "op1", "type": "probabilistic", "param": 0.2},
            {"operation": "a<b>&c", "type": "probabilistic", "param": 0.4},
            {"operation": "limited", "type": "ratelimiting", "param": 3}]},
        {"service": "bar baz", "type": "ratelimiting", "param": 5},
        {"service": "tiny", "type": "probabilistic", "param": 1e-7},
        {"service": "only", "operation_strategies": [
            {"operation": "x", "type": "probabilistic", "param": 1}]}],
    "default_strategy": {"type": "probabilistic", "param": 0.5, "operation_strategies": [
        {"operation": "/health", "type": "probabilistic", "param": 0.0},
        {"operation": "/metrics", "type": "probabilistic", "param": 0.0}]},
}
PLAIN = {"default_strategy": {"type": "ratelimiting", "param": 7},
         "service_strategies": [{"service": "foo", "type": "probabilistic", "param": 0.25}]}
SERVICES = ("foo", "bar baz", "tiny", "only", "unknown", "")
METHOD = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy"


class Sampler(Observe):
    def __init__(self, serve, sextant_bin, folder, strategies=None, flags=()):
        self.path = os.path.join(str(folder), "strategies.json")
        own = ["--jaeger.sampling=127.0.0.1:0", "--otlp.http=127.0.0.1:0",
               "--jaeger.grpc=127.0.0.1:0"]
        if strategies is not None:
            self.write_strategies(strategies)
            own.append(f"--jaeger.sampling-file={self.path}")
        super().__init__(serve, sextant_bin, folder, flags=(*own, *flags))
        self.sampling = self.process.address("jaeger-sampling")

    def write_strategies(self, strategies):
        with open(self.path + ".new", "w", encoding="utf-8") as out:
            out.write(strategies if isinstance(strategies, str) else json.dumps(strategies))
        os.replace(self.path + ".new", self.path)

    def get(self, path, **params):
        return requests.get(f"http://{self.sampling}{path}", params=params, timeout=10)


def by_grpc(address, service):
    """The answer's bytes."""
    name = service.encode()
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD, lambda b: b, lambda b: b)
        return call(b"\x0a" + bytes([len(name)]) + name if name else b"", timeout=10)


@pytest.fixture
def sampler(serve, sextant_bin, tmp_path):
    return lambda *args, **more: Sampler(serve, sextant_bin, tmp_path, *args, **more)


def test_clients_of_the_jaeger_era_find_their_strategy(sampler):
    app = sampler(PLAIN)
    answer = app.get("/sampling", service="foo")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.text == ('{"strategyType":"PROBABILISTIC",'
                           '"probabilisticSampling":{"samplingRate":0.25}}')
    assert app.get("/", service="other").text == (
        '{"strategyType":1,"rateLimitingSampling":{"maxTracesPerSecond":7}}')
    assert app.get("/api/sampling", service="foo").text == answer.text
    assert app.get("/baggageRestrictions", service="foo").json() == []
    for path in ("/sampling", "/sampling?service=a&service=b", "/"):
        refused = app.get(path)
        assert refused.status_code == 400
        assert refused.text == "'service' parameter must be provided once\n"
    for address in (app.sampling, app.process.address("jaeger-grpc")):
        assert by_grpc(address, "other") == b"\x08\x01\x1a\x02\x08\x07"
        assert by_grpc(address, "foo") == b"\x12\x09\x09\x00\x00\x00\x00\x00\x00\xd0\x3f"


def test_a_changed_file_is_taken_up_and_a_bad_one_is_not(sampler):
    app = sampler(PLAIN)

    def rate(service="foo"):
        return app.get("/sampling", service=service).json()["probabilisticSampling"]["samplingRate"]

    changed = json.loads(json.dumps(PLAIN))
    changed["service_strategies"][0]["param"] = 0.75
    app.write_strategies(changed)
    wait_for(lambda: rate() == 0.75, what="the changed file")
    app.write_strategies('{"default_strategy":\n{"type": "sometimes"}}')
    app.process.signal("HUP")
    wait_for(lambda: "'sometimes'" in app.process.log(), what="the refusal in the log")
    assert "line 2" in app.process.log()
    assert rate() == 0.75


def test_without_a_file_the_answer_adapts(sampler):
    app = sampler()
    assert app.get("/sampling", service="shop").json() == {
        "strategyType": "PROBABILISTIC", "operationSampling": {
            "defaultSamplingProbability": 0.001,
            "defaultLowerBoundTracesPerSecond": 1 / 60,
            "perOperationStrategies": [], "defaultUpperBoundTracesPerSecond": 0}}


@pytest.mark.skipif(not os.path.exists(JAEGER), reason="no Jaeger here; run scripts/peers.sh")
@pytest.mark.parametrize("strategies", [STRATEGIES, PLAIN], ids=["operations", "plain"])
def test_the_same_bytes_as_jaeger(sampler, spawn, strategies):
    app = sampler(strategies)
    ports = {name: free_port() for name in ("grpc", "admin", "query", "query-grpc", "thrift", "otlp",
                                            "otlp-http")}
    spawn(JAEGER, f"--sampling.strategies-file={app.path}",
          f"--collector.grpc-server.host-port=127.0.0.1:{ports['grpc']}",
          f"--collector.http-server.host-port=127.0.0.1:{ports['thrift']}",
          f"--collector.otlp.grpc.host-port=127.0.0.1:{ports['otlp']}",
          f"--collector.otlp.http.host-port=127.0.0.1:{ports['otlp-http']}",
          f"--admin.http.host-port=127.0.0.1:{ports['admin']}",
          f"--query.http-server.host-port=127.0.0.1:{ports['query']}",
          f"--query.grpc-server.host-port=127.0.0.1:{ports['query-grpc']}", name="jaeger")
    peer = f"http://127.0.0.1:{ports['thrift']}/api/sampling"

    def up():
        try:
            return requests.get(peer, params={"service": "x"}, timeout=2).status_code == 200
        except requests.ConnectionError:
            return False
    wait_for(up, seconds=30, what="Jaeger")
    for service in SERVICES:
        theirs = requests.get(peer, params={"service": service}, timeout=10)
        ours = app.get("/sampling", service=service)
        assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text), service
        assert ours.headers["Content-Type"] == theirs.headers["Content-Type"]
        assert by_grpc(app.sampling, service) == by_grpc(f"127.0.0.1:{ports['grpc']}", service)
    theirs, ours = requests.get(peer, timeout=10), app.get("/sampling")
    assert (ours.status_code, ours.text) == (theirs.status_code, theirs.text)
