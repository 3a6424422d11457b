// WebRTC by WHEP: one request with an offer, one answer, and the packets find their way. The quickest where packets get
// lost, since nothing waits for them.
//
// The offer is sent before our own candidates are gathered: the answer holds the server's, and names the ICE servers
// to gather with. Ours follow by PATCH; they matter only where the server can't be reached directly.

import { Path } from "./path.js";
import { freeze, keepPlaying, liveVideo, watchFrames } from "./video.js";

const FRAGMENT = "application/trickle-ice-sdpfrag";
const STATS_MS = 1_000;
// Picture and sound that are further apart are brought together, and the picture waits no longer than that for it.
const APART_MS = 10;
const MOST_WAIT_MS = 500;

export class WebRtcPath extends Path {
  #pc = null;
  #resource = "";
  #abort = new AbortController();
  #unwatch = null;
  #unkeep = null;
  #timer = 0;
  #clock = null;
  #video = null;
  #waitMs = 0;

  async start() {
    const { server, camera } = this.host;
    const { sound } = this.wish;
    this.element = liveVideo(sound);
    const pc = (this.#pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" }));
    const stream = new MediaStream();
    this.element.srcObject = stream;
    pc.addEventListener("track", ({ track, receiver }) => {
      stream.addTrack(track);
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      if (track.kind === "video") this.#video = receiver;
    });
    pc.addEventListener("connectionstatechange", () => {
      if (pc.connectionState === "failed") this.fail("No way to the server was found, or it was lost.");
    });
    this.#unwatch = watchFrames(this.element, (metadata) => this.#painted(metadata));
    this.#unkeep = keepPlaying(this.element, () => this.host.sound.refuse());
    this.#timer = setInterval(() => this.#measure(), STATS_MS);
    try {
      preferH264(pc.addTransceiver("video", { direction: "recvonly", streams: [stream] }));
      if (sound) pc.addTransceiver("audio", { direction: "recvonly", streams: [stream] });
      const offer = await pc.createOffer();
      const answer = await server.fetch(`api/v1/cameras/${encodeURIComponent(camera)}/whep${this.#query()}`, {
        method: "POST",
        headers: { "Content-Type": "application/sdp" },
        body: offer.sdp,
        signal: this.#abort.signal,
      });
      this.#resource = new URL(answer.headers.get("Location"), answer.url).href;
      const iceServers = iceServersOf(answer.headers.get("Link"));
      if (iceServers.length) pc.setConfiguration({ ...pc.getConfiguration(), iceServers });
      this.#trickle(pc);
      await pc.setLocalDescription(offer);
      const sdp = await answer.text();
      this.#clock = RtpClock.of(sdp);
      await pc.setRemoteDescription({ type: "answer", sdp });
      this.element.play().catch(() => {});
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error.message);
    }
  }

  stop() {
    super.stop();
    clearInterval(this.#timer);
    this.#unwatch?.();
    this.#unkeep?.();
    this.#abort.abort();
    this.element.muted = true;
    freeze(this.element, this.element.videoWidth, this.element.videoHeight);
    const close = () => this.#pc?.close();
    // Asked first: with the connection gone the server would not know any more what is to be deleted.
    if (this.#resource && !this.lost) this.#send("DELETE").then(close, close);
    else close();
  }

  get voice() {
    return this.wish.sound ? this.element : null;
  }

  #query() {
    const { quality, width, fps } = this.wish;
    const query = new URLSearchParams();
    if (quality !== "auto") query.set("quality", quality);
    if (width) query.set("width", width);
    if (fps) query.set("fps", fps);
    return String(query) && `?${query}`; // `size` is too new for many a browser
  }

  #send(method, body) {
    const headers = body ? { "Content-Type": FRAGMENT } : {};
    return this.host.server.fetch(this.#resource, { method, headers, body, keepalive: true });
  }

  #trickle(pc) {
    let waiting = [];
    const flush = () => {
      if (!waiting.length || this.stopped) return;
      const [, ufrag] = /a=ice-ufrag:(\S+)/.exec(pc.localDescription.sdp);
      const [, pwd] = /a=ice-pwd:(\S+)/.exec(pc.localDescription.sdp);
      const head = [`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`, "m=video 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0"];
      // That it is refused means at most that the direct way has to do.
      this.#send("PATCH", `${[...head, ...waiting].join("\r\n")}\r\n`).catch(() => {});
      waiting = [];
    };
    pc.addEventListener("icecandidate", ({ candidate }) => {
      waiting.push(candidate?.candidate ? `a=${candidate.candidate}` : "a=end-of-candidates");
      if (candidate) setTimeout(flush, 50);
      else flush();
    });
  }

