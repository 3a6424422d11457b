// <framecast-player camera="door">: one camera, live, in any page (docs/player.md). This is the module to import.

export { FramecastPlayer } from "./player/element.js";
