"""Rule files, unit tests of rules and notifications, beside promtool and a made-up Alertmanager."""
import http.server
import json
import pathlib
import re
import subprocess
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "build/tests/e2e/programs/rules_tool"
PROMTOOL = ROOT / ".cache/peers/bin/promtool"
BROKEN = sorted((ROOT / "tests/e2e/data/broken_rules").glob("*.yml"))
UNIT = ROOT / "tests/e2e/data/rule_tests"

needs_tool = pytest.mark.skipif(not TOOL.exists(), reason="rules_tool is not built")
needs_promtool = pytest.mark.skipif(not PROMTOOL.exists(), reason="promtool is not here")
pytestmark = needs_tool

# libyaml tells where the broken line is, Go's reader where the block around it begins.
OTHER_LINE = {"not_yaml"}


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def promtool_lines(text):
    """The lines of the file that promtool names; 0:0 stands for none."""
    lines = re.findall(r"^\S+\.yml: (\d+):\d+: ", text, re.M) + re.findall(r"^  line (\d+): ", text, re.M)
    return {int(line) for line in lines} - {0}


@needs_promtool
@pytest.mark.parametrize("path", BROKEN, ids=[p.stem for p in BROKEN])
def test_a_broken_file_is_refused_where_promtool_refuses_it(path):
    status, text = run(TOOL, "check", path)
    peer_status, peer_text = run(PROMTOOL, "check", "rules", path)
    assert (status, peer_status) == (1, 1)
    ours = {int(line) for line in re.findall(r"\.yml:(\d+):\d+: ", text)}
    theirs = promtool_lines(peer_text)
    assert ours, text
    if path.stem not in OTHER_LINE:
        assert theirs <= ours, (text, peer_text)


@needs_promtool
@pytest.mark.parametrize("path", BROKEN, ids=[p.stem for p in BROKEN])
def test_what_a_rule_has_wrong_is_said_in_the_same_words(path):
    _, text = run(TOOL, "check", path)
    _, peer_text = run(PROMTOOL, "check", "rules", path)
    said = re.findall(r'(group "[^\n]*)', peer_text)
    for words in said:
        assert words.rstrip() in text, peer_text


def test_the_lint_of_duplicates_is_promtool_s(tmp_path):
    path = tmp_path / "twice.yml"
    path.write_text("groups:\n- name: a\n  rules:\n  - {record: r, expr: up}\n  - {record: r, expr: up + 1}\n")
    status, text = run(TOOL, "check", path)
    assert status == 3
    if PROMTOOL.exists():
        peer_status, peer_text = run(PROMTOOL, "check", "rules", "--lint-fatal", path)
        assert peer_status == 3
        report = peer_text[peer_text.index("1 duplicate rule"):].strip()
        assert report in text


@needs_promtool
@pytest.mark.parametrize("name", ["passing", "failing", "templates", "broken_series", "broken_rule"])
def test_unit_tests_of_rules_give_promtool_s_output(name):
    """Byte for byte, passing and failing ones."""
    status, text = run("sh", "-c", f"cd {UNIT} && {TOOL} test {name}.test.yml 2>&1")
    peer_status, peer_text = run("sh", "-c", f"cd {UNIT} && {PROMTOOL} test rules {name}.test.yml 2>&1")
    assert text == peer_text
    assert status == peer_status


