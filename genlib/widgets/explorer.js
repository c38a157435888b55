// The drawing surface of every widget. Python says which controls and panels there are and sends tables of numbers;
// this file draws them and listens. It knows no formula: a new widget is new data, and a new kind of panel is one function.

const PATIENCE = 1500; // ms to wait for a kernel before the nearest preset is shown instead
const ARRAYS = { float32: Float32Array, uint8: Uint8Array };
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const isSvg = ["svg", "g", "path", "line", "circle", "text"].includes(tag);
  const element = isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// ---- Tables and texts ----

const unpacked = new WeakMap(); // frame -> its tables
function unpack(frame) {
  if (!unpacked.has(frame)) {
    const bytes = frame.data.buffer ? frame.data : new DataView(frame.data);
    let start = bytes.byteOffset;
    const tables = {};
    for (const [name, dtype, shape] of frame.layout) {
      const size = shape.reduce((a, b) => a * b, 1) * ARRAYS[dtype].BYTES_PER_ELEMENT;
      tables[name] = { data: new ARRAYS[dtype](bytes.buffer.slice(start, start + size)), shape };
      start += size;
    }
    unpacked.set(frame, tables);
  }
  return unpacked.get(frame);
}

function show(value) { // three significant digits, as `show` in explorer.py
  if (typeof value === "string") return value;
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "undefined" : value > 0 ? "∞" : "−∞";
  const text = Number.isInteger(value) && size < 1e6 ? String(value)
    : size >= 1e-3 && size < 999.5 ? value.toPrecision(3) : value.toExponential(2);
  return text.replaceAll("-", "−");
}

const fill = (template, { values, tables }) => template.replace(/\{(\w+)(?:@(\w+))?\}/g,
  (_, name, at) => show(at ? tables[name].data[values[at]] : values[name]));

const setText = (element, text) => element.replaceChildren(...text.split(/_(\w)/).map( // x_t with a real subscript
  (part, i) => (i % 2 ? make("sub", {}, part) : part)));

// ---- Controls: native inputs, so that a keyboard is enough ----

const inUse = (control, values) =>
  Object.entries(control.when ?? {}).every(([name, allowed]) => allowed.includes(values[name]));
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const far = (a, b) => (a === b ? 0 : a > 0 && b > 0 ? Math.abs(Math.log(a / b)) : Infinity);
const nearest = (list, value) => list.reduce((best, x) => (far(x, value) < far(best, value) ? x : best));

function makeControl(control, choose) {
  const input = (tag, type, label) => make(tag, { type, "aria-label": label, "data-lm-suppress-shortcuts": "true" });
  const plain = control.label.replaceAll("_", " ");
  const label = make("span");
  setText(label, control.label);
  const row = make("div");
  const element = make("div", { class: `control ${control.kind} ${control.wide ? "wide" : ""}` }, label, row);

  if (control.kind === "select") {
    const select = input("select", undefined, plain);
    select.append(...control.presets.map((value) => make("option", {}, String(value))));
    select.addEventListener("change", () => choose(control.name, control.presets[select.selectedIndex]));
    row.append(select);
    return { element, update: (values) => { select.selectedIndex = control.presets.indexOf(values[control.name]); } };
  }

  // A slider walks over whole numbers, or over the choices: with no kernel, over the presets alone.
  const range = input("input", "range", plain);
  const number = input("input", "number", `${plain}, exact value`);
  let choices;
  range.addEventListener("input", () => choose(control.name, choices ? choices[range.value] : Number(range.value)));
  number.addEventListener("change", () => {
    if (Number.isFinite(number.valueAsNumber)) {
      const value = clamp(number.valueAsNumber, Number(number.min), Number(number.max));
      choose(control.name, control.step === 1 ? Math.round(value) : value);
    }
  });
  row.append(range, number);
  function update(values, kernel) {
    const value = values[control.name];
    choices = control.choices && (kernel ? control.choices : control.presets);
    const max = values[control.max] ?? control.max;
    Object.assign(number, { min: control.min, max, step: control.step });
    if (document.activeElement !== number || number.valueAsNumber !== value) number.value = value;
    Object.assign(range, choices ? { min: 0, max: choices.length - 1, step: 1 } : { min: control.min, max, step: control.step });
    range.value = choices ? choices.indexOf(nearest(choices, value)) : value;
    range.disabled = choices?.length < 2;
    range.setAttribute("aria-valuetext", show(value));
    element.hidden = !inUse(control, values);
  }
  return { element, update };
}

// ---- Panels: each returns its element and draw(state, fresh); `fresh` says that more than a marker may have moved ----

function curves(panel) {
  const caption = make("figcaption");
  const names = panel.curves.map((curve) => {
    const name = make("span");
    caption.append(make("span", {}, make("i", { style: `background:${curve.color}` }), name));
    return name;
  });
  const svg = make("svg", { role: "img", "aria-label": panel.alt, height: 230 });
  const element = make("figure", {}, caption, svg);
  const left = 48, top = 10, bottom = 230 - 46;
  let x, y, dots, line;

  function frame(state) { // axes and curves
    const right = Math.max(svg.clientWidth - 24, left + 40);
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
      for (let i = panel.x.first ?? 0; i < data.length; i++) d += `${d ? "L" : "M"}${x(i).toFixed(1)} ${y(data[i]).toFixed(1)}`;
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
  return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => low + i * step);
}

