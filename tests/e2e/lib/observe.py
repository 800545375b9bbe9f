"""The observatory's metrics server under test, Prometheus beside it, and samples for both.

    app = Observe(serve, sextant_bin, folder, {"scrape_configs": []})
    app.write([({"__name__": "up", "job": "x"}, [(1000, 1.0)])])
    app.query("up", time=1)

A sample is (milliseconds, value). Both take remote writes, so that both have the same."""
import os
import struct
import urllib.parse

import requests

from .service import free_port
from .wait import wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PROMETHEUS = os.path.join(ROOT, ".cache", "peers", "bin", "prometheus")
PROMTOOL = os.path.join(ROOT, ".cache", "peers", "bin", "promtool")
TIMEOUT_S = 30

# The listeners of traces, which are on at well-known ports by default: several servers run at a time.
TRACE_LISTENERS = ("otlp.grpc", "otlp.http", "jaeger.grpc", "jaeger.http", "jaeger.compact",
                   "jaeger.binary", "zipkin", "jaeger.query", "jaeger.query-grpc")
NO_TRACES = tuple(f"--{name}=" for name in TRACE_LISTENERS)


def traces_anywhere():
    """Flags that open each of them at any free port."""
    return tuple(f"--{name}=127.0.0.1:0" for name in TRACE_LISTENERS)


def _varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _label(name, value):
    return _field(1, _field(1, name.encode()) + _field(2, value.encode()))


def _exemplar(labels, value, ms):
    return _field(3, b"".join(_label(n, v) for n, v in sorted(labels.items())) +
                  b"\x11" + struct.pack("<d", value) + b"\x18" + _varint(ms))


def write_request(series, exemplars=(), metadata=()):
    """A prometheus.WriteRequest: [(labels, [(ms, value)])], [(labels, exemplar labels, value, ms)],
    [(metric, type number, help, unit)]."""
    out = bytearray()
    for labels, samples in series:
        one = b"".join(_label(n, v) for n, v in sorted(labels.items()))
        one += b"".join(_field(2, b"\x09" + struct.pack("<d", v) + b"\x10" + _varint(t))
                        for t, v in samples)
        out += _field(1, one)
    for labels, own, value, ms in exemplars:
        one = b"".join(_label(n, v) for n, v in sorted(labels.items()))
        out += _field(1, one + _exemplar(own, value, ms))
    for metric, kind, text, unit in metadata:
        out += _field(3, b"\x08" + _varint(kind) + _field(2, metric.encode()) +
                      _field(4, text.encode()) + _field(5, unit.encode()))
    return bytes(out)


def snappy(data):
    """The block format with nothing but literals."""
    out = bytearray(_varint(len(data)))
    for at in range(0, len(data), 60000):
        piece = data[at:at + 60000]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


class Api:
    """Prometheus's HTTP API at an address, whoever serves it."""

    def __init__(self, address):
        self.address = address
        self.session = requests.Session()

    def url(self, path):
        return f"http://{self.address}{path}"

    def ask(self, path, params=(), method="GET", headers=None):
        """The response; `params` is a dict or a list of pairs, sent as a form by POST."""
        pairs = list(params.items()) if isinstance(params, dict) else list(params)
        body = urllib.parse.urlencode(pairs)
        if method == "GET":
            return self.session.get(self.url(path) + ("?" + body if body else ""),
                                    headers=headers, timeout=TIMEOUT_S)
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.session.request(method, self.url(path), data=body, headers=form,
                                    timeout=TIMEOUT_S)

    def data(self, path, params=(), method="GET"):
        answer = self.ask("/api/v1/" + path, params, method)
        assert answer.status_code == 200, f"{path} {params}: {answer.status_code} {answer.text}"
        return answer.json()["data"]

    def query(self, expr, **params):
        """The result of an instant query."""
        return self.data("query", {"query": expr, **params})["result"]

    def query_range(self, expr, start, end, step, **params):
        return self.data("query_range", {"query": expr, "start": start, "end": end, "step": step,
                                         **params})["result"]

    def write(self, series, exemplars=(), metadata=()):
        """Remote write 1.0; the samples are there when it returns."""
        answer = self.session.post(
            self.url("/api/v1/write"), data=snappy(write_request(series, exemplars, metadata)),
            headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
                     "X-Prometheus-Remote-Write-Version": "0.1.0"}, timeout=TIMEOUT_S)
        assert answer.status_code in (200, 204), f"write: {answer.status_code} {answer.text}"

    def metric(self, name):
        """The value of a metric without labels on its /metrics page; None if it is not there."""
        for line in self.session.get(self.url("/metrics"), timeout=TIMEOUT_S).text.splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        return None

    def is_ready(self):
        return self.session.get(self.url("/-/ready"), timeout=TIMEOUT_S).status_code == 200


def write_config(folder, text):
    path = os.path.join(str(folder), "prometheus.yml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


class Observe(Api):
    """`sextant observe` on a free port with remote write on. `serve` is the fixture."""

    def __init__(self, serve, sextant_bin, folder, config="global: {}\n", data="data", flags=()):
        self.folder = str(folder)
        self.data_dir = os.path.join(self.folder, data)
        self.config = write_config(folder, config)
        self.process = serve(sextant_bin, "observe", f"--config.file={self.config}",
                             f"--storage.tsdb.path={self.data_dir}",
                             "--web.listen-address=127.0.0.1:0",
                             "--web.enable-remote-write-receiver", *NO_TRACES, *flags,
                             name="observe")
        super().__init__(self.process.address("http"))
        wait_for(self.is_ready, what="sextant observe")

    def restart(self, signal=None):
        """Stops it (or kills it by `signal`) and starts it again over the same data."""
        if signal:
            self.process.kill(signal)
        else:
            self.process.stop()
        self.process.start()
        self.address = self.process.address("http")
        wait_for(self.is_ready, what="sextant observe")


class Prometheus(Api):
    """A Prometheus with the same configuration. `spawn` is the fixture; see PROMETHEUS."""

    def __init__(self, spawn, folder, config="global: {}\n", data="peer-data", flags=()):
        self.data_dir = os.path.join(str(folder), data)
        address = f"127.0.0.1:{free_port()}"
        path = write_config(folder, config)
        self.process = spawn(PROMETHEUS, f"--config.file={path}",
                             f"--storage.tsdb.path={self.data_dir}",
                             f"--web.listen-address={address}", "--log.level=error",
                             "--web.enable-remote-write-receiver", *flags, name="prometheus")
        super().__init__(address)
        wait_for(self.is_ready, seconds=30, what="Prometheus")
