// csv.ts - reading CSV in the browser: what a file is, its first rows, and cutting it into pieces of
// whole rows without holding more than one of them.

export const DELIMITERS: [string, string][] = [[",", "comma"], [";", "semicolon"], ["\t", "tab"], ["|", "bar"]];

// RFC 4180, and as Python reads it: a quote counts only where a field begins.
const enum At { FieldStart, Plain, Quoted, QuoteInQuoted }

const QUOTE = 34;
const LF = 10;
const CR = 13;

// Follows the rows of a text that comes in pieces, without taking the fields apart.
export class RowEnds {
  private at = At.FieldStart;
  private wasCr = false;

  constructor(private delimiter: string) {}

  // Calls `end(i)` with the index behind each row's line break in `text`.
  scan(text: string, end: (index: number) => void): void {
    const delimiter = this.delimiter.charCodeAt(0);
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (this.wasCr) {
        this.wasCr = false;
        end(c === LF ? i + 1 : i);
        if (c === LF) continue;
      }
      if (this.at === At.Quoted) {
        if (c === QUOTE) this.at = At.QuoteInQuoted;
      } else if (c === QUOTE && this.at !== At.Plain) {
        this.at = At.Quoted; // a field begins with it, or it is the second of two
      } else if (c === delimiter) {
        this.at = At.FieldStart;
      } else if (c === LF || c === CR) {
        this.at = At.FieldStart;
        if (c === LF) end(i + 1);
        else this.wasCr = true;
      } else {
        this.at = At.Plain;
      }
    }
  }

  get insideQuotes(): boolean {
    return this.at === At.Quoted;
  }
}

function fieldsOf(row: string, delimiter: string): string[] {
  const fields: string[] = [];
  let i = 0;
  for (;;) {
    let field = "";
    if (row[i] === '"') {
      for (i++; i < row.length; i++) {
        if (row[i] === '"' && row[i + 1] === '"') field += row[i++];
        else if (row[i] === '"') break;
        else field += row[i];
      }
      i++;
    }
    const next = row.indexOf(delimiter, i);
    fields.push(field + row.slice(i, next < 0 ? undefined : next));
    if (next < 0) return fields;
    i = next + 1;
  }
}

// At most `most` rows; empty ones are left out. A row that is cut at the text's end counts.
export function parse(text: string, delimiter: string, most = Infinity): string[][] {
  const rows: string[][] = [];
  let from = 0;
  const take = (to: number) => {
    const row = text.slice(from, to).replace(/[\r\n]+$/, "");
    from = to;
    if (row && rows.length < most) rows.push(fieldsOf(row, delimiter));
  };
  new RowEnds(delimiter).scan(text, take);
  take(text.length);
  return rows;
}

// The separator by which the first rows have the most columns, all the same number of them.
export function guessDelimiter(text: string): string {
  let best = ",";
  let most = 1;
  for (const [delimiter] of DELIMITERS) {
    const rows = parse(text, delimiter, 20).slice(0, 12);
    const columns = rows[0]?.length ?? 0;
    const regular = rows.filter((r) => r.length === columns).length / Math.max(rows.length, 1);
    if (columns * regular > most) {
      most = columns * regular;
      best = delimiter;
    }
  }
  return best;
}

// By its mark, else UTF-8 if it is that, else what spreadsheets on Windows write.
export function guessEncoding(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return "utf-8";
  } catch {
    return "windows-1252";
  }
}

export interface Piece {
  header: string;
  rows: string; // whole rows, each with its line break
  bytes: number; // of the file read so far
}

export const ROW_CHARS_MAX = 4 << 20;

// The file in pieces of about `size()` characters. Throws when a row has no end.
export async function* pieces(file: Blob, encoding: string, delimiter: string, size: () => number): AsyncGenerator<Piece> {
  const reader = file.stream().getReader();
  const decoder = new TextDecoder(encoding);
  const ends = new RowEnds(delimiter);
  let header: string | null = null;
  let held = ""; // rows that wait to be sent, and the beginning of one
  let whole = 0; // length of the whole rows in it
  let bytes = 0;
  let done = false;
  try {
    while (!done) {
      const read = await reader.read();
      done = read.done;
      bytes += read.value?.length ?? 0;
      const text = read.value ? decoder.decode(read.value, { stream: true }) : decoder.decode();
      const before = held.length;
      held += text;
      const found: number[] = [];
      ends.scan(text, (i) => found.push(before + i));
      if (done && held.length > (found[found.length - 1] ?? whole)) {
        held += "\n"; // the last row may lack its line break
        found.push(held.length);
      }
      let from = 0;
      for (const end of found) {
        whole = end;
        if (header === null) {
          const first = held.slice(from, end);
          if (first.trim()) header = first;
          from = end;
        } else if (end - from >= size()) {
          yield { header, rows: held.slice(from, end), bytes };
          from = end;
        }
      }
      held = held.slice(from);
      whole -= from;
      if (held.length - whole > ROW_CHARS_MAX)
        throw new Error("A row is longer than 4 million characters. Is a quotation mark left open, or the separator wrong?");
    }
  } finally {
    void reader.cancel();
  }
  if (ends.insideQuotes) throw new Error("The file ends inside quotation marks: one of them has no partner.");
  if (header !== null && held.trim()) yield { header, rows: held, bytes };
}
