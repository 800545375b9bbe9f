// file.ts - the CSV tab: choose or drop a file, look at it, say what its columns are, follow the work,
// look at the answer and take it home.
import { run, type Job, type Outcome, type Progress } from "./batch";
import { DELIMITERS, guessDelimiter, guessEncoding, parse } from "./csv";
import { by, h, number, plural, say } from "./dom";
import type { SmallMap } from "./map";

const LOOK_BYTES = 256 << 10; // of the file's beginning
const PREVIEW_ROWS = 5;
const ENCODINGS: [string, string][] = [
  ["utf-8", "UTF-8"],
  ["windows-1252", "Windows (Western Europe)"],
  ["iso-8859-15", "ISO 8859-15"],
  ["utf-16le", "UTF-16"],
  ["utf-16be", "UTF-16, big end first"],
];
const ADDRESS_COLUMN = /adr|addr|rue|voie|street|num|cp\b|postal|postcode|zip|commune|ville|city|town|localit/i;
const CITYCODE_COLUMN = /insee|citycode|code_?commune/i;
const LAT_COLUMN = /^(lat|latitude|y)$/i;
const LON_COLUMN = /^(lon|lng|long|longitude|x)$/i;

const size = (bytes: number) =>
  bytes < 1000 ? `${bytes} bytes` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

function table(header: string[], rows: (Node | string)[][], label: string): HTMLElement {
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    h("table", {},
      h("thead", {}, h("tr", {}, ...header.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell)))))));
}

function select(id: string, label: string, options: [string, string][], value: string, changed: () => void): HTMLElement {
  const list = h("select", { id, onchange: changed },
    ...options.map(([v, text]) => h("option", { value: v, selected: v === value }, text)));
  return h("label", {}, `${label} `, list);
}

export class FilePanel {
  private root = by("file");
  private file: File | null = null;
  private bytes = new Uint8Array();
  private encoding = "utf-8";
  private delimiter = ",";
  private reverse = false;
  private header: string[] = [];
  private running: AbortController | null = null;
  private download = ""; // a blob's address, given back when it is no longer offered

  constructor(private map: SmallMap) {
    this.offer();
    const over = (e: DragEvent, on: boolean) => {
      if (!e.dataTransfer?.types.includes("Files")) return;
      e.preventDefault();
      document.body.classList.toggle("dropping", on && !this.running);
    };
    // Anywhere on the page: a file dropped beside the box would otherwise replace the page.
    document.addEventListener("dragover", (e) => over(e, true));
    document.addEventListener("dragleave", (e) => over(e, false));
    document.addEventListener("drop", (e) => {
      over(e, false);
      const file = e.dataTransfer?.files[0];
      if (!file || this.running) return;
      by("tab-file").click();
      void this.take(file);
    });
    addEventListener("beforeunload", (e) => {
      if (this.running) e.preventDefault();
    });
  }

  private offer(): void {
    this.forget();
    const input = h("input", {
      type: "file",
      id: "csv",
      accept: ".csv,.tsv,.txt,text/csv,text/tab-separated-values",
      onchange: () => {
        const file = input.files?.[0];
        if (file) void this.take(file);
      },
    });
    this.root.replaceChildren(
      h("h2", {}, "Geocode a CSV file"),
      h("p", {}, "Each row gets its position, or each position its address. The file goes to this server only."),
      h("label", { class: "drop", for: "csv" }, h("strong", {}, "Choose a CSV file"), h("span", {}, "or drop it here"), input),
    );
  }

  private forget(): void {
    if (this.download) URL.revokeObjectURL(this.download);
    this.download = "";
    this.map.setDots([]);
  }

  private async take(file: File): Promise<void> {
    this.forget();
    try {
      this.bytes = new Uint8Array(await file.slice(0, LOOK_BYTES).arrayBuffer());
    } catch {
      say(`The file ${file.name} cannot be read.`, true);
      return;
    }
    if (!this.bytes.length) {
      say(`The file ${file.name} is empty.`, true);
      return;
    }
    this.file = file;
    this.encoding = guessEncoding(this.bytes);
    this.delimiter = guessDelimiter(this.text());
    this.header = parse(this.text(), this.delimiter, 1)[0] ?? [];
    this.reverse = this.header.some((c) => LAT_COLUMN.test(c)) && this.header.some((c) => LON_COLUMN.test(c)) &&
      !this.header.some((c) => ADDRESS_COLUMN.test(c));
    say(`${file.name}, ${size(file.size)}: choose its columns.`);
    this.ask();
    this.root.querySelector<HTMLElement>("h2")?.focus();
  }

