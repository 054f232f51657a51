// Polygons as lists of corners: what is needed to move them by hand. Knows nothing of the map or the page.

/** Always [polygon][ring][corner], whatever of the two the geometry is; a copy that may be changed. */
export function polygons(geometry) {
  const parts = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  return parts.map((rings) => rings.map((ring) => ring.map(([lon, lat]) => [lon, lat])));
}

export const multi = (parts) => ({ type: "MultiPolygon", coordinates: parts });

export function boxOf(geometry) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  const walk = (found) => {
    if (typeof found[0] === "number") {
      box[0] = Math.min(box[0], found[0]);
      box[1] = Math.min(box[1], found[1]);
      box[2] = Math.max(box[2], found[0]);
      box[3] = Math.max(box[3], found[1]);
    } else for (const each of found) walk(each);
  };
  if (geometry.type === "GeometryCollection") geometry.geometries.forEach((each) => walk(each.coordinates));
  else walk(geometry.coordinates);
  return box;
}

export const within = ([lon, lat], [west, south, east, north]) => lon >= west && lon <= east && lat >= south && lat <= north;

/** The corners within a box, each with where it stands; the last of a ring repeats the first and is left out. */
export function cornersIn(parts, box) {
  const found = [];
  parts.forEach((rings, part) => rings.forEach((ring, at) => {
    for (let i = 0; i < ring.length - 1; i++) if (within(ring[i], box)) found.push({ part, ring: at, i, place: ring[i] });
  }));
  return found;
}

export function moveCorner(parts, { part, ring, i }, place) {
  const corners = parts[part][ring];
  corners[i] = place;
  if (i === 0) corners[corners.length - 1] = place;
}

export function addCorner(parts, { part, ring, i }, place) {
  parts[part][ring].splice(i + 1, 0, place);
}

/** False where only three are left: a polygon needs them. */
export function takeCorner(parts, { part, ring, i }) {
  const corners = parts[part][ring];
  if (corners.length <= 4) return false;
  corners.splice(i, 1);
  if (i === 0) corners[corners.length - 1] = corners[0];
  return true;
}

/** What a moved corner of neighbours may jump to: the nearest corner, else the nearest place on an edge, in pixels. */
export class Magnet {
  constructor(features) {
    this.rings = features.flatMap(({ geometry }) => polygons(geometry).flat());
  }

  /** `project` gives pixels of a place; the place returned is a corner's own, to the last digit. */
  nearest(place, { project, unproject, box, reach = 12 }) {
    const from = project(place), margin = [(box[2] - box[0]) / 20, (box[3] - box[1]) / 20];
    const near = [place[0] - margin[0], place[1] - margin[1], place[0] + margin[0], place[1] + margin[1]];
    let corner = null, edge = null, cornerAt = reach, edgeAt = reach;
    for (const ring of this.rings) {
      for (let i = 0; i < ring.length; i++) {
        const a = ring[i], b = ring[i + 1];
        if (within(a, near)) {
          const at = project(a), d = Math.hypot(at.x - from.x, at.y - from.y);
          if (d < cornerAt) { cornerAt = d; corner = a; }
        }
        if (!b || Math.max(a[0], b[0]) < near[0] || Math.min(a[0], b[0]) > near[2] || Math.max(a[1], b[1]) < near[1] || Math.min(a[1], b[1]) > near[3]) continue;
        const p = project(a), q = project(b), dx = q.x - p.x, dy = q.y - p.y, length = dx * dx + dy * dy;
        if (!length) continue;
        const share = Math.max(0, Math.min(1, ((from.x - p.x) * dx + (from.y - p.y) * dy) / length));
        const on = { x: p.x + share * dx, y: p.y + share * dy }, d = Math.hypot(on.x - from.x, on.y - from.y);
        if (d < edgeAt) { edgeAt = d; edge = on; }
      }
    }
    return corner ?? (edge ? unproject(edge) : null);
  }
}

const TYPES = ["Polygon", "MultiPolygon"];

/** The polygons in a text of GeoJSON: a geometry, a feature, or a collection of them. Null: none is in it. */
export function readGeometry(text) {
  const found = [];
  const walk = (each) => {
    if (TYPES.includes(each?.type)) found.push(...polygons(each));
    else if (each?.type === "Feature") walk(each.geometry);
    else for (const inner of each?.features ?? each?.geometries ?? []) walk(inner);
  };
  walk(JSON.parse(text));
  if (!found.length) return null;
  return found.length === 1 ? { type: "Polygon", coordinates: found[0] } : multi(found);
}
