// xychart.tsx - points with an x and a y out of two columns; size and colour out of others. Both forms
// that the options have had are read: `dims` and named fields, and matchers.
import { useMemo, useState } from "preact/hooks";
import { isDark } from "../../base/store";
import { Plot } from "../../parts/plot";
import { timeIn } from "../../base/zone";
import { type Axis, rangeOf } from "../../parts/plot_axes";
import { stepsFor } from "../../parts/plot_math";
import { type Cloud, Points } from "../../parts/plot_points";
import { cssColor, LEAST_LINE, paletteColor, readable } from "../color";
import type { Field, Frame } from "../frame";
import type { Bag } from "../model";
import type { PanelProps } from "./panel";
import { Nothing, PlotPanel, tooltipOf, useOff, zonesOf } from "./plot_panel";
import { axisOf, type AxisSpec, seriesColor, styleOf, textOf, tickTextOf, titleOf } from "./series";

interface Pair { frame: Frame; x: Field; y: Field; size?: Field; color?: Field; fixedSize?: number; fixedColor?: string; name: string }

const drawable = (f: Field): boolean => f.type === "number" || f.type === "time";
const called = (name: string | undefined) => (f: Field): boolean => !!name && (titleOf(f) === name || f.name === name);
const wantedName = (m: any): string | undefined => (typeof m === "string" ? m : m?.matcher?.options ?? m?.field?.name ?? undefined);

function frameOf(frames: Frame[], m: any): Frame[] {
  const at = typeof m === "number" ? m : m?.matcher?.id === "byIndex" ? Number(m.matcher.options) : undefined;
  return at !== undefined && frames[at] ? [frames[at]!] : frames;
}

function pairsOf(frames: Frame[], options: Bag): Pair[] {
  const manual = (options.mapping ?? options.seriesMapping) === "manual";
  const list: Bag[] = manual ? options.series ?? [] : [];
  if (manual && list.length)
    return list.flatMap((s): Pair[] => frameOf(frames, s.frame).flatMap((frame): Pair[] => {
      const x = frame.fields.find(called(wantedName(s.x))) ?? (s.x ? undefined : frame.fields.find(drawable));
      const y = frame.fields.find(called(wantedName(s.y)));
      if (!x || !y) return [];
      return [{ frame, x, y, size: frame.fields.find(called(wantedName(s.size) ?? s.pointSize?.field)), color: frame.fields.find(called(wantedName(s.color) ?? s.pointColor?.field)),
        fixedSize: s.pointSize?.fixed, fixedColor: s.pointColor?.fixed, name: (typeof s.name === "string" ? s.name : s.name?.fixed) || titleOf(y) }];
    }).slice(0, 1));
  const first: Bag = (options.mapping ? options.series?.[0] : undefined) ?? {};
  const dims: Bag = options.dims ?? {};
  const exclude: string[] = dims.exclude ?? [];
  return frameOf(frames, first.frame ?? dims.frame).flatMap((frame): Pair[] => {
    const fields = frame.fields.filter(drawable);
    const x = fields.find(called(wantedName(first.x) ?? dims.x)) ?? fields[0];
    const extra = [wantedName(first.size), wantedName(first.color)];
    return fields.filter((f) => f !== x && f.type === "number" && !exclude.includes(titleOf(f)) && !extra.some((e) => called(e)(f)) && (!first.y || called(wantedName(first.y))(f)))
      .map((y) => ({ frame, x: x!, y, size: frame.fields.find(called(extra[0])), color: frame.fields.find(called(extra[1])), name: titleOf(y) }));
  });
}

const colorOf = (p: Pair, k: number, dark: boolean): string => {
  const mode = p.y.config.color?.mode ?? "palette-classic";
  if (p.fixedColor) return readable(cssColor(p.fixedColor, dark), dark, LEAST_LINE);
  return mode.startsWith("palette-c") && !mode.endsWith("name") ? readable(paletteColor(k, dark, mode), dark, LEAST_LINE) : seriesColor(p.y, dark);
};

