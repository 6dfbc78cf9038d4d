"""Adapts the network to bad telephone lines by paired distillation: writes adaptation.npz.

    python3 adapt.py SPEECH NOISE [--cache DIR] [--out adaptation.npz]

SPEECH holds LibriSpeech utterances as READER/*.flac, NOISE the folders babble/, car/, ambient/ and rir/. Needs numpy,
scipy, soundfile, torch, sox with libsox-fmt-all, and ffmpeg.

The teacher is the public network on a clean utterance, the student the same network on a bad copy of it. What it
learns: the centred embedding of the bad copy points where the teacher's does, and nearer there than to the
teacher's other voices; clean speech of both bands stays where it was. No speaker labels are used beyond that.
"""

import argparse
import dataclasses
import math
import pathlib

import numpy as np
import torch
from torch.nn import functional

import adaptation
import checkpoint
import pairs
import reference
import torchnet

STARTS = (0, 250, 500)  # frames where the examples of a voice begin


@dataclasses.dataclass
class Plan:
    """A phase of the training."""

    steps: int
    rate: float
    warmup: int
    seed: int
    bad_phones: int  # examples of a step
    good_phones: int
    teachers_phones: int
    bad_rooms: int = 1  # wideband
    teachers_wide: int = 1
    contrast: float = 0  # weight of "nearer than to the others"
    temperature: float = 0.1


# First toward the teacher, then with more clean speech and the other voices kept apart: the first phase alone
# blurs clean speech.
PHASES = (
    Plan(100, 2e-3, 40, 2, bad_phones=8, good_phones=1, teachers_phones=1),
    Plan(45, 1e-3, 5, 12, bad_phones=6, good_phones=2, teachers_phones=2, contrast=0.15),
)


def main():
    """Makes the pairs, trains, validates, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech")
    parser.add_argument("noise")
    parser.add_argument("--cache", default="cache")
    parser.add_argument("--out", default="adaptation.npz")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers = reference.layers(checkpoint.load(options.cache))
    training, validation = _voices(options.speech, options.noise)
    student, lesson = Student(layers), Lesson(layers, training)
    before = validate(student.tensors(), validation)
    for plan in PHASES:
        train(student, lesson, plan)
    for name, figures in validate(student.tensors(), validation).items():
        print(f"{name}: {before[name]} -> {figures}")
    adaptation.save(options.out, student.changes())


def _voices(speech, noise):
    found = []
    for held_out, speeds in ((False, pairs.SPEEDS), (True, ((1, 1),))):
        people = pairs.recordings(speech, held_out)
        room = pairs.room(noise, list(people.values()), held_out)
        found.append(list(pairs.voices(people, room, np.random.default_rng(1), speeds)))
    return found


class Student:
    """The parameters that move: a gain of every channel of every layer, and its offset."""

    def __init__(self, layers):
        self.base = torchnet.tensors(layers)
        self.moves = {}
        for name, values in self.base.items():
            layer, _, part = name.partition("/")
            if part in ("weights", "gain"):
                self._add(f"{layer}/scale", torch.zeros(len(values)), 1)
            elif values.abs().max() > 0:  # layers without bias get none
                self._add(name, torch.zeros_like(values), float(values.abs().mean()))

    def _add(self, name, zeros, size):
        self.moves[name] = (zeros.requires_grad_(), size)

    def parameters(self):
        """What the optimiser moves: everything in units of its own typical size."""
        return [move for move, _ in self.moves.values()]

    def tensors(self):
        """The network as it stands, for torchnet.embed."""
        found = {}
        for name, values in self.base.items():
            layer, _, part = name.partition("/")
            if name in self.moves:
                move, size = self.moves[name]
                values = values + move * size
            if part in ("weights", "gain"):
                scale = 1 + self.moves[f"{layer}/scale"][0]
                values = values * scale.view(-1, *[1] * (values.ndim - 1))
            found[name] = values
        return found

    def changes(self):
        """{"layer/part": array} for adaptation.save."""
        return {name: (move * size).detach().numpy() for name, (move, size) in self.moves.items()}


class Lesson:
    """Examples and what the teacher makes of their clean versions."""

    def __init__(self, layers, voices):
        self.voices = voices
        self.people = sorted({voice.person.partition("/")[0] for voice in voices})
        self.examples = [(voice, start) for voice in voices for start in STARTS]
        teacher = torchnet.tensors(layers)
        self.targets, self.centres = {}, {}
        for narrow in (True, False):
            inputs = [_clean(voice, start, narrow) for voice, start in self.examples]
            self.targets[narrow] = embed(teacher, inputs)
            self.centres[narrow] = self.targets[narrow].mean(0)
        speakers = [self.people.index(voice.person.partition("/")[0]) for voice, _ in self.examples]
        self.speakers = torch.tensor(speakers)

    def batch(self, plan, random):
        """Inputs, narrow or not, and example numbers of one step."""
        inputs, narrow, numbers = [], [], []
        for kind in ("bad_phones", "good_phones", "teachers_phones", "bad_rooms", "teachers_wide"):
            for number in random.choice(len(self.examples), getattr(plan, kind), replace=False):
                inputs.append(_heard(*self.examples[number], kind, random))
                narrow.append("phones" in kind)
                numbers.append(number)
        return torch.from_numpy(np.stack(inputs)), torch.tensor(narrow), torch.from_numpy(np.stack(numbers))

    def loss(self, plan, embeddings, narrow, numbers):
        """Distance from the teacher, and from the others' distance."""
        total = 0
        for band in (True, False):
            rows = narrow == band
            bank = functional.normalize(self.targets[band] - self.centres[band])
            made = functional.normalize(functional.normalize(embeddings[rows]) - self.centres[band])
            cosines = made @ bank.T
            own = numbers[rows]
            total = total + (1 - cosines.gather(1, own[:, None])).sum()
            if plan.contrast:
                same = self.speakers[own][:, None] == self.speakers[None]
                same.scatter_(1, own[:, None], False)
                logits = (cosines / plan.temperature).masked_fill(same, -math.inf)
                total = total + plan.contrast * functional.cross_entropy(logits, own, reduction="sum")
        return total / len(numbers)


