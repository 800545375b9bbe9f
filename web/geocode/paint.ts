// paint.ts - what the map looks like: an answer of /map, dots and marks, drawn on a canvas.
//
// Far out, the grid is a halftone: the more addresses a cell has, the bigger its dot. Nearer, streets
// are lines with their names along them; close up, each house number stands where it is.
import type { Geometry, Grid, MapAnswer, Place } from "./api";

export interface View {
  w: number;
  h: number; // of what can be seen
  zoom: number;
  toPixels(lon: number, lat: number): [number, number];
  cell(zoom: number, column: number, row: number): [left: number, top: number, side: number];
  color(name: string): string;
  metresPerPixel: number;
  crosshair: [number, number] | null;
}

export interface Mark {
  lon: number;
  lat: number;
  text: string; // "1", or empty
  open: boolean;
}

const FONT = "system-ui, 'Liberation Sans', sans-serif";
const NUMBERS_FROM_ZOOM = 17.4;
const STREETS_NAMED_FROM_ZOOM = 14.6;
const GROUND_FROM_ZOOM = 15;
const BUTTONS_W = 58; // the corner that the buttons cover
const BUTTONS_H = 168;
const BIG_NAMES = 8; // the most important places, in larger letters
const STREETS_NAMED_MAX = 400; // names tried in one picture
const BREAK_M = 260; // house numbers farther apart than this are not joined by a line

type Point = [number, number];

interface Street {
  name: string;
  all: Point[];
  sides: Point[][]; // odd and even numbers; the line itself where there are no numbers
}

// Rectangles taken by text. A grid of buckets, because there may be thousands.
class Taken {
  private buckets = new Map<string, [number, number, number, number][]>();

  put(left: number, top: number, right: number, bottom: number): boolean {
    const keys: string[] = [];
    for (let x = left >> 7; x <= right >> 7; x++) for (let y = top >> 7; y <= bottom >> 7; y++) keys.push(`${x},${y}`);
    for (const key of keys)
      for (const t of this.buckets.get(key) ?? [])
        if (t[0] < right && left < t[2] && t[1] < bottom && top < t[3]) return false;
    for (const key of keys) {
      const bucket = this.buckets.get(key);
      if (bucket) bucket.push([left, top, right, bottom]);
      else this.buckets.set(key, [[left, top, right, bottom]]);
    }
    return true;
  }
}

const visible = (v: View, [x, y]: Point, room: number) => x > -room && y > -room && x < v.w + room && y < v.h + room;

function drawGrid(g: CanvasRenderingContext2D, v: View, grid: Grid): void {
  g.fillStyle = v.color("dot");
  g.beginPath();
  for (let row = 0; row < grid.rows; row++) {
    const [, top, side] = v.cell(grid.zoom, grid.x, grid.y + row);
    if (top > v.h || top + side < 0) continue;
    for (let column = 0; column < grid.columns; column++) {
      const digit = grid.cells[row * grid.columns + column];
      if (digit === "0") continue;
      const [left] = v.cell(grid.zoom, grid.x + column, grid.y + row);
      if (left > v.w || left + side < 0) continue;
      const r = (side / 2) * Math.min(1, 0.42 + 0.11 * parseInt(digit, 36));
      g.moveTo(left + side / 2 + r, top + side / 2);
      g.arc(left + side / 2, top + side / 2, r, 0, Math.PI * 2);
    }
  }
  g.fill();
}

function toStreet(v: View, place: Place): Street {
  const all = place.points.map(([lon, lat]) => v.toPixels(lon, lat));
  if (!place.numbers) return { name: place.name, all, sides: [all] };
  const sides: Point[][] = [[], []];
  const far = BREAK_M / v.metresPerPixel;
  const lines: Point[][] = [];
  all.forEach((p, i) => {
    const side = (parseInt(place.numbers![i], 10) || 0) & 1;
    const line = sides[side];
    const last = line[line.length - 1];
    if (last && Math.hypot(p[0] - last[0], p[1] - last[1]) > far) {
      lines.push(line);
      sides[side] = [p];
    } else {
      line.push(p);
    }
  });
  return { name: place.name, all, sides: [...lines, ...sides] };
}

