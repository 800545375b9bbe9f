// extent.ts - where most of the data lies, so that the first look shows it whole: a far-away island
// must not shrink the mainland to a dot.
import { around, type Box, type Grid, type MapAnswer } from "./api";

const EARTH: Box = [-180, -85, 180, 85];
// Cells no farther apart than this belong together: on the whole Earth, and on the second look, where
// they are many times smaller.
const NEAR_COARSE = 2;
const NEAR_FINE = 40;

const lonOf = (x: number) => x * 360 - 180;
const latOf = (y: number) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;

// The heaviest group of cells `near` each other, as a rectangle.
function heaviest(grid: Grid, near: number): Box | null {
  const { columns, rows, cells } = grid;
  const seen = new Uint8Array(cells.length);
  let most = 0;
  let best: [number, number, number, number] | null = null; // columns and rows, inclusive
  for (let start = 0; start < cells.length; start++) {
    if (seen[start] || cells[start] === "0") continue;
    const group: [number, number, number, number] = [columns, rows, 0, 0];
    const left = [start];
    let weight = 0;
    seen[start] = 1;
    for (let at = left.pop(); at !== undefined; at = left.pop()) {
      const c = at % columns;
      const r = (at - c) / columns;
      weight += 2 ** parseInt(cells[at], 36);
      group[0] = Math.min(group[0], c);
      group[1] = Math.min(group[1], r);
      group[2] = Math.max(group[2], c);
      group[3] = Math.max(group[3], r);
      for (let y = Math.max(0, r - near); y <= Math.min(rows - 1, r + near); y++) {
        for (let x = Math.max(0, c - near); x <= Math.min(columns - 1, c + near); x++) {
          const next = y * columns + x;
          if (seen[next] || cells[next] === "0") continue;
          seen[next] = 1;
          left.push(next);
        }
      }
    }
    if (weight > most) {
      most = weight;
      best = group;
    }
  }
  if (!best) return null;
  const side = 2 ** grid.zoom;
  return [
    Math.max(-180, lonOf((grid.x + best[0]) / side)),
    Math.max(-85, latOf((grid.y + best[3] + 1) / side)),
    Math.min(180, lonOf((grid.x + best[2] + 1) / side)),
    Math.min(85, latOf((grid.y + best[1]) / side)),
  ];
}

function boundsOf(answer: MapAnswer, near: number): Box | null {
  if (answer.grid) return heaviest(answer.grid, near);
  const points = answer.places.flatMap((p) => p.points);
  if (!points.length) return null;
  const all = (i: 0 | 1, pick: (...n: number[]) => number) => points.reduce((m, p) => pick(m, p[i]), points[0][i]);
  return [all(0, Math.min), all(1, Math.min), all(0, Math.max), all(1, Math.max)];
}

export interface Extent {
  box: Box;
  names: string[]; // of the most important places
}

// Two looks: the whole Earth in coarse cells, then the heaviest part of it in finer ones.
export async function findExtent(): Promise<Extent | null> {
  const coarse = await around(EARTH);
  const first = boundsOf(coarse, NEAR_COARSE);
  if (!first) return null;
  const fine = coarse.grid ? boundsOf(await around(first), NEAR_FINE) : null;
  return { box: fine ?? first, names: coarse.places.slice(0, 8).map((p) => p.name) };
}
