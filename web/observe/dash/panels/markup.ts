// markup.ts - Markdown and HTML of strangers, made harmless: scripts, forms, frames and names that shadow
// the page's own are gone, what another host serves becomes a link to it, and inline styles, which the
// page's policy forbids in markup, are set one by one once they are known to fetch nothing.
import DOMPurify from "dompurify";
import { Marked } from "marked";
import { safeHref } from "./links";

const marked = new Marked({ gfm: true, async: false });

// What a style attribute is called until it is applied: parsed under its own name it would be a breach of
// the policy, in a document that is never shown as well.
const STYLE = "data-sx-style";

const CLEAN = {
  USE_PROFILES: { html: true, svg: true },
  FORBID_TAGS: ["style", "title", "form", "input", "button", "textarea", "select", "option", "video", "audio", "source", "track", "picture", "object",
    "embed", "dialog", "template", "slot", "base", "meta", "link", "noscript", "foreignObject", "animate", "animateMotion", "animateTransform", "set", "feImage", "image", "map", "area", "main", "marquee"],
  FORBID_ATTR: ["srcset", "background", "ping", "action", "formaction", "autofocus", "tabindex", "accesskey", "popover", "popovertarget", "usemap", "contenteditable", "draggable", "is", "slot", "style"],
  ADD_TAGS: ["iframe"], // made a link below
  ALLOW_DATA_ATTR: false,
  ADD_ATTR: [STYLE, "target"],
  ADD_URI_SAFE_ATTR: [STYLE],
  RETURN_DOM_FRAGMENT: true as const,
};



