"""A front before the observatory that answers range queries with as many series as one wants: drawings
are tried with data that no test could scrape."""
import json
import math
import urllib.parse

from .page import Front


def matrix(path, count, bucket=False):
    """`count` series over the range that the query asks for; with `bucket`, cumulative ones with `le`."""
    q = {k: float(v[0]) for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(path).query).items() if k in ("start", "end", "step")}
    times = [q["start"] + i * q["step"] for i in range(int((q["end"] - q["start"]) / q["step"]) + 1)]
    series = []
    for k in range(count):
        if bucket:
            labels = {"le": "+Inf" if k == count - 1 else str(0.01 * 2 ** k)}
            values = [[t, str((k + 1) * 10)] for t in times]
        else:
            labels = {"__name__": "many", "host": f"host-{k:05d}"}
            values = [[t, f"{100 * (k + 1) + 40 * math.sin(i / 9 + k):.1f}"] for i, t in enumerate(times)]
        series.append({"metric": labels, "values": values})
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}}).encode()


class ManySeries(Front):
    """`series` is how many the query `many` has; `buckets_bucket` is a histogram of ten buckets."""

    def __init__(self, behind, series):
        super().__init__(behind)
        self.series = series
        self.answer = self.made

    def made(self, _handler, path, _body):
        if not path.startswith("/api/v1/query_range"):
            return None
        body = matrix(path, 10, bucket=True) if "buckets_bucket" in path else matrix(path, self.series)
        return 200, {"Content-Type": "application/json"}, body
