"""Neural posterior estimation (`sbi`), amortised and in rounds, from statistics of single runs."""

import numpy as np
import torch
from sbi.inference import NPE
from sbi.utils import BoxUniform
from search import Recommended, Runs

torch.set_num_threads(1)
RARE = 0.01  # share of simulations from which being undefined is a feature of its own
SAMPLES = 2000  # of a posterior, for its median
POOL = 20_000  # samples that a truncated prior is drawn from
OUTSIDE = 1e-3  # mass of the posterior that it leaves out
DOUBLINGS = 5  # how often the amortised posterior is looked at


class Posterior:
    """The posterior given the targets, learned from parameters [n, p] and statistics [n, q].

    A statistic that is undefined in a simulation (NaN: CV of silent cells) is set to its mean over
    the others, and whether it is defined becomes a feature: the network learns what that tells.
    """

    def __init__(self, low, high, us: np.ndarray, scaled: np.ndarray, aimed: np.ndarray, key: int):
        torch.manual_seed(key)
        self.low, self.high = low, high
        missing = ~np.isfinite(scaled)
        told = missing.mean(axis=0) > RARE
        mean = np.nanmean(np.where(missing, np.nan, scaled), axis=0)
        features = np.hstack([np.where(missing, mean, scaled), missing[:, told]])
        self.observed = tensor(np.append(aimed, np.zeros(told.sum())))[None]
        trainer = NPE(BoxUniform(tensor(low), tensor(high)), show_progress_bars=False)
        trainer.append_simulations(tensor(us), tensor(features))
        self.density = trainer.train(
            training_batch_size=100, max_num_epochs=300, force_first_round_loss=True
        )

    def sample(self, n: int) -> torch.Tensor:
        """Of the network's density, which may leak out of the bounds, [n, p]."""
        with torch.no_grad():
            return self.density.sample((n,), self.observed)[:, 0]

    @property
    def median(self) -> np.ndarray:
        """Of each parameter, among samples inside the bounds if there are some."""
        found = self.sample(SAMPLES).numpy()
        inside = np.all((found >= self.low) & (found <= self.high), axis=1)
        found = found[inside] if inside.sum() >= 100 else found
        return np.clip(np.median(found, axis=0), self.low, self.high)

    def truncated_prior(self, n: int, draw: np.random.Generator) -> np.ndarray:
        """The uniform prior where the posterior has all but `OUTSIDE` of its mass, [n, p].

        By sampling importance resampling (TSNPE: Deistler et al. 2022, arXiv:2210.04815).
        """
        found = self.sample(POOL)
        with torch.no_grad():
            log_density = self.density.log_prob(found[:, None], self.observed)[:, 0].numpy()
        found = found.numpy().astype(float)
        inside = np.all((found >= self.low) & (found <= self.high), axis=1)
        inside &= log_density > np.quantile(log_density, OUTSIDE)
        if inside.sum() < 2 * n:
            return draw.uniform(self.low, self.high, (n, len(self.low)))
        weight = np.exp(log_density[inside].min() - log_density[inside])
        return found[inside][draw.choice(inside.sum(), n, replace=False, p=weight / weight.sum())]


def tensor(x: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.asarray(x), dtype=torch.float32)


def amortised(runs: Runs, budget: float, key: int) -> Recommended:
    """The posterior's median from ever more simulations of the prior."""
    c, draw = runs.protocol.coordinates, np.random.default_rng([7, key])
    n = number(runs, budget)
    us, scaled = draw.uniform(c.low, c.high, (n, c.size)), None
    for size in [n >> k for k in reversed(range(DOUBLINGS))]:
        done = 0 if scaled is None else len(scaled)
        new = simulated(runs, us[done:size])
        scaled = new if scaled is None else np.concatenate([scaled, new])
        posterior = Posterior(c.low, c.high, us[:size], scaled, runs.goal.value, key)
        yield runs.seconds, posterior.median


def truncated(runs: Runs, budget: float, rounds: int, key: int) -> Recommended:
    """The same after each of several rounds, from the prior truncated to the last posterior."""
    c, draw = runs.protocol.coordinates, np.random.default_rng([7, key])
    n = number(runs, budget) // rounds
    us = draw.uniform(c.low, c.high, (n, c.size))
    scaled = simulated(runs, us)
    for i in range(rounds):
        posterior = Posterior(c.low, c.high, us, scaled, runs.goal.value, key)
        yield runs.seconds, posterior.median
        if i + 1 < rounds:
            new = posterior.truncated_prior(n, draw)
            us = np.concatenate([us, new])
            scaled = np.concatenate([scaled, simulated(runs, new)])


def number(runs: Runs, budget: float) -> int:
    """How many simulations, each of one run under every condition, the budget pays for."""
    return int(budget / runs.cost)


def simulated(runs: Runs, us: np.ndarray) -> np.ndarray:
    """Statistics on the scale on which they are compared, each run with noise of its own."""
    return np.asarray(runs.protocol.scaled(runs.statistics(us, apart=True)), float)
