"""What cameras do wrong, in plain words: one table from which doctor, API, page and docs/devices.md read.

A quirk costs nothing and is coped with; a fault lost or refused something; a trouble is why a probe found no pictures,
or poor ones. `ingest.diagnosis` looks things up here.
"""

from __future__ import annotations

from framecast.ingest.explanation import Explanation, Severity
from framecast.ingest.soundcodes import SOUND

__all__ = ["FAULTS", "QUIRKS", "SOUND", "TABLE", "TROUBLES", "Explanation", "Severity", "reference"]

QUIRKS: dict[str, Explanation] = {
    "no_first_boundary": Explanation(
        "info",
        "The stream begins without its boundary",
        "Framecast starts at the first part's headers, so no picture is lost. Strict players show nothing.",
        "M5Stack AtomS3R-CAM demo, older Tasmota",
    ),
    "doubled_boundary": Explanation(
        "info", "A boundary comes twice", "The empty part between them is skipped.", "ESP32 sketches"
    ),
    "boundary_with_dashes": Explanation(
        "info",
        "The Content-Type names the boundary with the two dashes that belong to the body only",
        "Both ways of writing it are understood.",
        "many IP cameras",
    ),
    "boundary_not_found": Explanation(
        "info",
        "The body uses another boundary than the Content-Type names",
        "The one in the body is taken. A firmware update may put it right.",
    ),
    "no_content_length": Explanation(
        "info",
        "Pictures come without their length",
        "The end of each picture is found by its own structure. Some programs (go2rtc, small displays) need the "
        "length; Framecast adds it for its viewers.",
    ),
    "padded_content_length": Explanation(
        "info",
        "The length is padded with spaces or zeros",
        "It is read all the same.",
        "s60sc ESP32-CAM_MJPEG2SD",
    ),
    "wrong_content_length": Explanation(
        "warning",
        "The announced length of pictures is wrong",
        "Pictures are cut by their own structure instead, and one may be lost now and then. In a sketch, send exactly "
        "fb->len bytes and announce exactly that.",
    ),
    "no_timestamp": Explanation(
        "info",
        "Pictures carry no time",
        "The time of arrival is used: the network's jitter shows in it, some 10 to 50 ms.",
        "ESPHome, easytarget, Tasmota, M5Stack, s60sc",
    ),
    "uptime_timestamp": Explanation(
        "info",
        "Pictures carry the time since the camera started, not the time of day",
        "It is mapped to this server's clock, drift included; a restart of the camera is noticed by it.",
        "Espressif CameraWebServer",
    ),
    "timestamp_jumped": Explanation(
        "info",
        "The camera's clock jumped",
        "The mapping was made anew. Once after a start is normal (the camera learnt the time of day); often means an "
        "unreliable clock.",
    ),
    "http10": Explanation("info", "The camera speaks HTTP/1.0", "Nothing to do.", "ESPHome esp32_camera_web_server"),
    "no_length_no_chunking": Explanation(
        "info",
        "The answer has neither a length nor chunks",
        "It is read until the connection ends, so a picture that was cut short is only noticed by its own structure.",
        "Tasmota",
    ),
    "text_part": Explanation(
        "warning",
        "The camera sends words instead of pictures at times",
        "Its sensor gives no pictures then: check the ribbon cable and the power supply (5 V, 1 A and more), or lower "
        "the resolution.",
        "ESPHome (`No frames send.`)",
    ),
    "lf_only": Explanation("info", "Lines end with LF instead of CRLF", "They are read all the same."),
    "junk_header": Explanation("info", "Some header lines make no sense", "They are skipped."),
    "padding_after_eoi": Explanation(
        "info",
        "Bytes follow the end of a picture",
        "They are cut off, which also saves viewers the bandwidth.",
        "cameras whose sensor fills its buffer",
    ),
    "exif_thumbnail": Explanation(
        "info",
        "Pictures contain a thumbnail",
        "The true end of the picture is found behind it. Programs that stop at the first end marker show half of it.",
        "PrusaConnect cameras",
    ),
    "fragmented": Explanation(
        "info",
        "Each picture comes in many small WebSocket frames",
        "They are joined; it costs CPU here and time there. A larger buffer_size in esp_websocket_client_config_t "
        "(16 kB, say) helps both.",
        "esp_websocket_client, buffer_size 1024",
    ),
    "framerate_constant": Explanation(
        "info",
        "The announced frame rate is a constant",
        "It is ignored; the measured rate is shown.",
        "Espressif CameraWebServer (X-Framerate: 60)",
    ),
}
"""Odd, and harmless."""

_WEAK = (
    "Check the power supply (an ESP32-CAM needs 5 V with 1 A and more) and the Wi-Fi signal; a lower resolution or a "
    "higher jpeg_quality number makes pictures smaller."
)

