// Cameras' addresses, as people type them.

const parsed = (address) => new URL(address.includes("://") ? address : `http://${address}`);

/** What a camera may be called of which no more than its address is known. */
export function nameFor(address) {
  try {
    const { hostname } = parsed(address);
    return hostname && !/^[\d.:[\]]+$/.test(hostname)
      ? hostname.split(".")[0]
      : `Camera ${hostname.split(".").at(-1)}`;
  } catch {
    return "Camera";
  }
}

/** The address that was found, with the login of the one that was typed: what is found is told without. */
export function withLoginOf(typed, found) {
  try {
    const { username, password, hostname } = parsed(typed);
    const there = new URL(found);
    if (!username || there.username || there.hostname !== hostname) return found;
    return found.replace("://", () => `://${username}${password && `:${password}`}@`);
  } catch {
    return found;
  }
}
