"""The kit's clients against real servers that die, stall and come back: Redis, PostgreSQL, SQLite."""
import os
import re
import shutil
import sqlite3
import subprocess
import time

import pytest
import requests

from conftest import BUILD
from lib.service import Service, free_port
from lib.wait import SLOWER, wait_for

ZOO = os.path.join(BUILD, "tests/e2e/programs/clients_zoo")


class Zoo(Service):
    """clients_zoo with the calls that it serves."""

    def ask(self, path, body, **params):
        """The status word and the text of one call."""
        r = requests.post(self.url(path), data=body.encode(), params=params, timeout=30)
        assert r.status_code == 200, r.text
        return tuple(r.text.split("\t", 1))

    def ok(self, path, body, **params):
        status, text = self.ask(path, body, **params)
        assert status == "ok", (status, text)
        return text

    def redis(self, *words, **params):
        return self.ask("/redis", "\n".join(words), **params)

    def show(self, path):
        return requests.get(self.url(path), timeout=30).text

    def metric(self, line):
        """The value of a series, written as it is exposed; 0 if it is not there."""
        m = re.search("^" + re.escape(line) + r" (\S+)$", self.show("/metrics"), re.M)
        return float(m.group(1)) if m else 0.0


@pytest.fixture
def zoo(processes, tmp_path):
    assert os.path.exists(ZOO), f"{ZOO} is missing; build it"

    def start(redis="-", pg="-", db="-"):
        z = Zoo([ZOO, redis, pg, db], str(tmp_path), name="zoo")
        processes.append(z)
        return z.start()
    return start


# ---- Redis ----

def test_redis_answers_and_is_measured(zoo, redis):
    z = zoo(redis=redis().url)
    assert z.redis("SET", "k", "v") == ("ok", "OK")
    assert z.redis("GET", "k") == ("ok", "v")
    assert z.redis("GET", "none") == ("ok", "(nil)")
    assert z.redis("RPUSH", "l", "a", "b") == ("ok", "2")
    assert z.redis("LRANGE", "l", "0", "-1") == ("ok", "[a b]")
    status, text = z.redis("LPUSH", "k", "x")
    assert status == "invalid argument" and "WRONGTYPE" in text
    assert z.redis("SUBSCRIBE", "c")[0] == "not supported"
    assert z.metric('redis_client_commands_total{target="redis",command="GET",outcome="ok"}') == 2
    assert z.metric('redis_client_commands_total{target="redis",command="LPUSH",outcome="error"}') == 1
    assert z.metric('redis_client_command_duration_seconds_count{target="redis",command="SET"}') == 1
    assert z.metric('redis_client_connected{target="redis"}') == 1
    assert "redis well" in z.show("/health")
    assert int(z.show("/spans")) >= 6


def test_redis_that_dies_fails_fast_and_is_found_again(zoo, redis):
    server = redis()
    z = zoo(redis=server.url)
    assert z.redis("SET", "k", "v")[0] == "ok"
    server.kill()
    wait_for(lambda: "redis unwell" in z.show("/health"), what="an unwell check")
    begun = time.monotonic()
    status, text = z.redis("GET", "k")
    assert status == "closed" and str(server.port) in text, (status, text)
    assert time.monotonic() - begun < 1 * SLOWER
    for _ in range(5):
        z.redis("GET", "k")
    assert "redis open" in z.show("/breakers")
    status, text = z.redis("GET", "k")
    assert status == "refused" and "circuit breaker 'redis' is open" in text
    server.start()
    wait_for(lambda: z.redis("GET", "k") == ("ok", "(nil)"), what="an answer of the new server")
    wait_for(lambda: "redis well" in z.show("/health"))
    assert "redis closed" in z.show("/breakers")


def test_redis_that_is_not_there_yet_is_no_failed_start(zoo, redis):
    port = free_port()
    z = zoo(redis=f"redis://127.0.0.1:{port}")
    assert z.redis("PING")[0] in ("closed", "refused")
    redis(port=port)
    wait_for(lambda: z.redis("PING") == ("ok", "PONG"))


def test_redis_that_stalls_times_out_and_is_replaced(zoo, redis):
    server = redis()
    z = zoo(redis=server.url)
    assert z.redis("SET", "k", "v")[0] == "ok"
    server.signal("STOP")
    begun = time.monotonic()
    status, text = z.redis("GET", "k", ms=200)
    assert status == "timed out" and "200 ms" in text
    assert time.monotonic() - begun < 1 * SLOWER
    wait_for(lambda: "redis unwell" in z.show("/health"), what="an unwell check")
    server.signal("CONT")
    wait_for(lambda: z.redis("GET", "k") == ("ok", "v"), what="the value, once it goes on")


