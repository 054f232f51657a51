// The map of regions. It decides nothing and has no words of its own: both come from the page. What it can do, the
// panel, the list and the search do without it.
import * as maplibre from "../vendor/maplibre-gl-6.17.0/maplibre-gl.mjs";

const config = JSON.parse(document.getElementById("map-config").textContent);
const box = document.getElementById("map");
const panel = document.getElementById("panel");
const status = document.getElementById("map-status");
const filters = document.getElementById("filters");
const words = config.words;
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const write = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);

// Chosen so that each stands out from the ground and from its neighbours, also for those who see no red or green.
const INK = "#17211f", PAPER = "#ffffff", MAIN = "#0b5d4d", GROUND = "#e7ecea";
const HELD = ["#cfe6dc", "#d6e4f0", "#e3e7cf", "#d9ddf0", "#cfe4e6", "#e6dfd4"];
const VACANT = "#fbe3a6", HATCH = "#a86f00", FOCUS = "#0b57d0";
const STATES = {
  free: "#0a7a48", filling: "#b26a00", full: "#a3171b", paused: "#5b4aa8", suspended: "#4a5552", proposed: "#0b57d0",
  closed: "#8a9592",
};
const FONT = getComputedStyle(document.body).fontFamily;

let selected = panelRegion()?.dataset ?? null;
let map = null;

// ---------------------------------------------------------------- what is asked for

function asked() {
  const values = new URLSearchParams();
  for (const [name, value] of new FormData(filters)) if (value) values.set(name, value);
  return values;
}

function template(layer, names) {
  const values = asked(), own = new URLSearchParams();
  for (const name of names) if (values.get(name)) own.set(name, values.get(name));
  const query = own.toString();
  return location.origin + config.tiles[layer] + (query ? `?${query}` : "");
}

const templates = {
  regions: () => template("regions", ["level", "vacant", "at"]),
  points: () => template("points", ["points"]),
  review: () => template("review", []),
};

function wanted(layer) {
  if (!config.tiles[layer]) return false;
  if (layer === "points") return asked().get("points") !== "none";
  return layer !== "review" || asked().get("review") === "1";
}

function address(path) {
  const query = asked().toString();
  return path + (query ? `?${query}` : "") + location.hash;
}

// ---------------------------------------------------------------- the style

function hatch() {
  // Diagonal lines, because a colour alone says nothing to those who do not see it.
  const size = 16, data = new Uint8Array(size * size * 4);
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(HATCH.slice(at, at + 2), 16));
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) if ((x + y) % 8 < 1.5) data.set([r, g, b, 150], (y * size + x) * 4);
  }
  return { width: size, height: size, data };
}

const main = ["==", ["get", "main"], true], whole = ["!=", ["get", "part"], true];
const held = ["match", ["%", ["id"], HELD.length], ...HELD.flatMap((colour, i) => [i, colour]), HELD[0]];
const single = ["has", "state"];
const selectedFilter = () => ["==", ["id"], selected ? Number(selected.id) : -1];

function sources() {
  const vector = (layer) => ({ type: "vector", tiles: [templates[layer]()], maxzoom: layer === "points" ? 18 : 14 });
  return Object.fromEntries(Object.keys(config.tiles).filter((layer) => config.tiles[layer]).map((layer) => [layer, vector(layer)]));
}

