// A question and its answer, kept; later the answer beside what came out. With no kernel the page keeps the answer.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 640, HEIGHT = 260, LEFT = 54, RIGHT = 14, TOP = 10, BOTTOM = 44; // of a curve's drawing
const kept = (globalThis.genlibPredictions ??= new EventTarget()); // question -> answer, for all widgets of the page
kept.answers ??= {};

function make(tag, attributes = {}, ...children) {
  const isSvg = ["svg", "path", "rect", "text", "circle"].includes(tag);
  const element = isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const input = (attributes) => make("input", { "data-lm-suppress-shortcuts": "true", ...attributes });
const button = (label, name, act) => {
  const made = make("button", { type: "button", "aria-label": name, "data-lm-suppress-shortcuts": "true" }, label);
  made.addEventListener("click", act);
  return made;
};
const short = (x) => String(Number(x.toPrecision(4))).replace("-", "−");

// Each kind: element, draw(answer) and say(answer). `choose` takes a new answer.
const KINDS = {
  number({ unit }, question, choose) {
    const field = input({ type: "number", step: "any", "aria-label": question });
    field.addEventListener("change", () => choose(Number.isFinite(field.valueAsNumber) ? field.valueAsNumber : null));
    const draw = (answer) => { if (document.activeElement !== field) field.value = answer ?? ""; };
    return { element: make("p", {}, field, unit), draw, say: (answer) => `${short(answer)} ${unit}`.trim() };
  },
  choice({ options }, question, choose) {
    const name = `choice-${Math.random()}`;
    const fields = options.map((option) => input({ type: "radio", name, value: option }));
    fields.forEach((field, i) => field.addEventListener("change", () => choose(options[i])));
    const rows = fields.map((field, i) => make("label", {}, field, options[i]));
    const draw = (answer) => fields.forEach((field, i) => { field.checked = options[i] === answer; });
    return { element: make("div", { role: "radiogroup", "aria-label": question }, ...rows), draw, say: (answer) => answer };
  },
  order({ options }, question, choose) {
    const list = make("ol", { "aria-label": question });
    let now = options;
    function move(from, to) {
      const next = [...now];
      next.splice(to, 0, ...next.splice(from, 1));
      choose(next);
      list.children[to].querySelector("button")?.focus();
    }
    function draw(answer) {
      now = answer ?? options;
      list.replaceChildren(...now.map((option, i) => make("li", {},
        ...(i > 0 ? [button("↑", `${option}: up`, () => move(i, i - 1))] : []),
        ...(i < now.length - 1 ? [button("↓", `${option}: down`, () => move(i, i + 1))] : []), option)));
    }
    const keep = button("this is my order", "keep this order", () => choose([...now]));
    return { element: make("div", {}, list, keep), draw, say: (answer) => answer.join(", ") };
  },
  curve({ x, y }, question, choose, count = 41) {
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0",
      "aria-label": `${question} Draw with the mouse, or choose a place by the left and right arrow keys and a height by up and down.`,
      "data-lm-suppress-shortcuts": "true" });
    const across = (i) => LEFT + (i / (count - 1)) * (WIDTH - LEFT - RIGHT);
    const up = (v) => HEIGHT - BOTTOM - ((v - y[0]) / (y[1] - y[0])) * (HEIGHT - BOTTOM - TOP);
    const line = (heights) => heights.map((v, i) => (v === null ? "" : `${i > 0 && heights[i - 1] !== null ? "L" : "M"}${across(i)} ${up(v)}`)).join("");
    const yours = make("path", { class: "yours" }), came = make("path", { class: "came" }), mark = make("circle", { r: 5, class: "mark" });
    svg.append(make("rect", { class: "frame", x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM }), came, yours, mark,
      make("text", { x: LEFT, y: HEIGHT - 24, "text-anchor": "middle" }, short(x[0])), make("text", { x: WIDTH - RIGHT, y: HEIGHT - 24, "text-anchor": "end" }, short(x[1])),
      make("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, x[2]), make("text", { x: LEFT - 6, y: HEIGHT - BOTTOM, "text-anchor": "end" }, short(y[0])),
      make("text", { x: LEFT - 6, y: TOP + 14, "text-anchor": "end" }, short(y[1])), make("text", { x: 14, y: HEIGHT / 2, transform: `rotate(-90 14 ${HEIGHT / 2})`, "text-anchor": "middle" }, y[2]));
    let now = Array(count).fill(null), last, at = 0;
    const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
    function touch(event) {
      const box = svg.getBoundingClientRect(), scale = WIDTH / box.width;
      const i = clamp(Math.round((((event.clientX - box.left) * scale - LEFT) / (WIDTH - LEFT - RIGHT)) * (count - 1)), 0, count - 1);
      const v = clamp(y[0] + ((HEIGHT - BOTTOM - ((event.clientY - box.top) * HEIGHT) / box.height) / (HEIGHT - BOTTOM - TOP)) * (y[1] - y[0]), y[0], y[1]);
      const from = last ?? { i, v }, next = [...now];
      for (let k = Math.min(from.i, i); k <= Math.max(from.i, i); k++) next[k] = i === from.i ? v : from.v + ((v - from.v) * (k - from.i)) / (i - from.i);
      last = { i, v };
      draw(next);
    }
    svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); last = undefined; touch(event); });
    svg.addEventListener("pointermove", (event) => { if (event.buttons) touch(event); });
    svg.addEventListener("pointerup", () => choose([...now]));
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      at = clamp(at + step[0], 0, count - 1);
      const next = [...now], before = next[at] ?? next[at - step[0]] ?? y[0];
      next[at] = clamp(before + (step[1] * (y[1] - y[0])) / 40, y[0], y[1]);
      choose(next);
    });
    function draw(answer) {
      now = answer ?? Array(count).fill(null);
      yours.setAttribute("d", line(now));
      mark.setAttribute("cx", across(at));
      mark.setAttribute("cy", up(now[at] ?? y[0]));
    }
    const say = (answer) => `a curve from ${short(answer.find((v) => v !== null))} to ${short(answer.findLast((v) => v !== null))}`;
    const clear = button("clear", "clear the curve", () => choose(null));
    function show(result) {
      came.setAttribute("d", line(result));
      clear.remove();
    }
    return { element: make("div", {}, svg, clear), draw, say, show };
  },
};

