// Written by web/build.py from models/weights; a test holds it.

/** @type {import("./model.js").Listed[]} */
export const MODELS = [
  { name: "photo", id: "dd510d3c",
    decoder: "36ef6d9aa00674e750b1033232cca20d55d89aebbe7f31422c47a12a9dabb584",
    encoder: "14c2040291001589fabcffc466f4358b2c01b3a005918709be95bdaaf05b96ee" },
  { name: "tiny", id: "0294167e",
    decoder: "ac35b64bc43cb4eb19039e234a2fafea3ba256c667552caeb0d305626d5fdb6c",
    encoder: "01356ebfb027b2e83fa63471d03576f17ac11894817461407b67f843b90befe5" },
];
