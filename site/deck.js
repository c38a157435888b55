// A deck: mathematics first, then reveal.js; the code behind a slide at the press of c; keys that belong to a widget.
addEventListener("DOMContentLoaded", async () => {
  await MathJax.startup.promise;
  await MathJax.typesetPromise();

  const toggle = (slide = Reveal.getCurrentSlide()) => {
    const code = slide.querySelector(".code-behind");
    if (!code) return;
    code.hidden = !code.hidden;
    slide.querySelector(".show-code").setAttribute("aria-expanded", String(!code.hidden));
    if (code.hidden) document.activeElement?.blur();
    else code.focus();
  };
  for (const button of document.querySelectorAll(".show-code")) {
    button.addEventListener("click", () => toggle(button.closest("section")));
  }
  // Keys pressed inside a widget are its own; Esc leaves it.
  for (const place of document.querySelectorAll(".genlib-widget")) {
    place.dataset.preventSwipe = "";
    place.addEventListener("keydown", (event) => {
      if (event.key === "Escape") document.activeElement.blur();
      event.stopPropagation();
    });
  }

  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4,
    display: "flex", center: false, hash: true, transition: "none", slideNumber: "c/t", controlsTutorial: false,
    pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1,
    keyboard: { 67: () => toggle() }, plugins: [RevealNotes],
  });
  Reveal.registerKeyboardShortcut("C", "Code behind the slide");
  Reveal.on("slidechanged", ({ previousSlide }) => {
    const code = previousSlide?.querySelector(".code-behind");
    if (code && !code.hidden) toggle(previousSlide);
  });
  document.documentElement.dataset.ready = "true";
});
