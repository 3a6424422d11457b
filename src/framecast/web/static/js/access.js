// The page of who may do what: people, tokens, sessions, the log of changes, and the tunnel.

import "./copybox.js";
import "./menu.js";
import { Log } from "./access/log.js";
import { People } from "./access/people.js";
import { Sessions } from "./access/sessions.js";
import { Tokens } from "./access/tokens.js";
import { Tunnel } from "./access/tunnel.js";
import { url } from "./api.js";
import { awayPanel } from "./away.js";
import { bindKeys } from "./keys.js";
import { hasEntered, keyPanel, markRights, whoAmI } from "./session.js";
import { setUpTabs } from "./tabs.js";

const find = (id) => document.getElementById(id);

const panels = {
  people: new People(find("panel-people")),
  tokens: new Tokens(find("panel-tokens")),
  sessions: new Sessions(find("panel-sessions")),
  log: new Log(find("panel-log")),
  tunnel: new Tunnel(find("panel-tunnel")),
};
let shown = null;

function open(name) {
  if (shown === name) return;
  panels[shown]?.leave?.();
  shown = name;
  // In the address, so that a reload and a link lead to the same.
  history.replaceState(null, "", `#${name}`);
  panels[name].show();
}

function instead(...content) {
  find("page").hidden = true;
  find("instead").hidden = false;
  find("instead").replaceChildren(...content);
  find("instead").querySelector("input, button")?.focus();
}

async function begin() {
  await markRights();
  const state = whoAmI();
  if (state === null) return instead(awayPanel());
  if (!state.open && !hasEntered(state)) return instead(keyPanel(() => location.reload()));
  find("page").hidden = false;
  const tabs = [...find("tabs").querySelectorAll("[role=tab]")];
  const may = (tab) => !tab.dataset.needs || state.rights.includes(tab.dataset.needs);
  for (const tab of tabs.filter((each) => !may(each))) tab.remove();
  const wished = tabs.find((tab) => may(tab) && `#${tab.dataset.name}` === location.hash);
  setUpTabs(find("tabs"), open, wished?.dataset.name);
}

/** Somebody is back: what stands there may be long past. The log stays, as far back as one has read in it. */
function comeBack() {
  if (document.hidden || shown === null || shown === "log" || document.querySelector("dialog[open]")) return;
  panels[shown].show();
}

document.addEventListener("visibilitychange", comeBack);
bindKeys([
  { keys: ["Escape"], text: "All cameras", run: () => (location.href = url("").href) },
  { keys: ["r"], text: "Look again", run: () => panels[shown]?.show() },
]);
begin();
