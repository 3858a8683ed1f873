// Written by web/build.py from models/weights; a test holds it.

/** @type {import("./model.js").Listed[]} */
export const MODELS = [
  { name: "photo", id: "e3ed954f",
    decoder: "461e77fdc9a5a72307e77c59bb223e310ac2e506a9721fb4a647947d584379ab",
    encoder: "f3a32409d91e147fb4d2d2b319165e24cae61a9b79e71e3881459688ab5e7dc6" },
  { name: "tiny", id: "b0b6d550",
    decoder: "e587b595f7c46a4fface4583bac86933bac457832c1d16291261229294df7ddc",
    encoder: "8632079fd11795058e3c1cdb68ad270e0ebd2b49efa03ea3270b6e52ea4e6c64" },
];
