// Makes <img src="photo.cae"> work: answers requests for .cae files with a PNG that it decodes. Built to dist/service-worker.js,
// one classic script. It looks for the other files of dist/ beside itself, or where it is told: service-worker.js?files=/there/

import { decode } from "./codec.js";
import { LOSSLESS, parse } from "./container.js";
import { browserWebp } from "./planes.js";
import { storedPng } from "./png.js";
import { Shelf, fetching } from "./shelf.js";

const worker = /** @type {any} */ (self);
const files = new URL(new URLSearchParams(worker.location.search).get("files") ?? "./", worker.location.href);
const shelf = new Shelf(fetching(files));

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  if (request.destination === "image" && new URL(request.url).pathname.endsWith(".cae")) {
    event.respondWith(answer(request.url));
  }
});

/** @param {string} url @returns {Promise<Response>} */
async function answer(url) {
  const response = await fetch(url);
  if (!response.ok) return response;
  try {
    const file = new Uint8Array(await response.arrayBuffer());
    const container = parse(file);
    const model = container.model === LOSSLESS ? null : await shelf.decoder(container.model);
    const png = storedPng(await decode(container, model, browserWebp), container.sections);
    return new Response(/** @type {any} */ (png), { headers: { "content-type": "image/png" } });
  } catch (error) {
    console.error(`${url}: ${/** @type {Error} */ (error).message}`);
    return Response.error();
  }
}
