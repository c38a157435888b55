// A question and its answer, kept; later the answer beside what came out. With no kernel the page keeps the answer.
// Each kind is element, draw(answer) and say(answer); `choose` takes a new answer. The curve has a file of its own.

const kept = (globalThis.genlibPredictions ??= new EventTarget()); // question -> answer, for all widgets of the page
kept.answers ??= {};

const quiet = { "data-lm-suppress-shortcuts": "true" };
const input = (attributes) => make("input", { ...quiet, ...attributes });
const button = (label, name, act) => {
  const made = make("button", { type: "button", "aria-label": name, ...quiet }, label);
  made.addEventListener("click", act);
  return made;
};
const short = (x) => String(Number(x.toPrecision(4))).replace("-", "−");

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
    return { element: make("div", { role: "radiogroup", "aria-label": "answers" }, ...rows), draw, say: (answer) => answer };
  },
  order({ options }, question, choose) {
    const list = make("ol", { "aria-label": "your order" });
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
    const keep = button("this is my order", "this is my order: keep it", () => choose([...now]));
    return { element: make("div", {}, list, keep), draw, say: (answer) => answer.join(", ") };
  },
};

function render({ model, el }) {
  const kind = model.get("kind"), question = model.get("question"), result = model.get("result");
  const text = make("p", { role: "status" });
  const place = KINDS[kind](model.get("spec"), question, choose);
  const asks = result === null || result === undefined;
  const shown = asks || place.show ? [place.element] : [];
  el.append(guard(make("div", { class: "prediction", role: "group", "aria-label": asks ? question : `${question} Compared` },
    make("p", { class: "asked" }, question), ...shown, text)));
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
  return () => {
    model.off("change:value", draw);
    kept.removeEventListener("answer", draw);
    place.close?.();
  };
}

export default { render };
