// api.ts - the geocoder's answers, typed. Addok's GeoJSON, and the map's own endpoint.

export interface Feature {
  geometry: { coordinates: [number, number] };
  properties: {
    label: string;
    score: number;
    id: string;
    type: string;
    name: string;
    context?: string;
    postcode?: string;
    citycode?: string;
    city?: string;
    district?: string;
    population?: number;
    distance?: number;
  };
}

export interface Answer {
  features: Feature[];
  attribution?: string;
}

// A street with its house numbers in order, or a place with its one point.
export interface Place {
  name: string;
  type: string;
  points: [number, number][];
  numbers?: string[];
}

export interface MapAnswer {
  places: Place[];
  truncated: boolean;
}

async function get<T>(path: string, params: Record<string, string>, signal?: AbortSignal): Promise<T> {
  const reply = await fetch(`${path}?${new URLSearchParams(params)}`, { signal });
  const body = await reply.json();
  if (!reply.ok) throw new Error(body.description ?? body.title ?? `status ${reply.status}`);
  return body as T;
}

export const search = (q: string, limit: number, complete: boolean, signal?: AbortSignal) =>
  get<Answer>("/search/", { q, limit: String(limit), autocomplete: complete ? "1" : "0" }, signal);

export const reverse = (lon: number, lat: number) =>
  get<Answer>("/reverse/", { lon: lon.toFixed(6), lat: lat.toFixed(6) });

export const around = (box: [number, number, number, number], signal?: AbortSignal) =>
  get<MapAnswer>("/map", { bbox: box.map((x) => x.toFixed(6)).join(",") }, signal);
