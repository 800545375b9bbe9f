// main.tsx - where the interface begins. The view of the address is fetched at once, while the shell
// is drawn.
import { render } from "preact";
import { lookWho } from "./base/me";
import { followLinks, route } from "./base/route";
import { startRefreshing } from "./base/time";
import { listenToKeys } from "./parts/commands";
import { Shell } from "./parts/shell";
import { viewOf } from "./views";

void lookWho();
void viewOf(route.value.path)?.load();
followLinks();
startRefreshing();
listenToKeys();
render(<Shell />, document.getElementById("app")!);
