// The counter's app: takes what is scanned or typed, in order and none lost, and shows what to do now.
"use strict";

import { Camera } from "./camera.js";
import { keepForGood, setSetting, setting } from "./db.js";
import { leaveByForm, postForm } from "./net.js";
import { NO_PROOF, Queue, newId } from "./queue.js";
import { tell, wake } from "./sound.js";
import { Stock } from "./stock.js";
import { PREFIX, makeVerifier } from "./verify.js";
import * as view from "./view.js";

const { app, byId, text, words } = view;
const url = (name) => new URL(app.urls[name], location.href).href;
const base = app.urls.base;
const stock = new Stock(app.point, base);
const queue = new Queue(app.point, base, stock, makeVerifier(url("ed25519")), app.patience_ms);
const camera = new Camera(byId("video"), { decoder: url("decoder"), reader: url("reader"), engine: url("engine") });
const settings = { sound: true, vibration: true, speech: false, camera: matchMedia("(pointer: coarse)").matches };

const CODE_DIGITS = 8;
const BURST_MS = 40; // between two characters: scanners need less, people more
const BURST_LENGTH = 8; // longer than any name of a shelf that somebody types like lightning
const DONE_ROWS = 12;
const DONE = new Set(["ok", "ok_repeat", "expired_but_here"]);
const SCANNED_IN = new Set(["ok", "over_capacity", "offline_unknown"]);
const TAKES_FOCUS = matchMedia("(pointer: fine)").matches; // on a phone the focus would open the keyboard

let mode = "pickup";
let chosen = null; // the parcel whose proof is asked for
let releasing = null;
let undoing = null;
let inRow = 0;
let done = [];
let line = Promise.resolve(); // what was scanned, one after the other
let inLine = 0;

// ---- what was scanned

function enter(raw) {
  const entry = raw.normalize("NFKC").trim(); // an input method may write full-width letters and digits
  const made = { scan_id: newId(), event_at: new Date(stock.now()).toISOString(), mode, shelf: byId("shelf").value.trim(), reason: byId("reason").value.trim() };
  showPanel("scan");
  inLine += 1;
  line = line.then(() => handle(entry, made)).catch((error) => console.error(error)).finally(() => { inLine -= 1; });
  return line;
}

async function handle(entry, made) {
  const problem = problemOf(entry, made.mode);
  view.setProblem("problem", problem);
  if (problem) {
    chime("wrong_code");
    return;
  }
  const isToken = entry.startsWith(PREFIX);
  if (made.mode === "undo") {
    const barcode = isToken ? stock.named({ token: entry })?.barcode : entry;
    view.setProblem("problem", barcode ? "" : words.next.arrival.wrong_code); // "scan the label instead"
    if (barcode) {
      askWhy(barcode);
    }
  } else if (made.mode === "pickup") {
    await (isToken ? proven(made, { token: entry }) : labelOrCode(made, entry));
  } else {
    await record(made, isToken ? { token: entry } : { barcode: entry });
  }
}

const digitsOf = (entry) => (/^[0-9 ]+$/.test(entry) ? entry.replaceAll(" ", "") : "");

function problemOf(entry, kind) {
  const digits = digitsOf(entry);
  if (!entry) {
    return text("nothing");
  }
  if (!entry.startsWith(PREFIX) && (!/^[\x20-\x7e]+$/.test(entry) || entry.length > 64)) {
    return text("not_text");
  }
  if (!digits || stock.byBarcode(entry)) {
    return "";
  }
  if (kind === "pickup" && chosen) {
    return digits.length < CODE_DIGITS ? text("code_length") : "";
  }
  // Surely a code: sent as a barcode it would stand in the scans for everybody to read.
  return digits.length === CODE_DIGITS ? text("label_first") : "";
}

async function labelOrCode(made, entry) {
  const digits = digitsOf(entry);
  if (chosen && digits.length === CODE_DIGITS && !stock.byBarcode(entry)) {
    await (queue.net === "online" ? proven(made, { code: digits }) : refuseCode());
    return;
  }
  const parcel = stock.byBarcode(entry);
  if (parcel && !parcel.gone && parcel.status !== "expected") {
    choose(parcel);
    return;
  }
  await record(made, { barcode: entry, code: NO_PROOF });
}

