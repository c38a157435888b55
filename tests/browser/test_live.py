"""Trained networks in the page: they agree with PyTorch, load when asked for, and stand still where they must."""

import base64
import gzip
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import live
import pytest
import torch
import web
from torch import Tensor
from widget_page import ready, value, write_deck, write_page

from gencourse.widgets import FlowBothWays
from gencourse.widgets.live import from_text, normals
from genlib import diffusion, gan

FOLDER = "live/"
WITH_ASSETS = f"globalThis.genlibLive = {{ base: '{FOLDER}' }};"
# What a widget says of each picture, in plain lists.
WATCH = """document.addEventListener("live:drawn", ({ detail }) => {
  const plain = (x) => ArrayBuffer.isView(x) ? [...x] : Array.isArray(x) ? x.map(plain)
    : x && typeof x === "object" ? Object.fromEntries(Object.entries(x).map(([k, v]) => [k, plain(v)])) : x;
  (globalThis.drawn ??= []).push(plain(detail));
});"""
INK = "k => [...document.querySelectorAll('canvas')].at(k).toDataURL()"
BUTTON = ".genlib-live-controls > button"
# A model as anywidget hands it to `render`, whose kernel is the widget in the test's own process.
KERNEL = """async ([esm, state, values]) => {
  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const encode = (buffer) => btoa(Array.from(new Uint8Array(buffer), (c) => String.fromCharCode(c)).join(""));
  state.still.data = new DataView(bytes(state.still.data).buffer);
  const handlers = {}, all = { ...state, ...values };
  const fire = (name, ...args) => (handlers[name] ?? []).forEach((f) => f(...args));
  globalThis.model = { get: (name) => all[name], save_changes() {},
    set(name, value) { all[name] = value; fire(`change:${name}`); },
    on: (name, f) => (handlers[name] ??= []).push(f),
    off: (name, f) => { handlers[name] = handlers[name].filter((g) => g !== f); },
    send: async (content, _, buffers) => {
      const [answer, data] = await kernel(content, (buffers ?? []).map(encode));
      fire("msg:custom", answer, data.map((one) => new DataView(bytes(one).buffer)));
    } };
  const { default: { render } } = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
  const el = document.body.appendChild(document.createElement("main"));
  globalThis.close_it = render({ model, el });
  globalThis.listeners = () => Object.values(handlers).flat().length;
}"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the assets of all live widgets, to which pages are written."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(web.ROOT / "tools" / "live.py"), str(folder / FOLDER)]
    (folder / "favicon.ico").touch()  # browsers ask servers for one
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return folder


def megabytes(site: Path, asset: str) -> float:
    return sum(file.stat().st_size for file in (site / FOLDER).glob(f"{asset}.*.js")) / 1e6


@pytest.fixture
def show(open_page: Any, site: Path) -> Callable[..., Any]:
    """`show(name)`: a page with that widget; `page.asked` lists the assets it has asked for."""

    def one(name: str, script: str = WITH_ASSETS, address: str | None = None, **settings: Any) -> Any:
        page = open_page(**{"width": 1280} | settings)
        page.add_init_script(script + WATCH)
        page.asked = []
        page.on("request", lambda request: f"/{FOLDER}" in request.url and page.asked.append(request.url))
        page.widget = live.WIDGETS[name]()
        file = write_page(site / f"{name}.html", page.widget, dark=settings.get("dark", False))
        page.goto(file if address is None else f"{address}/{name}.html")
        return ready(page)

    return one


def drawn(page: Any, times: int = 1) -> Any:
    """What the widget said of its latest picture, once it has drawn so many."""
    page.wait_for_function("n => globalThis.drawn?.length >= n", arg=times, timeout=120_000)
    return page.evaluate("drawn.at(-1)")


def click(page: Any, times: int = 1) -> Any:
    page.locator(BUTTON).click()
    return drawn(page, times)


def press(page: Any, label: str, *keys: str) -> None:
    page.locator(f"[aria-label='{label}']").focus()
    for key in keys:
        page.keyboard.press(key)


def count(page: Any) -> int:
    return page.evaluate("globalThis.drawn?.length ?? 0")


def close(mine: Any, wanted: Tensor, atol: float = 1e-4) -> None:
    torch.testing.assert_close(torch.tensor(mine).to(wanted).view(wanted.shape), wanted, atol=atol, rtol=0)


# -- The same as PyTorch


@pytest.mark.parametrize(
    ("label", "steps", "eta", "w"),
    [("0 to 9 in turn", 10, 0.0, 1.0), ("7", 5, 1.0, 2.5), ("none", 20, 0.3, 0.0)],
)
def test_digits_are_those_of_ddim(show: Any, monkeypatch: Any, label: str, steps: int, eta: float, w: float) -> None:
    page = show("digits")
    page.get_by_label("class", exact=True).select_option(label)
    page.get_by_label("steps", exact=True).select_option(str(steps))
    for name, chosen in (("η, noise in each step, exact value", eta), ("w, guidance, exact value", w), ("seed", 3)):
        press(page, name, "Control+a", *str(chosen), "Enter")
    said = click(page)
    assert said["values"] == {"label": label, "steps": steps, "eta": eta, "guidance": w, "seed": 3}

    assert said["noises"][0] == pytest.approx(normals(3)(16 * 64).tolist(), abs=1e-6), "as Python draws them"
    x_T, *noises = (torch.tensor(noise).view(16, 1, 8, 8) for noise in said["noises"])
    ddpm, left = page.widget.graphs()["step"].module.ddpm, iter(noises)
    monkeypatch.setattr("genlib.diffusion.samplers.draw", lambda *_: next(left))
    options: Any = {"steps": steps, "eta": eta, "guidance": w, "label": torch.tensor(page.widget.spec["labels"][label])}
    path = list(diffusion.ddim(ddpm, x_T.shape, x_T=x_T, clip=True, **options))
    assert [frame["t"] for frame in said["frames"]] == [1000 - 1000 // steps * i for i in range(steps + 1)]
    for frame, x_t in zip(said["frames"], path, strict=True):
        close(frame["x_t"], x_t)
    close(said["x_0"], path[-1])
    assert page.locator("[role=status]").all_inner_texts()[-1].startswith(f"16 digits from noise, class: {label}; ")


def test_photos_are_those_of_the_generator(show: Any) -> None:
    page = show("textures")
    page.get_by_label("start from", exact=True).select_option("three strips")
    said = click(page)
    answer = page.widget.graphs()["answer"].module
    x, z = torch.tensor(said["x"]).view(1, 3, 32, 32), torch.tensor(said["z"]).view(16, 4, 32, 32)
    wanted = torch.tensor([0] * 12 + [1] * 12 + [2] * 8).expand(32, 32)
    assert torch.equal(x[0].argmax(0), wanted)
    assert torch.equal(x.sum(1), torch.ones(1, 32, 32))
    close(said["y"], gan.generate(answer.G, torch.cat([x.expand(4, -1, -1, -1), answer.company]), z)[:4])


@pytest.mark.parametrize(("drawing", "seed"), [("beer mug", 0), ("a blank sheet", 5)])
def test_colours_are_those_of_the_generator(show: Any, drawing: str, seed: int) -> None:
    page = show("outlines")
    page.get_by_label("start from", exact=True).select_option(drawing)
    press(page, "seed", "Control+a", str(seed), "Enter")
    said = click(page)
    answer, spec = page.widget.graphs()["answer"].module, page.widget.spec
    x, z = torch.tensor(said["x"]).float().view(1, 1, 32, 32), torch.tensor(said["z"]).view(16, -1, 32, 32)
    close(said["x"], from_text(spec["drawings"].get(drawing, "/" * 1024)))
    close(said["z"], normals(seed)(z.numel()))
    close(said["y"], gan.generate(answer.G, torch.cat([x, answer.company]), z)[:1])


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_points_go_where_the_flow_takes_them(show: Any, temperature: float) -> None:
    page = show("moons")
    flow = page.widget.graphs()["forward"].module.flow
    said = click(page)
    points = torch.tensor(said["points"]).view(-1, 2)
    torch.testing.assert_close(points[:600], page.widget.tables()["x"])
    with torch.no_grad():
        close(said["to"], flow(points)[0])
        close(said["mine"]["z"], flow(torch.tensor([said["mine"]["x"]]))[0][0])
    close(said["back"], points)

    page.get_by_label("direction", exact=True).select_option("from base to data")
    drawn(page, 2)
    press(page, "temperature of the base, exact value", "Control+a", *str(temperature), "Enter")
    press(page, "seed", "Control+a", "5", "Enter")
    said = drawn(page, 3 + (temperature != 1))
    z = torch.tensor(said["points"]).view(-1, 2)
    assert abs(float(z[:600].std()) / temperature - 1) < 0.1
    with torch.no_grad():
        close(said["to"], flow.inverse(z)[0])
        close(said["mine"]["z"], flow(torch.tensor([said["mine"]["x"]]))[0][0])


@pytest.mark.parametrize("name", live.WIDGETS)
def test_the_first_press_draws_what_was_stored(show: Any, name: str) -> None:
    """Below both stands the same caption: the same settings, the same seed."""
    page = show(name)
    caption = page.locator(".genlib-live > p").last.inner_text()
    stored, said = page.widget.tables(), click(page)
    mine, its = {"digits": ("x_0", "x_t"), "moons": ("to", "z")}.get(name, ("y", "y"))
    close(said[mine][: stored[its].numel()], stored[its], 1e-4 + (its == "y") / 63)  # some are stored in 64 levels
    assert page.locator(".genlib-live > p").last.inner_text().startswith(caption)


def test_points_from_the_base_are_stored_as_the_first_press_sends_them(open_page: Any, site: Path) -> None:
    way: Any = live.moons().graphs()["forward"].module
    widget = FlowBothWays(way.flow, direction="from base to data", temperature=0.5, seed=4)
    page = open_page(width=1280)
    page.add_init_script(WITH_ASSETS + WATCH)
    page.goto(write_page(site / "base.html", widget))
    ready(page)
    said = click(page)
    close(said["points"][:1200], widget.tables()["z"])
    close(said["to"][:1200], widget.tables()["x"])
    page.get_by_label("direction", exact=True).select_option("from data to base")
    close(drawn(page, 2)["points"][:1200], widget.tables()["data"])


def test_noise_is_normal_and_the_same_for_the_same_seed(show: Any) -> None:
    page = show("textures")
    first = click(page)
    again = click(page, 2)
    assert again["z"] == first["z"]
    assert again["y"] == first["y"]
    press(page, "seed", "ArrowUp")
    other = drawn(page, 3)
    z, z_other = torch.tensor(first["z"]), torch.tensor(other["z"])
    normal = torch.distributions.Normal(0.0, 1.0)
    for sample in (z, z_other):  # 16,384 draws; the largest gap of distribution functions, by Kolmogorov and Smirnov
        steps = torch.arange(1, len(sample) + 1) / len(sample)
        assert float((normal.cdf(sample.sort().values) - steps).abs().max()) < 2 / len(sample) ** 0.5
    for a, b in ((z, z_other), (z[:-1], z[1:]), (z[:-2], z[2:])):
        assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 4 / len(z) ** 0.5


# -- With a kernel


def kernel_page(open_page: Any, name: str) -> Any:
    page = open_page("about:blank", width=1280)
    widget: Any = live.WIDGETS[name]()
    page.widget, page.alive = widget, True
    sent: list[Any] = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers or []))

    def kernel(content: Any, buffers: list[str]) -> Any:
        widget._handle_custom_msg(content, [base64.b64decode(buffer) for buffer in buffers])
        answer, data = sent.pop()
        return [answer, [base64.b64encode(buffer).decode() for buffer in data]]

    page.expose_function("kernel", kernel)
    state = {"spec": widget.spec, "still": widget.still | {"data": base64.b64encode(widget.still["data"]).decode()}}
    page.evaluate(WATCH)
    page.evaluate(KERNEL, [str(widget._esm), state, widget.values()])
    return page


@pytest.mark.parametrize("name", live.WIDGETS)
def test_a_kernel_computes_the_same(open_page: Any, show: Any, name: str) -> None:
    with_kernel = kernel_page(open_page, name)
    assert with_kernel.locator(BUTTON).inner_text() == with_kernel.widget.spec["action"], "nothing is loaded"
    mine, its = click(with_kernel), click(show(name))
    for key in {"digits": ("x_0",), "moons": ("to", "back")}.get(name, ("y",)):
        close(mine[key], torch.tensor(its[key]))


def test_with_a_kernel_a_control_is_enough_and_nothing_is_left_behind(open_page: Any) -> None:
    page = kernel_page(open_page, "moons")
    page.get_by_label("direction", exact=True).select_option("from base to data")
    assert drawn(page)["values"]["direction"] == "from base to data"
    page.evaluate("model.set('temperature', 0.5)")  # from Python
    assert drawn(page, 2)["values"]["temperature"] == 0.5
    page.evaluate("close_it()")
    assert page.evaluate("listeners()") == 0


def test_a_kernel_that_fails_on_the_way_leaves_the_picture_before(open_page: Any) -> None:
    page = kernel_page(open_page, "digits")
    first = click(page)
    end = page.evaluate(INK, 0)
    compute, left = page.widget.compute, iter([True, True])

    def fails(graph: str, inputs: Any) -> Any:
        if not next(left, False):
            raise ValueError("out of memory")
        return compute(graph, inputs)

    page.widget.compute = fails
    press(page, "seed", "ArrowUp")
    page.wait_for_function("document.querySelector('.genlib-live-note').textContent.includes('out of memory')")
    assert page.evaluate(INK, 0) == end
    assert "seed 0" in page.locator(".genlib-live > p").last.inner_text()
    press(page, "look back at a step", "Home")
    assert page.locator("figcaption").first.inner_text() == f"xt at t = {first['frames'][0]['t']}"


# -- What is loaded, and when


@pytest.mark.parametrize("name", live.WIDGETS)
def test_assets_are_loaded_at_a_click_and_never_before(show: Any, serve: Any, site: Path, name: str) -> None:
    page = show(name, address=serve(site))
    page.get_by_label("seed", exact=True).fill("4")
    page.get_by_label("seed", exact=True).press("Enter")
    assert page.asked == []
    loads = math.ceil(page.widget.spec["runtime"] + page.widget.spec["megabytes"])
    assert f"(loads {loads} MB)" in page.locator(BUTTON).inner_text()
    page.evaluate(
        """() => { const bar = document.querySelector("progress"); globalThis.bars = [];
        new MutationObserver(() => bars.push([bar.hidden, bar.value])).observe(bar, { attributes: true }); }"""
    )
    click(page)
    shares = [share for hidden, share in page.evaluate("bars") if not hidden]
    assert shares == sorted(shares)
    assert len(set(shares)) > 3
    assert shares[-1] == 1
    assert page.locator("progress").is_hidden()
    names = {url.split("/")[-1].split(".")[0] for url in page.asked}
    assert names == {"ort", page.widget.spec["asset"]}
    assert "loads" not in page.locator(BUTTON).inner_text()
    before = len(page.asked)
    click(page, 2)
    assert len(page.asked) == before


def test_a_browser_of_last_year_loads_them_too(show: Any) -> None:
    page = show("moons", script="delete Uint8Array.fromBase64;" + WITH_ASSETS)
    said = click(page)
    close(said["to"][:1200], page.widget.tables()["z"])


def test_two_widgets_of_a_page_share_the_runtime(open_page: Any, site: Path) -> None:
    page = open_page(width=1280)
    page.add_init_script(WITH_ASSETS + WATCH)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.split("/")[-1]))
    page.goto(write_page(site / "two.html", live.digits(), live.moons()))
    ready(page)
    for i, button in enumerate(page.locator(BUTTON).all()):
        button.click()
        drawn(page, i + 1)
    assert asked.count("ort.0.js") == 1


def test_where_nothing_computes_the_stored_picture_stays_and_says_why(show: Any) -> None:
    page = show("digits", script="")
    before = page.evaluate(INK, 0)
    page.locator(BUTTON).click()
    page.wait_for_function("document.querySelector('.genlib-live-note').textContent.includes('no kernel answers')")
    assert page.evaluate(INK, 0) == before
    assert count(page) == 0


@pytest.mark.parametrize("name", live.WIDGETS)
@pytest.mark.parametrize("width", [1280, 390])
def test_assets_that_are_not_there_are_named(show: Any, name: str, width: int) -> None:
    """Beside the button; and what is said of the picture stays true, whatever the controls say by then."""
    page = show(name, script="globalThis.genlibLive = { base: 'elsewhere/' };", width=width)
    text = page.locator(".genlib-live > p").last
    painted = {"textures": "four photos of the map as it was", "outlines": "in colour, as the outline was"}.get(name)
    made = -1 if painted else 0
    caption, before = text.inner_text(), page.evaluate(INK, made)
    assert page.locator("figcaption").last.inner_text() == {
        "digits": "the last guess of x0", "textures": "four photos of it", "outlines": "in colour, by the generator",
        "moons": "base z = f(x)",
    }[name]  # fmt: skip
    page.locator("select").first.select_option(index=1)
    page.get_by_label("seed", exact=True).fill("7")
    page.get_by_label("seed", exact=True).press("Enter")
    page.locator(BUTTON).click()
    page.wait_for_function("document.querySelector('.genlib-live-note').textContent.includes('lacks its file')")
    assert page.locator("progress").is_hidden()
    assert text.inner_text() == caption
    assert page.evaluate(INK, made) == before
    if painted:
        assert page.locator("figcaption").last.inner_text() == painted
    note, art = (page.locator(one).bounding_box() for one in (".genlib-live-note", ".genlib-live-panels"))
    assert note["y"] + note["height"] <= art["y"]
    assert page.faults, "the browser tells of the missing script"
    page.faults.clear()


@pytest.mark.parametrize("name", live.WIDGETS)
def test_without_webassembly_the_still_picture_stands(show: Any, name: str) -> None:
    page = show(name, script="delete globalThis.WebAssembly;" + WITH_ASSETS)
    assert "no WebAssembly" in page.locator(".genlib-live-note").inner_text()
    assert page.locator(BUTTON).is_disabled()
    shades = """() => { const canvas = document.querySelector("canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size; }"""
    assert page.evaluate(shades) > 4
    assert page.asked == []


# -- By keyboard, by mouse, on a phone, in a deck


def test_a_map_is_painted_by_keyboard_and_by_mouse(show: Any) -> None:
    page = show("textures")
    click(page)
    cell = page.locator(".genlib-live-cell")
    cell.first.focus()
    for key in ("1", "ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
    said = drawn(page, 2)
    at = torch.tensor(said["x"]).view(3, 8, 4, 8, 4)[:, :, 0, :, 0].argmax(0)
    assert int(at[1, 1]) == 0
    assert int((at == 0).sum()) == 33  # the wall of 32 cells, and this one
    assert cell.nth(9).get_attribute("aria-label") == "row 2, column 2: brick"

    page.get_by_role("button", name="3 gravel").click()
    start, end = (cell.nth(i).bounding_box() for i in (0, 7))
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + 5, end["y"] + 5, steps=30)
    page.mouse.up()
    page.wait_for_function("document.querySelectorAll('.genlib-live-cell')[7].ariaLabel.endsWith('gravel')")
    page.wait_for_function("!document.querySelector('[aria-busy]')")
    at = torch.tensor(page.evaluate("drawn.at(-1)")["x"]).view(3, 8, 4, 8, 4)[:, :, 0, :, 0].argmax(0)
    assert at[0].tolist() == [2] * 8


def test_a_map_is_painted_by_a_finger(show: Any) -> None:
    page = show("textures", has_touch=True, width=390)
    click(page)
    page.get_by_role("button", name="3 gravel").tap()
    cell = page.locator(".genlib-live-cell")
    cell.first.scroll_into_view_if_needed()
    start, end = (cell.nth(i).bounding_box() for i in (0, 7))
    finger = page.context.new_cdp_session(page)
    for i in range(31):
        at = {"x": start["x"] + 5 + (end["x"] - start["x"]) * i / 30, "y": start["y"] + 5}
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove" if i else "touchStart", "touchPoints": [at]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("!document.querySelector('[aria-busy]')")
    assert [cell.nth(i).get_attribute("aria-label").split(": ")[1] for i in range(9)] == ["gravel"] * 8 + ["grass"]


def ink(page: Any) -> Tensor:
    """The reader's outline, from 0, white, to 1, black, (32, 32)."""
    shades = "c => [...c.getContext('2d').getImageData(0, 0, 32, 32).data].filter((_, i) => i % 4 == 0)"
    return 1 - torch.tensor(page.locator("canvas").first.evaluate(shades)).view(32, 32) / 255


def at(page: Any, row: float, column: float) -> tuple[float, float]:
    """Where a place of the outline, in its pixels, is on the page."""
    box = page.locator("canvas").first.bounding_box()
    return box["x"] + column * box["width"] / 32, box["y"] + row * box["height"] / 32


def test_an_outline_is_drawn_by_keyboard(show: Any) -> None:
    page = show("outlines")
    page.get_by_label("start from", exact=True).select_option("a blank sheet")
    click(page)
    paper = page.locator("canvas").first
    paper.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Space"):
        page.keyboard.press(key)
    assert page.locator(".genlib-live-paper > i").is_visible()
    assert ink(page).gt(0.5).nonzero().tolist() == [[2, 1]]
    assert page.locator("output").inner_text() == "row 3, column 2: black"
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert ink(page).gt(0.5).nonzero().tolist() == [[2, column] for column in range(1, 6)]
    page.wait_for_function("!document.querySelector('[aria-busy]')")
    said = page.evaluate("drawn.at(-1)")
    close(said["x"], 1 - 2 * ink(page).flatten(), 0.01)
    assert "The lines cover 1\u00a0% of the sheet" in page.locator(".genlib-live > [role=status]").inner_text()

    page.keyboard.press("2")  # the eraser
    page.keyboard.press("Enter")
    assert ink(page)[2, 4:].max() < 0.5 < ink(page)[2, 3]  # three pixels wide, and soft at its edge
    page.keyboard.press("Control+z")
    assert ink(page)[2, 5] == 1
    for key in ("Home", "ArrowLeft", "ArrowUp", "ArrowUp", "ArrowUp", "End"):
        page.keyboard.press(key)
    assert page.locator("output").inner_text() == "row 1, column 32: white"
    page.get_by_role("button", name="clear").press("Enter")
    assert ink(page).max() == 0
    page.get_by_role("button", name="undo").press("Enter")
    assert ink(page)[2, 5] == 1


def test_an_outline_is_drawn_by_mouse(show: Any) -> None:
    page = show("outlines", width=930)
    click(page)
    page.get_by_role("button", name="clear").click()
    assert ink(page).max() == 0
    page.mouse.move(*at(page, 4.5, 4.5))
    page.mouse.down()
    page.mouse.move(*at(page, 4.5, 28.5))  # at once: what lies between is drawn, too
    page.mouse.move(*at(page, 28.5, 28.5))
    page.mouse.move(*at(page, 28.5, 40))  # and what leaves the sheet does no harm
    page.mouse.up()
    page.mouse.move(*at(page, 10, 10))
    drawn_there = ink(page).gt(0.5)
    wanted = torch.zeros(32, 32, dtype=torch.bool)
    wanted[4, 4:29] = wanted[4:29, 28] = wanted[28, 28:] = True
    assert torch.equal(drawn_there, wanted)
    page.get_by_role("button", name="2 eraser").click()
    page.mouse.click(*at(page, 4.5, 16.5))
    assert ink(page)[4, 15:18].max() < 0.5
    page.wait_for_function("!document.querySelector('[aria-busy]')")
    said = page.evaluate("drawn.at(-1)")
    close(said["x"], 1 - 2 * ink(page).flatten(), 0.01)
    assert page.locator("figcaption").last.inner_text() == "in colour, by the generator"
    before = page.evaluate(INK, -1)
    page.get_by_label("start from", exact=True).select_option("cow face")
    page.wait_for_function("!document.querySelector('[aria-busy]')")
    assert page.evaluate(INK, -1) != before


def test_an_outline_is_drawn_by_a_finger(show: Any) -> None:
    page = show("outlines", has_touch=True, width=390)
    page.get_by_role("button", name="clear").tap()
    page.locator("canvas").first.scroll_into_view_if_needed()
    finger, scrolled = page.context.new_cdp_session(page), page.evaluate("scrollY")
    for i in range(11):
        x, y = at(page, 4.5 + 2 * i, 16.5)
        kind = "touchMove" if i else "touchStart"
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.locator("figcaption").last.inner_text() == "in colour, as the outline was"
    assert ink(page)[5:24, 16].min() > 0.5
    assert page.evaluate("scrollY") == scrolled


def test_a_point_of_ones_own_is_moved_by_keyboard_and_by_mouse(show: Any) -> None:
    page = show("moons")
    x = click(page)["mine"]["x"]
    canvas = page.locator("canvas")
    canvas.first.focus()
    page.keyboard.press("ArrowLeft")
    moved = drawn(page, 2)["mine"]["x"]
    assert moved == pytest.approx([x[0] - 0.05, x[1]])
    box = canvas.nth(1).bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
    assert drawn(page, 3)["mine"]["z"] == pytest.approx([2, 2], abs=0.05)


def test_one_can_look_back_at_every_step(show: Any) -> None:
    page = show("digits")
    click(page)
    end = page.evaluate(INK, 0)
    press(page, "look back at a step", "Home")
    assert page.locator("figcaption").first.inner_text() == "xt at t = 1000"
    assert page.evaluate(INK, 0) != end
    press(page, "look back at a step", "End")
    assert page.evaluate(INK, 0) == end


def test_the_latest_choice_wins(show: Any) -> None:
    page = show("digits")
    click(page)
    press(page, "w, guidance", *["ArrowRight"] * 4)
    page.wait_for_function("!document.querySelector('[aria-busy]')")
    assert page.evaluate("drawn.at(-1)")["values"]["guidance"] == 3
    assert value(page, "guidance") == 3


@pytest.mark.parametrize("name", live.WIDGETS)
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (930, True), (390, False)])
def test_it_fits_and_is_accessible(show: Any, axe: Any, name: str, width: int, dark: bool) -> None:
    page = show(name, width=width, dark=dark)
    box = page.locator(".genlib-live").bounding_box()
    assert width < 900 or box["height"] <= 590
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert axe(page, "main") == []
    small = """() => [...document.querySelectorAll(".genlib-live :is(input, select, button)")].filter((one) => {
      const { width, height } = one.getBoundingClientRect(); return width < 24 || height < 24; }).length"""
    assert page.evaluate(small) == 0


