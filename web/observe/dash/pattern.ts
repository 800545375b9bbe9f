// pattern.ts - regular expressions of dashboards, run in a time that the lengths of pattern and text bound.
// The browser's own engine tries every way to match and cannot be stopped: (a+)+$ holds the page for ever.
// So it only gets what is plainly harmless; the rest is run here by going through the text once with all
// ways at the same time, in the order in which the browser would try them (Pike's machine).

export const TOO_LONG = "This regular expression takes too long; make it simpler.";
const PROGRAM_MAX = 4000; // steps of a pattern, its repeats written out
const WORK_MAX = 1e7; // steps of a pattern at once: well below a second
const WORK_PER_MS = 200; // and what it gets back, however slow the machine is
const PLAIN_CHARS_MAX = 200; // of a text for the browser's engine
const CHOICES_MAX = 4; // of a pattern for it

// ---- reading

type Test = (code: number) => boolean;
interface Node {
  least: number; most: number; lazy?: boolean;
  test?: Test; // a character, or
  at?: string; // ^ $ \b \B, or
  ways?: Node[][]; // a group
  group?: number; // that is remembered
  look?: "=" | "!"; // that is looked at ahead
  inside?: [number, number]; // the groups within: each round forgets them
}

// What one character may be is asked of the browser, once for each of ASCII.
function testOf(source: string, flags: string): Test {
  const re = new RegExp(`^${source}$`, flags.replace(/[^is]/g, ""));
  const known = new Int8Array(128);
  return (code) => {
    if (code >= 128) return re.test(String.fromCharCode(code));
    return (known[code] ||= re.test(String.fromCharCode(code)) ? 1 : -1) === 1;
  };
}

