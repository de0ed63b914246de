// Tabs after the ARIA pattern: arrows move, the address keeps which is open.

export class Tabs {
  #tabs;
  #onOpen;

  /** @param onOpen called with the name of a view when it is opened */
  constructor(list, onOpen) {
    this.#tabs = [...list.querySelectorAll("[role=tab]")];
    this.#onOpen = onOpen;
    list.addEventListener("click", (event) => this.#open(event.target.closest("[role=tab]")));
    list.addEventListener("keydown", (event) => this.#move(event));
    addEventListener("hashchange", () => this.openFromAddress());
  }

  openFromAddress() {
    this.#open(this.#tabs.find((tab) => nameOf(tab) === location.hash.slice(1)) ?? this.#tabs[0]);
  }

  #open(tab) {
    if (!tab) return;
    for (const each of this.#tabs) {
      const isOpen = each === tab;
      each.ariaSelected = isOpen;
      each.tabIndex = isOpen ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = !isOpen;
    }
    const isFirst = tab === this.#tabs[0];
    if (!isFirst) history.replaceState(null, "", `#${nameOf(tab)}`);
    else if (this.#tabs.some((each) => `#${nameOf(each)}` === location.hash)) history.replaceState(null, "", "#");
    this.#onOpen(nameOf(tab));
  }

  #move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = this.#tabs.indexOf(event.target) + step;
    const tab = this.#tabs[(next + this.#tabs.length) % this.#tabs.length];
    tab.focus();
    this.#open(tab);
  }
}

function nameOf(tab) {
  return tab.id.replace("tab-", "");
}
