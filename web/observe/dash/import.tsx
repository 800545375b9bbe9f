// import.tsx - dashboards from files: dropped anywhere on the page, chosen, or pasted as text. What was
// read, and what of it had to be left or changed, is shown before anything is stored; who may not store
// can look at it all the same. What is there already under a file's uid is replaced only when it is said.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Refused } from "../base/data";
import { plural } from "../base/format";
import { go, href } from "../base/route";
import { tell } from "../base/store";
import { Badge, Failure, Layer } from "../parts/bits";
import { addressOf, type Folder, folders, type Hit, keepUnsaved, mayEdit, save, search } from "./api";
import type { Dashboard, Panel } from "./model";
import { readDashboard } from "./read";
import { writeDashboard } from "./write";

export interface Found {
  from: string; // the file's name
  dashboard?: Dashboard;
  notes: string[];
  error?: string;
  saved?: string; // its address
  how?: "replace" | "another"; // chosen where its uid is taken
}

// One text may hold one dashboard or a list of them.
export function foundIn(from: string, text: string): Found[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (e) {
    return [{ from, notes: [], error: `Not valid JSON: ${(e as Error).message}` }];
  }
  return (Array.isArray(json) ? json : [json]).map((one) => {
    try {
      return { from, ...readDashboard(one) };
    } catch (e) {
      return { from, notes: [], error: (e as Error).message };
    }
  });
}

export async function foundInFiles(files: Iterable<File>): Promise<Found[]> {
  return (await Promise.all([...files].map(async (f) => foundIn(f.name, await f.text())))).flat();
}

// A number is that of another server, and would mean another dashboard here; without its uid it is a new one.
const asNew = (d: Dashboard, fresh: boolean): Dashboard => ({ ...d, id: null, uid: fresh ? "" : d.uid });

// Opens it without storing it; saved from there it replaces nothing.
function openUnsaved(d: Dashboard, taken: boolean): void {
  go(href(`/d/${keepUnsaved(writeDashboard(asNew(d, taken)))}`));
}

// While shown, files may be dropped anywhere and JSON pasted where nothing is typed.
export function useDropped(take: (found: Found[]) => void, on = true): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    if (!on) return;
    let depth = 0;
    const files = (e: DragEvent) => e.dataTransfer?.types.includes("Files");
    const enter = (e: DragEvent) => { if (files(e)) { depth++; setOver(true); e.preventDefault(); } };
    const leave = () => { depth = Math.max(0, depth - 1); if (!depth) setOver(false); };
    const hover = (e: DragEvent) => files(e) && e.preventDefault();
    const drop = (e: DragEvent) => {
      if (!files(e)) return;
      e.preventDefault();
      depth = 0;
      setOver(false);
      void foundInFiles(e.dataTransfer!.files).then(take);
    };
    const paste = (e: ClipboardEvent) => {
      const at = e.composedPath()[0] as HTMLElement;
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable) return;
      const text = e.clipboardData?.getData("text/plain").trim() ?? "";
      if (/^[[{]/.test(text)) take(foundIn("pasted", text));
    };
    const all = [["dragenter", enter], ["dragleave", leave], ["dragover", hover], ["drop", drop], ["paste", paste]] as [string, EventListener][];
    for (const [name, f] of all) addEventListener(name, f);
    return () => { for (const [name, f] of all) removeEventListener(name, f); };
  }, [on]);
  return over;
}

export const DropShade = () => <div class="drop-shade" aria-hidden="true"><p>Drop dashboards here</p></div>;

export const countPanels = (panels: Panel[]): number =>
  panels.reduce((n, p) => n + (p.type === "row" ? countPanels(p.panels ?? []) : 1), 0);

// Who has these uids on the server.
function useTaken(found: Found[]): { hits?: Map<string, Hit>; error?: string; again: () => void } {
  const [state, setState] = useState<{ hits?: Map<string, Hit>; error?: string }>({});
  const [turn, setTurn] = useState(0);
  const some = found.length > 0;
  useEffect(() => {
    if (!some) return;
    search().then((hits) => setState({ hits: new Map(hits.map((h) => [h.uid, h])) }), (e: Error) => setState({ error: e.message }));
  }, [some, turn]);
  return { ...state, again: () => setTurn((t) => t + 1) };
}

