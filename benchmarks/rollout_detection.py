"""How often a good candidate is rolled back by chance, and after how many answers a bad one is: the table of docs/rollout.md.

    python -m benchmarks.rollout_detection [--runs 500] [--answers 20000]

Pure: made-up answers go through the decision that the controller makes, looked at after every 20 answers of the candidate.
Times to score are lognormal (sigma 0.5, median 20 ms, so that nothing is below the floor of 10 ms), of the champion as many as its share
brings.
"""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from hearth.contracts.deploy_words import Deploy
from hearth.monitoring.quality import estimate_quality
from hearth.rollouts.counts import Counts, bucket_of
from hearth.rollouts.decision import Estimates, Evidence, decide

_LOOK = 20
_SHARE = 0.05
_MOST_CHAMPIONS = 100_000
_SIGMA, _MEDIAN = 0.5, 0.02
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Candidate:
    """What is wrong with a candidate: its share of errors, how many times longer it takes."""

    name: str
    errors: float = 0.0
    slower: float = 1.0
    champion_errors: float = 0.0


CANDIDATES = (
    Candidate("no errors, as fast"),
    Candidate("0.1 % errors", errors=0.001),
    Candidate("0.3 % errors", errors=0.003),
    Candidate("0.5 % errors, the bound", errors=0.005),
    Candidate("1 % errors", errors=0.01),
    Candidate("2 % errors", errors=0.02),
    Candidate("5 % errors", errors=0.05),
    Candidate("all fail", errors=1.0),
    Candidate("5 % errors, as the champion", errors=0.05, champion_errors=0.05),
    Candidate("1.5 times as slow", slower=1.5),
    Candidate("2 times as slow, the bound", slower=2.0),
    Candidate("3 times as slow", slower=3.0),
    Candidate("5 times as slow", slower=5.0),
)


def rolled_back_after(candidate: Candidate, answers: int, seed: int) -> tuple[int | None, str]:
    """Return after how many answers a candidate is rolled back, None if it is not, and why."""
    random = np.random.default_rng(seed)
    words = Deploy(way="canary", answers=10**9, latency_seconds=10)
    tried, champion = Counts(), Counts()
    slow_since = None
    champions = round(_LOOK * (1 - _SHARE) / _SHARE)
    for look in range(1, answers // _LOOK + 1):
        _add(tried, random, _LOOK, candidate.errors, candidate.slower)
        if champion.answers < _MOST_CHAMPIONS:  # more do not move its p99
            _add(champion, random, champions, candidate.champion_errors, 1.0)
        now = _START + timedelta(seconds=look)
        verdict = decide(words, Evidence(_SHARE, _START, 0, tried, champion, slow_since=slow_since), now)
        slow_since = verdict.slow_since
        if verdict.action == "roll_back":
            return look * _LOOK, verdict.reason
    return None, ""


def _add(counts: Counts, random: np.random.Generator, answers: int, errors: float, slower: float) -> None:
    counts.answers += answers
    counts.errors += int(random.binomial(answers, errors))
    for seconds in random.lognormal(np.log(_MEDIAN * slower), _SIGMA, min(answers, 50)):
        counts.latencies[bucket_of(float(seconds))] += 1


def estimated_below(drop: float, records: int, runs: int) -> float:
    """Return the share of runs in which a candidate whose expected accuracy is `drop` below the champion's is rolled back for it."""
    words = Deploy(way="canary", answers=10**9)
    stopped = 0
    for seed in range(runs):
        random = np.random.default_rng(seed)
        both = [estimate_quality("accuracy", _probabilities(random, records, 0.85 - less), seed) for less in (drop, 0.0)]
        tried, champion = both
        estimates = Estimates(tried, champion) if tried and champion else None
        evidence = Evidence(_SHARE, _START, 0, Counts(records), Counts(records), estimates=estimates)
        stopped += decide(words, evidence, _START).action == "roll_back"
    return stopped / runs


def _probabilities(random: np.random.Generator, records: int, mean: float) -> np.ndarray:
    best = np.clip(random.normal(mean, 0.1, records), 0.34, 0.999)
    return np.column_stack([best, (1 - best) / 2, (1 - best) / 2])


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--answers", type=int, default=10_000)
    options = parser.parse_args()
    print(f"| candidate | rolled back within {options.answers:,} answers | median | 95th percentile |\n|---|---|---|---|")
    for candidate in CANDIDATES:
        runs = [rolled_back_after(candidate, options.answers, seed)[0] for seed in range(options.runs)]
        after = [answers for answers in runs if answers is not None]
        places = [f"{np.quantile(after, q):,.0f}" if len(after) > options.runs / 2 else "-" for q in (0.5, 0.95)]
        print(f"| {candidate.name} | {len(after) / options.runs:.1%} | {places[0]} | {places[1]} |")
    print("\n| estimated accuracy below the champion's | rolled back, 200 answers of each | 1,000 |\n|---|---|---|")
    for drop in (0.0, 0.03, 0.05, 0.08, 0.10, 0.15):
        print(f"| {drop:.0%} | {estimated_below(drop, 200, 200):.1%} | {estimated_below(drop, 1_000, 200):.1%} |")


if __name__ == "__main__":
    main()
