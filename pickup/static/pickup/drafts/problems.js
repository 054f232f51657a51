// What is wrong with the draft: drawn on the map with the number that the list has, solved or accepted by name.
import { area, busy, byId, call, make, when, words, write, config } from "./api.js";
import { FONT, calm, collection, nothing, show } from "./ground.js";

export function problems(page) {
  let found = [], turn = 0;
  const checks = { state: "unknown", open: 0, check, first, layers, draw, clicked };

  async function check() {
    const now = ++turn;
    if (page.draft.status !== "draft" || !page.draft.shapes.length) {
      checks.state = "done";
      return took({ problems: [], open: 0, more: 0 });
    }
    checks.state = "checking";
    byId("problem-state").textContent = words.checking;
    page.next();
    let answer = null;
    try {
      answer = await call(page.path(`problems/${page.from ? `?from=${page.from}` : ""}`));
    } catch (refused) {
      if (now !== turn) return undefined;
      checks.state = "failed";
      byId("problem-state").textContent = refused.message;
      return page.next();
    }
    if (now !== turn) return undefined; // edited on since
    checks.state = "done";
    return took(answer);
  }

  function took(answer) {
    found = answer.problems.filter((problem) => !problem.listed_only).concat(answer.problems.filter((problem) => problem.listed_only));
    checks.open = answer.open;
    const slivers = found.filter((problem) => problem.listed_only).length;
    byId("problem-state").textContent = [
      answer.open ? write(words.open_, { count: answer.open }) : words.allClear,
      slivers ? write(words.slivers, { count: slivers }) : "", answer.more ? write(words.more, { count: answer.more }) : "",
    ].filter(Boolean).join(" ");
    byId("editor").dataset.problems = answer.open;
    list();
    draw();
    page.next();
  }

  const isOpen = (problem) => !problem.listed_only && !problem.accepted;

  function list() {
    byId("problem-list").replaceChildren(...found.map((problem, i) => make("li", { class: `problem ${problem.kind}${isOpen(problem) ? "" : " settled"}`, id: `problem-${i}`, tabindex: "-1" },
      make("p", {}, make("span", { class: "mark", "aria-hidden": "true" }, String(i + 1)), " ",
        make("strong", {}, config.problems[problem.kind] ?? problem.kind), " ",
        !problem.area_m2 ? "" : make("span", { class: "number" }, area(problem.area_m2)), " ",
        problem.must_solve ? make("span", { class: "kind must" }, words.mustSolve) : null),
      make("p", {}, problem.text),
      problem.accepted ? make("p", { class: "ok" }, `✓ ${write(words.acceptedBy, { by: problem.accepted.by?.name ?? problem.accepted.by, at: when(problem.accepted.at) })} ${problem.accepted.reason}`) : null,
      problem.listed_only ? make("p", { class: "quiet" }, words.sliver) : null,
      actions(problem, i))));
  }

  function actions(problem, i) {
    const row = make("div", { class: "row" });
    const add = (label, action, extra = {}) => row.append(make("button", { type: "button", onclick: (event) => busy(event.currentTarget, action), ...extra }, label));
    const numbered = (label) => ({ "aria-label": `${label} (${i + 1})` });
    if (problem.box) add(words.show, () => zoom(problem), numbered(words.show));
    if (!page.mayEdit()) return row;
    if (isOpen(problem)) {
      for (const answer of ways(problem)) add(answer.label, () => solve(problem, answer), { class: "main", ...numbered(answer.label) });
      if (problem.kind === "code" || problem.kind === "stale") add(words.open, () => page.choose(problem.codes[0], { focus: true }));
      else if (problem.kind === "below") add(words.retireToo, () => retire(problem.codes), numbered(words.retireToo));
      else {
        problem.codes.slice(0, 3).forEach((code, at) => {
          const name = problem.names?.[at] ?? code;
          add(write(words.snapOne, { name }), () => page.use(code, "snap"));
          add(write(words.moveOne, { name }), async () => { await page.use(code, "reshape"); zoom(problem); });
        });
      }
      if (!problem.must_solve) row.append(acceptance(problem, i));
    } else if (problem.accepted) add(words.takeBack, () => reject(problem), numbered(words.takeBack));
    return row;
  }

  /** What the server offers to do about it, one button each. */
  function ways(problem) {
    if (!config.solves) return [];
    const name = (at) => problem.names?.[at] ?? problem.codes[at];
    if (problem.kind === "overlap" || problem.kind === "gap") {
      return problem.codes.slice(0, 4).map((code, at) => ({ code, label: write(words.giveTo, { name: name(at) }) }));
    }
    if (problem.kind === "outside") return [{ code: problem.codes[0], label: words.cutOff }];
    return [];
  }

  async function retire(codes) {
    try {
      for (const code of codes) await page.edit("retire", { code, below: true }, words.solved);
    } catch (refused) { page.complain(refused); }
  }

  async function solve(problem, { code }) {
    try {
      await page.edit("solve", { problem: problem.id, code, ...(page.from ? { from: page.from } : {}) }, words.solved);
    } catch (refused) { page.complain(refused); }
  }

  function acceptance(problem, i) {
    const id = `accept-${i}`;
    return make("details", { class: "accept" }, make("summary", {}, words.accept),
      make("form", { onsubmit: (event) => { event.preventDefault(); busy(event.submitter, () => accept(problem, event.target)); } },
        make("label", { for: id }, words.why),
        make("input", { id, name: "reason", maxlength: "500", autocomplete: "off" }),
        make("button", {}, words.acceptIt)));
  }

  async function accept(problem, form) {
    try {
      const answer = await call(page.path("problems/accept/"), { version: page.draft.version, from: page.from, ids: [problem.id], reason: form.elements.reason.value });
      settled(answer);
      page.say(words.accepted);
    } catch (refused) { page.complain(refused, form); }
  }

  async function reject(problem) {
    try {
      settled(await call(page.path("problems/reject/"), { version: page.draft.version, ids: [problem.id] }));
    } catch (refused) { page.complain(refused); }
  }

  function settled(answer) {
    turn++;
    page.draft.version = answer.version;
    byId("editor").dataset.version = answer.version;
    page.quiet();
    took(answer);
  }

  function zoom(problem) {
    if (!page.map) return;
    const [west, south, east, north] = problem.box, wide = Math.max((east - west) * 0.5, (north - south) * 0.5, 0.0005);
    show(page.map, [west - wide, south - wide, east + wide, north + wide], { maxZoom: 18 });
    if (innerWidth < 900) byId("map").scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  }

  function first() {
    const at = found.findIndex(isOpen);
    if (at < 0) return;
    const item = byId(`problem-${at}`);
    if (found[at].box) zoom(found[at]);
    item.focus({ preventScroll: innerWidth < 900 && found[at].box });
  }

  function layers(map) {
    const kind = ["get", "kind"], settled = ["==", ["get", "open"], false];
    const red = ["match", kind, ["gap"], "stripes-amber", "stripes-red"];
    map.addLayer({ id: "problem-fill", type: "fill", source: "problems", paint: { "fill-pattern": red, "fill-opacity": ["case", settled, 0.35, 0.9] } });
    map.addLayer({ id: "problem-line", type: "line", source: "problems",
      paint: { "line-color": ["case", settled, "#6b7975", ["match", kind, "gap", "#b26a00", "#a3171b"]], "line-width": ["case", settled, 1.5, 3] } });
    map.addLayer({ id: "problem-number", type: "symbol", source: "problems",
      layout: { "text-field": ["get", "number"], "text-font": [FONT], "text-size": 15, "text-allow-overlap": true },
      paint: { "text-color": "#ffffff", "text-halo-color": ["case", settled, "#51605c", ["match", kind, "gap", "#7a4a00", "#a3171b"]], "text-halo-width": 3 } });
  }

  function draw() {
    const source = page.map?.getSource("problems");
    if (!source) return;
    source.setData(found.some((problem) => problem.geometry) ? collection(found.flatMap((problem, i) => (problem.geometry
      ? [{ type: "Feature", properties: { kind: problem.kind, open: isOpen(problem), number: String(i + 1), at: i }, geometry: problem.geometry }] : []))) : nothing());
    byId("map").dataset.problems = found.filter((problem) => problem.geometry).length;
  }

  function clicked(point) {
    if (!page.map.getLayer("problem-fill")) return false;
    const [top] = page.map.queryRenderedFeatures(point, { layers: ["problem-fill"] });
    if (!top) return false;
    page.go("problems");
    byId(`problem-${top.properties.at}`)?.focus();
    return true;
  }

  return checks;
}
