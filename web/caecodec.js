// .cae files in a browser: parse, decode, measure, encode. All work is done by one worker; nothing leaves the machine.

import { startWorker } from "./connect.js";
import { CaeError } from "./errors.js";

export { parse } from "./container.js";
export { CaeError } from "./errors.js";
export { smallPng, storedPng } from "./png.js";

/** @typedef {import("./container.js").Container} Container */
/** @typedef {import("./container.js").Limits} Limits */
/** @typedef {import("./codec.js").BitMap} BitMap */
/** @typedef {(share: number) => void} Progress */

/** @type {Worker | null} */
let worker = null;
let calls = 0;
/** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void, progress?: Progress }>} */
const waiting = new Map();

/**
 * A .cae file -> its pixels: RGBA, not premultiplied, in the colour space of its ICC section or sRGB without one, not turned
 * by EXIF. They are the command's, bit for bit.
 * @param {ArrayBuffer | Uint8Array} file
 * @param {{ limits?: Limits, progress?: Progress }} [options]
 * @returns {Promise<ImageData>}
 * @throws {CaeError}
 */
export async function decode(file, { limits, progress } = {}) {
  const { data, width, height } = await ask("decode", { file, limits }, progress);
  return new ImageData(data, width, height);
}

/**
 * Where the bits of a file go.
 * @param {ArrayBuffer | Uint8Array} file
 * @returns {Promise<BitMap | null>} null for a file that holds pixels as they are
 */
export const measure = (file) => ask("measure", { file });

/**
 * Pixels -> a .cae file.
 * @param {ImageData} image  sRGB
 * @param {{ quality?: number, progress?: Progress }} [options]  quality: 1 to 100
 * @returns {Promise<ArrayBuffer>}
 */
export async function encode(image, { quality = 75, progress } = {}) {
  const analysed = await analyse(image, { progress });
  try {
    return await analysed.encode(quality);
  } finally {
    analysed.close();
  }
}

/**
 * The part of encoding that all qualities share.
 * @param {ImageData} image @param {{ progress?: Progress }} [options]
 * @returns {Promise<{ encode: (quality: number) => Promise<ArrayBuffer>, close: () => void }>} close frees its memory
 */
export async function analyse({ width, height, data }, { progress } = {}) {
  const key = calls;
  await ask("analyse", { key, picture: { width, height, data } }, progress);
  return { encode: (quality) => ask("encode", { key, quality }), close: () => void ask("close", { key }) };
}

/** @param {string} what @param {object} of @param {Progress} [progress] @returns {Promise<any>} */
function ask(what, of, progress) {
  worker ??= started();
  const call = calls++;
  const answer = new Promise((resolve, reject) => waiting.set(call, { resolve, reject, progress }));
  worker.postMessage({ call, what, of });
  return answer;
}

function started() {
  const one = startWorker();
  one.onmessage = ({ data: { call, result, error, progress } }) => {
    const asked = waiting.get(call);
    if (progress !== undefined) return asked?.progress?.(progress);
    waiting.delete(call);
    if (error) asked?.reject(new CaeError(error.kind, error.message));
    else asked?.resolve(result);
  };
  one.onerror = () => {
    for (const { reject } of waiting.values()) reject(new CaeError("usage", "the worker of caecodec does not start"));
    waiting.clear();
    worker = null;
  };
  return one;
}
