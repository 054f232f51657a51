// One order in doubt: a pin on a map. It decides nothing and has no words of its own: both come from the page. What it
// can do, the fields and buttons of the page do without it, only slower.
import * as maplibre from "../vendor/maplibre-gl-6.17.0/maplibre-gl.mjs";

const config = JSON.parse(document.getElementById("review-config").textContent);
const words = config.words;
const page = document.getElementById("review"), box = document.getElementById("map"), told = document.getElementById("told");
const form = document.getElementById("pin-form"), lat = form.elements.lat, lon = form.elements.lon;
const confirm = document.getElementById("confirm"), near = document.getElementById("near");
const buttons = [...document.querySelectorAll("#candidates button")];
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const write = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
const FONT = getComputedStyle(document.body).fontFamily;
const STEP_PX = 8, FAR_PX = 60;

let map = null, pin = null, asking = null, waiting = 0, first = true;

// ---------------------------------------------------------------- the pin, whoever moves it

function place() {
  const [y, x] = [lat.value, lon.value].map((text) => (text.trim() === "" ? NaN : Number(text)));
  return Math.abs(y) <= 90 && Math.abs(x) <= 180 ? [x, y] : null;
}

function set([x, y], { fly = false } = {}) {
  lat.value = y.toFixed(6);
  lon.value = x.toFixed(6);
  moved({ fly });
}

function moved({ fly = false } = {}) {
  const at = place();
  for (const [i, button] of buttons.entries()) {
    const one = config.candidates[i];
    button.setAttribute("aria-pressed", String(Boolean(at) && Math.abs(one.lon - at[0]) < 1e-6 && Math.abs(one.lat - at[1]) < 1e-6));
  }
  if (map) draw(at, fly);
  page.dataset.state = "asking";
  clearTimeout(waiting);
  waiting = setTimeout(ask, 120, at);
}

function draw(at, fly) {
  if (!at) { pin?.remove(); pin = null; return; }
  if (!pin) {
    pin = new maplibre.Marker({ element: pinElement(), draggable: true, anchor: "bottom" }).setLngLat(at).addTo(map);
    pin.on("dragend", () => { const { lng, lat: y } = pin.getLngLat(); set([lng, y]); });
  }
  pin.setLngLat(at);
  if (fly) map.easeTo({ center: at, zoom: Math.max(map.getZoom(), 13), animate: !calm, duration: 400 });
  else if (!map.getBounds().contains(at)) map.panTo(at, { animate: !calm });
}

function pinElement() {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "pin";
  element.setAttribute("aria-label", words.pin);
  element.innerHTML = '<svg viewBox="0 0 36 44" aria-hidden="true"><path d="M18 43C10 31 4 25 4 17a14 14 0 0 1 28 0c0 8-6 14-14 26z" fill="#a3171b" stroke="#fff" stroke-width="2.5"/><circle cx="18" cy="17" r="5" fill="#fff"/></svg>';
  element.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? FAR_PX : STEP_PX;
    const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (!way || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const from = map.project(pin.getLngLat());
    const { lng, lat: y } = map.unproject([from.x + way[0], from.y + way[1]]);
    set([lng, y]);
  });
  element.addEventListener("click", (event) => event.stopPropagation());
  return element;
}

// ---------------------------------------------------------------- what would follow

function tell(first, second = "", wrong = false) {
  const strong = document.createElement("strong");
  strong.textContent = first;
  told.replaceChildren(strong, second);
  told.classList.toggle("wrong", wrong);
}

