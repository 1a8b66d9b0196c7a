'use strict'

const assert = require('node:assert/strict')
const path = require('node:path')
const { Program } = require('../support/process')

const PROGRAM = path.join(__dirname, 'bundle', 'program.js')
const EXPECTED = {
  values: ['1970-01-01T00:00:00.000Z', 'bytes'],
  heard: ['close', 'end', 'error', 'finish', 'drain'],
  pipeline: 'goes on',
  drained: 400 * 65536,
}

async function run(t, args, options) {
  const program = new Program(args, options)
  t.after(() => program.kill())
  const { code, signal } = await program.exited(60_000)
  return { code, signal, out: program.out, err: program.err }
}

/** Runs `file`, which is PROGRAM or made of it, and compares what it saw. */
async function sees(t, file, options) {
  const result = await run(t, [file], options)
  assert.equal(result.code, 0, result.err)
  assert.deepEqual(JSON.parse(result.out), EXPECTED)
}

module.exports = { PROGRAM, run, sees }
