// Evaluations: the list of the caller's own, with progress as it is made, and their reports.

import {
  cancelEvaluation,
  deleteEvaluation,
  hasKey,
  listEvaluations,
  readEvaluation,
  readReport,
} from "./api.js";
import { make } from "./elements.js";

const POLL_MILLISECONDS = 1000;
const PAUSE_MILLISECONDS = 5000; // after a failure
const UNDER_WAY = ["queued", "running"];
const STORED = "dragoman.evaluations"; // ids of those that were begun here without a key
const METRICS = { bleu: "BLEU", chrf: "chrF2", "chrf++": "chrF2++", ter: "TER" };

export class Evaluations {
  #section;
  #list;
  #describe;
  #rows = new Map();
  #timer = 0;
  #isOpen = false;
  #hasFailed = false;
  #turn = 0;

  /**
   * @param describe tells a pair of languages, such as `de-en`, in words
   * @param onFailure called with what the service answered instead of the list, or with null when
   *   it answers again
   * @param onChange called with all evaluations whenever they were read
   */
  constructor(section, list, { describe, onFailure, onChange }) {
    this.#section = section;
    this.#list = list;
    this.#describe = describe;
    this.onFailure = onFailure;
    this.onChange = onChange;
  }

  /** Show the list, and follow it as long as one is under way. */
  async open() {
    this.#isOpen = true;
    await this.refresh();
  }

