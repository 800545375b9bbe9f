"""Samples and queries for asking our server and Prometheus the same things.

    for batch in samples(): app.write_raw(batch)          # remote write 1.0 requests, by time
    for ask in queries(1000, seed=7): compare(app.ask(*ask), peer.ask(*ask))

The samples lie in one fixed hour: nothing here depends on the clock, and a seed makes the same
queries for ever. The queries are meant to be right and to meet data; about one in twenty breaks a
rule of types or of matching, for the words of the refusal."""
import json
import math
import random
import struct

from .observe import _field, _label, _varint

T0_MS = 1_700_000_000_000
STEP_MS = 15_000
POINTS = 241
END_S = (T0_MS + STEP_MS * (POINTS - 1)) // 1000
STALE = struct.unpack("<d", struct.pack("<Q", 0x7ff0000000000002))[0]
_STALE_BITS = struct.pack("<Q", 0x7ff0000000000002)


def _zigzag(n):
    return n << 1 if n >= 0 else (-n << 1) - 1


def _packed(number, encoded):
    return _field(number, b"".join(encoded)) if encoded else b""


def _double(number, value):
    bits = _STALE_BITS if value is STALE else struct.pack("<d", value)
    return _varint(number << 3 | 1) + bits


def _spans(number, buckets):
    """The spans of a dict of bucket index to count."""
    out, before = b"", None
    spans = []
    for index in sorted(buckets):
        if before is not None and index == before + 1:
            spans[-1][1] += 1
        else:
            spans.append([index if before is None else index - before - 1, 1])
        before = index
    for offset, length in spans:
        out += _field(number, b"\x08" + _varint(_zigzag(offset)) + b"\x10" + _varint(length))
    return out


def native(ms, schema, positive, negative=None, zero=0, total=0.0, hint=0, bounds=(), real=False,
           width=0.001):
    """The wire form of a native histogram: counts by bucket index; `real` makes a float one, `bounds`
    one with custom buckets."""
    negative = negative or {}
    count = sum(positive.values()) + sum(negative.values()) + zero
    out = _double(2, float(count)) if real else b"\x08" + _varint(count)
    out += _double(3, total) + b"\x20" + _varint(_zigzag(schema))
    if not bounds:
        out += _double(5, width)
        out += _double(7, float(zero)) if real else b"\x30" + _varint(zero)
    for buckets, spans, deltas, counts in ((negative, 8, 9, 10), (positive, 11, 12, 13)):
        out += _spans(spans, buckets)
        values = [buckets[k] for k in sorted(buckets)]
        if real:
            out += _packed(counts, [struct.pack("<d", v) for v in values])
        else:
            out += _packed(deltas, [_varint(_zigzag(v - w)) for v, w in zip(values, [0] + values)])
    out += b"\x70" + _varint(hint) + b"\x78" + _varint(ms)
    if bounds:
        out += _varint(16 << 3 | 2) + _varint(8 * len(bounds))
        out += b"".join(struct.pack("<d", b) for b in bounds)
    return out


