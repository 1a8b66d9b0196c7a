'use strict'

// Start, stop and addPeer of real nodes in this process, as an application sees them.

const assert = require('node:assert/strict')
const net = require('node:net')
const { test } = require('node:test')
const { createNode, localIp } = require('../..')
const { freePort } = require('../support/ports')
const { event, poll, within } = require('../support/wait')
const { join } = require('../support/wire')
const { collect, startNetwork, startNode, startPair } = require('../support/nodes')

test('a node without a port listens on a free one and reports it', async (t) => {
  const node = await startNode(t)
  assert.ok(node.options.port > 0)
  const socket = net.connect(node.options.port, '127.0.0.1')
  await event(socket, 'connect')
  socket.destroy()
})

test('stop: before start, twice, while starting, with peers', async (t) => {
  const idle = createNode({ address: '127.0.0.1' })
  await idle.stop()
  const starting = idle.start()
  const stops = [idle.stop(), idle.stop()]
  await assert.rejects(starting, { code: 'ERR_SMOKE_STOPPED' })
  await within(Promise.all(stops), 5000, 'both stops')
  const { a, b, toA, toB } = await startPair(t)
  const gone = event(b.peers, 'remove')
  await within(a.stop(), 5000, 'a stops')
  assert.deepEqual([a.listening, a.connected, a.peers.list, toB.closed], [false, false, [], true])
  await gone
  await poll(() => !b.connected, 1000, 'b is alone')
  assert.equal(toA.closed, true)
})

