// Builds the page into the Python package, or, with --test, the tests into build/tests.mjs: one process runs them all.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const page = join(here, "../gateway/server/page");
const common = { absWorkingDir: here, bundle: true, format: "esm", logLevel: "warning" };

async function buildPage() {
  await rm(page, { recursive: true, force: true });
  await mkdir(page, { recursive: true });
  // Hashes in the names let browsers keep the assets for ever
  const { metafile } = await build({
    ...common,
    entryPoints: ["src/main.ts"],
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    splitting: true, // the terminal is most of the page, and is fetched when one opens
    outdir: join(page, "assets"),
    target: "es2022",
    minify: true,
    metafile: true,
    legalComments: "eof",
  });
  // Relative, so that the page works below any path
  const built = Object.keys(metafile.outputs).map((path) => `assets/${basename(path)}`);
  const html = await readFile(join(here, "index.html"), "utf8");
  const linked = html
    .replace("__MANIFEST__", `assets/${await manifest()}`)
    .replace("__SCRIPT__", built.find((path) => /main-\w+\.js$/.test(path)))
    .replace("__STYLE__", built.find((path) => path.endsWith(".css")));
  await writeFile(join(page, "index.html"), linked);
  await writeFile(join(page, "LICENSES.txt"), await licenses());
}

// Writes what an installed window of the page is made of, and returns the name of the manifest
async function manifest() {
  const icon = await asset("icon", "svg", await readFile(join(here, "icon.svg"), "utf8"));
  const text = await readFile(join(here, "manifest.json"), "utf8");
  return await asset("manifest", "webmanifest", text.replaceAll("__ICON__", icon));
}

async function asset(name, kind, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8);
  await writeFile(join(page, "assets", `${name}-${hash}.${kind}`), content);
  return `${name}-${hash}.${kind}`;
}

// Returns the licenses of the packages that are inside the built page
async function licenses() {
  const { dependencies } = JSON.parse(await readFile(join(here, "package.json"), "utf8"));
  const texts = Object.keys(dependencies).map(async (name) => {
    const text = await license(name);
    return `${name}\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join("\n\n");
}

// Returns a package's license. One addon lacks the file; the license of xterm.js, from the same repository, covers both
async function license(name) {
  const folder = join(here, "node_modules", name);
  try {
    return await readFile(join(folder, "LICENSE"), "utf8");
  } catch (error) {
    const { license, repository } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    if (license !== "MIT" || !`${repository}`.startsWith("https://github.com/xtermjs/xterm.js/tree/")) throw error;
    return await readFile(join(here, "node_modules/@xterm/xterm/LICENSE"), "utf8");
  }
}

async function buildTests() {
  await rm(join(here, "build"), { recursive: true, force: true });
  const tests = (await readdir(join(here, "test"))).filter((name) => name.endsWith(".test.ts"));
  await build({
    ...common,
    stdin: { contents: tests.map((name) => `import "./${name}";`).join("\n"), resolveDir: join(here, "test") },
    outfile: "build/tests.mjs",
    platform: "node",
    target: "node20",
    sourcemap: "inline",
  });
}

await (process.argv.includes("--test") ? buildTests() : buildPage());
