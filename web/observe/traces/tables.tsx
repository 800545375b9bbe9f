// tables.tsx - a trace as rows: by operation or service, and its critical path as a list.
import { useMemo, useState } from "preact/hooks";
import { matches } from "../base/format";
import { Choice, Filter } from "../parts/bits";
import { Table } from "../parts/table";
import { colorsOf, nsText, shareText } from "./look";
import { durationOf, nameOf, serviceOf, type Trace } from "./model";
import type { Path } from "./path";
import { byOperation, type OpRow } from "./places";

interface Show { t: Trace; path: Path; onSpan: (i: number) => void }

const time = (key: "total" | "self" | "max" | "critical", title: string) => ({ key, title, right: true, value: (r: OpRow) => r[key], cell: (r: OpRow) => nsText(r[key]) });

export function OperationTable({ t, path, onSpan }: Show) {
  const [services, setServices] = useState(false);
  const [filter, setFilter] = useState("");
  const rows = useMemo(() => byOperation(t, path, services), [t, path, services]);
  const colors = colorsOf(t.services);
  return (
    <section class="card" aria-label="Operations of the trace">
      <div class="bar">
        <Choice label="Rows" value={services ? "services" : "operations"} options={[["operations", "By operation"], ["services", "By service"]]} onChange={(v) => setServices(v === "services")} />
        <Filter label="Filter" value={filter} onInput={setFilter} />
      </div>
      <Table label="Operations" sort="-self" id={(r) => `${r.service}\n${r.name}`} rows={rows.filter((r) => matches(`${r.service} ${r.name}`, filter))} columns={[
        { key: "name", title: services ? "Service" : "Operation", value: (r) => `${r.service} ${r.name}`, cell: (r) => (
          <button type="button" class="pick" title="Show the longest of its spans" onClick={() => onSpan(r.longest)}><b style={{ "--service": colors.get(r.service) }}>{r.service}</b> {r.name}</button>
        ) },
        { key: "spans", title: "Spans", right: true, value: (r) => r.spans },
        time("total", "Total"), time("self", "Self"),
        { key: "share", title: "Self share", right: true, value: (r) => r.self, cell: (r) => shareText(t.length ? r.self / t.length : 0) },
        { key: "mean", title: "Mean", right: true, value: (r) => r.total / r.spans, cell: (r) => nsText(r.total / r.spans) },
        time("max", "Max"), time("critical", "On critical path"),
        { key: "errors", title: "Errors", right: true, value: (r) => r.errors, cell: (r) => (r.errors ? <span class="bad-text">◆ {r.errors}</span> : "0") },
      ]} />
    </section>
  );
}

interface Stretch { k: number; span: number; from: number; took: number }

export function CriticalList({ t, path, onSpan }: Show) {
  const rows = useMemo(() => Array.from(path.span, (span, k): Stretch => ({ k, span, from: path.from[k], took: path.to[k] - path.from[k] })), [path]);
  const whole = rows.reduce((s, r) => s + r.took, 0) || 1;
  const colors = colorsOf(t.services);
  return (
    <section class="card" aria-label="Critical path">
      <p class="dim small">What the trace waited for, moment by moment: to make it faster, make one of these shorter.</p>
      <Table label="Critical path" id={(r) => String(r.k)} rows={rows} sort="from" columns={[
        { key: "from", title: "From", right: true, value: (r) => r.from, cell: (r) => nsText(r.from) },
        { key: "took", title: "For", right: true, value: (r) => r.took, cell: (r) => nsText(r.took) },
        { key: "share", title: "Share", right: true, value: (r) => r.took, cell: (r) => shareText(r.took / whole) },
        { key: "span", title: "Span", value: (r) => `${serviceOf(t, r.span)} ${nameOf(t, r.span)}`, cell: (r) => (
          <button type="button" class="pick" onClick={() => onSpan(r.span)}><b style={{ "--service": colors.get(serviceOf(t, r.span)) }}>{serviceOf(t, r.span)}</b> {nameOf(t, r.span)}</button>
        ) },
        { key: "of", title: "Of the span", right: true, value: (r) => r.took / (durationOf(t, r.span) || 1), cell: (r) => shareText(r.took / (durationOf(t, r.span) || 1)) },
      ]} />
    </section>
  );
}
