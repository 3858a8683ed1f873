// The thread that decodes and encodes, for caecodec.js.

import { analyse, decode, encode, measure } from "./codec.js";
import { LOSSLESS, parse } from "./container.js";
import { CaeError } from "./errors.js";
import { MODELS } from "./models.js";
import { browserWebp } from "./planes.js";
import { Shelf, fetching } from "./shelf.js";

/** @type {Shelf} */
let shelf;
/** @type {Map<number, { analysed: import("./codec.js").Analysed, model: import("./codec.js").Model }>} */
const held = new Map();

const DO = {
  /**
   * Where files come from: an address, or they themselves in base64.
   * @param {{ base?: string, files?: Record<string, string> }} from
   */
  async start({ base, files }) {
    shelf = new Shelf(
      files ? async (name, _version, made) => made(fromBase64(files[name])) : fetching(/** @type {string} */ (base)),
    );
    shelf.core().catch(() => {}); // told when it is needed
  },

  /** @param {{ file: ArrayBuffer, limits?: import("./container.js").Limits }} of @param {(share: number) => void} progress */
  async decode({ file, limits }, progress) {
    const container = parse(file, limits);
    const model = container.model === LOSSLESS ? null : await shelf.decoder(container.model);
    return decode(container, model, browserWebp, progress);
  },

  /** @param {{ file: ArrayBuffer }} of */
  async measure({ file }) {
    const container = parse(file);
    return container.model === LOSSLESS ? null : measure(container, await shelf.decoder(container.model));
  },

  /** @param {{ key: number, picture: import("./codec.js").Picture }} of @param {(share: number) => void} progress */
  async analyse({ key, picture }, progress) {
    const photo = MODELS.find(({ name }) => name === "photo");
    if (!photo) throw new CaeError("model", "no model to encode with");
    const model = await shelf.encoder(photo.id);
    held.set(key, { analysed: await analyse(picture, model, progress), model });
  },

  /** @param {{ key: number, quality: number }} of */
  async encode({ key, quality }) {
    const one = held.get(key);
    if (!one) throw new CaeError("usage", "this picture was closed");
    return encode(one.analysed, one.model, quality).buffer;
  },

  /** @param {{ key: number }} of */
  async close({ key }) {
    held.delete(key);
  },
};

/** @param {string} text */
function fromBase64(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** One thing after the other, as they were asked for. */
let before = Promise.resolve();

self.onmessage = ({ data: { call, what, of } }) => {
  const progress = (/** @type {number} */ share) => self.postMessage({ call, progress: share });
  before = before.then(async () => {
    try {
      const result = await DO[/** @type {keyof typeof DO} */ (what)](of, progress);
      const buffer = result instanceof ArrayBuffer ? result : result && "data" in result ? result.data.buffer : null;
      self.postMessage({ call, result }, { transfer: buffer ? [buffer] : [] });
    } catch (error) {
      const { kind = "corrupt", message } = /** @type {CaeError} */ (error);
      self.postMessage({ call, error: { kind, message } });
    }
  });
};
