// field.tsx - where a query is typed: a plain field at once, the editor when it is loaded; what was
// typed meanwhile stays, and if the editor cannot be loaded the plain field does.
import { useEffect, useRef, useState } from "preact/hooks";
import { base } from "../base/route";
import { isDark } from "../base/store";
import type { Editor } from "./editor";

export function QueryField({ text, label, variables, onChange, onRun, onHistory }: {
  text: string; label: string; variables?: () => string[]; onChange: (text: string) => void; onRun: () => void; onHistory: (direction: -1 | 1) => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const plain = useRef<HTMLTextAreaElement>(null);
  const editor = useRef<Editor | undefined>(undefined);
  const own = useRef(new Set<string>()); // told by the editor and not yet come back
  const [ready, setReady] = useState(false);
  const latest = useRef({ text, onChange, onRun, onHistory });
  latest.current = { text, onChange, onRun, onHistory };
  useEffect(() => {
    let gone = false;
    import("./editor").then(({ openEditor }) => {
      if (gone) return;
      const focused = document.activeElement === plain.current;
      editor.current = openEditor({
        parent: host.current!, text: latest.current.text, dark: isDark.value, base, label, variables,
        onChange: (t) => {
          own.current.add(t);
          latest.current.onChange(t);
        }, onRun: () => latest.current.onRun(), onHistory: (d) => latest.current.onHistory(d),
      });
      setReady(true);
      if (focused) editor.current.focus();
    }, () => undefined);
    return () => {
      gone = true;
      editor.current?.done();
    };
  }, []);
  // Only what comes from elsewhere is put in: what the editor told may be older than what it has.
  useEffect(() => {
    if (own.current.has(text) && text !== editor.current?.text()) return; // a newer one is on its way
    own.current.clear();
    editor.current?.set(text);
  }, [text]);
  useEffect(() => editor.current?.dark(isDark.value), [isDark.value]);
  return (
    <div class="query-field">
      <div ref={host} hidden={!ready} data-editor={ready ? "ready" : "loading"} />
      {!ready && (
        <textarea ref={plain} aria-label={label} rows={1} spellcheck={false} value={text} onInput={(e) => onChange(e.currentTarget.value)}
          onKeyDown={(e) => { if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); onRun(); } }} />
      )}
    </div>
  );
}
