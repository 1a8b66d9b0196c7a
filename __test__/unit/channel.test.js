'use strict'

const assert = require('node:assert/strict')
const { EventEmitter } = require('node:events')
const { PassThrough, Readable, Writable, finished, pipeline } = require('node:stream')
const { test } = require('node:test')
const { PEER, fakeNetwork, settled } = require('./fake-node')
const { poll } = require('../support/wait')

const NAMES = [
  ...['data', 'error', 'end', 'close', 'message', 'drain', 'finish', 'pipe', 'unpipe'],
  ...['newListener', 'removeListener', '__proto__', 'constructor', 'toString', 'hasOwnProperty'],
  ...['', '0', 'é\u2028\u{1f600}', '"quoted"\n\\', 'new peer', '::', '*'],
]

test('emit is remote for every name, and never local', async (t) => {
  const { native, node } = await fakeNetwork(t)
  const fail = (name) => () => assert.fail(`local listener for ${name}`)
  for (const name of NAMES) {
    if (!/Listener$/.test(name)) node.broadcast.on(name, fail(name))
  }
  native.sent()
  for (const name of NAMES) {
    node.broadcast.emit(name, name)
    await settled()
    assert.deepEqual(native.sent(), [['emit', 0, JSON.stringify([name, name])]])
  }
})

test('events of every name are heard', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  for (const name of NAMES) {
    if (!/Listener$/.test(name)) peer.on(name, (...args) => heard.push([name, ...args]))
  }
  native.push(...NAMES.map((name) => [PEER, [name, 1]]))
  await settled()
  const names = NAMES.filter((name) => !/Listener$/.test(name))
  assert.deepEqual(
    heard,
    names.map((name) => [name, 1]),
  )
})

test('newListener and removeListener come from both sides and are not sent', async (t) => {
  const { native, node } = await fakeNetwork(t)
  const heard = []
  node.broadcast.on('newListener', (name) => heard.push(`new ${name}`))
  node.broadcast.on('removeListener', (name) => heard.push(`removed ${name}`))
  const listener = () => {}
  node.broadcast.on('chat', listener).off('chat', listener)
  node.broadcast.once('chat', listener).removeAllListeners('chat')
  native.push([0, ['newListener', 'remote']])
  await settled()
  assert.deepEqual(heard, [
    ...['new removeListener', 'new chat', 'removed chat', 'new chat', 'removed chat'],
    'new remote',
  ])
  assert.deepEqual(native.sent(), [])
})

test('a remote error without a listener is ignored', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  peer.on('after', () => heard.push('after'))
  native.push([PEER, ['error', 'boo']], [PEER, ['after']])
  await settled()
  peer.on('error', (text) => heard.push(text))
  native.push([PEER, ['error', 'boo']])
  await settled()
  assert.deepEqual(heard, ['after', 'boo'])
})

test('names other than strings are refused; numbers become strings', async (t) => {
  const { native, node } = await fakeNetwork(t)
  for (const name of [Symbol('s'), undefined, null, {}, true]) {
    assert.throws(() => node.broadcast.emit(name), {
      name: 'TypeError',
      code: 'ERR_SMOKE_BAD_EVENT',
    })
  }
  node.broadcast.emit(404, 'x')
  assert.deepEqual(native.sent(), [['emit', 0, '["404","x"]']])
})

test('arguments have JSON semantics', async (t) => {
  const { native, node } = await fakeNetwork(t)
  class Point {
    constructor() {
      this.x = 1
    }
  }
  const odd = [undefined, NaN, -0, new Date(0), () => {}, { u: undefined }, new Point(), new Map()]
  node.broadcast.emit('odd', ...odd)
  assert.deepEqual(native.sent(), [
    ['emit', 0, '["odd",null,null,0,"1970-01-01T00:00:00.000Z",null,{},{"x":1},{}]'],
  ])
})

test('an argument that cannot be serialised throws, and nothing is sent', async (t) => {
  const { native, node } = await fakeNetwork(t)
  const cycle = {}
  cycle.self = cycle
  assert.throws(() => node.broadcast.emit('x', 1n), TypeError)
  assert.throws(() => node.broadcast.emit('x', cycle), TypeError)
  assert.throws(() => node.broadcast.emit('x', Buffer.from('b'), 1n), TypeError)
  await settled()
  assert.deepEqual(native.sent(), [])
})

test('once, prepend and removal during an event work as in EventEmitter', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  const second = () => heard.push('second')
  peer.on('e', () => {
    heard.push('first')
    peer.off('e', second)
  })
  peer.on('e', second)
  peer.prependListener('e', () => heard.push('zeroth'))
  peer.prependOnceListener('e', () => heard.push('once'))
  native.push([PEER, ['e']], [PEER, ['e']])
  await settled()
  assert.deepEqual(heard, ['once', 'zeroth', 'first', 'second', 'zeroth', 'first'])
  assert.ok(peer instanceof EventEmitter)
  assert.equal(peer.listenerCount('e'), 2)
  assert.equal(peer.rawListeners('e').length, 2)
})

