// shell.tsx - what is around every view: navigation, time, commands, messages. Views are loaded when
// they are first shown; the one before stays until the next is there.
import type { ComponentType } from "preact";
import { useEffect, useErrorBoundary, useState } from "preact/hooks";
import { underWay } from "../base/data";
import { may, me } from "../base/me";
import { go, href, route } from "../base/route";
import { dismiss, pageTitle, tell, theme, type Theme, toasts } from "../base/store";
import { beatAgain, shiftRange, zoomOut } from "../base/time";
import { PLAIN_VIEWS, viewOf, type View } from "../views";
import { Empty } from "./bits";
import { helpOpen, paletteOpen, shellCommands } from "./commands";
import { Icon } from "./icon";
import { Help, Palette } from "./palette";
import { copyRange, pasteRange } from "./range_copy";
import { pickerOpen, RangePicker, RefreshPicker } from "./picker";

const NEXT_THEME: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };

function setUpCommands(): void {
  shellCommands([
    ...PLAIN_VIEWS.map((v) => ({ id: v.path, title: `Go to ${v.title}`, keys: v.keys, run: () => go(href(v.path)) })),
    { id: "help", title: "Keyboard shortcuts", keys: "?", run: () => (helpOpen.value = true) },
    { id: "refresh", title: "Refresh now", keys: "d r", run: beatAgain },
    { id: "range", title: "Set the time range", keys: "t a", run: () => viewOf(route.value.path)?.ranged && (pickerOpen.value = true) },
    { id: "copy range", title: "Copy the time range", keys: "t c", run: () => viewOf(route.value.path)?.ranged && void copyRange() },
    { id: "paste range", title: "Paste a time range", keys: "t v", run: () => viewOf(route.value.path)?.ranged && void pasteRange() },
    { id: "zoom", title: "Zoom out in time", keys: "t z", run: zoomOut },
    { id: "earlier", title: "Go back in time", keys: "t ←", run: () => shiftRange(-1) },
    { id: "later", title: "Go forward in time", keys: "t →", run: () => shiftRange(1) },
    ...(["light", "dark", "system"] as const).map((t) => ({ id: `theme ${t}`, title: `Theme: ${t}`, run: () => (theme.value = t) })),
  ]);
}

// The view of the address, once it is loaded.
function useView(): { view?: View; Body?: ComponentType; failed?: string } {
  const wanted = viewOf(route.value.path);
  const [shown, setShown] = useState<{ view?: View; Body?: ComponentType; failed?: string }>({});
  useEffect(() => {
    let current = true;
    if (!wanted) setShown({});
    else
      wanted.load().then((m) => current && setShown({ view: wanted, Body: m.default }),
        (e: Error) => current && setShown({ view: wanted, failed: e.message }));
    return () => { current = false; };
  }, [wanted]);
  return wanted ? shown : {};
}

// What fails while it is drawn says so, in place of an empty page; another address tries anew.
function Guarded({ Body }: { Body: ComponentType }) {
  const [error, again] = useErrorBoundary();
  const { path } = route.value;
  useEffect(() => { if (error) again(); }, [path]);
  if (!error) return <Body />;
  return <Empty title="This page could not be drawn"><p>{(error as Error).message ?? String(error)}</p><button type="button" onClick={again}>Draw it again</button></Empty>;
}

export function Shell() {
  const [menu, setMenu] = useState(false);
  const { view, Body, failed } = useView();
  const wanted = viewOf(route.value.path);
  useEffect(setUpCommands, []);
  useEffect(() => {
    pageTitle.value = "";
    setMenu(false);
  }, [wanted]);
  const title = pageTitle.value || wanted?.title;
  useEffect(() => { document.title = title ? `${title} · Sextant` : "Sextant"; }, [title]);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")!.focus(); }}>To the content</a>
      <div class={underWay.value ? "busy on" : "busy"} aria-hidden="true" />
      {!wanted?.bare && <nav class={menu ? "side open" : "side"} aria-label="Pages">
        <a class="brand" href={href("/")}><img src="assets/favicon.svg" alt="" width="22" height="22" /> Sextant</a>
        {PLAIN_VIEWS.map((v) => (
          <a key={v.path} href={href(v.path)} aria-current={v === wanted || v.path === wanted?.of ? "page" : undefined}><Icon name={v.icon} />{v.title}</a>
        ))}
        <div class="side-foot">
          {me.value?.signIn && <Who />}
          <button type="button" onClick={() => (paletteOpen.value = true)}><Icon name="search" />Commands<kbd>Ctrl K</kbd></button>
          <button type="button" onClick={() => (theme.value = NEXT_THEME[theme.value])}><Icon name="theme" />Theme: {theme.value}</button>
          <button type="button" onClick={() => (helpOpen.value = true)}><Icon name="help" />Keyboard<kbd>?</kbd></button>
        </div>
      </nav>}
      {menu && <div class="shade" onClick={() => setMenu(false)} />}
      <div class="page">
        <header>
          <button type="button" class="icon menu" hidden={wanted?.bare} aria-label="Menu" aria-expanded={menu} onClick={() => setMenu(!menu)}><Icon name="menu" /></button>
          <h1>{title ?? "Not found"}</h1>
          <div class="tools">
            {wanted?.ranged && <RangePicker />}
            {wanted && !wanted.bare && !wanted.aside && <RefreshPicker />}
          </div>
        </header>
        <main id="main" tabIndex={-1}>
          {!wanted && <Empty title="There is no such page"><p><a href={href("/")}>Go to the beginning</a></p></Empty>}
          {failed && <Empty title="This page could not be loaded"><p>{failed}</p><button type="button" onClick={() => location.reload()}>Load again</button></Empty>}
          {Body && <div data-view={view!.path}><Guarded Body={Body} /></div>}
        </main>
      </div>
      <Palette />
      <Help />
      <div class="toasts" role="status" aria-live="polite">
        {toasts.value.map((t) => (
          <div key={t.id} class={t.bad ? "toast bad" : "toast"}>
            {t.text}{t.action && <button type="button" class="toast-action" onClick={() => { dismiss(t.id); t.action!.run(); }}>{t.action.text}</button>}<button type="button" aria-label="Close" onClick={() => dismiss(t.id)}>×</button>
          </div>
        ))}
      </div>
    </>
  );
}

function Who() {
  const who = me.value!;
  const here = route.value.path;
  if (!who.signedIn) return <a href={href("/login", { to: location.pathname + location.search })}><Icon name="person" />Sign in</a>;
  return (
    <>
      {may("admin") && <a href={href("/admin")} aria-current={here === "/admin" ? "page" : undefined}><Icon name="users" />Administration</a>}
      <a href={href("/account")} aria-current={here === "/account" ? "page" : undefined}><Icon name="person" />{who.login}</a>
    </>
  );
}

// What nobody caught is at least told.
addEventListener("unhandledrejection", (e) => {
  if ((e.reason as Error)?.name !== "AbortError") tell(String((e.reason as Error)?.message ?? e.reason), true);
});
