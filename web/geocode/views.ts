// views.ts - whose answers the page shows: Addok's, or Nominatim's with Photon's suggestions. A view
// says what is asked of the server, and reads what it answers.
import { at, reverse as reverseAddok, search as searchAddok, type Answer, type NominatimPlace, type PhotonFeature } from "./api";
import { ofAddok, ofNominatim, ofPhoton, type Found } from "./found";
import type { ViewName } from "./link";

export interface Filters {
  type: string;
  postcode: string;
  citycode: string;
  layer: string;
  countrycodes: string;
  near: boolean;
  better: boolean; // than Addok: see docs/geocode-quality.md
}

export interface Centre {
  lon: number;
  lat: number;
  zoom: number;
}

// Answers, and the address that gives the same as JSON.
export interface Asked {
  found: Found[];
  href: string;
}

export interface View {
  name: ViewName;
  // Where a question would be asked: also by what its answer is kept.
  searchAt(q: string, f: Filters, centre: Centre, limit: number): string;
  suggestAt(q: string, f: Filters, centre: Centre, limit: number): string;
  search(href: string, signal: AbortSignal): Promise<Asked>;
  suggest(href: string, signal: AbortSignal): Promise<Asked>;
  reverse(lon: number, lat: number, zoom: number, signal: AbortSignal): Promise<Asked>;
  // Where an object's whole answer is, its outline included; empty: all is known already.
  wholeAt(f: Pick<Found, "osm" | "box">): string;
}

const params = (pairs: Record<string, string | number | boolean>): string =>
  new URLSearchParams(
    Object.entries(pairs).filter(([, v]) => v !== "" && v !== false).map(([k, v]) => [k, v === true ? "1" : String(v)]),
  ).toString();



// All sources of some answers, each once.
export const attribution = (found: Found[]): string =>
  [...new Set(found.map((f) => f.attribution).filter(Boolean))].join("; ");

// ---- Addok

const addokAt = (q: string, f: Filters, { lon, lat }: Centre, limit: number) =>
  `search/?${params({
    q,
    limit,
    autocomplete: 1,
    type: f.type,
    postcode: f.postcode,
    citycode: f.citycode,
    better: f.better,
    lat: f.near && lat.toFixed(4),
    lon: f.near && lon.toFixed(4),
  })}`;

function addokFound(answer: Answer, href: string): Asked {
  const told = answer.attribution ?? "";
  const source = !told || told.includes("©") ? told : `© ${told}`;
  return { found: answer.features.map((f) => ofAddok(f, source)), href };
}

async function addokSearch(href: string, signal: AbortSignal): Promise<Asked> {
  return addokFound(await searchAddok(new URLSearchParams(href.slice(href.indexOf("?"))), signal), href);
}

const addok: View = {
  name: "addok",
  searchAt: addokAt,
  suggestAt: addokAt,
  search: addokSearch,
  suggest: addokSearch,
  async reverse(lon, lat, _zoom, signal) {
    return addokFound(await reverseAddok(lon, lat, signal), `reverse/?lon=${lon.toFixed(6)}&lat=${lat.toFixed(6)}`);
  },
  wholeAt: () => "",
};

// ---- Nominatim and Photon

const ALL = { format: "jsonv2", addressdetails: 1, extratags: 1 };
const ZOOM_MOST = 18; // of Nominatim's
const OUTLINE_POINTS_PX = 800; // an outline is as fine as it is seen when it fills the map

// Degrees of a pixel at a zoom.
const pixel = (zoom: number) => 360 / 256 / 2 ** zoom;

const outlineAt = (osm: string, degrees: number) =>
  `nominatim/lookup?${params({ osm_ids: osm, ...ALL, polygon_geojson: 1, polygon_threshold: degrees.toFixed(7) })}`;

// What is about on the map, to be preferred.
function viewbox({ lon, lat, zoom }: Centre): string {
  const reach = 256 * pixel(zoom);
  return [lon - reach, lat - reach / 2, lon + reach, lat + reach / 2].map((x) => x.toFixed(5)).join(",");
}

const nominatim: View = {
  name: "nominatim",
  searchAt: (q, f, centre, limit) =>
    `nominatim/search?${params({
      q,
      limit,
      ...ALL,
      fuzzy: 1,
      layer: f.layer,
      countrycodes: f.countrycodes,
      viewbox: f.near && viewbox(centre),
    })}`,
  suggestAt(q, f, { lon, lat, zoom }, limit) {
    let href = `photon/api?${params({
      q,
      limit,
      lat: f.near && lat.toFixed(4),
      lon: f.near && lon.toFixed(4),
      zoom: f.near && Math.round(zoom),
    })}`;
    for (const code of f.countrycodes.split(/[\s,]+/).filter((c) => /^[a-z]{2}$/i.test(c))) href += `&countrycode=${code}`;
    return href;
  },
  async search(href, signal) {
    return { found: (await at<NominatimPlace[]>(href, signal)).map(ofNominatim), href };
  },
  async suggest(href, signal) {
    const answer = await at<{ features: PhotonFeature[]; attribution?: string }>(href, signal);
    return { found: answer.features.map((f) => ofPhoton(f, answer.attribution ?? "")), href };
  },
  async reverse(lon, lat, zoom, signal) {
    const level = Math.max(0, Math.min(ZOOM_MOST, Math.round(zoom)));
    const href = `nominatim/reverse?${params({
      lon: lon.toFixed(6),
      lat: lat.toFixed(6),
      zoom: level,
      ...ALL,
      polygon_geojson: 1,
      polygon_threshold: pixel(zoom).toFixed(7),
    })}`;
    const answer = await at<NominatimPlace & { error?: string }>(href, signal);
    return { found: answer.error ? [] : [ofNominatim(answer)], href };
  },
  wholeAt({ osm, box }) {
    if (!/^[NWR]\d+$/.test(osm)) return "";
    const [west, south, east, north] = box ?? [0, 0, 1, 1];
    return outlineAt(osm, Math.max(east - west, north - south) / OUTLINE_POINTS_PX);
  },
};

export const VIEWS: Record<ViewName, View> = { addok, nominatim };
