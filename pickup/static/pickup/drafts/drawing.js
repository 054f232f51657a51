// Drawing a polygon or a line with terra-draw, whose corners are caught by the borders near by.
import { maplibre, viewOf } from "./ground.js";

const { TerraDraw, TerraDrawPolygonMode, TerraDrawLineStringMode } = globalThis.terraDraw;
const { TerraDrawMapLibreGLAdapter } = globalThis.terraDrawMaplibreGlAdapter;

/** One drawing. `told({corners, done})` after each corner; it is done when it is closed, or the line is ended. */
export class Drawing {
  constructor(map, kind, { magnet, told }) {
    this.map = map;
    this.kind = kind;
    this.told = told;
    this.done = null;
    const toCustom = (event) => magnet()?.nearest([event.lng, event.lat], {
      project: (place) => map.project(place), box: viewOf(map),
      unproject: (at) => map.unproject(new maplibre.Point(at.x, at.y)).toArray().map((value) => Number(value.toFixed(7))),
    }) ?? undefined;
    const own = { snapping: { toCustom, toCoordinate: false }, keyEvents: { cancel: null, finish: "Enter" }, pointerDistance: 18 };
    const blue = "#0b57d0";
    const mode = kind === "polygon"
      ? new TerraDrawPolygonMode({ ...own, styles: { fillColor: blue, fillOpacity: 0.15, outlineColor: blue, outlineWidth: 3,
        closingPointColor: "#ffffff", closingPointWidth: 8, closingPointOutlineColor: blue, closingPointOutlineWidth: 3 } })
      : new TerraDrawLineStringMode({ ...own, styles: { lineStringColor: "#a3171b", lineStringWidth: 3,
        closingPointColor: "#ffffff", closingPointWidth: 8, closingPointOutlineColor: "#a3171b", closingPointOutlineWidth: 3 } });
    this.draw = new TerraDraw({ adapter: new TerraDrawMapLibreGLAdapter({ map, coordinatePrecision: 9 }), modes: [mode] });
    this.mode = mode;
    this.draw.start();
    this.draw.setMode(mode.mode);
    this.draw.on("change", () => { if (!this.done) told({ corners: this.corners(), done: false }); });
    this.draw.on("finish", (id) => {
      const drawn = this.draw.getSnapshotFeature(id).geometry;
      const corners = kind === "polygon" ? drawn.coordinates[0].slice(1) : drawn.coordinates;
      if (new Set(corners.map(String)).size < (kind === "polygon" ? 3 : 2)) return setTimeout(() => this.again());
      this.done = drawn;
      map.getCanvas().style.cursor = "";
      this.draw.setMode("static");
      return told({ corners: this.corners(), done: true });
    });
    told({ corners: 0, done: false });
  }

  corners() {
    const found = this.draw.getSnapshot().find((each) => each.geometry.type !== "Point");
    if (!found) return 0;
    // The last corner follows the pointer, and a ring repeats its first.
    const { coordinates } = found.geometry;
    const open = this.done ? 0 : 1;
    return Math.max(0, this.kind === "polygon" ? coordinates[0].length - 1 - open : coordinates.length - open);
  }

  /** End a line or close a polygon where it stands, for those without a keyboard. */
  finish() {
    this.map.getCanvas().dispatchEvent(new KeyboardEvent("keyup", { key: "Enter", bubbles: true }));
  }

  undo() {
    this.mode.undo();
    this.told({ corners: this.corners(), done: false });
  }

  again() {
    this.done = null;
    this.draw.clear();
    this.draw.setMode(this.kind);
    this.told({ corners: 0, done: false });
  }

  end() {
    this.draw.stop();
    this.map.getCanvas().style.cursor = "";
  }
}
