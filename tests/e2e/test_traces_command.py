"""`sextant traces`: what is exported comes in elsewhere as it was; faults have file and line."""
import gzip
import json
import os
import subprocess

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lib.traces import Traces, by_trace, export, request, span, spans_of
from lib.wait import SLOWER

START = 1_760_000_000_000_000_000
TRACES = [f"{n:032x}" for n in range(1, 1501)]  # more than one page of the export
VALUES = [{"key": "text", "value": {"stringValue": "é€𝄞\n\"x\""}},
          {"key": "int", "value": {"intValue": "-9223372036854775808"}},
          {"key": "real", "value": {"doubleValue": 0.1}},
          {"key": "truth", "value": {"boolValue": True}},
          {"key": "nothing", "value": {}},
          {"key": "bytes", "value": {"bytesValue": "AAECAw=="}},
          {"key": "deep", "value": {"kvlistValue": {"values": [
              {"key": "list", "value": {"arrayValue": {"values": [
                  {"intValue": "1"}, {"stringValue": ""}, {"kvlistValue": {}}]}}}]}}}]


def many():
    """Spans with everything that a span can have, among many small ones."""
    rich = span(TRACES[0], 1, "rich", start=START, kind=5, flags=769, traceState="a=1,b=2",
                attributes=VALUES, droppedAttributesCount=1, droppedEventsCount=2,
                droppedLinksCount=3, status={"code": 2, "message": "no"},
                events=[{"timeUnixNano": str(START + 5), "name": "e", "attributes": VALUES,
                         "droppedAttributesCount": 4}, {"name": "no time"}],
                links=[{"traceId": "ab" * 16, "spanId": "cd" * 8, "traceState": "c=3", "flags": 257,
                        "attributes": VALUES, "droppedAttributesCount": 5}])
    backwards = span(TRACES[0], 2, "ends before it begins", parent=f"{1:016x}", start=START, ns=-1000)
    return [rich, backwards] + [
        span(trace, 10 + k, f"work {k}", parent="" if k == 0 else f"{10:016x}",
             start=START + n * 1_000_000 + k) for n, trace in enumerate(TRACES) for k in range(3)]


