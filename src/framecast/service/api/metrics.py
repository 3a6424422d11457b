"""Prometheus metrics, read from the running parts when somebody asks; nothing is counted twice for them.

docs/operations.md lists them, and a test sees to it that it lists all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from framecast import __version__
from framecast.core.stream import State
from framecast.service.cameras import views
from framecast.service.cameras.cameras import Camera
from framecast.service.events.rules import KINDS as RULES
from framecast.service.operations.usage import process
from framecast.service.service import Service
from framecast.vision.sight import KINDS

_CAMERA = ["camera"]


class ServiceCollector(Collector):
    """All metrics of one service.

    Args:
        cameras: Those whose numbers may be told.
        whole: Whether the server's own may be told, too: they say something of all cameras.
    """

    def __init__(self, service: Service, cameras: Iterable[Camera], *, whole: bool = True) -> None:
        self._service = service
        self._whole = whole
        self._shown = tuple(cameras)

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        service = self._service
        yield InfoMetricFamily("framecast_build", "What runs here.", {"version": __version__})
        yield GaugeMetricFamily(
            "framecast_uptime_seconds",
            "Time since start.",
            (service.clock.now_ns() - service.started_ns) / 1e9,
        )
        if self._whole:
            yield from self._server()
        failures = CounterMetricFamily(
            "framecast_failures", "Unexpected errors, by the part that failed and was started again.", labels=["part"]
        )
        shown = {camera.camera_id for camera in self._shown}
        for part, count in service.supervisor.failures.items():
            kind, _, camera_id = part.partition(":")
            # Others' ids are nobody's business; workers are called by what they make.
            if not camera_id or kind == "worker" or camera_id in shown:
                failures.add_metric([part], count)
        yield failures
        yield from self._cameras()

    def _server(self) -> Iterator[Metric]:
        service = self._service
        used = process()
        yield CounterMetricFamily("framecast_cpu_seconds", "CPU time of the process.", used["cpu_s"])
        yield GaugeMetricFamily("framecast_resident_bytes", "Memory of the process.", used["rss_bytes"])
        yield GaugeMetricFamily("framecast_open_files", "Open files and connections of the process.", used["fds"])
        yield CounterMetricFamily("framecast_encodes", "Pictures encoded here.", service.encodes())
        https = service.https
        if https is not None and https.tls.expires_s is not None:
            yield GaugeMetricFamily(
                "framecast_certificate_expires_seconds", "When the certificate ends, Unix time.", https.tls.expires_s
            )
        scans = CounterMetricFamily(
            "framecast_scans",
            "Pictures by whether there was time to decode them in search of damage.",
            labels=["checked"],
        )
        scans.add_metric(["yes"], service.cameras.budget.covered)
        scans.add_metric(["no"], service.cameras.budget.passed)
        yield scans
        yield from self._deliveries()
        tunnel = service.tunnel.status
        yield GaugeMetricFamily("framecast_tunnel_up", "1 while the tunnel is online.", value=tunnel.state == "online")
        yield CounterMetricFamily(
            "framecast_tunnel_reconnects", "Times the tunnel came back after an interruption.", value=tunnel.reconnects
        )

    def _deliveries(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("framecast_sink_up", "1 while a receiver of events takes them.", labels=["sink"])
        delivered = CounterMetricFamily(
            "framecast_deliveries", "Messages about events, by what became of them.", labels=["sink", "result"]
        )
        for name, taken, given_up, takes in self._service.deliveries.counts():
            up.add_metric([name], float(takes))
            delivered.add_metric([name, "delivered"], taken)
            delivered.add_metric([name, "given_up"], given_up)
        yield from (up, delivered)

    def _cameras(self) -> Iterator[Metric]:
        frames = CounterMetricFamily("framecast_frames", "Pictures published.", labels=_CAMERA)
        size = CounterMetricFamily("framecast_frame_bytes", "Bytes of pictures published.", labels=_CAMERA)
        refused = CounterMetricFamily(
            "framecast_refused", "Pictures refused or lost, by cause.", labels=["camera", "cause"]
        )
        quirks = CounterMetricFamily(
            "framecast_quirks", "Oddities of the firmware that were coped with.", labels=["camera", "quirk"]
        )
        drops = CounterMetricFamily(
            "framecast_drops", "Pictures that viewers missed because they were behind.", labels=_CAMERA
        )
        cut = CounterMetricFamily("framecast_viewers_cut", "Viewers cut since they took nothing.", labels=_CAMERA)
        sent = CounterMetricFamily("framecast_sent_bytes", "Bytes given to viewers.", labels=_CAMERA)
        connects = CounterMetricFamily("framecast_connects", "Times the device was connected.", labels=_CAMERA)
        chunks = CounterMetricFamily("framecast_audio_chunks", "Chunks of sound published.", labels=_CAMERA)
        unheard = CounterMetricFamily(
            "framecast_audio_dropped", "Chunks of sound lost, refused or dropped, by cause.", labels=["camera", "cause"]
        )
        rtp = CounterMetricFamily("framecast_rtp_packets", "Packets sent to WebRTC viewers.", labels=_CAMERA)
        resent = CounterMetricFamily(
            "framecast_rtp_resent", "Packets sent to WebRTC viewers again, since they were lost.", labels=_CAMERA
        )
        wishes = CounterMetricFamily(
            "framecast_key_requests",
            "Wishes of WebRTC viewers for a picture that can be decoded alone.",
            labels=_CAMERA,
        )
        looks = CounterMetricFamily("framecast_looks", "Pictures looked at for what is in them.", labels=_CAMERA)
        inferences = CounterMetricFamily(
            "framecast_inferences", "How often a model was asked, by what it was asked for.", labels=["camera", "kind"]
        )
        events = CounterMetricFamily(
            "framecast_events", "Events that began, by the kind of their rule.", labels=["camera", "kind"]
        )
        pushes = GaugeMetricFamily(
            "framecast_restream_up", "1 while pictures are pushed on to there.", labels=["camera", "target"]
        )
        pushed = CounterMetricFamily("framecast_restream_frames", "Pictures pushed on.", labels=["camera", "target"])
        pushed_again = CounterMetricFamily(
            "framecast_restream_connects", "Times it was begun to push pictures on.", labels=["camera", "target"]
        )
        viewers = GaugeMetricFamily("framecast_viewers", "Viewers now.", labels=_CAMERA)
        fps = GaugeMetricFamily("framecast_fps", "Pictures a second over the last seconds.", labels=_CAMERA)
        age = GaugeMetricFamily("framecast_frame_age_seconds", "Age of the newest picture.", labels=_CAMERA)
        state = GaugeMetricFamily("framecast_state", "1 for the state the camera is in.", labels=["camera", "state"])
        latency = GaugeMetricFamily(
            "framecast_fanout_seconds",
            "From a picture's arrival to the last viewer's write.",
            labels=["camera", "quantile"],
        )
        for camera in self._shown:
            name, stream = camera.camera_id, camera.stream
            frames.add_metric([name], stream.published)
            size.add_metric([name], stream.meter.bytes)
            for cause, count in stream.refused.items():
                refused.add_metric([name, cause], count)
            for quirk, count in stream.quirks.items():
                quirks.add_metric([name, quirk], count)
            missed, given = views.drops_and_bytes(camera)
            drops.add_metric([name], missed)
            cut.add_metric([name], stream.viewers_cut)
            sent.add_metric([name], given)
            connects.add_metric([name], camera.reader.connects)
            microphone = camera.sound.microphone
            chunks.add_metric([name], microphone.published)
            for cause, count in microphone.losses.items():
                unheard.add_metric([name, cause], count)
            looks.add_metric([name], camera.sight.looks)
            for kind in KINDS:
                inferences.add_metric([name, kind], camera.sight.inferences[kind])
            for kind in RULES:
                events.add_metric([name, kind], self._service.events.log.counts[name, kind])
            output = self._service.peering.known(camera)
            rtp.add_metric([name], output.packets if output is not None else 0)
            resent.add_metric([name], output.resent if output is not None else 0)
            wishes.add_metric([name], output.key_requests if output is not None else 0)
            for number, restream in enumerate(self._service.restreams.of(camera), start=1):
                labels = [name, f"{number} {restream.label}"]  # two keys of one place look the same
                pushes.add_metric(labels, float(restream.state == "sending"))
                pushed.add_metric(labels, restream.frames)
                pushed_again.add_metric(labels, restream.connects)
            viewers.add_metric([name], len(stream.viewers))
            shown = views.video(camera)
            fps.add_metric([name], shown["fps"] if shown else 0.0)
            if shown:
                age.add_metric([name], shown["age_s"])
            for each in State:
                state.add_metric([name, each.value], float(each is stream.state))
            for quantile, value_ms in views.latency_ms(camera).items():
                latency.add_metric([name, quantile], value_ms / 1000)
        yield from (
            frames,
            size,
            refused,
            quirks,
            drops,
            cut,
            sent,
            connects,
            chunks,
            unheard,
            looks,
            inferences,
            events,
            rtp,
            resent,
            wishes,
            pushes,
            pushed,
            pushed_again,
            viewers,
            fps,
            age,
            state,
            latency,
        )


def exposition(service: Service, cameras: Iterable[Camera], *, whole: bool = True) -> bytes:
    """The metrics of these cameras, and of the server where ``whole``, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServiceCollector(service, cameras, whole=whole))
    return generate_latest(registry)
