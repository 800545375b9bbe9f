"""Prometheus's own test scripts for its PromQL engine, run by ours.

They are taken from the module that scripts/peers.sh fetches and are no part of this tree: without
them the tests are skipped.
"""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / ".cache/peers/promqltest").glob("*.test"))
if not SCRIPTS:
    modules = (ROOT / ".cache/peers").glob("**/promql/promqltest/testdata/*.test")
    SCRIPTS = sorted(modules)
PROGRAM = "tests/e2e/programs/promql_test"


@pytest.fixture(scope="module")
def program():
    built = ROOT / "build" / PROGRAM
    subprocess.run(["ninja", "-C", str(ROOT / "build"), PROGRAM], check=True, timeout=600,
                   stdout=subprocess.DEVNULL)
    return built


@pytest.mark.skipif(not SCRIPTS, reason="Prometheus's scripts are not here; run scripts/peers.sh")
@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_the_script_gives_what_prometheus_expects(program, script):
    done = subprocess.run([program, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
