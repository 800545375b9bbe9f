// explore.tsx - questions in PromQL, several below each other over one range of time. Addresses of
// Prometheus's own pages are understood: gN.range_input and gN.end_input become the range, the old
// page's gN.tab=0 and gN.stacked=1 what they meant.
import { useEffect, useState } from "preact/hooks";
import { replaceQuery, route } from "../base/route";
import { parseDuration } from "../base/time";
import { viewCommands } from "../parts/commands";
import { Browser, type Part } from "../explore/browser";
import { Panel, type PanelState } from "../explore/panel";

const PANELS_MAX = 20;
const KEY = /^g(\d+)\.(\w+)$/;

function panelsOf(query: URLSearchParams): PanelState[] {
  const out: PanelState[] = [];
  for (const [k, v] of query) {
    const m = KEY.exec(k);
    const i = m ? Number(m[1]) : -1;
    if (m && i < PANELS_MAX) {
      out[i] ??= {};
      out[i]![m[2]!] = v;
    }
  }
  const list = out.filter(Boolean);
  return list.length ? list : [{}];
}

function write(panels: PanelState[], push: boolean): void {
  const query = new URLSearchParams();
  panels.forEach((p, i) => { for (const [k, v] of Object.entries(p)) if (v || k === "expr") query.set(`g${i}.${k}`, v); });
  for (const [k, v] of route.value.query) if (!KEY.test(k)) query.set(k, v);
  replaceQuery(query, push);
}

// The peers' words for what ours say otherwise.
function translate(): void {
  const query = new URLSearchParams(route.value.query);
  const panels = panelsOf(query).map((p) => {
    const { range_input, end_input, moment_input: _, stacked, ...rest } = p;
    const span = parseDuration(range_input ?? "");
    const end = end_input ? Date.parse(`${end_input.replace(" ", "T")}Z`) : NaN;
    if (!query.has("from") && span > 0) {
      query.set("from", Number.isFinite(end) ? String(end - span) : `now-${range_input}`);
      if (Number.isFinite(end)) query.set("to", String(end));
    }
    if (rest.tab === "0") rest.tab = "graph";
    if (rest.tab === "1") rest.tab = "table";
    if (stacked === "1") rest.display_mode = "stacked";
    return rest;
  });
  for (const k of [...query.keys()]) if (KEY.test(k)) query.delete(k);
  panels.forEach((p, i) => { for (const [k, v] of Object.entries(p)) query.set(`g${i}.${k}`, v); });
  replaceQuery(query);
}

export default function ExploreView() {
  const [browsing, setBrowsing] = useState<{ of: number; part?: Part }>();
  const [translated, setTranslated] = useState(false);
  useEffect(() => {
    translate();
    setTranslated(true);
    return viewCommands([
      { id: "browse", title: "Browse metrics", keys: "m", run: () => setBrowsing({ of: 0 }) },
      { id: "kept queries", title: "Kept queries", run: () => setBrowsing({ of: 0, part: "kept" }) },
      { id: "past queries", title: "Queries run before", keys: "h", run: () => setBrowsing({ of: 0, part: "past" }) },
      { id: "builder", title: "Query builder", keys: "b", run: () => write(panelsOf(route.value.query).map((p, i) => (i ? p : { ...p, builder: p.builder ? "" : "1" })), false) },
    ]);
  }, []);
  if (!translated) return null;
  const panels = panelsOf(route.value.query);
  const change = (i: number) => (with_: PanelState, push = false) =>
    write(panelsOf(route.value.query).map((p, k) => (k === i ? { ...p, ...with_ } : p)), push);
  return (
    <>
      {panels.map((p, i) => (
        <Panel key={i} index={i} state={p} change={change(i)} alone={panels.length === 1} onBrowse={(part) => setBrowsing({ of: i, part })}
          remove={() => write(panels.filter((_, k) => k !== i), true)} />
      ))}
      {panels.length < PANELS_MAX && <button type="button" onClick={() => write([...panels, { expr: "" }], true)}>Add a query</button>}
      {browsing && (
        <Browser first={browsing.part} onClose={() => setBrowsing(undefined)} onPick={(expr, inBuilder) => {
          setBrowsing(undefined);
          change(browsing.of)(inBuilder ? { expr, builder: "1" } : { expr }, true);
        }} />
      )}
    </>
  );
}
