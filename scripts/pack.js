'use strict'
// Makes the tarballs that are published: one per platform whose addon is there, and the main
// package, which names all platforms as optional dependencies. They are staged in a folder of
// their own because a checkout must not depend on packages that are not published yet.
//
//   node scripts/pack.js [--out dist] [--addons lib] [--all]
//
// --addons is where the .node files are, at any depth; with --all a missing one is an error.

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const esbuild = require('esbuild')
const { capture, npm, root } = require('./run')

/** Resolves to `{main, platforms}`: the path of each tarball made. */
async function pack({ out, addons, all = false }) {
  fs.mkdirSync(out, { recursive: true })
  const stage = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-pack-'))
  try {
    const targets = fs.readdirSync(path.join(root, 'npm')).sort()
    const manifest = readJson(path.join(root, 'package.json'))
    const found = fs.readdirSync(addons, { recursive: true })
    const platforms = []
    for (const target of targets) {
      const addon = `${manifest.napi.binaryName}.${target}.node`
      const file = found.find((name) => path.basename(name) === addon)
      if (file !== undefined) {
        const folder = stagePlatform(stage, target, path.join(addons, file), manifest)
        platforms.push(await npmPack(folder, out))
      } else if (all) {
        throw new Error(`${addon} is not in ${addons}`)
      }
    }
    const main = await npmPack(stageMain(stage, targets, manifest), out)
    return { main, platforms }
  } finally {
    fs.rmSync(stage, { recursive: true, force: true })
  }
}

function stageMain(stage, targets, manifest) {
  const folder = path.join(stage, 'main')
  if (!fs.existsSync(path.join(root, 'lib', 'binding.js'))) {
    throw new Error('lib/binding.js is missing: build first')
  }
  copyProgram(folder)
  for (const name of ['index.d.ts', 'README.md', 'LICENSE']) copy(name, folder)
  const { scripts, devDependencies, overrides, ...published } = manifest
  const platforms = targets.map((target) => [`${manifest.name}-${target}`, manifest.version])
  writeJson(path.join(folder, 'package.json'), {
    ...published,
    repository: repository(manifest),
    files: ['index.js', 'index.d.ts', 'lib/*.js'],
    optionalDependencies: Object.fromEntries(platforms),
  })
  return folder
}

function stagePlatform(stage, target, addon, manifest) {
  const folder = path.join(stage, target)
  fs.cpSync(path.join(root, 'npm', target), folder, { recursive: true })
  fs.copyFileSync(addon, path.join(folder, path.basename(addon)))
  fs.copyFileSync(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'))
  const file = path.join(folder, 'package.json')
  const { version, homepage, bugs } = manifest
  writeJson(file, { ...readJson(file), homepage, bugs, repository: repository(manifest), version })
  return folder
}

/** Provenance ties a package to the repository it was built in. */
function repository(manifest) {
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env
  if (!GITHUB_REPOSITORY) return manifest.repository
  return { type: 'git', url: `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git` }
}

/** Copies what programs load: all of lib as one file, but for the loader of the addon. */
function copyProgram(folder) {
  for (const name of ['index.js', 'lib/binding.js']) copy(name, folder)
  esbuild.buildSync({
    entryPoints: [path.join(root, 'lib', 'smokesignal.js')],
    outfile: path.join(folder, 'lib', 'smokesignal.js'),
    bundle: true,
    platform: 'node',
    target: 'node20',
    external: ['*/binding.js'],
    logLevel: 'warning',
  })
}

function copy(name, folder) {
  fs.cpSync(path.join(root, name), path.join(folder, name))
}

async function npmPack(folder, out) {
  const argv = [...npm(), 'pack', '--json', '--ignore-scripts', '--pack-destination', out]
  const { code, stdout, stderr } = await capture(argv, { cwd: folder })
  if (code !== 0) throw new Error(`npm pack failed:\n${stderr}`)
  const result = JSON.parse(stdout)
  const [{ filename }] = Array.isArray(result) ? result : Object.values(result)
  return path.join(out, filename)
}

function readJson(file) {
  return JSON.parse(fs.readFileSync(file, 'utf8'))
}

function writeJson(file, value) {
  fs.writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`)
}

module.exports = { copyProgram, pack }

async function main() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: 'dist' },
      addons: { type: 'string', default: 'lib' },
      all: { type: 'boolean', default: false },
    },
  })
  const { out, addons, all } = values
  const made = await pack({ out: path.resolve(out), addons: path.resolve(addons), all })
  for (const file of [...made.platforms, made.main]) {
    const kilobytes = (fs.statSync(file).size / 1000).toFixed(1)
    console.log(`${path.relative('', file)} (${kilobytes} kB)`)
  }
}

if (require.main === module) main()
