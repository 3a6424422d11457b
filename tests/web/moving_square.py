"""Pushes pictures with a white square in them, in front of something that moves, until it is killed."""

from __future__ import annotations

import http.client
import sys
import time
from urllib.parse import urlsplit

import numpy as np
import simplejpeg

WIDTH_PX, HEIGHT_PX = 320, 240
FPS = 15


def scene(number: int) -> bytes:
    """One of 20 pictures."""
    pixels = np.full((HEIGHT_PX, WIDTH_PX, 3), 60, np.uint8)
    pixels[60:180, 80:160] = 255
    left = number % 20 * 10
    pixels[-20:, left : left + 10] = 90
    jpeg: bytes = simplejpeg.encode_jpeg(pixels, 90, "RGB")
    return jpeg


def main(url: str, *cameras: str) -> None:
    """Push to each of these cameras."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    pictures = [scene(number) for number in range(20)]
    number = 0
    while True:
        number += 1
        for camera in cameras:
            path = f"/api/v1/cameras/{camera}/frames"
            connection.request("POST", path, pictures[number % 20], {"Content-Type": "image/jpeg"})
            connection.getresponse().read()
        time.sleep(1 / FPS)


if __name__ == "__main__":
    main(*sys.argv[1:])
