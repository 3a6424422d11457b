// Changing one's own password.

import { fill, passwordField } from "./ask.js";
import { request } from "./api.js";
import { toast } from "./toast.js";

/** What is asked of a password; the server has the last word. */
export const PASSWORD_HINT = "At least 10 characters. Some words that belong together for nobody but you do well.";

export async function changePassword() {
  const old = passwordField("Present password", "password-old", { autocomplete: "current-password" });
  const fresh = passwordField("New password", "password-new", { autocomplete: "new-password" }, PASSWORD_HINT);
  const done = await fill("Change password", [old.element, fresh.element], "Change password", () =>
    request("POST", "api/v1/password", { old: old.input.value, new: fresh.input.value }),
  );
  if (done !== null) toast("Your password is changed. Everywhere else you are logged out.");
}
