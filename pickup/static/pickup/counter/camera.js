// The camera and photos: pictures go to the decoder beside the page, and what it reads comes back as text.
"use strict";

const EVERY_MS = 120; // between two pictures: quick enough for a hand, and it leaves the phone its breath
const SAME_CODE_MS = 2000; // a code that stays in view is one scan
const SIDE = 960; // pixels of the longer side that are read

export class Camera extends EventTarget {
  constructor(video, urls) {
    super();
    Object.assign(this, { video, urls, stream: null, seen: new Map(), asked: new Map(), next: 1, decoder: null });
    document.addEventListener("visibilitychange", () => this.#visibility());
    this.wanted = false;
  }

  get on() { return this.stream !== null; }

  #read(picture) {
    if (!this.decoder) {
      this.decoder = new Worker(this.urls.decoder);
      this.decoder.onmessage = ({ data }) => {
        this.asked.get(data.id)?.(data.text);
        this.asked.delete(data.id);
      };
    }
    const id = this.next++;
    return new Promise((resolve) => {
      this.asked.set(id, resolve);
      const urls = { reader: this.urls.reader, engine: this.urls.engine };
      this.decoder.postMessage({ id, picture, urls }, picture ? [picture] : []);
    });
  }

  // Fetches the reader while there is time and a network, so that it is here when there is none.
  warm() { return this.#read(null); }

  async readPhoto(file) {
    const whole = await createImageBitmap(file);
    for (const side of [1600, 800]) { // a code that fills the photo is read better small, a small one large
      const scale = Math.min(1, side / Math.max(whole.width, whole.height));
      const size = { resizeWidth: Math.round(whole.width * scale), resizeHeight: Math.round(whole.height * scale) };
      const text = await this.#read(await createImageBitmap(whole, { ...size, resizeQuality: "high" }));
      if (text) {
        whole.close();
        return text;
      }
    }
    whole.close();
    return "";
  }

  // Returns "" when it runs, else why not: https, missing or refused.
  async start() {
    this.wanted = true;
    if (this.on) {
      return "";
    }
    if (!navigator.mediaDevices?.getUserMedia) {
      return globalThis.isSecureContext ? "missing" : "https";
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } },
      });
    } catch (error) {
      return error.name === "NotAllowedError" ? "refused" : "missing";
    }
    if (!this.wanted || document.hidden) {
      this.#release();
      return "";
    }
    this.video.srcObject = this.stream;
    await this.video.play().catch(() => {});
    this.#look();
    this.dispatchEvent(new Event("change"));
    return "";
  }

  stop() {
    this.wanted = false;
    this.#release();
  }

  #release() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
    this.dispatchEvent(new Event("change"));
  }

  #visibility() {
    if (document.hidden && this.on) {
      this.#release();
    } else if (!document.hidden && this.wanted && !this.on) {
      this.start();
    }
  }

  get #track() { return this.stream?.getVideoTracks()[0]; }

  get hasTorch() { return Boolean(this.#track?.getCapabilities?.().torch); }

  async torch(lit) {
    await this.#track?.applyConstraints({ advanced: [{ torch: lit }] }).catch(() => {});
  }

  async #look() {
    const { stream, video } = this;
    while (this.stream === stream && stream) {
      if (video.videoWidth && video.readyState >= 2) {
        const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
        const size = { resizeWidth: Math.round(video.videoWidth * scale), resizeHeight: Math.round(video.videoHeight * scale) };
        const picture = await createImageBitmap(video, size).catch(() => null);
        const text = picture ? await this.#read(picture) : "";
        if (text && this.stream === stream) {
          this.#found(text);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }

  #found(text) {
    const now = performance.now();
    const last = this.seen.get(text) ?? -Infinity;
    this.seen.set(text, now);
    if (now - last > SAME_CODE_MS) {
      this.dispatchEvent(new CustomEvent("code", { detail: text }));
    }
  }
}
