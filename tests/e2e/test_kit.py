"""The kit as C programmers meet it: installed, outside our tree, found by pkg-config; its examples,
its ABI, and the code in its documentation."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest
import requests

from conftest import BUILD, ROOT
from lib.otlp import Receiver
from lib.service import Process, Service
from lib.wait import SLOWER, wait_for

EXAMPLES = os.path.join(ROOT, "examples")
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
LIBRARY = os.path.join(BUILD, "packaging", "libsextant.so")

# Programs outside the tree do not link a sanitizer's runtime, and install what is shipped.
pytestmark = pytest.mark.skipif(SLOWER > 1, reason="of the plain build")

# C++17 has no designated initialisers, so this says it the long way.
CXX_PROGRAM = r"""
#include <sextant/sextant.h>

static void hello(sx_request *r, void *)
{
    SX_SPAN_SET(sx_request_span(r), sx_field_bool("cxx", true));
    SX_LOG_INFO(sx_service_logger(sx_request_service(r)), nullptr, "asked", sx_field_i64("n", 1));
    sx_reply(r, 200, SX_STR("text/plain"), SX_STR("hello from C++\n"));
}

int main(int argc, char **argv)
{
    static const sx_route ROUTES[] = {{SX_GET, "/", hello}};
    sx_service_def def = {};
    def.name = "plus";
    def.routes = ROUTES;
    def.route_count = SX_COUNT_OF(ROUTES);
    return sx_service_main(argc, argv, &def);
}
"""


def run(*argv, seconds=120, **more):
    """Runs a tool to its end; what it printed."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=seconds * SLOWER, **more)
    assert done.returncode == 0, f"{argv}:\n{done.stdout}{done.stderr}"
    return done.stdout


class Kit:
    """An installed kit, in a folder of its own."""

    def __init__(self, folder):
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", folder)
        [self.pc] = glob.glob(f"{folder}/**/sextant.pc", recursive=True)
        prefix = re.search(r"^prefix=(.*)$", open(self.pc, encoding="utf-8").read(), re.M).group(1)
        self.prefix = folder + prefix
        self.lib = os.path.dirname(os.path.dirname(self.pc))
        # Nothing but the kit's own .pc file is there for pkg-config to find.
        self.env = {**os.environ, "PKG_CONFIG_LIBDIR": os.path.dirname(self.pc),
                    "PKG_CONFIG_PATH": ""}

    def flags(self, *what):
        return run("pkg-config", f"--define-variable=prefix={self.prefix}", *what, "sextant",
                   env=self.env).split()

    def build(self, source, program, compiler="gcc", standard="-std=gnu17", static=False):
        libs = self.flags("--static", "--libs") if static else self.flags("--libs")
        if static:
            libs = ["-l:libsextant.a" if flag == "-lsextant" else flag for flag in libs]
        else:
            libs.append(f"-Wl,-rpath,{self.lib}")
        run(compiler, standard, *WARNINGS, *self.flags("--cflags"), source, "-o", program, *libs)
        return str(program)


@pytest.fixture(scope="session")
def kit(tmp_path_factory):
    return Kit(str(tmp_path_factory.mktemp("kit")))


def example(name):
    path = os.path.join(BUILD, "examples", name)
    assert os.path.exists(path), f"{path} is missing; build it"
    return path


def get(service, path, **more):
    return requests.get(service.url(path), timeout=10, **more)


# ---- what is installed ----

@pytest.mark.parametrize("compiler, standard", [("gcc", "c17"), ("g++", "c++17"), ("g++", "c++20"),
                                                ("clang-19", "c17"), ("clang++-19", "c++17")])
def test_each_header_stands_alone(kit, tmp_path, compiler, standard):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    sources = []
    for header in sorted(os.listdir(os.path.join(kit.prefix, "include", "sextant"))):
        source = tmp_path / (header + (".cc" if "++" in standard else ".c"))
        source.write_text(f"#include <sextant/{header}>\n")
        sources.append(source)
    assert len(sources) > 40
    run(compiler, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
        *kit.flags("--cflags"), *sources)


def test_the_umbrella_has_every_header(repo):
    folder = os.path.join(repo, "include", "sextant")
    with open(os.path.join(folder, "sextant.h"), encoding="utf-8") as f:
        included = re.findall(r"#include <sextant/(\S+)>", f.read())
    assert included == sorted(f for f in os.listdir(folder) if f != "sextant.h")