function refuseCode() {
  view.setProblem("problem", text("code_offline"));
  chime("offline_unknown");
}

async function proven(made, proof) {
  await record(made, { ...(chosen ? { barcode: chosen.barcode } : {}), ...proof });
}

function choose(parcel) {
  chosen = parcel;
  view.showChosen(parcel, { offline: queue.net !== "online", onOther: () => { chosen = null; rest(); }, onRelease: () => openRelease(parcel) });
  setAsks();
  navigator.vibrate?.(30);
}

// ---- one scan, recorded and answered

async function record(made, named) {
  const scan = { scan_id: made.scan_id, kind: made.mode, event_at: made.event_at, ...named };
  if (made.mode === "arrival" && made.shelf) {
    scan.shelf = made.shelf;
  }
  if ((made.mode === "undo" || made.mode === "damaged") && made.reason) {
    scan.reason = made.reason;
  }
  const before = stock.named(scan) ?? null;
  if (queue.net === "online" && inLine === 1) {
    byId("entry").setAttribute("aria-busy", "true");
  }
  const answer = await (scan.code === NO_PROOF ? probe(scan) : queue.take(scan));
  byId("entry").removeAttribute("aria-busy");
  show(scan, answer, before);
}

// Why a parcel cannot be handed over: a question, not a hand-over. Without network this device answers it.
async function probe(scan) {
  if (queue.net === "online") {
    return queue.take(scan);
  }
  const { judge } = await import("./judge.js");
  return { from: "device", judged: await judge(scan, stock, null), recorded: false };
}

function show(scan, answer, before) {
  if (answer.from === "network") {
    showResult(scan, answer.result, before);
  } else if (answer.from === "device") {
    showJudged(scan, answer.judged, answer.recorded, before);
  } else {
    present({ scan, verdict: "offline_unknown", tone: "stop", words: text("not_recorded"), next: text("not_recorded_next"), barcode: scan.barcode });
  }
}

function showResult(scan, result, before, lines = []) {
  if (result.status !== 200) {
    present({ scan, verdict: "not_found", words: text("problem"), next: text("problem_next"), barcode: scan.barcode, lines });
    return;
  }
  const barcode = result.parcel?.barcode ?? before?.barcode ?? scan.barcode ?? "";
  if (scan.code === NO_PROOF && result.verdict === "wrong_code" && result.parcel) {
    choose(stock.byBarcode(barcode) ?? { barcode, shelf: "", proofs: [] }); // it stands on the shelf after all
    return;
  }
  const parcel = stock.byBarcode(barcode) ?? before;
  const detail = result.detail ?? {};
  const at = detail.at ? view.clock(Date.parse(detail.at), { day: true }) : "";
  const rests = detail.until ? text("codes_rest", { at: view.clock(Date.parse(detail.until)) }) : undefined;
  const digits = stock.state.minor_digits;
  const success = scan.kind === "pickup" && DONE.has(result.verdict);
  present({
    scan, from: "network", verdict: result.verdict, words: rests, barcode, shelf: result.shelf, elsewhere: detail.point,
    parcel: result.parcel ? parcel : null,
    more: success ? result.waiting_here : 0,
    others: success ? stock.beside(parcel) : [],
    fee: moneyOf(scan, result, digits),
    lines: [...lines, at ? text(detail.by ? "handed_over_by" : "handed_over_at", { at, by: detail.by }) : "", result.review ? text("review") : ""],
  });
}

function moneyOf(scan, result, digits) {
  const today = result.today_minor ?? stock.state.today_minor ?? 0;
  if (result.fee_minor) {
    return text("money", { fee: view.money(result.fee_minor, digits), today: view.money(today, digits) });
  }
  return scan.kind === "undo" && DONE.has(result.verdict) ? text("today", { today: view.money(today, digits) }) : "";
}