def command(sextant_bin, *args, status=0):
    done = subprocess.run([sextant_bin, "traces", *map(str, args)], text=True, capture_output=True,
                          timeout=120 * SLOWER, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def read(sextant_bin, folder, *flags):
    return {trace: sorted(spans, key=lambda s: s["spanId"]) for trace, spans in by_trace(
        one for line in export(sextant_bin, folder, *flags) for one in spans_of(line)).items()}


@pytest.fixture(scope="module")
def store(sextant_bin, tmp_path_factory):
    """A directory with many(), taken in from a file."""
    folder = tmp_path_factory.mktemp("store")
    source = folder / "spans.json"
    source.write_text(json.dumps(request(many()), indent=1))
    done = command(sextant_bin, "import", "--dir", folder / "data", source)
    assert f"{len(many())} spans taken" in done.stdout
    return folder / "data"


def test_import_keeps_everything(sextant_bin, store):
    want = by_trace(spans_of(request(many())))
    stored = read(sextant_bin, store)
    assert sorted(stored) == sorted(want)
    for trace, spans in want.items():
        assert stored[trace] == sorted(spans, key=lambda s: s["spanId"])


@pytest.mark.parametrize("packed", [False, True])
def test_export_and_import_elsewhere(sextant_bin, store, tmp_path, packed):
    text = command(sextant_bin, "export", "--dir", store).stdout
    assert len(text.splitlines()) == len(TRACES)  # a trace a line
    path = tmp_path / "all.jsonl"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    command(sextant_bin, "import", "--dir", tmp_path / "data", path)
    assert read(sextant_bin, tmp_path / "data") == read(sextant_bin, store)


def test_import_into_a_running_server(serve, sextant_bin, store, tmp_path):
    path = tmp_path / "all.jsonl"
    path.write_text(command(sextant_bin, "export", "--dir", store).stdout)
    app = Traces(serve, sextant_bin, tmp_path,
                 flags=("--traces.retention=10y",))
    done = command(sextant_bin, "import", "--url", app.at("otlp-http"), path)
    assert f"{len(many())} spans taken" in done.stdout
    in_use = command(sextant_bin, "export", "--dir", app.data_dir, status=1)
    assert "is in use" in in_use.stderr
    app.process.stop()
    assert read(sextant_bin, app.data_dir) == read(sextant_bin, store)


def test_protobuf_is_told_by_its_content(sextant_bin, tmp_path):
    import base64
    body = request(many()[:2])
    for one in body["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for each in [one, *one.get("links", [])]:
            for key in ("traceId", "spanId", "parentSpanId"):
                if each.get(key):
                    each[key] = base64.b64encode(bytes.fromhex(each[key])).decode()
    path = tmp_path / "request.bin"
    path.write_bytes(ParseDict(body, ExportTraceServiceRequest()).SerializeToString())
    command(sextant_bin, "import", "--dir", tmp_path / "data", path)
    assert read(sextant_bin, tmp_path / "data") == by_trace(spans_of(request(many()[:2])))


def test_zipkin_and_jaeger_files(sextant_bin, tmp_path):
    zipkin = [{"traceId": "1f", "id": "2", "name": "z", "timestamp": 1760000000000000, "duration": 5,
               "localEndpoint": {"serviceName": "zip"}, "tags": {"a": "b"}}]
    jaeger = {"data": [{"traceID": "2f", "processes": {"p1": {"serviceName": "jae", "tags": []}},
                        "spans": [{"traceID": "2f", "spanID": "3", "operationName": "j",
                                   "references": [], "startTime": 1760000000000000, "duration": 5,
                                   "tags": [{"value": 7, "type": "int64", "key": "n"}],
                                   "logs": [], "processID": "p1"}]}]}
    (tmp_path / "z.json").write_text(json.dumps(zipkin))
    (tmp_path / "j.json").write_text(json.dumps(jaeger, indent=2))
    command(sextant_bin, "import", "--dir", tmp_path / "data", tmp_path / "z.json",
            tmp_path / "j.json")
    stored = read(sextant_bin, tmp_path / "data")
    (z,), (j,) = stored[f"{0x1f:032x}"], stored[f"{0x2f:032x}"]
    assert (z["service"], z["name"], z["end"] - z["start"]) == ("zip", "z", 5000)
    assert (j["service"], j["name"], j["attributes"]) == ("jae", "j", {"n": ("int", 7)})


def test_one_trace_a_service_a_time(sextant_bin, store):
    def ids(*flags):
        return [t for t in read(sextant_bin, store, *flags)]
    assert ids("--trace", TRACES[6].lstrip("0")) == [TRACES[6]]
    assert ids("--service", "shop") and ids("--service", "nobody") == []
    at = (START + 1_000_000 * 700) // 1_000_000 / 1000
    late = ids("--start", f"{at:.3f}")
    assert late[0] == TRACES[-1] and len(late) == 800  # the newest first
    assert len(ids("--start", f"{at:.3f}", "--end", f"{at + 0.009:.3f}")) == 10
    missing = command(sextant_bin, "export", "--dir", store, "--trace", "ff" * 16, status=1)
    assert "there is no trace" in missing.stderr


def test_stats_and_verify(sextant_bin, store):
    stats = command(sextant_bin, "stats", "--dir", store).stdout
    assert f"spans        {len(many())}" in stats
    shop = next(line.split() for line in stats.splitlines() if line.startswith("shop"))
    assert shop[1:3] == [str(len(many())), "1"]
    assert f"{len(many())} spans" in command(sextant_bin, "verify", "--dir", store).stdout


def test_verify_finds_a_changed_byte(sextant_bin, store, tmp_path):
    import shutil
    copy = tmp_path / "data"
    shutil.copytree(store, copy)
    folder = copy / "sextant" / "traces"
    segment = folder / next(n for n in os.listdir(folder) if n.endswith(".seg"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 3] ^= 64
    segment.write_bytes(data)
    assert segment.name in command(sextant_bin, "verify", "--dir", copy, status=1).stderr


@pytest.mark.parametrize("text, words", [
    ('{"resourceSpans":[]}\n{"resourceSpans":[{"x"\n', ("line 2", "column 23")),
    ('{"resourceSpans": [\n  {"scopeSpans": 7}]}', ("line 2", "column 18")),
    ('{"data":[{"spans":[{"traceID":"xyz"}]}]}', ("hexadecimal",)),
    ("neither this nor that", ("byte",)),
])
def test_faults_have_file_and_line(sextant_bin, tmp_path, text, words):
    path = tmp_path / "bad.json"
    path.write_text(text)
    message = command(sextant_bin, "import", "--dir", tmp_path / "data", path, status=1).stderr
    assert str(path) in message
    for word in words:
        assert word in message


def test_what_is_not_there(sextant_bin, tmp_path):
    for name in ("export", "verify", "stats"):
        done = command(sextant_bin, name, "--dir", tmp_path / "none", status=1)
        assert "holds no traces" in done.stderr
        assert not (tmp_path / "none").exists()
    assert "--url" in command(sextant_bin, "import", "/dev/null", status=1).stderr
