// mangle.mjs - gives the fields and methods of the query editor's classes short names: they are a thirtieth
// of what is sent of it. A name is taken only where nothing else can mean it: it is set on `this` or is a
// class's method in the editor's packages, and it stands in no text there, nowhere in our own scripts, and
// in nothing that the browser or the language has.
import { transform } from "esbuild";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseAst } from "@rollup/wasm-node/parseAst";

const WORD = /[\p{L}_$][\p{L}\p{N}_$]*/gu;
const words = (text, into) => { for (const w of text.match(WORD) ?? []) into.add(w); };

// Calls `see` with every node below this one.
function walk(node, see) {
  if (Array.isArray(node)) for (const n of node) walk(n, see);
  else if (node && typeof node.type === "string") {
    see(node);
    for (const value of Object.values(node)) if (typeof value === "object") walk(value, see);
  }
}

function namesIn(code) {
  const [own, texts] = [new Set(), new Set()];
  walk(parseAst(code), (n) => {
    if (n.type === "Literal" && typeof n.value === "string") words(n.value, texts);
    else if (n.type === "TemplateElement") words(n.value.raw, texts);
    else if (n.type === "AssignmentExpression" && n.left.type === "MemberExpression" && !n.left.computed && n.left.object.type === "ThisExpression")
      own.add(n.left.property.name);
    else if ((n.type === "MethodDefinition" || n.type === "PropertyDefinition") && !n.computed && n.key.type === "Identifier") own.add(n.key.name);
  });
  return { own, texts };
}

let known;
// Every word that TypeScript's own declarations of the language and of the browser have.
function builtIn() {
  if (!known) {
    known = new Set();
    const folder = dirname(createRequire(import.meta.url).resolve("typescript"));
    for (const f of readdirSync(folder).sort()) if (/^lib\..*\.d\.ts$/.test(f)) words(readFileSync(join(folder, f), "utf8"), known);
  }
  return known;
}

// `others`: the sources that share objects with this code.
export async function mangle(code, others) {
  const { own, texts } = namesIn(code);
  for (const other of others) words(other, texts);
  const taken = [...own].filter((n) => n.length > 2 && !texts.has(n) && !builtIn().has(n)).sort();
  const mangleProps = new RegExp(`^(${taken.map((n) => n.replaceAll("$", "\\$")).join("|")})$`);
  return (await transform(code, { mangleProps, target: "es2022", charset: "utf8" })).code;
}
