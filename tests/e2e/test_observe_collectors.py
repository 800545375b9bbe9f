"""The collectors of processes, Redis and PostgreSQL: real servers, the names that exporters and dashboards
have, servers that are down or hang, and passwords that nobody sees."""
import json
import os
import socket
import subprocess
import time

import pytest
import requests

from lib.observe import PROMTOOL, Api, Observe
from lib.service import free_port
from lib.wait import wait_for

DASHBOARDS = os.path.join(os.path.dirname(__file__), "data", "dashboards")


def wanted(dashboard):
    """Names of series that a community dashboard asks for: (served, {not served: why})."""
    served, not_served = [], {}
    with open(os.path.join(DASHBOARDS, f"{dashboard}.txt"), encoding="utf-8") as f:
        for line in f:
            name, _, why = line.strip().partition(" ")
            if name.startswith("#") or not name:
                continue
            if why:
                not_served[name] = why
            else:
                served.append(name)
    return served, not_served


def names(page):
    return {line.split("{")[0].split(" ")[0] for line in page.splitlines()
            if line and not line.startswith("#")}


def value(page, series):
    return next(float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
                if line.rsplit(" ", 1)[0] == series)


def check_page(page):
    """Prometheus reads it, families whole and in one piece."""
    if os.path.exists(PROMTOOL):
        out = subprocess.run([PROMTOOL, "check", "metrics", "--extended", "--lint=none"], text=True,
                             input=page, timeout=60, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, check=False)
        assert out.returncode == 0, out.stderr
    families = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))


@pytest.fixture
def start(serve, sextant_bin, tmp_path):
    def begin(config, *flags):
        path = tmp_path / "collect.yml"
        path.write_text(json.dumps(config))  # JSON is YAML
        return Observe(serve, sextant_bin, tmp_path, data=f"data{free_port()}",
                       flags=(f"--collect.config={path}", "--web.enable-lifecycle", *flags))
    return begin


def page(app, path, status=200):
    answer = requests.get(app.url(path), timeout=30)
    assert answer.status_code == status, answer.text
    return answer.text


def test_redis_as_redis_exporter_and_dashboard_763_have_it(start, redis):
    r = redis("--requirepass", "geheim & Co", "--maxmemory", "100mb")
    app = start({"redis": [{"name": "cache", "address": f"127.0.0.1:{r.port}",
                            "password": "geheim & Co"}]})
    cli = ["redis-cli", "-p", str(r.port), "-a", "geheim & Co", "--no-auth-warning"]
    for words in (["set", "k", "v"], ["setex", "t", "1000", "v"], ["get", "k"], ["get", "none"],
                  ["incr", "k"]):
        subprocess.run([*cli, *words], check=False, timeout=30, stdout=subprocess.DEVNULL)
    text = page(app, "/collect/redis?target=cache")
    check_page(text)
    assert value(text, "redis_up") == 1
    assert value(text, 'redis_db_keys{db="db0"}') == 2
    assert value(text, 'redis_db_keys{db="db15"}') == 0
    assert value(text, 'redis_db_keys_expiring{db="db0"}') == 1
    assert value(text, 'redis_commands_total{cmd="get"}') == 2
    assert value(text, 'redis_errors_total{err="ERR"}') == 1
    assert value(text, "redis_keyspace_misses_total") == 1
    assert value(text, "redis_memory_max_bytes") == 100 << 20
    assert value(text, "redis_config_maxclients") > 0
    assert value(text, "redis_slowlog_length") == 0
    assert not set(wanted("763")[0]) - names(text)
    assert page(app, f"/collect/redis?target=127.0.0.1:{r.port}")  # by its address, too
    assert page(app, "/collect/redis")                             # the only one
    assert "cache" in page(app, "/collect/redis?target=other.example:6379", 400)
    # A replica tells of its master, and the master of it.
    second = redis("--masterauth", "geheim & Co", "--replicaof", f"127.0.0.1 {r.port}")
    text = page(app, "/collect/redis")
    reader = start({"redis": [{"address": second.url}]})
    wait_for(lambda: "\nredis_master_link_up{" in "\n" + page(reader, "/collect/redis"), 30)
    wait_for(lambda: "redis_connected_slave_offset_bytes{" in page(app, "/collect/redis"), 30)
    r.stop()
    text = page(app, "/collect/redis")
    assert value(text, "redis_up") == 0 and "geheim" not in text


