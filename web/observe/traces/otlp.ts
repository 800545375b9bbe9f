// otlp.ts - a trace out of OTLP's protobuf, the densest form there is. The bytes are kept and nothing
// else: a first pass notes where each span lies and its numbers; attributes, events and links are read
// from the bytes when a span is looked at, and searched as bytes.
// Source: opentelemetry-proto trace/v1, Tempo's TraceByIDResponse.
import { type Attribute, type Detail, ERROR, fits, HAS_EVENTS, HAS_LINKS, type Op, type Raw, type Source, type SpanEvent, type SpanLink, type Wanted } from "./model";

const DEPTH_MAX = 20; // of lists in lists
const text = new TextDecoder();

// One message: its fields, one after the other.
class Reader {
  field = 0;
  wire = 0;
  from = 0; // of the present field, if it has a length
  to = 0;
  number = 0;
  constructor(readonly b: Uint8Array, public at: number, public end: number) {}

  // The same over other bytes: one is made for all spans, not one for each.
  over(from: number, to: number): this {
    this.at = from;
    this.end = to;
    return this;
  }

  private varint(): number {
    if (this.at < this.end && this.b[this.at] < 128) return this.b[this.at++];
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (this.at >= this.end || scale > 2 ** 63) throw new Error("The trace cannot be read: it is cut off.");
      const byte = this.b[this.at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  next(): boolean {
    if (this.at >= this.end) return false;
    const tag = this.varint();
    this.field = tag < 128 ? tag >> 3 : Math.floor(tag / 8);
    this.wire = tag & 7;
    this.from = this.at;
    if (this.wire === 0) {
      this.number = this.varint();
      this.to = this.at;
      return true;
    }
    const size = this.wire === 1 ? 8 : this.wire === 5 ? 4 : this.wire === 2 ? this.varint() : -1;
    this.from = this.at;
    this.to = this.at += size;
    if (size < 0 || this.at > this.end) throw new Error("The trace cannot be read: it is cut off.");
    return true;
  }

  inside(): Reader {
    return new Reader(this.b, this.from, this.to);
  }

  string(): string {
    return text.decode(this.b.subarray(this.from, this.to));
  }
}

const u32le = (b: Uint8Array, at: number): number => (b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)) >>> 0;
const u32be = (b: Uint8Array, at: number): number => ((b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]) >>> 0;
const hexOf = (b: Uint8Array): string => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");

// Numbers by the bytes of a text, so that a name that 100,000 spans have is decoded once.
class Names {
  readonly list: string[] = [];
  private readonly where: number[] = [];
  private readonly by = new Map<number, number[]>();
  constructor(private readonly b: Uint8Array) {}
  of(from: number, to: number): number {
    let h = to - from;
    for (let i = from; i < to; i++) h = Math.imul(h ^ this.b[i], 0x01000193);
    let same = this.by.get(h);
    if (!same) this.by.set(h, (same = []));
    for (const k of same) if (this.same(this.where[2 * k], this.where[2 * k + 1], from, to)) return k;
    same.push(this.list.length);
    this.where.push(from, to);
    return this.list.push(text.decode(this.b.subarray(from, to))) - 1;
  }
  private same(a: number, aEnd: number, b: number, bEnd: number): boolean {
    if (aEnd - a !== bEnd - b) return false;
    while (a < aEnd) if (this.b[a++] !== this.b[b++]) return false;
    return true;
  }
}

// Calls for each span with where its resource, its scope and it lie.
function walk(all: Reader, each: (resource: number, scope: number, from: number, to: number) => void): void {
  while (all.next()) {
    if (all.field !== 1 || all.wire !== 2) continue;
    const at = all.from;
    const resource = all.inside();
    while (resource.next()) {
      if (resource.field !== 2 || resource.wire !== 2) continue;
      const scopeAt = resource.from;
      const scope = resource.inside();
      while (scope.next()) if (scope.field === 2 && scope.wire === 2) each(at, scopeAt, scope.from, scope.to);
    }
  }
}

// service.name of the resource that the message at `at` begins with.
function serviceName(b: Uint8Array, at: number, end: number): string {
  const r = new Reader(b, at, end);
  return (r.next() && r.field === 1 && attributes(r.inside(), 1).find((a) => a.key === "service.name")?.value) || "";
}

// The trace within the bytes of a TracesData, or of Tempo's answer around it.
function unwrap(b: Uint8Array): { from: number; to: number; partial?: string } {
  const r = new Reader(b, 0, b.length);
  const out: { from: number; to: number; partial?: string } = { from: 0, to: 0 };
  let partial = false;
  let why = "";
  while (r.next()) {
    if (r.field === 1) [out.from, out.to] = [r.from, r.to];
    if (r.field === 3) partial = r.number === 1;
    if (r.field === 4) why = r.string();
  }
  if (partial) out.partial = why || "Not all spans are here.";
  return out;
}

class Stored implements Source {
  constructor(private readonly b: Uint8Array, private readonly where: Int32Array) {}

