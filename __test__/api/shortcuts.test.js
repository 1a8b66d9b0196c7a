'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { startNode } = require('../support/nodes')
const { freePort } = require('../support/ports')
const { event, poll } = require('../support/wait')

/** Three nodes in a line. Its ends have room for one peer, so they are never neighbours. */
async function startLine(t, ...options) {
  const nodes = []
  for (const [n, own] of [0, 1, 2].map((n) => [n, options[n] ?? options[0]])) {
    const maxPeerNo = n === 1 ? 2 : 1
    nodes.push(await startNode(t, { minPeerNo: 1, maxPeerNo, ...own }))
    const { port, listen } = nodes[n].options
    if (n > 0) await nodes[n - 1].addPeer('127.0.0.1', listen?.port ?? port)
  }
  await Promise.all(nodes.map((node) => node.ready({ members: 3, timeout: 10_000 })))
  return nodes
}

const shortcuts = (nodes) => nodes.map((node) => node.stats().shortcuts)

/** Resolves when exactly the first and the last node have a shortcut. */
const haveOne = (nodes) =>
  poll(
    () => `${shortcuts(nodes)}` === '1,0,1',
    10_000,
    () => `one shortcut, not ${shortcuts(nodes)}`,
  )

const ask = (from, to, count) =>
  Promise.all(Array.from({ length: count }, (_, n) => from.to(to.id).emitWithAck('echo', n)))

test('a pair that talks a lot has a shortcut, which is no peer, until it is idle', async (t) => {
  const nodes = await startLine(t)
  const [a, b, c] = nodes
  const seen = []
  for (const node of nodes) {
    for (const name of ['connect', 'disconnect']) node.on(name, () => seen.push(name))
    for (const name of ['add', 'remove']) node.peers.on(name, () => seen.push(name))
  }
  c.handle('echo', (_, value) => value)
  assert.equal((await ask(a, c, 1)).length, 1)
  assert.deepEqual(shortcuts(nodes), [0, 0, 0])
  assert.equal((await ask(a, c, 100)).at(-1), 99)
  await haveOne(nodes)
  const count = (node, name) => poll(() => node.stats()[name] > 0, 5000, name)
  b.broadcast.emit('mark')
  await count(b, 'sent')
  const { routed } = b.stats()
  await ask(a, c, 500)
  b.broadcast.emit('mark')
  await poll(() => b.stats().sent > 1, 5000, 'new counters')
  assert.equal(b.stats().routed, routed, 'the node between has nothing to do')
  assert.deepEqual(
    nodes.map((node) => [node.peers.list.length, node.members.size]),
    [
      [1, 3],
      [2, 3],
      [1, 3],
    ],
  )
  await poll(() => `${shortcuts(nodes)}` === '0,0,0', 50_000, 'no shortcut')
  assert.deepEqual(seen, [])
  assert.deepEqual(await ask(a, c, 2), [0, 1])
  assert.deepEqual(
    nodes.map((node) => node.stats().routedLost),
    [0, 0, 0],
  )
})

test('messages stay in order, and senders wait, over a shortcut', async (t) => {
  const nodes = await startLine(t, { secret: 'a shortcut is encrypted, too' })
  const [a, , c] = nodes
  const [count, data] = [600, Buffer.alloc(32 * 1024)]
  const heard = []
  const whole = new Promise((resolve) => {
    c.direct.on('n', ({ authenticated }, n) => {
      heard.push(authenticated ? n : null)
      if (heard.length === count) resolve()
    })
  })
  const to = a.to(c.id)
  let waits = 0
  for (let n = 0; n < count; n++) {
    if (to.emit('n', n, data)) continue
    waits++
    await event(to, 'drain', 10_000)
  }
  await whole
  assert.deepEqual(
    heard,
    Array.from({ length: count }, (_, n) => n),
  )
  assert.ok(waits > 5, `waited ${waits} times`)
  await haveOne(nodes)
})

test('requests reject at once when the other end of a shortcut stops', async (t) => {
  const nodes = await startLine(t)
  const [a, , c] = nodes
  c.handle('echo', (_, value) => value)
  c.handle('never', () => new Promise(() => {}))
  await ask(a, c, 100)
  await haveOne(nodes)
  const pending = a.to(c.id).timeout(60_000).emitWithAck('never')
  await ask(a, c, 1)
  await Promise.all([assert.rejects(pending, { code: 'ERR_SMOKE_UNREACHABLE' }), c.stop()])
  await poll(() => a.stats().shortcuts === 0, 5000, 'no shortcut')
})

test('a pair goes on over the overlay where no shortcut can be made', async (t) => {
  const unreachable = async () => ({ port: await freePort(), listen: { port: await freePort() } })
  const none = { limits: { maxShortcuts: 0 } }
  const cases = [
    ['no address that others reach', 1, [await unreachable(), {}, await unreachable()]],
    ['no room', 1, [{}, {}, none]],
    ['neither end seeks any', 0, [none, {}, none]],
  ]
  for (const [name, tries, options] of cases) {
    const nodes = await startLine(t, ...options)
    const [a, , c] = nodes
    c.handle('echo', (_, value) => value)
    for (let round = 0; round < 5; round++) assert.equal((await ask(a, c, 200)).at(-1), 199)
    await poll(() => a.stats().routedSent >= 1000, 5000, 'new counters')
    // The first dial made a peer.
    assert.deepEqual([a.stats().dials, ...shortcuts(nodes)], [1 + tries, 0, 0, 0], name)
    for (const node of nodes) await node.stop()
  }
})
