'use strict'
// The bench of faults, for as many rounds as is wanted; a SEED repeats a run.
//
//   npm run faults -- --rounds 100

const { parseArgs } = require('node:util')
const { run } = require('./run')

async function main() {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '100' } } })
  const env = { ...process.env, FAULT_ROUNDS: values.rounds }
  const argv = [process.execPath, '--test', '--test-reporter=spec', '__test__/faults/bench.test.js']
  process.exitCode = await run(argv, { env })
}

main()