// Nameless streets of a whole city.
function drawLines(g: CanvasRenderingContext2D, v: View, lines: number[][]): void {
  g.strokeStyle = v.color("road");
  g.lineWidth = v.zoom < 12 ? 0.8 : v.zoom < 14 ? 1.2 : 2;
  g.beginPath();
  for (const line of lines) {
    let lon = 0;
    let lat = 0;
    for (let i = 0; i < line.length; i += 2) {
      const p = v.toPixels((lon += line[i]) / 1e5, (lat += line[i + 1]) / 1e5);
      if (i) g.lineTo(...p);
      else g.moveTo(...p);
    }
  }
  g.stroke();
}

// The ground between the odd and the even side.
function drawGround(g: CanvasRenderingContext2D, v: View, streets: Street[]): void {
  g.fillStyle = v.color("street");
  for (const street of streets) {
    const [odd, even] = street.sides;
    if (street.sides.length !== 2 || odd.length < 2 || even.length < 2) continue;
    g.beginPath();
    odd.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
    for (let i = even.length - 1; i >= 0; i--) g.lineTo(...even[i]);
    g.fill();
  }
}

function drawStreets(g: CanvasRenderingContext2D, v: View, streets: Street[]): void {
  const width = v.zoom < 13 ? 0.8 : v.zoom < 15 ? 1.4 : v.zoom < 17 ? 2.2 : 3;
  g.lineJoin = g.lineCap = "round";
  g.strokeStyle = v.color("road");
  g.lineWidth = width;
  g.beginPath();
  for (const street of streets)
    for (const line of street.sides)
      line.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
  g.stroke();
}

function drawHouses(g: CanvasRenderingContext2D, v: View, streets: Street[]): void {
  const r = v.zoom < 16 ? 0.9 : v.zoom < NUMBERS_FROM_ZOOM ? 1.6 : 2.2;
  g.fillStyle = v.color("house");
  g.beginPath();
  for (const street of streets)
    for (const p of street.all) {
      if (!visible(v, p, 4)) continue;
      g.moveTo(p[0] + r, p[1]);
      g.arc(p[0], p[1], r, 0, Math.PI * 2);
    }
  g.fill();
}

function drawPlaces(g: CanvasRenderingContext2D, v: View, places: Place[]): void {
  g.fillStyle = v.color("accent");
  g.beginPath();
  for (const place of places) {
    const [x, y] = v.toPixels(...place.points[0]);
    if (place.type === "street" && v.zoom < STREETS_NAMED_FROM_ZOOM) continue;
    g.moveTo(x + 2.5, y);
    g.arc(x, y, 2.5, 0, Math.PI * 2);
  }
  g.fill();
}

const widths = new Map<string, number>();

// measureText() is slow, and the same names come again in each picture.
function widthOf(g: CanvasRenderingContext2D, text: string): number {
  const key = g.font + text;
  let width = widths.get(key);
  if (width === undefined) {
    if (widths.size > 20000) widths.clear();
    widths.set(key, (width = g.measureText(text).width));
  }
  return width;
}

function halo(g: CanvasRenderingContext2D, v: View, text: string, x: number, y: number, ink: string): void {
  g.lineWidth = 3.5;
  g.lineJoin = "round";
  g.strokeStyle = v.color("map");
  g.strokeText(text, x, y);
  g.fillStyle = v.color(ink);
  g.fillText(text, x, y);
}

// The name along the line between two points around its middle, if it is long enough there.
function nameStreet(g: CanvasRenderingContext2D, v: View, taken: Taken, street: Street): void {
  const line = street.sides.reduce((a, b) => (b.length > a.length ? b : a));
  const middle = line[line.length >> 1];
  if (!middle || !visible(v, middle, 0)) return;
  const from = line[Math.max(0, (line.length >> 1) - 4)];
  const to = line[Math.min(line.length - 1, (line.length >> 1) + 4)];
  const width = widthOf(g, street.name);
  const length = Math.hypot(line[0][0] - line[line.length - 1][0], line[0][1] - line[line.length - 1][1]);
  if (length < width * 0.8) return;
  let angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  if (Math.abs(angle) > Math.PI / 2) angle += Math.PI; // never upside down
  const w = (Math.abs(Math.cos(angle)) * width + Math.abs(Math.sin(angle)) * 13) / 2;
  const h = (Math.abs(Math.sin(angle)) * width + Math.abs(Math.cos(angle)) * 13) / 2;
  const x = (from[0] + to[0]) / 2;
  const y = (from[1] + to[1]) / 2;
  if (!taken.put(x - w, y - h, x + w, y + h)) return;
  g.save();
  g.translate(x, y);
  g.rotate(angle);
  halo(g, v, street.name, 0, 0, "ink");
  g.restore();
}