async function ask(at) {
  asking?.abort();
  if (!at) { told.replaceChildren(); show([]); page.dataset.state = "idle"; return; }
  const turn = asking = new AbortController();
  try {
    const answer = await fetch(config.look, {
      method: "POST", signal: turn.signal, redirect: "error",
      headers: { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
      body: JSON.stringify({ lat: at[1], lon: at[0] }),
    });
    if (answer.status === 401) tell(words.signedOut, "", true);
    else if (answer.status === 409) tell(words.gone, "", true);
    else if (answer.ok) {
      const found = await answer.json();
      if (found.chain) tell(found.chain, found.point ? write(words.goes, found) : words.noPoint);
      else tell(words.nowhere, "", true);
      show(found.near);
    }
    page.dataset.state = "idle";
  } catch (error) {
    if (error.name !== "AbortError") { told.replaceChildren(); page.dataset.state = "idle"; }
  }
}

function show(points) {
  document.getElementById("near-points").replaceChildren(...points.map((one) => new Option(one.name, one.ref)));
  near.replaceChildren(...points.map((one) => {
    const item = document.createElement("li"), text = document.createElement("span"), button = document.createElement("button");
    text.textContent = `${one.name} · ${one.metres} m · ${one.lost}`;
    button.type = "button";
    button.textContent = one.ref;
    button.addEventListener("click", () => { form.elements.point.value = one.ref; });
    item.append(text, button);
    return item;
  }));
  const at = place(), chosen = points.find((one) => one.chosen);
  if (first && at && map) {
    const goal = chosen ?? points[0];
    // Where it would go belongs into the picture, if it is not at the other end of the country.
    if (goal && !map.getBounds().contains([goal.lon, goal.lat]) && Math.abs(goal.lon - at[0]) + Math.abs(goal.lat - at[1]) < 1) {
      map.fitBounds(map.getBounds().extend([goal.lon, goal.lat]), { padding: 48, animate: false });
    }
    first = false;
  }
  const feature = (geometry, properties = {}) => ({ type: "Feature", geometry, properties });
  map?.getSource("points")?.setData({ type: "FeatureCollection", features: [
    ...points.map((one) => feature({ type: "Point", coordinates: [one.lon, one.lat] }, { name: one.name, chosen: one.chosen })),
    ...(chosen && at ? [feature({ type: "LineString", coordinates: [at, [chosen.lon, chosen.lat]] })] : []),
  ] });
}

for (const field of [lat, lon]) {
  field.addEventListener("input", () => moved());
  field.addEventListener("change", () => moved({ fly: true }));
  field.addEventListener("paste", (event) => { // both numbers at once, as maps give them
    const both = event.clipboardData.getData("text").match(/^\s*(-?\d+(?:\.\d+)?)\s*[,，;\s]\s*(-?\d+(?:\.\d+)?)\s*$/);
    if (!both) return;
    event.preventDefault();
    set([Number(both[2]), Number(both[1])], { fly: true });
  });
}
const choose = (i) => config.candidates[i] && set([config.candidates[i].lon, config.candidates[i].lat], { fly: true });
for (const [i, button] of buttons.entries()) button.addEventListener("click", () => choose(i));

// ---------------------------------------------------------------- keys

const single = document.getElementById("single-keys");
try { single.checked = localStorage.getItem("review-keys") !== "off"; } catch { /* nothing is kept here */ }
single.addEventListener("change", () => {
  try { localStorage.setItem("review-keys", single.checked ? "on" : "off"); } catch { /* nothing is kept here */ }
});

addEventListener("keydown", (event) => {
  if (event.isComposing || event.defaultPrevented) return; // Enter that ends a pinyin word is not ours
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); return form.requestSubmit(confirm); }
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (typing || !single.checked || event.ctrlKey || event.altKey || event.metaKey) return;
  if (/^[1-9]$/.test(event.key)) choose(Number(event.key) - 1);
  else if (event.key === "n") document.getElementById("after")?.click();
  else if (event.key === "p") document.getElementById("before")?.click();
  else if (event.key === "m") { event.preventDefault(); (box.querySelector(".pin") ?? lat).focus(); }
});

let sent = false;
form.addEventListener("submit", (event) => {
  if (sent) event.preventDefault(); // a double click confirms once
  sent = true;
  clearTimeout(waiting);
  asking?.abort();
});
addEventListener("pageshow", () => { sent = false; });

// ---------------------------------------------------------------- the map

function layers(external) {
  return [
    { id: "region-line", type: "line", source: "regions", "source-layer": "regions", filter: ["!=", ["get", "part"], true],
      paint: { "line-color": "#7d8c86", "line-width": ["interpolate", ["linear"], ["zoom"], 3, 0.5, 10, 1.2] } },
    { id: "outline-fill", type: "fill", source: "outlines", paint: { "fill-color": "#0b57d0", "fill-opacity": external ? 0.06 : 0.08 } },
    { id: "outline", type: "line", source: "outlines", paint: { "line-color": "#0b57d0", "line-width": 2, "line-dasharray": [3, 2] } },
    { id: "way", type: "line", source: "points", filter: ["==", ["geometry-type"], "LineString"],
      paint: { "line-color": "#0b5d4d", "line-width": 2.5, "line-dasharray": [1.5, 1.5] } },
    { id: "point", type: "circle", source: "points", filter: ["==", ["geometry-type"], "Point"],
      paint: { "circle-color": ["case", ["get", "chosen"], "#0a7a48", "#5f7069"], "circle-radius": ["case", ["get", "chosen"], 8, 5.5],
        "circle-stroke-color": "#ffffff", "circle-stroke-width": 2 } },
    { id: "region-name", type: "symbol", source: "regions", "source-layer": "names",
      layout: { "text-field": ["get", "name"], "text-font": [FONT], "text-size": 13, "text-max-width": 9, "symbol-sort-key": ["-", 0, ["get", "radius_m"]] },
      paint: { "text-color": "#51605c", "text-halo-color": "#ffffff", "text-halo-width": 1.5 } },
    { id: "point-name", type: "symbol", source: "points", filter: ["==", ["geometry-type"], "Point"], minzoom: 11,
      layout: { "text-field": ["get", "name"], "text-font": [FONT], "text-size": 12, "text-anchor": "top", "text-offset": [0, 0.9], "text-optional": true },
      paint: { "text-color": "#17211f", "text-halo-color": "#ffffff", "text-halo-width": 1.5 } },
  ];
}

