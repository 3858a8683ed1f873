// Pixels kept exactly: tiles of a lossless file, and alpha. Sections 11.1 and 16 of FORMAT.md.

import { crc32 } from "./checksum.js";
import { CHECK_BYTES } from "./container.js";
import { CaeError, corrupt } from "./errors.js";
import { readGrayPng } from "./png.js";

/**
 * Decodes an opaque WebP to RGBA; browsers have one, node needs to be given one.
 * @typedef {(file: Uint8Array, what: string) => Promise<{ width: number, height: number, data: Uint8ClampedArray }>} ReadWebp
 */

const STORED = 1; // last byte of a tile
const PICTURE = 2;

/**
 * A tile of a lossless file -> its samples.
 * @param {Uint8Array} tile @param {number} width @param {number} height @param {boolean} gray
 * @param {ReadWebp} readWebp
 * @returns {Promise<Uint8Array>} (height, width, 3), or (height, width) where gray
 */
export async function decodeExactTile(tile, width, height, gray, readWebp) {
  const channels = gray ? 1 : 3;
  const kind = tile.length > CHECK_BYTES ? tile[tile.length - 1] : 0;
  const payload = tile.subarray(CHECK_BYTES, -1);
  let samples = payload;
  if (kind === PICTURE) samples = await readPlanes(payload, width, height, channels, "a tile", readWebp);
  else if (kind !== STORED || payload.length !== width * height * channels) corrupt("a tile of pixels is malformed");
  if ((crc32(samples) & 0xffff) !== (tile[0] | (tile[1] << 8))) {
    corrupt("a tile's pixels do not match their check; some browsers change pixels that a page reads, to hide who reads");
  }
  return samples;
}

/**
 * A lossless WebP or PNG of exactly this size and kind -> samples (height, width[, 3]).
 * @param {Uint8Array} file @param {number} width @param {number} height @param {1 | 3} channels
 * @param {string} what @param {ReadWebp} readWebp
 * @returns {Promise<Uint8Array>}
 */
export async function readPlanes(file, width, height, channels, what, readWebp) {
  if (channels === 1 && file[0] === 0x89) return readGrayPng(file, width, height, what);
  checkWebp(file, width, height, what);
  const { width: w, height: h, data } = await readWebp(file, what);
  if (w !== width || h !== height) corrupt(`${what} is ${w}x${h}, not ${width}x${height}`);
  const samples = new Uint8Array(width * height * channels);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    if (channels === 1 && (data[from] !== data[from + 1] || data[from] !== data[from + 2])) corrupt(`${what} is not gray`);
    for (let c = 0; c < channels; c++) samples[to++] = data[from + c];
  }
  return samples;
}

/**
 * Rejects all but one chunk VP8L, opaque, of this size, in a RIFF that ends where the file does.
 * @param {Uint8Array} file @param {number} width @param {number} height @param {string} what
 */
export function checkWebp(file, width, height, what) {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const text = (/** @type {number} */ at) => String.fromCharCode(...file.subarray(at, at + 4));
  if (text(0) !== "RIFF" || text(8) !== "WEBP") corrupt(`${what} is neither WebP nor PNG`);
  if (text(12) !== "VP8L" || file.length < 25 || file[20] !== 0x2f) corrupt(`${what} is not one lossless picture without alpha`);
  const length = view.getUint32(16, true);
  const whole = 20 + length + (length & 1);
  if (length < 5 || file.length !== whole || view.getUint32(4, true) !== whole - 8 || (length & 1 && file[whole - 1])) {
    corrupt(`${what} is longer or shorter than it says`);
  }
  const bits = view.getUint32(21, true);
  const [w, h] = [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
  if (bits >>> 28) corrupt(`${what} is not one lossless picture without alpha`);
  if (w !== width || h !== height) corrupt(`${what} is ${w}x${h}, not ${width}x${height}`);
}

/** By the browser; exact, as the picture is opaque and no colour is converted. @type {ReadWebp} */
export async function browserWebp(file, what) {
  const options = /** @type {ImageBitmapOptions} */ ({ colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const blob = new Blob([/** @type {any} */ (file)], { type: "image/webp" });
  const bitmap = await createImageBitmap(blob, options).catch(() => corrupt(`${what} is a damaged WebP`));
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new CaeError("limit", `no canvas of ${width}x${height} pixels`);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}
