// details.tsx - all that is known of one span. Every value can be copied and looked for; every id leads
// on. Values are text and nothing else, whatever they hold; a long one is cut until it is wanted.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { matches, plural, valueText } from "../base/format";
import { href } from "../base/route";
import { timeParts, timeText } from "../base/time";
import { Badge, Copy, Filter } from "../parts/bits";
import { colorsOf, CUT, cut, nsText, shareText } from "./look";
import { type Attribute, durationOf, ERROR, findSpan, KINDS, nameOf, serviceOf, spanId, type Trace } from "./model";
import { tagsText } from "./query";
import { warningsOf } from "./waterfall";

const FILTER_FROM = 8;
const ROWS_MAX = 200; // attributes shown at first: a span may have thousands

// Metrics of what the span did, about the time that it did it.
export function metricsLink(t: Trace, i: number, service = false): string {
  const at = Number(t.base / 1000000n);
  const only = `service_name=${JSON.stringify(serviceOf(t, i))}${service ? "" : `, span_name=${JSON.stringify(nameOf(t, i))}`}`;
  const expr = service ? `sum by (span_name) (rate(traces_span_metrics_calls_total{${only}}[5m]))`
    : `histogram_quantile(0.95, sum by (le) (rate(traces_span_metrics_duration_milliseconds_bucket{${only}}[5m]))) / 1000`;
  return href("/explore", { "g0.expr": expr, "g0.show_exemplars": "1", from: String(at - 1800e3), to: String(Math.min(at + 1800e3, Math.max(Date.now(), at + 60e3))) });
}

export function Details({ t, i, self, onClose, onSpan, onZoom }: {
  t: Trace; i: number; self: number; onClose: () => void; onSpan: (i: number) => void; onZoom: () => void;
}) {
  const d = useMemo(() => t.source.detail(t.from[i], t.base), [t, i]);
  const [filter, setFilter] = useState("");
  const top = useRef<HTMLElement>(null);
  useEffect(() => top.current?.scrollTo(0, 0), [i]);
  const color = colorsOf(t.services).get(serviceOf(t, i))!;
  const warnings = [...warningsOf(t, i), ...d.warnings];
  const id = spanId(t, i);
  const all = d.attributes.length + d.resource.length;
  const at = Number((t.base + BigInt(Math.round(t.start[i]))) / 1000n) / 1000;
  const parent = t.parent[i];
  return (
    <aside class="details" aria-label="Span" ref={top} tabIndex={-1} onKeyDown={(e) => { if (e.key === "Escape") { e.stopPropagation(); onClose(); } }}>
      <div class="details-head">
        <h3><b style={{ "--service": color }}>{serviceOf(t, i)}</b> {nameOf(t, i)}</h3>
        <button type="button" class="icon" aria-label="Close the span" title="Close (Esc)" onClick={onClose}>×</button>
      </div>
      <p class="row small">
        {t.status[i] === ERROR && <Badge tone="bad">error</Badge>}{t.status[i] === 1 && <Badge tone="good">ok</Badge>}
        {t.kind[i] > 0 && <span class="tag">{KINDS[t.kind[i]]}</span>}
        <code>{id}</code><Copy text={id} what="the span's id" />
      </p>
      {d.message && <p class="failure">{cut(d.message)}</p>}
      {warnings.map((w) => <p key={w} class="notice">▲ {w}</p>)}
      <dl class="facts wrap">
        <Fact name="Duration">{nsText(durationOf(t, i))}</Fact>
        <Fact name="Of the trace">{shareText(t.length ? durationOf(t, i) / t.length : 1)}</Fact>
        <Fact name="Itself">{nsText(self)}</Fact>
        <Fact name="Begins after">{nsText(t.start[i])}</Fact>
        <Fact name="At"><span title={timeText(at)}>{timeParts(at).time}.{timeParts(at).ms}</span></Fact>
        <Fact name="Below it">{plural(t.size[i] - 1, "span")}</Fact>
      </dl>
      <p class="row small">
        {parent >= 0 && <button type="button" class="quiet" onClick={() => onSpan(parent)}>Parent</button>}
        <button type="button" class="quiet" title="Zoom to the span (z)" onClick={onZoom}>Zoom</button>
        <a class="quiet" href={metricsLink(t, i)}>p95 in explore</a>
        <a class="quiet" href={metricsLink(t, i, true)}>Service in explore</a>
        <a class="quiet" href={href("/traces", { service: serviceOf(t, i), operation: nameOf(t, i) })}>Others like it</a>
      </p>
      {all > FILTER_FROM && <div class="bar"><Filter label="Filter attributes" value={filter} onInput={setFilter} /></div>}
      <Attributes title="Attributes" list={d.attributes} filter={filter} service={serviceOf(t, i)} open />
      {d.events.length > 0 && (
        <Section title={`Events ${d.events.length}`} open>
          <Axis t={t} i={i} at={d.events.map((e) => e.at)} />
          {d.events.slice(0, ROWS_MAX).map((e, k) => (
            <div key={k} class="event-row"><span class="dim mono">{nsText(e.at - t.start[i])}</span> <b>{e.name}</b><Pairs list={e.attributes} filter="" /></div>
          ))}
          {d.events.length > ROWS_MAX && <p class="dim small">and {d.events.length - ROWS_MAX} more</p>}
        </Section>
      )}
      {d.links.length > 0 && (
        <Section title={`Links ${d.links.length}`} open>
          {d.links.slice(0, ROWS_MAX).map((l, k) => {
            const here = l.trace.replace(/^0+/, "") === t.id.replace(/^0+/, "") ? findSpan(t, l.span) : -1;
            return (
              <div key={k} class="event-row">
                {here >= 0 ? <button type="button" class="pick" onClick={() => onSpan(here)}>{serviceOf(t, here)} {nameOf(t, here)}</button>
                  : <a href={href(`/trace/${l.trace}`, { span: l.span })}>Trace <code>{l.trace}</code></a>} <code class="dim">{l.span}</code>
                <Pairs list={l.attributes} filter="" />
              </div>
            );
          })}
        </Section>
      )}
      <Attributes title="Resource" list={d.resource} filter={filter} />
      <Section title="Scope">
        <Pairs list={[{ key: "name", value: d.scope || "none", type: "" }, ...d.scopeAttributes, ...(d.state ? [{ key: "tracestate", value: d.state, type: "" }] : [])]} filter="" />
      </Section>
      <Section title="Logs">
        <p class="small dim">The lines that were written within this span carry its ids; look for them where logs are kept:</p>
        <p class="row small"><code>trace_id={t.id} span_id={id}</code><Copy text={`trace_id=${t.id} span_id=${id}`} what="what log lines carry" /></p>
      </Section>
      {d.dropped > 0 && <p class="notice">{plural(d.dropped, "attribute, event or link was", "attributes, events or links were")} left out by the client.</p>}
    </aside>
  );
}

