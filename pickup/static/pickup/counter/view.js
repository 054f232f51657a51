// What stands on the page. Nothing here decides anything: it is told what to show, in the words that came with the page.
"use strict";

export const byId = (id) => document.getElementById(id);
export const words = JSON.parse(byId("words").textContent);
export const app = JSON.parse(byId("app").textContent);

export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
export const text = (name, values = {}) => fill(words.texts[name], values);

export function counted(name, number) {
  const [one, many] = words.counted[name];
  return (number === 1 ? one : many).replace("%(counter)s", String(number));
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") {
      made.addEventListener("click", value);
    } else if (value === true) {
      made.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export function icon(name, style = "sign") {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawn.setAttribute("class", style);
  drawn.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${app.urls.icons}#${name}`);
  drawn.append(use);
  return drawn;
}

export function money(minor, digits) {
  const whole = String(Math.trunc(Math.abs(minor) / 10 ** digits)).replace(/\B(?=(\d{3})+$)/g, ",");
  const part = digits ? `.${String(Math.abs(minor) % 10 ** digits).padStart(digits, "0")}` : "";
  return `${minor < 0 ? "−" : ""}${whole}${part}`;
}

export function clock(moment, { day = false } = {}) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(app.language, day ? { month: "2-digit", day: "2-digit", ...options } : options).format(moment);
}

export const whose = (parcel) => (parcel?.name ? `${parcel.name} …${parcel.last4 ?? ""}` : "");

const line = (style, content) => (content ? element("p", { class: style }, content) : null);

// The one big answer. `outcome`: {verdict, kind, shelf, barcode, parcel, lines, next, words, fee, others}.
export function showVerdict(outcome) {
  const sign = words.signs[outcome.verdict];
  const tone = outcome.tone ?? sign.tone;
  const others = outcome.others ?? [];
  const card = element("div", { class: `outcome ${tone}`, "data-verdict": outcome.verdict, "data-kind": outcome.kind, "data-from": outcome.from },
    element("p", { class: "verdict" }, icon(outcome.icon ?? sign.icon), element("span", {}, outcome.words ?? words.verdicts[outcome.verdict])),
    line("big", outcome.elsewhere),
    line("big shelf", outcome.shelf && text("shelf", { shelf: outcome.shelf })),
    line("next", outcome.next ?? words.next[outcome.kind][outcome.verdict]),
    outcome.more ? element("p", { class: "more" }, counted("more_here", outcome.more)) : null,
    line("fee number", outcome.fee),
    ...(outcome.lines ?? []).map((content) => line("small", content)),
    line("small", [outcome.barcode, whose(outcome.parcel)].filter(Boolean).join(" · ")),
  );
  byId("verdict").replaceChildren(card);
  byId("after").replaceChildren(...(others.length ? [otherParcels(others)] : []));
}

function otherParcels(others) {
  return element("ul", { class: "rows others" }, ...others.map((parcel) => element("li", {},
    element("strong", { class: "place" }, parcel.shelf || text("no_shelf")), " ", element("span", { class: "barcode" }, parcel.barcode))));
}

// Before anything was scanned: what to do, in the place where the answer will stand.
export function showPrompt(content, { busy = false } = {}) {
  byId("verdict").replaceChildren(element("div", { class: `outcome ${busy ? "busy" : "idle"}` },
    element("p", { class: "verdict" }, icon(busy ? "clock" : "scan"), element("span", {}, content))));
  byId("after").replaceChildren();
}

// A parcel whose proof is asked for, with the ways out.
export function showChosen(parcel, { offline, onOther, onRelease }) {
  const overdue = Date.parse(parcel.hold_until) < Date.now();
  byId("verdict").replaceChildren(element("div", { class: "outcome chosen", "data-chosen": parcel.barcode },
    element("p", { class: "verdict" }, icon("key"), element("span", {}, text(offline ? "ask_proof_offline" : "ask_proof"))),
    line("big shelf", parcel.shelf ? text("shelf", { shelf: parcel.shelf }) : text("no_shelf")),
    line(overdue ? "small late" : "small", [parcel.barcode, whose(parcel)].filter(Boolean).join(" · "))));
  byId("after").replaceChildren(element("div", { class: "line" },
    element("button", { type: "button", onclick: onOther }, byId("after").dataset.other),
    element("button", { type: "button", onclick: onRelease }, byId("after").dataset.release)));
}

export function setProblem(id, content) {
  byId(id).hidden = !content;
  byId(id).textContent = content;
  const field = { problem: "entry", "why-problem": "why-other" }[id];
  if (field) {
    byId(field).toggleAttribute("aria-invalid", Boolean(content));
    if (content) {
      byId(field).setAttribute("aria-invalid", "true");
    }
  }
}

export function showNotices(notices) {
  const shown = [...byId("notices").children].map((one) => one.textContent).join("\n");
  if (shown !== notices.join("\n")) {
    byId("notices").replaceChildren(...notices.map((notice) => element("p", { class: "notice" }, notice)));
  }
}

