// What a browser keeps for these pages. In a frame of another site it may keep nothing, and every touch is an error then.

const places = { page: () => sessionStorage, browser: () => localStorage };

/** What was kept; null where that is nothing. @param place "browser", or "page" for as long as its tab is open. */
export function kept(key, place = "browser") {
  try {
    return places[place]().getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a text, or forgets it where that is null; whether it could. */
export function keep(key, text, place = "browser") {
  try {
    if (text === null) places[place]().removeItem(key);
    else places[place]().setItem(key, text);
    return true;
  } catch {
    return false;
  }
}
