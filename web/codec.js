// One picture <-> its file, tile by tile, on this thread. The page's side is caecodec.js, which has a worker do it.

import { crc32 } from "./checksum.js";
import { serialize, tileGrid } from "./container.js";
import { CaeError, corrupt } from "./errors.js";
import { decodeExactTile, readPlanes } from "./planes.js";
import { grayPng, isOpaque } from "./png.js";
import { copyShared, sizeOf, tilesOf, withHalo } from "./tiling.js";
import { activityOf, rowOf, strengths, tradeOf } from "./trade.js";

/** @typedef {import("./container.js").Container} Container */
/** @typedef {import("./tiling.js").Extent} Extent */

/**
 * RGBA, as an ImageData has it.
 * @typedef {{ width: number, height: number, data: Uint8ClampedArray }} Picture
 */

/**
 * @typedef {object} Model  inside of the core
 * @property {string} id
 * @property {import("./core.js").CoreModel} inside
 * @property {Map<string, import("./model.js").Tensor>} tensors
 */

/**
 * Bits that each cell's symbols take: y's, and its share of z's, of which one symbol serves up to 4x4 cells; and sums of both.
 * @typedef {{ rows: number, columns: number, cell: number, bits: Float32Array, sumY: number, sumZ: number }} BitMap
 */

/**
 * A picture as a network sees it, to be coded at any quality.
 * @typedef {object} Analysed
 * @property {number} width @property {number} height @property {boolean} gray
 * @property {{ tile: Extent, y: Float32Array, z: Float32Array, activity: Float32Array }[]} tiles
 * @property {{ alpha: Uint8Array, alphaCheck: Uint8Array } | null} alpha  its sections
 */

/** @typedef {(share: number) => void} Progress  share done, 0 to 1 */

/**
 * Container -> RGBA.
 * @param {Container} container
 * @param {Model | null} model  null where the file has none
 * @param {import("./planes.js").ReadWebp} readWebp
 * @param {Progress} [progress]
 * @returns {Promise<Picture>}
 */
export async function decode(container, model, readWebp, progress = () => {}) {
  const { width, height, sections } = container;
  const picture = { width, height, data: new Uint8ClampedArray(4 * width * height) };
  if (model) synthesise(container, model, picture, progress);
  else await decodeExact(container, picture, readWebp);
  if (sections.alpha) {
    const alpha = await readPlanes(sections.alpha, width, height, 1, "the alpha channel", readWebp);
    if (sections.alphaCheck && String(checkOf(alpha)) !== String(sections.alphaCheck)) corrupt("alpha does not match its check");
    for (let i = 0; i < alpha.length; i++) picture.data[4 * i + 3] = alpha[i];
  }
  return picture;
}

/** @param {Container} container @param {Picture} picture @param {import("./planes.js").ReadWebp} readWebp */
async function decodeExact({ width, height, gray, tiles }, picture, readWebp) {
  const extents = tilesOf(width, height, 1);
  for (const [i, tile] of tiles.entries()) {
    const [high, wide] = sizeOf(extents[i]);
    const samples = await decodeExactTile(tile, wide, high, gray, readWebp);
    paste(picture, extents[i], samples, wide, 0, 0, gray ? (v) => samples[v / 3] : null);
  }
}

/**
 * Every tile's samples, computed from its latents and its neighbours', which are kept for three rows of tiles at most.
 * @param {Container} container @param {Model} model @param {Picture} picture @param {Progress} progress
 */
