// <cae-img src="photo.cae" alt="...">: shows a .cae file as <img> would. Also `loading="lazy"`, `width`, `height`.
//
// Events as of <img>: `load`, and `error` with the message in `detail`. Style the picture inside as `cae-img::part(img)`.

import { decode, parse, storedPng } from "./caecodec.js";

const STYLE = `
:host { display: inline-block; max-width: 100%; }
:host([hidden]) { display: none; }
img { display: block; width: inherit; height: auto; max-width: 100%; }`;

export class CaeImage extends HTMLElement {
  static observedAttributes = ["src", "alt", "width", "height"];

  #img = document.createElement("img");
  #shown = ""; // the src that is shown or on its way
  /** @type {IntersectionObserver | null} */
  #observer = null;

  constructor() {
    super();
    const style = document.createElement("style");
    style.textContent = STYLE;
    this.#img.part.add("img");
    this.attachShadow({ mode: "open" }).append(style, this.#img);
  }

  connectedCallback() {
    if (this.getAttribute("loading") !== "lazy") return void this.#show();
    this.#observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) this.#show();
    }, { rootMargin: "50%" });
    this.#observer.observe(this);
  }

  disconnectedCallback() {
    this.#observer?.disconnect();
    this.#release();
    this.#shown = "";
  }

  /** @param {string} name @param {string | null} _old @param {string | null} value */
  attributeChangedCallback(name, _old, value) {
    if (name === "src") {
      if (this.isConnected && this.getAttribute("loading") !== "lazy") this.#show();
    } else if (value === null) this.#img.removeAttribute(name);
    else this.#img.setAttribute(name, value);
  }

  get src() {
    return this.getAttribute("src") ?? "";
  }

  set src(value) {
    this.setAttribute("src", value);
  }

  async #show() {
    const { src } = this;
    if (src === this.#shown) return;
    this.#shown = src;
    try {
      const response = await fetch(src);
      if (!response.ok) throw new Error(`${src}: ${response.status}`);
      const url = URL.createObjectURL(await picture(await response.arrayBuffer()));
      if (src !== this.#shown) return URL.revokeObjectURL(url); // another one has been asked for
      this.#release();
      this.#img.src = url;
      await this.#img.decode();
      this.dispatchEvent(new Event("load"));
    } catch (error) {
      if (src !== this.#shown) return;
      this.#release();
      this.dispatchEvent(new CustomEvent("error", { detail: /** @type {Error} */ (error).message }));
    }
  }

  #release() {
    if (this.#img.src) URL.revokeObjectURL(this.#img.src);
    this.#img.removeAttribute("src");
  }
}

/** A file as a picture that browsers know, with its profile and orientation. @param {ArrayBuffer} file @returns {Promise<Blob>} */
async function picture(file) {
  const { sections } = parse(file);
  const png = storedPng(await decode(file), sections);
  return new Blob([/** @type {any} */ (png)], { type: "image/png" });
}

customElements.define("cae-img", CaeImage);
