// The sections of the report, each filled from the page's JSON. A section without data stays hidden.

const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const PUBLISHED_STYLE = { hue: "published", marker: 0 };

/** Options of a <select>: [value, text] pairs. */
const choices = (select, pairs) => select.replaceChildren(...pairs.map(([value, text]) => el("option", { value }, text)));

/** Puts nodes into a section and shows it; none hides it. */
function section(id, into, nodes) {
  byId(into).replaceChildren(...nodes);
  byId(id).hidden = !nodes.length;
}

// -- head -------------------------------------------------------------------------------------------------------------

function showHead() {
  byId("facts").append(...DATA.headline.facts.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));
  byId("tiles").append(
    ...DATA.headline.tiles.map((tile) => el("div", { class: "tile" }, el("b", {}, tile.value), el("span", {}, tile.about))),
  );
  const dark = () => getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const button = byId("theme");
  button.setAttribute("aria-pressed", dark());
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    button.setAttribute("aria-pressed", dark());
  });
}

function showContents() {
  const shown = [...document.querySelectorAll("main > section")].filter((part) => !part.hidden);
  byId("contents").replaceChildren(...shown.map((part) => el("a", { href: `#${part.id}` }, part.querySelector("h2").textContent)));
}

// -- rate and distortion ----------------------------------------------------------------------------------------------

/** Everything of one rd file: curves, BD-rates, failures, overhead. */
function rateAndDistortion(plot) {
  let set = null;
  let hidden = new Set(); // ids of curves that are switched off

  function start(place) {
    set = DATA.rd[place];
    hidden = new Set(set.published.filter(({ shown }) => !shown).map(({ id }) => id));
    for (const id of ["rd", "bd", "means"]) byId(id).hidden = false;
    byId("rd-note").textContent =
      `Means over ${set.pictures.length} pictures (${set.name}), whole files counted. Hover, or focus the plot and use the arrow keys.`;
    for (const id of ["metric", "bd-metric"]) choices(byId(id), set.metrics.map((metric) => [metric.key, metric.label]));
    choices(byId("picture"), [["", `the mean of ${set.pictures.length} pictures`], ...set.pictures.map((name) => [name, name])]);
    choices(byId("anchor"), set.anchors.map(({ name }) => [name, name]));
    if (set.anchors.some(({ name }) => name === "jpeg")) byId("anchor").value = "jpeg";
    drawLegends();
    drawPlot();
    drawTable();
    drawFailures();
    byId("mean-table").replaceChildren(...titledTables(set.means));
    drawOverhead();
    showContents();
  }

  function points(series, metric) {
    const curve = series.curves[byId("picture").value];
    const values = curve?.[metric.key];
    if (!values) return [];
    const made = curve.bpp.map((bpp, i) => ({ x: bpp, y: values[i], t: readout(bpp, values[i], curve.quality?.[i], metric) }));
    return made.filter((point) => point.y !== null).sort((a, b) => a.x - b.x);
  }

  function readout(bpp, value, quality, metric) {
    const shown = value === null ? "" : `${metric.label} ${value.toFixed(metric.decimals)} ${metric.unit}`.trim();
    return [quality === undefined ? null : `quality ${quality}`, `${bpp.toFixed(3)} bpp`, shown].filter(Boolean).join(", ");
  }

  function drawPlot() {
    const metric = set.metrics.find(({ key }) => key === byId("metric").value);
    const all = [...set.published.map((series) => ({ ...series, published: true, style: PUBLISHED_STYLE })), ...set.series];
    const shown = all.filter(({ id }) => !hidden.has(id)).map((series) => ({ ...series, points: points(series, metric) }));
    shown.sort((a, b) => isOurs(a.name) - isOurs(b.name)); // what is drawn last lies on top
    const unit = metric.unit ? `, ${metric.unit}` : "";
    plot.show({
      label: `${metric.label} against bits per pixel, ${shown.filter((s) => s.points.length).length} curves. Arrow keys read points.`,
      x: { label: "bits per pixel", scale: byId("log").getAttribute("aria-pressed") === "true" ? "log" : "linear" },
      y: { label: `${metric.label}${unit}`, scale: metric.scale },
      series: shown,
    });
  }

  function drawLegends() {
    const button = (series) =>
      el("button", { type: "button", "aria-pressed": `${!hidden.has(series.id)}`, "data-id": series.id,
        class: isOurs(series.name) ? "ours" : null, title: series.about, onclick: () => turn(series.id) },
        swatch(series), series.name, few(series));
    byId("rd-legend").replaceChildren(...oursFirst(set.series).map(button));
    byId("published").hidden = !set.published.length;
    byId("published-legend").replaceChildren(
      ...set.published.map((series) => button({ ...series, published: true, style: PUBLISHED_STYLE })),
    );
  }

  const oursFirst = (all) => [...all].sort((a, b) => isOurs(b.name) - isOurs(a.name));

  /** Says where a mean is of fewer pictures than the others. */
  const few = (series) =>
    series.published || series.pictures === set.pictures.length ? null : ` (${series.pictures} pictures)`;

  function turn(...ids) {
    for (const id of ids) if (!hidden.delete(id)) hidden.add(id);
    for (const button of document.querySelectorAll(".legend button")) {
      button.setAttribute("aria-pressed", !hidden.has(button.dataset.id));
    }
    drawPlot();
  }

  const measured = (on) => set.series.map(({ id }) => id).filter((id) => hidden.has(id) === on);

  function drawTable() {
    const { name, tables } = set.anchors.find((anchor) => anchor.name === byId("anchor").value);
    const { key, label, note } = set.metrics.find((metric) => metric.key === byId("bd-metric").value);
    byId("bd-table").replaceChildren(table(tables[key], `BD-rates against ${name} by ${label}`));
    byId("bd-note").textContent = note;
  }

  function drawFailures() {
    const tables = [];
    if (set.failures.length) {
      const columns = ["codec", "quality", "picture", "what went wrong"];
      tables.push(el("h3", {}, "Measurements that failed"), table({ columns, rows: set.failures }, "Failures", { text: true }));
    }
    if (set.unavailable.length) {
      const columns = ["codec", "why it was not measured"];
      tables.push(el("h3", {}, "Codecs that did not work"), table({ columns, rows: set.unavailable }, "Missing codecs", { text: true }));
    }
    section("failed", "failed-tables", tables);
  }

  function drawOverhead() {
    section("overhead", "overhead-bars", set.overhead.map(({ codec, quality, about, parts }) =>
      el("div", {},
        el("div", { class: "stack-head" }, el("b", {}, `${codec}, quality ${quality}`), el("span", {}, about)),
        el("div", { class: "stack", "aria-hidden": "true" }, parts.map((part, i) => {
          const piece = el("i", { class: `part${i % 4}` });
          piece.style.flexGrow = part.bytes;
          return piece;
        })),
        el("div", { class: "parts" }, parts.map((part, i) =>
          el("span", {}, el("i", { class: `part${i % 4}`, "aria-hidden": "true" }), `${part.name} ${part.t}`))),
      ),
    ));
  }

  byId("set").addEventListener("change", () => start(Number(byId("set").value)));
  for (const id of ["metric", "picture"]) byId(id).addEventListener("change", drawPlot);
  for (const id of ["anchor", "bd-metric"]) byId(id).addEventListener("change", drawTable);
  byId("show-all").addEventListener("click", () => turn(...measured(true)));
  byId("show-none").addEventListener("click", () => turn(...measured(false)));
  byId("log").addEventListener("click", () => {
    byId("log").setAttribute("aria-pressed", byId("log").getAttribute("aria-pressed") !== "true");
    drawPlot();
  });
  choices(byId("set"), DATA.rd.map(({ name, pictures }, i) => [i, `${name}, ${pictures.length} pictures`]));
  byId("set-choice").hidden = DATA.rd.length < 2;
  start(0);
}

