// path.ts - what a trace's time went into: its critical path and each span's own time.
import { durationOf, type Trace } from "./model";

// Stretches of time during which the trace waited for a span itself, in order of time, no two at once.
export interface Path {
  span: Int32Array;
  from: Float64Array;
  to: Float64Array;
  // Those of span i: the entries of `by` from first[i] to first[i + 1], the latest first.
  first: Int32Array;
  by: Int32Array;
}

// The spans below each, those that end last first.
function childrenByEnd(t: Trace): { first: Int32Array; child: Int32Array } {
  const order = new Int32Array(t.count);
  for (let i = 0; i < t.count; i++) order[i] = i;
  order.sort((a, b) => t.end[b] - t.end[a] || a - b);
  const first = new Int32Array(t.count + 2);
  for (let i = 0; i < t.count; i++) if (t.parent[i] >= 0) first[t.parent[i] + 2]++;
  for (let i = 2; i < first.length; i++) first[i] += first[i - 1];
  const child = new Int32Array(t.count);
  for (const i of order) if (t.parent[i] >= 0) child[first[t.parent[i] + 1]++] = i;
  return { first, child };
}

export function longestRoot(t: Trace): number {
  let root = -1;
  for (let i = 0; i < t.count; i += t.size[i]) if (root < 0 || durationOf(t, i) > durationOf(t, root)) root = i;
  return root;
}

// From the end of the longest root back to its start: at each moment the child that ended last, else
// the span itself; a child counts as far as it lies within what is looked at of its parent. As the
// server's /api/traces/{id}/critical-path has it.
export function criticalPath(t: Trace): Path {
  const { first, child } = childrenByEnd(t);
  const spans: number[] = [];
  const from: number[] = [];
  const to: number[] = [];
  const add = (span: number, a: number, b: number) => {
    if (b <= a) return;
    spans.push(span);
    from.push(a);
    to.push(b);
  };
  const root = longestRoot(t);
  const stack: { span: number; next: number; from: number; to: number }[] = [];
  if (root >= 0) stack.push({ span: root, next: first[root], from: t.start[root], to: t.end[root] });
  while (stack.length) {
    const at = stack[stack.length - 1];
    let into = -1;
    while (at.next < first[at.span + 1] && into < 0) {
      const c = child[at.next++];
      const end = Math.min(t.end[c], t.end[at.span]);
      if (end <= at.to && end > Math.max(t.start[c], at.from)) into = c;
    }
    if (into < 0) {
      add(at.span, at.from, at.to);
      stack.pop();
      continue;
    }
    const end = Math.min(t.end[into], t.end[at.span]);
    add(at.span, end, at.to);
    at.to = Math.max(t.start[into], at.from);
    stack.push({ span: into, next: first[into], from: at.to, to: end });
  }
  const n = spans.length;
  const path: Path = { span: new Int32Array(n), from: new Float64Array(n), to: new Float64Array(n), first: new Int32Array(t.count + 1), by: new Int32Array(n) };
  for (let i = 0; i < n; i++) {
    path.span[i] = spans[n - 1 - i];
    path.from[i] = from[n - 1 - i];
    path.to[i] = to[n - 1 - i];
    path.first[path.span[i] + 1]++;
  }
  for (let i = 0; i < t.count; i++) path.first[i + 1] += path.first[i];
  const fill = path.first.slice();
  for (let i = n - 1; i >= 0; i--) path.by[fill[path.span[i]]++] = i;
  return path;
}

// What of each span's duration no child of it covers, ns.
export function selfTimes(t: Trace): Float64Array {
  const own = new Float64Array(t.count);
  const done = Float64Array.from(t.start); // up to where children were counted
  for (let i = 0; i < t.count; i++) {
    own[i] += durationOf(t, i);
    const p = t.parent[i];
    if (p < 0) continue;
    // Siblings come by their start, so what is covered so far is all before `done`.
    const a = Math.max(t.start[i], done[p]);
    const b = Math.min(t.end[i], t.end[p]);
    if (b <= a) continue;
    own[p] -= b - a;
    done[p] = b;
  }
  return own;
}