@pytest.mark.parametrize("how", ["shared", "static", "c++"])
def test_a_program_outside_the_tree_serves(kit, tmp_path, serve, how):
    program = tmp_path / "program"
    if how == "c++":
        source = tmp_path / "program.cc"
        source.write_text(CXX_PROGRAM)
        kit.build(source, program, compiler="g++", standard="-std=c++17")
    else:
        source = tmp_path / "program.c"
        shutil.copy(os.path.join(EXAMPLES, "hello.c"), source)
        kit.build(source, program, static=how == "static")
    needed = "libsextant" in run("ldd", program)
    assert needed == (how != "static")
    service = serve(program, "--listen=127.0.0.1:0", name="program")
    assert get(service, "/").text.startswith("hello")
    assert 'http_requests_total{method="GET",route="/",code="200"} 1' in get(service, "/metrics").text


def declared_functions(kit, tmp_path):
    """Of all headers, by the compiler's own list of what it has seen."""
    source = tmp_path / "all.c"
    source.write_text("#include <sextant/sextant.h>\n")
    seen = tmp_path / "seen"
    run("gcc", "-std=gnu17", *kit.flags("--cflags"), "-fsyntax-only", "-aux-info", seen, source)
    for line in seen.read_text().splitlines():
        m = re.match(r"/\* \S*/sextant/\w+\.h:\d+:NC \*/ extern [^(]*?\b(sx_\w+) \(", line)
        if m:
            yield m.group(1)


def test_exported_is_what_the_headers_declare(kit, tmp_path):
    declared = set(declared_functions(kit, tmp_path))
    assert len(declared) > 500

    def names(*how):
        return {line.split()[-1] for line in run("nm", *how).splitlines() if len(line.split()) == 3}
    assert names("-D", "--defined-only", os.path.join(kit.lib, "libsextant.so")) == declared
    assert names("-g", "--defined-only", os.path.join(kit.lib, "libsextant.a")) == declared


def test_programs_of_the_last_abi_still_run(repo):
    if not shutil.which("abidw"):
        pytest.skip("no abidw")
    run(os.path.join(repo, "scripts", "abi.py"), os.path.realpath(LIBRARY))


# ---- the examples ----

@pytest.fixture(scope="module")
def shop_program(kit, tmp_path_factory):
    """The tutorial's program, outside the tree."""
    folder = tmp_path_factory.mktemp("shop")
    source = folder / "shop.c"
    shutil.copy(os.path.join(EXAMPLES, "rest_postgres.c"), source)
    return kit.build(source, folder / "shop")


def make_table(postgres):
    with open(os.path.join(EXAMPLES, "rest_postgres.c"), encoding="utf-8") as f:
        table = re.search(r"^ \*\s+(CREATE TABLE .*;)$", f.read(), re.M).group(1)
    run("psql", "-q", postgres.conninfo, "-c", table)


@pytest.fixture
def shop(shop_program, postgres, processes, tmp_path):
    make_table(postgres)

    def start(*args, env=None):
        s = Service([shop_program, "--listen=127.0.0.1:0", f"--database={postgres.conninfo}", *args],
                    str(tmp_path), name="shop", env=env)
        processes.append(s)
        s.start()
        wait_for(lambda: get(s, "/health/ready").status_code == 200, what="a ready shop")
        return s
    return start


def test_rest_postgres_creates_reads_updates_and_deletes(shop):
    s = shop()
    items = s.url("/items")
    tea = requests.post(items, json={"name": "tea", "price": 4.50}, timeout=10)
    assert (tea.status_code, tea.json()) == (201, {"id": 1, "name": "tea", "price": 4.50})
    assert requests.post(items, json={"name": "tea", "price": 1}, timeout=10).status_code == 409
    assert requests.post(items, json={"name": "milk"}, timeout=10).status_code == 400
    wrong = requests.post(items, data='{"name": 3}', timeout=10)
    assert wrong.status_code == 400 and "line 1, column 10" in wrong.json()["error"]
    assert get(s, "/items").json() == [tea.json()]
    assert get(s, "/items/1").json() == tea.json()
    assert get(s, "/items/2").status_code == 404
    assert get(s, "/items/one").status_code == 400
    more = requests.put(items + "/1", json={"name": "green tea", "price": 5}, timeout=10)
    assert more.json() == {"id": 1, "name": "green tea", "price": 5}
    assert requests.delete(items + "/1", timeout=10).json() == more.json()
    assert requests.delete(items + "/1", timeout=10).status_code == 404
    assert get(s, "/items").json() == []


def test_rest_postgres_is_less_than_100_lines():
    with open(os.path.join(EXAMPLES, "rest_postgres.c"), encoding="utf-8") as f:
        code = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    assert len([line for line in code.splitlines() if line.strip()]) < 100


