// What an encoder gives bits for: models/networks/trade.py in JavaScript, and what it takes of codec/pictures/ssimulacra2.py.
// Arrays of floats round to 32 bits, as there.

import { floats } from "./model.js";

const EYE_SHARE = 0.7; // of what an error is worth, that which SSIMULACRA2 says; the rest is squared error
const RDO_STRENGTH = 0.3; // how much of the bits that moving a symbol saves its error may use up
const [CALMEST, BUSIEST] = [0.2, 4]; // how far a cell may be from the usual strength
const SSIM_FLOOR = 0.0009;
const LONG = [0.3, 0.622, 0.078]; // linear RGB -> responses of long and medium cones
const MEDIUM = [0.23, 0.692, 0.078];
const BIAS = Math.fround(0.0037930732552754493);
const DARKEST = Math.fround(0.0037930732552754493 ** (1 / 3) - 0.01);
const CELL = 16;

const LINEAR = Float32Array.from({ length: 256 }, (_, i) => {
  const x = i / 255;
  return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
});

/**
 * How errors are weighed at one quality.
 * @typedef {object} Trade
 * @property {Float32Array} weight  (n) bits that an error of one step squared is worth in each channel
 * @property {number} usual @property {number} slope  see `strengths`
 */

/**
 * @param {Map<string, import("./model.js").Tensor>} tensors  of a whole photo model @param {number} quality
 * @returns {Trade}
 */
export function tradeOf(tensors, quality) {
  const weight = rowOf(tensors, "float.weight", quality);
  if (!tensors.has("float.eye_weight")) return { weight, usual: 0, slope: 0 };
  const [usual, slope] = rowOf(tensors, "float.activity", quality);
  const eye = rowOf(tensors, "float.eye_weight", quality);
  const [squared, seen] = [Math.fround(1 - EYE_SHARE), Math.fround(EYE_SHARE)];
  return { weight: weight.map((worth, i) => Math.fround(squared * worth) + Math.fround(seen * eye[i])), usual, slope };
}

/**
 * Row of a table (rows, channels).
 * @param {Map<string, import("./model.js").Tensor>} tensors @param {string} name @param {number} quality
 */
export function rowOf(tensors, name, quality) {
  const tensor = tensors.get(name);
  if (!tensor) throw new RangeError(`the model has no ${name}`);
  const row = tensor.data.length / tensor.shape[0];
  return floats({ ...tensor, data: tensor.data.subarray((quality - 1) * row, quality * row) });
}

/**
 * How far rounding may trade error for rate in each cell: more where the picture is busy.
 * @param {Trade} trade @param {Float32Array} activity  (h, w)
 */
export function strengths({ usual, slope }, activity) {
  return activity.map((busy) => {
    if (!slope) return RDO_STRENGTH;
    const worth = 1 - EYE_SHARE + EYE_SHARE * Math.exp(-slope * (busy - usual));
    return RDO_STRENGTH / Math.min(Math.max(worth, 1 / BUSIEST), 1 / CALMEST);
  });
}

/**
 * How busy each cell is: log of the variance of lightness in blocks of 8x8 pixels at half size. Of a cell's own four and of
 * what lies on both sides of it, the least counts: an edge between calm surroundings hides nothing.
 * @param {Uint8Array} samples  (16 * rows, 16 * columns, 3) @param {number} rows @param {number} columns
 * @returns {Float32Array} (rows, columns)
 */
export function activityOf(samples, rows, columns) {
  const width = columns * CELL;
  const own = new Float32Array(rows * columns).fill(Infinity);
  const half = new Float32Array(16);
  for (let by = 0; by < 2 * rows; by++) {
    for (let bx = 0; bx < 2 * columns; bx++) {
      for (let i = 0; i < 16; i++) {
        const at = 3 * ((8 * by + 2 * (i >> 2)) * width + 8 * bx + 2 * (i & 3));
        const below = at + 3 * width;
        half[i] = (lightness(samples, at) + lightness(samples, at + 3) +
          lightness(samples, below) + lightness(samples, below + 3)) / 4;
      }
      let [sum, squares] = [0, 0];
      for (const value of half) {
        sum += value;
        squares += value * value;
      }
      const variance = Math.max(squares / 16 - (sum / 16) ** 2, 0);
      const cell = (by >> 1) * columns + (bx >> 1);
      own[cell] = Math.min(own[cell], Math.log(2 * variance + SSIM_FLOOR));
    }
  }
  const at = (/** @type {number} */ r, /** @type {number} */ k) =>
    own[Math.min(Math.max(r, 0), rows - 1) * columns + Math.min(Math.max(k, 0), columns - 1)];
  return own.map((here, i) => {
    const [r, k] = [Math.floor(i / columns), i % columns];
    return Math.min(here, Math.max(at(r, k - 1), at(r, k + 1)), Math.max(at(r - 1, k), at(r + 1, k)));
  });
}

/** Y of XYB. @param {Uint8Array} samples @param {number} at  a pixel's red */
function lightness(samples, at) {
  const [red, green, blue] = [LINEAR[samples[at]], LINEAR[samples[at + 1]], LINEAR[samples[at + 2]]];
  const long = Math.fround(LONG[0] * red + LONG[1] * green + LONG[2] * blue + BIAS);
  const medium = Math.fround(MEDIUM[0] * red + MEDIUM[1] * green + MEDIUM[2] * blue + BIAS);
  return (Math.cbrt(long) + Math.cbrt(medium)) * 0.5 - DARKEST;
}
