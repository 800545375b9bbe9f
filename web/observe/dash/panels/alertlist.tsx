// alertlist.tsx - the alerts of our own rules on a dashboard: a list with their instances, or their number.
import { useState } from "preact/hooks";
import { useAsk } from "../../base/data";
import { plural } from "../../base/format";
import { href } from "../../base/route";
import { Ago, Badge, LabelList } from "../../parts/bits";
import { type Alert, type Group, STATE_TONE } from "../../parts/rule";
import { alertRows, grouped, type Row } from "./alert_rows";
import { fit, widthOf } from "./fit";
import type { PanelProps } from "./panel";

export default function AlertList({ panel, width, height, interpolate }: PanelProps) {
  const o = panel.options;
  const asked = useAsk<{ groups: Group[] }>("/api/v1/rules", { type: "alert" });
  const size = { width: `${width}px`, height: `${height}px` };
  if (!asked.data) return <div class="no-value" style={size}>{asked.error ?? ""}</div>;
  const rows = alertRows(asked.data.groups, o, interpolate);
  if (o.viewMode === "stat") {
    const n = rows.reduce((sum, r) => sum + (r.alerts.length || (r.state === "inactive" ? 0 : 1)), 0);
    const bad = rows.some((r) => r.state === "firing");
    return <a class={`alert-count ${n ? (bad ? "bad" : "warn") : "good"}`} href={href("/alerts")} style={{ ...size, fontSize: `${fit(widthOf(String(n), 600), width * 0.8, height * 0.8)}px` }} aria-label={plural(n, "alert")}>{n}</a>;
  }
  const groups = o.groupMode === "custom" && o.groupBy?.length ? grouped(rows, o.groupBy) : undefined;
  return (
    <div class="list-panel" tabIndex={0} role="region" aria-label={panel.title || "Alerts"} style={size}>
      {asked.error && <p class="notice">{asked.error}</p>}
      {!rows.length && <p class="none">No alerts match.</p>}
      {groups ? groups.map(([name, list]) => (
        <details key={name} class="list-group" open>
          <summary><b>{name}</b><span class="dim">{plural(list.length, "alert")}</span></summary>
          <ul>{list.map(({ row, alert }) => <Instance key={JSON.stringify(alert.labels)} alert={alert} name={row.rule.name} />)}</ul>
        </details>
      )) : <ul>{rows.map((r) => <Rule key={`${r.group.file} ${r.group.name} ${r.rule.name} ${r.rule.query}`} row={r} open={!!o.showInstances} />)}</ul>}
    </div>
  );
}

function Rule({ row: { rule, alerts, state }, open }: { row: Row; open: boolean }) {
  const [shown, setShown] = useState(open);
  const latest = alerts.reduce((at, a) => Math.max(at, Date.parse(a.activeAt) || 0), 0);
  return (
    <li class="list-row">
      <div class="row">
        <Badge tone={STATE_TONE[state]}>{rule.health === "err" ? "error" : state}</Badge>
        <a href={href("/alerts", { search: rule.name })}>{rule.name}</a>
        {latest > 0 && <span class="dim">since <Ago at={latest} /></span>}
        {alerts.length > 0 && <button type="button" class="quiet" aria-expanded={shown} onClick={() => setShown(!shown)}>{shown ? "▾" : "▸"} {plural(alerts.length, "instance")}</button>}
      </div>
      {rule.health === "err" && <p class="notice">{rule.lastError}</p>}
      {shown && <ul>{alerts.map((a) => <Instance key={JSON.stringify(a.labels)} alert={a} />)}</ul>}
    </li>
  );
}

function Instance({ alert: a, name }: { alert: Alert; name?: string }) {
  const { alertname: _, ...labels } = a.labels;
  return <li class="list-row row"><Badge tone={STATE_TONE[a.state]}>{a.state}</Badge>{name && <b>{name}</b>}<LabelList labels={labels} /><span class="dim"><Ago at={a.activeAt} /></span></li>;
}
