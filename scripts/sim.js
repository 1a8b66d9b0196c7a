'use strict'
// Plays scenarios on a simulated network. The options are those of src/bin/sim.rs:
//
//   npm run sim -- --nodes 1000 --scenario join --seeds 3 [--json] [--svg picture.svg]

const { capture, root } = require('./run')
const path = require('node:path')
const { spawn } = require('node:child_process')

const BUILD = ['build', '--quiet', '--profile', 'sim', '--no-default-features', '--features', 'sim']

async function main() {
  const built = await capture(['cargo', ...BUILD, '--bin', 'smokesignal-sim'])
  if (built.code !== 0) {
    process.stderr.write(built.stderr ?? built.output ?? 'cargo build failed\n')
    process.exit(1)
  }
  const target = process.env.CARGO_TARGET_DIR ?? path.join(root, 'target')
  const program = path.join(target, 'sim', 'smokesignal-sim')
  const child = spawn(program, process.argv.slice(2), { stdio: 'inherit' })
  child.on('error', (error) => {
    console.error(error.message)
    process.exitCode = 1
  })
  child.on('exit', (code) => {
    process.exitCode = code ?? 1
  })
}

main()
