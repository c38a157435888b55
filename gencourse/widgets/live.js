// A trained network under the reader's hand. This file has what the live widgets share: where the computing is done, the
// noise, the controls and the texts. Each widget's own file says what it draws, and which computation follows which.
//
// The networks, with the formulas around them, are graphs that Python has made (live.py). Either a kernel computes them,
// or onnxruntime-web does, which is loaded from globalThis.genlibLive.base, when the reader asks for it.

const PATIENCE = 1500; // ms to wait for a kernel

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function show(value) { // as `show` in explorer.py, of the few digits that controls have
  return typeof value === "number" ? String(Number(value.toPrecision(3))).replace("-", "−") : String(value);
}

const fill = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => show(values[name]));
const setText = (element, text) => element.replaceChildren(...text.split(/_(\w)/).map( // x_t with a real subscript
  (part, i) => (i % 2 ? make("sub", {}, part) : part)));
const product = (shape) => shape.reduce((a, b) => a * b, 1);
const painted = () => new Promise((done) => { requestAnimationFrame(() => setTimeout(done)); setTimeout(done, 60); });

// ---- Noise: the same seed is the same noise, with a kernel or without one ----

function normals(seed) { // returns draw(n), N(0, 1): xorshift (Marsaglia 2003), 32 bits, and Box and Muller's transform
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1, spare;
  function uniform() { // in (0, 1)
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 0.5) / 2 ** 32;
  }
  for (let i = 0; i < 20; i++) uniform(); // near seeds part
  function one() {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(uniform())), angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
  return (n) => Float32Array.from({ length: n }, one);
}

// ---- Tables, as live.py packs them ----

function unpack(layout, data) {
  const bytes = data.buffer ? data : new DataView(data), tables = {};
  let start = bytes.byteOffset;
  for (const [name, shape] of layout) {
    const size = 4 * product(shape);
    tables[name] = new Float32Array(bytes.buffer.slice(start, start + size));
    start += size;
  }
  return tables;
}

// ---- Where there is no kernel: onnxruntime-web, and the graphs, from the page's own folder ----

const loaded = (globalThis.genlibLiveLoaded ??= {}); // name -> promise of its files; shared by all widgets of a page
globalThis.genlibLiveParts ??= {}; // name -> the parts that have come; they are scripts, for a page that is a file may fetch nothing

function runScript(src) {
  const script = make("script", { src });
  return new Promise((done, failed) => {
    script.addEventListener("load", done);
    script.addEventListener("error", () => failed(new Error(`this page lacks its file ${src.split("/").at(-1)}`)));
    document.head.append(script);
  }).finally(() => script.remove());
}

async function download(name, progress) { // the files of an asset: {name: bytes}
  const base = globalThis.genlibLive.base, all = globalThis.genlibLiveParts;
  await runScript(`${base}${name}.0.js`);
  const total = all[name].total;
  let here = 1;
  progress(here / total);
  await Promise.all(Array.from({ length: total - 1 }, (_, i) =>
    runScript(`${base}${name}.${i + 1}.js`).then(() => progress((here += 1) / total))));
  const encoded = all[name].parts.join("");
  delete all[name];
  const packed = Uint8Array.fromBase64 ? new Response(Uint8Array.fromBase64(encoded)) // where it is missing, in a slower way
    : await fetch(`data:application/octet-stream;base64,${encoded}`);
  const bytes = await new Response(packed.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true), files = {};
  let start = 4 + length;
  for (const [file, size] of Object.entries(JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length))))) {
    files[file] = new Uint8Array(bytes, start, size);
    start += size;
  }
  return files;
}

function once(name, load) { // at most once for all widgets; what has failed may be tried again
  loaded[name] ??= load().catch((error) => { delete loaded[name]; throw error; });
  return loaded[name];
}

async function startRuntime(progress) {
  const files = await download("ort", progress);
  const url = URL.createObjectURL(new Blob([files["ort.mjs"]], { type: "text/javascript" }));
  const ort = await import(url);
  URL.revokeObjectURL(url);
  Object.assign(ort.env.wasm, { numThreads: 1, proxy: false, wasmBinary: files["ort.wasm"] });
  return ort;
}

