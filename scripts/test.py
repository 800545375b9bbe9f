#!/usr/bin/python3
"""test.py SUITE... - builds what each suite needs, runs it, and adds up the results.

    unit, asan, tsan          the cmocka programs, plain and under sanitizers (meson test)
    e2e, e2e-asan, e2e-tsan   tests/e2e against the binaries of that build (pytest), two at a time
    kill, peers               the end-to-end tests with that marker, on the plain build
    fuzz                      every fuzz target for FUZZ_SECONDS

The last line is `N passed, N failed`, over all suites. The exit status is 1 if anything failed, if
a suite could not be built, or if a suite ran nothing at all. A suite that fails does not keep the
next one from running. Standard library only: this runs before anything of ours is installed.
"""
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
E2E = os.path.join(ROOT, "tests", "e2e")
CACHE = os.path.join(ROOT, "build", "e2e")

# suite: (kind, build folder, pytest's -m)
ORDINARY = "not kill and not peers"
SUITES = {
    "unit": ("meson", "build", None),
    "asan": ("meson", "build-asan", None),
    "tsan": ("meson", "build-tsan", None),
    "e2e": ("pytest", "build", ORDINARY),
    "e2e-asan": ("pytest", "build-asan", ORDINARY),
    "e2e-tsan": ("pytest", "build-tsan", ORDINARY),
    "kill": ("pytest", "build", "kill"),
    "peers": ("pytest", "build", "peers"),
    "fuzz": ("fuzz", "build-fuzz", None),
}


# More failures than these are no matter of deadlines.
RETRIED_MOST = 10


class Result:
    def __init__(self, suite):
        self.suite = suite
        self.passed = self.failed = self.skipped = 0
        self.notes = []  # one line for each failure
        self.remarks = []  # what else is worth a line
        self.seconds = 0.0

    def fail(self, note):
        self.failed += 1
        self.notes.append(note)


def build(folder):
    return subprocess.run([os.path.join(ROOT, "scripts", "build.sh"), folder]).returncode == 0


# What cmocka prints at the end of a group. A program that dies prints none of it.
CMOCKA = {
    "passed": re.compile(r"^\[  PASSED  \] (?:.*: )?(\d+) test\(s\)", re.M),
    "failed": re.compile(r"^\[  FAILED  \] (?:.*: )?(\d+) test\(s\)", re.M),
    "skipped": re.compile(r"^\[  SKIPPED \] (?:.*: )?(\d+) test\(s\)", re.M),
}


