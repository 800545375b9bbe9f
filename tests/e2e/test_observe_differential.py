"""Our server and Prometheus over the same samples, asked the same generated questions.

What is compared: HTTP status, errorType, the words of the error, warnings and infos, the type of the
result, label sets, timestamps, floats and histograms, and the order where PromQL promises one.
docs/promql-differences.md lists what may differ and why; this file holds the same list as code."""
import glob
import json
import os
import re
import shutil

import pytest

from lib.observe import PROMETHEUS, TIMEOUT_S, Observe, Prometheus, snappy
from lib.promql_generator import END_S, POINTS, queries, samples
from lib.wait import wait_for

FEATURES = ("--enable-feature=promql-experimental-functions,promql-binop-fill-modifiers,"
            "promql-extended-range-selectors")
DELAYED = FEATURES + ",promql-delayed-name-removal"
KEEP = "--storage.tsdb.retention.time=100y"
# Sums are taken in another order than the peer's where series are grouped in parallel or a map of Go
# decides; a compensated sum then differs in its last bits.
RELATIVE = 1e-12
NOTES_MAX = 10
SAME_LABELS = "vector cannot contain metrics with the same labelset"
BY_VALUE, BY_LABEL = ("sort(", "sort_desc("), ("sort_by_label(", "sort_by_label_desc(")

pytestmark = pytest.mark.skipif(not os.path.exists(PROMETHEUS),
                                reason="no Prometheus 3: scripts/peers.sh builds one")


def feed(app, first=0, last=POINTS):
    for body in samples(first, last):
        answer = app.session.post(
            app.url("/api/v1/write"), data=snappy(body), timeout=TIMEOUT_S,
            headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
                     "X-Prometheus-Remote-Write-Version": "0.1.0"})
        assert answer.status_code in (200, 204), f"{answer.status_code} {answer.text}"


def near(a, b):
    """Whether two numbers in the API's text form are the same, but for the order of a sum."""
    if a == b:
        return True
    x, y = float(a), float(b)
    return x == y or abs(x - y) <= RELATIVE * max(abs(x), abs(y)) or (x != x and y != y)


