// link.ts - the address bar as a permalink: what was asked, what is open, where the map stands.
//
//   #q=lyon&type=street&postcode=75002&citycode=75102&near=1&better=1&id=69123&map=12.50/45.75800/4.83500
//   #at=48.868660,2.333380&map=…            (the address at a point)
//   #q=vaduz&view=nominatim&layer=poi&countrycodes=li,at&id=R1155956&map=…

export type ViewName = "addok" | "nominatim"; // whose answers are shown

export interface State {
  view: ViewName;
  q: string;
  type: string;
  postcode: string;
  citycode: string;
  layer: string; // of Nominatim's view, as the next
  countrycodes: string;
  near: boolean; // prefer what is near the map's centre
  better: boolean; // find more than Addok does
  id: string; // of the open result
  at: [number, number] | null; // lon, lat that was asked about
  map: { zoom: number; lon: number; lat: number } | null;
}

const numbers = (text: string | null, separator: string, count: number): number[] | null => {
  const parts = (text ?? "").split(separator).map((part) => (part.trim() ? Number(part) : NaN));
  return parts.length === count && parts.every(Number.isFinite) ? parts : null;
};

const onEarth = (lon: number, lat: number) => Math.abs(lon) <= 180 && Math.abs(lat) <= 90;

// Whatever stands in the address bar; what cannot be read is left out.
export function read(hash: string): State {
  const params = new URLSearchParams(hash.replace(/^#/, ""));
  const text = (name: string) => (params.get(name) ?? "").trim();
  const at = numbers(params.get("at"), ",", 2);
  const map = numbers(params.get("map"), "/", 3);
  return {
    view: text("view") === "nominatim" ? "nominatim" : "addok",
    q: text("q"),
    type: text("type"),
    postcode: text("postcode"),
    citycode: text("citycode"),
    layer: text("layer"),
    countrycodes: text("countrycodes"),
    near: text("near") === "1",
    better: text("better") === "1",
    id: text("id"),
    at: at && onEarth(at[1], at[0]) ? [at[1], at[0]] : null,
    map: map && onEarth(map[2], map[1]) ? { zoom: map[0], lat: map[1], lon: map[2] } : null,
  };
}

export function write(s: State): string {
  const params = new URLSearchParams();
  for (const name of ["q", "type", "postcode", "citycode", "layer", "countrycodes", "id"] as const)
    if (s[name]) params.set(name, s[name]);
  if (s.view !== "addok") params.set("view", s.view);
  if (s.near) params.set("near", "1");
  if (s.better) params.set("better", "1");
  // Commas and slashes are legal in a fragment, and easier on the eye than %2C and %2F.
  let out = params.toString();
  const add = (piece: string) => (out += (out ? "&" : "") + piece);
  if (s.at) add(`at=${s.at[1].toFixed(6)},${s.at[0].toFixed(6)}`);
  if (s.map) add(`map=${s.map.zoom.toFixed(2)}/${s.map.lat.toFixed(5)}/${s.map.lon.toFixed(5)}`);
  return `#${out}`;
}
