// Written by web/build.py from models/weights; a test holds it.

/** @type {import("./model.js").Listed[]} */
export const MODELS = [
  { name: "photo", id: "42ee942c",
    decoder: "ce4f9afc48a3922f0c3ccb3261926198fabc89535711f411bcd33698237cbe4d",
    encoder: "fc9548a899d262d942b0b21bcbff524144145bac8a0b5adcce1169bd3ea4273e" },
  { name: "tiny", id: "52a71f81",
    decoder: "c7d240144e700be5ef32feec639d1bdf3f899ee19ddcc6f94c6ada5c310ac006",
    encoder: "bf77270951b9559a56654dde515ba52445c3c0d8122770a4e1900fd4d2e47e59" },
];
