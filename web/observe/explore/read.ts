// read.ts - PromQL read back into the builder's form (model.ts). What that form cannot hold is refused
// with the reason: such a query stays text, and nothing of it is ever left out silently.
import { type Built, isDuration, isNumber, type LabelFilter, levelOf, type Operator, type Step, write } from "./model";
import { type Op, opOf } from "./steps";

export class NotBuilt extends Error {}
const refuse = (why: string): never => { throw new NotBuilt(why); };

const TOKEN = /\s*(?:(#)|("(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*'|`[^`]*`)|((?:\d+(?:ms|[smhdwy]))+(?!\w)|0x[\da-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\w.]))|([a-z_:][\w:]*)|(==|!=|=~|!~|<=|>=|[-+*\/%^<>=(){}[\],:@]))/iy;

interface Token { kind: "text" | "number" | "name" | "sign"; text: string }
type Part = { number: string } | { text: string } | { q: Built; bare?: boolean; range?: string };

function tokensOf(text: string): Token[] {
  const out: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const m = TOKEN.exec(text) ?? refuse(`“${text.slice(at).trim().slice(0, 20)}” is not understood.`);
    if (m[1]) refuse("It has a comment, which the builder would lose.");
    // In [5m:] the colon would be a name.
    if (m[4]?.startsWith(":")) {
      out.push({ kind: "sign", text: ":" });
      TOKEN.lastIndex -= m[4].length - 1;
    } else if (m[2]) out.push({ kind: "text", text: unquoted(m[2]) });
    else out.push(m[3] ? { kind: "number", text: m[3] } : m[4] ? { kind: "name", text: m[4] } : { kind: "sign", text: m[5]! });
  }
  return out;
}

const PLAIN: Record<string, string> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" };

function unquoted(s: string): string {
  const inner = s.slice(1, -1);
  if (s[0] === "`") return inner;
  return inner.replace(/\\(?:x([\da-f]{2})|u([\da-f]{4})|U([\da-f]{8})|([0-7]{3})|([^]))/gi, (all, x?: string, u?: string, U?: string, o?: string, c?: string) => {
    const code = o ? parseInt(o, 8) : parseInt(x ?? u ?? U ?? "", 16);
    if (c !== undefined) return PLAIN[c] ?? (/[\\"']/.test(c) ? c : refuse(`“${all}” is no escape.`));
    if (x || o ? code > 127 : code > 0x10ffff) refuse("It has bytes in a text, which the builder cannot show.");
    return String.fromCodePoint(code);
  });
}

// The query, or why it cannot be one. An empty text is an empty query.
export function read(text: string): { q: Built } | { why: string } {
  try {
    if (!text.trim()) return { q: { metric: "", filters: [], offset: "", steps: [] } };
    const reader = new Reader(tokensOf(text));
    const part = reader.binary(0);
    if (reader.now) refuse(`“${reader.now.text}” does not belong there.`);
    if (!("q" in part)) return { why: "It names no metric." };
    if (part.range) refuse("A range of time needs a function, as in rate.");
    return { q: part.q };
  } catch (e) {
    if (e instanceof NotBuilt) return { why: e.message };
    throw e;
  }
}

const DEPTH_MAX = 200;
const BINARY: Record<string, number> = { or: 1, and: 2, unless: 2, atan2: 5 };

class Reader {
  private at = 0;
  private depth = 0;
  constructor(private readonly tokens: Token[]) {}

  get now(): Token | undefined { return this.tokens[this.at]; }
  private is(text: string): boolean {
    const t = this.now;
    return !!t && t.kind !== "text" && t.text.toLowerCase() === text;
  }
  private take(text: string): boolean {
    const yes = this.is(text);
    if (yes) this.at++;
    return yes;
  }
  private need(text: string): void {
    if (!this.take(text)) refuse(this.now ? `“${this.now.text}” stands where “${text}” should.` : `“${text}” is missing.`);
  }

  binary(least: number): Part {
    if (++this.depth > DEPTH_MAX) refuse("It is nested too deeply.");
    const part = this.joins(least);
    this.depth--;
    return part;
  }

  private joins(least: number): Part {
    let a = this.unary();
    for (let t = this.now; t && t.kind !== "text"; t = this.now) {
      const sign = t.text.toLowerCase();
      const level = t.kind === "sign" ? (/^([-+*/%^<>]|[=!<>]=)$/.test(sign) ? levelOf(sign) : 0) : BINARY[sign] ?? 0;
      if (!level || level < least) return a;
      this.at++;
      const bool = this.take("bool");
      if (this.is("on") || this.is("ignoring")) refuse("It joins two queries, which the builder does not.");
      const b = this.binary(sign === "^" ? level : level + 1);
      a = this.joined(a, sign, b, bool);
    }
    return a;
  }

  private joined(a: Part, sign: string, b: Part, bool: boolean): Part {
    if ("q" in a && "q" in b) refuse(`It joins two queries by “${sign}”, which the builder does not.`);
    if (!opOf(sign)) refuse(`“${sign}” is not among the builder's steps.`);
    const of = "q" in a ? a : b;
    const number = "number" in a ? a.number : "number" in b ? b.number : refuse(`“${sign}” wants a number.`);
    if (!("q" in of)) return refuse("It calculates with numbers alone; write the result.");
    if (of.range) refuse("A range of time needs a function, as in rate.");
    const step: Step = { id: sign, args: [number] };
    if (bool) step.bool = true;
    if (!("q" in a)) step.left = true;
    return { q: { ...of.q, steps: [...of.q.steps, step] } };
  }

  // A sign before binds less than a power, more than the rest.
  private unary(): Part {
    const sign = this.is("-") || this.is("+") ? this.tokens[this.at++]!.text : "";
    if (!sign) return this.after(this.primary());
    const part = this.binary(levelOf("^"));
    if (!("number" in part)) return sign === "+" && "q" in part ? part : refuse("It has a minus before a query; multiply by -1.");
    if (sign === "+") return part;
    return { number: part.number.startsWith("-") ? part.number.slice(1) : `-${part.number}` };
  }

  private duration(): string {
    const minus = this.take("-") ? "-" : "";
    const t = this.tokens[this.at++];
    if (t?.kind !== "number" || !isDuration(t.text)) refuse("A span of time such as 5m is missing, or is more than the builder has.");
    return minus + t!.text;
  }

  // What follows a selector: [5m], [5m:], offset 1h.
  private after(part: Part): Part {
    while ("q" in part) {
      if (this.take("[")) {
        const range = this.duration();
        const sub = this.take(":");
        if (range.startsWith("-")) refuse("A range is not negative.");
        if (sub && !this.is("]")) refuse("It has a subquery with a step of its own.");
        this.need("]");
        if (part.range || (!sub && !part.bare)) refuse("There is a range of time where none can be.");
        if (sub && !part.q.steps.length) refuse("It has a subquery of a metric itself.");
        part = { ...part, range };
        if (sub) part.bare = false;
      } else if (this.take("offset")) {
        if (!part.bare || part.q.offset) refuse("It looks back from elsewhere than the metric.");
        part = { ...part, q: { ...part.q, offset: this.duration() } };
      } else if (this.is("@")) refuse("It has a fixed time (@).");
      else break;
    }
    return part;
  }

  private primary(): Part {
    const t = this.tokens[this.at++] ?? refuse("It ends too early.");
    if (t.kind === "text") return { text: t.text };
    if (t.kind === "number") return isNumber(t.text) ? { number: t.text } : refuse(`“${t.text}” is a span of time where a number should be.`);
    if (t.text === "(") {
      const inner = this.binary(0);
      this.need(")");
      if ("q" in inner && inner.range) refuse("A range of time needs a function, as in rate.");
      return "q" in inner ? { q: inner.q } : inner;
    }
    if (t.text === "{") {
      this.at--;
      return this.selected("");
    }
    if (t.kind !== "name") refuse(`“${t.text}” does not belong there.`);
    if (/^(inf|nan)$/i.test(t.text) && !this.is("{")) return { number: t.text };
    const op = opOf(t.text.toLowerCase());
    if (op?.kind === "group" && (this.is("(") || this.is("by") || this.is("without"))) return this.call(op);
    if (this.is("(")) {
      const fn = opOf(t.text);
      return fn ? this.call(fn) : refuse(`${t.text} is not among the builder's steps.`);
    }
    return this.selected(t.text);
  }

  private grouping(step: Step): void {
    const word = this.is("by") ? "by" : this.is("without") ? "without" : undefined;
    if (!word || step.group) return;
    this.at++;
    this.need("(");
    const labels: string[] = [];
    while (!this.take(")")) {
      const t = this.tokens[this.at++];
      if (t?.kind !== "name" && t?.kind !== "text") refuse("A label's name is missing.");
      labels.push(t!.text);
      if (!this.is(")")) this.need(",");
    }
    if (!labels.length && word === "by") return;
    step.group = word;
    step.labels = labels;
  }

  private call(op: Op): Part {
    const step: Step = { id: op.id, args: [] };
    if (op.kind === "group") this.grouping(step);
    this.need("(");
    const parts: Part[] = [];
    while (!this.is(")")) {
      parts.push(this.binary(0));
      if (!this.is(")")) this.need(",");
    }
    this.need(")");
    if (op.kind === "group") this.grouping(step);
    const before = op.args.filter((a) => a.before).length;
    const of = parts.splice(before, 1)[0];
    if (!of || !("q" in of)) return refuse(`${op.id} is not given a query where it wants one.`);
    if (!!of.range !== (op.kind === "range")) refuse(of.range ? `${op.id} takes no range of time.` : `${op.id} wants a range of time, as in [5m].`);
    for (const a of op.args) {
      const p = a.kind === "range" ? undefined : parts.shift();
      if (a.kind === "range") step.args.push(of.range!);
      else if (!p && a.optional) step.args.push("");
      else if (a.kind === "number" && p && "number" in p) step.args.push(p.number);
      else if (a.kind === "text" && p && "text" in p) step.args.push(p.text);
      else refuse(`${op.id} is given something else than a plain ${a.kind === "text" ? "text" : "number"}.`);
    }
    if (parts.length) refuse(`${op.id} is given too much.`);
    return { q: { ...of.q, steps: [...of.q.steps, step] } };
  }

  private selected(name: string): Part {
    const q: Built = { metric: name, filters: [], offset: "", steps: [] };
    if (this.take("{"))
      while (!this.take("}")) {
        const t = this.tokens[this.at++];
        if (t?.kind !== "name" && t?.kind !== "text") refuse("A label's name is missing.");
        const sign = this.now?.kind === "sign" && /^(=|!=|=~|!~)$/.test(this.now.text) ? this.tokens[this.at++]!.text as Operator : undefined;
        if (!sign) {
          if (t!.kind !== "text" || q.metric) refuse("A filter is not complete.");
          q.metric = t!.text;
        } else this.filter(q, { name: t!.text, op: sign, value: "" });
        if (this.is("or")) refuse("It has “or” between filters.");
        if (!this.is("}")) this.need(",");
      }
    if (!write(q)) refuse("It selects everything.");
    return { q, bare: true };
  }

  private filter(q: Built, f: LabelFilter): void {
    const t = this.tokens[this.at++];
    if (t?.kind !== "text") refuse(`The value of ${f.name} must stand in quotes.`);
    f.value = t!.text;
    if (f.name === "__name__" && f.op === "=" && !q.metric) q.metric = f.value;
    else q.filters.push(f);
  }
}