  detail(i: number, base: bigint): Detail {
    const [resource, scope, from, to] = this.where.subarray(4 * i, 4 * i + 4);
    const d: Detail = { attributes: [], resource: [], scope: "", scopeAttributes: [], events: [], links: [], message: "", state: "", warnings: [], dropped: 0 };
    const r = new Reader(this.b, from, to);
    while (r.next()) {
      if (r.field === 3) d.state = r.string();
      else if (r.field === 9) d.attributes.push(pair(r.inside()));
      else if (r.field === 10 || r.field === 12 || r.field === 14) d.dropped += r.number;
      else if (r.field === 11) d.events.push(event(r.inside(), base));
      else if (r.field === 13) d.links.push(link(r.inside()));
      else if (r.field === 15) {
        const s = r.inside();
        while (s.next()) if (s.field === 2) d.message = s.string();
      }
    }
    const own = new Reader(this.b, resource, this.b.length);
    if (own.next() && own.field === 1) d.resource = attributes(own.inside(), 1);
    const lib = new Reader(this.b, scope, this.b.length);
    if (lib.next() && lib.field === 1) {
      d.scopeAttributes = attributes(lib.inside(), 3);
      const s = lib.inside();
      while (s.next()) if (s.field === 1) d.scope = s.string() + d.scope;
        else if (s.field === 2 && s.to > s.from) d.scope += ` ${s.string()}`;
    }
    d.events.sort((a, b) => a.at - b.at);
    return d;
  }

