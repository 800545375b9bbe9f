// plot_panel.tsx - what the panels with a plot and a legend have in common: the body's layout, the
// names that are hidden, the figures of the legend, the tooltip's and the legend's options.
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { zoneOf } from "../../base/zone";
import { Legend, type LegendCell, NAME_COLUMN, picked } from "../../parts/plot_legend";
import { calcText, keepsUnit, reduceField } from "../calc";
import type { Field } from "../frame";
import { shownText } from "../frame";
import type { Bag } from "../model";
import { formatValue } from "../units";
import type { PanelProps } from "./panel";

export interface LegendEntry { name: string; color: string; field?: Field; dashed?: boolean; off: boolean; cells?: (string | number)[] }

export interface Tooltip { mode: "single" | "multi" | "none"; sort: "none" | "asc" | "desc"; maxHeight?: number; maxWidth?: number; hideZeros?: boolean }
export const tooltipOf = (options: Bag): Tooltip => ({
  mode: options.tooltip?.mode ?? "single", sort: options.tooltip?.sort ?? "none", maxHeight: options.tooltip?.maxHeight, maxWidth: options.tooltip?.maxWidth, hideZeros: !!options.tooltip?.hideZeros,
});

// The zones of the time axis; the first is the tooltip's.
export function zonesOf({ panel, scope }: PanelProps): string[] {
  const given: string[] = Array.isArray(panel.options.timezone) ? panel.options.timezone : [];
  const zones = given.map((z) => (z ? zoneOf(z) : scope.zone));
  return zones.length ? zones : [scope.zone];
}

// Twice as wide about the middle, not into the future.
export const zoomedOut = ({ scope, onRange }: PanelProps) => (): void => {
  const wide = scope.to - scope.from;
  const to = Math.min(scope.to + wide / 2, Math.max(Date.now(), scope.to));
  onRange(to - 2 * wide, to);
};

// Names that were clicked away, kept while the panel lives; `first` are away at first.
export function useOff(first: string[]): [ReadonlySet<string>, (name: string, names: string[], one: boolean) => void] {
  const [own, setOwn] = useState<ReadonlySet<string>>();
  const key = first.join("\n");
  const off = useMemo(() => own ?? new Set(first), [own, key]);
  return [off, (name, names, one) => setOwn(picked(off, names, name, one))];
}

function cellOf(field: Field | undefined, calc: string): LegendCell {
  if (!field) return { text: "", number: NaN };
  const v = reduceField(field, calc);
  const n = typeof v === "number" ? v : NaN;
  if (keepsUnit(calc) && field.show) return { text: shownText(field.show(v)), number: n };
  return { text: v === null || v === undefined ? "" : typeof v === "number" ? shownText({ ...formatValue(calc === "diffperc" ? "percentunit" : "short", v), number: v, color: "" }) : String(v), number: n };
}

const MIN_BESIDE_PX = 260; // a narrower panel has its legend below
const MIN_LEGEND_HEIGHT_PX = 110; // a lower one has none

export function PlotPanel({ props, entries, onPick, onFocus, children }: {
  props: PanelProps; entries: LegendEntry[]; onPick: (i: number, one: boolean) => void; onFocus?: (i: number | undefined) => void; children: ComponentChildren;
}) {
  const { panel, width, height } = props;
  const legend: Bag = panel.options.legend ?? {};
  const calcs: string[] = legend.calcs ?? [];
  const columns = useMemo(() => calcs.map(calcText), [calcs.join()]);
  const [sort, setSort] = useState<{ column: string; down: boolean } | undefined>(legend.sortBy ? { column: legend.sortBy, down: !!legend.sortDesc } : undefined);
  const cell = useMemo(() => {
    const made = new Map<string, LegendCell>();
    return (i: number, column: number): LegendCell => {
      const key = `${i} ${column}`;
      let c = made.get(key);
      if (!c) made.set(key, (c = cellOf(entries[i]?.field, calcs[column]!)));
      return c;
    };
  }, [entries, calcs.join()]);
  const shown = legend.showLegend !== false && legend.displayMode !== "hidden" && entries.length > 0 && height >= MIN_LEGEND_HEIGHT_PX;
  const right = legend.placement === "right" && width >= MIN_BESIDE_PX;
  return (
    <div class={right ? "plot-frame beside" : "plot-frame"} style={{ width: `${width}px`, height: `${height}px` }}>
      {children}
      {shown && (
        <Legend items={entries} mode={legend.displayMode === "table" ? "table" : "list"} right={right} width={legend.width} columns={columns} cell={cell}
          off={(i) => !!entries[i]?.off} sort={sort} onPick={onPick} onFocus={onFocus}
          onSort={(column, down) => {
            const next = column === NAME_COLUMN && down && sort?.column === column ? undefined : { column, down };
            setSort(next);
            props.onOptions({ ...panel.options, legend: { ...legend, sortBy: next?.column, sortDesc: next?.down } });
          }} />
      )}
    </div>
  );
}

export const Nothing = ({ width, height, children }: { width: number; height: number; children: ComponentChildren }) => (
  <div class="plot-none" style={{ width: `${width}px`, height: `${height}px` }}>{children}</div>
);
