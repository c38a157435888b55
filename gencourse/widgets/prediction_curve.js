// The kind of prediction that is drawn: with a mouse or a finger, or by the arrow keys.

KINDS.curve = ({ x, y }, question, choose, count = 41) => {
  const svg = make("svg", { role: "slider", tabindex: "0", "aria-valuemin": 1, "aria-valuemax": count, ...quiet,
    "aria-label": "Your curve. Draw with the mouse, or choose a place by the left and right arrow keys and a height by up and down." });
  const yours = make("path", { class: "yours" }), came = make("path", { class: "came" }), mark = make("circle", { class: "mark" });
  let now = Array(count).fill(null), result = [], last, at = 0, across = () => 0, up = across, back = () => [0, 0];

  function frame() { // axes, for the size that there is
    if (!svg.clientWidth) return; // on a slide that is not shown
    const size = em(svg), left = 3.6 * size, top = 0.6 * size, right = svg.clientWidth - size, bottom = svg.clientHeight - 2.9 * size;
    across = (i) => left + (i / (count - 1)) * (right - left);
    up = (v) => bottom - ((v - y[0]) / (y[1] - y[0])) * (bottom - top);
    back = (dx, dy) => [clamp(Math.round(((dx - left) / (right - left)) * (count - 1)), 0, count - 1),
      clamp(y[0] + ((bottom - dy) / (bottom - top)) * (y[1] - y[0]), y[0], y[1])];
    const text = (label, dx, dy, anchor, more) => make("text", { x: dx, y: dy, "text-anchor": anchor, ...more }, label);
    const middle = (top + bottom) / 2;
    mark.setAttribute("r", 0.4 * size);
    svg.replaceChildren(make("rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top }), came, yours, mark,
      text(short(x[0]), left, bottom + 1.3 * size, "middle"), text(short(x[1]), right, bottom + 1.3 * size, "end"),
      text(x[2], (left + right) / 2, bottom + 2.5 * size, "middle"), text(short(y[0]), left - 0.4 * size, bottom, "end"),
      text(short(y[1]), left - 0.4 * size, top + 0.9 * size, "end"),
      text(y[2], size, middle, "middle", { transform: `rotate(-90 ${size} ${middle})` }));
    trace();
  }
  function trace() {
    const line = (heights) => heights.map((v, i) => (v === null ? "" : `${i > 0 && heights[i - 1] !== null ? "L" : "M"}${across(i)} ${up(v)}`)).join("");
    yours.setAttribute("d", line(now));
    came.setAttribute("d", line(result));
    mark.setAttribute("cx", across(at));
    mark.setAttribute("cy", up(now[at] ?? y[0]));
    if (result.length) return;
    svg.setAttribute("aria-valuenow", at + 1);
    const height = now[at] === null ? "nothing yet" : short(now[at]);
    svg.setAttribute("aria-valuetext", `${x[2]} ${short(x[0] + (at / (count - 1)) * (x[1] - x[0]))}, ${y[2]} ${height}`);
  }
  function touch(event) {
    if (result.length) return;
    const box = svg.getBoundingClientRect(), scale = svg.clientWidth / box.width; // a deck shrinks its slides
    const [i, v] = back((event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
    const from = last ?? { i, v };
    now = [...now];
    for (let k = Math.min(from.i, i); k <= Math.max(from.i, i); k++) now[k] = i === from.i ? v : from.v + ((v - from.v) * (k - from.i)) / (i - from.i);
    last = { i, v };
    trace();
  }
  // A line is drawn from where it is begun: a finger that comes from elsewhere, and turns the slide, draws none.
  const drawing = (event) => svg.hasPointerCapture(event.pointerId);
  svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); last = undefined; touch(event); });
  svg.addEventListener("pointermove", (event) => { if (drawing(event)) touch(event); });
  svg.addEventListener("pointerup", (event) => { if (drawing(event)) choose([...now]); });
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
    trace();
  }
  const say = (answer) => `a curve from ${short(answer.find((v) => v !== null))} to ${short(answer.findLast((v) => v !== null))}`;
  const clear = button("clear", "clear the curve", () => choose(null));
  function show(heights) {
    result = heights;
    clear.remove();
    for (const name of ["tabindex", "aria-valuemin", "aria-valuemax"]) svg.removeAttribute(name);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "Your curve; dashed, what came out.");
    trace();
  }
  const resize = new ResizeObserver(frame);
  resize.observe(svg);
  return { element: make("div", {}, svg, clear), draw, say, show, close: () => resize.disconnect() };
};