function synthesise({ width, height, gray, quality, tiles: streams }, { inside }, picture, progress) {
  const { core, shape } = inside;
  const [, columns] = tileGrid(width, height);
  const tiles = tilesOf(width, height, shape.cell);
  const [high, wide] = [Math.ceil(height / shape.cell), Math.ceil(width / shape.cell)];
  /** @type {Map<number, Int32Array>} */
  const known = new Map();
  tiles.forEach((tile, i) => {
    const around = neighbours(i, columns, tiles.length);
    for (const j of around) {
      if (!known.has(j)) known.set(j, core.decodeLatents(inside, quality, gray, ...sizeOf(tiles[j]), streams[j]));
    }
    for (const j of known.keys()) if (j < i - 2 * columns) known.delete(j);
    const region = withHalo(tile, shape.haloOut, high, wide);
    const fill = (/** @type {Int32Array} */ yHat) => {
      for (const j of around) copyShared(/** @type {Int32Array} */ (known.get(j)), tiles[j], yHat, region, shape.n);
    };
    core.synthesise(inside, quality, ...sizeOf(region), fill, (samples) => {
      const mean = (/** @type {number} */ v) => Math.floor((samples[v] + samples[v + 1] + samples[v + 2] + 1) / 3);
      const pixels = { top: tile.top * shape.cell, left: tile.left * shape.cell,
        bottom: Math.min(tile.bottom * shape.cell, height), right: Math.min(tile.right * shape.cell, width) };
      const [top, left] = [(tile.top - region.top) * shape.cell, (tile.left - region.left) * shape.cell];
      paste(picture, pixels, samples, sizeOf(region)[1] * shape.cell, top, left, gray ? mean : null);
    });
    progress((i + 1) / tiles.length);
  });
}

/** Tiles around one, and it itself. @param {number} i @param {number} columns @param {number} count @returns {number[]} */
function neighbours(i, columns, count) {
  const found = [];
  for (let row = -1; row <= 1; row++) {
    for (let column = -1; column <= 1; column++) {
      const beside = (i % columns) + column;
      const j = i + row * columns + column;
      if (beside >= 0 && beside < columns && j >= 0 && j < count) found.push(j);
    }
  }
  return found;
}

/**
 * Samples into a part of the picture, opaque.
 * @param {Picture} picture @param {Extent} part  of it, in pixels
 * @param {Uint8Array} samples  (any, width, 3) @param {number} width @param {number} top @param {number} left  of the part
 * @param {((at: number) => number) | null} one  the one channel of the pixel whose red is at `at`, where it is gray
 */
function paste(picture, part, samples, width, top, left, one) {
  const pixels = new Uint32Array(picture.data.buffer); // one store for each; red is the lowest byte wherever there are browsers
  for (let y = part.top; y < part.bottom; y++) {
    let from = 3 * ((y - part.top + top) * width + left);
    let to = y * picture.width + part.left;
    for (const end = to + part.right - part.left; to < end; to++, from += 3) {
      pixels[to] = one
        ? 0xff000000 | (one(from) * 0x010101)
        : 0xff000000 | samples[from] | (samples[from + 1] << 8) | (samples[from + 2] << 16);
    }
  }
}

/** Where the bits of a file go. @param {Container} container @param {Model} model @returns {BitMap} */
export function measure({ width, height, gray, quality, tiles: streams }, { inside }) {
  const { core, shape } = inside;
  const whole = { top: 0, bottom: Math.ceil(height / shape.cell), left: 0, right: Math.ceil(width / shape.cell) };
  const [rows, columns] = sizeOf(whole);
  const bits = new Float32Array(rows * columns);
  let [sumY, sumZ] = [0, 0];
  tilesOf(width, height, shape.cell).forEach((tile, i) => {
    const [high, wide] = sizeOf(tile);
    const { y, z } = core.measureLatents(inside, quality, gray, high, wide, streams[i]);
    const found = y.map((of_y, at) => {
      const [row, column] = [Math.floor(at / wide) >> 2, (at % wide) >> 2];
      const shared = Math.min(4, high - 4 * row) * Math.min(4, wide - 4 * column);
      return of_y + z[row * Math.ceil(wide / 4) + column] / shared;
    });
    copyShared(found, tile, bits, whole, 1);
    sumY += sum(y);
    sumZ += sum(z);
  });
  return { rows, columns, cell: shape.cell, bits, sumY, sumZ };
}

/** @param {Float32Array} values */
const sum = (values) => values.reduce((before, value) => before + value, 0);

