// data.ts - asking the server. Two views that ask the same at the same time share one request; a
// request that nobody waits for any more is given up; while one is asked again its old answer stays,
// so that a refresh neither flickers nor loses what is scrolled or focused.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { toLogin } from "./me";
import { base } from "./route";
import { beat } from "./time";

export type Query = Record<string, string | number | string[] | undefined>;

export interface Reply<T> {
  data: T;
  warnings?: string[];
  infos?: string[];
  bytes: number;
  took_ms: number;
}

interface Pending {
  promise: Promise<Reply<unknown>>;
  abort: AbortController;
  users: number;
}

const pending = new Map<string, Pending>();
const FORM_FROM = 2000; // longer addresses go as a form: proxies cut long ones

// Requests under way, for the line at the top of the page.
export const underWay = signal(0);

export function encode(query: Query): string {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (Array.isArray(value)) for (const one of value) out.append(name, one);
    else if (value !== undefined) out.append(name, String(value));
  return out.toString();
}

async function fetchJson(path: string, form: string, signal?: AbortSignal): Promise<Reply<unknown>> {
  const began = performance.now();
  underWay.value++;
  try {
    const long = form.length > FORM_FROM;
    const url = `${base}${path}${form && !long ? `?${form}` : ""}`;
    const reply = await fetch(url, long
      ? { method: "POST", body: form, headers: { "Content-Type": "application/x-www-form-urlencoded" }, signal }
      : { signal, headers: { Accept: "application/json" } });
    if (reply.status === 401) toLogin();
    const text = await reply.text();
    let json: { status?: string; error?: string; data?: unknown; warnings?: string[]; infos?: string[] };
    try {
      json = JSON.parse(text);
    } catch {
      throw new Error(reply.ok ? "The answer is no JSON." : text.trim().slice(0, 300) || `HTTP ${reply.status}`);
    }
    if (!reply.ok || json.status === "error") throw new Error(json.error || `HTTP ${reply.status}`);
    return { data: json.data, warnings: json.warnings, infos: json.infos, bytes: text.length,
             took_ms: performance.now() - began };
  } catch (e) {
    if (e instanceof TypeError) throw new Error("The server does not answer.");
    throw e;
  } finally {
    underWay.value--;
  }
}

// Asks; `signal` gives up.
export function ask<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Reply<T>> {
  const form = encode(query);
  const key = `${path}?${form}`;
  let one = pending.get(key);
  if (!one) {
    const abort = new AbortController();
    one = { abort, users: 0, promise: fetchJson(path, form, abort.signal).finally(() => pending.delete(key)) };
    pending.set(key, one);
  }
  const shared = one;
  shared.users++;
  signal?.addEventListener("abort", () => {
    if (--shared.users > 0) return;
    pending.delete(key); // who asks next begins anew
    shared.abort.abort();
  });
  return shared.promise as Promise<Reply<T>>;
}

// What the server refused, with its words and what else it said.
export class Refused extends Error {
  constructor(message: string, readonly status: number, readonly body: Record<string, unknown>) {
    super(message);
  }
}

// Grafana's addresses, whose answers have no envelope.
export async function call<T>(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  underWay.value++;
  try {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const reply = await fetch(base + path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await reply.text();
    let json: Record<string, unknown> = {};
    try {
      json = text ? JSON.parse(text) : {};
    } catch {
      if (reply.ok) throw new Error("The answer is no JSON.");
      json = { message: text.trim().slice(0, 300) };
    }
    if (reply.status === 401) toLogin();
    if (!reply.ok) throw new Refused(String(json.message || json.error || `HTTP ${reply.status}`), reply.status, json);
    return json as T;
  } catch (e) {
    if (e instanceof TypeError) throw new Error("The server does not answer.");
    throw e;
  } finally {
    underWay.value--;
  }
}

// Changes something on the server.
export async function act(path: string): Promise<void> {
  const reply = await fetch(base + path, { method: "POST" });
  if (reply.status === 401) toLogin();
  if (!reply.ok) {
    const text = await reply.text();
    let message = text.slice(0, 300);
    try {
      message = JSON.parse(text).error ?? message;
    } catch {
      // a plain text says it too
    }
    throw new Error(message || `HTTP ${reply.status}`);
  }
}

export interface Asked<T> {
  reply?: Reply<T>;
  data?: T;
  error?: string; // of the last request; `data` is then of an earlier one
  loading: boolean;
}

// What a view shows of `path`: asked when it changes and at each beat. A null path asks nothing.
export function useAsk<T>(path: string | null, query: Query = {}): Asked<T> {
  const key = path === null ? null : `${path}?${encode(query)}`;
  const [state, setState] = useState<Asked<T> & { path?: string }>({ loading: key !== null });
  const latest = useRef(query);
  latest.current = query;
  const turn = beat.value;
  useEffect(() => {
    if (key === null || path === null) {
      setState({ loading: false });
      return;
    }
    const abort = new AbortController();
    setState((old) => (old.path === path ? { ...old, loading: true } : { loading: true, path }));
    ask<T>(path, latest.current, abort.signal).then(
      (reply) => abort.signal.aborted || setState({ reply, data: reply.data, loading: false, path }),
      (e: Error) => abort.signal.aborted || setState((old) => ({ ...old, error: e.message, loading: false, path })));
    return () => abort.abort();
  }, [key, turn]);
  return state;
}