// -- speed and growth -------------------------------------------------------------------------------------------------

/** Horizontal bars on a logarithmic scale, with a thin line from the slowest to the fastest round. */
function bars({ title, bars: entries }) {
  const low = Math.log10(Math.min(...entries.map((bar) => bar.low))) - 0.4;
  const high = Math.log10(Math.max(...entries.map((bar) => bar.high)));
  const share = (value) => (100 * (Math.log10(value) - low)) / (high - low);
  const rows = entries.flatMap((bar) => {
    const filled = el("span", { class: `fill hue-${bar.style.hue}` });
    filled.style.width = `${share(bar.median)}%`;
    const range = bar.low < bar.high ? el("span", { class: "range" }) : null;
    if (range) {
      range.style.left = `${share(bar.low)}%`;
      range.style.width = `${share(bar.high) - share(bar.low)}%`;
    }
    return [el("span", { class: "name" }, bar.codec), el("span", { class: "track" }, filled, range, el("span", { class: "value" }, bar.t))];
  });
  return el("div", {}, el("h3", {}, title), el("div", { class: "bars" }, rows));
}

const failuresOf = (rows, columns) =>
  rows.length ? [el("h3", {}, "Failed"), table({ columns, rows }, "Failures", { text: true })] : [];

/** Tables with what they are about above them. */
const titledTables = (tables) =>
  tables.flatMap((one) => [el("p", { class: "note above" }, one.title), table(one, one.title, { sortable: false })]);

