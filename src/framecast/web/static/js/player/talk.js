// Talking to the camera: the microphone as 16 kHz mono s16le, down a WebSocket, while the button is held. One person
// talks at a time; the server says who.

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
  #held = false;
  #socket = null;
  #context = null;
  #microphone = null;

  /** "" | "asking" (for the microphone or the floor) | "talking" */
  state = "";

  /** @param options `server`, `camera`, `changed()` after each change of state, `said(text)` where it can't be. */
  constructor({ server, camera, changed, said }) {
    this.#server = server;
    this.#camera = camera;
    this.#changed = changed;
    this.#said = said;
  }

  async start() {
    if (this.#held) return;
    const off = talkOff();
    if (off) return this.#said(off);
    this.#held = true;
    this.#set("asking");
    try {
      await Promise.all([this.#open(), this.#listen()]);
      if (!this.#held) this.#end();
    } catch (error) {
      this.#end();
      this.#said(reason(error));
    }
  }

  stop() {
    if (!this.#held) return;
    this.#held = false;
    this.#end();
  }

  #set(state) {
    if (state === this.state) return;
    this.state = state;
    this.#changed();
  }

  async #listen() {
    this.#microphone = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    if (!this.#held) return this.#end();
    // At the microphone's own rate: not every browser brings one into a context of another.
    this.#context = new AudioContext();
    await this.#context.audioWorklet.addModule(WORKLET);
    if (!this.#held) return this.#end();
    const taker = new AudioWorkletNode(this.#context, "framecast-talk", { numberOfOutputs: 0 });
    taker.port.onmessage = ({ data }) => {
      if (this.state === "talking" && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(data);
    };
    this.#context.createMediaStreamSource(this.#microphone).connect(taker);
  }

  #open() {
    const path = `api/v1/cameras/${encodeURIComponent(this.#camera)}/talk`;
    const socket = new WebSocket(this.#server.socketUrl(path));
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.onopen = () => {
        socket.send('{"do":"talk"}');
        resolve();
      };
      socket.onmessage = ({ data }) => this.#heard(JSON.parse(data));
      socket.onclose = () => {
        if (socket !== this.#socket) return resolve();
        // A browser does not tell why a socket was refused; the same address over HTTP does.
        this.#server.fetch(path).then(() => reject(new Error("The server hung up.")), reject);
        if (this.state === "talking") this.#end();
      };
    });
  }

  #heard({ state, who, error }) {
    if (!this.#held) return;
    if (error) this.#said(error.message);
    else if (state === "yours") this.#set("talking");
    else if (state === "busy") {
      this.#set("asking");
      this.#said(`${who || "Somebody"} is talking.`);
    }
  }

  #end() {
    const socket = this.#socket;
    this.#socket = null;
    if (socket?.readyState === WebSocket.OPEN) socket.send('{"do":"stop"}');
    socket?.close();
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#microphone = null;
    this.#context?.close();
    this.#context = null;
    this.#held = false;
    this.#set("");
  }
}

function reason(error) {
  if (error.name === "NotAllowedError") return "The browser was not allowed to use the microphone.";
  if (error.name === "NotFoundError") return "There is no microphone.";
  if (error.status === 401 || error.status === 403) return "Your token does not allow talking to this camera.";
  return `No talking. ${error.message}`;
}
