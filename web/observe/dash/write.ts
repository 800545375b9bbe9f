// write.ts - our model as the classic JSON that Grafana imports. The model is that form already; here
// members that Grafana would not have written are taken away, so that a file that is read and saved
// differs only where it was old.
import { cleanCopy, isBag } from "./json";
import type { Bag, Dashboard, Json, Panel } from "./model";

export function writeDashboard(d: Dashboard): Json {
  const out = cleanCopy(d) as Bag;
  for (const p of out.panels as Panel[]) tidy(p);
  // An annotation's expression is in its target, earlier it was at the top; the model has it at both.
  for (const a of out.annotations.list) if (typeof a.target?.expr === "string" && a.target.expr === a.expr) delete a.expr;
  return out as Json;
}

// Rows have neither options nor queries, and what is empty by default is left away.
function tidy(p: Bag): void {
  if (p.datasource === null) delete p.datasource;
  if (p.type === "row") {
    for (const name of ["options", "fieldConfig", "transformations", "links"]) if (empty(p[name])) delete p[name];
    if (empty(p.targets)) delete p.targets;
    for (const inner of p.panels ?? []) tidy(inner);
    return;
  }
  for (const name of ["transformations", "links"]) if (empty(p[name])) delete p[name];
}

function empty(x: unknown): boolean {
  if (Array.isArray(x)) return x.length === 0;
  return x === undefined || x === null || (isBag(x) && Object.values(x).every(empty));
}
