// The drawing surface of every widget. Python says which controls and panels there are and sends tables of numbers; these
// two files, joined, draw them and listen. They know no formula: a new widget is new data. This one has the controls, the
// texts and the kernel; panels.js has what is drawn.

const PATIENCE = 1500; // ms to wait for a kernel before the nearest preset is shown instead
const ARRAYS = { float32: Float32Array, int16: Int16Array, uint8: Uint8Array };

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
  if (typeof value === "boolean") return value ? "yes" : "no";
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
    select.append(...control.presets.map((value) => make("option", {}, show(value))));
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
    const { min, step } = control, value = values[control.name];
    choices = control.choices && (kernel ? control.choices : control.presets);
    const max = values[control.max] ?? control.max;
    Object.assign(number, { min, max, step });
    if (document.activeElement !== number || number.valueAsNumber !== value) number.value = value;
    Object.assign(range, choices ? { min: 0, max: choices.length - 1, step: 1 } : { min, max, step });
    range.value = choices ? choices.indexOf(nearest(choices, value)) : value;
    range.disabled = choices?.length < 2;
    range.setAttribute("aria-valuetext", show(value));
    element.hidden = !inUse(control, values);
  }
  return { element, update };
}

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
    make("div", { class: "panels", style: `--columns: ${spec.columns ?? 3}` }, ...panels.map((panel) => panel.element)), note, text);
  let kernel = false; // until one answers
  let drawn, waiting, choosing = false, stale = true; // stale: the width has changed since the last drawing

  const current = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const find = (values) => [...model.get("frames"), model.get("live")].find((frame) => frame?.key
    && keys.every(({ name, ...control }) => !inUse(control, values) || frame.key[name] === values[name]));

  function snap(values) { // to the nearest preset, and say so
    const moved = keys.filter((control) => inUse(control, values) && !control.presets.includes(values[control.name]));
    for (const { name, presets } of moved) values[name] = nearest(presets, values[name]);
    const what = moved.map(({ name, label, presets }) => `${label} = ${values[name]} (stored: ${presets.join(", ")})`);
    note.textContent = `No kernel answers, so this is the nearest stored choice: ${what.join("; ")}.`;
  }

  function choose(name, value) {
    const before = current(), values = { ...before, [name]: value };
    note.textContent = "";
    if (!kernel && !find(values)) snap(values);
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

  function giveUp() {
    waiting = undefined;
    kernel = false;
    choose(keys[0].name, model.get(keys[0].name));
  }

  function draw() {
    if (choosing || !root.isConnected) return;
    const values = current(), frame = find(values);
    for (const { name, max } of spec.controls) if (max in values) values[name] = Math.min(values[name], values[max]);
    controls.forEach((control) => control.update(values, kernel));
    if (!frame) waiting ??= setTimeout(giveUp, PATIENCE); // the old picture stays until the kernel has answered
    else {
      waiting = clearTimeout(waiting);
      const state = { values, resized: stale, tables: { ...unpack(model.get("shared")), ...unpack(frame) } };
      panels.forEach((panel) => panel.draw(state, stale || frame !== drawn));
      stale = false;
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
    stale = true;
    draw();
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
