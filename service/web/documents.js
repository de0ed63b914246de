// Documents: dropped or chosen, translated while you do something else, downloaded.

import { deleteDocument, readDocument, readResult, submitDocument } from "./api.js";

const POLL_MILLISECONDS = 700;
const ENDED = ["done", "failed", "cancelled"];

export class Documents {
  #section;
  #list;
  #languages;

  /** @param languages tells source and target when a document is handed over */
  constructor(section, list, languages) {
    this.#section = section;
    this.#list = list;
    this.#languages = languages;
  }

  /** Translate files, each a job of its own. */
  add(files) {
    for (const file of files) this.#run(file);
  }

  async #run(file) {
    const { source, target } = this.#languages;
    const row = new Row(file.name, this.#languages.name(target));
    this.#section.hidden = false;
    this.#list.prepend(row.element);
    try {
      let job = await submitDocument(file, source, target);
      const { id } = job;
      row.onRemove = async () => {
        row.element.remove();
        this.#section.hidden = !this.#list.children.length;
        await deleteDocument(id).catch(() => {}); // gone already is as good
      };
      while (!ENDED.includes(job.status) && row.element.isConnected) {
        row.progress(job);
        await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
        if (row.element.isConnected) job = await readDocument(id);
      }
      if (job.status === "done") row.done(() => download(id, file.name));
      else if (row.element.isConnected) row.fail(job.error?.message ?? "It was not translated.");
    } catch (failure) {
      row.fail(failure.message);
    }
  }
}

class Row {
  onRemove = () => this.element.remove();

  constructor(name, language) {
    this.element = document.createElement("li");
    const title = document.createElement("span");
    title.textContent = name;
    this.bar = document.createElement("progress");
    this.bar.ariaLabel = `Translation of ${name} into ${language}`;
    this.state = document.createElement("span");
    this.state.role = "status";
    this.state.textContent = "sending …";
    this.remove = button("Remove", () => this.onRemove());
    this.remove.ariaLabel = `Remove ${name}`;
    this.element.append(title, this.bar, this.state, this.remove);
  }

  progress({ progress }) {
    if (progress?.total) {
      this.bar.max = progress.total;
      this.bar.value = progress.done;
      this.state.textContent = `${progress.done} of ${progress.total}`;
    } else {
      this.state.textContent = "waiting …";
    }
  }

  done(onDownload) {
    const open = button("Download", async () => {
      try {
        await onDownload();
      } catch (failure) {
        this.fail(failure.message);
      }
    });
    this.bar.replaceWith(open);
    this.state.textContent = "done";
    this.element.classList.add("done");
  }

  fail(message) {
    this.bar.remove();
    this.state.textContent = message;
    this.element.classList.add("failed");
  }
}

function button(text, onClick) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "quiet";
  element.textContent = text;
  element.addEventListener("click", onClick);
  return element;
}

async function download(id, fallback) {
  const { blob, name } = await readResult(id);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name ?? fallback;
  link.click();
  URL.revokeObjectURL(link.href);
}
