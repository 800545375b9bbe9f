// candlestick.tsx - open, high, low and close of each stretch of time, and how much was traded in it.
import { useMemo } from "preact/hooks";
import { isDark } from "../../base/store";
import { Plot } from "../../parts/plot";
import { timeIn } from "../../base/zone";
import { type Axis, rangeOf } from "../../parts/plot_axes";
import { type Candle, Candles } from "../../parts/plot_points";
import { cssColor } from "../color";
import type { Field } from "../frame";
import type { PanelProps } from "./panel";
import { Nothing, zonesOf, zoomedOut } from "./plot_panel";
import { axisOf, textOf, timeField, titleOf } from "./series";

const PARTS = ["open", "high", "low", "close", "volume"] as const;
const ALSO: Record<string, string[]> = { open: ["o"], high: ["h", "max"], low: ["l", "min"], close: ["c", "value"], volume: ["v"] };

export default function Candlestick(props: PanelProps) {
  const { panel, frames, scope, width, height } = props;
  const { options } = panel;
  const dark = isDark.value;
  const zones = zonesOf(props);
  const drawn = useMemo(() => {
    const all = frames.flatMap((f) => f.fields.filter((x) => x.type === "number"));
    const times = frames.map(timeField).find(Boolean)?.values as number[] | undefined;
    if (!times || !all.length) return undefined;
    const find = (part: string): Field | undefined => {
      const given = options.fields?.[part];
      const is = (f: Field, name: string) => titleOf(f).toLowerCase() === name.toLowerCase() || f.name.toLowerCase() === name.toLowerCase();
      return all.find((f) => (given ? is(f, given) : is(f, part))) ?? (given ? undefined : all.find((f) => ALSO[part]!.some((n) => is(f, n))));
    };
    const close = find("close") ?? all[0]!;
    const fields: Record<string, Field | undefined> = Object.fromEntries(PARTS.map((p) => [p, p === "close" ? close : find(p)]));
    const at = (part: string, i: number): number => Number(fields[part]?.values[i] ?? NaN);
    const colors = { up: cssColor(options.colors?.up ?? "green", dark), down: cssColor(options.colors?.down ?? "red", dark), flat: cssColor(options.colors?.flat ?? "gray", dark) };
    const candles = times.flatMap((t, i): (Candle & { row: number })[] => {
      const c = at("close", i);
      if (!Number.isFinite(c)) return [];
      const before = i ? at("close", i - 1) : c;
      const open = fields.open ? at("open", i) : before;
      const from = options.colorStrategy === "close-close" ? before : open;
      return [{ row: i, at: t, open, close: c, high: fields.high ? at("high", i) : Math.max(open, c), low: fields.low ? at("low", i) : Math.min(open, c), volume: at("volume", i), color: c > from ? colors.up : c < from ? colors.down : colors.flat }];
    });
    const mode: string = options.mode ?? "candles+volume";
    const prices = mode.includes("candles");
    const volume = mode.includes("volume") && !!fields.volume;
    const spec = axisOf(close, false);
    const [min, max] = rangeOf(Math.min(...candles.map((c) => c.low)), Math.max(...candles.map((c) => c.high)), spec.axis.kind, 10, spec.limits);
    const ys: Axis[] = prices ? [{ ...spec.axis, min, max }] : [];
    if (volume) ys.push({ kind: "linear", min: 0, max: Math.max(1, ...candles.map((c) => c.volume).filter(Number.isFinite)) * (prices ? 4 : 1.1), side: prices ? "hidden" : "left", text: textOf(fields.volume!) });
    if (!ys.length) return undefined;
    const layer = new Candles({
      candles, step: times.length > 1 ? Math.min(...times.slice(1).map((t, i) => t - times[i]!)) : 60e3, style: options.candleStyle === "ohlcbars" ? "ohlcbars" : "candles", prices, volume,
      title: (t) => timeIn(t, zones[0]!), mode: options.tooltip?.mode ?? "multi", marks: props.marks.map((m) => ({ ...m, color: cssColor(m.color, dark) })),
      rows: (i) => PARTS.filter((p) => fields[p]).map((p) => ({ name: titleOf(fields[p]!), text: textOf(fields[p]!)(at(p, candles[i]!.row)) })),
    });
    return { layer, ys };
  }, [frames, options, dark, props.marks, zones.join()]);
  const x = useMemo((): Axis => ({ kind: "time", min: scope.from, max: scope.to > scope.from ? scope.to : scope.from + 1, zones }), [drawn, scope.from, scope.to, zones.join()]);
  if (!drawn) return <Nothing width={width} height={height}>{frames.length ? "No prices to draw" : "No data"}</Nothing>;
  return (
    <div class="plot-frame" style={{ width: `${width}px`, height: `${height}px` }}>
      <Plot x={x} ys={drawn.ys} layer={drawn.layer} marks={drawn.layer.p.marks} group={props.tooltipGroup} onRange={props.onRange} onZoomOut={zoomedOut(props)}
        label={`${panel.title || "Candlesticks"}: ${drawn.layer.p.candles.length} candles. Arrow keys move the cursor.`} />
    </div>
  );
}
