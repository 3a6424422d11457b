// A link to one camera's picture for some hours, for somebody or something without an account and a token.

import { cameraApi, request } from "./api.js";
import { h, setText } from "./dom.js";
import { addresses } from "./reach.js";
import { apology } from "./words.js";

const FORMS = [
  ["/stream.mjpeg", "Live picture"],
  ["/stream.mp4", "Video and sound"],
  ["/snapshot.jpg", "One picture"],
];
const HOURS = [1, 8, 24];

/** The part of the panel "Use it" that makes such links. */
export function linkMaker(camera) {
  const form = h(
    "select",
    { class: "input", id: "link-form", "aria-label": "What the link shows" },
    FORMS.map(([value, text]) => h("option", { value }, text)),
  );
  const life = h(
    "select",
    { class: "input", id: "link-life", "aria-label": "How long the link works" },
    HOURS.map((hours) => h("option", { value: hours * 3600 }, hours === 1 ? "for an hour" : `for ${hours} hours`)),
  );
  const said = h("p", { class: "field-error", role: "alert" });
  const made = h("div", { "aria-live": "polite" });
  const submit = async (event) => {
    event.preventDefault();
    setText(said, "");
    try {
      // The server knows its paths without what a proxy puts before them.
      const path = `/${cameraApi(camera.id, form.value)}`;
      const link = await request("POST", "api/v1/links", { path, ttl_s: Number(life.value) });
      made.replaceChildren(await addresses("the link", link.url));
    } catch (error) {
      setText(said, apology(error).replace("Nothing was changed.", "No link was made."));
    }
  };
  return h(
    "section",
    { class: "snippet" },
    h("h3", {}, "A link for some hours"),
    h(
      "p",
      { class: "quiet" },
      "Whoever has it sees this camera and nothing else, without logging in: a browser, an <img>, VLC. It ends when you log out here.",
    ),
    h(
      "form",
      { class: "link-form", submit },
      form,
      life,
      h("button", { class: "button", type: "submit" }, "Make a link"),
    ),
    said,
    made,
  );
}
