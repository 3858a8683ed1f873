// .cae files in node, on its one thread: as caecodec.js, with pictures as { width, height, data } of RGBA. Node reads no WebP,
// which lossless files and alpha channels may hold: give `readWebp` (planes.js) where it matters.

import { readFile } from "node:fs/promises";

import * as codec from "./codec.js";
import { LOSSLESS, parse } from "./container.js";
import { CaeError } from "./errors.js";
import { MODELS } from "./models.js";
import { Shelf } from "./shelf.js";

export { parse } from "./container.js";
export { CaeError } from "./errors.js";
export { smallPng, storedPng } from "./png.js";

const shelf = new Shelf(async (name, _version, made) => {
  return made(new Uint8Array(await readFile(new URL(`./dist/${name}`, import.meta.url))));
});

/** @type {import("./planes.js").ReadWebp} */
const noWebp = async (_file, what) => {
  throw new CaeError("usage", `${what} is WebP, which node does not read`);
};

/** @param {Uint8Array} file @param {{ readWebp?: import("./planes.js").ReadWebp }} [options] */
export async function decode(file, { readWebp = noWebp } = {}) {
  const container = parse(file);
  const model = container.model === LOSSLESS ? null : await shelf.decoder(container.model);
  return codec.decode(container, model, readWebp);
}

/** @param {Uint8Array} file */
export async function measure(file) {
  const container = parse(file);
  return container.model === LOSSLESS ? null : codec.measure(container, await shelf.decoder(container.model));
}

/** @param {codec.Picture} picture @param {{ quality?: number }} [options] */
export async function encode(picture, { quality = 75 } = {}) {
  const photo = MODELS.find(({ name }) => name === "photo");
  if (!photo) throw new CaeError("model", "no model to encode with");
  const model = await shelf.encoder(photo.id);
  return codec.encode(await codec.analyse(picture, model), model, quality);
}
