"""dlib in a process of its own: it holds the interpreter's lock for as long as it looks at a face (80 ms), and the
server would serve nobody in that time.

``python -m framecast.vision.faces.dlibchild``: reads requests from standard input until that ends, and answers each on
standard output. The ends of both are in `framecast.vision.faces.dlibfaces`. It stands back from the loop as far as the
thread that starts it does (`framecast.core.threads`), and no further: on a busy machine it would not be ready in time.
"""

from __future__ import annotations

import signal
import struct
import sys
from typing import Any, BinaryIO

import numpy as np

REQUEST = struct.Struct("<cII4f")
"""What is wanted, rows and columns of the picture (BGR bytes that follow), and a face's box."""
ANSWER = struct.Struct("<I")
"""How many float64 follow."""
FIND, EMBED = b"f", b"e"
SURE = 0.25
"""dlib's score from which on it is a face: seen here, faces have 0.8 and more, what is none up to 0.15."""


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the server, which was told, too
    source, target = sys.stdin.buffer, sys.stdout.buffer
    import dlib
    import face_recognition_models as models

    finder = dlib.get_frontal_face_detector()
    points = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
    network = dlib.face_recognition_model_v1(models.face_recognition_model_location())
    _answer(target, [])
    while head := source.read(REQUEST.size):
        wanted, rows, columns, *box = REQUEST.unpack(head)
        data = source.read(rows * columns * 3)
        if len(data) < rows * columns * 3:
            return
        image = np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(rows, columns, 3)[..., ::-1])
        if wanted == FIND:
            boxes, scores, _ = finder.run(image, 0, SURE)
            _answer(
                target, [value for box, score in zip(boxes, scores, strict=True) for value in (*_edges(box), score)]
            )
        else:
            area = dlib.rectangle(*(round(value) for value in box))
            _answer(target, network.compute_face_descriptor(image, points(image, area)))


def _edges(box: Any) -> tuple[int, int, int, int]:
    return box.left(), box.top(), box.right(), box.bottom()


def _answer(target: BinaryIO, values: Any) -> None:
    numbers = np.array(values, np.float64)
    target.write(ANSWER.pack(numbers.size) + numbers.tobytes())
    target.flush()


if __name__ == "__main__":
    main()