def alike(a, b):
    """Whether two parts of results are the same: numbers by near(), the rest exactly."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, str) and isinstance(b, str) and a != b:
        try:
            return near(a, b)
        except ValueError:
            return False
    return a == b


def notes(answer, kind):
    # The peer's count of mended samples is wrong: it doubles whenever notes are joined.
    found = sorted(re.sub(r"over -?\d+ samples", "over N samples", note)
                   for note in answer.get(kind) or [])
    # Beyond ten, which ones are shown is chance.
    return len(found) if len(found) > NOTES_MAX else found


def notes_may_differ(query, a, b, kind):
    """Whether a known reason explains other notes."""
    ours, theirs = set(a.get(kind) or []), set(b.get(kind) or [])
    # Series that meet no partner are not evaluated by ours, so that nothing is noted about them.
    if ours < theirs and re.search(r" (on|ignoring) ?\(|[a-z_})] ([-+*/%^<>=!]=?|atan2)( bool)? [a-z_({]",
                                   query):
        return True
    # Of several refused operations of one step the peer notes the last.
    if theirs < ours and all("incompatible sample types" in note for note in ours - theirs):
        return True
    # A note raised at several places stands at the first in ours, at any in the peer.
    bare = [{re.sub(r" \(\d+:\d+\)$", "", note) for note in side} for side in (ours, theirs)]
    if bare[0] == bare[1] and len(re.findall(r"sort|_quantiles", query)) > 0:
        return True
    # A subquery with one step is a range for the peer, which warns of sorting in it.
    return ours < theirs and "sort" in query and re.search(r"\[\w+:", query)


def error_words(answer):
    """The error without the two series that a duplicate names: of several pairs ours names the first
    by labels, the peer the first that came in."""
    return re.sub(r"for the match group \{.*\} on the (\w+) .*: \[\{.*\}, \{.*\}\]",
                  r"for a match group on the \1", answer.get("error", ""))


def in_order(result):
    """The values of a sorted vector: which of equal ones is first is chance."""
    return [series["value"][1] for series in result]


def some_lack(result):
    """Whether series of a sort by labels have those labels and others do not: the peer compares an
    empty text with another inconsistently then."""
    return any(len({label in series["metric"] for series in result}) > 1
               for label in ("instance", "code", "method"))


def amplifies(query):
    """Whether the last bit of a power, which is another in Go's library than in C's, decides all."""
    return re.search(r"\b(cos|sin|tan)\(.*\^", query)


def forgets_offset(query):
    """timestamp() of a selector with @: the peer leaves its offset out."""
    return re.search(r"timestamp\([^()]*offset [^()]* @ ", query)


def rounded(result):
    """The series with numbers in labels cut to fewer digits."""
    return [{**series, "metric": {k: short(v) for k, v in series["metric"].items()}}
            if isinstance(series, dict) else series for series in result]


def short(text):
    return re.sub(r"\d+\.\d{6,}", lambda m: f"{float(m.group()):.9g}", text)


def may_tie(query):
    """Whether the query picks among series, where the order in which they came in decides."""
    return re.search(r"\b(topk|bottomk|limitk)\b", query)


def by_labels(result):
    return sorted(result, key=lambda series: json.dumps(series["metric"], sort_keys=True))


def difference(ask, ours, theirs):
    """None, or what differs between two responses."""
    path, params = ask
    a, b = ours.json(), theirs.json()
    # The peer joins a float and a histogram of the same labels and time in one series.
    if a.get("error") == SAME_LABELS and theirs.status_code == 200 and \
            '{__name__=~".*_seconds"}' in params["query"]:
        return None
    if may_tie(params["query"]) and SAME_LABELS in (a.get("error"), b.get("error")):
        return None
    if ours.status_code != theirs.status_code or a["status"] != b["status"]:
        return f"status {ours.status_code}, {theirs.status_code}: {a.get('error')} | {b.get('error')}"
    if a.get("errorType") != b.get("errorType") or error_words(a) != error_words(b):
        return f"error {a.get('errorType')}: {a.get('error')} | {b.get('errorType')}: {b.get('error')}"
    for kind in ("warnings", "infos"):
        if may_tie(params["query"]):
            break
        if notes(a, kind) != notes(b, kind) and not notes_may_differ(params["query"], a, b, kind):
            return f"{kind} {a.get(kind)} | {b.get(kind)}"
    if "data" not in b:
        return None
    a, b = a["data"], b["data"]
    if a["resultType"] != b["resultType"]:
        return f"type {a['resultType']} | {b['resultType']}"
    a, b = a["result"], b["result"]
    if "count_values" in params["query"]:  # the last bits of values are in labels
        a, b = rounded(a), rounded(b)
    if b and isinstance(b[0], dict):
        if may_tie(params["query"]):
            if path == "query" and params["query"].startswith(("topk", "bottomk")) and \
                    not alike(sorted(in_order(a)), sorted(in_order(b))):
                return f"picked {in_order(a)} | {in_order(b)}"
            return None
        if path == "query" and params["query"].startswith(BY_VALUE) and \
                not alike(in_order(a), in_order(b)):
            return f"order {in_order(a)} | {in_order(b)}"
        if path != "query" or not params["query"].startswith(BY_LABEL) or some_lack(b):
            a, b = by_labels(a), by_labels(b)
    if [s["metric"] for s in a if isinstance(s, dict)] != \
            [s["metric"] for s in b if isinstance(s, dict)]:
        return "labels " + json.dumps([s["metric"] for s in a])[:600] + " | " + \
            json.dumps([s["metric"] for s in b])[:600]
    if amplifies(params["query"]) or forgets_offset(params["query"]):
        return None
    for x, y in zip(a, b):
        if not alike(x, y):
            return f"values {json.dumps(x)[:1500]} | {json.dumps(y)[:1500]}"
    return None if len(a) == len(b) else f"{len(a)} | {len(b)} results"


def compare(ours, theirs, count, seed):
    """Asks both and returns what differs."""
    found, filled = [], 0
    for ask in queries(count, seed):
        path, params = ask
        one = ours.ask("/api/v1/" + path, params, "POST")
        two = theirs.ask("/api/v1/" + path, params, "POST")
        what = difference(ask, one, two)
        filled += bool(two.json().get("data", {}).get("result"))
        if what:
            found.append(f"{path} {params}\n    {what}")
    assert filled > count / 3, "too few of the queries meet data"
    return found


def pair(serve, spawn, sextant_bin, folder, flags):
    return (Observe(serve, sextant_bin, folder, flags=flags),
            Prometheus(spawn, folder, flags=flags))


def check(found):
    assert not found, f"{len(found)} differ:\n" + "\n".join(found[:20])


def test_generated_queries_have_the_answers_of_prometheus(serve, spawn, sextant_bin, tmp_path):
    ours, theirs = pair(serve, spawn, sextant_bin, tmp_path, (KEEP, FEATURES))
    for app in (ours, theirs):
        feed(app)
    check(compare(ours, theirs, 150, seed=1))


@pytest.mark.peers
@pytest.mark.timeout(600)
@pytest.mark.parametrize("features", [FEATURES, DELAYED], ids=["plain", "delayed names"])
def test_a_thousand_generated_queries(serve, spawn, sextant_bin, tmp_path, features):
    ours, theirs = pair(serve, spawn, sextant_bin, tmp_path, (KEEP, features))
    for app in (ours, theirs):
        feed(app)
    check(compare(ours, theirs, 1000, seed=2))


@pytest.mark.parametrize("encoding", ["", ",xor2-encoding,st-storage"], ids=["xor", "xor2"])
def test_a_directory_of_prometheus_is_taken_over(serve, spawn, sextant_bin, tmp_path, encoding):
    """Blocks, a checkpoint's leavings and a log that were not closed: a kill, and both open it."""
    flags = (KEEP, FEATURES + encoding, "--storage.tsdb.min-block-duration=10m",
             "--storage.tsdb.max-block-duration=30m")
    theirs = Prometheus(spawn, tmp_path, flags=flags)
    feed(theirs, 0, 120)
    feed(theirs, 120, 240)
    blocks = os.path.join(theirs.data_dir, "*", "meta.json")
    wait_for(lambda: len(glob.glob(blocks)) >= 2, seconds=60, what="a block of Prometheus's")
    feed(theirs, 240)
    theirs.process.kill()
    shutil.copytree(theirs.data_dir, os.path.join(tmp_path, "data"))
    again = Prometheus(spawn, tmp_path, flags=flags)
    ours = Observe(serve, sextant_bin, tmp_path, flags=(KEEP, FEATURES))
    assert ours.query("count(up)", time=END_S) == again.query("count(up)", time=END_S) != []
    check(compare(ours, again, 100, seed=3))


@pytest.mark.parametrize("packing", ["zstd", "snappy"])
def test_a_directory_is_given_back_to_prometheus(serve, spawn, sextant_bin, tmp_path, packing):
    """Blocks and a log that was not closed: Prometheus goes on with both, whichever way it is packed."""
    flags = (KEEP, FEATURES, "--storage.tsdb.min-block-duration=10m",
             "--storage.tsdb.max-block-duration=30m")
    ours = Observe(serve, sextant_bin, tmp_path,
                   flags=flags + (f"--storage.tsdb.wal-compression-type={packing}",))
    feed(ours, 0, 120)
    feed(ours, 120, 240)
    blocks = os.path.join(tmp_path, "data", "*", "meta.json")
    wait_for(lambda: len(glob.glob(blocks)) >= 2, seconds=60, what="a block of ours")
    feed(ours, 240)
    ours.process.kill()
    theirs = Prometheus(spawn, tmp_path, data="data", flags=flags)
    again = Observe(serve, sextant_bin, tmp_path, data="again", flags=(KEEP, FEATURES))
    feed(again)
    assert again.query("count(up)", time=END_S) == theirs.query("count(up)", time=END_S) != []
    check(compare(again, theirs, 50, seed=4))
