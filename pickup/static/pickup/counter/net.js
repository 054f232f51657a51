// The network as the counter meets it: there, slow or missing. Who asks gets an answer or a reason, never an exception.
"use strict";

const GIVE_UP_MS = 20000;

function cookie(name) {
  const found = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

// Returns {status, body, tookMs}; status 0 means that nothing came back.
export async function ask(url, options = {}) {
  const began = performance.now();
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), options.giveUpMs ?? GIVE_UP_MS);
  try {
    const response = await fetch(url, {
      credentials: "same-origin", redirect: "manual", cache: "no-store", signal: giveUp.signal, ...options,
      headers: { Accept: "application/json", "X-CSRFToken": cookie("csrftoken"), ...options.headers },
    });
    const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
    // A page where data should be: a sign-in page, or the one of a hotel's network.
    const status = response.ok && !isJson ? 0 : response.type === "opaqueredirect" ? 401 : response.status;
    const body = isJson ? await response.json() : null;
    return { status, body, etag: response.headers.get("ETag"), tookMs: performance.now() - began };
  } catch {
    return { status: 0, body: null, etag: null, tookMs: performance.now() - began };
  } finally {
    clearTimeout(timer);
  }
}

export function postJson(url, body) {
  return ask(url, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
}

export function postForm(url, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    form.append(name, value);
  }
  return ask(url, { method: "POST", body: form, giveUpMs: 60000 });
}

// Leaves the page as a form does, because the answer is a page.
export function leaveByForm(url, fields) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = url;
  for (const [name, value] of Object.entries({ csrfmiddlewaretoken: cookie("csrftoken"), ...fields })) {
    const input = document.createElement("input");
    input.type = "hidden";
    input.name = name;
    input.value = value;
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}

// What `promise` answers within `ms`, else undefined; it goes on by itself.
export function within(ms, promise) {
  return Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms))]);
}
