// In one slide of a deck: what lies outside it, what is cut, what lies on something else, and what is too small to be read
// from the last row. tools/slides.py runs it for every slide.
([slide, least]) => {
  const faults = new Set(), frame = slide.getBoundingClientRect(), scale = frame.width / 1280;
  const unseen = "aside, .code-behind, mjx-assistive-mml, script, style, option, [hidden], .genlib-unseen";
  const tell = (el, what) => {
    const name = `${el.localName}.${el.className?.baseVal ?? el.className}`.replace(/[ .]+$/, "");
    faults.add(`${name} ${what}: ${(el.alt ?? el.textContent).trim().slice(0, 40)}`);
  };

  for (const el of slide.querySelectorAll("*")) {
    const box = el.getBoundingClientRect(), style = getComputedStyle(el);
    if (el.closest(unseen) || !box.width || !box.height) continue;

    const sides = [frame.left - box.left, box.right - frame.right, frame.top - box.top, box.bottom - frame.bottom];
    const over = Math.round(Math.max(...sides) / scale);
    if (over > 1 && !el.parentElement.closest("mjx-container svg")) tell(el, `lies ${over} px outside`);

    const scrolls = el.scrollWidth > el.clientWidth + 1 || el.scrollHeight > el.clientHeight + 1;
    const box_of_words = !el.closest("svg") && !["input", "select", "canvas", "img"].includes(el.localName);
    if (style.overflow !== "visible" && scrolls && box_of_words) tell(el, "is cut");

    const words = [...el.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (words && /[$\\]/.test(el.textContent) && !el.closest("pre, code, [class*=genlib]")) tell(el, "holds raw TeX");
    if (words && !el.closest("mjx-container, sub, sup") && !el.matches("[baseline-shift]")) {
      const size = parseFloat(style.fontSize) * (el.ownerSVGElement ? el.getScreenCTM().d / scale : 1);
      if (size < least - 0.05) tell(el, `has ${size.toFixed(1)} px`);
    }
    if (el.localName === "img" && el.dataset.text) { // the size of a figure's smallest text, at its stored width
      const shown = Math.min(box.width, (box.height * el.naturalWidth) / el.naturalHeight) / scale;
      const size = (el.dataset.text * shown) / el.getAttribute("width");
      if (size < least - 0.05) tell(el, `has text of ${size.toFixed(1)} px`);
    }
  }
  for (const block of slide.querySelectorAll(".body, .column, .output")) {
    const bottom = Math.max(...[...block.children].map((part) => part.getBoundingClientRect().bottom));
    const over = Math.round((bottom - block.getBoundingClientRect().bottom) / scale);
    if (over > 1) tell(block, `holds ${over} px too much`);
  }
  return [...faults];
}
