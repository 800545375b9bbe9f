// links.tsx - a value that leads somewhere: one link makes the value a link, several make it a button
// that offers them. Addresses that would run a script lead nowhere.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Layer } from "../../parts/bits";
import type { DataLink } from "../frame";

export type Styles = Record<string, string>;

export const safeHref = (href: string): boolean => {
  const scheme = /^\s*([a-z][a-z\d+.-]*):/i.exec(href.replace(/[\u0000-\u0020\u00a0]/g, ""));
  return !scheme || /^(https?|mailto|tel|ftp|sftp|ssh|vscode)$/i.test(scheme[1]);
};

const out = (link: DataLink): { target?: string; rel?: string } => {
  const elsewhere = /^\s*([a-z][a-z\d+.-]*:)?\/\//i.test(link.href) && !link.href.startsWith(location.origin + "/");
  return link.targetBlank || elsewhere ? { target: "_blank", rel: "noopener noreferrer" } : {};
};

export function Linked({ links, children, label, ...rest }: {
  links: DataLink[]; children: ComponentChildren; label: string; class?: string; style?: Styles; title?: string;
}) {
  const [open, setOpen] = useState(false);
  const good = links.filter((l) => l.href && safeHref(l.href));
  if (!good.length) return <div {...rest}>{children}</div>;
  if (good.length === 1)
    return <a {...rest} class={`${rest.class ?? ""} linked`} href={good[0].href} {...out(good[0])} title={[rest.title, good[0].title].filter(Boolean).join("\n")}>{children}</a>;
  return (
    <>
      <button type="button" {...rest} class={`${rest.class ?? ""} linked`} aria-haspopup="dialog" onClick={() => setOpen(true)}>{children}</button>
      {open && (
        <Layer label={`Links of ${label}`} onClose={() => setOpen(false)}>
          <h2>{label}</h2>
          <ul class="link-list">
            {good.map((l, i) => <li key={i}><a href={l.href} {...out(l)} {...(i ? {} : { "data-first": true })} onClick={() => setOpen(false)}>{l.title || l.href}</a></li>)}
          </ul>
        </Layer>
      )}
    </>
  );
}
