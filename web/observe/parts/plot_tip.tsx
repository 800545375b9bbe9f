// plot_tip.tsx - what a drawing tells of the place pointed at: a few lines of however many. It lies
// over everything (a popover, so that no panel's edge cuts it), follows the pointer until a click pins
// it; pinned, it can be pointed at, scrolled and read at leisure. Escape closes it.
import { useLayoutEffect, useRef } from "preact/hooks";

export interface TipRow { name: string; text: string; color: string; near?: boolean; links?: TipLink[] }
export interface TipLink { href: string; title: string; targetBlank?: boolean }
export interface Tip {
  title: string;
  rows: TipRow[];
  more?: number; // how many were left out
  notes?: string[]; // an exemplar's labels, an annotation's text
  bars?: { share: number; near: boolean }[]; // a column's course, from the bottom up
  maxHeight?: number;
  maxWidth?: number;
}

// Where it stands: a point of the window; the tip keeps clear of it.
export interface TipPlace { x: number; y: number }

const AWAY_PX = 16;

export function TipBox({ tip, at, pinned, onClose }: { tip: Tip; at: TipPlace; pinned?: boolean; onClose?: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    box.current!.showPopover?.();
  }, []);
  useLayoutEffect(() => {
    const e = box.current!;
    const { offsetWidth: w, offsetHeight: h } = e;
    const left = at.x + AWAY_PX + w < innerWidth - 4 ? at.x + AWAY_PX : at.x - AWAY_PX - w;
    const top = at.y + AWAY_PX + h < innerHeight - 4 ? at.y + AWAY_PX : at.y - AWAY_PX - h;
    e.style.left = `${Math.max(4, Math.min(left, innerWidth - w - 4))}px`;
    e.style.top = `${Math.max(4, Math.min(top, innerHeight - h - 4))}px`;
  });
  return (
    <div class={pinned ? "tip pinned" : "tip"} popover="manual" ref={box} role={pinned ? "dialog" : undefined} aria-label={pinned ? `Values at ${tip.title}` : undefined}
      style={{ maxHeight: tip.maxHeight ? `${tip.maxHeight}px` : undefined, maxWidth: tip.maxWidth ? `${tip.maxWidth}px` : undefined }}
      onKeyDown={(e) => { if (e.key === "Escape") { e.stopPropagation(); onClose?.(); } }}>
      <b>{tip.title}{pinned && <button type="button" class="icon" aria-label="Close" onClick={onClose}>×</button>}</b>
      {tip.rows.map((r, i) => (
        <div key={i} class={r.near ? "near" : ""}>
          <i style={{ background: r.color }} /><span class="tip-name">{r.name}</span><span class="tip-value">{r.text}</span>
        </div>
      ))}
      {!!tip.more && <div>and {tip.more} more</div>}
      {tip.bars && (
        <svg class="tip-bars" viewBox={`0 0 100 ${tip.bars.length}`} preserveAspectRatio="none" aria-hidden="true">
          {tip.bars.map((b, i) => <rect key={i} class={b.near ? "near" : ""} x="0" y={tip.bars!.length - 1 - i} height="0.9" width={Math.max(0.5, b.share * 100)} />)}
        </svg>
      )}
      {tip.notes?.map((n, i) => <p key={i}>{n}</p>)}
      {pinned && tip.rows.flatMap((r) => r.links ?? []).map((l, i) => (
        <a key={i} href={l.href} target={l.targetBlank ? "_blank" : undefined} rel="noreferrer">{l.title}</a>
      ))}
    </div>
  );
}