  private text(): string {
    return new TextDecoder(this.encoding).decode(this.bytes, { stream: true });
  }

  // Everything that is to be known before the start; drawn anew when the file is read differently.
  private ask(): void {
    const file = this.file!;
    const rows = parse(this.text(), this.delimiter, PREVIEW_ROWS + 1);
    this.header = rows[0] ?? [];
    const again = (change: () => void) => () => {
      change();
      const focused = document.activeElement?.id;
      this.ask();
      if (focused) document.getElementById(focused)?.focus();
    };
    const value = (id: string) => by<HTMLSelectElement>(id).value;
    const start = h("button", { type: "button", class: "main", id: "start", onclick: () => void this.start() }, "Geocode");
    const choice = (reverse: boolean, text: string) =>
      h("label", { class: "check" },
        h("input", {
          type: "radio", name: "direction", id: reverse ? "to-address" : "to-position", checked: reverse === this.reverse,
          onchange: again(() => (this.reverse = reverse)),
        }), ` ${text}`);
    this.root.replaceChildren(
      h("h2", { tabindex: -1 }, `${file.name} `, h("small", {}, size(file.size))),
      table(this.header, rows.slice(1), "First rows of the file"),
      h("div", { class: "pair" },
        select("encoding", "Letters", ENCODINGS, this.encoding, again(() => (this.encoding = value("encoding")))),
        select("delimiter", "Separator", DELIMITERS, this.delimiter, again(() => (this.delimiter = value("delimiter"))))),
      h("fieldset", {}, h("legend", {}, "What is wanted"),
        choice(false, "positions of addresses"), choice(true, "addresses of positions")),
      ...(this.reverse ? this.positionColumns() : this.addressColumns()),
      h("label", { class: "check" }, h("input", { type: "checkbox", id: "mark" }), " Mark the answer as UTF-8, for Excel"),
      h("div", { class: "actions" }, start,
        h("button", { type: "button", onclick: () => this.offer() }, "Another file")),
    );
  }

  private addressColumns(): HTMLElement[] {
    const likely = this.header.map((c) => ADDRESS_COLUMN.test(c) && !CITYCODE_COLUMN.test(c));
    const all = !likely.some(Boolean);
    const none: [string, string][] = [["", "none"], ...this.header.map((c): [string, string] => [c, c])];
    const nothing = () => undefined;
    return [
      h("fieldset", { id: "columns" }, h("legend", {}, "Columns that make up the address"),
        ...this.header.map((c, i) =>
          h("label", { class: "check" },
            h("input", { type: "checkbox", value: c, checked: all || likely[i] }), ` ${c || "(no name)"}`))),
      h("details", { open: this.header.some((c) => CITYCODE_COLUMN.test(c)) }, h("summary", {}, "Only results of the right town"),
        h("p", {}, "A row whose column has a value gets only results with that postcode or town code."),
        h("div", { class: "pair" },
          select("by-postcode", "Postcode", none, "", nothing),
          select("by-citycode", "Town code", none, this.header.find((c) => CITYCODE_COLUMN.test(c)) ?? "", nothing))),
    ];
  }

  private positionColumns(): HTMLElement[] {
    const columns = this.header.map((c): [string, string] => [c, c]);
    const guess = (rx: RegExp) => this.header.find((c) => rx.test(c)) ?? this.header[0] ?? "";
    const nothing = () => undefined;
    return [
      h("div", { class: "pair" },
        select("lat", "Latitude", columns, guess(LAT_COLUMN), nothing),
        select("lon", "Longitude", columns, guess(LON_COLUMN), nothing)),
    ];
  }

  private job(): Job | null {
    const value = (id: string) => document.querySelector<HTMLSelectElement>(`#${id}`)?.value ?? "";
    const columns = [...this.root.querySelectorAll<HTMLInputElement>("#columns input:checked")].map((c) => c.value);
    if (!this.reverse && !columns.length) {
      say("Choose at least one column of the address.", true);
      return null;
    }
    if (this.reverse && value("lat") === value("lon")) {
      say("Latitude and longitude must be two columns.", true);
      return null;
    }
    return {
      file: this.file!,
      encoding: this.encoding,
      delimiter: this.delimiter,
      reverse: this.reverse,
      columns,
      fields: { postcode: value("by-postcode"), citycode: value("by-citycode") },
      lat: value("lat"),
      lon: value("lon"),
      mark: by<HTMLInputElement>("mark").checked,
    };
  }

