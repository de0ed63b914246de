// The page: what is typed goes to the service, what comes back is shown.

import { listLanguages, listModels, translate, useKey } from "./api.js";
import { heatMap } from "./attention.js";
import { Choices } from "./choices.js";
import { Documents } from "./documents.js";
import { EvaluationForm } from "./evaluation_form.js";
import { Evaluations } from "./evaluations.js";
import { Figures } from "./figures.js";
import { Languages } from "./languages.js";
import { Mirror } from "./mirror.js";
import { Models } from "./models.js";
import { percent, Result } from "./result.js";
import { Tabs } from "./tabs.js";

const PAUSE_MILLISECONDS = 250; // of typing, before a translation is asked for
const ENDS = {
  length: "A sentence was cut off at its length limit.",
  repetition: "A sentence only repeated itself and was cut off.",
};

const element = (id) => document.getElementById(id);
const languages = new Languages(element("source"), element("target"));
const mirror = new Mirror(element("text"), element("mirror"));
const choices = new Choices(element("choices"), listOthers, (sentence, text) =>
  result.replace(sentence, text),
);
const result = new Result(
  element("result"),
  (spans) => mirror.mark(spans),
  (sentence, opener) => choices.open(sentence, opener),
);
const documents = new Documents(element("documents"), element("jobs"), languages);
const models = new Models(element("models"), (code) => languages.name(code));
const figures = new Figures(element("figures"));
const describePair = (pair) => languages.describe(pair);
const evaluations = new Evaluations(element("evaluations"), element("evaluation-jobs"), {
  describe: describePair,
  onFailure: (failure) => (failure ? showFailure(failure) : hideFailure()),
  onChange: (all) => evaluationForm.compareWith(all),
});
const evaluationForm = new EvaluationForm(element("evaluation"), {
  describe: describePair,
  onSubmitted: () => {
    hideFailure();
    evaluations.refresh();
  },
  onFailure: showFailure,
});
const tabs = new Tabs(element("tabs"), open);
let pause = 0;
let running = new AbortController();
let last = null;

function options() {
  const beam = element("beam").value;
  return {
    target: languages.target,
    format: element("format").value,
    ...(beam && { beam: Number(beam) }),
  };
}