function layers(external) {
  const see = (layer) => ({ visibility: wanted(layer) ? "visible" : "none" });
  const strength = external ? 0.35 : 1;
  const found = [
    { id: "region-fill", type: "fill", source: "regions", "source-layer": "regions", filter: main,
      paint: { "fill-color": ["case", ["get", "vacant"], VACANT, held], "fill-opacity": strength, "fill-antialias": false } },
    { id: "region-vacant", type: "fill", source: "regions", "source-layer": "regions", filter: ["all", main, ["get", "vacant"]],
      paint: { "fill-pattern": "hatch", "fill-opacity": 0.7 } },
    { id: "region-line", type: "line", source: "regions", "source-layer": "regions", filter: ["all", main, whole],
      paint: { "line-color": "#5f7069", "line-width": ["interpolate", ["linear"], ["zoom"], 3, 0.6, 10, 1.4] } },
    { id: "region-part", type: "line", source: "regions", "source-layer": "regions", filter: ["==", ["get", "part"], true],
      paint: { "line-color": "#9aa8a2", "line-width": 0.6 } },
    { id: "region-above", type: "line", source: "regions", "source-layer": "regions", filter: ["all", ["!", main], whole],
      paint: { "line-color": "#33403b", "line-width": ["interpolate", ["linear"], ["zoom"], 4, 1.2, 12, 2.6] } },
    { id: "region-selected", type: "line", source: "regions", "source-layer": "regions", filter: selectedFilter(),
      paint: { "line-color": FOCUS, "line-width": 3.5 } },
    { id: "region-name", type: "symbol", source: "regions", "source-layer": "names",
      layout: { "text-field": ["get", "name"], "text-font": [FONT], "text-size": ["interpolate", ["linear"], ["zoom"], 3, 13, 12, 16],
        "text-max-width": 9, "text-variable-anchor": ["center", "top", "bottom", "left", "right", "top-left", "top-right", "bottom-left", "bottom-right"], "text-radial-offset": 1, "text-padding": 4, "symbol-sort-key": ["-", 0, ["get", "radius_m"]] },
      paint: { "text-color": INK, "text-halo-color": PAPER, "text-halo-width": 1.8 } },
  ];
  if (config.tiles.points) {
    found.push(
      { id: "point-cell", type: "circle", source: "points", "source-layer": "points", filter: ["!", single], layout: see("points"),
        paint: { "circle-color": MAIN, "circle-opacity": 0.9, "circle-stroke-color": PAPER, "circle-stroke-width": 1.5,
          "circle-radius": ["interpolate", ["linear"], ["log10", ["max", 1, ["get", "count"]]], 0, 5, 1, 10, 3, 14, 5, 17] } },
      { id: "point-count", type: "symbol", source: "points", "source-layer": "points",
        // The unseen picture keeps the names of regions away from the circles, which do not take up room themselves.
        filter: ["!", single], layout: { ...see("points"), "icon-image": "blank", "icon-allow-overlap": true, "text-font": [FONT], "text-size": 12, "text-allow-overlap": true,
          "text-field": ["case", ["==", ["get", "count"], 1], "", [">=", ["get", "count"], 10000], ["concat", ["to-string", ["round", ["/", ["get", "count"], 1000]]], "k"],
            ["to-string", ["get", "count"]]] },
        paint: { "text-color": PAPER } },
      { id: "point", type: "circle", source: "points", "source-layer": "points", filter: single, layout: see("points"),
        paint: { "circle-color": ["match", ["get", "state"], ...Object.entries(STATES).flat(), INK],
          "circle-stroke-color": PAPER, "circle-stroke-width": 1.5, "circle-radius": ["interpolate", ["linear"], ["zoom"], 10, 5, 16, 9] } },
      { id: "point-name", type: "symbol", source: "points", "source-layer": "points", filter: single, minzoom: 14, layout: {
        ...see("points"), "text-field": ["get", "name"], "text-font": [FONT], "text-size": 12, "text-anchor": "top", "text-offset": [0, 0.9], "text-optional": true },
        paint: { "text-color": INK, "text-halo-color": PAPER, "text-halo-width": 1.5 } },
    );
  }
  if (config.tiles.review) {
    found.push(
      { id: "review", type: "circle", source: "review", "source-layer": "review", layout: see("review"),
        paint: { "circle-color": "#ffdf91", "circle-stroke-color": "#3b2a00", "circle-stroke-width": 1.5,
          "circle-radius": ["interpolate", ["linear"], ["log10", ["max", 1, ["get", "count"]]], 0, 9, 3, 18] } },
      { id: "review-count", type: "symbol", source: "review", "source-layer": "review",
        layout: { ...see("review"), "text-field": ["to-string", ["get", "count"]], "text-font": [FONT], "text-size": 12,
          "text-allow-overlap": true, "text-ignore-placement": true },
        paint: { "text-color": "#3b2a00" } },
    );
  }
  return found;
}

