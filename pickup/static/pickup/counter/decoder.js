// Reads codes from pictures, beside the page so that typing never waits for it. A classic worker: it needs no more.
"use strict";

const FORMATS = ["qr_code", "code_128", "ean_13", "ean_8", "upc_a", "data_matrix"];
let ready = null;

async function native() {
  if (!("BarcodeDetector" in self)) {
    return null;
  }
  const there = await self.BarcodeDetector.getSupportedFormats();
  return FORMATS.every((format) => there.includes(format)) ? new self.BarcodeDetector({ formats: FORMATS }) : null;
}

async function detector({ reader, engine }) {
  const own = await native().catch(() => null);
  if (own) {
    return own;
  }
  self.importScripts(reader);
  self.BarcodeDetectionAPI.prepareZXingModule({ overrides: { locateFile: () => engine }, fireImmediately: true });
  return new self.BarcodeDetectionAPI.BarcodeDetector({ formats: FORMATS });
}

// Of several codes in view the one nearest to the middle is meant.
function nearest(codes, width, height) {
  const distance = ({ boundingBox: box }) =>
    Math.hypot(box.x + box.width / 2 - width / 2, box.y + box.height / 2 - height / 2);
  return codes.filter((code) => code.rawValue).sort((a, b) => distance(a) - distance(b))[0]?.rawValue ?? "";
}

self.onmessage = async ({ data }) => {
  const { id, picture, urls } = data;
  try {
    ready ??= detector(urls);
    const reader = await ready;
    const text = picture ? nearest(await reader.detect(picture), picture.width, picture.height) : "";
    self.postMessage({ id, text });
  } catch (error) {
    ready = null;
    self.postMessage({ id, text: "", error: String(error) });
  } finally {
    picture?.close();
  }
};
