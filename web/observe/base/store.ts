// store.ts - what the browser remembers (theme, shortcuts) and the messages that come and go.
import { effect, signal } from "@preact/signals";

// A signal that is kept in the browser; what was kept and is broken counts as never kept.
export function kept<T>(key: string, first: T) {
  let value = first;
  try {
    const text = localStorage.getItem(`sextant.${key}`);
    if (text !== null) value = JSON.parse(text) as T;
  } catch {
    value = first;
  }
  const s = signal<T>(value);
  let begun = false;
  effect(() => {
    const text = JSON.stringify(s.value);
    if (begun)
      try {
        localStorage.setItem(`sextant.${key}`, text);
      } catch {
        // a full or forbidden store loses only what would be remembered
      }
    begun = true;
  });
  return s;
}

export type Theme = "system" | "light" | "dark";
export const theme = kept<Theme>("theme", "system");
export const keysOn = kept("keys", true);

const darkQuery = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(darkQuery.matches);
darkQuery.addEventListener("change", (e) => (systemDark.value = e.matches));
export const isDark = signal(false);
effect(() => {
  isDark.value = theme.value === "dark" || (theme.value === "system" && systemDark.value);
  document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
});

// What a view calls itself where its row's title says too little; the shell clears it.
export const pageTitle = signal("");

export interface Toast {
  id: number;
  text: string;
  bad: boolean;
  action?: { text: string; run: () => void };
}
export const toasts = signal<Toast[]>([]);
let nextToast = 1;

const ACTION_MS = 12000; // time to reach for it

// Told to a screen reader, too. Errors stay until they are closed.
export function tell(text: string, bad = false, action?: Toast["action"]): void {
  const id = nextToast++;
  toasts.value = [...toasts.value.slice(-3), { id, text, bad, action }];
  if (!bad) setTimeout(() => dismiss(id), action ? ACTION_MS : 4000);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((t) => t.id !== id);
}
