// states.tsx - rows of states over time: the body of state timelines, whose equal neighbours are one,
// and of status histories, which have a cell for each sample.
import { useMemo, useState } from "preact/hooks";
import { durationText } from "../../base/time";
import { isDark } from "../../base/store";
import { Plot } from "../../parts/plot";
import { timeIn } from "../../base/zone";
import { type Axis } from "../../parts/plot_axes";
import { runsOf } from "../../parts/plot_math";
import { type StateRow, States, type Stretch } from "../../parts/plot_states";
import { cssColor, thresholdOf } from "../color";
import { type Field, type Frame, shownText } from "../frame";
import type { Threshold } from "../model";
import type { PanelProps } from "./panel";
import { type LegendEntry, Nothing, PlotPanel, tooltipOf, useOff, zonesOf, zoomedOut } from "./plot_panel";
import { timeField, titleOf } from "./series";

interface Row { field: Field; times: number[] }

const rowsOf = (frames: Frame[]): Row[] => frames.flatMap((frame) => {
  const at = timeField(frame);
  return at ? frame.fields.filter((f) => f !== at && f.type !== "other" && !f.config.custom?.hideFrom?.viz).map((field) => ({ field, times: at.values as number[] })) : [];
});

// A step of the thresholds in words.
function stepText(field: Field, step: Threshold): string {
  const steps = field.config.thresholds!.steps;
  const unit = (v: number | null) => (v === null ? "" : field.config.thresholds!.mode === "percentage" ? `${v}%` : field.show ? shownText(field.show(v)) : String(v));
  return step.value === null || step.value === -Infinity ? (steps[1] ? `< ${unit(steps[1].value)}` : "any") : `${unit(step.value)}+`;
}

// What the value is coloured by decides what is one state: a number under thresholds is the step it is in.
function stateOf(field: Field, v: unknown): unknown {
  if (v === null || v === undefined || (typeof v === "number" && Number.isNaN(v))) return null;
  if (field.config.mappings?.length || typeof v !== "number" || field.config.color?.mode !== "thresholds") return v;
  return thresholdOf(field.config.thresholds, v, () => field.show?.(v).percent ?? 0) ?? v;
}

function timeline({ field, times }: Row, to: number, merge: boolean): Stretch[] {
  const span = field.config.custom?.spanNulls;
  const insert = field.config.custom?.insertNulls;
  const states = field.values.map((v) => (v === undefined ? undefined : stateOf(field, v)));
  const out: Stretch[] = [];
  const runs = runsOf(states, merge);
  runs.forEach((run, i) => {
    let value = field.values[run.from];
    const next = runs[i + 1];
    let end = next ? times[next.from]! : to;
    if (run.value === null) {
      // A gap that is joined is the state before it, going on.
      const last = out[out.length - 1];
      if (last && (span === true || (typeof span === "number" && end - times[run.from]! <= span))) last.to = end;
      if (!mapsNull(field)) return;
      value = null;
    }
    if (typeof insert === "number" && insert > 0) end = Math.min(end, times[run.to - 1]! + insert);
    const shown = field.show?.(value ?? null);
    const before = out[out.length - 1];
    const step = run.value as Threshold | null;
    const text = merge && typeof value === "number" && step && typeof step === "object" ? stepText(field, step) : shown ? shownText(shown) : String(value);
    if (merge && before && before.to === times[run.from] && before.text === text && before.color === shown?.color) before.to = end;
    else out.push({ from: times[run.from]!, to: end, text, color: shown?.color ?? "#808080" });
  });
  return out;
}

const mapsNull = (f: Field): boolean => !!f.config.mappings?.some((m) => m.type === "special" && m.options.match.includes("null"));

function history({ field, times }: Row, step: number, share: number): Stretch[] {
  const half = (step * share) / 2;
  return field.values.flatMap((v, i): Stretch[] => {
    if (v === undefined || (v === null && !mapsNull(field))) return [];
    const shown = field.show?.(v);
    return [{ from: times[i]! - half, to: times[i]! + half, text: shown ? shownText(shown) : String(v), color: shown?.color ?? "#808080" }];
  });
}

const PAGE = 20;

