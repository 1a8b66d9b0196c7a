'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { PassThrough, Readable } = require('node:stream')
const { finished, pipeline } = require('node:stream/promises')
const { test } = require('node:test')
const { ADDED, PEER, fakeNetwork, fakeNode, settled } = require('./fake-node')

const LISTENING = { t: 'listening', port: 4000 }
const STOPPED = { t: 'stopped' }
const IN_USE = { t: 'error', code: 'EADDRINUSE', message: 'in use' }
const ABORTED = { name: 'AbortError', code: 'ABORT_ERR' }

test('a node and its peers are disposable', { skip: !Symbol.asyncDispose }, async () => {
  const { node, native } = fakeNode()
  node.start()
  native.push(LISTENING, ADDED, { ...ADDED, peer: 8, id: 'def' })
  await settled()
  const [first, second] = node.peers.list
  await first[Symbol.asyncDispose]()
  second[Symbol.dispose]()
  assert.deepEqual([first.closed, second.closed, node.peers.list], [true, true, []])
  native.push(STOPPED)
  await node[Symbol.asyncDispose]()
  assert.equal(node.listening, false)
})

test('a signal cancels start until the node listens, not afterwards', async () => {
  const { node, native } = fakeNode()
  const reason = new Error('enough')
  await assert.rejects(node.start({ signal: AbortSignal.abort(reason) }), {
    ...ABORTED,
    cause: reason,
  })
  assert.deepEqual(native.calls, [])
  const controller = new AbortController()
  const started = node.start({ signal: controller.signal })
  controller.abort()
  await assert.rejects(started, ABORTED)
  native.push(STOPPED)
  await node.stop()
  const late = new AbortController()
  const again = node.start({ signal: late.signal })
  native.push(LISTENING)
  await again
  late.abort()
  await settled()
  assert.equal(node.listening, true)
  native.push(STOPPED)
  await node.stop()
})

test('a signal cancels a start that waits for a stop', async () => {
  const { node, native } = fakeNode()
  node.start()
  native.push(LISTENING)
  await settled()
  const stopped = node.stop()
  const controller = new AbortController()
  const started = node.start({ signal: controller.signal })
  controller.abort()
  await assert.rejects(started, ABORTED)
  native.push(STOPPED)
  await stopped
  await settled()
  assert.deepEqual(
    native.calls.map(([name]) => name),
    ['start', 'stop'],
  )
})

test('a signal aborts a dial, and a peer that results anyway is closed', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const told = []
  const callback = (error) => told.push(error.code)
  const early = node.addPeer('h', 1, { signal: AbortSignal.abort() }, callback)
  await assert.rejects(early, ABORTED)
  assert.deepEqual(native.calls, [])
  const controller = new AbortController()
  const { signal } = controller
  const dials = [node.addPeer('h', 1, { signal }, callback), node.addPeer('h', 2, { signal })]
  controller.abort()
  for (const dial of dials) await assert.rejects(dial, ABORTED)
  assert.deepEqual(told, ['ABORT_ERR', 'ABORT_ERR'])
  native.push({ ...ADDED, peer: 8, id: 'def', address: 'h', port: 1 })
  native.push({ t: 'dialed', req: 2, peer: 8 }, { t: 'dialed', req: 3, peer: PEER })
  await settled()
  assert.deepEqual(node.peers.list, [peer], 'the new one is closed, the old one is not')
})

test('a bad signal is refused at once', () => {
  const { node } = fakeNode()
  for (const signal of ['now', {}, new AbortController()]) {
    const error = { name: 'TypeError', code: 'ERR_SMOKE_ARGUMENT' }
    assert.throws(() => node.start({ signal }), error)
    assert.throws(() => node.addPeer('h', 1, { signal }), error)
  }
})

test('a loop over the peers may close them', async (t) => {
  const { node, native } = await fakeNetwork(t)
  native.push(...[8, 9, 10].map((peer) => ({ ...ADDED, peer, id: `p${peer}` })))
  await settled()
  const { list } = node.peers
  let closed = 0
  list.forEach((peer) => {
    peer.close()
    closed++
  })
  assert.deepEqual([closed, list.length, node.peers.list], [4, 4, []])
})

test('a destroyed peer is closed, and emits the error', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const heard = []
  peer.on('error', (error) => heard.push(error.message))
  peer.on('close', () => heard.push('close'))
  assert.equal(peer.destroy(new Error('enough')), peer)
  assert.equal(peer.destroyed, true)
  await settled()
  assert.deepEqual(heard, ['enough', 'close'])
  assert.deepEqual([peer.closed, node.peers.list], [true, []])
  assert.deepEqual(native.calls, [['closePeer', PEER]])
})

test('end finishes the writes to a peer and keeps the link', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  peer.on('data', (chunk) => heard.push(String(chunk)))
  peer.end('last words')
  await once(peer, 'finish')
  assert.deepEqual([peer.writableEnded, peer.writableFinished, peer.closed], [true, true, false])
  native.push([PEER, 'answer'])
  await settled()
  assert.deepEqual(heard, ['answer'])
  assert.equal(peer.emit('still', 'there'), true)
})

