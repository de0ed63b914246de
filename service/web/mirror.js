// The source text once more, unseen behind its field, so that places in it can be marked.

export class Mirror {
  #field;
  #mirror;

  constructor(field, mirror) {
    this.#field = field;
    this.#mirror = mirror;
    field.addEventListener("scroll", () => this.#follow());
    field.addEventListener("input", () => this.mark([]));
  }

  /** Mark spans of the text, which may touch; none clears it. */
  mark(spans) {
    const text = this.#field.value;
    const parts = [];
    let end = 0;
    for (const [begin, next] of [...spans].sort((one, other) => one[0] - other[0])) {
      if (begin < end) continue;
      const mark = document.createElement("mark");
      mark.textContent = text.slice(begin, next);
      parts.push(text.slice(end, begin), mark);
      end = next;
    }
    // a last empty line has no height without a character in it
    this.#mirror.replaceChildren(...(parts.length ? [...parts, `${text.slice(end)}\u200b`] : []));
    this.#follow();
  }

  #follow() {
    this.#mirror.scrollTop = this.#field.scrollTop;
  }
}
