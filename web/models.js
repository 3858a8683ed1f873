// Written by web/build.py from models/weights; a test holds it.

/** @type {import("./model.js").Listed[]} */
export const MODELS = [
  { name: "photo", id: "b23f6fd6",
    decoder: "9dd97b93114a3c5af583779253e0eb2d99743fa7150a8d819afe353eedae87a4",
    encoder: "438addf79b56cf79d4e6d99c856ae42291629e623d00b79c340d9499f690bf66" },
  { name: "tiny", id: "52a71f81",
    decoder: "c7d240144e700be5ef32feec639d1bdf3f899ee19ddcc6f94c6ada5c310ac006",
    encoder: "bf77270951b9559a56654dde515ba52445c3c0d8122770a4e1900fd4d2e47e59" },
];
