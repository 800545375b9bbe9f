#!/bin/sh
# bench.sh - every measurement, on the binary that is shipped (build/, -O2).
#
#   scripts/bench.sh [NAME...]     a name is part of a program's path: `str`, `http`, `geocode`
#
# Micro-benchmarks are the executables bench_*; each prints `name value unit` a line. Measurements
# of a whole server, with a peer beside it in the same run, are the programs bench/*/*.py and
# bench/*.py; they start what they need. Every figure is also kept in build/bench/DATE.txt, with the
# machine and the commit, so that two runs can be compared.
set -eu
cd "$(dirname "$0")/.."

chosen() {
    [ -z "$names" ] && return 0
    for n in $names; do
        case $1 in *"$n"*) return 0 ;; esac
    done
    return 1
}

names=$*
scripts/build.sh build sextant examples/hello
programs=$(meson introspect build --targets | /usr/bin/python3 -c '
import json, os, sys
for t in json.load(sys.stdin):
    if t["type"] == "executable" and t["name"].startswith("bench_"):
        print(os.path.relpath(t["filename"][0], "build"))')
wanted=
for p in $programs; do
    if chosen "$p"; then wanted="$wanted $p"; fi
done
if [ -n "$wanted" ]; then
    scripts/build.sh build $wanted
fi

mkdir -p build/bench
out=build/bench/$(date -u +%Y%m%dT%H%M%SZ).txt
failed=0
status=build/bench/.failed
rm -f "$status"
{
    printf '# %s, %s cores, commit %s\n' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
        "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
    for p in $wanted; do
        printf '\n## %s\n' "$p"
        "build/$p" </dev/null || { echo "$p failed with status $?"; : >"$status"; }
    done
    for p in bench/*.py bench/*/*.py; do
        if [ -x "$p" ] && chosen "$p"; then
            printf '\n## %s\n' "$p"
            "$p" </dev/null || { echo "$p failed with status $?"; : >"$status"; }
        fi
    done
} 2>&1 | tee "$out"
[ ! -e "$status" ] || failed=1
printf '\nkept in %s\n' "$out"
exit $failed
