"""The same two networks as `benchmarks/notebook.py`, trained by latentfit, side by side."""

from __future__ import annotations

import argparse
import json
import tempfile
import time

import latentfit
from latentfit.train import Epoch, Job


def main() -> None:
    """Run a study of a few epochs and print its seconds an epoch, both networks together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3, help="2 or more: the first is not counted")
    epochs = parser.parse_args().epochs
    ends: dict[Job, list[float]] = {}

    def note(job: Job, row: Epoch | None) -> None:
        if row is not None:
            ends.setdefault(job, []).append(time.perf_counter())

    images = latentfit.load_data("auto")
    with tempfile.TemporaryDirectory() as folder:
        study = latentfit.study(images, (16, 48), epochs=epochs, out=folder, progress=note)
    # they run at once: from the later first end to the later last end, both have done the epochs between
    seconds = max(times[-1] for times in ends.values()) - max(times[0] for times in ends.values())
    print(
        json.dumps(
            {
                "data": images.name,
                "seconds_per_epoch": seconds / (epochs - 1),
                "test_mse": {m["latent_dim"]: m["test_mse"] for m in study.results["models"]},
            }
        )
    )


if __name__ == "__main__":
    main()
