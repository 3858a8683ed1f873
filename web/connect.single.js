// Starts the worker of the single page: its code and all files lie in the page itself.

/** @returns {Worker} */
export function startWorker() {
  const code = /** @type {HTMLElement} */ (document.getElementById("worker.js")).textContent ?? "";
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const blocks = document.querySelectorAll('script[type="application/octet-stream"]');
  const files = Object.fromEntries([...blocks].map(({ id, textContent }) => [id, textContent]));
  worker.postMessage({ what: "start", of: { files } });
  return worker;
}
