// Written by web/build.py from models/weights; a test holds it.

/** @type {import("./model.js").Listed[]} */
export const MODELS = [
  { name: "photo", id: "e3ed954f",
    decoder: "461e77fdc9a5a72307e77c59bb223e310ac2e506a9721fb4a647947d584379ab",
    encoder: "f3a32409d91e147fb4d2d2b319165e24cae61a9b79e71e3881459688ab5e7dc6" },
  { name: "tiny", id: "52a71f81",
    decoder: "c7d240144e700be5ef32feec639d1bdf3f899ee19ddcc6f94c6ada5c310ac006",
    encoder: "bf77270951b9559a56654dde515ba52445c3c0d8122770a4e1900fd4d2e47e59" },
];
