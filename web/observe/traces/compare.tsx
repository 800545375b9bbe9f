// compare.tsx - two traces as one tree of operations: what the second has that the first has not, what
// it lacks, and what takes longer or shorter; told by signs and words, not by colours alone.
import { useMemo, useState } from "preact/hooks";
import { plural } from "../base/format";
import { href, parameter, setQuery } from "../base/route";
import { timeText } from "../base/time";
import { Choice, Failure, Loading } from "../parts/bits";
import { loadTrace, useLoad } from "./api";
import { colorsOf, nsText, shareText, shortId } from "./look";
import { nameOf, serviceOf, startMs, type Trace } from "./model";
import { longestRoot } from "./path";
import { type Change, changeOf, type Place, placesOf } from "./places";
import { Rows } from "./rows";

const ROW = 28;
const SIGNS: Record<Change, [sign: string, word: string, tone: string]> = {
  added: ["+", "only in B", "bad-text"], removed: ["−", "only in A", "dim"], slower: ["▲", "slower", "bad-text"], faster: ["▼", "faster", "good-text"], same: ["=", "", "dim"],
};

export function Compare({ a, b }: { a: string; b: string }) {
  const first = useLoad(a, (signal) => loadTrace(a, signal), false);
  const second = useLoad(b, (signal) => loadTrace(b, signal), false);
  return (
    <>
      {first.error && <Failure text={`A: ${first.error}`} />}
      {second.error && <Failure text={`B: ${second.error}`} />}
      {first.data && second.data ? <Both a={first.data.trace} b={second.data.trace} ids={[a, b]} /> : !first.error && !second.error && <Loading />}
    </>
  );
}

function Side({ name, t, id, other }: { name: string; t: Trace; id: string; other: string }) {
  const root = longestRoot(t);
  return (
    <div class="card side-card">
      <p class="row"><b class="letter">{name}</b><a href={href(`/trace/${id}`)}>{serviceOf(t, root)} {nameOf(t, root)}</a> <code class="dim">{shortId(t.id)}</code>
        <a class="quiet end" href={href("/traces", { with: other, service: serviceOf(t, root), operation: nameOf(t, root) })}>Another…</a></p>
      <p class="small dim">{nsText(t.length)} · {plural(t.count, "span")} · {plural(t.errors, "error")} · {timeText(startMs(t))}</p>
    </div>
  );
}

// Those that are as wanted, with what is above them.
function shownOf(places: Place[], only: string, folded: ReadonlySet<number>): Int32Array {
  const keep = new Uint8Array(places.length);
  for (let i = places.length - 1; i >= 0; i--) {
    if (!only || changeOf(places[i]) !== "same") keep[i] = 1;
    if (keep[i] && places[i].parent >= 0) keep[places[i].parent] = 1;
  }
  const out: number[] = [];
  let below = Infinity; // depth of the folded one that we are within
  places.forEach((p, i) => {
    if (p.depth > below) return;
    below = folded.has(i) ? p.depth : Infinity;
    if (keep[i]) out.push(i);
  });
  return Int32Array.from(out);
}

function Both({ a, b, ids }: { a: Trace; b: Trace; ids: [string, string] }) {
  const places = useMemo(() => placesOf([a, b]), [a, b]);
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set());
  const only = parameter("show");
  const rows = useMemo(() => shownOf(places, only, folded), [places, only, folded]);
  const counts = useMemo(() => places.reduce((n, p) => ({ ...n, [changeOf(p)]: (n[changeOf(p)] ?? 0) + 1 }), {} as Record<Change, number>), [places]);
  const colors = colorsOf([...a.services, ...b.services]);
  const most = Math.max(...places.map((p) => Math.abs(p.of[1].total - p.of[0].total)), 1);
  const fold = (i: number) => setFolded((old) => {
    const next = new Set(old);
    if (!next.delete(i)) next.add(i);
    return next;
  });
  const by = b.length - a.length;
  return (
    <>
      <div class="sides">
        <Side name="A" t={a} id={ids[0]} other={ids[1]} />
        <a class="quiet" aria-label="Swap the two" title="Swap" href={href(`/trace/${ids[1]}...${ids[0]}`)}>⇄</a>
        <Side name="B" t={b} id={ids[1]} other={ids[0]} />
      </div>
      <section class="card compare" aria-label="Differences">
        <div class="bar">
          <b>{by === 0 ? "Both took the same time" : `B took ${nsText(Math.abs(by))} ${by > 0 ? "longer" : "less"}${a.length ? ` (${shareText(Math.abs(by) / a.length)})` : ""}`}</b>
          <span class="small dim">{(["added", "removed", "slower", "faster"] as const).filter((c) => counts[c]).map((c) => `${SIGNS[c][0]} ${counts[c]} ${SIGNS[c][1]}`).join(" · ") || "every operation took about the same"}</span>
          <span class="end"><Choice label="Rows" value={only ? "changed" : ""} options={[["", "All"], ["changed", "Changed"]]} onChange={(v) => setQuery({ show: v || null })} /></span>
        </div>
        <div role="table" aria-label="Operations of both traces" aria-rowcount={rows.length}>
          <div role="row" class="compare-row compare-head"><span role="columnheader">Operation</span><span role="columnheader">Change</span><span role="columnheader">A</span><span role="columnheader">B</span><span role="columnheader">Spans</span></div>
          <Rows count={rows.length} height={ROW} role="rowgroup" tabIndex={0} aria-label="Operations">
            {(row, slot, place) => {
              const i = rows[row];
              const p = places[i];
              const change = changeOf(p);
              const [sign, text, tone] = SIGNS[change];
              const delta = p.of[1].total - p.of[0].total;
              const inner = places[i + 1]?.parent === i;
              return (
                <div key={slot} role="row" class={`compare-row ${change}`} aria-rowindex={row + 1} style={place}>
                  <span role="cell" class="span-name" style={{ paddingLeft: `${Math.min(p.depth, 20) * 14}px` }}>
                    {inner ? <button type="button" class="twist" aria-expanded={!folded.has(i)} aria-label={folded.has(i) ? `Unfold ${p.name}` : `Fold ${p.name}`} onClick={() => fold(i)}>{folded.has(i) ? "▸" : "▾"}</button> : <span class="twist" />}
                    <b style={{ "--service": colors.get(p.service) }}>{p.service}</b> <span class="op">{p.name}</span>
                    {p.of[1].errors > p.of[0].errors && <span class="bad-text">◆ +{p.of[1].errors - p.of[0].errors}</span>}
                  </span>
                  <span role="cell" class={`delta ${tone}`}>
                    <i aria-hidden="true" class={delta > 0 ? "more" : "less"} style={{ width: `${(46 * Math.abs(delta)) / most}%` }} />
                    <span>{sign} {change === "same" ? "" : change === "slower" || change === "faster" ? `${nsText(Math.abs(delta))} ${text}` : text}</span>
                  </span>
                  <span role="cell">{p.of[0].spans ? nsText(p.of[0].total) : "–"}</span>
                  <span role="cell">{p.of[1].spans ? nsText(p.of[1].total) : "–"}</span>
                  <span role="cell">{p.of[0].spans === p.of[1].spans ? p.of[0].spans : `${p.of[0].spans} → ${p.of[1].spans}`}</span>
                </div>
              );
            }}
          </Rows>
        </div>
      </section>
    </>
  );
}
