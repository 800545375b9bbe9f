// graph.tsx - who calls whom, as a picture that can be moved and zoomed, gone through by keyboard, and
// had as a table instead. Used for the services of a range of time and for the operations of a trace.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { plural } from "../base/format";
import { Choice } from "../parts/bits";
import { Table } from "../parts/table";
import { colorsOf, nsText } from "./look";
import { curve, layout } from "./layered";
import type { Trace } from "./model";
import type { Path } from "./path";
import { byOperation, callsOf } from "./places";

export interface GraphNode { key: string; title: string; sub: string; note: string; service: string; bad: boolean; virtual?: boolean }
export interface GraphEdge { from: string; to: string; label: string; bad: boolean; weight: number; cells?: string[] }

const HEIGHT = 46;
const CHAR = 6.9; // px of a letter, about
const SMALL = 0.6; // smaller is not read: it goes beyond the box instead

const widthOf = (n: GraphNode): number => Math.max(110, Math.min(260, Math.max(n.title.length * 7.4, (n.sub.length + 1) * CHAR, n.note.length * 6.3) + 26));
const fit = (text: string, px: number, char: number): string => (text.length * char > px ? `${text.slice(0, Math.max(1, Math.floor(px / char) - 1))}…` : text);

interface View { x: number; y: number; zoom: number }

