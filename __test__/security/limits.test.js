'use strict'

const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')
const net = require('node:net')
const { test } = require('node:test')
const { startNode } = require('../support/nodes')
const { event, poll, quiet, within } = require('../support/wait')
const { join } = require('../support/wire')

const address = '127.0.0.1'

/** Connects, also where it is reset at once; resolves to a promise of the end of all connections. */
async function connectAll(t, port, count) {
  const sockets = Array.from({ length: count }, () => net.connect(port, address))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (const socket of sockets) socket.on('error', () => {}).resume()
  const ends = sockets.map((socket) => event(socket, 'close', 10_000))
  await Promise.all(sockets.map((socket, n) => Promise.race([event(socket, 'connect'), ends[n]])))
  return { gone: Promise.all(ends) }
}

test('only the addresses in allow may connect, and be dialled', async (t) => {
  const secret = randomBytes(32)
  for (const options of [{}, { secret }]) {
    const open = await startNode(t, options)
    const refused = []
    const strict = await startNode(t, { ...options, allow: ['10.0.0.0/8', '::1'] })
    strict.on('refused', ({ reason }) => refused.push(reason))
    await assert.rejects(open.addPeer(address, strict.options.port))
    const rejected = { name: 'SmokeError', code: 'ERR_SMOKE_NOT_ALLOWED' }
    await assert.rejects(strict.addPeer(address, open.options.port), rejected)
    // A name does not get around it.
    await assert.rejects(strict.addPeer('localhost', open.options.port))
    const stats = await poll(
      () => strict.stats().refusedAddress >= 2 && strict.stats(),
      5000,
      'they are counted',
    )
    assert.deepEqual(stats.links, [])
    assert.deepEqual([...new Set(refused)], ['address'])
    assert.deepEqual([open.peers.dump(), strict.peers.dump()], [[], []])
    const kind = await startNode(t, { ...options, allow: ['10.0.0.0/8', '127.0.0.0/8'] })
    await kind.addPeer(address, open.options.port)
    assert.deepEqual(kind.peers.dump(), [open.id])
  }
})

test('silent connections are held within a limit, closed in time, and keep nobody out', async (t) => {
  for (const secret of [undefined, randomBytes(32)]) {
    const limits = { maxUnconnected: 8, handshakeTimeout: 1500 }
    const node = await startNode(t, { secret, limits })
    const { gone } = await connectAll(t, node.options.port, 40)
    const held = await poll(
      () => node.stats().unconnected > 0 && node.stats().unconnected,
      5000,
      'they are counted',
    )
    assert.equal(held, 8)
    const other = await startNode(t, { secret })
    await poll(
      () =>
        other
          .addPeer(address, node.options.port)
          .then(() => true)
          .catch(() => false),
      10_000,
      'a member gets in',
    )
    await gone
    const { refusedCrowded, handshakeTimeouts, unconnected } = await poll(
      () => node.stats().unconnected === 0 && node.stats(),
      5000,
      'none is left',
    )
    assert.equal(unconnected, 0)
    assert.ok(refusedCrowded >= 32, `${refusedCrowded} refused`)
    assert.ok(handshakeTimeouts > 0 && handshakeTimeouts <= 8, `${handshakeTimeouts} timed out`)
  }
})

test('stats show the limits in force', async (t) => {
  const node = await startNode(t, { limits: { maxUnconnected: 3, pongsPerSecond: 0.5 } })
  const { limits } = node.stats()
  assert.deepEqual(limits, {
    handshakeTimeout: 5000,
    dialTimeout: 3000,
    maxUnconnected: 3,
    maxUnconnectedPerAddress: 4,
    connectionsPerSecond: 1000,
    handshakesPerSecond: 200,
    queuePerPeer: 8 * 1024 * 1024,
    maxDials: 8,
    dialsPerSecond: 4,
    peerRequestsPerSecond: 10,
    pongsPerSecond: 0.5,
    relayedBytesPerSecond: 128 * 1024 * 1024,
    repairBytes: 32 * 1024 * 1024,
    maxMembers: 16_384,
    maxShortcuts: 16,
    maxRequests: 16_384,
    maxHandled: 4096,
    maxHandledPerNode: 1024,
  })
})

