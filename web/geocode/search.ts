// search.ts - the search box: a combobox that completes while one types (WAI-ARIA's "list
// autocomplete with manual selection"), and its filters.
import { by, h, plural, say } from "./dom";
import type { Found } from "./found";
import { VIEWS, type Asked, type Centre, type Filters, type View } from "./views";

const SUGGEST_AFTER_MS = 120; // of no typing
const SUGGESTIONS = 7;
const RESULTS = 10;
const KEPT = 60; // answers, so that deleting a letter asks nothing
const KEPT_MS = 60000; // no longer, since the index may be another by then

interface Kept extends Asked {
  time: number;
}

const TEXTS = ["type", "postcode", "citycode", "layer", "countrycodes"] as const;
const CHECKS = ["near", "better"] as const;
const NO_FILTERS: Filters = {
  type: "", postcode: "", citycode: "", layer: "", countrycodes: "", near: false, better: false,
};

const fold = (s: string) => s.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

// The label with the typed words in bold, where one of its words begins with one of them.
function marked(label: string, typed: string): (Node | string)[] {
  const words = fold(typed).split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  return label.split(/([^\p{L}\p{N}]+)/u).map((piece) => {
    const folded = fold(piece);
    const hit = words.filter((w) => folded.startsWith(w)).sort((a, b) => b.length - a.length)[0];
    if (!hit || folded.length !== piece.length) return piece;
    const span = h("span", {}, h("b", {}, piece.slice(0, hit.length)), piece.slice(hit.length));
    return span;
  });
}

export class SearchBox {
  private input = by<HTMLInputElement>("q");
  private list = by<HTMLUListElement>("options");
  private options: Found[] = [];
  private href = "";
  private active = -1;
  private asked: AbortController | null = null;
  private timer = 0;
  private kept = new Map<string, Kept>();
  private of: View = VIEWS.addok;

