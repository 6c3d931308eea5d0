"""What happens to pages on their way to a PDF: noise, JPEG artefacts, blur."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter


def wear(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Give three in ten images noise, JPEG artefacts or a slight blur."""
    kind = rng.random()
    if kind < 0.7:
        return image
    if kind < 0.8:
        noise = rng.integers(-12, 13, image.shape[:2])[..., None]
        return np.clip(image.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    picture = Image.fromarray(image)
    if kind < 0.9:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=int(rng.integers(40, 90)))
        return np.array(Image.open(buffer))
    return np.array(picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.6)))))
