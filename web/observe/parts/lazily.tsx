// lazily.tsx - a component that is fetched when it is first drawn; nothing stands there until then.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { tell } from "../base/store";

export function lazily<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let have: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [, setTurn] = useState(0);
    useEffect(() => {
      if (!have) load().then((C) => { have = C; setTurn(1); }, (e: Error) => tell(e.message, true));
    }, []);
    const C = have;
    return C ? <C {...props} /> : null;
  };
}
