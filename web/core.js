// The core in C, compiled to WebAssembly, behind functions on typed arrays. codec/core/cae.h says what each of them does.

import { CaeError } from "./errors.js";

const FAMILIES = /** @type {const} */ ({ 1: "photo", 2: "tiny" });
const NOT_POSSIBLE = 5; // an argument: of a parsed file only its quality can be
const KINDS = /** @type {const} */ ({ 2: "model", 3: "corrupt", 4: "corrupt", 5: "usage" });

/**
 * @typedef {object} Shape
 * @property {"photo" | "tiny"} family
 * @property {number} cell  side of a cell in pixels
 * @property {number} n  channels of y
 * @property {number} z  channels of z
 * @property {number} haloIn  cells around a tile that an encoder looks at
 * @property {number} haloOut  and a decoder
 */

/**
 * @typedef {object} Unrounded  what an encoder codes, in steps of the quantiser
 * @property {Float32Array} y  (rows, columns, n)
 * @property {Float32Array} z  (ceil(rows / 4), ceil(columns / 4), z)
 * @property {Float32Array} weight  (n)
 * @property {Float32Array} strength  (rows, columns)
 */

export class Core {
  /** @type {Record<string, any>} */
  #c;

  /** @param {WebAssembly.Instance} instance */
  constructor(instance) {
    this.#c = instance.exports;
    this.#c._initialize?.();
  }

  /** @param {BufferSource} wasm */
  static async load(wasm) {
    return new Core((await WebAssembly.instantiate(wasm, {})).instance);
  }

  get kernels() {
    return this.#text(this.#c.cae_kernels());
  }

  /** Bytes of memory it holds: it never gives any back. */
  get memoryBytes() {
    return this.#c.memory.buffer.byteLength;
  }

