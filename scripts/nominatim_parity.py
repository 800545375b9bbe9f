#!/usr/bin/env python3
"""nominatim_parity.py - compares our answers with Nominatim's, and names what differs.

    nominatim_parity.py --serve build/sextant           the 404 recorded requests, by a server of its own
    nominatim_parity.py --ours liechtenstein=http://127.0.0.1:8080/nominatim --data liechtenstein
    nominatim_parity.py --serve build/sextant --generated       all that --generate has kept
    nominatim_parity.py --serve build/sextant --generate andorra --count 200 --seed 3
    nominatim_parity.py --serve build/sextant --objects andorra     each object: ranks, names, address, postcode, linking
    nominatim_parity.py --generate monaco --count 1000 --seed 7     only asks the peer, and keeps its answers

Without --generate, --generated or --answers the recorded requests are asked. The answers of the peer
(scripts/nominatim_peer.sh) are kept in .cache/peers/nominatim/answers-EXTRACT-SEED.ndjson, so that it is
asked once for each request; a second peer with the same extract (--also URL) adds what it answers otherwise.
--serve imports each extract into nominatim-parity/EXTRACT.idx beside the binary unless that is newer than the
binary, and serves it.

--show N names N requests that differ (with --measure M: in that measure, with --category C: of that kind;
--number K: only that request); --list prints the numbers of all that differ, for comparing two runs.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from lib import nominatim, nominatim_queries  # noqa: E402

CACHE = ROOT / ".cache" / "peers" / "nominatim"
RECORDED = ROOT / "tests" / "e2e" / "data" / "nominatim" / "truth-400.ndjson.gz"
PEER = ROOT / "scripts" / "nominatim_peer.sh"
PHRASES = ROOT / "data" / "phrases.csv"
FILES = {"liechtenstein": "data/liechtenstein.osm.pbf", "andorra": "data/andorra.osm.pbf", "monaco": "data/monaco.osm.gz",
         "broken-boundaries": "tests/e2e/data/osm/broken-boundaries.osm.gz",
         "moscow-cyrillic": "tests/e2e/data/osm/moscow-cyrillic.osm.gz",
         "features": "tests/e2e/data/osm/features.osm.gz"}


def note(*words):
    print(*words, file=sys.stderr, flush=True)


def url_of_peer(extract):
    done = subprocess.run([PEER, "list"], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        name, url, _, state = line.split()
        if name == extract and state == "answers":
            return url
    sys.exit(f"nominatim_parity: no peer answers for {extract}: run scripts/nominatim_peer.sh import {extract} "
             f"{FILES.get(extract, 'FILE')}, then: scripts/nominatim_peer.sh start {extract}")


def rows_of(extract):
    """What the peer imported, from its own tables."""
    done = subprocess.run([PEER, "sql", extract, "-At", "-c",
                           nominatim_queries.ROWS], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"nominatim_parity: {extract} cannot be read: {done.stderr.strip()}\n"
                 f"run scripts/nominatim_peer.sh import {extract} FILE, then start")
    return done.stdout.splitlines()


def answers_of(extract, seed):
    return CACHE / f"answers-{extract}-{seed}.ndjson"


def alternatives(path, url):
    """Adds to the kept records what another import of the same extract answers otherwise."""
    records, other, added = nominatim.load(path), nominatim.Server(url), 0
    for record in records:
        second = other.ask(record["path"], record["params"], record.get("headers"))
        differs = any(not o.right for o in nominatim.compare(record, second))
        if second.status == record["status"] and differs:
            record.setdefault("also", []).append(second.body)
            added += 1
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    fresh.replace(path)
    note(f"{path}: {added} answers are otherwise in {url}")


def record(path, extract, requests, peer_url):
    """Appends to a file what the peer answers to (number, request) pairs, but for where it fails itself."""
    peer, failed = nominatim.Server(peer_url or url_of_peer(extract)), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as out:
        for number, request in requests:
            got = peer.ask(request["path"], request["params"], request.get("headers"))
            if got.status == 0:
                sys.exit(f"nominatim_parity: the peer does not answer: {got.body}")
            if got.status >= 500:
                failed += 1
                continue
            whole = {"n": number, "data": extract, **request, "status": got.status, "type": got.type, "body": got.body}
            out.write(json.dumps(whole, ensure_ascii=False) + "\n")
    note(f"{path}: the peer failed at {failed}")


def generate(extract, count, seed, peer_url):
    """`count` records of an extract; those that are in the file already are not asked again."""
    path = answers_of(extract, seed)
    while len(records := nominatim.load(path) if path.exists() else []) < count:
        generator = nominatim_queries.Generator(nominatim_queries.Extract.read(rows_of(extract)), seed)
        drawn = [(n + 1, generator.draw()) for n in range((records[-1]["n"] if records else 0) + count - len(records))]
        note(f"asking the peer of {extract} for {count - len(records)} answers")
        record(path, extract, drawn[len(records) and records[-1]["n"]:], peer_url)
    return records[:count]


def objects(extract, peer_url, also_url):
    """All that the peer imported of an extract."""
    path = CACHE / "objects" / f"answers-{extract}.ndjson"
    if not path.exists():
        rows = nominatim_queries.Extract.read(rows_of(extract))
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        record(fresh, extract, enumerate(nominatim_queries.every_object(rows), 1), peer_url)
        fresh.replace(path)
    if also_url:
        alternatives(path, also_url)
    return nominatim.load(path)


def import_with(binary, extract):
    """Our index of an extract, made anew if the binary is younger."""
    index = Path(binary).resolve().parent / "nominatim-parity" / f"{extract}.idx"
    index.parent.mkdir(exist_ok=True)
    if not index.exists() or index.stat().st_mtime < os.stat(binary).st_mtime:
        subprocess.run([binary, "geocode", "import", "-q", "-o", index, "--phrases", PHRASES, ROOT / FILES[extract]], check=True)
    return index


class Served:
    """Our servers, one for each extract; ended on exit."""

    def __init__(self, binary, extracts):
        self.children, self.servers = [], {}
        for extract in extracts:
            child = subprocess.Popen([binary, "geocode", "serve", "--index", import_with(binary, extract), "--listen", "127.0.0.1:0",
                                      "--access_log=/dev/null", "--log.path=/dev/null"], stderr=subprocess.PIPE, text=True)
            self.children.append(child)
            said = ""
            for line in child.stderr:
                said += line
                where = re.match(r"ready .*http=(\S+)", line)
                if where:
                    self.servers[extract] = nominatim.Server(f"http://{where.group(1)}/nominatim")
                    break
            else:
                self.__exit__()
                sys.exit(f"nominatim_parity: our server of {extract} did not get ready:\n{said}")

    def __enter__(self):
        return self.servers

    def __exit__(self, *_):
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait(10)


def show(tally, options):
    shown = 0
    for record, wrong in tally.wrong:
        wrong = [o for o in wrong if not options.measure or o.measure == options.measure]
        if not wrong:
            continue
        shown += 1
        if options.list:
            print(record["data"], record["n"], record["category"], nominatim.url_of(record), *(o.measure for o in wrong), sep="\t")
        elif shown <= options.show:
            headers = "".join(f"  {k}: {v}" for k, v in record.get("headers", {}).items())
            print(f"\n{record['data']} {record['n']} ({record['category']}) {nominatim.url_of(record)}{headers}")
            for outcome in wrong:
                print(f"    {outcome.measure}: {outcome.detail[:options.width]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", action="append", default=[], help="[EXTRACT=]URL of a server to be compared")
    parser.add_argument("--serve", metavar="BINARY", help="imports and serves with this sextant")
    parser.add_argument("--answers", action="append", default=[], help="a file of records instead of the recorded ones")
    parser.add_argument("--generated", action="store_true", help="all files that --generate has kept")
    parser.add_argument("--generate", metavar="EXTRACT", action="append", default=[])
    parser.add_argument("--objects", metavar="EXTRACT", action="append", default=[], help="details and lookup of every object")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--peer", help="URL of the peer (the one that scripts/nominatim_peer.sh serves)")
    parser.add_argument("--also", help="URL of a second import of the same extract")
    parser.add_argument("--data", action="append", help="only records of this extract")
    parser.add_argument("--category", action="append", help="only records of this category")
    parser.add_argument("--number", type=int, action="append", help="only the record of this number")
    parser.add_argument("--limit", type=int, help="only the first N records")
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--measure")
    parser.add_argument("--width", type=int, default=700, help="letters of a difference that are shown")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()

    records = []
    for extract in options.generate:
        records += generate(extract, options.count, options.seed, options.peer)
        if options.also:
            alternatives(answers_of(extract, options.seed), options.also)
            records = nominatim.load(answers_of(extract, options.seed))
    for extract in options.objects:
        records += objects(extract, options.peer, options.also)
    for path in options.answers + (sorted(CACHE.glob("answers-*.ndjson")) if options.generated else []):
        records += nominatim.load(path)
    if not (options.generate or options.objects or options.answers or options.generated):
        records = nominatim.load(RECORDED)
    records = [r for r in records if (not options.data or r["data"] in options.data)
               and (not options.category or r["category"] in options.category)
               and (not options.number or r["n"] in options.number)][:options.limit]
    extracts = sorted({r["data"] for r in records})
    if options.serve:
        with Served(options.serve, extracts) as servers:
            tally = nominatim.run(records, servers)
    elif options.ours:
        servers = {}
        for one in options.ours:
            name, found, url = one.partition("=")
            servers.update({name: nominatim.Server(url)} if found else {e: nominatim.Server(one) for e in extracts})
        tally = nominatim.run(records, servers)
    else:
        if not (options.generate or options.objects):
            parser.error("name a server: --ours URL, or --serve BINARY")
        return
    show(tally, options)
    if not options.list:
        print("\n".join(["", *tally.table()]))


if __name__ == "__main__":
    main()
