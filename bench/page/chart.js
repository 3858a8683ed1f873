// Elements, tables and line charts. Whatever comes from data is set as text, never as HTML.

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

/** An HTML element; attributes that are null or false are left out, on... are listeners. */
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** Whether a curve or the row of a table is of caecodec, of whichever model and quality. */
const isOurs = (name) => /^caecodec([:,]|$)/.test(name);

// -- tables -----------------------------------------------------------------------------------------------------------

const textOf = (cell) => (typeof cell === "object" ? cell.t : cell);

/** A table {columns, rows} in a box that scrolls by itself; its heads sort the rows. */
function table({ columns, rows }, caption, { text = false, sortable = true } = {}) {
  const body = el("tbody");
  const show = (ordered) =>
    body.replaceChildren(
      ...ordered.map((row) =>
        el("tr", { class: isOurs(textOf(row[0])) ? "ours" : null },
          row.map((cell, place) => (place || text ? el("td", {}, textOf(cell)) : el("th", { scope: "row" }, textOf(cell)))),
        ),
      ),
    );
  const heads = columns.map((label, place) => {
    if (!sortable || rows.length < 2) return el("th", { scope: "col" }, label);
    const head = el("th", { scope: "col" }, el("button", { type: "button", onclick: () => sortBy(head, place) }, label));
    return head;
  });
  function sortBy(head, place) {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    show([...rows].sort((a, b) => inOrder(a[place], b[place], down)));
  }
  show(rows);
  const made = el("table", { class: text ? "text" : null }, el("thead", {}, el("tr", {}, heads)), body);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, made);
}

/** Numbers by size, texts by letters, and what has no number last both ways. */
function inOrder(a, b, down) {
  const sign = down ? -1 : 1;
  if (typeof a === "object" && typeof b === "object") return sign * (a.v - b.v);
  if (typeof a === "object" || typeof b === "object") return typeof a === "object" ? -1 : 1;
  return sign * a.localeCompare(b, "en", { numeric: true });
}

// -- scales -----------------------------------------------------------------------------------------------------------

const NINES = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999];

/** Where a value lies and which ticks are drawn between two values. `nines` spreads what nears 1. */
const SCALES = {
  linear: {
    place: (v) => v,
    ticks(low, high, count) {
      const rough = (high - low) / count;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = power * [1, 2, 5, 10].find((s) => s * power >= rough);
      const first = Math.ceil(low / step);
      return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => (first + i) * step);
    },
  },
  log: {
    place: Math.log10,
    ticks(low, high, count) {
      const powers = Array.from({ length: 14 }, (_, i) => 10 ** (i - 5));
      const steps = high / low > 10 ** (count / 2) ? [1] : [1, 2, 5];
      return powers.flatMap((p) => steps.map((s) => s * p)).filter((t) => t >= low * 0.999 && t <= high * 1.001);
    },
  },
  nines: {
    place: (v) => -Math.log10(Math.max(1 - v, 1e-6)),
    ticks: (low, high) => NINES.filter((t) => t >= low && t <= high),
  },
};

const tickText = (value) => value.toLocaleString("en", { maximumSignificantDigits: 6 });

/** Maps values to pixels `from`..`to`, a little room at either end. */
function axis(kind, values, from, to, ticks) {
  const scale = SCALES[kind];
  const low = Math.min(...values);
  const high = Math.max(...values);
  const [a, b] = low < high ? [scale.place(low), scale.place(high)] : [scale.place(low) - 0.5, scale.place(low) + 0.5];
  const room = 0.04 * (b - a);
  const at = (v) => from + ((scale.place(v) - a + room) / (b - a + 2 * room)) * (to - from);
  return { at, ticks: low < high ? scale.ticks(low, high, ticks) : [low] };
}

// -- charts -----------------------------------------------------------------------------------------------------------

