"""Every exposition format, read by those that it is for: Prometheus 3 and 2, promtool, and the
OpenMetrics parser of Prometheus's Python client. What they scrape is programs/metrics_zoo.c."""
import os
import re
import shutil
import subprocess

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from conftest import BUILD, ROOT
from lib.clients import promtool
from lib.service import free_port
from lib.wait import SLOWER, wait_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
ODD_VALUES = {"plain": -2.5, 'quote " backslash \\ line\nend': 1e300, "été 🌞": 0.0,
              "not \ufffd utf-8": 5e-324, "# {} = , } \t": 0.1, "endless": float("inf")}
TEXT_100 = "text/plain;version=1.0.0;escaping="
OPENMETRICS = "application/openmetrics-text;version=1.0.0;escaping="
PROTOBUF = ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
            "encoding=delimited;escaping=")

# What the zoo's names are under each escaping.
GAUGE = {"allow-utf-8": "zoo.température", "underscores": "zoo_temp_rature",
         "dots": "zoo_dot_temp__rature", "values": "U__zoo_2e_temp_e9_rature"}
LABEL = {"allow-utf-8": "étage.niveau", "underscores": "_tage_niveau",
         "dots": "__tage_dot_niveau", "values": "U___e9_tage_2e_niveau"}


def newer_prometheus():
    """Prometheus 3, or None: the one that scripts/peers.sh builds (it does not say its version), or
    one on the PATH."""
    built = os.path.join(ROOT, ".cache", "peers", "bin", "prometheus")
    if os.path.exists(built):
        return built
    found = shutil.which("prometheus")
    if found:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        version = re.search(r"version (\d+)\.", said.stdout + said.stderr)
        if version and int(version.group(1)) >= 3:
            return found
    return None


@pytest.fixture
def zoo(serve):
    path = os.path.join(BUILD, "tests", "unit", "telemetry", "metrics_zoo")
    assert os.path.exists(path), f"{path} is missing; run `make build`"
    return serve(path, name="metrics_zoo")


class Prometheus:
    """A Prometheus that scrapes the zoo by several jobs."""

    def __init__(self, spawn, folder, binary, config, *flags):
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config)
        self.address = f"127.0.0.1:{free_port()}"
        spawn(binary, f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
              f"--web.listen-address={self.address}", *flags, name="prometheus")

    def api(self, path, **params):
        answer = requests.get(f"http://{self.address}/api/v1/{path}", params=params,
                              timeout=10 * SLOWER).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def wait_scraped(self, jobs):
        """Waits until each job's target was scraped; a scrape that failed fails the test."""
        def look():
            targets = self.api("targets")["activeTargets"]
            assert len(targets) == jobs
            return targets if all(t["health"] != "unknown" for t in targets) else None
        targets = wait_for(look, 60, "a scrape of every job")
        errors = {t["scrapePool"]: t["lastError"] for t in targets if t["lastError"]}
        assert not errors

    def value(self, query):
        """The one value of a query that has one."""
        found = self.api("query", query=query)["result"]
        assert len(found) == 1, (query, found)
        return found[0]["value"][1]


def job(name, address, **settings):
    lines = [f"- job_name: {name}", "  metrics_path: /", "  scrape_interval: 1s",
             "  scrape_timeout: 1s", f"  static_configs: [{{targets: ['{address}']}}]"]
    lines += [f"  {key}: {value}" for key, value in settings.items()]
    return "".join(f"  {line}\n" for line in lines)


PROTOCOLS = {"text004": "PrometheusText0.0.4", "text100": "PrometheusText1.0.0",
             "openmetrics": "OpenMetricsText1.0.0", "protobuf": "PrometheusProto"}


def every_job(address):
    for short, protocol in PROTOCOLS.items():
        for scheme in GAUGE:
            yield job(f"{short}-{scheme}", address, scrape_protocols=f"[{protocol}]",
                      metric_name_validation_scheme="utf8" if scheme == "allow-utf-8" else "legacy",
                      metric_name_escaping_scheme=scheme, scrape_native_histograms="true",
                      always_scrape_classic_histograms="true")


@pytest.fixture
def prometheus3(zoo, spawn, tmp_path):
    """Prometheus 3, scraping the zoo in every format under every escaping."""
    binary = newer_prometheus()
    if not binary:
        pytest.skip("no Prometheus 3: scripts/peers.sh builds one into .cache/peers/bin")
    jobs = list(every_job(zoo.address()))
    server = Prometheus(spawn, str(tmp_path), binary, "scrape_configs:\n" + "".join(jobs),
                        "--enable-feature=exemplar-storage")
    wait_for(lambda: requests.get(f"http://{server.address}/-/ready", timeout=5).ok, 60)
    server.wait_scraped(len(jobs))
    return server


