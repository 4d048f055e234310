"""Makes a short GIF of a video, for a page that shows no videos: `python benchmarks/gif.py video.mp4 student.gif`."""

from __future__ import annotations

import sys

import imageio.v3 as iio
from PIL import Image

FRAMES_PER_S = 10
SHRINK = 2
"""Pixels of the video, in each direction, that become one."""
COLOURS = 64


def main(source: str, target: str, start_s: str = "0", end_s: str = "inf") -> None:
    """Write the part of a video between two times [s] as a GIF that repeats."""
    video_fps = iio.immeta(source, plugin="pyav")["fps"]
    every = round(video_fps / FRAMES_PER_S)
    first, last = float(start_s) * video_fps, float(end_s) * video_fps
    pictures = [
        Image.fromarray(frame).reduce(SHRINK).quantize(COLOURS, dither=Image.Dither.NONE)
        for index, frame in enumerate(iio.imiter(source, plugin="pyav"))
        if first <= index < last and index % every == 0
    ]
    duration_ms = round(1000 * every / video_fps)
    pictures[0].save(target, save_all=True, append_images=pictures[1:], duration=duration_ms, loop=0, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
