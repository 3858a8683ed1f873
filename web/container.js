// The .cae container, version 2: bytes <-> Container. Sections 2.1 to 2.6 of docs/FORMAT.md.

import { crc32 } from "./checksum.js";
import { CaeError, corrupt } from "./errors.js";

/**
 * One parsed file. Tiles are in raster order, each its check bytes and its stream; they and the sections are views of
 * the file's bytes.
 * @typedef {object} Container
 * @property {number} width
 * @property {number} height
 * @property {number} quality  1 to 100; 101 to 200 are the same with a model's tables for PSNR
 * @property {string} model  the model's id in 8 hexadecimal digits; "00000000" is none, pixels as they are
 * @property {boolean} gray
 * @property {Partial<Record<SectionName, Uint8Array>>} sections
 * @property {Uint8Array[]} tiles
 */

/** @typedef {"alpha" | "alphaCheck" | "exif" | "icc" | "preview" | "xmp"} SectionName */

/**
 * @typedef {object} Limits
 * @property {number} [side]  of a picture, in pixels
 * @property {number} [pixels]
 * @property {number} [metadata]  bytes of each of exif, icc and xmp
 */

export const TILE = 1024; // pixels; tiles start at multiples of it
export const LOSSLESS = "00000000"; // in place of a model's id: pixels as they are
export const CHECK_BYTES = 2;

const MAGIC = [0xca, 0xec, 0x0d];
const VERSION = 2;
const GRAY = 0x01;
const SECTIONS = 0x02;
const CRITICAL = 0x0f; // a parser rejects what it does not know of these flags and ignores the others
const FIXED = 10; // bytes before the width
const SMALLEST = 18;
const VARINT_BYTES = 5;

/** @type {Record<string, SectionName>} */
const NAMES = { A: "alpha", a: "alphaCheck", e: "exif", i: "icc", p: "preview", x: "xmp" };
const DEFAULT_LIMITS = { side: 2 ** 24, pixels: 2 ** 26, metadata: 2 ** 26 };

/** What a file says of its quality, for people. @param {number} quality */
export const qualityText = (quality) => (quality > 100 ? `${quality - 100}, for PSNR` : String(quality));

/** Rows and columns of tiles. @param {number} width @param {number} height @returns {[number, number]} */
export const tileGrid = (width, height) => [Math.ceil(height / TILE), Math.ceil(width / TILE)];

/**
 * The bytes of a .cae file, taken apart. Allocates nothing in proportion to the size of the picture.
 * @param {ArrayBuffer | Uint8Array} file
 * @param {Limits} [limits]
 * @returns {Container}
 * @throws {CaeError} kind "corrupt", or "limit" for a picture over the limits
 */
export function parse(file, limits = {}) {
  const bytes = file instanceof Uint8Array ? file : new Uint8Array(file);
  const allowed = { ...DEFAULT_LIMITS, ...limits };
  if (MAGIC.some((byte, i) => i < bytes.length && bytes[i] !== byte)) {
    corrupt("not a .cae file (it does not begin with CA EC 0D)");
  }
  if (bytes.length > 3 && bytes[3] !== VERSION) {
    corrupt(`format version ${bytes[3]}; this caecodec reads version ${VERSION}`);
  }
  if (bytes.length < SMALLEST) corrupt(`truncated: ${bytes.length} bytes are too few for a .cae file`);
  const [flags, quality] = bytes.subarray(4, 6);
  const end = bytes.length - 4;
  const found = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(end, true);
  if (crc32(bytes.subarray(0, end)) !== found) {
    corrupt("the checksum does not match: the file is damaged or truncated; fetch it again");
  }
  if (flags & CRITICAL & ~(GRAY | SECTIONS)) corrupt(`flags 0x${hex([flags])} need a newer caecodec`);
  if (quality < 1 || quality > 200) corrupt(`quality ${quality} is not in 1..200`);
  const model = hex(bytes.subarray(6, FIXED));

  const reader = new Reader(bytes.subarray(0, end), FIXED);
  const width = reader.varint("width");
  const height = reader.varint("height");
  if (!width || !height) corrupt(`a picture of ${width}x${height} pixels has no pixels`);
  if (Math.max(width, height) > allowed.side || width * height > allowed.pixels) {
    throw new CaeError("limit", `a picture of ${width}x${height} pixels is over the limit of ${allowed.pixels} pixels`);
  }
  const sections = flags & SECTIONS ? readSections(reader, allowed.metadata) : {};
  const tiles = readTiles(reader, width, height);
  return { width, height, quality, model, gray: Boolean(flags & GRAY), sections, tiles };
}

