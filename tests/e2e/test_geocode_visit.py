"""`sextant geocode visit` asks a geocoder as people do: every API of it, in traces that go through both."""
import re

import pytest
import requests

from lib.wait import wait_for

ROUTES = {"/search/", "/reverse/", "/search/csv/", "/photon/api", "/photon/reverse", "/nominatim/search",
          "/nominatim/reverse"}


@pytest.fixture(scope="module")
def index(sextant_bin, repo, tmp_path_factory):
    from lib.clients import run
    path = tmp_path_factory.mktemp("visit") / "small.idx"
    run(sextant_bin, "geocode", "import", "-q", "-o", path, f"{repo}/data/monaco.osm.gz", f"{repo}/data/paris-ban.csv.gz",
        seconds=120)
    return path


def counts(server):
    """Answers by route, those that are no 2xx under their code."""
    text = requests.get(server.url("/metrics"), timeout=5).text
    found = {}
    for labels, n in re.findall(r"^http_requests_total\{(.*)\} (\d+)$", text, re.M):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        key = label["route"] if label["code"].startswith("2") else label["code"]
        found[key] = found.get(key, 0) + int(n)
    return found


def test_every_api_is_asked_and_answers(serve, sextant_bin, index):
    geocoder = serve(sextant_bin, "geocode", "serve", "--index", index, "--listen", "127.0.0.1:0")
    visitor = serve(sextant_bin, "geocode", "visit", f"--visit.geocoder={geocoder.url('')}", "--visit.every_ms=10", "--visit.step_ms=1",
                      "--access_log=off")
    wait_for(lambda: ROUTES <= counts(geocoder).keys(), 30, "all routes asked")
    assert not {code for code in counts(geocoder) if code.isdigit()}, "a question was wrong"
    # Without a geocoder it goes on, and says so.
    assert geocoder.stop() == 0
    wait_for(lambda: "no answer" in visitor.log(), 20, "a word of it in the log")
    done = int(re.search(r"^visits_total (\d+)$", requests.get(visitor.url("/metrics"), timeout=5).text, re.M).group(1))
    assert done > 1
    assert visitor.stop() == 0
