// save.tsx - a dashboard is stored, under its name or another, and what is asked when one would leave
// what is not stored.
import { useEffect, useState } from "preact/hooks";
import { go, href } from "../../base/route";
import { tell } from "../../base/store";
import { from, to } from "../../base/time";
import { Failure, Layer } from "../../parts/bits";
import { filtersOf } from "../adhoc";
import { addressOf, type Folder, folders, isUnsaved } from "../api";
import type { Dashboard, Variable } from "../model";
import { change, discard, type PageState, reopen, savePage } from "../page_state";

// The dashboard with what its variables have now; the same object if that is what it has.
function withValues(page: PageState): Dashboard {
  const d = page.dashboard.value;
  const list = d.templating.list.map((v): Variable => {
    const now = page.values.value[v.name];
    if (!now || v.type === "constant" || v.type === "system") return v;
    if (v.type === "adhoc") {
      const filters = filtersOf(now);
      return JSON.stringify(filters) === JSON.stringify(v.filters ?? []) ? v : { ...v, filters };
    }
    const same = JSON.stringify([now.value].flat()) === JSON.stringify([v.current?.value ?? []].flat());
    return same ? v : { ...v, ...(v.type === "textbox" ? { query: String(now.value) } : {}), current: { ...v.current, text: now.text, value: now.value } };
  });
  return list.every((v, i) => v === d.templating.list[i]) ? d : { ...d, templating: { ...d.templating, list } };
}

// Then one goes on to where one was going: `onSaved`.
export function SaveLayer({ page, as = false, onClose, onSaved }: { page: PageState; as?: boolean; onClose: () => void; onSaved?: () => void }) {
  const fresh = isUnsaved(page.uid);
  const elsewhere = fresh || as;
  const [title, setTitle] = useState(page.dashboard.value.title + (as && !fresh ? " (copy)" : ""));
  const [into, setInto] = useState(page.meta.value.folderUid ?? "");
  const [message, setMessage] = useState("");
  const [keepTime, setKeepTime] = useState(false);
  const [places, setPlaces] = useState<Folder[]>([]);
  const [error, setError] = useState("");
  const [conflict, setConflict] = useState(false);
  useEffect(() => { folders().then(setPlaces, () => undefined); }, []);
  const { time } = page.dashboard.value;
  const [keepValues, setKeepValues] = useState(false);
  const otherValues = page.dashboard.value !== withValues(page);
  const otherTime = time.from !== from.value || time.to !== to.value;
  const save = async (overwrite: boolean) => {
    setError("");
    if (keepValues) change(page, () => withValues(page));
    if (keepTime) change(page, (d) => ({ ...d, time: { ...d.time, from: from.value, to: to.value } }));
    try {
      const done = await savePage(page, { title: title.trim() || undefined, folderUid: into, message: message || undefined, overwrite, copy: as && !fresh });
      if (done === "conflict") return setConflict(true);
      tell("The dashboard is saved.");
      onClose();
      if (elsewhere) discard(page);
      if (onSaved) onSaved();
      else if (elsewhere) go(href(addressOf(done)));
      return undefined;
    } catch (e) {
      return setError((e as Error).message);
    }
  };
  const theirs = () => void reopen(page).then(() => { tell("This is the newer version."); onClose(); }, (e: Error) => setError(e.message));
  return (
    <Layer label={as ? "Save the dashboard as another" : "Save the dashboard"} onClose={onClose} kind="save">
      <form onSubmit={(e) => { e.preventDefault(); void save(false); }}>
        <h2>{as ? "Save as" : "Save the dashboard"}</h2>
        <label>Title<input data-first value={title} onInput={(e) => setTitle(e.currentTarget.value)} /></label>
        <label>Folder<select value={into} onChange={(e) => setInto(e.currentTarget.value)}>
          <option value="">General</option>
          {places.map((p) => <option key={p.uid} value={p.uid}>{p.title}</option>)}
        </select></label>
        {!elsewhere && <label>What changed<input value={message} onInput={(e) => setMessage(e.currentTarget.value)} /></label>}
        {otherTime && <p><label class="inline"><input type="checkbox" checked={keepTime} onChange={(e) => setKeepTime(e.currentTarget.checked)} /> It opens with the time range of now</label></p>}
        {otherValues && <p><label class="inline"><input type="checkbox" checked={keepValues} onChange={(e) => setKeepValues(e.currentTarget.checked)} /> It opens with the variables of now</label></p>}
        {error && <Failure text={error} />}
        {conflict && <div class="notice">There is another version of it on the server, newer than this one, or another dashboard of this name.
          <div class="row"><button type="button" onClick={() => void save(true)}>Replace it</button>
            {!elsewhere && <button type="button" onClick={theirs}>Load the newer one, and lose mine</button>}</div></div>}
        <div class="row import-end"><button type="submit" class="main">Save</button><button type="button" onClick={onClose}>Cancel</button></div>
      </form>
    </Layer>
  );
}

export function LeaveLayer({ page, onLeave, onClose, onSave }: { page: PageState; onLeave: () => void; onClose: () => void; onSave: () => void }) {
  return (
    <Layer label="Changes that are not saved" onClose={onClose}>
      <h2>Leave “{page.dashboard.value.title}”?</h2>
      <p>It has changes that are not saved.</p>
      <div class="row import-end">
        <button type="button" data-first onClick={onClose}>Stay</button>
        <button type="button" onClick={onSave}>Save</button>
        <button type="button" class="danger" onClick={() => { discard(page); onLeave(); }}>Discard and leave</button>
      </div>
    </Layer>
  );
}
