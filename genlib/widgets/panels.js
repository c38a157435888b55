// What widgets are made of. A panel is a function of its description; it returns its element and draw(state, fresh), with
// state = { values of the controls, tables, resized }; `fresh` says that more than a marker may have moved. A new kind of
// panel is one more function here, and one more name at the end.

const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const isSvg = ["svg", "g", "path", "line", "circle", "text"].includes(tag);
  const element = isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function curves(panel) {
  const caption = make("figcaption");
  const names = legend(caption, panel.curves.map(({ color, label }) => [color, label]));
  const svg = make("svg", { role: "img", "aria-label": panel.alt, height: 230 });
  const element = make("figure", {}, caption, svg);
  const left = 48, top = 10, bottom = 230 - 46;
  let width, x, y, dots, line;

  function frame(state) { // axes and curves
    if (state.resized) width = svg.clientWidth; // asked only then: it makes the browser lay out the whole page
    const right = Math.max(width - 24, left + 40);
    const x1 = state.values[panel.x.max] ?? panel.x.max, bend = panel.y.scale === "log" ? Math.log10 : (v) => v;
    const [y0, y1] = [bend(panel.y.min), bend(panel.y.max)];
    x = (v) => left + ((v - panel.x.min) / (x1 - panel.x.min)) * (right - left);
    y = (v) => bottom - ((clamp(bend(v), y0, y1) - y0) / (y1 - y0)) * (bottom - top);
    svg.replaceChildren(
      ...panel.y.ticks.flatMap(([v, text]) => [
        make("line", { class: "grid", x1: left, x2: right, y1: y(v), y2: y(v) }),
        make("text", { x: left - 7, y: y(v) + 5, "text-anchor": "end" }, text)]),
      ...ticks(panel.x.min, x1).flatMap((v) => [
        make("line", { class: "axis", x1: x(v), x2: x(v), y1: bottom, y2: bottom + 5 }),
        make("text", { x: x(v), y: bottom + 21, "text-anchor": "middle" }, show(v))]),
      make("text", { x: (left + right) / 2, y: bottom + 42, "text-anchor": "middle" }, panel.x.label),
      make("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }));
    line = make("line", { class: "marker", y1: top, y2: bottom });
    svg.append(line);
    dots = panel.curves.map(({ table, color }) => {
      const { data } = state.tables[table];
      let d = "";
      const tenth = (v) => Math.round(10 * v) / 10;
      for (let i = panel.x.first ?? 0; i < data.length; i++) d += `${d ? "L" : "M"}${tenth(x(i))} ${tenth(y(data[i]))}`;
      const dot = make("circle", { r: 6, fill: color });
      svg.append(make("path", { d, fill: "none", stroke: color, "stroke-width": 3, "stroke-linejoin": "round" }), dot);
      return dot;
    });
  }
  function draw(state, fresh) {
    if (fresh) frame(state);
    const at = state.values[panel.marker];
    line.setAttribute("x1", x(at));
    line.setAttribute("x2", x(at));
    panel.curves.forEach(({ table, label }, i) => {
      dots[i].setAttribute("cx", x(at));
      dots[i].setAttribute("cy", y(state.tables[table].data[at]));
      setText(names[i], fill(label, state));
    });
  }
  return { element, draw };
}

function ticks(low, high) { // at most five round numbers
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].find((m) => m * power >= rough * 0.999) * power);
  const first = low < 0 ? Math.ceil(low / step) * step : low;
  return Array.from({ length: Math.floor((high - first) / step) + 1 }, (_, i) => first + i * step);
}