const Fact = ({ name, children }: { name: string; children: ComponentChildren }) => <div><dt>{name}</dt><dd>{children}</dd></div>;

function Section({ title, open, children }: { title: string; open?: boolean; children: ComponentChildren }) {
  return <details class="section" open={open}><summary>{title}</summary>{children}</details>;
}

function Attributes({ title, list, filter, service, open }: { title: string; list: Attribute[]; filter: string; service?: string; open?: boolean }) {
  if (!list.length) return null;
  return <Section title={`${title} ${list.length}`} open={open || !!filter}><Pairs list={list} filter={filter} service={service} find /></Section>;
}

function Pairs({ list, filter, service, find }: { list: Attribute[]; filter: string; service?: string; find?: boolean }) {
  const [all, setAll] = useState(false);
  const fit = list.filter((a) => matches(`${a.key} ${a.value.slice(0, 10000)}`, filter)).sort((a, b) => (a.key < b.key ? -1 : 1));
  return (
    <>
      <dl class="attributes">{fit.slice(0, all ? Infinity : ROWS_MAX).map((a, k) => <Pair key={`${a.key} ${k}`} a={a} service={service} find={find} />)}</dl>
      {fit.length > ROWS_MAX && !all && <button type="button" class="quiet" onClick={() => setAll(true)}>Show all {fit.length}</button>}
    </>
  );
}

const FIND_MAX = 500; // longer values do not fit an address

function Pair({ a, service, find }: { a: Attribute; service?: string; find?: boolean }) {
  const [whole, setWhole] = useState(false);
  const text = whole ? a.value : cut(a.value);
  const link = /^https?:\/\/[^\s"<>]+$/.test(a.value) && a.value.length < CUT;
  return (
    <div>
      <dt title={a.type}>{cut(a.key)}</dt>
      <dd>
        {link ? <a href={a.value} target="_blank" rel="noreferrer noopener">{a.value}</a> : <span class={a.type === "string" ? "" : "mono"}>{text || <span class="dim">empty</span>}</span>}
        {a.value.length > CUT && <button type="button" class="quiet" onClick={() => setWhole(!whole)}>{whole ? "Less" : `All ${valueText(a.value.length, "bytes")}`}</button>}
      </dd>
      <dd class="attribute-tools">
        {find && a.value.length <= FIND_MAX && <a class="find" href={href("/traces", { tags: tagsText({ [a.key]: a.value }), service: service ?? "" })} aria-label={`Find traces with this ${a.key}`} title="Find traces with this value">⌕</a>}
        <Copy text={a.value} what={a.key} />
      </dd>
    </div>
  );
}

// The span's events along its time.
function Axis({ t, i, at }: { t: Trace; i: number; at: number[] }) {
  const took = durationOf(t, i) || 1;
  return (
    <svg class="event-axis" viewBox="0 0 100 14" preserveAspectRatio="none" role="img" aria-label={`${plural(at.length, "event")} along the span`}>
      <path d="M0 7H100" />
      {at.slice(0, 300).map((ns, k) => <path key={k} class="event-mark" d={`M${Math.max(0, Math.min(100, ((ns - t.start[i]) / took) * 100)).toFixed(2)} 1v12`} />)}
    </svg>
  );
}
