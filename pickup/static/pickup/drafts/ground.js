// The ground of the pages of drafts: our own regions as quiet lines and names, and nothing from anywhere else.
import * as maplibre from "../../vendor/maplibre-gl-6.17.0/maplibre-gl.mjs";
import { config, words } from "./api.js";

export const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
export const FONT = getComputedStyle(document.body).fontFamily;
export const nothing = () => ({ type: "FeatureCollection", features: [] });
export const collection = (features) => ({ type: "FeatureCollection", features });
export { maplibre };

const main = ["==", ["get", "main"], true], whole = ["!=", ["get", "part"], true];

/** Stripes in a colour, because the colour alone says nothing to those who do not see it. */
export function stripes(colour, { back = false } = {}) {
  const size = 16, data = new Uint8Array(size * size * 4);
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) if ((back ? x - y + size : x + y) % 8 < 2) data.set([r, g, b, 190], (y * size + x) * 4);
  }
  return { width: size, height: size, data };
}

export function tiles(values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
  return [location.origin + config.tiles + (query ? `?${query}` : "")];
}

function style() {
  const own = {
    version: 8,
    sources: { regions: { type: "vector", tiles: tiles({}), maxzoom: 14 } },
    layers: [{ id: "ground", type: "background", paint: { "background-color": "#eef2f0" } }],
  };
  if (config.external && !config.external.endsWith(".json")) {
    own.sources.external = { type: "raster", tiles: [config.external], tileSize: 256, maxzoom: 19, attribution: config.credit };
    own.layers.push({ id: "external", type: "raster", source: "external" });
  }
  own.layers.push(
    { id: "region-fill", type: "fill", source: "regions", "source-layer": "regions", filter: main,
      paint: { "fill-color": "#ffffff", "fill-opacity": config.external ? 0.1 : 0.6, "fill-antialias": false } },
    { id: "region-line", type: "line", source: "regions", "source-layer": "regions", filter: ["all", main, whole],
      paint: { "line-color": "#75857f", "line-width": ["interpolate", ["linear"], ["zoom"], 3, 0.6, 10, 1.4] } },
    { id: "region-above", type: "line", source: "regions", "source-layer": "regions", filter: ["all", ["!", main], whole],
      paint: { "line-color": "#4d5d57", "line-width": ["interpolate", ["linear"], ["zoom"], 4, 1.2, 12, 2.4] } },
  );
  return own;
}

export const names = {
  id: "region-name", type: "symbol", source: "regions", "source-layer": "names",
  layout: { "text-field": ["get", "name"], "text-font": [FONT], "text-size": ["interpolate", ["linear"], ["zoom"], 3, 13, 12, 16],
    "text-max-width": 9, "text-variable-anchor": ["center", "top", "bottom", "left", "right"], "text-radial-offset": 1, "text-padding": 4,
    "symbol-sort-key": ["-", 0, ["get", "radius_m"]] },
  paint: { "text-color": "#33403b", "text-halo-color": "#ffffff", "text-halo-width": 1.8 },
};

/** Make the map in `box`; `ready(map)` adds its sources and layers, above the borders and below their names. */
export function ground(box, { bounds, ready, label }) {
  box.replaceChildren(); // what stands there is for those without scripts
  const [west, south, east, north] = bounds ?? config.box ?? [-180, -60, 180, 75];
  const map = new maplibre.Map({
    container: box,
    style: style(),
    bounds: [[west, south], [east, north]],
    fitBoundsOptions: { padding: 32, maxZoom: 15 },
    maxZoom: 20,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    doubleClickZoom: false, // two quick corners of a drawing are no wish to zoom
    localIdeographFontFamily: FONT,
    attributionControl: config.credit ? { customAttribution: config.credit } : false,
    fadeDuration: calm ? 0 : 200,
    locale: { "NavigationControl.ZoomIn": words.zoomIn, "NavigationControl.ZoomOut": words.zoomOut,
      "Map.Title": label, "Popup.Close": words.close, "AttributionControl.ToggleAttribution": words.attribution },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibre.ScaleControl({ unit: "metric" }), "bottom-left");
  map.on("style.load", () => { ready(map); map.addLayer(names); });
  map.on("movestart", () => { box.dataset.state = "moving"; });
  map.on("dataloading", () => { box.dataset.state = "moving"; });
  map.on("idle", () => {
    // For those who watch from outside: what is in view now.
    box.dataset.view = JSON.stringify(viewOf(map));
    box.dataset.state = "idle";
  });
  return map;
}

export function show(map, box, { maxZoom = 15 } = {}) {
  if (!box) return;
  const [west, south, east, north] = box;
  const small = map.getContainer().clientHeight < 500, side = small ? 28 : 60;
  const padding = { top: side, left: side, right: small ? 64 : 210, bottom: small ? 28 : 150 }; // legend and tools stand there
  map.fitBounds([[west, south], [east, north]], { padding, maxZoom, animate: !calm, duration: 500 });
}

export const viewOf = (map) => map.getBounds().toArray().flat();
