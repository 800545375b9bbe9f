"""`sextant check` beside promtool: the same verdict on broken configurations and rules, the same lines.

What promtool 3.15 said is recorded in data/broken_config.json, so that the first test needs no peer; the
second asks the promtool that scripts/peers.sh made (SX_RECORD=1 writes down what it heard)."""
import json
import os
import re
import subprocess
import sys

import pytest

from conftest import ROOT

DATA = os.path.join(ROOT, "tests", "e2e", "data")
CONFIGS = os.path.join(DATA, "broken_config")
RULES = os.path.join(DATA, "broken_rules")
RECORDED = os.path.join(DATA, "broken_config.json")
STEEL = os.path.join(DATA, "hackathon_steel")
PROMTOOL = os.path.join(ROOT, ".cache", "peers", "bin", "promtool")

# Go's YAML readers count the lines of syntax errors from 0 or from 1, or name the line where the list
# began, by the kind of error; ours is where the fault is.
SYNTAX = re.compile(r"did not find expected|could not find expected|found character|block sequence|"
                    r"mapping values are not allowed|found unexpected|unknown anchor")


def cases():
    """(kind, name): every broken file, and the good ones among them."""
    for kind, folder in (("config", CONFIGS), ("rules", RULES)):
        for name in sorted(os.listdir(folder)):
            if name.endswith(".yml"):
                yield kind, name


def folder_of(kind):
    return CONFIGS if kind == "config" else RULES


def run(binary, kind, name, *flags):
    return subprocess.run([binary, "check", kind, *flags, name], cwd=folder_of(kind), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False,
                          env={"PATH": os.environ["PATH"]})


def promtool_verdict(kind, name):
    """Exit status and the lines of the file that promtool names."""
    out = run(PROMTOOL, kind, name)
    text = out.stderr.replace("\n", " ")
    lines = re.findall(r"\bline (\d+)\b", text)
    lines += re.findall(re.escape(name) + r": (\d+):\d+: ", text)
    return {"status": out.returncode, "lines": sorted({int(n) for n in lines} - {0}),
            **({"syntax": True} if SYNTAX.search(text) else {})}


def our_verdict(sextant_bin, kind, name):
    out = run(sextant_bin, kind, name)
    lines = {int(n) for n in re.findall(r"(?:\.yml:|\bline )(\d+)", out.stderr)}
    return {"status": out.returncode, "lines": sorted(lines), "text": out.stdout + out.stderr}


def recorded():
    with open(RECORDED, encoding="utf-8") as f:
        return json.load(f)


def test_there_are_enough_cases():
    assert len([1 for kind, name in cases() if not name.startswith("good")]) >= 100


@pytest.mark.parametrize("kind,name", cases(), ids=lambda x: x)
def test_verdict_and_lines_are_promtools(sextant_bin, kind, name):
    theirs, ours = recorded()[f"{kind}/{name}"], our_verdict(sextant_bin, kind, name)
    assert ours["status"] == theirs["status"], ours["text"]
    near = 2 if "syntax" in theirs else 0
    missing = [n for n in theirs["lines"]
               if not any(n <= m <= n + near for m in ours["lines"])]
    assert not missing, f"promtool names lines {theirs['lines']}:\n{ours['text']}"
    if ours["status"]:  # and where promtool names none, we do
        assert ours["lines"], ours["text"]


def test_recorded_verdicts_are_those_of_this_promtool():
    if not os.path.exists(PROMTOOL):
        pytest.skip("no promtool: scripts/peers.sh builds one into .cache/peers/bin")
    heard = {f"{kind}/{name}": promtool_verdict(kind, name) for kind, name in cases()}
    if os.environ.get("SX_RECORD"):
        with open(RECORDED, "w", encoding="utf-8") as f:
            rows = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(heard.items()))
            f.write("{\n" + ",\n".join(rows) + "\n}\n")
    assert heard == recorded()


