// markup.ts - Markdown and HTML of strangers, made harmless: it is read into a document that is never shown
// and never runs anything, and what is known to be harmless is built anew from there, element by element and
// attribute by attribute. What was read is never shown and what is shown is never read again, so that no two
// readings can differ. What another host serves becomes a link to it; inline styles, which the page's policy
// forbids in markup, are set one by one once they are known to fetch nothing.
import { safeHref } from "./links";
import { markdown } from "./markdown";

// What a style attribute is called until it is applied: parsed under its own name it would be a breach of
// the policy, in a document that is never shown as well.
const STYLE = "data-sx-style";

const SVG = "http://www.w3.org/2000/svg";
const HTML = "http://www.w3.org/1999/xhtml";
const words = (text: string): Set<string> => new Set(text.split(" "));

const TAGS = new Map([
  [HTML, words("a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del details dfn div dl dt em figcaption " +
    "figure font footer h1 h2 h3 h4 h5 h6 header hgroup hr i img ins kbd li mark meter nav ol p pre progress q rp rt ruby s samp section small span " +
    "strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr")],
  [SVG, words("a circle clipPath defs desc ellipse g line linearGradient marker mask path pattern polygon polyline radialGradient rect stop svg symbol text " +
    "textPath tspan use")],
]);

const ATTRIBUTES = new Map([
  [HTML, words("align alt bgcolor border cellpadding cellspacing color cols colspan datetime dir face headers height high id lang low max min noshade nowrap " +
    `open optimum reversed role rowspan rules scope size span start summary target title type valign value width ${STYLE}`)],
  [SVG, words("alignment-baseline clip-path clip-rule clipPathUnits color cx cy d dominant-baseline dx dy fill fill-opacity fill-rule font-family font-size " +
    "font-style font-weight fx fy gradientTransform gradientUnits height href id letter-spacing marker-end marker-mid marker-start markerHeight markerUnits " +
    "markerWidth mask offset opacity orient patternTransform patternUnits points preserveAspectRatio r refX refY role rotate rx ry spreadMethod startOffset " +
    "stop-color stop-opacity stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity stroke-width " +
    `target text-anchor text-decoration textLength transform viewBox visibility width word-spacing x x1 x2 xlink:href y y1 y2 ${STYLE}`)],
]);

// Gone with all that is in them; any other unknown element leaves its children.
const GONE = words("script style title noscript template object embed applet audio video source track picture canvas math textarea select option base meta link " +
  "param frameset noframes noembed plaintext xmp animate animateMotion animateTransform set image feImage filter foreignObject metadata");

const quiet = document.implementation.createHTMLDocument(""); // nothing loads in it

function rebuild(from: Node, to: Node): void {
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) to.appendChild(quiet.createTextNode(node.nodeValue!));
    if (node.nodeType !== Node.ELEMENT_NODE) continue;
    const e = node as Element;
    const space = e.namespaceURI ?? "";
    if (GONE.has(e.localName)) continue;
    if (!TAGS.get(space)?.has(e.localName)) {
      if (space === HTML) rebuild(e, to);
      continue;
    }
    const made = quiet.createElementNS(space, e.localName);
    for (const { name, value } of e.attributes)
      if (ATTRIBUTES.get(space)!.has(name) || /^aria-[a-z]+$/.test(name) || name === "href" && e.localName === "a" || name === "src" && e.localName === "img")
        made.setAttribute(name, value);
    rebuild(e, made);
    to.appendChild(made);
  }
}

function cleaned(html: string): DocumentFragment {
  const read = new DOMParser().parseFromString(renameAttributes(html), "text/html");
  for (const e of read.querySelectorAll("iframe")) leave(e, e.getAttribute("src") ?? "", e.getAttribute("title") || "frame");
  const part = quiet.createDocumentFragment();
  rebuild(read.body, part);
  return part;
}

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

export const MARKDOWN_MAX = 1 << 18;

export interface FillOptions { html: boolean; prefix: string; origin?: string }

// Fills `box` with what `text` means.
export function fill(box: HTMLElement, text: string, { html, prefix }: FillOptions): void {
  const part = cleaned(html ? text : markdown(text.slice(0, MARKDOWN_MAX)));
  for (const e of [...part.querySelectorAll("*")]) tame(e, prefix);
  box.replaceChildren(part);
  for (const e of box.querySelectorAll<HTMLElement>(`[${STYLE}]`)) applyStyle(e);
  anchors(box, prefix);
}

function tame(e: Element, prefix: string): void {
  const tag = e.localName;
  for (const { name, value } of [...e.attributes])
    if (name !== "href" && name !== "src" && name !== STYLE && /url\s*\(|\\/i.test(value) && !/^url\(#[\w-]+\)$/.test(value)) e.removeAttribute(name);
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
