// commands.ts - what can be done from the keyboard: one table, which the palette lists, the help
// shows and the key listener obeys. Views add theirs while they are shown.
import { signal } from "@preact/signals";
import { keysOn } from "../base/store";

export interface Command {
  id: string;
  title: string;
  keys?: string; // "g h": one after the other
  run: () => void;
}

const shell = signal<Command[]>([]);
const view = signal<Command[]>([]);
export const commands = (): Command[] => [...view.value, ...shell.value];

export function shellCommands(list: Command[]): void {
  shell.value = list;
}

// For the time that a view is shown; gives what takes them away.
export function viewCommands(list: Command[]): () => void {
  view.value = [...view.value, ...list];
  return () => (view.value = view.value.filter((c) => !list.includes(c)));
}

export const paletteOpen = signal(false);
export const helpOpen = signal(false);

const SECOND_KEY_MS = 1500;
const NAMES: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→" };

export const typing = (e: KeyboardEvent): boolean => {
  const at = e.composedPath()[0] as HTMLElement;
  return /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable || !!document.querySelector("dialog[open]");
};

export function listenToKeys(): void {
  let first = "";
  let at = 0;
  document.addEventListener("keydown", (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "k") {
      e.preventDefault();
      if (!document.querySelector("dialog[open]")) paletteOpen.value = true;
      return;
    }
    if (!keysOn.value || e.ctrlKey || e.metaKey || e.altKey || typing(e)) return;
    const key = NAMES[e.key] ?? e.key;
    if (key.length !== 1) return;
    const both = e.timeStamp - at < SECOND_KEY_MS ? `${first} ${key}` : key;
    const found = commands().find((c) => c.keys === both) ?? commands().find((c) => c.keys === key);
    first = found ? "" : key;
    at = e.timeStamp;
    if (!found) return;
    e.preventDefault();
    found.run();
  });
}