function style() {
  const own = {
    version: 8,
    sources: {
      regions: { type: "vector", tiles: [location.origin + config.tiles], maxzoom: 14 },
      outlines: { type: "geojson", data: config.outlines },
      points: { type: "geojson", data: { type: "FeatureCollection", features: [] } },
    },
    layers: [{ id: "ground", type: "background", paint: { "background-color": "#eef2f0" } }],
  };
  if (config.external && !config.external.endsWith(".json")) {
    own.sources.external = { type: "raster", tiles: [config.external], tileSize: 256, maxzoom: 19, attribution: config.credit };
    own.layers.push({ id: "external", type: "raster", source: "external" });
  }
  own.layers.push(...layers(Boolean(config.external)));
  return own;
}

function bounds() {
  const at = place(), around = new maplibre.LngLatBounds();
  // 0/0 is a doubt and no place to look at.
  for (const one of config.candidates) if (Math.abs(one.lat) > 0.01 || Math.abs(one.lon) > 0.01) around.extend([one.lon, one.lat]);
  if (at && (Math.abs(at[0]) > 0.01 || Math.abs(at[1]) > 0.01)) around.extend(at);
  const corners = (part) => typeof part[0] === "number" ? around.extend(part) : part.forEach(corners);
  if (!at && config.candidates.length < 2) for (const one of config.outlines.features) corners(one.geometry.coordinates);
  if (config.box && !config.candidates.some((one) => one.inside)) around.extend(config.box.slice(0, 2)).extend(config.box.slice(2));
  if (!around.isEmpty()) return around;
  const [west, south, east, north] = config.box ?? [-180, -60, 180, 75];
  return new maplibre.LngLatBounds([west, south], [east, north]);
}

function start() {
  box.replaceChildren(); // what stands there is for those without scripts
  map = new maplibre.Map({
    container: box, style: style(), bounds: bounds(), fitBoundsOptions: { padding: 64, maxZoom: 13 }, maxZoom: 18,
    dragRotate: false, pitchWithRotate: false, touchPitch: false, localIdeographFontFamily: FONT, fadeDuration: calm ? 0 : 200,
    attributionControl: config.credit ? {} : false,
    locale: { "NavigationControl.ZoomIn": words.zoomIn, "NavigationControl.ZoomOut": words.zoomOut, "Map.Title": words.map,
      "AttributionControl.ToggleAttribution": words.attribution },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibre.ScaleControl({ unit: "metric" }), "bottom-left");
  config.candidates.forEach((one, i) => {
    const element = document.createElement("button"), digit = document.createElement("span");
    element.type = "button";
    element.className = "candidate";
    element.setAttribute("aria-label", write(words.candidate, { number: i + 1 }));
    digit.className = "digit";
    digit.textContent = i + 1;
    element.append(digit);
    element.addEventListener("click", (event) => { event.stopPropagation(); choose(i); });
    new maplibre.Marker({ element }).setLngLat([one.lon, one.lat]).addTo(map);
  });
  map.on("click", ({ lngLat }) => set([lngLat.lng, lngLat.lat]));
  map.on("movestart", () => { box.dataset.state = "moving"; });
  map.on("idle", () => { box.dataset.state = "idle"; }); // for those who watch from outside
  map.on("load", () => moved());
}

try {
  start();
} catch {
  // No WebGL: fields, candidates and buttons are all there.
  box.dataset.state = "failed";
  document.getElementById("map-status").textContent = words.failed;
  map = null;
  moved();
}
