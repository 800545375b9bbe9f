#!/usr/bin/python3
"""fuzz.py [NAME...] - runs every libFuzzer target for FUZZ_SECONDS (60), two at a time.

A target `fuzz_NAME` starts from fuzz/corpus/NAME (in the tree, small) and .cache/fuzz/NAME (what
earlier runs found interesting; not in the tree), reads fuzz/NAME.dict if there is one, and writes
an input that breaks it to fuzz/found/. An input in fuzz/found is tried first in later runs. Once
mended, it moves to fuzz/corpus/NAME, where it keeps guard.

Prints a table, writes build-fuzz/fuzz.json, exits 1 if any target failed.
"""
import glob
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
FOLDER = "build-fuzz"
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))


def targets():
    """All fuzz executables: name and path. The folder is configured first, if it is new."""
    subprocess.run(["scripts/build.sh", FOLDER, "build.ninja"], check=True)
    described = json.loads(subprocess.check_output(
        ["meson", "introspect", FOLDER, "--targets"]))
    return {t["name"][len("fuzz_"):]: t["filename"][0] for t in described
            if t["type"] == "executable" and t["name"].startswith("fuzz_")}


def last(pattern, text, default="0"):
    found = re.findall(pattern, text)
    return found[-1] if found else default


def run(name, path):
    grown, found = f".cache/fuzz/{name}", "fuzz/found"
    seeds = f"fuzz/corpus/{name}"
    for folder in (grown, found):
        os.makedirs(folder, exist_ok=True)
    limits = ["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
              f"-artifact_prefix={found}/{name}-"]
    if os.path.exists(f"fuzz/{name}.dict"):
        limits.append(f"-dict=fuzz/{name}.dict")
    env = dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1",
               ASAN_OPTIONS="detect_leaks=1:symbolize=1",
               ASAN_SYMBOLIZER_PATH="/usr/bin/llvm-symbolizer-19")

    def fuzzer(*args):
        return subprocess.run([path, *limits, *args], env=env, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL)

    known = sorted(f for f in glob.glob(f"{found}/{name}-*") if os.path.isfile(f))
    still = [f for f in known if fuzzer("-runs=1", f).returncode != 0]
    folders = [grown] + ([seeds] if os.path.isdir(seeds) else [])
    done = fuzzer(f"-max_total_time={SECONDS}", *folders)
    with open(f"{FOLDER}/fuzz-{name}.log", "w") as log:
        log.write(done.stdout)
    crashes = still + sorted(set(glob.glob(f"{found}/{name}-*")) - set(known))
    if done.returncode != 0 and not crashes:
        crashes = [f"exit status {done.returncode}, see {FOLDER}/fuzz-{name}.log"]
    return {
        "name": name,
        "runs": int(last(r"stat::number_of_executed_units: (\d+)", done.stdout,
                         last(r"#(\d+)\s", done.stdout))),
        "runs_per_s": int(last(r"stat::average_exec_per_sec: +(\d+)", done.stdout,
                               last(r"exec/s: (\d+)", done.stdout))),
        "edges": int(last(r"cov: (\d+)", done.stdout)),
        "inputs": int(last(r"corp: (\d+)", done.stdout)),
        "peak_mb": int(last(r"stat::peak_rss_mb: +(\d+)", done.stdout,
                            last(r"rss: (\d+)Mb", done.stdout))),
        "crashes": crashes,
    }


def main():
    os.chdir(ROOT)
    found = targets()
    names = sys.argv[1:] or sorted(found)
    unknown = [n for n in names if n not in found]
    if unknown or not names:
        sys.exit(f"fuzz.py: no target {unknown}; there are {', '.join(sorted(found)) or 'none'}")
    paths = [os.path.relpath(found[n], os.path.join(ROOT, FOLDER)) for n in names]
    subprocess.run(["scripts/build.sh", FOLDER, *paths], check=True)

    print(f"{len(names)} targets, {SECONDS} s each, {os.cpu_count()} at a time")
    print(f"{'target':24}{'runs':>12}{'runs/s':>10}{'edges':>8}{'inputs':>8}{'MB':>6}  result")
    results = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for r in pool.map(lambda n: run(n, found[n]), names):
            results.append(r)
            print(f"{r['name']:24}{r['runs']:12}{r['runs_per_s']:10}{r['edges']:8}{r['inputs']:8}"
                  f"{r['peak_mb']:6}  {', '.join(r['crashes']) or 'ok'}", flush=True)
    with open(f"{FOLDER}/fuzz.json", "w") as f:
        json.dump(results, f, indent=1)
    broken = [r["name"] for r in results if r["crashes"]]
    if broken:
        sys.exit("fuzz.py: the stacks are in "
                 + ", ".join(f"{FOLDER}/fuzz-{name}.log" for name in broken))


if __name__ == "__main__":
    main()
