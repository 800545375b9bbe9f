"""web/dist is committed as built; here it is built again from its sources and compared, and the tests of what needs no browser run."""
import os
import shutil

from lib.clients import run


def files(folder):
    """The bytes of every file below it, by relative path."""
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(at, name), "rb") as f:
                found[os.path.relpath(os.path.join(at, name), folder)] = f.read()
    return found


def test_the_committed_pages_are_what_their_sources_make(repo, tmp_path):
    web = tmp_path / "web"
    shutil.copytree(os.path.join(repo, "web"), web, ignore=shutil.ignore_patterns("node_modules", "dist"))
    dashboards = os.path.join("tests", "e2e", "data", "dashboards")  # which the tests read
    shutil.copytree(os.path.join(repo, dashboards), tmp_path / dashboards)
    run("npm", "ci", "--no-audit", "--no-fund", cwd=web, seconds=300)
    run("npm", "run", "check", cwd=web, seconds=120)
    run("npm", "test", cwd=web, seconds=120)
    run("node", "build.mjs", cwd=web, seconds=120)
    committed = files(os.path.join(repo, "web", "dist"))
    built = files(web / "dist")
    for name in sorted(committed.keys() | built.keys()):
        assert committed.get(name) == built.get(name), f"web/dist/{name} is stale: cd web && npm ci && npm run build"