/** Marks drawn at points: one path for a whole curve, so that hundreds of points stay quick. */
const MARKS = [
  (x, y, r) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  (x, y, r) => `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  (x, y, r) => `M${x},${y - 1.3 * r}l${1.3 * r},${2.2 * r}h${-2.6 * r}z`,
  (x, y, r) => `M${x},${y - 1.4 * r}l${1.4 * r},${1.4 * r}l${-1.4 * r},${1.4 * r}l${-1.4 * r},${-1.4 * r}z`,
  (x, y, r) => `M${x},${y + 1.3 * r}l${1.3 * r},${-2.2 * r}h${-2.6 * r}z`,
];
const mark = (style, x, y, r) => MARKS[style.marker % MARKS.length](x, y, r);

function curveClass(series) {
  const looks = series.published ? "published" : `hue-${series.style.hue}`;
  return `curve ${looks}${isOurs(series.name) ? " ours" : ""}`;
}

/** A small picture of a curve, for legends. */
function swatch(series) {
  const marks = series.published ? null : svg("path", { class: "marks", d: mark(series.style, 12, 7, 3.5) });
  const line = svg("path", { class: "line", d: "M1,7H23" });
  return svg("svg", { width: 24, height: 14, "aria-hidden": "true" }, svg("g", { class: curveClass(series) }, line, marks));
}

/**
 * A line chart in `host`. show({label, x: {label, scale}, y: {label, scale}, series}) draws it; a series has a name,
 * a style and points {x, y, t}, whose text t is what pointer and arrow keys read out.
 */
function chart(host) {
  const tip = el("div", { class: "tip", "aria-live": "polite", hidden: "" });
  const box = el("div", { class: "chart" }, tip);
  host.append(box);
  let spec = null;
  let drawn = null;
  let reading = null; // {curve, point}

  function draw() {
    const width = box.clientWidth;
    if (!spec || !width) return;
    const focused = drawn !== null && document.activeElement === drawn.root;
    drawn?.root.remove();
    const height = Math.round(Math.min(Math.max(0.58 * width, 300), spec.height ?? 480));
    const points = spec.series.flatMap((series) => series.points);
    const root = svg("svg", {
      viewBox: `0 0 ${width} ${height}`, height, tabindex: "0", role: "img", "aria-label": spec.label,
      onpointermove: follow, onpointerleave: stop, onpointerdown: follow, onkeydown: step, onblur: stop,
    });
    drawn = { root, width, curves: [] };
    if (points.length) drawCurves(root, points, width, height);
    else root.append(svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "No curve is shown"));
    box.prepend(root);
    stop();
    if (focused) root.focus({ preventScroll: true });
  }

  function drawCurves(root, points, width, height) {
    const [left, right, top, bottom] = [48, width - 12, 26, height - 42];
    const x = axis(spec.x.scale, points.map((p) => p.x), left, right, width < 500 ? 5 : 8);
    const y = axis(spec.y.scale, points.map((p) => p.y), bottom, top, 6);
    for (const value of y.ticks) {
      root.append(svg("line", { class: "grid", x1: left, x2: right, y1: y.at(value), y2: y.at(value) }));
      root.append(svg("text", { x: left - 8, y: y.at(value) + 4, "text-anchor": "end" }, tickText(value)));
    }
    let free = -Infinity; // where the last number ended
    for (const value of x.ticks) {
      root.append(svg("line", { class: "grid", x1: x.at(value), x2: x.at(value), y1: top, y2: bottom }));
      const half = 3.6 * tickText(value).length;
      if (x.at(value) - half < free + 6) continue;
      free = x.at(value) + half;
      root.append(svg("text", { x: x.at(value), y: bottom + 18, "text-anchor": "middle" }, tickText(value)));
    }
    root.append(svg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
    root.append(svg("text", { class: "title", x: right, y: height - 6, "text-anchor": "end" }, spec.x.label));
    root.append(svg("text", { class: "title", x: 0, y: 12 }, spec.y.label));
    for (const series of spec.series) {
      const places = series.points.map((p) => [x.at(p.x), y.at(p.y)]);
      if (!places.length) continue;
      const at = places.map(([px, py]) => [px.toFixed(1), py.toFixed(1)].map(Number));
      const line = svg("path", { class: "line", d: "M" + at.map((p) => p.join()).join("L") });
      const marks = svg("path", { class: "marks", d: at.map(([px, py]) => mark(series.style, px, py, 3)).join("") });
      const group = svg("g", { class: curveClass(series), "data-id": series.id ?? series.name }, line, series.published ? null : marks);
      root.append(group);
      drawn.curves.push({ series, group, places: at });
    }
    drawn.spot = svg("circle", { class: "spot", r: 7, visibility: "hidden" });
    root.append(drawn.spot);
  }

  function read(curve, point) {
    reading = { curve, point };
    const { series, group, places } = drawn.curves[curve];
    for (const other of drawn.curves) other.group.classList.toggle("lit", other.group === group);
    box.classList.add("reading");
    const [px, py] = places[point];
    fill(drawn.spot, { cx: px, cy: py, visibility: "visible" }, []);
    tip.replaceChildren(el("b", {}, series.published ? `${series.name} (published)` : series.name), series.points[point].t);
    if (series.published) tip.append(el("small", {}, series.about));
    tip.hidden = false;
    const overflow = px + 14 + tip.offsetWidth > box.clientWidth;
    tip.style.left = `${overflow ? Math.max(0, px - 14 - tip.offsetWidth) : px + 14}px`;
    tip.style.top = `${Math.max(0, py - tip.offsetHeight - 10)}px`;
  }

  function stop() {
    reading = null;
    tip.hidden = true;
    box.classList.remove("reading");
    drawn?.spot?.setAttribute("visibility", "hidden");
  }

  function follow(event) {
    const bounds = drawn.root.getBoundingClientRect();
    const [px, py] = [event.clientX - bounds.left, event.clientY - bounds.top];
    let nearest = { distance: 60 ** 2 };
    drawn.curves.forEach(({ places }, curve) =>
      places.forEach(([qx, qy], point) => {
        const distance = (px - qx) ** 2 + (py - qy) ** 2;
        if (distance < nearest.distance) nearest = { distance, curve, point };
      }),
    );
    if (nearest.curve === undefined) stop();
    else read(nearest.curve, nearest.point);
  }

  /** Left and right go along a curve, up and down to another one. */
  function step(event) {
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const across = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") return stop();
    if ((!along && !across) || !drawn.curves.length) return undefined;
    event.preventDefault();
    const count = drawn.curves.length;
    // first our own curve, which is drawn last
    const curve = reading ? (reading.curve + (across ?? 0) + count) % count : count - 1;
    const last = drawn.curves[curve].places.length - 1;
    return read(curve, reading ? Math.min(Math.max(reading.point + (along ?? 0), 0), last) : 0);
  }

  // drawing changes the height of the box: only another width needs another drawing
  new ResizeObserver(() => box.clientWidth !== drawn?.width && draw()).observe(box);
  return {
    show(next) {
      spec = next;
      draw();
    },
  };
}
