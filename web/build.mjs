// build.mjs - bundles each page into one HTML file under dist/, script and style inlined, so that
// the binary serves a page with a single request and no build of C needs Node.
// The output depends on nothing but the sources: CI rebuilds it and compares.
import { build } from "esbuild";
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

mkdirSync(join(here, "dist"), { recursive: true });
for (const page of pages) {
  const script = await bundle(join(here, page, "main.ts"));
  const style = await bundle(join(here, page, "style.css"));
  const html = readFileSync(join(here, page, "index.html"), "utf8")
    .replace("<!-- style -->", () => `<style>${style}</style>`)
    .replace("<!-- script -->", () => `<script>${script}</script>`);
  writeFileSync(join(here, "dist", `${page}.html`), html);
  console.log(`dist/${page}.html ${html.length} bytes`);
}
