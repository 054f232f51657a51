// The editor of a draft: what is chosen, what is changed, and the one thing to do next. It decides nothing: every edit
// is the server's, refused or taken, and the draft that comes back is what is shown.
import { area, byId, busy, call, config, make, number, when, words, write } from "./api.js";
import { combobox } from "./combobox.js";
import { addHandleLayers } from "./handles.js";
import { calm, collection, ground, maplibre, nothing, show, stripes, tiles } from "./ground.js";
import { impact } from "./impact.js";
import { problems } from "./problems.js";
import { boxOf } from "./shapes.js";
import { tools } from "./tools.js";

const editor = byId("editor"), box = byId("map");
const KINDS = { changed: "#0b5d4d", new: "#5b4aa8", returned: "#5b4aa8", renamed: "#0b5d4d", retired: "#6b7975" };

export const page = {
  draft: null,
  map: null,
  features: new Map(), // the changed regions' polygons, by code
  chosen: null, // {code, name, level, parent, feature|null, shape|null}
  complain, quiet, say, go, edit, load, choose, mayEdit,
  get from() {
    const day = byId("from").value;
    return day && day > byId("from").min ? day : null; // today is at once
  },
};

const path = (rest = "") => `${config.draft}/${rest}`;
page.path = path;

// ---------------------------------------------------------------- words from and to people

function say(text) {
  byId("said").textContent = text;
}

