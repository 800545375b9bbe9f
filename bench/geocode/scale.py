#!/usr/bin/env python3
"""Measures the geocoder on a country: an artificial address set about as large as France's.

    scale.py [--streets 2000000] [--seed 1] [--folder DIR] [--memory 1GiB]

Makes the set (the communes and street names of data/france.ndjson.gz, each name in many communes, as
in life; the same arguments give the same bytes), imports it and prints one line a figure: name, value,
unit. Searches are those of the parity test's mix (tests/parity/queries.py), made from each index's own
addresses, on one thread; CPU seconds count, so that a busy machine changes little. The set and its
index are kept in the folder (build/bench/scale) and made again only if the arguments change.
"""
import argparse
import gzip
import json
import math
import os
import random
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BENCH_BUILD", os.path.join(ROOT, "build"))
SEXTANT = os.path.join(BUILD, "sextant")
FRANCE = os.path.join(ROOT, "data/france.ndjson.gz")
QUERIES, SAMPLE, OPENS = 20_000, 40_000, 20
sys.path.insert(0, os.path.join(ROOT, "tests", "parity"))
import queries  # noqa: E402

KINDS = {"Rue": 55, "Chemin": 10, "Impasse": 9, "Avenue": 8, "Allée": 7, "Route": 6, "Place": 5, "Boulevard": 3,
         "Quai": 1, "Square": 1, "Sentier": 1}
FREQUENT = """de l'Église|du Moulin|de la Mairie|des Écoles|de la Gare|du Château|de la Fontaine|Victor Hugo|Pasteur
de la République|du Général de Gaulle|Jean Jaurès|des Lilas|du Stade|de la Paix|Gambetta|Jules Ferry|de Verdun
du 8 Mai 1945|du 11 Novembre|Émile Zola|des Acacias|de la Forêt|du Lavoir|des Vignes|du Pont|Saint-Martin|Jean Moulin
Notre-Dame|Anatole France|Pierre et Marie Curie|des Tilleuls|de la Plage|de Paris|de Lyon|Albert Camus"""
SUFFIXES = ["", "", "", "", "", "", " bis", " ter", "b", "a"]


def first(value):
    return value[0] if isinstance(value, list) else value


def addresses(streets, seed):
    """The communes as they are, then so many streets in them: more in the larger ones."""
    pick = random.Random(seed)
    with gzip.open(FRANCE, "rt", encoding="utf-8") as f:
        documents = [json.loads(line) for line in f]
    communes = [d for d in documents if d["type"] == "municipality" and d.get("postcode")]
    rare = sorted({first(d["name"]).partition(" ")[2] for d in documents if d["type"] == "street"} - {""})
    frequent = FREQUENT.replace("\n", "|").split("|")
    yield from communes
    weights, total = [], 0.0
    for c in communes:
        total += math.sqrt(max(c.get("population") or 0, 200))
        weights.append(total)
    kinds, kind_weights = list(KINDS), list(KINDS.values())
    for n in range(streets):
        commune = pick.choices(communes, cum_weights=weights)[0]
        name = f"{pick.choices(kinds, kind_weights)[0]} {pick.choice(frequent if pick.random() < .45 else rare)}"
        postcodes = commune["postcode"]
        lon, lat = commune["lon"] + pick.gauss(0, .01), commune["lat"] + pick.gauss(0, .008)
        street = f"{commune['id']}_{n:07d}"
        numbers = {f"{i}{pick.choice(SUFFIXES)}": {"id": f"{street}_{i:05d}", "lon": round(lon + i * .0001, 6),
                                                   "lat": round(lat + i * .00005, 6)}
                   for i in range(1, 2 + int(pick.expovariate(1 / 13)))}
        yield {"id": street, "type": "street", "name": name,
               "postcode": pick.choice(postcodes) if isinstance(postcodes, list) else postcodes,
               "citycode": commune["citycode"], "city": commune["city"], "context": commune["context"],
               "lon": round(lon, 6), "lat": round(lat, 6),
               "importance": round(commune["importance"] * .6 * pick.random(), 5), "housenumbers": numbers}


