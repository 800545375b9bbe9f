"""What the compared screenshots show: one moment of 2025 of a made-up shop, always the same.

    world = World(sextant_bin, folder)       # a server with samples and traces of that hour
    world.url                                # what the browser opens
    world.close()

Samples come by remote write, spans by OTLP, both with the times of then. What a server can only know
of its own present (when a target was scraped, since when an alert fires, where it runs) is replaced in
its answers on the way to the browser, see NOW_IS; the browser's own clock is stopped by lib/screens.py.
"""
import math
import re

import requests

from .dashboards import read
from .observe import NO_TRACES, Api
from .page import Front
from .service import Service, free_port
from .trace_shapes import post, shop, trace_id
from .wait import wait_for

AT = 1_741_003_200  # 2025-03-03 12:00:00 UTC, a Monday
FROM, TO = (AT - 3600) * 1000, AT * 1000
RANGE = f"from={FROM}&to={TO}&timezone=utc"
STEP_S = 15
BEGAN = AT - 3600 - 15 * 60
TRACE = trace_id("shown")
FOR_EVER = "36500d"

CONFIG = """global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{region: north}}}}
rule_files: [{folder}/rules.yml]
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
    relabel_configs: [{{target_label: zone, replacement: a}}]
  - job_name: stock
    static_configs: [{{targets: ["127.0.0.1:1"]}}]
"""

RULES = """groups:
  - name: shop
    rules:
      - alert: PaymentsFail
        expr: label_replace(vector(0.104), "job", "payment", "", "")
        labels: {severity: page}
        annotations: {summary: "One payment in ten fails", runbook: "https://runbooks.example/payments"}
      - alert: StockDown
        expr: up{job="stock"} == 0
        for: 100d
        labels: {severity: ticket}
        annotations: {summary: "{{ $labels.instance }} of stock is down"}
      - alert: DiskFull
        expr: vector(1) > 2
        labels: {severity: page}
      - record: job:up:avg
        expr: avg by (job) (up)
"""

# Members of answers that only the present knows, and what is told instead.
NOW_IS = (
    (rb'"(activeAt|lastEvaluation|lastScrape|startTime|serverTime|lastConfigTime)":"[^"]*"', rb'"\1":"2025-03-03T11:58:30Z"'),
    (rb'"(evaluationTime|lastScrapeDuration)":[0-9.e+-]+', rb'"\1":0.0042'),
    (rb'"CWD":"[^"]*"', b'"CWD":"/var/lib/sextant"'), (rb'"hostname":"[^"]*"', b'"hostname":"observatory"'),
    (rb'"GOMAXPROCS":\d+', b'"GOMAXPROCS":2'), (rb'"goroutineCount":\d+', b'"goroutineCount":9'),
    (rb'"(version|revision|branch|buildUser|buildDate|goVersion)":"[^"]*"', rb'"\1":"1.0.0"'),
    (rb'"file":"[^"]*/rules.yml"', b'"file":"/etc/sextant/rules.yml"'),
)
OF_NOW = re.compile(r"/api/v1/(rules|alerts|targets|scrape_pools|status/|notifications)")


def wave(t, period=900.0, phase=0.0):
    """Between 0 and 1, by the time of day."""
    return 0.5 + 0.5 * math.sin(2 * math.pi * t / period + phase)


class Samples:
    """Series over the time that is shown."""

    def __init__(self):
        self.series, self.times = [], range(BEGAN, AT + 1, STEP_S)

    def gauge(self, name, value, **labels):
        """`value` is a number or a function of the time."""
        f = value if callable(value) else lambda _: value
        self.series.append(({"__name__": name, **labels}, [(t * 1000, float(f(t))) for t in self.times]))

    def counter(self, name, rate, **labels):
        """Grows by so much a second: a number, or a function of the time."""
        f = rate if callable(rate) else lambda _: rate
        total, out = 0.0, []
        for t in self.times:
            total += f(t) * STEP_S
            out.append((t * 1000, round(total, 6)))
        self.series.append(({"__name__": name, **labels}, out))


BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf")


def requests_of(s, job, route, rate, middle, errors=0.0, instance="10.0.0.1:8080"):
    """Requests of a route: counted by code, and a histogram about `middle` seconds."""
    own = {"job": job, "instance": instance, "route": route}
    phase = len(route)
    s.counter("http_requests_total", lambda t: rate * (1 - errors) * (0.6 + 0.4 * wave(t, 1800, phase)), code="200", **own)
    s.counter("http_requests_total", lambda t: rate * errors * (0.6 + 0.4 * wave(t, 1200, phase)), code="500", **own)
    for le in BOUNDS:
        share = 1.0 if le == "+Inf" else 1 / (1 + (middle / float(le)) ** 3)
        s.counter("http_request_duration_seconds_bucket", lambda t, k=share: rate * (0.6 + 0.4 * wave(t, 1800, phase)) * k, le=le, **own)
    s.counter("http_request_duration_seconds_count", lambda t: rate * (0.6 + 0.4 * wave(t, 1800, phase)), **own)


def shop_of(s):
    """Five services and what they run on."""
    for job, up in (("shop", (1, 1)), ("stock", (1, 0)), ("payment", (1,)), ("mail", (1,)), ("cache", (1,))):
        for k, state in enumerate(up):
            own = {"job": job, "instance": f"10.0.0.{k + 1}:8080"}
            s.gauge("up", state, **own)
            if job == "cache":
                s.gauge("redis_up", 1, **own)
                continue
            phase = len(job) + k
            s.counter("process_cpu_seconds_total", lambda t, p=phase: 0.05 + 0.2 * wave(t, 2400, p), **own)
            s.gauge("process_resident_memory_bytes", lambda t, p=phase: 9e7 + 4e7 * wave(t, 3600, p), **own)
            s.gauge(f"{job}_build_info", 1, version="1.4.2" if k == 0 else "1.4.3", **own)
    requests_of(s, "shop", "/orders", 42, 0.08)
    requests_of(s, "shop", "/search", 120, 0.02)
    requests_of(s, "shop", "/cart", 65, 0.03, instance="10.0.0.2:8080")
    requests_of(s, "stock", "/reserve", 40, 0.04, 0.012)
    requests_of(s, "payment", "/charge", 38, 0.3, 0.104)
    requests_of(s, "mail", "/send", 4, 0.6)
    for name, firing in (("PaymentsFail", lambda t: t > AT - 1500), ("DiskFull", lambda t: AT - 3000 < t < AT - 2400)):
        alert = {"alertname": name, "severity": "page", **({"job": "payment"} if name == "PaymentsFail" else {})}
        times = [t for t in s.times if firing(t)]
        s.series.append(({"__name__": "ALERTS", "alertstate": "pending", **alert}, [(t * 1000, 1.0) for t in times[:20]]))
        s.series.append(({"__name__": "ALERTS", "alertstate": "firing", **alert}, [(t * 1000, 1.0) for t in times[20:]]))


GB = 2.0 ** 30


