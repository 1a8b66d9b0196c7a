'use strict'

const assert = require('node:assert/strict')
const { EventEmitter, errorMonitor } = require('node:events')
const { mock, test } = require('node:test')
const sinon = require('sinon')
const { PEER, fakeNetwork } = require('./fake-node')

// The original functions: the tests must not wait with faked ones.
const { setImmediate: real } = globalThis
const settled = async () => {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => real(resolve))
}

/** Replaces `object[name]` until the returned function is called. */
function patch(t, object, name, value) {
  const own = Object.getOwnPropertyDescriptor(object, name)
  Object.defineProperty(object, name, { value, writable: true, configurable: true })
  const restore = () => {
    if (own === undefined) delete object[name]
    else Object.defineProperty(object, name, own)
  }
  t.after(restore)
  return restore
}

/** Node.js 20 takes the list itself. */
function enable(apis) {
  const [major, minor] = process.versions.node.split('.').map(Number)
  mock.timers.enable(major > 21 || (major === 21 && minor >= 2) ? { apis } : apis)
}

const never = () => ({ unref() {}, ref() {} })
const broken = () => {
  throw new Error('not to be called')
}

/** Possible changes by an application's tests or tracers: [name, change]. */
const CHANGES = [
  ['setImmediate is faked', (t) => patch(t, globalThis, 'setImmediate', never)],
  ['setTimeout is faked', (t) => patch(t, globalThis, 'setTimeout', never)],
  ['setInterval is faked', (t) => patch(t, globalThis, 'setInterval', never)],
  ['clearInterval is faked', (t) => patch(t, globalThis, 'clearInterval', never)],
  ['process.nextTick is faked', (t) => patch(t, process, 'nextTick', never)],
  ['queueMicrotask is faked', (t) => patch(t, globalThis, 'queueMicrotask', never)],
  ['performance.now stands still', (t) => patch(t, performance, 'now', () => 0)],
  ['performance.now leaps', (t) => patch(t, performance, 'now', () => Math.random() * 1e12)],
  ['Date.now stands still', (t) => patch(t, Date, 'now', () => 0)],
  ['JSON.parse is patched', (t) => patch(t, JSON, 'parse', broken)],
  ['JSON.stringify is patched', (t) => patch(t, JSON, 'stringify', broken)],
  [
    'timers are faked by sinon',
    (t) => {
      const clock = sinon.useFakeTimers()
      const restore = () => clock.restore()
      t.after(restore)
      return restore
    },
  ],
  [
    'timers are mocked by node:test',
    (t) => {
      const apis = ['setTimeout', 'setInterval', 'setImmediate']
      enable(apis)
      const reset = () => mock.timers.reset()
      t.after(reset)
      return reset
    },
  ],
]

for (const [what, change] of CHANGES) {
  test(`a sender sends all its events while ${what}`, async (t) => {
    const { native, node } = await fakeNetwork(t)
    node.broadcast.emit('n', 0)
    node.broadcast.emit('n', 1)
    const restore = change(t)
    node.broadcast.emit('n', 2)
    await settled()
    for (let n = 3; n < 6; n++) node.broadcast.emit('n', n)
    await settled()
    restore()
    node.broadcast.emit('n', 6)
    await settled()
    const texts = native.sent().flatMap(([, , text]) => text.split('\n'))
    assert.deepEqual(
      texts,
      Array.from({ length: 7 }, (_, n) => `["n",${n}]`),
    )
  })

  test(`a receiver hears everything while ${what}, even with a pending drain`, async (t) => {
    const { native, node, peer } = await fakeNetwork(t)
    const heard = []
    node.broadcast.on('n', (n) => heard.push(n))
    // More than one turn handles.
    const count = 2000
    native.push(...Array.from({ length: count }, (_, n) => [0, ['n', n]]))
    await new Promise((resolve) => real(resolve))
    const restore = change(t)
    peer.on('late', (n) => heard.push(n))
    native.push([PEER, ['late', 'while']])
    await settled()
    restore()
    native.push([PEER, ['late', 'after']])
    await settled()
    const numbers = Array.from({ length: count }, (_, n) => n)
    assert.deepEqual(heard, [...numbers, 'while', 'after'])
  })
}

test('errorMonitor hears remote errors, with and without a listener for them', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  peer.on(errorMonitor, (what) => heard.push(['monitor', what]))
  native.push([PEER, ['error', 1]], [PEER, ['error', 2, 'more']])
  await settled()
  peer.on('error', (what) => heard.push(['error', what]))
  native.push([PEER, ['error', 3]])
  await settled()
  assert.deepEqual(heard, [
    ...[
      ['monitor', 1],
      ['monitor', 2],
    ],
    ...[
      ['monitor', 3],
      ['error', 3],
    ],
  ])
  assert.deepEqual(native.sent(), [])
})

test('with events.captureRejections a failing listener is an unhandled rejection, and stays here', async (t) => {
  EventEmitter.captureRejections = true
  t.after(() => {
    EventEmitter.captureRejections = false
  })
  const failures = []
  const listener = (error) => failures.push(error.message)
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', listener)
  t.after(() => {
    process.removeAllListeners('unhandledRejection')
    for (const other of others) process.on('unhandledRejection', other)
  })
  const { native, peer } = await fakeNetwork(t)
  peer.on('question', async () => {
    throw new Error('no answer')
  })
  peer.on('error', () => failures.push('a remote error'))
  native.push([PEER, ['question']])
  await settled()
  assert.deepEqual(failures, ['no answer'])
  assert.deepEqual(native.sent(), [])
})

test('EventEmitter.defaultMaxListeners warns and changes nothing else', async (t) => {
  const warnings = []
  const warned = (warning) => warnings.push(warning.type)
  process.on('warning', warned)
  t.after(() => process.off('warning', warned))
  EventEmitter.defaultMaxListeners = 1
  t.after(() => {
    EventEmitter.defaultMaxListeners = 10
  })
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  for (const name of ['data', 'end', 'error', 'drain', 'x']) peer.on(name, (x) => heard.push(x))
  await settled()
  assert.deepEqual(warnings, [], 'one listener each')
  native.push([PEER, ['x', 1]], [PEER, 'chunk'])
  await settled()
  assert.deepEqual(heard, [1, Buffer.from('chunk')])
})