function showJudged(scan, judged, recorded, before) {
  const parcel = judged.parcel ?? before;
  const success = scan.kind === "pickup" && DONE.has(judged.verdict);
  const others = success ? stock.beside(parcel) : [];
  const detail = judged.detail ?? {};
  present({
    scan, from: "device", verdict: judged.verdict, barcode: parcel?.barcode ?? scan.barcode, parcel,
    shelf: DONE.has(judged.verdict) ? scan.shelf || parcel?.shelf : parcel?.shelf,
    more: others.length, others,
    lines: [
      detail.here ? text("here_pickup") : detail.at ? text("handed_over_at", { at: view.clock(Date.parse(detail.at), { day: true }) }) : "",
      recorded && (success || scan.kind !== "pickup") ? text("on_device") : "", recorded && success ? text("fee_later") : "",
    ],
  });
}

function present(outcome) {
  const { scan, verdict } = outcome;
  const again = scan.kind === "pickup" && ["wrong_code", "code_locked", "code_revoked"].includes(verdict) && chosen;
  view.showVerdict({ ...outcome, kind: scan.kind, tone: outcome.tone ?? toneOf(scan, verdict) });
  if (again) {
    addChosenButtons();
  } else {
    chosen = null;
  }
  if (scan.kind === "arrival" && SCANNED_IN.has(verdict)) {
    inRow += 1;
  }
  done = [{ ...outcome, kind: scan.kind, at: scan.event_at }, ...done].slice(0, DONE_ROWS);
  chime(verdict, outcome);
  setAsks();
  redraw();
}

const toneOf = (scan, verdict) => (verdict === "damaged" && scan.kind !== "damaged" ? "stop" : words.signs[verdict].tone);

function addChosenButtons() {
  const parcel = chosen;
  byId("after").replaceChildren(view.element("div", { class: "line" },
    view.element("button", { type: "button", onclick: () => { chosen = null; rest(); } }, byId("after").dataset.other),
    view.element("button", { type: "button", onclick: () => openRelease(parcel) }, byId("after").dataset.release)));
}

function chime(verdict, outcome = null) {
  const next = outcome ? outcome.next ?? words.next[outcome.scan.kind][verdict] : "";
  const spoken = [outcome?.words ?? (outcome ? words.verdicts[verdict] : byId("problem").textContent), outcome?.shelf ? text("shelf", { shelf: outcome.shelf }) : "", next];
  tell(words.signs[verdict], spoken.filter(Boolean).join(" "), settings);
}

// ---- undo and release

function askWhy(barcode) {
  undoing = barcode;
  byId("why-title").textContent = text("undo_why", { barcode });
  view.setProblem("why-problem", "");
  byId("why-other").value = "";
  showPanel("why");
}

function undo(reason) {
  if (!reason) {
    view.setProblem("why-problem", text("reason_needed"));
    return;
  }
  const made = { scan_id: newId(), event_at: new Date(stock.now()).toISOString(), mode: "undo", reason };
  const barcode = undoing;
  showPanel("scan");
  line = line.then(() => record(made, { barcode })).catch((error) => console.error(error));
}

function openRelease(parcel) {
  releasing = { barcode: parcel.barcode };
  byId("release-barcode").textContent = [parcel.barcode, view.whose(parcel)].filter(Boolean).join(" · ");
  byId("release-form").reset();
  byId("preview").hidden = true;
  view.setProblem("release-problem", queue.net === "online" ? "" : text("release_offline"));
  showPanel("release");
}

async function scaledPhoto(file) {
  const whole = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, 1280 / Math.max(whole.width, whole.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(whole.width * scale);
  canvas.height = Math.round(whole.height * scale);
  canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  const preview = byId("preview");
  preview.width = 160;
  preview.height = Math.round((160 * canvas.height) / canvas.width);
  preview.getContext("2d").drawImage(canvas, 0, 0, preview.width, preview.height);
  preview.hidden = false;
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.8));
}

async function release() {
  const problem = (content) => view.setProblem("release-problem", content);
  const [file] = byId("evidence").files;
  const form = new FormData(byId("release-form"));
  const note = byId("note").value.trim();
  const reason = form.get("reason");
  const wrong = !reason || (reason === "other" && !note) ? text("reason_needed") : !file ? text("photo_needed") : "";
  problem(wrong || (navigator.onLine === false ? text("release_offline") : ""));
  if (wrong || navigator.onLine === false) {
    return;
  }
  if (releasing.busy) {
    return;
  }
  releasing.busy = true;
  await sendRelease(file, { reason, note }, problem).finally(() => { if (releasing) { releasing.busy = false; } });
}