function style() {
  const own = { version: 8, sources: sources(), layers: [{ id: "ground", type: "background", paint: { "background-color": GROUND } }] };
  if (config.external && !config.external.endsWith(".json")) {
    own.sources.external = { type: "raster", tiles: [config.external], tileSize: 256, maxzoom: 19, attribution: config.credit };
    own.layers.push({ id: "external", type: "raster", source: "external" });
  }
  own.layers.push(...layers(Boolean(config.external)));
  return own;
}

// ---------------------------------------------------------------- the panel

function panelRegion() {
  return panel.querySelector(".region[data-code]");
}

function afterPanel({ fit, focus }) {
  const region = panelRegion();
  selected = region ? { ...region.dataset } : null;
  if (map?.getLayer("region-selected")) map.setFilter("region-selected", selectedFilter());
  if (fit) show(selected?.box);
  if (focus) (document.getElementById("region-name") ?? panel).focus({ preventScroll: innerWidth >= 900 });
}

function show(text) {
  if (!text || !map) return;
  const [west, south, east, north] = text.split(" ").map(Number);
  map.fitBounds([[west, south], [east, north]], { padding: 32, maxZoom: 13, animate: !calm, duration: 600 });
}

let opening = 0;

async function open(url, { push = true, fit = false, focus = false } = {}) {
  const turn = ++opening;
  const target = new URL(url, location.href);
  panel.setAttribute("aria-busy", "true");
  target.searchParams.set("panel", "1");
  target.hash = "";
  try {
    const answer = await fetch(target, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    if (turn !== opening) return; // somebody has opened another one since
    panel.innerHTML = text; // the server's own fragment, with everything in it escaped
    panel.parentElement.scrollTop = 0;
    target.searchParams.delete("panel");
    if (push) history.pushState(null, "", target.pathname + target.search + location.hash);
    const brand = document.title.split(" · ").slice(-2).join(" · ");
    document.title = panelRegion() ? `${panelRegion().dataset.title} · ${brand}` : brand;
    afterPanel({ fit, focus });
  } catch {
    if (turn === opening) location.assign(url); // the whole page says better what is wrong, or asks to sign in
  } finally {
    if (turn === opening) panel.removeAttribute("aria-busy");
  }
}

const regionPage = (code) => address(`${config.map}${encodeURIComponent(code)}/`);

panel.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-panel]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(link.href, { fit: true, focus: true });
});

addEventListener("popstate", () => open(location.href, { push: false, fit: true }));

// ---------------------------------------------------------------- the search

const search = document.getElementById("search"), input = document.getElementById("q");
const list = document.getElementById("suggestions"), told = document.getElementById("search-status");
let suggestions = [], active = -1, typing = 0, searchedFor = null;

input.setAttribute("role", "combobox");
input.setAttribute("aria-autocomplete", "list");
input.setAttribute("aria-controls", list.id);
input.setAttribute("aria-expanded", "false");

