// Two of several pictures under one divider. The range input is the control; pointers on the picture move it.

import { byId, el } from "./page-elements.js";

/** @typedef {{ label: string, detail: string, url: string }} Layer */

const select = (/** @type {string} */ id) => /** @type {HTMLSelectElement} */ (byId(id));

export class Comparison {
  /** @type {Layer[]} */
  #layers = [];

  /** @param {HTMLElement} stage @param {HTMLElement} frame */
  constructor(stage, frame) {
    this.stage = stage;
    this.frame = frame;
    this.range = /** @type {HTMLInputElement} */ (byId("divider"));
    this.range.addEventListener("input", () => this.#place());
    for (const side of ["left", "right"]) byId(side).addEventListener("change", () => this.#draw());
    byId("exact").addEventListener("change", () => this.#fit());
    new ResizeObserver(() => this.#fit()).observe(stage);
    let held = false;
    const move = (/** @type {PointerEvent} */ event) => {
      const { left, width } = stage.getBoundingClientRect();
      this.range.value = String((100 * (event.clientX - left)) / width);
      this.#place();
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button || this.#layers.length < 2) return;
      held = true;
      event.preventDefault();
      stage.setPointerCapture(event.pointerId);
      this.range.focus({ preventScroll: true });
      move(event);
    });
    stage.addEventListener("pointermove", (event) => held && move(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => (held = false));
  }

  clear() {
    for (const { url } of this.#layers) URL.revokeObjectURL(url);
    this.#layers = [];
    this.stage.replaceChildren();
  }

  /**
   * Adds a picture, or replaces the one of this label.
   * @param {string} label @param {string} detail @param {Blob} file @param {{ width: number, height: number }} size
   */
  set(label, detail, file, { width, height }) {
    const layer = { label, detail, url: URL.createObjectURL(file) };
    const at = this.#layers.findIndex((one) => one.label === label);
    if (at < 0) this.#layers.push(layer);
    else URL.revokeObjectURL(this.#layers.splice(at, 1, layer)[0].url);
    for (const target of [this.frame, this.range, byId("map")]) {
      target.style.setProperty("--w", String(width));
      target.style.setProperty("--h", String(height));
    }
    this.#choices();
    this.#draw();
  }

  /** @param {string} label */
  url(label) {
    return this.#layers.find((one) => one.label === label)?.url ?? "";
  }

  #choices() {
    for (const [side, preferred] of [["left", 0], ["right", 1]]) {
      const menu = select(/** @type {string} */ (side));
      const before = menu.options.length > 1 ? menu.value : null;
      menu.replaceChildren(...this.#layers.map(({ label }) => el("option", { value: label }, label)));
      const kept = this.#layers.some(({ label }) => label === before) ? before : null;
      menu.value = kept ?? this.#layers[Math.min(Number(preferred), this.#layers.length - 1)].label;
      /** @type {HTMLElement} */ (menu.parentElement).hidden = this.#layers.length < 2;
    }
    this.range.hidden = this.#layers.length < 2;
    this.stage.classList.toggle("single", this.#layers.length < 2);
  }

  #draw() {
    const [left, right] = ["left", "right"].map((side) => this.#layers.find(({ label }) => label === select(side).value));
    if (!left || !right) return;
    const image = (/** @type {Layer} */ { url, label }, /** @type {string} */ side) =>
      el("img", { src: url, alt: label, class: side, draggable: "false" });
    const tag = (/** @type {Layer} */ { label, detail }, /** @type {string} */ side) =>
      el("span", { class: `tag ${side}` }, `${label}, ${detail}`);
    if (left === right) this.stage.replaceChildren(image(right, "right"), tag(right, "right"));
    else {
      this.stage.replaceChildren(image(right, "right"), image(left, "left"), el("span", { class: "line" }),
        tag(left, "left"), tag(right, "right"));
    }
    this.#place();
    this.#fit();
  }

  #place() {
    this.stage.style.setProperty("--at", `${this.range.value}%`);
    this.range.setAttribute("aria-valuetext", `${this.range.value} % ${select("left").value}`);
  }

  #fit() {
    const width = Number(this.frame.style.getPropertyValue("--w"));
    for (const target of [this.frame, this.range]) target.style.setProperty("--dpr", String(devicePixelRatio));
    this.frame.classList.toggle("exact", /** @type {HTMLInputElement} */ (byId("exact")).checked);
    this.stage.classList.toggle("enlarged", this.stage.clientWidth * devicePixelRatio > 1.5 * width);
  }
}
