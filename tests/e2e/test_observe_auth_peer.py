"""Sign-in by a provider that others wrote: oidc-provider (certified by the OpenID Foundation), with its own
forms, its claims in userinfo alone, its rotating refresh tokens and its page for signing out."""
import html
import json
import os
import re
import sqlite3
import subprocess
import urllib.parse

import pytest
import requests

from lib import install
from lib.wait import wait_for
from test_observe_auth import OIDC, TIMEOUT_S, Browser, signed  # noqa: F401 (a fixture)

SECRET = "a secret+of/ours"


class Peer:
    def __init__(self):
        here = os.path.dirname(os.path.abspath(__file__))
        self.process = subprocess.Popen(["node", os.path.join(here, "clients", "oidc", "provider.mjs"), SECRET], text=True,
                                        cwd=install.node("oidc", "clients/oidc"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.url

    def know(self, **facts):
        self.process.stdin.write(json.dumps(facts) + "\n")
        self.process.stdin.flush()
        while (line := self.process.stdout.readline()) != "taken up\n":
            assert line, "the provider has ended"  # or a notice of its own

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def peer():
    made = Peer()
    yield made
    made.close()


def walk(session, url, until, fields):
    """What a person does at the provider: follows, fills in, agrees. Gives the address that leads back to us."""
    answer = session.get(url, timeout=TIMEOUT_S, allow_redirects=False)
    for _ in range(20):
        if answer.is_redirect:
            url = urllib.parse.urljoin(url, answer.headers["Location"])
            if urllib.parse.urlsplit(url).path == until:
                return url
            answer = session.get(url, timeout=TIMEOUT_S, allow_redirects=False)
            continue
        form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
        assert answer.status_code == 200 and form, answer.text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text))
        url = urllib.parse.urljoin(url, html.unescape(form[1]))
        answer = session.post(url, data={**hidden, **fields}, timeout=TIMEOUT_S, allow_redirects=False)
    raise AssertionError(f"the provider never leads back: {url}")


def sign_in(app, login, there):
    one = Browser(app)
    begun = one.ask("/login/oidc?to=%2Fexplore").headers["Location"]
    back = urllib.parse.urlsplit(walk(there, begun, "/login/oidc/callback", {"login": login, "password": "any"}))
    return one, one.ask(f"{back.path}?{back.query}")


def test_a_certified_provider(peer, signed, tmp_path):  # noqa: F811 (the fixture)
    (tmp_path / "secret.txt").write_text(SECRET)
    app = signed(OIDC % (peer.url, "groups.name", "groups.name") + "  scopes: [profile, email, groups]\n"
                 "  allowed_domains: [example.org]\n  recheck: 1m\n  end_session: true\n")
    there = requests.Session()
    one, answer = sign_in(app, "olga", there)
    assert answer.headers["Location"] == "/explore", answer.headers
    who = one.ask("/api/user").json()
    assert (who["login"], who["name"], who["role"]) == ("olga", "Somebody called olga", "editor")

    def due():
        with sqlite3.connect(tmp_path / "data" / "sextant" / "users.db", timeout=10) as db:
            db.execute("UPDATE grants SET renewed_ms = renewed_ms - 120000")
        db.close()
        app.restart()
        return one.ask("/api/user").json()["role"]

    peer.know(groups=["ops"])
    assert due() == "editor"
    wait_for(lambda: one.ask("/api/user").json()["role"] == "admin", 30, "the role by the first refresh token")
    peer.know(groups=["dev"])
    due()
    wait_for(lambda: one.ask("/api/user").json()["role"] == "editor", 30, "the role by the second")

    two, _ = sign_in(app, "olga", there)  # signed in there still: no form
    page = two.ask("/api/logout", "POST").json()["url"]
    assert urllib.parse.urlsplit(walk(there, page, "/login", {"logout": "yes"})).path == "/login"
    assert two.ask("/api/user").json()["role"] == "none"

    peer.know(gone=True)
    due()
    wait_for(lambda: one.ask("/api/user").json()["role"] == "none", 30, "the end of who has gone")