function draw() {
  list.replaceChildren(...suggestions.map((one, i) => {
    const item = document.createElement("li");
    item.id = `suggestion-${i}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", String(i === active));
    const name = document.createElement("strong");
    name.textContent = one.alias ? `${one.alias} → ${one.name}` : one.name;
    const rest = document.createElement("span");
    rest.className = "quiet";
    rest.textContent = [one.level, one.code, one.above].filter(Boolean).join(" · ");
    item.append(name, rest);
    item.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(i); });
    return item;
  }));
  list.hidden = suggestions.length === 0;
  input.setAttribute("aria-expanded", String(!list.hidden));
  if (active >= 0) {
    input.setAttribute("aria-activedescendant", `suggestion-${active}`);
    list.children[active].scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}

async function suggest() {
  const text = input.value.trim();
  if (text === searchedFor) return;
  searchedFor = text;
  let found = [];
  if (text) {
    const answer = await fetch(`${config.search}?q=${encodeURIComponent(text)}`);
    if (answer.status === 401) { told.textContent = words.signedOut; return; }
    if (answer.ok) found = (await answer.json()).results;
    if (input.value.trim() !== text) return; // typed on since
  }
  suggestions = found;
  active = -1;
  told.textContent = !text ? "" : found.length ? write(words.found, { count: found.length }) : words.nothing;
  told.classList.toggle("unseen", !text || found.length > 0);
  draw();
}

function close() {
  suggestions = [];
  active = -1;
  draw();
}

function choose(i) {
  const one = suggestions[i];
  input.value = one.name;
  searchedFor = one.name;
  close();
  open(address(one.url), { fit: true, focus: true });
}

input.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(suggest, 150);
});
input.addEventListener("keydown", (event) => {
  if (event.isComposing) return; // Enter that ends a pinyin word is not ours
  if (event.key === "Escape" && suggestions.length) { event.preventDefault(); close(); }
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && suggestions.length) {
    event.preventDefault();
    active = (active + (event.key === "ArrowDown" ? 1 : -1) + suggestions.length) % suggestions.length;
    draw();
  }
});
input.addEventListener("blur", () => setTimeout(close, 100));
search.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearTimeout(typing);
  if (active < 0) { if (!suggestions.length) searchedFor = null; await suggest(); }
  if (suggestions.length) choose(Math.max(active, 0));
});

// ---------------------------------------------------------------- the filters

function filtered() {
  history.replaceState(null, "", address(location.pathname));
  for (const layer of ["regions", "points", "review"]) map?.getSource(layer)?.setTiles([templates[layer]()]);
  for (const one of map?.getStyle()?.layers ?? []) {
    if (one.source === "points" || one.source === "review") {
      map.setLayoutProperty(one.id, "visibility", wanted(one.source) ? "visible" : "none");
    }
  }
  tell();
  open(location.href, { push: false }); // who is appointed, and whose links keep the filters, depends on them
}

document.getElementById("apply").hidden = true;
if (innerWidth < 900) document.getElementById("filter-box").open = false; // else it stands before the map
filters.addEventListener("change", filtered);
filters.addEventListener("submit", (event) => { event.preventDefault(); filtered(); });

// ---------------------------------------------------------------- the map

function levelShown() {
  const chosen = asked().get("level");
  if (chosen) return chosen;
  const zoom = map.getZoom();
  return Object.entries(config.shownFrom).filter(([, from]) => zoom >= from).at(-1)?.[0] ?? "1";
}

function tell(text) {
  if (!map) return;
  status.textContent = text ?? write(words.shown, { level: config.levels[levelShown()] });
}

function regionAt(point) {
  const found = map.queryRenderedFeatures(point, { layers: ["region-fill"] });
  return found.sort((a, b) => b.properties.level - a.properties.level)[0];
}

function popup(feature, at) {
  const { properties } = feature, body = document.createElement("div");
  const line = (text, tag = "p") => { const p = document.createElement(tag); p.textContent = text; body.append(p); return p; };
  const link = (href) => { const a = line(words.open, "a"); a.href = href; a.className = "button"; };
  if (feature.source === "review") {
    line(properties.count > 1 ? write(words.review, properties) : properties.reference, "strong");
    link(properties.count > 1 ? config.orders : config.order.replace("/0/", `/${properties.order}/`));
  } else {
    line(properties.name, "strong");
    line(`${properties.ref} · ${config.states[properties.state]}`);
    line(write(words.load, properties));
    link(config.point.replace("/0/", `/${feature.id}/`));
  }
  new maplibre.Popup({ maxWidth: "280px", focusAfterOpen: true }).setLngLat(at).setDOMContent(body).addTo(map);
}

function clicked(point, lngLat) {
  const on = (...names) => names.filter((name) => map.getLayer(name));
  const [top] = map.queryRenderedFeatures(point, { layers: on("review", "point", "point-cell") });
  if (top && (top.source === "review" || top.properties.state)) return popup(top, top.geometry.coordinates);
  if (top) return map.easeTo({ center: top.geometry.coordinates, zoom: map.getZoom() + 2, animate: !calm });
  const region = regionAt(point);
  if (region) return open(regionPage(region.properties.code), { focus: innerWidth < 900 });
  return tell(lngLat ? undefined : words.nowhere);
}

function start() {
  const external = config.external.endsWith(".json");
  box.replaceChildren(); // what stands there is for those without scripts
  const [west, south, east, north] = selected?.box?.split(" ").map(Number) ?? config.box ?? [-180, -60, 180, 75];
  map = new maplibre.Map({
    container: box,
    style: external ? config.external : style(),
    bounds: [[west, south], [east, north]],
    fitBoundsOptions: { padding: 24 },
    hash: true,
    maxZoom: 18,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    localIdeographFontFamily: FONT,
    attributionControl: config.credit ? { customAttribution: external ? config.credit : undefined } : false,
    fadeDuration: calm ? 0 : 200,
    locale: { "NavigationControl.ZoomIn": words.zoomIn, "NavigationControl.ZoomOut": words.zoomOut,
      "NavigationControl.ResetBearing": words.north, "Map.Title": words.map, "Popup.Close": words.close,
      "AttributionControl.ToggleAttribution": words.attribution },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibre.ScaleControl({ unit: "metric" }), "bottom-left");
  map.on("style.load", () => {
    map.addImage("hatch", hatch(), { pixelRatio: 2 });
    map.addImage("blank", { width: 12, height: 12, data: new Uint8Array(12 * 12 * 4) });
    if (external) {
      for (const [name, source] of Object.entries(sources())) map.addSource(name, source);
      for (const layer of layers(true)) map.addLayer(layer);
    }
  });
  map.on("click", (event) => clicked(event.point, event.lngLat));
  for (const name of ["region-fill", "point", "point-cell", "review"]) {
    map.on("mouseenter", name, () => { map.getCanvas().style.cursor = "pointer"; });
    map.on("mouseleave", name, () => { map.getCanvas().style.cursor = ""; });
  }
  map.getCanvas().addEventListener("keydown", (event) => {
    if (event.key === "Enter") clicked(map.project(map.getCenter()), null);
  });
  map.on("movestart", () => { box.dataset.state = "moving"; });
  map.on("dataloading", () => { if (box.dataset.state === "idle") box.dataset.state = "moving"; });
  map.on("idle", () => {
    // For those who watch from outside: what is drawn now.
    const drawnOf = (...names) => map.queryRenderedFeatures({ layers: names.filter((name) => map.getLayer(name)) });
    box.dataset.regions = new Set(drawnOf("region-fill").map((feature) => feature.id)).size;
    box.dataset.names = drawnOf("region-name").length;
    box.dataset.points = drawnOf("point", "point-cell").reduce((sum, feature) => sum + feature.properties.count, 0);
    box.dataset.review = drawnOf("review").reduce((sum, feature) => sum + feature.properties.count, 0);
    box.dataset.state = "idle";
  });
  // A tile that comes back unchanged ends without a frame; where it is the last one, only another frame tells "idle".
  setInterval(() => { if (box.dataset.state === "moving" && map.loaded()) map.triggerRepaint(); }, 500);
  map.on("zoomend", () => tell());
  map.on("error", ({ error }) => {
    if (error?.status === 401) tell(words.signedOut);
    else if (error?.status === 503) tell(words.tooMuch);
    else if (!map.loaded()) tell(words.failed);
  });
  tell();
}

try {
  start();
} catch {
  // No WebGL: the panel, the search and the list are all there.
  box.dataset.state = "failed";
  status.textContent = words.failed;
}
