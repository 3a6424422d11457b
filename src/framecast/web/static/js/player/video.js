// What the paths that end in a <video> share.

import { h } from "../dom.js";

/** A <video> that plays by itself: silent, or with the sound the visitor asked for. */
export function liveVideo(sound) {
  const video = h("video", { muted: !sound, autoplay: true, playsInline: true, disablePictureInPicture: false });
  // No remote playback: an iPhone opens a MediaSource only then.
  video.disableRemotePlayback = true;
  return video;
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
