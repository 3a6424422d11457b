// What the paths that end in a <video>, or an <img>, share.

import { h } from "../dom.js";

const AGAIN_MS = 1_000;

/** A <video> that plays by itself: silent, or with the sound the visitor asked for. */
export function liveVideo(sound) {
  const video = h("video", { muted: !sound, autoplay: true, playsInline: true, disablePictureInPicture: false });
  // No remote playback: an iPhone opens a MediaSource only then.
  video.disableRemotePlayback = true;
  return video;
}

// What the levels of quality stand for, where a stream is asked for by an address (docs/protocol.md).
const LEVELS = {
  low: { width: 320, quality: 40, fps: 10 },
  medium: { width: 640, quality: 60, fps: 15 },
  high: { width: 1024, quality: 70 },
};

/** The query of an address for H.264 over HTTP, as {quality, width, fps, sound} ask for it. */
export function streamQuery({ quality, width, fps, sound }) {
  const asked = { ...LEVELS[quality], ...(width && { width }), ...(fps && { fps: Math.ceil(fps) }) };
  return new URLSearchParams({ ...asked, sound: sound ? "1" : "0" });
}

/**
 * Has a video go on that its device has paused, as for a call, until the returned function is called. Only in a window of
 * its own there is a button by which somebody may have done so. `refused` is called where it may not go on with its sound.
 */
export function keepPlaying(video, refused) {
  const goOn = () => {
    if (!video.paused || document.hidden || video.getRootNode().pictureInPictureElement === video) return;
    video.play().catch((error) => error.name === "NotAllowedError" && refused());
  };
  const timer = setInterval(goOn, AGAIN_MS);
  video.addEventListener("pause", goOn);
  return () => {
    clearInterval(timer);
    video.removeEventListener("pause", goOn);
  };
}

/** Leaves the last picture of an <img> or <video> standing in a canvas in its place: what they show ends with them. */
export function freeze(element, width, height) {
  if (!width || !element.isConnected) return;
  const canvas = h("canvas", { width, height });
  canvas.setAttribute("part", "surface");
  canvas.getContext("2d").drawImage(element, 0, 0, width, height);
  element.replaceWith(canvas);
}

/**
 * Calls `shown(metadata, now)` for each picture that a video shows, until the returned function is called.
 *
 * Metadata as of requestVideoFrameCallback; a browser without it yields {mediaTime} on the refreshes of the screen
 * where the time has moved.
 */
export function watchFrames(video, shown) {
  let ended = false;
  let before = -1;
  const next = () => {
    if (ended) return;
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(onFrame);
    else requestAnimationFrame(onRefresh);
  };
  const onFrame = (now, metadata) => {
    if (ended) return;
    next();
    shown(metadata, metadata.expectedDisplayTime ?? now);
  };
  const onRefresh = (now) => {
    next();
    if (video.currentTime === before || video.readyState < 2) return;
    before = video.currentTime;
    shown({ mediaTime: before, width: video.videoWidth, height: video.videoHeight }, now);
  };
  next();
  return () => (ended = true);
}
