// What is off in this page and this browser, and why.

/** In a few sentences; "" where nothing is off. */
export function missingText() {
  const secure = [];
  const own = [];
  const need = (there, feature) => there || (isSecureContext ? own : secure).push(feature);
  need("VideoDecoder" in window, "WebCodecs, the quickest way to H.264");
  need(navigator.mediaDevices?.getUserMedia, "talking into the microphone");
  need(isSecureContext, "installing as an app");
  if (!("RTCPeerConnection" in window)) own.push("WebRTC");
  const parts = [];
  if (secure.length) {
    parts.push(
      `Off, since this page came over plain HTTP: ${secure.join("; ")}.`,
      "Serve HTTPS (framecast tls init), or open it on the server's own computer.",
    );
  }
  if (own.length) parts.push(`Off, since this browser has none of it: ${own.join("; ")}.`);
  return parts.join(" ");
}
