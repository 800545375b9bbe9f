// login.tsx - signing in: by password, by the provider, or both. Works when nobody is signed in, and
// leads back to the page that was wanted.
import { useEffect, useRef, useState } from "preact/hooks";
import { base, go, parameter } from "../base/route";
import { lookWho, me, send } from "../base/me";
import { safeReturn } from "../base/way_back";
import { Failure, Loading } from "../parts/bits";

// Of a provider's callback that went wrong; the server's log says more.
const WORDS: Record<string, string> = {
  provider: "The identity provider could not sign you in. An administrator can find the reason in the server log.",
  denied: "The identity provider denied access.",
  state: "The sign-in timed out or was started in another browser. Try again.",
  account: "This account is not allowed here. Ask an administrator.",
};

export default function LoginView() {
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const [failed, setFailed] = useState(WORDS[parameter("error")] ?? "");
  const [busy, setBusy] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  const ways = me.value?.signIn;
  const to = safeReturn(parameter("to"), location.origin, base);
  useEffect(() => { first.current?.focus(); }, [!ways]);
  if (!me.value) return <Loading />;
  if (!ways) return <p>Sign-in is not enabled on this server. <a href={to}>Continue</a></p>;
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setFailed("");
    try {
      await send("POST", "/api/login", { login, password });
      await lookWho();
      go(to);
    } catch (error) {
      setFailed((error as Error).message);
      setPassword("");
      setBusy(false);
    }
  };
  return (
    <form class="card login" method="post" onSubmit={submit}>
      <p class="brand"><img src="assets/favicon.svg" alt="" width="32" height="32" /> Sextant</p>
      {me.value.signedIn && <p>You are signed in as <b>{me.value.login}</b>. <a href={to}>Continue</a></p>}
      {failed && <Failure text={failed} />}
      {!ways.users && !ways.oidc && (
        <p class="dim">There are no users yet. On the server, run <code>sextant observe users add NAME --role admin</code></p>
      )}
      {(ways.users || !ways.oidc) && (
        <>
          <label>Username
            <input ref={first} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required
              value={login} onInput={(e) => setLogin(e.currentTarget.value)} />
          </label>
          <label>Password
            <input name="password" type="password" autocomplete="current-password" required value={password}
              onInput={(e) => setPassword(e.currentTarget.value)} />
          </label>
          <button type="submit" class="main" disabled={busy}>Sign in</button>
        </>
      )}
      {ways.oidc && (
        <a class="button" target="_self" href={`${base}/login/oidc?${new URLSearchParams({ to })}`}>Sign in with {ways.oidc}</a>
      )}
    </form>
  );
}
