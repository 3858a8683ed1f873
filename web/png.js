// PNG: written, with what a .cae file knows of colour and orientation, and read where it holds one channel (FORMAT.md, 11.1).

import { crc32 } from "./checksum.js";
import { joined } from "./container.js";
import { corrupt } from "./errors.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** @typedef {{ icc?: Uint8Array, exif?: Uint8Array }} Metadata */

/**
 * A PNG that is not compressed: it is made in a moment, and is for a browser to show rather than to be kept.
 * @param {import("./codec.js").Picture} picture
 * @param {Metadata} [metadata]
 * @returns {Uint8Array}
 */
export function storedPng({ width, height, data }, metadata = {}) {
  const { samples, channels } = samplesOf(data);
  const rows = new Uint8Array(height * (1 + channels * width)); // a filter byte of 0 in front of each
  for (let y = 0, line = channels * width; y < height; y++) {
    rows.set(samples.subarray(y * line, (y + 1) * line), y * (line + 1) + 1);
  }
  return file(width, height, channels, stored(rows), metadata);
}

/**
 * A PNG to keep.
 * @param {import("./codec.js").Picture} picture @param {Metadata} [metadata] @returns {Promise<Uint8Array>}
 */
export async function smallPng({ width, height, data }, metadata = {}) {
  const { samples, channels } = samplesOf(data);
  return file(width, height, channels, await deflated(samples, channels * width, channels), metadata);
}

/**
 * @param {Uint8Array} samples  (height, width) @param {number} width @param {number} height
 * @returns {Promise<Uint8Array>} a small PNG, 8-bit grayscale
 */
export const grayPng = async (samples, width, height) => file(width, height, 1, await deflated(samples, width, 1), null);

/**
 * @param {number} width @param {number} height @param {1 | 3 | 4} channels @param {Uint8Array} pixels  a zlib stream
 * @param {Metadata | null} metadata  null says nothing of colour
 */
function file(width, height, channels, pixels, metadata) {
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 8);
  head.setUint8(9, { 1: 0, 3: 2, 4: 6 }[channels]);
  const { icc, exif } = metadata ?? {};
  return joined([
    Uint8Array.from(SIGNATURE),
    ...chunk("IHDR", [new Uint8Array(head.buffer)]),
    ...(icc ? chunk("iCCP", [Uint8Array.of(0x69, 0, 0), stored(icc)]) : metadata ? chunk("sRGB", [Uint8Array.of(0)]) : []),
    ...(exif ? chunk("eXIf", [exif]) : []),
    ...chunk("IDAT", [pixels]),
    ...chunk("IEND", []),
  ]);
}

/**
 * Without alpha where it says nothing.
 * @param {Uint8ClampedArray} rgba @returns {{ samples: Uint8Array, channels: 3 | 4 }}
 */
function samplesOf(rgba) {
  if (!isOpaque(rgba)) return { samples: new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.length), channels: 4 };
  const samples = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    samples[to++] = rgba[from];
    samples[to++] = rgba[from + 1];
    samples[to++] = rgba[from + 2];
  }
  return { samples, channels: 3 };
}

/** @param {Uint8Array} samples @param {number} line  bytes of a row @param {number} channels */
async function deflated(samples, line, channels) {
  const rows = new Uint8Array((samples.length / line) * (line + 1));
  let above = new Uint8Array(line);
  for (let from = 0, to = 0; from < samples.length; from += line, to += line + 1) {
    const row = samples.slice(from, from + line);
    rows.set(bestFiltered(row, above, channels), to);
    above = row;
  }
  const deflate = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(deflate).arrayBuffer());
}

/**
 * A row by the filter whose differences are the smallest in sum, with its byte in front.
 * @param {Uint8Array} row @param {Uint8Array} above @param {number} channels
 */
function bestFiltered(row, above, channels) {
  let [best, least] = [new Uint8Array(0), Infinity];
  for (let filter = 0; filter < 5; filter++) {
    const line = new Uint8Array(row.length + 1);
    line[0] = filter;
    let sum = 0;
    for (let x = 0; x < row.length; x++) {
      const before = x - channels;
      line[x + 1] = row[x] - predicted(filter, before < 0 ? 0 : row[before], above[x], before < 0 ? 0 : above[before]);
      sum += line[x + 1] < 128 ? line[x + 1] : 256 - line[x + 1];
    }
    if (sum < least) [best, least] = [line, sum];
  }
  return best;
}

/**
 * One 8-bit grayscale PNG, not interlaced -> its samples.
 * @param {Uint8Array} file @param {number} width @param {number} height  that it must have
 * @param {string} what  it is, for errors
 * @returns {Promise<Uint8Array>} (height, width)
 */