class _Data:
    """Series as (labels, {point number: float or bytes of a histogram})."""

    def __init__(self, seed=1):
        self.r = random.Random(seed)
        self.series = []

    def add(self, name, labels, values):
        self.series.append(({"__name__": name, **labels}, dict(values)))

    def targets(self):
        for job in ("api", "web"):
            for number in range(3):
                yield {"job": job, "instance": f"{job}-{number}:80"}

    def counters(self):
        for target in self.targets():
            for code in ("200", "404", "500"):
                for method in ("GET", "POST"):
                    total, points = float(self.r.randint(0, 1000)), {}
                    for i in range(POINTS):
                        if self.r.random() < 0.01:
                            total = 0.0
                        total += self.r.choice((0, 1, 7, 0.5, 130))
                        points[i] = total
                    labels = {**target, "code": code, "method": method}
                    self.add("requests_total", labels, points)
                    self.add("requests_failed_total", labels,
                             {i: math.floor(v / 9) for i, v in points.items()})

    def gauges(self):
        for number, target in enumerate(self.targets()):
            value, points, holes, odd = 20.0, {}, {}, {}
            for i in range(POINTS):
                value += self.r.uniform(-1, 1)
                points[i] = value
                if 60 <= i < 90 and number % 2:
                    continue
                if self.r.random() < 0.9:
                    holes[i] = round(value, 2)
                odd[i] = self.r.choice((value, -value, math.nan, math.inf, -math.inf, 0.0, -0.0,
                                        1e300, 3e-308, 1e-9))
            holes[60 if number % 2 else 120] = STALE
            self.add("temperature_celsius", {**target, "room": f"r{number % 3}"}, points)
            self.add("pressure", target, holes)
            self.add("odd_values", target, odd)
            self.add("build_info", {**target, "version": f"1.{number}", "rev": "aé\"\\b"},
                     {i: 1.0 for i in range(POINTS)})
            self.add("target_info", {**target, "cluster": "k" + str(number % 2)},
                     {i: 1.0 for i in range(0, POINTS, 4)})
            self.add("boot_time_seconds", target,
                     {i: T0_MS / 1000 - 86400.25 * 37 * number for i in range(0, POINTS, 3)})
            self.add("up", target, {i: float(i % 50 > number) for i in range(POINTS)})
        self.add("lonely", {}, {17: 4.0})
        self.add("sparse", {"a": "1"}, {i: float(i) for i in range(0, POINTS, 37)})
        self.add("vanishing", {"a": "1"}, {**{i: float(i) for i in range(100)}, 100: STALE})
        self.add("latecomer", {"a": "1"}, {i: float(i * i) for i in range(150, POINTS)})
        self.add("wörter.mit punkt", {"ein.feld": "x", "job": "api"},
                 {i: float(i % 7) for i in range(POINTS)})
        many = {f"label_{k:02}": str(k * k % 11) for k in range(40)}
        for k in range(4):
            self.add("many_labels", {**many, "label_07": f"v{k}"},
                     {i: 0.1 * i + k for i in range(POINTS)})

    def classic(self):
        for number, target in enumerate(self.targets()):
            bounds = [0.1, 0.25, 0.5, 1.0, 2.5, math.inf]
            counts, total = [0] * len(bounds), 0.0
            points = [{} for _ in bounds]
            sums, totals = {}, {}
            for i in range(POINTS):
                if number == 1 and i == 100:
                    counts, total = [0] * len(bounds), 0.0
                for _ in range(self.r.randint(0, 6)):
                    seen = self.r.expovariate(2)
                    total += seen
                    for k, bound in enumerate(bounds):
                        counts[k] += seen <= bound
                for k in range(len(bounds)):
                    # One target's third bucket lies, and another has no +Inf.
                    points[k][i] = float(counts[k]) - (9 if number == 4 and k == 2 else 0)
                sums[i], totals[i] = total, float(counts[-1])
            for k, bound in enumerate(bounds):
                if number == 5 and bound == math.inf:
                    continue
                le = "+Inf" if bound == math.inf else repr(bound)
                self.add("latency_seconds_bucket", {**target, "le": le}, points[k])
            self.add("latency_seconds_sum", target, sums)
            self.add("latency_seconds_count", target, totals)

    def native(self):
        for number, target in enumerate(self.targets()):
            schema = (0, 2, 3, 1, 0, -1)[number]
            up, down, zero, total, points, gauge, real = {}, {}, 0, 0.0, {}, {}, {}
            for i in range(POINTS):
                ms = T0_MS + i * STEP_MS
                if self.r.random() < 0.015 or i == 0:
                    # The peer's quantiles in the zero bucket depend on empty buckets that its chunks
                    # may hold, so negative ones are never without observations.
                    up, down, zero, total = {1: 1}, {1: 1} if number > 2 else {}, 0, 1.0
                for _ in range(self.r.randint(0, 5)):
                    k = self.r.randint(-4, 6)
                    where = up if self.r.random() < 0.8 or number < 3 else down
                    where[k] = where.get(k, 0) + self.r.randint(1, 3)
                    total += k if where is up else -k
                zero += self.r.random() < 0.2
                points[i] = native(ms, schema, up, down, zero, total)
                loose = {k: self.r.randint(0, 9) for k in range(-2, 5) if self.r.random() < 0.7}
                gauge[i] = native(ms, schema, loose, {}, 1, float(sum(loose.values())), hint=3)
                real[i] = native(ms, schema, {k: v * 0.5 for k, v in up.items()}, {}, zero * 0.25,
                                 total, real=True)
                if number % 3 == 2 and 80 <= i < 100:
                    del points[i], gauge[i]
            self.add("rpc_seconds", {**target, "kind": f"k{number % 2}"}, points)
            self.add("queue_length", target, gauge)
            self.add("rpc_real_seconds", target, real)

    def custom(self):
        for number, target in enumerate(self.targets()):
            bounds = ((0.1, 0.5, 1.0, 5.0), (0.1, 0.5, 1.0, 5.0), (0.1, 1.0, 5.0, 10.0))[number % 3]
            counts, total, points = {}, 0.0, {}
            for i in range(POINTS):
                if number == 0 and i == 50:
                    counts, total = {}, 0.0
                for _ in range(self.r.randint(0, 4)):
                    k = self.r.randint(0, len(bounds))
                    counts[k] = counts.get(k, 0) + 1
                    total += k / 2
                points[i] = native(T0_MS + i * STEP_MS, -53, counts, total=total, bounds=bounds)
            self.add("size_bytes", target, points)
        mixed = {}
        for i in range(POINTS):
            mixed[i] = float(i) if i // 30 % 2 else native(T0_MS + i * STEP_MS, 0, {0: i + 1, 2: 3},
                                                           total=float(i))
        self.add("mixed", {"job": "api"}, mixed)
        self.add("mixed", {"job": "web"}, {i: 2.0 for i in range(POINTS)})


