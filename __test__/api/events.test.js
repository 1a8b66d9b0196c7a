'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { event, poll, quiet } = require('../support/wait')
const { collect, startNetwork, startPair } = require('../support/nodes')

const NAMES = [
  ...['data', 'error', 'end', 'close', 'message', 'drain', 'finish', 'pipe', 'unpipe'],
  ...['newListener', 'removeListener', '__proto__', 'constructor', 'toString', 'handshake'],
  ...['', '0', 'é\u2028\u{1f600}', '"quoted"\n\\', 'new peer', '::', '*', '\ud800'],
]

test('a broadcast reaches every other node once, and not its sender', async (t) => {
  const nodes = await startNetwork(t, 4)
  nodes[0].broadcast.on('chat', () => assert.fail('heard its own broadcast'))
  const all = nodes.slice(1).map((node) => collect(node.broadcast, 'chat', 100))
  const counts = nodes.map(() => 0)
  nodes.forEach((node, index) => {
    node.broadcast.on('chat', () => counts[index]++)
  })
  for (let n = 0; n < 100; n++) assert.equal(nodes[0].broadcast.emit('chat', n, { n }), true)
  const expected = Array.from({ length: 100 }, (_, n) => [n, { n }])
  for (const heard of await Promise.all(all)) assert.deepEqual(heard, expected)
  await quiet()
  assert.deepEqual(counts, [0, 100, 100, 100])
})

test('every event name arrives, by broadcast and between peers', async (t) => {
  const { a, b, toB, toA } = await startPair(t)
  const ways = [
    [a.broadcast, b.broadcast],
    [b.broadcast, a.broadcast],
    [toB, toA],
    [toA, toB],
  ]
  for (const [from, to] of ways) {
    const heard = []
    const over = collect(to, 'over', 1)
    for (const name of NAMES) {
      to.on(name, (...args) => typeof args[1] !== 'function' && heard.push([name, ...args]))
    }
    for (const name of NAMES) from.emit(name, name, 1)
    from.emit('over')
    await over
    assert.deepEqual(
      heard,
      NAMES.map((name) => [name, name, 1]),
    )
    to.removeAllListeners()
  }
})

test('arguments keep their JSON value', async (t) => {
  const { a, b } = await startPair(t)
  const heard = collect(b.broadcast, 'args', 1)
  const args = [
    ...[null, true, -0.5, 1e300, 2 ** 53 - 1, '', 'é\u2028\u{1f600}\u0000\ud800', []],
    ...[{ __proto__: null, '': { 10: 'x', 9: 'y' } }, [[[{ deep: [1] }]]]],
  ]
  const odd = [undefined, NaN, new Date(0), () => {}, { gone: undefined }]
  a.broadcast.emit('args', ...args, ...odd)
  assert.deepEqual(await heard, [
    [...args.slice(0, 8), { '': { 9: 'y', 10: 'x' } }, args[9]].concat([
      ...[null, null, '1970-01-01T00:00:00.000Z', null, {}],
    ]),
  ])
  const proto = collect(b.broadcast, 'proto', 1)
  a.broadcast.emit('proto', JSON.parse('{"__proto__":{"polluted":true}}'))
  const [[value]] = await proto
  assert.deepEqual(Object.keys(value), ['__proto__'])
  assert.equal({}.polluted, undefined)
})

test('buffers and typed arrays arrive as Buffers, at any depth', async (t) => {
  const { a, b, toB, toA } = await startPair(t)
  const views = [
    Buffer.from('buffer'),
    new Uint8Array([1, 2, 3]).subarray(1),
    new Float64Array([1.5]),
    new DataView(new ArrayBuffer(2)),
    new Uint8Array([7, 8]).buffer,
    Buffer.alloc(0),
  ]
  const expected = views.map((view) =>
    view instanceof ArrayBuffer
      ? Buffer.from(view)
      : Buffer.from(view.buffer, view.byteOffset, view.byteLength),
  )
  for (const [from, to] of [
    [a.broadcast, b.broadcast],
    [toA, toB],
  ]) {
    const heard = collect(to, 'binary', 1)
    from.emit('before')
    from.emit('binary', ...views, { deep: [{ view: views[0] }] }, 'text')
    const [args] = await heard
    assert.deepEqual(args, [...expected, { deep: [{ view: expected[0] }] }, 'text'])
    assert.ok(args.slice(0, 6).every((arg) => Buffer.isBuffer(arg)))
  }
})