def test_a_query_is_a_child_of_its_request(shop):
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with Receiver() as receiver:
        s = shop(env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "100"})
        assert get(s, "/items", headers={"traceparent": f"00-{trace}-{parent}-01"}).text == "[]"

        def spans():
            found = {span.kind: span for span in receiver.spans() if span.trace_id.hex() == trace}
            return found if len(found) == 2 else None
        both = wait_for(spans, what="a server and a client span")
        s.stop()
    server, client = both[2], both[3]
    assert server.name == "GET /items" and server.parent_span_id.hex() == parent
    assert client.parent_span_id == server.span_id
    tags = {a.key: a.value for a in client.attributes}
    assert tags["db.system.name"].string_value == "postgresql"
    assert "FROM item ORDER BY id" in tags["db.query.text"].string_value
    assert server.start_time_unix_nano <= client.start_time_unix_nano
    assert client.end_time_unix_nano <= server.end_time_unix_nano


def test_a_service_survives_its_databases_restart(shop, postgres):
    s = shop()
    made = requests.post(s.url("/items"), json={"name": "tea", "price": 4.50}, timeout=10)
    assert made.status_code == 201
    postgres.stop("immediate")

    def unready():
        r = get(s, "/health/ready")
        return r.status_code == 503 and r.json()["status"] == "not_ready"
    wait_for(unready, what="not_ready")
    assert get(s, "/items").status_code == 503
    assert get(s, "/health/live").json() == {"status": "alive"}
    postgres.start()
    assert wait_for(lambda: get(s, "/items").json() == [made.json()], 30, "an answer of the new one")
    wait_for(lambda: get(s, "/health/ready").json()["status"] == "ready", 30)


def test_cached_client_fetches_once_and_shares_by_redis(start_hello, redis, tmp_path):
    server, hello = redis(), start_hello()
    url = hello.url()

    def fetch(*urls, at=server.url):
        done = subprocess.run([example("cached_client"), at, *urls], capture_output=True, text=True,
                              timeout=30, check=False)
        return done.returncode, done.stdout.splitlines()
    status, lines = fetch(url, url, url)
    assert status == 0 and lines[-1] == "2 from memory, 0 from Redis, 1 fetched"
    status, lines = fetch(url, url)
    assert status == 0 and lines[-1] == "1 from memory, 1 from Redis, 0 fetched"
    assert all(re.fullmatch(re.escape(url) + r": 13 bytes in \d+ us", line) for line in lines[:-1])
    status, lines = fetch(hello.url("/none"), hello.url("/none"))
    assert status == 1 and lines[:2] == [hello.url("/none") + ": not found"] * 2
    assert lines[-1].endswith("1 fetched")  # that there is none is remembered, too
    server.stop()
    status, lines = fetch(url, url)  # without Redis there is memory alone
    assert status == 0 and lines[-1] == "1 from memory, 0 from Redis, 1 fetched"
    hello.stop()
    status, lines = fetch(url)
    assert status == 1 and lines[-1].endswith("3 fetched")  # tried three times


