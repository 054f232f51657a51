// Moving a border by its corners. Only those in view get a handle, so a border of 100,000 corners with islands and
// holes is moved like a square: terra-draw's own selection takes neither holes nor so many.
import { collection, maplibre, nothing, viewOf } from "./ground.js";
import { addCorner, cornersIn, moveCorner, multi, takeCorner, within } from "./shapes.js";

const MOST = 400; // handles at once: more cannot be told apart anyhow
const APART = 36; // pixels between two corners for a handle in the middle of their edge

export function addHandleLayers(map) {
  map.addSource("handle-shape", { type: "geojson", data: nothing() });
  map.addSource("handles", { type: "geojson", data: nothing() });
  map.addLayer({ id: "handle-shape", type: "fill", source: "handle-shape", paint: { "fill-color": "#0b57d0", "fill-opacity": 0.12 } });
  map.addLayer({ id: "handle-edge", type: "line", source: "handle-shape", paint: { "line-color": "#0b57d0", "line-width": 3 } });
  const kind = (name) => ["==", ["get", "kind"], name];
  map.addLayer({ id: "handle-middle", type: "circle", source: "handles", filter: kind("middle"),
    paint: { "circle-radius": 5, "circle-color": "#cfe0fb", "circle-stroke-color": "#0b57d0", "circle-stroke-width": 1.5 } });
  map.addLayer({ id: "handle-corner", type: "circle", source: "handles", filter: kind("corner"),
    paint: { "circle-radius": ["case", ["get", "held"], 10, 7], "circle-color": ["case", ["get", "held"], "#0b57d0", "#ffffff"],
      "circle-stroke-color": "#0b57d0", "circle-stroke-width": 2.5 } });
}

/** One border being moved. `told({corners, shown, held, changed})` after every change; `magnet()` may be null. */
export class Handles {
  constructor(map, parts, { magnet, told }) {
    Object.assign(this, { map, parts, magnet, told });
    this.past = [];
    this.held = null;
    this.off = [];
    const listen = (...what) => { map.on(...what); this.off.push(() => map.off(...what)); };
    listen("moveend", () => this.draw());
    listen("mousedown", (event) => this.grab(event));
    listen("touchstart", (event) => { if (event.points.length === 1) this.grab(event); });
    listen("mousemove", (event) => { map.getCanvas().style.cursor = this.under(event.point) ? "move" : ""; });
    this.keys = (event) => {
      if (event.key === "Delete" || event.key === "Backspace") this.remove();
      if (event.key === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); this.undo(); }
    };
    map.getCanvas().addEventListener("keydown", this.keys);
    this.off.push(() => map.getCanvas().removeEventListener("keydown", this.keys));
    this.shape();
    this.draw();
  }

  get geometry() { return multi(this.parts); }

  shape() {
    this.map.getSource("handle-shape").setData({ type: "Feature", properties: {}, geometry: this.geometry });
  }

  draw() {
    const box = viewOf(this.map), found = cornersIn(this.parts, box);
    this.corners = found.length;
    const same = (a, b) => b && a.part === b.part && a.ring === b.ring && a.i === b.i;
    this.shown = [];
    if (found.length <= MOST) {
      for (const corner of found) {
        this.shown.push({ ...corner, kind: "corner", held: Boolean(same(corner, this.held)) });
        const ring = this.parts[corner.part][corner.ring], next = ring[corner.i + 1];
        const p = this.map.project(corner.place), q = this.map.project(next);
        const middle = [(corner.place[0] + next[0]) / 2, (corner.place[1] + next[1]) / 2];
        if (Math.hypot(p.x - q.x, p.y - q.y) > APART && within(middle, box)) this.shown.push({ ...corner, place: middle, kind: "middle", held: false });
      }
    }
    this.map.getSource("handles").setData(collection(this.shown.map(({ place, kind, held }, at) => (
      { type: "Feature", properties: { kind, held, at }, geometry: { type: "Point", coordinates: place } }))));
    this.map.getContainer().dataset.handles = this.shown.filter((each) => each.kind === "corner").length;
    this.tell();
  }

  tell() {
    this.told({ corners: this.corners, shown: this.shown.length > 0, held: Boolean(this.held), changed: this.past.length > 0, most: MOST });
  }

  under(point) {
    let best = null, least = 18;
    for (const each of this.shown) {
      const at = this.map.project(each.place), d = Math.hypot(at.x - point.x, at.y - point.y) + (each.kind === "middle" ? 4 : 0);
      if (d < least) { least = d; best = each; }
    }
    return best;
  }

  grab(event) {
    const handle = this.under(event.point);
    if (!handle) return;
    event.preventDefault(); // the map stays where it is
    const { map } = this, start = event.point, touch = event.type === "touchstart";
    const [moving, ...ended] = touch ? ["touchmove", "touchend", "touchcancel"] : ["mousemove", "mouseup"];
    let corner = handle.kind === "corner" ? handle : null, moved = false;
    const move = (now) => {
      const { clientX, clientY } = touch ? now.touches[0] : now, frame = map.getCanvas().getBoundingClientRect();
      const point = new maplibre.Point(clientX - frame.left, clientY - frame.top);
      if (!moved && Math.hypot(point.x - start.x, point.y - start.y) < 4) return;
      if (!moved) {
        moved = true;
        this.keep();
        if (!corner) {
          addCorner(this.parts, handle, handle.place);
          corner = { ...handle, i: handle.i + 1, kind: "corner" };
        }
      }
      moveCorner(this.parts, corner, this.caught(map.unproject(point).toArray()));
      this.shape();
    };
    // The whole window listens: a hand that slips onto the legend must not lose the corner.
    const end = () => {
      removeEventListener(moving, move);
      for (const name of ended) removeEventListener(name, end);
      this.held = corner ? { part: corner.part, ring: corner.ring, i: corner.i } : null;
      this.draw();
    };
    addEventListener(moving, move);
    for (const name of ended) addEventListener(name, end);
  }

  caught(place) {
    const tidy = place.map((value) => Number(value.toFixed(7))); // about a centimetre
    const { map } = this;
    return this.magnet()?.nearest(tidy, {
      project: (at) => map.project(at), box: viewOf(map),
      unproject: (at) => map.unproject(new maplibre.Point(at.x, at.y)).toArray().map((value) => Number(value.toFixed(7))),
    }) ?? tidy;
  }

  keep() { this.past.push(this.parts.map((rings) => rings.map((ring) => ring.slice()))); }

  undo() {
    if (!this.past.length) return;
    this.parts = this.past.pop();
    this.held = null;
    this.shape();
    this.draw();
  }

  /** False: a ring of three corners keeps them. */
  remove() {
    if (!this.held) return true;
    this.keep();
    if (!takeCorner(this.parts, this.held)) { this.past.pop(); return false; }
    this.held = null;
    this.shape();
    this.draw();
    return true;
  }

  end() {
    this.off.forEach((off) => off());
    this.map.getCanvas().style.cursor = "";
    for (const source of ["handle-shape", "handles"]) this.map.getSource(source).setData(nothing());
    delete this.map.getContainer().dataset.handles;
  }
}

