// pix2pix in colour: an outline, drawn with a pen by mouse, finger or keyboard, and what the generator makes of it.

const SIDE = 32, PEN = 0, REACH = [0.6, 1.8]; // half the width of pen and eraser, in pixels; that of the emoji's lines

function stage({ spec, make, changed }) {
  const sheet32 = (attributes) => make("canvas", { width: SIDE, height: SIDE, ...attributes });
  const paper = sheet32({ tabindex: 0, role: "application", "data-lm-suppress-shortcuts": "true",
    "aria-label": "your outline: arrow keys move, space marks, with shift arrow keys draw a line, 1 is the pen, 2 the eraser" });
  const cursor = make("i"), colours = sheet32({ role: "img" }), caption = make("figcaption");
  const where = make("output", { class: "genlib-live-unseen" });
  const button = (name) => make("button", { type: "button", "data-lm-suppress-shortcuts": "true" }, name);
  const back = button("undo"), clear = button("clear");
  const ink = new Float32Array(SIDE ** 2), past = []; // ink: 1 is black
  let before, version = 0, asked;

  function refresh() { // the colours may be those of an outline that has been changed since
    picture(paper, Float32Array.from(ink, (v) => 1 - 2 * v));
    caption.textContent = asked === version ? "in colour, by the generator" : "in colour, as the outline was";
    back.disabled = !past.length;
  }
  function keep() {
    past.push(ink.slice());
    if (past.length > 50) past.shift();
  }
  function load(next) {
    ink.set(next);
    version += 1;
    refresh();
  }
  const paint = painter({ make, changed, surface: paper, n: SIDE, names: ["pen", "eraser"], kind: () => "", begin: keep,
    mark(brush, [r, c], [r_to, c_to]) {
      const [dr, dc] = [r_to - r, c_to - c], square = dr ** 2 + dc ** 2;
      let any = false;
      for (let i = 0; i < SIDE ** 2; i++) {
        const [row, column] = [Math.floor(i / SIDE) + 0.5 - r, (i % SIDE) + 0.5 - c];
        const share = square && Math.min(Math.max((row * dr + column * dc) / square, 0), 1); // of the stroke, where it is nearest
        const cover = Math.min(Math.max(REACH[brush] + 0.5 - Math.hypot(row - share * dr, column - share * dc), 0), 1);
        const next = brush === PEN ? Math.max(ink[i], cover) : Math.min(ink[i], 1 - cover);
        any ||= next !== ink[i];
        ink[i] = next;
      }
      if (any) version += 1;
      refresh();
      return any;
    },
    show(row, column) {
      Object.assign(cursor.style, { top: `${(100 * row) / SIDE}%`, left: `${(100 * column) / SIDE}%` });
      where.textContent = `row ${row + 1}, column ${column + 1}: ${ink[row * SIDE + column] > 0.5 ? "black" : "white"}`;
    } });
  function undo() {
    if (!past.length) return;
    load(past.pop());
    changed();
  }
  back.addEventListener("click", undo);
  clear.addEventListener("click", () => {
    keep();
    load(new Float32Array(SIDE ** 2));
    changed();
  });
  paper.addEventListener("keydown", (event) => {
    if (event.key === " " || event.key === "Enter") paint.dot();
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
    else return;
    event.preventDefault();
  });
  const hint = "Draw with mouse or finger; or by keyboard, in the outline: arrow keys move, with shift they draw, space makes a dot, "
    + "1 is the pen, 2 the eraser.";
  const element = make("div", { class: "genlib-live-panels genlib-live-outline" },
    make("figure", {}, make("figcaption", {}, "your outline"), make("div", { class: "genlib-live-paper" }, paper, cursor),
      make("div", { class: "genlib-live-brushes" }, ...paint.brushes, back, clear), where),
    make("figure", {}, caption, colours), make("p", {}, hint));

  function draw(y) {
    picture(colours, y);
    colours.setAttribute("aria-label", `the outline in colour: ${named(y)}`);
    refresh();
  }
  async function run({ compute, normal }) {
    const x = Float32Array.from(ink, (v) => 1 - 2 * v), mine = version, { z: shape } = spec.graphs.answer;
    const z = shape && normal(product(shape));
    const { y } = await compute("answer", { x, z });
    asked = mine;
    draw(y);
    return { x, z, y, text: `The lines cover ${percent(ink.reduce((sum, v) => sum + v, 0) / ink.length)} of the sheet; its colours are ${named(y)}.` };
  }

  return {
    element,
    run,
    choose(values) { // a ready-made outline, only where another one is chosen
      if (values.drawing === before) return;
      if (before !== undefined) keep();
      const text = spec.drawings[(before = values.drawing)]; // a blank sheet has none
      load(text ? fromText(text).map((v) => (1 - v) / 2) : new Float32Array(SIDE ** 2));
    },
    draw() {
      asked = version;
      draw(fromText(spec.pictures.y[1]));
      paint.choose(PEN);
    },
    still(stands) {
      paint.sleep(stands);
      clear.disabled = stands;
      back.disabled ||= stands;
    },
  };
}

// A picture of numbers in [−1, 1], one or three for each pixel, channels first.
function picture(canvas, numbers) {
  const { width, height } = canvas, n = width * height, context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = 127.5 * (numbers[i + (numbers.length > n ? k * n : 0)] + 1); // clamped by the array
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
const HUES = [[15, "red"], [45, "orange"], [70, "yellow"], [165, "green"], [255, "blue"], [290, "purple"], [340, "pink"], [361, "red"]];

function named(y) { // the commonest colours, in words
  const n = y.length / 3, counts = {};
  for (let i = 0; i < n; i++) {
    const [r, g, b] = [0, 1, 2].map((k) => (y[k * n + i] + 1) / 2), most = Math.max(r, g, b), chroma = most - Math.min(r, g, b);
    let name = most > 0.85 ? "white" : most < 0.3 ? "black" : "grey";
    if (chroma > 0.15) {
      const sixth = most === r ? ((g - b) / chroma + 6) % 6 : most === g ? (b - r) / chroma + 2 : (r - g) / chroma + 4;
      name = sixth < 0.75 && most < 0.75 ? "brown" : HUES.find(([end]) => 60 * sixth < end)[1];
    }
    counts[name] = (counts[name] ?? 0) + 1;
  }
  const common = Object.entries(counts).filter(([, count]) => count >= 0.03 * n).sort((a, b) => b[1] - a[1]).slice(0, 4);
  return common.map(([name, count]) => `${name} ${percent(count / n)}`).join(", ");
}

export default { render: (context) => live(context, stage) };
