// What is wider than its place can be reached by the keyboard, and says so.
(() => {
  const KINDS = {
    "div.math": "formula", "span.math": "formula", "div.highlight pre": "code", "div.cell_output .output": "output",
    ".cell_output pre": "output", ".pst-scrollable-table-container": "table", "dl.py > dt": "signature",
  };

  function mark() {
    for (const [selector, kind] of Object.entries(KINDS))
      for (const box of document.querySelectorAll(`.bd-article ${selector}`)) {
        const wide = box.scrollWidth > box.clientWidth + 1;
        box.classList.toggle("genlib-scrolls", wide);
        if (wide && !box.hasAttribute("tabindex")) {
          box.tabIndex = 0;
          if (!box.hasAttribute("role")) box.setAttribute("role", "group");
          if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", `${kind}, scrolls sideways`);
        }
      }
  }
  function name() { // what the theme's controls are called
    for (const summary of document.querySelectorAll(".bd-links summary"))
      summary.setAttribute("aria-label", `Pages below ${summary.closest("li").querySelector("a").textContent.trim()}`);
    document.querySelectorAll(".search-button-field[aria-label]").forEach((box) => box.removeAttribute("aria-label"));
  }

  let waiting;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(mark, 150); };
  addEventListener("load", async () => {
    await globalThis.MathJax?.startup?.promise;
    mark();
    name();
    document.documentElement.dataset.genlib = "ready"; // for those who print or measure the page
  });
  addEventListener("resize", soon);
  addEventListener("toggle", soon, true);
})();
