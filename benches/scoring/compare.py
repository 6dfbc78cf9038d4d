"""Ways to compare embeddings, on one table. Needs numpy.

    compare.py CACHE CONDITION=LIST.csv=EMBEDDINGS.txt ...

CACHE is what `--cache` of the program `calibrate` keeps (speech that constants may be derived from); EMBEDDINGS.txt
is what the program `embeddings` writes of the trial list LIST.csv. Prints for each way the EER, the EER among people
of one corpus and sex, and the false rejects at FAR 1 % and 0.1 %, in percent, averaged over the conditions.
"""

import csv
import sys

import numpy as np

SIZE = 192


def cache(path):
    """(line, person, part) to embedding, of the people with one utterance each."""
    made = {}
    for row in open(path):
        words = row.split()
        line, person, part = words[0].split("/")
        if len(words) == 2 + SIZE and person.isdigit():
            made[line, int(person), part] = np.array(words[2:], float) / 32768
    return made


def condition(listed, embeddings):
    """Enrollment and test embeddings of each trial, target or not, alike or not."""
    made = {}
    for row in open(embeddings):
        words = row.rstrip("\n").split("\t")
        if len(words) == 3 + SIZE:
            made[words[0], words[1]] = np.array(words[3:], float) / 32768
    rows = list(csv.DictReader(open(listed)))
    rows = [r for r in rows if ("enroll", r["enroll"]) in made and ("test", r["test"]) in made]
    enrolled = np.array([made["enroll", r["enroll"]] for r in rows])
    tests = np.array([made["test", r["test"]] for r in rows])
    target = np.array([r["target"] == "1" for r in rows])
    alike = np.array([r.get("same_corpus_and_gender", "1") == "1" for r in rows])
    return enrolled, tests, target, alike


def eer(scores, target):
    order = np.argsort(scores, kind="stable")
    misses = np.cumsum(target[order]) / target.sum()
    alarms = 1 - np.cumsum(~target[order]) / (~target).sum()
    at = np.argmin(np.abs(misses - alarms))
    return (misses[at] + alarms[at]) / 2


def misses_at(scores, target, far):
    others = np.sort(scores[~target])
    limit = others[-(int(far * len(others)) + 1)]
    return np.mean(scores[target] <= limit)


def cosine(one, other):
    product = np.sum(one * other, axis=1)
    return product / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def within(made, mean):
    people = sorted({key[1] for key in made})
    own = [np.array([v for k, v in made.items() if k[1] == person]) for person in people]
    rest = np.concatenate([rows - rows.mean(axis=0) for rows in own])
    return rest.T @ rest / (len(rest) - len(people))


def shifts(made):
    """Mean move of each line, from the same people over mu-law."""
    lines = sorted({key[0] for key in made} - {"mu-law"})
    moves = []
    for line in lines:
        keys = [k for k in made if k[0] == line and k[2] == "Half(1)" and ("mu-law", *k[1:]) in made]
        if keys:
            moves.append(np.mean([made[k] - made["mu-law", k[1], k[2]] for k in keys], axis=0))
    return np.array(moves)


def without(directions):
    return np.eye(SIZE) - directions.T @ directions


def ways(made):
    values = np.array(list(made.values()))
    mean, covariance = values.mean(axis=0), within(made, values.mean(axis=0))
    power, vectors = np.linalg.eigh(covariance)
    yield "plain cosine", lambda e, t: cosine(e, t)
    yield "centred", lambda e, t: cosine(e - mean, t - mean)
    for share in (0.2, 0.4, 0.7, 0.85):
        shrunk = (1 - share) * power + share * power.mean()
        whiten = vectors / np.sqrt(shrunk)
        yield f"whitened, shrunk by {share}", lambda e, t, w=whiten: cosine((e - mean) @ w, (t - mean) @ w)
    for count in (4, 8, 16, 24):
        kept = without(vectors[:, -count:].T)
        yield f"without {count} within-person axes", lambda e, t, p=kept: cosine((e - mean) @ p, (t - mean) @ p)
    _, _, moves = np.linalg.svd(shifts(made), full_matrices=False)
    kept = without(moves)
    yield f"without {len(moves)} line shifts", lambda e, t: cosine((e - mean) @ kept, (t - mean) @ kept)
    cohort = (values - mean) @ kept
    cohort /= np.linalg.norm(cohort, axis=1, keepdims=True)
    centre, spread = cohort.mean(axis=0), np.cov(cohort.T)

    def snorm(e, t):
        sides = [(x - mean) @ kept for x in (e, t)]
        sides = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in sides]
        score = np.sum(sides[0] * sides[1], axis=1)
        wide = [np.sqrt(np.einsum("ij,jk,ik->i", x, spread, x)) for x in sides]
        return sum((score - x @ centre) / w for x, w in zip(sides, wide))

    yield "the same, S-norm in closed form", snorm


def main():
    made = cache(sys.argv[1])
    made = {k: v for k, v in made.items() if not k[0].startswith("wideband") or k[0] == "wideband-masked"}
    conditions = [condition(*argument.split("=")[1:]) for argument in sys.argv[2:]]
    print(f"{'way':36} {'EER':>6} {'alike':>6} {'at 1%':>6} {'at .1%':>6}")
    for name, way in ways(made):
        rows = []
        for enrolled, tests, target, alike in conditions:
            scores = way(enrolled, tests)
            rows.append([eer(scores, target), eer(scores[alike], target[alike]),
                         misses_at(scores, target, 0.01), misses_at(scores, target, 0.001)])
        print(f"{name:36}", *(f"{100 * value:6.2f}" for value in np.mean(rows, axis=0)))


main()
