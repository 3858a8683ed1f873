/** A picture or a model that cannot be used; the message says what was found and what to do. */
export class CaeError extends Error {
  /** @type {"corrupt" | "limit" | "model" | "usage"} */
  kind;

  /**
   * @param {"corrupt" | "limit" | "model" | "usage"} kind  a damaged file; one that is too large; a model that is not
   *   here or not itself; a wrong argument
   * @param {string} message
   */
  constructor(kind, message) {
    super(message);
    this.name = "CaeError";
    this.kind = kind;
  }
}

/** @param {string} message @returns {never} */
export function corrupt(message) {
  throw new CaeError("corrupt", message);
}
