// found.ts - one answer, as the page shows it: whatever API it came from.
import type { Box, Feature, Geometry, NominatimPlace, PhotonFeature } from "./api";
import { number, place } from "./dom";

export interface Found {
  id: string; // in the address bar
  label: string;
  lon: number;
  lat: number;
  kind: string; // "street · Paris, Île-de-France"
  badges: string[];
  share: { name: string; value: number; low: number } | null; // 0 to 1, drawn as a bar; below `low` as a poor one
  score: string; // at the end of its line in a list
  facts: [string, string][];
  properties: [string, string][];
  zoom: number;
  box: Box | null; // shown whole, where it has one
  outline: Geometry | null;
  osm: string; // "W123": by what its outline is asked for; empty: it has none
  attribution: string;
  feature: Feature | null; // Addok's, which can be explained
}

export const text = (value: unknown): string =>
  typeof value === "number" ? (Number.isInteger(value) && value > 99999 ? number(value) : String(value))
    : typeof value === "object" ? JSON.stringify(value) : String(value);

const given = (value: unknown) => value !== undefined && value !== null && value !== "";

// ---- Addok

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

export function ofAddok(f: Feature, attribution: string): Found {
  const p = f.properties;
  const [lon, lat] = f.geometry.coordinates;
  const kind = KINDS[p.type] ?? p.type;
  return {
    id: p.id,
    label: p.label,
    lon,
    lat,
    kind: typeof p.context === "string" && p.context ? `${kind} · ${p.context}` : kind,
    badges: [kind, `score ${p.score.toFixed(3)}`, ...(p.interpolated ? ["between two house numbers"] : [])],
    share: { name: "Score", value: p.score, low: 0.5 },
    score: p.score.toFixed(2),
    facts: FACTS.filter(([key]) => given(p[key])).map(([key, name]) => [name, text(p[key])]),
    properties: Object.entries(p).map(([key, value]) => [key, text(value)]),
    zoom: ZOOMS[p.type] ?? ZOOM_DEFAULT,
    box: null,
    outline: null,
    osm: "",
    attribution,
    feature: f,
  };
}

// ---- Nominatim

const words = (key: string) => key.replace(/_/g, " ").replace(/^./, (c) => c.toUpperCase());

const osmOf = (type: unknown, id: unknown) =>
  typeof type === "string" && type && given(id) ? `${type[0].toUpperCase()}${id}` : "";

// What things of a rank take up, where they have no box.
const zoomOf = (rank: number) => (rank >= 30 ? 17.8 : rank >= 26 ? 16.3 : rank >= 17 ? 14 : 11.7);

// Of west = east and south = north, as points have it, there is nothing to show whole.
function boxOf(p: NominatimPlace): Box | null {
  const [south, north, west, east] = (p.boundingbox ?? []).map(Number);
  return east - west > 0.0002 || north - south > 0.0002 ? [west, south, east, north] : null;
}

export function ofNominatim(p: NominatimPlace): Found {
  const rank = p.place_rank ?? 30;
  const { address, extratags, boundingbox, geojson, ...own } = p;
  const properties = Object.entries(own).map(([key, value]): [string, string] => [key, text(value)]);
  if (boundingbox) properties.push(["boundingbox", boundingbox.join(", ")]);
  for (const [key, value] of Object.entries(extratags ?? {})) properties.push([`extratags: ${key}`, value]);
  for (const [key, value] of Object.entries(address ?? {})) properties.push([`address: ${key}`, value]);
  const osm = osmOf(p.osm_type, p.osm_id);
  const kind = `${p.category}: ${p.type}`;
  const facts = Object.entries(address ?? {})
    .filter(([key]) => !key.startsWith("ISO3166") && key !== "country_code")
    .map(([key, value]): [string, string] => [words(key), value]);
  if (osm) facts.push(["OpenStreetMap", `${p.osm_type} ${p.osm_id}`]);
  return {
    id: osm || String(p.place_id),
    label: p.display_name,
    lon: Number(p.lon),
    lat: Number(p.lat),
    kind: `${words(p.addresstype || p.type)} · ${kind}`,
    badges: [kind, `rank ${rank}`, ...(p.importance === undefined ? [] : [`importance ${p.importance.toFixed(3)}`])],
    share: p.importance === undefined ? null : { name: "Importance", value: p.importance, low: 0 },
    score: `rank ${rank}`,
    facts,
    properties,
    zoom: zoomOf(rank),
    box: boxOf(p),
    outline: geojson ?? null,
    osm,
    attribution: p.licence ?? "",
    feature: null,
  };
}

// ---- Photon: suggestions, which are looked up when they are chosen

export function ofPhoton(f: PhotonFeature, attribution: string): Found {
  const p = f.properties as Record<string, string | undefined>;
  const [lon, lat] = f.geometry.coordinates;
  const line = [p.housenumber, p.street].filter(Boolean).join(" ");
  const parts = [p.name, line, p.locality, p.district, [p.postcode, p.city].filter(Boolean).join(" "), p.state, p.country];
  const osm = osmOf(p.osm_type, p.osm_id);
  const [west, north, east, south] = (f.properties.extent as number[] | undefined) ?? [];
  return {
    id: osm,
    label: parts.filter((part, i) => part && parts.indexOf(part) === i).join(", "),
    lon,
    lat,
    kind: `${words(p.type ?? "")} · ${p.osm_key}: ${p.osm_value}`,
    badges: [`${p.osm_key}: ${p.osm_value}`],
    share: null,
    score: "",
    facts: [],
    properties: Object.entries(f.properties).map(([key, value]) => [key, text(value)]),
    zoom: zoomOf(p.type === "house" ? 30 : p.type === "street" ? 26 : 17),
    box: south === undefined ? null : [west, south, east, north],
    outline: null,
    osm,
    attribution,
    feature: null,
  };
}

export const position = (f: Found): [string, string] => ["Position", place(f.lon, f.lat)];