test('connections are accepted at a bounded rate, and the rest waits', async (t) => {
  const limits = { connectionsPerSecond: 4, handshakeTimeout: 60_000 }
  const node = await startNode(t, { limits })
  const friend = await startNode(t)
  await friend.addPeer(address, node.options.port)
  const sockets = Array.from({ length: 16 }, () => net.connect(node.options.port, address))
  t.after(() => sockets.map((socket) => socket.destroy()))
  await poll(() => node.stats().crowds > 0, 5000, 'no more are taken')
  assert.ok(node.stats().unconnected < 12, `${node.stats().unconnected} were taken`)
  const heard = within(
    new Promise((resolve) => node.broadcast.once('x', resolve)),
    5000,
    'a message',
  )
  friend.broadcast.emit('x', 1)
  assert.equal(await heard, 1, 'peers are not kept waiting')
  await poll(() => node.stats().unconnected === 16, 10_000, 'all were taken')
  assert.equal(friend.stats().crowds, 0)
})

test('the traffic forwarded for one peer is bounded, and the rest comes later', async (t) => {
  const limits = { relayedBytesPerSecond: 256 * 1024 }
  const slow = await startNode(t, { limits })
  const [from, to] = [await startNode(t, { maxPeerNo: 1 }), await startNode(t, { maxPeerNo: 1 })]
  await from.addPeer(address, slow.options.port)
  await to.addPeer(address, slow.options.port)
  const count = 2000
  const heard = []
  const whole = new Promise((resolve) => {
    to.broadcast.on('x', (number) => heard.push(number) === count && resolve())
  })
  for (let n = 0; n < count; n++) from.broadcast.emit('x', n, 'x'.repeat(200))
  await poll(() => heard.length > 0, 5000, 'some is heard')
  await quiet()
  assert.ok(heard.length < count, 'the rest is not read yet')
  await within(whole, 10_000, 'all is heard')
  assert.deepEqual(
    heard,
    heard.map((_, index) => index),
  )
  await poll(() => slow.stats().slowed > 0, 5000, 'it is counted')
  assert.equal(from.stats().slowed + to.stats().slowed, 0)
})

test('the same bound holds towards a legacy peer, line by line', async (t) => {
  const limits = { relayedBytesPerSecond: 256 * 1024 }
  const slow = await startNode(t, { limits })
  const from = await startNode(t, { maxPeerNo: 1 })
  await from.addPeer(address, slow.options.port)
  const old = await join(slow.options.port, 'old')
  t.after(() => old.destroy())
  const count = 2000
  for (let n = 0; n < count; n++) from.broadcast.emit('x', n, 'x'.repeat(200))
  await poll(() => slow.stats().slowed > 0, 5000, 'it is slowed down')
  await poll(() => old.of('broadcast').length === count, 10_000, 'all of it comes')
})

test('a node that anyone can reach warns once that it has no secret', async (t) => {
  const warnings = async (options) => {
    const lines = []
    const logger = { warn: (line) => lines.push(line) }
    const node = await startNode(t, { ...options, logger })
    const other = await startNode(t)
    await node.addPeer(address, other.options.port)
    await node.stop()
    return lines.filter((line) => line.includes('set a secret')).length
  }
  const shows = []
  for (const own of [
    '203.0.113.7',
    '2001:db8::1',
    '127.0.0.1',
    '10.1.2.3',
    '192.168.1.1',
    'fd00::1',
  ])
    shows.push(await warnings({ address: own }))
  assert.deepEqual(shows, [1, 1, 0, 0, 0, 0])
})