function quiet() {
  byId("complaint").hidden = true;
  for (const field of document.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  for (const line of document.querySelectorAll(".refusal")) line.remove();
}

/** Tell why something was refused, at its field where it has one, and what can be done about it. */
function complain(refused, form) {
  if (!(refused instanceof Error) || refused.code === undefined) throw refused;
  quiet();
  say("");
  const field = form?.elements[refused.data.field];
  if (field && field.offsetParent !== null && field.name) {
    const id = `${field.name}-refusal`;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", id);
    (field.closest(".field") ?? field.parentElement).append(make("p", { class: "error refusal", id }, `✕ ${refused.message}`));
    field.focus();
    return;
  }
  const parts = [make("p", {}, make("strong", {}, `✕ ${refused.message}`))];
  if (refused.data.changes?.length) {
    parts.push(make("p", {}, words.meanwhile), make("ul", {}, ...refused.data.changes.map((one) => make("li", {}, edited(one)))));
  }
  if (refused.data.regions?.length) {
    parts.push(make("ul", {}, ...refused.data.regions.map((one) => make("li", {},
      write(words.publishedMeanwhile, { name: `${one.name} ${one.code}`, set: one.set?.name ?? "", since: when(one.since) }), " ",
      make("button", { type: "button", onclick: () => resolve("rebase", one.code) }, words.keepMine), " ",
      make("button", { type: "button", onclick: () => resolve("undo", one.code) }, words.takeTheirs)))));
  }
  if (refused.code === "version_conflict") {
    parts.push(make("button", { type: "button", class: "main", onclick: async () => {
      await load();
      say(words.loadedAgain);
    } }, words.loadAgain));
  }
  if (refused.code === "not_open") parts.push(make("button", { type: "button", class: "main", onclick: () => location.reload() }, words.loadAgain));
  if (refused.code === "problems_open") parts.push(make("button", { type: "button", class: "main", onclick: () => { quiet(); go("problems"); checks.check(); } }, words.seeProblems));
  if (refused.code === "preview_needed") parts.push(make("button", { type: "button", class: "main", onclick: () => { quiet(); go("preview"); effects.work(); } }, words.previewImpact));
  const complaint = byId("complaint");
  complaint.replaceChildren(...parts);
  complaint.hidden = false;
  complaint.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  complaint.focus({ preventScroll: true });
}

async function resolve(op, code) {
  try {
    await load();
    await edit(op, { code });
  } catch (refused) { complain(refused); }
}

function edited(one) {
  const names = (one.codes ?? []).map((code) => page.draft?.shapes.find((shape) => shape.code === code)?.name ?? code);
  return `${when(one.at)} · ${one.by?.name ?? one.by} · ${config.ops[one.op] ?? one.op} ${names.slice(0, 4).join(", ")}${names.length > 4 ? " …" : ""}${one.detail?.reason ? ` – ${one.detail.reason}` : ""}`;
}

// ---------------------------------------------------------------- the draft

function mayEdit() {
  return page.draft?.status === "draft" && page.draft.may.edit;
}

async function load() {
  const [draft, shapes] = await Promise.all([call(path()), call(path("shapes.geojson"))]);
  page.features = new Map(shapes.features.map((feature) => [feature.properties.code, feature]));
  took(draft);
  quiet();
  checks.check();
}

/** Send one edit. Raises Refused and changes nothing then. */
async function edit(op, values, done) {
  const answer = await call(path("edits/"), { version: page.draft.version, op, ...values });
  for (const code of answer.dropped ?? []) page.features.delete(code);
  for (const feature of answer.features ?? []) page.features.set(feature.properties.code, feature);
  if (answer.features_left_out) {
    const { features } = await call(path("shapes.geojson"));
    page.features = new Map(features.map((feature) => [feature.properties.code, feature]));
  }
  quiet();
  took(answer.draft);
  say(done ?? words.saved);
  checks.check();
  return answer;
}

function took(draft) {
  if (page.draft && draft.drawn !== page.draft.drawn) effects.stale();
  page.draft = draft;
  for (const code of page.features.keys()) if (!draft.shapes.some((shape) => shape.code === code)) page.features.delete(code);
  byId("draft-name").textContent = draft.name;
  byId("draft-facts").textContent = `${draft.author.name} · ${words.changedAt} ${when(draft.changed_at)}`;
  editor.dataset.version = draft.version;
  editor.dataset.status = draft.status;
  for (const each of document.querySelectorAll("[data-edits]")) each.hidden = !mayEdit();
  if (page.chosen) {
    const shape = draft.shapes.find((one) => one.code === page.chosen.code);
    if (shape) Object.assign(page.chosen, { name: shape.name, parent: shape.parent, feature: page.features.get(shape.code) ?? page.chosen.feature });
    else if (page.chosen.shape) page.chosen = page.chosen.shape.kind === "new" ? null : page.chosen;
    if (page.chosen && !shape && page.chosen.shape) { const { code } = page.chosen; page.chosen = null; choose(code, { fit: false }); }
    if (page.chosen) page.chosen.shape = shape ?? null;
  }
  drawChanges();
  drawChosen();
  drawShapes();
  next();
}

// ---------------------------------------------------------------- the one thing to do next

export function next() {
  const { draft } = page, button = byId("next-action"), told = byId("next-words");
  if (!draft) return;
  const offer = (text, label, action) => {
    told.textContent = text;
    button.hidden = !label;
    button.textContent = label ?? "";
    button.onclick = action ?? null;
  };
  const steps = byId("steps");
  const count = (step, text) => { steps.querySelector(`[data-to="${step}"] [data-count]`).textContent = text; };
  count("change", draft.shapes.length || "");
  count("problems", checks.open || "");
  steps.querySelector("[data-to=problems]").classList.toggle("late", checks.open > 0);
  editor.dataset.state = checks.state === "checking" ? "checking" : "ready";
  if (draft.status === "published") {
    return offer(write(words.isPublished, { from: when(draft.valid_from), by: draft.published_by?.name ?? "" }), words.seeMap, () => location.assign(config.map));
  }
  if (draft.status === "abandoned") return offer(words.isAbandoned);
  if (!draft.may.edit) return offer(words.readOnly);
  if (!draft.shapes.length && page.chosen) return offer(write(words.beginWith, { name: page.chosen.name }));
  if (!draft.shapes.length) return offer(words.begin, words.choose, () => { go("change"); byId("q").focus(); });
  const stale = draft.shapes.filter((shape) => shape.stale);
  if (stale.length) {
    return offer(write(words.stale, { name: stale[0].name }), words.decide, () => { go("change"); choose(stale[0].code); });
  }
  if (checks.state === "checking") return offer(words.checking);
  if (checks.state === "failed") return offer(words.checkFailed, words.checkAgain, () => checks.check());
  if (checks.open) return offer(words.problemsLeft, write(words.solve, { count: checks.open }), () => { go("problems"); checks.first(); });
  if (effects.running) return offer(words.working);
  if (!effects.current) return offer(words.noProblems, words.previewImpact, () => { go("preview"); effects.work(); });
  if (!draft.may.publish) return offer(words.mayNotPublish);
  const label = page.from ? write(words.publishFrom, { from: page.from }) : words.publishNow;
  return offer(words.ready, label, () => { go("publish"); byId("publish-reason").focus(); });
}

function go(step) {
  for (const each of byId("panel").querySelectorAll("[data-step]")) each.hidden = each.dataset.step !== step;
  for (const each of byId("steps").querySelectorAll("button")) {
    if (each.dataset.to === step) each.setAttribute("aria-current", "step");
    else each.removeAttribute("aria-current");
  }
  if (step === "publish") effects.summary();
  if (innerWidth < 900) byId("panel").scrollIntoView({ behavior: calm ? "auto" : "smooth" });
}

byId("steps").addEventListener("click", (event) => {
  const button = event.target.closest("[data-to]");
  if (button) go(button.dataset.to);
});

// ---------------------------------------------------------------- the list of changes

function badge(shape) {
  return make("span", { class: `kind ${shape.kind}` }, config.kinds[shape.kind]);
}

function areas(shape) {
  if (shape.kind === "retired") return area(shape.base_area_m2);
  if (shape.base_area_m2 === null || shape.base_area_m2 === shape.area_m2) return area(shape.area_m2);
  const more = shape.area_m2 - shape.base_area_m2;
  return `${area(shape.base_area_m2)} → ${area(shape.area_m2)} (${more < 0 ? "−" : "+"}${area(Math.abs(more))})`;
}

function drawChanges() {
  byId("no-changes").hidden = page.draft.shapes.length > 0;
  byId("changes").replaceChildren(...page.draft.shapes.map((shape) => make("li", { class: shape.stale ? "stale" : "" },
    make("p", {}, badge(shape), " ", make("strong", {}, shape.name), " ", make("span", { class: "quiet number" }, `${shape.code} · ${shape.level_name}`)),
    make("p", { class: "quiet number" }, shape.known_name && shape.known_name !== shape.name ? `${write(words.was, { name: shape.known_name })} · ` : "", areas(shape)),
    shape.stale ? make("p", { class: "warn" }, words.staleShort) : null,
    make("p", { class: "row" },
      make("button", { type: "button", "aria-label": `${words.open} ${shape.name}`, onclick: () => choose(shape.code, { focus: true }) }, words.open),
      mayEdit() ? make("button", { type: "button", class: "stop", "aria-label": `${words.undo} ${shape.name}`,
        onclick: (event) => busy(event.target, () => drop(shape.code)) }, words.undo) : null))));
}

async function drop(code) {
  craft.close();
  try { await edit("undo", { code }, words.undone); } catch (refused) { complain(refused); }
}

byId("history").addEventListener("toggle", async () => {
  if (!byId("history").open) return;
  const { edits } = await call(path("history/"));
  byId("edits").replaceChildren(...edits.map((one) => make("li", {}, edited(one))));
});

byId("rename").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const draft = await call(path("rename/"), { version: page.draft.version, name: byId("rename-name").value });
    took({ ...page.draft, ...draft, shapes: draft.shapes ?? page.draft.shapes });
    say(words.saved);
  } catch (refused) { complain(refused, event.target); }
});

