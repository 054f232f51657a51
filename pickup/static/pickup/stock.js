// Counting a shelf: one field, and what was scanned is kept on this device until the server has it.
"use strict";
(() => {
  const form = document.querySelector("[data-stock]");
  if (!form) return;
  const find = (name) => form.querySelector(name);
  const key = `count:${form.dataset.stock}`;
  const field = find("#entry");
  const plain = find("#barcodes");
  const said = find("[data-said]");
  const problem = find("[data-problem]");
  const list = find("[data-codes]");
  const anew = find("[data-anew]");
  const finish = find("[data-finish]");
  const empty = find("[name=empty]");
  let number = form.elements.count_id.value;
  let codes = [];
  let tried = false; // sent with this number, and no answer came: the server may have it

  const freshNumber = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  };

  // A browser may refuse to keep anything (a private window): then the count lives as long as the page.
  const read = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      return kept && Array.isArray(kept.codes) ? kept : null;
    } catch {
      return null;
    }
  };
  const keep = () => {
    try {
      if (codes.length) localStorage.setItem(key, JSON.stringify({ number, codes, tried }));
      else localStorage.removeItem(key);
    } catch {
      // Nothing to be done: see above.
    }
  };

  // One number stands for one content. What changes after a try to send it is another count.
  const changed = () => {
    if (tried) number = freshNumber();
    tried = false;
    keep();
    show();
  };

  const tell = (name) => {
    problem.hidden = !name;
    problem.textContent = name ? problem.dataset[name] : "";
  };
  const show = () => {
    find("[data-number]").textContent = String(codes.length);
    find("[data-list]").hidden = anew.hidden = codes.length === 0;
    list.replaceChildren(
      ...codes
        .slice()
        .reverse()
        .map((code) => {
          const row = document.createElement("li");
          const text = document.createElement("span");
          const button = document.createElement("button");
          text.textContent = code;
          button.type = "button";
          button.className = "plain";
          button.textContent = list.dataset.remove;
          button.setAttribute("aria-label", `${list.dataset.remove} ${code}`);
          button.addEventListener("click", () => {
            codes = codes.filter((other) => other !== code);
            changed();
            said.textContent = `${code}: ${said.dataset.removed}`;
            field.focus();
          });
          row.append(text, button);
          return row;
        }),
    );
  };
  const add = () => {
    const code = field.value.normalize("NFKC").trim();
    field.value = "";
    field.focus();
    tell("");
    if (!code) return;
    // A recipient's QR is a proof: it is neither kept nor sent.
    if (code.startsWith("P1.")) return tell("proof");
    if (code.length > 64 || !/^[\x20-\x7e]+$/.test(code)) return tell("unfit");
    const before = codes.includes(code);
    empty.checked = false;
    if (!before) {
      codes.push(code);
      changed();
    }
    said.textContent = `${code}: ${before ? said.dataset.twice : said.dataset.counted}`;
  };

  const kept = read();
  const seeded = plain.value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (kept && !("again" in form.dataset)) {
    ({ number, codes, tried } = kept);
    if (codes.length) said.textContent = `${said.dataset.kept}: ${codes.length}`;
  } else {
    codes = [...new Set(seeded)];
  }
  keep();
  find(".live").hidden = false;
  find("[data-plain]").hidden = true;
  show();
  field.focus();

  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    add();
  });
  find("[data-add]").addEventListener("click", add);
  anew.addEventListener("click", () => {
    if (!window.confirm(anew.dataset.sure)) return;
    codes = [];
    tried = true;
    changed();
    said.textContent = "";
    field.focus();
  });
  // A wedge scanner types wherever the focus is: letters that no field would get go into this one.
  document.addEventListener("keydown", (event) => {
    const onField = event.target.closest("input, textarea, select, button, a, summary");
    if (!onField && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) field.focus();
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (field.value.trim()) add();
    tell("");
    plain.value = codes.join("\n");
    form.elements.count_id.value = number;
    finish.disabled = true;
    tried = true;
    keep();
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        body: new FormData(form),
        credentials: "same-origin",
        headers: { Accept: "application/json" },
      });
      const isData = (answer.headers.get("Content-Type") || "").startsWith("application/json");
      const body = isData ? await answer.json() : {};
      if (body.address) {
        codes = [];
        keep();
        location.assign(body.address);
        return;
      }
      tell(body.error ? "failed" : answer.redirected || answer.status === 403 ? "signin" : "failed");
      if (body.error) problem.textContent = body.error;
    } catch {
      tell("offline");
    }
    finish.disabled = false;
  });
})();
