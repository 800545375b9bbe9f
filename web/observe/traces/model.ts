// model.ts - a trace as columns of numbers, one entry a span, ordered as the tree is read from the top:
// the spans below span i are those from i + 1 to i + size[i] - 1. So 100,000 spans are a few typed
// arrays, folding is skipping, and nothing of a span but its numbers is held; attributes, events and
// links are read from what was sent when somebody looks at them (Source).

export interface Attribute {
  key: string;
  value: string; // as text; lists and maps as JSON
  type: string;
}

export interface SpanEvent {
  at: number; // ns since the trace's beginning
  name: string;
  attributes: Attribute[];
}

export interface SpanLink {
  trace: string;
  span: string;
  attributes: Attribute[];
}

// What is told of one span beyond the columns.
export interface Detail {
  attributes: Attribute[];
  resource: Attribute[];
  scope: string;
  scopeAttributes: Attribute[];
  events: SpanEvent[];
  links: SpanLink[];
  message: string; // of the status
  state: string; // W3C's tracestate
  warnings: string[];
  dropped: number; // attributes, events and links that the client left out
}

// Where the spans came from; asked by the index they had there.
export interface Source {
  detail(i: number, base: bigint): Detail;
  // Sets found[i] for every span some text of which is so; see wanted().
  search(found: Uint8Array, want: Wanted): void;
}

export interface Op { service: number; name: string }

// Columns as they are read, in any order. 64-bit numbers are two entries: the high half, the low half.
export interface Raw {
  trace: string;
  count: number;
  id: Uint32Array;
  up: Uint32Array; // the parent's id; zero: none
  start: Uint32Array;
  end: Uint32Array;
  op: Int32Array;
  kind: Uint8Array;
  status: Uint8Array;
  marks: Uint8Array; // MARK_*
  services: string[];
  ops: Op[];
  source: Source;
  partial?: string; // why it is not whole
}

export const MISSING = 1; // its parent is not in the trace
export const TWICE = 2; // another span has its id
export const CYCLE = 4; // it is its own ancestor; cut here
export const NEGATIVE = 8; // it ends before it begins
export const EARLY = 16; // it begins before its parent does
export const HAS_EVENTS = 32;
export const HAS_LINKS = 64;

export const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];
export const SERVER = 2;
export const CLIENT = 3;
export const ERROR = 2;

export interface Trace {
  id: string;
  count: number;
  base: bigint; // ns since 1970 at which it begins
  length: number; // ns
  start: Float64Array; // ns since base
  end: Float64Array; // never before the start
  parent: Int32Array; // -1: a root
  size: Int32Array;
  depth: Int32Array;
  depthMax: number;
  ids: Uint32Array;
  ups: Uint32Array; // the parents' ids as they were given
  op: Int32Array;
  ops: Op[];
  services: string[];
  kind: Uint8Array;
  status: Uint8Array;
  flags: Uint8Array;
  errors: number;
  roots: number;
  missing: number; // spans whose parent is not there
  partial?: string;
  from: Int32Array; // the source's index
  source: Source;
}

const hash = (hi: number, lo: number): number => {
  const h = Math.imul(hi, 0x9e3779b1) ^ Math.imul(lo, 0x85ebca77);
  return (h ^ (h >>> 15)) >>> 0;
};

// The spans by their ids; of several with one id the first.
class Ids {
  private readonly table: Int32Array;
  private readonly mask: number;
  readonly next: Int32Array; // another span of the same id, or -1
  constructor(private readonly id: Uint32Array, count: number) {
    let size = 16;
    while (size < count * 2) size *= 2;
    this.table = new Int32Array(size).fill(-1);
    this.mask = size - 1;
    this.next = new Int32Array(count).fill(-1);
    for (let i = 0; i < count; i++) this.put(i);
  }
  private slot(hi: number, lo: number): number {
    let at = hash(hi, lo) & this.mask;
    for (let k; (k = this.table[at]) >= 0; at = (at + 1) & this.mask) if (this.id[2 * k] === hi && this.id[2 * k + 1] === lo) break;
    return at;
  }
  private put(i: number): void {
    const at = this.slot(this.id[2 * i], this.id[2 * i + 1]);
    const first = this.table[at];
    if (first < 0) this.table[at] = i;
    else {
      this.next[i] = this.next[first];
      this.next[first] = i;
    }
  }
  find(hi: number, lo: number): number {
    return this.table[this.slot(hi, lo)];
  }
}

