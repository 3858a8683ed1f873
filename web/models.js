// Written by web/build.py from models/weights; a test holds it.

/** @type {import("./model.js").Listed[]} */
export const MODELS = [
  { name: "photo", id: "98de5ab2",
    decoder: "96c7bfda69a303307238eb42e6cc6740d1bed793ae35b98471118ba0fd362d49",
    encoder: "71827deb74b5ef18608760d78fe1846748a7ccfdf0ad676c3806de0cfbc9942c" },
  { name: "tiny", id: "52a71f81",
    decoder: "c7d240144e700be5ef32feec639d1bdf3f899ee19ddcc6f94c6ada5c310ac006",
    encoder: "bf77270951b9559a56654dde515ba52445c3c0d8122770a4e1900fd4d2e47e59" },
];