def samples(first=0, last=POINTS):
    """Bodies of remote write 1.0 requests (not compressed), oldest first, with every sample from the
    point number `first` to before `last`."""
    data = _Data()
    data.counters()
    data.gauges()
    data.classic()
    data.native()
    data.custom()
    # Of one series in one request the peer takes the floats first; `mixed` changes every 30 points.
    for start in range(first, last, 30):
        body = []
        for labels, points in data.series:
            one = b"".join(_label(n, v) for n, v in sorted(labels.items()))
            before = len(one)
            for i in range(start, min(start + 30, last)):
                value = points.get(i)
                if isinstance(value, bytes):
                    one += _field(4, value)
                elif value is not None:
                    one += _field(2, _double(1, value) +
                                  b"\x10" + _varint(T0_MS + i * STEP_MS))
            if len(one) > before:
                body.append(_field(1, one))
        yield b"".join(body)


# What each metric is, so that a function meets what it is for.
COUNTERS = ["requests_total", "requests_failed_total", "latency_seconds_sum", "latency_seconds_count"]
GAUGES = ["temperature_celsius", "pressure", "odd_values", "build_info", "up", "sparse", "vanishing",
          "latecomer", "many_labels", "lonely", "boot_time_seconds", '{"wörter.mit punkt"}', "missing",
          "target_info"]
NATIVE = ["rpc_seconds", "queue_length", "rpc_real_seconds", "size_bytes", "mixed"]
CLASSIC = ["latency_seconds_bucket"]
MATCHERS = [
    'job="api"', 'job="web"', 'job!="api"', 'job=~"a.*"', 'job!~"a.+"', 'instance=~"(api|web)-[01]:80"',
    'instance="api-0:80"', 'code="200"', 'code!="200"', 'code=~"4..|5.."', 'code!~"5.+"',
    'method="GET"', 'le="0.5"', 'le=~"0.1|\\\\+Inf"', 'le!="+Inf"', 'room=~"r[0-1]"', 'nothing=""',
    'job!=""', 'job=~".+"', 'code=""', 'instance=~".*-2:80"', 'job=~"(?i:API)"', 'a="1"',
    'label_07=~"v[12]"', '"ein.feld"="x"', 'kind="k1"', 'job=~"api|web"', 'instance!~"web.*"']
MATH = ["abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "deg", "exp",
        "floor", "ln", "log10", "log2", "rad", "round", "sgn", "sin", "sinh", "sqrt", "tan", "tanh"]
DATES = ["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month",
         "year"]
HISTOGRAM = ["histogram_avg", "histogram_count", "histogram_stddev", "histogram_stdvar",
             "histogram_sum"]
OF_COUNTERS = ["rate", "increase", "irate", "resets", "changes"]
OVER_TIME = ["avg", "count", "first", "last", "mad", "max", "min", "present", "stddev", "stdvar", "sum",
             "ts_of_first", "ts_of_last", "ts_of_max", "ts_of_min"]


