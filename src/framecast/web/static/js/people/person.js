// One person who is known: photos, name, and what may be done with them.

import { request, url } from "../api.js";
import { rowButton, when } from "../access/rows.js";
import { ask, field, fill } from "../ask.js";
import { h } from "../dom.js";
import { plural } from "../format.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";
import { enrol } from "./enrol.js";

const address = (id, rest = "") => `api/v1/people/${encodeURIComponent(id)}${rest}`;

/** The address of a picture that the server named. */
export function pictureAt(path) {
  return url(path.replace(/^\//, "")).href;
}

/** @param may Whether it may be changed here. @param changed Called when it was. */
export function personRow(person, may, changed) {
  const { id, name, photos } = person;

  async function rename() {
    const input = field("Name", "person-name", { value: name, required: true, maxLength: 64, autocomplete: "off" });
    const done = await fill(`Rename ${name}`, [input.element], "Rename", () =>
      request("PATCH", address(id), { name: input.input.value.trim() }),
    );
    if (done !== null) changed();
  }

  async function forget() {
    const text = `${plural(photos.length, "photo")} and all that was kept of this face go, and can't be had back. Events that name ${name} stay.`;
    if (!(await ask(`Forget ${name}?`, text, "Forget", "button-danger"))) return;
    try {
      await request("DELETE", address(id));
      toast(`${name} is forgotten.`);
      changed();
    } catch (error) {
      toast(`${name} is still known. ${apology(error)}`, { bad: true });
    }
  }

  async function addPhoto() {
    if (await enrol({ title: `Another photo of ${name}`, verb: "Add", person })) changed();
  }

  async function removePhoto(n) {
    if (!(await ask("Remove this photo?", `${name} is recognised by the others then.`, "Remove", "button-danger")))
      return;
    try {
      await request("DELETE", address(id, `/photos/${n}`));
      changed();
    } catch (error) {
      toast(`Not removed. ${apology(error)}`, { bad: true });
    }
  }

  const faces = photos.map(({ n, url: path }) =>
    h(
      "li",
      { class: "face" },
      h("img", { class: "face-picture", src: pictureAt(path), alt: `${name}, photo ${n}`, loading: "lazy" }),
      may && photos.length > 1
        ? h(
            "button",
            {
              class: "button",
              type: "button",
              "aria-label": `Remove photo ${n}: ${name}`,
              click: () => removePhoto(n),
            },
            "Remove",
          )
        : null,
    ),
  );
  return h(
    "li",
    { class: "person" },
    h(
      "div",
      {},
      h("h3", {}, name),
      h(
        "p",
        { class: "quiet" },
        `${plural(photos.length, "photo")} · ${person.last_seen ? `last seen ${when(person.last_seen)}` : "not seen yet"}`,
      ),
    ),
    may
      ? h(
          "div",
          { class: "row" },
          rowButton("Add a photo", name, addPhoto),
          rowButton("Rename", name, rename),
          rowButton("Forget", name, forget, "button-bad"),
        )
      : null,
    h("ul", { class: "faces" }, faces),
  );
}