def test_prometheus_3_reads_every_format_under_every_escaping(prometheus3):
    for short in PROTOCOLS:
        for scheme, gauge in GAUGE.items():
            label = LABEL[scheme]
            if short in ("text004", "protobuf"):  # Prometheus asks these for no escaping
                gauge, label = GAUGE["underscores"], LABEL["underscores"]
            name = f"{short}-{scheme}"
            found = prometheus3.api("query", query=f'{{"{gauge}",job="{name}"}}')["result"]
            assert len(found) == 1, (name, gauge)
            assert found[0]["value"][1] == "21"
            assert found[0]["metric"][label] == 'un "deux"'
            assert prometheus3.value(f'zoo_requests_total{{job="{name}",method="GET"}}') == "3"
            assert prometheus3.value(f'zoo_build_info{{job="{name}",colour="green"}}') == "1"
            assert prometheus3.value(f'zoo_door{{job="{name}",zoo_door="shut"}}') == "1"
            assert prometheus3.value(f'zoo_pause_seconds_count{{job="{name}"}}') == "100"
            median = prometheus3.value(f'zoo_pause_seconds{{job="{name}",quantile="0.5"}}')
            assert 0.45 <= float(median) <= 0.55
            assert prometheus3.value(f'zoo_door{{job="{name}",zoo_door="ajar"}}') == "0"
            heat = prometheus3.api("query", query=f'zoo_heat_celsius{{job="{name}"}}')["result"]
            assert {s["metric"]["value"]: float(s["value"][1]) for s in heat} == ODD_VALUES
            buckets = prometheus3.api(
                "query", query=f'zoo_classic_seconds_bucket{{job="{name}"}}')["result"]
            assert {s["metric"]["le"]: s["value"][1] for s in buckets} == {
                "0.1": "102", "1.0": "1001", "10.0": "1002", "+Inf": "1003"}


def test_prometheus_3_reads_native_histograms(prometheus3):
    for kind in ("native", "both"):
        series = f'zoo_{kind}_seconds{{job="protobuf-allow-utf-8"}}'
        found = prometheus3.api("query", query=series)["result"]
        assert len(found) == 1
        histogram = found[0]["histogram"][1]
        assert histogram["count"] == "1003"
        assert float(histogram["sum"]) == pytest.approx(600.5)
        # [boundary rule, lower, upper, count]; the zero bucket includes both its bounds.
        counts = {(float(low), float(high)): float(count)
                  for _, low, high, count in histogram["buckets"]}
        assert sum(counts.values()) == 1003
        assert counts[(-(2 ** -128), 2 ** -128)] == 1
        values = [0.001 * k for k in range(1, 1000)] + [5, 100]
        for (low, high), count in counts.items():
            if low >= 2 ** -128:
                assert high / low == pytest.approx(2 ** (1 / 8))
                assert count == sum(low < v <= high for v in values), (low, high)
        assert sum(count for (low, _), count in counts.items() if low < -1) == 1
        median = float(prometheus3.value(f"histogram_quantile(0.5, {series})"))
        assert median == pytest.approx(0.5, rel=0.05)
    bucket = 'zoo_both_seconds_bucket{job="protobuf-allow-utf-8",le="1.0"}'
    assert prometheus3.value(bucket) == "1001"


def test_prometheus_3_keeps_the_exemplars(prometheus3):
    data = prometheus3.api("query_exemplars", query='{__name__=~"zoo_.+"}', start="0",
                           end="9999999999")
    seen = {}
    for series in data:
        labels = series["seriesLabels"]
        for exemplar in series["exemplars"]:
            assert exemplar["labels"] == {"trace_id": TRACE, "span_id": SPAN}
            seen.setdefault((labels["job"].split("-")[0], labels["__name__"]), set()).add(
                float(exemplar["value"]))
    for short in ("openmetrics", "protobuf"):
        assert seen[(short, "zoo_requests_total")] == {3}
        assert seen[(short, "zoo_classic_seconds_bucket")] == {5, 100}
    assert seen[("protobuf", "zoo_native_seconds")] == {5, 100}
    assert seen[("protobuf", "zoo_both_seconds")] == {5, 100}


@pytest.mark.parametrize("flags", [(), ("--enable-feature=native-histograms",)])
def test_prometheus_2_scrapes_what_it_asks_for(zoo, spawn, tmp_path, flags):
    binary = shutil.which("prometheus")
    if not binary:
        pytest.skip("no prometheus on the PATH: apt install prometheus")
    server = Prometheus(spawn, str(tmp_path), binary,
                        "scrape_configs:\n" + job("zoo", zoo.address()), *flags)
    wait_for(lambda: requests.get(f"http://{server.address}/-/ready", timeout=5).ok, 60)
    server.wait_scraped(1)
    assert server.value('zoo_requests_total{method="GET"}') == "3"
    assert server.value("zoo_temp_rature") == "21"
    if flags:
        assert server.value("histogram_count(zoo_native_seconds)") == "1003"
        assert float(server.value("histogram_sum(zoo_both_seconds)")) == pytest.approx(600.5)
    else:
        assert server.value("zoo_native_seconds_count") == "1003"


