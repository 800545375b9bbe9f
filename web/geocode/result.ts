// result.ts - what was found: the open result with its facts, the list of the others, their pins.
import type { Feature } from "./api";
import { by, h, number, place, plural, say } from "./dom";
import { ExplainView } from "./explain";
import type { SmallMap } from "./map";

const ZOOMS: Record<string, number> = { municipality: 11.7, locality: 15, street: 16.3, housenumber: 17.8 };
const ZOOM_DEFAULT = 14;
const KINDS: Record<string, string> = { housenumber: "house number", municipality: "town" };
// Those one wants first; the others are under "All properties".
const FACTS: [string, string][] = [
  ["postcode", "Postcode"],
  ["city", "Town"],
  ["citycode", "Town code"],
  ["district", "District"],
  ["context", "Region"],
  ["population", "Inhabitants"],
  ["distance", "Metres away"],
];

const text = (value: unknown): string =>
  typeof value === "number" ? (Number.isInteger(value) && value > 99999 ? number(value) : String(value))
    : typeof value === "object" ? JSON.stringify(value) : String(value);

const given = (value: unknown) => value !== undefined && value !== null && value !== "";

export class Results {
  private list: Feature[] = [];
  private href = "";
  private index = -1;
  private why = new ExplainView();

  constructor(
    private map: SmallMap,
    private opened: (f: Feature) => void,
  ) {}

  get open(): Feature | null {
    return this.list[this.index] ?? null;
  }

  // `href` answers the same as GeoJSON. `move`: the map goes there; false leaves it where it is.
  show(list: Feature[], index: number, href: string, move: boolean): void {
    this.list = list;
    this.href = href;
    this.choose(index, move);
  }

  choose(index: number, move = true): void {
    const f = this.list[index];
    if (!f) return this.clear();
    this.index = index;
    const [lon, lat] = f.geometry.coordinates;
    this.fill(f);
    this.fillOthers();
    by("empty").hidden = true;
    by("sheet-body").scrollTop = 0;
    this.map.setMarks(
      this.list.map((o, i) => ({
        lon: o.geometry.coordinates[0],
        lat: o.geometry.coordinates[1],
        text: this.list.length > 1 ? String(i + 1) : "",
        open: i === index,
      })),
    );
    if (move) this.map.show(lon, lat, ZOOMS[f.properties.type] ?? ZOOM_DEFAULT);
    else this.map.redraw();
    this.opened(f);
  }

  clear(): void {
    this.list = [];
    this.index = -1;
    by("place").hidden = by("others").hidden = true;
    this.map.setMarks([]);
  }

  private fill(f: Feature): void {
    const p = f.properties;
    const [lon, lat] = f.geometry.coordinates;
    by("label").textContent = p.label;
    const score = Math.round(p.score * 100);
    by("badges").replaceChildren(
      h("span", { class: "badge" }, KINDS[p.type] ?? p.type),
      h("span", { class: "badge" }, `score ${p.score.toFixed(3)}`),
      h("meter", { min: 0, max: 100, low: 50, value: score, "aria-label": `Score ${score} of 100` }),
    );
    if (p.interpolated) by("badges").append(h("span", { class: "badge" }, "between two house numbers"));
    const facts = FACTS.filter(([key]) => given(p[key])).map(([key, name]) => [name, text(p[key])]);
    facts.push(["Position", place(lon, lat)]);
    by("facts").replaceChildren(...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    by("properties").replaceChildren(
      ...Object.entries(p).map(([key, value]) =>
        h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, text(value)))),
    );
    by("actions").replaceChildren(
      h("button", { type: "button", onclick: () => this.map.show(lon, lat, (ZOOMS[p.type] ?? ZOOM_DEFAULT) + 0.5) }, "Zoom to it"),
      ...this.copies(lon, lat),
      h("a", { id: "api", href: this.href }, "GeoJSON"),
    );
    by("place").hidden = false;
    this.why.show(f, this.href);
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
          h("span", {}, f.properties.label, h("small", {}, describe(f))),
          h("span", { class: "score" }, f.properties.score.toFixed(2)),
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

export function describe(f: Feature): string {
  const kind = KINDS[f.properties.type] ?? f.properties.type;
  const context = f.properties.context;
  return typeof context === "string" && context ? `${kind} · ${context}` : kind;
}