  // By bytes, without a text made; a span that is found need not be looked at further.
  search(found: Uint8Array, want: Wanted): void {
    const key = new TextEncoder().encode(want.key);
    const needle = new TextEncoder().encode(want.text);
    const resources = new Map<number, boolean>();
    for (let i = 0; i < found.length; i++) {
      const at = this.where[4 * i];
      let hit = resources.get(at);
      if (hit === undefined) {
        const r = new Reader(this.b, at, this.b.length);
        hit = r.next() && r.field === 1 && !!want.key && holds(this.b, r.from, r.to, 1, key, needle);
        resources.set(at, hit);
      }
      if (hit || holds(this.b, this.where[4 * i + 2], this.where[4 * i + 3], 9, key, needle)) found[i] = 1;
    }
  }
}

const fold = (byte: number): number => (byte >= 65 && byte <= 90 ? byte + 32 : byte);

// Whether the bytes hold the needle, which is in lower case; letters beyond ASCII are as they are.
function contains(b: Uint8Array, from: number, to: number, needle: Uint8Array): boolean {
  const last = to - needle.length;
  const first = needle[0];
  for (let i = from; i <= last; i++) {
    if (fold(b[i]) !== first && needle.length) continue;
    let k = 1;
    while (k < needle.length && fold(b[i + k]) === needle[k]) k++;
    if (k >= needle.length) return true;
  }
  return false;
}

const equal = (b: Uint8Array, from: number, to: number, text: Uint8Array): boolean => to - from === text.length && contains(b, from, to, text);

// Whether an attribute in this field of the message, or an event's or the status's text, is wanted.
function holds(b: Uint8Array, from: number, to: number, field: number, key: Uint8Array, needle: Uint8Array): boolean {
  const r = new Reader(b, from, to);
  while (r.next()) {
    if (r.wire !== 2) continue;
    if (r.field === field) {
      if (pairHolds(b, r.from, r.to, key, needle)) return true;
    } else if (field === 9 && r.field === 11) {
      if (holds(b, r.from, r.to, 3, key, needle)) return true;
    } else if (field === 3 && r.field === 2 && !key.length && contains(b, r.from, r.to, needle)) return true; // an event's name
    else if (field === 9 && r.field === 15 && !key.length && contains(b, r.from, r.to, needle)) return true;
  }
  return false;
}

function pairHolds(b: Uint8Array, from: number, to: number, key: Uint8Array, needle: Uint8Array): boolean {
  const r = new Reader(b, from, to);
  let right = !key.length;
  while (r.next()) {
    if (r.field === 1 && r.wire === 2) {
      if (!key.length && contains(b, r.from, r.to, needle)) return true;
      if (key.length && !equal(b, r.from, r.to, key)) return false;
      right = true;
    } else if (r.field === 2 && right) {
      const v = r.inside();
      if (!v.next()) continue;
      if (v.field === 1 && contains(b, v.from, v.to, needle)) return true;
      if (v.field !== 1 && fits({ key: "", text: text.decode(needle) }, "", value(r.inside(), 0).value)) return true;
    }
  }
  return false;
}

function pair(r: Reader): Attribute {
  let key = "";
  let found: Omit<Attribute, "key"> = { value: "", type: "empty" };
  while (r.next())
    if (r.field === 1) key = r.string();
    else if (r.field === 2) found = value(r.inside(), 0);
  return { key, ...found };
}

function attributes(r: Reader, field: number): Attribute[] {
  const out: Attribute[] = [];
  while (r.next()) if (r.field === field && r.wire === 2) out.push(pair(r.inside()));
  return out;
}

const signed = (r: Reader): string => {
  let v = 0n;
  for (let at = r.from, shift = 0n; at < r.to; at++, shift += 7n) v |= BigInt(r.b[at] & 127) << shift;
  return String(BigInt.asIntN(64, v));
};

const LISTS: Record<number, string> = { 5: "list", 6: "map" };

function value(r: Reader, depth: number): Omit<Attribute, "key"> {
  if (!r.next()) return { value: "", type: "empty" };
  switch (r.field) {
    case 1: return { value: r.string(), type: "string" };
    case 2: return { value: r.number ? "true" : "false", type: "bool" };
    case 3: return { value: signed(r), type: "int" };
    case 4: return { value: String(new DataView(r.b.buffer, r.b.byteOffset + r.from, 8).getFloat64(0, true)), type: "double" };
    case 7: return { value: hexOf(r.b.subarray(r.from, r.to)), type: "bytes" };
    case 5:
    case 6: return { value: depth > DEPTH_MAX ? "…" : many(r.inside(), r.field === 6, depth), type: LISTS[r.field] };
    default: return { value: "", type: "empty" };
  }
}

// A list or a map as JSON.
function many(r: Reader, map: boolean, depth: number): string {
  const out: string[] = [];
  while (r.next()) {
    let key = "";
    let one: Omit<Attribute, "key"> = { value: "", type: "empty" };
    if (map) {
      const p = r.inside();
      while (p.next())
        if (p.field === 1) key = p.string();
        else if (p.field === 2) one = value(p.inside(), depth + 1);
    } else one = value(r.inside(), depth + 1);
    const shown = one.type === "string" || one.type === "bytes" ? JSON.stringify(one.value) : one.type === "empty" ? "null" : one.value;
    out.push(map ? `${JSON.stringify(key)}:${shown}` : shown);
  }
  return map ? `{${out.join(",")}}` : `[${out.join(",")}]`;
}

const fixed = (r: Reader): bigint => (BigInt(u32le(r.b, r.from + 4)) << 32n) | BigInt(u32le(r.b, r.from));

function event(r: Reader, base: bigint): SpanEvent {
  const out: SpanEvent = { at: 0, name: "", attributes: [] };
  while (r.next())
    if (r.field === 1) out.at = Number(fixed(r) - base);
    else if (r.field === 2) out.name = r.string();
    else if (r.field === 3) out.attributes.push(pair(r.inside()));
  return out;
}

function link(r: Reader): SpanLink {
  const out: SpanLink = { trace: "", span: "", attributes: [] };
  while (r.next())
    if (r.field === 1) out.trace = hexOf(r.b.subarray(r.from, r.to));
    else if (r.field === 2) out.span = hexOf(r.b.subarray(r.from, r.to));
    else if (r.field === 4) out.attributes.push(pair(r.inside()));
  return out;
}

// Reads Tempo's answer (TraceByIDResponse) as columns.
export function readOtlp(b: Uint8Array, trace: string): Raw {
  const { from: begin, to: stop, partial } = unwrap(b);
  let count = 0;
  walk(new Reader(b, begin, stop), () => count++);
  const where = new Int32Array(4 * count);
  const services: string[] = [];
  const serviceAt = new Map<string, number>();
  const ofResource = new Map<number, number>();
  const names = new Names(b);
  const ops: Op[] = [];
  const opAt = new Map<number, number>();
  const raw: Raw = {
    trace, count, id: new Uint32Array(2 * count), up: new Uint32Array(2 * count), start: new Uint32Array(2 * count), end: new Uint32Array(2 * count),
    op: new Int32Array(count), kind: new Uint8Array(count), status: new Uint8Array(count), marks: new Uint8Array(count), services, ops,
    source: new Stored(b, where), partial,
  };
  const service = (at: number): number => {
    let k = ofResource.get(at);
    if (k !== undefined) return k;
    const name = serviceName(b, at, stop) || "no service name";
    k = serviceAt.get(name) ?? services.push(name) - 1;
    serviceAt.set(name, k);
    ofResource.set(at, k);
    return k;
  };
  let i = 0;
  const r = new Reader(b, 0, 0);
  const s = new Reader(b, 0, 0);
  walk(new Reader(b, begin, stop), (resource, scope, from, to) => {
    where[4 * i] = resource;
    where[4 * i + 1] = scope;
    where[4 * i + 2] = from;
    where[4 * i + 3] = to;
    r.over(from, to);
    let nameFrom = 0;
    let nameTo = 0;
    while (r.next())
      switch (r.field) {
        case 2: id(raw.id, i, r); break;
        case 4: id(raw.up, i, r); break;
        case 5: nameFrom = r.from; nameTo = r.to; break;
        case 6: raw.kind[i] = r.number <= 5 ? r.number : 0; break;
        case 7: time(raw.start, i, r); break;
        case 8: time(raw.end, i, r); break;
        case 11: raw.marks[i] |= HAS_EVENTS; break;
        case 13: raw.marks[i] |= HAS_LINKS; break;
        case 15:
          s.over(r.from, r.to);
          while (s.next()) if (s.field === 3) raw.status[i] = s.number <= ERROR ? s.number : 0;
      }
    const of = service(resource);
    const name = names.of(nameFrom, nameTo);
    const key = of * 0x4000000 + name;
    let op = opAt.get(key);
    if (op === undefined) opAt.set(key, (op = ops.push({ service: of, name: names.list[name] || "(no name)" }) - 1));
    raw.op[i++] = op;
  });
  return raw;
}

function id(into: Uint32Array, i: number, r: Reader): void {
  if (r.to - r.from !== 8) return;
  into[2 * i] = u32be(r.b, r.from);
  into[2 * i + 1] = u32be(r.b, r.from + 4);
}

function time(into: Uint32Array, i: number, r: Reader): void {
  if (r.wire !== 1) return;
  into[2 * i] = u32le(r.b, r.from + 4);
  into[2 * i + 1] = u32le(r.b, r.from);
}