byId("abandon").addEventListener("click", async () => {
  const button = byId("abandon");
  if (!button.dataset.sure) {
    button.dataset.sure = "1";
    button.textContent = words.sure;
    return;
  }
  try {
    await call(path("abandon/"), { version: page.draft.version });
    location.assign(config.drafts);
  } catch (refused) { complain(refused); }
});

// ---------------------------------------------------------------- the chosen region

let choosing = 0;

async function choose(code, { fit = true, focus = false } = {}) {
  if (!code) {
    page.chosen = null;
    drawChosen();
    return drawShapes();
  }
  craft.close();
  const turn = ++choosing, shape = page.draft.shapes.find((one) => one.code === code) ?? null;
  try {
    const feature = page.features.get(code) ?? (await call(path(`region.geojson?code=${encodeURIComponent(code)}`)));
    if (turn !== choosing) return undefined;
    const { name, level, parent } = feature.properties;
    page.chosen = { code, name, level, parent, feature: feature.geometry ? feature : null, shape };
  } catch (refused) {
    if (turn !== choosing) return undefined;
    return complain(refused);
  }
  quiet();
  go("change");
  drawChosen();
  drawShapes();
  if (fit && page.chosen.feature) show(page.map, boxOf(page.chosen.feature.geometry));
  if (focus || innerWidth < 900) byId("chosen-name").focus({ preventScroll: innerWidth >= 900 });
  return undefined;
}