/**
 * @param {Picture} picture @param {Model} model  of the family photo @param {Progress} [progress]
 * @returns {Promise<Analysed>}
 */
export async function analyse(picture, { inside }, progress = () => {}) {
  const { width, height, data } = picture;
  const { core, shape } = inside;
  if (shape.family !== "photo") throw new CaeError("usage", "only photo models encode here");
  const [high, wide] = [Math.ceil(height / shape.cell), Math.ceil(width / shape.cell)];
  const all = tilesOf(width, height, shape.cell);
  const tiles = all.map((tile, i) => {
    const region = withHalo(tile, shape.haloIn, high, wide);
    const [top, left] = [tile.top - region.top, tile.left - region.left];
    const [rows, columns] = sizeOf(region);
    const samples = cut(picture, region, shape.cell);
    const busy = activityOf(samples, rows, columns);
    const activity = new Float32Array((tile.bottom - tile.top) * (tile.right - tile.left));
    copyShared(busy, region, activity, tile, 1);
    const { y, z } = core.analyse(inside, samples, rows, columns, top, left, ...sizeOf(tile));
    progress((i + 1) / all.length);
    return { tile, y, z, activity };
  });
  const samples = alphaOf(data);
  const alpha = isOpaque(data) ? null : { alpha: await grayPng(samples, width, height), alphaCheck: checkOf(samples) };
  return { width, height, gray: isGray(data), tiles, alpha };
}

/**
 * @param {Analysed} analysed @param {Model} model  the same @param {number} quality  1 to 100
 * @returns {Uint8Array} the file
 */
export function encode({ width, height, gray, tiles, alpha }, { id, inside, tensors }, quality) {
  if (!Number.isInteger(quality) || quality < 1 || quality > 100) {
    throw new CaeError("usage", `quality ${quality} is not a whole number from 1 to 100`);
  }
  const trade = tradeOf(tensors, quality);
  const [gain, gainZ] = [rowOf(tensors, "float.gain", quality), rowOf(tensors, "float.gain_z", quality)];
  const streams = tiles.map(({ tile, y, z, activity }) => {
    const given = { y: scaled(y, gain), z: scaled(z, gainZ), weight: trade.weight, strength: strengths(trade, activity) };
    return inside.core.encodeLatents(inside, quality, gray, ...sizeOf(tile), given);
  });
  return serialize({ width, height, quality, model: id, gray, sections: alpha ?? {}, tiles: streams });
}

/** @param {Float32Array} values  (..., channels) @param {Float32Array} factors  (channels) */
const scaled = (values, factors) => values.map((value, i) => value * factors[i % factors.length]);

/** @param {Uint8ClampedArray} rgba */
const checkOf = (/** @type {Uint8Array} */ samples) => Uint8Array.of(crc32(samples), crc32(samples) >> 8);

/** @param {Uint8ClampedArray} rgba */
const alphaOf = (rgba) => Uint8Array.from({ length: rgba.length / 4 }, (_, i) => rgba[4 * i + 3]);

/** @param {Uint8ClampedArray} rgba */
function isGray(rgba) {
  for (let i = 0; i < rgba.length; i += 4) if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) return false;
  return true;
}

/**
 * A region of a picture -> samples (cell * rows, cell * columns, 3), continued past the right and lower edge.
 * @param {Picture} picture @param {Extent} region @param {number} cell
 */
function cut({ width, height, data }, region, cell) {
  const [rows, columns] = sizeOf(region);
  const samples = new Uint8Array(rows * columns * cell ** 2 * 3);
  for (let y = 0, to = 0; y < rows * cell; y++) {
    const row = Math.min(region.top * cell + y, height - 1) * width;
    for (let x = 0; x < columns * cell; x++) {
      const from = 4 * (row + Math.min(region.left * cell + x, width - 1));
      samples[to++] = data[from];
      samples[to++] = data[from + 1];
      samples[to++] = data[from + 2];
    }
  }
  return samples;
}

