// What serves: a card for each model, with what was measured of it.

import { readCard } from "./api.js";

export class Models {
  #element;
  #name;

  /** @param name gives a language's name by its code */
  constructor(element, name) {
    this.#element = element;
    this.#name = name;
  }

  show(models) {
    this.#element.replaceChildren(...models.map((model) => this.#article(model)));
  }

  #article(model) {
    const article = make("article");
    const heading = make("h3", `${model.name}/${model.version}`);
    const facts = make("dl");
    const directions = model.directions.map(({ source, target }) => `${this.#name(source)} → ${this.#name(target)}`);
    for (const [term, value] of [
      ["Directions", directions.join(", ")],
      ["Runs as", `${model.variant} on ${model.provider.replace("ExecutionProvider", "")}`],
      ["Parameters", model.parameters.toLocaleString()],
    ]) {
      const pair = make("div");
      pair.append(make("dt", term), make("dd", value));
      facts.append(pair);
    }
    article.append(heading, facts, this.#scores(model), this.#card(model));
    return article;
  }

  #scores({ name, variant, scores }) {
    const own = scores.filter((score) => score.variant === variant && score.metric === "BLEU");
    const frame = make("div");
    frame.className = "scroll";
    if (!own.length) return frame;
    const highest = Math.max(...own.map((score) => score.score));
    const table = make("table");
    table.createCaption().textContent = `BLEU of ${variant}, as ${name} was published`;
    const head = table.createTHead().insertRow();
    for (const title of ["Direction", "Test set", "BLEU", "Sentences", "Beam"]) {
      const cell = make("th", title);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const score of own) body.append(this.#row(score, highest));
    frame.append(table);
    frame.tabIndex = 0; // so that a keyboard can scroll it
    frame.role = "region";
    frame.ariaLabel = `Scores of ${name}`;
    return frame;
  }

  #row(score, highest) {
    const row = make("tr");
    const { source, target } = score.direction;
    const direction = make("th", `${this.#name(source)} → ${this.#name(target)}`);
    direction.scope = "row";
    const value = make("td", score.score.toFixed(1));
    value.className = "bar";
    value.style.setProperty("--share", score.score / highest);
    value.title = score.signature;
    row.append(
      direction,
      make("td", score.test_set),
      value,
      make("td", score.sentences.toLocaleString()),
      make("td", score.beam === 1 ? "greedy" : score.beam),
    );
    return row;
  }

  #card(model) {
    const details = make("details");
    const body = make("div");
    body.className = "card";
    details.append(make("summary", "Model card"), body);
    details.addEventListener("toggle", async () => {
      if (!details.open || body.children.length) return;
      try {
        const card = new DOMParser().parseFromString(await readCard(model), "text/html");
        body.replaceChildren(...card.body.childNodes);
      } catch (failure) {
        body.textContent = failure.message;
      }
    });
    return details;
  }
}

function make(name, text) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  return element;
}