function drawChosen() {
  const { chosen } = page;
  next();
  byId("chosen").hidden = !chosen;
  if (!chosen) return;
  const { shape } = chosen;
  byId("chosen-name").textContent = chosen.name;
  byId("chosen-facts").replaceChildren(...(shape ? [badge(shape), " "] : []), make("span", { class: "number" },
    [chosen.code, config.levels[chosen.level], chosen.parent ? write(words.within, { code: chosen.parent }) : "",
      shape ? areas(shape) : "", chosen.feature ? write(words.corners, { count: number(cornersOf(chosen.feature.geometry)) }) : words.noBorder].filter(Boolean).join(" · ")));
  byId("chosen-stale").hidden = !shape?.stale;
  byId("rebase").hidden = !shape?.stale;
  byId("drop").hidden = !shape;
  const gone = shape?.kind === "retired";
  for (const button of byId("chosen").querySelectorAll("[data-tool]")) {
    const needs = button.dataset.needs;
    button.hidden = gone || (needs === "shape" && !chosen.feature) || (needs === "known" && shape?.kind === "new");
  }
  byId("chosen-show").hidden = !chosen.feature;
}

function cornersOf(geometry) {
  const parts = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  return parts.flat().reduce((sum, ring) => sum + ring.length - 1, 0);
}

byId("chosen-show").addEventListener("click", () => {
  show(page.map, boxOf(page.chosen.feature.geometry));
  if (innerWidth < 900) box.scrollIntoView({ block: "center" });
});
byId("chosen-close").addEventListener("click", () => { craft.close(); choose(null); byId("q").value = ""; byId("q").focus(); });
byId("drop").addEventListener("click", (event) => busy(event.target, () => drop(page.chosen.code)));
byId("rebase").addEventListener("click", async () => {
  try { await edit("rebase", { code: page.chosen.code }); } catch (refused) { complain(refused); }
});
byId("search").addEventListener("submit", (event) => event.preventDefault());
combobox(byId("q"), byId("suggestions"), byId("search-status"), (one) => choose(one.code, { focus: true }));

// ---------------------------------------------------------------- the map

function drawShapes() {
  if (!page.map?.getSource("shapes")) return;
  const kinds = Object.fromEntries(page.draft.shapes.map((shape) => [shape.code, shape.kind]));
  const features = [...page.features.values()].filter((feature) => feature.geometry).map((feature) => (
    { ...feature, properties: { ...feature.properties, kind: kinds[feature.properties.code] ?? "changed" } }));
  page.map.getSource("shapes").setData(collection(features));
  page.map.getSource("chosen").setData(page.chosen?.feature ?? nothing());
  box.dataset.shapes = features.length;
}