function cloudOf(p: Pair, color: string, axis: number, zone: string): Cloud {
  const c = p.y.config.custom ?? {};
  const style = styleOf(p.y);
  const show: string = c.show ?? "points";
  const sizes = p.size?.values as number[] | undefined;
  const [lo, hi] = sizes ? [Math.min(...sizes.filter(Number.isFinite)), Math.max(...sizes.filter(Number.isFinite))] : [0, 1];
  const fixed = Number(p.fixedSize ?? c.pointSize?.fixed) || 5;
  const [least, most] = [Number(c.pointSize?.min) || 2, Number(c.pointSize?.max) || 50];
  const at: number[] = [];
  const spots: Cloud["spots"] = [];
  for (let i = 0; i < p.frame.length; i++) {
    const x = p.x.values[i];
    const y = p.y.values[i];
    if (typeof x !== "number" || typeof y !== "number" || !Number.isFinite(x) || !Number.isFinite(y)) continue;
    at.push(i);
    const size = sizes ? least + (hi > lo ? ((Number(sizes[i]) - lo) / (hi - lo)) * (most - least) : 0) : fixed;
    spots.push({ x, y, size: Number.isFinite(size) ? size : fixed, color: p.color?.show ? p.color.show(p.color.values[i]).color : color });
  }
  const text = (f: Field, i: number) => (f.type === "time" ? timeIn(Number(f.values[i]), zone) : f.show ? textOf(f)(f.values[i] as number) : String(f.values[i]));
  const told = [p.x, p.y, ...p.frame.fields.filter((f) => f !== p.x && f !== p.y && (f === p.size || f === p.color || f.type === "string")).slice(0, 8)];
  return { name: p.name, color, axis, spots, points: show.includes("points"), line: show.includes("lines") ? style.width : 0, dash: style.dash, square: c.pointShape === "square", fill: (c.fillOpacity ?? 50) / 100,
    rows: (i) => told.map((f) => ({ name: titleOf(f), text: text(f, at[i]!) })) };
}

export default function XYChart(props: PanelProps) {
  const { panel, frames, width, height, scope } = props;
  const { options } = panel;
  const dark = isDark.value;
  const zones = zonesOf(props);
  const [focus, setFocus] = useState<number>();
  const pairs = useMemo(() => pairsOf(frames.filter((f) => f.kind !== "exemplars"), options), [frames, options]);
  const [off, pick] = useOff(pairs.filter((p) => p.y.config.custom?.hideFrom?.viz).map((p) => p.name));
  const drawn = useMemo(() => {
    const shown = pairs.filter((p) => !off.has(p.name));
    const axes: AxisSpec[] = [];
    const clouds = shown.map((p) => {
      const spec = axisOf(p.y, axes.some((a) => a.axis.side === "left"));
      let i = axes.findIndex((a) => a.key === spec.key);
      if (i < 0) i = axes.push(spec) - 1;
      return cloudOf(p, colorOf(p, pairs.indexOf(p), dark), i, zones[0]!);
    });
    const ends = (list: number[], limits = {}, kind: Axis["kind"] = "linear"): [number, number] => {
      let [lo, hi] = [Infinity, -Infinity];
      for (const v of list) if (kind !== "log" || v > 0) [lo, hi] = [Math.min(lo, v), Math.max(hi, v)];
      return rangeOf(lo, hi, kind, 10, limits);
    };
    const ys = axes.map((a, i): Axis => {
      const [min, max] = ends(clouds.filter((c) => c.axis === i).flatMap((c) => c.spots.map((s) => s.y)), a.limits, a.axis.kind);
      return { ...a.axis, min, max };
    });
    const xf = shown[0]?.x;
    const all = clouds.flatMap((c) => c.spots.map((s) => s.x));
    const xKind = xf?.config.custom?.scaleDistribution?.type === "log" ? "log" : "linear";
    const [lo, hi] = ends(all, { min: xf?.config.min, max: xf?.config.max }, xKind);
    const x: Axis = xf?.type === "time" ? { kind: "time", min: scope.from, max: scope.to, zones } : { kind: xKind, min: lo, max: hi, text: xf ? tickTextOf(xf) : String, steps: stepsFor(xf?.config.unit), label: xf?.config.custom?.axisLabel || (xf ? titleOf(xf) : undefined) };
    const layer = new Points(clouds, tooltipOf(options).mode);
    return { x, ys: ys.length ? ys : [{ kind: "linear", min: 0, max: 1 } as Axis], layer, clouds };
  }, [pairs, off, dark, options, zones.join(), scope.from, scope.to]);
  const entries = useMemo(() => pairs.filter((p) => !p.y.config.custom?.hideFrom?.legend).map((p) => ({ name: p.name, color: colorOf(p, pairs.indexOf(p), dark), field: p.y, off: off.has(p.name) })), [pairs, off, dark]);
  if (!pairs.length) return <Nothing width={width} height={height}>{frames.length ? "Two numeric fields are needed" : "No data"}</Nothing>;
  return (
    <PlotPanel props={props} entries={entries} onPick={(i, one) => pick(entries[i]!.name, pairs.map((p) => p.name), one)}
      onFocus={(i) => { const k = i === undefined ? -1 : drawn.clouds.findIndex((c) => c.name === entries[i]!.name); setFocus(k < 0 ? undefined : k); }}>
      <Plot x={drawn.x} ys={drawn.ys} layer={drawn.layer} focus={focus} onRange={drawn.x.kind === "time" ? props.onRange : undefined}
        label={`${panel.title || "XY chart"}: points of ${pairs.length} series. Arrow keys move from point to point.`} />
    </PlotPanel>
  );
}