// Whose child each span is. Zipkin's clients give a call's two spans one id: the server's is then below
// the client's, and what is below that id is below the server's.
function parentsOf(raw: Raw, flags: Uint8Array): Int32Array {
  const ids = new Ids(raw.id, raw.count);
  const parent = new Int32Array(raw.count).fill(-1);
  const among = (first: number, kind: number): number => {
    for (let k = first; k >= 0; k = ids.next[k]) if (raw.kind[k] === kind) return k;
    return -1;
  };
  for (let i = 0; i < raw.count; i++) {
    const own = ids.find(raw.id[2 * i], raw.id[2 * i + 1]);
    const shared = ids.next[own] >= 0;
    if (shared) {
      const client = raw.kind[i] === SERVER ? among(own, CLIENT) : -1;
      if (client >= 0) {
        parent[i] = client;
        continue;
      }
      if (raw.kind[i] !== CLIENT || among(own, SERVER) < 0) flags[i] |= TWICE;
    }
    const hi = raw.up[2 * i];
    const lo = raw.up[2 * i + 1];
    if (!hi && !lo) continue;
    const first = ids.find(hi, lo);
    if (first < 0) flags[i] |= MISSING;
    else if (ids.next[first] < 0) parent[i] = first;
    else {
      const server = among(first, SERVER);
      parent[i] = server >= 0 && among(first, CLIENT) >= 0 ? server : first;
    }
  }
  return parent;
}

// Who is met again on the way up from a span becomes a root.
function cutCycles(parent: Int32Array, flags: Uint8Array): void {
  const mark = new Int32Array(parent.length);
  for (let i = 0; i < parent.length; i++) {
    let at = i;
    while (at >= 0 && !mark[at]) {
      mark[at] = i + 1;
      at = parent[at];
    }
    if (at >= 0 && mark[at] === i + 1) {
      parent[at] = -1;
      flags[at] |= CYCLE;
    }
  }
}

// The order in which the tree is read: parents first, siblings by their start.
function preorder(parent: Int32Array, start: Float64Array): Int32Array {
  const n = parent.length;
  const byStart = new Int32Array(n);
  for (let i = 0; i < n; i++) byStart[i] = i;
  byStart.sort((a, b) => start[b] - start[a] || b - a); // the last first: a stack turns it round
  const first = new Int32Array(n + 2);
  for (let i = 0; i < n; i++) first[parent[i] + 2]++;
  for (let i = 1; i < n + 2; i++) first[i] += first[i - 1];
  const fill = first.slice();
  const children = new Int32Array(n); // of parent p: from first[p + 1] to first[p + 2]
  for (let k = 0; k < n; k++) children[fill[parent[byStart[k]] + 1]++] = byStart[k];
  const out = new Int32Array(n);
  const stack = new Int32Array(n);
  let depth = 0;
  let at = 0;
  for (let k = first[0]; k < first[1]; k++) stack[depth++] = children[k];
  while (depth) {
    const i = stack[--depth];
    out[at++] = i;
    for (let k = first[i + 1]; k < first[i + 2]; k++) stack[depth++] = children[k];
  }
  return out;
}

// The earliest start, and each time as nanoseconds after it.
function times(raw: Raw): { base: bigint; start: Float64Array; end: Float64Array } {
  const n = raw.count;
  let hi = 0xffffffff;
  let lo = 0xffffffff;
  for (let i = 0; i < n; i++) {
    const h = raw.start[2 * i];
    const l = raw.start[2 * i + 1];
    if (h < hi || (h === hi && l < lo)) {
      hi = h;
      lo = l;
    }
  }
  const after = (of: Uint32Array): Float64Array => {
    const out = new Float64Array(n);
    for (let i = 0; i < n; i++) out[i] = (of[2 * i] - hi) * 4294967296 + (of[2 * i + 1] - lo);
    return out;
  };
  return { base: n ? (BigInt(hi) << 32n) | BigInt(lo) : 0n, start: after(raw.start), end: after(raw.end) };
}

export function build(raw: Raw): Trace {
  const n = raw.count;
  const given = times(raw);
  const rawFlags = raw.marks.slice();
  const rawParent = parentsOf(raw, rawFlags);
  cutCycles(rawParent, rawFlags);
  const order = preorder(rawParent, given.start);
  const place = new Int32Array(n);
  for (let i = 0; i < n; i++) place[order[i]] = i;
  const t: Trace = {
    id: raw.trace, count: n, base: given.base, length: 0, start: new Float64Array(n), end: new Float64Array(n),
    parent: new Int32Array(n), size: new Int32Array(n).fill(1), depth: new Int32Array(n), depthMax: 0,
    ids: new Uint32Array(2 * n), ups: new Uint32Array(2 * n), op: new Int32Array(n), ops: raw.ops, services: raw.services, kind: new Uint8Array(n),
    status: new Uint8Array(n), flags: new Uint8Array(n), errors: 0, roots: 0, missing: 0, partial: raw.partial,
    from: order, source: raw.source,
  };
  for (let i = 0; i < n; i++) {
    const k = order[i];
    const p = rawParent[k] < 0 ? -1 : place[rawParent[k]];
    let flags = rawFlags[k];
    t.start[i] = given.start[k];
    t.end[i] = given.end[k];
    if (t.end[i] < t.start[i]) {
      flags |= NEGATIVE;
      t.end[i] = t.start[i];
    }
    if (p >= 0 && t.start[i] < t.start[p]) flags |= EARLY;
    t.parent[i] = p;
    t.depth[i] = p < 0 ? 0 : t.depth[p] + 1;
    t.ids[2 * i] = raw.id[2 * k];
    t.ids[2 * i + 1] = raw.id[2 * k + 1];
    t.ups[2 * i] = raw.up[2 * k];
    t.ups[2 * i + 1] = raw.up[2 * k + 1];
    t.op[i] = raw.op[k];
    t.kind[i] = raw.kind[k];
    t.status[i] = raw.status[k];
    t.flags[i] = flags;
    if (t.end[i] > t.length) t.length = t.end[i];
    if (t.depth[i] > t.depthMax) t.depthMax = t.depth[i];
    if (t.status[i] === ERROR) t.errors++;
    if (p < 0) t.roots++;
    if (flags & MISSING) t.missing++;
  }
  for (let i = n - 1; i > 0; i--) if (t.parent[i] >= 0) t.size[t.parent[i]] += t.size[i];
  return t;
}

