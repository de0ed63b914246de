// The engine's figures as they change: from the metrics that monitoring reads too.

import { readMetrics } from "./api.js";

const PERIOD_MILLISECONDS = 2000;
const POINTS = 60;
const LINE = /^(\w+)(?:\{[^}]*\})? ([^ ]+)$/;

/** What is shown: how a figure comes from two readings and the seconds between them. */
const FIGURES = [
  ["Sentences a second", (now, then, seconds) => rate("dragoman_sentences_total", now, then, seconds), 1],
  ["Target tokens a second", (now, then, seconds) => rate("dragoman_target_tokens_total", now, then, seconds), 0],
  ["Rows being decoded", (now) => now.get("dragoman_rows") ?? 0, 0],
  ["Sentences waiting", (now) => now.get("dragoman_waiting_sentences") ?? 0, 0],
  ["Wait in the line, ms", (now, then) => 1000 * mean("dragoman_queue_seconds", now, then), 1],
  ["A step, ms", (now, then) => 1000 * mean("dragoman_step_seconds", now, then), 2],
];

export class Figures {
  #tiles;
  #last = null;
  #timer = 0;

  constructor(element) {
    this.#tiles = FIGURES.map(([title, measure, decimals]) => new Tile(title, measure, decimals));
    element.append(...this.#tiles.map((tile) => tile.element));
  }

  start() {
    this.stop();
    this.#read();
    this.#timer = setInterval(() => this.#read(), PERIOD_MILLISECONDS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#last = null;
  }

  async #read() {
    if (document.hidden) return;
    const reading = { sums: await readMetrics().then(sumUp, () => null), at: performance.now() };
    if (!reading.sums) return; // the next one may come through
    if (this.#last) {
      const seconds = (reading.at - this.#last.at) / 1000;
      for (const tile of this.#tiles) tile.add(reading.sums, this.#last.sums, seconds);
    }
    this.#last = reading;
  }
}

class Tile {
  #values = [];

  constructor(title, measure, decimals) {
    this.measure = measure;
    this.decimals = decimals;
    this.element = document.createElement("figure");
    this.value = document.createElement("output");
    this.value.textContent = "–";
    const caption = document.createElement("figcaption");
    caption.textContent = title;
    this.chart = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.chart.setAttribute("viewBox", `0 0 ${POINTS - 1} 20`);
    this.chart.setAttribute("preserveAspectRatio", "none");
    this.chart.ariaHidden = true;
    this.line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    this.chart.append(this.line);
    this.element.append(caption, this.value, this.chart);
  }

  add(now, then, seconds) {
    const value = this.measure(now, then, seconds);
    this.#values = [...this.#values, value].slice(-POINTS);
    this.value.textContent = value.toLocaleString(undefined, {
      minimumFractionDigits: this.decimals,
      maximumFractionDigits: this.decimals,
    });
    const highest = Math.max(...this.#values, Number.MIN_VALUE);
    const first = POINTS - this.#values.length;
    const points = this.#values.map((each, i) => `${first + i},${19 - (18 * each) / highest}`);
    this.line.setAttribute("points", points.join(" "));
  }
}

/** Add up each series over its labels. */
function sumUp(text) {
  const sums = new Map();
  for (const line of text.split("\n")) {
    const found = LINE.exec(line);
    if (found) sums.set(found[1], (sums.get(found[1]) ?? 0) + Number(found[2]));
  }
  return sums;
}

function rate(name, now, then, seconds) {
  return ((now.get(name) ?? 0) - (then.get(name) ?? 0)) / seconds;
}

function mean(name, now, then) {
  const count = rate(`${name}_count`, now, then, 1);
  return count ? rate(`${name}_sum`, now, then, 1) / count : 0;
}
