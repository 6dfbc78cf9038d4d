"""Error rates with 95 % intervals, by the definitions of daemon/src/trials/{metrics,interval}.rs."""

import numpy as np
import scipy.optimize
import scipy.special
import scipy.stats

FARS = (0.01, 0.001)
PRIOR = 0.01  # of a target, in the detection cost
REPLICATES = 300


def measure(trials, pairs, seed=1):
    """{figure: (value, low, high)} of trials {llr, accepted, target} whose speakers are `pairs`; None without both kinds."""
    order = np.argsort(trials["llr"], kind="stable")
    llr, accepted, target = (np.asarray(trials[key])[order] for key in ("llr", "accepted", "target"))
    pairs = np.asarray(pairs)[order]
    figures = _Figures(llr, accepted, target)
    found = figures.of(np.ones(len(llr)))
    if found is None:
        return None
    random, draws = np.random.default_rng(seed), []
    count = pairs.max() + 1
    for _ in range(REPLICATES):
        drawn = np.bincount(random.integers(count, size=count), minlength=count)
        same = pairs[:, 0] == pairs[:, 1]
        draws.append(figures.of(np.where(same, drawn[pairs[:, 0]], drawn[pairs[:, 0]] * drawn[pairs[:, 1]])))
    draws = [draw for draw in draws if draw is not None]
    targets, others = int(target.sum()), int((~target).sum())
    sizes = {"eer": min(targets, others), "far": others} | dict.fromkeys(["frr", *map(frr_at, FARS)], targets)
    return {name: (value, *_interval(value, [d[name] for d in draws], sizes.get(name))) for name, value in found.items()}


def rates(scores, target):
    """{figure: value} of scores that nothing was accepted by yet."""
    order = np.argsort(scores, kind="stable")
    scores, target = np.asarray(scores, float)[order], np.asarray(target, bool)[order]
    return _Figures(scores, np.zeros(len(scores), bool), target).of(np.ones(len(scores)))


def frr_at(far):
    """Name of the false-reject rate at a false-accept rate."""
    return f"frr_at_{far}"


def _interval(value, draws, trials):
    """Percentiles of the replicates, for rates widened to the interval of Clopper and Pearson."""
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (0.0, 1.0)
    if trials:
        errors = value * trials
        low = min(low, scipy.stats.beta.ppf(0.025, errors, trials - errors + 1) if errors > 0 else 0.0)
        high = max(high, scipy.stats.beta.ppf(0.975, errors + 1, trials - errors) if errors < trials else 1.0)
    return float(low), float(high)


class _Figures:
    """Everything that does not depend on how often a trial counts."""

    def __init__(self, llr, accepted, target):
        self.target, self.accepted = target.astype(float), accepted.astype(bool)
        self.step = np.unique(llr, return_inverse=True)[1]
        self.cost = np.logaddexp(0, np.where(target, -llr, llr)) / np.log(2)

    def of(self, weight):
        genuine, other = weight * self.target, weight * (1 - self.target)
        if genuine.sum() <= 0 or other.sum() <= 0:
            return None
        genuine, other = genuine / genuine.sum(), other / other.sum()
        steps = [np.bincount(self.step, kind) for kind in (genuine, other)]
        far, frr = _points(*steps)
        blocks = _pooled(*steps)
        return {
            "eer": _equal_error_rate(*_points(*blocks)),
            **{frr_at(limit): float(frr[far <= limit + 1e-12].min()) for limit in FARS},
            "min_dcf": float(np.min(PRIOR * frr + (1 - PRIOR) * far) / PRIOR),
            "cllr": float(genuine @ self.cost + other @ self.cost) / 2,
            "min_cllr": _min_cllr(*blocks),
            "far": float(other[self.accepted].sum()),
            "frr": float(genuine[~self.accepted].sum()),
        }


def det(llr, target):
    """False-accept and false-reject rates at every threshold, from accepting everything on."""
    step = np.unique(llr, return_inverse=True)[1]
    target = np.asarray(target, float)
    return _points(np.bincount(step, target / target.sum()), np.bincount(step, (1 - target) / (1 - target).sum()))


def _points(genuine, other):
    far = 1 - np.concatenate([[0.0], np.cumsum(other)])
    frr = np.concatenate([[0.0], np.cumsum(genuine)])
    far[-1], frr[-1] = 0.0, 1.0
    return np.maximum(far, 0.0), frr


def _pooled(genuine, other):
    """Blocks of the isotonic regression of the labels: also the edges of the ROC's convex hull."""
    known = genuine + other > 0
    genuine, other = genuine[known], other[known]
    fitted = scipy.optimize.isotonic_regression(genuine / (genuine + other), weights=genuine + other)
    edges = fitted.blocks[:-1]
    return np.add.reduceat(genuine, edges), np.add.reduceat(other, edges)


def _equal_error_rate(far, frr):
    after = int(np.argmax(far <= frr))
    gaps = far[after - 1] - frr[after - 1], far[after] - frr[after]
    part = gaps[0] / (gaps[0] - gaps[1])
    return float(frr[after - 1] + part * (frr[after] - frr[after - 1]))


def _min_cllr(genuine, other):
    """A block of one kind alone costs nothing."""
    mixed = (genuine > 0) & (other > 0)
    genuine, other = genuine[mixed], other[mixed]
    llr = np.log(genuine / other)
    return float(genuine @ np.logaddexp(0, -llr) + other @ np.logaddexp(0, llr)) / (2 * np.log(2))


def affine(scores, target):
    """(scale, offset) that make log-likelihood ratios of scores: logistic regression, both kinds weighing the same."""
    scores, target = np.asarray(scores), np.asarray(target, bool)
    weight = np.where(target, 0.5 / target.sum(), 0.5 / (~target).sum())

    def cost(x):
        return float(weight @ np.logaddexp(0, np.where(target, -1, 1) * (x[0] * scores + x[1])))

    scale = 4 / scores.std()
    start = [scale, -scale * (scores[target].mean() + scores[~target].mean()) / 2]
    return scipy.optimize.minimize(cost, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-6}).x