async function sendRelease(file, why, problem) {
  releasing.scan ??= { scan_id: newId(), event_at: new Date(stock.now()).toISOString() };
  const photo = await scaledPhoto(file).catch(() => null);
  if (!photo) {
    problem(text("release_refused"));
    return;
  }
  const fields = { ...releasing.scan, barcode: releasing.barcode, ...why, photo };
  const { status, body } = await postForm(`${base}releases`, fields);
  if (status === 200 && body) {
    const scan = { ...releasing.scan, kind: "pickup", barcode: releasing.barcode };
    const before = stock.named(scan) ?? null;
    releasing = chosen = null;
    showPanel("scan");
    showResult(scan, body, before);
    queue.refresh();
  } else {
    problem(status >= 400 && status < 500 && status !== 401 && status !== 403 ? text("release_refused") : text("release_offline"));
    if (status === 422) {
      delete releasing.scan;
    }
  }
}

// ---- the page

function setAsks() {
  byId("entry").inputMode = chosen ? "numeric" : "text";
}

function rest() {
  setAsks();
  view.setProblem("problem", "");
  view.showPrompt(words.asks[mode]);
  focusEntry();
}

function setMode(next) {
  mode = next;
  chosen = null;
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  }
  for (const part of document.querySelectorAll("[data-for]")) {
    part.hidden = part.dataset.for !== mode;
  }
  if (mode === "arrival") {
    inRow = 0;
  }
  rest();
  refreshPage();
}

function showPanel(name) {
  const was = document.body.dataset.panel;
  document.body.dataset.panel = name;
  for (const panel of ["scan", "more", "release", "why"]) {
    byId(panel).hidden = panel !== name;
  }
  byId("state").setAttribute("aria-expanded", String(name === "more"));
  if (name === "more") {
    showMore();
  }
  if (name === "scan") {
    if (was !== "scan") {
      focusEntry();
    }
  } else {
    byId(`${name}-title`).focus();
  }
}

const isNowhere = () => [null, document.body, byId("main")].includes(document.activeElement);

function focusEntry() {
  if (TAKES_FOCUS) {
    byId("entry").focus({ preventScroll: true });
  }
}

function refreshPage() {
  view.showState(queue, stock);
  view.showFigures(stock, inRow);
  view.showDone(done);
  if (mode === "undo") {
    view.showUndo(stock.undoable(), askWhy);
  }
  if (document.body.dataset.panel === "more") {
    showMore();
  }
  const { point, worker } = stock.state;
  const suspended = point?.status === "suspended";
  view.showNotices([
    queue.net === "signed_out" ? text("sign_in_to_send") : "",
    queue.full ? text("storage") : "",
    suspended ? text("suspended") : point?.paused_until ? text("paused") : "",
    location.hash === "#needs-network" && queue.net !== "online" ? text("needs_network") : "",
  ].filter(Boolean));
  byId("who").textContent = worker?.name ?? "–";
}

function showMore() {
  const named = (record) => ({ ...record, barcode: stock.named(record.scan)?.barcode });
  view.showQueue([...queue.waiting(), ...queue.mending()].map(named));
  view.showLooks(queue.unfinished().map(named), queue.conflicts(), {
    onConfirm: (id, happened) => queue.confirm(id, happened), onSeen: (look) => queue.setSeen(look), buttons: byId("looks-rows").dataset,
  });
}

let drawing = false;

function redraw() {
  if (!drawing) {
    drawing = true;
    requestAnimationFrame(() => { drawing = false; refreshPage(); });
  }
}

