// What serves: a card for each model, with what was measured of it.

import { readCard } from "./api.js";
import { make } from "./elements.js";

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
    const beams = [...new Set(own.map((score) => score.beam))].sort((one, other) => one - other);
    const table = make("table");
    table.createCaption().textContent = `BLEU of ${variant}, as ${name} was published`;
    const head = table.createTHead().insertRow();
    const searches = beams.map((beam) => (beam === 1 ? "Greedy" : `Beam ${beam}`));
    for (const title of ["Direction", "Test set", "Sentences", ...searches]) {
      const cell = make("th", title);
      cell.scope = "col";
      head.append(cell);
    }
    const highest = Math.max(...own.map((score) => score.score));
    const tests = Map.groupBy(own, ({ direction, test_set: set }) => `${direction.source} ${direction.target} ${set}`);
    const body = table.createTBody();
    for (const found of tests.values()) body.append(this.#row(found, beams, highest));
    frame.append(table);
    frame.tabIndex = 0; // so that a keyboard can scroll it
    frame.role = "region";
    frame.ariaLabel = `Scores of ${name}`;
    return frame;
  }

  /** A row for one test set, with what each search scored on it. */
  #row(found, beams, highest) {
    const [{ direction, test_set: set, sentences }] = found;
    const row = make("tr");
    const head = make("th", `${this.#name(direction.source)} → ${this.#name(direction.target)}`);
    head.scope = "row";
    row.append(head, make("td", set), make("td", sentences.toLocaleString()));
    for (const beam of beams) {
      const score = found.find((each) => each.beam === beam);
      const cell = make("td", score?.score.toFixed(1) ?? "");
      if (score) {
        cell.className = "bar";
        cell.style.setProperty("--share", score.score / highest);
        cell.title = score.signature;
      }
      row.append(cell);
    }
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
        for (const heading of card.querySelectorAll("h1, h2, h3")) demote(heading);
        body.replaceChildren(...card.body.childNodes);
      } catch (failure) {
        body.textContent = failure.message;
      }
    });
    return details;
  }
}

/** A card stands below the name of its model: its headings are of lower ranks. */
function demote(heading) {
  const lower = make(`h${Number(heading.localName.slice(1)) + 3}`);
  lower.append(...heading.childNodes);
  heading.replaceWith(lower);
}
