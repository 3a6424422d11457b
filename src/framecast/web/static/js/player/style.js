// How the player looks, in its own shadow, so that it looks the same in any page. Colours follow the system's light or
// dark; a page may set them (docs/player.md).

const CSS = `
:host {
  --surface: var(--framecast-surface, #ffffff);
  --sunken: var(--framecast-sunken, #e7e9eb);
  --line: var(--framecast-line, #cfd3d8);
  --text: var(--framecast-text, #14161a);
  --quiet: var(--framecast-quiet, #545b65);
  --accent: var(--framecast-accent, #0a58ca);
  --live: #0b7341;
  --bad: #b3261e;
  --picture: #0a0b0c;
  display: block;
  position: relative;
  min-width: 0;
  container: player / inline-size;
  color: var(--text);
  font: 0.8125rem / 1.4 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
  text-align: left;
}

@media (prefers-color-scheme: dark) {
  :host {
    --surface: var(--framecast-surface, #17191c);
    --sunken: var(--framecast-sunken, #22252a);
    --line: var(--framecast-line, #2d3136);
    --text: var(--framecast-text, #eceef0);
    --quiet: var(--framecast-quiet, #9fa6af);
    --accent: var(--framecast-accent, #7fb2ff);
    --live: #4fcf86;
    --bad: #ff837a;
    --picture: #000000;
  }
}

:host([hidden]), [hidden] { display: none !important; }

*, *::before, *::after { box-sizing: border-box; }

:host(:focus-visible), :focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }

.player { display: flex; flex-direction: column; width: 100%; height: 100%; }

.picture {
  position: relative;
  flex: 1 1 auto;
  width: 100%;
  min-height: 0;
  aspect-ratio: var(--aspect, 1.3333);
  overflow: hidden;
  background: var(--picture);
}

.picture > :is(canvas, video, img) {
  position: absolute;
  inset: 0;
  display: block;
  width: 100%;
  height: 100%;
  object-fit: contain;
}

.not-live > :is(canvas, video, img) { filter: grayscale(1) brightness(0.38); }

.seen { position: absolute; inset: 0; container: seen / size; overflow: hidden; pointer-events: none; }
.not-live > .seen { display: none; }
.things {
  position: absolute;
  inset: 0;
  width: min(100cqw, 100cqh * var(--shape, 1));
  height: min(100cqh, 100cqw / var(--shape, 1));
  margin: auto;
}
.things > div { position: absolute; }
.things > .thing {
  outline: 2px solid var(--colour);
  outline-offset: -1px;
  box-shadow: 0 0 0 2px rgb(16 18 20 / 70%), inset 0 0 0 2px rgb(16 18 20 / 70%);
}
.things > :is(.rests, .face) { outline-width: 1px; box-shadow: 0 0 0 1px rgb(16 18 20 / 70%); }
.things > :is(.moved, .region) { outline: 1px solid rgb(255 255 255 / 55%); outline-offset: -1px; }
.things > .moved { background: rgb(255 255 255 / 18%); }
.things > .region { outline: 1px dotted #f2f3f4; }
.things span {
  position: absolute;
  bottom: 100%;
  left: -1px;
  padding: 1px 5px;
  background: var(--colour);
  color: #101214;
  font-size: clamp(9px, 3.5cqh, 14px);
  font-weight: 600;
  line-height: 1.35;
  max-width: 40ch;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.things span:empty { display: none; }
.things .hushed { visibility: hidden; }
.things .far span { right: -1px; left: auto; }
.things .high span { top: 0; bottom: auto; }

.over { position: absolute; inset: 0; pointer-events: none; }
.over ::slotted(*) { position: absolute; inset: 0; }

.note, .note-status {
  display: flex;
  flex-direction: column;
  align-items: center;
  gap: 4px;
}

.note {
  position: absolute;
  inset: 0;
  display: none;
  justify-content: center;
  padding: 12px;
  color: #f2f3f4;
  text-align: center;
  text-wrap: balance;
  pointer-events: none;
}

.not-live .note { display: flex; }
.note span:empty { display: none; }
.note-title { font-size: 1.125rem; font-weight: 600; }
.note-ago, .note-why { color: #c2c7cd; }

@container player (max-width: 419px) { .note-title { font-size: 0.9375rem; } }
@container player (max-width: 260px) { .note-why { display: none; } }

.said {
  position: absolute;
  right: 8px;
  bottom: 8px;
  left: 8px;
  width: fit-content;
  max-width: 100%;
  margin: 0 auto;
  padding: 8px 12px;
  border-radius: 4px;
  background: rgb(0 0 0 / 78%);
  color: #f2f3f4;
  overflow-wrap: anywhere;
}

.said:empty { display: none; }

.numbers {
  position: absolute;
  top: 8px;
  left: 8px;
  display: grid;
  grid-template-columns: auto minmax(0, 1fr);
  gap: 0 12px;
  max-width: min(100% - 16px, 480px);
  max-height: calc(100% - 16px);
  margin: 0;
  padding: 8px 12px;
  overflow: auto;
  border-radius: 4px;
  background: rgb(16 18 20 / 95%);
  color: #f2f3f4;
  overflow-wrap: anywhere;
}

.numbers dt { color: #c2c7cd; }
.numbers dd { margin: 0; }
.numbers .wide { grid-column: 1 / -1; padding-top: 4px; }

.bar {
  display: flex;
  flex: none;
  align-items: center;
  gap: 0 2px;
  min-height: 48px;
  padding: 2px 4px;
  background: var(--surface);
}

button, select {
  min-width: 44px;
  min-height: 44px;
  padding: 0 10px;
  border: 0;
  border-radius: 4px;
  background: none;
  color: var(--text);
  font: inherit;
  font-weight: 600;
  white-space: nowrap;
  cursor: pointer;
  touch-action: manipulation;
}

select { min-width: 0; padding: 0 4px; background: var(--surface); }
button:hover, select:hover { background: var(--sunken); }
button[aria-pressed="true"] { background: var(--sunken); color: var(--accent); }
button[aria-disabled="true"] { color: var(--quiet); }
button.talk { touch-action: none; user-select: none; -webkit-user-select: none; }
button.talk.unheard { opacity: 0.6; }
button.talk[aria-pressed="true"] { background: var(--bad); color: var(--surface); }

svg { display: block; width: 20px; height: 20px; margin: 0 auto; fill: none; stroke: currentColor; stroke-width: 1.6;
  stroke-linecap: round; stroke-linejoin: round; }

.line {
  flex: 1 1 0;
  min-width: 0;
  padding: 0 8px;
  overflow: hidden;
  color: var(--quiet);
  text-overflow: ellipsis;
  white-space: nowrap;
}

.meter { flex: none; width: 48px; height: 6px; border-radius: 3px; background: var(--sunken); overflow: hidden; }
.meter > span { display: block; width: 100%; height: 100%; background: var(--live); transform: scaleX(0);
  transform-origin: left; }

.help { padding: 16px; }
kbd { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }

@container player (max-width: 560px) {
  .bar { flex-wrap: wrap; }
  .line { flex-basis: calc(100% - 72px); order: -2; padding: 4px 8px 0; }
  .meter { order: -1; margin: 4px 8px 0 auto; }
  /* The line beside it leaves it a place, which a button must not take. */
  .meter[hidden] { display: block !important; visibility: hidden; }
  .space { flex: 1; }
}

/* All buttons in one row on a phone: that for the numbers stands beside the line that sums them up. */
@container player (max-width: 420px) {
  .line { flex-basis: calc(100% - 118px); padding-top: 0; }
  .meter { margin-top: 0; }
  button[part~="numbers"] { order: -1; }
}

:host(:fullscreen), :host([filled]) { background: var(--picture); }
:host([filled]) { position: fixed; inset: 0; z-index: 2147483647; height: 100dvh; }
:host(:fullscreen) .picture, :host([filled]) .picture { aspect-ratio: auto; }
/* Not taken away, or what has the focus in it would lose it, and its keys with it. */
:host(:fullscreen) .player.resting .bar { position: absolute; inset: auto 0 0; opacity: 0; pointer-events: none; }
:host(:fullscreen) .player.resting { cursor: none; }

@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
`;

let sheet = null;

/** Gives a shadow root the player's style. The policy of pages forbids inline style, and this is none. */
export function dress(root) {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  root.adoptedStyleSheets = [sheet];
}
