// build.mjs - bundles each page into one HTML file under dist/, script and style inlined, so that
// the binary serves a page with a single request and no build of C needs Node.
// The page's own policy names script and style by their hashes: nothing else inline runs, whatever
// gets into the page. The output depends on nothing but the sources: CI rebuilds it and compares.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const pages = ["geocode"];

async function bundle(entry) {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: ["es2020"],
    charset: "utf8",
    legalComments: "none",
  });
  return result.outputFiles[0].text.trim();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

mkdirSync(join(here, "dist"), { recursive: true });
for (const page of pages) {
  const script = await bundle(join(here, page, "main.ts"));
  const style = await bundle(join(here, page, "style.css"));
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; ` +
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'";
  const html = readFileSync(join(here, page, "index.html"), "utf8")
    .replace("<!-- policy -->", () => `<meta http-equiv="Content-Security-Policy" content="${policy}">`)
    .replace("<!-- style -->", () => `<style>${style}</style>`)
    .replace("<!-- script -->", () => `<script>${script}</script>`);
  writeFileSync(join(here, "dist", `${page}.html`), html);
  console.log(`dist/${page}.html ${html.length} bytes`);
}
