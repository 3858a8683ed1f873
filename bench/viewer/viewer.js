// Two pictures of a .cae-viewer under one divider. The range input is the control; pointers on the picture move it.
(() => {
  "use strict";

  function start(viewer) {
    const one = (selector) => viewer.querySelector(selector);
    const layers = [...viewer.querySelectorAll(".cae-layer")];
    const [stage, scroll, canvas] = [".cae-stage", ".cae-scroll", ".cae-canvas"].map(one);
    const [range, zoom, map] = [".cae-range", ".cae-zoom", ".cae-map-on"].map(one);
    const width = Number(canvas.dataset.width);
    let at = 0.5; // of what is seen of the picture: the divider stays while a zoomed picture moves below it

    const fitted = () => viewer.dataset.zoom === "fit";

    function place() {
      viewer.style.setProperty("--at", `${100 * at}%`);
      viewer.style.setProperty("--cut", `${scroll.scrollLeft + at * stage.clientWidth}px`);
      viewer.classList.toggle("is-enlarged", canvas.clientWidth * devicePixelRatio > 1.5 * width);
    }

    function move(share) {
      at = Math.min(1, Math.max(0, share));
      range.value = Math.round(100 * at);
      range.setAttribute("aria-valuetext", `${range.value} % ${one(".cae-tag.is-left").textContent}`);
      place();
    }

    function choose() {
      const chosen = {};
      for (const side of ["left", "right"]) {
        const layer = layers[one(`.cae-${side}`).selectedIndex];
        chosen[side] = layer;
        one(`.cae-tag.is-${side}`).textContent = layer.dataset.label;
        one(`.cae-detail-${side} b`).textContent = layer.dataset.label;
        one(`.cae-detail-${side} span`).textContent = layer.dataset.detail;
      }
      for (const layer of layers) {
        layer.hidden = layer !== chosen.left && layer !== chosen.right;
        layer.classList.toggle("is-left", layer === chosen.left && layer !== chosen.right);
      }
      move(at); // its text names the left picture
    }

    function overlay() {
      for (const image of viewer.querySelectorAll(".cae-map")) image.hidden = !map.checked;
      one(".cae-legend").hidden = !map.checked;
    }

    function enlarge() {
      const before = canvas.clientWidth;
      const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / before;
      const centre = (scroll.scrollTop + scroll.clientHeight / 2) / canvas.clientHeight;
      viewer.dataset.zoom = zoom.value;
      if (fitted()) scroll.removeAttribute("tabindex");
      else {
        viewer.style.setProperty("--shown", (Number(zoom.value) * width) / devicePixelRatio);
        scroll.tabIndex = 0; // arrow keys scroll it
        scroll.scrollLeft = middle * canvas.clientWidth - scroll.clientWidth / 2;
        scroll.scrollTop = centre * canvas.clientHeight - scroll.clientHeight / 2;
      }
      place();
    }

    let held = null; // what a pressed pointer does when it moves

    stage.addEventListener("pointerdown", (event) => {
      const divider = event.target.closest(".cae-divider");
      if (event.button !== 0 || !(divider || event.target.closest(".cae-canvas"))) return; // a scroll bar
      if (divider || fitted()) {
        const grip = divider ? event.clientX - stage.getBoundingClientRect().left - at * stage.clientWidth : 0;
        held = (e) => move((e.clientX - grip - stage.getBoundingClientRect().left) / stage.clientWidth);
        range.focus({ preventScroll: true });
      } else if (event.pointerType === "mouse") {
        const [x, y] = [event.clientX + scroll.scrollLeft, event.clientY + scroll.scrollTop];
        held = (e) => scroll.scrollTo(x - e.clientX, y - e.clientY);
      } else return; // fingers scroll by themselves
      event.preventDefault();
      stage.setPointerCapture(event.pointerId);
      stage.classList.add("is-held");
      held(event);
    });
    stage.addEventListener("pointermove", (event) => held?.(event));
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, () => {
        held = null;
        stage.classList.remove("is-held");
      });
    }

    range.addEventListener("input", () => move(range.value / 100));
    for (const side of [".cae-left", ".cae-right"]) one(side).addEventListener("change", choose);
    zoom.addEventListener("change", enlarge);
    scroll.addEventListener("scroll", place);
    new ResizeObserver(place).observe(stage);
    map?.addEventListener("change", overlay);
    if (map) overlay(); // a browser may restore what was chosen before a reload
    choose();
    enlarge();
  }

  const all = () => document.querySelectorAll(".cae-viewer").forEach(start);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all);
  else all();
})();
