// Elements. Whatever comes from files is set as text, never as HTML.

/** @param {string} id */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * An HTML element; attributes that are null are left out.
 * @param {string} tag @param {Record<string, string | number | null>} [attributes]
 * @param {...(Node | string | null | (Node | string | null)[])} children
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, String(value));
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}
