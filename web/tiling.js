// Tiles of a picture and the halo around them, in cells. All extents are half-open. Sections 3 and 10.2 of FORMAT.md.

import { TILE, tileGrid } from "./container.js";

/** @typedef {{ top: number, bottom: number, left: number, right: number }} Extent */

/**
 * Tiles in raster order.
 * @param {number} width @param {number} height  in pixels
 * @param {number} cell  side of a cell in pixels
 * @returns {Extent[]}
 */
export function tilesOf(width, height, cell) {
  const [rows, columns] = tileGrid(width, height);
  const side = TILE / cell;
  const [high, wide] = [Math.ceil(height / cell), Math.ceil(width / cell)];
  return Array.from({ length: rows * columns }, (_, i) => {
    const top = Math.floor(i / columns) * side;
    const left = (i % columns) * side;
    return { top, bottom: Math.min(top + side, high), left, right: Math.min(left + side, wide) };
  });
}

/**
 * A tile grown by a halo, as far as the picture's cells reach.
 * @param {Extent} tile @param {number} halo @param {number} high @param {number} wide  cells of the picture
 * @returns {Extent}
 */
export const withHalo = (tile, halo, high, wide) => ({
  top: Math.max(0, tile.top - halo),
  bottom: Math.min(high, tile.bottom + halo),
  left: Math.max(0, tile.left - halo),
  right: Math.min(wide, tile.right + halo),
});

/** @param {Extent} a @param {Extent} b @returns {Extent | null} */
export function overlap(a, b) {
  const top = Math.max(a.top, b.top);
  const bottom = Math.min(a.bottom, b.bottom);
  const left = Math.max(a.left, b.left);
  const right = Math.min(a.right, b.right);
  return top < bottom && left < right ? { top, bottom, left, right } : null;
}

/**
 * Copies what two arrays (rows, columns, channels) of cells share.
 * @template {Int32Array | Float32Array} T
 * @param {T} from @param {Extent} source  the cells that `from` holds
 * @param {T} to @param {Extent} target
 * @param {number} channels
 */
export function copyShared(from, source, to, target, channels) {
  const shared = overlap(source, target);
  if (!shared) return;
  const fromWidth = source.right - source.left;
  const toWidth = target.right - target.left;
  for (let row = shared.top; row < shared.bottom; row++) {
    const start = ((row - source.top) * fromWidth + shared.left - source.left) * channels;
    const run = from.subarray(start, start + (shared.right - shared.left) * channels);
    to.set(/** @type {any} */ (run), ((row - target.top) * toWidth + shared.left - target.left) * channels);
  }
}

/** @param {Extent} extent @returns {[number, number]} rows, columns */
export const sizeOf = ({ top, bottom, left, right }) => [bottom - top, right - left];