def test_in_a_deck_keys_stay_in_the_widget_and_the_mouse_finds_its_place(open_page: Any, site: Path) -> None:
    page = open_page(width=1600, height=900)  # so that reveal scales
    page.add_init_script(WITH_ASSETS + WATCH)
    page.goto(write_deck(site, live.moons(), live.digits()))
    ready(page)
    page.evaluate("Reveal.slide(1)")
    page.locator(f"section.present {BUTTON}").click()
    drawn(page)
    page.locator("section.present canvas").first.focus()
    page.keyboard.press("ArrowLeft")
    drawn(page, 2)
    assert page.evaluate("Reveal.getIndices().h") == 1
    box = page.locator("section.present canvas").first.bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    assert drawn(page, 3)["mine"]["x"] == pytest.approx([1, 0], abs=0.05)
    for slide in (1, 2):
        page.evaluate(f"Reveal.slide({slide})")
        height = page.evaluate("document.querySelector('section.present .genlib-live').offsetHeight")
        assert height <= 590


def test_in_a_deck_a_pen_draws_where_it_is(open_page: Any, site: Path) -> None:
    page = open_page(width=1600, height=900)
    page.add_init_script(WITH_ASSETS + WATCH)
    page.goto(write_deck(site, live.outlines()))
    ready(page)
    page.evaluate("Reveal.slide(1)")
    page.get_by_role("button", name="clear").click()
    page.mouse.click(*at(page, 7.5, 20.5))
    assert ink(page).gt(0.5).nonzero().tolist() == [[7, 20]]
    page.locator("canvas").first.press("ArrowRight")
    assert page.evaluate("Reveal.getIndices().h") == 1
    assert page.evaluate("document.querySelector('section.present .genlib-live').offsetHeight") <= 590
    sizes = """() => [...document.querySelectorAll(".genlib-live *")].filter((one) => one.innerText?.trim())
      .map((one) => parseFloat(getComputedStyle(one).fontSize))"""
    assert min(page.evaluate(sizes)) >= 18


