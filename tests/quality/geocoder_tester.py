#!/usr/bin/env python3
"""geocoder_tester.py - the public geocoder-tester suite against us, us with better=1, and Addok.

  tests/quality/geocoder_tester.py [--suite URL_OR_FOLDER] [--no-addok] [--show] [--sextant FILE]

Gets the suite (github.com/geocoders/geocoder-tester) into .cache/, takes those of its French cases that
data/france.ndjson.gz can answer, and prints how many are answered right. The data has all communes of
France and the streets of Paris, so a case counts if
  - it is no point of interest (the suite keeps these apart, in folders and files named poi),
  - what it expects is told by name, housenumber, street, city, postcode, coordinate and country (which is
    France everywhere here, and not looked at): no OSM ids,
  - the data has it: a street (or commune) with the expected street (or name), city and postcode, and the
    house number if one is expected, compared without case, accents and punctuation as the suite's
    --loose-compare does; where a city and a place on the map are all that is expected, a street of that city
    within that distance whose name stands in the query.
A case is right if one of the first `limit` answers (1 unless the case says otherwise) has all that it
expects, by the suite's own rule. --show prints the cases that somebody gets wrong.
"""
import argparse
import collections
import csv
import gzip
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import both
from both import peer, queries

SUITE = "https://github.com/geocoders/geocoder-tester"
FOLDER = peer.ROOT / ".cache" / "geocoder-tester"
FRANCE = Path("geocoder_tester") / "world" / "france"
KNOWN = {"country", "name", "housenumber", "street", "city", "postcode", "coordinate"}

Case = collections.namedtuple("Case", "file query limit centre expected")


def get_suite(source):
    if not (FOLDER / FRANCE).exists():
        FOLDER.parent.mkdir(exist_ok=True)
        print(f"quality: getting {source}", file=sys.stderr)
        if subprocess.run(["git", "clone", "-q", "--depth", "1", source, FOLDER], check=False).returncode:
            raise SystemExit(f"quality: cannot get {source}; give a copy of it by --suite FOLDER")


def plain(text):
    return re.sub(r"[^\w]", " ", queries.plain(str(text)).lower().replace("œ", "oe")).strip()


def of_csv(path):
    with open(path, encoding="utf-8", newline="") as text:
        dialect = csv.Sniffer().sniff(text.read(2000))
        text.seek(0)
        for row in csv.DictReader(text, dialect=dialect):
            expected = {k[9:]: v for k, v in row.items() if k and k.startswith("expected_") and v}
            centre = (row.get("lat"), row.get("lon"))
            if row.get("query") and expected and not row.get("skip"):
                yield Case(path.name, row["query"], int(row.get("limit") or 1), centre if all(centre) else None, [expected])


def of_yaml(path):
    import yaml

    for name, spec in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).items():
        expected = spec["expected"] if isinstance(spec["expected"], list) else [spec["expected"]]
        centre = (spec.get("lat"), spec.get("lon"))
        if not spec.get("skip"):
            yield Case(path.name, str(spec.get("query", name)), int(spec.get("limit") or 1),
                       centre if all(centre) else None, [{k: str(v) for k, v in e.items()} for e in expected])


def all_cases():
    seen = set()
    for path in sorted(p for p in (FOLDER / FRANCE).rglob("test_*") if "poi" not in str(p.relative_to(FOLDER))):
        read = {".csv": of_csv, ".yml": of_yaml}.get(path.suffix)
        for case in read(path) if read else ():
            key = (case.query, case.limit, case.centre, json.dumps(case.expected, sort_keys=True))
            if key not in seen:
                seen.add(key)
                yield case


def listed(value):
    return value if isinstance(value, list) else [value]


class Street(collections.namedtuple("Street", "name cities codes numbers place")):
    """A street or commune of the data."""

    def is_near(self, expected, numbers):
        lat, lon, most = map(float, expected.get("coordinate", "0,0,0").split(","))
        return "coordinate" not in expected or any(metres(lat, lon, *there) <= most for there in numbers)

    def has(self, want, expected):
        return (want.get("city", self.cities[0]) in self.cities and want.get("postcode", self.codes[0]) in self.codes
                and ("housenumber" not in want or want["housenumber"] in self.numbers)
                and self.is_near(expected, [self.numbers.get(want.get("housenumber"), self.place)]))


