#!/usr/bin/env python3
"""Measures the import of OpenStreetMap data at scale: an artificial country of any number of nodes.

    scale.py [--nodes 100000000] [--memory 4GiB] [--folder DIR] [--seed 1]

Writes the file (synth_pbf.c; 100 million nodes are some 420 MB and a minute), imports it and prints one line
a figure: name, value, unit. Elements are nodes, ways and relations. The file is kept in the folder
(build/bench/scale) and written again only if the arguments change. Memory is what the process had for itself
(RssAnon, looked at ten times a second), and all that it had mapped (the kernel's maximum, files included).
"""
import argparse
import os
import re
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BENCH_BUILD", os.path.join(HERE, "..", "..", "build"))


def show(name, value, unit):
    print(f"{name} {value:.6g} {unit}", flush=True)


def watch(pid, most, over):
    """Its private memory's maximum, until it has ended."""
    while not over.wait(0.1):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                found = re.search(r"RssAnon:\s+(\d+) kB", f.read())
        except FileNotFoundError:
            return
        if found:
            most[0] = max(most[0], int(found.group(1)) * 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=100_000_000)
    parser.add_argument("--memory", default="4GiB")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=os.path.join(BUILD, "bench", "scale"))
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    source = os.path.join(args.folder, f"synth-{args.nodes}-{args.seed}.osm.pbf")
    counts = source + ".counts"
    if not os.path.exists(counts):
        out = subprocess.run([f"{BUILD}/bench/nominatim/synth_pbf", str(args.nodes), source, str(args.seed)], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        with open(counts, "w", encoding="ascii") as f:
            f.write(out)
    with open(counts, encoding="ascii") as f:
        figures = {name: int(value) for name, value, _ in map(str.split, f)}
    elements = sum(figures[n] for n in ("nodes", "ways", "relations"))
    show("elements", elements, "objects")
    show("input", figures["file"], "bytes")
    index = os.path.join(args.folder, "synth.idx")
    began = time.perf_counter()
    child = subprocess.Popen([f"{BUILD}/sextant", "geocode", "import", "-q", "-m", args.memory, "-o", index, source])
    most, over = [0], threading.Event()
    watcher = threading.Thread(target=watch, args=(child.pid, most, over))
    watcher.start()
    _, status, usage = os.wait4(child.pid, 0)
    over.set()
    watcher.join()
    if status:
        raise SystemExit("the import failed")
    took, cpu = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    show("import", took, "s")
    show("import_cpu", cpu, "CPU-s")
    show("import_rate", elements / took, "elements/s")
    show("import_rate_per_core", elements / cpu, "elements/CPU-s")
    show("import_private_memory", most[0], "bytes")
    show("import_mapped_memory", usage.ru_maxrss * 1024, "bytes")
    show("index", os.path.getsize(index), "bytes")
    show("index_per_element", os.path.getsize(index) / elements, "bytes")


if __name__ == "__main__":
    main()