export function StatesPanel({ props, each }: { props: PanelProps; each: boolean }) {
  const { panel, frames, scope, marks, width, height } = props;
  const { options } = panel;
  const dark = isDark.value;
  const zones = zonesOf(props);
  const [page, setPage] = useState(0);
  const all = useMemo(() => rowsOf(frames), [frames]);
  const perPage = Math.max(1, options.perPage ?? PAGE);
  const pages = Math.ceil(all.length / perPage);
  const now = Math.min(page, Math.max(0, pages - 1));
  const rows = useMemo((): StateRow[] => all.slice(now * perPage, (now + 1) * perPage).map((r) => {
    const step = r.times.length > 1 ? Math.min(...r.times.slice(1).map((t, i) => t - r.times[i]!)) : 60e3;
    return { name: titleOf(r.field), color: "", stretches: each ? history(r, step, options.colWidth ?? 0.9) : timeline(r, scope.to, options.mergeValues !== false) };
  }), [all, now, perPage, each, scope.to, options.mergeValues, options.colWidth]);
  const [off, pick] = useOff([]);
  const entries = useMemo((): LegendEntry[] => {
    const known = new Map<string, string>();
    for (const r of rows) for (const s of r.stretches) if (known.size < 60 && !known.has(s.text)) known.set(s.text, s.color);
    return [...known].map(([name, color]) => ({ name: name || "(empty)", color, off: off.has(name || "(empty)") })).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  }, [rows, off]);
  const custom = all[0]?.field.config.custom ?? {};
  const layer = useMemo(() => new States({
    rows: off.size ? rows.map((r) => ({ ...r, stretches: r.stretches.filter((s) => !off.has(s.text || "(empty)")) })) : rows,
    height: options.rowHeight ?? 0.9, values: options.showValue ?? "auto", align: each ? "center" : options.alignValue ?? "left", fill: (custom.fillOpacity ?? 70) / 100,
    border: custom.lineWidth ?? 0, inset: each ? 0 : 1, mode: tooltipOf(options).mode, marks: marks.map((m) => ({ ...m, color: cssColor(m.color, dark) })),
    title: (at, s) => (s && !each ? `${timeIn(s.from, zones[0]!)} – ${timeIn(s.to, zones[0]!).slice(s.to - s.from < 86400e3 ? 11 : 0)}, ${durationText(s.to - s.from)}` : timeIn(Math.round(at / 1000) * 1000, zones[0]!)),
  }), [rows, off, options, marks, dark, zones.join()]);
  const x = useMemo((): Axis => ({ kind: "time", min: scope.from, max: scope.to > scope.from ? scope.to : scope.from + 1, zones }), [rows, scope.from, scope.to, zones.join()]);
  const ys = useMemo((): Axis[] => [{ kind: "names", names: rows.map((r) => r.name), min: 0, max: 0, reverse: true, side: custom.axisPlacement === "hidden" ? "hidden" : custom.axisPlacement === "right" ? "right" : "left", size: custom.axisWidth || undefined }], [rows]);
  if (!all.length) return <Nothing width={width} height={height}>{frames.length ? "No states to draw" : "No data"}</Nothing>;
  const names = entries.map((e) => e.name);
  return (
    <PlotPanel props={props} entries={entries} onPick={(i, one) => pick(names[i]!, names, one)}>
      <div class="plot-frame" style={{ flex: "1", minWidth: "0" }}>
        <Plot x={x} ys={ys} layer={layer} marks={layer.p.marks} group={props.tooltipGroup} onRange={props.onRange} onZoomOut={zoomedOut(props)}
          label={`${panel.title || "States"}: ${all.length === 1 ? "one row" : `${all.length} rows`} of states over time. Arrow keys move the cursor.`} />
        {pages > 1 && (
          <div class="row pages" role="group" aria-label="Pages">
            <button type="button" class="icon" disabled={now === 0} aria-label="Previous page" onClick={() => setPage(now - 1)}>‹</button>
            <span class="small">{now + 1} of {pages}</span>
            <button type="button" class="icon" disabled={now + 1 >= pages} aria-label="Next page" onClick={() => setPage(now + 1)}>›</button>
          </div>
        )}
      </div>
    </PlotPanel>
  );
}