test('under backpressure emit returns false, and drain follows', async (t) => {
  const { native, node } = await fakeNetwork(t)
  const drained = new Promise((resolve) => node.broadcast.once('drain', resolve))
  native.outcomes = [1]
  assert.equal(node.broadcast.emit('a'), false)
  assert.equal(node.broadcast.emit('b'), false)
  native.push({ t: 'drain', peer: 0 })
  await drained
  assert.equal(node.broadcast.emit('c'), true)
})

test('chunks come as Buffers, or strings after setEncoding', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  peer.on('data', (chunk) => heard.push(chunk))
  native.push([PEER, 'one'])
  await settled()
  peer.setEncoding('utf8')
  native.push([PEER, 'two'], [PEER, ['data', { an: 'event' }]])
  await settled()
  assert.deepEqual(heard, [Buffer.from('one'), 'two', { an: 'event' }])
})

test('nothing is kept for a stream without a reader', async (t) => {
  const { native, node } = await fakeNetwork(t)
  native.filters.set(0, { names: null, flags: 3 })
  native.push([0, 'lost'], [0, 'lost'])
  await settled()
  const listener = () => {}
  node.broadcast.on('data', listener).off('data', listener)
  native.push([0, 'lost'])
  await settled()
  assert.equal(node.broadcast.readableLength, 0)
})

/** The addon's calls about chunks that wait for their reader. */
const paced = (native) => native.calls.filter(([call]) => call === 'hold' || call === 'read')

test('chunks wait for a paused reader, and hold their sender back', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  peer.on('data', (chunk) => heard.push(String(chunk))).pause()
  await settled()
  const chunks = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(64 * 1024))
  native.push(...chunks.map((chunk) => [PEER, chunk]))
  await settled()
  assert.deepEqual([peer.readableLength, heard], [64 * 1024, []])
  assert.deepEqual(paced(native), [['hold', PEER]])
  peer.resume()
  await settled()
  assert.deepEqual(heard, chunks)
  assert.deepEqual(paced(native), [
    ['hold', PEER],
    ['read', PEER, 64 * 1024],
    ['read', PEER, 64 * 1024],
    ['read', PEER, null],
  ])
})

test('no sender waits for a reader that has stopped listening', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const listener = () => {}
  peer.on('data', listener).pause()
  await settled()
  native.push([PEER, 'x'.repeat(64 * 1024)], [PEER, 'y'])
  await settled()
  peer.off('data', listener)
  await settled()
  assert.deepEqual(paced(native).at(-1), ['read', PEER, null])
})

/** Pauses a reader and delivers more than is kept for it: 65 chunks of a mebibyte. */
async function overflow(native, peer) {
  peer.pause()
  await settled()
  const mebi = 'x'.repeat(1024 * 1024)
  native.push(...Array.from({ length: 67 }, () => [PEER, mebi]))
  await settled()
}

test('a stream that lost a chunk is destroyed with an error that tells how much', async (t) => {
  const { native, node, peer } = await fakeNetwork(t)
  const events = []
  node.on('lost', (drop) => events.push(drop))
  peer.on('data', () => {})
  const failed = new Promise((resolve) => peer.stream.once('error', resolve))
  await overflow(native, peer)
  const { code, message, bytes } = await failed
  assert.deepEqual([code, bytes, events], ['ERR_SMOKE_LOST', 1024 * 1024, []])
  assert.match(message, /1048576 bytes of the stream were lost: its reader has paused/)
  assert.deepEqual(paced(native).at(-1), ['read', PEER, null])
})

test('a lost chunk of a stream without an error listener is an event, and counts', async (t) => {
  const { native, node, peer } = await fakeNetwork(t)
  const events = []
  node.on('lost', (drop) => events.push(drop))
  peer.on('data', () => {})
  // Like any destination of a pipe, the peer has an error listener that does nothing.
  new PassThrough().pipe(peer)
  native.stats = () => '{"lost":0}'
  await overflow(native, peer)
  await poll(() => events.length >= 2, 5000, 'both chunks are told of')
  assert.deepEqual(events, [{ count: 1 }, { count: 1 }])
  assert.equal(node.stats().lost, 2)
  assert.equal(peer.stream.destroyed, false)
})

