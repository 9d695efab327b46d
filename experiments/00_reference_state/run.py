"""Is `cortex` in the same asynchronous irregular state at every size and seed?

Rates, CV, correlation and synchrony at 1.0, 0.5 and 0.1 mM magnesium, for 1,000, 4,000 and 20,000
cells and several seeds, and with all NMDA conductances at 0. Run with --quick for a small version.
"""

import argparse
from pathlib import Path

from cortexmg import ladder, models, results

HERE = Path(__file__).parent
MAGNESIUM = [0.1, 0.5, 1.0]  # mM
SETTLE, DURATION = 500.0, 2000.0  # ms


def measure(n: int, key: int, duration: float, **options) -> list[dict]:
    """The statistics of one network at each magnesium concentration."""
    network = models.cortex(n, key, **options)
    runs = ladder.run_ladder(network, MAGNESIUM, duration=duration, settle=SETTLE, key=100 + key)
    rows = [ladder.summary(run, network, SETTLE) for run in runs]
    return [
        {"n": n, "key": key, "mg": mg, **options, **row}
        for mg, row in zip(MAGNESIUM, rows, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    sizes = {500: 1} if quick else {1000: 5, 4000: 5, 20_000: 3}
    duration = 500.0 if quick else DURATION
    rows = [
        row for n, keys in sizes.items() for k in range(keys) for row in measure(n, k, duration)
    ]
    rows += measure(min(sizes) if quick else 4000, 0, duration, nmda=0.0)
    shown = ["rate E", "rate I", "CV E", "CV I", "corr E", "corr I", "chi E", "chi I"]
    print("      n key   mg nmda " + " ".join(f"{c:>8s}" for c in shown))
    for row in rows:
        numbers = " ".join(f"{row[c]:8.3f}" for c in shown)
        print(
            f"{row['n']:7d} {row['key']:3d} {row['mg']:4.1f} {row.get('nmda', 1.0):4.1f} {numbers}"
        )
    if not quick:
        results.write(HERE / "results/states.json", rows=rows)


if __name__ == "__main__":
    main()
