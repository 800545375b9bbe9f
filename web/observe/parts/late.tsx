// late.tsx - what stands over a graph whose samples all begin late in its range, as after the first start:
// since when there are some, and a way to look at just those.
import { QUICK, setRange, setRangeMs, timeParts, to } from "../base/time";
import { isLate, rangeFor } from "./late_math";

export function Late({ first, from, end }: { first: number | undefined; from: number; end: number }) {
  if (!isLate(first, from, end)) return null;
  const zoom = () => {
    const quick = rangeFor(first, end, to.value === "now", QUICK);
    if (quick) setRange(...quick);
    else setRangeMs(first - (end - first) * 0.05, end);
  };
  const [day, today] = [timeParts(first).date, timeParts(end).date];
  const text = `No samples before ${day === today ? "" : `${day} `}${timeParts(first).time.slice(0, 5)}`;
  return (
    <p class="late small"><span>{text}</span> <button type="button" class="quiet" title={text} onClick={zoom}>Zoom to data</button></p>
  );
}
