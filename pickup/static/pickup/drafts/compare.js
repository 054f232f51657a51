// Two boundary sets, or two days, beside each other: what came, what went, what moved.
import { area, busy, byId, call, config, date, make, words, write } from "./api.js";
import { collection, ground, nothing, show, stripes } from "./ground.js";
import { boxOf } from "./shapes.js";

const page = byId("comparison"), asked = config.asked;
let map = null, chosen = null;

function complain(refused) {
  byId("complaint").replaceChildren(make("p", {}, make("strong", {}, `✕ ${refused.message}`)));
  byId("complaint").hidden = false;
}

function query() {
  const values = new URLSearchParams({ a: byId("a").value, b: byId("b").value });
  if (byId("level").value) values.set("level", byId("level").value);
  return values;
}

async function choices() {
  const { sets } = await call("sets/");
  const today = make("option", { value: "" }, words.today);
  const options = sets.map((set) => make("option", { value: `set:${set.id}` }, `${set.name} · ${date(set.valid_from)}`));
  for (const [id, wanted, usual] of [["a", asked.a, sets[1] ?? sets[0]], ["b", asked.b, null]]) {
    const select = byId(id);
    select.replaceChildren(today.cloneNode(true), ...options.map((option) => option.cloneNode(true)));
    if (wanted && ![...select.options].some((option) => option.value === wanted)) select.append(make("option", { value: wanted }, wanted));
    select.value = wanted ? wanted : (usual ? `set:${usual.id}` : "");
  }
}

async function compare() {
  page.dataset.state = "comparing";
  byId("complaint").hidden = true;
  byId("said").textContent = words.comparing;
  try {
    told(await call(`compare/?${query()}`));
    byId("said").textContent = "";
    page.dataset.state = "ready";
  } catch (refused) {
    byId("said").textContent = "";
    complain(refused);
    page.dataset.state = "failed";
  }
}

function table(kind, title, rows) {
  if (!rows.length) return null;
  const moved = kind === "changed";
  const heads = moved ? [words.region, words.before, words.after, words.gained, words.lost] : [words.region, words.areaMoves];
  return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, make("table", {},
    make("caption", {}, `${title}: ${rows.length}`),
    make("thead", {}, make("tr", {}, ...heads.map((head, i) => make("th", { scope: "col", class: i ? "number" : "" }, i === 1 && !moved ? words.ground : head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {},
      make("th", { scope: "row" }, make("button", { type: "button", class: "plain", "data-code": row.code, onclick: (event) => busy(event.target, () => draw(row)) }, row.name),
        make("span", { class: "quiet number" }, `${row.code} · ${row.level_name}`)),
      ...(moved ? [row.before_m2, row.after_m2, row.gained_m2, row.lost_m2] : [row.area_m2]).map((value) => make("td", { class: "number" }, area(value))))))));
}

function told({ a, b, added, removed, changed, more }) {
  const parts = [table("added", words.added, added), table("removed", words.removed, removed), table("changed", words.changed, changed)].filter(Boolean);
  const line = make("p", { class: "quiet number" }, `${a.label} → ${b.label}`);
  byId("differences").replaceChildren(line, ...(parts.length ? parts : [make("p", {}, words.sameBorders)]), ...(more ? [make("p", {}, write(words.more, { count: more }))] : []));
  overview([...added.map((row) => [row, "gained"]), ...removed.map((row) => [row, "lost"]), ...changed.map((row) => [row, "both"])]);
}

/** The first few are drawn at once, so that the map is not empty; the others when they are asked for. */
async function overview(rows) {
  const few = rows.slice(0, 12), own = (chosen = {});
  const found = await Promise.all(few.map(([row]) => difference(row).catch(() => [])));
  if (chosen !== own) return;
  put(found.flat());
  if (found.flat().length && map) show(map, boxOf({ type: "GeometryCollection", geometries: found.flat().map((feature) => feature.geometry) }), { maxZoom: 13 });
}

async function difference(row) {
  const { features } = await call(`compare/${encodeURIComponent(row.code)}/?${query()}`);
  return features.filter((feature) => feature.geometry);
}

async function draw(row) {
  const own = (chosen = row);
  try {
    const features = await difference(row);
    if (chosen !== own) return;
    put(features);
    if (map && features.length) show(map, boxOf({ type: "GeometryCollection", geometries: features.map((feature) => feature.geometry) }));
    if (innerWidth < 900) byId("map").scrollIntoView({ block: "center" });
    byId("map-status").textContent = row.name;
  } catch (refused) { complain(refused); }
}

function put(features) {
  byId("map").dataset.drawn = features.length;
  map?.getSource("difference")?.setData(features.length ? collection(features) : nothing());
}

byId("compare").addEventListener("submit", (event) => {
  event.preventDefault();
  history.replaceState(null, "", `${location.pathname}?${query()}`);
  busy(event.submitter, compare);
});

function start() {
  map = ground(byId("map"), { label: words.map, ready: (ready) => {
    ready.addSource("difference", { type: "geojson", data: nothing() });
    ready.addImage("stripes-red", stripes("#a3171b"), { pixelRatio: 2 });
    const part = (name) => ["==", ["get", "part"], name];
    ready.addLayer({ id: "gained", type: "fill", source: "difference", filter: part("gained"), paint: { "fill-color": "#0a7a48", "fill-opacity": 0.5 } });
    ready.addLayer({ id: "lost", type: "fill", source: "difference", filter: part("lost"), paint: { "fill-pattern": "stripes-red" } }); // above the green: what one lost another may have gained
    ready.addLayer({ id: "before", type: "line", source: "difference", filter: part("before"), paint: { "line-color": "#33403b", "line-width": 2, "line-dasharray": [3, 2] } });
    ready.addLayer({ id: "after", type: "line", source: "difference", filter: part("after"), paint: { "line-color": "#0b57d0", "line-width": 2.5 } });
  } });
}

try {
  try { start(); } catch { byId("map-status").textContent = words.mapFailed; }
  await choices();
  await compare();
} catch (refused) { complain(refused); page.dataset.state = "failed"; }