function drawNames(
  g: CanvasRenderingContext2D, v: View, taken: Taken, places: Place[], dotted: boolean, streets: Street[],
): void {
  g.textAlign = "center";
  g.textBaseline = "middle";
  places.forEach((place, i) => {
    const street = place.type === "street";
    if (street && v.zoom < STREETS_NAMED_FROM_ZOOM) return;
    g.font = street ? `12px ${FONT}` : i < BIG_NAMES ? `600 15px ${FONT}` : `600 12.5px ${FONT}`;
    const p = v.toPixels(...place.points[0]);
    if (!visible(v, p, 0)) return;
    const half = widthOf(g, place.name) / 2 + 3;
    if (p[0] - half < 0 || p[0] + half > v.w || p[1] < 10) return;
    // Beside its dot, below it where there is room; on the halftone, which has no dots of places, on it.
    const y = (dotted ? [p[1] + 12, p[1] - 12] : [p[1], p[1] + 12]).find((at) => taken.put(p[0] - half, at - 9, p[0] + half, at + 9));
    if (y !== undefined) halo(g, v, place.name, p[0], y, "ink");
  });
  if (v.zoom < STREETS_NAMED_FROM_ZOOM) return;
  g.font = `12px ${FONT}`;
  let tried = 0;
  for (const street of streets) {
    if (!street.all.some((p) => visible(v, p, 0))) continue;
    nameStreet(g, v, taken, street);
    if (++tried === STREETS_NAMED_MAX) break;
  }
}

function drawNumbers(g: CanvasRenderingContext2D, v: View, taken: Taken, places: Place[]): void {
  g.font = `10.5px ${FONT}`;
  for (const place of places)
    place.numbers?.forEach((text, i) => {
      const p = v.toPixels(...place.points[i]);
      if (!visible(v, p, 0)) return;
      const half = widthOf(g, text) / 2 + 1;
      if (taken.put(p[0] - half, p[1] - 15, p[0] + half, p[1] - 4)) halo(g, v, text, p[0], p[1] - 9, "quiet");
    });
}

function drawDots(g: CanvasRenderingContext2D, v: View, dots: Point[]): void {
  g.fillStyle = v.color("mark");
  g.strokeStyle = v.color("map");
  g.lineWidth = 1;
  for (const [lon, lat] of dots) {
    const p = v.toPixels(lon, lat);
    if (!visible(v, p, 5)) continue;
    g.beginPath();
    g.arc(p[0], p[1], 4, 0, Math.PI * 2);
    g.fill();
    g.stroke();
  }
}

// Rings and lines into the path, whatever they are parts of.
function trace(g: CanvasRenderingContext2D, v: View, shape: Geometry): void {
  const line = (points: [number, number][], close: boolean) => {
    points.forEach((p, i) => (i ? g.lineTo(...v.toPixels(...p)) : g.moveTo(...v.toPixels(...p))));
    if (close) g.closePath();
  };
  if (shape.type === "LineString") line(shape.coordinates, false);
  else if (shape.type === "MultiLineString") shape.coordinates.forEach((l) => line(l, false));
  else if (shape.type === "Polygon") shape.coordinates.forEach((r) => line(r, true));
  else if (shape.type === "MultiPolygon") shape.coordinates.forEach((p) => p.forEach((r) => line(r, true)));
  else if (shape.type === "GeometryCollection") shape.geometries.forEach((s) => trace(g, v, s));
}

// The open result: areas as a tinted ground, everything as a line with a light edge.
function drawOutline(g: CanvasRenderingContext2D, v: View, shape: Geometry): void {
  g.beginPath();
  trace(g, v, shape);
  g.lineJoin = g.lineCap = "round";
  if (shape.type.endsWith("Polygon")) {
    g.globalAlpha = 0.1;
    g.fillStyle = v.color("mark");
    g.fill("evenodd");
  }
  g.globalAlpha = 1;
  for (const [color, width] of [["map", 5], ["mark", 2.5]] as const) {
    g.strokeStyle = v.color(color);
    g.lineWidth = width;
    g.stroke();
  }
}

