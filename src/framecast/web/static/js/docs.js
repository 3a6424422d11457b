// The reference of the API, made here from the server's own OpenAPI document.

import "./copybox.js";
import "./menu.js";
import { request, url } from "./api.js";
import { h, setText } from "./dom.js";
import { bindKeys } from "./keys.js";
import { markRights } from "./session.js";

const RIGHTS = {
  public: "open to everybody",
  watch: "needs the right watch",
  operate: "needs the right operate",
  publish: "needs the right publish",
  own: "for owners",
};
const GROUPS = {
  watch: "Watching",
  cameras: "Cameras",
  publish: "Sending pictures",
  access: "Access",
  server: "The server",
  compatibility: "Addresses that older devices and pages call",
  pages: "Pages",
};

const find = (id) => document.getElementById(id);

function parameters(operation) {
  const rows = (operation.parameters ?? []).filter((each) => each.in === "query");
  if (rows.length === 0) return null;
  return h(
    "dl",
    { class: "facts" },
    rows.map(({ name, description }) => [h("dt", {}, h("code", {}, name)), h("dd", {}, description ?? "")]),
  );
}

function answers(operation) {
  const rows = Object.entries(operation.responses ?? {}).filter(([code]) => code !== "4XX");
  return rows.map(([code, { description }]) => h("p", { class: "quiet" }, `Answers ${code}: ${description}`));
}

function fields(schema, all) {
  const named = schema?.$ref ? all[schema.$ref.split("/").at(-1)] : schema;
  const rows = Object.entries(named?.properties ?? {});
  if (rows.length === 0) return null;
  const kind = (field) => {
    if (field.$ref) return field.$ref.split("/").at(-1);
    if (field.enum) return field.enum.join(" | ");
    if (field.anyOf) return field.anyOf.map(kind).join(" or ");
    return field.type ?? "";
  };
  return h(
    "details",
    { class: "more" },
    h("summary", {}, "Fields of the body"),
    h(
      "dl",
      { class: "facts" },
      rows.map(([name, field]) => [
        h("dt", {}, h("code", {}, name)),
        h("dd", {}, [field.description, kind(field)].filter(Boolean).join(" ")),
      ]),
    ),
  );
}

function example(method, path, operation) {
  const full = url(path.slice(1).replace("%7B", "{").replace("%7D", "}"))
    .href.replace(/%7B/g, "{")
    .replace(/%7D/g, "}");
  if ("101" in operation.responses) return full.replace(/^http/, "ws");
  const types = Object.keys(operation.requestBody?.content ?? {});
  const flags = [method === "get" ? "" : `-X ${method.toUpperCase()}`];
  if (types.includes("image/jpeg")) flags.push("-H 'Content-Type: image/jpeg' --data-binary @picture.jpg");
  else if (types.length) flags.push("-H 'Content-Type: application/json' -d '{…}'");
  return ["curl", ...flags.filter(Boolean), full].join(" ");
}

function entry(path, method, operation, schemas) {
  const body = operation.requestBody;
  const schema = Object.values(body?.content ?? {})[0]?.schema;
  const verb = "101" in operation.responses ? "WebSocket" : method.toUpperCase();
  return h(
    "article",
    { class: "route", "data-text": `${path} ${verb} ${operation.summary}`.toLowerCase() },
    h("h3", {}, h("span", { class: "verb" }, verb), " ", h("code", {}, path)),
    h("p", {}, operation.summary, " ", h("span", { class: "quiet" }, `(${RIGHTS[operation["x-right"]] ?? "–"})`)),
    parameters(operation),
    body?.description ? h("p", { class: "quiet" }, `Takes: ${body.description}`) : null,
    fields(schema, schemas),
    answers(operation),
    h("fc-copy", { label: `an example for ${path}`, text: example(method, path, operation) }),
  );
}

function show(document_) {
  const groups = new Map(Object.keys(GROUPS).map((tag) => [tag, []]));
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags?.[0] ?? "server";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(entry(path, method, operation, document_.components.schemas));
    }
  }
  setText(find("version"), document_.info.version);
  find("routes").replaceChildren(
    ...[...groups]
      .filter(([, entries]) => entries.length)
      .map(([tag, entries]) => h("section", { class: "group", id: tag }, h("h2", {}, GROUPS[tag] ?? tag), entries)),
  );
}

function filter() {
  const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const route of document.querySelectorAll(".route")) {
    route.hidden = !words.every((word) => route.dataset.text.includes(word));
  }
  for (const group of document.querySelectorAll(".group")) {
    group.hidden = group.querySelector(".route:not([hidden])") === null;
  }
  find("nothing").hidden = document.querySelector(".route:not([hidden])") !== null;
}

find("filter").addEventListener("input", filter);
bindKeys([
  { keys: ["/"], text: "Search", run: () => find("filter").focus() },
  { keys: ["Escape"], text: "All cameras", run: () => (location.href = url("").href) },
]);
markRights();
try {
  show(await request("GET", "api/openapi.json"));
} catch (error) {
  find("routes").replaceChildren(
    h("p", {}, `The reference could not be loaded. ${error.message} Reload the page to try again.`),
  );
}
