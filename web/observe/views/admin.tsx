// admin.tsx - what admins see to: users and their roles, sessions, tokens, the audit log.
import { useState } from "preact/hooks";
import { may, me, type Role, send } from "../base/me";
import { parameter, setQuery } from "../base/route";
import { tell } from "../base/store";
import { Ago, Badge, Empty, Failure, Tabs } from "../parts/bits";
import { doIt, Sessions, Tokens, useList } from "../parts/keep";
import { type Column, Table } from "../parts/table";

interface User {
  login: string; name: string; role: Role; source: string; disabled: boolean; created: number; seen: number;
}

interface Entry {
  id: number; at: number; login: string; address: string; action: string; what: string; ok: boolean;
}

const TABS = [["users", "Users"], ["sessions", "Sessions"], ["tokens", "Tokens"], ["audit", "Audit log"]] as const;
type Tab = (typeof TABS)[number][0];
const ROLES: Role[] = ["viewer", "editor", "admin"];

export default function AdminView() {
  if (!me.value) return null;
  if (!me.value.signIn) return <Empty title="Sign-in is not enabled"><p>Enable it with <code>--auth.config</code>.</p></Empty>;
  if (!may("admin")) return <Empty title="This page is for administrators" />;
  const tab = (TABS.find(([t]) => t === parameter("tab"))?.[0] ?? "users") as Tab;
  return (
    <>
      <Tabs label="Administration" value={tab} options={TABS} onChange={(t) => setQuery({ tab: t })} />
      {tab === "users" && <Users />}
      {tab === "sessions" && <Sessions path="/api/admin/sessions" all />}
      {tab === "tokens" && <Tokens path="/api/admin/tokens" all />}
      {tab === "audit" && <Audit />}
    </>
  );
}

function Users() {
  const { data, error, again } = useList<User[]>("/api/admin/users");
  const at = (u: User) => `/api/admin/users/${encodeURIComponent(u.login)}`;
  const columns: Column<User>[] = [
    { key: "login", title: "Username", value: (u) => u.login, cell: (u) => <>{u.login} {u.disabled && <Badge tone="calm">disabled</Badge>}</> },
    { key: "name", title: "Name", value: (u) => u.name },
    { key: "role", title: "Role", value: (u) => u.role, cell: (u) => (
      <select value={u.role} aria-label={`Role of ${u.login}`} onChange={async (e) => {
        const select = e.currentTarget;
        if (!(await doIt(again, "PUT", at(u), { role: select.value }))) select.value = u.role;
      }}>{ROLES.map((r) => <option key={r} value={r}>{r}</option>)}</select>) },
    { key: "source", title: "Sign-in method", value: (u) => (u.source === "local" ? "Password" : "Identity provider") },
    { key: "seen", title: "Last sign-in", value: (u) => u.seen, cell: (u) => <Ago at={u.seen} /> },
    { key: "do", title: "Actions", value: () => "", cell: (u) => (
      <span class="row">
        <button type="button" aria-label={`${u.disabled ? "Enable" : "Disable"} ${u.login}`}
          onClick={() => doIt(again, "PUT", at(u), { disabled: !u.disabled })}>{u.disabled ? "Enable" : "Disable"}</button>
        <button type="button" aria-label={`Delete ${u.login}`}
          onClick={() => confirm(`Delete ${u.login} and all of their sessions and tokens?`) && void doIt(again, "DELETE", at(u))}>Delete</button>
      </span>) },
  ];
  return (
    <>
      {error && <Failure text={error} />}
      {data && <Table label="Users" columns={columns} rows={data} id={(u) => u.login} sort="login" none="No users." />}
      <AddUser added={again} />
    </>
  );
}

function AddUser({ added }: { added: () => void }) {
  const [form, setForm] = useState({ login: "", name: "", password: "", role: "viewer" });
  const set = (key: keyof typeof form) => (e: { currentTarget: { value: string } }) => setForm({ ...form, [key]: e.currentTarget.value });
  const submit = async (e: Event) => {
    e.preventDefault();
    if (await doIt(added, "POST", "/api/admin/users", form)) setForm({ login: "", name: "", password: "", role: "viewer" });
  };
  return (
    <form class="card fields" method="post" onSubmit={submit}>
      <h2>New user</h2>
      <label>Username<input required autocomplete="off" autocapitalize="none" spellcheck={false} value={form.login} onInput={set("login")} /></label>
      <label>Name<input autocomplete="off" value={form.name} onInput={set("name")} /></label>
      <label>Password<input type="password" required minLength={8} autocomplete="new-password" value={form.password} onInput={set("password")} /></label>
      <label>Role<select value={form.role} onChange={set("role")}>{ROLES.map((r) => <option key={r} value={r}>{r}</option>)}</select></label>
      <button type="submit">Create user</button>
    </form>
  );
}

function Audit() {
  const [older, setOlder] = useState<Entry[]>([]);
  const [before, setBefore] = useState<number | null>(null);
  const { data, error } = useList<{ entries: Entry[]; before: number }>("/api/admin/audit");
  const next = before ?? data?.before ?? 0;
  const more = async () => {
    try {
      const page = await send<{ entries: Entry[]; before: number }>("GET", `/api/admin/audit?before=${next}`);
      setOlder([...older, ...page.entries]);
      setBefore(page.before);
    } catch (e) {
      tell((e as Error).message, true);
    }
  };
  const columns: Column<Entry>[] = [
    { key: "at", title: "Time", value: (e) => e.at, cell: (e) => <Ago at={e.at} /> },
    { key: "login", title: "User", value: (e) => e.login },
    { key: "address", title: "IP address", value: (e) => e.address },
    { key: "action", title: "Action", value: (e) => e.action, cell: (e) => <>{e.action} {!e.ok && <Badge tone="bad">refused</Badge>}</> },
    { key: "what", title: "Target", value: (e) => e.what },
  ];
  return (
    <>
      {error && <Failure text={error} />}
      {data && <Table label="Audit log" columns={columns} rows={[...data.entries, ...older]} id={(e) => String(e.id)} none="No entries yet." />}
      {!!next && <p><button type="button" onClick={more}>Load older entries</button></p>}
    </>
  );
}
