// The page: what is typed goes to the service, what comes back is shown.

import { listLanguages, translate } from "./api.js";
import { heatMap } from "./attention.js";
import { Languages } from "./languages.js";

const PAUSE_MILLISECONDS = 250; // of typing, before a translation is asked for
const ENDS = {
  eos: "the end of the sentence",
  length: "its length limit",
  repetition: "its first repetition",
};

const element = (id) => document.getElementById(id);
const languages = new Languages(element("source"), element("target"));
let pause = 0;
let running = new AbortController();
let last = null;

function request() {
  const beam = element("beam").value;
  return {
    text: element("text").value,
    source: languages.source,
    target: languages.target,
    alternatives: Number(element("count").value),
    ...(beam && { beam: Number(beam) }),
    ...(element("attend").checked && { attention: true }),
  };
}

/** Translate now, and forget the request before, which the service then drops too. */
async function update() {
  clearTimeout(pause);
  running.abort();
  running = new AbortController();
  const { signal } = running;
  if (!element("text").value.trim()) {
    show(null);
    return;
  }
  element("translation").setAttribute("aria-busy", "true");
  try {
    const translation = await translate(request(), signal);
    if (!signal.aborted) show(translation);
  } catch (failure) {
    if (!signal.aborted) showFailure(failure);
  }
}

function updateSoon() {
  clearTimeout(pause);
  countCharacters();
  if (element("live").checked || !element("text").value) {
    pause = setTimeout(update, PAUSE_MILLISECONDS);
  }
}

function show(translation) {
  last = translation;
  const wasDetected = translation && languages.source === "auto";
  element("translation").removeAttribute("aria-busy");
  element("failure").hidden = true;
  element("result").value = translation?.text ?? "";
  element("result").lang = translation?.target ?? "";
  element("copy").hidden = !translation;
  element("detected").textContent = wasDetected
    ? `Detected ${languages.name(translation.source)}`
    : "";
  showAlternatives(translation);
  showAttention(translation);
  showFacts(translation);
  fit();
}

function showAlternatives(translation) {
  const others = translation?.alternatives ?? [];
  element("others").hidden = others.length === 0;
  element("alternatives").replaceChildren(
    ...others.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      item.lang = translation.target;
      return item;
    }),
  );
}

function showAttention(translation) {
  const sentences = translation?.attention ?? [];
  element("attention").hidden = sentences.length === 0;
  element("maps").replaceChildren(...sentences.map(heatMap));
}

function showFacts(translation) {
  element("facts").hidden = !translation;
  if (!translation) return;
  element("latency").textContent = `${translation.milliseconds.toFixed(0)} ms`;
  element("model").textContent = translation.model || "none needed";
  element("score").textContent = translation.score.toFixed(3);
  element("ended").textContent = ENDS[translation.finish_reason];
}

function showFailure(failure) {
  element("translation").removeAttribute("aria-busy");
  const id = failure.requestId ? ` (request ${failure.requestId})` : "";
  element("failure").textContent = failure.message + id;
  element("failure").hidden = false;
}

function countCharacters() {
  const { length } = [...element("text").value];
  element("length").textContent = `${length.toLocaleString()} character${length === 1 ? "" : "s"}`;
  element("clear").hidden = length === 0;
}

/** Let both areas be as high as the longer of their texts. */
function fit() {
  const areas = [element("text"), element("result")];
  for (const area of areas) area.style.height = "";
  const height = Math.max(...areas.map((area) => area.scrollHeight));
  for (const area of areas) area.style.height = `${height}px`;
}

function swap() {
  const { value } = element("result");
  if (!languages.swap(last?.source)) return;
  if (value) element("text").value = value;
  countCharacters();
  update();
}

async function copy() {
  const result = element("result");
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(result.value);
  } else {
    // Without TLS, and not on this machine, browsers offer the old way only.
    result.select();
    document.execCommand("copy");
  }
  element("copy").textContent = "Copied";
  setTimeout(() => (element("copy").textContent = "Copy"), 1500);
}

function clear() {
  element("text").value = "";
  element("text").focus();
  countCharacters();
  update();
}

function onKey(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) update();
  else if (event.altKey && event.code === "KeyS") swap();
  else return;
  event.preventDefault();
}

async function start() {
  element("text").addEventListener("input", () => {
    fit();
    updateSoon();
  });
  for (const id of ["source", "target", "beam", "count", "attend"]) {
    element(id).addEventListener("change", update);
  }
  element("swap").addEventListener("click", swap);
  element("copy").addEventListener("click", copy);
  element("clear").addEventListener("click", clear);
  element("translation").addEventListener("submit", (event) => {
    event.preventDefault();
    update();
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", fit);
  try {
    languages.fill(await listLanguages());
  } catch (failure) {
    showFailure(failure);
  }
  countCharacters();
  // A text in the address, as in /#text=Hallo, makes a translation that can be linked to.
  const text = new URLSearchParams(location.hash.slice(1)).get("text");
  if (text) element("text").value = text;
  if (element("text").value) updateSoon();
}

start();
