// picker.tsx - the time range, the zone and the refresh interval: all in the address (base/time.ts).
import { useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { beatAgain, from, parseInstant, QUICK, rangeText, refresh, setRange, setRefresh, setZone, shiftRange, to, zone, zoomOut } from "../base/time";
import { zoneNames } from "../base/zone";
import { Layer } from "./bits";
import { Icon } from "./icon";

export const pickerOpen = signal(false);

export function RangePicker() {
  return (
    <div class="range">
      <button type="button" class="icon" aria-label="Earlier" title="Earlier (t ←)" onClick={() => shiftRange(-1)}>‹</button>
      <button type="button" class="range-text" aria-haspopup="dialog" title="Time range (t a)" onClick={() => (pickerOpen.value = true)}>
        <Icon name="clock" /><span>{rangeText()}</span>{zone.value !== "browser" && <small>{zone.value === "utc" ? "UTC" : zone.value}</small>}
      </button>
      <button type="button" class="icon" aria-label="Later" title="Later (t →)" onClick={() => shiftRange(1)}>›</button>
      <button type="button" class="icon" aria-label="Zoom out" title="Zoom out (t z)" onClick={zoomOut}>−</button>
      {pickerOpen.value && <RangeLayer onClose={() => (pickerOpen.value = false)} />}
    </div>
  );
}

function RangeLayer({ onClose }: { onClose: () => void }) {
  const [a, setA] = useState(from.value);
  const [b, setB] = useState(to.value);
  const now = Date.now();
  const start = parseInstant(a, now, zone.value);
  const end = parseInstant(b, now, zone.value, true);
  const wrong = Number.isNaN(start) ? "The start is no time: now-6h, 2026-11-22 10:00 or milliseconds."
    : Number.isNaN(end) ? "The end is no time." : start >= end ? "The start is not before the end." : "";
  const apply = (x: string, y: string) => {
    setRange(x, y);
    onClose();
  };
  return (
    <Layer label="Time range" onClose={onClose} kind="range-layer">
      <form onSubmit={(e) => { e.preventDefault(); if (!wrong) apply(a.trim(), b.trim()); }}>
        <label>From<input data-first value={a} onInput={(e) => setA(e.currentTarget.value)} aria-invalid={!!wrong} spellcheck={false} /></label>
        <label>To<input value={b} onInput={(e) => setB(e.currentTarget.value)} spellcheck={false} /></label>
        <p class="hint" role="status">{wrong || "now-6h, 2026-11-22 10:00, or milliseconds"}</p>
        <div class="row">
          <button type="submit" class="main" disabled={!!wrong}>Apply</button>
          <select aria-label="Time zone" value={zone.value} onChange={(e) => setZone(e.currentTarget.value)}>
            <option value="browser">The browser's zone</option><option value="utc">UTC</option>
            {[...new Set([...zoneNames(), zone.value])].filter((z) => z.includes("/")).map((z) => <option key={z} value={z}>{z}</option>)}
          </select>
        </div>
      </form>
      <ul class="quick">
        {QUICK.map(([text, f]) => (
          <li key={f}><button type="button" aria-current={f === from.value && to.value === "now"} onClick={() => apply(f, "now")}>Last {text}</button></li>
        ))}
      </ul>
    </Layer>
  );
}

const EVERY = ["", "5s", "10s", "30s", "1m", "5m", "15m"];

export function RefreshPicker() {
  const options = EVERY.includes(refresh.value) ? EVERY : [...EVERY, refresh.value];
  return (
    <div class="refresh">
      <button type="button" class="icon" aria-label="Refresh now" title="Refresh (d r)" onClick={beatAgain}><Icon name="refresh" /></button>
      <select aria-label="Refresh interval" value={refresh.value} onChange={(e) => setRefresh(e.currentTarget.value)}>
        {options.map((o) => <option key={o} value={o}>{o || "Off"}</option>)}
      </select>
    </div>
  );
}
