// Written by web/build.py from models/weights; a test holds it.

/** @type {import("./model.js").Listed[]} */
export const MODELS = [
  { name: "photo", id: "e3ed954f",
    decoder: "461e77fdc9a5a72307e77c59bb223e310ac2e506a9721fb4a647947d584379ab",
    encoder: "f3a32409d91e147fb4d2d2b319165e24cae61a9b79e71e3881459688ab5e7dc6" },
  { name: "tiny", id: "b0b6d550",
    decoder: "250f11f940db42ae975b4348a4d891dfd83e4dc0a811e85154f42410d12e9c00",
    encoder: "8a1f1fc94aa3f9dfda980eae22339fe4016bd477ae7528eaacc5415d9bceb1a3" },
];