  private async start(): Promise<void> {
    const job = this.job();
    if (!job) return;
    const mine = (this.running = new AbortController());
    const bar = h("progress", { max: job.file.size, value: 0, "aria-label": "Progress" });
    const told = h("p", { id: "progress" }, "Starting …");
    const preview = h("div", { id: "answer" });
    const cancel = h("button", { type: "button", id: "cancel", onclick: () => mine.abort() }, "Cancel");
    this.root.replaceChildren(h("h2", { tabindex: -1 }, job.file.name), bar, told, h("div", { class: "actions" }, cancel), preview);
    cancel.focus();
    say("Geocoding …");
    const began = performance.now();
    let last: Progress | null = null;
    const outcome = await run(job, (p) => {
      bar.value = p.bytes;
      told.textContent = p.note || this.describe(p, job.file.size, began);
      if (last?.preview.length !== p.preview.length || !last) preview.replaceChildren(this.preview(p));
      this.map.setDots(p.dots);
      last = { ...p, preview: [...p.preview] };
    }, mine.signal);
    this.running = null;
    this.finish(job, last, outcome, mine.signal.aborted, preview);
  }

  private describe(p: Progress, total: number, began: number): string {
    const seconds = Math.max((performance.now() - began) / 1000, 0.001);
    const left = p.bytes ? (seconds * (total - p.bytes)) / p.bytes : 0;
    const rest = left > 1 ? `, about ${left < 90 ? plural(Math.ceil(left), "second") : plural(Math.ceil(left / 60), "minute")} left` : "";
    return `${plural(p.rows, "row")} done, ${number(p.found)} found, ${number(Math.round(p.rows / seconds))} rows/s${rest}`;
  }

  private finish(job: Job, p: Progress | null, outcome: Outcome, cancelled: boolean, preview: HTMLElement): void {
    const rows = p?.rows ?? 0;
    const share = `${number(p?.found ?? 0)} of ${plural(rows, "row")} found.`;
    say(outcome.error ? `Stopped: ${outcome.error}` : cancelled ? "Cancelled." : "Done.", Boolean(outcome.error));
    const parts: HTMLElement[] = [h("h2", { tabindex: -1 }, job.file.name), h("p", { id: "summary" }, share)];
    if (rows) {
      this.download = URL.createObjectURL(outcome.blob);
      const name = job.file.name.replace(/(\.[^.]*)?$/, ".geocoded.csv");
      const what = outcome.error || cancelled ? "Download what is done" : "Download";
      parts.push(h("div", { class: "actions" },
        h("a", { class: "main", id: "download", href: this.download, download: name }, `${what} (${size(outcome.blob.size)})`),
        h("button", { type: "button", onclick: () => this.offer() }, "Another file")));
      parts.push(preview);
    } else {
      parts.push(h("div", { class: "actions" },
        h("button", { type: "button", class: "main", onclick: () => this.ask() }, "Back to the columns"),
        h("button", { type: "button", onclick: () => this.offer() }, "Another file")));
    }
    this.root.replaceChildren(...parts);
    (this.root.querySelector<HTMLElement>("#download") ?? this.root.querySelector<HTMLElement>("h2"))?.focus();
  }

  // The answer's first rows: the result's columns before the file's own.
  private preview(p: Progress): HTMLElement {
    const isResult = (name: string) => /^(result_(label|score|type)|latitude|longitude)$/.test(name);
    const first = ["result_label", "result_score"].map((n) => p.header.indexOf(n)).filter((i) => i >= 0);
    const own = p.header.map((_, i) => i).filter((i) => !p.header[i].startsWith("result_"));
    const rest = p.header.map((_, i) => i).filter((i) => isResult(p.header[i]) && !first.includes(i) && !own.includes(i));
    const order = [...first, ...own, ...rest];
    const label = p.header.indexOf("result_label");
    const rows = p.preview.map((row) =>
      order.map((i): Node | string => (i === label && !row[i] ? h("em", {}, "not found") : row[i] ?? "")));
    return table(order.map((i) => p.header[i].replace(/^result_/, "")), rows, "First rows of the answer");
  }
}
