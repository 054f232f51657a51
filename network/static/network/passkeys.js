// Forms of class "passkey" show themselves where the browser can do passkeys, fill in its answer and send themselves.
"use strict";
(() => {
  // A passkey belongs to a name under https; an address of digits has none, and localhost counts as safe.
  const named = !/^[\d.]+$|:/.test(location.hostname);
  if (!named || !window.isSecureContext || !window.PublicKeyCredential || !navigator.credentials) return;

  const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const toText = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // What the server sends and gets is JSON with base64url for bytes, as WebAuthn level 3 has it.
  const readable = (options) => {
    const read = { ...options, challenge: toBytes(options.challenge) };
    if (options.user) read.user = { ...options.user, id: toBytes(options.user.id) };
    for (const list of ["allowCredentials", "excludeCredentials"]) {
      if (options[list]) read[list] = options[list].map((one) => ({ ...one, id: toBytes(one.id) }));
    }
    return read;
  };
  const written = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = toText(credential.response[name]);
    }
    return JSON.stringify({
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      clientExtensionResults: credential.getClientExtensionResults(),
      response,
    });
  };

  const perform = async (form) => {
    const token = form.elements.csrfmiddlewaretoken.value;
    const answer = await fetch(form.dataset.options, { method: "POST", headers: { "X-CSRFToken": token } });
    if (!answer.ok) throw new Error(String(answer.status));
    const { publicKey } = await answer.json();
    const credential = await navigator.credentials[form.dataset.ceremony]({ publicKey: readable(publicKey) });
    form.elements.credential.value = written(credential);
  };

  for (const form of document.querySelectorAll("form.passkey")) {
    const button = form.querySelector("button");
    const problem = form.querySelector("[data-words]");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      problem.hidden = true;
      try {
        await perform(form);
        form.submit();
      } catch {
        // Refused, dismissed, or no key here: the browser does not tell which, so that no page learns it.
        problem.textContent = problem.dataset.words;
        problem.hidden = false;
        button.disabled = false;
      }
    });
  }
  addEventListener("pageshow", () => {
    // Back from the next page, the buttons are as they were left.
    for (const button of document.querySelectorAll("form.passkey button")) button.disabled = false;
  });
  for (const words of document.querySelectorAll(".no-passkeys")) words.hidden = true;
})();
