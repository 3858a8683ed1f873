// The page: opens a file, shows it, and makes .cae files of pictures.

import { analyse, decode, measure, parse, smallPng, storedPng } from "./caecodec.js";
import { qualityText } from "./container.js";
import { byId, el } from "./page-elements.js";
import { showFacts, showMap } from "./page-file.js";
import { Comparison } from "./page-viewer.js";

/** JPEG's and WebP's settings that look as good as ours at a quality: mean SSIMULACRA2 on Kodak, bench/results/rd-kodak.json. */
const LIKE = [[1, 9, 1], [15, 12, 2], [22, 14, 5], [30, 16, 8], [38, 19, 13], [46, 23, 22], [54, 30, 33], [62, 41, 48],
  [70, 60, 70], [78, 78, 82], [86, 91, 91], [93, 97, 99], [100, 97, 99]];
const MOST_PIXELS = 2 ** 26;
const SOON = 120; // milliseconds that the slider rests before it is followed

const view = new Comparison(byId("stage"), byId("frame"));
/** @type {{ name: string, file: Uint8Array, container: import("./container.js").Container, image: ImageData } | null} */
let shown = null; // the .cae file that is on the page
/** @type {{ name: string, bytes: number, image: ImageData, analysed: Awaited<ReturnType<typeof analyse>> } | null} */
let source = null; // what one was made of
let turn = 0; // of what was asked for last; what comes late is not shown

const kilo = (/** @type {number} */ bytes) => bytes.toLocaleString("en");
const bpp = (/** @type {number} */ bytes, /** @type {{ width: number, height: number }} */ { width, height }) =>
  ((8 * bytes) / (width * height)).toFixed(3);

/** @param {string} text @param {boolean} [failed] */
function say(text, failed = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("failed", failed);
  byId("progress").hidden = true;
}

/** @param {number} share */
function progress(share) {
  const bar = /** @type {HTMLProgressElement} */ (byId("progress"));
  bar.hidden = share >= 1;
  bar.value = share;
}

/** @param {File} file */
async function open(file) {
  const mine = ++turn;
  source?.analysed.close();
  source = shown = null;
  for (const id of ["make", "look", "facts-of", "bits"]) byId(id).hidden = true;
  view.clear();
  say(`Opening ${file.name} ...`);
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const ours = bytes[0] === 0xca && bytes[1] === 0xec;
    if (ours || file.name.endsWith(".cae")) await openCae(file.name, bytes, mine);
    else await openPicture(file, mine);
  } catch (error) {
    if (mine === turn) say(`${file.name}: ${/** @type {Error} */ (error).message}`, true);
  }
}

/** @param {string} name @param {Uint8Array} file @param {number} mine */
async function openCae(name, file, mine) {
  const started = performance.now();
  const container = parse(file);
  const image = await decode(file, { progress });
  if (mine !== turn) return;
  say(`${name}: ${image.width}×${image.height} pixels, decoded in ${Math.round(performance.now() - started)} ms`);
  view.set("caecodec", `quality ${qualityText(container.quality)}`, png(image, container.sections.icc), image);
  await show(name, file, container, image, mine);
}

/** The file's facts and its map of bits. @type {(...of: [string, Uint8Array, import("./container.js").Container, ImageData, number]) => Promise<void>} */
async function show(name, file, container, image, mine) {
  shown = { name, file, container, image };
  byId("look").hidden = byId("facts-of").hidden = false;
  byId("look-title").textContent = source ? "Compare" : "The picture";
  const map = await measure(file);
  if (mine !== turn) return;
  showFacts(file, container, map);
  showMap(map, container, view.url("caecodec"));
}

/** @param {File} file @param {number} mine */
async function openPicture(file, mine) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("neither a .cae file nor a picture that this browser reads");
  });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) throw new Error(`${width}×${height} pixels are too many for this page`);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext("2d"));
  context.drawImage(bitmap, 0, 0);
  const image = context.getImageData(0, 0, width, height);
  view.set("original", file.type.replace("image/", ""), file, image);
  byId("look").hidden = false;
  say(`Looking at ${file.name}, ${width}×${height} pixels ...`);
  const analysed = await analyse(image, { progress });
  if (mine !== turn) return analysed.close();
  source = { name: file.name, bytes: file.size, image, analysed };
  byId("make").hidden = false;
  await make(mine);
}

