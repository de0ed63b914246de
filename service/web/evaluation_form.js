// The form that begins an evaluation: what is measured, on which lines, against what.

import { listTestSets, listVersions, submitEvaluation } from "./api.js";
import { nameOf, remember, timeOf } from "./evaluations.js";

const OWN = "own"; // lines or translations that are handed in
const NOTHING = "";

export class EvaluationForm {
  #form;
  #fields;
  #describe;
  #onSubmitted;
  #onFailure;
  #models = [];
  #versions = new Map();
  #sets = [];
  #done = [];

  /**
   * @param describe tells a pair of languages, such as `de-en`, in words
   * @param onSubmitted called when the service has taken an evaluation
   * @param onFailure called with what it answered instead
   */
  constructor(form, { describe, onSubmitted, onFailure }) {
    this.#form = form;
    this.#fields = form.elements;
    this.#describe = describe;
    this.#onSubmitted = onSubmitted;
    this.#onFailure = onFailure;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("change", ({ target }) => this.#onChange(target));
    form.addEventListener("input", ({ target }) => this.#count(target));
  }

  /** Offer what the service has now. */
  async fill(models) {
    this.#models = models;
    const names = [...new Set(models.map(({ name }) => name))];
    const [sets, ...versions] = await Promise.all([listTestSets(), ...names.map(versionsOf)]);
    this.#sets = sets;
    this.#versions = new Map(names.map((name, i) => [name, versions[i]]));
    const pairs = models.flatMap(({ directions }) => directions.map(({ source, target }) => `${source}-${target}`));
    this.#offer("pair", [...new Set(pairs)].map((pair) => [this.#describe(pair), pair]));
    this.#onChange(this.#fields.pair);
  }

  /** Offer evaluations that are done as something to compare with. */
  compareWith(evaluations) {
    const done = evaluations.filter(({ status }) => status === "done");
    const ids = (jobs) => jobs.map(({ job_id: id }) => id).join();
    if (ids(done) === ids(this.#done)) return; // a list that is open would be closed
    this.#done = done;
    this.#offerBaselines();
  }

  #onChange(field) {
    if (field === this.#fields.pair) {
      this.#offerModels();
      this.#offerSets();
      this.#offerBaselines();
    }
    if (field?.type === "file") this.#readFile(field);
    this.#toggle("own-hypotheses", this.#fields.model.value === OWN);
    this.#toggle("own-baseline", this.#fields.baseline.value === OWN);
    this.#toggle("own-lines", this.#fields.test_set.value === OWN);
    this.#fields.lines.required = this.#translates;
    this.#fields.beam.disabled = !this.#translates;
  }

  /** Whether a model is to translate, be it only to compare with. */
  get #translates() {
    return this.#fields.model.value !== OWN || this.#fields.baseline.value.startsWith("model ");
  }

  #offerModels() {
    const serving = new Set(this.#models.map(({ name, version }) => `${name}@${version}`));
    const options = this.#modelNames().map((name) => [serving.has(name) ? `${name} (serves)` : name, name]);
    this.#offer("model", [...options, ["translations of my own", OWN]]);
  }

  #offerBaselines() {
    const { value: pair } = this.#fields.pair;
    const jobs = this.#done.filter((job) => job.pair === pair);
    this.#offer("baseline", [
      ["nothing", NOTHING],
      ...this.#modelNames().map((name) => [name, `model ${name}`]),
      ...jobs.map((job) => [`${nameOf(job)}, ${timeOf(job)}`, `job ${job.job_id}`]),
      ["translations of my own", OWN],
    ]);
  }

  #offerSets() {
    const [source, target] = this.#languages();
    const fitting = this.#sets.filter(({ languages }) => languages[source] && languages[target]);
    this.#offer("test_set", [...fitting.map(({ name }) => [name, `set ${name}`]), ["lines of my own", OWN]]);
  }

  /** Name the models of the pair with all their versions, those that serve first. */
  #modelNames() {
    const [source, target] = this.#languages();
    const fitting = this.#models.filter(({ directions }) =>
      directions.some((direction) => direction.source === source && direction.target === target),
    );
    const serving = fitting.map(({ name, version }) => `${name}@${version}`);
    const others = fitting.flatMap(({ name }) =>
      (this.#versions.get(name) ?? []).map(({ version }) => `${name}@${version}`),
    );
    return [...new Set([...serving, ...others])];
  }

  #languages() {
    const { value } = this.#fields.pair;
    const model = this.#models.flatMap(({ directions }) => directions);
    const found = model.find(({ source, target }) => `${source}-${target}` === value);
    return found ? [found.source, found.target] : ["", ""];
  }

  /** Fill a select, and keep what is chosen if it is offered still. */
  #offer(name, options) {
    const select = this.#fields[name];
    const { value } = select;
    select.replaceChildren(...options.map(([text, key]) => new Option(text, key)));
    if (options.some(([, key]) => key === value)) select.value = value;
  }

  #toggle(id, isShown) {
    const part = this.#form.querySelector(`#${id}`);
    part.hidden = !isShown;
    for (const field of part.querySelectorAll("textarea")) field.disabled = !isShown;
  }

  /** Put a file into the field beside it, where it can be seen and mended. */
  async #readFile(field) {
    const [file] = field.files;
    if (!file) return;
    const text = this.#fields[field.dataset.into];
    try {
      text.value = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      this.#count(text);
    } catch {
      this.#onFailure(new Error(`${file.name} is not a text in UTF-8.`));
    }
    field.value = "";
  }

  #count(field) {
    const counter = field.id && this.#form.querySelector(`[data-counts="${field.id}"]`);
    if (!counter) return;
    const lines = linesOf(field.value);
    counter.textContent = `${lines.toLocaleString()} line${lines === 1 ? "" : "s"}`;
  }

  async #submit() {
    const { submit } = this.#fields;
    submit.disabled = true;
    try {
      remember(await submitEvaluation(this.#body()));
      this.#onSubmitted();
    } catch (failure) {
      this.#onFailure(failure);
    } finally {
      submit.disabled = false;
    }
  }

  #body() {
    const form = new FormData();
    const fields = this.#fields;
    const put = (name, value) => value && form.set(name, value);
    const putLines = (name, field) => form.set(name, new Blob([field.value]), `${name}.txt`);
    form.set("pair", fields.pair.value);
    if (fields.model.value === OWN) putLines("hypotheses", fields.hypotheses);
    else form.set("model", fields.model.value);
    if (fields.test_set.value === OWN) {
      if (fields.lines.value) putLines("source", fields.lines);
      putLines("reference", fields.reference);
    } else {
      form.set("test_set", fields.test_set.value.slice("set ".length));
    }
    const { value: baseline } = fields.baseline;
    if (baseline === OWN) putLines("baseline_hypotheses", fields.baseline_hypotheses);
    else if (baseline.startsWith("job ")) form.set("baseline_job", baseline.slice("job ".length));
    else put("baseline", baseline.slice("model ".length));
    form.set("metrics", [...this.#form.querySelectorAll("[name=metric]:checked")].map(({ value }) => value).join());
    form.set("paired", fields.paired.value);
    if (fields.beam.value && !fields.beam.disabled) form.set("decode", JSON.stringify({ beam: Number(fields.beam.value) }));
    return form;
  }
}

function linesOf(text) {
  return text ? text.replace(/\n$/, "").split("\n").length : 0;
}

/** List the versions of a model; those that serve are known anyway. */
function versionsOf(name) {
  return listVersions(name).catch(() => []);
}
