// gauge.tsx - an arc filled up to the value, the thresholds as a thin ring around it. The value and its
// name are text over the drawing.
import { isDark } from "../../base/store";
import { cssColor } from "../color";
import { shownText } from "../frame";
import { arc, fractions, type Place, placeOf } from "./shapes";
import { fit, gridOf, widthOf } from "./fit";
import { legible } from "./ink";
import { type Item, itemsOf, rangeOf, shareOf, show, stepsOf } from "./items";
import { AFFIX, Box, describe, Many, NoValue, Value } from "./many";
import type { PanelProps } from "./panel";

export default function Gauge(props: PanelProps) {
  const { frames, width, height } = props;
  const o = props.panel.options;
  const items = itemsOf(frames, o.reduceOptions, isDark.value);
  if (!items.length) return <NoValue {...props} />;
  const least = o.sizing === "manual" ? { w: o.minVizWidth ?? 75, h: o.minVizHeight ?? 75 } : { w: 75, h: 75 };
  const grid = gridOf(items.length, width, height, { orientation: o.orientation, shape: 1.15, least });
  const named = items.length > 1 || !!items[0].field.config.displayName;
  const names = named ? Math.max(...items.map((i) => widthOf(i.title))) : 0;
  const name = named && grid.h >= 56 ? o.text?.titleSize || Math.max(Math.min(11, grid.h * 0.2), fit(names, grid.w, grid.h * 0.16, 22)) : 0;
  const range = rangeOf(items);
  return (
    <Many grid={grid} width={width} height={height}>
      {items.map((item) => <One key={item.key} item={item} props={props} w={grid.w} h={grid.h} name={name} range={range(item.field)} items={items} />)}
    </Many>
  );
}

function One({ item, props, w, h, name, range, items }: {
  item: Item; props: PanelProps; w: number; h: number; name: number; range: [number, number]; items: Item[];
}) {
  const dark = isDark.value;
  const o = props.panel.options;
  const labelled = o.showThresholdLabels && w >= 110 && h >= 70;
  const labels = labelled ? labelsOf(item, range, w) : undefined;
  const place = placeOf(w, h - (name ? name * 1.25 : 0), { circle: o.shape === "circle", markers: o.showThresholdMarkers !== false, side: labels?.width, top: labels?.size });
  const color = item.shown.color || "var(--main)";
  const widest = Math.max(...items.map((i) => widthOf(i.shown.text, 600) + AFFIX * widthOf((i.shown.prefix ?? "") + (i.shown.suffix ?? ""), 600)));
  const size = o.text?.valueSize || fit(widest, place.hole * 1.72, place.hole * 0.9, place.hole * 0.75);
  return (
    <Box item={item} kind="gauge">
      <span class="gauge-arc" style={{ width: `${w}px`, height: `${place.height}px` }}><svg width={w} height={place.height} role="img" aria-label={describe(item)}>
        <Ring place={place} item={item} range={range} color={color} markers={o.showThresholdMarkers !== false} dark={dark} />
        {labels && <Labels place={place} labels={labels} />}
      </svg>
      <span class="gauge-value" style={{ left: `${place.x - place.r}px`, width: `${2 * place.r}px`, top: `${place.y - size * 0.62}px` }}>
        <Value item={item} size={size} color={legible(color, dark)} />
      </span></span>
      {name > 0 && <span class="gauge-name" style={{ fontSize: `${name}px` }}>{item.title}</span>}
    </Box>
  );
}

function Ring({ place, item, range, color, markers, dark }: { place: Place; item: Item; range: [number, number]; color: string; markers: boolean; dark: boolean }) {
  const value = shareOf(item.shown.number, range);
  const neutral = item.field.config.custom?.neutral;
  const start = typeof neutral === "number" ? shareOf(neutral, range) : 0;
  const [from, to] = start <= value ? [start, value] : [value, start];
  const steps = stepsOf(item.field, range);
  return (
    <>
      <path d={arc(place, place.r - place.thick, place.r, 0, 1)} class="gauge-track" />
      {to > from && <path d={arc(place, place.r - place.thick, place.r, from, to)} fill={color} />}
      {markers && fractions(steps).map(([a, b, c], i) => <path key={i} d={arc(place, place.r + place.gap, place.r + place.gap + place.ring, a, b)} fill={cssColor(c, dark)} />)}
    </>
  );
}

interface Labelled { size: number; width: number; all: { share: number; text: string }[] }

// The ends of the range and the thresholds within it, with their room beside the arc.
function labelsOf(item: Item, range: [number, number], w: number): Labelled {
  const size = Math.max(10, Math.min(13, w * 0.05));
  const inside = stepsOf(item.field, range).filter((s) => s.share > 0 && s.share < 1);
  const all = [{ at: range[0], share: 0 }, ...inside, { at: range[1], share: 1 }].map((s) => ({ share: s.share, text: shownText(show(item.field, s.at)) }));
  return { size, width: Math.max(...all.map((l) => widthOf(l.text))) * size + size, all };
}

function Labels({ place, labels: { size, all } }: { place: Place; labels: Labelled }) {
  const far = place.r + place.gap + place.ring + size * 0.5;
  return (
    <>
      {all.map(({ share, text }, i) => {
        const angle = place.from + share * place.sweep;
        const side = Math.cos(angle);
        return (
          <text key={i} class="gauge-label" x={place.x + side * far} y={place.y + Math.sin(angle) * far + size * 0.35} font-size={size}
            text-anchor={side < -0.25 ? "end" : side > 0.25 ? "start" : "middle"}>{text}</text>
        );
      })}
    </>
  );
}
