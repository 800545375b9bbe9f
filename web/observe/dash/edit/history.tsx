// history.tsx - the way back and forth through all that was changed. The model is never changed in place,
// so that a step is the model before it. What is typed into one field, or drawn with one drag, is one step.
import { batch, type ReadonlySignal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Dashboard } from "../model";
import { followSettings, type PageState, restart } from "../page_state";

interface Steps { past: Dashboard[]; future: Dashboard[] }

const MOST = 200;
const TYPING_MS = 2000; // a longer pause ends a step
const all = new WeakMap<PageState, ReturnType<typeof record>>();

const typedInto = (): Element | null => {
  const at = document.activeElement;
  return at?.matches("textarea, input:not([type=checkbox], [type=radio]), [data-editor]") ? at : null;
};

function record(page: PageState) {
  const steps = signal<Steps>({ past: [], future: [] });
  let last = page.dashboard.peek();
  let typed: Element | null = null;
  let at = 0;
  const drawn = { on: false, begun: false }; // a drag, or a panel in the keyboard's hand
  page.dashboard.subscribe((now) => {
    const before = last;
    last = now;
    const { past } = steps.peek();
    if (now === before) return;
    if (now.version !== before.version) { // stored, or theirs
      if (now.panels !== before.panels) steps.value = { past: [], future: [] };
      return;
    }
    const field = typedInto();
    const goesOn = drawn.on ? drawn.begun : !!field && field === typed && performance.now() - at < TYPING_MS;
    drawn.begun = drawn.on;
    typed = field;
    at = performance.now();
    const kept = goesOn ? past : [...past.slice(1 - MOST), before];
    const back = drawn.on && kept[kept.length - 1] === now; // a drag that came to nothing
    if (back) drawn.begun = false;
    steps.value = { past: back ? kept.slice(0, -1) : kept, future: [] };
  });
  const go = (from: Dashboard[], way: (before: Dashboard) => Steps) => {
    const to = from[from.length - 1];
    if (!to || drawn.on) return;
    const before = page.dashboard.peek();
    typed = null;
    // What was stored meanwhile stays stored.
    const now = to.version === before.version && to.uid === before.uid ? to : { ...to, id: before.id, uid: before.uid, version: before.version };
    batch(() => {
      last = now;
      steps.value = way(before);
      page.dashboard.value = now;
      followSettings(page);
    });
    if (now.templating !== before.templating) restart(page);
  };
  return {
    steps: steps as ReadonlySignal<Steps>,
    undo: () => go(steps.peek().past, (before) => ({ past: steps.peek().past.slice(0, -1), future: [...steps.peek().future, before] })),
    redo: () => go(steps.peek().future, (before) => ({ past: [...steps.peek().past, before], future: steps.peek().future.slice(0, -1) })),
    drawing: (on: boolean) => { drawn.on = on; drawn.begun = false; },
  };
}

// Begins with the first that asks, which is before the first change.
export function historyOf(page: PageState): ReturnType<typeof record> {
  let have = all.get(page);
  if (!have) all.set(page, (have = record(page)));
  return have;
}

// Ctrl-Z and Ctrl-Y; within a field they are the field's own.
export function useHistory(page: PageState): ReturnType<typeof record> {
  const history = historyOf(page);
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      const name = e.key.toLowerCase();
      const at = e.composedPath()[0] as HTMLElement;
      if (!(e.ctrlKey || e.metaKey) || e.altKey || (name !== "z" && name !== "y") || document.querySelector("dialog[open]:not(.ed-settings)")) return;
      if (at.isContentEditable || at.matches?.("textarea, input:not([type=checkbox], [type=radio], [type=color])")) return;
      e.preventDefault();
      if (name === "y" || e.shiftKey) history.redo();
      else history.undo();
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, [history]);
  return history;
}

export function HistoryButtons({ page }: { page: PageState }) {
  const history = useHistory(page);
  const { past, future } = history.steps.value;
  return (
    <>
      <button type="button" class="icon" aria-label="Undo" title="Undo (Ctrl-Z)" disabled={!past.length} onClick={history.undo}>↶</button>
      <button type="button" class="icon" aria-label="Redo" title="Redo (Ctrl-Y)" disabled={!future.length} onClick={history.redo}>↷</button>
    </>
  );
}