test('successive pipelines can write to the same channel', async (t) => {
  const { native, node, peer } = await fakeNetwork(t)
  for (const [channel, handle] of [
    [node.broadcast, 0],
    [peer, PEER],
  ]) {
    native.sent()
    await pipeline(Readable.from(['one']), channel)
    await pipeline(Readable.from(['two']), channel)
    await pipeline(async function* () {
      yield 'three'
    }, channel)
    await new Promise((resolve) => Readable.from(['four']).pipe(channel).once('finish', resolve))
    assert.deepEqual(
      native.sent(),
      ['one', 'two', 'three', 'four'].map((text) => ['write', handle, text]),
    )
    await finished(channel.stream, { readable: false })
  }
})

test('readers continue while successive pipelines write', async (t) => {
  const { native, node } = await fakeNetwork(t)
  const [heard, out] = [[], new PassThrough()]
  node.broadcast.setEncoding('utf8')
  node.broadcast.pipe(out)
  node.broadcast.on('data', (chunk) => heard.push(chunk))
  for (const n of [1, 2, 3]) {
    await pipeline(Readable.from([`out ${n}`]), node.broadcast)
    native.push([0, `in ${n};`])
    await settled()
  }
  assert.deepEqual(heard, ['in 1;', 'in 2;', 'in 3;'])
  assert.equal(String(out.read()), 'in 1;in 2;in 3;')
  node.broadcast.unpipe(out)
  native.push([0, 'in 4;'])
  await settled()
  assert.equal(out.read(), null)
})

test('a write after the end is an error, as for any stream', async (t) => {
  const { node } = await fakeNetwork(t)
  node.broadcast.end()
  const failed = once(node.broadcast, 'error')
  node.broadcast.write('x')
  const [error] = await failed
  assert.equal(error.code, 'ERR_STREAM_WRITE_AFTER_END')
})

test('drain comes when the peer closes or the node stops', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const heard = []
  const listen = (name, channel) => channel.on('drain', () => heard.push(name))
  native.outcomes = [1, 1]
  assert.deepEqual([peer.emit('x'), node.broadcast.emit('x')], [false, false])
  listen('peer', peer)
  listen('broadcast', node.broadcast)
  peer.on('close', () => heard.push('close'))
  native.push({ t: 'remove', peer: PEER, reason: 'remote' })
  await settled()
  assert.deepEqual(heard, ['peer', 'close'])
  node.stop()
  assert.deepEqual(heard, ['peer', 'close', 'broadcast'])
  assert.deepEqual([peer.emit('x'), node.broadcast.emit('x')], [false, false])
  await settled()
  assert.deepEqual(heard, ['peer', 'close', 'broadcast', 'peer'], 'a peer is closed for good')
  native.push(STOPPED)
  await settled()
  node.start()
  await settled()
  assert.deepEqual(heard.at(-1), 'broadcast')
  assert.equal(heard.length, 5)
})

test('a pending write to a peer ends when it closes', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  native.outcomes = [1]
  peer.write('x')
  assert.equal(peer.write('x'.repeat(100_000)), false)
  const drained = new Promise((resolve) => peer.once('drain', resolve))
  peer.close()
  await drained
})

test('a port that the system chose is tried again, and replaced when it is in use', async () => {
  const { node, native } = fakeNode()
  const ports = () => native.calls.filter(([name]) => name === 'start').map(([, { port }]) => port)
  node.start()
  native.push(LISTENING, STOPPED)
  await settled()
  const again = node.start()
  native.push(IN_USE)
  await settled()
  native.push({ ...LISTENING, port: 5000 })
  await again
  assert.deepEqual(ports(), [0, 4000, 0])
  assert.equal(node.options.port, 5000)
  native.push(STOPPED)
  await node.stop()
})

test('a requested port is not replaced', async () => {
  const { node, native } = fakeNode({ port: 4000 })
  const started = node.start()
  native.push(IN_USE)
  await assert.rejects(started, { code: 'EADDRINUSE' })
  assert.equal(native.calls.length, 1)
})

test('a written chunk arrives whole, or is refused', async (t) => {
  const { native, node, peer } = await fakeNetwork(t, { maxMessageSize: 1024 })
  for (const channel of [node.broadcast, peer]) {
    native.sent()
    const tooLarge = { name: 'RangeError', code: 'ERR_SMOKE_TOO_LARGE' }
    for (const chunk of [Buffer.alloc(1025), new Uint8Array(1025), 'x'.repeat(1025)]) {
      assert.throws(() => channel.write(chunk), tooLarge)
      assert.throws(() => channel.end(chunk), tooLarge)
    }
    channel.write('é'.repeat(512))
    channel.write('ab'.repeat(1024), 'hex')
    await settled()
    assert.deepEqual(
      native.sent().map(([, , chunk]) => chunk.length),
      [512, 1024],
    )
    assert.equal(channel.destroyed, false)
  }
})

test('an ended stream is readable as long as it has listeners', async (t) => {
  const { native, node } = await fakeNetwork(t)
  const first = node.broadcast.stream
  const heard = []
  const listener = (chunk) => heard.push(String(chunk))
  first.on('data', listener)
  for (const text of ['one', 'two']) await pipeline(Readable.from([text]), node.broadcast)
  assert.notEqual(node.broadcast.stream, first)
  const next = async (text) => {
    native.push([0, text])
    await settled()
  }
  await next('a')
  first.off('data', listener)
  await next('b')
  assert.deepEqual(native.filters.get(0), { names: [], flags: 0 })
  first.on('data', listener)
  await next('c')
  assert.deepEqual(heard, ['a', 'c'])
})
