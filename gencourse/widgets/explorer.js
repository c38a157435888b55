// The drawing surface of every explorer. Python says which controls and panels there are and sends tables of numbers; these
// files, joined, draw them and listen. This one has the controls, the texts and the kernel; panels.js has what is drawn.
// They know no formula, but for the widgets that bring `compute`: it makes the tables of any choice where the page is.

const PATIENCE = 1500; // ms to wait for a kernel before the nearest preset is shown instead
const REST = 700; // ms without a change before a screen reader is told what is drawn
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
function nearest(list, value) { // by the ratio, where all are positive
  const bend = [value, ...list].every((x) => x > 0) ? Math.log : Number, far = (x) => Math.abs(bend(x) - bend(value));
  return list.reduce((best, x) => (far(x) < far(best) ? x : best));
}

// The value of a control that goes through the entries `of` a table is a place; what it shows and takes is the entry.
function makeControl(control, shared, choose) {
  const input = (tag, type, label) => make(tag, { type, "aria-label": label, "data-lm-suppress-shortcuts": "true" });
  const plain = control.label.replaceAll("_", " ");
  const label = make("span", { class: "label" });
  setText(label, control.label);
  const row = make("div", { class: "row" });
  const element = make("div", { class: `control ${control.wide ? "wide" : ""}` }, label, row);

  if (control.kind === "select") {
    const select = input("select", undefined, plain);
    select.append(...control.presets.map((value) => make("option", {}, show(value))));
    select.addEventListener("change", () => choose(control.name, control.presets[select.selectedIndex]));
    row.append(select);
    return { element, update: (values) => { select.selectedIndex = control.presets.indexOf(values[control.name]); } };
  }

  // A slider walks over whole numbers, or over the choices: where nothing can be computed, over the presets alone.
  const range = input("input", "range", plain);
  const number = input("input", "number", `${plain}, exact value`);
  const entries = control.of && Array.from(shared[control.of].data, (v) => Number(v.toPrecision(6)));
  let choices;
  range.addEventListener("input", () => choose(control.name, choices ? choices[range.value] : Number(range.value)));
  number.addEventListener("change", () => {
    const wanted = number.valueAsNumber;
    if (!Number.isFinite(wanted)) return;
    const value = clamp(wanted, Number(number.min), Number(number.max));
    if (entries) choose(control.name, entries.indexOf(nearest(entries, value)));
    else choose(control.name, control.step === 1 ? Math.round(value) : value);
  });
  row.append(range, number);
  function update(values, anything) {
    const { min, step } = control, value = values[control.name], shown = entries ? entries[value] : value;
    choices = control.choices && (anything ? control.choices : control.presets);
    const max = values[control.max] ?? control.max;
    Object.assign(number, entries ? { min: entries[min], max: entries[max], step: "any" } : { min, max, step });
    if (document.activeElement !== number || number.valueAsNumber !== shown) number.value = shown;
    Object.assign(range, choices ? { min: 0, max: choices.length - 1, step: 1 } : { min, max, step });
    range.value = choices ? choices.indexOf(nearest(choices, value)) : value;
    range.disabled = choices?.length < 2;
    range.setAttribute("aria-valuetext", show(shown));
    element.hidden = !inUse(control, values);
  }
  return { element, update };
}

// ---- The widget ----

function render({ model, el }) {
  const spec = model.get("spec"), shared = unpack(model.get("shared"));
  const names = spec.controls.map((control) => control.name);
  const keys = spec.controls.filter((control) => control.key);
  const controls = spec.controls.map((control) => makeControl(control, shared, choose));
  const panels = spec.panels.map((panel) => PANELS[panel.kind](panel));
  const note = make("p", { class: "note", role: "status" }), text = make("p", { class: "text" });
  const said = make("p", { class: "unseen", "aria-live": "polite" }); // the text again, once it has come to rest
  const grid = make("div", { class: "panels", style: `--columns: ${spec.columns ?? 3}; --rows: ${spec.rows}` },
    ...panels.map((panel) => panel.element));
  const root = guard(make("div", { class: "explorer", role: "group", "aria-label": spec.title },
    make("div", { class: "controls" }, ...controls.map((control) => control.element)), grid, note, text, said));
  let kernel = false; // until one answers
  let drawn, computed = {}, waiting, resting, choosing = false, stale = true; // stale: sizes have changed since the last drawing
  let width = 0, lines = 0; // the text keeps the room that it once needed, so that the panels stay where they are

  const current = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));

  function find(values) { // the tables of a choice, if there are any
    const used = keys.filter((control) => inUse(control, values));
    const frame = [...model.get("frames"), model.get("live")].find((one) => one?.key
      && Object.keys(one.key).length === used.length && used.every(({ name }) => one.key[name] === values[name]));
    if (frame || !compute) return frame && unpack(frame);
    const key = Object.fromEntries(used.map(({ name }) => [name, values[name]])), id = JSON.stringify(key);
    if (computed.id !== id) computed = { id, tables: compute(key, shared) };
    return computed.tables;
  }

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

  function say() {
    said.textContent = text.textContent;
  }

  function draw() {
    if (choosing || !root.isConnected || !width) return; // no width: on a slide that is not shown
    const values = current(), tables = find(values);
    for (const { name, max } of spec.controls) if (max in values) values[name] = Math.min(values[name], values[max]);
    controls.forEach((control) => control.update(values, kernel || compute));
    if (!tables) waiting ??= setTimeout(giveUp, PATIENCE); // the old picture stays until the kernel has answered
    else {
      waiting = clearTimeout(waiting);
      const state = { values, resized: stale, tables: { ...shared, ...tables } };
      panels.forEach((panel) => panel.draw(state, stale || tables !== drawn));
      stale = false;
      setText(text, fill(spec.text, state));
      drawn = tables;
      clearTimeout(resting);
      resting = setTimeout(say, REST);
    }
    root.dispatchEvent(new CustomEvent("explorer:drawn", { bubbles: true, detail: { complete: Boolean(tables) } }));
  }

  function answered() {
    kernel = true;
    note.textContent = "";
    draw();
  }

  const resize = new ResizeObserver(() => {
    if (root.clientWidth !== width) lines = 0;
    width = root.clientWidth;
    if (!width) return;
    root.classList.toggle("genlib-narrow", width < 40 * em(root));
    if (lines === 0) text.style.minHeight = "";
    lines = Math.max(lines, text.offsetHeight);
    text.style.minHeight = `${lines}px`;
    stale = true;
    draw();
  });
  const events = names.map((name) => `change:${name}`);
  events.forEach((event) => model.on(event, draw));
  model.on("change:live", answered);
  model.on("msg:custom", answered);
  el.append(root);
  resize.observe(root);
  resize.observe(grid);
  model.send("kernel?");

  return () => {
    resize.disconnect();
    clearTimeout(waiting);
    clearTimeout(resting);
    events.forEach((event) => model.off(event, draw));
    model.off("change:live", answered);
    model.off("msg:custom", answered);
  };
}

export default { render };
