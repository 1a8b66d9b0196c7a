'use strict'

// The states of a node and the order of its events, on a fake addon.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { ADDED, PEER, fakeNetwork, fakeNode, settled } = require('./fake-node')

const LISTENING = { t: 'listening', port: 4000 }
const STOPPED = { t: 'stopped' }
const FAILED = { t: 'error', code: 'EADDRINUSE', message: 'port 4000 is in use' }
const calls = (native) => native.calls.map(([name]) => name)

test('start resolves when the node listens, and options.port has the real port', async () => {
  const { node, native } = fakeNode()
  const started = node.start()
  assert.equal(node.start(), started)
  assert.equal(node.listening, false)
  native.push(LISTENING)
  assert.equal(await started, undefined)
  assert.equal(node.start(), started)
  assert.deepEqual([node.listening, node.options.port], [true, 4000])
  assert.deepEqual(calls(native), ['start'])
  native.push(STOPPED)
  await node.stop()
  assert.equal(node.listening, false)
})

test('stop works before start, twice, and while starting', async () => {
  const { node, native } = fakeNode()
  await node.stop()
  const started = node.start()
  const stopped = node.stop()
  assert.equal(node.stop(), stopped)
  await assert.rejects(started, { name: 'SmokeError', code: 'ERR_SMOKE_STOPPED' })
  native.push(LISTENING, STOPPED)
  await stopped
  assert.equal(node.listening, false)
  await node.stop()
  assert.deepEqual(calls(native), ['start', 'stop'])
})

test('a start during a stop begins after the stop; another stop cancels it', async () => {
  const { node, native } = fakeNode()
  node.start()
  native.push(LISTENING)
  await settled()
  const stopped = node.stop()
  const started = node.start()
  assert.equal(node.start(), started)
  assert.deepEqual(calls(native), ['start', 'stop'])
  native.push(STOPPED, LISTENING)
  await stopped
  await started
  assert.deepEqual(calls(native), ['start', 'stop', 'start'])
  const stoppedAgain = node.stop()
  const calledOff = node.start()
  assert.equal(node.stop(), stoppedAgain)
  await assert.rejects(calledOff, { code: 'ERR_SMOKE_STOPPED' })
  native.push(STOPPED)
  await stoppedAgain
  assert.deepEqual(calls(native), ['start', 'stop', 'start', 'stop'])
})

test('a port in use is an error event, and the node can be started again', async () => {
  const { node, native } = fakeNode()
  const errors = []
  node.on('error', (error) => errors.push(error))
  node.start()
  native.push(FAILED)
  await settled()
  assert.deepEqual(
    errors.map(({ code, message }) => [code, message]),
    [['EADDRINUSE', 'port 4000 is in use']],
  )
  const started = node.start()
  native.push(LISTENING)
  await started
  native.push(STOPPED)
  await node.stop()
})

test('a caller that awaits start need not listen for error', async () => {
  const { node, native } = fakeNode()
  const started = node.start()
  native.push(FAILED)
  await assert.rejects(started, { code: 'EADDRINUSE' })
})

test('an error that is neither awaited nor listened for is thrown, as by any EventEmitter', async (t) => {
  const uncaught = []
  process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error.code))
  t.after(() => process.setUncaughtExceptionCaptureCallback(null))
  const { node, native } = fakeNode()
  node.start()
  native.push(FAILED)
  await settled()
  assert.deepEqual(uncaught, ['EADDRINUSE'])
})

test('the order of events around the first and the last peer', async () => {
  const { node, native } = fakeNode()
  const heard = []
  const state = () => `${node.connected} ${node.peers.dump()}`
  node.peers.on('add', (peer) => heard.push(`add ${peer.id} ${state()}`))
  node.peers.on('remove', (peer) => heard.push(`remove ${peer.id} ${peer.closed} ${state()}`))
  node.on('connect', () => heard.push(`connect ${state()}`))
  node.on('disconnect', () => heard.push(`disconnect ${state()}`))
  node.on('new peer', (peer) => heard.push(`new peer ${peer.id}`))
  node.start()
  native.push(LISTENING, ADDED, { ...ADDED, peer: 8, id: 'def' })
  native.push({ t: 'remove', peer: PEER, reason: 'remote' })
  native.push({ t: 'remove', peer: 8, reason: 'silent' })
  await settled()
  assert.deepEqual(heard, [
    ...['connect true abc', 'new peer abc', 'add abc true abc'],
    ...['new peer def', 'add def true abc,def'],
    'remove abc true true def',
    ...['disconnect false ', 'remove def true false '],
  ])
  native.push(STOPPED)
  await node.stop()
})

