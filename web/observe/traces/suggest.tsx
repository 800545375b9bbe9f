// suggest.tsx - a text field that offers how to go on: names of attributes, their values.
import { useEffect, useRef, useState } from "preact/hooks";

export interface Offer { text: string; note?: string }
export interface Offers { from: number; list: Offer[] } // each replaces what is from there to the cursor

const SHOWN_MAX = 50;
const WAIT_MS = 120;

// `first`: Enter takes the first offer where none is chosen.
export function Suggest({ id, label, value, placeholder, first, onInput, offers }: {
  id: string; label: string; value: string; placeholder?: string; first?: boolean; onInput: (v: string) => void; offers: (text: string, cursor: number) => Promise<Offers | undefined>;
}) {
  const field = useRef<HTMLInputElement>(null);
  const [shown, setShown] = useState<Offers>();
  const [at, setAt] = useState(0);
  const timer = useRef(0);
  const turn = useRef(0);
  const latest = useRef(offers); // what is asked when the time comes may stand on what was typed since
  latest.current = offers;
  useEffect(() => () => clearTimeout(timer.current), []);
  const look = () => {
    clearTimeout(timer.current);
    const mine = ++turn.current;
    timer.current = window.setTimeout(() => {
      const f = field.current;
      if (!f || document.activeElement !== f) return;
      latest.current(f.value, f.selectionStart ?? f.value.length).then((o) => {
        if (mine !== turn.current) return;
        setAt(-1);
        setShown(o && o.list.length ? { ...o, list: o.list.slice(0, SHOWN_MAX) } : undefined);
      }, () => setShown(undefined));
    }, WAIT_MS);
  };
  const close = () => {
    turn.current++;
    setShown(undefined);
  };
  const take = (o: Offer) => {
    const f = field.current!;
    const cursor = f.selectionStart ?? f.value.length;
    const text = f.value.slice(0, shown!.from) + o.text + f.value.slice(cursor);
    onInput(text);
    close();
    const to = shown!.from + o.text.length;
    requestAnimationFrame(() => {
      f.focus();
      f.setSelectionRange(to, to);
      look();
    });
  };
  const key = (e: KeyboardEvent) => {
    if (e.key === " " && e.ctrlKey) {
      e.preventDefault();
      look();
      return;
    }
    if (!shown) return;
    const by = e.key === "ArrowDown" ? 1 : e.key === "ArrowUp" ? -1 : 0;
    const n = shown.list.length;
    if (by) setAt(at < 0 && by < 0 ? n - 1 : (at + by + n) % n);
    else if ((e.key === "Enter" && (first || at >= 0)) || e.key === "Tab") {
      if (e.key === "Tab" && at < 0) return close();
      take(shown.list[Math.max(at, 0)]!);
    } else if (e.key === "Escape") close();
    else return;
    e.preventDefault();
  };
  return (
    <div class="suggest">
      <input ref={field} id={id} class="mono" value={value} placeholder={placeholder} aria-label={label} spellcheck={false} autocomplete="off"
        role="combobox" aria-expanded={!!shown} aria-controls={`${id}-list`} aria-autocomplete="list" aria-activedescendant={shown && at >= 0 ? `${id}-${at}` : undefined}
        onInput={(e) => { onInput(e.currentTarget.value); look(); }} onFocus={look} onClick={look} onBlur={close} onKeyDown={key} />
      <ul id={`${id}-list`} role="listbox" aria-label={`${label}: suggestions`} hidden={!shown}>
        {shown?.list.map((o, i) => (
          <li key={o.text} id={`${id}-${i}`} role="option" aria-selected={i === at} onMouseDown={(e) => { e.preventDefault(); take(o); }}>
            <span class="mono">{o.text}</span>{o.note && <small>{o.note}</small>}
          </li>
        ))}
      </ul>
    </div>
  );
}
