// What can be done to borders: each tool is a form of the page, most with a drawing on the map beside it. What is
// written in a form as text counts before what was drawn, so that nothing needs a hand that can drag.
import { busy, byId, call, make, upload, words, write } from "./api.js";
import { Drawing } from "./drawing.js";
import { calm, maplibre, viewOf } from "./ground.js";
import { Handles } from "./handles.js";
import { boxOf, Magnet, polygons, readGeometry } from "./shapes.js";

export function tools(page) {
  let tool = null; // {name, form, drawing?, handles?}
  let magnet = null, fetched = "";
  let pin = null, others = new Map();
  const craft = { open, close, clicked, get draws() { return Boolean(tool?.drawing); } };
  const bar = byId("toolbar");
  const form = (name) => byId(`form-${name}`);

  // ---------------------------------------------------------------- opening and closing

  function open(name) {
    if (!page.mayEdit()) return;
    close();
    page.quiet();
    tool = { name, form: form(name) };
    tool.form.hidden = false;
    tool.form.querySelector("[data-tell]")?.replaceChildren();
    byId("editor").dataset.tool = name;
    begin[name]?.();
    dress();
    if (innerWidth >= 900) tool.form.querySelector("h3").scrollIntoView({ block: "nearest" });
    if (bar.hidden) (tool.form.querySelector("input:not([type=checkbox]):not([type=radio]), select, button"))?.focus();
    else byId("map").scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  }

  function close() {
    if (!tool) return;
    tool.drawing?.end();
    tool.handles?.end();
    tool.form.hidden = true;
    for (const text of tool.form.querySelectorAll("textarea, input[type=file]")) text.value = "";
    for (const details of tool.form.querySelectorAll("details")) details.open = false;
    pin?.remove();
    pin = null;
    page.map?.off("moveend", attract);
    magnet = null;
    fetched = "";
    tool = null;
    delete byId("editor").dataset.tool;
    bar.hidden = true;
  }

  function tell(text, { back = false, remove = false, end = false, save = "" } = {}) {
    if (!tool) return;
    const line = tool.form.querySelector("[data-tell]");
    if (line && line.textContent !== text) line.textContent = text;
    bar.hidden = !page.map;
    byId("toolbar-words").textContent = text;
    byId("tool-back").hidden = !back;
    byId("tool-remove").hidden = !remove;
    byId("tool-end").hidden = !end;
    byId("tool-save").hidden = !save;
    byId("tool-save").textContent = save;
  }

  function dress() {
    for (const button of document.querySelectorAll("button[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool?.name));
  }

  // ---------------------------------------------------------------- the magnet: what corners stick to

  const level = () => Number(tool.name === "draw" ? byId("draw-level").value : page.chosen.level);

  async function attract() {
    const box = tool?.form.querySelector("[data-magnet]");
    if (!box?.checked || !page.map) { magnet = null; return; }
    const own = tool, view = viewOf(page.map).map((value) => value.toFixed(5)).join(",");
    if (fetched === view + level()) return;
    fetched = view + level();
    try {
      const { features } = await call(page.path(`neighbours.geojson?box=${view}&level=${level()}`));
      if (tool !== own) return;
      magnet = new Magnet(features.filter((feature) => feature.properties.code !== page.chosen?.code || tool.name === "split"));
      byId("map").dataset.magnet = features.length;
    } catch (refused) {
      magnet = null;
      if (refused.code === "too_large") byId("map-status").textContent = words.zoomToStick;
    }
  }

  const pull = () => (tool?.form.querySelector("[data-magnet]")?.checked ? magnet : null);

  function stick() {
    attract();
    page.map?.on("moveend", attract);
  }

  for (const box of document.querySelectorAll("[data-magnet]")) box.addEventListener("change", attract);

  // ---------------------------------------------------------------- the tools

  const begin = {
    reshape() {
      if (!page.map) return;
      tool.handles = new Handles(page.map, polygons(page.chosen.feature.geometry), { magnet: pull, told: (now) => {
        const text = now.shown ? write(now.held ? words.cornerHeld : words.corners_, { count: now.corners })
          : now.corners ? write(words.tooManyCorners, { count: now.corners, most: now.most }) : words.noCorners;
        tell(text, { back: now.changed, remove: now.held, save: now.changed ? words.saveBorder : "" });
      } });
      stick();
    },
    draw() {
      const { chosen } = page, parent = chosen && chosen.level < 5 ? chosen : null;
      byId("draw-parent").value = parent?.code ?? chosen?.parent ?? "";
      byId("draw-code").value = parent ? freeCode(parent.code) : "";
      byId("draw-name").value = "";
      drawn("polygon", words.drawFirst, words.drawMore, words.drawDone);
      stick();
    },
    split() {
      byId("split-code").value = freeCode(page.chosen.code);
      byId("split-name").value = "";
      tool.form.querySelector("[data-code]").textContent = page.chosen.code;
      tool.form.elements.keeps.value = "larger";
      pointed();
      drawn("linestring", words.lineFirst, words.lineMore, words.lineDone);
      stick();
    },
    merge() {
      tell(words.mergeTell, { save: words.goOn });
      neighbours();
    },
    describe() {
      const { chosen } = page, fresh = chosen.shape?.kind === "new";
      byId("describe-name").value = chosen.name;
      byId("describe-code").value = chosen.code;
      byId("describe-parent").value = chosen.parent ?? "";
      for (const field of tool.form.querySelectorAll("[data-new]")) field.hidden = !fresh;
    },
    import() {
      byId("import-result").replaceChildren();
      byId("import-progress").hidden = true;
    },
  };

  /** A code below another that this draft does not use yet. */
  function freeCode(code) {
    const used = new Set(page.draft.shapes.map((shape) => shape.code));
    for (let i = 1; i < 1000; i++) if (!used.has(`${code}-${i}`)) return `${code}-${i}`;
    return `${code}-`;
  }

  function drawn(kind, first, more, done) {
    if (!page.map) return;
    const again = tool.form.querySelector("[data-again]"), least = kind === "polygon" ? 3 : 2;
    tool.drawing = new Drawing(page.map, kind, { magnet: pull, told: (now) => {
      again.hidden = !now.done;
      byId("map").dataset.corners = now.corners;
      tell(now.done ? done : now.corners ? write(more, { count: now.corners }) : first,
        { back: !now.done && now.corners > 0, end: !now.done && now.corners >= least, save: now.done ? words.goOn : "" });
    } });
    again.onclick = () => tool.drawing.again();
  }

  async function neighbours() {
    const { code, name, feature, level: own } = page.chosen;
    const [west, south, east, north] = boxOf(feature.geometry), rim = 1e-4;
    others = new Map();
    let found = [];
    try {
      const box = [west - rim, south - rim, east + rim, north + rim].join(",");
      found = (await call(page.path(`neighbours.geojson?box=${box}&level=${own}`))).features;
    } catch (refused) { page.complain(refused); }
    if (tool?.name !== "merge") return;
    for (const each of found) if (each.properties.code !== code) others.set(each.properties.code, each.properties.name);
    byId("neighbours").replaceChildren(...[...others].map(([other, called]) => make("label", { class: "check" },
      make("input", { type: "checkbox", name: "codes", value: other, onchange: keeps }), ` ${called} `, make("span", { class: "quiet number" }, other))));
    if (!others.size) byId("neighbours").append(make("p", {}, words.noNeighbours));
    byId("merge-keep").replaceChildren(make("option", { value: code }, `${name} ${code}`));
  }

  const ticked = () => [...byId("neighbours").querySelectorAll("input:checked")].map((box) => box.value);

  function keeps() {
    const { code, name } = page.chosen, before = byId("merge-keep").value;
    byId("merge-keep").replaceChildren(...[[code, name], ...ticked().map((one) => [one, others.get(one)])].map(([one, called]) => (
      make("option", { value: one, selected: one === before }, `${called} ${one}`))));
  }

  function pointed() {
    const place = form("split").elements.keeps.value === "place";
    form("split").querySelector("[data-place]").hidden = !place;
    if (!place) { pin?.remove(); pin = null; }
  }
  form("split").addEventListener("change", (event) => {
    if (event.target.name !== "keeps") return;
    pointed();
    if (form("split").elements.keeps.value === "place") tell(words.pointTell, { save: words.goOn });
  });

  /** True where a click belongs to the tool in hand. */
  function clicked(point, lngLat, region) {
    if (!tool) return false;
    if (tool.name === "merge") {
      const box = region && byId("neighbours").querySelector(`input[value="${CSS.escape(region.code)}"]`);
      if (box) { box.checked = !box.checked; keeps(); tell(write(words.merging, { count: ticked().length + 1 }), { save: words.goOn }); }
      return true;
    }
    if (tool.name === "split" && tool.drawing?.done && form("split").elements.keeps.value === "place") {
      pin?.remove();
      pin = new maplibre.Marker({ color: "#0b57d0" }).setLngLat(lngLat).addTo(page.map);
      byId("split-keep").value = `${lngLat.lng.toFixed(6)}, ${lngLat.lat.toFixed(6)}`;
      return true;
    }
    return Boolean(tool.drawing || tool.handles);
  }

  // ---------------------------------------------------------------- what was written instead of drawn

  function wrong(field, message) {
    throw Object.assign(new Error(message), { code: "refused", data: { field } });
  }

  function written(name) {
    const area = tool.form.elements[name], text = area.value.trim();
    if (!text || text === area.dataset.before) return null;
    if (name === "line") return lineOf(text);
    let geometry = null;
    try { geometry = readGeometry(text); } catch (error) { wrong(name, `${words.notGeoJson} ${error.message}`); }
    return geometry ?? wrong(name, words.noPolygon);
  }

  function lineOf(text) {
    if (text.startsWith("{")) {
      try { return JSON.parse(text); } catch (error) { wrong("line", `${words.notGeoJson} ${error.message}`); }
    }
    return { type: "LineString", coordinates: text.split(/[\n;]+/).filter((line) => line.trim()).map((line) => placeOf(line, "line")) };
  }

  function placeOf(text, field) {
    const numbers = text.trim().split(/[\s,，]+/).map(Number);
    return numbers.length === 2 && numbers.every(Number.isFinite) ? numbers : wrong(field, write(words.notAPlace, { text: text.trim().slice(0, 40) }));
  }

  // ---------------------------------------------------------------- saving

  const save = {
    reshape: () => page.edit("reshape", { code: page.chosen.code, geometry: written("geometry") ?? tool.handles?.geometry ?? wrong("geometry", words.noPolygon) }),
    async draw() {
      const { code, name, level: at, parent } = tool.form.elements;
      const geometry = written("geometry") ?? tool.drawing?.done ?? wrong("geometry", words.drawBefore);
      const answer = await page.edit("draw", { code: code.value.trim(), name: name.value.trim(), level: Number(at.value), parent: parent.value.trim(), geometry });
      return () => page.choose(answer.features?.[0]?.properties.code ?? code.value.trim(), { fit: false });
    },
    split() {
      const { code, name, keep, keeps: by } = tool.form.elements;
      const line = written("line") ?? tool.drawing?.done ?? wrong("line", words.lineBefore);
      const place = by.value === "place" ? { keep: placeOf(keep.value, "keep") } : {};
      return page.edit("split", { code: page.chosen.code, line, ...place, new: { code: code.value.trim(), name: name.value.trim() } });
    },
    merge() {
      const codes = ticked();
      if (!codes.length) wrong("codes", words.tickOne);
      const kept = byId("merge-keep").value;
      return page.edit("merge", { codes: [page.chosen.code, ...codes], keep: kept }).then(() => () => page.choose(kept, { fit: true }));
    },
    snap: () => page.edit("snap", { code: page.chosen.code, metres: Number(byId("snap-metres").value) }),
    describe() {
      const { chosen } = page, values = { code: chosen.code, name: byId("describe-name").value.trim() };
      if (chosen.shape?.kind === "new") {
        values.parent = byId("describe-parent").value.trim();
        if (byId("describe-code").value.trim() !== chosen.code) values.new_code = byId("describe-code").value.trim();
      }
      return page.edit("describe", values).then(() => (values.new_code ? () => page.choose(values.new_code, { fit: false }) : null));
    },
    retire: () => page.edit("retire", { code: page.chosen.code, ...(tool.form.elements.below.checked ? { below: true } : {}) }),
    import: bring,
  };

  async function submit(button) {
    const own = tool;
    if (!own) return;
    await busy(button, async () => {
      try {
        const after = await save[own.name]();
        if (own.name === "import") return;
        if (tool === own) close();
        dress();
        if (typeof after === "function") await after();
        else byId("chosen-name").focus({ preventScroll: true });
      } catch (refused) {
        const area = own.form.elements[refused.data?.field];
        area?.closest?.("details")?.setAttribute("open", "");
        page.complain(refused, own.form);
      }
    });
  }

  async function bring() {
    const { file } = tool.form.elements, result = byId("import-result"), progress = byId("import-progress"), bar_ = progress.querySelector("progress");
    if (!file.files.length) wrong("file", words.fileBefore);
    const body = new FormData();
    body.append("file", file.files[0]);
    body.append("version", page.draft.version);
    result.replaceChildren();
    progress.hidden = false;
    bar_.value = 0;
    byId("import-words").textContent = words.uploading;
    try {
      const answer = await upload(page.path("import/"), body, (share) => {
        if (share < 1) bar_.value = share * 100;
        else { bar_.removeAttribute("value"); byId("import-words").textContent = words.reading; }
      });
      await page.load();
      page.say(words.saved);
      report(answer);
      if (page.map && page.draft.box) page.map.fitBounds(page.draft.box, { padding: 40, maxZoom: 14, animate: !calm });
    } catch (refused) {
      if (refused.data?.refused) report({ taken: [], unchanged: [], ...refused.data });
      throw refused;
    } finally {
      progress.hidden = true;
    }
  }

  function report({ taken, unchanged, refused }) {
    const rows = refused.slice(0, 200).map((row) => make("tr", {}, make("td", { class: "number" }, String(row.row ?? "–")),
      make("td", {}, [row.code, row.field].filter(Boolean).join(" · ") || "–"), make("td", {}, row.reason)));
    const parts = [make("p", {}, make("strong", {}, write(words.imported, { taken: taken.length, same: unchanged.length, refused: refused.length })))];
    if (rows.length) {
      parts.push(make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": words.refusedRows }, make("table", {},
        make("thead", {}, make("tr", {}, make("th", { scope: "col", class: "number" }, words.row), make("th", { scope: "col" }, words.field), make("th", { scope: "col" }, words.reason))),
        make("tbody", {}, ...rows))));
    }
    byId("import-result").replaceChildren(...parts);
    byId("import-result").focus();
  }

  // ---------------------------------------------------------------- buttons

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-tool]");
    if (button) open(button.dataset.tool);
    if (event.target.closest("[data-cancel]")) { close(); dress(); page.quiet(); }
  });
  for (const each of document.querySelectorAll("form.tool")) {
    each.addEventListener("submit", (event) => { event.preventDefault(); submit(event.submitter ?? each.querySelector("[data-save]")); });
  }
  byId("tool-cancel").addEventListener("click", () => { close(); dress(); });
  byId("tool-back").addEventListener("click", () => (tool.handles ?? tool.drawing).undo());
  byId("tool-end").addEventListener("click", () => tool.drawing.finish());
  byId("tool-remove").addEventListener("click", () => { if (!tool.handles.remove()) byId("map-status").textContent = words.threeCorners; });
  byId("tool-save").addEventListener("click", () => {
    if (tool.name === "reshape") return submit(byId("tool-save"));
    tool.form.scrollIntoView({ behavior: calm ? "auto" : "smooth" });
    return tool.form.querySelector(".fields input, select")?.focus({ preventScroll: true });
  });
  for (const details of document.querySelectorAll("details.as-text")) {
    const area = details.querySelector("textarea"), file = details.querySelector("input[type=file]");
    details.addEventListener("toggle", () => {
      if (!details.open || area.value || tool?.name !== "reshape") return;
      const text = JSON.stringify(tool.handles?.geometry ?? page.chosen.feature.geometry);
      area.value = text.length < 500_000 ? text : "";
      area.placeholder = area.value ? "" : words.tooLongToShow;
      area.dataset.before = area.value;
    });
    file?.addEventListener("change", async () => {
      if (file.files.length) area.value = await file.files[0].text();
    });
  }
  return craft;
}
