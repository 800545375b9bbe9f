// me.ts - who is signed in and what they may do. Without sign-in everybody is an admin and nothing of
// this is shown. Whoever is asked to sign in is led back to where they were.
import { signal } from "@preact/signals";
import { base, go, route } from "./route";

export type Role = "none" | "viewer" | "editor" | "admin";

export interface Me {
  login: string;
  name: string;
  role: Role;
  signedIn: boolean;
  way: string; // "session", "token", "header" …
  signIn: { users: boolean; oidc: string | null; signOutUrl: string } | null; // null: there is no sign-in
}

const RANK: Record<Role, number> = { none: 0, viewer: 1, editor: 2, admin: 3 };

export const me = signal<Me | null>(null); // null: not known yet

// Until it is known nothing is hidden: the server decides anyway.
export const may = (role: Role): boolean => !me.value || RANK[me.value.role] >= RANK[role];

export async function lookWho(): Promise<void> {
  try {
    const reply = await fetch(`${base}/api/user`, { headers: { Accept: "application/json" } });
    if (!reply.ok) return;
    me.value = (await reply.json()) as Me;
    if (me.value.signIn && me.value.role === "none") toLogin();
  } catch {
    // the views tell that the server does not answer
  }
}

export function toLogin(): void {
  if (route.value.path === "/login") return;
  go(`${base}/login?${new URLSearchParams({ to: location.pathname + location.search })}`);
}

// Changes something; the answer's JSON, or an error with the server's words.
export async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  let reply: Response;
  try {
    reply = await fetch(base + path, { method, ...(body === undefined ? {} : {
      body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }) });
  } catch {
    throw new Error("The server does not answer.");
  }
  const text = await reply.text();
  let json: { error?: string } = {};
  try {
    json = JSON.parse(text || "{}");
  } catch {
    json = { error: text.slice(0, 300) };
  }
  if (reply.status === 401 && path !== "/api/login") toLogin();
  if (!reply.ok) throw new Error(json.error || `HTTP ${reply.status}`);
  return json as T;
}
