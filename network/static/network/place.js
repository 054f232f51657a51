// A small map with one pin. The two fields of coordinates are the truth: the pin follows them and writes into them.
// It has no words of its own, and whatever it can do, typing does as well.
import * as maplibre from "../vendor/maplibre-gl-6.17.0/maplibre-gl.mjs";

const config = JSON.parse(document.getElementById("place-config").textContent);
const box = document.getElementById("place-map");
const status = document.getElementById("place-status");
const here = document.getElementById("place-here");
const field = (name) => document.getElementById(`id_${name}`);
const movable = box.dataset.movable !== undefined && !field("lat").disabled;
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const write = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
const FONT = getComputedStyle(document.body).fontFamily;
const STATES = { free: "#0a7a48", full: "#a3171b", paused: "#5b4aa8" };
const STEP_PX = 4, NEAR_ZOOM = 13;

let map = null, pin = null;

function typed() {
  const [lat, lon] = ["lat", "lon"].map((name) => (field(name).value.trim() === "" ? NaN : Number(field(name).value)));
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? { lat, lng: lon } : null;
}

function put(place, { told = true } = {}) {
  field("lat").value = place.lat.toFixed(6);
  field("lon").value = place.lng.toFixed(6);
  follow();
  if (told) status.textContent = write(config.words.moved, { lat: field("lat").value, lon: field("lon").value });
}

function follow() {
  const place = typed();
  if (!place || !map) return;
  pin.setLngLat(place);
  if (!pin._map) pin.addTo(map);
  circle();
}

function look() {
  // Somebody has finished typing: the map shows the place, near enough to drag the pin to a door.
  const place = typed();
  if (!place || !map) return;
  if (map.getZoom() < NEAR_ZOOM || !map.getBounds().contains(place)) {
    map.easeTo({ center: place, zoom: Math.max(map.getZoom(), NEAR_ZOOM), animate: !calm });
  }
}

function reach() {
  const place = typed(), metres = Number(field("reach_m")?.value), ring = [];
  if (place && metres > 0 && metres <= 200000) {
    const north = metres / 111320, east = north / Math.max(0.01, Math.cos((place.lat * Math.PI) / 180));
    for (let i = 0; i <= 72; i++) {
      const turn = (i / 72) * 2 * Math.PI;
      ring.push([place.lng + east * Math.cos(turn), place.lat + north * Math.sin(turn)]);
    }
  }
  return ring;
}

function circle() {
  const ring = reach();
  map.getSource("reach")?.setData({ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: ring.length ? [ring] : [] } });
}

function style() {
  const sources = {
    regions: { type: "vector", tiles: [location.origin + config.tiles], maxzoom: 14 },
    reach: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
    points: { type: "geojson", data: { type: "FeatureCollection", features: config.points.map((one) => ({
      type: "Feature", properties: one, geometry: { type: "Point", coordinates: [one.lon, one.lat] } })) } },
  };
  const raster = config.external && !config.external.endsWith(".json");
  if (raster) sources.external = { type: "raster", tiles: [config.external], tileSize: 256, maxzoom: 19, attribution: config.credit };
  const name = { "text-font": [FONT], "text-max-width": 9 };
  const halo = { "text-color": "#17211f", "text-halo-color": "#ffffff", "text-halo-width": 1.6 };
  return {
    version: 8,
    sources,
    layers: [
      { id: "ground", type: "background", paint: { "background-color": "#e7ecea" } },
      ...(raster ? [{ id: "external", type: "raster", source: "external" }] : []),
      { id: "region-fill", type: "fill", source: "regions", "source-layer": "regions", filter: ["==", ["get", "main"], true],
        paint: { "fill-color": "#cfe6dc", "fill-opacity": raster ? 0.15 : 0.7 } },
      { id: "region-line", type: "line", source: "regions", "source-layer": "regions", filter: ["!=", ["get", "part"], true],
        paint: { "line-color": "#5f7069", "line-width": ["case", ["get", "main"], 1, 2] } },
      { id: "reach-fill", type: "fill", source: "reach", paint: { "fill-color": "#0b57d0", "fill-opacity": 0.08 } },
      { id: "reach-line", type: "line", source: "reach", paint: { "line-color": "#0b57d0", "line-width": 2, "line-dasharray": [3, 2] } },
      { id: "region-name", type: "symbol", source: "regions", "source-layer": "names",
        layout: { ...name, "text-field": ["get", "name"], "text-size": 14 }, paint: halo },
      { id: "point", type: "circle", source: "points", paint: { "circle-radius": 7, "circle-stroke-color": "#ffffff",
        "circle-stroke-width": 1.5, "circle-color": ["match", ["get", "state"], ...Object.entries(STATES).flat(), "#4a5552"] } },
      { id: "point-name", type: "symbol", source: "points", layout: { ...name, "text-field": ["get", "name"], "text-size": 12,
        "text-anchor": "top", "text-offset": [0, 0.9], "text-optional": true }, paint: halo },
    ],
  };
}