async function onPage(spec, progress) { // returns compute(graph, inputs)
  const share = spec.runtime / (spec.runtime + spec.megabytes);
  const done = { ort: 0, graphs: 0 };
  const tell = (what) => (part) => { done[what] = part; progress(share * done.ort + (1 - share) * done.graphs); };
  const [ort, files] = await Promise.all([
    once("ort", () => startRuntime(tell("ort"))), once(spec.asset, () => download(spec.asset, tell("graphs")))]);
  progress(1);
  const sessions = {};
  // Without rewriting the graph: that costs 0.3 s before the first picture, and makes the later ones no faster.
  const settings = { executionProviders: ["wasm"], graphOptimizationLevel: "disabled" };
  for (const name of Object.keys(spec.graphs)) sessions[name] = await ort.InferenceSession.create(files[`${name}.onnx`], settings);
  return async (graph, inputs) => {
    const shapes = Object.entries(spec.graphs[graph]);
    const feeds = shapes.map(([name, shape]) => [name, new ort.Tensor("float32", inputs[name], shape)]);
    const answers = await sessions[graph].run(Object.fromEntries(feeds));
    return Object.fromEntries(Object.entries(answers).map(([name, { data }]) => [name, data]));
  };
}

// ---- Where there is one: the kernel ----

function inKernel(model, spec, waiting) {
  let count = 0;
  return (graph, inputs) => new Promise((done, failed) => {
    const id = (count += 1), layout = Object.entries(spec.graphs[graph]);
    const data = new Float32Array(layout.reduce((size, [, shape]) => size + product(shape), 0));
    let start = 0;
    for (const [name, shape] of layout) {
      data.set(inputs[name], start);
      start += product(shape);
    }
    waiting.set(id, { done, failed });
    model.send({ id, graph, layout }, undefined, [data.buffer]);
  });
}

// ---- Controls: native inputs, so that a keyboard is enough ----

function makeControl(control, choose) {
  const row = make("div"), inputs = [];
  const input = (tag, type, label) => {
    const element = make(tag, { type, "aria-label": label, "data-lm-suppress-shortcuts": "true" });
    inputs.push(element);
    row.append(element);
    return element;
  };
  const element = make("div", { class: `genlib-live-control genlib-live-${control.kind}` }, make("span", {}, control.label), row);
  const { min, max, step, options } = control;
  let update;
  if (control.kind === "select") {
    const list = input("select", undefined, control.label);
    list.append(...options.map((option) => make("option", {}, show(option))));
    list.addEventListener("change", () => choose(control.name, options[list.selectedIndex]));
    update = (value) => { list.selectedIndex = options.indexOf(value); };
  } else {
    const range = control.kind === "slider" && input("input", "range", control.label);
    const number = input("input", "number", range ? `${control.label}, exact value` : control.label);
    for (const one of inputs) {
      Object.assign(one, { min, max, step });
      one.addEventListener(one === range ? "input" : "change", () => {
        if (!Number.isFinite(one.valueAsNumber)) return;
        choose(control.name, Math.min(Math.max(Number((Math.round(one.valueAsNumber / step) * step).toFixed(6)), min), max));
      });
    }
    update = (value) => inputs.forEach((one) => { if (one.valueAsNumber !== value) one.value = value; });
  }
  return { element, inputs, update };
}

// ---- The widget: `stage` says what it draws and how one picture is computed ----