// A wedge scanner is a keyboard: whatever it types must arrive in the one input, wherever the focus happens to be.
function listenToKeys() {
  const typesText = (target) => target.closest?.("input:not([type=radio]):not([type=checkbox]):not([type=file]), textarea, select");
  document.addEventListener("keydown", (event) => {
    const isText = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (isText && !typesText(event.target)) {
      showPanel("scan");
      byId("entry").focus(); // the character itself arrives there: its default action comes after this
    }
    if (event.key === "Escape" && document.body.dataset.panel !== "scan") {
      showPanel("scan");
    } else if (event.key === "Escape" && chosen) {
      chosen = null;
      rest();
    }
  });
  document.addEventListener("click", () => setTimeout(() => {
    if (isNowhere() && document.body.dataset.panel === "scan") {
      focusEntry();
    }
  }));
  window.addEventListener("focus", () => isNowhere() && focusEntry());
  for (const field of [byId("shelf"), byId("reason")]) {
    listenForBursts(field);
  }
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = document.activeElement;
    if (field === byId("shelf") || field === byId("reason")) {
      byId("entry").focus(); // Enter in another field means that it is filled in
      return;
    }
    const entry = byId("entry").value;
    byId("entry").value = "";
    enter(entry);
  });
}

// A scanner that types into another field is told from a person by its speed: the field gets back what it held.
function listenForBursts(field) {
  let burst = { before: "", typed: "", at: -Infinity };
  field.addEventListener("keydown", (event) => {
    const goesOn = event.timeStamp - burst.at < BURST_MS;
    if (event.key.length === 1) {
      burst = goesOn ? { ...burst, typed: burst.typed + event.key } : { before: field.value, typed: event.key };
      burst.at = event.timeStamp;
    } else if (event.key === "Enter" && goesOn && burst.typed.length >= BURST_LENGTH) {
      event.preventDefault();
      field.value = burst.before;
      byId("entry").focus();
      enter(burst.typed);
    }
  });
}

function listenToPanels() {
  byId("state").addEventListener("click", () => showPanel(document.body.dataset.panel === "more" ? "scan" : "more"));
  document.querySelectorAll("[data-close]").forEach((button) => button.addEventListener("click", () => showPanel("scan")));
  document.querySelectorAll("[data-mode]").forEach((button) => button.addEventListener("click", () => setMode(button.dataset.mode)));
  document.querySelectorAll("[data-reason]").forEach((button) => button.addEventListener("click", () => undo(button.dataset.reason)));
  byId("why-form").addEventListener("submit", (event) => { event.preventDefault(); undo(byId("why-other").value.trim()); });
  byId("release-form").addEventListener("submit", (event) => { event.preventDefault(); release(); });
  byId("evidence").addEventListener("change", () => byId("evidence").files[0] && scaledPhoto(byId("evidence").files[0]).catch(() => {}));
  byId("sync-now").addEventListener("click", () => queue.refresh());
  byId("sign-out").addEventListener("click", signOut);
  byId("sign-out-anyway").addEventListener("click", leave);
  byId("shelf").addEventListener("change", () => setSetting(`shelf-${app.point}`, byId("shelf").value).catch(() => {}));
  document.querySelectorAll("[data-language]").forEach((button) => button.addEventListener("click", () => setLanguage(button.dataset.language)));
  document.querySelectorAll("[data-setting]").forEach((box) => box.addEventListener("change", () => {
    settings[box.dataset.setting] = box.checked;
    setSetting("settings", { ...settings }).catch(() => {});
  }));
}

async function signOut() {
  const allSent = await queue.refresh().then(() => queue.waiting().length === 0);
  if (allSent) {
    await leave();
    return;
  }
  byId("sign-out-problem").hidden = false;
  byId("sign-out-problem").textContent = `${text("sent_before_leaving")} ${view.counted("not_sent", queue.waiting().length)}`;
  byId("sign-out-anyway").hidden = false;
}

// The queue stays on the device, whoever signs in next; names and shelves do not.
async function leave() {
  await stock.forget();
  if (!queue.items.size) {
    navigator.serviceWorker?.controller?.postMessage({ forget: base });
  }
  leaveByForm(app.urls.sign_out, {});
}

function setLanguage(language) {
  if (navigator.onLine === false) {
    view.showNotices([text("language_offline")]);
    return;
  }
  leaveByForm(app.urls.language, { language, next: base });
}

// ---- camera and photos

