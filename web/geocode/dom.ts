// dom.ts - making and finding elements. Text always goes in as text, never as markup.

export const by = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

type Props = Record<string, string | number | boolean | ((e: Event) => void)>;

// h("button", { type: "button", onclick: f }, "Go"): functions become listeners, `true` an empty
// attribute, `false` none, everything else an attribute.
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

export const number = (n: number): string => n.toLocaleString("en");

export const plural = (n: number, one: string): string => `${number(n)} ${one}${n === 1 ? "" : "s"}`;

export const place = (lon: number, lat: number): string => `${lat.toFixed(6)}, ${lon.toFixed(6)}`;

// One line that is read out when it changes; an error stays until the next thing is said.
export function say(text: string, error = false): void {
  const status = by("status");
  status.textContent = text;
  status.classList.toggle("error", error);
}
