// palette.tsx - Ctrl-K: every command, page, dashboard and metric by a few letters; and `?`: what the
// keys do.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask } from "../base/data";
import { matches } from "../base/format";
import { go, href } from "../base/route";
import { keysOn } from "../base/store";
import { Layer } from "./bits";
import { type Command, commands, helpOpen, paletteOpen } from "./commands";

const SHOWN_MAX = 40;
let names: string[] | undefined; // of metrics: asked when the palette is first opened

export function Palette() {
  return paletteOpen.value ? <PaletteLayer onClose={() => (paletteOpen.value = false)} /> : null;
}

function PaletteLayer({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [metrics, setMetrics] = useState(names ?? []);
  const list = useRef<HTMLUListElement>(null);
  const [boards, setBoards] = useState<Command[]>([]);
  useEffect(() => {
    import("../dash/recent").then((m) => m.found()).then(setBoards, () => undefined);
    ask<string[]>("/api/v1/label/__name__/values").then((r) => setMetrics((names = r.data)), () => undefined);
  }, []);
  const found = useMemo(() => {
    const fixed = commands().filter((c) => matches(c.title, text));
    const dashboards = text ? boards.filter((c) => matches(c.title, text)) : [];
    const explore = commands().some((c) => c.id === "/explore");
    const more: Command[] = !explore || text.length < 2 ? [] : metrics.filter((m) => matches(m, text)).map((m) => ({
      id: `metric ${m}`, title: m, run: () => go(href("/explore", { "g0.expr": m, "g0.tab": "graph" })),
    }));
    return [...fixed, ...dashboards, ...more].slice(0, SHOWN_MAX);
  }, [text, metrics, boards]);
  const chosen = Math.min(at, found.length - 1);
  useEffect(() => list.current?.children[chosen]?.scrollIntoView({ block: "nearest" }), [chosen]);
  const run = (c?: Command) => {
    if (!c) return;
    onClose();
    c.run();
  };
  const key = (e: KeyboardEvent) => {
    if (e.key === "Enter") {
      e.preventDefault();
      run(found[chosen]);
      return;
    }
    const by = e.key === "ArrowDown" ? 1 : e.key === "ArrowUp" ? -1 : 0;
    if (!by || !found.length) return;
    e.preventDefault();
    setAt((chosen + by + found.length) % found.length);
  };
  return (
    <Layer label="Commands" onClose={onClose} kind="palette">
      <input data-first role="combobox" aria-expanded="true" aria-controls="palette-list" aria-label="Command, page, dashboard or metric"
        aria-activedescendant={found.length ? `palette-${chosen}` : undefined} placeholder="Command, page, dashboard or metric" spellcheck={false}
        value={text} onInput={(e) => { setText(e.currentTarget.value); setAt(0); }} onKeyDown={key} />
      <ul id="palette-list" role="listbox" aria-label="Commands" ref={list}>
        {found.map((c, i) => (
          <li key={c.id} id={`palette-${i}`} role="option" aria-selected={i === chosen} onClick={() => run(c)}>
            <span class={c.id.startsWith("metric") ? "mono" : ""}>{c.title}</span>{c.id.startsWith("dashboard") && <small class="dim">dashboard</small>}{c.keys && <kbd>{c.keys}</kbd>}
          </li>
        ))}
      </ul>
      {!found.length && <p class="none">No results.</p>}
    </Layer>
  );
}

export function Help() {
  if (!helpOpen.value) return null;
  return (
    <Layer label="Keyboard" onClose={() => (helpOpen.value = false)}>
      <h2>Keyboard</h2>
      <dl class="keys">
        <div><dt><kbd>Ctrl K</kbd></dt><dd>Every command</dd></div>
        {commands().filter((c) => c.keys).map((c) => <div key={c.id}><dt><kbd>{c.keys}</kbd></dt><dd>{c.title}</dd></div>)}
        <div><dt><kbd>Esc</kbd></dt><dd>Close what lies on top</dd></div>
      </dl>
      <div class="row">
        <label class="inline"><input type="checkbox" checked={keysOn.value} onChange={(e) => (keysOn.value = e.currentTarget.checked)} /> Single keys are shortcuts</label>
        <button type="button" class="main" data-first onClick={() => (helpOpen.value = false)}>Close</button>
      </div>
    </Layer>
  );
}
