// What a draft would change, and publishing it.
import { area, busy, byId, call, date, make, number, when, words, write, config } from "./api.js";
import { calm, collection, nothing } from "./ground.js";

export function impact(page) {
  let preview = null, turn = 0;
  const effects = {
    running: false, work, layers, clicked, summary,
    get current() { return Boolean(preview?.result && preview.current !== false && preview.asked === page.from); },
    stale() { if (preview) { preview.current = false; told(); } },
  };

  // ---------------------------------------------------------------- working it out

  async function work() {
    const now = ++turn, asked = page.from, progress = byId("preview-progress"), bar = progress.querySelector("progress");
    page.quiet();
    effects.running = true;
    progress.hidden = false;
    bar.removeAttribute("value");
    byId("preview-words").textContent = words.working;
    page.next();
    try {
      let state = await call(page.path("preview/"), { version: page.draft.version, from: asked });
      while (state.status === "waiting" || state.status === "running") {
        if (state.total) {
          bar.max = state.total;
          bar.value = state.done;
          byId("preview-words").textContent = write(words.workingOn, { done: number(state.done), total: number(state.total) });
        } else if (state.status === "waiting") byId("preview-words").textContent = words.waiting;
        await new Promise((resolve) => { setTimeout(resolve, 1000); });
        if (now !== turn) return;
        state = await call(page.path(`preview/${state.id}/`));
      }
      if (now !== turn) return;
      preview = { ...state, asked };
      if (state.status === "failed") page.complain(Object.assign(new Error(state.message || words.failed), { code: "failed", data: {} }));
    } catch (refused) {
      if (now === turn) page.complain(refused);
    } finally {
      if (now === turn) {
        effects.running = false;
        progress.hidden = true;
        byId("preview-words").textContent = "";
        told();
        page.next();
      }
    }
  }

  // ---------------------------------------------------------------- telling it

  const named = (region) => (region ? `${region.name} ${region.code}` : words.nowhere);

  function table(caption, heads, rows) {
    const head = heads.map(([text, figures]) => make("th", { scope: "col", class: figures ? "number" : "" }, text));
    const body = rows.map((row) => make("tr", {}, ...row.map((cell, i) => make(i ? "td" : "th", i ? { class: heads[i][1] ? "number" : "" } : { scope: "row" }, cell))));
    return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
      make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
  }

  const tile = (name, value, more = "") => make("div", {}, make("dt", {}, name), make("dd", {}, value, more ? make("small", {}, more) : null));

  function money(minor, currency, sign) {
    const digits = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
    const text = new Intl.NumberFormat(document.documentElement.lang, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(Math.abs(minor) / 10 ** digits);
    return `${minor < 0 ? "−" : sign && minor > 0 ? "+" : ""}${text}`;
  }

  function told() {
    const box = byId("impact");
    drawn();
    byId("editor").dataset.preview = preview?.result ? (effects.current ? "current" : "stale") : "none";
    if (!preview?.result) return box.replaceChildren();
    const { parcels, points, fees, appointments, area_m2: moved, days } = preview.result, parts = [];
    if (!effects.current) parts.push(make("p", { class: "warn" }, words.staleImpact));
    const tiles = [];
    if (parcels) tiles.push(tile(words.parcelsMove, number(parcels.moved), write(words.ofLookedAt, { count: number(parcels.looked_at), days })));
    if (points) tiles.push(tile(words.pointsMove, number(points.moved)));
    if (moved !== null && moved !== undefined) tiles.push(tile(words.areaMoves, area(moved)));
    if (appointments) tiles.push(tile(words.agentsEnd, number(appointments.length)));
    parts.push(make("dl", { class: "tiles" }, ...tiles));
    if (parcels?.flows?.length) {
      parts.push(table(words.flows, [[words.from], [words.to], [words.parcels, true]], parcels.flows.map((flow) => [
        named(flow.from), make("span", {}, named(flow.to), flow.to?.new ? make("span", { class: "kind new" }, words.isNew) : null), number(flow.parcels)])));
    }
    if (parcels?.by_name) parts.push(make("p", { class: "quiet" }, write(words.byName, { count: number(parcels.by_name) })));
    if (fees?.agents?.length) {
      parts.push(table(`${words.fees} (${fees.currency})`, [[words.agent], [words.before, true], [words.after, true], [words.difference, true]], fees.agents.map((row) => [
        `${row.name} ${row.ref}`, money(row.paid_minor, fees.currency), money(row.would_minor, fees.currency),
        make("strong", { class: row.difference_minor < 0 ? "less" : "more" }, money(row.difference_minor, fees.currency, true))])));
      if (fees.network_difference_minor) parts.push(make("p", {}, write(words.networkKeeps, { amount: `${money(fees.network_difference_minor, fees.currency, true)} ${fees.currency}` })));
    } else if (fees) parts.push(make("p", {}, words.noFees));
    if (points?.points?.length) {
      parts.push(table(words.points, [[words.point], [words.from], [words.to]], points.points.map((one) => [`${one.name} ${one.ref}`, named(one.from), named(one.to)])));
    }
    if (appointments?.length) {
      parts.push(table(words.agentsEnd, [[words.agent], [words.region], [words.until]], appointments.map((one) => [
        typeof one.agent === "string" ? one.agent : `${one.agent.name} ${one.agent.ref ?? ""}`, named(one.region), date(one.until)])));
    }
    if ([parcels, points, fees].includes(null)) parts.push(make("p", { class: "quiet" }, words.notYours));
    return box.replaceChildren(...parts);
  }

  // ---------------------------------------------------------------- on the map

  function layers(map) {
    map.addLayer({ id: "impact-dot", type: "circle", source: "impact", paint: {
      "circle-radius": ["match", ["get", "kind"], "point", 8, 5], "circle-color": ["match", ["get", "kind"], "point", "#0b57d0", "#ffdf91"],
      "circle-stroke-color": ["match", ["get", "kind"], "point", "#ffffff", "#3b2a00"], "circle-stroke-width": 1.5 } });
  }

  function drawn() {
    const source = page.map?.getSource("impact");
    if (!source) return;
    const { parcels, points } = (effects.current && preview.result) || {};
    const dot = (kind, one, name) => ({ type: "Feature", geometry: { type: "Point", coordinates: [one.lon, one.lat] },
      properties: { kind, name, path: `${named(one.from)} → ${named(one.to)}`, url: one.url ?? "" } });
    const dots = [...(parcels?.sample ?? []).filter((one) => one.lat !== null).map((one) => dot("parcel", one, one.barcode)),
      ...(points?.points ?? []).map((one) => dot("point", one, `${one.name} ${one.ref}`))];
    source.setData(dots.length ? collection(dots) : nothing());
    byId("map").dataset.impact = dots.length;
  }

  function clicked(point) {
    if (!page.map.getLayer("impact-dot")) return false;
    const [top] = page.map.queryRenderedFeatures(point, { layers: ["impact-dot"] });
    if (!top) return false;
    const { name, path, url } = top.properties;
    page.popup(top.geometry.coordinates, make("strong", {}, name), make("p", {}, path), url ? make("a", { class: "button", href: url }, words.open) : null);
    return true;
  }

  // ---------------------------------------------------------------- publishing

  function summary() {
    const { draft } = page, form = byId("form-publish"), done = byId("publish-done");
    if (draft.status === "published") {
      form.hidden = true;
      done.replaceChildren(make("p", { class: "ok" }, `✓ ${write(words.isPublished, { from: when(draft.valid_from), by: draft.published_by?.name ?? "" })}`));
      return;
    }
    form.hidden = !draft.may.publish || draft.status !== "draft";
    if (form.hidden) { done.replaceChildren(make("p", {}, draft.status === "draft" ? words.mayNotPublish : words.isAbandoned)); return; }
    done.replaceChildren(effects.current ? "" : make("p", { class: "warn" }, words.previewFirst));
    const count = (...kinds) => draft.shapes.filter((shape) => kinds.includes(shape.kind)).length;
    byId("publish-summary").textContent = write(words.summary, { changed: count("changed", "renamed", "returned"), fresh: count("new"), ended: count("retired") });
    byId("publish-from").textContent = page.from ?? words.atOnce;
    byId("publish").textContent = page.from ? write(words.publishFrom, { from: page.from }) : words.publishNow;
    byId("publish").disabled = !effects.current;
  }

  byId("form-preview").addEventListener("submit", (event) => { event.preventDefault(); busy(event.submitter, work); });
  byId("from").addEventListener("change", () => { told(); summary(); });
  byId("form-publish").addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    busy(byId("publish"), async () => {
      try {
        if (!form.elements.reason.value.trim()) throw Object.assign(new Error(words.reasonBefore), { code: "refused", data: { field: "reason" } });
        page.say(words.publishing);
        const answer = await call(page.path("publish/"), { version: page.draft.version, from: page.from,
          name: form.elements.name.value.trim(), reason: form.elements.reason.value.trim(), preview: preview?.id ?? null });
        await page.load();
        page.say("");
        summary();
        const list = [["created", words.created], ["changed", words.changed], ["ended", words.ended]].filter(([name]) => answer[name]?.length)
          .map(([name, label]) => make("p", {}, `${label}: ${answer[name].slice(0, 20).join(", ")}${answer[name].length > 20 ? " …" : ""}`));
        const moved = answer.moved_points === null ? words.pointsLater : write(words.pointsMoved, { count: answer.moved_points });
        byId("publish-done").append(...list, make("p", {}, moved), make("p", { class: "row" },
          make("a", { class: "button", href: config.map }, words.seeMap), make("a", { class: "button", href: config.drafts }, words.allDrafts)));
        byId("publish-done").focus();
        byId("publish-done").scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
      } catch (refused) {
        page.complain(refused, form);
      }
    });
  });
  return effects;
}