test('events, attachments and chunks of one sender keep their order', async (t) => {
  const { a, b } = await startPair(t)
  const heard = []
  const over = collect(b.broadcast, 'over', 1)
  b.broadcast.on('event', (n) => heard.push(n))
  b.broadcast.on('rich', (n) => heard.push(n))
  b.broadcast.on('data', (chunk) => heard.push(Number(chunk)))
  for (let n = 0; n < 300; n += 3) {
    a.broadcast.emit('event', n)
    a.broadcast.emit('rich', n + 1, Buffer.from('x'))
    a.broadcast.write(String(n + 2))
  }
  a.broadcast.emit('over')
  await over
  assert.deepEqual(
    heard,
    Array.from({ length: 300 }, (_, n) => n),
  )
})

test('bytes of any size, many in one tick, arrive unchanged', async (t) => {
  const { a, b } = await startPair(t)
  const sizes = [0, 1, 7, 100, 1024, 8191, 8192, 8193, 16_384, 65_500, 65_536, 200_000]
  const all = [...sizes, ...[...sizes].reverse()]
  const bytes = (size) => Buffer.alloc(size, size % 251)
  const buffers = collect(b.broadcast, 'bytes', all.length)
  const chunks = []
  b.broadcast.on('data', (chunk) => chunks.push(chunk))
  const over = event(b.broadcast, 'over')
  const reused = Buffer.alloc(200_000)
  for (const size of all) {
    const one = reused.subarray(0, size).fill(size % 251)
    a.broadcast.emit('bytes', one)
  }
  for (const size of all) {
    const room = a.broadcast.write(bytes(size))
    if (!room) await event(a.broadcast, 'drain')
  }
  a.broadcast.emit('over')
  const heard = (await buffers).map(([buffer]) => buffer)
  await over
  assert.deepEqual(heard, all.map(bytes))
  assert.deepEqual(chunks, all.filter((size) => size > 0).map(bytes))
  // Typed arrays of any type may look at them.
  for (const { byteOffset } of heard) assert.equal(byteOffset % 8, 0)
  const small = heard.find(({ length }) => length === 100)
  const give = () => structuredClone(small.buffer, { transfer: [small.buffer] })
  try {
    give()
  } catch (error) {
    assert.equal(error.name, 'DataCloneError')
  }
  assert.deepEqual(heard, all.map(bytes), 'none went with another')
})

test('a message of a mebibyte arrives whole, one over the limit is refused', async (t) => {
  const { a, b, toB, toA } = await startPair(t)
  const text = 'é'.repeat(512 * 1024)
  const bytes = Buffer.alloc(1024 * 1024, 'x')
  for (const [from, to] of [
    [a.broadcast, b.broadcast],
    [toB, toA],
  ]) {
    const heard = collect(to, 'large', 2)
    const chunk = collect(to, 'data', 1)
    from.emit('large', text)
    from.emit('large', bytes)
    assert.deepEqual(await heard, [[text], [bytes]])
    from.write(bytes)
    const chunks = await chunk
    assert.deepEqual(Buffer.concat(chunks.flat()), bytes)
  }
  const tooLarge = { name: 'RangeError', code: 'ERR_SMOKE_TOO_LARGE' }
  assert.throws(() => a.broadcast.emit('large', 'x'.repeat(4 * 1024 * 1024)), tooLarge)
  assert.throws(() => toB.emit('large', Buffer.alloc(4 * 1024 * 1024)), tooLarge)
})

test('an argument that cannot be serialised throws at once, and nothing is sent', async (t) => {
  const { a, b } = await startPair(t)
  const heard = []
  b.broadcast.on('x', (...args) => heard.push(args))
  const over = collect(b.broadcast, 'over', 1)
  const cycle = {}
  cycle.self = cycle
  assert.throws(() => a.broadcast.emit('x', 1n), TypeError)
  assert.throws(() => a.broadcast.emit('x', cycle), TypeError)
  assert.throws(() => a.broadcast.emit(Symbol('x')), { code: 'ERR_SMOKE_BAD_EVENT' })
  a.broadcast.emit('over')
  await over
  assert.deepEqual(heard, [])
})