test('stop while a dial is under way', async (t) => {
  const silent = net.createServer()
  t.after(() => silent.close())
  await new Promise((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const node = await startNode(t)
  const connected = event(silent, 'connection')
  const dial = node.addPeer('127.0.0.1', silent.address().port)
  const [socket] = await connected
  socket.on('error', () => {})
  await within(node.stop(), 5000, 'the node stops')
  await assert.rejects(dial, { code: 'ERR_SMOKE_STOPPED' })
  socket.destroy()
})

test('a node starts again on its port at once, with its listeners', async (t) => {
  const { a, b } = await startPair(t)
  const { port } = b.options
  for (let round = 0; round < 5; round++) {
    const heard = collect(b.broadcast, 'chat', 1)
    await b.stop()
    await b.start()
    assert.equal(b.options.port, port)
    await a.addPeer('127.0.0.1', port)
    a.broadcast.emit('chat', round)
    assert.deepEqual(await heard, [[round]])
  }
})

test('the last of several calls of start and stop in one tick wins', async (t) => {
  const node = createNode({ address: '127.0.0.1' })
  t.after(() => node.stop())
  node.start()
  node.stop()
  await within(node.start(), 5000, 'it starts after all')
  assert.equal(node.listening, true)
  node.stop()
  node.start()
  await within(node.stop(), 5000, 'it stops after all')
  assert.equal(node.listening, false)
})

test('a port in use is an error event with a code; then the node can be started', async (t) => {
  const server = net.createServer()
  await new Promise((resolve) => server.listen(0, resolve))
  const { port } = server.address()
  const node = createNode({ address: '127.0.0.1', port })
  t.after(() => node.stop())
  const failed = event(node, 'error')
  const started = node.start()
  const [error] = await failed
  assert.deepEqual(
    [error.code, error.syscall, error.address, error.port],
    ['EADDRINUSE', 'listen', '127.0.0.1', port],
  )
  await assert.rejects(started, error)
  assert.equal(node.listening, false)
  await new Promise((resolve) => server.close(resolve))
  await node.start()
  assert.equal(node.listening, true)
})

test('addPeer resolves to the peer', async (t) => {
  const { a, b, toB } = await startPair(t)
  assert.equal(toB.id, b.id)
  assert.deepEqual([toB.remoteAddress, toB.remotePort], ['127.0.0.1', b.options.port])
  assert.deepEqual(a.peers.list, [toB])
})

test('addPeer fails with a code', async (t) => {
  const node = await startNode(t)
  const nobody = await freePort()
  await assert.rejects(node.addPeer('127.0.0.1', nobody), {
    code: 'ECONNREFUSED',
    message: `connect ECONNREFUSED 127.0.0.1:${nobody}`,
  })
  await assert.rejects(node.addPeer('127.0.0.1', node.options.port), { code: 'ERR_SMOKE_SELF' })
  const [error] = await new Promise((resolve) => {
    node.addPeer('127.0.0.1', nobody, (...args) => resolve(args))
  })
  assert.equal(error.code, 'ECONNREFUSED')
})

test('connect, new peer, add; disconnect, remove; both ends', async (t) => {
  const [a, b] = [await startNode(t), await startNode(t)]
  const heard = []
  for (const [name, node] of [
    ['a', a],
    ['b', b],
  ]) {
    node.peers.on('add', () => heard.push(`${name} add ${node.connected}`))
    node.peers.on('remove', () => heard.push(`${name} remove ${node.connected}`))
    for (const event of ['connect', 'new peer', 'disconnect']) {
      node.on(event, () => heard.push(`${name} ${event}`))
    }
  }
  await a.addPeer('127.0.0.1', b.options.port)
  await poll(() => b.connected, 5000, 'b is connected')
  const of = (name) => heard.filter((entry) => entry.startsWith(name))
  const coming = (name) => [`${name} connect`, `${name} new peer`, `${name} add true`]
  assert.deepEqual(of('a'), coming('a'))
  assert.deepEqual(of('b'), coming('b'))
  a.peers.list[0].close()
  await poll(() => !b.connected, 5000, 'b is alone')
  const going = (name) => [...coming(name), `${name} disconnect`, `${name} remove false`]
  assert.deepEqual(of('a'), going('a'))
  assert.deepEqual(of('b'), going('b'))
})

test('messages sent before stop and close still arrive', async (t) => {
  const { a, b, toA, toB } = await startPair(t)
  const words = Promise.all([collect(toA, 'bye', 3), collect(b.broadcast, 'bye', 3)])
  for (let n = 0; n < 3; n++) {
    toB.emit('bye', n)
    a.broadcast.emit('bye', n)
  }
  a.stop()
  assert.deepEqual(await words, [
    [[0], [1], [2]],
    [[0], [1], [2]],
  ])
})

test('a full node refuses more peers', async (t) => {
  const nodes = await startNetwork(t, 2, { minPeerNo: 1, maxPeerNo: 1 })
  assert.equal(nodes[0].peers.isFull(), true)
  const late = await startNode(t)
  await assert.rejects(late.addPeer('127.0.0.1', nodes[0].options.port), {
    code: 'ERR_SMOKE_REFUSED',
  })
})

test('seeds can be changed while the node runs', { timeout: 40_000 }, async (t) => {
  const [first, late] = [await startNode(t), await startNode(t)]
  late.options.seeds.push({ address: '127.0.0.1', port: first.options.port })
  await poll(() => late.connected && first.connected, 30_000, 'it enters')
})

test('maxPeerNo can be changed while the node runs', { timeout: 40_000 }, async (t) => {
  const [first] = await startNetwork(t, 2, { minPeerNo: 1, maxPeerNo: 1 })
  const late = await startNode(t)
  const { port } = first.options
  await assert.rejects(late.addPeer('127.0.0.1', port), { code: 'ERR_SMOKE_REFUSED' })
  first.options.maxPeerNo = 2
  const deadline = Date.now() + 30_000
  while (!late.connected && Date.now() < deadline) {
    await late.addPeer('127.0.0.1', port).catch(() => new Promise((go) => setTimeout(go, 500)))
  }
  assert.equal(late.connected, true)
})

test('localIp finds the address in a subnet, in every notation', () => {
  for (const subnet of [
    ...['127.0.0.0/8', '127.0.0.1/255.0.0.0', '127.0.0.1'],
    ...['127.0.0.1/0xff000000', '127.0.0.1/0xFF.0x0.0x0.0'],
  ]) {
    assert.equal(localIp(subnet), '127.0.0.1')
  }
  assert.throws(
    () => localIp('203.0.113.0/24'),
    (error) => {
      assert.ok(error instanceof Error)
      assert.equal(error.code, 'ERR_SMOKE_NO_ADDRESS')
      assert.match(
        error.message,
        /^Couldn't determine IP address: .*203\.0\.113\.0\/24.*127\.0\.0\.1/,
      )
      return true
    },
  )
  for (const bad of [
    '',
    'here',
    '10.0.0.0/33',
    '10.0.0.0/255.0.255.0',
    '10.0.0.0/0xff00ff00',
    7,
    undefined,
  ]) {
    assert.throws(() => localIp(bad), { name: 'TypeError', code: 'ERR_SMOKE_SUBNET' })
  }
})

test("the logger gets the node's messages at the levels that it has", async (t) => {
  const lines = []
  const logger = { debug: (line) => lines.push(line), info: (line) => lines.push(line) }
  const a = await startNode(t, { logger })
  const b = await startNode(t)
  await a.addPeer('127.0.0.1', b.options.port)
  await poll(() => lines.length > 0, 5000, 'something is logged')
  assert.ok(lines.every((line) => typeof line === 'string' && line.length > 0))
})

test('stats count', async (t) => {
  const { a, b } = await startPair(t)
  const heard = collect(b.broadcast, 'n', 10)
  for (let n = 0; n < 10; n++) a.broadcast.emit('n', n)
  for (let n = 0; n < 5; n++) a.broadcast.emit('unheard', n)
  await heard
  const stats = await poll(() => b.stats().delivered === 15 && b.stats(), 5000, 'the count')
  assert.deepEqual([stats.crossed, stats.unheard, stats.lost], [10, 5, 0])
  assert.deepEqual(stats.links, [{ id: a.id, native: true, queuedBytes: 0 }])
  const { links, limits, ...counters } = stats
  assert.ok(Object.values(counters).every((count) => Number.isInteger(count)))
})

test('the logger hears of links, too', async (t) => {
  const lines = []
  const node = await startNode(t, { logger: { info: (line) => lines.push(line) } })
  const socket = net.connect(node.options.port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  socket.write('x'.repeat(100_000))
  await poll(() => lines.some((line) => line.includes('makes no sense')), 5000, 'a line about it')
})

test('the logger reports input of a link, with either thread reading', async (t) => {
  const lines = []
  const node = await startNode(t, { logger: { warn: (line) => lines.push(line) } })
  const wire = await join(node.options.port, 'bad')
  t.after(() => wire.destroy())
  const packet = { id: `bad-1-${'0'.repeat(32)}`, data: [1] }
  const line = `${JSON.stringify(['smoke', 'broadcast', packet])}\n`
  // The event loop waits, so JavaScript's thread reads.
  wire.socket.write(line.repeat(80))
  await poll(() => lines.some((line) => line.includes('misbehaving link')), 5000, 'a line about it')
})