def test_redis_password_database_and_their_errors(zoo, redis):
    server = redis("--requirepass", "s:ecret")
    host = f"127.0.0.1:{server.port}"
    z = zoo(redis=f"redis://:s%3Aecret@{host}/2")
    assert z.redis("CLIENT", "INFO")[1].split("db=")[1].startswith("2 ")
    z.stop()
    z = zoo(redis=f"redis://:wrong@{host}")
    status, text = wait_for(lambda: (lambda a: a if a[0] != "ok" else None)(z.redis("PING")))
    assert status == "not allowed" and "WRONGPASS" in text and "wrong" not in text.split("'")[0]


def test_redis_master_that_becomes_a_replica_is_left(zoo, redis):
    first, second = redis(), redis()
    z = zoo(redis=first.url)
    assert z.redis("SET", "k", "1")[0] == "ok"
    before = z.metric('redis_client_commands_total{target="redis",command="SET",outcome="ok"}')
    cli = shutil.which("redis-cli")
    subprocess.run([cli, "-p", str(first.port), "replicaof", "127.0.0.1", str(second.port)],
                   check=True, stdout=subprocess.DEVNULL)
    status, text = z.redis("SET", "k", "2")
    assert status == "closed" and "READONLY" in text
    subprocess.run([cli, "-p", str(first.port), "replicaof", "no", "one"], check=True,
                   stdout=subprocess.DEVNULL)
    wait_for(lambda: z.redis("SET", "k", "3")[0] == "ok")
    assert z.metric('redis_client_commands_total{target="redis",command="SET",outcome="ok"}') > before


# ---- shared limits ----

def test_limit_is_shared_by_processes_and_local_without_redis(zoo, redis):
    server = redis()
    one, two = zoo(redis=server.url), zoo(redis=server.url)
    wait_for(lambda: one.redis("PING") == two.redis("PING") == ("ok", "PONG"))
    answers = [z.ok("/limit", "user") for z in (one, two, one, two, one)]
    assert answers == [f"shared allowed {n}" for n in (4, 3, 2, 1, 0)], answers
    assert two.ok("/limit", "user") == "shared refused 0"
    assert two.ok("/limit", "other") == "shared allowed 4"
    server.kill()
    wait_for(lambda: "redis unwell" in two.show("/health"))
    assert two.ok("/limit", "third").startswith("fallback allowed")
    for _ in range(4):
        two.ok("/limit", "third")
    assert two.ok("/limit", "third") == "local refused 0"


# ---- PostgreSQL ----

def test_postgres_answers_and_prepares_once(zoo, postgres):
    z = zoo(pg=postgres.conninfo)
    z.ok("/pg", "CREATE TABLE t (a int PRIMARY KEY, b text)")
    z.ok("/pg", "INSERT INTO t VALUES (1, 'x'), (2, NULL)")
    assert z.ok("/pg", "SELECT * FROM t ORDER BY a") == "1 x 2 NULL"
    assert z.ask("/pg", "INSERT INTO t VALUES (1, 'y')")[0] == "already exists"
    status, text = z.ask("/pg", "SELECT * FROM nope")
    assert status == "invalid argument" and "42P01" in text
    assert z.ok("/pg", "SELECT generate_series(1, 30000)", stream="") == "30000 rows"
    # A table that changes under a prepared statement is no error.
    for _ in range(5):
        assert z.ok("/pg", "SELECT * FROM t WHERE a = 1").startswith("1 x")
    z.ok("/pg", "ALTER TABLE t ADD COLUMN c int DEFAULT 7")
    assert z.ok("/pg", "SELECT * FROM t WHERE a = 1") == "1 x 7"
    # Nor is a server that has forgotten it.
    z.ok("/pg", "DEALLOCATE ALL")
    assert z.ok("/pg", "SELECT * FROM t WHERE a = 1") == "1 x 7"
    assert z.metric('postgres_client_queries_total{target="postgresql",operation="INSERT",outcome="ok"}') == 1
    assert z.metric('postgres_client_queries_total{target="postgresql",operation="INSERT",outcome="error"}') == 1
    assert z.metric('postgres_client_connections{target="postgresql",state="idle"}') >= 1


def test_postgres_transactions_hold_or_vanish(zoo, postgres):
    z = zoo(pg=postgres.conninfo)
    z.ok("/pg", "CREATE TABLE t (a int)")
    z.ok("/pg-tx", "INSERT INTO t VALUES (1)\nINSERT INTO t VALUES (2)")
    assert z.ask("/pg-tx", "INSERT INTO t VALUES (3)\nSELECT 1/0")[0] == "invalid argument"
    assert z.ok("/pg", "SELECT sum(a) FROM t") == "3"
    status, _ = z.ask("/pg-tx", "INSERT INTO t VALUES (4)\n"
                                "SELECT pg_terminate_backend(pg_backend_pid())")
    assert status == "closed"
    assert z.ok("/pg", "SELECT sum(a) FROM t", repeat="") == "3"


def test_postgres_query_that_takes_too_long_is_stopped(zoo, postgres):
    z = zoo(pg=postgres.conninfo)
    status, text = z.ask("/pg", "SELECT pg_sleep_for('60 s')", ms=200)
    assert status == "timed out" and "200 ms" in text
    asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep_for%' " \
            "AND pid <> pg_backend_pid()"
    wait_for(lambda: z.ok("/pg", asked) == "0", what="the end of the query on the server")


