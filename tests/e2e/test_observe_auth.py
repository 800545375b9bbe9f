"""Sign-in of the observatory: users and sessions, roles over every route, tokens, CSRF, a trusted
header, OpenID Connect by a provider of our own, audit, and the pages in Chromium."""
import base64
import concurrent.futures
import http.client
import json
import os
import re
import sqlite3
import subprocess
import time
import urllib.parse

import pytest
import requests

from lib.observe import NO_TRACES, Observe
from lib.wait import SLOWER, wait_for

PASSWORDS = {"ann": "correct horse", "ed": "battery staple", "vic": "purple monkey"}
ROLES = {"ann": "admin", "ed": "editor", "vic": "viewer"}
OURS = {"Sec-Fetch-Site": "same-origin"}
TIMEOUT_S = 10


def add_user(sextant_bin, data, login, role, password, *more):
    return subprocess.run([sextant_bin, "observe", "users", "add", login, "--role", role, "--storage.tsdb.path", data, *more],
                          input=password + "\n", text=True, capture_output=True, timeout=20)


@pytest.fixture
def signed(serve, sextant_bin, tmp_path):
    """Starts a server with sign-in: signed(YAML, *flags)."""
    def start(text="", *flags, users=ROLES):
        folder = str(tmp_path)
        for login, role in users.items():
            done = add_user(sextant_bin, os.path.join(folder, "data"), login, role, PASSWORDS[login])
            assert done.returncode == 0, done.stderr
        config = os.path.join(folder, "auth.yml")
        with open(config, "w") as f:
            f.write(text)
        app = Observe(serve, sextant_bin, folder, flags=(f"--auth.config={config}", "--web.enable-remote-write-receiver",
                                                         "--web.enable-admin-api", "--web.enable-lifecycle", *NO_TRACES, *flags))
        app.auth_file = config
        return app
    return start


