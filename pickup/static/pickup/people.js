// While the QR is shown: ask whether the device has come, and go back to the list when it has.
"use strict";
(() => {
  const page = document.querySelector(".pairing");
  const waiting = page.querySelector(".waiting");
  const EVERY_MS = 2000;

  const ask = async () => {
    let state = "open";
    try {
      const answer = await fetch(page.dataset.state, { headers: { Accept: "application/json" } });
      state = answer.ok ? (await answer.json()).state : "gone";
    } catch {
      // No network for a moment: asked again.
    }
    if (state === "paired") {
      location.assign(page.dataset.people);
    } else if (state === "gone") {
      waiting.textContent = page.dataset.gone;
    } else {
      setTimeout(ask, EVERY_MS);
    }
  };
  waiting.hidden = false;
  setTimeout(ask, EVERY_MS);
})();
