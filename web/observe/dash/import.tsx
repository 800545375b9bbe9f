// import.tsx - dashboards from files: dropped anywhere on the page, chosen, or pasted as text. What was
// read, and what of it had to be left or changed, is shown before anything is stored; who may not store
// can look at it all the same.
import { useEffect, useState } from "preact/hooks";
import { Refused } from "../base/data";
import { plural } from "../base/format";
import { go, href } from "../base/route";
import { tell } from "../base/store";
import { Badge, Layer } from "../parts/bits";
import { addressOf, type Folder, folders, keepUnsaved, mayEdit, save } from "./api";
import type { Dashboard, Panel } from "./model";
import { readDashboard } from "./read";
import { writeDashboard } from "./write";

export interface Found {
  from: string; // the file's name
  dashboard?: Dashboard;
  notes: string[];
  error?: string;
  saved?: string; // its address
  exists?: boolean; // on the server, as it said
}

// One text may hold one dashboard or a list of them.
export function foundIn(from: string, text: string): Found[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (e) {
    return [{ from, notes: [], error: `This is no JSON: ${(e as Error).message}` }];
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

// Opens it without storing it.
export function openUnsaved(d: Dashboard): void {
  go(href(`/d/${keepUnsaved(writeDashboard(d))}`));
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

export function ImportLayer({ first, onClose, onSaved }: { first: Found[]; onClose: () => void; onSaved: () => void }) {
  const [found, setFound] = useState(first);
  const [text, setText] = useState("");
  const [into, setInto] = useState("");
  const [places, setPlaces] = useState<Folder[]>([]);
  const [busy, setBusy] = useState(false);
  useEffect(() => { folders().then(setPlaces, () => undefined); }, []);
  const over = useDropped((more) => setFound((now) => [...now, ...more]));
  const change = (one: Found, by: Partial<Found>) => setFound((now) => now.map((f) => (f === one ? { ...f, ...by } : f)));
  const store = async (one: Found, overwrite: boolean): Promise<string | undefined> => {
    try {
      const done = await save(one.dashboard!, { folderUid: into, overwrite });
      const saved = href(addressOf(done));
      change(one, { saved, exists: false, error: undefined });
      onSaved();
      return saved;
    } catch (e) {
      change(one, e instanceof Refused && (e.status === 412 || e.status === 409) ? { exists: true, error: undefined } : { error: (e as Error).message });
      return undefined;
    }
  };
  const good = found.filter((f) => f.dashboard && !f.saved);
  const storeAll = async () => {
    setBusy(true);
    let last: string | undefined;
    let all = true;
    for (const one of good) {
      const at = await store(one, false);
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
      {!found.length && (
        <div class="import-from">
          <p class="dim">Drop JSON files anywhere, as many as you like: Grafana's, of any version. Or</p>
          <label class="file"><input type="file" multiple accept=".json,application/json" data-first aria-label="Choose files"
            onChange={(e) => void foundInFiles(e.currentTarget.files ?? []).then((f) => setFound((now) => [...now, ...f]))} /></label>
          <label>or paste it
            <textarea rows={5} value={text} spellcheck={false} placeholder='{"title": …}' onInput={(e) => setText(e.currentTarget.value)} /></label>
        </div>
      )}
      <ul class="found">
        {found.map((f, i) => (
          <li key={i}>
            <div class="row">
              <b>{f.dashboard?.title || f.from}</b>
              {f.dashboard && <span class="dim small">{plural(countPanels(f.dashboard.panels), "panel")}{f.dashboard.title !== f.from && ` · ${f.from}`}</span>}
              {f.saved && <Badge tone="good"><a href={f.saved} onClick={onClose}>saved</a></Badge>}
              {f.exists && <><Badge tone="warn">there already</Badge><button type="button" onClick={() => void store(f, true)}>Replace it</button></>}
              {f.dashboard && !f.saved && <button type="button" class="quiet end" onClick={() => { onClose(); openUnsaved(f.dashboard!); }}>Look at it without saving</button>}
            </div>
            {f.error && <div class="failure">{f.error}</div>}
            {f.notes.map((n) => <div key={n} class="notice">{n}</div>)}
          </li>
        ))}
      </ul>
      <div class="row import-end">
        {text.trim() && !found.length && <button type="button" class="main" onClick={() => setFound(foundIn("pasted", text))}>Read it</button>}
        {good.length > 0 && mayEdit() && (
          <>
            <label class="inline">Folder <select value={into} onChange={(e) => setInto(e.currentTarget.value)}>
              <option value="">General</option>
              {places.map((p) => <option key={p.uid} value={p.uid}>{p.title}</option>)}
            </select></label>
            <button type="button" class="main" disabled={busy} onClick={() => void storeAll()} ref={(b) => { if (b && document.activeElement === document.body) b.focus(); }}>
              {good.length === 1 ? "Save" : `Save all ${good.length}`}</button>
          </>
        )}
        {good.length > 0 && !mayEdit() && <span class="dim">Viewers can look at dashboards, not store them.</span>}
        <button type="button" class="end" onClick={onClose}>Close</button>
      </div>
      {over && <DropShade />}
    </Layer>
  );
}
