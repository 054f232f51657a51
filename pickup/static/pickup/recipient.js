// Everything works without this script: a text is then copied by selecting it.
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  const text = document.getElementById(button.dataset.copy);
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.value);
    } catch {
      // No clipboard without https or inside some messengers: the old way asks for no permission.
      text.select();
      document.execCommand("copy");
    }
    button.textContent = `✓ ${button.dataset.copied}`;
    window.setTimeout(() => {
      button.textContent = label;
    }, 3000);
  });
}

for (const text of document.querySelectorAll("textarea.copied")) {
  text.addEventListener("focus", () => text.select());
}

// What came of an action is read first by those who listen to the page.
document.querySelector("[data-said]")?.focus({ preventScroll: true });

// While a QR is on the screen, the screen stays on; a browser that refuses is left alone.
if (document.querySelector("[data-awake]") && "wakeLock" in navigator) {
  const stayAwake = () => {
    if (document.visibilityState === "visible") {
      navigator.wakeLock.request("screen").catch(() => {});
    }
  };
  document.addEventListener("visibilitychange", stayAwake);
  stayAwake();
}
