// The two language selects: what they offer, and how they keep each other possible.

const AUTO = "auto";
const STORED = "dragoman.languages";

export class Languages {
  #source;
  #target;
  #targetsBySource = new Map();
  #names = new Intl.DisplayNames([navigator.language, "en"], { type: "language" });

  constructor(source, target) {
    this.#source = source;
    this.#target = target;
    source.addEventListener("change", () => this.#offerTargets());
    target.addEventListener("change", () => this.#store());
  }

  get source() {
    return this.#source.value;
  }

  get target() {
    return this.#target.value;
  }

  name(code) {
    return this.#names.of(code);
  }

  /** Tell a pair, such as `de-en`, in words. */
  describe(pair) {
    for (const [source, targets] of this.#targetsBySource) {
      const target = targets.find((code) => `${source}-${code}` === pair);
      if (target) return `${this.name(source)} → ${this.name(target)}`;
    }
    return pair;
  }

  /** Fill both selects, with what was chosen last if that is still served. */
  fill(languages) {
    this.#targetsBySource = new Map(languages.map(({ source, targets }) => [source, targets]));
    const sources = [...this.#targetsBySource.keys()];
    this.#source.replaceChildren(
      new Option("Detect language", AUTO),
      ...sources.map((code) => new Option(this.name(code), code)),
    );
    const [source, target] = (localStorage.getItem(STORED) ?? "").split(" ");
    if (source === AUTO || sources.includes(source)) this.#source.value = source;
    this.#offerTargets(target);
  }

  /** Exchange the two; `detected` stands for the source when that is to be detected. */
  swap(detected) {
    const source = this.source === AUTO ? detected : this.source;
    const newSource = this.target;
    if (!this.#targetsBySource.has(newSource)) return false;
    this.#source.value = newSource;
    this.#offerTargets(source);
    return true;
  }

  #offerTargets(preferred = this.target) {
    const all = new Set([...this.#targetsBySource.values()].flat());
    const targets = this.source === AUTO ? [...all] : this.#targetsBySource.get(this.source) ?? [];
    this.#target.replaceChildren(...targets.map((code) => new Option(this.name(code), code)));
    if (targets.includes(preferred)) this.#target.value = preferred;
    this.#store();
  }

  #store() {
    localStorage.setItem(STORED, `${this.source} ${this.target}`);
  }
}
