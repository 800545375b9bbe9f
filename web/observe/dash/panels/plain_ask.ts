// plain_ask.ts - what the addresses that Grafana's clients know answer: plain JSON, without Prometheus's
// envelope. Asked again at each beat; what was there stays until the new answer has come.
import { useEffect, useState } from "preact/hooks";
import { base } from "../../base/route";
import { beat } from "../../base/time";

export interface Answered<T> { data?: T; error?: string }

export function usePlain<T>(path: string | null): Answered<T> {
  const [state, setState] = useState<Answered<T>>({});
  const turn = beat.value;
  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    const failed = (error: string) => abort.signal.aborted || setState((old) => ({ ...old, error }));
    fetch(base + path, { signal: abort.signal, headers: { Accept: "application/json" } }).then(async (reply) => {
      const body = await reply.json().catch(() => undefined);
      if (!reply.ok) failed(body?.message ?? body?.error ?? `HTTP ${reply.status}`);
      else if (!abort.signal.aborted) setState({ data: body as T });
    }, () => failed("The server does not answer."));
    return () => abort.abort();
  }, [path, turn]);
  return state;
}