class Browser(requests.Session):
    """Keeps cookies, and says as browsers do that its own page asks."""

    def __init__(self, app, login=None):
        super().__init__()
        self.app = app
        self.headers.update(OURS)
        if login:
            answer = self.sign_in(login, PASSWORDS[login])
            assert answer.status_code == 200, answer.text

    def sign_in(self, login, password):
        return self.post(self.app.url("/api/login"), json={"login": login, "password": password}, timeout=TIMEOUT_S)

    def ask(self, path, method="GET", **more):
        return self.request(method, self.app.url(path), timeout=TIMEOUT_S, allow_redirects=False, **more)

    def token(self, role, **more):
        answer = self.ask("/api/user/tokens", "POST", json={"name": f"a {role}", "role": role, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()


def bearer(token):
    return {"Authorization": f"Bearer {token['key']}"}


# ---- users and sessions

def test_signing_in_and_out(signed):
    app = signed()
    one = Browser(app)
    assert one.ask("/api/v1/query?query=1").status_code == 401
    assert one.ask("/api/user").json()["role"] == "none"
    answer = one.sign_in("ANN", PASSWORDS["ann"])  # logins are of small letters
    assert answer.json()["role"] == "admin"
    cookie = answer.headers["Set-Cookie"]
    assert re.match(r"sextant_session=[\w-]{43}; Path=/; HttpOnly; SameSite=Lax; Max-Age=\d+$", cookie)
    assert one.ask("/api/v1/query?query=1").json()["status"] == "success"
    assert one.ask("/api/user").json() == {"login": "ann", "name": "ann", "role": "admin", "signedIn": True, "way": "session",
                                           "signIn": {"users": True, "oidc": None, "signOutUrl": ""}}
    old = dict(one.cookies)
    assert one.ask("/api/logout", "POST").status_code == 200
    assert one.ask("/api/v1/query?query=1").status_code == 401
    assert requests.get(app.url("/api/v1/query?query=1"), cookies=old, timeout=5).status_code == 401


def test_a_session_survives_a_restart_and_ends_where_it_is_told(signed):
    app = signed()
    one, other = Browser(app, "ann"), Browser(app, "ann")
    app.restart()
    assert one.ask("/api/user").json()["login"] == "ann"
    sessions = one.ask("/api/user/sessions").json()
    assert len(sessions) == 2 and [s["own"] for s in sessions].count(True) == 1
    end = next(s["id"] for s in sessions if not s["own"])
    assert one.ask(f"/api/user/sessions/{end}", "DELETE").status_code == 200
    assert other.ask("/api/user").json()["login"] == "" and one.ask("/api/user").json()["login"] == "ann"
    foreign = Browser(app, "vic")
    mine = one.ask("/api/user/sessions").json()[0]["id"]
    assert foreign.ask(f"/api/user/sessions/{mine}", "DELETE").status_code == 404


def test_a_planted_session_is_worth_nothing(signed):
    """Fixation: what a browser held before signing in is not what it holds afterwards."""
    app = signed()
    one = Browser(app)
    one.cookies.set("sextant_session", "A" * 43)
    one.sign_in("ann", PASSWORDS["ann"])
    assert requests.get(app.url("/api/v1/labels"), cookies={"sextant_session": "A" * 43}, timeout=5).status_code == 401
    victim = Browser(app, "vic")
    planted = victim.cookies.get("sextant_session")
    victim.sign_in("ann", PASSWORDS["ann"])
    assert requests.get(app.url("/api/user"), cookies={"sextant_session": planted}, timeout=5).json()["login"] == ""


def test_wrong_passwords_say_nothing_and_are_limited(signed):
    app = signed()
    one = Browser(app)
    known, unknown = one.sign_in("ann", "wrong password"), one.sign_in("nobody", "wrong password")
    assert known.status_code == unknown.status_code == 401 and known.text == unknown.text
    codes = [one.sign_in("ann", f"guess {i}").status_code for i in range(25)]
    assert set(codes) == {401, 429} and codes[-1] == 429
    limited = one.sign_in("vic", PASSWORDS["vic"])  # the address waits, whoever it says to be
    assert limited.status_code == 429 and int(limited.headers["Retry-After"]) > 0


def try_from(app, address, login):
    """A wrong password from an address of this machine's own network; the status and Retry-After."""
    url = urllib.parse.urlsplit(app.url("/api/login"))
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60, source_address=(address, 0))
    connection.request("POST", url.path, json.dumps({"login": login, "password": "some password"}),
                       {**OURS, "Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers.get("Retry-After")


@pytest.mark.parametrize("address", ["127.0.0.2", "127.1.{0}.{1}"])
def test_a_flood_of_sign_ins_keeps_the_rest_going(signed, address):
    """From one address or from many: it is bounded by the line of those that wait for a hash, says when to
    come again, and leaves the audit log readable."""
    app = signed()
    ready = Browser(app, "vic")
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        flood = [pool.submit(try_from, app, address.format(i // 200, i % 200 + 1), f"user{i}") for i in range(400)]
        slowest = 0
        while not all(f.done() for f in flood):
            began = time.monotonic()
            assert ready.ask("/api/v1/labels").status_code == 200
            slowest = max(slowest, time.monotonic() - began)
    answers = [f.result() for f in flood]
    assert {status for status, _ in answers} <= {401, 429, 503}
    assert all((after is None) == (status == 401) for status, after in answers)
    assert slowest < 2 * SLOWER
    entries = Browser(app, "ann").ask("/api/admin/audit?limit=1000&action=signin.limited").json()["entries"]
    assert len(entries) <= 2


def test_an_account_has_its_tries_whatever_the_way(signed):
    """By the form and by basic authentication together, from wherever."""
    app = signed()
    codes = [try_from(app, f"127.2.0.{i + 1}", "vic")[0] for i in range(8)]
    codes += [requests.get(app.url("/api/v1/labels"), auth=("vic", f"guess {i}"), timeout=TIMEOUT_S).status_code for i in range(8)]
    assert codes[:8] == [401] * 8 and codes[-1] == 429
    assert try_from(app, "127.2.1.1", "vic")[0] == 429
    assert try_from(app, "127.2.1.1", "ed")[0] == 401


def test_users_of_the_command_line(signed, sextant_bin, tmp_path):
    app = signed()
    data = str(tmp_path / "data")
    assert add_user(sextant_bin, data, "new", "viewer", "short").returncode == 1
    assert "already" in add_user(sextant_bin, data, "ann", "viewer", "long enough").stderr
    assert add_user(sextant_bin, data, "new", "viewer", "long enough").returncode == 0
    one = Browser(app)
    assert one.sign_in("new", "long enough").status_code == 200
    command = [sextant_bin, "observe", "users"]
    subprocess.run([*command, "role", "new", "--role", "admin", "--storage.tsdb.path", data], check=True, capture_output=True)
    wait_for(lambda: one.ask("/api/user").json()["role"] == "admin", 15, "the new role")
    subprocess.run([*command, "remove", "new", "--storage.tsdb.path", data], check=True, capture_output=True)
    wait_for(lambda: one.ask("/api/user").json()["role"] == "none", 15, "the user's end")
    listed = subprocess.run([*command, "list", "--storage.tsdb.path", data], check=True, capture_output=True, text=True).stdout
    assert "ann" in listed and "new" not in listed


def test_admins_see_to_users(signed):
    app = signed()
    admin = Browser(app, "ann")
    made = admin.ask("/api/admin/users", "POST", json={"login": "Bo", "password": "x" * 128, "role": "viewer"})
    assert made.status_code == 201
    bo = Browser(app)
    assert bo.sign_in("bo", "x" * 128).status_code == 200
    assert admin.ask("/api/admin/users/bo", "PUT", json={"role": "editor"}).status_code == 200
    assert bo.ask("/api/user").json()["role"] == "editor"
    assert bo.ask("/api/user/password", "PUT", json={"oldPassword": "wrong one", "newPassword": "y" * 20}).status_code == 403
    assert bo.ask("/api/user/password", "PUT", json={"oldPassword": "x" * 128, "newPassword": "y" * 20}).status_code == 200
    assert bo.ask("/api/user").json()["login"] == "bo"
    assert admin.ask("/api/admin/users/bo", "PUT", json={"disabled": True}).status_code == 200
    assert bo.ask("/api/user").json()["role"] == "none"
    assert Browser(app).sign_in("bo", "y" * 20).status_code == 401
    assert admin.ask("/api/admin/users/ann", "PUT", json={"role": "viewer"}).status_code == 409  # the last admin
    assert admin.ask("/api/admin/users/ann", "DELETE").status_code == 409
    assert admin.ask("/api/admin/users/bo", "DELETE").status_code == 200


# ---- roles

ROUTES = re.compile(r"^  (/\S*):$|^    (get|post|put|delete|patch):$", re.M)
ALWAYS = {"/-/healthy", "/-/ready", "/version", "/api/user", "/api/login", "/api/logout", "/login/oidc",
          "/login/oidc/callback", "/tempo/ready", "/api/health"}


def routes_of(app, headers):
    """Every route, by the server's own description."""
    text = requests.get(app.url("/api/v1/openapi.yaml"), headers=headers, timeout=5).text
    path, out = None, []
    for found in ROUTES.finditer(text[text.index("\npaths:"):]):
        if found[1]:
            path = found[1]
        else:
            below = "\n  " + path + ":\n    servers" in text
            out.append((found[2].upper(), re.sub(r"\{\w+\}", "nothing", path if below else "/api/v1" + path)))
    assert len(out) > 90
    return out


def least_role(method, path):
    """What docs/howto/sign-in.md promises, told in another way than the server's table does."""
    if path in ALWAYS:
        return 0
    if path.startswith(("/api/v1/admin/", "/api/admin/", "/api/v1/status/logs", "/-/")) or (path.startswith("/api/datasources") and method not in ("GET", "POST")):
        return 3
    if path.startswith("/api/user/stars") or path.startswith("/api/user/"):
        return 1
    if path in ("/api/v1/write", "/api/v1/otlp/v1/metrics") or path.startswith("/api/archive/"):
        return 2
    if re.match(r"/api/(dashboards|folders|annotations|snapshots)", path) and method != "GET":
        return 2
    return 1


def test_every_route_by_every_role(signed):
    app = signed()
    admin = Browser(app, "ann")
    tokens = [None] + [admin.token(role) for role in ("viewer", "editor", "admin")]
    wrong = []
    for method, path in routes_of(app, bearer(tokens[3])):
        need = least_role(method, path)
        if path in ("/-/quit", "/-/reload") or path.startswith("/api/v1/notifications/live") or "datasources" in path:
            continue
        for role, token in enumerate(tokens[:3] if need < 3 else tokens[:4]):
            answer = requests.request(method, app.url(path), headers=bearer(token) if token else {}, timeout=TIMEOUT_S,
                                      allow_redirects=False, stream=True)
            refused = answer.status_code in (401, 403) and "errorType" in answer.text and (
                "sign in, or send" in answer.text or "this needs" in answer.text)
            if refused != (role < need):
                wrong.append((method, path, role, answer.status_code, answer.text[:80]))
    assert not wrong, wrong


def test_kill_quit_and_deletions_are_the_admins(signed):
    app = signed()
    for login, code in (("vic", 403), ("ed", 403)):
        one = Browser(app, login)
        for path in ("/-/quit", "/-/reload", "/api/v1/admin/tsdb/snapshot", "/api/v1/admin/queries/1/kill"):
            assert one.ask(path, "POST").status_code == code, path
    assert Browser(app, "ann").ask("/-/reload", "POST").status_code == 200


def test_anonymous_may_look_but_not_touch(signed):
    app = signed("anonymous: viewer\nmachines: {metrics: open, intake: open}\n")
    one = Browser(app)
    assert one.ask("/api/v1/query?query=1").status_code == 200
    assert one.ask("/metrics").status_code == 200
    assert one.ask("/api/user").json()["role"] == "viewer"
    assert one.ask("/api/user/tokens").status_code == 401
    assert one.ask("/api/admin/users").status_code == 401
    app.write([({"__name__": "open_intake"}, [(int(time.time() * 1000), 1.0)])])


# ---- tokens

def test_tokens_of_programs(signed):
    app = signed()
    ed = Browser(app, "ed")
    token = ed.token("editor")
    assert re.match(r"sxt_[\w-]{43}$", token["key"])
    as_grafana = ("api_key", token["key"])
    assert requests.get(app.url("/api/user"), auth=as_grafana, timeout=5).json()["role"] == "editor"
    assert requests.get(app.url("/api/v1/labels"), headers=bearer(token), timeout=5).status_code == 200
    assert requests.post(app.url("/api/user/tokens"), headers=bearer(token), json={"name": "x"}, timeout=5).status_code == 403
    assert ed.ask("/api/user/tokens", "POST", json={"name": "x", "role": "admin"}).status_code == 403
    listed = ed.ask("/api/user/tokens").json()
    assert [t["id"] for t in listed] == [token["id"]] and "key" not in listed[0] and listed[0]["used"] > 0
    admin = Browser(app, "ann")
    assert admin.ask("/api/admin/users/ed", "PUT", json={"role": "viewer"}).status_code == 200
    assert requests.get(app.url("/api/user"), headers=bearer(token), timeout=5).json()["role"] == "viewer"
    assert ed.ask(f"/api/user/tokens/{token['id']}", "DELETE").status_code == 200
    assert requests.get(app.url("/api/v1/labels"), headers=bearer(token), timeout=5).status_code == 401


def test_tokens_expire(signed):
    app = signed()
    token = Browser(app, "ann").token("viewer", secondsToLive=1)
    assert requests.get(app.url("/api/v1/labels"), headers=bearer(token), timeout=5).status_code == 200
    wait_for(lambda: requests.get(app.url("/api/v1/labels"), headers=bearer(token), timeout=5).status_code == 401, 10, "its end")


def test_basic_authentication_of_users(signed):
    app = signed()
    vic = ("vic", PASSWORDS["vic"])
    assert requests.get(app.url("/api/v1/labels"), auth=vic, timeout=5).status_code == 200
    assert requests.get(app.url("/api/v1/labels"), auth=("vic", "wrong"), timeout=5).status_code == 401
    assert requests.post(app.url("/api/v1/write"), auth=vic, timeout=5).status_code == 403
    answer = requests.get(app.url("/api/v1/labels"), timeout=5)
    assert answer.status_code == 401 and "Basic" not in answer.headers["WWW-Authenticate"]


def test_prometheus_own_users_are_admins(signed, tmp_path):
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users: {prom: $2b$04$ttuYXCvUZ/JFO.VQLrBRy.oZFZow4i7q6BEkbwsYKqyAaxD5tc72.}\n")
    app = signed("", f"--web.config.file={web}")
    answer = requests.get(app.url("/api/user/sessions"), auth=("prom", "secret"), timeout=10)
    assert answer.status_code == 200
    assert requests.get(app.url("/api/admin/users"), auth=("prom", "secret"), timeout=10).status_code == 200
    assert requests.get(app.url("/api/admin/users"), auth=("prom", "wrong"), timeout=10).status_code == 401
    assert requests.get(app.url("/api/admin/users"), timeout=10).status_code == 401
    assert Browser(app, "vic").ask("/api/v1/labels").status_code == 200


# ---- other sites

@pytest.mark.parametrize("headers", [
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {}])
def test_requests_of_other_sites_do_nothing(signed, headers):
    app = signed()
    cookies = dict(Browser(app, "ann").cookies)
    for path, form in (("/api/user/tokens", {"json": {"name": "x"}}), ("/-/reload", {"data": "a=b"}),
                       ("/api/v1/query", {"data": {"query": "1"}})):
        answer = requests.post(app.url(path), cookies=cookies, headers=headers, timeout=5, **form)
        assert answer.status_code == 403, (path, answer.text)
    if headers:
        forged = requests.post(app.url("/api/login"), json={"login": "ann", "password": PASSWORDS["ann"]}, headers=headers, timeout=5)
        assert forged.status_code == 403


def test_requests_of_our_own_page_are_let_in(signed):
    app = signed()
    cookies = dict(Browser(app, "ann").cookies)
    origin = {"Origin": app.url("").rstrip("/")}
    assert requests.post(app.url("/-/reload"), cookies=cookies, headers=origin, timeout=5).status_code == 200
    form = requests.post(app.url("/api/user/tokens"), cookies=cookies, headers={**origin, "Content-Type": "text/plain"},
                         data='{"name": "x"}', timeout=5)
    assert form.status_code == 415


def test_every_page_says_what_it_may_load_and_who_may_frame_it(signed):
    app = signed()
    for path in ("/", "/login", "/account", "/admin", "/explore", "/dashboards", "/d/x/y"):
        answer = requests.get(app.url(path), headers={"Accept": "text/html"}, timeout=5)
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html")
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy and "default-src 'none'" in policy
        assert answer.headers["X-Frame-Options"] == "DENY" and answer.headers["X-Content-Type-Options"] == "nosniff"


# ---- a trusted header

HEADER = """trusted_header:
  name: X-Forwarded-User
  from: [%s]
  role_header: X-Role
  roles: {staff: editor, root: admin}
  default_role: viewer
"""


def test_the_proxys_word_counts(signed):
    app = signed(HEADER % "loopback")
    def who(**headers):
        return requests.get(app.url("/api/user"), headers={k.replace("_", "-"): v for k, v in headers.items()}, timeout=5).json()
    assert (who(X_Forwarded_User="Pat")["login"], who(X_Forwarded_User="Pat")["role"]) == ("pat", "viewer")
    assert who(X_Forwarded_User="Pat", X_Role="root")["role"] == "admin"
    assert who(X_Forwarded_User="Pat", X_Role="stranger")["role"] == "viewer"
    assert who(X_Role="root")["role"] == "none"
    host, port = app.url("").split("//")[1].rstrip("/").split(":")
    import http.client
    twice = http.client.HTTPConnection(host, int(port), timeout=5)
    twice.putrequest("GET", "/api/user")
    twice.putheader("X-Forwarded-User", "root")
    twice.putheader("X-Forwarded-User", "pat")
    twice.endheaders()
    assert json.loads(twice.getresponse().read())["role"] == "none"  # one of them is the client's own
    foreign = requests.post(app.url("/-/reload"), headers={"X-Forwarded-User": "pat", "X-Role": "root", "Origin": "https://evil.example"}, timeout=5)
    assert foreign.status_code == 403


def test_the_header_of_others_counts_for_nothing(signed):
    app = signed(HEADER % "10.1.2.3, 192.0.2.0/24")
    answer = requests.get(app.url("/api/user"), headers={"X-Forwarded-User": "root", "X-Role": "root"}, timeout=5).json()
    assert answer["role"] == "none"
    assert requests.get(app.url("/api/v1/labels"), headers={"X-Forwarded-User": "root"}, timeout=5).status_code == 401


# ---- OpenID Connect

OIDC = """oidc:
  name: Example ID
  issuer: %s
  client_id: sextant
  client_secret_file: secret.txt
  role_claim: %s
  roles: {ops: admin, dev: editor}
  groups_claim: %s
"""


@pytest.fixture
def provider():
    from lib.oidc_provider import Provider
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def federated(signed, provider, tmp_path):
    def start(more="", role="realm_access.roles", groups="groups"):
        (tmp_path / "secret.txt").write_text(provider.secret + "\n")
        return signed(OIDC % (provider.url, role, groups) + more)
    return start


def visit(app, to="/explore"):
    """What a browser does: to us, to the provider, and back. Gives the session and the last answer."""
    one = Browser(app)
    begun = one.ask(f"/login/oidc?to={urllib.parse.quote(to, safe='')}")
    assert begun.status_code == 302, begun.text
    there = requests.get(begun.headers["Location"], allow_redirects=False, timeout=5)
    back = urllib.parse.urlsplit(there.headers["Location"])
    return one, one.ask(f"{back.path}?{back.query}")


def refused(app, code):
    one, answer = visit(app)
    assert answer.headers["Location"] == f"/login?error={code}", answer.headers
    assert one.ask("/api/user").json()["role"] == "none"


def test_the_provider_signs_in(federated, provider):
    app = federated()
    one, answer = visit(app, "/d/abc?from=now-1h")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/d/abc?from=now-1h")
    who = one.ask("/api/user").json()
    assert (who["login"], who["name"], who["role"], who["signIn"]["oidc"]) == ("olga", "Olga Example", "viewer", "Example ID")
    provider.claims["realm_access"] = {"roles": ["other", "dev", "ops"]}
    assert visit(app)[0].ask("/api/user").json()["role"] == "admin"
    assert one.ask("/api/user").json()["role"] == "admin"


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)", ""])
def test_the_way_back_is_never_another_site(federated, to):
    assert visit(federated(), to)[1].headers["Location"] == "/"


def test_keys_change_and_curves_do(federated, provider):
    app = federated()
    assert visit(app)[1].headers["Location"] == "/explore"
    provider.rotate(curve=True)
    one = wait_for(lambda: (lambda v: v if v[1].headers["Location"] == "/explore" else None)(visit(app)), 30, "the new key")[0]
    assert one.ask("/api/user").json()["login"] == "olga"


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


def unsigned(claims, header):
    return f"{b64({**header, 'alg': 'none'})}.{b64(claims)}."


def test_tokens_that_lie_are_refused(federated, provider):
    import hashlib
    import hmac
    app = federated()

    def by_public_key(claims, header):
        text = f"{b64({**header, 'alg': 'HS256'})}.{b64(claims)}"
        return f"{text}.{b64(hmac.new(provider.keys[0].as_pem(private=False), text.encode(), hashlib.sha256).digest())}"

    for forge in (unsigned, by_public_key, lambda c, h: f"{b64(h)}.{b64(c)}.{b64(b'x' * 256)}", lambda c, h: "no token"):
        provider.forge = forge
        refused(app, "provider")
    provider.forge = None
    lies = [{"iss": "https://other.example"}, {"aud": "another"}, {"aud": ["sextant", "another"]}, {"nonce": "mine"},
            {"exp": int(time.time()) - 3600}, {"iat": int(time.time()) + 3600}, {"sub": ""}, {"nbf": int(time.time()) + 3600}]
    for lie in lies:
        provider.spoil = lambda claims, header: claims.update(lie)  # noqa: B023
        refused(app, "provider")
    provider.spoil = lambda claims, header: None
    assert visit(app)[1].headers["Location"] == "/explore"


def test_a_callback_needs_the_browser_that_began(federated, provider):
    app = federated()
    one = Browser(app)
    there = requests.get(one.ask("/login/oidc").headers["Location"], allow_redirects=False, timeout=5)
    back = urllib.parse.urlsplit(there.headers["Location"])
    stranger = Browser(app).ask(f"{back.path}?{back.query}")
    assert stranger.headers["Location"] == "/login?error=state" and "sextant_session" not in stranger.headers.get("Set-Cookie", "")
    assert one.ask(f"{back.path}?code=x&state=y").headers["Location"] == "/login?error=state"
    provider.deny = "access_denied"
    refused(app, "denied")


def test_who_of_the_provider_may_come_in(federated, provider):
    app = federated("  allowed_domains: [example.org]\n  allowed_groups: [staff]\n  default_role: none\n")
    provider.claims.update(groups=["staff"], realm_access={"roles": ["dev"]})
    assert visit(app)[0].ask("/api/user").json()["role"] == "editor"
    for lie in ({"groups": ["guests"]}, {"email": "olga@evil.example"}, {"email_verified": False}, {"realm_access": {"roles": []}},
                {"email": "olga@evil.example@example.org"}):
        kept = dict(provider.claims)
        provider.claims.update(lie)
        refused(app, "account")
        provider.claims = kept


def test_the_provider_takes_over_no_account(federated, provider):
    app = federated()
    provider.claims["preferred_username"] = "ann"  # who is an admin here, with a password
    refused(app, "account")
    provider.claims.update(preferred_username="olga", sub="1234")
    assert visit(app)[1].headers["Location"] == "/explore"
    provider.claims["sub"] = "5678"  # another person with the name of the first
    refused(app, "account")


def test_what_the_token_lacks_is_asked_of_userinfo(federated, provider):
    """The identity token's word comes first; userinfo of somebody else are none."""
    provider.userinfo = {"sub": "1234", "groups": [{"name": "ops", "in": "berlin"}, {"name": "guests"}], "preferred_username": "Other"}
    app = federated("  allowed_groups: [guests]\n  allowed_domains: [example.org]\n",
                    role="groups.name", groups="groups.name")
    one, answer = visit(app)
    assert answer.headers["Location"] == "/explore", answer.headers
    assert one.ask("/api/user").json() | {"signIn": None} == {"login": "olga", "name": "Olga Example", "role": "admin", "signedIn": True,
                                                              "way": "session", "signIn": None}
    del provider.claims["email_verified"]  # of a mail address that the token itself has
    provider.userinfo["email_verified"] = True
    refused(app, "account")
    provider.userinfo["email"] = provider.claims.pop("email")
    assert visit(app)[1].headers["Location"] == "/explore"
    for lie in ({"sub": "5678"}, {"sub": ""}):
        provider.userinfo.update(lie)
        refused(app, "provider")


@pytest.mark.parametrize(("lie", "good"), [({"aud": ["sextant", "another"], "azp": "sextant"}, True), ({"aud": ["portal", "x"], "azp": "portal"}, True),
                                           ({"aud": "portal"}, True), ({"aud": ["x", "y"], "azp": "sextant"}, False),
                                           ({"aud": ["sextant", "x"], "azp": "x"}, False)])
def test_tokens_for_several_are_for_us_too(federated, provider, lie, good):
    app = federated("  audiences: [portal]\n")
    provider.spoil = lambda claims, header: claims.update(lie)
    assert visit(app)[1].headers["Location"] == ("/explore" if good else "/login?error=provider")


def test_clocks_may_differ_as_far_as_is_said(federated, provider):
    app = federated("  clock_skew: 5m\n")
    provider.spoil = lambda claims, header: claims.update(iat=int(time.time()) + 240, exp=int(time.time()) - 200)
    assert visit(app)[1].headers["Location"] == "/explore"


def test_strange_keys_do_not_make_us_ask_all_the_time(federated, provider):
    app = federated()
    assert visit(app)[1].headers["Location"] == "/explore"
    before = provider.fetched_keys
    provider.spoil = lambda claims, header: header.update(kid="strange")
    for _ in range(10):
        refused(app, "provider")
    assert provider.fetched_keys - before <= 4  # each loop once in ten seconds


def test_signing_out_there_too(federated, provider):
    provider.more = {"end_session_endpoint": provider.url + "/end?x=1"}
    app = federated("  end_session: true\n")
    one, _ = visit(app)
    app.restart()  # nothing is known of the provider yet
    answer = one.ask("/api/logout", "POST")
    page = urllib.parse.urlsplit(answer.json()["url"])
    query = dict(urllib.parse.parse_qsl(page.query))
    assert page.path == "/end" and query["x"] == "1" and query["client_id"] == "sextant"
    assert query["id_token_hint"].count(".") == 2 and query["post_logout_redirect_uri"].endswith("/login")
    assert requests.get(answer.json()["url"], allow_redirects=False, timeout=5).status_code == 302 and len(provider.ended) == 1
    assert one.ask("/api/user").json()["role"] == "none"
    local = Browser(app, "ann")
    assert local.ask("/api/logout", "POST").json()["url"] == ""  # no provider signed this one in
    two, _ = visit(app)
    provider.close()
    assert two.ask("/api/logout", "POST").status_code == 200 and two.ask("/api/user").json()["role"] == "none"


def test_sessions_are_checked_again(federated, provider, tmp_path):
    """Every minute at the shortest: the file's time is set back instead of waiting."""
    provider.refresh = True
    provider.claims["realm_access"] = {"roles": ["ops"]}
    app = federated("  recheck: 1m\n")
    one, _ = visit(app)

    def renewed():
        with sqlite3.connect(tmp_path / "data" / "sextant" / "users.db", timeout=10) as db:
            at = db.execute("SELECT renewed_ms FROM grants").fetchone()[0]
        db.close()
        return at

    def due():
        with sqlite3.connect(tmp_path / "data" / "sextant" / "users.db", timeout=10) as db:
            db.execute("UPDATE grants SET renewed_ms = renewed_ms - 120000")
        db.close()
        app.restart()
        return one.ask("/api/user").json()["role"]

    with sqlite3.connect(tmp_path / "data" / "sextant" / "users.db") as db:
        kept = db.execute("SELECT refresh FROM grants").fetchone()[0]
    db.close()
    assert kept and not any(token in kept for token in provider.tokens)  # sealed
    provider.claims["realm_access"] = {"roles": ["dev"]}
    assert due() == "admin"
    wait_for(lambda: one.ask("/api/user").json()["role"] == "editor", 20, "the role that it has there now")
    wait_for(lambda: time.time() * 1000 - renewed() < 60000, 20, "its answer in the file")
    assert len(provider.refreshed) == 1
    due()
    wait_for(lambda: len(provider.refreshed) == 2, 20, "the next round, by the next token")
    # The answer is written after it has come; set back before that, it would count as fresh again.
    wait_for(lambda: time.time() * 1000 - renewed() < 60000, 20, "its answer in the file")
    assert one.ask("/api/user").json()["role"] == "editor"
    provider.refresh = False
    due()
    wait_for(lambda: one.ask("/api/user").json()["role"] == "none", 20, "the end")
    entries = Browser(app, "ann").ask("/api/admin/audit?action=session.end").json()["entries"]
    assert entries[0]["login"] == "olga" and "invalid_grant" in entries[0]["what"]


def test_without_a_refresh_token_a_session_ends_when_it_should_be_checked(federated, provider):
    app = federated("  recheck: 10m\n")
    one, answer = visit(app)
    assert "Max-Age=600" in answer.headers["Set-Cookie"]
    assert one.ask("/api/user").json()["login"] == "olga"


def test_a_provider_that_is_away(federated, provider):
    app = federated()
    provider.close()
    assert Browser(app).ask("/login/oidc").headers["Location"] == "/login?error=provider"
    assert Browser(app, "ann").ask("/api/user").json()["role"] == "admin"


def test_a_prefix_opens_nothing(serve, sextant_bin, tmp_path):
    """The query listener's /api/traces is no page of a server whose prefix is /api."""
    assert add_user(sextant_bin, str(tmp_path / "data"), "vic", "viewer", PASSWORDS["vic"]).returncode == 0
    (tmp_path / "auth.yml").write_text("")
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    process = serve(sextant_bin, "observe", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
                    f"--auth.config={tmp_path}/auth.yml", "--web.listen-address=127.0.0.1:0", *NO_TRACES,
                    "--web.route-prefix=/api", "--jaeger.query=127.0.0.1:0", "--zipkin=127.0.0.1:0", name="observe")
    for proto, method, path in (("jaeger-query", "GET", "/api/traces?service=x"), ("jaeger-query", "GET", "/api/services"),
                                ("zipkin", "POST", "/api/v2/spans"), ("http", "GET", "/api/api/v1/labels")):
        answer = requests.request(method, process.url(path, proto), timeout=5)
        assert answer.status_code == 401, (path, answer.status_code, answer.text)
    assert requests.get(process.url("/api/"), headers={"Accept": "text/html"}, timeout=5).status_code == 200
    signed_in = requests.post(process.url("/api/api/login"), json={"login": "vic", "password": PASSWORDS["vic"]}, timeout=5)
    assert "Path=/api/;" in signed_in.headers["Set-Cookie"]


# ---- audit, reload

def test_what_was_done_is_on_record(signed):
    app = signed()
    admin = Browser(app, "ann")
    Browser(app).sign_in("ann", "wrong password")
    token = admin.token("viewer")
    admin.ask(f"/api/user/tokens/{token['id']}", "DELETE")
    admin.ask("/-/reload", "POST")
    entries = admin.ask("/api/admin/audit").json()["entries"]
    assert {"signin", "signin.failed", "token.make", "token.end", "reload"} <= {e["action"] for e in entries}
    assert all(e["address"] == "127.0.0.1" and e["login"] == "ann" for e in entries)
    assert [e["ok"] for e in entries if e["action"] == "signin.failed"] == [False]
    page = admin.ask("/api/admin/audit?limit=2").json()
    assert len(page["entries"]) == 2 and page["before"] == page["entries"][1]["id"]
    assert admin.ask(f"/api/admin/audit?limit=1000&before={page['before']}").json()["entries"][0]["id"] < page["before"]
    assert {e["action"] for e in admin.ask("/api/admin/audit?action=signin").json()["entries"]} == {"signin"}


def test_the_file_is_taken_up_again_and_a_broken_one_is_not(signed):
    app = signed()
    admin = Browser(app, "ann")
    with open(app.auth_file, "w") as f:
        f.write("anonymous: viewer\n")
    assert admin.ask("/-/reload", "POST").status_code == 200
    assert Browser(app).ask("/api/v1/labels").status_code == 200
    with open(app.auth_file, "w") as f:
        f.write("anonymous: viewer\nsession: {lifetme: 1h}\n")
    broken = admin.ask("/-/reload", "POST")
    assert broken.status_code == 500 and "lifetime" in broken.text and ":2:" in broken.text
    assert Browser(app).ask("/api/v1/labels").status_code == 200


def test_check_knows_the_file(sextant_bin, tmp_path):
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text("session: {lifetime: 12h}\nanonymous: viewer\n")
    bad.write_text("anonymous: viewer\ntrusted_header: {name: X-User}\n")
    done = subprocess.run([sextant_bin, "check", str(good)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run([sextant_bin, "check", str(bad)], capture_output=True, text=True)
    assert done.returncode == 1 and "trusted_header" in done.stdout + done.stderr


# ---- in the browser

@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    from lib.browser import open_browser
    driver = open_browser(str(tmp_path_factory.mktemp("chromium")))
    yield driver
    driver.quit()


def test_signing_in_by_keyboard_and_being_led_back(signed, chromium):
    from selenium.webdriver.common.keys import Keys
    from lib.ui import SIZES, Pages
    app = signed()
    chromium.get("about:blank")
    chromium.delete_all_cookies()
    ui = Pages(chromium, app.url("").rstrip("/"))
    ui.open("/targets?search=x")
    ui.wait_for("location.pathname === '/login' && document.activeElement.name === 'username'", "the form")
    chromium.console()  # the first request was refused, which browsers tell
    for width, scheme in SIZES:
        ui.open("/login?to=%2Ftargets%3Fsearch%3Dx", width, scheme)
        ui.wait_for("document.activeElement.name === 'username'", "the form")
        ui.judge()
    ui.keys("ann", Keys.TAB, "wrong password", Keys.ENTER)
    ui.wait("wrong")
    chromium.console()
    ui.wait_for("document.activeElement.name === 'password' && !document.querySelector('button.main').disabled", "the field")
    ui.keys(PASSWORDS["ann"], Keys.ENTER)
    ui.wait_for("location.pathname + location.search === '/targets?search=x'", "the way back")
    for path, word in (("/account", "Sessions"), ("/admin", "ann"), ("/admin?tab=audit", "signin"), ("/admin?tab=sessions", "127.0.0.1")):
        for width, scheme in SIZES:
            ui.open(path, width, scheme).wait(word)
            ui.judge()
    ui.open("/account", 360).click("form input:not([type=password], .away)").keys("script").click("button", "Create token")
    ui.wait("sxt_", selector=".made").wait_for("document.activeElement.matches('.made button')", "the focus to be at the token")
    assert ui.js("const b = document.querySelector('.made code').getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight")
    ui.open("/account").click("button", "Sign out")
    ui.wait_for("location.pathname === '/login'", "the form")
    assert requests.get(app.url("/api/user"), cookies={c["name"]: c["value"] for c in chromium.get_cookies()}, timeout=5).json()["role"] == "none"


def test_nothing_of_it_is_shown_without_sign_in(observe_app, chromium):
    from lib.ui import Pages
    ui = Pages(chromium, observe_app.url("").rstrip("/"))
    chromium.console()
    ui.open("/status")
    ui.wait_for("document.querySelector('nav')", "the page")
    assert "Sign in" not in ui.text("nav") and "Account" not in ui.text("nav")
    assert requests.get(observe_app.url("/api/user"), timeout=5).json()["signIn"] is None
    assert requests.get(observe_app.url("/api/admin/users"), timeout=5).status_code == 404


@pytest.fixture
def observe_app(serve, sextant_bin, tmp_path):
    return Observe(serve, sextant_bin, str(tmp_path), flags=NO_TRACES)