def scrape(zoo, accept):
    answer = requests.get(zoo.url("/"), headers={"Accept": accept}, timeout=10 * SLOWER)
    assert answer.status_code == 200
    return answer


def test_promtool_finds_nothing_to_complain_of(zoo):
    text = scrape(zoo, "").text
    checked = promtool("check", "metrics", input=text)
    assert checked.stdout + checked.stderr == ""


def test_the_python_client_reads_the_text(zoo):
    families = {f.name: f for f in text_families(scrape(zoo, "text/plain").text)}
    heat = {s.labels["value"]: s.value for s in families["zoo_heat_celsius"].samples}
    assert heat == ODD_VALUES
    assert families["zoo_door"].type == "gauge"
    assert families["zoo_build_info"].type == "gauge"


def test_the_python_client_reads_openmetrics(zoo):
    families = {f.name: f for f in open_families(scrape(zoo, OPENMETRICS + "underscores").text)}
    requests_family = families["zoo_requests"]
    assert requests_family.type == "counter"
    first = requests_family.samples[0]
    assert (first.name, first.value) == ("zoo_requests_total", 3)
    assert first.exemplar.labels == {"trace_id": TRACE, "span_id": SPAN}
    assert first.exemplar.value == 3
    assert requests_family.samples[1].name == "zoo_requests_created"
    assert families["zoo_sent_bytes"].unit == "bytes"
    assert families["zoo_build"].type == "info"
    assert families["zoo_door"].type == "stateset"
    assert families["process_cpu_seconds"].unit == "seconds"
    heat = {s.labels["value"]: s.value for s in families["zoo_heat_celsius"].samples}
    assert heat == ODD_VALUES
    with_exemplar = {s.labels["le"]: s.exemplar.value
                     for s in families["zoo_both_seconds"].samples if s.exemplar}
    assert with_exemplar == {"10.0": 5, "+Inf": 100}


def test_the_answer_says_what_it_is(zoo):
    for accept in (TEXT_100, OPENMETRICS, PROTOBUF):
        for scheme in GAUGE:
            said = scrape(zoo, accept + scheme).headers["content-type"]
            assert said.split(";")[0] == accept.split(";")[0]
            assert f"escaping={scheme}" in said
    assert scrape(zoo, "").headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    weighed = scrape(zoo, f"{PROTOBUF}values;q=0.2,{OPENMETRICS}dots;q=0.7,text/plain;q=0.69")
    assert weighed.headers["content-type"].startswith("application/openmetrics-text;")
    assert weighed.text.endswith("# EOF\n")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_service_answers_in_every_format(hello, coding):
    assert requests.get(hello.url(), timeout=10 * SLOWER).ok
    # A request is counted when its reply has gone, which its client may be quicker than.
    wait_for(lambda: "\nhttp_requests_total{" in requests.get(hello.url("/metrics"),
                                                             timeout=10 * SLOWER).text)
    headers = {"Accept-Encoding": coding}
    kinds = {"text/plain": text_families, OPENMETRICS + "underscores": open_families}
    for accept, families in kinds.items():
        answer = requests.get(hello.url("/metrics"), headers={"Accept": accept, **headers},
                              timeout=10 * SLOWER)
        assert answer.headers.get("content-encoding", "identity") == coding
        names = {sample.name for family in families(answer.text) for sample in family.samples}
        assert {"http_requests_total", "process_open_fds", "sextant_build_info"} <= names
    answer = requests.get(hello.url("/metrics"), timeout=10 * SLOWER,
                          headers={"Accept": PROTOBUF + "underscores", **headers})
    assert answer.headers["content-type"].startswith("application/vnd.google.protobuf;")
    assert b"http_requests_total" in answer.content


def test_prometheus_3_scrapes_a_service(hello, spawn, tmp_path):
    binary = newer_prometheus()
    if not binary:
        pytest.skip("no Prometheus 3: scripts/peers.sh builds one into .cache/peers/bin")
    jobs = [job(short, hello.address(), scrape_protocols=f"[{protocol}]").replace(
        "metrics_path: /", "metrics_path: /metrics") for short, protocol in PROTOCOLS.items()]
    server = Prometheus(spawn, str(tmp_path), binary, "scrape_configs:\n" + "".join(jobs))
    wait_for(lambda: requests.get(f"http://{server.address}/-/ready", timeout=5).ok, 60)
    server.wait_scraped(len(jobs))
    for short in PROTOCOLS:
        assert float(server.value(f'process_open_fds{{job="{short}"}}')) > 3