function paint(canvas, colour) { // colour(i) of pixel i, as 0xAABBGGRR
  const picture = new ImageData(canvas.width, canvas.height), pixels = new Uint32Array(picture.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colour(i);
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function legend(caption, entries) { // [colour, label], ...; returns what holds the labels, which may be templates
  return entries.map(([color, label]) => {
    const name = make("span");
    caption.append(make("span", {}, ...(color ? [make("i", { style: `background:${color}` })] : []), name));
    setText(name, label);
    return name;
  });
}

function images(panel) { // table (levels, n, height, width), uint8; `at` says which level
  const caption = make("figcaption");
  const strip = make("div", { class: "strip", role: "img", style: "--many: 10; --few: 5" });
  const element = make("figure", { class: panel.wide ? "wide" : "" }, caption, strip);
  function draw(state) {
    const { data, shape: [, n, height, width] } = state.tables[panel.table];
    const level = state.tables[panel.at.table].data[state.values[panel.at.by]];
    if (!strip.children.length) strip.append(...Array.from({ length: n }, () => make("canvas", { width, height })));
    [...strip.children].forEach((canvas, k) => {
      const start = (level * n + k) * height * width;
      paint(canvas, (i) => 0xff000000 + 0x010101 * data[start + i]); // grey, opaque
      canvas.className = k === state.values[panel.selected] ? "selected" : "";
    });
    setText(caption, fill(panel.label, state));
    strip.setAttribute("aria-label", fill(panel.alt, state));
  }
  return { element, draw };
}

// The pixels of a table (height, width), uint8, that are set in bit n, where n is the value of control `by`; those not
// set in bit n − 1 in the second colour, if there is one. With `each`, the pictures of all bits 1..n in a row.
function bits(panel) {
  const caption = make("figcaption");
  const names = legend(caption, panel.legend);
  const strip = make("div", { class: panel.each ? "strip" : "square", role: "img", style: "--many: 6; --few: 6" });
  const element = make("figure", { class: panel.each ? "full" : "" }, caption, strip);
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
// for all of them.
function plane(panel) {
  const caption = make("figcaption");
  legend(caption, panel.legend);
  const canvas = make("canvas"), inner = make("svg"), axes = make("g");
  const svg = make("svg", { role: "img" }, axes, inner);
  const box = make("div", { class: "plane" }, canvas, svg);
  const element = make("figure", {}, caption, box);
  const grid = make("path", { class: "lines" });
  const dots = panel.legend.map(([color]) => make("path", { class: "dots", stroke: color }));
  const reach = panel.limit * panel.unit, left = 30, bottom = 26;
  inner.append(make("g", { transform: "scale(1 -1)" }, grid, ...dots));
  inner.setAttribute("viewBox", `${-reach} ${-reach} ${2 * reach} ${2 * reach}`);

  function frame() { // axes, and room for the rest
    const side = Math.max(Math.min(box.clientWidth, 560) - left - 2, 40);
    const at = (v) => ((v / panel.limit + 1) / 2) * side;
    svg.setAttribute("height", side + bottom + 2);
    Object.entries({ x: left, y: 1, width: side, height: side }).forEach((pair) => inner.setAttribute(...pair));
    Object.assign(canvas.style, { left: `${left}px`, top: "1px", width: `${side}px`, height: `${side}px` });
    axes.replaceChildren(make("path", { class: "axis", d: `M${left} 1h${side}v${side}h${-side}z` }),
      ...ticks(-panel.limit, panel.limit).flatMap((v) => [
        make("text", { x: left + at(v), y: side + 20, "text-anchor": "middle" }, show(v)),
        make("text", { x: left - 6, y: side - at(v) + 6, "text-anchor": "end" }, show(v))]));
  }
  function draw(state) {
    if (state.resized) frame();
    const n = state.values[panel.by], chosen = state.values[panel.show];
    const entry = (name) => { // of a table, for this step
      const { data, shape } = state.tables[name], size = data.length / shape[0];
      return data.subarray(n * size, (n + 1) * size);
    };
    const visible = (name) => chosen === name || !(chosen in state.tables);
    const { shape: [, height, width] } = state.tables.density, { shape: [, lines, points] } = state.tables.grid;
    Object.assign(canvas, { height, width });
    const density = entry("density"), ink = opaque(panel.ink) - 0xff000000;
    if (visible("density")) paint(canvas, (i) => density[i] * 0x1000000 + ink);
    const nodes = entry("grid"), samples = entry("samples"), colours = state.tables.colour.data;
    const line = (_, k) => `M${nodes.subarray(2 * k * points, 2 * (k + 1) * points).join(" ")}`;
    grid.setAttribute("d", visible("grid") ? Array.from({ length: lines }, line).join("") : "");
    const paths = dots.map(() => "");
    if (visible("samples")) colours.forEach((c, i) => { paths[c] += `M${samples[2 * i]} ${samples[2 * i + 1]}h0`; });
    dots.forEach((dot, c) => dot.setAttribute("d", paths[c]));
    svg.setAttribute("aria-label", fill(panel.alt, state));
  }
  return { element, draw };
}

const PANELS = { curves, images, bits, plane };
