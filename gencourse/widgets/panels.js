// What explorers are made of. A panel is a function of its description; it returns its element and draw(state, fresh), with
// state = { values of the controls, tables, resized }; `fresh` says that more than a marker may have moved. A new kind of
// panel is one more function and one more name at the end: here, or if only some widgets need it, in a file of its own.

function curves(panel) {
  const caption = make("div", { class: "caption" });
  const names = legend(caption, panel.curves.map(({ color, label }) => [color, label])).map(({ name }) => name);
  const svg = make("svg", { role: "img", "aria-label": panel.alt });
  const element = make("div", { class: "figure chart" }, caption, svg);
  let size, width, height, x, y, dots, line;

  function frame(state) { // axes and curves
    if (state.resized) [size, width, height] = [em(svg), svg.clientWidth, svg.clientHeight]; // which lays out the page
    const left = 3.2 * size, top = 0.5 * size, bottom = Math.max(height - 2.9 * size, top + size);
    const right = Math.max(width - 1.4 * size, left + 40);
    const x1 = state.values[panel.x.max] ?? panel.x.max, bend = panel.y.scale === "log" ? Math.log10 : (v) => v;
    const [y0, y1] = [bend(panel.y.min), bend(panel.y.max)], entries = state.tables[panel.x.of]?.data;
    x = (v) => left + ((v - panel.x.min) / (x1 - panel.x.min)) * (right - left);
    y = (v) => bottom - ((clamp(bend(v), y0, y1) - y0) / (y1 - y0)) * (bottom - top);
    svg.replaceChildren(
      ...panel.y.ticks.flatMap(([v, text]) => [
        make("line", { class: "grid", x1: left, x2: right, y1: y(v), y2: y(v) }),
        make("text", { x: left - 0.5 * size, y: y(v) + 0.35 * size, "text-anchor": "end" }, text)]),
      ...ticks(panel.x.min, x1).flatMap((v) => [
        make("line", { class: "axis", x1: x(v), x2: x(v), y1: bottom, y2: bottom + 0.3 * size }),
        make("text", { x: x(v), y: bottom + 1.3 * size, "text-anchor": "middle" }, show(entries ? entries[v] : v))]),
      make("text", { x: (left + right) / 2, y: bottom + 2.5 * size, "text-anchor": "middle" }, panel.x.label),
      make("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }));
    line = make("line", { class: "marker", y1: top, y2: bottom });
    svg.append(line);
    const tenth = (v) => Math.round(10 * v) / 10;
    dots = panel.curves.map(({ table, color }) => {
      const { data } = state.tables[table];
      let d = "";
      for (let i = panel.x.first ?? 0; i < data.length; i++) d += `${d ? "L" : "M"}${tenth(x(i))} ${tenth(y(data[i]))}`;
      const dot = make("circle", { r: 0.4 * size, fill: color });
      svg.append(make("path", { class: "curve", d, stroke: color }), dot);
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

function legend(caption, entries, shape = "") { // [colour, label], ...; the label may be a template
  return entries.map(([color, label]) => {
    const name = make("span");
    const entry = make("span", { class: "entry" }, ...(color ? [make("i", { class: `swatch ${shape}`, style: `background:${color}` })] : []), name);
    caption.append(entry);
    setText(name, label);
    return { entry, name };
  });
}

function images(panel) { // table (levels, n, height, width), uint8; `at` says which level; `beside`: the caption stands there
  const caption = make("div", { class: "caption" });
  const strip = make("div", { class: "strip", role: "img", style: "--many: 10; --few: 5" });
  const element = make("div", { class: `figure ${panel.wide ? "wide" : ""} ${panel.beside ? "beside" : ""}` }, caption, strip);
  function draw(state) {
    const { data, shape: [, n, height, width] } = state.tables[panel.table];
    const level = state.tables[panel.at.table].data[state.values[panel.at.by]];
    if (!strip.children.length) strip.append(...Array.from({ length: n }, () => make("canvas", { width, height })));
    [...strip.children].forEach((canvas, k) => {
      const start = (level * n + k) * height * width;
      paint(canvas, (i) => 0xff000000 + 0x010101 * data[start + i]); // grey, opaque
      canvas.className = k === state.values[panel.selected] ? "genlib-selected" : "";
    });
    setText(caption, fill(panel.label, state));
    strip.setAttribute("aria-label", fill(panel.alt, state));
  }
  return { element, draw };
}

const PANELS = { curves, images };
let compute; // (key, shared tables) => tables of one choice, where a widget brings it: it asks for neither presets nor a kernel
