// Where the server is, and how to ask it. Everything is found relative to this module, so that the pages
// work unchanged below a sub-path of a proxy.

const ROOT = new URL("../../", import.meta.url);

/** The absolute URL of a path below the server's root, without a leading slash. */
export function url(path) {
  return new URL(path, ROOT);
}

/** The same as a WebSocket address. */
export function socketUrl(path) {
  const address = url(path);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

/** The page of one camera. */
export function cameraPage(id) {
  return url(`cameras/${encodeURIComponent(id)}`).href;
}

/** A path of one camera's API. */
export function cameraApi(id, rest = "") {
  return `api/v1/cameras/${encodeURIComponent(id)}${rest}`;
}

/** What went wrong with a request; `status` 0: no answer came at all; `retryAfterS` 0: nothing was said about that. */
export class ApiError extends Error {
  constructor(status, code, message, retryAfterS = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

async function failure(response) {
  let code = `http_${response.status}`;
  let message = `The server answered ${response.status} ${response.statusText}.`;
  try {
    const body = await response.json();
    code = body.error.code;
    message = body.error.message;
  } catch {
    // Not one of our own errors (a proxy's, perhaps): the status has to do.
  }
  return new ApiError(response.status, code, message, Number(response.headers.get("Retry-After")) || 0);
}

async function send(method, path, body, signal) {
  const raw = body instanceof Blob;
  const headers = body === undefined ? {} : { "Content-Type": raw ? body.type : "application/json" };
  let response;
  try {
    response = await fetch(url(path), {
      method,
      headers,
      body: body === undefined || raw ? body : JSON.stringify(body),
      signal,
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "gone", "The server does not answer.");
  }
  if (!response.ok) throw await failure(response);
  return response;
}

/** The JSON answer to a request, null where there is none; raises ApiError. */
export async function request(method, path, body, signal) {
  const response = await send(method, path, body, signal);
  return response.status === 204 ? null : response.json();
}

/** Gives a function that runs what it is given in its turn: of two requests at once either may come first. */
export function inTurn() {
  let last = Promise.resolve();
  return (work) => (last = last.then(work, work));
}

/** Sends a file as it is; the JSON answer; raises ApiError. */
export async function upload(path, file) {
  const response = await send("POST", path, file);
  return response.status === 204 ? null : response.json();
}

/** The body as a Blob; raises ApiError. */
export async function blob(path) {
  return (await send("GET", path)).blob();
}

/** Each object of an NDJSON answer, as it arrives; raises ApiError. */
export async function* lines(path, body, signal) {
  const response = await send("POST", path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const whole = rest.split("\n");
    rest = done ? "" : whole.pop();
    for (const line of whole) if (line.trim()) yield JSON.parse(line);
    if (done) return;
  }
}

/** Who this browser is here, and what it may do: docs/protocol.md, `GET /api/v1/session`. */
export function session(signal) {
  return request("GET", "api/v1/session", undefined, signal);
}
