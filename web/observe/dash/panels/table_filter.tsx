// table_filter.tsx - which values of a column are shown: chosen from those it has, or by what they hold.
import { useMemo, useState } from "preact/hooks";
import { Layer } from "../../parts/bits";
import type { Field } from "../frame";
import { titleOf } from "./items";
import { cellText, type Filter } from "./table_rows";

const OFFERED_MAX = 500;

export function FilterLayer({ field, filter, onFilter, onClose }: {
  field: Field; filter?: Filter; onFilter: (f?: Filter) => void; onClose: () => void;
}) {
  const all = useMemo(() => {
    const texts = new Set<string>();
    for (const v of field.values) texts.add(cellText(field, v));
    return [...texts].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  }, [field]);
  const [contains, setContains] = useState(filter?.contains ?? "");
  const [picked, setPicked] = useState(new Set(filter?.texts ?? all));
  const compares = field.type === "number" && /^\$?\s*[<>=!]/.test(contains);
  const seen = compares ? all : all.filter((t) => t.toLowerCase().includes(contains.toLowerCase()));
  const every = seen.length > 0 && seen.every((t) => picked.has(t));
  const flip = (texts: string[], on: boolean) => {
    const next = new Set(picked);
    for (const t of texts) if (on) next.add(t); else next.delete(t);
    setPicked(next);
  };
  const apply = () => {
    const texts = picked.size === all.length ? undefined : [...picked];
    onFilter(texts || contains.trim() ? { texts, contains: contains.trim() || undefined } : undefined);
    onClose();
  };
  return (
    <Layer label={`Filter ${titleOf(field)}`} onClose={onClose}>
      <form class="table-filter" onSubmit={(e) => { e.preventDefault(); apply(); }}>
        <h2>Filter {titleOf(field)}</h2>
        <input data-first type="search" value={contains} aria-label="Filter values" placeholder={field.type === "number" ? "Contains, or > 5" : "Contains"} onInput={(e) => setContains(e.currentTarget.value)} />
        <label class="inline"><input type="checkbox" checked={every} onChange={(e) => flip(seen, e.currentTarget.checked)} /> All {seen.length}</label>
        <ul tabIndex={0} aria-label="Values">
          {seen.slice(0, OFFERED_MAX).map((t) => (
            <li key={t}><label class="inline"><input type="checkbox" checked={picked.has(t)} onChange={(e) => flip([t], e.currentTarget.checked)} /> {t || "(empty)"}</label></li>
          ))}
          {seen.length > OFFERED_MAX && <li class="dim">{seen.length - OFFERED_MAX} more: search for them</li>}
        </ul>
        <p class="row">
          <button type="submit" class="main">Apply</button>
          <button type="button" onClick={() => { onFilter(undefined); onClose(); }}>Clear</button>
          <button type="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </Layer>
  );
}
