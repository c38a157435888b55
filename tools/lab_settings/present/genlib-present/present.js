// JupyterLab for a room: presentation mode, side bars closed, text and figures as large as the window lets them be.
// It is a container as JupyterLab loads one (init, get), written by hand, so that nothing has to be built.

const STYLE = `
  .jp-mod-presentationMode {
    --jp-content-presentation-font-size1: clamp(20px, 1.6vw, 40px);
    --jp-code-presentation-font-size: clamp(18px, 1.4vw, 36px);
    --genlib-size: clamp(18px, 1.4vw, 36px);
    --genlib-height: max(580px, calc(100vh - 140px));
  }
  .jp-mod-presentationMode .jp-Notebook .jp-Cell:not(#_) :is(.jp-InputPrompt, .jp-OutputPrompt) {
    flex: 0 0 16px; min-width: 0; visibility: hidden;
  }
  .jp-mod-presentationMode .genlib-explorer { max-width: none; }
  .jp-mod-presentationMode img[data-text] {
    zoom: var(--genlib-zoom); max-width: 100%; max-height: calc((100vh - 150px) / var(--genlib-zoom));
    object-fit: contain; object-position: left;
  }
`;
const WIDEST = 880; // pixels: a figure of genlib's on a page
const AROUND = 110; // pixels beside a cell's output

function activate(app) {
  document.head.append(Object.assign(document.createElement("style"), { textContent: STYLE }));
  const zoom = () => document.body.style.setProperty("--genlib-zoom", Math.max(1, (innerWidth - AROUND) / WIDEST));
  addEventListener("resize", zoom);
  zoom();
  Promise.all([app.restored, app.allPluginsActivated]).then(() => {
    const { shell } = app;
    shell.presentationMode = true;
    shell.collapseLeft();
    shell.collapseRight();
    if (shell.isSideTabBarVisible("right")) shell.toggleSideTabBarVisibility("right");
    for (const bar of shell.widgets("bottom")) bar.hide();
  });
}

window._JUPYTERLAB ??= {};
window._JUPYTERLAB["genlib-present"] = {
  init() {},
  async get() {
    return () => ({ id: "genlib-present:plugin", autoStart: true, activate });
  },
};
