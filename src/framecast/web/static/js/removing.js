// Removing a camera, with an undo that loses nothing.
//
// The server never tells a camera's password again, so adding it anew could not undo a removal. Instead the
// camera is only hidden at first, and removed when the time for second thoughts is over, or when the page
// is left.

import { cameraApi, request, url } from "./api.js";
import { toast } from "./toast.js";
import { apology } from "./words.js";

const UNDO_MS = 8_000;
const KEY = "framecast.removing";

/** Remembers a removal for the wall, which the camera page goes to next. */
export function removeLater(camera) {
  sessionStorage.setItem(KEY, JSON.stringify({ id: camera.id, name: camera.name }));
}

/**
 * Carries out a remembered removal.
 *
 * @param hide Called with the id and whether to hide its tile.
 */
export function finishRemoval(hide) {
  const note = sessionStorage.getItem(KEY);
  if (!note) return;
  sessionStorage.removeItem(KEY);
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