function images(panel) { // table (levels, n, height, width), uint8; `at` says which level
  const caption = make("figcaption");
  const strip = make("div", { class: "strip", role: "img" });
  const element = make("figure", { class: panel.wide ? "wide" : "" }, caption, strip);
  let pictures;
  function draw(state) {
    const { data, shape: [, n, height, width] } = state.tables[panel.table];
    const level = state.tables[panel.at.table].data[state.values[panel.at.by]];
    if (!pictures) {
      pictures = Array.from({ length: n }, () => new ImageData(width, height));
      strip.append(...pictures.map(() => make("canvas", { width, height })));
    }
    pictures.forEach((picture, k) => {
      const start = (level * n + k) * height * width;
      for (let i = 0; i < height * width; i++) picture.data.fill(data[start + i], 4 * i, 4 * i + 3), (picture.data[4 * i + 3] = 255);
      strip.children[k].getContext("2d").putImageData(picture, 0, 0);
      strip.children[k].className = k === state.values[panel.selected] ? "selected" : "";
    });
    setText(caption, fill(panel.label, state));
    strip.setAttribute("aria-label", fill(panel.alt, state));
  }
  return { element, draw };
}

const PANELS = { curves, images };

// ---- The widget ----

function render({ model, el }) {
  const spec = model.get("spec");
  const names = spec.controls.map((control) => control.name);
  const keys = spec.controls.filter((control) => control.key);
  const controls = spec.controls.map((control) => makeControl(control, choose));
  const panels = spec.panels.map((panel) => PANELS[panel.kind](panel));
  const note = make("p", { class: "note", role: "status" });
  const text = make("p", { "aria-live": "polite" });
  const root = make("div", { class: "genlib-explorer", role: "group", "aria-label": spec.title },
    make("div", { class: "controls" }, ...controls.map((control) => control.element)),
    make("div", { class: "panels" }, ...panels.map((panel) => panel.element)), note, text);
  let kernel = false; // until one answers
  let drawn, waiting, choosing = false;

  const current = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const find = (values) => [...model.get("frames"), model.get("live")].find((frame) => frame?.key
    && keys.every(({ name, ...control }) => !inUse(control, values) || frame.key[name] === values[name]));

  function snap(values) { // to the nearest preset
    for (const control of keys) if (inUse(control, values)) values[control.name] = nearest(control.presets, values[control.name]);
  }

  function choose(name, value) {
    const before = current(), values = { ...before, [name]: value };
    note.textContent = "";
    if (!kernel && !find(values)) {
      snap(values);
      say(values, { ...before, [name]: value });
    }
    for (const { name: other, min, max } of spec.controls) { // what is counted up to another control keeps its place
      if (max in values && values[max] !== before[max]) {
        values[other] = clamp(Math.round((before[other] * values[max]) / before[max]), min, values[max]);
      }
    }
    choosing = true;
    for (const name of names) if (values[name] !== before[name]) model.set(name, values[name]);
    choosing = false;
    draw();
    model.save_changes();
  }

  function say(values, wanted) {
    const moved = keys.filter(({ name }) => values[name] !== wanted[name]);
    note.textContent = "No kernel answers, so this is the nearest stored choice: "
      + moved.map(({ name, label, presets }) => `${label} = ${values[name]} (stored: ${presets.join(", ")})`).join("; ");
  }

  function giveUp() {
    waiting = undefined;
    kernel = false;
    const values = current();
    choose(keys[0].name, values[keys[0].name]);
  }

  function draw(resized) {
    if (choosing || !root.clientWidth) return;
    const values = current(), frame = find(values);
    for (const { name, max } of spec.controls) if (max in values) values[name] = Math.min(values[name], values[max]);
    controls.forEach((control) => control.update(values, kernel));
    if (!frame) waiting ??= setTimeout(giveUp, PATIENCE); // the old picture stays until the kernel has answered
    else {
      waiting = clearTimeout(waiting);
      const state = { values, tables: { ...unpack(model.get("shared")), ...unpack(frame) } };
      panels.forEach((panel) => panel.draw(state, resized === true || frame !== drawn));
      setText(text, fill(spec.text, state));
      drawn = frame;
    }
    root.dispatchEvent(new CustomEvent("explorer:drawn", { bubbles: true, detail: { complete: Boolean(frame) } }));
  }

  function answered() {
    kernel = true;
    note.textContent = "";
    draw();
  }

  const resize = new ResizeObserver(() => {
    root.classList.toggle("narrow", root.clientWidth < 820);
    root.classList.toggle("tiny", root.clientWidth < 440);
    draw(true);
  });
  const events = names.map((name) => `change:${name}`);
  events.forEach((event) => model.on(event, draw));
  model.on("change:live", answered);
  model.on("msg:custom", answered);
  el.append(root);
  resize.observe(root);
  model.send("kernel?");

  return () => {
    resize.disconnect();
    clearTimeout(waiting);
    events.forEach((event) => model.off(event, draw));
    model.off("change:live", answered);
    model.off("msg:custom", answered);
  };
}

export default { render };
