// text.tsx - a text of the dashboard's author: Markdown, HTML or plain code. What reads and cleans
// it is loaded with the first one; until then the old text stays.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PanelProps } from "./panel";

type Markup = typeof import("./markup");
let loaded: Markup | undefined;

export default function Text({ panel, interpolate, width, height, scope }: PanelProps) {
  const { mode = "markdown", content = "", code = {} } = panel.options;
  const text = useMemo(() => interpolate(String(content)), [content, scope]);
  const size = { width: `${width}px`, height: `${height}px` };
  if (mode === "code") return <Code text={text} size={size} numbered={!!code.showLineNumbers} title={panel.title} />;
  return <Marked text={text} html={mode === "html"} size={size} title={panel.title} id={panel.id} />;
}

type Size = { width: string; height: string };

function Code({ text, size, numbered, title }: { text: string; size: Size; numbered: boolean; title: string }) {
  return (
    <pre class={`text-code${numbered ? " numbered" : ""}`} tabIndex={0} role="region" aria-label={title || "Code"} style={size}>
      {numbered ? text.split("\n").map((line, i) => <span key={i}>{line}{"\n"}</span>) : text}
    </pre>
  );
}

function Marked({ text, html, size, title, id }: { text: string; html: boolean; size: Size; title: string; id: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [markup, setMarkup] = useState<Markup | undefined>(loaded);
  const [scrolls, setScrolls] = useState(false);
  const empty = !text.trim();
  useEffect(() => {
    if (!markup && !empty) void import("./markup").then((m) => setMarkup((loaded = m)));
  }, [empty]);
  useEffect(() => {
    if (!box.current) return;
    if (markup && !empty) markup.fill(box.current, text, { html, prefix: `text-${id}-` });
    else if (empty) box.current.replaceChildren();
  }, [markup, text, html]);
  useEffect(() => {
    const b = box.current!;
    setScrolls(b.scrollHeight > b.clientHeight + 1 || b.scrollWidth > b.clientWidth + 1);
  });
  return (
    <div class="text-panel" ref={box} style={size} onClick={jump}
      {...(scrolls ? { tabIndex: 0, role: "region", "aria-label": title || "Text" } : {})} />
  );
}

// The page has a <base>, so that "#x" would lead to the home page: anchors stay within their text.
function jump(e: MouseEvent): void {
  const link = (e.target as Element).closest?.("a[data-anchor]");
  if (!link) return;
  e.preventDefault();
  e.stopPropagation();
  const to = (e.currentTarget as Element).querySelector(`[id="${CSS.escape(link.getAttribute("data-anchor")!)}"]`);
  to?.scrollIntoView({ block: "nearest" });
}