class Alertmanager:
    """Takes alerts; answers with `status`; remembers what it was sent."""

    def __init__(self, status=200):
        self.alerts, self.batches, self.paths = [], [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/json"
                outer.batches.append(json.loads(body))
                outer.paths.append(self.path)
                if status == 200:
                    outer.alerts += outer.batches[-1]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def alertmanager():
    made = []

    def make(**options):
        made.append(Alertmanager(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def send(tmp_path, config, count, *again):
    path = tmp_path / "prometheus.yml"
    path.write_text(config)
    status, text = run(TOOL, "notify", path, count, *again)
    assert status == 0, text
    return text


def test_alerts_arrive_with_external_labels_in_batches(tmp_path, alertmanager):
    am = alertmanager()
    text = send(tmp_path, f"""
global: {{external_labels: {{cluster: eu, number: "-1"}}}}
alerting:
  alertmanagers:
    - path_prefix: /am/
      static_configs: [{{targets: ["{am.address}"]}}]
""", 600)
    assert set(am.paths) == {"/am/api/v2/alerts"}
    assert max(len(batch) for batch in am.batches) <= 256
    assert sorted(int(a["labels"]["number"]) for a in am.alerts) == list(range(600))
    assert am.alerts[0] == {
        "labels": {"alertname": "Demo", "cluster": "eu", "number": am.alerts[0]["labels"]["number"]},
        "annotations": {"summary": '"quoted" é\n'},
        "startsAt": "2023-11-14T22:13:20.123Z",
        "endsAt": "2023-11-14T22:17:20.000Z",
        "generatorURL": "http://p/graph?g0.expr=up&g0.tab=1",
    }
    url = f"http://{am.address}/am/api/v2/alerts"
    assert f"active {url}\n" in text
    assert f'prometheus_notifications_sent_total{{alertmanager="{url}"}} 600\n' in text
    assert "prometheus_notifications_queue_capacity 1000\n" in text


def test_alerts_and_alertmanagers_are_relabelled(tmp_path, alertmanager):
    first, second = alertmanager(), alertmanager()
    text = send(tmp_path, f"""
alerting:
  alert_relabel_configs:
    - {{source_labels: [number], regex: "[0-4]", action: keep}}
  alertmanagers:
    - static_configs: [{{targets: ["{first.address}", "gone:1"]}}]
      relabel_configs:
        - {{source_labels: [__address__], regex: "gone:.*", action: drop}}
    - static_configs: [{{targets: ["{second.address}"]}}]
      alert_relabel_configs:
        - {{target_label: team, replacement: x}}
        - {{source_labels: [number], regex: "3", action: drop}}
""", 10)
    assert sorted(a["labels"]["number"] for a in first.alerts) == list("01234")
    assert sorted(a["labels"]["number"] for a in second.alerts) == list("0124")
    assert all(a["labels"]["team"] == "x" for a in second.alerts)
    assert all("team" not in a["labels"] for a in first.alerts)
    assert "dropped http://gone:1/api/v2/alerts\n" in text


def test_one_that_fails_costs_the_others_nothing(tmp_path, alertmanager):
    good, bad = alertmanager(), alertmanager(status=500)
    text = send(tmp_path, f"""
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["{good.address}", "{bad.address}", "127.0.0.1:1"]}}]
""", 300)
    assert len(good.alerts) == 300
    for address in (bad.address, "127.0.0.1:1"):
        url = f"http://{address}/api/v2/alerts"
        dropped = re.search(rf'dropped_total{{alertmanager="{re.escape(url)}"}} (\d+)', text)
        assert dropped and int(dropped[1]) == 300
        assert re.search(rf'errors_total{{alertmanager="{re.escape(url)}"}} [1-9]', text)


def test_a_reload_loses_no_alert(tmp_path, alertmanager):
    am = alertmanager()
    send(tmp_path, f"""
alerting:
  alertmanagers: [{{static_configs: [{{targets: ["{am.address}"]}}]}}]
""", 400, "again")
    assert {int(a["labels"]["number"]) for a in am.alerts} == set(range(800))


def test_a_reload_keeps_discovered_alertmanagers(tmp_path, alertmanager):
    am = alertmanager()
    (tmp_path / "am.json").write_text(json.dumps([{"targets": [am.address]}]))
    text = send(tmp_path, """
alerting:
  alertmanagers: [{file_sd_configs: [{files: [am.json]}]}]
""", 100, "again")
    assert f"active http://{am.address}/api/v2/alerts\n" in text
    assert {int(a["labels"]["number"]) for a in am.alerts} == set(range(200))
