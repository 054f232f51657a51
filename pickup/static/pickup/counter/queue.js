// Scans on their way to the network. Each is on the disk before it is sent, and leaves it when the network's answer
// is final. Uploads are facts: in any order and any number of times, each scan has its one effect.
"use strict";

import { allOf, write } from "./db.js";
import { judge } from "./judge.js";
import { ask, postJson, within } from "./net.js";

const BATCH = 100;
const BACKOFF_MS = [1000, 2000, 4000, 8000, 15000, 30000];
const REFRESH_MS = 30000; // between two looks at the shop's stock
const SLOW_MS = 4000; // the same while the network is slow, to see when it is quick again
const MEND_FOR_MS = 24 * 3600 * 1000; // so long a refusal that time may mend is asked again
const MEND_EVERY_MS = 60 * 1000;
const FRESH_MS = 2 * 60 * 1000; // so long the clerk and the recipient still stand there
const SUCCESS = new Set(["ok", "ok_repeat", "expired_but_here", "over_capacity"]);
const HAPPENED = new Set(["arrival", "damaged"]); // true whether or not the parcel was known: they go out by themselves
export const NO_PROOF = "-"; // no code is a dash: it asks why a parcel that is not on this shelf cannot be handed over
const SIGNED_OUT = new Set([401, 403, 404]);

