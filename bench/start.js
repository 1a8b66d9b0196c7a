'use strict'

// npm run bench:start -- [--rounds 9]
//
// What a program costs until it listens: CPU time of whole processes in ms, in turns, medians and
// minima. An empty program, a bare server, and a node that is loaded, created and started, from the
// files that are published.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { copyProgram } = require('../scripts/pack')

const lib = path.join(__dirname, '..', 'lib')
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'smokesignal-start-'))
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
copyProgram(folder)
for (const name of fs.readdirSync(lib).filter((name) => name.endsWith('.node'))) {
  fs.cpSync(path.join(lib, name), path.join(folder, 'lib', name))
}

const SMOKE = JSON.stringify(folder)
const NODE = `require(${SMOKE}).createNode({ address: '127.0.0.1' })`
const PROGRAMS = {
  'an empty program': 'end()',
  'net.createServer': `require('node:net').createServer().listen(0, '127.0.0.1', end)`,
  'require()': `require(${SMOKE}); end()`,
  'createNode()': `${NODE}; end()`,
  'start()': `${NODE}.start().then(end)`,
}
const END = `function end() {
  const { user, system } = process.cpuUsage()
  console.log((user + system) / 1000)
  process.exit()
}`

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' } } })
const times = new Map(Object.keys(PROGRAMS).map((name) => [name, []]))
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [name, program] of Object.entries(PROGRAMS)) {
    times.get(name).push(Number(execFileSync(process.execPath, ['-e', `${END}\n${program}`])))
  }
}
for (const [name, all] of times) {
  all.sort((a, b) => a - b)
  console.log(`${name}: ${all[all.length >> 1].toFixed(1)} ms, at least ${all[0].toFixed(1)}`)
}
