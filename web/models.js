// Written by web/build.py from models/weights; a test holds it.

/** @type {import("./model.js").Listed[]} */
export const MODELS = [
  { name: "photo", id: "9bf5a4a9",
    decoder: "72279f77c96b6d31d157f21d033b445d8523444dab354348a26aff64e56d1a5f",
    encoder: "b60dc2e3915a2850c9b77c1d28f47be8193769ee278e124ce1f5cbbb7c52c0ca" },
  { name: "tiny", id: "0294167e",
    decoder: "ac35b64bc43cb4eb19039e234a2fafea3ba256c667552caeb0d305626d5fdb6c",
    encoder: "01356ebfb027b2e83fa63471d03576f17ac11894817461407b67f843b90befe5" },
];
