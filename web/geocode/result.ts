// result.ts - what was found: the open result with its facts, the list of the others, their pins and
// the open one's outline.
import { by, h, place, plural, say } from "./dom";
import { ExplainView } from "./explain";
import { position, type Found } from "./found";
import type { SmallMap } from "./map";
import type { View } from "./views";

export class Results {
  private list: Found[] = [];
  private href = "";
  private index = -1;
  private why = new ExplainView();
  private outlining: AbortController | null = null;

  constructor(
    private map: SmallMap,
    private view: () => View,
    private opened: (f: Found) => void,
  ) {}

  get open(): Found | null {
    return this.list[this.index] ?? null;
  }

  get all(): Found[] {
    return this.list;
  }

  // `href` answers the same as JSON. `move`: the map goes there; false leaves it where it is.
  show(list: Found[], index: number, href: string, move: boolean): void {
    this.list = list;
    this.href = href;
    this.choose(index, move);
  }

  choose(index: number, move = true): void {
    const f = this.list[index];
    if (!f) return this.clear();
    this.index = index;
    this.fill(f);
    this.fillOthers();
    by("empty").hidden = true;
    by("sheet-body").scrollTop = 0;
    this.map.setMarks(
      this.list.map((o, i) => ({
        lon: o.lon,
        lat: o.lat,
        text: this.list.length > 1 ? String(i + 1) : "",
        open: i === index,
      })),
    );
    if (move) this.go(f);
    else this.map.redraw();
    void this.outline(f);
    this.opened(f);
  }

  // There: the whole of it, or as near as its kind is looked at.
  private go(f: Found, nearer = 0): void {
    if (f.box) this.map.fit(f.box, f.zoom + 0.5);
    else this.map.show(f.lon, f.lat, f.zoom + nearer);
  }

  // Its outline on the map, asked for if the answer had none.
  private async outline(f: Found): Promise<void> {
    this.outlining?.abort();
    this.map.setOutline(f.outline);
    const href = f.outline || !f.box ? "" : this.view().wholeAt(f);
    if (!href) return;
    const mine = (this.outlining = new AbortController());
    try {
      f.outline = (await this.view().search(href, mine.signal)).found[0]?.outline ?? null;
      if (this.outlining === mine && this.open === f) this.map.setOutline(f.outline);
    } catch {
      // The answer stands without its outline, too.
    }
  }

  clear(): void {
    this.list = [];
    this.index = -1;
    by("place").hidden = by("others").hidden = true;
    this.outlining?.abort();
    this.map.setOutline(null);
    this.map.setMarks([]);
  }

  private fill(f: Found): void {
    const share = f.share && Math.round(f.share.value * 100);
    by("label").textContent = f.label;
    by("badges").replaceChildren(...f.badges.map((badge) => h("span", { class: "badge" }, badge)));
    if (share !== null)
      by("badges").append(
        h("meter", { min: 0, max: 100, low: 100 * f.share!.low, value: share, "aria-label": `${f.share!.name} ${share} of 100` }),
      );
    const facts = [...f.facts, position(f)];
    by("facts").replaceChildren(...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    by("properties").replaceChildren(
      ...f.properties.map(([key, value]) => h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, value))),
    );
    by("actions").replaceChildren(
      h("button", { type: "button", onclick: () => this.go(f, 0.5) }, "Zoom to it"),
      ...this.copies(f.lon, f.lat),
      h("a", { id: "api", href: this.href }, f.feature ? "GeoJSON" : "JSON"),
    );
    by("place").hidden = false;
    by("why").hidden = !f.feature;
    if (f.feature) this.why.show(f.feature, this.href);
  }

  // Only where the browser lets a page copy, which plain HTTP to another machine does not.
  private copies(lon: number, lat: number): HTMLElement[] {
    if (!navigator.clipboard) return [];
    const copy = (what: string, value: () => string) => async () => {
      try {
        await navigator.clipboard.writeText(value());
        say(`${what} copied.`);
      } catch {
        say(`The browser does not allow copying. ${what}: ${value()}`, true);
      }
    };
    return [
      h("button", { type: "button", onclick: copy("Position", () => place(lon, lat)) }, "Copy position"),
      h("button", { type: "button", onclick: copy("Link", () => location.href) }, "Copy link"),
    ];
  }

  private fillOthers(): void {
    by("others").hidden = this.list.length < 2;
    by("others-label").textContent = plural(this.list.length, "result");
    by("results").replaceChildren(
      ...this.list.map((f, i) => {
        const button = h(
          "button",
          { type: "button", onclick: () => this.pick(i), "aria-current": i === this.index && "true" },
          h("span", { class: "pin" }, String(i + 1)),
          h("span", {}, f.label, h("small", {}, f.kind)),
          h("span", { class: "score" }, f.score),
        );
        return h("li", {}, button);
      }),
    );
  }

  // From the list: the keyboard stays where it was.
  private pick(index: number): void {
    this.choose(index);
    by("results").children[index]?.querySelector("button")?.focus({ preventScroll: true });
  }
}
