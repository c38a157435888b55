// A page of the site as paper: folded answers go into an appendix, with numbers and links both ways; formulas and tables
// that are wider than the paper become smaller. tools/handouts.py runs this in the page before it prints.
globalThis.genlibPaper = {
  // `worked` is HTML: the exercises' worked answers, each already a .genlib-answer; empty where there are none.
  prepare(worked) {
    const article = document.querySelector("article.bd-article");
    for (const sheet of document.querySelectorAll('link[rel="stylesheet"]')) if (!sheet.href.includes("pygments")) sheet.remove();
    document.documentElement.dataset.theme = "light";
    const strokes = document.getElementById("MJX-SVG-global-cache")?.closest("svg"); // MathJax's letters, used by all formulas
    document.body.replaceChildren(...(strokes ? [strokes, article] : [article]));
    article.querySelectorAll("[tabindex]").forEach((box) => box.removeAttribute("tabindex"));
    article.querySelectorAll(".genlib-scrolls").forEach((box) => box.classList.remove("genlib-scrolls"));
    for (const role of ["group", "alert", "status"])
      article.querySelectorAll(`[role="${role}"]`).forEach((box) => { box.removeAttribute("role"); box.removeAttribute("aria-label"); });

    const answers = [];
    for (const details of article.querySelectorAll("details")) {
      if (details.parentElement.closest("details")) continue; // goes with the one around it
      const n = answers.length + 1, summary = details.querySelector(":scope > summary");
      const asked = summary.innerHTML;
      summary.remove();
      const answer = this.html("div", `genlib-answer`, `<h3>Answer ${n}</h3>`);
      answer.id = `answer-${n}`;
      answer.append(...details.childNodes, this.html("p", "genlib-to", `<a href="#question-${n}">Back to ${n} in the text</a>`));
      answer.querySelectorAll("details").forEach((inner) => (inner.open = true));
      const short = /^\s*(Answer|Hint|A hint)s?\.?\s*$/i.test(summary.textContent);
      const to = this.html("p", "genlib-to", `${short ? "" : asked + " "}<a href="#answer-${n}">${short ? summary.textContent.trim() : "Answer"} ${n}, in the appendix</a>`);
      to.id = `question-${n}`;
      details.replaceWith(to);
      answers.push(answer);
    }
    if (!answers.length && !worked) return;
    const appendix = this.html("section", "genlib-appendix", answers.length ? "<h2>Appendix: answers</h2>" : "");
    appendix.append(...answers);
    if (worked) appendix.append(...this.html("div", "", `<h2>Appendix: worked answers of the exercises</h2>${worked}`).childNodes);
    article.append(appendix);
    for (const answer of appendix.querySelectorAll(".genlib-worked")) { // an exercise leads to its answer, and back
      const name = answer.dataset.name;
      const cell = [...article.querySelectorAll("div.cell")].find((each) => each.textContent.includes(`checks.exercise("${name}"`));
      if (!cell || appendix.contains(cell)) continue;
      cell.id = `exercise-${name}`;
      answer.id = `worked-${name}`;
      cell.after(this.html("p", "genlib-to", `<a href="#worked-${name}">Worked answer, in the appendix</a>`));
      answer.append(this.html("p", "genlib-to", `<a href="#exercise-${name}">Back to the exercise</a>`));
    }
  },

  html(tag, className, inner) {
    return Object.assign(document.createElement(tag), { className, innerHTML: inner });
  },

  // Everything at most `width` pixels wide; what still is wider is returned.
  async fit(width) {
    document.documentElement.style.setProperty("--paper", `${width}px`);
    await globalThis.genlibPage?.lines();
    const boxes = [...document.querySelectorAll("div.math mjx-container, span.math mjx-container, table, .cell_output .output > div")];
    for (const box of boxes) box.style.zoom = "";
    for (const box of boxes) {
      const left = box.getBoundingClientRect().left, least = parseFloat(getComputedStyle(box).minWidth) || 0;
      const svg = box.matches("mjx-container") ? box.querySelector("svg").getBoundingClientRect().width : 0;
      const wide = Math.max(box.scrollWidth, svg, least), room = box.matches("span *") ? width - 40 : width - left;
      if (wide <= room + 0.5) continue;
      const zoom = box.style.zoom = Math.floor((room / wide) * 99) / 100;
      const now = box.getBoundingClientRect().width; // what a least width in letters makes of it
      if (now > room) box.style.zoom = Math.floor(zoom * (room / now) * 99) / 100;
    }
    const cut = [];
    for (const box of document.querySelectorAll("article *")) {
      if (box.parentElement.closest("svg") || box.closest("mjx-assistive-mml")) continue; // part of the svg around it
      const { left, right, width: w } = box.getBoundingClientRect();
      const hides = box.tagName !== "svg" && !box.matches("mjx-container, mjx-container *") &&
        getComputedStyle(box).overflowX !== "visible" && box.scrollWidth > box.clientWidth + 1;
      if (w && (left < -1 || right > width + 1 || hides))
        cut.push(`${box.tagName.toLowerCase()}.${box.className} ${Math.round(left)}..${Math.round(right)}: ${box.textContent.slice(0, 60)}`);
    }
    return cut;
  },
};
