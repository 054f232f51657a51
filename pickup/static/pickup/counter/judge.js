// What this device says by itself, in the network's own words, when there is no network. Nothing here touches the page.
// The order of the checks is the one of every offline scanner: signature, whose, known, revoked, used, expired.
"use strict";

import { hashOf, isSigned, parseToken } from "./verify.js";

const GONE = {
  collected: "already_collected", refused: "returned", returned: "returned", cancelled: "cancelled",
  damaged: "damaged", lost: "not_found",
};
const HERE = new Set(["ready", "expired"]);
// What may be uploaded later as "told": the device said that it was done, or that it did not know.
const DONE = new Set(["ok", "expired_but_here"]);

// Returns {verdict, told, parcel, detail}: `told` is null for a refusal, which left nothing to upload.
export async function judge(scan, stock, verifier) {
  const judged = await JUDGES[scan.kind](scan, stock, verifier);
  const done = DONE.has(judged.verdict) || (scan.kind === "damaged" && judged.verdict === "damaged" && judged.parcel);
  const told = done ? (judged.verdict === "damaged" ? "ok" : judged.verdict) : null;
  return { told: judged.verdict === "offline_unknown" ? "offline_unknown" : told, detail: null, ...judged };
}

async function pickup(scan, stock, verifier) {
  if (!scan.token) {
    const named = known(scan, stock);
    return named ?? { verdict: "offline_unknown" }; // a typed code cannot be checked here
  }
  const token = parseToken(scan.token);
  if (token === null) {
    return { verdict: "wrong_code" };
  }
  const signed = await isSigned(token, stock.keys, verifier);
  if (signed === null) {
    return { verdict: "offline_unknown" };
  }
  if (!signed) {
    return { verdict: "wrong_code" };
  }
  if (token.point !== stock.point) {
    return { verdict: "wrong_point" };
  }
  const parcel = stock.byUuid(token.uuid);
  if (scan.barcode && parcel?.barcode !== scan.barcode) {
    return { verdict: parcel ? "wrong_code" : "offline_unknown" };
  }
  if (!parcel) {
    return { verdict: "offline_unknown" };
  }
  if (parcel.gone) {
    return goneAs(parcel);
  }
  if (parcel.proofs.length && !parcel.proofs.includes(await hashOf(token.secret))) {
    return { verdict: "code_revoked", parcel };
  }
  if (!HERE.has(parcel.status)) {
    return { verdict: "not_arrived", parcel };
  }
  const late = parcel.status === "expired" || Date.parse(parcel.hold_until) < stock.now() || token.expiresMs < stock.now();
  return { verdict: late ? "expired_but_here" : "ok", parcel };
}

function known(scan, stock) {
  const parcel = stock.named(scan);
  if (parcel?.gone) {
    return goneAs(parcel);
  }
  return parcel && !HERE.has(parcel.status) ? { verdict: "not_arrived", parcel } : null;
}

function goneAs(parcel) {
  return { verdict: GONE[parcel.status] ?? "not_found", parcel, detail: { at: parcel.at, here: parcel.mine } };
}

function arrival(scan, stock) {
  const parcel = stock.named(scan);
  if (!parcel) {
    return { verdict: "offline_unknown" };
  }
  if (parcel.gone) {
    return parcel.status === "lost" ? { verdict: "unknown_parcel", parcel } : goneAs(parcel);
  }
  return { verdict: HERE.has(parcel.status) ? "duplicate" : "ok", parcel };
}

function giveBack(scan, stock) {
  const parcel = stock.named(scan);
  if (!parcel || (parcel.gone && parcel.status === "refused")) {
    return { verdict: "offline_unknown" };
  }
  if (parcel.gone) {
    return goneAs(parcel);
  }
  if (parcel.status === "expected") {
    return { verdict: "not_arrived", parcel };
  }
  const over = parcel.status === "expired" || Date.parse(parcel.hold_until) < stock.now();
  return { verdict: over ? "ok" : "clerk_not_allowed", parcel };
}

function damaged(scan, stock) {
  const parcel = stock.named(scan);
  if (!parcel) {
    return { verdict: "offline_unknown" };
  }
  return parcel.gone ? { ...goneAs(parcel), parcel: null } : { verdict: "damaged", parcel };
}

function undo(scan, stock) {
  const deed = stock.undoable().find((one) => one.barcode === scan.barcode);
  return deed ? { verdict: "ok", parcel: stock.named(scan) } : { verdict: "offline_unknown" };
}

const JUDGES = { pickup, arrival, return: giveBack, damaged, undo };
