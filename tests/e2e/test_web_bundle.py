"""web/dist is committed as built; here it is built again from its sources and compared."""
import os
import shutil

from lib.clients import run


def test_the_committed_pages_are_what_their_sources_make(repo, tmp_path):
    web = tmp_path / "web"
    shutil.copytree(os.path.join(repo, "web"), web, ignore=shutil.ignore_patterns("node_modules", "dist"))
    run("npm", "ci", "--no-audit", "--no-fund", cwd=web, seconds=300)
    run("npx", "tsc", "--noEmit", cwd=web, seconds=120)
    run("node", "build.mjs", cwd=web, seconds=120)
    for page in os.listdir(os.path.join(repo, "web", "dist")):
        with open(os.path.join(repo, "web", "dist", page), "rb") as committed, open(web / "dist" / page, "rb") as built:
            assert committed.read() == built.read(), f"web/dist/{page} is stale: cd web && npm ci && npm run build"
