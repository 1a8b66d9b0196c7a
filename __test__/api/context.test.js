'use strict'

const assert = require('node:assert/strict')
const { AsyncLocalStorage } = require('node:async_hooks')
const { test } = require('node:test')
const { collect, startNode } = require('../support/nodes')

const storage = new AsyncLocalStorage()

test('a listener runs in one context: idle, flooded, and with either thread reading', async (t) => {
  const a = await startNode(t)
  const b = await storage.run('boot', () => startNode(t))
  const stores = new Set()
  storage.run('request', () => b.broadcast.on('n', () => stores.add(storage.getStore())))
  const called = await storage.run(
    'dial',
    () =>
      new Promise((resolve) => {
        a.addPeer('127.0.0.1', b.options.port, () => resolve(storage.getStore()))
      }),
  )
  assert.equal(called, 'dial')
  for (let n = 0; n < 50; n++) {
    const heard = collect(b.broadcast, 'n', 1)
    a.broadcast.emit('n', n)
    await heard
  }
  const heard = collect(b.broadcast, 'n', 20_000)
  for (let n = 0; n < 20_000; n++) a.broadcast.emit('n', n)
  await heard
  assert.deepEqual([...stores], ['boot'])
})