def run_meson(result, folder, _marker):
    log = os.path.join(ROOT, folder, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    # Sanitizers cost two to five times; a TSan build the most.
    slower = {"build": "1", "build-asan": "3", "build-tsan": "6"}[folder]
    subprocess.run(["meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs", "--quiet",
                    "--timeout-multiplier", slower])
    if not os.path.exists(log):
        return result.fail("meson test wrote no log")
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            test = json.loads(line)
            text = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
            count = {k: sum(map(int, rx.findall(text))) for k, rx in CMOCKA.items()}
            result.passed += count["passed"]
            result.skipped += count["skipped"]
            result.failed += count["failed"]
            if test["result"] in ("OK", "EXPECTEDFAIL"):
                result.passed += 0 if any(count.values()) else 1
            elif test["result"] == "SKIP":
                result.skipped += 0 if any(count.values()) else 1
            else:
                # A crash, a leak or a timeout counts even where each case had passed.
                result.failed += 0 if count["failed"] else 1
                result.notes.append(f"{test['name']}: {test['result'].lower()}, "
                                    f"status {test.get('returncode')}")


def pytest(folder, report, *options):
    """Runs pytest with its report in the file; returns the report's cases, None if there is none."""
    python = os.path.join(CACHE, "venv", "bin", "python")
    if os.path.exists(report):
        os.unlink(report)
    env = dict(os.environ, SEXTANT_BUILD=os.path.join(ROOT, folder), PYTHONDONTWRITEBYTECODE="1")
    subprocess.run([python, "-m", "pytest", "-c", os.path.join(E2E, "pytest.ini"),
                    "--junitxml", report, *options], env=env, cwd=ROOT, stdin=subprocess.DEVNULL)
    return list(xml.parse(report).getroot().iter("testcase")) if os.path.exists(report) else None


def went_wrong(case):
    return case.find("failure") is not None or case.find("error") is not None


def name(case):
    return f"{case.get('classname')}::{case.get('name')}"


def run_pytest(result, folder, marker):
    """Two files at a time: they wait more than they compute. What fails then has a second chance on
    its own, since deadlines of one test are at the mercy of the other; it is named all the same."""
    report = os.path.join(ROOT, folder, f"e2e-{result.suite}.xml")
    together = [] if marker == "kill" else ["-n", "2", "--dist", "loadfile"]
    cases = pytest(folder, report, "-m", marker, *together, E2E)
    if cases is None:
        return result.fail("pytest wrote no report")
    # A test whose end went wrong has two entries.
    wrong = list(dict.fromkeys(name(c) for c in cases if went_wrong(c)))
    for case in cases:
        if name(case) in wrong:
            continue
        if case.find("skipped") is not None:
            result.skipped += 1
        else:
            result.passed += 1
    again = set()
    if together and 0 < len(wrong) <= RETRIED_MOST:
        print(f"--- {len(wrong)} of them once more, one after the other")
        files = [os.path.join(E2E, "{}.py::{}".format(*w.split("::", 1))) for w in wrong]
        retried = pytest(folder, report.replace(".xml", "-again.xml"), *files) or []
        bad = {name(c) for c in retried if went_wrong(c)}
        again = {name(c) for c in retried} - bad
    for test in wrong:
        if test in again:
            result.passed += 1
            result.remarks.append(f"passed only on its own: {test}")
        else:
            result.fail(test)


def run_fuzz(result, _folder, _marker):
    report = os.path.join(ROOT, "build-fuzz", "fuzz.json")
    if os.path.exists(report):
        os.unlink(report)
    subprocess.run([os.path.join(ROOT, "scripts", "fuzz.py")])
    if not os.path.exists(report):
        return result.fail("fuzz.py wrote no report")
    with open(report, encoding="utf-8") as f:
        for target in json.load(f):
            if target["crashes"]:
                result.fail(f"{target['name']}: {', '.join(target['crashes'])}")
            else:
                result.passed += 1


RUN = {"meson": run_meson, "pytest": run_pytest, "fuzz": run_fuzz}


def install_clients():
    """Fetches the end-to-end tests' clients while the compiler works; returns the process."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "install.log"), "w") as log:
        return subprocess.Popen(["/usr/bin/python3", os.path.join(E2E, "lib", "install.py")],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


def main():
    suites = sys.argv[1:]
    unknown = [s for s in suites if s not in SUITES]
    if unknown or not suites:
        sys.exit(f"test.py: unknown suite {unknown}; the suites are {', '.join(SUITES)}")
    os.chdir(ROOT)
    sys.stdout.reconfigure(line_buffering=True)
    fetching = None
    if any(SUITES[s][0] == "pytest" for s in suites):
        fetching = install_clients()

    built, results = {}, []
    for suite in suites:
        kind, folder, marker = SUITES[suite]
        result = Result(suite)
        results.append(result)
        start = time.monotonic()
        print(f"--- {suite}")
        if kind != "fuzz" and folder not in built:
            built[folder] = build(folder)
        if kind == "pytest" and fetching and fetching.wait() != 0:
            with open(os.path.join(CACHE, "install.log"), errors="replace") as f:
                print(f.read()[-3000:])
            result.fail("the test clients could not be installed")
        elif not built.get(folder, True):
            result.fail(f"{folder} does not build")
        else:
            RUN[kind](result, folder, marker)
            if result.passed + result.failed == 0:
                result.fail("ran nothing")
        result.seconds = time.monotonic() - start

    print()
    for r in results:
        skipped = f", {r.skipped} skipped" if r.skipped else ""
        print(f"{r.suite:10} {r.passed:6} passed {r.failed:4} failed {r.seconds:6.0f} s{skipped}")
        for note in r.notes:
            print(f"           FAILED {note}")
        for remark in r.remarks:
            print(f"           {remark}")
    failed = sum(r.failed for r in results)
    print(f"{sum(r.passed for r in results)} passed, {failed} failed")
    sys.stdout.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