def machine_of(s):
    """What Node Exporter Full's first screen asks for."""
    own = {"job": "node", "instance": "10.0.0.9:9100"}
    s.gauge("up", 1, **own)
    s.gauge("node_uname_info", 1, nodename="moor", release="6.1.0-28-amd64", sysname="Linux", machine="x86_64", **own)
    shares = {"idle": 0.62, "user": 0.21, "system": 0.09, "iowait": 0.04, "irq": 0.0, "softirq": 0.02, "steal": 0.01, "nice": 0.01}
    for cpu in range(4):
        for mode, share in shares.items():
            s.counter("node_cpu_seconds_total", lambda t, k=share, c=cpu: k * (0.8 + 0.4 * wave(t, 1500, c)), cpu=str(cpu), mode=mode, **own)
    for name, middle, swing in (("MemTotal", 16, 0), ("MemFree", 3, 1), ("MemAvailable", 7, 1.5), ("Cached", 4.5, 0.4), ("Buffers", 0.6, 0),
                                ("SReclaimable", 0.5, 0), ("SwapTotal", 4, 0), ("SwapFree", 3.1, 0)):
        s.gauge(f"node_memory_{name}_bytes", lambda t, m=middle, w=swing: GB * (m + w * (wave(t, 2700) - 0.5)), **own)
    for k, name in enumerate(("load1", "load5", "load15")):
        s.gauge(f"node_{name}", lambda t, p=k: 1.4 + wave(t, 1200 * (p + 1)), **own)
    for what, rate in (("cpu_waiting", 0.11), ("memory_waiting", 0.02), ("io_waiting", 0.34), ("irq_stalled", 0.01)):
        s.counter(f"node_pressure_{what}_seconds_total", rate, **own)
    for device, point, size, free in (("/dev/vda1", "/", 80, 31), ("/dev/vdb", "/data", 500, 60), ("tmpfs", "/run", 2, 1.9)):
        disk = {"device": device, "mountpoint": point, "fstype": "tmpfs" if device == "tmpfs" else "ext4", **own}
        s.gauge("node_filesystem_size_bytes", size * GB, **disk)
        s.gauge("node_filesystem_avail_bytes", lambda t, f=free: GB * f * (1 - 0.1 * (t - BEGAN) / 4500), **disk)
    for device, rate in (("eth0", 8e6), ("lo", 3e5)):
        s.counter("node_network_receive_bytes_total", lambda t, r=rate: r * wave(t, 1700), device=device, **own)
        s.counter("node_network_transmit_bytes_total", lambda t, r=rate: r / 3 * wave(t, 1300), device=device, **own)
    s.gauge("node_time_seconds", lambda t: t, **own)
    s.gauge("node_boot_time_seconds", AT - 12.3 * 86400, **own)


# ---- a dashboard with a panel of each type

