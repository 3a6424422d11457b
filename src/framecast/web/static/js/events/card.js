// One event among others: its picture, what happened, where and when.

import { url } from "../api.js";
import { h, setAttribute, setText } from "../dom.js";
import { clockOf, lengthOf, momentOf, titleOf } from "./words.js";

/** An empty card, to be filled by `fillCard`; it is a link, so that it can be opened in a window of its own. */
export function eventCard({ event_id: id }) {
  return h(
    "a",
    { class: "event", href: `#${id}`, "data-id": id },
    h("span", { class: "event-picture" }),
    h("b", { class: "event-title" }),
    h("span", { class: "event-where quiet" }),
    h("span", { class: "event-when quiet" }),
  );
}

/** Shows an event on its card, again and again while it goes on. @param names Cameras' names by their ids. */
export function fillCard(card, event, names) {
  const [picture, title, where, when] = card.children;
  const open = event.end === null || event.end === undefined;
  setAttribute(card, "data-state", open ? "open" : "ended");
  showPicture(picture, event, "");
  setText(title, titleOf(event));
  setText(where, names.get(event.camera) ?? event.camera);
  setText(when, [clockOf(event.start), lengthOf(event)].filter(Boolean).join(", "));
  setAttribute(
    card,
    "aria-label",
    `${titleOf(event)}, ${where.textContent}, ${momentOf(event.start)}${open ? ", going on" : ""}`,
  );
}

/** Puts an event's best picture into an element, or says that there is none; `shown` is called once it is there. */
export function showPicture(place, event, text, shown = () => {}) {
  // While it goes on a better one may come under the same address.
  const open = event.end === null || event.end === undefined;
  const key = event.picture ? `${event.picture} ${open ? versionOf(event) : "end"}` : "";
  if (place.dataset.key === key && place.childElementCount) return shown();
  place.dataset.key = key;
  if (!event.picture) return place.replaceChildren(h("span", { class: "event-none" }, "No picture"));
  const image = h("img", { alt: text, decoding: "async", loading: "lazy", "data-of": event.picture });
  const current = () => place.dataset.key === key;
  image.addEventListener(
    "error",
    () => current() && place.replaceChildren(h("span", { class: "event-none" }, "The picture is gone")),
  );
  image.src = pictureUrl(event, open);
  const before = place.querySelector("img");
  image.addEventListener("load", () => {
    if (!current()) return;
    if (!image.isConnected) place.replaceChildren(image);
    shown();
  });
  // The one before stays until a better one is there; that of another event goes at once.
  if (before?.dataset.of !== event.picture) return place.replaceChildren(image);
  image.loading = "eager";
}

const versionOf = ({ score, box }) => `${score} ${box ?? ""}`;

function pictureUrl(event, open) {
  const address = url(event.picture.replace(/^\//, ""));
  if (open) address.searchParams.set("version", versionOf(event));
  return address.href;
}
