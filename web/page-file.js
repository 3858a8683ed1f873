// What a .cae file consists of, and the map of its bits.

import { qualityText } from "./container.js";
import { byId, el } from "./page-elements.js";

/** @typedef {import("./container.js").Container} Container */
/** @typedef {import("./codec.js").BitMap} BitMap */

// nine even steps of matplotlib's inferno
const INFERNO = ["#000004", "#210c4a", "#57106e", "#8a226a", "#bc3754", "#e45a31", "#f98e09", "#f9cb35", "#fcffa4"];
const TOP_SHARE = 0.99; // of all cells: the few that hold most would leave the others dark

/** @param {Uint8Array} file @param {Container} container @param {BitMap | null} map */
export function showFacts(file, container, map) {
  const { width, height, quality, model, gray, sections, tiles } = container;
  const bytes = (/** @type {number} */ count) => `${count.toLocaleString("en")} bytes`;
  const names = Object.entries(sections).map(([name, { length }]) => `${name}, ${bytes(length)}`);
  const facts = [
    ["Size", `${bytes(file.length)}, ${((8 * file.length) / (width * height)).toFixed(3)} bits per pixel`],
    ["Pixels", `${width}×${height}${gray ? ", gray" : ""}`],
    ["Quality", map ? qualityText(quality) : "exact: pixels as they are"],
    ["Model", map ? model : "none"],
    ["Tiles", String(tiles.length)],
    ["Sections", names.join("; ") || "none"],
    ...(sections.exif ? [["Orientation", "as stored; what EXIF says of it is not followed here"]] : []),
  ];
  byId("facts").replaceChildren(...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

  const ofSections = Object.values(sections).reduce((sum, { length }) => sum + length, 0);
  const ofTiles = tiles.reduce((sum, { length }) => sum + length, 0);
  const parts = [
    ["frame: header, checks, CRC", file.length - ofSections - (map ? (map.sumY + map.sumZ) / 8 : ofTiles)],
    ["sections", ofSections],
    ["latents z, the outline", map ? map.sumZ / 8 : 0],
    [map ? "latents y" : "pixels", map ? map.sumY / 8 : ofTiles],
  ].map(([name, size], i) => ({ name: String(name), size: Number(size), kind: `part${i}` })).filter(({ size }) => size > 0);
  byId("stack").replaceChildren(...parts.map(({ size, kind }) => {
    const piece = el("i", { class: kind });
    piece.style.flexGrow = String(size);
    return piece;
  }));
  byId("parts").replaceChildren(...parts.map(({ name, size, kind }) =>
    el("span", {}, el("i", { class: kind, "aria-hidden": "true" }), `${name} ${bytes(Math.round(size))}`)));
}

/** @type {AbortController | null} */
let listening = null;

/** The picture under its map of bits. @param {BitMap | null} map @param {Container} container @param {string} picture  its URL */
export function showMap(map, { width, height }, picture) {
  byId("bits").hidden = !map;
  if (!map) return;
  const { rows, columns, cell, bits } = map;
  const sorted = bits.slice().sort();
  const top = Math.max(sorted[Math.floor(TOP_SHARE * (sorted.length - 1))], 1);
  const heat = painted(bits, rows, columns, top);
  // cells stand out over the right and the lower edge where a side is no multiple of theirs
  heat.style.width = `${(100 * columns * cell) / width}%`;
  heat.style.height = `${(100 * rows * cell) / height}%`;
  const mark = el("div", { class: "cell", hidden: "" });
  const box = byId("map");
  box.replaceChildren(el("img", { src: picture, alt: "" }), heat, mark);
  byId("cell").textContent = `${cell}×${cell}`;
  byId("top").textContent = `${Math.round(top)} bits and more`;
  byId("ramp").style.background = `linear-gradient(to right, ${INFERNO.join()})`;
  const strength = /** @type {HTMLInputElement} */ (byId("strength"));
  const fade = () => (heat.style.opacity = String(Number(strength.value) / 100));
  fade();

  /** @type {[number, number] | null} */
  let at = null;
  const about = `${Math.round(bits.reduce((sum, value) => sum + value, 0) / bits.length)} bits in a block on average`;
  const read = (/** @type {number} */ row, /** @type {number} */ column) => {
    const [y, x] = (at = [Math.min(Math.max(row, 0), rows - 1), Math.min(Math.max(column, 0), columns - 1)]);
    mark.hidden = false;
    Object.assign(mark.style, { left: `${(100 * x * cell) / width}%`, top: `${(100 * y * cell) / height}%`,
      width: `${(100 * cell) / width}%`, height: `${(100 * cell) / height}%` });
    byId("reading").textContent = `${bits[y * columns + x].toFixed(1)} bits in the block at x ${x * cell}, y ${y * cell}`;
  };
  const stop = () => {
    at = null;
    mark.hidden = true;
    byId("reading").textContent = about;
  };
  stop();
  listening?.abort();
  listening = new AbortController();
  const { signal } = listening;
  strength.addEventListener("input", fade, { signal });
  box.addEventListener("pointermove", (event) => {
    const bounds = box.getBoundingClientRect();
    const scale = width / bounds.width / cell;
    read(Math.floor((event.clientY - bounds.top) * scale), Math.floor((event.clientX - bounds.left) * scale));
  }, { signal });
  for (const name of ["pointerleave", "blur"]) box.addEventListener(name, stop, { signal });
  box.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    if (at) read(at[0] + move[0], at[1] + move[1]);
    else read(0, 0);
  }, { signal });
}

/** A canvas of one pixel a cell. @param {Float32Array} bits @param {number} rows @param {number} columns @param {number} top */
function painted(bits, rows, columns, top) {
  const stops = INFERNO.map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
  const image = new ImageData(columns, rows);
  bits.forEach((value, i) => {
    const where = Math.min(value / top, 1) * (stops.length - 1);
    const low = Math.min(Math.floor(where), stops.length - 2);
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = stops[low][c] + (where - low) * (stops[low + 1][c] - stops[low][c]);
    image.data[4 * i + 3] = 255;
  });
  const canvas = /** @type {HTMLCanvasElement} */ (el("canvas", { width: columns, height: rows }));
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}
