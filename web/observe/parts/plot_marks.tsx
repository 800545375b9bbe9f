// plot_marks.tsx - what happened at a time or through a while, over a drawing: a line or a region, and
// at its foot a mark whose text comes when it is pointed at or focused. Marks that would lie on each
// other are one.
import { useState } from "preact/hooks";
import type { Pen } from "./plot_axes";
import { TipBox } from "./plot_tip";

export interface MarkAt { from: number; to?: number; title: string; text?: string; tags: string[]; color: string }

const TOGETHER_PX = 10;
const MARKS_MAX = 200;

interface Group { left: number; marks: MarkAt[] }

export function groupMarks(marks: MarkAt[], x: (ms: number) => number, lo: number, hi: number): Group[] {
  const seen = marks.map((m) => ({ m, left: Math.max(lo, x(m.from)) })).filter(({ m, left }) => left <= hi && x(m.to ?? m.from) >= lo);
  seen.sort((a, b) => a.left - b.left);
  const out: Group[] = [];
  for (const { m, left } of seen) {
    const last = out[out.length - 1];
    if (last && (left - last.left < TOGETHER_PX || out.length >= MARKS_MAX)) last.marks.push(m);
    else out.push({ left, marks: [m] });
  }
  return out;
}

export function paintMarks(pen: Pen, marks: readonly MarkAt[]): void {
  const { g } = pen;
  g.save();
  for (const m of marks) {
    const a = pen.x(m.from);
    const b = pen.x(m.to ?? m.from);
    if (b < pen.left || a > pen.left + pen.width) continue;
    g.fillStyle = g.strokeStyle = m.color;
    if (b - a > 1) {
      g.globalAlpha = 0.12;
      g.fillRect(a, pen.top, b - a, pen.height);
      g.globalAlpha = 1;
    }
    g.lineWidth = pen.ratio;
    g.setLineDash([4 * pen.ratio, 4 * pen.ratio]);
    g.beginPath();
    for (const x of b - a > 1 ? [a, b] : [a]) {
      g.moveTo(Math.round(x) + 0.5, pen.top);
      g.lineTo(Math.round(x) + 0.5, pen.top + pen.height);
    }
    g.stroke();
  }
  g.restore();
}

export function Marks({ marks, pen }: { marks: MarkAt[]; pen: Pen }) {
  const [open, setOpen] = useState<{ group: Group; x: number; y: number }>();
  const groups = groupMarks(marks, (ms) => pen.x(ms) / pen.ratio, pen.left / pen.ratio, (pen.left + pen.width) / pen.ratio);
  const top = (pen.top + pen.height) / pen.ratio;
  const show = (group: Group) => (e: Event) => {
    const r = (e.currentTarget as Element).getBoundingClientRect();
    setOpen({ group, x: r.left + r.width / 2, y: r.top });
  };
  return (
    <>
      {groups.map((group, i) => (
        <button key={i} type="button" class="mark" style={{ left: `${group.left - 12}px`, top: `${top - 12}px`, color: group.marks[0]!.color }}
          aria-label={`Annotation: ${group.marks.map((m) => [m.title, m.text].filter(Boolean).join(", ")).join("; ").slice(0, 300)}`}
          onMouseEnter={show(group)} onFocus={show(group)} onMouseLeave={() => setOpen(undefined)} onBlur={() => setOpen(undefined)}
          onKeyDown={(e) => e.key === "Escape" && setOpen(undefined)} />
      ))}
      {open && <TipBox at={open} tip={{
        title: open.group.marks[0]!.title || "Annotation", rows: [],
        notes: open.group.marks.slice(0, 8).flatMap((m, i) => [i ? m.title : "", m.text ?? "", m.tags.join(", ")].filter(Boolean)),
        more: Math.max(0, open.group.marks.length - 8),
      }} />}
    </>
  );
}
