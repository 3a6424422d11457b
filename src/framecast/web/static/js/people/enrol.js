// Making a face known: by photos from this device, or by what a camera sees right now.
//
// A live picture is taken by the page and looked at by a person before it is sent: the very picture that was seen is
// enrolled, and not the one that happens to come a moment later.

import { camerasThere } from "../access/rows.js";
import { blob, cameraApi, request, upload } from "../api.js";
import { beforeDialog, showDialog } from "../ask.js";
import { h, setText } from "../dom.js";
import { plural } from "../format.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";

// What the server keeps of a person.
const MOST = 20;
// Larger ones show no more of a face; phones take pictures of many megabytes.
const LONGEST_PX = 1920;
const QUALITY = 0.92;

/** A photo small enough to send, upright: what a phone notes beside the picture is lost on the way otherwise. */
async function prepared(file) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, LONGEST_PX / Math.max(picture.width, picture.height));
  const canvas = h("canvas", { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return new Promise((done, fail) =>
    canvas.toBlob(
      (made) => (made ? done(made) : fail(new Error("It can't be read as a picture."))),
      "image/jpeg",
      QUALITY,
    ),
  );
}

/** What was chosen so far, each with its own way to take it back. */
class Chosen {
  element = h("ul", { class: "enrol-files faces" });
  photos = [];

  add(photo, text) {
    const address = URL.createObjectURL(photo);
    const entry = { photo, text };
    const drop = () => {
      URL.revokeObjectURL(address);
      this.photos.splice(this.photos.indexOf(entry), 1);
      item.remove();
    };
    const item = h(
      "li",
      { class: "face" },
      h("img", { class: "face-picture", src: address, alt: text }),
      h("button", { class: "button", type: "button", "aria-label": `Leave out ${text}`, click: drop }, "Leave out"),
    );
    entry.drop = drop;
    this.photos.push(entry);
    this.element.append(item);
  }

  clear() {
    for (const entry of [...this.photos]) entry.drop();
  }
}

/** The part that takes pictures from a camera: {element, close()}. */
function fromCamera(cameras, chosen, say) {
  const image = h("img", { class: "enrol-picture", alt: "What the camera sees", hidden: true });
  let current = null;
  let turns = 0;
  const take = h(
    "button",
    {
      class: "button",
      type: "button",
      disabled: true,
      click: () => current && chosen.add(current, `picture ${chosen.photos.length + 1}`),
    },
    "Use this picture",
  );
  const drop = () => {
    turns += 1;
    current = null;
    URL.revokeObjectURL(image.src);
    image.removeAttribute("src");
    image.hidden = take.disabled = true;
  };
  const look = async () => {
    say("");
    const turn = (turns += 1);
    button.disabled = true;
    try {
      const picture = await blob(cameraApi(select.value, `/snapshot.jpg?t=${Date.now()}`));
      // Another camera was chosen meanwhile, or the dialog was closed.
      if (turn !== turns) return;
      current = picture;
      URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(current);
      image.hidden = false;
      take.disabled = false;
    } catch (error) {
      if (turn !== turns) return;
      say(apology(error).replace(" Nothing was changed.", ""));
    }
    button.disabled = false;
  };
  const select = h(
    "select",
    { class: "input", "aria-label": "Camera", change: () => (drop(), look()) },
    cameras.map(({ id, name }) => h("option", { value: id }, name)),
  );
  const button = h("button", { class: "button", type: "button", click: look }, "Take a picture");
  const element = h(
    "fieldset",
    { class: "fieldset stack-tight" },
    h("legend", {}, "From a camera"),
    h("div", { class: "field-row" }, select, button),
    image,
    h("div", {}, take),
  );
  return { element, close: drop };
}

/**
 * Asks for photos of somebody; resolves to whether any was taken.
 *
 * @param options `title`, `verb`; `person`: who gets them, asked for by name where there is none.
 */
export async function enrol({ title, verb, person = null }) {
  const cameras = await beforeDialog(camerasThere());
  if (cameras === null) return false;
  const chosen = new Chosen();
  const said = h("div", { class: "field-error", role: "alert" });
  const say = (text) => setText(said, text);
  const name = h("input", {
    class: "input",
    id: "enrol-name",
    type: "text",
    required: true,
    maxLength: 64,
    autocomplete: "off",
  });
  const room = () => MOST - (person?.photos.length ?? 0) - taken - chosen.photos.length;
  const complain = (text) => said.append(h("p", {}, text));
  let picking = Promise.resolve();
  const pick = async ({ target }) => {
    say("");
    let leftOut = 0;
    for (const file of [...target.files]) {
      if (room() <= 0) {
        leftOut += 1;
        continue;
      }
      try {
        chosen.add(await prepared(file), file.name);
      } catch {
        complain(`${file.name} can't be read as a picture. JPEG and PNG can.`);
      }
    }
    if (leftOut) complain(`Of a person ${MOST} photos are kept at most: ${plural(leftOut, "photo")} left out.`);
    target.value = "";
  };
  const files = h("input", {
    class: "file-input",
    id: "enrol-files",
    type: "file",
    accept: "image/*",
    multiple: true,
    change: (event) => (picking = Promise.all([picking, pick(event)])),
  });
  const button = h("button", { class: "button button-main", type: "submit" }, verb);
  const live = cameras.length ? fromCamera(cameras, chosen, say) : null;
  let made = person;
  let taken = 0;

  async function send() {
    button.disabled = true;
    say("");
    // Large photos are not ready at once, and all that were chosen are meant.
    await picking;
    if (!dialog.open) return;
    // Why some of them can't be had is read first: nobody would see it once the others are sent.
    if (!chosen.photos.length || said.hasChildNodes()) {
      button.disabled = false;
      if (!said.hasChildNodes()) say("Choose at least one photo.");
      return;
    }
    try {
      made ??= await request("POST", "api/v1/people", { name: name.value.trim() });
      const failures = [];
      for (const entry of [...chosen.photos]) {
        if (!dialog.open) return;
        try {
          await upload(`api/v1/people/${encodeURIComponent(made.id)}/photos`, entry.photo);
          entry.drop();
          taken += 1;
        } catch (error) {
          if (error.status === 0) throw error;
          failures.push(`${entry.text}: ${error.message}`);
        }
      }
      if (failures.length) said.replaceChildren(...failures.map((text) => h("p", {}, text)));
      else dialog.close();
    } catch (error) {
      say(apology(error));
    }
    // The name stands: what follows are further photos of the same person.
    name.disabled = made !== null;
    button.disabled = false;
  }

  let sent = null;
  const submit = (event) => {
    event.preventDefault();
    sent = send();
  };
  const { dialog, closed } = showDialog(
    title,
    h(
      "form",
      { class: "stack", submit },
      person ? null : h("div", { class: "field" }, h("label", { for: "enrol-name" }, "Name"), name),
      h(
        "div",
        { class: "field" },
        h("label", { for: "enrol-files" }, "Photos from this device"),
        files,
        h("p", { class: "quiet" }, "One face on each, well lit, at least 100 px wide."),
      ),
      live?.element,
      chosen.element,
      said,
      h("div", { class: "row-end" }, button),
    ),
  );
  (person ? files : name).focus();
  await closed;
  // What is on its way arrives all the same.
  await sent;
  live?.close();
  // Those that are still being made ready, too.
  picking.then(() => chosen.clear());
  // Somebody without a photo would be nobody.
  if (!person && made && !taken)
    await request("DELETE", `api/v1/people/${encodeURIComponent(made.id)}`).catch(() => {});
  if (taken) toast(`${plural(taken, "photo")} of ${made.name} ${taken === 1 ? "is" : "are"} known now.`);
  return taken > 0;
}
