// The speaker's view, a window of its own: the slide and the next one, the notes with their formulas, and the pace,
// planned against elapsed. It shows copies, so that it needs no server and is there at once. deck.js opens it with s.
globalThis.genlibSpeaker = (() => {
  const PAGE = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Speaker's view</title></head>
<body class="speaker"><header>
  <p><b id="where"></b> <span id="section"></span> <span id="optional">skip if late</span></p>
  <p id="pace" role="status"></p>
  <p id="times"></p>
  <p><button id="here" type="button">Time starts at this slide</button> <span id="clock"></span></p>
</header><main>
  <div><div class="frame" id="now"></div><div id="then"><p id="next"></p><div class="frame" id="coming"></div></div></div>
  <div id="notes" tabindex="0" role="region" aria-label="notes"></div>
</main></body></html>`;
  const KEPT = `genlib-began ${location.pathname}`; // when the talk began, kept where the deck is loaded again
  let view, slides, ends, drawn, ticking;

  const place = (id) => view.document.getElementById(id);
  const clock = (seconds) => `${seconds < 0 ? "−" : ""}${Math.floor(Math.abs(seconds) / 60)}:${String(Math.floor(Math.abs(seconds) % 60)).padStart(2, "0")}`;
  const minutes = (seconds) => `${Math.round(seconds / 6) / 10} min`;
  const began = () => Number(sessionStorage.getItem(KEPT)) || undefined;
  const begin = (before = 0) => sessionStorage.setItem(KEPT, Date.now() - 1000 * before); // `before`: seconds of the plan

  function copy(slide, all) { // as it stands, drawings included; `all`: with what comes by and by
    const twin = slide.cloneNode(true), drawings = slide.querySelectorAll("canvas");
    twin.querySelectorAll("aside, script, button").forEach((part) => part.remove());
    twin.querySelectorAll("canvas").forEach((canvas, i) => {
      if (drawings[i].width && drawings[i].height) canvas.getContext("2d").drawImage(drawings[i], 0, 0);
    });
    if (all) {
      twin.querySelectorAll(".fragment").forEach((part) => part.classList.add("visible"));
      twin.querySelectorAll(".genlib-widget").forEach((widget) => (widget.textContent = "(a widget, drawn when its slide is shown)"));
    }
    twin.className = `${slide.classList.contains("title") ? "title " : ""}present`;
    twin.hidden = false;
    twin.inert = true;
    twin.style.display = "flex";
    const frame = view.document.createElement("div");
    frame.className = "reveal";
    frame.innerHTML = '<div class="slides"></div>';
    frame.firstChild.append(twin);
    return frame;
  }

  function fit() { // slides of 1280 by 720 into their frames
    for (const id of ["now", "coming"]) place(id).style.setProperty("--scale", place(id).clientWidth / 1280);
  }

  function draw() { // only when something on the slide has changed
    const i = Reveal.getSlidePastCount(), slide = slides[i], following = slides[i + 1];
    const state = JSON.stringify([i, slide.querySelectorAll(".fragment.visible").length]);
    if (state === drawn) return;
    const turned = JSON.parse(drawn ?? "[-1]")[0] !== i;
    drawn = state;
    place("now").replaceChildren(copy(slide));
    if (!turned) return;
    place("coming").replaceChildren(...(following ? [copy(following, true)] : []));
    place("next").textContent = following ? "next" : "the last slide";
    place("notes").innerHTML = slide.querySelector("aside.notes")?.innerHTML ?? "";
    place("notes").scrollTop = 0;
    place("where").textContent = `${i + 1} / ${slides.length}`;
    place("section").textContent = slide.querySelector(".marker")?.textContent ?? "";
    place("optional").hidden = !("optional" in slide.dataset);
    fit();
  }

  function tell() { // how far one is, and how far one should be
    const i = Reveal.getSlidePastCount(), end = ends[i], start = end - slides[i].dataset.timing, all = ends.at(-1);
    const elapsed = began() ? (Date.now() - began()) / 1000 : 0;
    const late = elapsed > end ? elapsed - end : elapsed < start ? elapsed - start : 0; // negative: ahead
    const due = Math.max(0, ends.findIndex((one) => one > elapsed));
    const words = !began() ? "time starts with slide 2" : late > 0 ? `${clock(late)} behind` : late < 0 ? `${clock(-late)} ahead` : "on time";
    place("pace").textContent = words;
    place("pace").className = late > 60 ? "behind" : late < -60 ? "ahead" : "";
    const plan = elapsed < all ? `by the plan now at slide ${due + 1}` : "by the plan now at the end";
    const spare = slides.slice(i + 1).reduce((sum, one) => sum + ("optional" in one.dataset ? Number(one.dataset.timing) : 0), 0);
    place("times").innerHTML = `<b>${clock(elapsed)}</b> of ${clock(all)}${began() ? ` · ${plan}` : ""} · this slide ${minutes(end - start)}, `
      + `until ${clock(end)}; then ${minutes(all - end)}${spare ? `, of which ${minutes(spare)} can be skipped` : ""}`;
    place("clock").textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  }

  function close() {
    clearInterval(ticking);
    Reveal.off("slidechanged", turned);
    for (const event of ["fragmentshown", "fragmenthidden"]) Reveal.off(event, draw);
  }
  function turned() {
    if (!began() && Reveal.getSlidePastCount() > 0) begin();
    draw();
    tell();
  }

  function open() {
    if (view && !view.closed) return view.focus();
    view = globalThis.open("", "genlib-speaker", "width=1200,height=760");
    if (!view) return alert("The speaker's view is a window of its own: let this page open one.");
    view.document.open();
    view.document.write(PAGE);
    view.document.close();
    for (const style of document.head.querySelectorAll("style, link[rel=stylesheet]")) {
      const twin = view.document.importNode(style, true);
      if (style.href) twin.href = style.href; // in full: the window has no address of its own
      view.document.head.append(twin);
    }
    slides = Reveal.getSlides();
    let sum = 0;
    ends = slides.map((slide) => (sum += Number(slide.dataset.timing)));
    drawn = undefined;
    place("here").addEventListener("click", () => { begin(ends[Reveal.getSlidePastCount() - 1] ?? 0); tell(); });
    view.addEventListener("keydown", (event) => { // keys turn the deck's slides; the notes have the arrows up and down
      if (event.target.id === "here" || (event.target.id === "notes" && /^(Arrow(Up|Down)|Home|End)$/.test(event.key))) return;
      if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
      event.preventDefault();
      if (event.key !== "s") Reveal.triggerKey(event.keyCode);
    });
    new view.ResizeObserver(fit).observe(place("now")); // also when styles have come
    Reveal.on("slidechanged", turned);
    for (const event of ["fragmentshown", "fragmenthidden"]) Reveal.on(event, draw);
    ticking = setInterval(() => (view.closed ? close() : (drawWidgets(), tell())), 1000);
    addEventListener("pagehide", () => { if (!view.closed) place("pace").textContent = "the deck was left: press s in it again"; });
    turned();
    return view;
  }

  function drawWidgets() { // what a widget or a live model has drawn since
    const slide = Reveal.getCurrentSlide();
    if (slide.querySelector(".genlib-widget")) place("now").replaceChildren(copy(slide));
  }

  return open;
})();