export function ImportLayer({ first, onClose, onSaved }: { first: Found[]; onClose: () => void; onSaved: () => void }) {
  const [found, setFound] = useState(first);
  const [text, setText] = useState("");
  const [into, setInto] = useState("");
  const [places, setPlaces] = useState<Folder[]>([]);
  const [busy, setBusy] = useState(false);
  const { hits, error, again } = useTaken(found);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => { folders().then(setPlaces, () => undefined); }, []);
  const over = useDropped((more) => setFound((now) => [...now, ...more]));
  const change = (i: number, by: Partial<Found>) => setFound((now) => now.map((f, k) => (k === i ? { ...f, ...by } : f)));
  // The title of what it would replace: on the server, or from a file before it.
  const takenBy = ({ dashboard }: Found, i: number): string | undefined =>
    dashboard?.uid ? (hits?.get(dashboard.uid) ?? found.slice(0, i).find((f) => f.dashboard?.uid === dashboard.uid && f.how !== "another")?.dashboard)?.title : undefined;
  const store = async (f: Found, i: number): Promise<string | undefined> => {
    try {
      const done = await save(asNew(f.dashboard!, f.how === "another"), { folderUid: into, overwrite: f.how === "replace" });
      const saved = href(addressOf(done));
      change(i, { saved, error: undefined });
      onSaved();
      return saved;
    } catch (e) {
      change(i, { error: (e as Error).message });
      if (!(e instanceof Refused)) return undefined;
      if (e.body.status === "name-exists") list.current!.children[i]!.querySelector("input")!.focus();
      else if (e.status === 412) again(); // somebody has saved it meanwhile
      return undefined;
    }
  };
  const good = found.filter((f) => f.dashboard && !f.saved);
  const storeAll = async () => {
    setBusy(true);
    let last: string | undefined;
    let all = true;
    for (const [i, f] of found.entries()) {
      if (!good.includes(f)) continue;
      const at = await store(f, i);
      last = at ?? last;
      all &&= !!at;
    }
    setBusy(false);
    if (!all || !last) return;
    tell(good.length === 1 ? `${good[0]!.dashboard!.title} is saved.` : `${good.length} dashboards are saved.`);
    onClose();
    if (good.length === 1) go(last);
  };
  return (
    <Layer label="Import dashboards" onClose={onClose} kind="import">
      <h2>Import dashboards</h2>
      <form onSubmit={(e) => { e.preventDefault(); void storeAll(); }}>
        {!found.length && (
          <div class="import-from">
            <p class="dim">Drop Grafana dashboard files (JSON, any version) anywhere, as many as you like. Or</p>
            <label class="file"><input type="file" multiple accept=".json,application/json" data-first aria-label="Choose files"
              onChange={(e) => void foundInFiles(e.currentTarget.files ?? []).then((f) => setFound((now) => [...now, ...f]))} /></label>
            <label>or paste one
              <textarea rows={5} value={text} spellcheck={false} placeholder='{"title": …}' onInput={(e) => setText(e.currentTarget.value)} /></label>
          </div>
        )}
        {error && <Failure text={error} />}
        <ul class="found" ref={list}>
          {found.map((f, i) => (
            <Row key={i} of={f} taken={takenBy(f, i)} change={(by) => change(i, by)} onClose={onClose} />
          ))}
        </ul>
        <div class="row import-end">
          {text.trim() && !found.length && <button type="button" class="main" onClick={() => setFound(foundIn("pasted", text))}>Load</button>}
          {good.length > 0 && mayEdit() && (
            <>
              <label class="inline">Folder <select value={into} onChange={(e) => setInto(e.currentTarget.value)}>
                <option value="">General</option>
                {places.map((p) => <option key={p.uid} value={p.uid}>{p.title}</option>)}
              </select></label>
              <button type="submit" class="main" disabled={busy || !hits} ref={(b) => { if (b && document.activeElement === document.body) b.focus(); }}>
                {good.length === 1 ? "Save" : `Save all ${good.length}`}</button>
            </>
          )}
          {good.length > 0 && !mayEdit() && <span class="dim">Viewers can preview dashboards but not save them.</span>}
          <button type="button" class="end" onClick={onClose}>Close</button>
        </div>
      </form>
      {over && <DropShade />}
    </Layer>
  );
}

const HOW = [["replace", "Replace it"], ["another", "Save as another"]] as const;

// One that was read.
function Row({ of, taken, change, onClose }: { of: Found; taken?: string; change: (by: Partial<Found>) => void; onClose: () => void }) {
  const d = of.dashboard;
  const open = d && !of.saved;
  const name = useId();
  return (
    <li>
      <div class="row">
        {open && mayEdit()
          ? <label class="inline">Title <input required value={d.title} onInput={(e) => change({ dashboard: { ...d, title: e.currentTarget.value } })} /></label>
          : <b>{d?.title || of.from}</b>}
        {d && <span class="dim small">{plural(countPanels(d.panels), "panel")}{d.title !== of.from && ` · ${of.from}`}</span>}
        {of.saved && <Badge tone="good"><a href={of.saved} onClick={onClose}>saved</a></Badge>}
        {open && <button type="button" class="quiet end" onClick={() => { onClose(); openUnsaved(d, taken !== undefined); }}>Preview</button>}
      </div>
      {open && taken !== undefined && mayEdit() && (
        <fieldset class="row">
          <legend><Badge tone="warn">“{taken}” is there already under this uid</Badge></legend>
          {HOW.map(([how, text]) => (
            <label key={how} class="inline"><input type="radio" name={name} required checked={of.how === how} onChange={() => change({ how })} /> {text}</label>
          ))}
        </fieldset>
      )}
      {of.error && <Failure text={of.error} />}
      {of.notes.map((n) => <div key={n} class="notice">{n}</div>)}
    </li>
  );
}