def write_addresses(path, streets, seed):
    with open(path + ".tmp", "w", encoding="utf-8") as out:
        for d in addresses(streets, seed):
            out.write(json.dumps(d, ensure_ascii=False, separators=(",", ":")) + "\n")
    os.replace(path + ".tmp", path)


def write_sample(path, source, seed):
    """Its communes and some of its streets: queries are made from all that is in memory."""
    pick = random.Random(seed)
    size = os.path.getsize(source)
    with open(source, "rb") as f, open(path, "wb") as out:
        for line in f:
            if b'"type":"municipality"' not in line:
                break
            out.write(line)
        for _ in range(SAMPLE):
            f.seek(pick.randrange(size))
            f.readline()
            out.write(f.readline())


def write_queries(path, source, seed):
    with open(path, "w", encoding="utf-8") as out:
        for _, target, pairs in queries.make(source, seed, QUERIES):
            text = dict(tuple(p) for p in pairs).get("q")
            if text and target == "/search/":
                out.write(text.replace("\n", " ") + "\n")


def run(*command):
    """What it printed, its seconds, its CPU seconds and the most memory it had."""
    began = time.perf_counter()
    process = subprocess.Popen([SEXTANT, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"sextant {' '.join(command)} failed")
    return out, time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def show(name, value, unit):
    print(f"{name} {value:.6g} {unit}", flush=True)


def searches(name, index, asked):
    """A CPU second's. The first run brings the file into memory."""
    run("geocode", "bench", "--index", index, asked)
    out, _, cpu, _ = run("geocode", "bench", "--index", index, asked)
    count = int(re.search(r"of (\d+) queries", out).group(1))
    show(f"searches_{name}", count / cpu, "queries/CPU-s")
    show(f"searches_{name}_p50", float(re.search(r"p50 (\S+)", out).group(1)), "us")
    show(f"searches_{name}_p99", float(re.search(r"p99 (\S+)", out).group(1)), "us")
    return count / cpu


def open_ms(index, nothing):
    return min(float(re.search(r"opened in (\S+) ms", run("geocode", "bench", "--index", index, nothing)[0]).group(1))
               for _ in range(OPENS))


def start_ms(index):
    """Of the server, until it says that it is ready."""
    began = time.perf_counter()
    server = subprocess.Popen([SEXTANT, "geocode", "serve", "--index", index, "--listen", "127.0.0.1:0",
                               "--access_log=/dev/null", "--log.path=/dev/null"], stderr=subprocess.PIPE, text=True)
    try:
        for line in server.stderr:
            if line.startswith("ready "):
                return (time.perf_counter() - began) * 1000
    finally:
        server.terminate()
        server.wait()
    raise SystemExit("the server did not get ready")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--streets", type=int, default=2_000_000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--memory", default="1GiB")
    ap.add_argument("--folder", default=os.path.join(BUILD, "bench", "scale"))
    args = ap.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    def at(name):
        return os.path.join(args.folder, name)
    source, index = at(f"streets-{args.streets}-{args.seed}.ndjson"), at("country.idx")
    if not os.path.exists(source):
        write_addresses(source, args.streets, args.seed)
    show("input", os.path.getsize(source), "bytes")
    _, seconds, cpu, peak = run("geocode", "import", "-q", "-m", args.memory, "-o", index, source)
    show("build", seconds, "s")
    show("build_cpu", cpu, "CPU-s")
    show("build_peak_memory", peak, "bytes")
    show("index", os.path.getsize(index), "bytes")
    open(at("nothing"), "w", encoding="ascii").close()
    show("open", open_ms(index, at("nothing")), "ms")
    show("start", min(start_ms(index) for _ in range(3)), "ms")
    write_sample(at("sample.ndjson"), source, args.seed)
    write_queries(at("country.txt"), at("sample.ndjson"), args.seed)
    run("geocode", "import", "-q", "-o", at("france.idx"), FRANCE)
    write_queries(at("france.txt"), FRANCE, args.seed)
    small = searches("france.ndjson.gz", at("france.idx"), at("france.txt"))
    large = searches("country", index, at("country.txt"))
    show("searches_country_to_france", large / small, "ratio")


if __name__ == "__main__":
    main()
