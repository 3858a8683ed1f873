// Model files: what is shipped over the wire -> the safetensors file that the core opens, checked. FORMAT.md, 7.1 and 7.2.

import { hex, joined } from "./container.js";
import { CaeError } from "./errors.js";
import { sha256 } from "./sha256.js";

/** @typedef {{ type: string, shape: number[], data: Uint8Array }} Tensor */

/**
 * A model that the package knows. The hashes are SHA-256 of its two parts as safetensors files: the id of a model is that of
 * all its tensors, and the decoder's alone do not give it.
 * @typedef {object} Listed
 * @property {string} name
 * @property {string} id
 * @property {string} decoder  the tensors that decoding reads
 * @property {string} encoder  all others
 */

const BYTES = /** @type {Record<string, number>} */ ({ U8: 1, I16: 2, I32: 4, I64: 8, F16: 2, F32: 4 });

/**
 * @param {Uint8Array} file  safetensors
 * @returns {{ tensors: Map<string, Tensor>, metadata: Record<string, string> }} tensors are views, in rising order of names
 */
export function readTensors(file) {
  try {
    const view = new DataView(file.buffer, file.byteOffset, file.length);
    const start = 8 + Number(view.getBigUint64(0, true));
    const { __metadata__: metadata = {}, ...entries } = JSON.parse(new TextDecoder().decode(file.subarray(8, start)));
    const sorted = Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)); // names are ASCII
    const tensors = sorted.map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
      const size = shape.reduce((/** @type {number} */ product, /** @type {number} */ side) => product * side, BYTES[dtype]);
      if (to - from !== size || start + to > file.length) throw new RangeError(name);
      return /** @type {const} */ ([name, { type: dtype, shape, data: file.subarray(start + from, start + to) }]);
    });
    return { tensors: new Map(tensors), metadata };
  } catch {
    throw new CaeError("model", "not a model file");
  }
}

/** @param {Map<string, Tensor>} tensors  all of a model, in rising order of names @returns {Promise<string>} its id */
export async function modelId(tensors) {
  const lines = new TextEncoder();
  const parts = [...tensors].flatMap(([name, { type, shape, data }]) => [lines.encode(`${name} ${type} ${shape}\n`), data]);
  return hex((await sha256(joined(parts))).subarray(0, 4));
}

/** How parts are packed, in their addresses: one that a web server or browser kept is not taken for one packed otherwise. */
export const PACKING = 2;

/**
 * Shipped bytes -> safetensors. Over the wire numbers of 2 and 4 bytes are split: first the lowest byte of all numbers of a tensor, then the
 * next; and of tables by quality there are differences from row to row, and of these again. So gzip finds what they have in common,
 * and files are a fifth smaller.
 * @param {Uint8Array} shipped @returns {Promise<Uint8Array>}
 */
export async function unpack(shipped) {
  const gunzip = new DecompressionStream("gzip");
  const writer = gunzip.writable.getWriter();
  writer.write(/** @type {any} */ (shipped)).catch(() => {}); // read below, where its failure is seen
  writer.close().catch(() => {});
  const inflated = await new Response(gunzip.readable).arrayBuffer().catch(() => {
    throw new CaeError("model", "a model that does not unpack");
  });
  const file = new Uint8Array(inflated);
  for (const [name, { type, shape, data }] of readTensors(file).tensors) {
    if (BYTES[type] === 2) joinTwo(data, data.length / 2);
    if (BYTES[type] === 4) joinFour(data, data.length / 4);
    if (name.startsWith("quality.") && type === "I32" && shape.length === 2) addRows(data, shape[1]);
  }
  return file;
}

// Millions of numbers: functions of one loop each, which engines compile while the first tensor passes.

/** @param {Uint8Array} data  low bytes, then high ones; numbers afterwards @param {number} count */
function joinTwo(data, count) {
  const numbers = new Uint16Array(count);
  for (let i = 0; i < count; i++) numbers[i] = data[i] | (data[count + i] << 8);
  data.set(new Uint8Array(numbers.buffer));
}

/** @param {Uint8Array} data @param {number} count */
function joinFour(data, count) {
  const numbers = new Uint32Array(count);
  const [b, c, d] = [count, 2 * count, 3 * count];
  for (let i = 0; i < count; i++) {
    numbers[i] = data[i] | (data[b + i] << 8) | (data[c + i] << 16) | (data[d + i] << 24);
  }
  data.set(new Uint8Array(numbers.buffer));
}

/** @param {Uint8Array} data  differences of differences of rows, numbers of 32 bits; rows afterwards @param {number} columns */
function addRows(data, columns) {
  const numbers = new Int32Array(data.slice().buffer); // data may lie at any address
  for (let times = 0; times < 2; times++) {
    for (let i = columns; i < numbers.length; i++) numbers[i] += numbers[i - columns];
  }
  data.set(new Uint8Array(numbers.buffer));
}

/**
 * @param {Uint8Array} file  safetensors @param {string} hash  that it must have @param {string} name
 * @returns {Promise<Uint8Array>} the file
 */
export async function checkedPart(file, hash, name) {
  if (hex(await sha256(file)) !== hash) throw new CaeError("model", `${name} is not the file that this version knows`);
  return file;
}

/**
 * Two parts of a model -> the whole, a safetensors file whose id is computed and compared.
 * @param {Uint8Array} decoder @param {Uint8Array} encoder @param {string} id
 * @returns {Promise<Uint8Array>}
 */
export async function joinedModel(decoder, encoder, id) {
  const { tensors, metadata } = readTensors(decoder);
  const all = new Map([...tensors, ...readTensors(encoder).tensors].sort(([a], [b]) => (a < b ? -1 : 1)));
  const found = await modelId(all);
  if (found !== id) throw new CaeError("model", `the model's tensors have the id ${found}, not ${id}`);
  return writeTensors(all, metadata);
}

/** @param {Map<string, Tensor>} tensors @param {Record<string, string>} metadata */
function writeTensors(tensors, metadata) {
  /** @type {Record<string, object>} */
  const entries = { __metadata__: metadata };
  let at = 0;
  for (const [name, { type, shape, data }] of tensors) {
    entries[name] = { dtype: type, shape, data_offsets: [at, (at += data.length)] };
  }
  const text = JSON.stringify(entries);
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return joined([length, header, ...[...tensors.values()].map(({ data }) => data)]);
}

/** The numbers of a float tensor. @param {Tensor} tensor @returns {Float32Array} */
export function floats({ type, data }) {
  if (type !== "F32") throw new CaeError("model", `a tensor of type ${type} where F32 is needed`);
  return new Float32Array(data.slice().buffer); // data may lie at any address
}
