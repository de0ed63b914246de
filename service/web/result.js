// The translation on the page: its sentences can be chosen anew, its words show where they are from.

import { cut, linksOf, placesOf, sourcesOf, wordsOf } from "./spans.js";

const DOUBTFUL = 0.5; // confidence below which a sentence is marked

export class Result {
  #element;
  #onPoint;
  #onChoose;
  #translation = null;
  #source = "";

  /**
   * @param onPoint called with the spans of the source that a word was made from; [] for none
   * @param onChoose called with a sentence and its element when other translations are wanted
   */
  constructor(element, onPoint, onChoose) {
    this.#element = element;
    this.#onPoint = onPoint;
    this.#onChoose = onChoose;
    for (const name of ["pointerover", "focusin"]) {
      element.addEventListener(name, (event) => this.#point(event.target));
    }
    for (const name of ["pointerleave", "focusout"]) {
      element.addEventListener(name, () => this.#point(null));
    }
    element.addEventListener("click", (event) => this.#choose(event.target));
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.#choose(event.target);
    });
  }

  /** What is shown, as text. */
  get text() {
    return this.#element.textContent;
  }

  /** Show a translation of `source`, or nothing. */
  show(translation, source) {
    this.#translation = translation;
    this.#source = source;
    this.#onPoint([]);
    this.#element.lang = translation?.target ?? "";
    this.#element.replaceChildren(...(translation ? this.#parts() : []));
  }

  /** Show another text in the place of a sentence; its words are not aligned any more. */
  replace(element, text) {
    element.replaceChildren(document.createTextNode(text));
    element.classList.add("chosen");
    delete element.dataset.doubtful;
    element.title = "Chosen by you";
  }

  #parts() {
    const { text, sentences, alignment } = this.#translation;
    const places = placesOf(text);
    const sourcePlaces = placesOf(this.#source);
    this.links = linksOf(alignment ?? [], this.#source, text);
    const parts = [];
    let end = 0;
    for (const sentence of sentences ?? []) {
      const [begin, next] = sentence.target_span.map((place) => places[place]);
      parts.push(document.createTextNode(text.slice(end, begin)));
      parts.push(
        this.#sentence(text, begin, next, {
          ...sentence,
          source: cut(this.#source, sourcePlaces, sentence.source_span),
        }),
      );
      end = next;
    }
    parts.push(document.createTextNode(text.slice(end)));
    return parts;
  }

  #sentence(text, begin, end, sentence) {
    const element = document.createElement("span");
    element.className = "sentence";
    element.role = "button";
    element.tabIndex = 0;
    element.ariaHasPopup = "dialog";
    element.sentence = sentence;
    const { confidence } = sentence;
    if (confidence != null) {
      element.title = `Confidence ${percent(confidence)}. Click for other translations.`;
      if (confidence < DOUBTFUL) element.dataset.doubtful = "";
    } else {
      element.title = "Click for other translations.";
    }
    for (const word of wordsOf(text.slice(begin, end))) {
      const span = document.createElement("span");
      span.textContent = word.text;
      if (word.isWord) {
        span.className = "word";
        span.sources = sourcesOf(this.links, begin + word.begin, begin + word.end);
      }
      element.append(span);
    }
    return element;
  }

  #point(target) {
    const word = target?.closest?.(".word");
    this.#element.querySelector(".pointed")?.classList.remove("pointed");
    word?.classList.add("pointed");
    this.#onPoint(word?.sources ?? []);
  }

  #choose(target) {
    const element = target.closest?.(".sentence");
    if (element && !getSelection().toString()) this.#onChoose(element.sentence, element);
  }
}

export function percent(share) {
  return `${(100 * share).toFixed(0)} %`;
}