REQUESTS = "sum by (job) (rate(http_requests_total[5m]))"
STEPS = {"mode": "absolute", "steps": [{"value": None, "color": "green"}, {"value": 60, "color": "orange"}, {"value": 200, "color": "red"}]}
TABLE_LEGEND = {"legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["mean", "max"]}}
OPEN_CLOSE = [{"refId": r, "expr": f'100 + {k} * scalar(sum(rate(http_requests_total{{job="shop"}}[5m] offset {o}m))) / 10', "legendFormat": n, "interval": "3m"}
              for r, k, o, n in (("A", 5, 3, "open"), ("B", 6, 0, "high"), ("C", 4, 3, "low"), ("D", 5, 0, "close"))]
XY = [{"refId": "A", "expr": 'sum(rate(http_requests_total{job="shop"}[5m]))', "legendFormat": "requests"},
      {"refId": "B", "expr": 'sum(rate(process_cpu_seconds_total{job="shop"}[5m]))', "legendFormat": "CPU"}]
# Requests against CPU: one table of both, in the order of the requests, without the time.
XY_ROWS = [{"id": "joinByField", "options": {"byField": "Time", "mode": "outer"}}, {"id": "organize", "options": {"excludeByName": {"Time": True}}},
           {"id": "sortBy", "options": {"sort": [{"field": "requests"}]}}]
ROWS_OF = {"Trend": XY_ROWS, "Points": XY_ROWS, "By route": [{"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"Value": "rate"}}}]}
STATES = [{"type": "range", "options": {"from": 0, "to": 0.3, "result": {"text": "calm", "color": "green", "index": 0}}},
          {"type": "range", "options": {"from": 0.3, "to": 0.4, "result": {"text": "busy", "color": "orange", "index": 1}}},
          {"type": "range", "options": {"from": 0.4, "to": 9, "result": {"text": "full", "color": "red", "index": 2}}}]
CPU = [{"refId": "A", "expr": "sum by (job) (rate(process_cpu_seconds_total[5m]))", "legendFormat": "{{job}}", "interval": "2m"}]
NOW = [{"refId": "A", "expr": REQUESTS, "legendFormat": "{{job}}", "instant": True}]
NOW_TABLE = [{"refId": "A", "expr": "sum by (job, route) (rate(http_requests_total[5m]))", "format": "table", "instant": True}]
LINES = [{"refId": "A", "expr": REQUESTS, "legendFormat": "{{job}}"}]
HEAT = [{"refId": "A", "expr": 'sum by (le) (increase(http_request_duration_seconds_bucket{job="payment"}[2m]))', "format": "heatmap", "legendFormat": "{{le}}", "interval": "2m"}]
TEXT = "## Orders\n\nWhat the shop does **now**; see [the runbook](https://runbooks.example).\n\n| service | owner |\n|---|---|\n| shop | Ann |\n| payment | Ed |\n"

PANELS = (  # type, title, targets, options, defaults
    ("timeseries", "Requests", LINES, TABLE_LEGEND, {"unit": "reqps", "custom": {"fillOpacity": 12}}),
    ("timeseries", "Stacked bars", [{**LINES[0], "interval": "4m"}], {}, {"unit": "reqps", "custom": {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal"}}}),
    ("timeseries", "Thresholds", LINES[:1], {"legend": {"placement": "right", "displayMode": "list", "showLegend": True}},
     {"unit": "reqps", "color": {"mode": "thresholds"}, "custom": {"thresholdsStyle": {"mode": "line+area"}}}),
    ("stat", "Rates", NOW, {"colorMode": "background", "graphMode": "none", "textMode": "value_and_name"}, {"unit": "reqps"}),
    ("stat", "Rate of the shop", [{"refId": "A", "expr": 'sum(rate(http_requests_total{job="shop"}[5m]))', "legendFormat": "shop"}], {"graphMode": "area"}, {"unit": "reqps"}),
    ("gauge", "Load", NOW, {"showThresholdMarkers": True, "showThresholdLabels": False}, {"unit": "reqps", "min": 0, "max": 250}),
    ("bargauge", "Bars", NOW, {"displayMode": "lcd", "orientation": "horizontal"}, {"unit": "reqps", "min": 0, "max": 250}),
    ("bargauge", "Columns", NOW, {"displayMode": "gradient", "orientation": "vertical"}, {"unit": "reqps", "min": 0, "max": 250}),
    ("piechart", "Shares", NOW, {"pieType": "donut", "displayLabels": ["percent"], "legend": {"showLegend": True, "displayMode": "table", "placement": "right", "values": ["value"]}}, {"unit": "reqps"}),
    ("table", "By route", NOW_TABLE, {"sortBy": [{"displayName": "rate", "desc": True}]}, {"unit": "reqps", "custom": {"cellOptions": {"type": "auto"}}}),
    ("barchart", "By service", [{"refId": "A", "expr": REQUESTS, "format": "table", "instant": True}], {"xField": "job", "showValue": "auto"}, {"unit": "reqps"}),
    ("histogram", "Spread", LINES, {}, {"unit": "reqps"}),
    ("heatmap", "Durations", HEAT, {"calculate": False, "yAxis": {"unit": "s"}, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64}}, {}),
    ("state-timeline", "States", CPU, {"showValue": "auto", "mergeValues": True}, {"mappings": STATES}),
    ("status-history", "Squares", [{**CPU[0], "interval": "5m"}], {"showValue": "never"}, {"mappings": STATES}),
    ("trend", "Trend", XY, {"xField": "requests"}, {"custom": {"drawStyle": "points"}}),
    ("xychart", "Points", XY, {"mapping": "auto"}, {"custom": {"show": "points"}}),
    ("candlestick", "Candles", OPEN_CLOSE, {"mode": "candles"}, {}),
    ("text", "Notes", [], {"mode": "markdown", "content": TEXT}, {}),
    ("alertlist", "Alerts", [], {"stateFilter": {"firing": True, "pending": True, "normal": True, "error": True}}, {}),
    ("annolist", "Annotations", [], {}, {}),
)


def every_panel():
    panels = []
    for k, (kind, title, targets, options, defaults) in enumerate(PANELS):
        panels.append({"id": k + 1, "type": kind, "title": title, "targets": targets, "options": options, "datasource": None, "transformations": ROWS_OF.get(title, []),
                       "fieldConfig": {"defaults": {"thresholds": STEPS, **defaults}, "overrides": []},
                       "gridPos": {"x": k % 3 * 8, "y": k // 3 * 7, "w": 8, "h": 7}})
    return {"uid": "every", "title": "Every panel", "schemaVersion": 41, "time": {"from": str(FROM), "to": str(TO)}, "timezone": "utc",
            "templating": {"list": [{"name": "job", "type": "query", "query": "label_values(http_requests_total, job)", "multi": True, "includeAll": True, "refresh": 1,
                                     "current": {"text": "All", "value": "$__all"}}]},
            "panels": panels}


class World:
    def __init__(self, sextant_bin, folder):
        port, otlp = free_port(), free_port()
        (folder / "rules.yml").write_text(RULES, encoding="utf-8")
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(folder=folder, port=port), encoding="utf-8")
        flags = [f for f in NO_TRACES if not f.startswith("--otlp.http=")]
        self.server = Service([sextant_bin, "observe", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                               f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", f"--storage.tsdb.retention.time={FOR_EVER}",
                               *flags, f"--otlp.http=127.0.0.1:{otlp}", f"--traces.retention={FOR_EVER}"], str(folder), name="observe")
        self.port = str(port).encode()
        self.fill(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{otlp}")

    def fill(self, url, otlp):
        samples = Samples()
        shop_of(samples)
        machine_of(samples)
        self.server.start(10)
        self.front = Front(url)
        try:
            Api(self.server.address()).write(samples.series)
            for k in range(40):
                word = "shown" if k == 24 else f"order {k}"
                post(otlp, shop(trace_id(word), (AT - 3500 + 85 * k) * 10**9, slow=k % 7 == 3, fail=k % 12 == 0 or k == 9, more=k % 3))
            for board in (every_panel(), {**read("node-exporter-full"), "id": None}):
                answer = requests.post(url + "/api/dashboards/db", json={"dashboard": board, "overwrite": True}, timeout=10)
                assert answer.status_code == 200, answer.text
            self.node = answer.json()["url"]
            self.front.answer = self.of_then
            wait_for(lambda: self.is_settled(url), 20, "targets scraped and rules evaluated")
        except BaseException:
            self.close()
            raise
        self.url = self.front.url.rstrip("/")

    @staticmethod
    def is_settled(url):
        """Both targets have been scraped, and every rule has been evaluated since."""
        def ask(path):
            return requests.get(f"{url}/api/v1/{path}", timeout=5).json()["data"]
        health = sorted(t["health"] for t in ask("targets")["activeTargets"])
        rules = {r["name"]: r for g in ask("rules")["groups"] for r in g["rules"]}
        return health == ["down", "up"] and [rules[n].get("state") for n in ("PaymentsFail", "StockDown", "DiskFull")] == ["firing", "pending", "inactive"] and \
            all(r["health"] == "ok" for r in rules.values())

    def of_then(self, handler, path, body):
        """An answer about the present, as it would have been."""
        if not OF_NOW.match(path):
            return None
        status, headers, reply = self.front.forward(handler, body)
        reply = reply.replace(b"127.0.0.1:" + self.port, b"127.0.0.1:9090").replace(b":" + self.port + b"/", b":9090/")
        for what, then in NOW_IS:
            reply = re.sub(what, then, reply)
        return status, headers, reply

    def close(self):
        self.front.close()
        self.server.stop()
