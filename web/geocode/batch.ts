// batch.ts - a CSV file geocoded from the page, by the endpoints that scripts use.
//
// The file is sent in pieces of whole rows, one after the other, rather than in one request: browsers
// read no answer before they have sent the whole question, and pieces give a true progress, an answer
// to look at from the first second, a memory that does not grow with the file, and what is done so far
// when the network fails or the user cancels. It is decoded here and sent as UTF-8.
import { ask, Refusal } from "./api";
import { parse, pieces, RowEnds } from "./csv";

const PIECE_CHARS_LEAST = 8 << 10; // the first one: its answer is there at once
const PIECE_CHARS_MOST = 512 << 10;
const TRIES = 3; // when no answer comes
const PREVIEW_ROWS = 30;
const DOTS_MAX = 5000;

export interface Job {
  file: File;
  encoding: string;
  delimiter: string;
  reverse: boolean;
  columns: string[]; // that make up the address; none: all
  fields: Record<string, string>; // others of the form: postcode, citycode = a column
  lat: string; // columns of the position, in reverse
  lon: string;
  mark: boolean; // begin the answer with a byte order mark
}

export interface Progress {
  bytes: number;
  rows: number;
  found: number;
  header: string[];
  preview: string[][];
  dots: [number, number][];
  note: string; // why it waits; empty if it does not
}

export interface Outcome {
  blob: Blob;
  error: string; // empty if all went well
}

const pause = (seconds: number, signal: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal.addEventListener("abort", stop, { once: true });
  });

function form(job: Job, text: string): FormData {
  const data = new FormData();
  for (const column of job.columns) data.append("columns", column);
  for (const [name, column] of Object.entries(job.fields)) if (column) data.append(name, column);
  data.append("encoding", "utf-8");
  data.append("delimiter", job.delimiter);
  // A row that cannot be asked gets no answer and does not fail the file; addresses far from a row's point are
  // none of it.
  data.append("better", "1");
  data.append("any_distance", "0");
  data.append("data", new Blob([text], { type: "text/csv" }), job.file.name);
  return data;
}

// One piece's answer, tried again when the server is busy or out of reach for a moment.
async function send(job: Job, text: string, tell: (note: string) => void, signal: AbortSignal): Promise<string> {
  const path = job.reverse ? "reverse/csv/" : "search/csv/";
  for (let tries = 1; ; tries++) {
    try {
      const reply = await ask(path, { method: "POST", body: form(job, text), signal });
      return (await reply.text()).replace(/^\ufeff/, "");
    } catch (e) {
      if (!(e instanceof Refusal)) throw e;
      const patient = e.status === 429 || e.status === 503;
      if (!patient && (e.status !== 0 || tries >= TRIES)) throw e;
      tell(e.message);
      await pause(patient ? e.wait || 2 : tries, signal);
      tell("");
    }
  }
}

// Where a row of the answer lies, if it was found.
function reader(header: string[]): (row: string[]) => { found: boolean; dot: [number, number] | null } {
  const at = (...names: string[]) => names.map((n) => header.indexOf(n)).find((i) => i >= 0) ?? -1;
  const lat = at("result_latitude", "latitude", "lat");
  const lon = at("result_longitude", "longitude", "lon", "lng");
  const id = at("result_id", "result_label");
  return (row) => {
    const found = id < 0 || Boolean(row[id]);
    const y = Number(row[lat]);
    const x = Number(row[lon]);
    const there = found && row[lat]?.trim() && row[lon]?.trim() && Math.abs(x) <= 180 && Math.abs(y) <= 90;
    return { found, dot: there ? [x, y] : null };
  };
}

// Runs to the end, to an error or to the abort; what is done by then is in the outcome.
export async function run(job: Job, tell: (p: Progress) => void, signal: AbortSignal): Promise<Outcome> {
  const parts: string[] = job.mark ? ["\ufeff"] : [];
  const done: Progress = { bytes: 0, rows: 0, found: 0, header: [], preview: [], dots: [], note: "" };
  const there = new Map<string, string>();
  if (job.reverse && job.lat !== "latitude") there.set(job.lat, "lat");
  if (job.reverse && job.lon !== "longitude") there.set(job.lon, "lon");
  const back = new Map([...there].map(([own, sent]) => [sent, own]));
  let look = reader([]);
  let size = PIECE_CHARS_LEAST;
  let error = "";
  try {
    for await (const piece of pieces(job.file, job.encoding, job.delimiter, () => size)) {
      const note = (text: string) => tell(Object.assign(done, { note: text }));
      const text = renamed(piece.header, job, there) + piece.rows;
      const [header, body] = cut(await send(job, text, note, signal), job.delimiter);
      if (!done.header.length) {
        const first = parse(header, job.delimiter)[0] ?? [];
        look = reader(first);
        done.header = first.map((name) => back.get(name) ?? name);
        parts.push(renamed(header, job, back));
      }
      parts.push(body);
      for (const row of parse(body, job.delimiter)) {
        const { found, dot } = look(row);
        done.rows++;
        if (found) done.found++;
        if (done.preview.length < PREVIEW_ROWS) done.preview.push(row);
        if (dot && done.dots.length < DOTS_MAX) done.dots.push(dot);
      }
      done.bytes = piece.bytes;
      size = Math.min(size * 2, PIECE_CHARS_MOST);
      tell(done);
      if (signal.aborted) break;
    }
  } catch (e) {
    if (!signal.aborted) error = (e as Error).message;
  }
  if (!error && !signal.aborted && !done.rows) error = "The file has no rows below its header.";
  return { blob: new Blob(parts, { type: "text/csv;charset=utf-8" }), error };
}

// The header and what is below it.
function cut(text: string, delimiter: string): [string, string] {
  let end = -1;
  new RowEnds(delimiter).scan(text, (i) => {
    if (end < 0) end = i;
  });
  return end < 0 ? [text, ""] : [text.slice(0, end), text.slice(end)];
}

const quoted = (field: string, delimiter: string) =>
  field.includes('"') || field.includes(delimiter) || /[\r\n]/.test(field) ? `"${field.replace(/"/g, '""')}"` : field;

// /reverse/csv/ knows its two columns by name, so others are sent under those names, and the answer's
// header gets the file's own back.
function renamed(header: string, job: Job, names: Map<string, string>): string {
  if (!names.size) return header;
  const fields = parse(header, job.delimiter)[0] ?? [];
  return `${fields.map((f) => quoted(names.get(f) ?? f, job.delimiter)).join(job.delimiter)}\r\n`;
}
