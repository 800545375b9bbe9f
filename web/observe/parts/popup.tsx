// popup.tsx - what opens beside a control and lies over all else: menus, lists, explanations. The
// browser's own popovers give the top layer, Escape and the click beside it; the place is ours.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";

const GAP = 4;
const EDGE = 8;

// Below the control if there is room, else above it, within the window.
function put(box: HTMLElement, at: DOMRect, end: boolean): void {
  box.style.maxHeight = "";
  const width = box.offsetWidth;
  const below = innerHeight - at.bottom - GAP - EDGE;
  const above = at.top - GAP - EDGE;
  const up = box.offsetHeight > below && above > below;
  box.style.maxHeight = `${Math.max(120, up ? above : below)}px`;
  box.style.top = `${up ? Math.max(EDGE, at.top - GAP - box.offsetHeight) : at.bottom + GAP}px`;
  box.style.left = `${Math.max(EDGE, Math.min(end ? at.right - width : at.left, innerWidth - width - EDGE))}px`;
}

export interface PopupProps {
  anchor: Element | { getBoundingClientRect: () => DOMRect };
  onClose: () => void;
  children: ComponentChildren;
  kind?: string; // its class
  end?: boolean; // flush with the control's right edge
  role?: "dialog" | "menu" | "tooltip";
  label?: string;
  id?: string;
}

export function Popup({ anchor, onClose, children, kind = "", end = false, role, label, id }: PopupProps) {
  const box = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  close.current = onClose;
  useLayoutEffect(() => {
    const el = box.current!;
    const before = document.activeElement as HTMLElement | null;
    const place = () => put(el, anchor.getBoundingClientRect(), end);
    el.showPopover();
    place();
    const grown = new ResizeObserver(place);
    grown.observe(el);
    const toggled = (e: Event) => (e as ToggleEvent).newState === "closed" && close.current();
    el.addEventListener("toggle", toggled);
    addEventListener("resize", place);
    addEventListener("scroll", place, true);
    return () => {
      grown.disconnect();
      el.removeEventListener("toggle", toggled);
      removeEventListener("resize", place);
      removeEventListener("scroll", place, true);
      if (role !== "tooltip" && (el.contains(document.activeElement) || document.activeElement === document.body)) before?.focus({ preventScroll: true });
    };
  }, []);
  return <div ref={box} id={id} class={`popup ${kind}`} popover={role === "tooltip" ? "manual" : "auto"} role={role} aria-label={label}>{children}</div>;
}

export interface MenuItem {
  text: string;
  keys?: string;
  href?: string;
  away?: boolean; // opens a page of its own
  checked?: boolean;
  apart?: boolean; // a line above it
  bad?: boolean;
  run?: () => void;
}

// Arrows, Home, End and first letters move within a menu.
function walk(e: KeyboardEvent): void {
  const items = [...(e.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("[role^=menuitem]")];
  const at = items.indexOf(document.activeElement as HTMLElement);
  let next = -1;
  if (e.key === "ArrowDown") next = (at + 1) % items.length;
  else if (e.key === "ArrowUp") next = (at - 1 + items.length) % items.length;
  else if (e.key === "Home") next = 0;
  else if (e.key === "End") next = items.length - 1;
  else if (e.key.length === 1 && e.key !== " " && !e.ctrlKey && !e.metaKey) {
    const key = e.key.toLowerCase();
    next = items.findIndex((_, i) => items[(at + 1 + i) % items.length]!.textContent!.trim().toLowerCase().startsWith(key));
    if (next >= 0) next = (at + 1 + next) % items.length;
    e.stopPropagation(); // it is no shortcut
  }
  if (next < 0) return;
  e.preventDefault();
  items[next]?.focus();
}

export function Menu({ items, onClose, ...place }: { items: MenuItem[] } & Omit<PopupProps, "children" | "role">) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => list.current!.querySelector<HTMLElement>("[role^=menuitem]")?.focus({ preventScroll: true }), []);
  return (
    <Popup {...place} onClose={onClose} kind="menu-popup" role="menu">
      <div ref={list} onKeyDown={walk}>
        {items.map((item) => {
          const inside = <>{item.checked !== undefined && <span aria-hidden="true" class="tick">{item.checked ? "✓" : ""}</span>}<span>{item.text}</span>{item.keys && <kbd>{item.keys}</kbd>}</>;
          const look = `${item.apart ? "apart " : ""}${item.bad ? "bad" : ""}`;
          return item.href !== undefined
            ? <a key={item.text} role="menuitem" tabIndex={-1} class={look} href={item.href} onClick={onClose}
                {...(item.away ? { target: "_blank", rel: "noreferrer" } : {})}>{inside}</a>
            : <button key={item.text} type="button" tabIndex={-1} class={look} role={item.checked === undefined ? "menuitem" : "menuitemcheckbox"}
                aria-checked={item.checked} onClick={() => { onClose(); item.run?.(); }}>{inside}</button>;
        })}
      </div>
    </Popup>
  );
}

export function MenuButton({ label, children, items, kind = "icon", end = true }: {
  label: string; children: ComponentChildren; items: () => MenuItem[]; kind?: string; end?: boolean;
}) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const wasOpen = useRef(false); // the click that closes it beside the menu is not to open it again
  return (
    <>
      <button ref={button} type="button" class={kind} aria-label={label} title={label} aria-haspopup="menu" aria-expanded={open}
        onPointerDown={() => (wasOpen.current = open)}
        onClick={() => { setOpen(!wasOpen.current); wasOpen.current = false; }}>{children}</button>
      {open && <Menu anchor={button.current!} label={label} end={end} items={items()} onClose={() => setOpen(false)} />}
    </>
  );
}

// A sign that explains: by pointing at it, by focus and by a tap; Escape takes it away.
export function Explain({ label, children, text }: { label: string; children: ComponentChildren; text: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const timer = useRef(0);
  const later = (on: boolean, ms: number) => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setOpen(on), ms);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <>
      <button ref={button} type="button" class="icon explain" aria-label={label} aria-describedby={open ? id : undefined}
        onMouseEnter={() => later(true, 150)} onMouseLeave={() => later(false, 250)} onClick={() => setOpen(true)}
        onFocus={() => later(true, 0)} onBlur={() => later(false, 0)}
        onKeyDown={(e) => { if (e.key === "Escape" && open) { e.stopPropagation(); setOpen(false); } }}>{children}</button>
      {open && (
        <Popup anchor={button.current!} role="tooltip" kind="tooltip" id={id} onClose={() => setOpen(false)}>
          <div onMouseEnter={() => clearTimeout(timer.current)} onMouseLeave={() => later(false, 250)}>{text}</div>
        </Popup>
      )}
    </>
  );
}