FAULTS: dict[str, Explanation] = {
    "truncated": Explanation(
        "warning",
        "Pictures are cut short",
        f"They are not passed on. The camera runs out of memory or its link breaks. {_WEAK}",
        "ESP32 cameras without PSRAM",
    ),
    "not_jpeg": Explanation(
        "warning",
        "Something else than JPEG comes as a picture",
        "It is not passed on. Set the sensor to PIXFORMAT_JPEG, or convert with frame2jpg.",
    ),
    "not_multipart": Explanation(
        "error",
        "What comes is no stream of pictures",
        "It is ignored, and the connection is given up when nothing else comes. Check the URL: it may lead to a page, "
        "or to sound.",
    ),
    "too_many_bytes": Explanation(
        "warning",
        "Pictures are larger than allowed",
        "They are not passed on. Lower the resolution or the quality, or raise the limit in the configuration.",
    ),
    "too_many_pixels": Explanation(
        "warning",
        "Pictures have more pixels than allowed",
        "They are not passed on: such a header can be an attack on whoever decodes it. Raise the limit if it is real.",
    ),
    "too_many_pictures": Explanation(
        "warning",
        "More pictures come in a second than allowed",
        "What is beyond the limit is not passed on. Lower the camera's frame rate, or raise limits.max_fps_per_camera.",
    ),
    "too_many_scans": Explanation(
        "warning",
        "Progressive pictures are coded in too many passes",
        "They are not passed on: no encoder does that, and it is an attack on whoever decodes them.",
    ),
    "no_frame_header": Explanation("warning", "Pictures without a frame header", f"They are not passed on. {_WEAK}"),
    "bad_marker": Explanation("warning", "Pictures are damaged", f"They are not passed on. {_WEAK}"),
    "corrupt_scan": Explanation(
        "warning",
        "Pictures are damaged inside",
        "They are not passed on. Up to 0.3 % of pictures is usual for an OV2640; more often, lower the clock "
        f"(xclk_freq_hz 10000000) or shorten the ribbon cable. {_WEAK}",
        "ESP32 cameras",
    ),
    "corrupt_sound": Explanation(
        "warning", "Sound is damaged", "What can't be decoded is left out; silence takes its place."
    ),
    "unencodable": Explanation(
        "error",
        "Pictures have a size that H.264 is not made in",
        "They are shown as JPEG. Choose a size of at most 16,384 px a side.",
    ),
    "content_length_wrapped": Explanation(
        "error",
        "Pictures above 65,535 bytes are announced with a wrapped length",
        "Such a request is refused, since its rest would be read as another one. In the sketch, keep the length in a "
        "size_t instead of a uint16_t; until then, lower the resolution.",
        "ESP32 photo POST sketches",
    ),
    "stall": Explanation(
        "warning",
        "The camera pauses for seconds at times",
        f"Viewers keep the last picture meanwhile. Mostly the Wi-Fi: move it closer, or use another channel. {_WEAK}",
    ),
    "hang": Explanation(
        "warning",
        "The camera stops sending without hanging up",
        "Framecast gives it up after a while and connects anew. If it happens often, have the camera restart itself "
        "when it has no viewer (a watchdog), and check its power supply.",
        "easytarget esp32-cam-webserver",
    ),
    "reboot": Explanation(
        "warning",
        "The camera has restarted",
        "More than once a day points to the power supply (brownout), or to a firmware that crashes.",
    ),
    "refused": Explanation(
        "warning",
        "A publisher was turned away",
        "Another device publishes as this camera, or its token is not valid any more.",
    ),
    "unreachable": Explanation(
        "warning", "The camera could not be reached at times", f"It is tried again and again. {_WEAK}"
    ),
    "bad_status": Explanation(
        "warning",
        "The camera refused at times",
        "Small cameras do so while another program watches: let all programs watch through Framecast instead.",
    ),
    "replaced": Explanation(
        "warning",
        "Another publisher took this camera over",
        "Two devices may be configured with the same camera id: give each its own.",
    ),
    "duplicate": Explanation(
        "info",
        "The same picture came again",
        "It is not passed on twice. Firmwares keep their last pictures over a reconnect, or repeat when they have "
        "nothing new.",
        "M5Stack AtomS3R-CAM demo",
    ),
    "protocol_error": Explanation(
        "warning", "The camera sent what could not be understood", "The connection was made anew."
    ),
    "device_error": Explanation("warning", "The camera broke off", "The connection was made anew."),
}
"""Lost or refused."""

_FULL_URL = "Give the full URL of the stream; the camera's own page or documentation names it."