test('stop closes the peers at once, and earlier messages still go out', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const heard = []
  node.on('disconnect', () => heard.push('disconnect'))
  peer.on('close', () => heard.push('close'))
  for (const word of ['good', 'bye']) {
    node.broadcast.emit(word)
    peer.emit(word)
  }
  const stopped = node.stop()
  assert.deepEqual(heard, ['disconnect', 'close'])
  assert.deepEqual([node.connected, node.peers.list, peer.closed], [false, [], true])
  assert.equal(node.broadcast.emit('too late'), false)
  assert.deepEqual(native.calls, [
    ['emit', 0, '["good"]'],
    ['emit', PEER, '["good"]'],
    ['emit', 0, '["bye"]'],
    ['emit', PEER, '["bye"]'],
    ['stop'],
  ])
  native.push({ t: 'remove', peer: PEER, reason: 'local' }, STOPPED)
  await stopped
})

test('an error in a handler does not keep other handlers from the event', async (t) => {
  const uncaught = []
  process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error.message))
  t.after(() => process.setUncaughtExceptionCaptureCallback(null))
  const { node, native } = fakeNode()
  const heard = []
  for (const name of ['connect', 'new peer']) {
    node.on(name, () => {
      heard.push(name)
      throw new Error(name)
    })
  }
  node.peers.on('add', () => {
    throw new Error('add')
  })
  node.start()
  native.push(LISTENING, ADDED, STOPPED)
  await settled()
  assert.deepEqual(heard, ['connect', 'new peer'])
  assert.deepEqual(uncaught.sort(), ['add', 'connect', 'new peer'])
})

test('a broadcast before the start reaches no node, and is no error', () => {
  const { node, native } = fakeNode()
  assert.equal(node.broadcast.emit('x'), true)
  assert.equal(node.broadcast.write('x'), true)
  assert.throws(() => node.broadcast.emit('x', 1n), TypeError)
  assert.deepEqual(native.calls, [])
})

test('the peer list accepts ids and peers', async (t) => {
  const { node, peer } = await fakeNetwork(t, { minPeerNo: 1, maxPeerNo: 2 })
  const { peers } = node
  assert.equal(node.peerlist, peers)
  assert.equal(peers.node, node)
  assert.equal(peer.node, node)
  assert.equal(node.broadcast.node, node)
  assert.deepEqual(peers.dump(), ['abc'])
  assert.equal(peers.inList('abc'), peer)
  assert.equal(peers.inList(peer), peer)
  for (const other of ['x', undefined, null, {}, 7]) assert.equal(peers.inList(other), false)
  assert.deepEqual([peers.isFull(), peers.isSufficientlyFilled()], [false, true])
  assert.equal(peers.close(), peers)
  assert.deepEqual([peers.list, peer.closed, peers.isSufficientlyFilled()], [[], true, false])
})

