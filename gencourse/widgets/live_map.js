// pix2pix: a map of 8 × 8 cells, painted by mouse, finger or keyboard, and four photos of it.

const CELLS = 8, ANSWERS = 4;

function stage({ spec, make, changed }) {
  const cells = Array.from({ length: CELLS ** 2 }, (_, i) => make("button", { type: "button", tabindex: i ? -1 : 0,
    "data-lm-suppress-shortcuts": "true" }));
  const map = make("div", { class: "genlib-live-map", role: "group",
    "aria-label": "map: arrow keys move, space paints, 1 to 3 choose the texture" }, ...cells);
  const canvas = make("canvas", { role: "img", "aria-label": "four photos of the map" });
  const keys = "Paint with mouse or finger, or with the arrow keys and the space bar; 1, 2, 3 choose.";
  const caption = make("figcaption");
  let classes = [], at = 0, before, asked;

  function name() { // the photos may be of a map that has been painted over since
    caption.textContent = asked === classes.join("") ? "four photos of it" : "four photos of the map as it was";
  }
  function colour(i, c) {
    classes[i] = c;
    cells[i].className = `genlib-live-cell genlib-live-texture-${c}`;
    name();
    cells[i].setAttribute("aria-label", `row ${1 + Math.floor(i / CELLS)}, column ${1 + (i % CELLS)}: ${spec.textures[c]}`);
  }
  const paint = painter({ make, changed, surface: map, n: CELLS, names: spec.textures, kind: (c) => `genlib-live-texture-${c}`,
    mark(brush, from, to) {
      const parts = 1 + Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1]));
      let any = false;
      for (let k = 0; k <= parts; k++) {
        const [row, column] = to.map((end, axis) => Math.floor(from[axis] + ((end - from[axis]) * k) / parts));
        if (Math.min(row, column) < 0 || Math.max(row, column) >= CELLS || classes[row * CELLS + column] === brush) continue;
        colour(row * CELLS + column, brush);
        any = true;
      }
      return any;
    },
    show(row, column, focus) {
      cells[at].tabIndex = -1;
      cells[(at = row * CELLS + column)].tabIndex = 0;
      if (focus) cells[at].focus();
    } });
  cells.forEach((cell, i) => cell.addEventListener("click", // of a keyboard
    (event) => event.detail === 0 && paint.dot(Math.floor(i / CELLS), i % CELLS)));
  const element = make("div", { class: "genlib-live-panels genlib-live-painter" },
    make("figure", {}, make("figcaption", {}, "your map"), map, make("div", { class: "genlib-live-brushes" }, ...paint.brushes)),
    make("figure", { class: "genlib-live-photos" }, caption, canvas, make("small", {}, keys)));

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
    draw() {
      sheet(canvas, fromText(spec.pictures.y[1]), CELLS * spec.pixels, ANSWERS / 2);
      asked = classes.join("");
      name();
      paint.choose(1);
    },
    still(stands) {
      paint.sleep(stands);
      for (const cell of cells) cell.disabled = stands;
    },
  };
}

export default { render: (context) => live(context, stage) };
