'use strict'

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { Program } = require('../support/process')

const FIXTURES = path.join(__dirname, '..', 'fixtures')

/** Runs a case of fixtures/exit.js in its own process. */
function run(t, name, ...args) {
  return runFile(t, 'exit.js', name, ...args)
}

async function runFile(t, file, ...args) {
  const program = new Program([path.join(FIXTURES, file), ...args])
  t.after(() => program.kill())
  const { code, signal } = await program.exited(10_000)
  return { code, signal, out: program.out, err: program.err }
}

const CLEAN = { code: 0, signal: null, err: '' }

function assertClean({ code, signal, err }, expected = CLEAN) {
  assert.deepEqual({ code, signal, err }, expected)
}

test('a node that was not started keeps no process alive', async (t) => {
  assertClean(await run(t, 'never started'))
})

test('a node keeps the process alive from start until stop', async (t) => {
  const result = await run(t, 'started, then stopped')
  assert.equal(result.out, 'true\ntrue\n')
  assertClean(result)
})

test('the process exits within a second after the last node with peers stopped', async (t) => {
  const result = await run(t, 'peers stopped')
  assert.equal(result.out, 'true\n')
  assertClean(result)
})

test('a failed start lets the process exit', async (t) => {
  const result = await run(t, 'failed start')
  assert.equal(result.out, 'EADDRINUSE\n')
  assertClean(result)
})

test('an error without a listener is an uncaught exception', async (t) => {
  const { code, err } = await run(t, 'error without a listener')
  assert.equal(code, 1)
  assert.match(err, /EADDRINUSE/)
})

test('an ignored rejection of start, stop or addPeer is no unhandled rejection', async (t) => {
  assertClean(await run(t, 'ignored rejections'))
})

test('an error thrown by a handler is an ordinary uncaught exception', async (t) => {
  const { code, err } = await run(t, 'throwing handler')
  assert.equal(code, 1)
  assert.match(err, /Error: in the handler\n +at \w*\.?handler/)
})

test('with a handler for uncaught exceptions, all other messages are delivered', async (t) => {
  const result = await run(t, 'throwing handlers, caught')
  assert.equal(result.out, '1000 100\n')
  assertClean(result)
})

test('process.exit under load', async (t) => {
  for (const ms of [100, 150, 200]) {
    const result = await run(t, 'process.exit under load', String(ms))
    assertClean(result, { ...CLEAN, code: 7 })
  }
})

test('nodes without references that never started are collected', async (t) => {
  const result = await run(t, 'forgotten nodes')
  assert.equal(result.out, 'true\n')
  assertClean(result)
})

test('unref lets the process end while the node runs; ref keeps it alive again', async (t) => {
  const unref = await run(t, 'unref')
  assertClean(unref)
  assert.equal(unref.out, 'true\n')
  const again = await run(t, 'ref again')
  assertClean(again)
  assert.equal(again.out, 'still here\n')
})

test('await using stops a node', {
  skip: Number(process.versions.node.split('.')[0]) < 24,
}, async (t) => {
  const result = await runFile(t, 'await-using.js')
  assertClean(result)
  assert.equal(result.out, 'true\n')
})

test('after a stop nothing holds the process', async (t) => {
  const result = await run(t, 'active resources')
  assertClean(result)
  const [before, after] = JSON.parse(result.out)
  assert.deepEqual(after, before)
})
