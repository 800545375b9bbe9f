"""sextant geocode under Nominatim's API, held to what Nominatim 5.3.3 answered (tests/e2e/data/nominatim).

Each extract is imported with the special phrases and served; the recorded requests are asked and compared as
lib/nominatim.py says. The shares are those that the project has agreed to; docs/nominatim-parity.md names
what is left by its cause.
"""
import subprocess

import pytest

from lib import nominatim
from lib.service import Service

FILES = {"liechtenstein": "data/liechtenstein.osm.pbf", "andorra": "data/andorra.osm.pbf", "monaco": "data/monaco.osm.gz",
         **{name: f"tests/e2e/data/osm/{name}.osm.gz" for name in ("broken-boundaries", "moscow-cyrillic", "features")}}
AGREED = {"status": 1.0, "error": 1.0, "first": .98, "list": .95, "reverse": .98, "display_name": .99, "address": .99,
          "kind": .99}
# Two fifths of the second file are of invented towns that share their names on purpose: which of equals comes first is
# left to the order of the peer's rows.
SHARES = {"truth-400": AGREED, "more-1100": {**AGREED, "first": .975}}


@pytest.fixture(scope="module")
def tallies(sextant_bin, repo, tmp_path_factory):
    """The outcomes of all requests of a file, for each file."""
    data = f"{repo}/tests/e2e/data/nominatim"
    folder = tmp_path_factory.mktemp("nominatim")
    servers, services = {}, []
    try:
        for name, path in FILES.items():
            index = folder / f"{name}.idx"
            subprocess.run([sextant_bin, "geocode", "import", "-q", "-o", index, "--phrases", f"{repo}/data/phrases.csv",
                            f"{repo}/{path}"], check=True, timeout=300)
            service = Service([sextant_bin, "geocode", "serve", "--index", index, "--listen", "127.0.0.1:0"], str(folder),
                              name=name)
            services.append(service)
            service.start(30)
            servers[name] = nominatim.Server(service.url("/nominatim"))
        found = {file: nominatim.run(nominatim.load(f"{data}/{file}.ndjson.gz"), servers) for file in SHARES}
    finally:
        for service in services:
            service.stop()
    for file, tally in found.items():
        print("\n".join(["", file, *tally.table()]))
    return found


def told(tally, measure, most=10):
    """The first requests that differ in a measure, for a failed test."""
    lines = [f"{tally.share(measure):.2%} of {tally.all[measure]}:"]
    for record, wrong in tally.wrong:
        lines += [f"  {record['n']} {nominatim.url_of(record)}: {o.detail[:300]}" for o in wrong if o.measure == measure]
    return "\n".join(lines[:most + 1])


def test_every_request_was_asked(tallies):
    assert {file: tally.all["status"] for file, tally in tallies.items()} == {"truth-400": 404, "more-1100": 1100}


@pytest.mark.parametrize("file, measure", [(file, measure) for file in SHARES for measure in SHARES[file]])
def test_answers_are_those_of_nominatim(tallies, file, measure):
    tally = tallies[file]
    assert tally.share(measure) >= SHARES[file][measure], told(tally, measure)


def test_reverse_is_right_at_every_zoom(tallies):
    tally = tallies["truth-400"]
    zooms = [name for name in tally.all if name.startswith("reverse zoom")]
    wrong = {name: f"{tally.right[name]} of {tally.all[name]}" for name in zooms if tally.share(name) < .98}
    assert not wrong, f"{wrong}\n{told(tally, 'reverse')}"