export function Graph({ nodes, edges, label, onPick }: { nodes: GraphNode[]; edges: GraphEdge[]; label: string; onPick: (n: GraphNode) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const gap = Math.max(50, ...edges.map((e) => Math.ceil(Math.min(170, e.label.length * 6.2 + 34) / 20) * 20)); // in steps: numbers change
  const shape = `${gap} ` + nodes.map((n) => `${n.key} ${Math.round(widthOf(n) / 20)}`).join("|") + edges.map((e) => `${e.from}>${e.to}`).join("|");
  const laid = useMemo(() => layout(nodes.map((n) => ({ key: n.key, width: Math.ceil(widthOf(n) / 20) * 20, height: n.sub ? HEIGHT + 12 : HEIGHT })), edges, gap), [shape]);
  const [view, setView] = useState<View>();
  const [at, setAt] = useState<string>();
  const drag = useRef<[number, number] | undefined>(undefined);
  const colors = colorsOf(nodes.map((n) => n.service));
  const fitView = () => {
    const r = box.current!.getBoundingClientRect();
    const zoom = Math.min(1, (r.width - 32) / laid.width, (r.height - 32) / laid.height);
    const z = Math.max(zoom, SMALL);
    setView({ x: Math.max(16, (r.width - laid.width * z) / 2), y: laid.height * z > r.height ? 16 : (r.height - laid.height * z) / 2, zoom: z });
  };
  useEffect(fitView, [laid]);
  const scale = (by: number, cx: number, cy: number) => setView((v) => {
    if (!v) return v;
    const zoom = Math.max(0.1, Math.min(3, v.zoom * by));
    return { x: cx - ((cx - v.x) * zoom) / v.zoom, y: cy - ((cy - v.y) * zoom) / v.zoom, zoom };
  });
  const zoomBy = (by: number) => scale(by, box.current!.clientWidth / 2, box.current!.clientHeight / 2);
  useEffect(() => {
    const b = box.current!;
    const wheel = (e: WheelEvent) => {
      if (!e.ctrlKey) return;
      e.preventDefault();
      const r = b.getBoundingClientRect();
      scale(e.deltaY < 0 ? 1.15 : 1 / 1.15, e.clientX - r.left, e.clientY - r.top);
    };
    b.addEventListener("wheel", wheel, { passive: false });
    return () => b.removeEventListener("wheel", wheel);
  }, []);
  const move = (e: PointerEvent) => {
    if (!drag.current || !view) return;
    const [x, y] = drag.current;
    drag.current = [e.clientX, e.clientY];
    setView({ ...view, x: view.x + e.clientX - x, y: view.y + e.clientY - y });
  };
  const near = new Set(at === undefined ? [] : edges.flatMap((e) => (e.from === at || e.to === at ? [e.from, e.to] : [])));
  if (at !== undefined) near.add(at);
  const most = Math.max(...edges.map((e) => e.weight), 1e-12);
  // The arrows go to what is called, who calls, and to what stands above and below.
  const keys = (e: KeyboardEvent, n: GraphNode) => {
    const me = laid.nodes.get(n.key)!;
    let to: string | undefined;
    if (e.key === "ArrowRight") to = edges.find((x) => x.from === n.key && x.to !== n.key)?.to;
    else if (e.key === "ArrowLeft") to = edges.find((x) => x.to === n.key && x.from !== n.key)?.from;
    else if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      const down = e.key === "ArrowDown";
      to = [...laid.nodes].filter(([, s]) => s.x === me.x && (down ? s.y > me.y : s.y < me.y)).sort((a, b) => Math.abs(a[1].y - me.y) - Math.abs(b[1].y - me.y))[0]?.[0];
    } else if (e.key === "Enter" || e.key === " ") onPick(n);
    else return;
    e.preventDefault();
    if (to !== undefined) box.current!.querySelector<HTMLElement>(`[data-node="${CSS.escape(to)}"]`)?.focus();
  };
  return (
    <div class="graph-box" role="group" aria-label={label}>
      <div class="graph" ref={box} onPointerDown={(e) => { if (e.button === 0 && !(e.target as Element).closest(".node")) { drag.current = [e.clientX, e.clientY]; e.currentTarget.setPointerCapture(e.pointerId); } }}
        onPointerMove={move} onPointerUp={() => (drag.current = undefined)}>
        <svg aria-hidden={nodes.length === 0}>
          <defs>
            {["", "bad", "dim"].map((k) => <marker key={k} id={`tip-${k || "plain"}`} class={`tip-${k || "plain"}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse" markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8z" /></marker>)}
          </defs>
          {view && (
            <g transform={`translate(${view.x} ${view.y}) scale(${view.zoom})`}>
              {edges.map((e, i) => <Line key={`${e.from}>${e.to}`} e={e} line={laid.lines[i]} dim={at !== undefined && e.from !== at && e.to !== at} strong={e.from === at || e.to === at} share={e.weight / most} labels={edges.length <= 40} />)}
              {nodes.map((n) => {
                const s = laid.nodes.get(n.key)!;
                const w = Math.ceil(widthOf(n) / 20) * 20;
                const h = n.sub ? HEIGHT + 12 : HEIGHT;
                return (
                  <g key={n.key} class={`node${n.bad ? " bad" : ""}${n.virtual ? " virtual" : ""}${at !== undefined && !near.has(n.key) ? " dim" : ""}`} data-node={n.key} transform={`translate(${s.x - w / 2} ${s.y - h / 2})`}
                    tabIndex={0} role="button" aria-label={`${[n.title, n.sub, n.note].filter(Boolean).join(" ")}; ${neighbours(n, edges)}`} onKeyDown={(e) => keys(e, n)} onFocus={() => setAt(n.key)} onBlur={() => setAt(undefined)}
                    onPointerEnter={() => setAt(n.key)} onPointerLeave={() => setAt(undefined)} onClick={() => onPick(n)}>
                    <rect width={w} height={h} rx="7" />
                    <rect class="hue" width="5" height={h - 12} x="6" y="6" rx="2" style={{ fill: colors.get(n.service) }} />
                    <text class="title" x="17" y="19">{fit(n.title, w - 24, 7.3)} </text>
                    {n.sub && <text x="17" y="34">{fit(n.sub, w - 24, CHAR)} </text>}
                    <text class="note" x="17" y={h - 10}>{n.bad ? "◆ " : ""}{fit(n.note, w - 24, 6.2)}</text>
                  </g>
                );
              })}
            </g>
          )}
        </svg>
      </div>
      <div class="graph-tools">
        <button type="button" class="icon" aria-label="Larger" onClick={() => zoomBy(1.25)}>+</button>
        <button type="button" class="icon" aria-label="Smaller" onClick={() => zoomBy(0.8)}>−</button>
        <button type="button" class="icon" aria-label="Fit" title="Fit" onClick={fitView}>⤢</button>
      </div>
    </div>
  );
}

const neighbours = (n: GraphNode, edges: GraphEdge[]): string =>
  `calls ${edges.filter((e) => e.from === n.key).length}, called by ${edges.filter((e) => e.to === n.key).length}`;

function Line({ e, line, dim, strong, share, labels }: { e: GraphEdge; line: { x: number; y: number }[]; dim: boolean; strong: boolean; share: number; labels: boolean }) {
  if (!line.length) return null; // a service that calls itself
  const middle = line.length % 2 ? line[(line.length - 1) / 2] : { x: (line[line.length / 2 - 1].x + line[line.length / 2].x) / 2, y: (line[line.length / 2 - 1].y + line[line.length / 2].y) / 2 };
  return (
    <g class={`edge${e.bad ? " bad" : ""}${dim ? " dim" : ""}`}>
      <path d={curve(line)} style={{ strokeWidth: `${1.2 + 2.6 * share}px` }} marker-end={`url(#tip-${dim ? "dim" : e.bad ? "bad" : "plain"})`} />
      {(strong || (labels && !dim)) && <text x={middle.x} y={middle.y - 5} text-anchor="middle">{e.bad ? "◆ " : ""}{e.label}</text>}
    </g>
  );
}

// A graph, or the same as a table.
export function GraphOrTable({ nodes, edges, label, columns, onPick, children }: {
  nodes: GraphNode[]; edges: GraphEdge[]; label: string; columns: string[]; onPick: (n: GraphNode) => void; children?: ComponentChildren;
}) {
  const [table, setTable] = useState(false);
  const title = new Map(nodes.map((n) => [n.key, [n.title, n.sub].filter(Boolean).join(" ")]));
  return (
    <section class="card" aria-label={label}>
      <div class="bar">
        <Choice label="Shown as" value={table ? "table" : "graph"} options={[["graph", "Graph"], ["table", "Table"]]} onChange={(v) => setTable(v === "table")} />
        {children}
        <span class="dim small end">{plural(nodes.length, "node")}, {plural(edges.length, "edge")}{!table && ". Drag moves, Ctrl and the wheel zoom."}</span>
      </div>
      {!table ? <Graph nodes={nodes} edges={edges} label={label} onPick={onPick} /> : (
        <Table label={label} rows={edges} id={(e) => `${e.from}>${e.to}`} sort="-0" columns={[
          { key: "from", title: "From", value: (e) => title.get(e.from) ?? e.from }, { key: "to", title: "To", value: (e) => title.get(e.to) ?? e.to },
          ...columns.map((c, i) => ({ key: String(i), title: c, right: true, value: (e: GraphEdge) => (i ? e.cells?.[i - 1] ?? "" : e.weight), cell: (e: GraphEdge) => (i ? e.cells?.[i - 1] : e.label) })),
        ]} />
      )}
    </section>
  );
}

const NODES_MAX = 150;

export function TraceGraph({ t, path, onSpan }: { t: Trace; path: Path; onSpan: (i: number) => void }) {
  const [services, setServices] = useState(false);
  const made = useMemo(() => {
    const all = byOperation(t, path, services).sort((a, b) => b.total - a.total);
    const rows = all.slice(0, NODES_MAX);
    const keys = new Set(rows.map((r) => `${r.service}\n${r.name}`));
    const nodes = rows.map((r): GraphNode => ({
      key: `${r.service}\n${r.name}`, title: r.service, sub: r.name, service: r.service, bad: r.errors > 0, note: `${r.spans} × ${nsText(r.total / r.spans)}, self ${nsText(r.self)}`,
    }));
    const edges = callsOf(t, services).filter((c) => keys.has(c.from) && keys.has(c.to))
      .map((c): GraphEdge => ({ from: c.from, to: c.to, label: String(c.calls), bad: c.errors > 0, weight: c.calls, cells: [String(c.errors)] }));
    return { nodes, edges, longest: new Map(rows.map((r) => [`${r.service}\n${r.name}`, r.longest])), left: all.length - rows.length };
  }, [t, path, services]);
  return (
    <>
      {made.left > 0 && <div class="notice">The {NODES_MAX} operations that took longest are drawn, {made.left} are not; the tab Operations has all.</div>}
      <GraphOrTable nodes={made.nodes} edges={made.edges} label="Graph of the trace" columns={["Calls", "Errors"]} onPick={(n) => onSpan(made.longest.get(n.key)!)}>
        <Choice label="Nodes" value={services ? "services" : "operations"} options={[["operations", "Operations"], ["services", "Services"]]} onChange={(v) => setServices(v === "services")} />
      </GraphOrTable>
    </>
  );
}
