'use strict'

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { Program } = require('../support/process')

const PROGRAM = path.join(__dirname, '..', 'fixtures', 'held-by-nothing.js')

async function run(t, execArgv) {
  const program = new Program([PROGRAM], { execArgv })
  t.after(() => program.kill())
  const exit = await program.exited(30_000)
  return { ...exit, out: program.out, err: program.err }
}

test('only a started node survives a garbage collection: not a stopped one, nor one never started', async (t) => {
  assert.deepEqual(await run(t, ['--expose-gc']), {
    ...{ code: 0, signal: null, err: '' },
    out: '[1,2]\nnever started: collected, stopped: collected, promise: collected\n',
  })
})

test('a started node survives a spontaneous garbage collection', async (t) => {
  assert.deepEqual(await run(t, []), { code: 0, signal: null, out: '[1,2]\n', err: '' })
})
