// What this device keeps: scans until the network has answered them, what was done here, and the shop's stock.
// A name that starts with the point's number belongs to that shop; signing out leaves `queue`, `deeds` and `looks`.
"use strict";

const NAME = "counter";
const VERSION = 1;
let opened = null;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      const db = request.result;
      for (const store of ["queue", "deeds", "looks"]) {
        db.createObjectStore(store, { keyPath: "scan_id" }).createIndex("point", "point");
      }
      db.createObjectStore("stock", { keyPath: "point" });
      db.createObjectStore("settings");
    };
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close();
      request.result.onclose = () => { opened = null; };
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked by another tab"));
  });
  opened.catch(() => { opened = null; });
  return opened;
}

// Runs `work(stores)` in one transaction and answers when it is written, or refuses when it is not. "strict" is on the
// disk itself and outlives a flat battery; "relaxed" outlives the page and the browser.
export async function write(names, work, durability = "relaxed") {
  const db = await open();
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(names, "readwrite", { durability });
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
    transaction.onerror = () => reject(transaction.error);
    try {
      work(Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)])));
    } catch (error) {
      transaction.abort();
      reject(error);
    }
  });
}

async function ask(name, question) {
  const db = await open();
  return new Promise((resolve, reject) => {
    const request = question(db.transaction(name).objectStore(name));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export const allOf = (name, point) => ask(name, (store) => store.index("point").getAll(point));
export const one = (name, key) => ask(name, (store) => store.get(key));
export const put = (name, value) => write([name], (stores) => stores[name].put(value));
export const remove = (name, key) => write([name], (stores) => stores[name].delete(key));
export const setting = (key) => ask("settings", (store) => store.get(key));
export const setSetting = (key, value) => write(["settings"], (stores) => stores.settings.put(value, key));

// Without this a browser may throw everything away when the phone runs out of room.
export async function keepForGood() {
  try {
    return (await navigator.storage?.persist?.()) ?? false;
  } catch {
    return false;
  }
}
