#!/usr/bin/python3
"""install.py - puts the foreign clients of the end-to-end tests into build/e2e.

    build/e2e/venv    PyPI, from requirements.txt
    build/e2e/node    npm, from clients/node/package.json
    build/e2e/java    Maven, from clients/java/pom.xml

Each is fetched once, and again when its list of versions changes. Run as a program it fetches all
of them; a test that needs one calls its function, which waits for whoever is fetching. Standard
library only: it runs before the venv exists.
"""
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
E2E = os.path.dirname(HERE)
ROOT = os.path.dirname(os.path.dirname(E2E))
TARGET = os.path.join(ROOT, "build", "e2e")
TRIES = 3  # a registry may hiccup


def run(*argv, cwd=None):
    for left in reversed(range(TRIES)):
        done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode == 0:
            return
        if not left:
            raise RuntimeError(f"{' '.join(argv)} failed with {done.returncode}; is its registry "
                               f"reachable?\n{done.stdout[-3000:]}")


@contextlib.contextmanager
def once(name, recipe):
    """Yields the folder to fill, or None if it holds this very recipe already."""
    folder = os.path.join(TARGET, name)
    os.makedirs(TARGET, exist_ok=True)
    with open(recipe, "rb") as f:
        want = hashlib.sha256(f.read()).hexdigest()
    stamp = folder + ".stamp"
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(stamp):
            with open(stamp) as f:
                if f.read() == want:
                    yield None
                    return
            os.unlink(stamp)
        shutil.rmtree(folder, ignore_errors=True)
        yield folder
        with open(stamp, "w") as f:
            f.write(want)


def venv(name="venv", source="requirements.txt"):
    """The Python that has the tests' packages, or those of another list."""
    recipe = os.path.join(E2E, source)
    with once(name, recipe) as folder:
        if folder:
            # Debian's own Python: another one first in PATH may lack the venv module.
            run("/usr/bin/python3", "-m", "venv", folder)
            run(os.path.join(folder, "bin", "pip"), "install", "--quiet",
                "--disable-pip-version-check", "-r", recipe)
    return os.path.join(TARGET, name, "bin", "python")


def node(name="node", where="clients/node"):
    """The folder whose node_modules hold the npm packages; run node there."""
    source = os.path.join(E2E, where, "package.json")
    with once(name, source) as folder:
        if folder:
            os.makedirs(folder)
            shutil.copy(source, folder)
            run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts",
                "--loglevel=error", cwd=folder)
    return os.path.join(TARGET, name)


def java(name="java", where="clients/java"):
    """The class path with the Maven jars."""
    source = os.path.join(E2E, where, "pom.xml")
    with once(name, source) as folder:
        if folder:
            os.makedirs(folder)
            run("mvn", "-q", "-B", "-f", source, "dependency:copy-dependencies",
                f"-DoutputDirectory={folder}/lib", "-DincludeScope=runtime")
    return os.path.join(TARGET, name, "lib", "*")


def go(name, where):
    """The program that a folder of Go is, built."""
    source = os.path.join(E2E, where, "main.go")
    with once(name, source) as folder:
        if folder:
            shutil.copytree(os.path.join(E2E, where), folder)
            run("go", "build", "-mod=mod", "-o", "program", ".", cwd=folder)
    return os.path.join(TARGET, name, "program")


if __name__ == "__main__":
    for fetch in (venv, node, java):
        print(fetch.__name__, fetch(), flush=True)
    sys.exit(0)