function live({ model, el }, stage) {
  const spec = model.get("spec"), names = spec.controls.map(({ name }) => name);
  const values = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const page = Boolean(globalThis.genlibLive?.base), able = typeof WebAssembly === "object" && "DecompressionStream" in globalThis;
  const waiting = new Map(); // questions to the kernel
  let compute, kernel = false, turn = 0, busy = Promise.resolve(), answer;
  const answered = new Promise((done) => { answer = done; });

  function choose(name, value) {
    model.set(name, value);
    model.save_changes();
  }
  const controls = spec.controls.map((control) => makeControl(control, choose));
  const button = make("button", { type: "button", "data-lm-suppress-shortcuts": "true" });
  const bar = make("progress", { max: 1, value: 0, "aria-label": "loading" });
  const text = make("p", { role: "status" }), note = make("span", { class: "genlib-live-note", role: "status" });
  bar.hidden = true;
  const art = stage({ spec, make, changed: () => (compute || kernel) && go() });
  const root = make("div", { class: "genlib-live", role: "group", "aria-label": spec.title, "data-prevent-swipe": "" },
    make("div", { class: "genlib-live-controls" }, ...controls.map(({ element }) => element), button, bar, note), art.element, text);

  function update() {
    const now = values();
    controls.forEach((control, i) => control.update(now[names[i]]));
    const runtime = loaded.ort ? 0 : spec.runtime, all = Math.ceil(runtime + spec.megabytes);
    button.textContent = page && !compute && able ? `${spec.action} (loads ${all} MB)` : spec.action;
  }

  function stay(why) { // the picture that is there, and what is said of it
    note.textContent = why;
    button.disabled = page && !able;
    for (const { inputs } of controls) for (const one of inputs) one.disabled = button.disabled;
    art.still?.(button.disabled);
  }

  async function open() {
    if (page) {
      bar.hidden = false;
      note.textContent = "Loading the network …";
      return onPage(spec, (share) => { bar.value = share; }).finally(() => { bar.hidden = true; });
    }
    if (!kernel) {
      model.send("kernel?");
      await Promise.race([answered, new Promise((done) => setTimeout(done, PATIENCE))]);
      if (!kernel) throw new Error("no kernel answers: run this cell first");
    }
    return inKernel(model, spec, waiting);
  }

  async function go() { // the latest choice is drawn, those that it has overtaken are not
    const mine = (turn += 1), current = () => mine === turn && root.isConnected;
    await busy;
    if (!current()) return;
    let free;
    busy = new Promise((done) => { free = done; });
    root.setAttribute("aria-busy", "true");
    const slow = setTimeout(() => { if (kernel) note.textContent = "Waiting for the kernel, which is busy or gone."; }, PATIENCE);
    try {
      compute ??= await open();
      update();
      const chosen = values(), began = performance.now();
      const result = await art.run({ values: chosen, compute, normal: normals(chosen.seed), current });
      note.textContent = "";
      if (result) {
        text.textContent = [fill(spec.text, chosen), result.text].filter(Boolean).join(" ");
        const detail = { ...result, values: chosen, ms: performance.now() - began };
        root.dispatchEvent(new CustomEvent("live:drawn", { bubbles: true, detail }));
      }
    } catch (error) {
      stay(`Nothing new is drawn: ${error.message}.`);
    } finally {
      free();
      clearTimeout(slow);
      if (mine === turn) root.removeAttribute("aria-busy");
    }
  }

  function heard(content, buffers) {
    const asked = waiting.get(content?.id);
    waiting.delete(content?.id);
    if (content === "here") answer((kernel = true));
    else if (content?.error) asked?.failed(new Error(content.error));
    else asked?.done(unpack(content.layout, buffers[0]));
  }
  function changed() {
    update();
    art.choose?.(values());
    if (compute || kernel) go();
  }

  button.addEventListener("click", go);
  root.addEventListener("keydown", (event) => event.key !== "Escape" && event.stopPropagation()); // no slide turns
  names.forEach((name) => model.on(`change:${name}`, changed));
  model.on("msg:custom", heard);
  const { layout, data } = model.get("still");
  update();
  art.choose?.(values());
  art.draw(unpack(layout, data));
  text.textContent = fill(spec.text, values());
  if (page && !able) stay("This browser has no WebAssembly, so the picture stands still.");
  el.append(root);
  if (!page) model.send("kernel?");

  return () => {
    turn += 1;
    names.forEach((name) => model.off(`change:${name}`, changed));
    model.off("msg:custom", heard);
  };
}

// Pictures of numbers in [−1, 1], side by side in a canvas: black to white.
function sheet(canvas, numbers, side, columns) {
  const n = numbers.length / side ** 2, gap = Math.max(1, side >> 4), step = side + gap;
  canvas.width = columns * step - gap;
  canvas.height = Math.ceil(n / columns) * step - gap;
  const context = canvas.getContext("2d"), picture = context.createImageData(side, side);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < side ** 2; i++) {
      const level = 127.5 * (numbers[k * side ** 2 + i] + 1); // clamped by the array
      picture.data.set([level, level, level, 255], 4 * i);
    }
    context.putImageData(picture, (k % columns) * step, Math.floor(k / columns) * step);
  }
}