def _clean(voice, start, narrow):
    part = voice.narrow if narrow else voice.wide
    return pairs.network_input(part, start, part.loud, narrow)


def _heard(voice, start, kind, random):
    narrow = "phones" in kind
    if kind.startswith("teachers"):
        return _clean(voice, start, narrow)
    bad = voice.phones[1:] if narrow else voice.rooms
    part = voice.phones[0] if kind == "good_phones" else bad[random.integers(len(bad))]
    loud = part.loud if random.random() < 0.5 else (voice.narrow if narrow else voice.wide).loud
    return pairs.network_input(part, start, loud, narrow)


def train(student, lesson, plan):
    """Moves the student through one phase."""
    random = np.random.default_rng(plan.seed)
    optimiser = torch.optim.Adam(student.parameters(), lr=plan.rate)
    seen = []
    for step in range(plan.steps):
        ramp = min(1, (step + 1) / plan.warmup)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * ramp * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
        inputs, narrow, numbers = lesson.batch(plan, random)
        with torch.autocast("cpu", torch.bfloat16):
            embeddings = torchnet.embed(student.tensors(), inputs).float()
        loss = lesson.loss(plan, embeddings, narrow, numbers)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1)
        optimiser.step()
        seen.append(float(loss.detach()))
        if step % 25 == 24:
            print(f"step {step + 1}: loss {np.mean(seen[-25:]):.4f}", flush=True)


@torch.no_grad()
def embed(tensors, inputs, batch=32):
    """Unit embeddings of network inputs of one length."""
    parts = [torch.from_numpy(np.stack(inputs[at : at + batch])) for at in range(0, len(inputs), batch)]
    return functional.normalize(torch.cat([torchnet.embed(tensors, part) for part in parts]))


def validate(tensors, voices):
    """Held-out voices, first seconds clean against last seconds on a line.

    EER and FRR at FAR 1 % in percent, distance of the means in deviations, mean target cosine.
    """
    tensors = {name: values.detach() for name, values in tensors.items()}
    narrow = embed(tensors, [_clean(voice, 0, True) for voice in voices])
    wide = embed(tensors, [_clean(voice, 0, False) for voice in voices])
    late = 10_000  # beyond the end: the last frames
    tests = {"clean wideband": (wide, embed(tensors, [_clean(voice, late, False) for voice in voices]))}
    rooms = [pairs.network_input(voice.rooms[0], late, voice.wide.loud, False) for voice in voices]
    tests["wideband in rooms"] = (wide, embed(tensors, rooms))
    clean = embed(tensors, [_clean(voice, late, True) for voice in voices])
    tests["clean telephone"] = (narrow, clean)
    tests["wideband against telephone"] = (wide, clean)
    bad = []
    for turn in range(1, pairs.PHONES + 1):
        inputs = [pairs.network_input(v.phones[turn], late, v.phones[turn].loud, True) for v in voices]
        bad.append(embed(tensors, inputs))
    tests["bad telephone"] = (narrow, torch.cat(bad))
    tests["wideband against bad telephone"] = (wide, torch.cat(bad))
    return {name: _rates(*both, narrow.mean(0) if "tele" in name else wide.mean(0)) for name, both in tests.items()}


def _rates(enrolled, tested, centre):
    one = functional.normalize(enrolled - enrolled.mean(0))
    scores = (functional.normalize(tested - centre) @ one.T).numpy()
    own = np.arange(len(scores))[:, None] % len(enrolled) == np.arange(len(enrolled))
    targets, others = np.sort(scores[own]), np.sort(scores[~own])
    frr = np.searchsorted(targets, others) / len(targets)
    far = 1 - np.arange(len(others)) / len(others)
    at = np.argmin(np.abs(frr - far))
    spread = math.sqrt((targets.var() + others.var()) / 2)
    return (
        round(50 * float(frr[at] + far[at]), 2),
        round(100 * float(frr[np.argmax(far <= 0.01)]), 2),
        round(float(targets.mean() - others.mean()) / spread, 3),
        round(float(targets.mean()), 3),
    )


if __name__ == "__main__":
    main()
