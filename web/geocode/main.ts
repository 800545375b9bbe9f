// main.ts - the page: search box, results, map, CSV tab, and the address bar that remembers them.
import { reverse } from "./api";
import { by, h, say } from "./dom";
import { findExtent, type Extent } from "./extent";
import { FilePanel } from "./file";
import { read, write, type State } from "./link";
import { SmallMap } from "./map";
import { Results } from "./result";
import { SearchBox } from "./search";

const TABS = ["search", "file"] as const;
const FIRST_LOOK_ZOOM_MOST = 16;
const EXAMPLES = 5;

let asked = ""; // the question that is answered on the page; the box may hold half of another by now
let at: State["at"] = null; // the point that was asked about last
let extent: Extent | null = null;
let naming: AbortController | null = null;

const phone = matchMedia("(max-width: 760px)");
// On a phone the sheet lies over the map's lower part.
const covered = () => (phone.matches ? by("sheet").offsetHeight : 0);

const map = new SmallMap(
  by<HTMLCanvasElement>("map"),
  {
    picked: (lon, lat) => void nameNearest(lon, lat),
    marked: (index) => results.choose(index, false),
    moved: () => remember(false),
    failed: (why) => say(why, true),
  },
  covered,
);
const results = new Results(map, (f) => {
  document.title = `${f.properties.label} - Sextant`;
  unfold(true);
  remember(true);
});
const box = new SearchBox(
  () => map.centre,
  (features, index, href) => {
    at = null;
    asked = box.query;
    naming?.abort();
    results.show(features, index, href, true);
    if (!features.length) remember(true);
  },
  () => remember(false),
  (text) => (by("attribution").textContent = text ? `© ${text}` : ""),
);
new FilePanel(map);

// The present state into the address bar: a step of its own for another place, none for a move.
function remember(step: boolean): void {
  const hash = write({
    q: at ? "" : asked,
    ...box.filters,
    id: at ? "" : results.open?.properties.id ?? "",
    at,
    map: map.centre,
  });
  if (hash === location.hash) return;
  const withoutMap = (text: string) => text.replace(/&?map=[^&]*/, "");
  if (step && withoutMap(hash) !== withoutMap(location.hash)) history.pushState(null, "", hash);
  else history.replaceState(null, "", hash);
}

// What the address bar says. The map's place, if given, wins over that of the result.
async function recall(): Promise<void> {
  const s = read(location.hash);
  const toPlace = () => s.map && map.show(s.map.lon, s.map.lat, s.map.zoom);
  box.filters = s;
  toPlace();
  if (s.at) {
    await nameNearest(s.at[0], s.at[1]);
    if (!s.map) map.show(s.at[0], s.at[1], FIRST_LOOK_ZOOM_MOST);
  } else if (s.q) {
    box.query = s.q;
    await box.run(s.id);
    toPlace();
  } else {
    asked = "";
    at = null;
    results.clear();
    by("empty").hidden = false;
  }
}

async function nameNearest(lon: number, lat: number): Promise<void> {
  at = [lon, lat];
  box.stop();
  naming?.abort();
  const mine = (naming = new AbortController());
  map.setMarks([{ lon, lat, text: "", open: false }]);
  try {
    const { features, attribution } = await reverse(lon, lat, mine.signal);
    by("attribution").textContent = attribution ? `© ${attribution}` : "";
    if (!features.length) {
      results.clear();
      map.setMarks([{ lon, lat, text: "", open: false }]);
      say("No address near this point.");
      remember(true);
      return;
    }
    say(`Here: ${features[0].properties.label}`);
    choose("search");
    results.show(features, 0, `reverse/?lon=${lon.toFixed(6)}&lat=${lat.toFixed(6)}`, false);
  } catch (e) {
    if (!mine.signal.aborted) say((e as Error).message, true);
  }
}

// ---- tabs, sheet, examples

function choose(tab: (typeof TABS)[number], focus = false): void {
  for (const name of TABS) {
    const button = by(`tab-${name}`);
    const chosen = name === tab;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    by(name).hidden = !chosen;
    if (chosen && focus) button.focus();
  }
  document.body.classList.toggle("filing", tab === "file");
  unfold(true);
  map.redraw();
}

function unfold(open: boolean): void {
  by("sheet").classList.toggle("folded", !open);
  by("handle").setAttribute("aria-expanded", String(open));
  by("handle").firstElementChild!.textContent = open ? "Hide" : "Show the results";
}

function offerExamples(names: string[]): void {
  by("examples-label").hidden = names.length === 0;
  by("examples").replaceChildren(
    ...names.slice(0, EXAMPLES).map((name) =>
      h("li", {}, h("button", {
        type: "button",
        onclick: () => {
          box.query = name;
          void box.run();
        },
      }, name))),
  );
}

function home(): void {
  if (extent) map.fit(extent.box, FIRST_LOOK_ZOOM_MOST);
}

by("tabs").hidden = false;
by("tabs").addEventListener("keydown", (e) => {
  const step = { ArrowLeft: 1, ArrowRight: 1, Home: 0, End: 0 }[e.key];
  if (step === undefined) return;
  e.preventDefault();
  const now = by("file").hidden ? 0 : 1;
  choose(TABS[e.key === "Home" ? 0 : e.key === "End" ? 1 : 1 - now], true);
});
for (const name of TABS) by(`tab-${name}`).addEventListener("click", () => choose(name));
by("skip").addEventListener("click", () => choose("search"));
by("handle").addEventListener("click", () => unfold(by("sheet").classList.contains("folded")));
by("in").addEventListener("click", () => map.zoomBy(1));
by("out").addEventListener("click", () => map.zoomBy(-1));
by("home").addEventListener("click", home);
new ResizeObserver(() => map.redraw()).observe(by("sheet"));
addEventListener("popstate", () => void recall());
addEventListener("offline", () => say("You are offline: the server cannot be reached.", true));
addEventListener("online", () => say("Online again."));

async function begin(): Promise<void> {
  const s = read(location.hash);
  const empty = !s.q && !s.at;
  if (empty) {
    by("empty").hidden = false;
    if (!matchMedia("(pointer: coarse)").matches) box.focus(); // no keyboard over a phone's map
  }
  const ready = recall();
  try {
    extent = await findExtent();
    offerExamples(extent?.names ?? []);
    await ready;
    if (empty && !s.map) home();
    if (!extent && empty) say("The index has no addresses yet.");
  } catch (e) {
    say(`The map cannot be drawn. ${(e as Error).message}`, true);
  }
}

void begin();
