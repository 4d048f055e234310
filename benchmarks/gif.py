"""Makes a short GIF of a video, for a page that shows no videos: `python benchmarks/gif.py video.mp4 student.gif`."""

from __future__ import annotations

import sys

import imageio.v3 as iio
import numpy as np

FRAMES_PER_S = 10
SHRINK = 2
"""Pixels of the video, in each direction, that become one."""
SHADES = 28
"""Shades of each colour; fewer make a smaller file."""


def main(source: str, target: str, start_s: str = "0", end_s: str = "inf") -> None:
    """Write the part of a video between two times [s] as a GIF that repeats."""
    video_fps = iio.immeta(source, plugin="pyav")["fps"]
    every = round(video_fps / FRAMES_PER_S)
    first, last = float(start_s) * video_fps, float(end_s) * video_fps
    pictures = [
        reduced(frame)
        for index, frame in enumerate(iio.imiter(source, plugin="pyav"))
        if first <= index < last and index % every == 0
    ]
    iio.imwrite(target, np.stack(pictures), plugin="pillow", duration=1000 * every / video_fps, loop=0)


def reduced(picture: np.ndarray) -> np.ndarray:
    """Shrink a picture (height, width, 3) and take shades from it."""
    height, width, colours = picture.shape
    blocks = picture.reshape(height // SHRINK, SHRINK, width // SHRINK, SHRINK, colours).mean(axis=(1, 3))
    step = 255 / (SHADES - 1)
    return (np.round(blocks / step) * step).astype(np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