  /** @param {Uint8Array} file  of a model @returns {CoreModel} */
  openModel(file) {
    return this.#with((room) => {
      const out = room.bytes(4);
      this.#check(this.#c.cae_model_open(room.copy(file), file.length, out));
      const handle = this.#u32(out);
      const shape = room.bytes(24);
      this.#c.cae_model_shape(handle, shape);
      const [family, cell, n, z, haloIn, haloOut] = new Int32Array(this.#c.memory.buffer, shape, 6);
      const name = FAMILIES[/** @type {1 | 2} */ (family)];
      return new CoreModel(this, handle, { family: name, cell, n, z, haloIn, haloOut });
    });
  }

  /** @param {number} handle */
  closeModel(handle) {
    this.#c.cae_model_close(handle);
  }

  /**
   * @param {CoreModel} model @param {number} quality @param {boolean} gray
   * @param {number} rows @param {number} columns @param {Uint8Array} stream
   * @returns {Int32Array} y_hat (rows, columns, n)
   */
  decodeLatents({ handle, shape }, quality, gray, rows, columns, stream) {
    return this.#with((room) => {
      const count = rows * columns * shape.n;
      const [from, yHat] = [room.copy(stream), room.bytes(4 * count)];
      const error = this.#c.cae_decode_latents(handle, 0, quality, +gray, rows, columns, from, stream.length, yHat);
      if (error === NOT_POSSIBLE) throw new CaeError("corrupt", `quality ${quality} is none that the model has`);
      this.#check(error);
      return new Int32Array(this.#c.memory.buffer, yHat, count).slice();
    });
  }

  /**
   * Bits that the symbols of each cell take.
   * @param {CoreModel} model @param {number} quality @param {boolean} gray
   * @param {number} rows @param {number} columns @param {Uint8Array} stream
   * @returns {{ y: Float32Array, z: Float32Array }}  y: (rows, columns); z: (ceil(rows / 4), ceil(columns / 4))
   */
  measureLatents({ handle, shape }, quality, gray, rows, columns, stream) {
    return this.#with((room) => {
      const [from, yHat] = [room.copy(stream), room.bytes(4 * rows * columns * shape.n)];
      const blocks = Math.ceil(rows / 4) * Math.ceil(columns / 4);
      const [y, z] = [room.bytes(4 * rows * columns), room.bytes(4 * blocks)];
      const size = stream.length;
      this.#check(this.#c.cae_measure_latents(handle, 0, quality, +gray, rows, columns, from, size, yHat, y, z));
      const { buffer } = this.#c.memory;
      return { y: new Float32Array(buffer, y, rows * columns).slice(), z: new Float32Array(buffer, z, blocks).slice() };
    });
  }

  /**
   * @template T
   * @param {CoreModel} model @param {number} quality @param {number} rows @param {number} columns
   * @param {(yHat: Int32Array) => void} fill  writes y_hat (rows, columns, n)
   * @param {(samples: Uint8Array) => T} take  reads samples (cell * rows, cell * columns, 3), valid while it runs
   * @returns {T}
   */
  synthesise({ handle, shape }, quality, rows, columns, fill, take) {
    return this.#with((room) => {
      const count = rows * columns * shape.n;
      const size = rows * columns * shape.cell ** 2 * 3;
      const [yHat, samples] = [room.bytes(4 * count), room.bytes(size)];
      fill(new Int32Array(this.#c.memory.buffer, yHat, count));
      this.#check(this.#c.cae_synthesise(handle, 0, quality, rows, columns, yHat, samples));
      return take(new Uint8Array(this.#c.memory.buffer, samples, size));
    });
  }

  /**
   * @param {CoreModel} model
   * @param {Uint8Array} samples  (cell * rows, cell * columns, 3) of a tile and its halo
   * @param {number} rows @param {number} columns
   * @param {number} top @param {number} left @param {number} innerRows @param {number} innerColumns  the tile in them
   * @returns {{ y: Float32Array, z: Float32Array }} before any quality
   */
  analyse({ handle, shape }, samples, rows, columns, top, left, innerRows, innerColumns) {
    return this.#with((room) => {
      const ySize = innerRows * innerColumns * shape.n;
      const zSize = Math.ceil(innerRows / 4) * Math.ceil(innerColumns / 4) * shape.z;
      const [from, y, z] = [room.copy(samples), room.bytes(4 * ySize), room.bytes(4 * zSize)];
      this.#check(this.#c.cae_analyse(handle, 0, rows, columns, from, top, left, innerRows, innerColumns, y, z));
      const { buffer } = this.#c.memory;
      return { y: new Float32Array(buffer, y, ySize).slice(), z: new Float32Array(buffer, z, zSize).slice() };
    });
  }

  /**
   * @param {CoreModel} model @param {number} quality @param {boolean} gray
   * @param {number} rows @param {number} columns @param {Unrounded} given
   * @returns {Uint8Array} the tile's stream, check bytes included
   */
  encodeLatents({ handle, shape }, quality, gray, rows, columns, { y, z, weight, strength }) {
    return this.#with((room) => {
      const parts = [y, z, weight, strength].map((part) => room.copy(bytesOf(part)));
      const given = room.copy(bytesOf(Uint32Array.from(parts)));
      const bound = this.#c.cae_stream_bound(handle, rows, columns) >>> 0;
      const [stream, yHat] = [room.bytes(bound), room.bytes(4 * rows * columns * shape.n)];
      const size = room.copy(bytesOf(Uint32Array.of(bound)));
      this.#check(this.#c.cae_encode_latents(handle, 0, quality, +gray, rows, columns, given, stream, size, yHat));
      return new Uint8Array(this.#c.memory.buffer, stream, this.#u32(size)).slice();
    });
  }

  /**
   * Runs `work` with memory of the module that is free again afterwards.
   * @template T
   * @param {(room: { bytes: (size: number) => number, copy: (from: Uint8Array) => number }) => T} work
   * @returns {T}
   */
  #with(work) {
    /** @type {number[]} */
    const taken = [];
    const bytes = (/** @type {number} */ size) => {
      const at = this.#c.malloc(size) >>> 0;
      if (!at) throw new CaeError("limit", `no memory for ${size} bytes`);
      taken.push(at);
      return at;
    };
    const copy = (/** @type {Uint8Array} */ from) => {
      const at = bytes(from.length);
      new Uint8Array(this.#c.memory.buffer, at, from.length).set(from); // made now: memory that grows moves
      return at;
    };
    try {
      return work({ bytes, copy });
    } finally {
      for (const at of taken.reverse()) this.#c.free(at);
    }
  }

  /** @param {number} error */
  #check(error) {
    if (!error) return;
    const kind = error === 1 ? "limit" : KINDS[/** @type {keyof typeof KINDS} */ (error)];
    throw new CaeError(kind ?? "corrupt", this.#text(this.#c.cae_error_text(error)));
  }

  /** @param {number} at */
  #u32(at) {
    return new Uint32Array(this.#c.memory.buffer, at, 1)[0];
  }

  /** @param {number} at  of a text that ends in zero */
  #text(at) {
    const bytes = new Uint8Array(this.#c.memory.buffer, at);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  }
}

/** A model inside of the core. */
export class CoreModel {
  /** @param {Core} core @param {number} handle @param {Shape} shape */
  constructor(core, handle, shape) {
    this.core = core;
    this.handle = handle;
    this.shape = shape;
  }

  close() {
    this.core.closeModel(this.handle);
  }
}

/** @param {Float32Array | Uint32Array} numbers */
const bytesOf = (numbers) => new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
