// Removing a camera, with an undo that loses nothing.
//
// The server never tells a camera's password again, so adding it anew could not undo a removal. Instead the
// camera is only hidden at first, and removed when the time for second thoughts is over, or when the page
// is left.

import { cameraApi, request, url } from "./api.js";
import { keep, kept } from "./store.js";
import { toast } from "./toast.js";
import { apology } from "./words.js";

const UNDO_MS = 8_000;
const KEY = "framecast.removing";

/** Whether a removal can be undone here: only where the browser keeps it from one page to the next. */
export function canUndo() {
  return keep(KEY, null, "page");
}

/** Goes to the wall, which removes the camera; where it could not know of that, the camera is removed at once. */
export async function removeAndLeave({ id, name }) {
  try {
    if (!keep(KEY, JSON.stringify({ id, name }), "page")) await request("DELETE", cameraApi(id));
    location.href = url("").href;
  } catch (error) {
    toast(`${name} was not removed. ${apology(error)}`, { bad: true });
  }
}

/**
 * Carries out a remembered removal.
 *
 * @param hide Called with the id and whether to hide its tile.
 */
export function finishRemoval(hide) {
  const note = kept(KEY, "page");
  if (!note) return;
  keep(KEY, null, "page");
  const { id, name } = JSON.parse(note);
  let open = true;
  const settle = (work) => () => {
    if (!open) return;
    open = false;
    work();
  };
  const remove = async () => {
    try {
      await request("DELETE", cameraApi(id));
    } catch (error) {
      hide(id, false);
      toast(`${name} was not removed. ${apology(error)}`, { bad: true });
    }
  };
  hide(id, true);
  toast(`${name} is removed.`, {
    showMs: UNDO_MS,
    action: { text: "Undo", run: settle(() => hide(id, false)) },
    ended: settle(remove),
  });
  const leave = settle(() => fetch(url(cameraApi(id)), { method: "DELETE", keepalive: true }));
  addEventListener("pagehide", leave, { once: true });
}
