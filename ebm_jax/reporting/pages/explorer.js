"use strict";

for (const root of document.querySelectorAll(".explorer")) start(root);

function start(root) {
  const find = (selector, within = root) => within.querySelector(selector);
  const all = (selector, within = root) => [...within.querySelectorAll(selector)];
  const { tile: [height, width], places } = JSON.parse(find("script").textContent);
  const sprite = find(".sprite");
  const units = all(".unit[data-row]").map((element) => ({
    element,
    row: Number(element.dataset.row),
    own: JSON.parse(element.dataset.own),
    slider: find("input", element),
    value: find("output", element),
    strip: all("canvas", element),
    name: find("label", element).textContent,
  }));
  const panels = all(".units");
  const titles = all(".layers span").map((span) => span.textContent);
  const bases = all(".bases label");
  const reset = find(".reset");
  let base = 0;
  let layer = 0;
  let move = null; // {unit, column}: the one unit that is elsewhere

  const clamp = (value) => Math.min(Math.max(value, places[0]), places.at(-1));
  const sigmas = (value, digits) =>
    (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits) + " σ";

  const paper = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

  // Column 0 of row 0 is the base sample itself.
  function draw(canvas, which, row, column) {
    const x = (which * places.length + column) * width;
    paper(canvas).drawImage(sprite, x, row * height, width, height, 0, 0, width, height);
  }

  function drawMoved(canvas, which) {
    if (move) draw(canvas, which, move.unit.row, move.column);
    else draw(canvas, which, 0, 0);
  }

  function pixels(canvas) {
    return paper(canvas).getImageData(0, 0, width, height);
  }

  function drawDifference() {
    const shown = pixels(find(".moved"));
    const before = pixels(bases[base].querySelector(".base"));
    const d = shown.data;
    for (let i = 0; i < d.length; i += 4) {
      let change = 0;
      for (let c = 0; c < 3; c++) change += (d[i + c] - before.data[i + c]) / 3;
      const fade = 255 - Math.abs(change);
      d[i] = change < 0 ? fade : 255;
      d[i + 1] = fade;
      d[i + 2] = change > 0 ? fade : 255;
    }
    paper(find(".difference")).putImageData(shown, 0, 0);
  }

  // The stops of a slider: the rendered places, and the base's own value, which is the base itself.
  function stops(unit) {
    const own = { value: clamp(unit.own[base]), column: null };
    return [...places.map((value, column) => ({ value, column })), own].sort(
      (a, b) => a.value - b.value || (a.column === null) - (b.column === null));
  }

  function go(unit, column) {
    move = column === null ? null : { unit, column };
    show();
  }

  function show() {
    panels.forEach((panel, i) => (panel.hidden = i !== layer));
    for (const unit of units) {
      const moved = move && move.unit === unit;
      const own = unit.own[base];
      const value = moved ? places[move.column] : own;
      unit.slider.value = clamp(value);
      unit.value.textContent = sigmas(value, moved ? 1 : 2);
      unit.slider.setAttribute("aria-valuetext",
        value.toFixed(moved ? 1 : 2) + " standard deviations" + (moved ? "" : ", the base's own"));
      unit.element.classList.toggle("active", Boolean(moved));
      const at = (clamp(own) - places[0]) / (places.at(-1) - places[0] || 1);
      find(".own", unit.element).style.setProperty("--at", at);
      unit.strip.forEach((canvas, column) =>
        canvas.classList.toggle("here", Boolean(moved) && move.column === column));
    }
    bases.forEach((label, i) => drawMoved(find(".same", label), i));
    drawMoved(find(".moved"), base);
    drawDifference();
    const where = move ? titles[panels.indexOf(move.unit.element.parentElement)] : "";
    find(".said").textContent = move
      ? `${where}, ${move.unit.name.toLowerCase()} at ${sigmas(places[move.column], 1)}`
      : `Base sample ${base + 1}, no unit moved`;
    reset.disabled = !move;
  }

  function showStrips() {
    for (const unit of units)
      unit.strip.forEach((canvas, column) => draw(canvas, base, unit.row, column));
    show();
  }

  for (const unit of units) {
    unit.slider.addEventListener("input", () => {
      const value = unit.slider.valueAsNumber;
      const near = stops(unit).reduce((a, b) =>
        Math.abs(b.value - value) < Math.abs(a.value - value) ? b : a);
      go(unit, near.column);
    });
    // A key goes to the next stop, which the browser's own step would not.
    unit.slider.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowUp: 1, PageUp: 1, ArrowLeft: -1, ArrowDown: -1,
        PageDown: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const list = stops(unit);
      const column = move && move.unit === unit ? move.column : null;
      const next = list.findIndex((stop) => stop.column === column) + step;
      go(unit, list[Math.min(Math.max(next, 0), list.length - 1)].column);
    });
    unit.strip.forEach((canvas, column) => {
      canvas.title = sigmas(places[column], 1);
      canvas.addEventListener("click", () => go(unit, column));
    });
  }
  bases.forEach((label, i) => find("input", label).addEventListener("change", () => {
    base = i;
    showStrips();
  }));
  all(".layers input").forEach((input, i) => input.addEventListener("change", () => {
    layer = i;
    show();
  }));
  reset.addEventListener("click", () => go(null, null));

  sprite.decode().then(() => {
    bases.forEach((label, i) => draw(find(".base", label), i, 0, 0));
    find(".explorer-body").hidden = false;
    showStrips();
  }, () => (find(".failed").hidden = false));
}