  close() {
    this.#isOpen = false;
    clearTimeout(this.#timer);
  }

  async refresh() {
    clearTimeout(this.#timer);
    const turn = ++this.#turn; // what was asked before may be answered later
    try {
      const all = await findAll();
      if (!this.#isOpen || turn !== this.#turn) return;
      this.#show(all);
      this.onChange(all);
      if (this.#hasFailed) this.onFailure(null);
      this.#hasFailed = false;
      if (all.some(({ status }) => UNDER_WAY.includes(status))) this.#lookAgain(POLL_MILLISECONDS);
    } catch (failure) {
      if (!this.#isOpen || turn !== this.#turn) return;
      this.#hasFailed = true;
      this.onFailure(failure);
      if (!failure.wantsKey) this.#lookAgain(PAUSE_MILLISECONDS);
    }
  }

  #lookAgain(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (document.hidden) this.#lookAgain(milliseconds);
      else this.refresh();
    }, milliseconds);
  }

  /** Rows stay as long as their evaluations do, so that a keyboard keeps its place. */
  #show(all) {
    const ids = new Set(all.map(({ job_id: id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    for (const job of all.toReversed()) {
      let row = this.#rows.get(job.job_id);
      if (!row) {
        row = new Row(job, this.#describe(job.pair), () => this.refresh(), this.onFailure);
        this.#rows.set(job.job_id, row);
        this.#list.prepend(row.element);
      }
      row.update(job);
    }
    this.#section.hidden = all.length === 0;
  }
}

/** Keep the id of an evaluation: without a key, a service does not always list whose it is. */
export function remember({ job_id: id }) {
  if (!hasKey()) localStorage.setItem(STORED, [id, ...remembered()].slice(0, 100).join(" "));
}

function remembered() {
  return (localStorage.getItem(STORED) ?? "").split(" ").filter(Boolean);
}

/** List what the service does, and what it has of the others that were begun here. */
async function findAll() {
  const listed = await listEvaluations();
  const known = new Set(listed.map(({ job_id: id }) => id));
  const others = remembered().filter((id) => !known.has(id));
  if (hasKey() || !others.length) return listed;
  const found = await Promise.all(others.map(readIfThere));
  const gone = new Set(others.filter((_, i) => !found[i]));
  localStorage.setItem(STORED, remembered().filter((id) => !gone.has(id)).join(" "));
  const all = [...listed, ...found.filter(Boolean)];
  return all.sort((one, other) => other.created.localeCompare(one.created));
}

async function readIfThere(id) {
  try {
    return await readEvaluation(id);
  } catch (failure) {
    if (failure.code === "not_found") return null;
    throw failure;
  }
}

class Row {
  #status = null;

  constructor(job, pair, onChange, onFailure) {
    this.job = job;
    this.onChange = onChange;
    this.onFailure = onFailure;
    this.name = nameOf(job);
    this.element = make("li");
    const title = make("p", this.name, "title");
    const created = make("time", timeOf(job));
    created.dateTime = job.created;
    const lines = `${job.sentences.toLocaleString()} ${job.sentences === 1 ? "line" : "lines"}`;
    const facts = make("p", [pair, job.test_set, lines, ""].filter((fact) => fact !== null).join(" · "), "facts");
    facts.append(created, ` · ${shorten(job.job_id)}`);
    this.state = make("p", "", "state");
    this.state.role = "status";
    this.outcome = make("div", undefined, "outcome");
    this.actions = make("div", undefined, "actions");
    this.element.append(title, facts, this.state, this.outcome, this.actions);
  }

  update(job) {
    this.job = job;
    if (job.status !== this.#status) this.#change(job);
    if (job.status !== "running") return;
    const { done, total } = job.progress;
    this.bar.max = total || 1;
    if (total) this.bar.value = done;
    this.state.textContent =
      total && done === total ? "computing scores …" : `${done.toLocaleString()} of ${total.toLocaleString()} lines`;
  }

  /** Show another status: what stands there, and what can be done. */
  #change({ status, error, scores }) {
    // The button that cancels stays as it is, or whoever presses it just then would miss it.
    const keepsActions = [this.#status, status].every((each) => UNDER_WAY.includes(each));
    this.#status = status;
    this.element.className = status;
    this.outcome.replaceChildren();
    if (status === "queued") this.state.textContent = "waiting …";
    if (status === "running") this.outcome.append(this.#progress());
    if (status === "cancelled") this.state.textContent = "cancelled";
    if (status === "failed") this.state.textContent = error?.message ?? "It failed.";
    if (status === "done") {
      this.state.textContent = "done";
      this.outcome.append(scoreList(scores));
    }
    if (!keepsActions) this.#replaceActions();
  }

  #replaceActions() {
    const hadFocus = this.actions.contains(document.activeElement);
    this.actions.replaceChildren(...this.#buttons(this.#status));
    if (hadFocus) this.actions.firstElementChild.focus();
  }

  #progress() {
    this.bar = make("progress");
    this.bar.ariaLabel = `Progress of ${this.name}`;
    return this.bar;
  }

  #buttons(status) {
    const { job_id: id } = this.job;
    if (UNDER_WAY.includes(status)) return [this.#button("Cancel", () => cancelEvaluation(id))];
    const remove = this.#button("Remove", () => deleteEvaluation(id));
    return status === "done" ? [this.#report(), remove] : [remove];
  }

  #button(text, act) {
    const button = make("button", text, "quiet");
    button.type = "button";
    button.ariaLabel = `${text} ${this.name}`;
    button.addEventListener("click", async () => {
      if (button.ariaBusy) return; // a button that is disabled would lose the focus
      button.ariaBusy = true;
      try {
        await act();
        this.onChange();
      } catch (failure) {
        this.onFailure(failure);
      }
      button.ariaBusy = null;
    });
    return button;
  }

  /** A link, which a browser follows by itself; a key it does not send, so then the page does. */
  #report() {
    const link = make("a", "Report", "report");
    link.href = `v1/evaluations/${encodeURIComponent(this.job.job_id)}/report.html`;
    link.target = "_blank";
    link.ariaLabel = `Report of ${this.name}`;
    link.addEventListener("click", async (event) => {
      if (!hasKey()) return;
      event.preventDefault();
      const tab = open("about:blank"); // now: later it would be taken for an advertisement
      try {
        const report = URL.createObjectURL(await readReport(this.job.job_id));
        if (tab) tab.location = report;
        else location.assign(report);
      } catch (failure) {
        tab?.close();
        this.onFailure(failure);
      }
    });
    return link;
  }
}

/** Name an evaluation by what was measured, and against what. */
export function nameOf({ model, baseline }) {
  const measured = model ?? "Translations";
  if (!baseline) return measured;
  const [, job] = baseline.split("job ");
  return `${measured} against ${job ? `evaluation ${shorten(job)}` : baseline}`;
}

/** Tell when an evaluation was begun. */
export function timeOf({ created }) {
  return new Date(created).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

function shorten(id) {
  return id.slice(0, 8);
}

function scoreList(scores) {
  const list = make("dl", undefined, "scores");
  for (const [metric, score] of Object.entries(scores ?? {})) {
    const pair = make("div");
    pair.append(make("dt", METRICS[metric] ?? metric), make("dd", score.toFixed(1)));
    list.append(pair);
  }
  return list;
}
