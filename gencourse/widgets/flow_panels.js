// Panels of the flows' widgets alone, put between panels.js and explorer.js: patterns as bits, and the plane step by step.

// The pixels of a table (height, width), uint8, that are set in bit n, where n is the value of control `by`; those not
// set in bit n − 1 in the second colour, if there is one. With `each`, the pictures of all bits 1..n in a row.
function bits(panel) {
  const caption = make("div", { class: "caption" });
  const names = legend(caption, panel.legend, "square").map(({ name }) => name);
  const strip = make("div", { class: panel.each ? "strip" : "whole", role: "img", style: "--many: 6; --few: 6" });
  const element = make("div", { class: `figure ${panel.each ? "" : "tall"}` }, caption, strip);
  function draw(state) {
    const { data, shape: [height, width] } = state.tables[panel.table], n = state.values[panel.by];
    const [old, recent = old] = panel.legend.map(([color]) => color).filter(Boolean).map(opaque);
    strip.replaceChildren(...(panel.each ? Array.from({ length: n }, (_, k) => k + 1) : [n]).map((bit) => {
      const canvas = make("canvas", { width, height });
      paint(canvas, (i) => ((data[i] >> bit) & 1 ? ((data[i] >> (bit - 1)) & 1 ? old : recent) : 0));
      return canvas;
    }));
    panel.legend.forEach(([, label], i) => setText(names[i], fill(label, state)));
    strip.setAttribute("aria-label", fill(panel.alt, state));
  }
  return { element, draw };
}

const opaque = (hex) => 0xff000000 + Number(`0x${hex.slice(5, 7)}${hex.slice(3, 5)}${hex.slice(1, 3)}`);

// A square of the plane at step n, the value of control `by`. Tables, the first index being n: `density` (height, width),
// uint8, drawn as ink; `grid` (lines, points, 2) and `samples` (points, 2), int16, `unit` of them being 1; and `colour`,
// which says which colour of the legend each sample has. The control `show` names one of the three, or has another word,
// for all of them; the legend has what is to be seen.
function plane(panel) {
  const strong = (color) => `color-mix(in srgb, ${color} 80%, currentColor)`; // yellow on white, too, can be told
  const caption = make("div", { class: "caption" });
  const entries = {
    samples: legend(caption, panel.legend.map(([color, label]) => [strong(color), label]), "dot"),
    grid: legend(caption, [["var(--soft)", "a square grid of the base"]]),
    density: legend(caption, [[panel.ink, "density"]], "square"),
  };
  const canvas = make("canvas"), inner = make("svg"), axes = make("g");
  const svg = make("svg", { role: "img" }, axes, inner);
  const box = make("div", { class: "plane" }, canvas, svg);
  const element = make("div", { class: "figure" }, caption, box);
  const grid = make("path", { class: "lines" });
  const dots = panel.legend.map(([color]) => make("path", { class: "dots", style: `stroke: ${strong(color)}` }));
  const reach = panel.limit * panel.unit;
  inner.append(make("g", { transform: "scale(1 -1)" }, grid, ...dots));
  inner.setAttribute("viewBox", `${-reach} ${-reach} ${2 * reach} ${2 * reach}`);

  function frame() { // axes, and room for the rest
    const size = em(box), left = 2.2 * size, bottom = 1.7 * size;
    const side = Math.max(Math.min(box.clientWidth - left, box.clientHeight - bottom) - 3, 40);
    const at = (v) => ((v / panel.limit + 1) / 2) * side;
    Object.entries({ x: left, y: 1, width: side, height: side }).forEach((pair) => inner.setAttribute(...pair));
    Object.assign(canvas.style, { left: `${left}px`, top: "1px", width: `${side}px`, height: `${side}px` });
    axes.replaceChildren(make("path", { class: "axis", d: `M${left} 1h${side}v${side}h${-side}z` }),
      ...ticks(-panel.limit, panel.limit).flatMap((v) => [
        make("text", { x: left + at(v), y: side + 1.3 * size, "text-anchor": "middle" }, show(v)),
        make("text", { x: left - 0.4 * size, y: side - at(v) + 0.35 * size, "text-anchor": "end" }, show(v))]));
  }
  function draw(state) {
    const n = state.values[panel.by], chosen = state.values[panel.show];
    const visible = (name) => chosen === name || !(chosen in state.tables);
    for (const [name, parts] of Object.entries(entries)) parts.forEach(({ entry }) => { entry.hidden = !visible(name); });
    if (state.resized) frame();
    const part = (name) => { // of a table, for this step
      const { data, shape } = state.tables[name], size = data.length / shape[0];
      return data.subarray(n * size, (n + 1) * size);
    };
    const { shape: [, height, width] } = state.tables.density, { shape: [, lines, points] } = state.tables.grid;
    Object.assign(canvas, { height, width });
    const density = part("density"), ink = opaque(panel.ink) - 0xff000000;
    if (visible("density")) paint(canvas, (i) => density[i] * 0x1000000 + ink);
    const nodes = part("grid"), samples = part("samples"), colours = state.tables.colour.data;
    const line = (_, k) => `M${nodes.subarray(2 * k * points, 2 * (k + 1) * points).join(" ")}`;
    grid.setAttribute("d", visible("grid") ? Array.from({ length: lines }, line).join("") : "");
    const paths = dots.map(() => "");
    if (visible("samples")) colours.forEach((c, i) => { paths[c] += `M${samples[2 * i]} ${samples[2 * i + 1]}h0`; });
    dots.forEach((dot, c) => dot.setAttribute("d", paths[c]));
    svg.setAttribute("aria-label", fill(panel.alt, state));
  }
  return { element, draw };
}

Object.assign(PANELS, { bits, plane });
