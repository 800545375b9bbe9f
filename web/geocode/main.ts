// main.ts - the search page: a combobox that completes while one types (WAI-ARIA's "list
// autocomplete with manual selection"), the answer's facts, and the map.
import { reverse, search, type Feature } from "./api";
import { SmallMap } from "./map";

const by = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const input = by<HTMLInputElement>("q");
const list = by<HTMLUListElement>("options");
const status = by("status");

const ZOOMS: Record<string, number> = { municipality: 12.5, locality: 15, street: 16.5, housenumber: 17.8 };
const FACTS: [keyof Feature["properties"], string][] = [
  ["type", "kind"],
  ["postcode", "postcode"],
  ["city", "town"],
  ["citycode", "town code"],
  ["district", "district"],
  ["context", "region"],
  ["population", "inhabitants"],
  ["distance", "metres away"],
  ["score", "score"],
];

let options: Feature[] = [];
let active = -1;
let asked: AbortController | null = null;

const map = new SmallMap(by<HTMLCanvasElement>("map"), (lon, lat) => void nameNearest(lon, lat), fail);

function say(text: string): void {
  status.textContent = text;
  status.classList.remove("error");
}

function fail(why: string): void {
  status.textContent = why;
  status.classList.add("error");
}

function closeList(): void {
  list.hidden = true;
  active = -1;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

function highlight(index: number): void {
  active = index;
  [...list.children].forEach((li, i) => li.setAttribute("aria-selected", String(i === index)));
  if (index >= 0) input.setAttribute("aria-activedescendant", `option-${index}`);
  else input.removeAttribute("aria-activedescendant");
}

function openList(features: Feature[]): void {
  options = features;
  list.replaceChildren(
    ...features.map((f, i) => {
      const li = document.createElement("li");
      li.id = `option-${i}`;
      li.role = "option";
      li.textContent = f.properties.label;
      const small = document.createElement("small");
      small.textContent = f.properties.context ?? f.properties.type;
      li.append(small);
      li.addEventListener("pointerdown", (e) => e.preventDefault()); // the input keeps the focus
      li.addEventListener("click", () => choose(i));
      return li;
    }),
  );
  list.hidden = features.length === 0;
  input.setAttribute("aria-expanded", String(features.length > 0));
  highlight(-1);
}

function showPlace(f: Feature, href: string): void {
  const p = f.properties;
  by("label").textContent = p.label;
  by("facts").replaceChildren(
    ...FACTS.filter(([key]) => p[key] !== undefined).flatMap(([key, name]) => {
      const dt = document.createElement("dt");
      const dd = document.createElement("dd");
      const value = p[key];
      dt.textContent = name;
      dd.textContent = typeof value === "number" && key === "score" ? value.toFixed(3) : String(value);
      return [dt, dd];
    }),
  );
  const at = document.createElement("dt");
  at.textContent = "position";
  const where = document.createElement("dd");
  where.textContent = `${f.geometry.coordinates[1]}, ${f.geometry.coordinates[0]}`;
  by("facts").append(at, where);
  by<HTMLAnchorElement>("api").href = href;
  by("place").hidden = false;
}

function choose(index: number): void {
  const f = options[index];
  if (!f) return;
  input.value = f.properties.label;
  closeList();
  say("");
  const [lon, lat] = f.geometry.coordinates;
  map.show(lon, lat, ZOOMS[f.properties.type] ?? 14);
  const query = new URLSearchParams({ q: f.properties.label });
  showPlace(f, `/search/?${query}&limit=1`);
  history.replaceState(null, "", `#${query}`);
}

async function ask(complete: boolean): Promise<void> {
  asked?.abort();
  const q = input.value.trim();
  if (!q) {
    closeList();
    say("");
    return;
  }
  const mine = (asked = new AbortController());
  try {
    const answer = await search(q, 7, complete, mine.signal);
    by("attribution").textContent = answer.attribution ? `© ${answer.attribution}` : "";
    openList(answer.features);
    if (answer.features.length === 0) {
      say(`Nothing found for “${q}”.`);
      by("place").hidden = true;
    }
    else say(complete ? `${answer.features.length} suggestions` : "");
    if (!complete) choose(0);
  } catch (e) {
    if (!mine.signal.aborted) fail((e as Error).message);
  }
}

async function nameNearest(lon: number, lat: number): Promise<void> {
  map.pin(lon, lat);
  try {
    const { features } = await reverse(lon, lat);
    if (!features.length) {
      say("No address near this point.");
      by("place").hidden = true;
      return;
    }
    say("");
    const [x, y] = features[0].geometry.coordinates;
    map.pin(x, y);
    showPlace(features[0], `/reverse/?lon=${lon.toFixed(6)}&lat=${lat.toFixed(6)}`);
  } catch (e) {
    fail((e as Error).message);
  }
}

input.addEventListener("input", () => void ask(true));
input.addEventListener("blur", closeList);
input.addEventListener("keydown", (e) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
  if (step && options.length) {
    e.preventDefault();
    if (list.hidden) openList(options);
    highlight((active + step + options.length + (active < 0 && step < 0 ? 1 : 0)) % options.length);
  } else if (e.key === "Escape") {
    closeList();
  }
});
by("form").addEventListener("submit", (e) => {
  e.preventDefault();
  // Enter takes the highlighted suggestion, else the first: what one has been shown.
  if (!list.hidden && options.length) choose(Math.max(active, 0));
  else void ask(false);
});
by("in").addEventListener("click", () => map.zoomBy(1));
by("out").addEventListener("click", () => map.zoomBy(-1));

const linked = new URLSearchParams(location.hash.slice(1)).get("q");
if (linked) {
  input.value = linked;
  void ask(false);
} else {
  input.focus();
}
