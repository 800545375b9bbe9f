// items.tsx - things one below the other in the editor: each can be moved, taken away and, where its form
// is long, folded. The focus goes along with what is moved.
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";

interface Of<T> {
  all: T[];
  put: (all: T[]) => void;
  name: (x: T, i: number) => string; // for a screen reader: "Query A"
  head?: (x: T, i: number) => ComponentChildren; // its first line
  tools?: (x: T, i: number) => ComponentChildren; // more buttons
  keyOf?: (x: T) => string;
  body: (x: T, set: (to: T) => void, i: number) => ComponentChildren;
  add?: string; // what the button that adds one says
  make?: () => T;
  fold?: boolean;
}

export function Items<T>({ all, put, name, head, tools, keyOf, body, add, make, fold = false }: Of<T>) {
  const [open, setOpen] = useState(-1);
  const box = useRef<HTMLDivElement>(null);
  const focus = (i: number, what: string) => setTimeout(() => {
    const at = box.current?.children[i];
    (at?.querySelector<HTMLElement>(`${what}:enabled`) ?? at?.querySelector<HTMLElement>("button:enabled") ?? box.current?.nextElementSibling as HTMLElement | null)?.focus();
  }, 30);
  const move = (i: number, by: number) => {
    const out = [...all];
    [out[i], out[i + by]] = [out[i + by]!, out[i]!];
    put(out);
    setOpen(open === i ? i + by : open === i + by ? i : open);
    focus(i + by, by < 0 ? "[data-up]" : "[data-down]");
  };
  const remove = (i: number) => {
    put(all.filter((_, j) => j !== i));
    setOpen(-1);
    focus(Math.min(i, all.length - 2), "[data-off]");
  };
  return (
    <>
      <div ref={box}>
        {all.map((x, i) => {
          const said = name(x, i);
          return (
            <section key={keyOf?.(x) ?? i} class="ed-query" aria-label={said}>
              <div class="row">
                {fold ? <button type="button" class="fold" aria-expanded={open === i} onClick={() => setOpen(open === i ? -1 : i)}>{head?.(x, i) ?? said}</button> : head?.(x, i) ?? <b>{said}</b>}
                <span class="row end">
                  <button type="button" class="icon" data-up aria-label={`${said}: up`} disabled={!i} onClick={() => move(i, -1)}>↑</button>
                  <button type="button" class="icon" data-down aria-label={`${said}: down`} disabled={i === all.length - 1} onClick={() => move(i, 1)}>↓</button>
                  {tools?.(x, i)}
                  <button type="button" class="icon" data-off aria-label={`Remove ${said}`} onClick={() => remove(i)}>×</button>
                </span>
              </div>
              {(!fold || open === i) && body(x, (to) => put(all.map((y, j) => (j === i ? to : y))), i)}
            </section>
          );
        })}
      </div>
      {make && <button type="button" onClick={() => { put([...all, make()]); setOpen(all.length); focus(all.length, "input, textarea"); }}>{add}</button>}
    </>
  );
}
