// What the package ships, fetched when it is needed and checked: the compiled core, and models in two parts.

import { Core } from "./core.js";
import { CaeError } from "./errors.js";
import { PACKING, checkedPart, joinedModel, readTensors, unpack } from "./model.js";
import { MODELS } from "./models.js";

/** @typedef {import("./codec.js").Model} Model */

/**
 * What `made` makes of a file of dist/; with a version, it may come from where it was kept.
 * @typedef {(name: string, version: string, made: Made) => Promise<Uint8Array>} FetchFile
 * @typedef {(shipped: Uint8Array) => Promise<Uint8Array>} Made
 */

/** @type {Made} */
const asItIs = async (shipped) => shipped;

export class Shelf {
  /** @type {Map<string, Promise<any>>} */
  #kept = new Map();

  /** @param {FetchFile} fetchFile */
  constructor(fetchFile) {
    this.fetchFile = fetchFile;
  }

  /** @returns {Promise<Core>} */
  core() {
    return this.#once("core", async () => Core.load(/** @type {any} */ (await this.fetchFile("caecodec.wasm", "", asItIs))));
  }

  /** The model of a file, to decode with. @param {string} id @returns {Promise<Model>} */
  decoder(id) {
    return this.#once(`decoder ${id}`, async () => this.#open(id, await this.#part(id, "decoder"), false));
  }

  /** A model with all it has, to encode with. @param {string} id @returns {Promise<Model>} */
  encoder(id) {
    return this.#once(`encoder ${id}`, async () => {
      const [decoder, encoder] = await Promise.all([this.#part(id, "decoder"), this.#part(id, "encoder")]);
      return this.#open(id, await joinedModel(decoder, encoder, id), true);
    });
  }

  /** @param {string} id @param {Uint8Array} file @param {boolean} whole @returns {Promise<Model>} */
  async #open(id, file, whole) {
    const inside = (await this.core()).openModel(file);
    return { id, inside, tensors: whole ? readTensors(file).tensors : new Map() };
  }

  /** @param {string} id @param {"decoder" | "encoder"} part @returns {Promise<Uint8Array>} safetensors */
  #part(id, part) {
    const listed = MODELS.find((model) => model.id === id);
    if (!listed) {
      const known = MODELS.map((model) => `${model.name} ${model.id}`).join(", ");
      throw new CaeError("model", `the file needs model ${id}; known here: ${known}`);
    }
    return this.#once(`${part} of ${id}`, async () => {
      const name = `${listed.name}-${id}.${part}`;
      const version = `${listed[part].slice(0, 8)}.${PACKING}`;
      return checkedPart(await this.fetchFile(name, version, unpack), listed[part], name);
    });
  }

  /**
   * What `make` gives, made once; again where it failed, as a network may come back.
   * @template T
   * @param {string} key @param {() => Promise<T>} make
   * @returns {Promise<T>}
   */
  #once(key, make) {
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const made = make();
    this.#kept.set(key, made);
    made.catch(() => this.#kept.delete(key));
    return made;
  }
}

/**
 * Files below an address. Models are kept in the browser's cache for good, unpacked: `version` tells one from the next.
 * @param {string | URL} base
 * @returns {FetchFile}
 */
export const fetching = (base) => async (name, version, made) => {
  const url = new URL(version ? `${name}?${version}` : name, base);
  const cache = version && globalThis.caches ? await caches.open("caecodec-unpacked").catch(() => null) : null;
  const kept = await cache?.match(url);
  if (kept) return new Uint8Array(await kept.arrayBuffer());
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw new CaeError("model", `${url.pathname} cannot be fetched (${response?.status ?? "no network"})`);
  const bytes = await made(new Uint8Array(await response.arrayBuffer()));
  if (cache) keep(cache, url, new Response(/** @type {any} */ (bytes))).catch(() => {}); // a full disk is no reason to fail
  return bytes;
};

/** In place of other versions. @param {Cache} cache @param {URL} url @param {Response} response */
async function keep(cache, url, response) {
  for (const older of await cache.keys(url, { ignoreSearch: true })) await cache.delete(older);
  await cache.put(url, response);
}
