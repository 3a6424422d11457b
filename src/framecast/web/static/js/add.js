// The dialog that adds a camera: an address, a look at it while one watches, then a name.

import "./copybox.js";
import { nameFor, withLoginOf } from "./address.js";
import { cameraPage, lines, request, url } from "./api.js";
import { h, setText } from "./dom.js";
import { bitrate, bytes, fps, size } from "./format.js";
import { markRights } from "./session.js";
import { toast } from "./toast.js";
import { advise, apology } from "./words.js";

const STEPS_SHOWN = 40;
const SLUG = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** A camera id made from a name: "Front door" becomes "front-door". */
export function slug(name) {
  const plain = name
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase();
  return plain
    .replace(/[^a-z0-9_]+/g, "-")
    .replace(/^[-_]+|[-_]+$/g, "")
    .slice(0, 63);
}

let dialog = null;

/** Opens the dialog, anew each time. */
export function openAdd() {
  dialog?.remove();
  dialog = new AddDialog().element;
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("#add-address").focus();
}

class AddDialog {
  #abort = null;
  #chosenUrl = "";
  #idTouched = false;

  #address = h("input", {
    class: "input",
    id: "add-address",
    type: "text",
    inputMode: "url",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: false,
    required: true,
    placeholder: "192.168.1.20",
    "aria-describedby": "add-hint",
  });
  #look = h("button", { class: "button button-main", type: "submit" }, "Look");
  #steps = h("ol", { class: "steps", "aria-live": "polite" });
  #found = h("div", { class: "found" });
  #name = h("input", {
    class: "input",
    id: "add-name",
    type: "text",
    maxLength: 80,
    autocomplete: "off",
    required: true,
    input: () => this.#suggestId(),
  });
  #id = h("input", {
    class: "input",
    id: "add-id",
    type: "text",
    maxLength: 63,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: false,
    required: true,
    input: () => (this.#idTouched = true),
  });
  #always = h("input", { type: "checkbox", id: "add-always" });
  #audio = h("input", {
    class: "input",
    id: "add-audio",
    type: "text",
    inputMode: "url",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: false,
    placeholder: "http://192.168.1.20:82/audio",
  });
  #error = h("p", { class: "field-error", role: "alert" });
  #add = h("button", { class: "button button-main", type: "submit" }, "Add");
  #naming = h(
    "form",
    { class: "naming", hidden: true, submit: (event) => this.#submit(event) },
    h("div", { class: "field" }, h("label", { for: "add-name" }, "Name"), this.#name),
    h("div", { class: "field" }, h("label", { for: "add-id" }, "Id, for its address"), this.#id),
    h("label", { class: "check" }, this.#always, h("span", {}, "Stay connected when nobody watches: it opens at once, and the camera never rests")),
    h(
      "details",
      { class: "more" },
      h("summary", {}, "Its microphone has an address of its own"),
      h("div", { class: "field" }, h("label", { for: "add-audio" }, "Address of its sound (WAV or raw PCM)"), this.#audio),
    ),
    this.#error,
    h("div", { class: "row-end" }, this.#add),
  );
  #push = h("section", { class: "push" });

  constructor() {
    this.element = h(
      "dialog",
      { class: "dialog", id: "add-dialog", "aria-labelledby": "add-title", close: () => this.#close() },
      h(
        "form",
        { method: "dialog", class: "dialog-head" },
        h("h2", { id: "add-title" }, "Add a camera"),
        h("button", { class: "button", type: "submit" }, "Close"),
      ),
      h(
        "form",
        { class: "looking", submit: (event) => this.#probe(event) },
        h("label", { for: "add-address" }, "Address of the camera"),
        h("div", { class: "field-row" }, this.#address, this.#look),
        h(
          "p",
          { class: "quiet", id: "add-hint" },
          "As the camera prints it when it starts, or as your router lists it: 192.168.1.20 is enough, and the usual ports and paths are tried. The whole address of a stream does, too. If it asks for a password: http://user:password@192.168.1.20/",
        ),
      ),
      this.#steps,
      this.#found,
      this.#naming,
      h(
        "details",
        { class: "more" },
        h("summary", {}, "The device sends by itself"),
        h("p", { class: "quiet" }, "It needs no address then. For sketches that post their pictures to a server, doorbells, and devices in another network. You get the address to put into the sketch."),
        h(
          "div",
          { class: "row" },
          h(
            "button",
            { class: "button", type: "button", click: () => this.#choosePush() },
            "Add a camera that sends",
          ),
        ),
        this.#push,
      ),
      h(
        "details",
        { class: "more" },
        h("summary", {}, "No camera at hand"),
        h(
          "p",
          { class: "quiet" },
          "Let this server draw a picture. Or play a device on another computer of your network, and look at that computer’s address with :5069/stream behind it:",
        ),
        h(
          "div",
          { class: "row" },
          h("button", { class: "button", type: "button", click: () => this.#chooseMock() }, "Add a synthetic camera"),
        ),
        h("fc-copy", { label: "the command", text: "framecast mock-camera --host 0.0.0.0 --listen 5069" }),
      ),
    );
  }

  #close() {
    this.#abort?.abort();
    this.element.remove();
  }

  async #probe(event) {
    event.preventDefault();
    if (this.#abort) return this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    this.#look.textContent = "Stop";
    const running = h(
      "li",
      { class: "step step-running" },
      h("span", { class: "step-mark" }, "…"),
      h("span", {}, "Looking"),
    );
    this.#steps.replaceChildren(running);
    this.#found.replaceChildren();
    this.#naming.hidden = true;
    const address = this.#address.value.trim();
    this.#chosenUrl = address;
    try {
      for await (const message of lines("api/v1/probe", { url: address }, abort.signal)) {
        if (this.#abort !== abort) return;
        if (message.result) this.#result(message.result, address);
        else this.#step(message);
      }
    } catch (error) {
      if (this.#abort !== abort) return;
      if (error.name === "AbortError") this.#step({ text: "Stopped.", ok: false });
      else this.#step({ text: apology(error), ok: false });
    }
    running.remove();
    this.#abort = null;
    this.#look.textContent = "Look";
  }

  /** A camera that needs no look: one that is running would put what it finds in its place. */
  #choose(address, name, text) {
    this.#abort?.abort();
    this.#abort = null;
    this.#look.textContent = "Look";
    this.#steps.replaceChildren();
    this.#found.replaceChildren(h("p", {}, text));
    this.#name.value ||= name;
    this.#openNaming(address, "Add");
  }

  #step({ text, ok }) {
    if (this.#steps.childElementCount > STEPS_SHOWN) this.#steps.firstChild.remove();
    const bad = ok === false;
    const item = h(
      "li",
      { class: bad ? "step step-bad" : "step" },
      h("span", { class: "step-mark", "aria-hidden": "true" }, bad ? "✕" : "✓"),
      h("span", {}, bad ? h("span", { class: "for-readers" }, "Failed: ") : null, text),
    );
    const running = this.#steps.querySelector(".step-running");
    this.#steps.insertBefore(item, running);
    (running ?? item).scrollIntoView({ block: "nearest" });
  }

  #result(result, address) {
    const problems = (result.problems ?? []).map((problem) => this.#problem(problem));
    const preview = result.preview
      ? h("img", {
          class: "preview",
          alt: "Picture from this camera",
          // The size is given, so that nothing moves when the picture is decoded.
          width: result.width || 640,
          height: result.height || 480,
          src: `data:image/jpeg;base64,${result.preview}`,
        })
      : null;
    // The server would refuse these as it refused to look at them.
    const hopeless = (result.problems ?? []).some(({ code }) => code === "forbidden_address" || code === "bad_url");
    const others = (result.candidates ?? []).filter((candidate) => candidate !== result.url);
    this.#found.replaceChildren(
      ...(result.ok ? [h("div", { class: "found-head" }, preview, this.#facts(result))] : []),
      ...(problems.length
        ? [
            h("h3", {}, result.ok ? "What to know about it" : "What is wrong"),
            h("ul", { class: "problems" }, problems),
          ]
        : []),
      ...(others.length ? [h("p", { class: "quiet" }, `It can also be read at ${others.join(", ")}`)] : []),
      ...(result.ok || hopeless
        ? []
        : [h("p", { class: "quiet" }, "It can be added all the same, for instance because it is switched off now.")]),
    );
    if (!hopeless) this.#openNaming(withLoginOf(address, result.url || address), result.ok ? "Add" : "Add anyway");
  }

  #facts(result) {
    const rows = [
      ["Speaks", result.dialect || "an unknown dialect"],
      ["Picture", `${size(result.width, result.height)}, ${bytes(result.bytes_per_frame)} each`],
      ["Rate", `${fps(result.fps)}, ${bitrate(result.fps * result.bytes_per_frame * 8)}`],
      ["Address", result.url],
    ];
    return h(
      "dl",
      { class: "facts" },
      rows.map(([term, text]) => [h("dt", {}, term), h("dd", {}, text)]),
    );
  }

  #problem({ code, severity, title, advice }) {
    const ours = advise(code);
    return h(
      "li",
      { class: `problem problem-${severity}` },
      h("b", {}, title || ours.title),
      h("span", {}, advice || ours.advice),
    );
  }

  #openNaming(address, verb) {
    this.#chosenUrl = address;
    this.#add.textContent = verb;
    this.#naming.hidden = false;
    setText(this.#error, "");
    if (!this.#name.value) this.#name.value = nameFor(address);
    this.#suggestId();
    this.#name.select();
    this.#name.focus({ preventScroll: true });
    this.#naming.scrollIntoView({ block: "end" });
  }

  #choosePush() {
    const text = "Give it a name; how to send pictures to it is shown once it is added.";
    this.#choose("push:", "Doorbell", text);
  }

  #chooseMock() {
    this.#choose("mock:?fps=15&size=640x480", "Synthetic", "A moving test picture, 640 × 480 at 15 fps.");
  }

  #suggestId() {
    if (!this.#idTouched) this.#id.value = slug(this.#name.value);
  }

  async #submit(event) {
    event.preventDefault();
    const id = this.#id.value.trim();
    if (!SLUG.test(id)) {
      setText(this.#error, "An id has small letters, digits, - and _, and begins with a letter or digit.");
      return this.#id.focus();
    }
    this.#add.disabled = true;
    try {
      const camera = await request("POST", "api/v1/cameras", {
        url: this.#chosenUrl,
        id,
        name: this.#name.value.trim(),
        policy: this.#always.checked ? "always" : "on_demand",
        ...(this.#audio.value.trim() && { audio_url: this.#audio.value.trim() }),
      });
      if (camera.kind === "push") this.#showPush(camera, (await markRights()).open);
      else this.element.close();
    } catch (error) {
      if (!this.element.open) return toast(`${this.#name.value.trim()} was not added. ${apology(error)}`, { bad: true });
      setText(
        this.#error,
        error.status === 409 ? "There is already a camera with this id. Choose another." : apology(error),
      );
      if (error.status === 409) this.#id.select();
    }
    this.#add.disabled = false;
  }

  #showPush(camera, open) {
    this.#naming.hidden = true;
    this.#found.replaceChildren(
      h("h3", {}, `${camera.name} waits for pictures`),
      ...pushHelp(camera.id, open),
      h("p", {}, h("a", { href: cameraPage(camera.id) }, "Open its page")),
    );
    this.#found.scrollIntoView({ block: "nearest" });
  }
}

/** The option that shows curl's token, where the server asks for one. */
export function bearer(open) {
  return open ? "" : '-H "Authorization: Bearer TOKEN" ';
}

/** What to do about the word TOKEN in what follows, as elements. */
export function tokenNote(right, id) {
  return [
    h("p", { class: "quiet" }, "Put a token in place of TOKEN. An owner makes one on the page “Access”, or with"),
    h("fc-copy", { label: "the command", text: `framecast token create NAME --right ${right} --camera ${id}` }),
  ];
}

/**
 * How a device sends to a camera of this id, as elements with commands to copy.
 *
 * @param open Whether the server asks nobody for a token.
 */
export function pushHelp(id, open) {
  const frames = url(`api/v1/cameras/${id}/frames`).href;
  const publish = url(`api/v1/cameras/${id}/publish`).href.replace(/^http/, "ws");
  const header = open ? "" : ", with the header “Authorization: Bearer TOKEN”";
  return [
    ...(open ? [] : tokenNote("publish", id)),
    h("p", { class: "quiet" }, "One picture by hand:"),
    h("fc-copy", {
      label: "the command",
      text: `curl ${bearer(open)}-H 'Content-Type: image/jpeg' --data-binary @picture.jpg ${frames}`,
    }),
    h("p", { class: "quiet" }, "A device played by this command:"),
    h("fc-copy", {
      label: "the command",
      text: `framecast mock-camera --to ${frames}${open ? "" : " --token TOKEN"}`,
    }),
    h(
      "p",
      { class: "quiet" },
      `A sketch posts each JPEG there, raw or as form field “frame”${header}; or sends each as one binary message to`,
    ),
    h("fc-copy", { label: "the address", text: publish }),
  ];
}
