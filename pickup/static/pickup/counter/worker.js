// The service worker: keeps the app on the device. `SETTLED` comes before this: the version and the files of it.
// Pages come from the network while it answers; a page of another version than the files here is not mixed with them.
"use strict";

const CACHE = `counter-${SETTLED.version}`;
const PAGE_MS = 3000; // so long a page may take before the kept one is shown
const LAST = "/counter/last"; // never asked of the network: the shell that was opened last
const SHELL = /^\/counter\/(\d+)\/$/;
const files = new Set([...SETTLED.kept, ...SETTLED.later]);

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(SETTLED.kept.map((path) => new Request(path, { cache: "reload" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    await self.clients.claim();
    for (const name of await caches.keys()) {
      if (name.startsWith("counter-") && name !== CACHE) {
        await moveShells(name);
        await caches.delete(name);
      }
    }
  })());
});

// The pages of an older version are replaced by new ones where there is a network; without it there is nothing to do.
async function moveShells(name) {
  const old = await caches.open(name);
  const cache = await caches.open(CACHE);
  for (const request of await old.keys()) {
    const url = new URL(request.url);
    if (SHELL.test(url.pathname) && !(await cache.match(url.pathname))) {
      await shellFromNetwork(url.pathname).catch(() => {});
    }
  }
}

self.addEventListener("message", (event) => {
  if (event.data?.keep) {
    event.waitUntil(shellFromNetwork(event.data.keep).catch(() => {}));
  }
  if (event.data?.forget) {
    event.waitUntil(caches.open(CACHE).then((cache) => Promise.all([cache.delete(event.data.forget), cache.delete(LAST)])));
  }
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) {
    return;
  }
  if (files.has(url.pathname)) {
    event.respondWith(file(url.pathname));
  } else if (event.request.mode === "navigate" && SHELL.test(url.pathname)) {
    event.respondWith(shell(url.pathname, event.request));
  } else if (event.request.mode === "navigate" && url.pathname.startsWith("/counter/")) {
    event.respondWith(fetch(event.request).catch(() => withoutNetwork(url.pathname)));
  }
});

async function file(path) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path);
  if (kept) {
    return kept;
  }
  const answer = await fetch(path);
  if (answer.ok) {
    await cache.put(path, answer.clone());
  }
  return answer;
}

async function shellFromNetwork(path, request) {
  const answer = await fetch(request ?? new Request(path, { credentials: "same-origin", redirect: "manual" }));
  if (answer.ok && answer.headers.get("X-Counter-Version") === SETTLED.version) {
    const cache = await caches.open(CACHE);
    await cache.put(path, answer.clone());
    await cache.put(LAST, answer.clone());
  }
  return answer;
}

async function shell(path, request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path);
  if (kept && (await waits(Number(SHELL.exec(path)[1])))) {
    // Scans must be sent first, and somebody signed out would lose the key to do so by asking for the page. The app
    // sends them, finds out who is signed in, and asks for the page again.
    return kept;
  }
  const asked = shellFromNetwork(path, request);
  asked.catch(() => {});
  if (!kept) {
    return asked.catch(() => withoutNetwork(path));
  }
  const patience = new Promise((resolve) => setTimeout(resolve, PAGE_MS));
  const answer = await Promise.race([asked.catch(() => null), patience]);
  if (!answer || answer.status >= 500) {
    return kept;
  }
  if (answer.ok && answer.headers.get("X-Counter-Version") !== SETTLED.version) {
    self.registration.update(); // the next one is of the new version, with its files
    return kept;
  }
  if (!answer.ok) {
    await Promise.all([cache.delete(path), cache.delete(LAST)]);
  }
  return answer;
}

// Whether scans of this shop wait on this device.
function waits(point) {
  return new Promise((resolve) => {
    const opening = indexedDB.open("counter");
    opening.onupgradeneeded = () => opening.transaction.abort(); // there is none, and none is made here
    opening.onerror = () => resolve(false);
    opening.onsuccess = () => {
      const db = opening.result;
      const counting = db.transaction("queue").objectStore("queue").index("point").count(point);
      counting.onsuccess = () => { db.close(); resolve(counting.result > 0); };
      counting.onerror = () => { db.close(); resolve(false); };
    };
  });
}

async function withoutNetwork(path) {
  const cache = await caches.open(CACHE);
  const own = /^\/counter\/\d+\//.exec(path)?.[0];
  if (own && own !== path && (await cache.match(own))) {
    return Response.redirect(`${own}#needs-network`);
  }
  return (await cache.match(own ?? LAST)) ?? (await cache.match(LAST)) ?? Response.error();
}