export async function readGrayPng(file, width, height, what) {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const parts = [];
  let [size, before] = [/** @type {number[] | null} */ (null), ""];
  let at = SIGNATURE.length;
  if (SIGNATURE.some((byte, i) => file[i] !== byte)) corrupt(`${what} is neither WebP nor PNG`);
  for (let ended = false; !ended; ) {
    const length = at + 12 <= file.length ? view.getUint32(at) : Infinity;
    if (at + 12 + length > file.length) corrupt(`${what} is a PNG that ends too early`);
    const type = String.fromCharCode(...file.subarray(at + 4, at + 8));
    const body = file.subarray(at + 8, at + 8 + length);
    if (crc32(file.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length)) {
      corrupt(`${what} is a damaged PNG`);
    }
    if (!before && type !== "IHDR") corrupt(`${what} is not an 8-bit gray PNG`);
    if (type === "IHDR" && !before) {
      size = [view.getUint32(at + 8), view.getUint32(at + 12)];
      if (String(body.subarray(8)) !== "8,0,0,0,0") corrupt(`${what} is not an 8-bit gray PNG`);
    } else if (type === "IDAT" && (!parts.length || before === "IDAT")) parts.push(body);
    else if (["acTL", "fcTL", "fdAT"].includes(type) || !/^[A-Za-z]{4}$/.test(type) || (type < "a" && type !== "IEND")) {
      corrupt(`${what} is no plain PNG`);
    }
    ended = type === "IEND";
    if (ended && (length || at + 12 !== file.length)) corrupt(`${what} has bytes behind its end`);
    before = type;
    at += 12 + length;
  }
  if (size?.[0] !== width || size[1] !== height) corrupt(`${what} is ${size?.join("x")}, not ${width}x${height}`);
  return unfiltered(await inflated(joined(parts), height * (width + 1), what), width, height, what);
}

/** @param {Uint8Array} bytes @param {number} size  that it must inflate to @param {string} what @returns {Promise<Uint8Array>} */
async function inflated(bytes, size, what) {
  const rows = new Uint8Array(size);
  // not every engine minds bytes behind the stream: without its last byte, a stream that ends there is none
  const whole = (await inflate(bytes, rows)) === size && (await inflate(bytes.subarray(0, -1), rows)) < 0;
  if (!whole) corrupt(`${what} is a PNG with other pixels than its size`);
  return rows;
}

/**
 * @param {Uint8Array} bytes  a zlib stream @param {Uint8Array} rows  where to @returns {Promise<number>} bytes that came of
 * it, -1 where it is damaged or more came than there is room for
 */
async function inflate(bytes, rows) {
  let at = 0;
  const stream = new Blob([/** @type {any} */ (bytes)]).stream().pipeThrough(new DecompressionStream("deflate"));
  try {
    const reader = stream.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      rows.set(part.value, at); // a RangeError where there are more: nothing grows beyond the picture
      at += part.value.length;
    }
  } catch {
    return -1;
  }
  return at;
}

/** @param {Uint8Array} rows  each with its filter @param {number} width @param {number} height @param {string} what */
function unfiltered(rows, width, height, what) {
  const samples = new Uint8Array(height * width);
  for (let y = 0, at = 0; y < height; y++) {
    const filter = rows[y * (width + 1)];
    if (filter > 4) corrupt(`${what} is a PNG with filter ${filter}`);
    for (let x = 0; x < width; x++, at++) {
      const above = y ? samples[at - width] : 0;
      const before = x ? samples[at - 1] : 0;
      samples[at] = rows[y * (width + 1) + 1 + x] + predicted(filter, before, above, x && y ? samples[at - width - 1] : 0);
    }
  }
  return samples;
}

/** @param {number} filter @param {number} before @param {number} above @param {number} corner @returns {number} */
function predicted(filter, before, above, corner) {
  if (filter === 0) return 0;
  if (filter === 1) return before;
  if (filter === 2) return above;
  if (filter === 3) return (before + above) >> 1;
  const guess = before + above - corner; // Paeth
  const [p, q, r] = [Math.abs(guess - before), Math.abs(guess - above), Math.abs(guess - corner)];
  return p <= q && p <= r ? before : q <= r ? above : corner;
}

/** @param {Uint8ClampedArray | Uint8Array} rgba */
export function isOpaque(rgba) {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return false;
  return true;
}

/** @param {string} type @param {Uint8Array[]} parts @returns {Uint8Array[]} */
function chunk(type, parts) {
  const name = Uint8Array.from(type, (letter) => letter.charCodeAt(0));
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const crc = parts.reduce((before, part) => crc32(part, before), crc32(name));
  return [big(length), name, ...parts, big(crc)];
}

/** @param {number} value */
const big = (value) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);

/** A zlib stream that is not compressed. @param {Uint8Array} bytes @returns {Uint8Array} */
function stored(bytes) {
  const most = 65535; // of a block
  /** @type {Uint8Array[]} */
  const parts = [Uint8Array.of(0x78, 0x01)];
  let [a, b] = [1, 0];
  for (let at = 0; at < bytes.length || !at; at += most) {
    const block = bytes.subarray(at, at + most);
    const size = block.length;
    parts.push(Uint8Array.of(+(at + most >= bytes.length), size, size >> 8, ~size, ~size >> 8), block);
  }
  for (let at = 0; at < bytes.length; ) {
    for (const end = Math.min(at + 3800, bytes.length); at < end; at++) b += a += bytes[at]; // below 2^32
    a %= 65521;
    b %= 65521;
  }
  return joined([...parts, big(b * 65536 + a)]);
}
