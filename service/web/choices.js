// Other translations of a sentence, beside it; one that is chosen takes its place.

import { differences } from "./spans.js";

const COUNT = 4;

export class Choices {
  #element;
  #list;
  #onChosen;
  #opener = null;
  #running = new AbortController();

  /**
   * @param list resolves to other translations of a sentence: (sentence, count, signal)
   * @param onChosen called with the sentence's element and the text that was chosen
   */
  constructor(element, list, onChosen) {
    this.#element = element;
    this.#list = list;
    this.#onChosen = onChosen;
    element.addEventListener("toggle", (event) => {
      if (event.newState !== "closed") return;
      this.#running.abort();
      this.#opener?.classList.remove("open");
    });
    element.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Open beside a sentence's element and fill with what the service offers. */
  async open(sentence, opener) {
    this.#opener?.classList.remove("open");
    this.#running.abort();
    this.#running = new AbortController();
    this.#opener = opener;
    opener.classList.add("open");
    this.#element.lang = opener.closest("[lang]").lang;
    this.#fill([note("Looking for others …")]);
    this.#element.showPopover();
    this.#place();
    const { signal } = this.#running;
    try {
      const texts = await this.#list(sentence, COUNT, signal);
      if (signal.aborted) return;
      const shown = opener.textContent;
      const others = texts.filter((text) => text !== shown);
      this.#fill(others.length ? others.map((text) => this.#choice(text, shown)) : [note("The model has no other.")]);
      this.#place();
      this.#element.querySelector("button")?.focus();
    } catch (failure) {
      if (!signal.aborted) this.#fill([note(failure.message)]);
    }
  }

  close() {
    if (this.#element.matches(":popover-open")) this.#element.hidePopover();
  }

  #fill(children) {
    this.#element.replaceChildren(...children);
  }

  #choice(text, shown) {
    const button = document.createElement("button");
    button.type = "button";
    for (const part of differences(text, shown)) {
      if (part.isNew) {
        const mark = document.createElement("mark");
        mark.textContent = part.text;
        button.append(mark);
      } else {
        button.append(part.text);
      }
    }
    button.addEventListener("click", () => {
      this.#onChosen(this.#opener, text);
      this.close();
      this.#opener.focus();
    });
    return button;
  }

  #move(event) {
    const buttons = [...this.#element.querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !buttons.length) return;
    event.preventDefault();
    const next = buttons.indexOf(document.activeElement) + step;
    buttons[(next + buttons.length) % buttons.length].focus();
  }

  /** Below the sentence, or above where there is more room; within the window. */
  #place() {
    const anchor = this.#opener.getBoundingClientRect();
    const { width, height } = this.#element.getBoundingClientRect();
    const left = Math.max(8, Math.min(anchor.left, innerWidth - width - 8));
    const isBelow = anchor.bottom + height + 16 < innerHeight || anchor.top < height + 16;
    this.#element.style.left = `${left}px`;
    this.#element.style.top = `${isBelow ? anchor.bottom + 6 : anchor.top - height - 6}px`;
  }
}

function note(text) {
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  return paragraph;
}
