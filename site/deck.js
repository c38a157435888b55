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
  // Code that is shown has the keys that scroll, wherever the focus is; a page key that finds nothing left turns the slide.
  addEventListener("keydown", (event) => {
    const code = Reveal.getCurrentSlide()?.querySelector(".code-behind:not([hidden])");
    if (!code || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = 0.85 * code.clientHeight, was = code.scrollTop;
    const by = { ArrowUp: -60, ArrowDown: 60, PageUp: -page, PageDown: page, Home: -code.scrollHeight, End: code.scrollHeight,
      " ": event.shiftKey ? -page : page }[event.key];
    if (event.key === "Escape") toggle();
    else if (by === undefined || (event.key === " " && event.target.localName === "button")) return;
    else code.scrollTop += by;
    if (/^Page/.test(event.key) && code.scrollTop === was) return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
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
    keyboard: { 67: () => toggle(), 83: () => genlibSpeaker() },
  });
  Reveal.registerKeyboardShortcut("C", "Code behind the slide");
  Reveal.registerKeyboardShortcut("S", "Speaker's view");
  Reveal.on("slidechanged", ({ previousSlide }) => {
    const code = previousSlide?.querySelector(".code-behind");
    if (code && !code.hidden) toggle(previousSlide);
  });
  // Tab stays on the slide that is seen; on paper every slide is.
  const paper = Reveal.isPrintView();
  const keep = () => Reveal.getSlides().forEach((slide) => {
    slide.inert = slide !== Reveal.getCurrentSlide() && !Reveal.isOverview() && !paper;
    if (paper) for (const name of ["hidden", "aria-hidden"]) slide.removeAttribute(name);
  });
  for (const event of ["slidechanged", "overviewshown", "overviewhidden", "pdf-ready"]) Reveal.on(event, keep);
  keep();
  document.documentElement.dataset.ready = "true";
});