function layers(map) {
  for (const [name, colour, back] of [["red", "#a3171b", false], ["amber", "#b26a00", true], ["grey", "#6b7975", false]]) {
    map.addImage(`stripes-${name}`, stripes(colour, { back }), { pixelRatio: 2 });
  }
  for (const source of ["shapes", "chosen", "problems", "impact"]) map.addSource(source, { type: "geojson", data: nothing() });
  const kind = ["match", ["get", "kind"], ...Object.entries(KINDS).flat(), KINDS.changed];
  const retired = ["==", ["get", "kind"], "retired"];
  map.addLayer({ id: "shape-fill", type: "fill", source: "shapes", filter: ["!", retired], paint: { "fill-color": kind, "fill-opacity": 0.22 } });
  map.addLayer({ id: "shape-gone", type: "fill", source: "shapes", filter: retired, paint: { "fill-pattern": "stripes-grey", "fill-opacity": 0.5 } });
  map.addLayer({ id: "shape-line", type: "line", source: "shapes", paint: { "line-color": kind, "line-width": 2.5 } });
  checks.layers(map);
  map.addLayer({ id: "chosen-line", type: "line", source: "chosen", paint: { "line-color": "#0b57d0", "line-width": 4 } });
  effects.layers(map);
  addHandleLayers(map);
}

/** The region under a point: as it would be where the draft changes it, else as it is. */
function regionAt(point) {
  const on = (layer) => (page.map.getLayer(layer) ? page.map.queryRenderedFeatures(point, { layers: [layer] }) : []);
  const deepest = (found) => found.sort((a, b) => b.properties.level - a.properties.level)[0];
  return (deepest(on("shape-fill")) ?? deepest(on("region-fill")))?.properties;
}

function clicked(point, lngLat) {
  if (craft.clicked(point, lngLat, regionAt(point))) return;
  if (checks.clicked(point) || effects.clicked(point)) return;
  const region = regionAt(point);
  if (region) choose(region.code, { fit: false });
}

function start() {
  const asked = page.draft.box ?? (page.chosen?.feature ? boxOf(page.chosen.feature.geometry) : null);
  page.map = ground(box, { bounds: asked, label: words.map, ready: (map) => {
    layers(map);
    drawShapes();
    checks.draw();
    editor.dataset.drawn = "1";
  } });
  const { map } = page;
  map.on("click", (event) => clicked(event.point, event.lngLat));
  map.getCanvas().addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !craft.draws) clicked(map.project(map.getCenter()), map.getCenter());
    if (event.key === "Escape") craft.close();
  });
  map.on("error", ({ error }) => {
    if (error?.status === 401) byId("map-status").textContent = words.signedOut;
    else if (error?.status === 503) byId("map-status").textContent = words.tooMuch;
  });
  byId("ground-level").addEventListener("change", () => {
    map.getSource("regions").setTiles(tiles({ level: byId("ground-level").value }));
  });
  if (innerWidth >= 900) byId("map-key").open = true;
}

page.popup = (at, ...content) => new maplibre.Popup({ maxWidth: "280px" }).setLngLat(at).setDOMContent(make("div", {}, ...content)).addTo(page.map);
page.next = next;
page.use = async (code, tool) => {
  await choose(code, { fit: false });
  if (page.chosen?.code === code) craft.open(tool);
};

const checks = problems(page), effects = impact(page), craft = tools(page);
byId("from").addEventListener("change", () => { checks.check(); next(); });

try {
  await load();
  const wanted = new URLSearchParams(location.search).get("region");
  if (wanted && mayEdit()) {
    try { page.chosen = { code: wanted, feature: await call(path(`region.geojson?code=${encodeURIComponent(wanted)}`)) }; } catch { page.chosen = null; }
    if (page.chosen) {
      const { feature } = page.chosen;
      page.chosen = { ...feature.properties, feature: feature.geometry ? feature : null, shape: page.draft.shapes.find((one) => one.code === wanted) ?? null };
      drawChosen();
    }
  }
  try {
    start();
  } catch (error) {
    // No WebGL: choosing by name, coordinates as text, the lists and the steps are all there.
    box.dataset.state = "failed";
    byId("map-status").textContent = words.mapFailed;
    console.info(error);
  }
} catch (refused) {
  complain(refused);
}