class Data:
    """What there is to be found."""

    def __init__(self, path):
        self.streets, self.communes = collections.defaultdict(list), collections.defaultdict(list)
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                d = json.loads(line)
                numbers = {plain(n): (h["lat"], h["lon"]) for n, h in (d.get("housenumbers") or {}).items()}
                row = Street(plain(queries.first(d["name"])), [plain(v) for v in listed(d.get("city"))] or [""],
                             [plain(v) for v in listed(d.get("postcode"))] or [""], numbers, (d["lat"], d["lon"]))
                (self.streets if d["type"] == "street" else self.communes)[row.name].append(row)

    def stands_in(self, query, want, expected):
        asked = f" {plain(query)} "
        return any(f" {name} " in re.sub(" +", " ", asked) and want["city"] in s.cities and
                   s.is_near(expected, [s.place, *s.numbers.values()]) for name, rows in self.streets.items() for s in rows)

    def has(self, expected, query):
        if set(expected) - KNOWN or not set(expected) & {"name", "street", "city"}:
            return False
        want = {k: plain(v) for k, v in expected.items() if k not in ("coordinate", "country")}
        numbered = re.match(r"(\d+[a-z]?) (.*)", want.get("name", ""))
        if numbered and "street" not in want:
            want["housenumber"], want["street"] = numbered.groups()
        if set(want) == {"city"} and "coordinate" in expected:
            return self.stands_in(query, want, expected)
        name = want.get("street") or want.get("name") or want["city"]
        rows = self.streets.get(name, []) if "street" in want or "name" in want else []
        if "street" not in want:
            rows = rows + self.communes.get(name, [])
        return any(row.has(want, expected) for row in rows)


def metres(lat1, lon1, lat2, lon2):
    east = math.radians(lon2 - lon1) * math.cos(math.radians((lat1 + lat2) / 2))
    return 6371000 * math.hypot(east, math.radians(lat2 - lat1))


def is_as_expected(feature, expected):
    for key, value in expected.items():
        if key == "coordinate":
            lat, lon, most = map(float, value.split(","))
            there = feature["geometry"]["coordinates"]
            if metres(lat, lon, there[1], there[0]) > most:
                return False
        elif key != "country" and plain(feature["properties"].get(key)) != plain(value):
            return False
    return True


def is_right(body, case):
    return all(any(is_as_expected(f, e) for f in body["features"]) for e in case.expected)


def params_of(case):
    pairs = [["q", case.query], ["limit", str(case.limit)]]
    return pairs + ([["lat", str(case.centre[0])], ["lon", str(case.centre[1])]] if case.centre else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default=SUITE)
    parser.add_argument("--show", action="store_true", help="print the cases that somebody gets wrong")
    both.add_arguments(parser)
    args = parser.parse_args()
    get_suite(args.suite)
    data = Data(both.DATA)
    everything = list(all_cases())
    cases = [c for c in everything if all(data.has(e, c.query) for e in c.expected)]
    print(f"{len(everything)} cases about France, {len(cases)} of them about what the data has")
    right = collections.defaultdict(lambda: collections.defaultdict(list))
    with tempfile.TemporaryDirectory() as folder:
        for who, ask in both.everybody(args, folder):
            began = time.monotonic()
            for case, (status, body) in zip(cases, ask([("/search/", params_of(c)) for c in cases])):
                right[who][case.file].append(status == 200 and is_right(body, case))
            print(f"{who}: {sum(map(sum, right[who].values()))} of {len(cases)} in {time.monotonic() - began:.1f} s")
    print(f"\n{'file':44} {'cases':>5} " + " ".join(f"{w:>16}" for w in right))
    for name in sorted({c.file for c in cases}):
        print(f"{name:44} {sum(c.file == name for c in cases):5} " + " ".join(f"{sum(r[name]):16}" for r in right.values()))
    print(f"{'all':44} {len(cases):5} " + " ".join(f"{sum(map(sum, r.values())):16}" for r in right.values()))
    if args.show:
        places = collections.Counter()
        for case in cases:
            verdicts = {w: r[case.file][places[case.file]] for w, r in right.items()}
            places[case.file] += 1
            if not all(verdicts.values()):
                print(case.file, repr(case.query), case.centre or "", case.expected, "wrong:", *[w for w, v in verdicts.items() if not v])


if __name__ == "__main__":
    main()