# -- The assets


@pytest.mark.parametrize("name", live.WIDGETS)
def test_what_the_button_says_is_what_is_loaded(site: Path, name: str) -> None:
    spec = live.WIDGETS[name]().spec
    assert 0 <= spec["runtime"] - megabytes(site, "ort") < 0.1
    assert 0 <= spec["megabytes"] - megabytes(site, spec["asset"]) < 0.1


def test_an_asset_names_no_machine(site: Path) -> None:
    asset = live.moons().spec["asset"]
    (text,) = [file.read_text("ascii") for file in (site / FOLDER).glob(f"{asset}.*.js")]
    archive = gzip.decompress(base64.b64decode(text.split('"')[-2]))
    assert b"forward.onnx" in archive
    for trace in (str(web.ROOT), sys.prefix, ".py"):
        assert trace.encode() not in archive


def test_a_graph_that_changed_is_not_run_by_a_page_that_did_not(site: Path) -> None:
    """A widget asks for the asset of its own weights, so one of other weights finds none."""
    way: Any = live.moons().graphs()["forward"].module
    there = [(site / FOLDER / f"{FlowBothWays(way.flow).spec['asset']}.0.js").exists()]
    with torch.no_grad():
        next(way.flow.parameters()).add_(1e-3)
    there.append((site / FOLDER / f"{FlowBothWays(way.flow).spec['asset']}.0.js").exists())
    assert there == [True, False]
