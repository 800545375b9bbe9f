"""Four loops under load while everything else happens to the service at once: scrapes in all formats,
spans and logs that leave, limits, users, log levels set by hand, reloads, rotated files. Written for
ThreadSanitizer, whose complaints fail the test when the server stops; on a plain build it is short.
LOAD_SECONDS sets how long the load lasts."""
import base64
import gzip
import itertools
import json
import os
import threading

import pytest
import requests

from lib.clients import promtool
from lib.otlp import GrpcReceiver, Receiver
from lib.wait import SLOWER, deadline, wait_for

SECONDS = int(os.environ.get("LOAD_SECONDS") or (15 if SLOWER > 1 else 3))
TIME = 10 * SLOWER
HASH = "$2y$04$QFPMsjNt6WOn/3YCuW4yDO.sndMwqVTZLhNIdkL3DKzTePDhsBo1."
TOKEN = "Basic " + base64.b64encode(b"alice:correct horse").decode()
FORMATS = ["text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0",
           "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
           "text/plain;version=1.0.0;escaping=allow-utf-8", "*/*"]
# Each reload takes the next; the last is refused as a whole.
SETTINGS = ["limits.rate: 1000000/second\nlog.level: info\ntracing.sampler: always_on\n",
            "limits.rate: 30/second + 600/minute\nlimits.key: x-client\nhttp.compress: false\n"
            "cors.origins: ['https://a.example']\ntracing.sampler: traceidratio\n"
            "tracing.sampler_argument: 0.5\nlog.levels: hello=debug\n",
            "limits.in_flight_max: 3\nhttp.frame_options: SAMEORIGIN\ntracing.rules:\n"
            "  - {path: /health/*, drop: true}\n",
            "limits.rate: a thousand\n"]
USERS = [f"basic_auth_users: {{alice: '{HASH}'}}\n",
         f"basic_auth_users: {{alice: '{HASH}', bob: '{HASH}'}}\n"
         "http_server_config: {headers: {X-Frame-Options: deny}}\n"]
LOAD_FIELDS = [f"Authorization: {TOKEN}", "X-Client: wrk", "Accept-Encoding: gzip",
               "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
               "tracestate: a=b,c=d", "baggage: user=alice", "X-Request-Timeout: 5s"]


class Crowd:
    """Threads that each do one thing over and over until told to stop; a failure is kept."""

    def __init__(self):
        self.over = threading.Event()
        self.threads, self.faults, self.turns = [], [], {}

    def add(self, what, pause=0.02):
        def go():
            try:
                for turn in itertools.count(1):
                    what(turn)
                    self.turns[what.__name__] = turn
                    if self.over.wait(pause):
                        return
            except Exception as e:  # noqa: BLE001 - shown by stop()
                self.faults.append(f"{what.__name__}: {e!r}")
        self.threads.append(threading.Thread(target=go, daemon=True))
        self.threads[-1].start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(TIME)
            assert not thread.is_alive()
        assert not self.faults, self.faults


def exposition(admin):
    answer = requests.get(admin + "/metrics", headers={"Authorization": TOKEN}, timeout=TIME)
    assert answer.status_code == 200
    return answer.text


@pytest.mark.timeout(120 + 2 * SECONDS)
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_everything_at_once_on_four_loops(serve, spawn, tmp_path, protocol):
    from conftest import BUILD
    config, web = tmp_path / "hello.yml", tmp_path / "web.yml"
    log, access = tmp_path / "hello.log", tmp_path / "access.log"
    config.write_text(SETTINGS[0])
    web.write_text(USERS[0])
    with (GrpcReceiver if protocol == "grpc" else Receiver)() as receiver:
        hello = serve(os.path.join(BUILD, "examples", "hello"), f"--config.file={config}",
                      "--listen=127.0.0.1:0", "--admin.listen=127.0.0.1:0", "--loops=4",
                      f"--web.config.file={web}", f"--log.path={log}", f"--access_log={access}",
                      "--log.rotate_bytes=256KiB", "--log.rotate_codec=gzip", "--limits.shed=true",
                      f"--otlp.endpoint={receiver.url}", f"--otlp.protocol={protocol}",
                      "--otlp.batch_delay_ms=50ms", "--otlp.metrics_interval_ms=200ms",
                      env={"PORT": "0"}, name="hello")
        admin, url = "http://" + hello.address("admin"), hello.url("/")
        session = {"Authorization": TOKEN}
        crowd = Crowd()

        def scrape(turn):
            answer = requests.get(admin + "/metrics", timeout=TIME, headers={
                **session, "Accept": FORMATS[turn % len(FORMATS)],
                "Accept-Encoding": ["gzip", "zstd", "identity"][turn % 3]})
            assert answer.status_code == 200

        def look_around(turn):
            path = ["/admin/breakers", "/admin/limits", "/admin/config", "/health/ready",
                    "/health/detailed", "/admin/build", "/admin/log-levels"][turn % 7]
            assert requests.get(admin + path, headers=session, timeout=TIME).status_code == 200

        def set_levels(turn):
            level = ["debug", "info", "trace", "warn"][turn % 4]
            answer = requests.put(admin + "/admin/log-levels", json={"all": level}, headers=session,
                                  timeout=TIME)
            assert answer.status_code == 200

        def forget_limits(_):
            answer = requests.delete(admin + "/admin/limits/default", headers=session, timeout=TIME)
            assert answer.status_code in (200, 404)

        def reload(turn):
            config.write_text(SETTINGS[turn % len(SETTINGS)])
            web.write_text(USERS[turn % 2])
            hello.signal("HUP")

        def rotate(_):
            os.replace(access, str(access) + ".old")
            hello.signal("USR1")
            wait_for(access.exists)

        def come_and_go(turn):
            answer = requests.get(url, timeout=TIME, headers={
                "Authorization": TOKEN if turn % 3 else "Basic bm86Ym9keQ==",
                "X-Client": f"c{turn}", "traceparent": f"00-{turn:032x}-{turn:016x}-01"})
            assert answer.status_code in (200, 401, 429, 503)

        for what, pause in ((scrape, 0.02), (look_around, 0.02), (set_levels, 0.05),
                            (forget_limits, 0.1), (reload, 0.15), (rotate, 0.2), (come_and_go, 0)):
            crowd.add(what, pause)
        fields = [word for field in LOAD_FIELDS for word in ("-H", field)]
        loads = [spawn("wrk", "-t1", "-c24", f"-d{SECONDS}s", "--timeout", "30s", *fields, url),
                 spawn("h2load", "-t1", "-c6", "-m16", f"-D{SECONDS}", *fields, url)]
        for load in loads:
            assert load.wait(SECONDS + 30) == 0, load.log()
        crowd.stop()
        assert len(crowd.turns) == 7, crowd.turns
        config.write_text(SETTINGS[0])
        hello.signal("HUP")
        wait_for(lambda: requests.get(url, headers=session, timeout=TIME).status_code == 200)
        # The scrape itself is the one request under way.
        wait_for(lambda: "\nhttp_requests_in_flight 1\n" in exposition(admin),
                 what="nothing else to be in flight")
        wait_for(receiver.spans, what="spans to arrive")
        wait_for(receiver.metrics, what="metrics to arrive")
        check = promtool("check", "metrics", input=exposition(admin))
        assert not check.stderr.strip(), check.stderr
        hello.stop()
        wait_for(receiver.logs, what="log records to arrive")
    files = [*tmp_path.glob("access.log*"), *tmp_path.glob("hello.log*")]
    assert any(path.suffix == ".gz" for path in files)
    for path in files:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                json.loads(line)