def test_postgres_as_postgres_exporter_and_dashboard_9628_have_it(start, postgres):
    password = "it's 100% \\ geheim"
    psql = ["psql", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", postgres.user, "-X", "-q"]
    quoted = password.replace("'", "''")
    for sql in ("CREATE TABLE item (id int PRIMARY KEY, name text)",
                "INSERT INTO item SELECT i, 'x' FROM generate_series(1, 100) i", "ANALYZE item",
                f"CREATE ROLE watch LOGIN PASSWORD '{quoted}'", "GRANT pg_monitor TO watch"):
        subprocess.run([*psql, "-d", "postgres", "-c", sql], check=True, timeout=30)
    where = f"127.0.0.1:{postgres.port}"
    app = start({"postgres": [
        {"name": "words", "conninfo": f"host=127.0.0.1 port={postgres.port} user=watch dbname=postgres",
         "password": password},
        {"name": "uri", "conninfo": f"postgresql://watch@{where}/postgres?application_name=x",
         "password": password},
        {"name": "down", "conninfo": f"host=127.0.0.1 port={free_port()} user=watch",
         "password": password}]})
    text = page(app, "/collect/postgres?target=words")
    check_page(text)
    assert value(text, "pg_up") == 1
    assert not [line for line in text.splitlines()
                if line.startswith("pg_scrape_collector_success") and line.endswith(" 0")]
    assert value(text, 'pg_settings_max_connections') == 100
    assert value(text, "pg_settings_shared_buffers_bytes") == 128 << 20
    assert value(text, "pg_settings_autovacuum_naptime_seconds") == 60
    assert value(text, 'pg_database_size_bytes{datname="postgres"}') > 1e6
    assert value(text, 'pg_stat_user_tables_n_tup_ins{datname="postgres",schemaname="public",'
                       'relname="item"}') in (0, 100)  # the server gathers them with a delay
    assert 'pg_locks_count{datname="postgres",mode="accesssharelock"}' in text
    assert value(text, "pg_replication_lag_seconds") == 0
    assert not set(wanted("9628")[0]) - names(text)
    assert value(page(app, "/collect/postgres?target=uri"), "pg_up") == 1
    text = page(app, "/collect/postgres?target=down")
    assert value(text, "pg_up") == 0 and "geheim" not in text
    assert "words, uri, down" in page(app, "/collect/postgres", 400)
    assert "geheim" not in page(app, "/api/v1/status/config") + page(app, "/api/v1/status/flags")


def test_dashboard_1860_finds_the_host(start):
    text = page(start({}), "/collect/host")
    served, _ = wanted("1860")
    assert not set(served) - names(text)
    assert len(served) > 150


def test_a_server_that_hangs_holds_nothing_up(start):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        app = start({"redis": [{"address": f"127.0.0.1:{port}"}],
                     "postgres": [{"name": "p", "conninfo": f"host=127.0.0.1 port={port} user=x"}]},
                    "--collect.timeout=1s")
        for path, up in (("/collect/redis", "redis_up"), ("/collect/postgres", "pg_up")):
            began = time.monotonic()
            assert value(page(app, path), up) == 0
            assert time.monotonic() - began < 20
            answer = requests.get(app.url(path), timeout=30,
                                  headers={"X-Prometheus-Scrape-Timeout-Seconds": "0.2"})
            assert value(answer.text, up) == 0


def test_processes_as_process_exporter_groups_them(start, tmp_path, spawn):
    spawn("/bin/sleep", "4711", name="sleeper")
    app = start({"process": {"threads": True, "process_names": [
        {"name": "nap {{.Matches.long}} of {{.ExeBase}}", "comm": ["sleep"], "cmdline": ["sleep (?P<long>47\\d+)"]},
        {"exe": ["sextant"]}]}})
    text = page(app, "/collect/process")
    check_page(text)
    assert value(text, 'namedprocess_namegroup_num_procs{groupname="nap 4711 of sleep"}') == 1
    assert value(text, 'namedprocess_namegroup_states{groupname="nap 4711 of sleep",state="Sleeping"}') == 1
    mine = '{groupname="sextant",memtype="resident"}'
    assert value(text, f"namedprocess_namegroup_memory_bytes{mine}") > 1e6
    assert 'namedprocess_namegroup_thread_cpu_seconds_total{groupname="sextant",threadname="' in text
    cpu = 'namedprocess_namegroup_cpu_seconds_total{groupname="sextant",mode="user"}'

    def busy():
        for _ in range(50):
            requests.get(app.url("/collect/host"), timeout=30)
        return value(page(app, "/collect/process"), cpu) > 0
    wait_for(busy, 60, "processor time was counted")
    # A file that is broken leaves what was; another one is taken up, and counters go on.
    path = tmp_path / "collect.yml"
    path.write_text("process: {process_names: [{name: '{{', comm: [x]}]}")
    assert requests.post(app.url("/-/reload"), timeout=30).status_code == 500
    assert "nap 4711" in page(app, "/collect/process")
    path.write_text("")
    assert requests.post(app.url("/-/reload"), timeout=30).status_code == 200
    # Others on the machine may sleep as well.
    assert value(page(app, "/collect/process"), 'namedprocess_namegroup_num_procs{groupname="sleep"}') >= 1


@pytest.mark.parametrize("config,flags,says", [
    ({"redis": [{"name": "x"}]}, [], "needs an address"),
    ({"postgres": [{"conninfo": "host=x"}]}, [], "needs a name"),
    ({"redis": [{"address": "a:1"}, {"address": "a:1"}]}, [], "are called"),
    ({"process": {"process_names": [{"name": "x"}]}}, [], "comm, exe or cmdline"),
    ({"process": {"process_names": [{"cmdline": ["("]}]}}, [], "process_names[0]"),
    ({"nonsense": 1}, [], "nonsense"),
    ({}, ["--collect.redis=redis://:secret@h:1"], "password"),
    ({}, ["--collect.postgres=x=host=h password=y"], "password"),
])
def test_what_is_wrong_is_told(sextant_bin, tmp_path, config, flags, says):
    path = tmp_path / "collect.yml"
    path.write_text(json.dumps(config))
    prom = tmp_path / "p.yml"
    prom.write_text("scrape_configs: []")
    out = subprocess.run([sextant_bin, "observe", f"--config.file={prom}", f"--storage.tsdb.path={tmp_path}/d",
                          f"--collect.config={path}", "--web.listen-address=127.0.0.1:0", *flags], text=True,
                         timeout=60, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert out.returncode == 2 and says in out.stderr and "secret" not in out.stderr


def test_up_watches_databases(spawn, sextant_bin, tmp_path, redis):
    r = redis()
    state = tmp_path / "state"
    up = spawn(sextant_bin, "up", "--dir", state, "--metrics", "127.0.0.1:0", "--listen", "127.0.0.1:0",
               "--redis", f"cache=127.0.0.1:{r.port}", name="up")
    wait_for(lambda: "Sextant is up" in up.stdout(), 60, "sextant up")
    targets = json.loads((state / "observe" / "redis.json").read_text())
    app = Api(targets[0]["targets"][0])
    wait_for(lambda: app.query("redis_up{instance='cache'} == 1"), 60, "Redis is watched")
    wait_for(lambda: app.query("namedprocess_namegroup_num_procs{groupname='redis-server'}"), 60, "processes")
    assert up.stop() == 0