  #painted({ rtpTimestamp, width, height }) {
    const now = this.host.server.clock.now();
    const capturedMs = rtpTimestamp === undefined ? null : this.#clock?.capturedMs(rtpTimestamp, now);
    this.shown(width, height, capturedMs ? now - capturedMs : null);
  }

  async #measure() {
    const report = await this.#pc.getStats();
    const playedMs = {};
    for (const stats of report.values()) {
      if (stats.type === "inbound-rtp") playedMs[stats.kind] = stats.estimatedPlayoutTimestamp;
      if (stats.type === "transport") this.bytes = stats.bytesReceived;
      if (stats.type !== "inbound-rtp" || stats.kind !== "video") continue;
      this.drops = (stats.framesDropped ?? 0) + Math.max(0, stats.packetsLost ?? 0);
      const codec = report.get(stats.codecId);
      const profile = /profile-level-id=(\w+)/.exec(codec?.sdpFmtpLine ?? "")?.[1];
      if (codec) this.codec = profile ? `H.264 (avc1.${profile.toUpperCase()})` : codec.mimeType.replace("video/", "");
    }
    this.#bringTogether(playedMs);
  }

  // Sound comes in blocks and so waits longer than the picture. The browser leads them together itself, in 15 s or so.
  #bringTogether({ video, audio }) {
    if (!video || !audio || Math.abs(video - audio) < APART_MS) return;
    this.#waitMs = Math.min(MOST_WAIT_MS, Math.max(0, this.#waitMs + video - audio));
    if (this.#video && "jitterBufferTarget" in this.#video) this.#video.jitterBufferTarget = this.#waitMs;
  }
}

function preferH264(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const isH264 = ({ mimeType }) => mimeType.toLowerCase() === "video/h264";
  if (codecs.some(isH264)) {
    transceiver.setCodecPreferences?.([...codecs.filter(isH264), ...codecs.filter((codec) => !isH264(codec))]);
  }
}

/** The ICE servers of Link headers: `<stun:host>; rel="ice-server"; username="…"; credential="…"`. */
export function iceServersOf(links) {
  const servers = [];
  for (const [, urls, rest] of (links ?? "").matchAll(/<([^>]+)>([^<]*)/g)) {
    if (!/rel="?ice-server"?/.test(rest)) continue;
    const part = (name) => new RegExp(`${name}="([^"]*)"`).exec(rest)?.[1];
    const username = part("username");
    servers.push({ urls, ...(username && { username, credential: part("credential") ?? "" }) });
  }
  return servers;
}

/**
 * Capture times from RTP stamps. The server counts them from its own clock and names the offset (RFC 7273,
 * `a=mediaclk:direct=`); they begin anew every 13 hours, so the present decides which round it is.
 */
export class RtpClock {
  #offset;

  static of(sdp) {
    const video = sdp.slice(Math.max(0, sdp.indexOf("m=video")));
    const offset = /a=mediaclk:direct=(\d+)/.exec(video)?.[1];
    return offset === undefined ? null : new RtpClock(Number(offset));
  }

  constructor(offset) {
    this.#offset = offset;
  }

  capturedMs(stamp, nowMs) {
    const round = 2 ** 32;
    const ticks = (((stamp - this.#offset) % round) + round) % round;
    const now = nowMs * 90;
    return (ticks + Math.round((now - ticks) / round) * round) / 90;
  }
}