const PIN = '<svg viewBox="0 0 24 28" aria-hidden="true" focusable="false"><path d="M12 27 4.5 15.5a9 9 0 1 1 15 0z" fill="currentColor" stroke="#fff" stroke-width="1.5"/><circle cx="12" cy="10.5" r="3.5" fill="#fff"/></svg>';

function makePin() {
  const element = document.createElement(movable ? "button" : "div");
  element.className = "place-pin";
  element.innerHTML = PIN;
  if (movable) {
    element.type = "button";
    element.addEventListener("keydown", (event) => {
      const turns = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
      if (!turns[event.key]) return;
      event.preventDefault();
      event.stopPropagation();
      const step = STEP_PX * (event.shiftKey ? 10 : 1), at = map.project(pin.getLngLat());
      put(map.unproject([at.x + turns[event.key][0] * step, at.y + turns[event.key][1] * step]));
    });
  } else element.setAttribute("role", "img");
  const made = new maplibre.Marker({ element, anchor: "bottom", draggable: movable });
  made.on("dragend", () => put(made.getLngLat()));
  element.setAttribute("aria-label", config.words.pin);
  return made;
}

function start() {
  const place = typed(), ring = reach();
  let [west, south, east, north] = config.box ?? [-180, -60, 180, 75];
  if (ring.length) [west, south, east, north] = [ring[36][0], ring[54][1], ring[0][0], ring[18][1]];
  box.replaceChildren();
  map = new maplibre.Map({
    container: box,
    style: style(),
    ...(place && !ring.length ? { center: place, zoom: NEAR_ZOOM } : { bounds: [[west, south], [east, north]], fitBoundsOptions: { padding: 16 } }),
    maxZoom: 18,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    cooperativeGestures: false,
    localIdeographFontFamily: FONT,
    attributionControl: config.credit ? {} : false,
    fadeDuration: calm ? 0 : 200,
    locale: { "NavigationControl.ZoomIn": config.words.zoomIn, "NavigationControl.ZoomOut": config.words.zoomOut,
      "Map.Title": config.words.map, "AttributionControl.ToggleAttribution": config.words.attribution },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibre.ScaleControl({ unit: "metric" }), "bottom-left");
  pin = makePin();
  // Before anything is typed it stands in the middle, to be dragged; the fields stay empty until then.
  if (!place && movable) pin.setLngLat(map.getCenter()).addTo(map);
  follow();
  map.on("load", circle);
  map.on("idle", () => { box.dataset.state = "idle"; });
  map.on("movestart", () => { box.dataset.state = "moving"; });
  map.on("error", () => { if (!map.loaded()) status.textContent = config.words.failed; });
  if (movable) map.on("click", (event) => put(event.lngLat));
  for (const name of ["lat", "lon", "reach_m"]) field(name)?.addEventListener("input", follow);
  for (const name of ["lat", "lon"]) field(name).addEventListener("change", look);
}

if (movable && here && navigator.geolocation) {
  here.hidden = false;
  here.addEventListener("click", () => {
    here.disabled = true;
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        here.disabled = false;
        put({ lat: coords.latitude, lng: coords.longitude });
        map?.easeTo({ center: typed(), zoom: 16, animate: !calm });
      },
      () => { here.disabled = false; status.textContent = config.words.noLocation; },
      { enableHighAccuracy: true, timeout: 20000 },
    );
  });
}

try {
  start();
} catch {
  // No WebGL: the fields are all there.
  map = null;
  box.dataset.state = "failed";
  status.textContent = config.words.failed;
}