// Every attribute of every tag, under the name that it is to have until it is cleaned. Not what keeps the
// page safe, only what keeps the policy from complaining; text that is no markup stays as it is. A style
// sheet is called a title: neither is shown, and a title is no breach of the policy.
export function renameAttributes(html: string): string {
  let out = "";
  let done = 0;
  const tag = /<[a-z][^\s/>]*/gi;
  const attribute = /[\s/]*([^\s"'<>/=]+)(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]*))?|["'/=\s<]+/gy;
  while (tag.exec(html)) {
    attribute.lastIndex = tag.lastIndex;
    for (let at = tag.lastIndex, found; at < html.length && html[at] !== ">" && (found = attribute.exec(html)); at = attribute.lastIndex) {
      const name = found[1]?.toLowerCase() ?? "";
      const to = name === "style" ? STYLE : name.startsWith("on") ? "data-sx-gone" : "";
      if (!to) continue;
      const from = found.index + found[0].indexOf(found[1]);
      out += html.slice(done, from) + to;
      done = from + name.length;
    }
    tag.lastIndex = Math.max(tag.lastIndex, attribute.lastIndex);
  }
  return (out + html.slice(done)).replace(/<(\/?)style(?=[\s/>])/gi, "<$1title");
}

export const MARKDOWN_MAX = 1 << 20;

export interface FillOptions { html: boolean; prefix: string; origin?: string }

// Fills `box` with what `text` means.
export function fill(box: HTMLElement, text: string, { html, prefix }: FillOptions): void {
  const source = html ? text : (marked.parse(text.slice(0, MARKDOWN_MAX)) as string);
  const part = DOMPurify.sanitize(renameAttributes(source), CLEAN) as unknown as DocumentFragment;
  for (const e of [...part.querySelectorAll("*")]) tame(e, prefix);
  box.replaceChildren(part);
  for (const e of box.querySelectorAll<HTMLElement>(`[${STYLE}]`)) applyStyle(e);
  anchors(box, prefix);
}

function tame(e: Element, prefix: string): void {
  const tag = e.localName;
  for (const { name, value } of [...e.attributes])
    if ((name !== "href" && name !== "src" && name !== STYLE && /url\s*\(|\\/i.test(value) && !/^url\(#[\w-]+\)$/.test(value)) || name === "class" || name === "name") e.removeAttribute(name);
  if (e.id) e.id = prefix + e.id;
  if (tag === "img") foreign(e, e.getAttribute("src") ?? "", e.getAttribute("alt") || "image");
  else if (tag === "iframe") leave(e, e.getAttribute("src") ?? "", e.getAttribute("title") || "frame");
  else if (tag === "a") link(e, prefix);
  else
    for (const name of ["href", "xlink:href", "src"])
      if (e.hasAttribute(name) && !/^#/.test(e.getAttribute(name)!)) e.removeAttribute(name);
}

const ours = (src: string): boolean => {
  if (/^data:image\//i.test(src)) return true;
  try {
    return new URL(src, document.baseURI).origin === location.origin;
  } catch {
    return false;
  }
};

// An image of this server stays, any other becomes a link.
function foreign(e: Element, src: string, name: string): void {
  if (src && ours(src)) e.setAttribute("loading", "lazy");
  else leave(e, src, name);
}

function leave(e: Element, src: string, name: string): void {
  let text = name;
  if (!src) return e.remove();
  try {
    const at = new URL(src, document.baseURI);
    if (!/^https?:$/.test(at.protocol)) throw new Error("no page");
    const a = document.createElement("a");
    a.href = at.href;
    a.target = "_blank";
    a.rel = "noopener noreferrer";
    a.textContent = at.origin === location.origin ? name : `${name} (${at.host})`;
    if (e.closest("a")) text = a.textContent;
    else return void e.replaceWith(a);
  } catch {
    // an address that is none is told by its name alone
  }
  e.replaceWith(document.createTextNode(text));
}

function plain(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function link(a: Element, prefix: string): void {
  const href = a.getAttribute("href") ?? a.getAttribute("xlink:href") ?? "";
  a.removeAttribute("xlink:href");
  if (!href || !safeHref(href)) return a.removeAttribute("href");
  if (href[0] === "#") {
    a.setAttribute("data-anchor", prefix + plain(href.slice(1)));
    return;
  }
  if (!ours(href)) a.setAttribute("target", "_blank");
  if (a.getAttribute("target")) {
    a.setAttribute("target", "_blank");
    a.setAttribute("rel", "noopener noreferrer");
  }
}

// Headings can be led to by their text, as everywhere where Markdown is read. The page has its own first
// heading, the panel the second: a text's lie two levels lower and keep their size.
function anchors(box: HTMLElement, prefix: string): void {
  const used = new Set<string>();
  for (const old of box.querySelectorAll<HTMLElement>("h1, h2, h3, h4, h5, h6")) {
    const h = document.createElement(`h${Math.min(6, Number(old.localName[1]) + 2)}`);
    h.className = `head-${old.localName[1]}`;
    h.style.cssText = old.style.cssText;
    h.id = old.id;
    h.append(...old.childNodes);
    old.replaceWith(h);
    if (h.id) continue;
    const slug = prefix + (h.textContent ?? "").trim().toLowerCase().replace(/[^\p{L}\p{N}\s-]/gu, "").replace(/\s+/g, "-");
    let id = slug;
    for (let i = 1; used.has(id); i++) id = `${slug}-${i}`;
    used.add(id);
    h.id = id;
  }
}

const FETCHES = /url\s*\(|image-set|cross-fade|image\s*\(|src\s*\(|paint\s*\(|element\s*\(|expression|javascript:|\\|@/i;

// "a: b; c: d !important" as pairs; those that could fetch something are left out.
export function styleOf(text: string): [name: string, value: string, priority: string][] {
  const out: [string, string, string][] = [];
  for (const part of text.replace(/\/\*[\s\S]*?\*\//g, "").split(";")) {
    const at = part.indexOf(":");
    const name = part.slice(0, at).trim().toLowerCase();
    const value = part.slice(at + 1).trim();
    if (at < 1 || !/^[a-z-]+$/.test(name) || name.startsWith("--") || FETCHES.test(value) || /^(behavior|-moz-binding|animation|transition)/.test(name)) continue;
    const important = /\s*!important$/i.test(value);
    out.push([name, value.replace(/\s*!important$/i, ""), important ? "important" : ""]);
  }
  return out;
}

function applyStyle(e: HTMLElement): void {
  for (const [name, value, priority] of styleOf(e.getAttribute(STYLE) ?? "")) e.style.setProperty(name, value, priority);
  e.removeAttribute(STYLE);
}
