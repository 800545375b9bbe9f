// pack.mjs - turns the scripts of the interface into a few files: one for each thing that one does there.
// esbuild finds what imports what and takes the types away, Rollup drops what nobody calls and puts the
// modules together by the table below, SWC makes the result small.
//
// Few files, because each is compressed alone: as one file for each set of modules that two views share
// (79 of them) the interface took 49 kB of 418 more. SWC, because its output is a twentieth smaller than
// esbuild's, compressed; because there it takes seconds where Terser takes half a minute.
import { minifySync } from "@swc/wasm";
import { build, transform } from "esbuild";
import { readFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { rollup } from "@rollup/wasm-node";
import { mangle } from "./mangle.mjs";

// Which file a module goes to: the first row that fits its path. A file may import what stands in a row
// above it; one that is imported by a row above it ends the build (CIRCULAR_CHUNK). `main` and what a view
// needs are to stay below the 100 kB that a first visit may take; the editor comes when a query is edited.
const FILES = [
  ["main", /^node_modules\/(preact|@preact)\/|\/(main|views)\.tsx?$|\/base\/|\/views\/home\.|\/explore\/query\.|\/traces\/suggest\./],
  ["editor", /^node_modules\/(@codemirror|@lezer|@prometheus-io|@marijn|style-mod|w3c-keyname|crelt)\/|\/explore\/(editor|promql)\./],
  ["plot", /\/parts\/(plot|chart)/],
  ["main", /\/parts\/|\/dash\/(api|json|recent|write)\.|\/views\/(account|admin|alerts|login|rules|status|targets)\./],
  ["explore", /\/explore\/|\/views\/explore\./],
  ["traces", /\/traces\/|\/views\/traces?\./],
  ["dash", /\/dash\/((?!edit\/|units_list)|edit\/mode\.)|\/views\/dashboards?\./],
  ["edit", /\/dash\//],
];

const fileOf = (path) => {
  const found = FILES.find(([, pattern]) => pattern.test(path));
  if (!found) throw new Error(`web/pack.mjs: no row of FILES fits ${path}`);
  return found[0];
};

// Which modules import from a file below their own: what to look at when files import each other.
function upward(inputs) {
  const rows = [...new Set(FILES.map(([file]) => file))];
  const out = [];
  for (const [path, { imports }] of Object.entries(inputs))
    for (const i of imports)
      if (i.kind === "import-statement" && rows.indexOf(fileOf(path)) < rows.indexOf(fileOf(i.path)))
        out.push(`${path} (${fileOf(path)}) imports ${i.path} (${fileOf(i.path)})`);
  return `${out.join("\n")}\nmove one of them to another row of FILES in web/pack.mjs`;
}

// An element is h(kind, props, ...children), which is shorter than props with the children in them.
const JSX = 'import { h as jsxElement, Fragment as jsxFragment } from "preact";\n';
const OURS = { target: "es2022", jsx: "transform", jsxFactory: "jsxElement", jsxFragment: "jsxFragment", charset: "utf8" };

// Rollup asks where an import leads: what esbuild found. It gets every module as a script without types.
function sources(inputs, cwd) {
  const leads = (imports) => new Map(imports.map((i) => [i.original, resolve(cwd, i.path)]));
  const packages = leads(Object.values(inputs).flatMap((i) => i.imports.filter((m) => /^\w|^@/.test(m.original ?? ""))));
  return {
    name: "sources",
    resolveId: (name, from) => (from ? leads(inputs[relative(cwd, from)].imports).get(name) ?? packages.get(name) : null),
    async transform(text, id) {
      if (/\.tsx?$/.test(id)) text = (await transform(text, { ...OURS, loader: id.endsWith("x") ? "tsx" : "ts", banner: id.endsWith("x") ? JSX : "" })).code;
      return { code: text.replaceAll("process.env.NODE_ENV", '"production"'), map: null };
    },
  };
}

const SMALL = { module: true, compress: { ecma: 2022, module: true, toplevel: true, passes: 3 }, mangle: { toplevel: true }, format: { comments: false, ecma: 2022 } };
const small = (inputs, cwd) => ({
  name: "small",
  async renderChunk(code, { name }) {
    if (name === "editor") code = await mangle(code, Object.keys(inputs).filter((i) => !i.startsWith("node_modules")).map((i) => readFileSync(resolve(cwd, i), "utf8")));
    return minifySync(code, SMALL).code;
  },
});

// Bundles the scripts below `entry` (a path inside `cwd`). Returns its files { name, code, first } (first: its own,
// and what that imports, which is to be asked for with it) and esbuild's word on what went in.
export async function pack(entry, cwd) {
  const { metafile: { inputs } } = await build({
    absWorkingDir: cwd, entryPoints: [entry], bundle: true, splitting: true, format: "esm", outdir: "out", write: false, metafile: true,
    jsx: "automatic", jsxImportSource: "preact",
  });
  const bundle = await rollup({
    input: resolve(cwd, entry), plugins: [sources(inputs, cwd), small(inputs, cwd)], preserveEntrySignatures: false,
    // Of an editor's module that is not used nothing stays; Preact's signals take effect by being there.
    treeshake: { moduleSideEffects: (id) => !id.includes("node_modules") || id.includes("preact") },
    onwarn(warning) {
      // Modules may call each other; files may not, nor may anything be missing.
      if (warning.code === "CIRCULAR_CHUNK") throw new Error(`files of the interface import each other:\n${upward(inputs)}`);
      if (warning.code !== "CIRCULAR_DEPENDENCY") throw new Error(`${warning.code}: ${warning.message}`);
    },
  });
  const { output } = await bundle.generate({
    format: "es", compact: true, generatedCode: "es2015", hoistTransitiveImports: false, onlyExplicitManualChunks: true,
    manualChunks: (id) => fileOf(relative(cwd, id)), hashCharacters: "base36", entryFileNames: "[name]-[hash].js", chunkFileNames: "[name]-[hash].js",
  });
  const main = output.find((f) => f.isEntry);
  const files = output.map((f) => ({ name: f.fileName, bytes: Buffer.from(f.code), first: f === main || main.imports.includes(f.fileName) }));
  return { files, main: main.fileName, inputs };
}