def test_worker_traces_counts_and_logs_without_a_loop():
    with Receiver() as receiver:
        done = subprocess.run([example("worker"), "3", "oops", "12"], capture_output=True, text=True,
                              timeout=30, check=True,
                              env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
        spans = receiver.spans()
    asked = {span.span_id: span for span in spans if span.name == "ask"}
    jobs = [span for span in spans if span.name == "square"]
    assert len(asked) == len(jobs) == 3
    for job in jobs:
        assert job.parent_span_id in asked and job.trace_id == asked[job.parent_span_id].trace_id
    assert [span.status.code for span in jobs].count(2) == 1
    logs = [json.loads(line) for line in done.stderr.splitlines()]
    squares = {line["square"]: line for line in logs if line["message"] == "job done"}
    assert set(squares) == {9, 144}
    assert {line["span_id"] for line in logs if line.get("logger") == "jobs"} == {
        job.span_id.hex() for job in jobs}
    assert 'jobs_total{outcome="done"} 2' in done.stdout
    assert 'jobs_total{outcome="failed"} 1' in done.stdout
    assert "job_duration_seconds_count 3" in done.stdout


def test_own_loop_gives_the_kit_its_turns(start_hello, tmp_path):
    hello = start_hello()
    program = subprocess.Popen([example("own_loop")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, bufsize=1)
    try:
        for path, answer in (("/", "200, 13 bytes"), ("/none", "404, 21 bytes"),
                             ("/health/live", "200, 18 bytes")):
            program.stdin.write(hello.url(path) + "\n")  # it waits for both, its input and its calls
            assert program.stdout.readline() == f"{hello.url(path)}: {answer}\n"
        out, _ = program.communicate("ftp://x\n", timeout=30)
        assert "must begin with http://" in out and program.returncode == 0
    finally:
        program.kill()
        program.wait(10)


def test_own_http_server_takes_telemetry_and_resilience_alone(start_hello, processes, tmp_path):
    hello = start_hello()
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with Receiver() as receiver:
        s = Service([example("own_http_server"), "0", *hello.address().split(":")], str(tmp_path),
                    env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
        processes.append(s)
        s.start()
        # Ours goes on to the backend, whose access log has the trace.
        assert get(s, "/", headers={"traceparent": f"00-{trace}-{parent}-01"}).status_code == 200
        hello.wait_logged(rf'"trace_id":"{trace}".*"message":"request"')
        hello.stop()
        codes = [get(s, "/").status_code for _ in range(7)]
        assert codes == [502] * 5 + [503] * 2  # the breaker opens after five
        limited = next(r for r in (get(s, "/") for _ in range(100)) if r.status_code == 429)
        assert limited.headers["RateLimit-Limit"] == "10" and limited.headers["Retry-After"]
        metrics = get(s, "/metrics", headers={"Accept": "application/openmetrics-text"})
        assert metrics.headers["Content-Type"].startswith("application/openmetrics-text")
        assert 'http_requests_total{path="/",code="502"} 5\n' in metrics.text
        assert 'circuit_breaker_state{name="backend"} 1\n' in metrics.text
        s.stop()
        mine = {span.kind: span for span in receiver.spans() if span.trace_id.hex() == trace}
    assert mine[2].parent_span_id.hex() == parent
    assert mine[3].parent_span_id == mine[2].span_id


# ---- the documentation ----

PAGES = [os.path.join(ROOT, "docs", "kit.md"), *sorted(glob.glob(os.path.join(ROOT, "docs/kit/*.md")))]

# What a block that is no file of its own stands in: names that the pages use and do not explain anew.
AROUND = """#include <sextant/sextant.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
void part(int argc, char **argv, sx_service *service, sx_loop *loop, sx_request *r, const sx_kit *kit,
          sx_metrics *metrics, sx_tracer *tracer, sx_log *log, sx_logger *logger, sx_arena *arena,
          sx_error err);
void part(int argc, char **argv, sx_service *service, sx_loop *loop, sx_request *r, const sx_kit *kit,
          sx_metrics *metrics, sx_tracer *tracer, sx_log *log, sx_logger *logger, sx_arena *arena,
          sx_error err)
{
"""


def blocks(page):
    """(line, text) of each block of C in a page."""
    with open(page, encoding="utf-8") as f:
        text = f.read()
    for m in re.finditer(r"^```c\n(.*?)^```$", text, re.M | re.S):
        yield text.count("\n", 0, m.start()) + 2, m.group(1)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: os.path.relpath(p, ROOT))
def test_code_in_the_documentation_compiles(kit, tmp_path, page):
    sources = []
    for line, code in blocks(page):
        source = tmp_path / f"line{line}.c"
        mark = f'#line {line} "{page}"\n'
        source.write_text(mark + code if "#include" in code else AROUND + mark + code + "}\n")
        sources.append(source)
    if sources:
        run("gcc", "-std=gnu17", *WARNINGS, "-Wno-unused", "-Wno-unused-parameter", "-fsyntax-only",
            *kit.flags("--cflags"), *sources)


def test_the_tutorials_program_is_the_example():
    """docs/kit.md shows rest_postgres.c whole, in pieces; and hello.c."""
    shown = [code.rstrip("\n") for _, code in blocks(PAGES[0])]
    with open(os.path.join(EXAMPLES, "rest_postgres.c"), encoding="utf-8") as f:
        program = f.read()
    body = program[program.index("#include"):].rstrip("\n")
    assert body in shown


def test_the_readme_shows_what_compiles(kit, tmp_path):
    test_code_in_the_documentation_compiles(kit, tmp_path, os.path.join(ROOT, "README.md"))


@pytest.mark.parametrize("page", [os.path.join(ROOT, "README.md"), *PAGES,
                                  *sorted(glob.glob(os.path.join(ROOT, "docs/howto/*.md")))],
                         ids=lambda p: os.path.relpath(p, ROOT))
def test_links_of_the_documentation_lead_somewhere(page):
    with open(page, encoding="utf-8") as f:
        text = re.sub(r"^```.*?^```$", "", f.read(), flags=re.M | re.S)
    broken = [to for to in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in to and
              not os.path.exists(os.path.join(os.path.dirname(page), to))]
    assert not broken


def test_every_howto_is_in_the_index(repo):
    with open(os.path.join(repo, "docs", "README.md"), encoding="utf-8") as f:
        index = f.read()
    for page in glob.glob(os.path.join(repo, "docs/**/*.md"), recursive=True):
        name = os.path.relpath(page, os.path.join(repo, "docs"))
        assert name == "README.md" or f"]({name})" in index, f"{name} is not in docs/README.md"
