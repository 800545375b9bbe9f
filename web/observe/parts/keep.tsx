// keep.tsx - lists of tokens and sessions, as one's own and as an admin's page shows them.
import { useEffect, useState } from "preact/hooks";
import { send } from "../base/me";
import { tell } from "../base/store";
import { Ago, Badge, Failure } from "./bits";
import { type Column, Table } from "./table";

export interface Token {
  id: number; name: string; login: string; role: string; created: number; expires: number; used: number;
}

export interface Session {
  id: string; login: string; address: string; agent: string; created: number; seen: number; expires: number; own: boolean;
}

// What an address answers, and a way to ask again.
export function useList<T>(path: string): { data?: T; error?: string; again: () => void } {
  const [state, setState] = useState<{ data?: T; error?: string }>({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let current = true;
    send<T>("GET", path).then((data) => current && setState({ data }),
      (e: Error) => current && setState((old) => ({ ...old, error: e.message })));
    return () => { current = false; };
  }, [path, turn]);
  return { ...state, again: () => setTurn((n) => n + 1) };
}

// Does it, tells how it went, and looks again.
export async function doIt(again: () => void, method: string, path: string, body?: unknown): Promise<boolean> {
  try {
    const reply = await send<{ message?: string }>(method, path, body);
    if (reply.message) tell(reply.message);
    again();
    return true;
  } catch (e) {
    tell((e as Error).message, true);
    return false;
  }
}

export function Tokens({ path, all, turn }: { path: string; all?: boolean; turn?: number }) {
  const { data, error, again } = useList<Token[]>(path);
  useEffect(() => { if (turn) again(); }, [turn]);
  const columns: Column<Token>[] = [
    { key: "name", title: "Name", value: (t) => t.name },
    ...(all ? [{ key: "login", title: "User", value: (t: Token) => t.login }] : []),
    { key: "role", title: "Role", value: (t) => t.role },
    { key: "used", title: "Last used", value: (t) => t.used, cell: (t) => <Ago at={t.used} /> },
    { key: "expires", title: "Expires", value: (t) => t.expires || Infinity,
      cell: (t) => !t.expires ? "never" : t.expires < Date.now() ? <Badge tone="bad">expired</Badge> : new Date(t.expires).toISOString().slice(0, 10) },
    { key: "end", title: "Actions", value: () => "",
      cell: (t) => <button type="button" aria-label={`Revoke ${t.name}`} onClick={() => doIt(again, "DELETE", `${path}/${t.id}`)}>Revoke</button> },
  ];
  if (error) return <Failure text={error} />;
  return data ? <Table label="Tokens" columns={columns} rows={data} id={(t) => String(t.id)} none="No tokens." /> : null;
}

export function Sessions({ path, all }: { path: string; all?: boolean }) {
  const { data, error, again } = useList<Session[]>(path);
  const columns: Column<Session>[] = [
    ...(all ? [{ key: "login", title: "User", value: (s: Session) => s.login }] : []),
    { key: "agent", title: "Browser", value: (s) => s.agent, cell: (s) => <>{s.own && <Badge tone="good">this session</Badge>} {s.agent}</> },
    { key: "address", title: "IP address", value: (s) => s.address },
    { key: "created", title: "Signed in", value: (s) => s.created, cell: (s) => <Ago at={s.created} /> },
    { key: "seen", title: "Last seen", value: (s) => s.seen, cell: (s) => <Ago at={s.seen} /> },
    { key: "end", title: "Actions", value: () => "",
      cell: (s) => s.own ? null : <button type="button" aria-label={`Sign out the session from ${s.address}`} onClick={() => doIt(again, "DELETE", `${path}/${s.id}`)}>Sign out</button> },
  ];
  if (error) return <Failure text={error} />;
  return data ? <Table label="Sessions" columns={columns} rows={data} id={(s) => s.id} none="No sessions." /> : null;
}
