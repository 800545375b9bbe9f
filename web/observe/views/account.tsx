// account.tsx - one's own account: who one is, password, sessions, tokens, the way out.
import { useEffect, useRef, useState } from "preact/hooks";
import { base, go } from "../base/route";
import { lookWho, may, me, type Role, send } from "../base/me";
import { tell } from "../base/store";
import { Copy, Empty, Failure } from "../parts/bits";
import { doIt, Sessions, type Token, Tokens } from "../parts/keep";

const ROLES: Role[] = ["viewer", "editor", "admin"];
const LIVES = [["0", "never"], ["86400", "in 1 day"], ["2592000", "in 30 days"], ["31536000", "in 1 year"]] as const;

export async function signOut(): Promise<void> {
  const proxy = me.value?.way === "header" ? me.value.signIn?.signOutUrl : "";
  const { url } = await send<{ url: string }>("POST", "/api/logout"); // where the provider signs one out, too
  if (proxy || url) return location.assign(proxy || url);
  await lookWho();
  go(`${base}/login`);
}

export default function AccountView() {
  const who = me.value;
  if (!who) return null;
  if (!who.signIn) return <Empty title="Sign-in is not enabled on this server" />;
  if (!who.signedIn) return <Empty title="You are not signed in"><p><a href={`${base}/login`}>Sign in</a></p></Empty>;
  return (
    <>
      <section class="card">
        <h2>{who.name || who.login}</h2>
        <p>Username <b>{who.login}</b>, role <b>{who.role}</b></p>
        <button type="button" onClick={() => signOut().catch((e: Error) => tell(e.message, true))}>Sign out</button>
      </section>
      {who.way === "session" && <Password />}
      <section class="card"><h2>Sessions</h2><Sessions path="/api/user/sessions" /></section>
      <MakeToken />
    </>
  );
}

function Password() {
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const submit = async (e: Event) => {
    e.preventDefault();
    if (await doIt(() => undefined, "PUT", "/api/user/password", { oldPassword: old, newPassword: fresh })) {
      setOld("");
      setFresh("");
    }
  };
  return (
    <form class="card fields" method="post" onSubmit={submit}>
      <h2>Password</h2>
      <input class="away" name="username" autocomplete="username" value={me.value!.login} readOnly tabIndex={-1} aria-hidden="true" aria-label="Username" />
      <label>Current password<input type="password" autocomplete="current-password" required value={old} onInput={(e) => setOld(e.currentTarget.value)} /></label>
      <label>New password<input type="password" autocomplete="new-password" required minLength={8} value={fresh} onInput={(e) => setFresh(e.currentTarget.value)} /></label>
      <button type="submit">Change password</button>
    </form>
  );
}

function MakeToken() {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [life, setLife] = useState("2592000");
  const [made, setMade] = useState<(Token & { key: string }) | null>(null);
  const [failed, setFailed] = useState("");
  const shown = useRef<HTMLParagraphElement>(null);
  useEffect(() => { shown.current?.querySelector("button")!.focus(); }, [made]); // which brings it into view
  const submit = async (e: Event) => {
    e.preventDefault();
    setFailed("");
    try {
      setMade(await send("POST", "/api/user/tokens", { name, role, secondsToLive: Number(life) }));
      setName("");
    } catch (error) {
      setFailed((error as Error).message);
    }
  };
  return (
    <section class="card">
      <h2>Tokens</h2>
      <p class="dim">For scripts and other programs: send <code>Authorization: Bearer sxt_…</code>, or basic authentication with the username <code>api_key</code>.</p>
      {failed && <Failure text={failed} />}
      <form class="fields" onSubmit={submit}>
        <label>Name<input required maxLength={100} value={name} onInput={(e) => setName(e.currentTarget.value)} /></label>
        <label>Role<select value={role} onChange={(e) => setRole(e.currentTarget.value as Role)}>
          {ROLES.filter(may).map((r) => <option key={r} value={r}>{r}</option>)}</select></label>
        <label>Expires<select value={life} onChange={(e) => setLife(e.currentTarget.value)}>
          {LIVES.map(([v, text]) => <option key={v} value={v}>{text}</option>)}</select></label>
        <button type="submit">Create token</button>
      </form>
      {made && (
        <p class="made" role="status" ref={shown}>Token “{made.name}”. Copy it now, it will not be shown again: <code>{made.key}</code> <Copy text={made.key} what="the token" /></p>
      )}
      <Tokens path="/api/user/tokens" turn={made?.id} />
    </section>
  );
}