test('addPeer reports its outcome to the callback and the promise', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const told = []
  const callback = (...args) => told.push(args)
  const found = node.addPeer('10.0.0.1', 99, callback)
  const refused = node.addPeer('10.0.0.2', '98', callback)
  const gone = node.addPeer('10.0.0.3', 97)
  const crowded = node.addPeer('10.0.0.4', 96)
  assert.deepEqual(native.calls, [
    ['addPeer', 1, '10.0.0.1', 99],
    ['addPeer', 2, '10.0.0.2', 98],
    ['addPeer', 3, '10.0.0.3', 97],
    ['addPeer', 4, '10.0.0.4', 96],
  ])
  native.push({ t: 'dialed', req: 2, code: 'REFUSED' }, { t: 'dialed', req: 1, peer: PEER })
  native.push({ t: 'dialed', req: 3, code: 'ECONNREFUSED' })
  native.push({ t: 'dialed', req: 4, code: 'FULL' })
  assert.equal(await found, peer)
  await assert.rejects(refused, { name: 'SmokeError', code: 'ERR_SMOKE_REFUSED' })
  await assert.rejects(gone, {
    code: 'ECONNREFUSED',
    message: 'connect ECONNREFUSED 10.0.0.3:97',
  })
  await assert.rejects(crowded, {
    code: 'ERR_SMOKE_REFUSED',
    message: 'this node has as many peers as it accepts: 10.0.0.4:96',
  })
  assert.deepEqual(
    told.map(([error, peer]) => [error?.code ?? null, peer?.id]),
    [
      ['ERR_SMOKE_REFUSED', undefined],
      [null, 'abc'],
    ],
  )
})

test('addPeer before the first start waits for it; a stop cancels it', async () => {
  const { node, native } = fakeNode()
  const told = new Promise((resolve) => node.addPeer('h', 1, resolve))
  await node.stop()
  assert.equal((await told).code, 'ERR_SMOKE_STOPPED')
  node.addPeer('h', 2)
  node.start()
  node.addPeer('h', 3)
  native.push(LISTENING)
  await settled()
  assert.deepEqual(native.calls.slice(1), [
    ['addPeer', 2, 'h', 2],
    ['addPeer', 3, 'h', 3],
  ])
  native.push(STOPPED)
  await node.stop()
  await assert.rejects(node.addPeer('h', 4), { code: 'ERR_SMOKE_STOPPED' })
})

test('addPeer needs a node that runs or is about to', async () => {
  const { node, native } = fakeNode()
  node.start()
  const early = node.addPeer('h', 1)
  const open = node.addPeer('h', 2)
  native.push(LISTENING)
  await settled()
  assert.deepEqual(calls(native), ['start', 'addPeer', 'addPeer'])
  native.push(ADDED, { t: 'dialed', req: 1, peer: PEER })
  assert.equal((await early).id, 'abc')
  const stopped = node.stop()
  native.push(STOPPED)
  await stopped
  await assert.rejects(open, { code: 'ERR_SMOKE_STOPPED' })
})

test('bad arguments of addPeer are refused at once', () => {
  const { node } = fakeNode()
  const bad = [
    [[undefined, 1], TypeError],
    [['', 1], TypeError],
    [['h'], TypeError],
    [['h', 'x'], TypeError],
    [['h', 0], RangeError],
    [['h', 65536], RangeError],
    [['h', 1.5], RangeError],
    [['h', 1, 'callback'], TypeError],
  ]
  for (const [args, Type] of bad) {
    assert.throws(() => node.addPeer(...args), { name: Type.name, code: 'ERR_SMOKE_ARGUMENT' })
  }
})

test('netsplit events name the seed', async (t) => {
  const { node, native } = await fakeNetwork(t)
  const heard = []
  for (const name of ['netsplit', 'netsplit resolved']) {
    node.on(name, (seed) => heard.push([name, seed]))
  }
  const seed = { address: '10.0.0.9', port: 14 }
  native.push({ t: 'netsplit', ...seed }, { t: 'resolved', ...seed })
  await settled()
  assert.deepEqual(heard, [
    ['netsplit', seed],
    ['netsplit resolved', seed],
  ])
})

test('listeners survive a restart', async () => {
  const { node, native } = fakeNode()
  const heard = []
  node.broadcast.on('chat', (n) => heard.push(n))
  for (const n of [1, 2]) {
    node.start()
    native.push(LISTENING, [0, ['chat', n]], [0, ['other', n]])
    await settled()
    assert.deepEqual(native.filters.get(0), { names: ['chat'], flags: 0 })
    native.push(STOPPED)
    await node.stop()
  }
  assert.deepEqual(heard, [1, 2])
})
