'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { describe, test } = require('node:test')
const { collect, startNode } = require('../support/nodes')
const { event, poll } = require('../support/wait')

/** A line of nodes, each with links only to its neighbours; all know each other. */
async function startLine(t, count, options = {}) {
  const nodes = []
  for (let n = 0; n < count; n++) {
    const maxPeerNo = n === 0 || n === count - 1 ? 1 : 2
    nodes.push(await startNode(t, { minPeerNo: 1, maxPeerNo, ...options }))
    if (n > 0) await nodes[n - 1].addPeer('127.0.0.1', nodes[n].options.port)
  }
  await Promise.all(nodes.map((node) => node.ready({ members: count, timeout: 10_000 })))
  return nodes
}

const idsOf = (nodes) => nodes.map(({ id }) => id).sort()

describe('members', () => {
  test('all nodes know each other, with their meta, until they leave', async (t) => {
    const nodes = await startLine(t, 4, { meta: { of: 'all' } })
    const [a, b, c, d] = nodes
    for (const node of nodes) assert.deepEqual([...node.members.keys()].sort(), idsOf(nodes))
    const { address, port, meta, legacy, self } = a.members.get(d.id)
    assert.deepEqual(
      { address, port, meta, legacy, self },
      {
        address: '127.0.0.1',
        port: d.options.port,
        meta: { of: 'all' },
        legacy: false,
        self: false,
      },
    )
    const updated = event(a.members, 'update', 5000)
    d.setMeta({ of: 'd' })
    assert.deepEqual((await updated)[0].meta, { of: 'd' })
    d.handle('x', () => {})
    await poll(() => a.members.get(d.id).handles.includes('x'), 5000, 'the handler is known')

    // The line breaks in the middle: each half knows only itself.
    const left = [collect(a.members, 'leave', 2), collect(d.members, 'leave', 2)]
    b.peers.inList(c.id).close()
    b.options.maxPeerNo = 1
    const [ofA, ofD] = await Promise.all(left)
    assert.deepEqual(idsOf(ofA.flat()), idsOf([c, d]))
    assert.deepEqual(idsOf(ofD.flat()), idsOf([a, b]))
  })

  test('a stopped node leaves at once, and joins again when it returns', async (t) => {
    const nodes = await startLine(t, 3)
    const [a, , c] = nodes
    const [[gone]] = await Promise.all([event(a.members, 'leave', 5000), c.stop()])
    assert.equal(gone.id, c.id)
    assert.throws(() => a.to(c.id).emit('x'), { code: 'ERR_SMOKE_UNREACHABLE', ids: [c.id] })
    assert.equal(c.members.size, 0)
    const joined = event(a.members, 'join', 15_000)
    await c.start()
    await nodes[1].addPeer('127.0.0.1', c.options.port)
    assert.equal((await joined)[0].id, c.id)
  })

  test('without the option members, a node knows only itself, and others do not know it', async (t) => {
    const a = await startNode(t, { members: false })
    const b = await startNode(t)
    await a.addPeer('127.0.0.1', b.options.port)
    const heard = event(b.broadcast, 'x')
    a.broadcast.emit('x')
    await heard
    assert.deepEqual([...a.members.keys()], [a.id])
    assert.throws(() => a.to(b.id).emit('x'), { code: 'ERR_SMOKE_UNREACHABLE' })
  })
})

describe('a message to any node', () => {
  test('arrives once and in order, three links away, with Buffers, from any sender', async (t) => {
    const nodes = await startLine(t, 4)
    const [a, , , d] = nodes
    const count = 2000
    const heard = collect(d.direct, 'n', 3 * count, 20_000)
    for (let n = 0; n < count; n++) {
      for (const node of nodes.slice(0, 3)) node.to(d.id).emit('n', n, Buffer.from([n & 255]))
      if (n % 50 === 0) await new Promise(setImmediate)
    }
    const all = await heard
    for (const node of nodes.slice(0, 3)) {
      const numbers = all.filter(([{ from }]) => from === node.id).map(([, n]) => n)
      assert.deepEqual(numbers, [...Array(count).keys()])
    }
    assert.ok(all.every(([, n, bytes]) => Buffer.isBuffer(bytes) && bytes[0] === (n & 255)))
    const [sender] = all[0]
    const answer = event(nodes.find(({ id }) => id === sender.from).direct, 'back')
    d.to(sender.from).emit('back', 'x')
    assert.deepEqual(await answer, [{ from: d.id, authenticated: false }, 'x'])
    assert.equal(a.peers.inList(d.id), false)
  })

  test('goes to several nodes', async (t) => {
    const nodes = await startLine(t, 4)
    const [a, ...others] = nodes
    const heard = Promise.all(others.map((node) => event(node.direct, 'all')))
    a.to(idsOf(others)).emit('all', 1)
    assert.deepEqual(
      await heard,
      others.map(() => [{ from: a.id, authenticated: false }, 1]),
    )
  })

  test("a producer that waits for 'drain' loses nothing to a slow receiver", async (t) => {
    const [a, , c] = await startLine(t, 3)
    const target = a.to(c.id)
    const text = 'x'.repeat(20_000)
    const count = 400
    let last = 0
    let waits = 0
    c.direct.on('n', (_, n) => {
      assert.equal(n, ++last)
      // The time to send several messages.
      const end = performance.now() + 2
      while (performance.now() < end);
    })
    for (let n = 1; n <= count; n++) {
      if (target.emit('n', n, text)) continue
      waits++
      await once(target, 'drain')
    }
    await poll(() => last === count, 20_000, 'all are heard')
    assert.ok(waits > 0, 'it was told to wait')
  })
})
