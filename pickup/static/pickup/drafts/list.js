// The list of drafts and of boundary sets.
import { busy, byId, call, config, date, make, when, words, write } from "./api.js";

const wanted = config.region;
let at = 1;

function complain(refused, field) {
  const complaint = byId("complaint");
  complaint.replaceChildren(make("p", {}, make("strong", {}, `✕ ${refused.message}`)));
  complaint.hidden = false;
  if (field) { field.setAttribute("aria-invalid", "true"); field.setAttribute("aria-describedby", "complaint"); field.focus(); } else complaint.focus();
}

const pageOf = (id) => `${config.drafts}${id}/${wanted ? `?region=${encodeURIComponent(wanted)}` : ""}`;

function draftRow(draft) {
  const by = draft.status === "published" ? ` · ${write(words.isPublished, { by: draft.published_by?.name ?? "", from: date(draft.valid_from) })}` : "";
  const use = wanted && draft.status === "draft" && draft.may.edit;
  return make("li", {},
    make("p", {}, make("a", { class: "tall", href: use ? pageOf(draft.id) : `${config.drafts}${draft.id}/` }, make("strong", {}, draft.name)), " ",
      draft.status === "draft" ? "" : make("span", { class: `kind ${draft.status}` }, config.statuses[draft.status])),
    make("p", { class: "quiet number" }, `${draft.author.name} · ${when(draft.changed_at)} · ${write(words.shapes, { count: draft.shape_count })}${by}`),
    use ? make("p", {}, make("a", { class: "button", href: pageOf(draft.id) }, write(words.editIn, { name: byId("wanted").dataset.name }))) : null);
}

async function drafts() {
  const state = byId("drafts-state");
  try {
    const answer = await call(`?status=${byId("status").value}&page=${at}`);
    state.textContent = answer.drafts.length ? "" : words.noDrafts;
    byId("drafts").replaceChildren(...answer.drafts.map(draftRow));
    byId("pages").hidden = answer.pages < 2;
    byId("page-number").textContent = `${answer.page} / ${answer.pages}`;
    byId("pages").querySelector("[data-by='-1']").disabled = answer.page <= 1;
    byId("pages").querySelector("[data-by='1']").disabled = answer.page >= answer.pages;
  } catch (refused) {
    state.textContent = refused.message;
  }
}

function setRow(set) {
  const compare = `${config.compare}?a=set:${set.id}`;
  return make("li", {},
    make("p", {}, make("strong", {}, set.name)),
    make("p", { class: "quiet number" }, `${words.inForceFrom} ${when(set.valid_from)} · ${set.source} · ${write(words.shapes, { count: set.regions })}`),
    make("p", { class: "row" }, make("a", { class: "button", href: compare, "aria-label": `${words.compareNow}: ${set.name}` }, words.compareNow),
      byId("new") ? make("button", { type: "button", "aria-label": `${words.bringBack}: ${set.name}`, onclick: (event) => busy(event.target, () => bringBack(set)) }, words.bringBack) : null));
}

async function bringBack(set) {
  try {
    const draft = await call("", { name: write(words.bringBackName, { name: set.name }).slice(0, 200), as_of: `set:${set.id}` });
    location.assign(`${config.drafts}${draft.id}/`);
  } catch (refused) { complain(refused); }
}

async function sets() {
  const state = byId("sets-state");
  try {
    const answer = await call("sets/");
    state.textContent = answer.sets.length ? "" : words.noSets;
    byId("sets").replaceChildren(...answer.sets.map(setRow));
  } catch (refused) {
    state.textContent = refused.message;
  }
}

byId("new")?.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(event.submitter, async () => {
    const field = byId("new-name");
    try {
      const draft = await call("", { name: field.value.trim() });
      location.assign(pageOf(draft.id));
    } catch (refused) { complain(refused, field); }
  });
});
byId("new")?.querySelector("button").removeAttribute("disabled");
byId("status").addEventListener("change", () => { at = 1; drafts(); });
byId("pages").addEventListener("click", (event) => {
  const by = Number(event.target.dataset.by ?? 0);
  if (by) { at += by; drafts(); }
});
drafts();
sets();
