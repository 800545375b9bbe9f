"""Addok as the peer of the geocoder: installs it, imports the same data, answers queries.

Run by Addok's own Python (install() makes its folder), this file reads requests from stdin, one JSON
object {"path", "params"} a line, and writes {"status", "body"} for each: through Addok's own WSGI
application, in process, so that no server stands between. Versions and settings are those of the
recorded answers in tests/e2e/data/addok."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".cache" / "peers" / "addok"
PACKAGES = ["addok==1.3.2", "addok-fr==1.1.0", "addok-france==1.2.0", "addok-csv==1.1.0", "addok-sqlite-store==1.1.0",
            "falcon==4.0.2", "ngram==4.0.3", "Unidecode==1.4.0", "python-geohash==0.8.5", "hashids==1.3.1",
            "setuptools<80"]
SETTINGS = """
ATTRIBUTION = "BAN"
LICENCE = "ETALAB-2.0"
EXTRA_FIELDS = [{"key": "citycode"}, {"key": "oldcitycode"}, {"key": "oldcity"}, {"key": "district"}]
FILTERS = ["type", "citycode", "postcode"]
QUERY_PROCESSORS_PYPATHS = ["addok.helpers.text.check_query_length", "addok_france.extract_address",
    "addok_france.clean_query", "addok_france.remove_leading_zeros"]
PROCESSORS_PYPATHS = ["addok.helpers.text.tokenize", "addok.helpers.text.normalize", "addok_france.glue_ordinal",
    "addok_france.fold_ordinal", "addok_france.flag_housenumber", "addok.helpers.text.synonymize",
    "addok_fr.phonemicize"]
SEARCH_RESULT_PROCESSORS_PYPATHS = ["addok.helpers.results.match_housenumber", "addok_france.make_labels",
    "addok.helpers.results.score_by_importance", "addok.helpers.results.score_by_autocomplete_distance",
    "addok.helpers.results.score_by_ngram_distance", "addok.helpers.results.score_by_geo_distance"]
DOCUMENT_STORE_PYPATH = "addok_sqlite_store.SQLiteStore"
SQLITE_DB_PATH = "{home}/addok.db"
BATCH_WORKERS = 1
REDIS = {{"unix_socket_path": "{home}/redis.sock"}}
LOG_DIR = "{home}"
"""


def environment(seed=0):
    # Sets of strings are iterated in the order of their hashes, and that shows in Addok's answers.
    return {**os.environ, "ADDOK_CONFIG_MODULE": str(HOME / "settings.py"), "PYTHONHASHSEED": str(seed)}


def python():
    return str(HOME / "venv" / "bin" / "python")


def install():
    """A Python with Addok in it; nothing to do if it is there."""
    HOME.mkdir(parents=True, exist_ok=True)
    settings = SETTINGS.replace("[{\"key", "[{{\"key").replace("\"}]", "\"}}]").replace("\"}, {\"", "\"}}, {{\"")
    (HOME / "settings.py").write_text(settings.format(home=HOME), encoding="utf-8")
    if (HOME / "installed").exists():
        return
    print("parity: installing Addok 1.3.2 from PyPI", file=sys.stderr)
    shutil.rmtree(HOME / "venv", ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", HOME / "venv"], check=True)
    subprocess.run([python(), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES], check=True)
    (HOME / "installed").touch()


class Redis:
    """Addok's Redis, its data kept in HOME from one run to the next."""

    def __enter__(self):
        socket = HOME / "redis.sock"
        socket.unlink(missing_ok=True)
        self.child = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--dir", HOME,
                                       "--save", "", "--appendonly", "no", "--dbfilename", "addok.rdb"],
                                      stdout=subprocess.DEVNULL)
        sys.path.append(str(ROOT / "tests" / "e2e"))
        from lib.wait import wait_for
        wait_for(lambda: socket.exists() or self.child.poll() is not None, 30, "redis-server's socket")
        if self.child.poll() is not None:
            raise SystemExit("parity: redis-server does not start; is it installed? (apt install redis-server)")
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait(30)


def import_data(ndjson):
    """Imports the file (plain NDJSON) unless that was done; Redis must run."""
    done = HOME / "imported"
    mark = f"{os.path.getsize(ndjson)} {SETTINGS}"
    if done.exists() and done.read_text(encoding="utf-8") == mark and (HOME / "addok.rdb").exists():
        return
    print("parity: importing the data into Addok (about a minute)", file=sys.stderr)
    done.unlink(missing_ok=True)
    (HOME / "addok.db").unlink(missing_ok=True)
    addok = str(HOME / "venv" / "bin" / "addok")
    clean = "import redis; redis.Redis(unix_socket_path=%r).flushall()" % str(HOME / "redis.sock")
    subprocess.run([python(), "-c", clean], check=True)
    for command in (["batch", ndjson], ["ngrams"]):
        subprocess.run([addok, *command], env=environment(), check=True, stdout=subprocess.DEVNULL)
    save = "import redis; redis.Redis(unix_socket_path=%r).save()" % str(HOME / "redis.sock")
    subprocess.run([python(), "-c", save], check=True)
    done.write_text(mark, encoding="utf-8")


def answers(requests, seed=0):
    """What Addok answers to each of `requests` ((path, params) pairs): (status, body) in their order."""
    child = subprocess.Popen([python(), __file__], env=environment(seed), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=open(HOME / "answers.log", "w", encoding="utf-8"), text=True)
    for path, params in requests:
        child.stdin.write(json.dumps({"path": path, "params": params}) + "\n")
        child.stdin.flush()
        line = child.stdout.readline()
        if not line:
            raise SystemExit(f"parity: Addok ended at {path} {params}; why: {HOME}/answers.log")
        answer = json.loads(line)
        yield answer["status"], answer["body"]
    child.stdin.close()
    child.wait(30)


def serve():
    from urllib.parse import urlencode

    said, sys.stdout = sys.stdout, sys.stderr  # what Addok prints while it loads is not an answer
    from addok.http.wsgi import application
    from falcon import testing
    sys.stdout = said
    client = testing.TestClient(application)
    for line in sys.stdin:
        asked = json.loads(line)
        query = urlencode([tuple(p) for p in asked["params"]])
        try:
            got = client.simulate_get(asked["path"], query_string=query)
            answer = {"status": got.status_code, "body": got.json if got.status_code == 200 else got.text}
        except Exception as error:  # what a server would answer with 500
            answer = {"status": 500, "body": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