export function showState(queue, stock) {
  const waiting = queue.waiting().length;
  const looks = queue.conflicts().length + queue.unfinished().length;
  byId("state").dataset.net = queue.net;
  byId("net").textContent = text(queue.net);
  byId("waiting").textContent = waiting ? counted("waiting", waiting) : text("all_sent");
  byId("state").dataset.waiting = String(waiting);
  const synced = stock.syncedAt ? text("synced", { time: clock(stock.syncedAt) }) : text("never_synced");
  byId("synced").textContent = synced;
  byId("looks").hidden = !looks;
  byId("looks").textContent = looks ? counted("looks", looks) : "";
  byId("sync-words").textContent = `${text(queue.net)} · ${byId("waiting").textContent}`;
  byId("sync-more").textContent = stock.syncedAt ? text("synced", { time: clock(stock.syncedAt, { day: true }) }) : synced;
  byId("sign-in").hidden = queue.net !== "signed_out";
}

export function showFigures(stock, inRow) {
  const { today_minor: today, scanned_in_today: scannedIn, minor_digits: digits, currency } = stock.state;
  byId("earned").textContent = today === null || today === undefined ? "–" : `${money(today, digits)} ${currency ?? ""}`;
  const { here, overdue, expected } = stock.counts();
  byId("figures").textContent = [
    counted("here", here), overdue ? counted("overdue", overdue) : "", counted("expected", expected),
  ].filter(Boolean).join(" · ");
  byId("row-count").replaceChildren(
    element("strong", { class: "count number" }, counted("in_a_row", inRow)), ` · ${counted("scanned_in", scannedIn)}`);
}

const rowOf = (style, ...content) => element("li", style ? { class: style } : {}, ...content);

export function showDone(done) {
  if (done.length) {
    byId("done-rows").replaceChildren(...done.map((one) => {
      const sign = words.signs[one.verdict];
      return rowOf(`done ${one.tone ?? sign.tone}`, icon(sign.icon, "small-sign"),
        element("span", { class: "barcode" }, one.barcode || "–"),
        element("span", { class: "place" }, one.shelf ?? ""),
        element("span", { class: "quiet" }, `${words.modes[one.kind]} · ${one.words ?? words.verdicts[one.verdict]} ${one.at ? clock(Date.parse(one.at)) : ""}`));
    }));
  }
}

// Rows that say the same stay where they are: a button that is replaced under a finger is not pressed.
function setRows(box, rows) {
  const made = box.cloneNode(false);
  made.append(...rows);
  if (made.innerHTML !== box.innerHTML) {
    box.replaceChildren(...rows);
  }
}

export function showUndo(parcels, onUndo) {
  setRows(byId("undo-rows"), parcels.length ? parcels.map((parcel) => rowOf("",
    element("button", { type: "button", class: "wide", "data-undo": parcel.barcode, onclick: () => onUndo(parcel.barcode) },
      icon("back", "small-sign"), element("span", { class: "barcode" }, text("undo_button", { barcode: parcel.barcode })),
      element("span", { class: "quiet" }, [whose(parcel), parcel.shelf, clock(Date.parse(parcel.at))].filter(Boolean).join(" · ")))))
    : [rowOf("quiet", text("undo_none"))]);
}

export function showQueue(records) {
  setRows(byId("queue-rows"), records.slice(0, 50).map(({ scan, barcode, told, refusal }) => rowOf("",
    element("span", { class: "barcode" }, scan.barcode ?? barcode ?? "QR"),
    element("span", { class: "quiet" },
      [words.modes[scan.kind], clock(Date.parse(scan.event_at), { day: true }), told && words.verdicts[told], refusal && text("answered", { words: words.verdicts[refusal] })].filter(Boolean).join(" · ")))));
}

export function showLooks(unfinished, conflicts, { onConfirm, onSeen, buttons }) {
  byId("looks-none").hidden = unfinished.length + conflicts.length > 0;
  const asks = unfinished.map(({ scan_id: id, scan, barcode }) => rowOf("look",
    element("span", { class: "barcode" }, scan.barcode ?? barcode ?? "QR"),
    element("span", { class: "quiet" }, `${words.modes[scan.kind]} · ${clock(Date.parse(scan.event_at), { day: true })}`),
    element("span", {}, text("unfinished")),
    element("span", { class: "line" },
      element("button", { type: "button", "data-scan": id, onclick: () => onConfirm(id, true) }, buttons.happened),
      element("button", { type: "button", "data-scan": id, onclick: () => onConfirm(id, false) }, buttons.nothing))));
  const found = conflicts.map((look) => rowOf("look",
    element("span", { class: "barcode" }, look.barcode || "QR"),
    element("span", { class: "quiet" }, [words.modes[look.kind], clock(Date.parse(look.event_at), { day: true }), look.device && text("device", { device: look.device }), look.by].filter(Boolean).join(" · ")),
    look.told ? element("span", {}, text("told", { told: words.verdicts[look.told] })) : null,
    element("strong", {}, look.error ? text("malformed", { words: look.error }) : text("answered", { words: look.words ?? words.verdicts[look.verdict] ?? "" })),
    look.detail?.at ? element("span", {}, text(look.detail.by ? "handed_over_by" : "handed_over_at", {
      at: clock(Date.parse(look.detail.at), { day: true }), by: look.detail.by })) : null,
    element("button", { type: "button", "data-scan": look.scan_id, onclick: () => onSeen(look) }, buttons.seen)));
  setRows(byId("looks-rows"), [...asks, ...found]);
}
