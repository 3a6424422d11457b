// What this browser and this page can do, and why not.

const SECURE = "needs a secure page";

/** What is off here: [{feature, why}], empty where nothing is. */
export function missingFeatures() {
  const off = [];
  const need = (there, feature, otherwise) => {
    if (!there) off.push({ feature, why: isSecureContext ? otherwise : SECURE });
  };
  need("VideoDecoder" in window, "WebCodecs, the quickest way to H.264", "this browser has none");
  need(navigator.mediaDevices?.getUserMedia, "Talking into the microphone", "this browser has no access to one");
  need(isSecureContext, "Installing as an app", "");
  if (!("RTCPeerConnection" in window)) off.push({ feature: "WebRTC", why: "this browser has none" });
  return off;
}

/** The same in a few sentences, "" where nothing is off. */
export function missingText() {
  const off = missingFeatures();
  if (off.length === 0) return "";
  const list = off.map(({ feature, why }) => `${feature}: ${why}.`).join(" ");
  const help = isSecureContext
    ? ""
    : " This page came over plain HTTP. Serve HTTPS (framecast tls init), or open it on the server's own computer.";
  return `Off here. ${list}${help}`;
}