export const hex8 = (n: number): string => n.toString(16).padStart(8, "0");
export const spanId = (t: Trace, i: number): string => hex8(t.ids[2 * i]) + hex8(t.ids[2 * i + 1]);
export const serviceOf = (t: Trace, i: number): string => t.services[t.ops[t.op[i]].service];
export const nameOf = (t: Trace, i: number): string => t.ops[t.op[i]].name;
export const durationOf = (t: Trace, i: number): number => t.end[i] - t.start[i];
export const startMs = (t: Trace): number => Number(t.base / 1000n) / 1000;

// The span of an id, or -1.
export function findSpan(t: Trace, id: string): number {
  if (!/^[0-9a-f]{1,16}$/i.test(id)) return -1;
  const full = id.padStart(16, "0");
  const hi = parseInt(full.slice(0, 8), 16);
  const lo = parseInt(full.slice(8), 16);
  for (let i = 0; i < t.count; i++) if (t.ids[2 * i] === hi && t.ids[2 * i + 1] === lo) return i;
  return -1;
}

// The rows of a waterfall: what is folded or not kept is left out. Who is kept has its parents kept.
export function rowsOf(t: Trace, folded: Uint8Array, kept: Uint8Array | null): Int32Array {
  const out = new Int32Array(t.count);
  let n = 0;
  for (let i = 0; i < t.count;) {
    if (kept && !kept[i]) {
      i += t.size[i];
      continue;
    }
    out[n++] = i;
    i += folded[i] ? t.size[i] : 1;
  }
  return out.subarray(0, n);
}

export interface Keep {
  minShare: number; // of the trace's duration, 0 to 1
  services: ReadonlySet<string>; // empty: all
  kind: number; // -1: any
  errors: boolean;
}

// 2: it is as wanted; 1: only something below it is. null: all are wanted.
export function keptBy(t: Trace, k: Keep): Uint8Array | null {
  if (!(k.minShare > 0) && !k.services.size && k.kind < 0 && !k.errors) return null;
  const out = new Uint8Array(t.count);
  const least = k.minShare * t.length;
  const ops = t.ops.map((o) => !k.services.size || k.services.has(t.services[o.service]));
  for (let i = t.count - 1; i >= 0; i--) {
    const good = durationOf(t, i) >= least && ops[t.op[i]] && (k.kind < 0 || t.kind[i] === k.kind) && (!k.errors || t.status[i] === ERROR);
    if (good) out[i] = 2;
    if (out[i] && t.parent[i] >= 0 && !out[t.parent[i]]) out[t.parent[i]] = 1;
  }
  return out;
}

// ---- searching within

export interface Wanted { key: string; text: string } // both in lower case; key "": anywhere

// "status_code=500" looks at that attribute alone.
export function wanted(text: string): Wanted {
  const at = /^([\w.:/-]+)=(.*)$/.exec(text.trim());
  return at ? { key: at[1].toLowerCase(), text: at[2].replace(/^"|"$/g, "").toLowerCase() } : { key: "", text: text.trim().toLowerCase() };
}

export const fits = (want: Wanted, key: string, value: string): boolean =>
  want.key ? key.toLowerCase() === want.key && value.toLowerCase().includes(want.text)
    : value.toLowerCase().includes(want.text) || key.toLowerCase().includes(want.text);

// The spans that have the text in their name, service, id, attributes, events or links, in order.
export function searchSpans(t: Trace, text: string): Int32Array {
  const want = wanted(text);
  if (!want.text && !want.key) return new Int32Array(0);
  const found = new Uint8Array(t.count); // by the source's index
  t.source.search(found, want);
  const ops = t.ops.map((o) => !want.key && (o.name.toLowerCase().includes(want.text) || t.services[o.service].toLowerCase().includes(want.text)));
  const byId = !want.key && /^[0-9a-f]{4,16}$/.test(want.text);
  const out: number[] = [];
  for (let i = 0; i < t.count; i++)
    if (ops[t.op[i]] || found[t.from[i]] || (byId && spanId(t, i).includes(want.text))) out.push(i);
  return Int32Array.from(out);
}
