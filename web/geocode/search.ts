// search.ts - the search box: a combobox that completes while one types (WAI-ARIA's "list
// autocomplete with manual selection"), and its filters.
import { search, type Feature } from "./api";
import { by, h, plural, say } from "./dom";
import { describe } from "./result";

const SUGGEST_AFTER_MS = 120; // of no typing
const SUGGESTIONS = 7;
const RESULTS = 10;
const KEPT = 60; // answers, so that deleting a letter asks nothing
const KEPT_MS = 60000; // no longer, since the index may be another by then

export interface Filters {
  type: string;
  postcode: string;
  citycode: string;
  near: boolean;
  better: boolean; // than Addok: see docs/geocode-quality.md
}

interface Asked {
  features: Feature[];
  attribution: string;
  href: string;
  time: number;
}

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
  private options: Feature[] = [];
  private href = "";
  private active = -1;
  private asked: AbortController | null = null;
  private timer = 0;
  private kept = new Map<string, Asked>();

  constructor(
    private centre: () => { lon: number; lat: number },
    private found: (features: Feature[], index: number, href: string) => void,
    private changed: () => void,
    private attributed: (text: string) => void,
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
      if (!this.list.hidden && this.active >= 0) this.choose(this.active);
      else void this.run();
    });
    for (const id of ["type", "postcode", "citycode", "near", "better"])
      by(id).addEventListener("change", () => {
        this.tellFilters();
        this.changed();
        if (this.query) void this.run();
      });
    by("unfilter").addEventListener("click", () => {
      this.filters = { type: "", postcode: "", citycode: "", near: false, better: false };
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

  get filters(): Filters {
    const value = (id: string) => by<HTMLInputElement>(id).value.trim();
    return {
      type: value("type"),
      postcode: value("postcode"),
      citycode: value("citycode"),
      near: by<HTMLInputElement>("near").checked,
      better: by<HTMLInputElement>("better").checked,
    };
  }

  set filters(f: Filters) {
    for (const id of ["type", "postcode", "citycode"] as const) by<HTMLInputElement>(id).value = f[id];
    by<HTMLInputElement>("near").checked = f.near;
    by<HTMLInputElement>("better").checked = f.better;
    this.tellFilters();
  }

  focus(): void {
    this.input.focus();
  }

  // The full search: its results are listed, and the first (or the one named) opened.
  async run(id = ""): Promise<void> {
    this.close();
    if (!this.query) return;
    const answer = await this.ask(RESULTS);
    if (!answer) return;
    const { features, href } = answer;
    if (!features.length) {
      const filters = by("filtered").textContent ? " with these filters" : "";
      say(`Nothing found for “${this.query}”${filters}.`);
    } else {
      say(`${plural(features.length, "result")}: ${features[0].properties.label}`);
    }
    this.found(features, Math.max(0, features.findIndex((f) => f.properties.id === id)), href);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.close();
  }

  private tellFilters(): void {
    const f = this.filters;
    const count = [f.type, f.postcode, f.citycode, f.near, f.better].filter(Boolean).length;
    by("filtered").textContent = count ? `(${count} set)` : "";
  }

  private params(limit: number): URLSearchParams {
    const f = this.filters;
    const params = new URLSearchParams({ q: this.query, limit: String(limit), autocomplete: "1" });
    for (const name of ["type", "postcode", "citycode"] as const) if (f[name]) params.set(name, f[name]);
    if (f.better) params.set("better", "1");
    if (f.near) {
      const { lon, lat } = this.centre();
      params.set("lat", lat.toFixed(4));
      params.set("lon", lon.toFixed(4));
    }
    return params;
  }

  // null: a later question has taken its place, or it failed and that has been said.
  private async ask(limit: number): Promise<Asked | null> {
    this.asked?.abort();
    const params = this.params(limit);
    const key = params.toString();
    const known = this.kept.get(key);
    if (known && performance.now() - known.time < KEPT_MS) return known;
    const mine = (this.asked = new AbortController());
    this.input.setAttribute("aria-busy", "true");
    try {
      const answer = await search(params, mine.signal);
      const kept = {
        features: answer.features,
        attribution: answer.attribution ?? "",
        href: `search/?${key}`,
        time: performance.now(),
      };
      if (this.kept.size >= KEPT) this.kept.delete(this.kept.keys().next().value!);
      this.kept.set(key, kept);
      this.attributed(kept.attribution);
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
    const answer = await this.ask(SUGGESTIONS);
    if (!answer || document.activeElement !== this.input) return;
    this.href = answer.href;
    this.openList(answer.features);
    say(answer.features.length ? plural(answer.features.length, "suggestion") : `Nothing found for “${this.query}”.`);
  }

  private openList(features: Feature[]): void {
    this.options = features;
    this.list.replaceChildren(
      ...features.map((f, i) =>
        h(
          "li",
          {
            id: `option-${i}`,
            role: "option",
            "aria-selected": "false",
            onpointerdown: (e) => e.preventDefault(), // the input keeps the focus
            onclick: () => this.choose(i),
          },
          ...marked(f.properties.label, this.query),
          h("small", {}, describe(f)),
        ),
      ),
    );
    this.list.hidden = features.length === 0;
    this.input.setAttribute("aria-expanded", String(features.length > 0));
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

  private choose(index: number): void {
    const f = this.options[index];
    if (!f) return;
    this.input.value = f.properties.label;
    this.close();
    say(`Shown: ${f.properties.label}`);
    if (matchMedia("(pointer: coarse)").matches) this.input.blur(); // the keyboard would cover the map
    this.found(this.options, index, this.href);
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
