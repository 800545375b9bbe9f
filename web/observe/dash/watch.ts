// watch.ts - which panels are near what is seen, and how large they are: one observer for all of them.
import { useEffect, useLayoutEffect, useState } from "preact/hooks";

const NEAR = "400px 0px";

type Told<T> = Map<Element, (it: T) => void>;
const nearTold: Told<boolean> = new Map();
const sizeTold: Told<void> = new Map();
let near: IntersectionObserver | undefined;
let sizes: ResizeObserver | undefined;

// Whether it is within a window or so of being seen.
export function useNear(ref: { current: Element | null }): boolean {
  const [is, setIs] = useState(false);
  useEffect(() => {
    const el = ref.current!;
    near ??= new IntersectionObserver((all) => { for (const e of all) nearTold.get(e.target)?.(e.isIntersecting); }, { rootMargin: NEAR });
    nearTold.set(el, setIs);
    near.observe(el);
    return () => {
      near!.unobserve(el);
      nearTold.delete(el);
    };
  }, []);
  return is;
}

export interface Size { width: number; height: number }

// The inside of an element in whole pixels, once `on`; zero before.
export function useSize(ref: { current: HTMLElement | null }, on: boolean): Size {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const el = ref.current;
    if (!on || !el) return;
    const look = () => setSize((old) => {
      const width = el.clientWidth;
      const height = el.clientHeight;
      return width === old.width && height === old.height ? old : { width, height };
    });
    look();
    sizes ??= new ResizeObserver((all) => { for (const e of all) sizeTold.get(e.target)?.(); });
    sizeTold.set(el, look);
    sizes.observe(el);
    return () => {
      sizes!.unobserve(el);
      sizeTold.delete(el);
    };
  }, [on]);
  return size;
}

// How far from what is seen: 0 is in it.
export function farness(el: Element | null): number {
  if (!el) return Infinity;
  const r = el.getBoundingClientRect();
  return r.bottom < 0 ? -r.bottom : r.top > innerHeight ? r.top - innerHeight : 0;
}