def check(sextant_bin, *args, stdin=None):
    return subprocess.run([sextant_bin, "check", *args], text=True, input=stdin, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


def test_a_teams_configuration_and_its_rules_pass(sextant_bin):
    alerts = sorted(os.listdir(os.path.join(STEEL, "alerts")))
    files = [os.path.join(STEEL, "prometheus.yml")]
    files += [os.path.join(STEEL, "alerts", name) for name in alerts]
    out = check(sextant_bin, *files)
    assert out.returncode == 0 and not out.stderr, out.stderr
    assert out.stdout.count("SUCCESS") == 1 + len(alerts)


LINTED = os.path.join(DATA, "metrics_lint")


@pytest.mark.parametrize("name,status", [("good.prom", 0), ("bad.prom", 3)])
def test_metrics_are_linted_as_promtool_does(sextant_bin, name, status):
    with open(os.path.join(LINTED, name), encoding="utf-8") as f:
        text = f.read()
    ours = check(sextant_bin, "metrics", "-", stdin=text)
    told = [line.strip().removeprefix("FAILED: ") for line in ours.stderr.splitlines()]
    assert ours.returncode == status, ours.stderr
    with open(os.path.join(LINTED, name + ".problems"), encoding="utf-8") as f:
        assert told == f.read().splitlines()
    if os.path.exists(PROMTOOL):
        theirs = subprocess.run([PROMTOOL, "check", "metrics"], text=True, input=text, timeout=60,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        assert (theirs.returncode, theirs.stderr.splitlines()) == (status, told)


def test_cardinality_of_metrics(sextant_bin):
    out = check(sextant_bin, "metrics", "--extended", os.path.join(LINTED, "good.prom"))
    rows = [line.split() for line in out.stdout.splitlines() if "%" in line]
    assert rows == [["http_request_duration_seconds", "4", "80.00%"],
                    ["http_requests_total", "1", "20.00%"], ["Total", "5", "100%"]]


WEB = "tls_server_config:\n  cert_file: nowhere.pem\n  key_file: nowhere.key\n"
TEST = """rule_files: [rules.yml]
tests:
  - input_series: [{series: up, values: "1 1"}]
    promql_expr_test:
      - {expr: up, eval_time: 1m, exp_samples: [{labels: up, value: 1}]}
"""


# A team's Collector in front of its Elasticsearch.
COLLECTOR = """# jaeger-collector-config.yml
receivers:
  jaeger:
    protocols:
      grpc:
        endpoint: 0.0.0.0:14250
      thrift_http:
        endpoint: 0.0.0.0:14268
      thrift_compact:
        endpoint: 0.0.0.0:6831
      thrift_binary:
        endpoint: 0.0.0.0:6832

processors:
  batch:
    timeout: 1s
    send_batch_size: 100

exporters:
  elasticsearch:
    endpoints: ["http://elasticsearch:9200"]
    index: jaeger-span

service:
  pipelines:
    traces:
      receivers: [jaeger]
      processors: [batch]
      exporters: [elasticsearch]
"""
PPROF = COLLECTOR.replace("processors:\n", "extensions:\n  pprof:\n\nprocessors:\n", 1)
SAMPLING = """{
  "default_strategy": {"type": "probabilistic", "param": 0.5},
  "service_strategies": [
    {"service": "shop", "type": "ratelimiting", "param": 5}
  ]
}
"""
ALERTMANAGER = "receivers: [{name: a}]\nroute: {receiver: a}\n"


@pytest.mark.parametrize("name,text,status,words", [
    ("a.txt", "global: {}\n", 0, "valid prometheus config"),
    ("b.txt", "# rules\ngroups: []\n", 0, "0 rules found"),
    ("c.txt", WEB, 1, "nowhere.pem"),
    ("d.txt", "basic_auth_users: {}\n", 0, "valid web configuration"),
    ("e.json", '[{"targets": ["a:1"]}]\n', 0, "1 targets in 1 groups"),
    ("f.json", "[{targets: [a]}]\n", 1, "f.json"),
    ("g.yml", "- targets: [a]\n  label: {}\n", 1, "g.yml:2:3"),
    ("h.txt", "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n", 0, "1 metrics"),
    ("i.txt", 'up{job="a"} 1\n', 0, "no help text"),
    ("j.txt", "up{job=} 1\n", 1, "error while linting"),
    ("k.txt", "hello: world\n", 1, "is none of what is checked here"),
    ("l.yml", '{"scrape_configs": [{"job_name": "a", "x": 1}]}\n', 1, "l.yml:1:"),
    ("m.yml", "rule_files: []\ntests: []\n", 0, ""),
    ("n.txt", COLLECTOR, 0, "valid OpenTelemetry Collector configuration: 1 pipelines"),
    ("o.yml", COLLECTOR.replace("  batch:", "  bitch:"), 1, "o.yml:15:3: "),
    ("p.yml", COLLECTOR.replace("timeout:", "time_out:"), 1, "p.yml:16:5: "),
    ("q.yml", COLLECTOR.replace("[batch]", "[batch, x]"), 1, "q.yml:28:27: "),
    ("r.yml", COLLECTOR[:COLLECTOR.index("service:")], 1, "service must have at least one pipeline"),
    ("s.yml", "service:\n  pipelines: [\n", 1, "s.yml:"),
    ("t.yml", PPROF, 0, "WARNING: "),
    ("u.json", SAMPLING, 0, "valid file of sampling strategies"),
    ("v.json", SAMPLING.replace("0.5", "1.5"), 1, "v.json:2:"),
    ("w.json", '{"service_strategies": {}}', 1, "w.json:1:"),
    ("x.yml", ALERTMANAGER, 1, "is none of what is checked here"),
    ("y.json", json.dumps({"receivers": {"x": {}}, "exporters": {}}), 1, "there is no receiver"),
])
def test_a_file_is_recognised_by_its_content(sextant_bin, tmp_path, name, text, status, words):
    path = tmp_path / name
    path.write_text(text)
    out = check(sextant_bin, str(path))
    assert out.returncode == status, out.stdout + out.stderr
    assert words in out.stdout + out.stderr


def test_all_faults_of_a_collector_are_told(sextant_bin, tmp_path):
    path = tmp_path / "collector.yml"
    path.write_text(COLLECTOR.replace("timeout:", "time_out:").replace("index:", "indes:"))
    out = check(sextant_bin, str(path))
    assert out.returncode == 1 and "SUCCESS" not in out.stdout
    assert [line.split(": ")[1] for line in out.stderr.splitlines()] == [
        f"{path}:16:5", f"{path}:22:5"]


def test_tests_of_rules_are_run(sextant_bin, tmp_path):
    (tmp_path / "rules.yml").write_text("groups: []\n")
    (tmp_path / "test.yml").write_text(TEST)
    assert check(sextant_bin, str(tmp_path / "test.yml")).returncode == 0
    (tmp_path / "test.yml").write_text(TEST.replace("value: 1", "value: 2"))
    assert check(sextant_bin, str(tmp_path / "test.yml")).returncode == 1


def test_lints_fail_only_when_asked(sextant_bin):
    path = os.path.join(CONFIGS, "good_long_interval.yml")
    assert check(sextant_bin, "config", "--lint=all", path).returncode == 0
    out = check(sextant_bin, "config", "--lint=all", "--lint-fatal", path)
    assert out.returncode == 3
    assert "too long scrape interval found" in out.stderr
    duplicate = os.path.join(CONFIGS, "duplicate_rules.yml")
    assert check(sextant_bin, "config", "--lint-fatal", duplicate).returncode == 3
    assert check(sextant_bin, "config", "--lint=none", "--lint-fatal", duplicate).returncode == 0


def test_syntax_only_looks_at_no_other_file(sextant_bin):
    path = os.path.join(CONFIGS, "missing_rule_file.yml")
    assert check(sextant_bin, "config", path).returncode == 1
    assert check(sextant_bin, "config", "--syntax-only", path).returncode == 0


def test_agent_mode_has_no_rules(sextant_bin):
    path = os.path.join(CONFIGS, "good_all.yml")
    out = check(sextant_bin, "config", "--agent", path)
    assert out.returncode == 1 and "not allowed in agent mode" in out.stderr


def test_a_missing_file_is_a_fault(sextant_bin, tmp_path):
    out = check(sextant_bin, str(tmp_path / "nowhere.yml"))
    assert out.returncode == 1 and "nowhere.yml" in out.stderr


def test_the_page_of_what_is_supported_is_what_the_tables_say():
    out = subprocess.run([sys.executable, os.path.join(ROOT, "scripts", "compat.py"), "--check"],
                         text=True, stderr=subprocess.PIPE, timeout=60, check=False)
    assert out.returncode == 0, out.stderr


def test_targets_that_a_job_finds(sextant_bin):
    path = os.path.join(CONFIGS, "good_all.yml")
    out = check(sextant_bin, "service-discovery", path, "a", "--timeout", "5s")
    assert out.returncode == 0, out.stderr
    found = [(t["discoveredLabels"]["__address__"], t["labels"]["instance"], t["labels"].get("a"))
             for t in json.loads(out.stdout)]
    assert sorted(found, key=str) == sorted(
        [("a:1", "a:1", None), ("[::1]:2", "[::1]:2", None), ("a:1", "a:1", "b"),
         ("a:1", "a:1", "b"), ("b:2", "b:2", "b")], key=str)
    out = check(sextant_bin, "service-discovery", path, "nowhere")
    assert out.returncode == 1 and 'no job "nowhere"' in out.stderr
