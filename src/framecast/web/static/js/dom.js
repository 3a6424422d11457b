// A few lines instead of a framework: make elements, and change text only when it differs.

/**
 * An element with properties, attributes and children.
 *
 * `class`, `for`, `aria-*`, `data-*`, `role` and the like become attributes; functions become listeners by
 * name (`click`); everything else is set as a property. Children may be nodes, text, or null for nothing.
 */
export function h(name, options = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else if (key in element && !key.includes("-") && key !== "list") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets text only when it differs: numbers that stand still then cost no layout and no announcement. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute only when it differs; null removes it. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Asks for `work` once per `delayMs` at most, the last call included. */
export function settle(work, delayMs) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, delayMs);
  };
}