function drawMark(g: CanvasRenderingContext2D, v: View, mark: Mark): void {
  const [x, y] = v.toPixels(mark.lon, mark.lat);
  const size = mark.open ? 1.25 : 1;
  g.beginPath();
  g.arc(x, y - 16 * size, 10 * size, Math.PI * 0.85, Math.PI * 0.15);
  g.lineTo(x, y);
  g.closePath();
  g.fillStyle = v.color(mark.open ? "mark" : "accent");
  g.fill();
  g.lineWidth = 1.5;
  g.strokeStyle = v.color("map");
  g.stroke();
  g.fillStyle = v.color(mark.open ? "mark-ink" : "accent-ink");
  g.textAlign = "center";
  g.textBaseline = "middle";
  g.font = `600 ${Math.round(11 * size)}px ${FONT}`;
  if (mark.text) g.fillText(mark.text, x, y - 16 * size);
  else {
    g.beginPath();
    g.arc(x, y - 16 * size, 4, 0, Math.PI * 2);
    g.fill();
  }
}

// A round length that takes 50 to 125 pixels.
function drawScale(g: CanvasRenderingContext2D, v: View): void {
  const most = 125 * v.metresPerPixel;
  const power = 10 ** Math.floor(Math.log10(most));
  const metres = [5, 2, 1].map((n) => n * power).find((n) => n <= most) ?? power;
  const length = metres / v.metresPerPixel;
  const y = v.h - 14;
  g.strokeStyle = v.color("quiet");
  g.lineWidth = 2;
  g.beginPath();
  g.moveTo(14, y - 5);
  g.lineTo(14, y);
  g.lineTo(14 + length, y);
  g.lineTo(14 + length, y - 5);
  g.stroke();
  g.font = `11px ${FONT}`;
  g.textAlign = "center";
  g.textBaseline = "alphabetic";
  halo(g, v, metres < 1000 ? `${metres} m` : `${metres / 1000} km`, 14 + length / 2, y - 7, "quiet");
}

function drawCrosshair(g: CanvasRenderingContext2D, v: View, [x, y]: Point): void {
  for (const [color, width] of [["map", 5], ["ink", 2]] as const) {
    g.strokeStyle = v.color(color);
    g.lineWidth = width;
    g.lineCap = "butt";
    g.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      g.moveTo(x + dx * 5, y + dy * 5);
      g.lineTo(x + dx * 20, y + dy * 20);
    }
    g.stroke();
  }
}

export function paint(
  g: CanvasRenderingContext2D, v: View, data: MapAnswer | null, dots: Point[], marks: Mark[], outline: Geometry | null,
): void {
  if (!data && outline) drawOutline(g, v, outline);
  if (data) {
    if (data.grid) drawGrid(g, v, data.grid);
    const lined = data.places.filter((p) => p.numbers || p.points.length > 1);
    const single = data.places.filter((p) => !p.numbers && p.points.length === 1);
    const streets = lined.map((p) => toStreet(v, p));
    if (data.lines) drawLines(g, v, data.lines);
    if (v.zoom >= GROUND_FROM_ZOOM) drawGround(g, v, streets);
    drawStreets(g, v, streets);
    if (lined.some((p) => p.numbers)) drawHouses(g, v, streets);
    if (!data.grid) drawPlaces(g, v, single);
    if (outline) drawOutline(g, v, outline); // names stay legible on it
    const taken = new Taken();
    taken.put(v.w - BUTTONS_W, 0, v.w, BUTTONS_H);
    for (const mark of marks) {
      const [x, y] = v.toPixels(mark.lon, mark.lat);
      taken.put(x - 12, y - 32, x + 12, y); // no name under a pin
    }
    drawNames(g, v, taken, single, !data.grid, streets);
    if (v.zoom >= NUMBERS_FROM_ZOOM) drawNumbers(g, v, taken, lined);
  }
  drawDots(g, v, dots);
  for (const mark of [...marks].reverse()) if (!mark.open) drawMark(g, v, mark);
  for (const mark of marks) if (mark.open) drawMark(g, v, mark);
  drawScale(g, v);
  if (v.crosshair) drawCrosshair(g, v, v.crosshair);
}
