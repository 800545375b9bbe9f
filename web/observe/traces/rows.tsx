// rows.tsx - a list of rows of one height that draws only those that are seen, whatever their number.
// Each is put into a slot that is kept while one scrolls, so that a row which stays is not touched and
// one which comes takes the place of one which goes: nothing is made, moved or thrown away.
// Browsers end a box at some 33 million pixels; more rows than that has are scrolled in proportion.
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const BEYOND = 6; // rows drawn above and below what is seen
const AROUND = 3; // rows that are to be seen on both sides of one that is gone to
const TALL_MAX = 15e6; // px

// middle: where it is not seen with some rows around it, it is put into the middle.
export interface RowsHandle { show: (row: number, middle?: boolean) => void; page: () => number }

export function Rows({ count, height, handle, children, ...rest }: {
  count: number; height: number; handle?: RefObject<RowsHandle | null>; children: (row: number, slot: number, place: { top: string }) => ComponentChildren; [attribute: string]: unknown;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [tall, setTall] = useState(600);
  const whole = count * height;
  const drawn = Math.min(whole, TALL_MAX);
  const ratio = drawn > tall ? Math.max(1, (whole - tall) / (drawn - tall)) : 1;
  const at = top * ratio; // px of the whole at the top of the box
  const live = useRef({ ratio, tall });
  live.current = { ratio, tall };
  useEffect(() => {
    const b = box.current!;
    const watch = new ResizeObserver(() => setTall(b.clientHeight));
    watch.observe(b);
    if (handle)
      handle.current = {
        show: (row, middle) => {
          const now = b.scrollTop * live.current.ratio;
          const above = row * height;
          const room = b.clientHeight - height;
          const edge = middle ? AROUND * height : 0;
          const to = above - edge < now ? above : above + edge > now + room ? above - room : now;
          if (to !== now) b.scrollTop = (middle ? above - room / 2 : to) / live.current.ratio;
        },
        page: () => Math.max(1, Math.floor(b.clientHeight / height) - 1),
      };
    return () => watch.disconnect();
  }, []);
  const from = Math.max(0, Math.floor(at / height) - BEYOND);
  const to = Math.min(count, Math.ceil((at + tall) / height) + BEYOND);
  const slots = Math.ceil(tall / height) + 2 * BEYOND + 1;
  return (
    <div class="rows-box" ref={box} onScroll={(e) => setTop(e.currentTarget.scrollTop)} {...rest}>
      <div class="rows-all" role="presentation" style={{ height: `${drawn}px`, transform: ratio > 1 ? `translateY(${Math.round(top - at)}px)` : "none" }}>
        {Array.from({ length: slots }, (_, slot) => {
          const row = from + ((((slot - from) % slots) + slots) % slots);
          return row < to ? children(row, slot, { top: `${row * height}px` }) : null;
        })}
      </div>
    </div>
  );
}
