// Digits by DDIM: x_t and the guess of x_0, drawn at every step, and kept to look at again.

const N = 16, SIDE = 8;

function stage({ spec, make }) {
  const panel = (name) => {
    const canvas = make("canvas", { role: "img", "aria-label": name }), caption = make("figcaption", {}, name);
    return { canvas, caption, element: make("figure", {}, caption, canvas) };
  };
  const noisy = panel("x_t"), guess = panel("the guess of x_0");
  const back = make("input", { type: "range", min: 0, max: 0, step: 1, value: 0, disabled: "", "data-lm-suppress-shortcuts": "true",
    "aria-label": "look back at a step" });
  const shown = make("span");
  const element = make("div", { class: "genlib-live-digits" },
    make("div", { class: "genlib-live-panels" }, noisy.element, guess.element),
    make("label", { class: "genlib-live-wide" }, make("span", {}, "look back"), back, shown));
  let frames = []; // of the picture that is shown

  function draw({ t, x_t, guess: x_0 }) {
    sheet(noisy.canvas, x_t, SIDE, 4);
    sheet(guess.canvas, x_0, SIDE, 4);
    setText(noisy.caption, t === 0 ? "x_0, at the end" : `x_t at t = ${t}`);
    setText(guess.caption, t === 0 ? "the last guess of x_0" : `guess of x_0 at t = ${t}`);
    noisy.canvas.setAttribute("aria-label", `16 pictures at t = ${t}`);
    guess.canvas.setAttribute("aria-label", t === 0 ? "16 drawn digits" : `what the network guesses at t = ${t}`);
    shown.textContent = `t = ${t}`;
    back.setAttribute("aria-valuetext", `t = ${t}`);
  }
  back.addEventListener("input", () => draw(frames[back.value]));

  async function run({ values, compute, normal, current }) {
    const chain = spec.chains[values.steps], label = Float32Array.from(spec.labels[values.label]);
    const eta = Float32Array.of(values.eta), guidance = Float32Array.of(values.guidance);
    const noises = [normal(N * SIDE * SIDE)];
    let x_t = noises[0];
    const before = frames;
    frames = [];
    for (const [i, row] of chain.entries()) {
      const noise = normal(x_t.length), t = row[0];
      noises.push(noise);
      const { x_s, x_0 } = await compute("step", { x_t, label, chain: Float32Array.from(row), eta, guidance, noise })
        .catch((error) => { // half a picture is none
          draw((frames = before).at(-1));
          throw error;
        });
      if (!current()) return undefined;
      frames.push({ t, x_t, guess: x_0 });
      if (i + 1 === chain.length) frames.push({ t: 0, x_t: x_s, guess: x_0 });
      draw(frames.at(-1));
      Object.assign(back, { max: frames.length - 1, value: frames.length - 1, disabled: false });
      if (i + 1 < chain.length) await painted();
      x_t = x_s;
    }
    return { noises, frames, x_0: x_t };
  }

  return { element, run, draw: ({ x_t, guess }) => draw((frames = [{ t: 0, x_t, guess }])[0]) };
}

export default { render: (context) => live(context, stage) };
