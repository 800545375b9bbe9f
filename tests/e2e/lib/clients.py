"""Foreign programs that talk to us. Each function runs one to its end and returns what it said."""
import json
import os
import shutil
import subprocess

from . import install
from .wait import SLOWER

E2E = install.E2E


def run(*argv, seconds=30, check=True, **more):
    """Runs a program to its end; AssertionError with its output if it fails or takes too long."""
    argv = [str(a) for a in argv]
    assert shutil.which(argv[0]), f"{argv[0]} is missing; `make test` installs it"
    try:
        done = subprocess.run(argv, text=True, errors="replace", timeout=seconds * SLOWER,
                              stdin=None if "input" in more else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    except subprocess.TimeoutExpired as e:
        raise AssertionError(f"{' '.join(argv)} took over {seconds * SLOWER} s: {e.output}") from None
    assert not check or done.returncode == 0, (
        f"{' '.join(argv)} exited with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def curl(*args, **more):
    """curl's standard output; -sS -f are there unless check=False."""
    strict = ["-f"] if more.get("check", True) else []
    return run("curl", "-sS", *strict, "--max-time", 20 * SLOWER, *args, **more).stdout


def promtool(*args, **more):
    """Debian's promtool; the finished process."""
    return run("promtool", *args, **more)


def node(script, *args):
    """Runs clients/node/SCRIPT with the npm packages at hand; the JSON that it printed."""
    folder = install.node()
    # A module finds its packages from where it lies, so the script goes where they are.
    shutil.copy(os.path.join(E2E, "clients", "node", script), folder)
    return json.loads(run("node", os.path.join(folder, script), *args).stdout)


def java(source, *args):
    """Runs clients/java/SOURCE from source, with the Maven jars at hand; the JSON it printed."""
    return json.loads(run("java", "-XX:TieredStopAtLevel=1", "-cp", install.java(),
                          os.path.join(E2E, "clients", "java", source), *args, seconds=60).stdout)


def peer(name):
    """Path of a program that `make peers` builds."""
    path = os.path.join(install.ROOT, ".cache", "peers", "bin", name)
    assert os.path.exists(path), f"{name} is missing; run `make peers`"
    return path
