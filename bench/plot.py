"""Draws goodput.json as an SVG that can be read on a light and on a dark page."""

import json
import re
import sys

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402 (the backend has to be chosen first)
from matplotlib.patches import Patch  # noqa: E402

BARS = [  # tool, words, colour
    ("shared", "shared", "#4c8dd6"),
    ("pool", "pool", "#2ba58b"),
    ("per-client", "per-client", "#9375d6"),
    ("rust", "Rust tool", "#c98a2b"),
]
PANELS = [(False, "The gateway loses no reply"),
          (True, "The gateway loses replies in flight, as Otoroshi does")]
WRONG = "#e5484d"
# Stands for the colour of text and lines, which depends on the page: see adapt().
INK = "#010203"
INK_LIGHT, INK_DARK = "#24292f", "#d5dbe1"


def label(axes, position, height, offset, text, **style):
    axes.annotate(text, (position, height), (0, offset), textcoords="offset points",
                  ha="center", va="bottom", **style)


def draw_bar(axes, position, width, case, colour):
    right, wrong = case["right_per_s"], case["wrong_share"]
    axes.bar(position, right["median"], width, color=colour)
    axes.vlines(position, right["min"], right["max"], color=INK, linewidth=0.8)
    label(axes, position, right["max"], 1.5, f"{right['median']:,.0f}", fontsize=6.5)
    if wrong and wrong["median"] > 0:
        label(axes, position, right["max"], 10, f"{wrong['median']:.0%}\nwrong", fontsize=6.5,
              color=WRONG)


def draw_panel(axes, cases, bars, title):
    shapes = list(dict.fromkeys((case["clients"], case["window"]) for case in cases))
    width = 0.86 / len(bars)
    for case in cases:
        place = [tool for tool, _, _ in bars].index(case["tool"])
        position = shapes.index((case["clients"], case["window"])) + (
            place - (len(bars) - 1) / 2) * width
        draw_bar(axes, position, width * 0.92, case, bars[place][2])
    axes.set_xticks(range(len(shapes)), [
        f"{clients} clients, {window} in flight each" for clients, window in shapes])
    axes.tick_params(length=0)
    axes.set_title(title, loc="left", fontsize=9.5)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", linewidth=0.4, alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xlim(-0.5, len(shapes) - 0.5)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def draw(result):
    cases = result["cases"]
    bars = [bar for bar in BARS if any(case["tool"] == bar[0] for case in cases)]
    figure, panels = pyplot.subplots(2, 1, figsize=(8, 5.4), sharey=True)
    for axes, (loses, title) in zip(panels, PANELS):
        draw_panel(axes, [case for case in cases if case["replies_lost_in_flight"] == loses],
                   bars, title)
    panels[0].set_ylim(0, 1.12 * max(case["right_per_s"]["max"] for case in cases))
    figure.legend(handles=[Patch(color=colour, label=words) for _, words, colour in bars],
                  loc="upper right", ncol=len(bars), frameon=False, fontsize=8)
    figure.text(0.01, 0.98, "Answers to the client that asked, a second", va="top",
                fontsize=10.5, fontweight="bold")
    figure.tight_layout(rect=(0, 0, 1, 0.95), h_pad=1.5)
    return figure


def adapt(svg):
    """Lines and text get their colour by a class, so that a dark page can have another."""
    def one(match):
        style, classes = match.group(1), []
        for part in ("fill", "stroke"):
            style, found = re.subn(rf"{part}: {INK}(; )?", "", style)
            classes += [part] if found else []
        return (f'class="{" ".join(classes)}" ' if classes else "") + f'style="{style}"'

    svg = re.sub(r'style="([^"]*)"', one, svg)
    rules = (f".fill{{fill:{INK_LIGHT}}}.stroke{{stroke:{INK_LIGHT}}}"
             f"@media (prefers-color-scheme:dark){{.fill{{fill:{INK_DARK}}}"
             f".stroke{{stroke:{INK_DARK}}}}}")
    svg = re.sub(r"(<svg [^>]*>)", rf"\1\n <style>{rules}</style>", svg, count=1)
    return re.sub(r" +$", "", svg, flags=re.MULTILINE)


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        result = json.load(file)
    pyplot.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "goodput", "font.size": 8,
        "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
        **{name: INK for name in ("text.color", "axes.edgecolor", "axes.labelcolor",
                                  "xtick.color", "ytick.color", "grid.color")}})
    figure = draw(result)
    figure.savefig(target, transparent=True, metadata={"Date": None})
    with open(target, encoding="utf-8") as file:
        svg = adapt(file.read())
    with open(target, "w", encoding="utf-8") as file:
        file.write(svg)


if __name__ == "__main__":
    main()