/** @param {Reader} reader @param {number} most  bytes of a section of metadata @returns {Container["sections"]} */
function readSections(reader, most) {
  const count = reader.varint("section count");
  if (count < 1 || count > 255) corrupt(`${count} sections where the flag promises 1 to 255`);
  const table = Array.from({ length: count }, () => {
    const tag = String.fromCharCode(reader.take(1, "a section tag")[0]);
    return { tag, length: reader.varint("section length") };
  });
  /** @type {Container["sections"]} */
  const sections = {};
  table.forEach(({ tag, length }, i) => {
    if (i && tag <= table[i - 1].tag) corrupt("sections are not in rising order of their tags");
    if (!/^[A-Za-z]$/.test(tag)) corrupt("a section's tag is not a letter");
    if (!length) corrupt(`section ${tag} is empty`);
    const payload = reader.take(length, "a section");
    const name = NAMES[tag];
    if (!name && tag < "a") corrupt(`section ${tag} needs a newer caecodec`); // capitals are critical, as in PNG
    if (["exif", "icc", "xmp"].includes(name) && length > most) {
      throw new CaeError("limit", `${length} bytes of metadata are over the limit of ${most}`);
    }
    if (name) sections[name] = payload;
  });
  const { alpha, alphaCheck } = sections;
  if (alphaCheck && (!alpha || alphaCheck.length !== CHECK_BYTES)) corrupt("a check of alpha that is none");
  return sections;
}

/** @param {Reader} reader @param {number} width @param {number} height @returns {Uint8Array[]} */
function readTiles(reader, width, height) {
  const [rows, columns] = tileGrid(width, height);
  const count = rows * columns;
  if (count * (CHECK_BYTES + 1) - 1 > reader.left) corrupt(`truncated: ${reader.left} bytes cannot hold ${count} tiles`);
  const lengths = Array.from({ length: count - 1 }, () => reader.varint("tile length"));
  const tiles = lengths.map((length) => reader.take(length, "a tile"));
  tiles.push(reader.take(reader.left, "the last tile"));
  for (const tile of tiles) {
    if (tile.length < CHECK_BYTES) corrupt("a tile is too short");
    if (tile.length > CHECK_BYTES && !tile[tile.length - 1]) corrupt("a tile ends in zero bytes that no encoder writes");
  }
  return tiles;
}

/**
 * @param {Container} container
 * @returns {Uint8Array} the bytes of a .cae file
 */
export function serialize({ width, height, quality, model, gray, sections, tiles }) {
  const known = Object.entries(NAMES).flatMap(([tag, name]) => (sections[name] ? [{ tag, payload: sections[name] }] : []));
  const head = [...MAGIC, VERSION, (gray ? GRAY : 0) | (known.length ? SECTIONS : 0), quality];
  for (let i = 0; i < 8; i += 2) head.push(parseInt(model.slice(i, i + 2), 16));
  head.push(...varint(width), ...varint(height));
  if (known.length) {
    head.push(...varint(known.length));
    for (const { tag, payload } of known) head.push(tag.charCodeAt(0), ...varint(payload.length));
  }
  const index = tiles.slice(0, -1).flatMap((tile) => varint(tile.length)); // the last one's length is what is left
  const body = joined([Uint8Array.from(head), ...known.map(({ payload }) => payload), Uint8Array.from(index), ...tiles]);
  const crc = crc32(body);
  return joined([body, Uint8Array.of(crc, crc >>> 8, crc >>> 16, crc >>> 24)]);
}

/** @param {Uint8Array[]} parts @returns {Uint8Array} */
export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Lower-case hexadecimal digits. @param {Iterable<number>} bytes */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Bytes of a number: seven bits each, least significant first. @param {number} value @returns {number[]} */
function varint(value) {
  const bytes = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return [...bytes, value];
}

/** A cursor over bytes that refuses to leave them. */
class Reader {
  /** @param {Uint8Array} bytes @param {number} at */
  constructor(bytes, at) {
    this.bytes = bytes;
    this.at = at;
  }

  get left() {
    return this.bytes.length - this.at;
  }

  /** @param {number} length @param {string} what @returns {Uint8Array} */
  take(length, what) {
    if (length > this.left) corrupt(`truncated: ${what} of ${length} bytes, ${this.left} left`);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** @param {string} what @returns {number} */
  varint(what) {
    let value = 0;
    for (let place = 0; place < VARINT_BYTES; place++) {
      const [byte] = this.take(1, what);
      value += (byte & 0x7f) * 2 ** (7 * place); // past 32 bits, so no shifts
      if (byte < 0x80) {
        if (place && !byte) corrupt(`${what}: a number with needless zero bytes`);
        return value;
      }
    }
    return corrupt(`${what}: a number over ${VARINT_BYTES} bytes`);
  }
}
