// bits.tsx - the small pieces that every view is made of.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Labels } from "../base/format";
import { agoText, beat, plainRange, timeText } from "../base/time";
import type { Asked } from "../base/data";

export type Tone = "good" | "warn" | "bad" | "calm";

// A state as a word and a shape, so that it does not hang on the colour alone.
const MARK: Record<Tone, string> = { good: "●", warn: "▲", bad: "■", calm: "○" };

export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{MARK[tone]}</span> {children}
    </span>
  );
}

export function LabelList({ labels, onPick }: { labels: Labels; onPick?: (name: string, value: string) => void }) {
  const names = Object.keys(labels).filter((n) => n !== "__name__");
  return (
    <span class="labels">
      {names.map((name) =>
        onPick ? (
          <button key={name} type="button" class="label" onClick={() => onPick(name, labels[name]!)}
            title={`Only ${name}="${labels[name]}"`}>
            <b>{name}</b>={labels[name]}
          </button>
        ) : (
          <span key={name} class="label"><b>{name}</b>={labels[name]}</span>
        ))}
    </span>
  );
}

// "12 s ago" with the exact time for who points at it.
export function Ago({ at }: { at: string | number }) {
  void beat.value;
  const ms = typeof at === "number" ? at : Date.parse(at);
  if (!(ms > 0)) return <span class="dim">never</span>;
  return <time dateTime={new Date(ms).toISOString()} title={timeText(ms)}>{agoText(ms)}</time>;
}

export function Failure({ text }: { text: string }) {
  return <div class="failure" role="alert">{text}</div>;
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

// For pages that tell how things are now: they go on asking unless one says otherwise.
export const useLive = (): void => useEffect(() => {
  plainRange("30s");
  return () => plainRange();
}, []);

export const Loading = () => <div class="loading" role="status" aria-label="Loading"><i /><i /><i /></div>;

// The answer if there is one, else why not; an old answer stays below a new error.
export function Answer<T>({ of, children }: { of: Asked<T>; children: (data: T) => ComponentChildren }) {
  return (
    <>
      {of.error && <Failure text={of.error} />}
      {of.data !== undefined ? children(of.data) : !of.error && <Loading />}
    </>
  );
}

export function Filter({ value, onInput, label }: { value: string; onInput: (v: string) => void; label: string }) {
  return (
    <input class="filter" type="search" value={value} placeholder={label} aria-label={label} spellcheck={false}
      onInput={(e) => onInput(e.currentTarget.value)} />
  );
}

// One of a few, as buttons side by side.
export function Choice<T extends string>({ label, value, options, onChange }: {
  label: string; value: T; options: readonly (readonly [T, ComponentChildren])[]; onChange: (v: T) => void;
}) {
  return (
    <div class="choice" role="group" aria-label={label}>
      {options.map(([v, text]) => (
        <button key={v} type="button" aria-pressed={v === value} onClick={() => onChange(v)}>{text}</button>
      ))}
    </div>
  );
}

// Tabs by the keyboard: arrows move, the rest is in the address.
export function Tabs<T extends string>({ value, options, onChange, label }: {
  label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (v: T) => void;
}) {
  const list = useRef<HTMLDivElement>(null);
  const move = (e: KeyboardEvent) => {
    const by = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!by) return;
    e.preventDefault();
    const i = options.findIndex(([v]) => v === value);
    const next = (i + by + options.length) % options.length;
    onChange(options[next]![0]);
    (list.current!.children[next] as HTMLElement).focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
      {options.map(([v, text]) => (
        <button key={v} type="button" role="tab" aria-selected={v === value} tabIndex={v === value ? 0 : -1}
          onClick={() => onChange(v)}>{text}</button>
      ))}
    </div>
  );
}

// A layer over the page: focus goes in, stays in, and comes back; Escape and a click beside it close.
export function Layer({ label, onClose, children, kind = "" }: {
  label: string; onClose: () => void; children: ComponentChildren; kind?: string;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const d = dialog.current!;
    d.showModal();
    d.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => {
      if (d.open) d.close();
      before?.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} class={`layer ${kind}`} aria-label={label}
      onCancel={(e) => { e.preventDefault(); onClose(); }}
      onMouseDown={(e) => { if (e.target === dialog.current) onClose(); }}>
      <div class="sheet">{children}</div>
    </dialog>
  );
}

export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await copyText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return <button type="button" class="quiet" onClick={copy} aria-label={`Copy ${what}`}>{done ? "Copied" : "Copy"}</button>;
}

// The clipboard is given to secure pages only; the others have the old way.
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function saveFile(name: string, content: BlobPart, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
