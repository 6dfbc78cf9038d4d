"""Trains the net-speech network on scenes: `python3 train.py --scenes a.npz b.npz --out weights.npz`, one thread.

Log mel frames are averaged in pairs to steps of 20 ms. Three steps go through a dense layer with ReLU, that through a
gated recurrent unit, and its state says how likely the step LOOK_AHEAD ago was speech.
"""

import argparse
import time

import numpy as np
import torch
from torch import nn

BINS, STEPS_SEEN, DENSE, STATE = 58, 3, 48, 64
LOOK_AHEAD = 20  # steps
CENTRE, SPAN = 14.0, 4.0  # nepers: what log mel energies are brought to about -2..3 by


class Network(nn.Module):
    """Steps [batch][step][58] to logits [batch][step], each for the step LOOK_AHEAD before."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(STEPS_SEEN * BINS, DENSE)
        self.memory = nn.GRU(DENSE, STATE, batch_first=True)
        self.verdict = nn.Linear(STATE, 1)

    def forward(self, steps):
        before = steps[:, :1].expand(-1, STEPS_SEEN - 1, -1)
        padded = torch.cat([before, steps], dim=1)
        seen = torch.cat([padded[:, k : k + steps.shape[1]] for k in range(STEPS_SEEN)], dim=2)
        state, _ = self.memory(torch.relu(self.dense(seen)))
        return self.verdict(state)[:, :, 0]


def steps(frames):
    """Frames [..][frame][58], Q9, to network input [..][step][58]."""
    even = frames.shape[-2] // 2 * 2
    pairs = frames[..., :even, :].astype(np.float32).reshape(*frames.shape[:-2], even // 2, 2, frames.shape[-1])
    return (pairs.mean(axis=-2) / 512 - CENTRE) / SPAN


def load(paths, silent):
    """Input and labels of all scenes, and weights: scenes without any speech weigh `silent`."""
    inputs, labels = [], []
    for path in paths:
        with np.load(path) as file:
            inputs.append(steps(file["frames"]).astype(np.float16))
            marks = file["labels"].astype(np.float32)
            labels.append(marks[:, : marks.shape[1] // 2 * 2].reshape(len(marks), -1, 2).mean(axis=2))
    inputs, labels = np.concatenate(inputs), np.concatenate(labels)
    weights = np.where(labels.max(axis=1, keepdims=True) == 0, silent, 1.0) * np.ones_like(labels)
    return torch.from_numpy(inputs), torch.from_numpy(labels), torch.from_numpy(weights.astype(np.float32))


def varied(batch):
    """Other levels and line responses."""
    count = len(batch)
    gain = torch.randn(count, 1, 1) * 0.12
    slope = torch.randn(count, 1, 1) * 0.08 * torch.linspace(-1, 1, BINS)
    wave = torch.randn(count, 1, 1) * 0.06 * torch.cos(torch.linspace(0, 1, BINS) * torch.rand(count, 1, 1) * 12)
    floor = (np.log(128) - CENTRE) / SPAN
    return torch.clamp(batch.float() + gain + slope + wave, min=floor)


def loss_of(network, inputs, labels, weights):
    logits = network(inputs)[:, LOOK_AHEAD:]
    size = logits.shape[1]
    loss = nn.functional.binary_cross_entropy_with_logits(logits, labels[:, :size], weight=weights[:, :size])
    return loss, logits, labels[:, :size]


def train(arguments):
    torch.manual_seed(1)
    torch.set_num_threads(1)
    inputs, labels, weights = load(arguments.scenes, arguments.silent)
    network = Network()
    if arguments.start:
        network.load_state_dict({k: torch.from_numpy(v) for k, v in np.load(arguments.start).items()})
    batches = len(inputs) // arguments.batch
    optimiser = torch.optim.AdamW(network.parameters(), lr=arguments.rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, arguments.rate, total_steps=arguments.epochs * batches, pct_start=0.1)
    for epoch in range(arguments.epochs):
        start, total, right, count = time.time(), 0.0, 0.0, 0
        for chosen in torch.randperm(len(inputs))[: batches * arguments.batch].split(arguments.batch):
            loss, logits, marks = loss_of(network, varied(inputs[chosen]), labels[chosen], weights[chosen])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
            right += ((logits > 0) == (marks > 0.5)).float().mean().item()
            count += 1
        print(f"epoch {epoch}: loss {total / count:.4f}, right {right / count:.4f}, {time.time() - start:.0f} s", flush=True)
        np.savez(arguments.out, **{name: value.numpy() for name, value in network.state_dict().items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", required=True)
    parser.add_argument("--start", help="weights to go on from")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--silent", type=float, default=1.5, help="weight of scenes without speech")
    parser.add_argument("--out", required=True)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
