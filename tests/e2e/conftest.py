"""Fixtures of the end-to-end tests: our binaries as they are built, on ports of their own.

SEXTANT_BUILD names the build folder (default: build), so that the same tests run on a sanitizer's
build; SEXTANT_BIN names another sextant binary. What a failed test's processes printed is shown
with the failure.
"""
import os

import pytest

from lib.databases import PG_BIN, REDIS, Postgres, Redis
from lib.service import Process, Service
from lib.wait import SLOWER

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SEXTANT_BUILD") or os.path.join(ROOT, "build")
SEXTANT = os.environ.get("SEXTANT_BIN") or os.path.join(BUILD, "sextant")
LOG_CHARS_MAX = 6000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for process in getattr(item, "processes", []):
            # A failed tear-down is reported after the folder has gone; its message has the log.
            if process.starts and os.path.exists(process.err_path):
                report.sections.append((f"output of {process.name}",
                                        process.log()[-LOG_CHARS_MAX:]))
    return report


@pytest.fixture(scope="session")
def repo():
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def sextant_bin():
    """Path of the sextant binary under test."""
    assert os.path.exists(SEXTANT), f"{SEXTANT} is missing; run `make build`"
    return SEXTANT


@pytest.fixture
def processes(request, tmp_path):
    """The processes of this test: shown if it fails, stopped at its end. A server of ours that is
    still running then must stop cleanly, or the test fails. (tmp_path is named because it must
    outlive them.)"""
    request.node.processes = started = []
    yield started
    complaints = []
    for process in reversed(started):
        try:
            process.stop()
        except (AssertionError, TimeoutError) as e:
            complaints.append(str(e))
        finally:
            process.kill()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def serve(processes, tmp_path):
    """serve(argv...) starts one of our servers and returns it when it is ready."""
    def start(*argv, env=None, name=None, cwd=None, seconds=30):
        service = Service(argv, str(tmp_path), env=env, name=name, cwd=cwd)
        processes.append(service)
        return service.start(seconds)
    return start


@pytest.fixture
def spawn(processes, tmp_path):
    """spawn(argv...) starts a foreign program in the background."""
    def start(*argv, env=None, name=None, cwd=None):
        process = Process(argv, str(tmp_path), env=env, name=name, cwd=cwd)
        processes.append(process)
        return process.start()
    return start


@pytest.fixture
def sextant(serve, sextant_bin):
    """sextant(SUBCOMMAND, args...) starts a server of the binary under test."""
    def start(command, *args, **more):
        return serve(sextant_bin, command, *args, name=more.pop("name", command), **more)
    return start


@pytest.fixture
def start_hello(serve):
    """start_hello(port=0, ...) starts examples/hello; port 0 takes any free one."""
    def start(port=0, **env):
        path = os.path.join(BUILD, "examples", "hello")
        assert os.path.exists(path), f"{path} is missing; run `make build`"
        return serve(path, env={"PORT": str(port), **env}, name="hello")
    return start


@pytest.fixture
def hello(start_hello):
    """examples/hello on a free port."""
    return start_hello()


@pytest.fixture
def redis(processes, tmp_path):
    """redis(option...) starts a Redis of this test's own."""
    if not REDIS:
        pytest.skip("no redis-server")

    def start(*options, port=None):
        r = Redis(str(tmp_path), *options, port=port)
        processes.append(r)
        return r.start()
    return start


@pytest.fixture
def postgres():
    """A PostgreSQL of this test's own, running."""
    if not PG_BIN:
        pytest.skip("no PostgreSQL")
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """One Chromium for a module's tests of the interface."""
    from lib.browser import open_browser
    driver = open_browser(str(tmp_path_factory.mktemp("chromium")))
    driver.set_script_timeout(60 * SLOWER)
    yield driver
    driver.quit()


@pytest.fixture
def ui(server, chromium):
    """The pages of the module's own `server`. Each test leaves a silent console, and nothing behind."""
    from lib.ui import Pages
    chromium.console()
    pages = Pages(chromium, server.at)
    yield pages
    pages.quiet()
    pages.js("localStorage.clear(); sessionStorage.clear()")


@pytest.fixture
def browser(tmp_path):
    """Chromium with an empty profile."""
    from lib.browser import open_browser  # selenium is slow to import and seldom wanted
    driver = open_browser(str(tmp_path / "chromium"))
    yield driver
    driver.quit()
