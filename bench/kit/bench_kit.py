#!/usr/bin/python3
"""bench_kit.py - the kit's hot paths beside what C++ and Go programs use for the same, in one run.

Each program below prints `name library nanoseconds` a line: CPU time of its whole process, so that work
handed to another thread or to a collector of garbage is counted and other programs are not. They take
turns, several rounds, and the least figure of each counts. A ratio is the peer's time by ours. Prints `name value unit` a line for ours, then one table.

    ours                build/bench/kit/kit_ours, build/bench/service/bench_chain
    prometheus-cpp      Debian's (prometheus-cpp-dev)
    client_golang, OpenTelemetry Go, gobreaker, x/time/rate: bench/kit/go, by `make peers`' Go if the
                        system's is too old for its go.mod; its modules come through the Go module proxy
    opentelemetry-cpp   if OPENTELEMETRY_CPP (or .cache/peers/opentelemetry-cpp) is where it was installed:
                        cmake -DCMAKE_CXX_STANDARD=17 -DWITH_OTLP_FILE=ON -DBUILD_TESTING=OFF
                        -DOTELCPP_PROTO_PATH=… -DCMAKE_INSTALL_PREFIX=…; about five minutes

A peer that cannot be built is named and left out.

    bench/kit/bench_kit.py [--build build] [--rounds 3]
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OTEL_LIBRARIES = ["otlp_recordable", "trace", "logs", "metrics", "resources", "common", "proto"]

# What is compared: name, what it says in the table, the budget in nanoseconds.
PATHS = [
    ("counter_increment", "counter increment", 2),
    ("histogram_observe", "histogram observe", 10),
    ("request_id_and_trace_context", "request id and trace context, parse and emit", 200),
    ("span_to_exported_bytes", "span start to exported bytes", 500),
    ("breaker_decision", "breaker decision", 20),
    ("limiter_decision", "limiter decision, one key", 50),
    ("limiter_decision_by_key", "limiter decision, 64 keys", 50),
    ("whole_chain", "whole chain of a request", 1000),
]


def run(argv, **more):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, cwd=TOP, **more).stdout


def missing(peer, why):
    print(f"kit: without {peer}: {why}", file=sys.stderr)


def go_version(go):
    try:
        found = re.search(r"go(\d+)\.(\d+)", run([go, "version"], env={**os.environ, "GOTOOLCHAIN": "local"}))
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    return tuple(map(int, found.groups())) if found else (0, 0)


def build_go(folder):
    """The program of bench/kit/go, or None."""
    with open(f"{TOP}/bench/kit/go/go.mod", encoding="utf-8") as f:
        wanted = tuple(map(int, re.search(r"^go (\d+)\.(\d+)", f.read(), re.M).groups()))
    for go in ["go", f"{TOP}/.cache/peers/go/bin/go"]:
        if go_version(go) < wanted:
            continue
        env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
               "CGO_ENABLED": "0", "GOWORK": "off"}
        program = os.path.join(folder, "kit_go")
        try:
            subprocess.run([go, "build", "-o", program, "."], cwd=f"{TOP}/bench/kit/go", env=env, check=True)
        except subprocess.CalledProcessError:
            missing("the Go libraries", "bench/kit/go cannot be built; is a Go module proxy reachable?")
            return None
        return program
    missing("the Go libraries", "no Go %d.%d or later; `make peers` fetches one" % wanted)
    return None


def build_opentelemetry_cpp(folder):
    prefix = os.environ.get("OPENTELEMETRY_CPP", f"{TOP}/.cache/peers/opentelemetry-cpp")
    if not os.path.isdir(f"{prefix}/include/opentelemetry"):
        missing("opentelemetry-cpp", f"none is installed in {prefix}; set OPENTELEMETRY_CPP")
        return None
    program = os.path.join(folder, "kit_opentelemetry_cpp")
    try:
        subprocess.run(["c++", "-std=c++17", "-O2", "-DOPENTELEMETRY_PROTO_API=", "-o", program, "bench/kit/kit_opentelemetry_cpp.cc",
                        f"-I{prefix}/include", f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib", "-Wl,--start-group"]
                       + [f"-lopentelemetry_{name}" for name in OTEL_LIBRARIES]
                       + ["-Wl,--end-group", "-lprotobuf", "-lpthread"], cwd=TOP, check=True)
    except subprocess.CalledProcessError:
        missing("opentelemetry-cpp", "kit_opentelemetry_cpp.cc cannot be built against it")
        return None
    return program


def build_all(build):
    """The programs that take turns, ours first; each with a prefix for lines of `name value unit`."""
    folder = f"{TOP}/{build}/bench/kit"
    run(["scripts/build.sh", build, "bench/kit/kit_ours", "bench/service/bench_chain"])
    programs = [f"{folder}/kit_ours", f"{TOP}/{build}/bench/service/bench_chain"]
    targets = run(["meson", "introspect", build, "--targets"])
    if '"kit_prometheus_cpp"' in targets:
        run(["scripts/build.sh", build, "bench/kit/kit_prometheus_cpp"])
        programs.append(f"{folder}/kit_prometheus_cpp")
    else:
        missing("prometheus-cpp", "apt-get install prometheus-cpp-dev, and configure again")
    return programs + [p for p in (build_go(folder), build_opentelemetry_cpp(folder)) if p]


def measure(program, best):
    """Adds what a program prints to best[name][library]."""
    for line in run([program]).splitlines():
        words = line.split()
        if len(words) != 3:
            continue
        name, library, value = words
        if name == "chain_whole": # bench_chain has the form of the other micro-benchmarks
            name, library, value = "whole_chain", "libsextant", library
        try:
            figure = float(value)
        except ValueError:
            continue
        by_library = best.setdefault(name, {})
        by_library[library] = min(figure, by_library.get(library, figure))


def show(best):
    for name, _, _ in PATHS:
        print(f"kit_{name} {best[name]['libsextant']:.1f} ns")
    print("\n| path | budget | libsextant | peer | its time | ratio |\n|---|---|---|---|---|---|")
    for name, words, budget in PATHS:
        ours = best[name]["libsextant"]
        peers = sorted((ns, library) for library, ns in best[name].items() if library != "libsextant")
        for i, (ns, library) in enumerate(peers or [(None, "none")]):
            first = f"{words} | {budget} ns | {ours:.1f} ns" if i == 0 else " | | "
            theirs = f"{ns:.1f} ns | {ns / ours:.1f}" if ns else " | "
            print(f"| {first} | {library} | {theirs} |")


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--build", default="build")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    if not shutil.which("meson"):
        sys.exit("kit: meson is needed; scripts/setup.sh build installs it")
    programs = build_all(given.build)
    best = {}
    for _ in range(given.rounds):
        for program in programs:
            measure(program, best)
    show(best)


if __name__ == "__main__":
    main()