const ATOM = /\[\^?(?:\\[^]|[^\]\\])*\]|\\(?:x[\da-f]{2}|u[\da-f]{4}|c[a-z]|0|[^])|[^]/iy;
const REPEAT = /(?:([*+?])|\{(\d+)(,?)(\d*)\})(\??)/y;
const GROUP = /\((?:\?(?:(:|=|!)|(<[=!])|<([^>]*)>))?/y;

class Unknown extends Error {}

function read(source: string, flags: string): { ways: Node[][]; groups: number } {
  let at = 0;
  let groups = 0;
  const tests = new Map<string, Test>();
  const taken = (re: RegExp): RegExpExecArray | null => {
    re.lastIndex = at;
    const m = re.exec(source);
    if (m) at += m[0].length;
    return m;
  };
  const alternatives = (depth: number): Node[][] => {
    const ways: Node[][] = [[]];
    if (depth > 200) throw new Unknown();
    while (at < source.length && source[at] !== ")") {
      if (source[at] === "|") { at++; ways.push([]); continue; }
      const node: Node = { least: 1, most: 1 };
      const before = groups;
      const opening = taken(GROUP);
      if (opening) {
        if (opening[2]) throw new Unknown(); // looking back
        if (!opening[1]) node.group = ++groups;
        else if (opening[1] !== ":") node.look = opening[1] as "=" | "!";
        node.ways = alternatives(depth + 1);
        at++;
      } else {
        const text = taken(ATOM)![0];
        if (/^(?:[\^$]|\\b)$/i.test(text)) node.at = text;
        else if (/^\\[1-9k]/.test(text)) throw new Unknown(); // what a group held before
        else tests.set(text, (node.test = tests.get(text) ?? testOf(text, flags)));
      }
      node.inside = [before + 1, groups];
      const repeat = taken(REPEAT);
      if (repeat) {
        const [, sign, least, comma, most, lazy] = repeat;
        node.least = sign ? (sign === "+" ? 1 : 0) : Number(least);
        node.most = sign ? (sign === "?" ? 1 : Infinity) : most ? Number(most) : comma ? Infinity : node.least;
        node.lazy = lazy === "?";
      }
      ways[ways.length - 1]!.push(node);
    }
    return ways;
  };
  const ways = alternatives(0);
  return { ways, groups };
}

// ---- the machine

type Step = { op: "char"; test: Test } | { op: "at"; what: string } | { op: "save"; slot: number } | { op: "moved"; slot: number } | { op: "split"; to: number; or: number }
  | { op: "jump"; to: number } | { op: "forget"; from: number; to: number } | { op: "look"; not: boolean; program: Step[] } | { op: "match" };

function write(ways: Node[][], out: Step[], marks: { next: number }): void {
  const add = <S extends Step>(s: S): S => {
    if (out.length >= PROGRAM_MAX) throw new Unknown();
    out.push(s);
    return s;
  };
  const once = (n: Node): void => {
    const [from, to] = n.inside!;
    if (from <= to && n.most > 1) add({ op: "forget", from: 2 * from, to: 2 * to + 2 });
    if (n.test) add({ op: "char", test: n.test });
    else if (n.at) add({ op: "at", what: n.at });
    else if (n.look) {
      const program: Step[] = [];
      write(n.ways!, program, marks);
      add({ op: "look", not: n.look === "!", program: [...program, { op: "match" }] });
    } else {
      if (n.group) add({ op: "save", slot: 2 * n.group });
      write(n.ways!, out, marks);
      if (n.group) add({ op: "save", slot: 2 * n.group + 1 });
    }
  };
  // A round more or none; one that takes nothing is none.
  const maybe = (n: Node, body: () => void): void => {
    const s = add({ op: "split", to: out.length + 1, or: 0 });
    body();
    s.or = out.length;
    if (n.lazy) [s.to, s.or] = [s.or, s.to];
  };
  const round = (n: Node): void => {
    if (n.test) return once(n);
    const slot = marks.next++;
    add({ op: "save", slot });
    once(n);
    add({ op: "moved", slot });
  };
  const ends: (Step & { op: "jump" })[] = [];
  ways.forEach((way, i) => {
    const s = i < ways.length - 1 ? add({ op: "split", to: out.length + 1, or: 0 }) : undefined;
    for (const n of way) {
      for (let k = 0; k < n.least; k++) once(n);
      if (n.most === Infinity) {
        const back = out.length;
        maybe(n, () => { round(n); add({ op: "jump", to: back }); });
      } else {
        const nested = (k: number): void => { if (k > 0) maybe(n, () => { round(n); nested(k - 1); }); };
        nested(n.most - n.least);
      }
    }
    if (s) {
      ends.push(add({ op: "jump", to: 0 }));
      s.or = out.length;
    }
  });
  for (const e of ends) e.to = out.length;
}

const isWord = (text: string, i: number): boolean => /\w/.test(text[i] ?? " ");
const isLine = (c: string | undefined): boolean => c === "\n" || c === "\r" || c === "\u2028" || c === "\u2029";

function holds(what: string, text: string, i: number, many: boolean): boolean {
  if (what === "^") return i === 0 || (many && isLine(text[i - 1]));
  if (what === "$") return i === text.length || (many && isLine(text[i]));
  return (isWord(text, i - 1) !== isWord(text, i)) === (what === "\\b");
}

type Caught = (number | undefined)[];
interface Work { left: number }
interface Way { pc: number; caught: Caught }

// Where each group was; with `fixed`, what is caught already, it has to begin at `start`.
function run(program: Step[], text: string, start: number, many: boolean, work: Work, fixed?: Caught): Caught | undefined {
  const seen = new Int32Array(program.length).fill(-1);
  let ways: Way[] = [];
  let found: Caught | undefined;
  for (let i = start; ; i++) {
    const add = (list: Way[], pc: number, caught: Caught, at: number): void => {
      for (;;) {
        if (seen[pc] === at) return;
        seen[pc] = at;
        if (--work.left < 0) throw new Error(TOO_LONG);
        const s = program[pc]!;
        if (s.op === "jump") { pc = s.to; continue; }
        if (s.op === "split") {
          add(list, s.to, caught, at);
          pc = s.or;
          continue;
        }
        if (s.op === "char" || s.op === "match") { list.push({ pc, caught }); return; }
        if (s.op === "at" && !holds(s.what, text, at, many)) return;
        if (s.op === "moved" && caught[s.slot] === at) return;
        if (s.op === "save") (caught = caught.slice())[s.slot] = at;
        else if (s.op === "forget") caught = caught.slice().fill(undefined, s.from, s.to);
        else if (s.op === "look") {
          const ahead = run(s.program, text, at, many, work, caught);
          if (!ahead === !s.not) return;
          if (ahead) caught = ahead;
        }
        pc++;
      }
    };
    if (!found && (!fixed || i === start)) {
      const fresh: Caught = fixed?.slice() ?? [];
      if (!fixed) fresh[0] = i;
      add(ways, 0, fresh, i);
    }
    if (!ways.length && (found || fixed)) return found;
    const next: Way[] = [];
    for (const { pc, caught } of ways) {
      const s = program[pc]!;
      if (s.op === "match") {
        found = caught.slice();
        if (!fixed) found[1] = i;
        break;
      }
      if (s.op === "char" && i < text.length && s.test(text.charCodeAt(i))) add(next, pc + 1, caught, i + 1);
    }
    if (i >= text.length) return found;
    ways = next;
  }
}

// ---- what others see: a RegExp as any other

// Only single characters are repeated, no more than one of them without a fixed number, with few choices.
function isHarmless(ways: Node[][]): boolean {
  let repeats = 0;
  let choices = ways.length;
  const look = (n: Node): boolean => {
    if (n.most > 1 && n.most !== n.least) repeats++;
    choices *= (n.ways?.length ?? 1) * (n.most === 1 && n.least === 0 ? 2 : 1);
    return (n.most === 1 || !n.ways) && (n.ways ?? []).every((w) => w.every(look));
  };
  return ways.every((w) => w.every(look)) && repeats < 2 && choices <= CHOICES_MAX;
}

class Bounded extends RegExp {
  private readonly names: string[];
  left = WORK_MAX;
  private since = performance.now();
  constructor(source: string, flags: string, private readonly program: Step[], private readonly groups: number, private readonly harmless: boolean) {
    super(source, flags);
    this.names = [...source.replace(/\\[^]|\[(?:\\[^]|[^\]\\])*\]/g, "").matchAll(/\((?:\?<([^>=!]+)>|(?!\?))/g)].map((m) => m[1] ?? "");
  }
  // What matchAll makes anew is the same again.
  static get [Symbol.species](): RegExpConstructor { return function (re: RegExp, flags: string) { return pattern(re.source, flags); } as unknown as RegExpConstructor; }
  private ran(text: string, start: number): Caught | undefined {
    const now = performance.now();
    this.left = Math.min(WORK_MAX, Math.max(0, this.left) + (now - this.since) * WORK_PER_MS);
    this.since = now;
    return run(this.program, text, start, this.multiline, this);
  }
  override exec(text: string): RegExpExecArray | null {
    if (this.harmless && text.length <= PLAIN_CHARS_MAX) return super.exec(text);
    const start = this.global ? this.lastIndex : 0;
    const c = start > text.length ? undefined : this.ran(text, start);
    if (this.global) this.lastIndex = c ? c[1]! : 0;
    if (!c) return null;
    const all = Array.from({ length: this.groups + 1 }, (_, k) => (c[2 * k + 1] === undefined ? undefined : text.slice(c[2 * k], c[2 * k + 1])) as string);
    const groups = this.names.some(Boolean) ? Object.fromEntries(this.names.flatMap((n, i) => (n ? [[n, all[i + 1]!]] : []))) : undefined;
    return Object.assign(all, { index: c[0]!, input: text, groups }) as RegExpExecArray;
  }
}

// As new RegExp(), without "y": throws what the browser says of one that is none, and TOO_LONG of one that
// is too large, or that has what cannot be bounded: repeats together with looking back, \1 or the flag u.
export function pattern(source: string, flags = ""): RegExp {
  const plain = new RegExp(source, flags.replace("y", ""));
  if (/[uv]/.test(flags) || /\\[1-9k]|\(\?<[=!]/.test(source)) {
    if (/[*+{?](?![<=!:])/.test(source)) throw new Error(TOO_LONG);
    return plain;
  }
  try {
    const { ways, groups } = read(source, flags);
    const program: Step[] = [];
    write(ways, program, { next: 2 * groups + 2 });
    return new Bounded(source, plain.flags, [...program, { op: "match" }], groups, isHarmless(ways));
  } catch (e) {
    throw e instanceof Unknown ? new Error(TOO_LONG) : e;
  }
}

// "/re/flags" or a bare expression, as dashboards have them.
export function patternOf(text: string, bare = (t: string): string => t): RegExp {
  const parts = /^\/(.*)\/([a-z]*)$/s.exec(text);
  return parts ? pattern(parts[1]!, parts[2]) : pattern(bare(text));
}
