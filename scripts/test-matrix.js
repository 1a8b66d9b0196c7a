'use strict'
// Runs the tests that depend on Node.js with the newest release of each other supported line, and a
// program and a chat in Bun and Deno. All come from the npm packages that carry their binaries.

const fs = require('node:fs')
const path = require('node:path')
const { npm, root, run } = require('./run')
const { setupOrExit } = require('./setup')
const { runSteps } = require('./steps')

const LINES = ['22', '24']
// What differs between versions of Node.js: the addon's loading, its threads, its end. The wire does
// not, so the suites about it run once.
const SUITES = ['unit', 'api', 'ecosystem', 'faults']
const OS = process.platform === 'win32' ? 'win' : process.platform
const EXE = process.platform === 'win32' ? '.exe' : ''
const CACHE = path.join(root, 'node_modules', '.cache', 'smokesignal-node')

/** `binaries`: the folder of the packages, one per platform, of which npm installs ours. */
const RUNTIMES = [
  { name: 'bun', version: '1', binaries: '@oven', file: `bin/bun${EXE}`, command: [] },
  { name: 'deno', version: '2', binaries: '@deno', file: `deno${EXE}`, command: ['run', '-A'] },
]

async function main() {
  await setupOrExit()
  const steps = []
  for (const line of LINES) {
    const name = `node-${OS}-${process.arch}`
    const node = await install(name, line, () => `${name}/bin/node${EXE}`)
    const argv = [process.execPath, path.join(__dirname, 'test.js'), '--node', node, ...SUITES]
    steps.push({ name: `node ${line}`, argv })
  }
  const test = path.join(root, '__test__', 'ecosystem', 'runtimes', 'runtime.js')
  for (const { name, version, binaries, file, command } of RUNTIMES) {
    const runtime = await install(name, version, (modules) => {
      const [platform] = fs.readdirSync(path.join(modules, binaries))
      return path.join(binaries, platform, file)
    })
    const argv = [process.execPath, '--test-reporter=spec', test, runtime, ...command]
    steps.push({ name: `${name} ${version}`, argv })
  }
  process.exitCode = await runSteps('test-matrix', steps)
}

/** Resolves to the binary that a package brings; `locate` says where it is among the modules. */
async function install(name, version, locate) {
  const prefix = path.join(CACHE, `${name}-${version}`)
  // A package.json of its own keeps npm from walking up to ours.
  fs.mkdirSync(prefix, { recursive: true })
  fs.writeFileSync(path.join(prefix, 'package.json'), '{"private":true}\n')
  const argv = [...npm(), 'install', `${name}@${version}`]
  const code = await run([...argv, '--ignore-scripts', '--no-save', '--no-audit', '--no-fund'], {
    cwd: prefix,
  })
  if (code !== 0) throw new InstallError(`could not install ${name}@${version}`)
  const modules = path.join(prefix, 'node_modules')
  try {
    const file = path.join(modules, locate(modules))
    fs.accessSync(file, fs.constants.X_OK)
    return file
  } catch (cause) {
    const platform = `${process.platform} ${process.arch}`
    throw new InstallError(`${name}@${version} has no binary for ${platform}: ${cause.message}`)
  }
}

class InstallError extends Error {}

main().catch((error) => {
  if (!(error instanceof InstallError)) throw error
  console.error(`test-matrix: ${error.message}`)
  process.exitCode = 1
})
