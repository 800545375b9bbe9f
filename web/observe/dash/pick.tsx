// pick.tsx - one or several of many values: a button that says what is taken, and a list that is searched
// as one types. Lists of thousands show what is seen; typed values are taken where that is allowed.
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { matches } from "../base/format";
import { Popup } from "../parts/popup";
import { ALL } from "./interpolate";
import type { Option } from "./model";

const SHOWN_MAX = 300;

export interface PickProps {
  label: string; // its accessible name
  options: Option[];
  value: string[]; // ALL among them: everything
  multi?: boolean;
  all?: boolean; // offers everything
  typed?: boolean; // takes what is not in the list
  loading?: boolean;
  onPick: (values: string[]) => void;
  show?: string; // what the button says, if it is not what is taken
}

const textOf = (options: Option[], v: string): string => (v === ALL ? "All" : (options.find((o) => o.value === v)?.text ?? v));

export function Pick(props: PickProps) {
  const { label, options, value, multi, all, typed, loading, onPick, show } = props;
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const wasOpen = useRef(false);
  const texts = value.map((v) => textOf(options, v));
  const said = show ?? (texts.length > 3 ? `${texts.slice(0, 2).join(" + ")} + ${texts.length - 2} more` : texts.join(" + ")) ?? "";
  return (
    <>
      <button ref={button} type="button" class="pick-button" aria-haspopup="listbox" aria-expanded={open} aria-label={`${label}: ${said || "nothing"}`} title={texts.join(" + ")}
        aria-busy={loading || undefined} onPointerDown={() => (wasOpen.current = open)} onClick={() => { setOpen(!wasOpen.current); wasOpen.current = false; }}>
        <span>{said || (loading ? "…" : "None")}</span><span aria-hidden="true" class="dim">▾</span>
      </button>
      {open && <PickList {...{ label, options, value, multi, all, typed, onPick, show }} anchor={button.current!} onClose={() => setOpen(false)} />}
    </>
  );
}

interface Entry { value: string; text: string; typed?: boolean }

function PickList({ label, options, value, multi, all, typed, onPick, anchor, onClose }: PickProps & { anchor: Element; onClose: () => void }) {
  const [search, setSearch] = useState("");
  const [at, setAt] = useState(() => Math.max(0, multi ? 0 : options.findIndex((o) => o.value === value[0]) + (all ? 1 : 0)));
  const [taken, setTaken] = useState<string[]>(value);
  const list = useRef<HTMLUListElement>(null);
  const id = useId();
  const entries = useMemo((): Entry[] => {
    const found: Entry[] = options.filter((o) => o.value !== ALL && matches(o.text, search));
    const head: Entry[] = all && matches("All", search) ? [{ value: ALL, text: "All" }] : [];
    const own: Entry[] = typed && search.trim() && !options.some((o) => o.text === search.trim()) ? [{ value: search.trim(), text: search.trim(), typed: true }] : [];
    return [...head, ...found, ...own];
  }, [options, search]);
  const chosen = Math.min(at, entries.length - 1);
  const shown = entries.length > SHOWN_MAX ? entries.slice(Math.max(0, Math.min(chosen - 50, entries.length - SHOWN_MAX)), Math.max(SHOWN_MAX, Math.min(chosen - 50 + SHOWN_MAX, entries.length))) : entries;
  const first = shown.length ? entries.indexOf(shown[0]!) : 0;
  useEffect(() => list.current?.querySelector("[data-at]")?.scrollIntoView({ block: "nearest" }), [chosen, search]);
  // What is ticked is taken when the list closes: one reload for all of it.
  const now = useRef(taken);
  now.current = taken;
  const finish = () => {
    if (multi) {
      const out = now.current.length ? now.current : all ? [ALL] : options.slice(0, 1).map((o) => o.value);
      if (out.join("\n") !== value.join("\n")) onPick(out);
    }
    onClose();
  };
  const pick = (e: Entry, only: boolean) => {
    if (!multi) {
      onPick([e.value]);
      onClose();
    } else if (only || e.value === ALL) setTaken(e.value === ALL && taken.includes(ALL) ? [] : [e.value]);
    else if (taken.includes(e.value)) setTaken(taken.filter((v) => v !== e.value));
    else {
      setTaken([...taken.filter((v) => v !== ALL), e.value]);
      if (e.typed) setSearch("");
    }
  };
  const key = (e: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[e.key];
    if (by && entries.length) {
      e.preventDefault();
      setAt(Math.abs(by) > 1 ? Math.max(0, Math.min(entries.length - 1, chosen + by)) : (chosen + by + entries.length) % entries.length);
    } else if (e.key === "Enter" && entries[chosen]) {
      e.preventDefault();
      pick(entries[chosen]!, e.ctrlKey || e.metaKey);
    } else if (e.key === "Tab" && multi) finish();
  };
  return (
    <Popup anchor={anchor} onClose={finish} kind="pick-popup" role="dialog" label={label}>
      <input role="combobox" aria-expanded="true" aria-controls={`${id}-list`} aria-label={`Search ${label}`} placeholder={typed ? "Search or type a value" : "Search"} autocomplete="off" spellcheck={false}
        aria-activedescendant={entries.length ? `${id}-${chosen}` : undefined} value={search} ref={(el) => { if (el && !el.dataset.on) { el.dataset.on = "1"; queueMicrotask(() => el.focus()); } }}
        onInput={(e) => { setSearch(e.currentTarget.value); setAt(0); }} onKeyDown={key} />
      <ul ref={list} id={`${id}-list`} role="listbox" aria-label={label} aria-multiselectable={multi}>
        {first > 0 && <li class="dim small" role="presentation">{first} before</li>}
        {shown.map((e, k) => {
          const i = first + k;
          const on = taken.includes(e.value);
          return (
            <li key={e.value} id={`${id}-${i}`} role="option" aria-selected={on} data-at={i === chosen ? "" : undefined} onClick={(ev) => pick(e, ev.ctrlKey || ev.metaKey)}>
              {multi && <span class="tick" aria-hidden="true">{on ? "✓" : ""}</span>}<span>{e.typed ? `Use “${e.text}”` : e.text || "(empty)"}</span>
            </li>
          );
        })}
        {first + shown.length < entries.length && <li class="dim small" role="presentation">{entries.length - first - shown.length} more: type to find them</li>}
      </ul>
      {!entries.length && <p class="none">No results.</p>}
      {multi && (
        <div class="row pick-foot">
          <span class="dim small" role="status">{taken.includes(ALL) ? "All" : `${taken.length} taken`}</span>
          <span class="end row">
            <button type="button" class="quiet" onClick={() => setTaken([])}>Clear</button>
            <button type="button" class="main" onClick={finish}>Apply</button>
          </span>
        </div>
      )}
    </Popup>
  );
}