/** Translate now, and forget the request before, which the service then drops too. */
async function update() {
  clearTimeout(pause);
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const text = element("text").value;
  if (!text.trim()) {
    show(null);
    return;
  }
  element("translation").setAttribute("aria-busy", "true");
  const request = {
    ...options(),
    text,
    source: languages.source,
    alignment: true,
    ...(element("attend").checked && { attention: true }),
  };
  try {
    const translation = await translate(request, signal);
    if (!signal.aborted) show(translation, text);
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

/** List other translations of one sentence of the text. */
async function listOthers(sentence, count, signal) {
  const request = {
    ...options(),
    text: sentence.source,
    source: last.source,
    alternatives: count,
    beam: Math.max(count + 1, Number(element("beam").value)),
  };
  const { text, alternatives } = await translate(request, signal);
  return [text, ...alternatives];
}

function show(translation, source = "") {
  last = translation;
  const wasDetected = translation && languages.source === "auto";
  choices.close();
  element("translation").removeAttribute("aria-busy");
  element("failure").hidden = true;
  result.show(translation, source);
  element("spoken").lang = translation?.target ?? "";
  element("spoken").textContent = translation?.text ?? "";
  element("copy").hidden = !translation;
  element("detected").textContent = wasDetected ? describeDetection(translation) : "";
  element("attention").hidden = !translation?.attention?.length;
  element("maps").replaceChildren(...(translation?.attention ?? []).map(heatMap));
  showFacts(translation);
  showWarnings(translation);
  fit();
}

function describeDetection({ source, detection }) {
  const confidence = detection?.confidence;
  const share = confidence == null ? "" : `, ${percent(confidence)} sure`;
  return `Detected ${languages.name(source)}${share}`;
}

function showFacts(translation) {
  element("facts").hidden = !translation;
  if (!translation) return;
  const { confidence, model, milliseconds, pivot } = translation;
  const facts = [
    confidence == null ? null : `confidence ${percent(confidence)}`,
    pivot && `by way of ${languages.name(pivot)}`,
    model || "no model was needed",
    `${milliseconds.toFixed(0)} ms`,
  ];
  element("facts").textContent = facts.filter(Boolean).join(" · ");
}

function showWarnings(translation) {
  const warnings = [];
  if (translation && ENDS[translation.finish_reason]) warnings.push(ENDS[translation.finish_reason]);
  for (const lost of translation?.lost ?? []) warnings.push(`“${lost}” is not in the translation.`);
  element("warnings").hidden = warnings.length === 0;
  element("warnings").replaceChildren(
    ...warnings.map((warning) => {
      const item = document.createElement("li");
      item.textContent = warning;
      return item;
    }),
  );
}

function showFailure(failure) {
  element("translation").removeAttribute("aria-busy");
  const id = failure.requestId ? ` (request ${failure.requestId})` : "";
  element("failure").textContent = failure.message + id;
  element("failure").hidden = false;
  element("access").hidden = !failure.wantsKey;
  if (failure.wantsKey) element("key").focus();
}

function hideFailure() {
  element("failure").hidden = element("access").hidden = true;
}

function countCharacters() {
  const { length } = [...element("text").value];
  element("length").textContent = `${length.toLocaleString()} character${length === 1 ? "" : "s"}`;
  element("clear").hidden = length === 0;
}

/** Let the field be as high as its text, or as the translation beside it. */
function fit() {
  const field = element("text");
  field.style.height = "";
  field.style.height = `${Math.max(field.scrollHeight, element("result").scrollHeight)}px`;
}

function swap() {
  const { text } = result;
  if (!languages.swap(last?.source)) return;
  if (text) element("text").value = text;
  countCharacters();
  update();
}

async function copy() {
  const { text } = result;
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else copyTheOldWay();
  element("copy").textContent = "Copied";
  setTimeout(() => (element("copy").textContent = "Copy"), 1500);
}

/** Without TLS, and not on this machine, browsers offer this way only. */
function copyTheOldWay() {
  getSelection().selectAllChildren(element("result"));
  document.execCommand("copy");
  getSelection().removeAllRanges();
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

function acceptDrops() {
  const isDocument = (event) => event.dataTransfer.types.includes("Files");
  const hint = (isShown) => (element("drop").hidden = !isShown);
  addEventListener("dragover", (event) => {
    if (!isDocument(event)) return;
    event.preventDefault();
    hint(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget || hint(false));
  addEventListener("drop", (event) => {
    if (!isDocument(event)) return;
    event.preventDefault();
    hint(false);
    documents.add(event.dataTransfer.files);
  });
}

async function open(view) {
  figures.stop();
  evaluations.close();
  if (view === "translate") return;
  if (view === "models") figures.start();
  else evaluations.open();
  try {
    const found = await listModels();
    if (view === "models") models.show(found);
    else await evaluationForm.fill(found);
  } catch (failure) {
    showFailure(failure);
  }
}

async function fillLanguages() {
  try {
    languages.fill(await listLanguages());
    hideFailure();
  } catch (failure) {
    showFailure(failure);
  }
}

function listen() {
  element("text").addEventListener("input", () => {
    fit();
    updateSoon();
  });
  for (const id of ["source", "target", "beam", "format", "attend"]) {
    element(id).addEventListener("change", update);
  }
  element("swap").addEventListener("click", swap);
  element("copy").addEventListener("click", copy);
  element("clear").addEventListener("click", clear);
  element("choose").addEventListener("click", () => element("file").click());
  element("file").addEventListener("change", ({ target }) => {
    documents.add([...target.files]);
    target.value = "";
  });
  element("translation").addEventListener("submit", (event) => {
    event.preventDefault();
    update();
  });
  element("access").addEventListener("submit", async (event) => {
    event.preventDefault();
    useKey(element("key").value.trim());
    await fillLanguages();
    tabs.openFromAddress();
    update();
  });
  document.addEventListener("keydown", onKey);
  addEventListener("resize", fit);
  acceptDrops();
}

async function start() {
  listen();
  await fillLanguages();
  tabs.openFromAddress();
  countCharacters();
  // A text in the address, as in /#text=Hallo, makes a translation that can be linked to.
  const text = new URLSearchParams(location.hash.slice(1)).get("text");
  if (text) element("text").value = text;
  if (element("text").value) updateSoon();
}

start();
