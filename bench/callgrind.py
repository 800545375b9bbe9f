#!/usr/bin/python3
"""Instructions per call of the hot paths, by callgrind: the same on a quiet and on a busy machine.

Runs bench/instructions twice for each path and divides the difference, so that start-up drops out.
Prints `name value unit`, one path a line.
"""
import os
import re
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BENCH_BUILD", os.path.join(ROOT, "build"))
PROGRAM = os.path.join(BUILD, "bench/instructions")
FEW, MORE = 600, 1800


def instructions(*args):
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", PROGRAM,
                           *map(str, args)], capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


def main():
    with tempfile.TemporaryDirectory() as tmp:
        index = os.path.join(tmp, "france.idx")
        subprocess.run([os.path.join(BUILD, "sextant"), "geocode", "import", "-q", "-o", index,
                        os.path.join(ROOT, "data/france.ndjson.gz")], check=True)
        for name in subprocess.check_output([PROGRAM], text=True).split():
            each = (instructions(name, MORE, index) - instructions(name, FEW, index)) / (MORE - FEW)
            print(f"instructions_{name} {each:.0f} instructions", flush=True)


if __name__ == "__main__":
    main()
