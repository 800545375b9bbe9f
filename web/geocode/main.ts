// main.ts - the page: search box, results, map, CSV tab, and the address bar that remembers them.
import { by, h, say } from "./dom";
import { findExtent, type Extent } from "./extent";
import { FilePanel } from "./file";
import { read, write, type State, type ViewName } from "./link";
import { SmallMap } from "./map";
import { Results } from "./result";
import { SearchBox } from "./search";
import { attribution, VIEWS } from "./views";

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
const results = new Results(map, () => box.view, (f) => {
  document.title = `${f.label} - Sextant`;
  by("attribution").textContent = attribution(results.all);
  unfold(true);
  remember(true);
});
const box = new SearchBox(
  () => map.centre,
  (list, index, href) => {
    at = null;
    asked = box.query;
    naming?.abort();
    results.show(list, index, href, true);
    if (!list.length) remember(true);
  },
  () => remember(false),
);
new FilePanel(map);

// The present state into the address bar: a step of its own for another place, none for a move.
function remember(step: boolean): void {
  const hash = write({
    view: box.view.name,
    q: at ? "" : asked,
    ...box.filters,
    id: at ? "" : results.open?.id ?? "",
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
  if (s.view !== box.view.name) box.view = VIEWS[s.view];
  toPlace();
  if (s.at) {
    if (!s.map) map.show(s.at[0], s.at[1], FIRST_LOOK_ZOOM_MOST);
    await nameNearest(s.at[0], s.at[1]);
    toPlace(); // the sheet may cover more of the map by now
  } else if (s.q) {
    box.query = s.q;
    await box.run(s.id);
    if (s.id && results.open?.id !== s.id) await box.recall(s.id);
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
  map.setOutline(null);
  map.setMarks([{ lon, lat, text: "", open: false }]);
  try {
    const { found, href } = await box.view.reverse(lon, lat, map.centre.zoom, mine.signal);
    if (!found.length) {
      results.clear();
      by("attribution").textContent = "";
      map.setMarks([{ lon, lat, text: "", open: false }]);
      say("No address near this point.");
      remember(true);
      return;
    }
    say(`Here: ${found[0].label}`);
    choose("search");
    results.show(found, 0, href, false);
  } catch (e) {
    if (!mine.signal.aborted) say((e as Error).message, true);
  }
}

// The same question in another view: a step that "back" undoes.
async function change(name: ViewName): Promise<void> {
  box.view = VIEWS[name];
  naming?.abort();
  results.clear();
  if (at) await nameNearest(at[0], at[1]);
  else if (box.query) await box.run();
  remember(true);
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
    ...[...new Set(names)].slice(0, EXAMPLES).map((name) =>
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
for (const e of document.querySelectorAll<HTMLInputElement>("[name=view]"))
  e.addEventListener("change", () => void change(e.value as ViewName));
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
