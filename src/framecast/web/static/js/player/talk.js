// Talking to the camera: the microphone as 16 kHz mono s16le, down a WebSocket, while the button is held. One person
// talks at a time; the server says who.

const AGAIN_MS = 1_000;
const WORKLET = new URL("talkworklet.js", import.meta.url);

/** Why one can't talk from this page, "" if one can. */
export function talkOff() {
  if (!isSecureContext) return "Talking needs a secure page (HTTPS or localhost)";
  return navigator.mediaDevices?.getUserMedia ? "" : "This browser has no access to a microphone";
}

export class Talk {
  #server;
  #camera;
  #changed;
  #said;
  /** One for each time that the button is held: it ends all that was opened for that, however late that came. */
  #hold = null;

  /** "" | "asking" (for the microphone or the floor) | "talking" */
  state = "";
  /** Whether a device plays what is said, as the server told last. */
  heard = true;
  /** Whether the device lets no sound of the microphone through now, as during a call. */
  held = false;

  /** @param options `server`, `camera`, `changed()` after each change of state, `said(text)` where it can't be. */
  constructor({ server, camera, changed, said }) {
    this.#server = server;
    this.#camera = camera;
    this.#changed = changed;
    this.#said = said;
  }

  /** @param key The keydown that began it, null where no key did: it ends with that key, wherever the focus went. */
  async start(key = null) {
    if (this.#hold) return;
    const off = talkOff();
    if (off) return this.#said(off);
    this.#hold = new AbortController();
    const { signal } = this.#hold;
    this.#watch(signal, key);
    this.#set("asking");
    try {
      const socket = new WebSocket(this.#server.socketUrl(this.#path));
      await Promise.all([this.#speak(socket, signal), this.#listen(socket, signal)]);
    } catch (error) {
      if (signal.aborted) return;
      this.stop();
      this.#said(reason(error));
    }
  }

  stop() {
    this.#hold?.abort();
    this.#hold = null;
    this.held = false;
    this.#set("");
  }

  get #path() {
    return `api/v1/cameras/${encodeURIComponent(this.#camera)}/talk`;
  }

  #set(state) {
    if (state === this.state) return;
    this.state = state;
    this.#changed();
  }

  /** Ends it with its key, or when the page no longer has the keyboard: it would not be told of the key. */
  #watch(signal, key) {
    const options = { capture: true, signal };
    if (key) addEventListener("keyup", (event) => isSameKey(event, key) && this.stop(), options);
    addEventListener("blur", (event) => event.target === window && this.stop(), options);
    document.addEventListener("visibilitychange", () => this.stop(), options);
  }

  async #listen(socket, signal) {
    const microphone = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    atEnd(signal, () => {
      for (const track of microphone.getTracks()) track.stop();
    });
    if (signal.aborted) return;
    // At the microphone's own rate: not every browser brings one into a context of another.
    const context = new AudioContext();
    atEnd(signal, () => context.close());
    await context.audioWorklet.addModule(WORKLET);
    if (signal.aborted) return;
    const taker = new AudioWorkletNode(context, "framecast-talk", { numberOfOutputs: 0 });
    taker.port.onmessage = ({ data }) => {
      if (signal.aborted || this.state !== "talking") return;
      if (socket.readyState === WebSocket.OPEN) socket.send(data);
    };
    context.createMediaStreamSource(microphone).connect(taker);
    const [track] = microphone.getAudioTracks();
    this.#follow(track, context, signal);
    await goneOf(track, signal);
  }

  /** Goes on once the device, which has taken the microphone away or stopped all sound, gives it back. */
  #follow(track, context, signal) {
    const look = () => {
      const asleep = context.state !== "running";
      if (asleep) context.resume().catch(() => {});
      const held = asleep || track.muted;
      if (held === this.held) return;
      this.held = held;
      this.#changed();
    };
    // Not every browser says when it would let one go on.
    const timer = setInterval(look, AGAIN_MS);
    atEnd(signal, () => clearInterval(timer));
    for (const type of ["mute", "unmute"]) track.addEventListener(type, look, { signal });
    context.addEventListener("statechange", look, { signal });
  }

  /** Holds the floor until the end; rejects where that is not our own. */
  #speak(socket, signal) {
    atEnd(signal, () => {
      if (socket.readyState === WebSocket.OPEN) socket.send('{"do":"stop"}');
      socket.close();
    });
    return new Promise((resolve, reject) => {
      let opened = false;
      socket.onopen = () => {
        opened = true;
        socket.send('{"do":"talk"}');
      };
      socket.onmessage = ({ data }) => signal.aborted || this.#told(JSON.parse(data));
      socket.onclose = (event) => {
        if (signal.aborted) return resolve();
        if (opened) return reject(new Error(event.reason || "The server hung up."));
        // A browser does not tell why a socket was refused; the same address over HTTP does.
        this.#server.fetch(this.#path).then(() => reject(new Error("The server hung up.")), reject);
      };
    });
  }

  #told({ state, who, heard, error }) {
    if (error) return this.#said(error.message);
    const before = this.heard;
    this.heard = heard;
    if (heard !== before) this.#changed();
    if (state === "yours") this.#set("talking");
    else if (state === "busy") {
      this.#set("asking");
      this.#said(`${who || "Somebody"} is talking.`);
    }
  }
}

/** Rejects when the microphone ends though nobody let go: it was pulled out, or is no more allowed. */
function goneOf(track, signal) {
  return new Promise((resolve, reject) => {
    atEnd(signal, resolve);
    track.addEventListener("ended", () => reject(new Error("The microphone is gone.")), { signal });
    if (track.readyState === "ended") reject(new Error("The microphone is gone."));
  });
}

/** Calls `act` when `signal` is aborted, at once if it is. */
function atEnd(signal, act) {
  if (signal.aborted) act();
  else signal.addEventListener("abort", act, { once: true });
}

/** Whether a key that was let go is the one that was pressed, whatever was held with it at either time. */
function isSameKey(up, down) {
  return down.code ? up.code === down.code : up.key.toLowerCase() === down.key.toLowerCase();
}

function reason(error) {
  if (error.name === "NotAllowedError") return "The browser was not allowed to use the microphone.";
  if (error.name === "NotFoundError") return "There is no microphone.";
  if (error.status === 401 || error.status === 403) return "Your token does not allow talking to this camera.";
  return `No talking. ${error.message}`;
}
