// api.ts - what the server is asked, typed, and its refusals in words. Addok's GeoJSON and CSV
// endpoints, Nominatim's and Photon's, and the map's own.

// A part of a score: points are value times weight, and those of all parts add up to it.
export interface ScorePart {
  part: string;
  value: number;
  weight: number;
  points: number;
}

// What explain=1 tells of one result; of a place on the map only the score.
export interface Explanation {
  tokens?: { text: string; became: string; means: string; met?: string; edits?: number }[];
  label?: string;
  score: ScorePart[];
}

export interface SearchSteps {
  steps: { step: string; candidates: number; us: number }[];
  us: Record<string, number>;
}

export interface Feature {
  geometry: { coordinates: [number, number] };
  explain?: Explanation;
  properties: { label: string; score: number; id: string; type: string; name: string } & Record<string, unknown>;
}

export interface Answer {
  features: Feature[];
  attribution?: string;
  explain?: SearchSteps;
}

// A place as Nominatim's jsonv2 tells it.
export interface NominatimPlace {
  place_id: number;
  licence?: string;
  osm_type?: string;
  osm_id?: number;
  lat: string;
  lon: string;
  category: string;
  type: string;
  place_rank?: number;
  importance?: number;
  addresstype?: string;
  name?: string;
  display_name: string;
  address?: Record<string, string>;
  extratags?: Record<string, string> | null;
  boundingbox?: [string, string, string, string]; // south, north, west, east
  geojson?: Geometry;
}

// A suggestion, as Photon tells it.
export interface PhotonFeature {
  geometry: { coordinates: [number, number] };
  properties: Record<string, unknown>;
}

export type Geometry =
  | { type: "Point"; coordinates: [number, number] }
  | { type: "LineString" | "MultiPoint"; coordinates: [number, number][] }
  | { type: "Polygon" | "MultiLineString"; coordinates: [number, number][][] }
  | { type: "MultiPolygon"; coordinates: [number, number][][][] }
  | { type: "GeometryCollection"; geometries: Geometry[] };

// A street with its house numbers in order (or, without `numbers`, a few points along it), or a place
// with its one point.
export interface Place {
  name: string;
  type: string;
  points: [number, number][];
  numbers?: string[];
}

// How much there is in each cell of a part of the Web Mercator square; see geocode/api/map.c.
export interface Grid {
  zoom: number;
  x: number;
  y: number;
  columns: number;
  rows: number;
  cells: string;
}

export interface MapAnswer {
  places: Place[];
  lines?: number[][]; // streets without names: longitude and latitude in 1e-5 degrees, then steps
  grid?: Grid;
  truncated: boolean;
}

// west, south, east, north
export type Box = [number, number, number, number];

// What the server said no to. `wait`: seconds after which it may be asked again, 0 if it told none.
export class Refusal extends Error {
  constructor(message: string, readonly status: number, readonly wait: number) {
    super(message);
  }
}

const WAIT_DEFAULT_S = 5;

async function refusal(reply: Response): Promise<Refusal> {
  const wait = Number(reply.headers.get("retry-after")) || 0;
  if (reply.status === 429) {
    const seconds = wait || WAIT_DEFAULT_S;
    return new Refusal(`Too many requests: the server asks to wait ${seconds} s.`, 429, seconds);
  }
  // Addok's errors have a title and at times a description, Nominatim's and Photon's a message; a
  // proxy's may be anything.
  const body = await reply.json().catch(() => null);
  const told = [body?.title, body?.description].filter(Boolean).join(": ") || body?.error?.message || body?.message;
  return new Refusal(told || `The server answered with status ${reply.status}.`, reply.status, wait);
}

// fetch() that throws only AbortError and Refusal. Status 0: no answer at all.
export async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  let reply: Response;
  try {
    reply = await fetch(url, init);
  } catch (e) {
    if (init.signal?.aborted) throw e;
    const why = navigator.onLine
      ? "The server does not answer. Is it running?"
      : "You are offline: the server cannot be reached.";
    throw new Refusal(why, 0, 0);
  }
  if (!reply.ok) throw await refusal(reply);
  return reply;
}

// Addresses are relative, so that a proxy may serve the page under a path of its own.
const get = async <T>(path: string, params: URLSearchParams, signal?: AbortSignal): Promise<T> =>
  (await ask(`${path}?${params}`, { signal })).json() as Promise<T>;

// The answer at `href`, for the other two APIs.
export const at = async <T>(href: string, signal?: AbortSignal): Promise<T> =>
  (await ask(href, { signal })).json() as Promise<T>;

export const search = (params: URLSearchParams, signal?: AbortSignal): Promise<Answer> =>
  get("search/", params, signal);

export const reverse = (lon: number, lat: number, signal?: AbortSignal): Promise<Answer> =>
  get("reverse/", new URLSearchParams({ lon: lon.toFixed(6), lat: lat.toFixed(6) }), signal);

// The same question again (`href` as it was asked), explained.
export const explained = async (href: string, signal: AbortSignal): Promise<Answer> =>
  (await ask(`${href}&explain=1`, { signal })).json() as Promise<Answer>;

export const around = (box: Box, signal?: AbortSignal): Promise<MapAnswer> =>
  get("map", new URLSearchParams({ bbox: box.map((x) => x.toFixed(6)).join(",") }), signal);
