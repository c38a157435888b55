// The panel of the widget of learned losses, put between panels.js and explorer.js: curves over positions.

// As `curves`, but entry i of a table belongs to the position x.low + i · x.step, and that is what the axis says.
function profiles(panel) {
  const { element, draw } = curves(panel);
  const position = (i) => show(panel.x.low + i * panel.x.step);
  return { element, draw(state, fresh) {
    draw(state, fresh);
    if (!fresh) return;
    const texts = [...element.querySelectorAll('text[text-anchor="middle"]')];
    for (const text of texts) if (text.textContent !== panel.x.label) setText(text, position(Number(text.textContent)));
  } };
}

PANELS.profiles = profiles;
