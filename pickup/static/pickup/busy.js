// Say that something is being worked out, for pages whose answer may take some seconds.
for (const form of document.querySelectorAll("form[data-busy]")) {
  const words = form.querySelector("[data-words]");
  form.addEventListener("submit", () => { words.textContent = words.dataset.words; });
  // A page that the browser kept and shows again is not busy any more.
  addEventListener("pageshow", () => { words.textContent = ""; });
}
