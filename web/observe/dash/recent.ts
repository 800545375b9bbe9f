// recent.ts - the dashboards that were looked at last, as this browser remembers them; and the palette's
// entries for all.
import { go, href } from "../base/route";
import { kept } from "../base/store";
import type { Command } from "../parts/commands";
import { addressOf, type Hit, search } from "./api";

const MOST = 20;
export const recent = kept<{ uid: string; at: number }[]>("recent", []);

export function seen(uid: string): void {
  recent.value = [{ uid, at: Date.now() }, ...recent.value.filter((r) => r.uid !== uid)].slice(0, MOST);
}

export const commandsOf = (hits: Hit[]): Command[] => hits.map((h) => ({
  id: `dashboard ${h.uid}`, title: `${h.title}${h.folderTitle ? ` · ${h.folderTitle}` : ""}`, run: () => go(href(addressOf(h))),
}));

export const found = (): Promise<Command[]> => search().then(commandsOf);