test('arguments nest at most 1000 deep, their list included', async (t) => {
  const { a, b, toA, toB } = await startPair(t)
  const nested = (depth) => JSON.parse(`${'[{"x":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}`)
  const tooDeep = { name: 'RangeError', code: 'ERR_SMOKE_ARGUMENT' }
  for (const [from, to] of [
    [a.broadcast, b.broadcast],
    [toA, toB],
  ]) {
    const heard = collect(to, 'deep', 4)
    const deep = nested(998)
    const sent = [[deep], [deep, 1], [deep, Buffer.from('x')]]
    for (const [first, ...rest] of sent) {
      from.emit('deep', first, ...rest)
      assert.throws(() => from.emit('deep', [[first]], ...rest), tooDeep)
    }
    const wide = Array(3000).fill(['\\"[['])
    from.emit('deep', wide)
    assert.deepEqual(await heard, [...sent, [wide]])
  }
})

test('a tick may hold more than the largest message', async (t) => {
  const { a, b } = await startPair(t, { maxMessageSize: 1024 })
  const count = 3000
  const heard = collect(b.broadcast, 'n', count)
  for (let n = 0; n < count; n++) a.broadcast.emit('n', n, 'x'.repeat(100))
  const numbers = (await heard).map(([number]) => number)
  assert.deepEqual(numbers, [...Array(count).keys()])
})

test('a burst of messages arrives in full and in order', async (t) => {
  const { a, b, toA, toB } = await startPair(t)
  const count = 20_000
  for (const [from, to] of [
    [a.broadcast, b.broadcast],
    [toA, toB],
  ]) {
    const heard = collect(to, 'n', count, 30_000)
    for (let n = 0; n < count; n++) from.emit('n', n, 'some text to make it a little longer')
    const numbers = (await heard).map(([n]) => n)
    assert.deepEqual(
      numbers,
      Array.from({ length: count }, (_, n) => n),
    )
  }
})

test('a sender that waits for drain can send without end', { timeout: 60_000 }, async (t) => {
  const { a, b } = await startPair(t)
  const count = 30
  const bytes = Buffer.alloc(3 * 1024 * 1024)
  const heard = []
  b.broadcast.on('n', (n, { length }) => heard.push([n, length]))
  let waits = 0
  for (let n = 0; n < count; n++) {
    const drained = event(a.broadcast, 'drain', 10_000)
    drained.catch(() => {})
    if (a.broadcast.emit('n', n, bytes)) continue
    waits++
    await drained
  }
  await poll(() => heard.length === count, 30_000, 'everything arrives')
  assert.deepEqual(
    heard,
    Array.from({ length: count }, (_, n) => [n, bytes.length]),
  )
  assert.ok(waits > 0, 'there was pressure')
})

test('a listener that a handler adds hears the next message', async (t) => {
  const { a, b } = await startPair(t)
  for (let round = 0; round < 50; round++) {
    const reply = new Promise((resolve) => {
      b.broadcast.once('hello', () => b.broadcast.once(`reply ${round}`, resolve))
    })
    a.broadcast.emit('hello')
    a.broadcast.emit(`reply ${round}`, round)
    assert.equal(await reply, round)
  }
})

test("a handler of add hears the peer's first message", async (t) => {
  const { a, b } = await startPair(t)
  for (let round = 0; round < 10; round++) {
    const gone = collect(b.peers, 'remove', 1)
    a.peers.list[0].close()
    await gone
    const word = new Promise((resolve) => {
      b.peers.once('add', (peer) => peer.once('first', resolve))
    })
    a.peers.once('add', (peer) => peer.emit('first', round))
    await a.addPeer('127.0.0.1', b.options.port)
    assert.equal(await word, round)
  }
})

test("lines with a custom path go to the peer's socket", async (t) => {
  const { toA, toB } = await startPair(t)
  const heard = new Promise((resolve) => toA.socket.data('my::path', resolve))
  toB.socket.send(['my', 'path'], { some: ['data'] })
  assert.deepEqual(await heard, { some: ['data'] })
})
