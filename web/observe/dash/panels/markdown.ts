// markdown.ts - Markdown as HTML: CommonMark's blocks and emphasis with GitHub's tables, strikethrough, tasks
// and bare addresses, which is what texts of dashboards are written in. Nothing is made safe here: whoever
// shows the result cleans it first (markup.ts), as HTML within Markdown has to be cleaned anyway.

type Refs = Map<string, { href: string; title: string }>;
type Piece = (tight: boolean) => string; // rendered when all references are known
interface Blocks { pieces: Piece[]; gap: boolean } // gap: an empty line between two of them

const INLINE_MAX = 20_000; // of one paragraph's characters; in longer ones nothing is looked for
const DEPTH_MAX = 24; // of quotes and lists within each other; deeper ones are text
const ENTITY = /&(?!(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z][a-z\d]{1,31});)/gi;
const PUNCTUATION = /[\p{P}\p{S}]/u;
const escaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
const attribute = (text: string): string => text.replace(/\\([!-/:-@[-`{-~])/g, "$1").replace(ENTITY, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
const labelOf = (text: string): string => text.trim().replace(/\s+/g, " ").toLowerCase();

// ---- within a line

interface Token {
  html: string;
  mark?: string; // of emphasis: * _ ~
  count: number; // how many are left
  opens: boolean;
  closes: boolean;
  ends: string; // tags before and after what is left
  begins: string;
  bracket?: "[" | "![";
  at: number; // behind the bracket
}

const token = (html: string, more: Partial<Token> = {}): Token => ({ html, count: 0, opens: false, closes: false, ends: "", begins: "", at: 0, ...more });
const written = (tokens: Token[]): string => {
  let out = "";
  for (const t of tokens) out += t.ends + (t.mark ? t.mark.repeat(t.count) : t.html) + t.begins;
  return out;
};

// Marks become tags, innermost first (CommonMark's delimiter stack).
function emphasis(tokens: Token[]): string {
  const marks = tokens.filter((t) => t.mark);
  const bottoms = new Map<string, number>(); // below it no opener is left for such a closer
  for (let c = 0; c < marks.length; c++) {
    const closer = marks[c];
    while (closer.closes && closer.count) {
      const kind = `${closer.mark}${closer.opens}${closer.count % 3}`;
      const bottom = bottoms.get(kind) ?? -1;
      let o = c - 1;
      for (; o > bottom; o--) {
        const t = marks[o];
        if (!t.opens || !t.count || t.mark !== closer.mark) continue;
        if (t.mark === "~" ? t.count !== closer.count : (t.closes || closer.opens) && (t.count + closer.count) % 3 === 0 && (t.count % 3 || closer.count % 3)) continue;
        break;
      }
      if (o <= bottom) {
        bottoms.set(kind, c - 1);
        break;
      }
      const opener = marks[o];
      const used = closer.mark === "~" ? closer.count : Math.min(2, opener.count, closer.count);
      const tag = closer.mark === "~" ? "del" : used === 2 ? "strong" : "em";
      opener.begins = `<${tag}>${opener.begins}`;
      closer.ends += `</${tag}>`;
      opener.count -= used;
      closer.count -= used;
      for (const between of marks.splice(o + 1, c - o - 1)) between.opens = between.closes = false;
      c = o + 1;
      for (const [k, b] of bottoms) if (b > o) bottoms.set(k, o);
    }
  }
  return written(tokens);
}

const TAG = /<(?:\/[a-z][\w-]*\s*|[a-z][\w-]*(?:\s+[a-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?)*\s*\/?|[!?][^<>]*)>/iy;
const AUTO = /<([a-z][a-z\d+.-]{1,31}:[^\s<>]*|[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+)>/iy;
const BARE = /(?:https?:\/\/|www\.)[^\s<]+/iy;
const TARGET = /\(\s*(?:<([^<>\n]{0,4000})>|((?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.){0,2000}\)){0,4000}))(?:\s+(?:"((?:[^"\\]|\\.){0,1000})"|'((?:[^'\\]|\\.){0,1000})'|\(((?:[^()\\]|\\.){0,1000})\)))?\s*\)/sy;
const LABEL = /\[((?:[^[\]\\]|\\.){0,999})\]/sy;
const PLAIN = /[^\\`*_~[\]!<&\nhw ]+|[hw ]/y;

function inline(text: string, refs: Refs): string {
  if (text.length > INLINE_MAX) return escaped(text);
  const tokens: Token[] = [];
  const missing = new Set<number>(); // runs of backticks that have no second
  let at = 0;
  const found = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  const take = (html: string, length: number) => {
    tokens.push(token(html));
    at += length;
  };
  const anchor = (href: string, inner: string, title = "") => `<a href="${attribute(href)}"${title ? ` title="${attribute(title)}"` : ""}>${inner}</a>`;

  function close(): boolean {
    let o = tokens.length - 1;
    while (o >= 0 && !tokens[o].bracket) o--;
    if (o < 0) return false;
    const opener = tokens[o];
    const said = text.slice(opener.at, at);
    at++;
    let to: { href: string; title: string } | undefined;
    let length = 0;
    const target = found(TARGET);
    if (target) {
      to = { href: target[1] ?? target[2], title: target[3] ?? target[4] ?? target[5] ?? "" };
      length = target[0].length;
    } else {
      const label = found(LABEL);
      to = refs.get(labelOf(label?.[1] || said));
      length = to && label ? label[0].length : 0;
    }
    at--;
    const image = opener.bracket === "![";
    opener.bracket = undefined;
    if (!to) return false;
    const inner = emphasis(tokens.splice(o + 1));
    tokens.pop();
    if (image) {
      const name = inner.replace(/<img [^>]*alt="([^"]*)"[^>]*>/g, "$1").replace(/<[^>]*>/g, "").replace(/"/g, "&quot;");
      take(`<img src="${attribute(to.href)}" alt="${name}"${to.title ? ` title="${attribute(to.title)}"` : ""}>`, length + 1);
    } else {
      take(anchor(to.href, inner, to.title), length + 1);
      for (const t of tokens) if (t.bracket === "[") t.bracket = undefined; // no link within a link
    }
    return true;
  }

  function code(): boolean {
    let n = 1;
    while (text[at + n] === "`") n++;
    let end = missing.has(n) ? -1 : at + n;
    while (end >= 0) {
      end = text.indexOf("`".repeat(n), end);
      if (end < 0) break;
      let m = n;
      while (text[end + m] === "`") m++;
      if (m === n) break;
      end += m;
    }
    if (end < 0) {
      missing.add(n);
      take("`".repeat(n), n);
      return true;
    }
    const inner = text.slice(at + n, end).replace(/\n/g, " ");
    take(`<code>${escaped(/^ .*[^ ].* $/.test(inner) ? inner.slice(1, -1) : inner)}</code>`, end + n - at);
    return true;
  }

  function mark(c: string): boolean {
    let n = 1;
    while (text[at + n] === c) n++;
    const before = at ? text[at - 1] : " ";
    const after = text[at + n] ?? " ";
    const space = (x: string) => /\s/.test(x);
    const left = !space(after) && (!PUNCTUATION.test(after) || space(before) || PUNCTUATION.test(before));
    const right = !space(before) && (!PUNCTUATION.test(before) || space(after) || PUNCTUATION.test(after));
    const opens = c === "_" ? left && (!right || PUNCTUATION.test(before)) : left;
    const closes = c === "_" ? right && (!left || PUNCTUATION.test(after)) : right;
    if (c === "~" && n > 2) take(c.repeat(n), n);
    else {
      tokens.push(token("", { mark: c, count: n, opens, closes }));
      at += n;
    }
    return true;
  }

  function angle(): boolean {
    const auto = found(AUTO);
    if (auto) take(anchor(auto[1].includes(":") ? auto[1] : `mailto:${auto[1]}`, escaped(auto[1])), auto[0].length);
    else if (text.startsWith("<!--", at)) {
      const end = text.indexOf("-->", at + 4);
      if (end < 0) return false;
      at = end + 3;
    } else {
      const tag = found(TAG);
      if (!tag) return false;
      take(tag[0], tag[0].length);
    }
    return true;
  }

  function bare(): boolean {
    const address = /[\w/]/.test(text[at - 1] ?? "") ? null : found(BARE);
    if (!address) return false;
    let url = address[0];
    for (let old = ""; old !== url;) {
      old = url;
      url = url.replace(/(?:[?!.,:;*_~'"]|&[a-z\d]+;)$/i, "");
      if (url.endsWith(")") && url.split(")").length > url.split("(").length) url = url.slice(0, -1);
    }
    if (tokens.some((t) => t.bracket === "[")) return false; // maybe a link's text
    take(anchor(/^w/i.test(url) ? `http://${url}` : url, attribute(url)), url.length);
    return true;
  }

  function newline(): boolean {
    const broken = text.slice(at - 2, at).endsWith("  ");
    for (let t; (t = tokens[tokens.length - 1]) && t.html === " "; ) tokens.pop();
    take(broken ? "<br>\n" : "\n", 1);
    return true;
  }

  const RULES: Record<string, () => boolean> = {
    "`": code, "*": () => mark("*"), _: () => mark("_"), "~": () => mark("~"), "<": angle, "]": close, "\n": newline, h: bare, w: bare, H: bare, W: bare,
    "[": () => (tokens.push(token("[", { bracket: "[", at: at + 1 })), at++, true),
    "!": () => text[at + 1] === "[" && (tokens.push(token("![", { bracket: "![", at: at + 2 })), (at += 2), true),
    "\\": () => {
      const next = text[at + 1] ?? "";
      if (next === "\n") take("<br>\n", 2);
      else if (/[!-/:-@[-`{-~]/.test(next)) take(escaped(next), 2);
      else return false;
      return true;
    },
    "&": () => {
      ENTITY.lastIndex = 0;
      const entity = /^&(?:#\d{1,7}|#x[\da-f]{1,6}|[a-z][a-z\d]{1,31});/i.exec(text.slice(at, at + 40));
      take(entity ? entity[0] : "&amp;", entity ? entity[0].length : 1);
      return true;
    },
  };
  while (at < text.length) {
    if (RULES[text[at]]?.()) continue;
    const plain = found(PLAIN)?.[0] ?? text[at];
    take(escaped(plain), plain.length);
  }
  return emphasis(tokens);
}

// ---- lines

const FENCE = /^( {0,3})(`{3,}(?=[^`]*$)|~{3,})\s*(\S*)/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-+*]|\d{1,9}[.)])(?:( +)(.*)|$)/;
const ALIGNS = /^ {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const DEFINITION = /^ {0,3}\[((?:[^[\]\\]|\\.){1,999})\]:\s*(?:<([^<>]*)>|(\S+))(?:\s+(?:"([^"]*)"|'([^']*)'|\(([^()]*)\)))?\s*$/;
const BLOCK_TAG = new RegExp("^ {0,3}</?(?:address|article|aside|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|h[1-6]|header|hr|html|iframe|legend|li|link|main|menu|nav|ol|p|section|summary|svg|table|tbody|td|tfoot|th|thead|title|tr|track|ul)(?=[\\s/>]|$)", "i");
const RAW = /^ {0,3}<(script|pre|style|textarea)(?=[\s>]|$)/i;
const WHOLE_TAG = /^ {0,3}<(?:\/[a-z][\w-]*\s*|[a-z][\w-]*(?:\s+[a-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?)*\s*\/?)>\s*$/i;
const empty = (line: string): boolean => !line.trim();
const indentOf = (line: string): number => line.length - line.trimStart().length;

// Leading tabs as the spaces they stand for.
const untabbed = (line: string): string => line.replace(/^( {0,3}(?:[-+*]|\d{1,9}[.)]))\t/, "$1   ").replace(/^[ \t]+/, (lead) => {
  let out = "";
  for (const c of lead) out += c === "\t" ? " ".repeat(4 - out.length % 4) : c;
  return out;
});

const cellsOf = (line: string): string[] =>
  line.trim().replace(/^\|/, "").replace(/(^|[^\\])\|$/, "$1").split(/(?<!\\)\|/).map((c) => c.trim().replace(/\\\|/g, "|"));

const isTable = (lines: string[], at: number): boolean =>
  lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("-") && /[|:]/.test(lines[at + 1] + lines[at]) && ALIGNS.test(lines[at + 1]) &&
  cellsOf(lines[at]).length === cellsOf(lines[at + 1]).length;

// Whether the line ends a paragraph.
function interrupts(lines: string[], at: number): boolean {
  const line = lines[at];
  if (indentOf(line) > 3) return false;
  const item = ITEM.exec(line);
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || BLOCK_TAG.test(line) || RAW.test(line) ||
    /^ {0,3}<!--/.test(line) || !!item?.[4] && (item[2].length === 1 || /^1[.)]$/.test(item[2])) || isTable(lines, at);
}

function blocks(lines: string[], refs: Refs, depth: number): Blocks {
  const pieces: Piece[] = [];
  let gap = false;
  let spaced = false; // an empty line was before
  let at = 0;
  const put = (piece: Piece) => {
    if (spaced && pieces.length) gap = true;
    spaced = false;
    pieces.push(piece);
  };

  function fence(open: RegExpExecArray): void {
    const body: string[] = [];
    const end = new RegExp(`^ {0,3}${open[2][0]}{${open[2].length},}\\s*$`);
    for (at++; at < lines.length && !end.test(lines[at]); at++) body.push(lines[at].replace(new RegExp(`^ {0,${open[1].length}}`), ""));
    at++;
    put(() => `<pre><code${open[3] ? ` class="language-${attribute(open[3])}"` : ""}>${escaped(body.map((l) => l + "\n").join(""))}</code></pre>\n`);
  }

  function indented(): void {
    const body: string[] = [];
    for (; at < lines.length && (empty(lines[at]) || indentOf(lines[at]) > 3); at++) body.push(lines[at].slice(4));
    while (empty(body[body.length - 1])) body.pop(), (at--);
    put(() => `<pre><code>${escaped(body.join("\n"))}\n</code></pre>\n`);
  }

  function quote(): void {
    const body: string[] = [];
    for (; at < lines.length; at++)
      if (QUOTE.test(lines[at])) body.push(untabbed(lines[at].replace(QUOTE, "")));
      else if (empty(lines[at]) || interrupts(lines, at) || empty(body[body.length - 1]) || /^ {4}|^ {0,3}(?:[`~]{3}|#{1,6} )/.test(body[body.length - 1])) break;
      else body.push(lines[at]);
    const inner = blocks(body, refs, depth + 1).pieces;
    put(() => `<blockquote>\n${inner.map((p) => p(false)).join("")}</blockquote>\n`);
  }

  function list(first: RegExpExecArray): void {
    const kind = first[2].slice(-1);
    const start = parseInt(first[2]);
    const items: Piece[][] = [];
    let loose = false;
    for (let item: RegExpExecArray | null; at < lines.length && (item = ITEM.exec(lines[at])) && item[2].slice(-1) === kind && !RULE.test(lines[at]);) {
      const spaces = item[3]?.length ?? 0;
      const inside = item[1].length + item[2].length + (spaces > 4 || !item[4] ? 1 : spaces);
      const body = [lines[at].slice(inside)];
      let fenced = FENCE.test(body[0]);
      for (at++; at < lines.length; at++) {
        const line = lines[at];
        if (empty(line)) body.push("");
        else if (indentOf(line) >= inside) body.push(line.slice(inside));
        else if (empty(body[body.length - 1]) || fenced || ITEM.test(line) || interrupts(lines, at)) break;
        else body.push(line);
        if (FENCE.test(body[body.length - 1])) fenced = !fenced;
        if (body.length === 2 && empty(body[0]) && empty(body[1])) break; // nothing, and an empty line: the item is empty
      }
      let ended = false;
      while (body.length > 1 && empty(body[body.length - 1])) body.pop(), (ended = true);
      const task = /^\[([ xX])\]\s+(?=\S)/.exec(body[0]);
      if (task) body[0] = (task[1] === " " ? "☐ " : "☑ ") + body[0].slice(task[0].length);
      const inner = blocks(body, refs, depth + 1);
      items.push(inner.pieces);
      const next = at < lines.length ? ITEM.exec(lines[at]) : null;
      if (inner.gap || ended && next && next[2].slice(-1) === kind && !RULE.test(lines[at])) loose = true;
      if (ended && !(next && next[2].slice(-1) === kind)) at--; // that empty line is seen by what follows
      if (ended && !next) break;
    }
    const tag = start >= 0 ? "ol" : "ul";
    put(() => `<${tag}${start >= 0 && start !== 1 ? ` start="${start}"` : ""}>\n${items.map((i) => `<li>${i.map((p) => p(!loose)).join("")}</li>\n`).join("")}</${tag}>\n`);
  }

  function table(): void {
    const head = cellsOf(lines[at]);
    const aligns = cellsOf(lines[at + 1]).map((c) => (c.startsWith(":") ? (c.endsWith(":") ? "center" : "left") : c.endsWith(":") ? "right" : ""));
    const rows: string[][] = [];
    for (at += 2; at < lines.length && !empty(lines[at]) && !interrupts(lines, at); at++) rows.push(cellsOf(lines[at]));
    const row = (cells: string[], tag: string) =>
      `<tr>\n${aligns.map((a, i) => `<${tag}${a ? ` align="${a}"` : ""}>${inline(cells[i] ?? "", refs)}</${tag}>\n`).join("")}</tr>\n`;
    put(() => `<table>\n<thead>\n${row(head, "th")}</thead>\n${rows.length ? `<tbody>${rows.map((r) => row(r, "td")).join("")}</tbody>` : ""}</table>\n`);
  }

  function html(until: RegExp | undefined): void {
    const body: string[] = [];
    for (; at < lines.length && !(!until && empty(lines[at])); at++) {
      body.push(lines[at]);
      if (until?.test(lines[at])) {
        at++;
        break;
      }
    }
    put(() => body.join("\n") + "\n");
  }

  function paragraph(): void {
    const body = [lines[at++]];
    let level = 0;
    for (; at < lines.length && !empty(lines[at]); at++) {
      const under = /^ {0,3}(=+|-+)\s*$/.exec(lines[at]);
      if (under) {
        level = under[1][0] === "=" ? 1 : 2;
        at++;
        break;
      }
      if (interrupts(lines, at)) break;
      body.push(lines[at]);
    }
    for (let d; body.length && (d = DEFINITION.exec(body[0])); body.shift()) {
      const label = labelOf(d[1]);
      if (!refs.has(label)) refs.set(label, { href: d[2] ?? d[3], title: d[4] ?? d[5] ?? d[6] ?? "" });
    }
    if (!body.length) return;
    const text = body.map((l) => l.trimStart()).join("\n").trimEnd();
    put((tight) => {
      const inner = inline(text, refs);
      return level ? `<h${level}>${inner}</h${level}>\n` : tight ? inner : `<p>${inner}</p>\n`;
    });
  }

  while (at < lines.length) {
    const line = lines[at];
    let m: RegExpExecArray | null;
    if (empty(line)) {
      spaced = true;
      at++;
    } else if (indentOf(line) > 3) indented();
    else if ((m = FENCE.exec(line))) fence(m);
    else if ((m = HEADING.exec(line))) {
      const [, marks, text = ""] = m;
      at++;
      put(() => `<h${marks.length}>${inline(text.trim(), refs)}</h${marks.length}>\n`);
    } else if (RULE.test(line)) {
      at++;
      put(() => "<hr>\n");
    } else if (depth < DEPTH_MAX && QUOTE.test(line)) quote();
    else if (depth < DEPTH_MAX && (m = ITEM.exec(line))) list(m);
    else if ((m = RAW.exec(line))) html(new RegExp(`</${m[1]}>`, "i"));
    else if (/^ {0,3}<!--/.test(line)) html(/-->/);
    else if (BLOCK_TAG.test(line) || WHOLE_TAG.test(line)) html(undefined);
    else if (isTable(lines, at)) table();
    else paragraph();
  }
  return { pieces, gap };
}

export function markdown(text: string): string {
  const lines = text.replace(/\r\n?/g, "\n").replace(/\0/g, "\ufffd").split("\n").map(untabbed);
  const refs: Refs = new Map();
  return blocks(lines, refs, 0).pieces.map((p) => p(false)).join("");
}
