// Formulas break their lines where the page is narrow; what is still wider than its place can be reached by the keyboard,
// says so, and shows how far it goes on; figures open in their full size.
(() => {
  const KINDS = {
    "div.math": "formula", "span.math": "formula", "div.highlight pre": "code", "div.cell_output .output": "output",
    ".cell_output pre": "output", ".pst-scrollable-table-container": "table", "dl.py > dt": "signature",
  };
  const OURS = "genlibScrolls"; // on what we made a stop of the tab key

  function mark() {
    for (const [selector, kind] of Object.entries(KINDS))
      for (const box of document.querySelectorAll(`.bd-article ${selector}`)) {
        const wide = box.scrollWidth > box.clientWidth + 1 && box.clientWidth > 0;
        box.classList.toggle("genlib-scrolls", wide);
        if (wide) at(box);
        if (wide && !box.hasAttribute("tabindex")) {
          box.tabIndex = 0;
          if (!box.hasAttribute("role")) box.setAttribute("role", "group");
          if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", `${kind}, scrolls sideways`);
          box.dataset[OURS] = "";
        } else if (!wide && OURS in box.dataset) {
          for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
          delete box.dataset[OURS];
        }
      }
  }
  function at(box) { // how much of it is seen, and where: the style draws it
    const { clientWidth: seen, scrollWidth: all, scrollLeft: left } = box;
    box.style.setProperty("--seen", `${Math.round((100 * seen) / all)}%`);
    box.style.setProperty("--at", `${Math.round((100 * left) / (all - seen))}%`);
    box.style.setProperty("--before", left > 2 ? 1 : 0);
    box.style.setProperty("--after", left < all - seen - 2 ? 1 : 0);
  }

  // -- Formulas
  const widths = new WeakMap(); // of a formula's place, as it was set
  const place = (item) => item.start.node?.parentElement?.closest(":not(span, em, strong, a, b, i, code, sub)");
  async function lines() { // where the place has another width than when it was set
    const items = [...(globalThis.MathJax?.startup?.document?.math ?? [])];
    const width = new Map(items.map((item) => [item, place(item)?.clientWidth ?? 0]));
    const stale = items.filter((item) => width.get(item) && width.get(item) !== (widths.get(item) ?? width.get(item)));
    await again(stale, (tex) => tex.replaceAll("\\break ", "\\goodbreak "));
    const broken = items.filter((item) => stale.includes(item) || !widths.has(item)).filter(
      ({ display, math, typesetRoot }) => display && math.includes("\\goodbreak ") && typesetRoot?.querySelector("[data-mjx-lineno='1']"));
    await again(broken, (tex) => tex.replaceAll("\\goodbreak ", "\\break ")); // it ends its lines there, if anywhere
    for (const item of items) widths.set(item, width.get(item));
  }
  async function again(items, rewritten) {
    if (!items.length) return;
    const math = MathJax.startup.document, { STATE } = MathJax._.core.MathItem;
    for (const item of items) {
      const tex = rewritten(item.math), same = tex === item.math;
      item.state(same ? STATE.METRICS - 1 : STATE.COMPILED - 1);
      item.math = tex;
    }
    math.processed.reset();
    math.processed.set("findMath"); // those that there are, no others
    await math.renderPromise();
  }
  function shrink() { // formulas that cannot be broken, and are a little too wide
    for (const box of document.querySelectorAll(".bd-article div.math")) {
      box.style.fontSize = "";
      for (let size = 100; box.scrollWidth > box.clientWidth && size > 72 && box.clientWidth; box.style.fontSize = `${size}%`)
        size = Math.floor((size * box.clientWidth) / box.scrollWidth) - 1;
    }
  }
  const NARROW = matchMedia("(max-width: 45rem)");
  function stack() { // on a phone, the rows of a table that is too wide become blocks, each cell below its column's name
    for (const box of document.querySelectorAll(".bd-article .pst-scrollable-table-container")) {
      const table = box.querySelector("table"), names = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
      table.classList.remove("genlib-stacked");
      if (!NARROW.matches || box.scrollWidth <= box.clientWidth + 1) continue;
      table.classList.add("genlib-stacked");
      table.setAttribute("role", "table"); // which the style would take away
      for (const row of table.rows) {
        row.setAttribute("role", "row");
        [...row.cells].forEach((cell, i) => {
          cell.setAttribute("role", cell.tagName === "TH" ? "columnheader" : "cell");
          cell.dataset.name = cell.textContent.trim() ? names[i] ?? "" : "";
        });
      }
    }
  }
  let settled = Promise.resolve();
  const settle = () => (settled = settled.then(lines).then(shrink).then(stack).then(mark));

  // -- Outputs and figures
  function outputs() {
    for (const pre of document.querySelectorAll(".bd-article .cell_output pre"))
      pre.classList.add(/\S {2,}\S/.test(pre.textContent) ? "genlib-columns" : "genlib-lines");
    for (const code of document.querySelectorAll(".bd-article td code")) // a name stays whole
      code.classList.toggle("genlib-name", code.textContent.length < 14);
    for (const figure of document.querySelectorAll('.bd-article .cell_output img[src^="data:image/png"]:not(.genlib-widget *)')) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "genlib-larger", textContent: "Larger" });
      button.addEventListener("click", () => enlarge(figure));
      figure.addEventListener("click", () => button.checkVisibility?.() !== false && enlarge(figure));
      figure.after(button);
    }
  }
  function enlarge(figure) {
    const shown = Object.assign(document.createElement("dialog"), { className: "genlib-enlarged" });
    shown.setAttribute("aria-label", "Figure");
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
    close.addEventListener("click", () => shown.close());
    const box = document.createElement("div"), picture = figure.cloneNode();
    box.tabIndex = 0; // it scrolls
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Figure, scrolls sideways");
    picture.removeAttribute("id");
    box.append(picture);
    shown.append(close, box);
    shown.addEventListener("close", () => shown.remove());
    document.body.append(shown);
    shown.showModal();
  }

  document.addEventListener("click", ({ target }) => { // the page's contents, over the page on a phone, give way to it
    target.closest("dialog[open] a[href^='#']")?.closest("dialog").close();
  });

  function name() { // what the theme's controls are called
    for (const summary of document.querySelectorAll(".bd-links summary"))
      summary.setAttribute("aria-label", `Pages below ${summary.closest("li").querySelector("a").textContent.trim()}`);
    document.querySelectorAll(".search-button-field[aria-label]").forEach((box) => box.removeAttribute("aria-label"));
  }

  function fold({ key, target }) { // the theme's menu, after a choice and by Escape
    const menu = document.querySelector(".dropdown-menu.show");
    if (!menu || !(key === "Escape" || target.closest(".theme-change-button"))) return;
    const button = menu.parentElement.querySelector(".dropdown-toggle");
    for (const part of [menu, button]) part.classList.remove("show");
    button.setAttribute("aria-expanded", false);
    button.focus();
  }

  let waiting;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(settle, 150); };
  addEventListener("load", async () => {
    outputs();
    name();
    await globalThis.MathJax?.startup?.promise;
    await settle();
    document.documentElement.dataset.genlib = "ready"; // for those who print or measure the page
  });
  addEventListener("click", fold);
  addEventListener("keydown", fold);
  addEventListener("resize", soon);
  addEventListener("toggle", settle, true);
  addEventListener("scroll", ({ target }) => target.classList?.contains("genlib-scrolls") && at(target), { capture: true, passive: true });
  globalThis.genlibPage = { settle, lines };
})();
