// marking.tsx - an event of one's own: Ctrl and a click or a drag over a chart's time, then what it was.
import { useEffect, useRef, useState } from "preact/hooks";
import { beatAgain, range, timeText } from "../base/time";
import { Failure, Layer } from "../parts/bits";
import { tell } from "../base/store";
import { addMark } from "./annotations";
import { isUnsaved, mayEdit } from "./api";
import type { PageState } from "./page_state";

export interface MarkAt { from: number; to?: number; panelId: number }

const DRAG_LEAST_PX = 5;

// Over a chart's plot lies an element whose width is the panel's range of time.
function timeAt(over: HTMLElement, x: number): number {
  const r = over.getBoundingClientRect();
  const { start, end } = range.peek();
  return start + ((Math.max(r.left, Math.min(r.right, x)) - r.left) / r.width) * (end - start);
}

export function useMarking(page: PageState) {
  const area = useRef<HTMLDivElement>(null);
  const [made, setMade] = useState<MarkAt>();
  useEffect(() => {
    const box = area.current!;
    const down = (e: PointerEvent) => {
      const over = (e.target as Element).closest<HTMLElement>(".plot-over");
      const panel = over?.closest<HTMLElement>("[data-panel-id]");
      if (!over || !panel || e.button || !(e.ctrlKey || e.metaKey) || !mayEdit() || isUnsaved(page.uid) || page.meta.value.canEdit === false) return;
      e.preventDefault();
      e.stopPropagation(); // no zoom
      const begin = e.clientX;
      const up = (end: PointerEvent) => {
        removeEventListener("pointerup", up, true);
        end.stopPropagation();
        const [a, b] = [timeAt(over, begin), timeAt(over, end.clientX)].sort((x, y) => x - y) as [number, number];
        setMade({ from: Math.round(a), to: Math.abs(end.clientX - begin) >= DRAG_LEAST_PX ? Math.round(b) : undefined, panelId: Number(panel.dataset.panelId) });
      };
      addEventListener("pointerup", up, true);
    };
    box.addEventListener("pointerdown", down, true);
    return () => box.removeEventListener("pointerdown", down, true);
  }, [page]);
  return { area, made, close: () => setMade(undefined) };
}

export function MarkLayer({ page, at, onClose }: { page: PageState; at: MarkAt; onClose: () => void }) {
  const [text, setText] = useState("");
  const [tags, setTags] = useState("");
  const [error, setError] = useState("");
  const save = () => addMark({
    dashboardUID: page.dashboard.value.uid, panelId: at.panelId, time: at.from, timeEnd: at.to, text,
    tags: tags.split(",").map((t) => t.trim()).filter(Boolean),
  }).then(() => { tell("Annotation saved."); onClose(); beatAgain(); }, (e: Error) => setError(e.message));
  return (
    <Layer label="Add annotation" onClose={onClose} kind="save">
      <form onSubmit={(e) => { e.preventDefault(); void save(); }}>
        <h2>Add annotation</h2>
        <p class="dim">{timeText(at.from)}{at.to && ` to ${timeText(at.to)}`}</p>
        <label>Description<input data-first value={text} onInput={(e) => setText(e.currentTarget.value)} /></label>
        <label>Tags (comma-separated)<input value={tags} onInput={(e) => setTags(e.currentTarget.value)} /></label>
        {error && <Failure text={error} />}
        <div class="row import-end"><button type="submit" class="main" disabled={!text.trim()}>Save</button><button type="button" onClick={onClose}>Cancel</button></div>
      </form>
    </Layer>
  );
}
