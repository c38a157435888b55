// A flow in both directions. Every point has the colour of its quarter of the base; one more is the reader's own.

const SIZE = 300;

function stage({ spec, make, changed }) {
  const panel = (name, key, edge) => {
    const canvas = make("canvas", { width: SIZE, height: SIZE, tabindex: 0, role: "img", "data-lm-suppress-shortcuts": "true" });
    const caption = make("figcaption", {}, name);
    return { key, name, edge, canvas, caption, element: make("figure", {}, caption, canvas) };
  };
  const panels = [panel("data x", "x", 2), panel("base z = f(x)", "z", 4)];
  const where = make("p", { class: "genlib-live-where", role: "status" });
  const legend = make("p", { class: "genlib-live-legend" }, "colour: the quarter of z ",
    ...["right, above", "left, above", "left, below", "right, below"].map((name, i) => make("span", {},
      make("i", { style: `background: ${spec.colours[i]}` }), name)));
  const element = make("div", {}, make("div", { class: "genlib-live-panels" }, ...panels.map(({ element: one }) => one)), legend, where);
  let tables, own = { key: "x", at: [0, 0.5] }, mine = {};

  const text = ([a, b]) => `(${show(Number(a.toFixed(2)))}, ${show(Number(b.toFixed(2)))})`;
  const place = ([a, b], edge) => [(SIZE * (a + edge)) / (2 * edge), (SIZE * (edge - b)) / (2 * edge)];

  function draw(next) {
    tables = next;
    const ink = getComputedStyle(element).color;
    for (const { canvas, key, name, edge } of panels) {
      const context = canvas.getContext("2d"), points = tables[key];
      context.clearRect(0, 0, SIZE, SIZE);
      for (let i = 0; i < points.length / 2; i++) {
        const [u, v] = [tables.z[2 * i], tables.z[2 * i + 1]];
        context.fillStyle = spec.colours[v > 0 ? (u > 0 ? 0 : 1) : u > 0 ? 3 : 2];
        const [a, b] = place(points.subarray(2 * i, 2 * i + 2), edge);
        context.fillRect(a - 1.5, b - 1.5, 3, 3);
      }
      context.lineWidth = 2;
      context.strokeStyle = ink;
      if (mine[key]) {
        const [a, b] = place(mine[key], edge);
        context.beginPath();
        context.arc(a, b, 6, 0, 7);
        context.stroke();
      }
      canvas.setAttribute("aria-label", `${name}: ${points.length / 2} points${mine[key] ? `, yours at ${text(mine[key])}` : ""}. `
        + "Arrow keys move your point.");
    }
    where.textContent = mine.x ? `Your point, to be moved by mouse, finger or arrow keys: x = ${text(mine.x)}, z = ${text(mine.z)}.` : "";
  }

  function put({ key, edge }, at) {
    own = { key, at: at.map((v) => Math.min(Math.max(v, -edge), edge)) };
    changed();
  }
  for (const panel of panels) {
    const { canvas, key, edge } = panel;
    const follow = ({ clientX, clientY }) => {
      const { left, top, width, height } = canvas.getBoundingClientRect(); // scaled, in a deck
      put(panel, [(2 * edge * (clientX - left)) / width - edge, edge - (2 * edge * (clientY - top)) / height]);
    };
    canvas.addEventListener("pointerdown", follow);
    canvas.addEventListener("pointermove", (event) => event.buttons && follow(event));
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
      if (!by) return;
      event.preventDefault();
      put(panel, (mine[key] ?? [0, 0]).map((v, i) => v + (edge / 40) * by[i]));
    });
  }

  const moments = (points) => [0, 1].map((i) => {
    const all = points.filter((_, k) => k % 2 === i), mean = all.reduce((a, b) => a + b, 0) / all.length;
    return [mean, Math.sqrt(all.reduce((a, b) => a + (b - mean) ** 2, 0) / all.length)];
  });

  async function run({ values, compute, normal }) {
    const onward = values.direction === "from data to base", from = onward ? "x" : "z", n = spec.graphs.forward.points[0] - 1;
    const points = new Float32Array(2 * n + 2);
    points.set(onward ? start : normal(2 * n).map((v) => values.temperature * v));
    if (own.key === from) points.set(own.at, 2 * n);
    const way = onward ? "forward" : "inverse", return_way = onward ? "inverse" : "forward";
    const { to } = await compute(way, { points }), { to: back } = await compute(return_way, { points: to });
    const tables = { [from]: points.subarray(0, 2 * n), [onward ? "z" : "x"]: to.subarray(0, 2 * n) };
    let [here, there] = [points.subarray(2 * n), to.subarray(2 * n)];
    if (own.key !== from) { // the reader's point goes the other way
      const other = new Float32Array(2 * n + 2);
      other.set(own.at, 2 * n);
      const answer = await compute(return_way, { points: other });
      [here, there] = [answer.to.subarray(2 * n), other.subarray(2 * n)];
    }
    mine = { [from]: [...here], [onward ? "z" : "x"]: [...there] };
    draw(tables);
    const round = points.reduce((most, v, i) => Math.max(most, Math.abs(v - back[i])), 0);
    const [[m1, s1], [m2, s2]] = moments(tables[onward ? "z" : "x"]);
    return { points, to, back, mine, text: `Where they arrive: mean ${text([m1, m2])}, standard deviations ${text([s1, s2])}. `
      + `Sent back, they return within ${round.toExponential(0).replace("-", "−")}.` };
  }

  let start;
  return { element, run, draw(tables) { start = tables.data ?? tables.x; draw(tables); } };
}

export default { render: (context) => live(context, stage) };
