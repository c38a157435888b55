// Painting by mouse, finger or keyboard, on a square of n × n cells: brushes to choose from, strokes, and a place that
// arrow keys move; and pictures that are stored as text. Shared by the live models that one paints for.
//
// `surface` is the element that is painted on. `mark(brush, from, to)` paints a stroke between two places, [row, column]
// in cells and parts of them, and says whether anything has changed; `show(row, column)` shows where the keyboard is.

function painter({ make, surface, n, names, kind, mark, show, changed, begin = () => {} }) {
  const brushes = names.map((name, i) => make("button", { type: "button", "aria-pressed": "false",
    class: `genlib-live-brush ${kind(i)}`, "data-lm-suppress-shortcuts": "true" }, `${i + 1} ${name}`));
  let brush = 0, at = [0, 0], last, asleep = false; // last: where the stroke is, while there is one

  function choose(i) {
    brush = i;
    brushes.forEach((button, k) => button.setAttribute("aria-pressed", String(k === i)));
  }
  const paint = (from, to) => mark(brush, from, to) && changed();
  const centre = ([row, column]) => [row + 0.5, column + 0.5];
  const inside = (place) => place.every((v) => v >= 0 && v < n);
  function place({ clientX, clientY }) {
    const { left, top, width, height } = surface.getBoundingClientRect(); // scaled, in a deck
    return [(n * (clientY - top)) / height, (n * (clientX - left)) / width];
  }
  function dot(...here) { // where the keyboard is, or here
    if (asleep) return;
    if (here.length) at = here;
    begin();
    paint(centre(at), centre(at));
    show(...at);
  }

  brushes.forEach((button, i) => button.addEventListener("click", () => choose(i)));
  surface.addEventListener("pointerdown", (event) => {
    const here = place(event);
    if (asleep || event.button || !inside(here)) return;
    surface.setPointerCapture(event.pointerId);
    begin();
    show(...(at = here.map(Math.floor)), true);
    paint(here, (last = here));
  });
  surface.addEventListener("pointermove", (event) => {
    if (!last || !event.buttons) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const each of all.length ? all : [event]) paint(last, (last = place(each)));
  });
  for (const end of ["pointerup", "pointercancel"]) surface.addEventListener(end, () => { last = undefined; });
  surface.addEventListener("keydown", (event) => {
    const [row, column] = at, end = n - 1;
    const to = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [row, 0], End: [row, end] }[event.key];
    if (to && inside(to) && !asleep) {
      if (event.shiftKey) { // a line
        begin();
        paint(centre(at), centre(to));
      }
      show(...(at = to), true);
    } else if (event.key >= "1" && event.key <= String(names.length)) choose(Number(event.key) - 1);
    if (to) event.preventDefault();
  });
  return { brushes, choose, dot, sleep(still) { asleep = still; for (const button of brushes) button.disabled = still; } };
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
// A character for each number in [−1, 1], as `to_text` in live.py writes them.
const fromText = (text) => Float32Array.from(text, (digit) => DIGITS.indexOf(digit) / 31.5 - 1);