/** Codes the source at the quality that is set. @param {number} mine */
async function make(mine) {
  if (!source) return;
  const { image, analysed, name, bytes } = source;
  const quality = Number(field("quality").value);
  const [jpeg, webp] = [1, 2].map((column) => like(quality, column));
  const started = performance.now();
  const file = new Uint8Array(await analysed.encode(quality));
  const took = performance.now() - started;
  const [decoded, ...others] = await Promise.all([
    decode(file), browserFile(image, "image/jpeg", jpeg), browserFile(image, "image/webp", webp)]);
  if (mine !== turn) return;
  const container = parse(file);
  const rows = [["caecodec", `quality ${quality}`, file.length], ["JPEG", `quality ${jpeg}`, others[0]?.size],
    ["WebP", `quality ${webp}`, others[1]?.size], [`original: ${name}`, "", bytes]];
  byId("sizes").replaceChildren(...rows.map((row, i) => sizeRow(row, file.length, image, !i)));
  view.set("caecodec", `quality ${quality}`, png(decoded), image);
  for (const [i, other] of others.entries()) {
    if (other) view.set(["JPEG", "WebP"][i], `quality ${[jpeg, webp][i]}`, other, image);
  }
  say(`${name}: coded in ${Math.round(took)} ms`);
  await show(name.replace(/\.\w+$/, "") + ".cae", file, container, decoded, mine);
}

/** @param {any[]} row @param {number} ours @param {ImageData} image @param {boolean} first */
function sizeRow([name, setting, bytes], ours, image, first) {
  const beside = first ? "" : `${(bytes / ours).toFixed(2)} times`;
  const cells = bytes ? [kilo(bytes), bpp(bytes, image), beside] : ["not made here", "", ""];
  return el("tr", { class: first ? "ours" : null }, el("th", { scope: "row" }, name),
    [setting, ...cells].map((text) => el("td", {}, text)));
}

/** @param {number} quality @param {number} column */
function like(quality, column) {
  const after = Math.max(1, LIKE.findIndex(([q]) => q >= quality));
  const [low, high] = [LIKE[after - 1], LIKE[after]];
  return Math.round(low[column] + ((quality - low[0]) / (high[0] - low[0])) * (high[column] - low[column]));
}

/** A file by the browser's encoder; null where it has none. @param {ImageData} image @param {string} type @param {number} quality */
async function browserFile(image, type, quality) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  const blob = await canvas.convertToBlob({ type, quality: quality / 100 });
  return blob.type === type ? blob : null;
}

/** As stored, not turned by EXIF: the map of bits lies over it. @param {ImageData} image @param {Uint8Array} [icc] */
const png = (image, icc) => new Blob([/** @type {any} */ (storedPng(image, { icc }))], { type: "image/png" });

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const field = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));

function start() {
  if (document.getElementById("worker.js")) {
    byId("sealed").textContent = "It could not send them: its own rules (a content security policy) forbid it every connection.";
  }
  const dark = () => document.documentElement.dataset.theme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const theme = byId("theme");
  theme.setAttribute("aria-pressed", String(dark()));
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    theme.setAttribute("aria-pressed", String(dark()));
  });

  const first = (/** @type {FileList | null | undefined} */ files) => files?.[0] && open(files[0]);
  byId("choose").addEventListener("change", () => {
    first(field("choose").files);
    field("choose").value = ""; // the same file may be chosen again
  });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      document.body.classList.toggle("dropping", name.startsWith("drag") && name !== "dragleave");
      if (name === "drop") first(/** @type {DragEvent} */ (event).dataTransfer?.files);
    });
  }
  document.addEventListener("paste", (event) => first(event.clipboardData?.files));

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let resting;
  byId("quality").addEventListener("input", () => {
    byId("quality-shown").textContent = field("quality").value;
    clearTimeout(resting);
    resting = setTimeout(() => source && make(++turn).catch((error) => say(error.message, true)), SOON);
  });
  byId("save-cae").addEventListener("click", () => shown && save(new Blob([/** @type {any} */ (shown.file)]), shown.name));
  byId("save-png").addEventListener("click", async () => {
    if (!shown) return;
    const { image, container, name } = shown;
    save(new Blob([/** @type {any} */ (await smallPng(image, container.sections))]), name.replace(/\.cae$/, "") + ".png");
  });
}

start();
