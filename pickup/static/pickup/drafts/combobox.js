// A field that suggests regions while somebody writes: by keyboard, by finger, with a screen reader.
import { config, make, words, write } from "./api.js";

/** Make `input` suggest regions in `list` and call `chosen(region)`; `told` is the field's status line. */
export function combobox(input, list, told, chosen) {
  let found = [], active = -1, timer = 0, asked = null;
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");

  function draw() {
    list.replaceChildren(...found.map((one, i) => make("li", {
      id: `${list.id}-${i}`, role: "option", "aria-selected": String(i === active),
      onpointerdown: (event) => { event.preventDefault(); take(i); },
    }, make("strong", {}, one.alias ? `${one.alias} → ${one.name}` : one.name),
    make("span", { class: "quiet" }, [one.level, one.code, one.above].filter(Boolean).join(" · ")))));
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
    if (active < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", `${list.id}-${active}`);
    return list.children[active].scrollIntoView({ block: "nearest" });
  }

  async function suggest() {
    const text = input.value.trim();
    if (text === asked) return;
    asked = text;
    let results = [];
    if (text) {
      const answer = await fetch(`${config.search}?q=${encodeURIComponent(text)}`).catch(() => null);
      if (answer?.ok) results = (await answer.json()).results;
      else if (answer?.status === 401) { told.textContent = words.signedOut; return; }
      if (input.value.trim() !== text) return; // typed on since
    }
    found = results;
    active = -1;
    told.textContent = !text ? "" : found.length ? write(words.found, { count: found.length }) : words.nothing;
    told.classList.toggle("unseen", !text || found.length > 0);
    draw();
  }

  function take(i) {
    const one = found[i];
    found = [];
    active = -1;
    asked = one.name;
    input.value = one.name;
    draw();
    chosen(one);
  }

  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(suggest, 150); });
  input.addEventListener("blur", () => setTimeout(() => { found = []; active = -1; draw(); asked = null; }, 100));
  input.addEventListener("keydown", async (event) => {
    if (event.isComposing) return; // Enter that ends a pinyin word is not ours
    if (event.key === "Escape" && found.length) { event.preventDefault(); found = []; active = -1; draw(); }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && found.length) {
      event.preventDefault();
      active = (active + (event.key === "ArrowDown" ? 1 : -1) + found.length) % found.length;
      draw();
    }
    if (event.key === "Enter") {
      event.preventDefault();
      clearTimeout(timer);
      if (!found.length) { asked = null; await suggest(); }
      if (found.length) take(Math.max(active, 0));
    }
  });
}
