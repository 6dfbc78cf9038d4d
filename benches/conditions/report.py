"""Writes what measure.py found as a page with tables and DET plots.

    python3 report.py RESULTS.json --docs DIR --command TEXT
"""

import argparse
import json
import pathlib

import matplotlib
import numpy as np
import scipy.stats

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "vouch"
import matplotlib.pyplot  # noqa: E402

NAMES = {"usual": "usual way", "resemblyzer": "Resemblyzer", "vouch": "Vouch"}
COLOURS = {"usual": "#d95f02", "resemblyzer": "#7570b3", "vouch": "#1b9e77"}
COLUMNS = 4  # of plots
TICKS = (0.001, 0.01, 0.05, 0.2, 0.5)
INTRODUCTION = """# Accuracy

Made by `{command}`; [benches/conditions](../benches/conditions/README.md) says what each condition is. All systems hear
the same files in the same trials: at most 30 s of net speech enrolled and 10 s tested, unless said otherwise.

- **usual way**: the network that Vouch uses, as published, in 32-bit floating point: audio brought to 16 kHz, all 80 mel
  bins, speech cut by energy, plain cosine.
- **Resemblyzer**: the package from PyPI with its own preprocessing, plain cosine.
- **Vouch**: `vouchctl trials`, the integer engine with its shipped calibration, at threshold 90.

Cosines are no likelihood ratios and have no threshold of 90, so the other two get a logistic calibration and a threshold with
FAR 0.1 % fitted on the clean mu-law trials below themselves. That flatters them: Vouch's constants never saw these trials.

Rates are in %, with 95 % intervals in brackets: a bootstrap over speakers, widened to Clopper and Pearson's interval where
that is wider. *Ratio* is Vouch's rate divided by the usual way's; it is a dash where the usual way makes no error. Trials for
which any of the three heard too little speech are in nobody's figures; the last column of the second last table counts Vouch's.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--docs", type=pathlib.Path, required=True, help="folder for accuracy.md and the plots")
    parser.add_argument("--command", required=True, help="what the page says it was made by")
    args = parser.parse_args()
    conditions = json.loads(args.results.read_text(encoding="utf-8"))["conditions"]
    page = [INTRODUCTION.format(command=args.command)]
    for corpus in dict.fromkeys(condition["corpus"] for condition in conditions):
        here = [condition for condition in conditions if condition["corpus"] == corpus]
        page.append(_section(corpus, here))
        _plots(here, args.docs / f"det-{corpus}.svg")
    args.docs.mkdir(parents=True, exist_ok=True)
    (args.docs / "accuracy.md").write_text("\n".join(page), encoding="utf-8")


def _section(corpus, conditions):
    most = max(conditions, key=lambda condition: condition["trials"])
    lines = [
        f"## {corpus}",
        "",
        f"{most['trials']} trials in each condition, {most['targets']} of them target trials.",
        f"[DET curves](det-{corpus}.svg), in one plot for each condition.",
        "",
        *_compared(conditions, "equal error rate", "eer"),
        *_compared(conditions, "false rejects at FAR 0.1 %", "frr_at_0.001"),
        *_compared(conditions, "false rejects at FAR 1 %", "frr_at_0.01"),
        *_at_threshold(conditions),
        *_costs(conditions),
    ]
    return "\n".join(lines)


def _compared(conditions, title, figure):
    lines = _head(title, [*NAMES.values(), "ratio"])
    for condition in conditions:
        figures = [condition["systems"][system]["figures"] for system in NAMES]
        ours, theirs = figures[-1], figures[0]
        ratio = f"{ours[figure][0] / theirs[figure][0]:.2f}" if ours and theirs and theirs[figure][0] > 0 else "-"
        lines.append(_row(condition["title"], [*(_rate(each, figure) for each in figures), ratio]))
    return [*lines, ""]


def _at_threshold(conditions):
    columns = [f"{name} {what}" for name in NAMES.values() for what in ("FAR", "FRR")]
    lines = _head("at the threshold", [*columns, "Vouch without figures"])
    for condition in conditions:
        systems = [condition["systems"][system] for system in NAMES]
        rates = [_rate(each["figures"], what) for each in systems for what in ("far", "frr")]
        silent = systems[-1]["unscored"] / condition["trials"]
        lines.append(_row(condition["title"], [*rates, f"{100 * silent:.1f}"]))
    return [*lines, ""]


def _costs(conditions):
    columns = [f"{name} {what}" for name in NAMES.values() for what in ("min DCF", "Cllr", "min Cllr")]
    lines = _head("costs (detection cost at prior 0.01; Cllr in bits)", columns)
    for condition in conditions:
        figures = [condition["systems"][system]["figures"] for system in NAMES]
        costs = [f"{each[what][0]:.3f}" if each else "-" for each in figures for what in ("min_dcf", "cllr", "min_cllr")]
        lines.append(_row(condition["title"], costs))
    return [*lines, ""]


def _head(title, columns):
    return [_row(title, columns), _row("---", ["---:"] * len(columns))]


def _row(first, others):
    return f"| {' | '.join([first, *others])} |"


def _rate(figures, name):
    if not figures:
        return "-"
    value, low, high = (100 * number for number in figures[name])
    return f"{value:.2f} ({low:.1f}-{high:.1f})"


def _plots(conditions, path):
    rows = -(-len(conditions) // COLUMNS)
    figure, axes = matplotlib.pyplot.subplots(
        rows, COLUMNS, figsize=(3 * COLUMNS, 2.8 * rows), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(conditions) :]:
        axis.set_visible(False)
    for axis, condition in zip(axes.flat, conditions):
        for system, name in NAMES.items():
            _curve(axis, condition["systems"][system]["det"], COLOURS[system], name)
        _scales(axis, condition["title"])
    axes[0][0].legend(fontsize=7, loc="upper right")
    figure.supxlabel("false-accept rate, %", fontsize=9)
    figure.supylabel("false-reject rate, %", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    matplotlib.pyplot.close(figure)


def _curve(axis, det, colour, name):
    far, frr = (np.clip(rates, TICKS[0] / 4, 0.9) for rates in det)
    # Only the corners of the staircase, or the drawing is megabytes.
    corner = np.append(True, (np.diff(frr) != 0) | (np.diff(far) != 0))
    turns = np.append(np.diff(frr[corner], prepend=np.nan)[1:] != 0, True)
    far, frr = far[corner], frr[corner]
    keep = np.append(True, turns[:-1]) | turns
    axis.plot(*(scipy.stats.norm.ppf(rates[keep]) for rates in (far, frr)), color=colour, linewidth=1.2, label=name)


def _scales(axis, title):
    places = scipy.stats.norm.ppf(TICKS)
    labels = [f"{100 * tick:g}" for tick in TICKS]
    axis.set_xticks(places, labels, fontsize=7)
    axis.set_yticks(places, labels, fontsize=7)
    limits = scipy.stats.norm.ppf([TICKS[0] / 3, 0.6])
    axis.set_xlim(limits)
    axis.set_ylim(limits)
    axis.grid(True, linewidth=0.3)
    axis.set_title(title, fontsize=8)


if __name__ == "__main__":
    main()
