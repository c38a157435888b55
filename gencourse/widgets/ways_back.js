// The panel of ways_back.py, put between panels.js and explorer.js: particles walk over a density, from noise to data.

// Tables: `density` (levels, height), uint8, the same levels for every number of steps n, the first that of noise, the
// lowest x first, 255 being a density of `top`; and of each choice `paths` (n + 1, particles), int16, ±`unit` of which are
// the ends ±`reach` of the x axis, and `counts` (n + 1, bins), uint8, as the density. Of the n steps, those are shown that
// the control `taken` counts.
function ways(panel) {
  const caption = make("div", { class: "caption" });
  const names = legend(caption, panel.legend.slice(0, 2), "square").map(({ name }) => name);
  legend(caption, panel.legend.slice(2), "dot");
  const colours = panel.legend.slice(2).map(([color]) => color);
  const canvas = make("canvas"), axes = make("g"), walked = make("svg", { preserveAspectRatio: "none" });
  const line = make("line", { class: "marker" });
  const bars = make("path", { class: "bars" }), curve = make("path", { class: "curve", stroke: panel.legend[0][0] });
  const trails = colours.map((stroke) => make("path", { class: "trail", stroke }));
  const dots = colours.map((stroke) => make("path", { class: "dots", stroke }));
  const svg = make("svg", { role: "img" }, axes, walked, line, ...dots, bars, curve);
  const element = make("div", { class: "figure" }, caption, make("div", { class: "ways" }, canvas, svg));
  walked.append(make("g", { transform: "scale(1 -1)" }, ...trails));
  let left, right, top, bottom, base, end; // of the ways; from base to end, the histogram

  const tenth = (v) => Math.round(10 * v) / 10;
  const x = (share) => left + share * (right - left); // 0: noise, 1: data
  const y = (share) => bottom - share * (bottom - top);
  const rise = (share) => base + share * (end - base);

  function frame({ tables, values }) {
    const size = em(svg), width = svg.clientWidth, height = svg.clientHeight, n = values[panel.steps];
    [left, right, top] = [2.2 * size, Math.max(0.72 * width - 1.2 * size, 60), 0.6 * size];
    [bottom, base, end] = [Math.max(height - 2.9 * size, top + 40), right + 1.6 * size, width - 1.2 * size];
    const under = bottom + 1.3 * size;
    const taken = []; // a name of a level keeps clear of those before it
    const marks = panel.levels.filter(([at, text]) => {
      const half = (0.3 * text.length + 0.4) * size, free = taken.every(([u, far]) => Math.abs(x(at) - u) > half + far);
      if (free) taken.push([x(at), half]);
      return free;
    });
    const name = (at, text) => make("text", { x: at, y: under, "text-anchor": "middle" }, text);
    const steps = n > 32 ? 0 : n; // more would be a grey field
    axes.replaceChildren(
      ...Array.from({ length: steps }, (_, k) => make("line", { class: "grid", x1: x(k / n), x2: x(k / n), y1: top, y2: bottom })),
      make("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}V${top}M${end} ${bottom}H${base}V${top}` }),
      ...[...ticks(-panel.reach, panel.reach), "x"].map((v) => make("text", { x: left - 0.5 * size, "text-anchor": "end",
        y: v === "x" ? top + 0.6 * size : y((v / panel.reach + 1) / 2) + 0.35 * size }, v === "x" ? v : show(v))),
      ...marks.flatMap(([at, text]) => [
        make("line", { class: "axis", x1: x(at), x2: x(at), y1: bottom, y2: bottom + 0.3 * size }), name(x(at), text)]),
      name(base, "0"), name(end - 0.3 * size, show(panel.top)),
      ...[[x(0.5), panel.label], [rise(0.5), "density"]].map(([at, text]) => make(
        "text", { x: at, y: bottom + 2.5 * size, "text-anchor": "middle" }, text)));
    const { data, shape: [levels, rows] } = tables.density, ink = Number(`0x${panel.legend[0][0].replace(/#(..)(..)(..)/, "$3$2$1")}`);
    Object.assign(canvas, { width: levels, height: rows });
    Object.assign(canvas.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
    paint(canvas, (i) => ((0.75 * data[(i % levels) * rows + rows - 1 - Math.floor(i / levels)]) << 24 >>> 0) + ink);
    for (const [key, v] of Object.entries({ x: left, y: top, height: bottom - top })) walked.setAttribute(key, v);
    Object.entries({ y1: top, y2: bottom }).forEach((pair) => line.setAttribute(...pair));
  }

  function walk({ data, shape: [places, many] }) { // whole paths, of which `walked` shows a part
    const lines = colours.map(() => "");
    for (let i = 0; i < many; i++) {
      let d = `M0 ${data[i]}L`;
      for (let k = 1; k < places; k++) d += `${k} ${data[k * many + i]} `;
      lines[data[i] > 0 ? 0 : 1] += d;
    }
    trails.forEach((trail, c) => trail.setAttribute("d", lines[c]));
  }

  function draw(state, fresh) {
    const { paths, counts, density } = state.tables, n = state.values[panel.steps], k = state.values[panel.taken];
    if (fresh) [frame(state), walk(paths)];
    const here = x(k / n), many = paths.shape[1], bins = counts.shape[1], rows = density.shape[1];
    walked.setAttribute("width", here - left);
    walked.setAttribute("viewBox", `0 ${-panel.unit} ${Math.max(k, 1)} ${2 * panel.unit}`);
    ["x1", "x2"].forEach((key) => line.setAttribute(key, here));
    const places = colours.map(() => "");
    for (let i = 0; i < many; i++) {
      const share = (paths.data[k * many + i] / panel.unit + 1) / 2;
      if (share >= 0 && share <= 1) places[paths.data[i] > 0 ? 0 : 1] += `M${tenth(here)} ${tenth(y(share))}h0`;
    }
    dots.forEach((dot, c) => dot.setAttribute("d", places[c]));
    let d = `M${base} ${bottom}`;
    for (let b = 0; b < bins; b++) d += `H${tenth(rise(counts.data[k * bins + b] / 255))}V${tenth(y((b + 1) / bins))}`;
    bars.setAttribute("d", `${d}H${base}Z`);
    const start = Math.round((k / n) * (density.shape[0] - 1)) * rows;
    const point = (q, b) => `${tenth(rise(q / 255))} ${tenth(y((b + 0.5) / rows))}`;
    curve.setAttribute("d", `M${Array.from(density.data.subarray(start, start + rows), point).join("L")}`);
    names.forEach((text, i) => setText(text, fill(panel.legend[i][1], state)));
    svg.setAttribute("aria-label", fill(panel.alt, state));
  }
  return { element, draw };
}

Object.assign(PANELS, { ways });
