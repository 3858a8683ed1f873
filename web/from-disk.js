// Modules do not load from disk; a plain script can at least say so.
const note = document.getElementById("from-disk");
if (note && location.protocol === "file:") note.hidden = false;
