'use strict'

// On Linux the event loop itself waits for the sockets of a node whose application listens.

const assert = require('node:assert/strict')
const path = require('node:path')
const { performance } = require('node:perf_hooks')
const { test } = require('node:test')
const { Program } = require('../support/process')

const PROGRAM = path.join(__dirname, '..', 'fixtures', 'waiting.js')
/** Maximum turns of the event loop for its own timers and the node's counters, per 500 messages. */
const MOST_TURNS = 50

/** Runs a case in its own process, so that its event loop is otherwise idle. */
async function run(t, ...args) {
  const program = new Program([PROGRAM, ...args])
  t.after(() => program.kill())
  const { code, signal } = await program.exited(30_000)
  assert.deepEqual({ code, signal, err: program.err }, { code: 0, signal: null, err: '' })
  return program.out
}

const hasLoopCount = performance.nodeTiming.uvMetricsInfo?.loopCount !== undefined

test('a node that only relays does not wake JavaScript', {
  skip: !hasLoopCount && 'this Node.js does not count the turns of its event loop',
}, async (t) => {
  const { turned, forwarded } = JSON.parse(await run(t, 'relay'))
  assert.ok(forwarded >= 500, `${forwarded} messages were forwarded`)
  assert.ok(turned <= MOST_TURNS, `the event loop turned ${turned} times`)
})

test('messages that arrive one by one are heard in order, with either thread reading', async (t) => {
  assert.equal(await run(t, 'order'), '600\n')
})

for (const [ending, printed] of [
  ['exits', '3\n'],
  ['throws', 'thrown by a handler\n1\n'],
  ['is terminated', '1\n'],
]) {
  test(`a worker that ${ending} in a handler ends alone`, async (t) => {
    assert.equal(await run(t, 'worker that ends', ending), printed)
  })
}

test('an error thrown by a handler is an uncaught exception, and the next message arrives', async (t) => {
  assert.equal(await run(t, 'throwing handler'), '17\n18\n')
})
