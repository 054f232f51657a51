// The shop as the network last told it, with what this device did since, and the network's clock.
"use strict";

import { allOf, one, put, write } from "./db.js";
import { ask } from "./net.js";
import { parseToken } from "./verify.js";

export const UNDO_WITHIN_MS = 10 * 60 * 1000;
const DEEDS_KEPT_MS = 24 * 3600 * 1000;
const CLOCK_MAY_RUN_MS = 24 * 3600 * 1000; // ahead of what was counted since the last word of the network
const HOLD_MS = 7 * 24 * 3600 * 1000; // the usual storage time, for a parcel that was scanned in without network
const HERE = new Set(["ready", "expired"]);
const EMPTY = { keys: {}, stock: [], gone: [], conflicts: [], today_minor: null, scanned_in_today: 0, minor_digits: 2 };
const SIGNED_OUT = new Set([401, 403, 404]);

export class Stock extends EventTarget {
  constructor(point, url) {
    super();
    Object.assign(this, { point, url, state: EMPTY, etag: null, syncedAt: null, offset: 0, anchor: null });
    this.deeds = new Map();
    this.unsent = () => false; // told by the queue: whether a scan still waits
    this.#index();
  }

  get keys() { return this.state.keys; }

  async load() {
    try {
      const kept = await one("stock", this.point);
      if (kept) {
        Object.assign(this, { state: kept.state, etag: kept.etag, syncedAt: kept.syncedAt, offset: kept.offset });
      }
      for (const deed of await allOf("deeds", this.point)) {
        this.deeds.set(deed.scan_id, deed);
      }
    } catch {
      // A browser that keeps nothing still works while there is a network.
    }
    this.#index();
  }

  // The network's time, as far as this device can tell: its own clock may have been set while nobody looked.
  now() {
    const told = Date.now() + this.offset;
    const last = this.syncedAt ?? 0;
    const counted = this.anchor ? this.anchor.server + performance.now() - this.anchor.at : last;
    return last ? Math.min(Math.max(told, counted), counted + CLOCK_MAY_RUN_MS * (this.anchor ? 1 : 30)) : told;
  }

  hear(serverNow, tookMs = 0) {
    const server = Date.parse(serverNow) + tookMs / 2;
    if (Number.isFinite(server)) {
      this.offset = server - Date.now();
      this.anchor = { server, at: performance.now() };
    }
  }

  // Asks the network for the shop's stock. Returns {ok, status, tookMs}.
  async sync() {
    const answer = await ask(`${this.url}state`, { headers: this.etag ? { "If-None-Match": this.etag } : {} });
    if (answer.status === 200 && answer.body) {
      this.hear(answer.body.now, answer.tookMs);
      this.state = answer.body;
      this.etag = answer.etag;
    } else if (SIGNED_OUT.has(answer.status)) {
      await this.forget();
    }
    const ok = answer.status === 304 || (answer.status === 200 && answer.body !== null);
    if (ok) {
      this.syncedAt = this.now();
      await this.#save();
      await this.#dropOldDeeds();
    }
    this.#index();
    this.dispatchEvent(new Event("change"));
    return { ok, status: ok ? 200 : answer.status, tookMs: answer.tookMs };
  }

  // Somebody who may not work here any more keeps no names; the keys and the shop stay, so that scans can be sent.
  async forget() {
    this.state = { ...EMPTY, keys: this.state.keys, point: this.state.point };
    this.etag = null;
    this.#index();
    await this.#save();
  }

  async #save() {
    const { point, state, etag, syncedAt, offset } = this;
    await put("stock", { point, state, etag, syncedAt, offset }).catch(() => {});
  }

  async #dropOldDeeds() {
    const old = [...this.deeds.values()].filter(
      (deed) => !this.unsent(deed.scan_id) && Date.parse(deed.at) < this.now() - DEEDS_KEPT_MS,
    );
    old.forEach((deed) => this.deeds.delete(deed.scan_id));
    if (old.length) {
      await write(["deeds"], (stores) => old.forEach((deed) => stores.deeds.delete(deed.scan_id))).catch(() => {});
    }
  }

  #index() {
    this.rows = new Map();
    this.uuids = new Map();
    for (const gone of this.state.gone) {
      this.#set({ ...gone, gone: true, proofs: [] });
    }
    for (const parcel of this.state.stock) {
      this.#set(parcel);
    }
    const told = Date.parse(this.state.now ?? 0);
    for (const deed of [...this.deeds.values()].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))) {
      if (this.unsent(deed.scan_id) || !deed.settledAt || Date.parse(deed.settledAt) >= told) {
        this.#apply(deed);
      }
    }
  }

  #set(parcel) {
    this.rows.set(parcel.barcode, parcel);
    if (parcel.uuid) {
      this.uuids.set(parcel.uuid, parcel);
    }
  }

  #apply(deed) {
    const parcel = this.rows.get(deed.barcode) ?? { ...deed.parcel, barcode: deed.barcode };
    const present = { proofs: [], name: "", last4: "", person: "", ...(deed.parcel ?? {}), ...parcel };
    const at = { at: deed.at, mine: true };
    const changes = {
      arrival: { gone: false, status: "ready", shelf: deed.shelf ?? "", hold_until: present.hold_until ?? new Date(this.now() + HOLD_MS).toISOString() },
      pickup: { gone: true, status: "collected", ...at },
      return: { gone: true, status: "returned", ...at },
      damaged: { gone: true, status: "damaged", ...at },
      undo: { gone: false, status: "ready" },
    };
    this.#set({ ...present, ...changes[deed.kind] });
  }

  addDeed(deed) {
    const isNew = !this.deeds.has(deed.scan_id);
    this.deeds.set(deed.scan_id, deed);
    if (isNew) {
      this.#apply(deed);
    }
    this.dispatchEvent(new Event("change"));
  }

  dropDeed(scanId) {
    if (this.deeds.delete(scanId)) {
      this.#index();
      this.dispatchEvent(new Event("change"));
    }
  }

  byBarcode(barcode) { return this.rows.get(barcode); }

  byUuid(uuid) { return this.uuids.get(uuid); }

  // The parcel that a scan names by its label or by its QR.
  named(scan) {
    return scan.barcode ? this.byBarcode(scan.barcode) : this.byUuid(parseToken(scan.token ?? "")?.uuid);
  }

  // The other parcels of this person that stand on the shelf.
  beside(parcel) {
    if (!parcel?.person) {
      return [];
    }
    return [...this.rows.values()].filter(
      (other) => !other.gone && HERE.has(other.status) && other.person === parcel.person && other.barcode !== parcel.barcode,
    );
  }

  counts() {
    const here = [...this.rows.values()].filter((parcel) => !parcel.gone && HERE.has(parcel.status));
    return {
      here: here.length,
      overdue: here.filter((parcel) => Date.parse(parcel.hold_until) < this.now()).length,
      expected: [...this.rows.values()].filter((parcel) => !parcel.gone && parcel.status === "expected").length,
    };
  }

  // Hand-overs of the last ten minutes, newest first: this device's own, and what the network told of others.
  undoable() {
    const since = this.now() - UNDO_WITHIN_MS;
    return [...this.rows.values()]
      .filter((parcel) => parcel.gone && parcel.status === "collected" && Date.parse(parcel.at) > since)
      .sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  }
}