async function switchCamera(on) {
  byId("camera").hidden = !on;
  byId("camera-switch").setAttribute("aria-pressed", String(on));
  byId("camera-words").textContent = on ? text("camera_starting") : text("camera_off");
  if (!on) {
    camera.stop();
    return;
  }
  const why = await camera.start();
  byId("camera-words").textContent = text(why ? `camera_${why}` : "camera_on");
  byId("video").hidden = Boolean(why);
  byId("torch").hidden = !camera.hasTorch;
  if (why) {
    byId("camera-switch").setAttribute("aria-pressed", "false");
  }
}

function listenToCamera() {
  byId("camera-switch").addEventListener("click", () => switchCamera(byId("camera-switch").getAttribute("aria-pressed") !== "true"));
  byId("torch").addEventListener("click", () => {
    const lit = byId("torch").getAttribute("aria-pressed") !== "true";
    byId("torch").setAttribute("aria-pressed", String(lit));
    camera.torch(lit);
  });
  camera.addEventListener("code", (event) => {
    if (document.body.dataset.panel === "scan") {
      enter(event.detail);
    }
  });
  byId("photo").addEventListener("change", async () => {
    const [file] = byId("photo").files;
    byId("photo").value = "";
    if (file) {
      view.setProblem("problem", text("reading_photo"));
      const found = await camera.readPhoto(file).catch(() => "");
      view.setProblem("problem", found ? "" : text("no_code_in_photo"));
      if (found) {
        enter(found);
      }
    }
  });
}

// ---- the network and the device

function listenToNetwork() {
  queue.addEventListener("change", redraw);
  stock.addEventListener("change", redraw);
  queue.addEventListener("late", ({ detail: { record: late, result, settled } }) => {
    const told = late.told === "ok" || late.told === "expired_but_here";
    const fresh = stock.now() - Date.parse(late.scan.event_at) < 2 * 60 * 1000;
    if (settled && !told && fresh && late.scan.kind !== "arrival") {
      const barcode = result.parcel?.barcode ?? late.scan.barcode ?? "";
      showResult(late.scan, result, stock.named(late.scan) ?? null, [text("late", { barcode })]);
    }
  });
  window.addEventListener("online", () => queue.refresh());
  window.addEventListener("offline", () => queue.lost());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      queue.refresh();
    }
  });
}

async function install() {
  if (!("serviceWorker" in navigator)) {
    return;
  }
  try {
    const scope = new URL("../", new URL(base, location.href)).pathname;
    await navigator.serviceWorker.register(app.urls.worker, { scope });
    const { active } = await navigator.serviceWorker.ready;
    if (queue.net !== "signed_out") {
      active.postMessage({ keep: base });
    }
    document.body.dataset.kept = "true";
  } catch (error) {
    console.info("no service worker", error); // a private window: the app works, but does not open without network
  }
}

let installing = null;

window.addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  installing = event;
  byId("install").hidden = false;
});

async function start() {
  byId("install").addEventListener("click", () => installing?.prompt());
  listenToKeys();
  listenToPanels();
  listenToCamera();
  listenToNetwork();
  document.addEventListener("pointerdown", wake, { once: true });
  document.addEventListener("keydown", wake, { once: true });
  const [kept, shelf] = await Promise.all([
    setting("settings").catch(() => null), setting(`shelf-${app.point}`).catch(() => ""), stock.load(), queue.load(),
  ]);
  Object.assign(settings, kept ?? {});
  byId("shelf").value = shelf ?? "";
  document.querySelectorAll("[data-setting]").forEach((box) => { box.checked = settings[box.dataset.setting]; });
  done = [...stock.deeds.values()].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, DONE_ROWS)
    .map((deed) => ({ ...deed, verdict: deed.kind === "damaged" ? "damaged" : "ok" }));
  const asked = new URLSearchParams(location.search).get("mode"); // another page of the shop led here with a task
  setMode(asked in words.asks ? asked : "pickup");
  await queue.refresh();
  document.body.dataset.ready = "true";
  keepForGood();
  install();
  if (settings.camera) {
    await switchCamera(true);
  } else if (queue.net === "online") {
    (globalThis.requestIdleCallback ?? setTimeout)(() => camera.warm());
  }
}

start();
