// Widgets on a page without a kernel: each `.genlib-widget` holds the stored state of an anywidget, which is shown here
// by the widget's own module, as JupyterLab would show it. A message to the kernel stays without an answer.
// A classic script, so that a page opened as a file runs it as well.
(() => {
  const bytes = (base64) => new DataView(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);

  function opened({ state, buffers }) { // the state, with the buffers in their places
    for (const [path, base64] of buffers) {
      const last = path.at(-1), inside = path.slice(0, -1).reduce((part, key) => part[key], state);
      inside[last] = bytes(base64);
    }
    return state;
  }

  function makeModel(state) { // as much of anywidget's model as there is without a kernel
    const handlers = new Map();
    const fire = (event) => [...(handlers.get(event) ?? [])].forEach((f) => f());
    return {
      get: (name) => state[name],
      set(name, value) {
        if (state[name] === value) return;
        state[name] = value;
        fire(`change:${name}`);
        fire("change");
      },
      save_changes() {},
      send() {},
      on: (event, f) => handlers.set(event, (handlers.get(event) ?? new Set()).add(f)),
      off: (event, f) => (f ? handlers.get(event)?.delete(f) : event ? handlers.delete(event) : handlers.clear()),
    };
  }

  const styles = new Set(); // each widget's style once
  async function show(place) {
    const stored = place.querySelector(".genlib-state");
    if (!stored) return;
    const state = opened(JSON.parse(stored.textContent));
    if (state._css && !styles.has(state._css)) {
      styles.add(state._css);
      document.head.append(Object.assign(document.createElement("style"), { textContent: state._css }));
    }
    const url = URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" }));
    try {
      const widget = (await import(url)).default;
      const model = makeModel(state), el = document.createElement("div");
      const { initialize, render } = typeof widget === "function" ? await widget() : widget;
      await initialize?.({ model });
      place.replaceChildren(el); // an explorer draws only where it can be seen
      await render({ model, el });
    } catch (error) { // the still picture stays
      console.error(error);
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  globalThis.genlibWidgets = Promise.allSettled(
    document.readyState === "loading"
      ? [new Promise((done) => addEventListener("DOMContentLoaded", done))] : [],
  ).then(() => Promise.all([...document.querySelectorAll(".genlib-widget")].map(show)));
})();
