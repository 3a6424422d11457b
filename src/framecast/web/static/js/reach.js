// From where an address of this server can be reached, and by which one from everywhere.

import { session, url } from "./api.js";
import { h } from "./dom.js";

const THIS_COMPUTER = /^(localhost|.*\.localhost|127\..*|\[::1\])$/;
// RFC 1918, 4193, 3927, 4291 and 6598; names without a dot, and those that networks give out themselves.
const THIS_NETWORK =
  /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|\[f[cd]|\[fe[89ab])|^[^.:]+$|\.(local|lan|home|internal|home\.arpa|fritz\.box)$/;

/** What has to be said beside an address of this host; empty where it is good everywhere. */
export function caveat({ hostname, host }) {
  if (THIS_COMPUTER.test(hostname)) {
    return `It begins with ${host}, which is this computer: on another one, put the address there by which that one reaches this server.`;
  }
  return THIS_NETWORK.test(hostname) ? `It begins with ${host}, which is found in this network only.` : "";
}

/** An address to copy and, where it does not lead here from everywhere, what about that and the one that does. */
export async function addresses(label, path) {
  const here = new URL(path, url(""));
  const { public_url: open = null } = await session().catch(() => ({}));
  const warning = caveat(here);
  const below = here.href.slice(url("").href.length);
  const away = open && warning ? new URL(below, `${open}/`).href : "";
  return h(
    "div",
    { class: "stack-tight" },
    away ? h("p", { class: "quiet" }, "From everywhere, while the tunnel is open:") : null,
    away ? h("fc-copy", { label: `${label} for everywhere`, text: away }) : null,
    away ? h("p", { class: "quiet" }, "From here:") : null,
    h("fc-copy", { label, text: here.href }),
    warning
      ? h("p", { class: "quiet" }, away ? warning : `${warning} A tunnel makes one for everywhere: page “Access”.`)
      : null,
  );
}
