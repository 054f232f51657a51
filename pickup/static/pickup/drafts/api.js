// What the pages of drafts share: their configuration, calls to the server, and figures as people write them.
export const config = JSON.parse(document.getElementById("page-config").textContent);
export const words = config.words;
export const write = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);
export const byId = (id) => document.getElementById(id);
const token = document.querySelector("[name=csrfmiddlewaretoken]")?.value;

/** The server said no, and why. `data` is its whole error: other fields depend on the code. */
export class Refused extends Error {
  constructor(status, data) {
    super(data?.message || words.failed);
    this.status = status;
    this.code = data?.code ?? "";
    this.data = data ?? {};
  }
}

/** Call an address below the drafts' data and return the answer; `body` is an object, or a FormData with a file. */
export async function call(path, body) {
  const options = { headers: { Accept: "application/json" }, redirect: "error" };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["X-CSRFToken"] = token;
    if (body instanceof FormData) options.body = body;
    else {
      options.headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(body);
    }
  }
  let answer, data = null;
  try {
    answer = await fetch(config.data + path, options);
    data = await answer.json();
  } catch {
    if (!answer) throw new Refused(0, { code: "offline", message: words.offline });
  }
  if (answer.status === 401) throw new Refused(401, { code: "unauthorized", message: words.signedOut });
  if (!answer.ok) throw new Refused(answer.status, data?.error);
  if (data === null) throw new Refused(0, { code: "offline", message: words.offline }); // cut in the middle
  return data;
}

const language = document.documentElement.lang;
const figure = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
export const number = (value) => figure.format(value);

/** An area in m², written so that small and large ones can be read. */
export function area(m2) {
  if (m2 === null || m2 === undefined) return "–";
  if (m2 < 1) return `${fine.format(m2)} m²`;
  return m2 < 100_000 ? `${figure.format(m2)} m²` : `${fine.format(m2 / 1e6)} km²`;
}

const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone: config.zone });
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: config.zone });
export const when = (iso) => (iso ? moment.format(new Date(iso)) : "–");
export const date = (iso) => (iso ? day.format(new Date(iso)) : "–");

/** Make an element; children are elements or texts. */
export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Disable a button and say what is going on while the work lasts. */
export async function busy(button, work) {
  const before = button?.getAttribute("aria-busy");
  if (before === "true") return undefined;
  button?.setAttribute("aria-busy", "true");
  try {
    return await work();
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

/** Send a file; `progress` hears which share of it has arrived (1: all of it, the server reads it now). */
export function upload(path, body, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", config.data + path);
    request.setRequestHeader("X-CSRFToken", token);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => progress(event.total ? event.loaded / event.total : 0));
    request.upload.addEventListener("load", () => progress(1));
    request.addEventListener("error", () => reject(new Refused(0, { code: "offline", message: words.offline })));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(request.response);
      else reject(new Refused(request.status, request.response?.error));
    });
    request.send(body);
  });
}