test('chunks that were dropped or skipped end the streams they belong to', async (t) => {
  const { native, node, peer } = await fakeNetwork(t)
  const errors = []
  for (const channel of [peer, node.broadcast]) {
    channel.on('data', () => {})
    channel.stream.once('error', ({ code, bytes }) => errors.push([code, bytes]))
  }
  native.push({ t: 'skipped', id: 'abc', count: 4, chunks: false })
  await settled()
  assert.deepEqual(errors, [])
  native.push({ t: 'lost', count: 3, chunks: [[PEER, 70]] })
  native.push({ t: 'skipped', id: 'abc', count: 4, chunks: true })
  await settled()
  assert.deepEqual(errors, [
    ['ERR_SMOKE_LOST', 70],
    ['ERR_SMOKE_LOST', undefined],
  ])
})

test('a chunk that is unsent when the peer closes is an error', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  native.outcomes = [2]
  const written = new Promise((resolve) => peer.write('a', resolve))
  peer.on('error', () => {})
  peer.close()
  assert.equal((await written).code, 'ERR_SMOKE_CLOSED')
})

test('stop sends earlier writes', async (t) => {
  const { native, node } = await fakeNetwork(t)
  native.outcomes = [2]
  node.broadcast.write('a')
  node.broadcast.write('b')
  node.broadcast.emit('c')
  native.calls = []
  node.stop()
  await settled()
  assert.deepEqual(native.calls, [])
  native.push({ t: 'drain', peer: 0 })
  await settled()
  const calls = native.calls.map(([name, , what]) => [name, what])
  assert.deepEqual(calls, [
    ['write', 'a'],
    ['emit', '["c"]'],
    ['write', 'b'],
    ['stop', undefined],
  ])
})

test('write waits for room, and drain follows', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  native.outcomes = [1]
  const writes = [peer.write('a'), peer.write('x'.repeat(100_000))]
  assert.deepEqual(writes, [true, false])
  const drained = new Promise((resolve) => peer.once('drain', resolve))
  native.push({ t: 'drain', peer: PEER })
  await drained
  assert.deepEqual(
    native.sent().map(([, , chunk]) => chunk.length),
    [1, 100_000],
  )
})

test('a channel is a destination and a source of pipe', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const [source, sink] = [new PassThrough(), new PassThrough()]
  assert.equal(source.pipe(peer).pipe(sink), sink)
  source.write('out')
  native.push([PEER, 'in'])
  await settled()
  assert.deepEqual(native.sent(), [['write', PEER, 'out']])
  assert.equal(String(sink.read()), 'in')
  source.unpipe(peer)
  peer.unpipe(sink)
  source.write('more')
  native.push([PEER, 'more'])
  await settled()
  assert.deepEqual(native.sent(), [])
  assert.equal(sink.read(), null)
  assert.equal(source.listenerCount('data'), 0)
})

test('pipe and unpipe of streams are local events', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  peer.on('pipe', (source) => heard.push(['pipe', source]))
  peer.on('unpipe', (source) => heard.push(['unpipe', source]))
  const source = new PassThrough()
  source.pipe(peer)
  source.unpipe(peer)
  peer.emit('pipe', { pipe: 'dream' })
  assert.deepEqual(heard, [
    ['pipe', source],
    ['unpipe', source],
  ])
  assert.deepEqual(native.sent(), [['emit', PEER, '["pipe",{"pipe":"dream"}]']])
})

test('no remote event can unplug a pipe', async (t) => {
  const { native, node } = await fakeNetwork(t)
  const source = new PassThrough()
  const sink = new PassThrough()
  source.pipe(node.broadcast).pipe(sink)
  let ended = false
  finished(node.broadcast, () => {
    ended = true
  })
  await settled()
  const names = ['close', 'finish', 'end', 'error', 'unpipe', 'drain', 'readable', 'prefinish']
  native.filters.set(0, { names: null, flags: 3 })
  native.push(...names.map((name) => [0, [name, { message: 'boo' }]]))
  await settled()
  source.write('still out')
  native.push([0, 'still in'])
  await settled()
  assert.deepEqual(native.sent(), [['write', 0, 'still out']])
  assert.equal(String(sink.read()), 'still in')
  assert.equal(ended, false)
})

test('input that ends leaves the broadcast stream readable', async (t) => {
  const { native, node } = await fakeNetwork(t)
  const heard = []
  node.broadcast.on('data', (chunk) => heard.push(String(chunk)))
  await new Promise((resolve) => Readable.from(['a']).pipe(node.broadcast).once('finish', resolve))
  assert.equal(node.broadcast.writableFinished, true)
  native.push([0, 'b'])
  await settled()
  assert.deepEqual(heard, ['b'])
  node.broadcast.emit('event')
  assert.deepEqual(native.sent(), [
    ['write', 0, 'a'],
    ['emit', 0, '["event"]'],
  ])
})