function render({ model, el }) {
  const kind = model.get("kind"), question = model.get("question"), result = model.get("result");
  const text = make("p", { role: "status", "aria-live": "polite" });
  const place = KINDS[kind](model.get("spec"), question, choose);
  const asks = result === null || result === undefined;
  const shown = asks || place.show ? [place.element] : [];
  el.append(make("div", { class: "genlib-prediction", role: "group", "aria-label": question },
    make("p", { class: "asked" }, question), ...shown, text));
  if (!asks) place.show?.(result);

  function choose(answer) {
    if (!asks) return draw(); // what came out is no place to answer
    kept.answers[question] = answer;
    model.set("value", answer);
    model.save_changes();
    kept.dispatchEvent(new Event("answer"));
  }
  function draw() {
    const answer = model.get("value") ?? kept.answers[question] ?? null;
    place.draw(answer);
    if (asks) text.textContent = answer === null ? "Predict before you go on." : `Kept: ${place.say(answer)}`;
    else if (place.show) text.textContent = `${answer === null ? "You made no prediction" : "Drawn through: yours"}; dashed: what came out.`;
    else text.textContent = `You ${answer === null ? "made no prediction" : `predicted ${place.say(answer)}`}; it is ${place.say(result)}.`;
  }
  model.on("change:value", draw);
  kept.addEventListener("answer", draw);
  draw();
  return () => { model.off("change:value", draw); kept.removeEventListener("answer", draw); };
}

export default { render };
