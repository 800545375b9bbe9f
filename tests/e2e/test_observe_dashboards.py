"""Dashboards by Grafana's HTTP API: with requests, with the package grafana-client, from files, and
with what should be refused."""
import glob
import json
import os
import re
import subprocess
import time

import pytest
import requests

from lib import install
from lib.observe import Observe
from lib.wait import wait_for

COMMUNITY = os.path.join(install.E2E, "data", "dashboards", "community")
TIMEOUT_S = 30


class Grafana:
    """The API of one server."""

    def __init__(self, serve, sextant_bin, folder, flags=()):
        self.observe = Observe(serve, sextant_bin, folder,
                               flags=["--dashboards.reload-interval=200ms", *flags])
        self.session = requests.Session()

    def call(self, method, path, body=None, **more):
        return self.session.request(method, f"http://{self.observe.address}{path}", json=body,
                                    timeout=TIMEOUT_S, **more)

    def get(self, path, **more):
        answer = self.call("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def save(self, dashboard, **more):
        answer = self.call("POST", "/api/dashboards/db", {"dashboard": dashboard, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def uids(self, path="/api/search?type=dash-db"):
        return [hit["uid"] for hit in self.get(path)]


@pytest.fixture
def grafana(serve, sextant_bin, tmp_path):
    """grafana(flag...) starts a server without the built-in dashboards unless a flag says so."""
    def start(*flags):
        mine = flags if any("builtin" in f for f in flags) else ("--dashboards.builtin=false", *flags)
        return Grafana(serve, sextant_bin, tmp_path, mine)
    return start


def refused(answer, status, word=None, words=""):
    assert answer.status_code == status, answer.text
    assert words in answer.json()["message"]
    assert answer.json().get("status") == word
    return True


# ---- dashboards ----

@pytest.mark.parametrize("path", sorted(glob.glob(COMMUNITY + "/*.json")), ids=os.path.basename)
def test_a_dashboard_of_the_community_comes_back_as_it_was(grafana, path):
    g = grafana()
    with open(path, encoding="utf-8") as f:
        dashboard = json.load(f)
    saved = g.save(dashboard, message="as downloaded")
    assert saved["uid"] == dashboard["uid"] and saved["status"] == "success"
    assert saved["url"] == f"/d/{dashboard['uid']}/{saved['slug']}"
    back = g.get("/api/dashboards/uid/" + dashboard["uid"])
    assert back["dashboard"] == {**dashboard, "id": saved["id"], "version": 1}
    assert back["meta"]["slug"] == saved["slug"] and not back["meta"]["provisioned"]
    g.observe.restart("KILL")
    again = g.get("/api/dashboards/uid/" + dashboard["uid"])
    assert again["dashboard"] == back["dashboard"]


def test_the_python_client_finds_what_it_expects(grafana):
    g = grafana()
    try:
        python = install.venv("grafana-venv", "clients/grafana/requirements.txt")
    except RuntimeError as e:
        pytest.skip(f"the client cannot be had: {e}")
    done = subprocess.run([python, os.path.join(install.E2E, "clients", "grafana", "tour.py"),
                           f"http://{g.observe.address}"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    assert seen["health"] == "Open Source" and seen["version"].startswith("12.") and seen["org"] == 1
    assert seen["folders"] == ["py"] and seen["below"] == ["below"]
    assert seen["renamed"]["title"] == "Renamed" and seen["renamed"]["version"] == 2
    assert seen["meta"]["folderUid"] == "py" and seen["meta"]["folderTitle"] == "Renamed"
    assert (seen["again"], seen["stale"]) == (2, 412)
    assert [h["title"] for h in seen["search"]] == ["By hand, again"]
    assert seen["tags"] == [{"term": "py", "count": 1}]
    assert [v["version"] for v in seen["versions"]["versions"]] == [2, 1]
    assert seen["versions"]["versions"][1]["message"] == "first"
    assert seen["restored"] == "By hand"
    assert {p["role"] for p in seen["permissions"]} == {"Viewer", "Editor"}
    assert [(n["text"], n["time"], n["timeEnd"]) for n in seen["notes"]] == [("v2", 1000, 2000)]
    assert seen["notes_after"] == []
    assert seen["sources"] == ["prometheus", "tempo", "jaeger"] and seen["source"] == "prometheus"
    assert seen["source_health"] == "OK"
    assert seen["query"]["data"]["result"][1] == "2"
    assert (seen["add_source"], seen["delete_source"]) == (405, 403)
    assert seen["deleted"]["title"] == "By hand" and seen["gone"] == 404
    assert "title cannot be empty" in seen["empty"]
    assert seen["folders_after"] == []


def test_saving_follows_grafanas_rules(grafana):
    g = grafana()
    first = g.save({"title": "One", "uid": "one", "id": None})
    assert (first["version"], first["slug"]) == (1, "one")
    post = lambda body: g.call("POST", "/api/dashboards/db", body)
    assert refused(post({"dashboard": {"title": "One", "uid": "one", "version": 7}}), 412,
                   "version-mismatch", "changed by someone else")
    assert refused(post({"dashboard": {"title": "One", "uid": "two"}}), 412, "name-exists")
    assert g.save({"title": "One", "uid": "one", "version": 1})["version"] == 2
    assert g.save({"title": "One", "uid": "one", "version": 1}, overwrite=True)["version"] == 3
    assert g.save({"title": "One"}, overwrite=True)["uid"] == "one"
    made = g.save({"title": "No uid"})
    assert len(made["uid"]) == 14 and g.save({"title": "No uid 2"})["uid"] != made["uid"]
    assert refused(post({"dashboard": {"title": "Lost", "id": 4711}}), 404, "not-found")
    assert refused(post({"dashboard": {"title": ""}}), 400, "empty-name")
    assert refused(post({"dashboard": {"title": ["x"]}}), 400, "empty-name")
    assert refused(post({"dashboard": {"title": "x" * 5001}}), 400, "title-too-long")
    assert refused(post({"dashboard": {"title": "x"}, "message": "m" * 501}), 400, None, "message")
    assert refused(post({"dashboard": {"title": "x"}, "folderUid": "nowhere"}), 400, None, "folder")
    assert refused(post({"dashboard": {"title": "x", "uid": "a/b"}}), 400, None, "illegal")
    assert refused(post({"dashboard": {"title": "x", "uid": "a" * 41}}), 400, None, "40 characters")
    assert g.save({"title": "x", "uid": "a" * 40})["uid"] == "a" * 40


def test_versions_are_kept_and_restored(grafana):
    g = grafana("--dashboards.max-versions=3")
    for n in range(5):
        g.save({"title": f"V{n}", "uid": "v"}, overwrite=True, message=f"step {n}")
    listed = g.get("/api/dashboards/uid/v/versions")["versions"]
    assert [(v["version"], v["message"]) for v in listed] == [(5, "step 4"), (4, "step 3"),
                                                              (3, "step 2")]
    assert [v["version"] for v in g.get("/api/dashboards/uid/v/versions?limit=1&start=4")["versions"]] == [4]
    old = g.get("/api/dashboards/uid/v/versions/3")
    assert old["data"]["title"] == "V2" and old["data"]["uid"] == "v"
    restored = g.call("POST", "/api/dashboards/uid/v/restore", {"version": 3}).json()
    assert restored["version"] == 6
    assert g.get("/api/dashboards/uid/v")["dashboard"]["title"] == "V2"
    assert g.get("/api/dashboards/uid/v/versions")["versions"][0]["restoredFrom"] == 3
    assert g.call("POST", "/api/dashboards/uid/v/restore", {"version": 1}).status_code == 404
    assert g.call("GET", "/api/dashboards/uid/v/versions/x").status_code == 404


def test_an_import_fills_its_inputs_in(grafana):
    g = grafana()
    shared = {"title": "Shared", "uid": "shared", "__inputs": [{"name": "DS_P", "type": "datasource"}],
              "__requires": [], "panels": [{"datasource": "${DS_P}", "title": "a ${DS_P} \" ${X}",
                                            "max": 1.50, "nested": {"uid": "${DS_P}"}}]}
    post = lambda body: g.call("POST", "/api/dashboards/import", body)
    assert refused(post({"dashboard": shared}), 400, None, "DS_P missing")
    done = post({"dashboard": shared, "inputs": [{"name": "DS_P", "value": "prom\"etheus"}]}).json()
    assert done["imported"] and done["importedUrl"] == "/d/shared/shared"
    panel = g.get("/api/dashboards/uid/shared")["dashboard"]
    assert "__inputs" not in panel
    assert panel["panels"] == [{"datasource": "prom\"etheus", "title": "a prom\"etheus \" ${X}",
                                "max": 1.5, "nested": {"uid": "prom\"etheus"}}]


def test_resources_are_kept_as_they_came(grafana):
    g = grafana()
    resource = {"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard",
                "metadata": {"name": "res"}, "spec": {"title": "Resource", "tags": ["v2"],
                                                      "elements": {}}}
    assert g.save(resource)["uid"] == "res"
    assert g.get("/api/dashboards/uid/res")["dashboard"] == resource
    assert g.get("/api/search?tag=v2")[0]["title"] == "Resource"
    assert g.save(resource)["version"] == 2  # it says no version of ours


# ---- search, folders, stars ----

def test_search_over_five_thousand(grafana):
    g = grafana()
    g.call("POST", "/api/folders", {"uid": "f", "title": "Folder"})
    folder = os.path.join(g.observe.folder, "many")
    os.makedirs(folder)
    for n in range(5000):
        with open(os.path.join(folder, f"{n}.json"), "w", encoding="utf-8") as out:
            json.dump({"title": f"Board {n:04} CPU", "uid": f"b{n}", "tags": ["even"] if n % 2 == 0 else []}, out)
    g.observe.process.stop()
    g.observe.process.argv.append(f"--dashboards.path={folder}")
    g.observe.process.start()
    g.observe.address = g.observe.process.address("http")
    wait_for(lambda: len(g.uids("/api/search?type=dash-db&limit=5000")) == 5000, seconds=60,
             what="five thousand dashboards")
    began = time.monotonic()
    hits = g.get("/api/search?query=cpu 0042")
    took = time.monotonic() - began
    assert [h["uid"] for h in hits] == ["b42"]
    assert took < 1, took
    assert len(g.uids("/api/search")) == 1000
    assert g.uids("/api/search?limit=2&page=3&type=dash-db") == ["b4", "b5"]
    assert g.uids("/api/search?limit=1&sort=alpha-desc") == ["b4999"] or \
        g.uids("/api/search?limit=1&sort=alpha-desc&type=dash-db") == ["b4999"]
    assert len(g.uids("/api/search?tag=even&limit=5000")) == 2500
    assert g.uids("/api/search?dashboardUIDs=b7,b8") == ["b7", "b8"]
    assert g.get("/api/dashboards/tags") == [{"term": "even", "count": 2500}]
    assert refused(g.call("GET", "/api/search?limit=5001"), 422)


def test_folders(grafana):
    g = grafana()
    make = lambda body: g.call("POST", "/api/folders", body)
    a = make({"uid": "a", "title": "Ä & <b>"}).json()
    assert a["title"] == "Ä & <b>" and a["url"] == "/dashboards/f/a/a-b" and a["version"] == 1
    assert make({"uid": "a", "title": "again"}).status_code == 409
    assert make({"title": ""}).status_code == 400
    assert len(make({"title": "made"}).json()["uid"]) == 14
    make({"uid": "c", "title": "C", "parentUid": "a"})
    g.save({"title": "in", "uid": "in"}, folderUid="c")
    assert g.get("/api/folders/c")["parents"][0]["uid"] == "a"
    assert g.get("/api/folders/a/counts")["folder"] == 1
    assert g.uids("/api/search?folderUIDs=c") == ["in"]
    assert g.get("/api/dashboards/uid/in")["meta"]["folderTitle"] == "C"
    assert refused(g.call("PUT", "/api/folders/a", {"title": "B", "version": 9}), 412,
                   "version-mismatch")
    assert g.call("PUT", "/api/folders/a", {"title": "B", "version": 1}).json()["title"] == "B"
    assert g.call("POST", "/api/folders/a/move", {"parentUid": "c"}).status_code == 400
    assert g.get(f"/api/folders/id/{a['id']}")["uid"] == "a"
    assert g.get("/api/folders/general")["id"] == 0
    assert g.call("DELETE", "/api/folders/a").json()["message"] == "Folder B deleted"
    assert refused(g.call("GET", "/api/folders/c"), 404, "not-found")
    assert g.call("GET", "/api/dashboards/uid/in").status_code == 404


def test_stars(grafana):
    g = grafana()
    g.save({"title": "S", "uid": "s"})
    g.save({"title": "T", "uid": "t"})
    path = "/api/user/stars/dashboard/uid/"
    assert g.call("POST", path + "s").json() == {"message": "Dashboard starred!"}
    assert g.get("/api/user/stars") == ["s"]
    assert g.uids("/api/search?starred=true") == ["s"]
    assert g.get("/api/dashboards/uid/s")["meta"]["isStarred"]
    assert g.call("DELETE", path + "s").json() == {"message": "Dashboard unstarred"}
    assert g.uids("/api/search?starred=true") == []
    assert g.call("POST", path + "none").status_code == 404


def test_annotations(grafana):
    g = grafana()
    saved = g.save({"title": "A", "uid": "a"})
    add = lambda body: g.call("POST", "/api/annotations", body)
    first = add({"dashboardUID": "a", "panelId": 3, "time": 1000, "timeEnd": 2000, "text": "<b>&'",
                 "tags": ["x", "y"], "data": {"k": [1]}}).json()
    assert first["message"] == "Annotation added"
    add({"dashboardId": saved["id"], "time": 5000, "text": "by number"})
    add({"time": 6000, "text": "of all", "tags": ["x"]})
    notes = g.get("/api/annotations?from=500&to=1500")
    assert [(n["id"], n["text"], n["tags"], n["data"], n["panelId"]) for n in notes] == [
        (first["id"], "<b>&'", ["x", "y"], {"k": [1]}, 3)]
    assert [n["time"] for n in g.get("/api/annotations?dashboardUID=a")] == [5000, 1000]
    assert [n["time"] for n in g.get("/api/annotations?tags=x")] == [6000, 1000]
    assert [n["time"] for n in g.get("/api/annotations?tags=x&tags=y")] == [1000]
    assert g.get("/api/annotations/tags?tag=X")["result"]["tags"] == [{"tag": "x", "count": 2}]
    one = f"/api/annotations/{first['id']}"
    assert g.call("PATCH", one, {"text": "patched"}).json() == {"message": "Annotation patched"}
    assert g.call("PATCH", one, {"text": "", "tags": None, "time": 0}).status_code == 200
    assert (g.get(one)["text"], g.get(one)["tags"], g.get(one)["time"]) == ("patched", ["x", "y"], 1000)
    assert g.call("PUT", one, {"text": "put", "time": 10, "timeEnd": 20}).status_code == 200
    assert g.get(one)["tags"] == [] and g.get(one)["timeEnd"] == 20
    assert g.call("DELETE", one).json() == {"message": "Annotation deleted"}
    assert g.call("GET", one).status_code == 404
    assert add({"time": 1}).status_code == 400
    assert add({"text": "x", "time": 5, "timeEnd": 1}).status_code == 400
    assert add({"text": "x", "dashboardUID": "none"}).status_code == 404
    assert add({"text": "x" * 70000}).status_code == 400


# ---- data sources ----

def test_our_own_data_sources(grafana):
    g = grafana()
    assert [(s["uid"], s["type"], s["readOnly"]) for s in g.get("/api/datasources")] == [
        (n, n, True) for n in ("prometheus", "tempo", "jaeger")]
    assert g.get("/api/datasources/uid/tempo")["url"].endswith("/tempo")
    assert g.get("/api/datasources/name/Jaeger")["uid"] == "jaeger"
    assert g.get("/api/datasources/1")["isDefault"] and g.get("/api/datasources/id/Tempo") == {"id": 2}
    assert g.call("GET", "/api/datasources/uid/none").status_code == 404
    for by in ("uid/prometheus", "1"):
        proxy = f"/api/datasources/proxy/{by}/api/v1/"
        assert g.get(proxy + "query?query=6*7")["data"]["result"][1] == "42"
        answer = g.session.post(f"http://{g.observe.address}{proxy}query",
                                data={"query": "6*7"}, timeout=TIMEOUT_S)
        assert answer.json()["data"]["result"][1] == "42"
        assert g.call("POST", proxy + "admin/tsdb/delete_series").status_code == 404
    assert g.get("/api/datasources/proxy/uid/jaeger/api/services")["total"] == 0
    assert g.session.get(f"http://{g.observe.address}/api/datasources/proxy/uid/tempo/api/echo",
                         timeout=TIMEOUT_S).text == "echo"
    assert g.call("PUT", "/api/datasources/uid/prometheus", {"name": "x"}).status_code == 403
    assert g.call("POST", "/api/datasources", {"name": "Prometheus"}).status_code == 409
    assert g.get("/api/frontend/settings")["buildInfo"]["version"].startswith("12.")


# ---- files ----

def write(*path, text):
    os.makedirs(os.path.dirname(os.path.join(*path)), exist_ok=True)
    with open(os.path.join(*path), "w", encoding="utf-8") as f:
        f.write(text if isinstance(text, str) else json.dumps(text))


def test_files_are_read_again_and_cannot_be_saved(grafana, tmp_path):
    folder = tmp_path / "boards"
    write(folder, "top.json", text={"title": "Top", "uid": "top"})
    write(folder, "Team", "t.json", text={"title": "In team", "uid": "t"})
    g = grafana(f"--dashboards.path={folder}")
    wait_for(lambda: sorted(g.uids()) == ["t", "top"], what="the files")
    meta = g.get("/api/dashboards/uid/t")["meta"]
    assert meta["provisioned"] and meta["folderTitle"] == "Team" and not meta["canSave"]
    assert meta["provisionedExternalId"] == "Team/t.json"
    answer = g.call("POST", "/api/dashboards/db", {"dashboard": {"title": "X", "uid": "t"},
                                                   "overwrite": True})
    assert refused(answer, 400, None, "Cannot save provisioned dashboard")
    assert refused(g.call("DELETE", "/api/dashboards/uid/t"), 400, None, "cannot be deleted")
    write(folder, "Team", "t.json", text={"title": "In team, changed", "uid": "t"})
    wait_for(lambda: g.get("/api/dashboards/uid/t")["dashboard"]["title"] == "In team, changed",
             what="the change")
    write(folder, "broken.json", text="{\n  \"title\": \"x\",\n  oops\n}")
    told = wait_for(lambda: g.get("/api/v1/status/dashboards")["data"]["problems"], what="the problem")
    assert told[0]["file"] == "broken.json" and "line 3" in told[0]["message"]
    assert refused(g.call("GET", "/api/dashboards/uid/broken"), 500, None, "line 3")
    os.unlink(folder / "broken.json")
    os.unlink(folder / "top.json")
    wait_for(lambda: g.uids() == ["t"], what="the file to be gone")
    assert g.get("/api/v1/status/dashboards")["data"]["problems"] == []


def test_provisioning_as_grafana_has_it(grafana, tmp_path):
    write(tmp_path, "prov", "boards", "p.json", text={"title": "P", "uid": "p"})
    write(tmp_path, "prov", "x.yaml", text=f"""apiVersion: 1
providers:
  - name: default
    orgId: 1
    folder: Provisioned
    type: file
    allowUiUpdates: true
    options:
      path: {tmp_path}/prov/boards
""")
    g = grafana(f"--dashboards.provisioning={tmp_path}/prov", "--dashboards.reload-interval=0s")
    wait_for(lambda: g.uids() == ["p"], what="the dashboard")
    assert g.get("/api/dashboards/uid/p")["meta"]["folderTitle"] == "Provisioned"
    assert g.save({"title": "Saved by hand", "uid": "p"}, overwrite=True)["version"] == 2
    write(tmp_path, "prov", "boards", "q.json", text={"title": "Q", "uid": "q"})
    answer = g.call("POST", "/api/admin/provisioning/dashboards/reload")
    assert answer.json() == {"message": "Dashboards config reloaded"}
    assert sorted(g.uids()) == ["p", "q"]
    write(tmp_path, "prov", "boards", "r.json", text={"title": "R", "uid": "r"})
    g.observe.process.signal("HUP")
    wait_for(lambda: "r" in g.uids(), what="the reload")


# What Grafana draws without asking anything; every other panel asks.
ASK_NOTHING = ("row", "text")


def queries_of(panels):
    """Each query of a dashboard's panels, those of folded rows too."""
    for panel in panels:
        if panel["type"] not in ASK_NOTHING:
            assert panel.get("targets"), f"{panel['title']} asks nothing"
        for target in panel.get("targets", []):
            yield target["expr"]
        yield from queries_of(panel.get("panels", []))


def test_what_comes_along_is_there(grafana):
    g = grafana("--dashboards.builtin=true")
    shipped = glob.glob(os.path.join(os.path.dirname(os.path.dirname(install.E2E)), "dashboards", "*.json"))
    assert len(shipped) > 1
    wait_for(lambda: len(g.uids()) == len(shipped), 30, "all that are shipped")
    assert "sextant" in g.uids()
    assert g.get("/api/dashboards/home")["meta"]["isHome"]
    for uid in g.uids():
        exprs = list(queries_of(g.get(f"/api/dashboards/uid/{uid}")["dashboard"]["panels"]))
        assert len(exprs) > 5, uid
        for expr in exprs:
            expr = re.sub(r"\$__\w+", "5m", expr)
            assert g.get("/api/v1/query", params={"query": expr})["status"] == "success"


@pytest.mark.parametrize("panel", ({"type": "stat"}, {"type": "table", "targets": []},
                                   {"type": "row", "panels": [{"type": "timeseries", "title": "Rate"}]}))
def test_a_panel_that_should_ask_and_does_not_is_told(panel):
    with pytest.raises(AssertionError, match="asks nothing"):
        list(queries_of([{"title": "One", **panel}]))


# ---- what is hostile ----

def test_hostile_bodies_are_refused(grafana):
    g = grafana()
    url = f"http://{g.observe.address}/api/dashboards/db"
    post = lambda data, kind="application/json", **more: g.session.post(
        url, data=data, headers={"Content-Type": kind, **more}, timeout=TIMEOUT_S)
    deep = '{"dashboard":{"title":"x","a":' + "[" * 100000 + "]" * 100000 + "}}"
    assert post(deep).status_code == 400
    for bad in ("", "null", "[]", "3", '"x"', "{", '{"dashboard":', '{"dashboard":[]}',
                '{"dashboard":null}', '{"dashboard":{"title":"\xff"}}'.encode("latin-1"), b"\0\0"):
        assert post(bad).status_code == 400, bad
    try:
        assert post(b'{"dashboard":{"title":"' + b"x" * (50 << 20) + b'"}}').status_code == 413
    except requests.exceptions.ConnectionError:
        pass  # it was cut off while it sent
    assert post(b'{"dashboard":{"title":"l","x":"' + b"x" * (10 << 20) + b'"}}').status_code == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert post('{"dashboard":{"title":"x"}}', kind).status_code == 415
    assert post('{"dashboard":{"title":"x"}}', Origin="http://evil.example").status_code == 403
    star = g.session.post(f"http://{g.observe.address}/api/user/stars/dashboard/uid/x",
                          headers={"Origin": "http://evil.example"}, timeout=TIMEOUT_S)
    assert star.status_code == 403
    asked = g.session.options(url, headers={"Origin": "http://evil.example",
                                            "Access-Control-Request-Method": "POST"}, timeout=TIMEOUT_S)
    assert "Access-Control-Allow-Origin" not in asked.headers
    assert g.uids() == []


def test_titles_are_data(grafana):
    g = grafana()
    evil = ["'; DROP TABLE item; --", "</script><script>alert(1)</script>", "a\u0000b", "\u2028\"\\",
            "%s%n", "../../etc/passwd", "\U0001f600"]
    for n, title in enumerate(evil):
        g.save({"title": title, "uid": f"u{n}", "tags": [title]})
    assert sorted(h["title"] for h in g.get("/api/search")) == sorted(evil)
    for n, title in enumerate(evil):
        assert g.get(f"/api/dashboards/uid/u{n}")["dashboard"]["tags"] == [title]
        assert [h["uid"] for h in g.get("/api/search", params={"tag": title})] == [f"u{n}"] or "," in title
    assert g.call("GET", "/api/dashboards/uid/%27%20OR%201=1").status_code == 404
    assert g.call("GET", "/api/dashboards/uid/a%2Fb").status_code == 404


# ---- who ----

def test_who_saved_it_and_who_may(grafana, tmp_path):
    write(tmp_path, "auth.yml", text="trusted_header: {name: X-User, from: [127.0.0.1], role_header: X-Role,"
                                     " roles: {viewer: viewer, editor: editor}, default_role: none}\n")
    g = grafana(f"--auth.config={tmp_path}/auth.yml")
    ann, bob = ({"X-User": who, "X-Role": role} for who, role in (("ann", "editor"), ("bob", "viewer")))
    body = {"dashboard": {"title": "Mine", "uid": "m"}}
    assert g.call("POST", "/api/dashboards/db", body).status_code == 401
    assert g.call("GET", "/api/search").status_code == 401
    assert g.call("POST", "/api/dashboards/db", body, headers=bob).status_code == 403
    assert g.call("POST", "/api/dashboards/db", body, headers=ann).status_code == 200
    meta = g.get("/api/dashboards/uid/m", headers=ann)["meta"]
    assert (meta["createdBy"], meta["updatedBy"], meta["canSave"], meta["canAdmin"]) == ("ann", "ann", True, False)
    assert not g.get("/api/dashboards/uid/m", headers=bob)["meta"]["canSave"]
    assert g.get("/api/dashboards/uid/m/versions", headers=bob)["versions"][0]["createdBy"] == "ann"
    assert g.call("POST", "/api/user/stars/dashboard/uid/m", headers=bob).status_code == 200
    assert g.get("/api/user/stars", headers=bob) == ["m"] and g.get("/api/user/stars", headers=ann) == []
    note = {"text": "x", "time": 1}
    assert g.call("POST", "/api/annotations", note, headers=bob).status_code == 403
    assert g.call("POST", "/api/annotations", note, headers=ann).status_code == 200
    assert g.get("/api/annotations", headers=bob)[0]["login"] == "ann"
    for path in ("/api/folders", "/api/dashboards/import", "/api/admin/provisioning/dashboards/reload"):
        assert g.call("POST", path, {}, headers=bob).status_code == 403, path
    assert g.call("DELETE", "/api/dashboards/uid/m", headers=bob).status_code == 403
    query = "/api/datasources/proxy/uid/prometheus/api/v1/query?query=1"
    assert g.call("GET", query).status_code == 401 and g.get(query, headers=bob)["status"] == "success"
