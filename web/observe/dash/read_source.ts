// read_source.ts - data sources as a dashboard names them, in all the forms there were: a name, a
// variable, an input of an export, an object. All become {type, uid}.
import { bag, bags, isBag, str } from "./json";
import type { Bag, Ref } from "./model";

// Names that Grafana itself gives a meaning.
const BUILT_IN: Record<string, string> = {
  "-- Mixed --": "-- Mixed --", "-- Dashboard --": "-- Dashboard --", "-- Grafana --": "grafana", grafana: "grafana",
};

export const variableName = (text: string): string | undefined =>
  /^(?:\$(\w+)|\$\{(\w+)(?::\w+)?\}|\[\[(\w+)\]\])$/.exec(text.trim())?.slice(1).find(Boolean);

// What type of data source a variable or an export's input stands for.
export class Sources {
  private readonly types = new Map<string, string>();

  constructor(raw: Bag) {
    for (const i of bags(raw.__inputs))
      if (i.type === "datasource" && i.pluginId) this.types.set(str(i.name), str(i.pluginId));
    for (const v of bags(bag(raw.templating).list))
      if (v.type === "datasource" && typeof v.query === "string") this.types.set(str(v.name), v.query);
  }

  typeOf(uid: string): string | undefined {
    const name = variableName(uid);
    return name === undefined ? undefined : this.types.get(name);
  }
}

export function readRef(x: unknown, sources: Sources): Ref | null {
  if (isBag(x)) {
    const out: Bag = { ...x };
    if (typeof x.uid !== "string" || !x.uid) delete out.uid;
    if (typeof x.type !== "string" || !x.type) delete out.type;
    if (out.uid && !out.type) {
      const type = Object.hasOwn(BUILT_IN, out.uid) ? "datasource" : sources.typeOf(out.uid);
      if (type) out.type = type;
    }
    return Object.keys(out).length ? out : null;
  }
  if (typeof x !== "string" || !x || x === "default") return null;
  if (Object.hasOwn(BUILT_IN, x)) return { type: "datasource", uid: BUILT_IN[x]! };
  const type = sources.typeOf(x);
  return type ? { type, uid: x } : { uid: x };
}
