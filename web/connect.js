// Starts the worker of a page that was served. The single page, which carries all files inside, has its own of this name.

/** @returns {Worker} */
export function startWorker() {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.postMessage({ what: "start", of: { base: new URL("./dist/", import.meta.url).href } });
  return worker;
}