function showSpeed() {
  section("speed", "speed-panels", DATA.speed.flatMap((run) => [
    el("div", { class: "panels" }, run.panels.map(bars)),
    el("p", { class: "note above" }, "Bars are on a logarithmic scale; the thin line goes from the lowest round to the highest."),
    ...titledTables(run.tables),
    ...failuresOf(run.failures, ["codec", "what went wrong"]),
  ]));
}

function lines(panel) {
  const host = el("div", {}, el("h3", {}, panel.title));
  chart(host).show({
    label: `${panel.title} in ${panel.unit} against ${panel.along}. Arrow keys read points.`,
    height: 300,
    x: { label: panel.along, scale: "log" },
    y: { label: panel.unit, scale: "log" },
    series: [...panel.series].sort((a, b) => isOurs(a.name) - isOurs(b.name)),
  });
  return host;
}

function showGrowth() {
  section("growth", "growth-panels", DATA.growth.flatMap((run) => {
    const known = new Map(run.panels.flatMap(({ series }) => series.map((one) => [one.name, one])));
    const keys = [...known.values()].map((series) => el("span", { class: "key" }, swatch(series), series.name));
    return [
      el("div", { class: "legend" }, keys),
      el("div", { class: "panels" }, run.panels.map(lines)),
      ...titledTables(run.tables),
      ...failuresOf(run.failures, ["codec", "of", "what went wrong"]),
    ];
  }));
}

// -- the rest ---------------------------------------------------------------------------------------------------------

function showTables() {
  section("small", "small-tables", DATA.small.flatMap((run) => titledTables(run.tables)));
  byId("environment-tables").append(...DATA.environments.map(({ name, facts }) => {
    const columns = ["what", "which"];
    const found = table({ columns, rows: facts }, `Environment of ${name}`, { text: true, sortable: false });
    return el("details", {}, el("summary", {}, name), found);
  }));
}

/** A decoded picture under its heat map of bits; pointer and arrow keys read a cell. */
function bitMap(map) {
  const [rows, columns] = [map.cells.length, map.cells[0].length];
  const heat = el("img", { class: "heat", src: map.heat, alt: "" });
  // cells stand out over the right and the lower edge where a side is no multiple of theirs
  heat.style.width = `${(100 * columns * map.side) / map.width}%`;
  heat.style.height = `${(100 * rows * map.side) / map.height}%`;
  const cell = el("div", { class: "cell", hidden: "" });
  const line = el("p", { class: "reading-line", "aria-live": "polite" }, map.about);
  const box = el("div", { class: "map", tabindex: "0", role: "img", "aria-label": map.label },
    el("img", { src: map.image, alt: "" }), heat, cell);
  const opacity = el("input", { type: "range", min: 0, max: 100, value: 60 });
  const fade = () => (heat.style.opacity = opacity.value / 100);
  opacity.addEventListener("input", fade);
  fade();
  let at = null;
  function read(row, column) {
    at = [Math.min(Math.max(row, 0), rows - 1), Math.min(Math.max(column, 0), columns - 1)];
    const [y, x] = at;
    cell.hidden = false;
    Object.assign(cell.style, { left: `${(100 * x * map.side) / map.width}%`, top: `${(100 * y * map.side) / map.height}%`,
      width: `${(100 * map.side) / map.width}%`, height: `${(100 * map.side) / map.height}%` });
    line.textContent = `${map.cells[y][x].toFixed(1)} bits in the block at x ${x * map.side}, y ${y * map.side}`;
  }
  function stop() {
    at = null;
    cell.hidden = true;
    line.textContent = map.about;
  }
  box.addEventListener("pointermove", (event) => {
    const bounds = box.getBoundingClientRect();
    const scale = map.width / bounds.width / map.side;
    read(Math.floor((event.clientY - bounds.top) * scale), Math.floor((event.clientX - bounds.left) * scale));
  });
  box.addEventListener("pointerleave", stop);
  box.addEventListener("blur", stop);
  box.addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    if (at) read(at[0] + move[0], at[1] + move[1]);
    else read(0, 0);
  });
  const ramp = el("span", { class: "ramp", "aria-hidden": "true" });
  ramp.style.background = `linear-gradient(to right, ${map.colours.join()})`;
  return el("div", { class: "bits-figure" }, el("h3", {}, map.title), box, line,
    el("div", { class: "scale" }, map.low, ramp, map.high),
    el("div", { class: "controls" }, el("label", {}, "Strength of the map ", opacity)));
}

showHead();
if (DATA.rd.length) rateAndDistortion(chart(byId("rd-chart")));
showSpeed();
showGrowth();
showTables();
section("bits", "bits-maps", DATA.bits.map(bitMap));
byId("view").hidden = !DATA.view.length;
showContents();