TROUBLES: dict[str, Explanation] = {
    "bad_url": Explanation(
        "error", "That is no camera address", "Write 192.168.1.20, or http://192.168.1.20:81/stream."
    ),
    "dns": Explanation(
        "error",
        "Nobody knows that name",
        "Check the spelling. Names ending in .local need mDNS on this machine; the IP address always works (the router "
        "lists it).",
    ),
    "connection_refused": Explanation(
        "error",
        "The device is there, but nothing listens on that port",
        "Check the port: Espressif's example streams on 81, ESPHome on the port in its configuration (8080), M5Stack "
        "on 80. A camera that is still starting refuses for some seconds.",
    ),
    "no_route": Explanation(
        "error",
        "No device answers at that address",
        "Is it powered, and in the same network? Its address may have changed: the router lists it. Guest Wi-Fi keeps "
        "devices apart.",
    ),
    "timeout": Explanation(
        "error",
        "No answer at all",
        "Is it powered, and is the address right? A firewall, or a Wi-Fi that keeps its devices apart, looks the same.",
    ),
    "lost": Explanation(
        "error",
        "The camera hung up",
        "It may be restarting, or serving somebody else. Try again; then check its power supply.",
    ),
    "silent": Explanation(
        "error",
        "The port is open, but the camera says nothing",
        "Mostly another program is watching, and the camera serves one at a time: close its page in every browser, and "
        "let other programs watch through Framecast. If nobody watches, it hangs: restart it.",
        "Espressif CameraWebServer, ESPHome, easytarget",
    ),
    "tls": Explanation(
        "error",
        "No secure connection",
        "Cameras' certificates are mostly their own: allow self-signed ones for this camera, or use http:// within "
        "your network.",
    ),
    "unauthorized": Explanation(
        "error",
        "The camera asks for a user and password",
        "Give them in the URL: http://USER:PASSWORD@ADDRESS/PATH, special characters percent-encoded.",
    ),
    "forbidden": Explanation(
        "error", "The camera forbids it", "Its own settings say who may watch: allow this server's address."
    ),
    "not_found": Explanation("error", "The camera has nothing at that path", _FULL_URL),
    "busy": Explanation(
        "error",
        "The camera is busy",
        "Another program is watching, and the camera serves one or two at a time: let the others watch through "
        "Framecast.",
        "s60sc, ESP32 sketches",
    ),
    "camera_error": Explanation(
        "error",
        "The camera has trouble of its own",
        "Its sensor may not have started: check the ribbon cable, restart it, check the power supply.",
    ),
    "web_page": Explanation(
        "error",
        "This is the camera's web page, not its stream",
        "The stream of an ESP32 camera is mostly at port 81: http://ADDRESS:81/stream.",
    ),
    "no_stream": Explanation("error", "The device answers, but not with pictures", _FULL_URL),
    "no_http": Explanation(
        "error", "What answers there speaks no HTTP", "Check the port; for RTSP cameras, the URL begins with rtsp://."
    ),
    "no_pictures": Explanation(
        "error",
        "The stream is open, and no usable picture came",
        "The sensor gives none: check the ribbon cable, restart the camera, check the power supply.",
    ),
    "forbidden_address": Explanation(
        "error",
        "That address may not be used from here",
        "Cameras added on the page or over the API may not be there, unless [network] in the configuration allows it. "
        "On the server's computer, the command framecast cameras add ID URL takes any address.",
    ),
    "not_supported": Explanation(
        "error", "This kind of camera can't be probed here", "Install framecast[media] for rtsp:, file: and v4l2:."
    ),
    "redirected": Explanation("info", "The camera leads to another address", "Use that one directly."),
    "slow": Explanation(
        "info",
        "Fewer than three pictures a second",
        "A lower resolution is faster: VGA gives 10 to 25 pictures a second on an ESP32, UXGA about 3.",
    ),
    "jitter": Explanation(
        "warning",
        "Pictures come very unevenly",
        "Mostly the Wi-Fi: move the camera closer to the access point, or use another channel.",
    ),
}
"""Why there are no pictures, or poor ones, seen by a probe."""

TABLE: dict[str, Explanation] = {**QUIRKS, **FAULTS, **SOUND, **TROUBLES}


def reference() -> str:
    """The table in Markdown, as docs/devices.md holds it."""
    lines: list[str] = []
    for title, part in (("Quirks", QUIRKS), ("Faults", FAULTS), ("Sound", SOUND), ("Troubles", TROUBLES)):
        lines += [
            f"### {title}",
            "",
            "| code | severity | what is so | what to do | known from |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| `{code}` | {entry.severity} | {entry.title} | {entry.advice} | {entry.known_from} |"
            for code, entry in part.items()
        ]
        lines.append("")
    return "\n".join(lines).strip()
