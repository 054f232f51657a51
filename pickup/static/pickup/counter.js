// A wedge scanner is a keyboard that types and presses Enter: whatever it types must arrive in the one input.
// Without this script everything works, only the focus is lost when somebody clicks elsewhere.
"use strict";

const form = document.querySelector("form[data-counter]");
if (form) {
  const entry = form.elements.entry;
  const eventAt = form.elements.event_at;
  const madeAt = Date.parse(eventAt.value);
  let sent = false;

  const nowhere = () => document.activeElement === null || document.activeElement === document.body;
  const regain = () => {
    if (nowhere()) {
      entry.focus();
    }
  };

  window.addEventListener("focus", regain);
  document.addEventListener("click", () => window.setTimeout(regain));
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const types = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (types && !(target instanceof HTMLInputElement)) {
      entry.focus(); // the character itself arrives there: its default action comes after this
    }
  });

  form.addEventListener("submit", (event) => {
    if (sent) {
      event.preventDefault(); // Enter twice, or a scanner that sends two line ends
      return;
    }
    sent = true;
    // The server's clock when the page was made, and how long ago that was: a browser's own clock may be wrong.
    eventAt.value = new Date(madeAt + performance.now()).toISOString();
  });

  // A page brought back by "back" carries the id of a scan that was sent already.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) {
      window.location.replace(form.action);
    }
  });
}
