"""How data became what a network takes, so that new data become the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preparation:
    """What a network takes, and how data became that: `image_shape` and `preparation` of its `model.json`.

    Attributes:
        image_shape: (H, W), (H, W, 3), or (D,) of rows.
        type: Of the numbers: uint8 for 0 to 255, or float32.
        value_range: The pixel value in files that is 1 for the network; None if the type says it.
        resize: Width and height that pictures are brought to.
        shape: Of an image, where files have rows of pixels.
        columns: Names of the columns of rows, in order.
        label: The column of labels that was asked for.
    """

    image_shape: tuple[int, ...]
    type: str
    value_range: float | None = None
    resize: tuple[int, int] | None = None
    shape: tuple[int, ...] | None = None
    columns: tuple[str, ...] | None = None
    label: str | None = None

    @property
    def top(self) -> float:
        """Of images the pixel value in files that is 1 for the network."""
        return self.value_range or (255.0 if self.type == "uint8" else 1.0)

    def check(self, is_rows: bool) -> None:
        """Raise a ValueError where this is not of images, or of rows of numbers, or contradicts itself."""
        if not all(n > 0 for n in self.image_shape) or len(self.image_shape) not in (1, 2, 3):
            raise ValueError(f"an image shape {self.image_shape}")
        if is_rows != (len(self.image_shape) == 1) or is_rows != (self.columns is not None):
            raise ValueError(f"an image shape {self.image_shape} and columns {self.columns and len(self.columns)}")
        if self.columns is not None and len(self.columns) != self.image_shape[0]:
            raise ValueError(f"{len(self.columns)} columns for {self.image_shape[0]} numbers")
        if self.value_range is not None and self.value_range <= 0:
            raise ValueError(f"a range to {self.value_range}")
