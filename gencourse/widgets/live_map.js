// pix2pix: a map of 8 × 8 cells, painted by mouse, finger or keyboard, and four photos of it.

const CELLS = 8, ANSWERS = 4;

function stage({ spec, make, changed }) {
  const brushes = spec.textures.map((name, c) => make("button", { type: "button", "aria-pressed": "false",
    class: `genlib-live-brush genlib-live-texture-${c}`, "data-lm-suppress-shortcuts": "true" }, `${c + 1} ${name}`));
  const cells = Array.from({ length: CELLS ** 2 }, (_, i) => make("button", { type: "button", tabindex: i ? -1 : 0,
    "data-lm-suppress-shortcuts": "true" }));
  const map = make("div", { class: "genlib-live-map", role: "group",
    "aria-label": "map: arrow keys move, space paints, 1 to 3 choose the texture" }, ...cells);
  const canvas = make("canvas", { role: "img", "aria-label": "four photos of the map" });
  const keys = "Paint with mouse or finger, or with the arrow keys and the space bar; 1, 2, 3 choose.";
  const caption = make("figcaption");
  const element = make("div", { class: "genlib-live-panels genlib-live-painter" },
    make("figure", {}, make("figcaption", {}, "your map"), map, make("div", { class: "genlib-live-brushes" }, ...brushes)),
    make("figure", { class: "genlib-live-photos" }, caption, canvas, make("small", {}, keys)));
  let brush = 1, drawing, classes = [], at = 0, stroke = false, before, asked;

  function name() { // the photos may be of a map that has been painted over since
    caption.textContent = asked === classes.join("") ? "four photos of it" : "four photos of the map as it was";
  }
  function colour(i, c) {
    classes[i] = c;
    cells[i].className = `genlib-live-cell genlib-live-texture-${c}`;
    name();
    cells[i].setAttribute("aria-label", `row ${1 + Math.floor(i / CELLS)}, column ${1 + (i % CELLS)}: ${spec.textures[c]}`);
  }
  function choose(c) {
    brush = c;
    brushes.forEach((button, i) => button.setAttribute("aria-pressed", String(i === c)));
  }
  function paint(i) {
    if (classes[i] === brush) return;
    colour(i, brush);
    changed();
  }
  function move(i) {
    cells[at].tabIndex = -1;
    cells[(at = i)].tabIndex = 0;
    cells[i].focus();
  }
  const under = ({ clientX, clientY }) => cells.indexOf(document.elementFromPoint(clientX, clientY));

  brushes.forEach((button, c) => button.addEventListener("click", () => choose(c)));
  cells.forEach((cell, i) => cell.addEventListener("click", (event) => event.detail === 0 && paint(i))); // of a keyboard
  map.addEventListener("pointerdown", (event) => {
    const i = under(event);
    if (i < 0 || cells[i].disabled) return;
    stroke = true;
    event.target.releasePointerCapture?.(event.pointerId);
    move(i);
    paint(i);
  });
  map.addEventListener("pointermove", (event) => {
    const i = stroke && event.buttons ? under(event) : -1;
    if (i >= 0) paint(i);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) map.addEventListener(end, () => { stroke = false; });
  map.addEventListener("keydown", (event) => {
    const row = Math.floor(at / CELLS), column = at % CELLS, last = CELLS - 1;
    const to = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [row, 0], End: [row, last] }[event.key];
    if (to && to.every((place) => place >= 0 && place <= last)) move(to[0] * CELLS + to[1]);
    else if ("123".includes(event.key)) choose(Number(event.key) - 1);
    if (to) event.preventDefault();
  });

  async function run({ compute, normal }) {
    const side = CELLS * spec.pixels, x = new Float32Array(spec.textures.length * side ** 2);
    for (let i = 0; i < side ** 2; i++) {
      const cell = Math.floor(i / side / spec.pixels) * CELLS + Math.floor((i % side) / spec.pixels);
      x[classes[cell] * side ** 2 + i] = 1;
    }
    const z = normal(spec.graphs.answer.z.reduce((a, b) => a * b, 1));
    const map = [...classes], { y } = await compute("answer", { x, z });
    sheet(canvas, y, side, ANSWERS / 2);
    asked = map.join("");
    name();
    const share = spec.textures.map((texture, c) => `${texture} ${Math.round((100 * map.filter((k) => k === c).length) / CELLS ** 2)} %`);
    return { x, z, y, text: `The map is ${share.join(", ")}.` };
  }

  return {
    element,
    run,
    choose(values) { // a ready-made drawing, only where another one is chosen
      if (values.drawing !== before) spec.drawings[(before = values.drawing)].forEach((c, i) => colour(i, c));
    },
    draw: ({ y }) => { sheet(canvas, y, CELLS * spec.pixels, ANSWERS / 2); asked = classes.join(""); name(); choose(brush); },
    still: (stands) => { for (const one of [...cells, ...brushes]) one.disabled = stands; },
  };
}

export default { render: (context) => live(context, stage) };
