// Puts a place on the map and into the two fields. Without it, or without WebGL, the fields are typed.
import * as maplibre from "../vendor/maplibre-gl-6.17.0/maplibre-gl.mjs";

const config = JSON.parse(document.getElementById("place-config").textContent);
const box = document.getElementById("place-map"), status = document.getElementById("place-status");
const lat = document.getElementById("id_lat"), lon = document.getElementById("id_lon");
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const write = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);

function bounds() {
  const all = new maplibre.LngLatBounds();
  const walk = (part) => (typeof part[0] === "number" ? all.extend(part) : part.forEach(walk));
  for (const feature of config.regions.features) walk(feature.geometry.coordinates);
  for (const point of config.points) all.extend([point.lon, point.lat]);
  return all.isEmpty() ? [[-180, -60], [180, 75]] : all;
}

function typed() {
  const at = { lat: Number.parseFloat(lat.value), lng: Number.parseFloat(lon.value) };
  return Math.abs(at.lat) <= 90 && Math.abs(at.lng) <= 180 ? at : null;
}

function start() {
  box.replaceChildren();
  const map = new maplibre.Map({
    container: box,
    style: {
      version: 8,
      sources: {
        regions: { type: "geojson", data: config.regions },
        points: { type: "geojson", data: { type: "FeatureCollection", features: config.points.map((point) => ({
          type: "Feature", properties: { name: point.name }, geometry: { type: "Point", coordinates: [point.lon, point.lat] } })) } },
      },
      layers: [
        { id: "ground", type: "background", paint: { "background-color": "#e7ecea" } },
        { id: "regions", type: "fill", source: "regions", paint: { "fill-color": "#cfe6dc" } },
        { id: "borders", type: "line", source: "regions", paint: { "line-color": "#33403b", "line-width": 1.5 } },
        { id: "points", type: "circle", source: "points", paint: { "circle-color": "#0b57d0", "circle-radius": 5,
          "circle-stroke-color": "#ffffff", "circle-stroke-width": 1.5 } },
        { id: "names", type: "symbol", source: "points", minzoom: 13, layout: { "text-field": ["get", "name"],
          "text-font": [getComputedStyle(document.body).fontFamily], "text-size": 12, "text-anchor": "top", "text-offset": [0, 0.8], "text-optional": true },
          paint: { "text-color": "#17211f", "text-halo-color": "#ffffff", "text-halo-width": 1.5 } },
      ],
    },
    bounds: bounds(),
    fitBoundsOptions: { padding: 24 },
    maxZoom: 18,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    localIdeographFontFamily: getComputedStyle(document.body).fontFamily,
    attributionControl: false,
    fadeDuration: calm ? 0 : 200,
    locale: { "NavigationControl.ZoomIn": config.words.zoomIn, "NavigationControl.ZoomOut": config.words.zoomOut, "Map.Title": config.words.map },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  const pin = new maplibre.Marker({ draggable: true, color: "#a3171b" });
  const put = (at, { write: into = true } = {}) => {
    pin.setLngLat(at).addTo(map);
    if (!into) return;
    lat.value = at.lat.toFixed(6);
    lon.value = at.lng.toFixed(6);
    status.textContent = write(config.words.placed, { lat: lat.value, lon: lon.value });
  };
  pin.on("dragend", () => put(pin.getLngLat()));
  map.on("click", (event) => put(event.lngLat));
  map.getCanvas().addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); put(map.getCenter()); }
  });
  const follow = () => { const at = typed(); if (at) put(at, { write: false }); };
  for (const field of [lat, lon]) field.addEventListener("change", follow);
  follow();
  map.on("idle", () => { box.dataset.state = "idle"; });
}

try {
  start();
} catch {
  box.dataset.state = "failed";
  status.textContent = config.words.failed;
}