test('a pipeline through a peer ends when the peer leaves', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const chunks = []
  const sink = new Writable({
    write(chunk, _, done) {
      chunks.push(String(chunk))
      done()
    },
  })
  const source = new PassThrough()
  const over = new Promise((resolve) => pipeline(source, peer, sink, resolve))
  source.end('question')
  native.push([PEER, 'answer'])
  await settled()
  native.push({ t: 'remove', peer: PEER, reason: 'remote' })
  assert.equal(await over, undefined)
  assert.deepEqual(chunks, ['answer'])
  assert.deepEqual(native.sent(), [['write', PEER, 'question']])
})

test('the broadcast channel survives a destroyed pipeline', async (t) => {
  const { native, node } = await fakeNetwork(t)
  const heard = []
  node.broadcast.on('data', (chunk) => heard.push(String(chunk)))
  const before = node.broadcast.stream
  const sink = new PassThrough()
  const over = new Promise((resolve) => {
    pipeline(new PassThrough(), node.broadcast, sink, resolve)
  })
  sink.destroy(new Error('the sink broke'))
  assert.equal((await over).message, 'the sink broke')
  await settled()
  assert.notEqual(node.broadcast.stream, before)
  node.broadcast.write('out')
  native.push([0, 'in'], [0, ['data', 'event']])
  await settled()
  assert.deepEqual(native.sent(), [['write', 0, 'out']])
  assert.deepEqual(heard, ['in', 'event'])
})

test('async iteration ends when the peer leaves', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const chunks = []
  const over = (async () => {
    for await (const chunk of peer) chunks.push(String(chunk))
  })()
  await settled()
  native.push([PEER, 'a'], [PEER, 'b'], { t: 'remove', peer: PEER, reason: 'remote' })
  await over
  assert.deepEqual(chunks.join(''), 'ab')
  for await (const chunk of peer) assert.fail(String(chunk))
})

test('chunks can be polled', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  assert.equal(peer.read(), null)
  native.push([PEER, 'a'], [PEER, 'b'])
  await settled()
  assert.equal(String(peer.read()), 'ab')
})

test('chainable stream methods of a channel return the channel', async (t) => {
  const { peer } = await fakeNetwork(t)
  assert.equal(peer.pause(), peer)
  assert.equal(peer.isPaused(), true)
  assert.equal(peer.resume(), peer)
  assert.equal(peer.setEncoding('utf8'), peer)
  assert.equal(peer.unpipe(), peer)
  assert.equal(peer.writable, true)
  assert.equal(peer.readable, true)
})

test('a closed peer emits close once, takes nothing and ends its stream', async (t) => {
  const { native, node, peer } = await fakeNetwork(t)
  const heard = []
  node.peers.on('remove', () => heard.push('remove'))
  node.on('disconnect', () => heard.push(`disconnect ${node.connected}`))
  peer.on('close', () => heard.push('close'))
  peer.on('end', () => heard.push('end'))
  peer.on('data', () => {})
  peer.socket.on('close', () => heard.push('socket close'))
  peer.emit('last')
  peer.emit('words')
  peer.close()
  peer.close()
  assert.deepEqual(native.calls, [
    ['emit', PEER, '["last"]'],
    ['emit', PEER, '["words"]'],
    ['closePeer', PEER],
  ])
  native.push({ t: 'remove', peer: PEER, reason: 'local' })
  await settled()
  assert.deepEqual(heard, ['disconnect false', 'remove', 'close', 'end', 'socket close'])
  assert.equal(peer.closed, true)
  assert.equal(peer.emit('x'), false)
  assert.equal(peer.socket.connected, false)
  assert.deepEqual([peer.remoteAddress, peer.remotePort], ['10.0.0.1', 99])
  assert.equal(native.sent().length, 2)
})

test('the socket of a peer sends lines', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const { socket } = peer
  const told = new Promise((resolve) => socket.send('my::path', { a: 1 }, resolve))
  socket.send(['x'], [1, 2])
  socket.send('x')
  socket.send('x', () => {})
  assert.equal(await told, undefined)
  assert.deepEqual(native.sent(), [
    ['line', PEER, '["my","path",{"a":1}]'],
    ['line', PEER, '["x",1,2]'],
    ['line', PEER, '["x",null]'],
    ['line', PEER, '["x",null]'],
  ])
  for (const path of [undefined, [], [1], 7]) {
    assert.throws(() => socket.send(path, 1), { code: 'ERR_SMOKE_ARGUMENT' })
  }
  assert.throws(() => socket.data('x'), { code: 'ERR_SMOKE_ARGUMENT' })
  const { remoteAddress, remotePort, host, port } = socket
  assert.deepEqual([remoteAddress, remotePort, host, port], ['10.0.0.1', 99, '10.0.0.1', 99])
  socket.end()
  assert.equal(peer.closed, true)
  const failed = new Promise((resolve) => socket.send('x', 1, resolve))
  assert.equal((await failed).code, 'ERR_SMOKE_CLOSED')
})
