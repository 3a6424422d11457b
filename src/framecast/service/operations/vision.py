"""A look at what would look at the pictures: libraries, models, faces."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from framecast.service.config import Configuration
from framecast.service.operations.machine import Finding, Level, install_command
from framecast.vision import catalog
from framecast.vision.faces.tools import OFF, Workshop, choose


def sight(configuration: Configuration) -> Iterator[Finding]:
    """What finds things in the pictures: whether it is there, and can be opened. Opens the model that would be used."""
    wanted = configuration.settings.vision
    if not wanted.enabled:
        yield Finding("vision", "ok", "switched off (vision.enabled)")
        return
    missing = [module for module in ("cv2", "onnxruntime") if importlib.util.find_spec(module) is None]
    if missing:
        text = f"nothing is seen in the pictures, not even movement, without {' and '.join(missing)}"
        yield Finding("vision", "note", text, install_command("vision"))
        return
    from framecast.vision.detectors import open_detector

    where = catalog.folders(configuration.settings.server.data, wanted.model_dir)
    opened = open_detector(wanted.model, where, wanted.threads)
    if opened.state == "no_model":
        text, _, advice = opened.reason.partition("; until then")[0].partition(": framecast models ")
        text, _, _ = text.partition(" (framecast")
        level: Level = "warning" if wanted.model else "note"
        text += f" in {' or '.join(map(str, where))}; people only, by OpenCV's own detector"
        yield Finding("vision", level, text, f"framecast models {advice or 'list'}")
    elif opened.state:
        yield Finding("vision", "error", opened.reason, "framecast models verify")
    elif opened.detector is not None:
        wide, high = opened.detector.input_px
        text = f"{opened.name}: {opened.detector.form}, {wide}x{high} px, on {opened.detector.provider}"
        yield Finding("vision", "ok", text)
        unknown = [label for label in wanted.labels if label not in opened.detector.labels]
        if unknown:
            text = f"{opened.name} knows no {', '.join(unknown)} (vision.labels)"
            yield Finding("vision", "warning", text, f"it knows {', '.join(opened.detector.labels)}")


def faces(configuration: Configuration) -> Iterator[Finding]:
    """What finds faces and tells them apart. Opens the models that would be used, but does not start dlib."""
    wanted = configuration.settings.vision
    if not wanted.enabled or wanted.faces == OFF:
        yield Finding("faces", "ok", "switched off (vision.faces)")
        return
    where = catalog.folders(configuration.settings.server.data, wanted.model_dir)
    choice = choose(wanted.faces, where)
    if choice.finder is None:
        text, _, advice = choice.reason.partition(": ")
        yield Finding("faces", "note" if wanted.faces == "auto" else "warning", text, advice)
        return
    from framecast.vision.faces.face import FacesUnavailable

    workshop = Workshop(where)
    try:
        tools = workshop.get(wanted.faces)
    except FacesUnavailable as error:
        yield Finding("faces", "error", str(error), "framecast models verify")
        return
    finally:
        workshop.close()
    if tools.embedder is None:
        text, _, advice = choice.reason.partition(": ")
        yield Finding("faces", "note", text, advice)
    else:
        yield Finding("faces", "ok", f"found by {tools.finder.name}, told apart by {tools.embedder.name}")
