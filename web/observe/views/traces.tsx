// traces.tsx - finding traces: a search and what it found, the services that call each other, and what
// their operations do. A file of traces that is dropped anywhere on the page is shown without being
// stored or sent.
import { useEffect, useState } from "preact/hooks";
import { go, href, parameter, setQuery } from "../base/route";
import { tell } from "../base/store";
import { Tabs } from "../parts/bits";
import { viewCommands } from "../parts/commands";
import { type Found, openTrace } from "../traces/api";
import { SearchForm } from "../traces/form";
import { build, nameOf, serviceOf, startMs, type Trace } from "../traces/model";
import { longestRoot } from "../traces/path";
import { FoundList, Results } from "../traces/results";
import { Operations } from "../traces/operations";
import { ServiceGraph } from "../traces/services";

const TABS = [["search", "Search"], ["services", "Service graph"], ["operations", "Operations"]] as const;
type Tab = (typeof TABS)[number][0];
const FILE_MAX = 512 * 1024 * 1024;

function foundOf(t: Trace, id: string): Found {
  const services = new Map<string, { name: string; spans: number; errors: number }>();
  for (let i = 0; i < t.count; i++) {
    const name = serviceOf(t, i);
    let s = services.get(name);
    if (!s) services.set(name, (s = { name, spans: 0, errors: 0 }));
    s.spans++;
    if (t.status[i] === 2) s.errors++;
  }
  const root = longestRoot(t);
  return { id, service: serviceOf(t, root), name: nameOf(t, root), start: startMs(t), duration: t.length / 1e9, spans: t.count, errors: t.errors, orphans: t.missing, services: [...services.values()] };
}

async function readFiles(files: FileList): Promise<Found[]> {
  const { readJson } = await import("../traces/json");
  const out: Found[] = [];
  for (const file of files) {
    if (file.size > FILE_MAX) throw new Error(`${file.name} is larger than 512 MB.`);
    try {
      for (const raw of readJson(await file.text())) {
        const trace = build(raw);
        out.push(foundOf(trace, openTrace(trace)));
      }
    } catch (e) {
      throw new Error(`${file.name}: ${(e as Error).message}`);
    }
  }
  return out;
}

export default function TracesView() {
  const tab = (TABS.find(([t]) => t === parameter("tab"))?.[0] ?? "search") as Tab;
  const [files, setFiles] = useState<Found[]>();
  const [over, setOver] = useState(false);
  const open = (list: FileList) => {
    readFiles(list).then((found) => (found.length === 1 ? go(href(`/trace/${found[0].id}`)) : setFiles(found)), (e: Error) => tell(e.message, true));
  };
  useEffect(() => viewCommands([
    { id: "search", title: "Search traces", keys: "/", run: () => document.querySelector<HTMLElement>(".trace-form input[name=service], .trace-form #traceql")?.focus() },
  ]), []);
  return (
    <div class={over ? "drop over" : "drop"} onDragOver={(e) => { e.preventDefault(); setOver(true); }} onDragLeave={(e) => e.currentTarget === e.target && setOver(false)}
      onDrop={(e) => { e.preventDefault(); setOver(false); if (e.dataTransfer?.files.length) open(e.dataTransfer.files); }}>
      <Tabs label="Traces" value={tab} options={TABS} onChange={(t) => setQuery({ tab: t === "search" ? null : t })} />
      {tab === "search" && <SearchForm onFile={open} />}
      {tab === "search" && files && (
        <>
          <p class="row"><b>From files</b><button type="button" class="quiet" onClick={() => setFiles(undefined)}>Back to what is stored</button></p>
          <FoundList found={files} start={Math.min(...files.map((f) => f.start)) - 1} end={Math.max(...files.map((f) => f.start + f.duration * 1000)) + 1} />
        </>
      )}
      {tab === "search" && !files && <Results />}
      {tab === "services" && <ServiceGraph />}
      {tab === "operations" && <Operations />}
    </div>
  );
}
