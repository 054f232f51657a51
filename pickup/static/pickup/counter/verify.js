// The recipient's QR, read and checked on this device. Its shape is told in pickup/codes.py.
"use strict";

export const PREFIX = "P1.";
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const BODY_BYTES = 42;
const TOKEN_BYTES = BODY_BYTES + 64;

export function base45Decode(text) {
  const bytes = [];
  for (let start = 0; start < text.length; start += 3) {
    const values = [...text.slice(start, start + 3)].map((letter) => ALPHABET.indexOf(letter));
    if (values.includes(-1) || values.length === 1) {
      return null;
    }
    const number = values[0] + 45 * values[1] + 2025 * (values[2] ?? 0);
    if (number > (values.length === 3 ? 65535 : 255)) {
      return null;
    }
    bytes.push(...(values.length === 3 ? [number >> 8, number & 255] : [number]));
  }
  return Uint8Array.from(bytes);
}

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function uuidOf(bytes) {
  const digits = hex(bytes);
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]].map(([from, to]) => digits.slice(from, to)).join("-");
}

// Returns what the token says, its signature unchecked, or null when it is none.
export function parseToken(text) {
  const raw = text.startsWith(PREFIX) ? base45Decode(text.slice(PREFIX.length)) : null;
  if (raw === null || raw.length !== TOKEN_BYTES || raw[0] !== 1) {
    return null;
  }
  const view = new DataView(raw.buffer);
  return {
    kid: String(raw[1]),
    uuid: uuidOf(raw.subarray(2, 18)),
    point: view.getUint32(18),
    expiresMs: view.getUint32(22) * 1000,
    secret: raw.slice(26, BODY_BYTES),
    body: raw.slice(0, BODY_BYTES),
    signature: raw.slice(BODY_BYTES),
  };
}

export const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

export async function hashOf(secret) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", secret));
  return btoa(String.fromCharCode(...hash));
}

const imports = new Map(); // a shop meets two keys at most, thousands of times

async function verifyNatively(key, signature, body) {
  const name = key.join();
  const imported = imports.get(name) ?? await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  imports.set(name, imported);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, body);
}

// Returns a checker of signatures: the browser's own where it has Ed25519, else the vendored one.
export function makeVerifier(fallbackUrl) {
  let fallback = null;
  return async (key, signature, body) => {
    if (fallback === null) {
      try {
        return await verifyNatively(key, signature, body);
      } catch (error) {
        if (error.name !== "NotSupportedError" && error.name !== "SyntaxError") {
          return false; // a key or a signature that is none
        }
      }
      fallback = await import(fallbackUrl);
    }
    try {
      return await fallback.verifyAsync(signature, body, key, { zip215: false });
    } catch {
      return false;
    }
  };
}

// Tells whether the token was signed by the network: true, false, or null when this device cannot tell.
export async function isSigned(token, keys, verifier) {
  const key = keys[token.kid];
  if (!key || !globalThis.crypto?.subtle) {
    return null; // a newer key than this device knows is no forgery
  }
  try {
    return await verifier(fromBase64(key), token.signature, token.body);
  } catch {
    return null; // neither the browser nor the fallback can
  }
}
