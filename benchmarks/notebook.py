"""The study as notebooks commonly have it: the baseline for latentfit's speed.

Written plainly and fairly: a `Dataset` that converts one PIL image at a time, a `DataLoader`, `Adam` with
its defaults, all of PyTorch's threads, one network after the other, test error after each epoch. Architecture and
recipe are those of `latentfit study`.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from latentfit.data import load


class Images(Dataset[Tensor]):
    """Images one at a time, as torchvision's `FashionMNIST` with `ToTensor` gives them."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        picture = Image.fromarray(self.images[index])
        return torch.from_numpy(np.array(picture)).unsqueeze(0).float().div(255)


class Autoencoder(nn.Module):
    """784-512-256-k-256-512-784."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 512),
            nn.ReLU(),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Linear(256, latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 256),
            nn.ReLU(),
            nn.Linear(256, 512),
            nn.ReLU(),
            nn.Linear(512, 784),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, x: Tensor) -> Any:
        """Reconstructions of images, (B, 1, 28, 28)."""
        return self.decoder(self.encoder(x))


def train(latent_dim: int, train_set: Images, test_set: Images, epochs: int) -> tuple[float, float, float]:
    """Train one network; seconds of one of the last two epochs, and its errors on both sets at the end."""
    torch.manual_seed(0)
    model = Autoencoder(latent_dim)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    batches = DataLoader(train_set, batch_size=128, shuffle=True)
    test_batches = DataLoader(test_set, batch_size=1000)
    ends = []
    for _ in range(epochs):
        model.train()
        for x in batches:
            loss = nn.functional.mse_loss(model(x), x)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        test_mse = error(model, test_batches)
        ends.append(time.perf_counter())
    return (ends[-1] - ends[-3]) / 2, error(model, DataLoader(train_set, batch_size=1000)), test_mse


@torch.no_grad()
def error(model: Autoencoder, batches: DataLoader[Tensor]) -> float:
    """Mean squared error over a loader of equal batches."""
    model.eval()
    return float(np.mean([nn.functional.mse_loss(model(x), x).item() for x in batches]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20, help="3 or more: the last two are timed")
    epochs = parser.parse_args().epochs
    images = load("auto")
    results = {k: train(k, Images(images.x_train), Images(images.x_test), epochs) for k in (16, 48)}
    print(
        json.dumps(
            {
                "seconds_per_epoch": sum(seconds for seconds, _, _ in results.values()),
                "mse": {k: errors for k, (_, *errors) in results.items()},
            }
        )
    )
