// logs.tsx - log lines with time, level and labels; a line opens to its details. A few hundred are drawn, more
// as one scrolls towards them.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { timeParts } from "../../base/time";
import { Badge, Copy, LabelList } from "../../parts/bits";
import { commonLabels, dedup, linesOf, type LogLine, ordered, pretty, toneOf } from "./log_lines";
import { NoValue } from "./many";
import type { PanelProps } from "./panel";

const AT_ONCE = 200;

export default function Logs(props: PanelProps) {
  const { panel, frames, width, height, scope } = props;
  const o = panel.options;
  const lines = useMemo(() => dedup(ordered(linesOf(frames), o.sortOrder), o.dedupStrategy), [frames, o.sortOrder, o.dedupStrategy]);
  const common = useMemo(() => (o.showCommonLabels || o.showLabels ? commonLabels(lines) : {}), [lines, o.showCommonLabels, o.showLabels]);
  const [most, setMost] = useState(AT_ONCE);
  const end = useRef<HTMLLIElement>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!end.current) return;
    const watch = new IntersectionObserver((seen) => seen.some((s) => s.isIntersecting) && setMost((n) => n + AT_ONCE), { root: box.current, rootMargin: "400px" });
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [most, lines.length]);
  if (!lines.length) return <NoValue {...props} />;
  return (
    <div class={`logs${o.wrapLogMessage ? " wraps" : ""}`} ref={box} tabIndex={0} role="region" aria-label={panel.title || "Logs"} style={{ width: `${width}px`, height: `${height}px` }}>
      {o.showCommonLabels && Object.keys(common).length > 0 && <p class="row">Common labels <LabelList labels={common} /></p>}
      <ol>
        {lines.slice(0, most).map((l) => <Line key={l.key} line={l} options={o} common={common} zone={scope.zone} />)}
        {most < lines.length && <li ref={end} class="dim">{lines.length - most} more</li>}
      </ol>
    </div>
  );
}

function Line({ line, options: o, common, zone }: { line: LogLine; options: PanelProps["panel"]["options"]; common: Record<string, string>; zone: string }) {
  const [open, setOpen] = useState(false);
  const text = o.prettifyLogMessage ? pretty(line.text) : line.text;
  const own = Object.fromEntries(Object.entries(line.labels).filter(([k]) => !(k in common)));
  const details = o.enableLogDetails !== false;
  const body = (
    <>
      <Badge tone={toneOf(line.level)}>{line.level}</Badge>
      {o.showTime !== false && Number.isFinite(line.ms) && <time dateTime={new Date(line.ms).toISOString()}>{stamp(line.ms, zone)}</time>}
      {line.times > 1 && <span class="tag" title={`${line.times} lines like this one`}>×{line.times}</span>}
      {o.showLabels && Object.keys(own).length > 0 && <LabelList labels={own} />}
      <span class="log-text">{text}</span>
    </>
  );
  return (
    <li class={`log ${line.level}`}>
      {details ? <button type="button" class="log-line" aria-expanded={open} onClick={() => !getSelection()?.toString() && setOpen(!open)}>{body}</button> : <div class="log-line">{body}</div>}
      {open && (
        <div class="log-details">
          <p class="row"><Copy text={line.text} what="line" /></p>
          <pre>{pretty(line.text)}</pre>
          <dl class="pairs">{Object.entries(line.labels).map(([k, v]) => <div key={k}><dt>{k}</dt><dd class="mono">{v}</dd></div>)}</dl>
        </div>
      )}
    </li>
  );
}

function stamp(ms: number, zone: string): string {
  const p = timeParts(ms, zone);
  return `${p.date} ${p.time}.${p.ms}`;
}
