"""A small provider of OpenID Connect: discovery, keys, authorization with PKCE, tokens. It signs with
joserfc, so that what we verify was made by somebody else. `claims` and `spoil` let a test lie."""
import base64
import hashlib
import http.server
import json
import secrets
import threading
import time
import urllib.parse

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey


class Provider:
    def __init__(self, client_id="sextant", secret="a secret+of/ours"):
        self.client_id, self.secret = client_id, secret
        self.keys = [RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})]
        self.algorithm = "RS256"
        self.claims = {"sub": "1234", "preferred_username": "Olga", "name": "Olga Example",
                       "email": "olga@example.org", "email_verified": True}
        self.spoil = lambda claims, header: None  # changes what is signed
        self.forge = None  # makes the whole token
        self.deny = None
        self.more = {}  # of the metadata
        self.userinfo = None  # what /userinfo answers; None: it is not there
        self.refresh = False  # whether refresh tokens are given: each is good once
        self.refreshed, self.ended = [], []
        self.codes, self.tokens, self.bearers, self.asked, self.fetched_keys = {}, {}, set(), [], 0
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body, headers=()):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                if url.path == "/.well-known/openid-configuration":
                    self.answer(200, provider.metadata())
                elif url.path == "/keys":
                    provider.fetched_keys += 1
                    self.answer(200, {"keys": [k.as_dict(private=False) for k in provider.keys]})
                elif url.path == "/userinfo" and provider.userinfo is not None:
                    known = self.headers.get("Authorization") in provider.bearers
                    self.answer(*((200, provider.userinfo) if known else (401, {"error": "invalid_token"})))
                elif url.path == "/end":
                    provider.ended.append(query)
                    self.answer(302, b"", [("Location", query["post_logout_redirect_uri"])])
                elif url.path == "/authorize":
                    self.answer(302, b"", [("Location", provider.authorize(query))])
                else:
                    self.answer(404, {})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                self.answer(*provider.token(dict(urllib.parse.parse_qsl(body)), self.headers.get("Authorization", "")))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def metadata(self):
        return {"issuer": self.url, "authorization_endpoint": self.url + "/authorize",
                "token_endpoint": self.url + "/token", "jwks_uri": self.url + "/keys",
                **({} if self.userinfo is None else {"userinfo_endpoint": self.url + "/userinfo"}), **self.more}

    def authorize(self, query):
        """As if the user had agreed at once."""
        self.asked.append(query)
        assert query["client_id"] == self.client_id and query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256" and "openid" in query["scope"].split()
        back = {"state": query["state"]}
        if self.deny:
            back["error"] = self.deny
        else:
            back["code"] = secrets.token_urlsafe(16)
            self.codes[back["code"]] = query
        return query["redirect_uri"] + "?" + urllib.parse.urlencode(back)

    def token(self, form, authorization):
        want = base64.b64encode((urllib.parse.quote(self.client_id, safe="") + ":" +
                                 urllib.parse.quote(self.secret, safe="")).encode()).decode()
        if authorization != f"Basic {want}":
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") == "refresh_token":
            self.refreshed.append(form["refresh_token"])
            if not self.tokens.pop(form["refresh_token"], None) or not self.refresh:
                return 400, {"error": "invalid_grant"}
            return 200, self.tokens_of({})
        asked = self.codes.pop(form.get("code"), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if not asked or challenge != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        return 200, self.tokens_of({"nonce": asked["nonce"]})

    def tokens_of(self, more):
        now = int(time.time())
        claims = {"iss": self.url, "aud": self.client_id, "iat": now, "exp": now + 300, **more, **self.claims}
        header = {"alg": self.algorithm, "kid": self.keys[-1].as_dict(private=False)["kid"]}
        self.spoil(claims, header)
        signed = self.forge(claims, header) if self.forge else jwt.encode(header, claims, self.keys[-1], algorithms=[header["alg"]])
        given = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": signed}
        self.bearers.add("Bearer " + given["access_token"])
        if self.refresh:
            given["refresh_token"] = secrets.token_urlsafe(16)
            self.tokens[given["refresh_token"]] = True
        return given

    def rotate(self, curve=False):
        kid = f"key {len(self.keys)}"
        self.algorithm = "ES256" if curve else "RS256"
        self.keys = [ECKey.generate_key("P-256", {"kid": kid, "use": "sig"}) if curve else
                     RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})]
