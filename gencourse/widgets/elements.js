// What every widget's page is built from: elements, whose classes all begin with genlib-, and manners inside a deck.

const SHAPES = ["svg", "g", "path", "line", "rect", "circle", "text"];

function make(tag, attributes = {}, ...children) {
  const element = SHAPES.includes(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, name === "class" ? value.replace(/\S+/g, "genlib-$&") : value);
  }
  element.append(...children);
  return element;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const em = (element) => parseFloat(getComputedStyle(element).fontSize); // in pixels

// Keys and fingers inside a widget are the widget's: a deck would turn its slides. Escape gives the keys back.
function guard(root) {
  root.setAttribute("data-prevent-swipe", "");
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.activeElement.blur();
    if (event.key !== "Tab") event.stopPropagation();
  });
  return root;
}
