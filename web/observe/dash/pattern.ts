// pattern.ts - which regular expressions of a dashboard could hold the page: JavaScript tries every way to
// match and cannot be stopped, so what repeats a repetition in more than one way is refused before it runs.

export const AMBIGUOUS = "This regular expression repeats what repeats already, as (a+)+ does: it could hold the page. Write it with one repetition.";

interface Part { least: number; most: number; loose: boolean; text: string }

const REPEAT = /(?:[*+?]|\{\d+(?:,\d*)?\})\??/y;
const MANY = 10; // repeats from here on are as bad as endless ones

// How often the part before is repeated.
function repeatOf(text: string): [number, number] {
  if (text[0] === "*") return [0, Infinity];
  if (text[0] === "+") return [1, Infinity];
  if (text[0] === "?") return [0, 1];
  const [least, most] = text.replace(/[{}?]/g, "").split(",");
  return [Number(least), most === undefined ? Number(least) : most === "" ? Infinity : Number(most)];
}

const one = (source: string): RegExp | undefined => {
  try { return new RegExp(`^(?:${source})$`, "s"); } catch { return undefined; }
};

// Two single characters that never stand for the same one: whatever is tried, one of them tells the place.
const SAMPLES = Array.from({ length: 126 }, (_, i) => String.fromCharCode(i + 1)).concat("é", "Ж", "漢");
function apart(a: string, b: string): boolean {
  const [x, y] = [one(a), one(b)];
  return !!x && !!y && SAMPLES.some((c) => x.test(c)) && SAMPLES.some((c) => y.test(c)) && !SAMPLES.some((c) => x.test(c) && y.test(c));
}

// One way through a repeated group is clear if nothing in it repeats, or if a character that must be there
// and none of its repetitions takes says where each round ends.
function clear(way: Part[]): boolean {
  const repeats = way.filter((p) => p.loose || p.most !== p.least);
  if (!repeats.length) return true;
  return way.some((p) => !p.loose && p.least >= 1 && p.most === p.least && repeats.every((r) => !r.loose && apart(p.text, r.text)));
}

// Of several ways the first character says which is taken.
const toldApart = (first: (Part | undefined)[]): boolean =>
  first.every((a, i) => first.slice(0, i).every((b) => a && b && !a.loose && !b.loose && apart(a.text, b.text)));

// Reads `source` from `at` to the end of its group; gives where that is and the ways through it.
function read(source: string, at: number, depth: number): { end: number; ways: Part[][]; bad: boolean } {
  const ways: Part[][] = [[]];
  let bad = depth > 100;
  while (at < source.length && source[at] !== ")" && !bad) {
    const from = at;
    let body: Part[][] | undefined;
    if (source[at] === "|") { ways.push([]); at++; continue; }
    if (source[at] === "^" || source[at] === "$") { at++; continue; }
    if (source[at] === "(") {
      const opening = /\((?:\?(?:[:=!]|<[=!]|<[^>]*>))?/y;
      opening.lastIndex = at;
      const inner = read(source, at + opening.exec(source)![0].length, depth + 1);
      bad ||= inner.bad;
      body = inner.ways;
      at = inner.end + 1;
    } else if (source[at] === "[") {
      for (at++; at < source.length && source[at] !== "]"; at++) if (source[at] === "\\") at++;
      at++;
    } else at += source[at] === "\\" ? 2 : 1;
    const text = source.slice(from, at);
    REPEAT.lastIndex = at;
    const repeat = REPEAT.exec(source);
    const [least, most] = repeat ? repeatOf(repeat[0]) : [1, 1];
    if (repeat) at += repeat[0].length;
    // A group of one way that is not repeated is as its parts are.
    if (body?.length === 1 && least === 1 && most === 1) { ways[ways.length - 1]!.push(...body[0]!); continue; }
    if (body && most >= MANY) bad ||= !body.every(clear) || !toldApart(body.map((way) => way[0]));
    const part = { least, most, loose: body !== undefined && body.some((w) => w.some((p) => p.loose || p.most >= MANY || p.most !== p.least)), text };
    ways[ways.length - 1]!.push(part);
  }
  return { end: at, ways, bad };
}

export function ambiguous(source: string): boolean {
  if (source.length > 10000) return true;
  const { ways, bad } = read(source, 0, 0);
  // More than a few "anything" one right after the other take the length's power of their number.
  return bad || ways.some((way) => way.some((_, i) => way.slice(i, i + 3).length === 3 && way.slice(i, i + 3).every((p) => p.most === Infinity && !p.loose && p.text === way[i]!.text)));
}
