// A face that was seen and that nobody has named: "Who is this?"

import { request } from "../api.js";
import { when } from "../access/rows.js";
import { h, setText } from "../dom.js";
import { plural } from "../format.js";
import { toast } from "../toast.js";
import { apology } from "../words.js";
import { pictureAt } from "./person.js";

let count = 0;

/** @param group As the API tells it. @param known Id of the list of those who are known, since it may be one of them. */
export function strangerCard(group, known, may, changed) {
  const id = `stranger-${(count += 1)}`;
  const said = h("p", { class: "field-error", role: "alert" });
  const input = h("input", {
    class: "input",
    id,
    type: "text",
    required: true,
    maxLength: 64,
    autocomplete: "off",
    placeholder: "Name",
    "aria-label": `Name of unknown face ${group.group}`,
    list: known,
  });
  // Pressed twice, one of both would ask for a face that is gone.
  let asking = false;
  const once = async (work) => {
    if (asking) return;
    asking = true;
    await work();
    asking = false;
  };
  const save = async () => {
    const name = input.value.trim();
    setText(said, "");
    try {
      await request("POST", `api/v1/people/unknown/${group.group}`, { name });
      toast(`${name} is known from now on.`);
      input.value = "";
      changed();
    } catch (error) {
      setText(said, apology(error));
    }
  };
  const send = (event) => {
    event.preventDefault();
    once(save);
  };
  const remove = async () => {
    try {
      await request("DELETE", `api/v1/people/unknown/${group.group}`);
      changed();
    } catch (error) {
      toast(`Not dismissed. ${apology(error)}`, { bad: true });
    }
  };
  return h(
    "li",
    { class: "stranger" },
    h("img", {
      class: "face-picture",
      src: pictureAt(group.picture),
      alt: `Unknown face ${group.group}`,
      loading: "lazy",
    }),
    h(
      "form",
      { class: "stack-tight", submit: send },
      h("p", { class: "quiet" }, [`seen ${plural(group.count, "time")}`, `last ${when(group.last_seen)}`].join(", ")),
      may
        ? [
            h("div", { class: "field-row" }, input, h("button", { class: "button", type: "submit" }, "Save")),
            said,
            h(
              "div",
              {},
              h(
                "button",
                { class: "button button-quiet button-inline", type: "button", click: () => once(remove) },
                "Nobody I know",
              ),
            ),
          ]
        : null,
    ),
  );
}
