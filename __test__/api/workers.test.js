'use strict'

const assert = require('node:assert/strict')
const path = require('node:path')
const { test } = require('node:test')
const { Program } = require('../support/process')

const PROGRAM = path.join(__dirname, '..', 'fixtures', 'workers.js')

/** Runs a case of fixtures/workers.js in its own process, so that a crash ends only the case. */
async function run(t, name, ms = 30_000) {
  const program = new Program([PROGRAM, name])
  t.after(() => program.kill())
  const { code, signal } = await program.exited(ms)
  assert.deepEqual({ code, signal, err: program.err }, { code: 0, signal: null, err: '' })
  return program.out
}

test('several workers and the main thread load the addon at once', async (t) => {
  assert.equal(await run(t, 'load at once'), '4\n')
})

test('workers are terminated under load, again and again', { timeout: 60_000 }, async (t) => {
  assert.equal(await run(t, 'terminate under load'), 'done\n')
})

test('the termination of a worker frees its port', async (t) => {
  assert.equal(await run(t, 'terminate frees the port'), 'free\n')
})

test('process.exit in a worker under load ends only the worker', async (t) => {
  assert.equal(await run(t, 'exit in a worker'), '3\n')
})

test('the main thread exits while workers are busy', async (t) => {
  assert.equal(await run(t, 'exit of the main thread'), '')
})

test('a worker ends by itself once its nodes have stopped', async (t) => {
  assert.equal(await run(t, 'worker that stops'), '0\n')
})