export function newId() {
  if (crypto.randomUUID) {
    return crypto.randomUUID();
  }
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export class Queue extends EventTarget {
  // `patienceMs`: so long a queue at the counter waits for an answer before this device decides itself.
  // `net` is online, slow, offline or signed_out; only while it is online does a scan wait for the network.
  constructor(point, url, stock, verifier, patienceMs) {
    super();
    Object.assign(this, { point, url, stock, verifier, patienceMs, net: navigator.onLine === false ? "offline" : "online" });
    Object.assign(this, { items: new Map(), looks: new Map(), full: false, tries: 0, timer: null, flushing: null });
    stock.unsent = (scanId) => this.items.has(scanId);
  }

  async load() {
    try {
      const [queue, looks] = await Promise.all([allOf("queue", this.point), allOf("looks", this.point)]);
      queue.forEach((record) => this.items.set(record.scan_id, { ...record, waits: true }));
      looks.forEach((look) => this.looks.set(look.scan_id, look));
    } catch {
      this.full = true;
    }
    this.#changed();
  }

  // Scans that the network has not answered yet.
  waiting() { return this.#toSend().filter((record) => !record.refusal); }

  // Scans that it refused for now: asked again, because another device's arrival may still be on its way.
  mending() { return this.#toSend().filter((record) => record.refusal); }

  #toSend() { return [...this.items.values()].filter((record) => record.waits && !this.#asks(record)); }

  // Scans of which only the clerk can tell whether something happened.
  unfinished() { return [...this.items.values()].filter((record) => record.waits && this.#asks(record)); }

  // What the clerk should look at: this device's own findings and the shop's, each scan once.
  conflicts() {
    const found = new Map([...this.looks].filter(([, look]) => !look.seen));
    for (const conflict of this.stock.state.conflicts) {
      if (!this.looks.get(conflict.scan_id)?.seen) {
        found.set(conflict.scan_id, conflict);
      }
    }
    return [...found.values()];
  }

  async setSeen(look) {
    const seen = { ...look, point: this.point, seen: true };
    this.looks.set(look.scan_id, seen);
    this.#changed();
    await write(["looks"], (stores) => stores.looks.put(seen)).catch(() => {});
  }

  // Records a scan, then asks the network, or this device when there is none. Returns who answered and what:
  // {from: "network", result} | {from: "device", judged, recorded} | {from: "nothing"} when it could not be recorded.
  async take(scan) {
    const record = { scan_id: scan.scan_id, point: this.point, scan, told: "", shown: "", tried: this.net === "online" };
    this.items.set(record.scan_id, record);
    if (record.tried) {
      await this.#keep(record);
      const pending = postJson(`${this.url}scans`, { scans: [scan] });
      const answer = await within(this.patienceMs, pending);
      const result = this.#conclude(record, answer);
      if (result) {
        return { from: "network", result };
      }
      this.#setNet(answer && SIGNED_OUT.has(answer.status) ? "signed_out" : answer ? "offline" : "slow");
      if (!answer) {
        pending.then((late) => this.#conclude(record, late, { late: true }));
      }
    }
    return this.#decideHere(record);
  }

  async #decideHere(record) {
    const judged = await judge(record.scan, this.stock, this.verifier);
    if (!this.items.has(record.scan_id)) {
      return { from: "device", judged, recorded: true }; // the late answer was quicker than this device
    }
    if (record.scan.code === NO_PROOF) {
      await this.#drop(record); // it asked why not, and could not have handed anything over
      return { from: "device", judged, recorded: false };
    }
    record.shown = judged.verdict;
    record.told = judged.told ?? "";
    record.waits = true;
    if (!judged.told && !record.tried) {
      await this.#drop(record);
      return { from: "device", judged, recorded: false };
    }
    const deed = judged.told && judged.told !== "offline_unknown" ? this.#deedOf(record, judged.parcel) : null;
    // Nobody but this device knows of it now: it is on the disk before anybody is told to hand something over.
    const recorded = await this.#keep(record, deed, "strict");
    if (judged.told && !recorded) {
      if (!record.tried) {
        this.items.delete(record.scan_id);
      }
      this.#changed();
      return { from: "nothing", judged };
    }
    if (deed) {
      this.stock.addDeed(deed);
    }
    this.#changed();
    this.soon();
    return { from: "device", judged, recorded: Boolean(judged.told) };
  }

  // An answer to one scan. Returns its result if the network took it, else undefined.
  #conclude(record, answer, { late = false, place = 0 } = {}) {
    const rows = (answer?.status === 200 && answer.body?.results) || [];
    // A scan that the network could not read comes back without its id, in its place.
    const result = rows.find((row) => row.scan_id === record.scan_id) ?? (rows[place]?.scan_id === null ? rows[place] : null);
    if (!result) {
      return undefined;
    }
    if (!this.items.has(record.scan_id)) {
      return result;
    }
    this.stock.hear(answer.body.now, answer.tookMs);
    this.#today(answer.body);
    const settled = this.#settle(record, result, answer.body.now);
    if (late || record.waits) {
      this.dispatchEvent(new CustomEvent("late", { detail: { record, result, settled } }));
    }
    return result;
  }

  #today(body) {
    for (const name of ["today_minor", "scanned_in_today"]) {
      if (body[name] !== undefined) {
        this.stock.state[name] = body[name];
      }
    }
  }

  // Takes a scan out of the queue if its answer stands, and notes what it did or where it differs from what was told.
  #settle(record, result, now) {
    const { scan } = record;
    const told = record.shown || record.told;
    const well = result.status === 200 && (SUCCESS.has(result.verdict) || (scan.kind === "damaged" && result.verdict === "damaged"));
    const meant = record.confirmed || record.told === "ok" || record.told === "expired_but_here"
      || (record.told && HAPPENED.has(scan.kind));
    const young = this.stock.now() - Date.parse(scan.event_at) < MEND_FOR_MS;
    if (result.status === 200 && !result.final && meant && young) {
      record.again = this.stock.now() + MEND_EVERY_MS;
      record.refusal = result.verdict;
      this.#keep(record);
      this.#changed();
      return false;
    }
    const parcel = this.stock.named(scan);
    const deed = well ? { ...this.#deedOf(record, parcel, result), settledAt: now } : null;
    // A hand-over that succeeded while people still stand there is said aloud; later it has to be looked at.
    const fresh = this.stock.now() - Date.parse(scan.event_at) < FRESH_MS;
    const agrees = meant ? well || (scan.kind === "arrival" && result.verdict === "duplicate") : !well || fresh;
    const look = result.status !== 200 || (told && !agrees) ? this.#lookOf(record, result, parcel) : null;
    this.items.delete(record.scan_id);
    if (look) {
      this.looks.set(look.scan_id, look);
    }
    if (deed) {
      this.stock.addDeed(deed);
    } else {
      this.stock.dropDeed(record.scan_id);
    }
    // Nobody waits for this: what is not removed is uploaded once more, and answered with the same words.
    write(["queue", "deeds", "looks"], (stores) => {
      stores.queue.delete(record.scan_id);
      if (deed) {
        stores.deeds.put(deed);
      } else {
        stores.deeds.delete(record.scan_id);
      }
      if (look) {
        stores.looks.put(look);
      }
    }).catch(() => { this.full = true; });
    this.#changed();
    return true;
  }

  #deedOf(record, parcel, result = null) {
    const { scan } = record;
    const { gone, mine, at, ...row } = parcel ?? {};
    return {
      scan_id: scan.scan_id, point: this.point, kind: scan.kind, at: scan.event_at, shelf: scan.shelf ?? "",
      barcode: result?.parcel?.barcode ?? parcel?.barcode ?? scan.barcode ?? "",
      parcel: { ...row, ...(result?.parcel?.hold_until ? { hold_until: result.parcel.hold_until } : {}) },
    };
  }

  #lookOf(record, result, parcel) {
    const { scan } = record;
    return {
      scan_id: scan.scan_id, point: this.point, kind: scan.kind, barcode: scan.barcode ?? parcel?.barcode ?? "",
      told: record.shown || record.told, verdict: result.verdict ?? "", error: result.error?.message ?? "",
      event_at: scan.event_at, mine: true,
    };
  }

  // Whether only the clerk knows what became of this scan: a hand-over that was not known here says nothing by itself.
  #asks(record) {
    const told = record.told === "ok" || record.told === "expired_but_here";
    const fresh = record.tried && this.stock.now() - Date.parse(record.scan.event_at) < FRESH_MS;
    return !told && !fresh && !HAPPENED.has(record.scan.kind) && !record.confirmed;
  }

  // The clerk's word on such a scan: it happened and is sent, or it did not and is let go.
  async confirm(scanId, happened) {
    const record = this.items.get(scanId);
    if (record && happened) {
      Object.assign(record, { confirmed: true, told: record.told || "offline_unknown" });
      await this.#keep(record);
      this.soon();
    } else if (record) {
      await this.#drop(record);
    }
    this.#changed();
  }

  async #keep(record, deed = null, durability = "relaxed") {
    const { waits, ...kept } = record;
    try {
      await write(deed ? ["queue", "deeds"] : ["queue"], (stores) => {
        stores.queue.put(kept);
        if (deed) {
          stores.deeds.put(deed);
        }
      }, durability);
      this.full = false;
      return true;
    } catch {
      this.full = true;
      this.#changed();
      return false;
    }
  }

  async #drop(record) {
    this.items.delete(record.scan_id);
    await write(["queue"], (stores) => stores.queue.delete(record.scan_id)).catch(() => {});
    this.#changed();
  }

  // Tries to send now and again later, sooner at first.
  soon(delay = null) {
    clearTimeout(this.timer);
    const wait = delay ?? BACKOFF_MS[Math.min(this.tries, BACKOFF_MS.length - 1)] * (0.8 + 0.4 * Math.random());
    this.timer = setTimeout(() => this.refresh(), wait);
  }

  // Sends what waits, then asks for the stock. One at a time; whoever comes meanwhile waits for the same.
  refresh() {
    this.flushing ??= this.#refresh().finally(() => { this.flushing = null; });
    return this.flushing;
  }

  async #refresh() {
    clearTimeout(this.timer);
    const sent = await this.#send();
    const answer = sent ? await this.stock.sync() : null;
    if (answer?.ok) {
      this.tries = 0;
      this.#setNet(answer.tookMs < this.patienceMs ? "online" : "slow");
    } else if (answer) {
      this.#setNet(SIGNED_OUT.has(answer.status) ? "signed_out" : "offline");
    }
    if (this.waiting().length) {
      this.tries += answer?.ok ? 0 : 1;
      this.soon();
    } else if (answer?.ok) {
      this.soon(this.net === "online" ? REFRESH_MS : SLOW_MS);
    } else {
      this.tries += 1;
      this.soon();
    }
    return this.net === "online" && this.waiting().length === 0;
  }

  // Uploads all that may go, oldest first. Returns whether the network took part.
  async #send() {
    let size = BATCH;
    const asked = new Set();
    for (;;) {
      const ready = this.#toSend().filter((one) => !asked.has(one.scan_id) && (one.again ?? 0) <= this.stock.now());
      if (!ready.length) {
        return true;
      }
      ready.sort((a, b) => Date.parse(a.scan.event_at) - Date.parse(b.scan.event_at));
      const batch = ready.slice(0, size);
      const body = { scans: batch.map((record) => ({ ...record.scan, ...(record.told ? { told: record.told } : {}) })) };
      batch.forEach((record) => { record.tried = true; });
      const answer = await postJson(`${this.url}scans`, body);
      if (answer.status === 200 && answer.body) {
        this.#settleBatch(batch, answer, asked);
      } else if ((answer.status === 400 || answer.status === 413) && batch.length > 1) {
        size = Math.max(1, Math.floor(batch.length / 2)); // one of them makes the whole unreadable
      } else if (answer.status === 400 || answer.status === 413) {
        this.#settle(batch[0], { status: 400, error: answer.body?.error }, null);
      } else {
        return this.#refused(answer);
      }
    }
  }

  #settleBatch(batch, answer, asked) {
    for (const [place, record] of batch.entries()) {
      asked.add(record.scan_id);
      this.#conclude(record, answer, { place });
    }
  }

  async #refused(answer) {
    if (answer.status === 403) {
      await ask(`${this.url}state`); // a fresh token against forgery comes with it
    }
    this.#setNet(SIGNED_OUT.has(answer.status) ? "signed_out" : "offline");
    return false;
  }

  #setNet(net) {
    if (this.net !== net) {
      this.net = net;
      this.#changed();
    }
  }

  lost() {
    this.#setNet("offline");
    this.soon();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