def test_postgres_restart_is_survived(zoo, postgres):
    z = zoo(pg=postgres.conninfo)
    z.ok("/pg", "CREATE TABLE t (a int)")
    z.ok("/pg", "SELECT count(*) FROM t")
    postgres.stop()
    wait_for(lambda: "postgresql unwell" in z.show("/health"), what="an unwell check")
    begun = time.monotonic()
    status, text = z.ask("/pg", "SELECT count(*) FROM t")
    assert status in ("closed", "refused"), (status, text)
    assert time.monotonic() - begun < 3 * SLOWER
    postgres.start()
    wait_for(lambda: z.ask("/pg", "SELECT count(*) FROM t") == ("ok", "0"), 20)
    wait_for(lambda: "postgresql well" in z.show("/health"))


def test_postgres_backend_that_is_killed_is_replaced(zoo, postgres):
    z = zoo(pg=postgres.conninfo)
    z.ok("/pg", "SELECT 1")
    status, text = z.ask("/pg", "SELECT pg_terminate_backend(pg_backend_pid())")
    assert status == "closed" and "57P01" in text
    assert z.ok("/pg", "SELECT 1") == "1"


def test_postgres_that_stalls_times_out_and_goes_on(zoo, postgres):
    z = zoo(pg=postgres.conninfo)
    z.ok("/pg", "SELECT 1")
    postgres.signal(19)  # STOP
    begun = time.monotonic()
    status, _ = z.ask("/pg", "SELECT 2", ms=300)
    assert status == "timed out"
    assert time.monotonic() - begun < 2 * SLOWER
    wait_for(lambda: "postgresql unwell" in z.show("/health"), what="an unwell check")
    postgres.signal(18)  # CONT
    wait_for(lambda: z.ask("/pg", "SELECT 3") == ("ok", "3"), 20)


def test_postgres_that_turns_read_only_is_left(zoo, postgres):
    z = zoo(pg=postgres.conninfo + " target_session_attrs=read-write")
    z.ok("/pg", "CREATE TABLE t (a int)")
    z.ok("/pg", "ALTER SYSTEM SET default_transaction_read_only = on")
    z.ok("/pg", "SELECT pg_reload_conf()")
    wait_for(lambda: z.ask("/pg", "INSERT INTO t VALUES (1)")[0] == "closed")
    status, text = wait_for(lambda: (lambda a: a if "read-only" in a[1] else None)(
        z.ask("/pg", "INSERT INTO t VALUES (1)")), what="the reason")
    assert status == "closed"
    with open(os.path.join(postgres.data, "postgresql.auto.conf"), "w") as f:
        f.write("")
    postgres.run("pg_ctl", "-D", postgres.data, "reload")
    wait_for(lambda: z.ask("/pg", "INSERT INTO t VALUES (1)")[0] == "ok", 20)


# ---- SQLite ----

def test_sqlite_shares_its_file_and_says_what_is_wrong(zoo, tmp_path):
    path = str(tmp_path / "a.db")
    z = zoo(db=path)
    z.ok("/sqlite", "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    z.ok("/sqlite", "INSERT INTO t (b) VALUES ('x'), ('y')")
    assert z.ok("/sqlite", "SELECT * FROM t") == "1 x 2 y"
    assert z.ask("/sqlite", "INSERT INTO t VALUES (1, 'z')")[0] == "already exists"
    assert z.ask("/sqlite", "SELECT * FROM nope")[0] == "invalid argument"
    forever = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    assert z.ask("/sqlite", forever, ms=200)[0] == "timed out"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status, text = z.ask("/sqlite", "INSERT INTO t (b) VALUES ('w')", ms=300)
    assert status == "timed out", (status, text)
    assert z.ok("/sqlite", "SELECT count(*) FROM t") == "2"  # readers do not wait
    other.execute("ROLLBACK")
    z.ok("/sqlite", "INSERT INTO t (b) VALUES ('w')")
    other.close()
    assert z.metric('sqlite_client_queries_total{target="sqlite",operation="SELECT",outcome="ok"}') == 2


# ---- HTTP ----

def test_http_calls_of_the_zoo_are_measured_and_broken(zoo):
    z = zoo()
    assert z.ok("/http", z.url("/spans")) == "200"
    host = z.address()
    assert z.metric(f'http_client_requests_total{{method="GET",host="{host}",code="200"}}') == 1
    nobody = f"127.0.0.1:{free_port()}"
    for _ in range(5):
        assert z.ask("/http", f"http://{nobody}/")[0] in ("closed", "input/output error")
    status, text = z.ask("/http", f"http://{nobody}/")
    assert status == "refused" and nobody in text
    assert f"http://{nobody} open" in z.show("/breakers")
    assert z.metric(f'http_client_requests_total{{method="GET",host="{nobody}",code="refused"}}') == 1