class Generator:
    """Queries by a seed; each method makes an expression of one type."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, *items):
        return self.r.choice(items)

    def chance(self, p):
        return self.r.random() < p

    def duration(self):
        return self.pick("1m", "2m", "5m", "5m", "10m", "17s", "90s", "1m15s", "30m", "1h", "300")

    def at(self):
        out = ""
        if self.chance(0.08):
            out += " offset " + self.pick("1m", "5m", "-2m", "1ms", "15s", "10m")
        if self.chance(0.05):
            out += " @ " + self.pick("start()", "end()", str(END_S - 600), f"{END_S - 7.5}",
                                     str(T0_MS // 1000 + 100))
        return out

    def matchers(self, names=MATCHERS):
        picked = self.r.sample(names, self.pick(0, 0, 1, 1, 2))
        return "{" + ",".join(picked) + "}" if picked or self.chance(0.1) else ""

    def bare(self, names):
        if self.chance(0.03):
            return "{__name__=~\"" + self.pick("requests.*", ".*_seconds", "up|mixed", "la.+") + "\"}"
        name = self.pick(*names)
        matchers = self.matchers()
        if name.startswith("{") and matchers not in ("", "{}"):
            return name[:-1] + "," + matchers[1:]
        return name + (matchers if not name.startswith("{") else "")

    def selector(self, names):
        return self.bare(names) + self.at()

    def names(self):
        return self.pick(COUNTERS, COUNTERS, GAUGES, GAUGES, GAUGES, NATIVE, NATIVE, CLASSIC)

    def matrix(self, names, depth=1):
        if depth > 0 and self.chance(0.2):
            step = self.pick("", "", "30s", "1m", "7s", "2m")
            return f"{self.operand(names, depth - 1)}[{self.duration()}:{step}]{self.at()}"
        more = self.pick(" anchored", " smoothed") if self.chance(0.06) else ""
        return f"{self.bare(names)}[{self.duration()}]{more}{self.at()}"

    def operand(self, names, depth):
        """Something that may stand before a bracket or a sign."""
        if depth <= 0:
            return self.bare(names)
        return "(" + self.vector(depth, names) + ")"

    def scalar(self, depth):
        simple = self.pick("0", "1", "2", "-1", "0.5", "100", "1e3", "0.9", "NaN", "+Inf", "-Inf", "5m",
                           "0x1f", "3.7", "pi()", "time()")
        if depth <= 0 or self.chance(0.7):
            return simple
        return self.pick(
            lambda: f"scalar({self.vector(depth - 1)})",
            lambda: f"({simple} {self.pick('+', '-', '*', '/', '%', '^', 'atan2')} "
                    f"{self.scalar(depth - 1)})",
            lambda: f"({simple} {self.pick('<', '>=', '==', '!=')} bool {self.scalar(depth - 1)})",
            lambda: f"-{simple}",
            lambda: self.pick("start()", "end()", "step()", "range()"),
            lambda: f"{self.pick('min_of', 'max_of')}({simple}, {self.scalar(depth - 1)})")()

    def quantile(self):
        return self.pick("0.5", "0.9", "0.99", "0", "1", "0.25", "-1", "2", "NaN", "0.123")

    def ranged(self, depth, names=None):
        """A function of a range vector."""
        names = names or self.names()
        kind = self.r.randint(0, 9)
        if names is GAUGES:
            kind = self.r.randint(3, 9)
        if kind < 3:
            return f"{self.pick(*OF_COUNTERS)}({self.matrix(names, depth)})"
        if kind < 7:
            return f"{self.pick(*OVER_TIME)}_over_time({self.matrix(names, depth)})"
        return self.pick(
            lambda: f"{self.pick('delta', 'idelta', 'deriv')}({self.matrix(names, depth)})",
            lambda: f"predict_linear({self.matrix(names, depth)}, {self.scalar(0)})",
            lambda: f"quantile_over_time({self.quantile()}, {self.matrix(names, depth)})",
            lambda: f"double_exponential_smoothing({self.matrix(names, depth)}, "
                    f"{self.pick('0.5', '0.1')}, {self.pick('0.5', '0.3')})",
            lambda: f"absent_over_time({self.matrix(names, depth)})",
            lambda: f"{self.pick(*OF_COUNTERS)}({self.matrix(names, depth)})")()

    def of_histograms(self, depth):
        inner = self.pick(
            lambda: self.selector(NATIVE),
            lambda: f"rate({self.matrix(NATIVE, 0)})",
            lambda: f"sum by (job) (rate({self.bare(NATIVE)}[5m]))",
            lambda: f"sum by (job, le) (rate(latency_seconds_bucket[{self.duration()}]))",
            lambda: f"rate(latency_seconds_bucket{self.matchers()}[5m])",
            lambda: self.selector(CLASSIC))()
        return self.pick(
            lambda: f"histogram_quantile({self.quantile()}, {inner})",
            lambda: f"histogram_quantile({self.quantile()}, {inner})",
            lambda: f"histogram_fraction({self.pick('0', '0.1', '-Inf', 'NaN')}, "
                    f"{self.pick('1', '0.5', '+Inf', '-2')}, {inner})",
            lambda: f"{self.pick(*HISTOGRAM)}({inner})",
            lambda: f"histogram_quantiles({inner}, \"q\", {self.quantile()}, {self.quantile()})",
            lambda: f"{inner} {self.pick('</', '>/')} {self.pick('0.5', '1', '0', '-1')}")()

    def labelled(self, depth):
        inner = self.vector(depth - 1)
        return self.pick(
            lambda: f'label_replace({inner}, "{self.pick("new", "job", "instance")}", '
                    f'"{self.pick("$1", "x-$1-${1}", "", "fixed")}", '
                    f'"{self.pick("instance", "job", "code", "none")}", '
                    f'"{self.pick("(.*)-.*", "a(.*)", "(.*)", ".*", "")}")',
            lambda: f'label_join({inner}, "joined", "{self.pick("-", "", ",")}", "job", '
                    f'"{self.pick("instance", "none", "code")}")',
            lambda: f"{self.pick('sort_by_label', 'sort_by_label_desc')}({inner}, \"instance\", "
                    "\"code\", \"method\")",
            lambda: f"info({self.selector(self.pick(COUNTERS, GAUGES))}"
                    + self.pick(")", ', {cluster=~".+"})', ', {__name__="build_info"})'))()

    def grouping(self):
        labels = self.r.sample(["job", "instance", "code", "method", "le", "room", "none", "kind"],
                               self.r.randint(0, 2))
        return self.pick(" by ", " by ", " without ") + "(" + ", ".join(labels) + ")"

    def aggregate(self, depth, names=None):
        inner = self.vector(depth - 1, names)
        by = self.grouping() if self.chance(0.75) else ""
        kind = self.r.randint(0, 9)
        if kind < 6:
            name = self.pick("sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "sum",
                             "avg")
            return f"{name}{by} ({inner})" if self.chance(0.5) else f"{name}({inner}){by}"
        return self.pick(
            lambda: f"{self.pick('topk', 'bottomk')}{by} ({self.pick(1, 2, 3, 10, 0, 2.9)}, {inner})",
            lambda: f"quantile{by} ({self.quantile()}, {inner})",
            lambda: f"count_values{by} (\"{self.pick('value', 'job')}\", {inner})",
            lambda: f"limitk{by} ({self.pick(1, 2, 5)}, {inner})",
            lambda: f"limit_ratio{by} ({self.pick('0.5', '-0.5', '0.1', '1', '0', '1.5')}, {inner})")()

    def binary(self, depth):
        op = self.pick("+", "-", "*", "/", "%", "^", "atan2")
        if self.chance(0.4):
            op = self.pick("==", "!=", "<", ">", "<=", ">=") + self.pick("", " bool")
        kind = self.r.randint(0, 6)
        if kind == 0:
            return f"{self.operand(self.names(), depth - 1)} {op} {self.scalar(depth - 1)}"
        if kind == 1:
            return f"{self.scalar(depth - 1)} {op} {self.operand(self.names(), depth - 1)}"
        if kind == 2:
            names = self.names()
            return f"{self.operand(names, depth - 1)} {op} {self.operand(names, depth - 1)}"
        if kind == 3:
            how = self.pick("on (job, instance)", "on (instance)", "ignoring (code, method, room)",
                            "on ()", "on (job)")
            fill = self.pick(" fill(0)", " fill_left(1)", " fill_right(-1) fill_left(2)") \
                if self.chance(0.25) else ""
            one, two = self.pick(("up", "temperature_celsius"), ("pressure", "up"),
                                 ("rpc_seconds", "up"), ("queue_length", "queue_length"),
                                 ("rpc_real_seconds", "rpc_seconds"), ("size_bytes", "size_bytes"),
                                 ("latency_seconds_sum", "latency_seconds_count"))
            return f"{one}{self.matchers()} {op} {how}{fill} {two}{self.matchers()}"
        if kind == 4:
            how = self.pick("on (job, instance)", "on (instance)", "ignoring (code, method, version, rev)")
            extra = self.pick("", "()", "(version)", "(version, rev)", "(room)")
            one, two = f"requests_total{self.matchers()}", self.pick("build_info", "up",
                                                                     "temperature_celsius")
            if self.chance(0.3):
                return f"{two} {op} {how} group_right {extra} {one}"
            return f"{one} {op} {how} group_left {extra} {two}"
        set_op = self.pick("and", "or", "unless")
        how = self.pick("", "", " on (job)", " on (instance)", " ignoring (code)", " on ()")
        return f"{self.operand(self.names(), depth - 1)} {set_op}{how} " \
               f"{self.operand(self.names(), depth - 1)}"

    def vector(self, depth, names=None):
        names = names or self.names()
        if depth <= 0 or self.chance(0.1):
            return self.selector(names)
        return self.pick(
            lambda: self.ranged(depth - 1, names), lambda: self.ranged(depth - 1, names),
            lambda: self.aggregate(depth, names), lambda: self.aggregate(depth, names),
            lambda: self.binary(depth), lambda: self.binary(depth),
            lambda: self.of_histograms(depth), lambda: self.labelled(depth),
            lambda: f"{self.pick(*MATH)}({self.vector(depth - 1, names)})",
            lambda: f"{self.pick('sort', 'sort_desc')}({self.vector(depth - 1, names)})",
            lambda: f"-{self.operand(names, depth - 1)}",
            lambda: f"{self.pick('clamp_min', 'clamp_max', 'round')}({self.vector(depth - 1, names)}, "
                    f"{self.scalar(depth - 1)})",
            lambda: f"clamp({self.vector(depth - 1, names)}, {self.scalar(0)}, {self.scalar(0)})",
            lambda: f"{self.pick(*DATES)}({self.pick('', 'boot_time_seconds', 'vector(time())')})",
            lambda: f"absent({self.selector(names)})",
            lambda: f"{self.pick('timestamp', 'start_timestamp')}({self.vector(depth - 1, names)})",
            lambda: f"vector({self.scalar(depth - 1)})")()

    def wrong(self):
        """What some rule forbids, or may."""
        one = self.vector(1)
        return self.pick(
            f"{one} + on (job) {self.vector(1)}", f"rate({one})", f"sum({one}", f"{one}[5m]",
            f"requests_total * on (job) group_left {one}", f"{one} offset 5m offset 1m",
            f"label_replace({one}, \"job\", \"\", \"job\", \"(\")", f"nope({one})", f"sum by (job) {one}",
            f"label_replace({one}, \"instance\", \"x\", \"\", \"\")", f"{one} and 1", "{job=\"\"}",
            f"count_values(\"a\\xffb\", {one})", f"scalar({one}) bool > 1", "rate(up[0s])", "up @ +Inf",
            f"topk({self.scalar(1)}, {one})", f"{one} > bool 1 > 2", "1 == 1",
            "label_join(requests_total, \"instance\", \"\")", f"{one} or on () vector(1)",
            f"double_exponential_smoothing({self.bare(NATIVE)}[5m], 0.5, {self.scalar(0)})",
            "histogram_quantile(0.9, {__name__=~\".+_seconds.*\"})")

    def expression(self):
        if self.chance(0.05):
            return self.wrong()
        if self.chance(0.05):
            return self.scalar(3)
        if self.chance(0.03):
            return self.matrix(self.names(), 2)
        return self.vector(self.r.randint(1, 3))


def queries(count, seed):
    """(path, params) of `count` different questions, instant and over ranges."""
    g = Generator(seed)
    seen = {}
    while len(seen) < count:
        query = g.expression()
        if g.chance(0.5):
            ask = ("query", {"query": query, "time": str(g.pick(END_S, END_S - 7, END_S - 1234.567,
                                                                T0_MS // 1000 + 600, END_S + 290,
                                                                T0_MS / 1000 + 900.001))})
        else:
            start = T0_MS // 1000 + g.pick(0, 60, 900, 1803)
            step = g.pick("15", "60", "37", "5m", "7.5", "1m30s")
            ask = ("query_range", {"query": query, "start": str(start),
                                   "end": str(start + g.pick(0, 300, 900, 1500)), "step": step})
        if g.chance(0.05):
            ask[1]["lookback_delta"] = g.pick("30s", "10m", "1")
        seen[json.dumps(ask)] = ask
    return list(seen.values())
