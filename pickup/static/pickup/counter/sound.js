// Tone, vibration and voice of a verdict, as the clerk has switched them on.
"use strict";

let audio = null;

// A browser lets a page sound only after somebody touched it.
export function wake() {
  const Context = globalThis.AudioContext ?? globalThis.webkitAudioContext;
  if (!audio && Context) {
    audio = new Context();
  }
  audio?.resume?.().catch(() => {});
}

function play(notes) {
  if (!audio || audio.state !== "running") {
    return;
  }
  let at = audio.currentTime + 0.01;
  for (const [hertz, ms] of notes) {
    const ends = at + ms / 1000;
    if (hertz) {
      const tone = audio.createOscillator();
      const loudness = audio.createGain();
      tone.type = hertz < 300 ? "square" : "triangle"; // phone speakers are weak in the low notes
      tone.frequency.value = hertz;
      loudness.gain.setValueAtTime(0.0001, at);
      loudness.gain.exponentialRampToValueAtTime(0.4, at + 0.01);
      loudness.gain.exponentialRampToValueAtTime(0.0001, ends);
      tone.connect(loudness).connect(audio.destination);
      tone.start(at);
      tone.stop(ends);
    }
    at = ends;
  }
}

function say(words) {
  if (!globalThis.speechSynthesis) {
    return;
  }
  speechSynthesis.cancel(); // the newest verdict is the one that counts
  const spoken = new SpeechSynthesisUtterance(words);
  spoken.lang = document.documentElement.lang === "zh-Hans" ? "zh-CN" : document.documentElement.lang;
  speechSynthesis.speak(spoken);
}

export function tell(sign, words, settings) {
  if (settings.sound) {
    play(sign.notes);
  }
  if (settings.vibration && navigator.userActivation?.hasBeenActive !== false) {
    navigator.vibrate?.(sign.vibration);
  }
  if (settings.speech) {
    say(words);
  }
}