  constructor(
    private centre: () => Centre,
    private found: (list: Found[], index: number, href: string) => void,
    private changed: () => void,
  ) {
    const { input } = this;
    input.addEventListener("input", (e) => {
      if (!(e as InputEvent).isComposing) this.later();
    });
    input.addEventListener("compositionend", () => this.later());
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (e) => this.key(e));
    by("form").addEventListener("submit", (e) => {
      e.preventDefault();
      clearTimeout(this.timer);
      if (!this.list.hidden && this.active >= 0) void this.choose(this.active);
      else void this.run();
    });
    for (const id of [...TEXTS, ...CHECKS])
      by(id).addEventListener("change", () => {
        this.tellFilters();
        this.changed();
        if (this.query) void this.run();
      });
    by("unfilter").addEventListener("click", () => {
      this.filters = NO_FILTERS;
      this.changed();
      if (this.query) void this.run();
    });
  }

  get query(): string {
    return this.input.value.trim();
  }

  set query(q: string) {
    this.input.value = q;
  }

  get view(): View {
    return this.of;
  }

  // Whose answers are asked for from now on; the filters are its own.
  set view(view: View) {
    this.stop();
    this.of = view;
    this.options = [];
    for (const e of document.querySelectorAll<HTMLElement>("[data-view]")) e.hidden = e.dataset.view !== view.name;
    for (const e of document.querySelectorAll<HTMLInputElement>("[name=view]")) e.checked = e.value === view.name;
    this.tellFilters();
  }

  get filters(): Filters {
    const out = { ...NO_FILTERS };
    for (const id of TEXTS) out[id] = by<HTMLInputElement>(id).value.trim();
    for (const id of CHECKS) out[id] = by<HTMLInputElement>(id).checked;
    return out;
  }

  set filters(f: Filters) {
    for (const id of TEXTS) by<HTMLInputElement>(id).value = f[id];
    for (const id of CHECKS) by<HTMLInputElement>(id).checked = f[id];
    this.tellFilters();
  }

  focus(): void {
    this.input.focus();
  }

  // The full search: its results are listed, and the first (or the one named) opened.
  async run(id = ""): Promise<void> {
    this.close();
    if (!this.query) return;
    const { of } = this;
    const answer = await this.ask(of.searchAt(this.query, this.filters, this.centre(), RESULTS), of.search);
    if (!answer) return;
    const { found, href } = answer;
    if (!found.length) {
      const filters = by("filtered").textContent ? " with these filters" : "";
      say(`Nothing found for “${this.query}”${filters}.`);
    } else {
      say(`${plural(found.length, "result")}: ${found[0].label}`);
    }
    this.found(found, Math.max(0, found.findIndex((f) => f.id === id)), href);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.close();
  }

  // How many of those that the view has are set.
  private tellFilters(): void {
    const hidden = (id: string) => by(id).closest<HTMLElement>("[data-view]")?.hidden;
    const f = this.filters;
    const count = [...TEXTS, ...CHECKS].filter((id) => f[id] && !hidden(id)).length;
    by("filtered").textContent = count ? `(${count} set)` : "";
  }

  // null: a later question has taken its place, or it failed and that has been said.
  private async ask(href: string, how: View["search"]): Promise<Asked | null> {
    this.asked?.abort();
    const known = this.kept.get(href);
    if (known && performance.now() - known.time < KEPT_MS) return known;
    const mine = (this.asked = new AbortController());
    this.input.setAttribute("aria-busy", "true");
    try {
      const kept = { ...(await how(href, mine.signal)), time: performance.now() };
      if (this.kept.size >= KEPT) this.kept.delete(this.kept.keys().next().value!);
      this.kept.set(href, kept);
      return kept;
    } catch (e) {
      if (!mine.signal.aborted) {
        this.close();
        say((e as Error).message, true);
      }
      return null;
    } finally {
      if (this.asked === mine) this.input.removeAttribute("aria-busy");
    }
  }

  private later(): void {
    clearTimeout(this.timer);
    this.asked?.abort(); // what is under way answers words that are no longer there
    if (!this.query) {
      this.close();
      say("");
      return;
    }
    this.timer = window.setTimeout(() => void this.suggest(), SUGGEST_AFTER_MS);
  }

  private async suggest(): Promise<void> {
    const { of } = this;
    const answer = await this.ask(of.suggestAt(this.query, this.filters, this.centre(), SUGGESTIONS), of.suggest);
    if (!answer || document.activeElement !== this.input) return;
    const { found, href } = answer;
    this.href = href;
    this.openList(found);
    say(found.length ? plural(found.length, "suggestion") : `Nothing found for “${this.query}”.`);
  }

  private openList(found: Found[]): void {
    this.options = found;
    this.list.replaceChildren(
      ...found.map((f, i) =>
        h(
          "li",
          {
            id: `option-${i}`,
            role: "option",
            "aria-selected": "false",
            onpointerdown: (e) => e.preventDefault(), // the input keeps the focus
            onclick: () => void this.choose(i),
          },
          ...marked(f.label, this.query),
          h("small", {}, f.kind),
        ),
      ),
    );
    this.list.hidden = found.length === 0;
    this.input.setAttribute("aria-expanded", String(found.length > 0));
    this.highlight(-1);
  }

  private close(): void {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.highlight(-1);
  }

  private highlight(index: number): void {
    this.active = index;
    [...this.list.children].forEach((li, i) => li.setAttribute("aria-selected", String(i === index)));
    if (index < 0) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    this.input.setAttribute("aria-activedescendant", `option-${index}`);
    this.list.children[index].scrollIntoView({ block: "nearest" });
  }

  private async choose(index: number): Promise<void> {
    const f = this.options[index];
    if (!f) return;
    this.input.value = f.label;
    this.close();
    say(`Shown: ${f.label}`);
    if (matchMedia("(pointer: coarse)").matches) this.input.blur(); // the keyboard would cover the map
    await this.open(f, index);
  }

  // Photon's suggestions are looked up in full; one that has no object is asked for by its label.
  private async open(f: Found, index: number): Promise<void> {
    const { of, options, href } = this;
    if (of.name === "addok") return this.found(options, index, href);
    const whole = of.wholeAt(f);
    const answer = whole ? await this.ask(whole, of.search) : null;
    if (answer?.found.length) this.found(answer.found, 0, answer.href);
    else if (!whole || answer) await this.run();
  }

  // The object of an id ("W123") that the search for the words does not give.
  async recall(id: string): Promise<boolean> {
    const whole = this.of.wholeAt({ osm: id, box: null });
    const answer = whole ? await this.ask(whole, this.of.search) : null;
    if (!answer?.found.length) return false;
    this.found(answer.found, 0, answer.href);
    return true;
  }

  private key(e: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step && this.options.length && this.query) {
      e.preventDefault();
      if (this.list.hidden) this.openList(this.options);
      const count = this.options.length + 1; // one place is the input itself
      this.highlight(((this.active + 1 + step + count) % count) - 1);
    } else if (e.key === "Escape" && !this.list.hidden) {
      e.preventDefault(); // the text stays; a second Escape empties the box
      this.close();
    }
  }
}
