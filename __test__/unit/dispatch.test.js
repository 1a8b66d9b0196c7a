'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { ADDED, PEER, fakeNetwork, settled } = require('./fake-node')

/** Collects uncaught exceptions while the test runs. */
function captureUncaught(t) {
  const errors = []
  process.setUncaughtExceptionCaptureCallback((error) => errors.push(error.message))
  t.after(() => process.setUncaughtExceptionCaptureCallback(null))
  return errors
}

test('events go to the listeners of their channel, with their arguments spread', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const heard = []
  node.broadcast.on('chat', function (...args) {
    heard.push(['broadcast', this === node.broadcast, ...args])
  })
  peer.on('chat', function (...args) {
    heard.push(['peer', this === peer, ...args])
  })
  native.push([0, ['chat', 1, { a: [] }]], [PEER, ['chat']], [0, ['chat', null]], [9, ['chat']])
  await settled()
  assert.deepEqual(heard, [
    ['broadcast', true, 1, { a: [] }],
    ['peer', true],
    ['broadcast', true, null],
  ])
})

test('events of any number of arguments arrive in order, whatever their names', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const heard = []
  const names = ['a', 'b', 'c']
  for (const channel of [node.broadcast, peer]) {
    for (const name of names) {
      channel.on(name, (...args) => heard.push([channel === peer ? PEER : 0, [name, ...args]]))
    }
  }
  const all = ['text', 1.5, null, true, { a: [] }, [1, [2]], '', { a: [3] }]
  const counts = [0, 1, 2, 3, 4, 5, 6, 7, 8]
  const event = (name, count) => [name, ...all.slice(0, count)]
  const sent = [
    ...counts.map((count) => [0, event('a', count)]),
    ...counts.map((count) => [0, event(names[count % 3], 8 - count)]),
    ...counts.flatMap((count) => [0, PEER, 0].map((to) => [to, event('b', count)])),
    ...Array.from({ length: 20 }, (_, n) => [n % 4 ? 0 : PEER, event(names[n % 2], 1)]),
  ]
  native.push(...sent)
  while (heard.length < sent.length) await settled()
  assert.deepEqual(heard, sent)
})

test('attachments arrive as Buffers in their place', async (t) => {
  const { node, native } = await fakeNetwork(t)
  const heard = []
  node.broadcast.on('file', (...args) => heard.push(args))
  native.push(
    [0, { rich: ['file', { '\0b': 0 }], attachments: ['one'] }],
    [0, { rich: ['file', [{ '\0b': 1 }], { '\0b': 0 }], attachments: ['two', 'three'] }],
  )
  await settled()
  assert.deepEqual(heard, [[Buffer.from('one')], [[Buffer.from('three')], Buffer.from('two')]])
})

test('an error in a handler surfaces, and costs no other listener a message', async (t) => {
  const errors = captureUncaught(t)
  const { node, native, peer } = await fakeNetwork(t)
  const heard = []
  node.broadcast.on('n', (n) => {
    heard.push(n)
    if (n % 100 === 50) throw new Error(`broke at ${n}`)
  })
  peer.on('n', (n) => heard.push(n))
  native.push(...Array.from({ length: 300 }, (_, n) => [n % 3 === 0 ? PEER : 0, ['n', n]]))
  await settled()
  assert.deepEqual(
    heard,
    Array.from({ length: 300 }, (_, n) => n),
  )
  assert.deepEqual(errors, ['broke at 50', 'broke at 250'])
})

test('a listener added by a handler hears the messages behind the current one', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const heard = []
  node.broadcast.on('hello', () => {
    heard.push('hello')
    node.broadcast.once('reply', (n) => heard.push(`reply ${n}`))
    peer.on('late', () => heard.push('late'))
  })
  await settled()
  native.push(
    [0, ['reply', 0]],
    [0, ['hello']],
    [0, ['reply', 1]],
    [PEER, ['late']],
    [0, ['reply', 2]],
  )
  await settled()
  assert.deepEqual(heard, ['hello', 'reply 1', 'late'])
  assert.equal(native.rewinds, 1)
})

test('the same after the last message of a chunk, and when the handler throws', async (t) => {
  const errors = captureUncaught(t)
  const { node, native } = await fakeNetwork(t)
  const heard = []
  node.broadcast.on('hello', () => {
    node.broadcast.on('reply', (n) => heard.push(n))
    throw new Error('broke')
  })
  await settled()
  native.push([0, ['hello']], [0, ['reply', 1]], [0, ['reply', 2]])
  await settled()
  assert.deepEqual(heard, [1, 2])
  assert.deepEqual(errors, ['broke'])
})

test('the addon knows the events that have listeners', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const filter = async (channel) => {
    await settled()
    return native.filters.get(channel)
  }
  assert.deepEqual(await filter(0), { names: [], flags: 0 })
  assert.deepEqual(await filter(PEER), { names: [], flags: 0 })
  const listener = () => {}
  node.broadcast.on('__proto__', listener).on('b', listener)
  assert.deepEqual(await filter(0), { names: ['__proto__', 'b'], flags: 0 })
  node.broadcast.off('b', listener).on('data', listener)
  assert.deepEqual(await filter(0), { names: ['__proto__', 'data'], flags: 1 })
  node.broadcast.removeAllListeners()
  assert.deepEqual(await filter(0), { names: [], flags: 0 })
  node.broadcast.stream.on('data', listener)
  assert.deepEqual(await filter(0), { names: [], flags: 1 })
  node.broadcast.stream.removeAllListeners('data')
  assert.deepEqual(await filter(0), { names: [], flags: 0 })
  peer.socket.data('a::b', listener)
  assert.deepEqual(await filter(PEER), { names: [], flags: 2 })
  peer.socket.undata('a::b', listener)
  assert.deepEqual(await filter(PEER), { names: [], flags: 0 })
})

test('the addon learns of a new listener at once, and only of the change', async (t) => {
  const { node, native } = await fakeNetwork(t)
  await settled()
  native.setFilter = () => assert.fail('all names were told anew')
  const listener = () => {}
  for (let n = 0; n < 100; n++) node.broadcast.on(`name ${n}`, listener)
  assert.equal(native.filters.get(0).names.length, 100)
  for (let n = 1; n < 100; n++) node.broadcast.off(`name ${n}`, listener)
  await settled()
  assert.deepEqual(native.filters.get(0), { names: ['name 0'], flags: 0 })
})

test('a long queue is handled in turns, with other work in between', async (t) => {
  const { node, native } = await fakeNetwork(t)
  let heard = 0
  node.broadcast.on('n', () => heard++)
  await settled()
  native.push(...Array.from({ length: 5000 }, (_, n) => [0, ['n', n]]))
  let turns = 0
  while (heard < 5000) {
    await new Promise(setImmediate)
    turns++
  }
  // At most eight chunks of a hundred per turn.
  assert.ok(turns >= 6, `${turns} turns`)
})

test('slow handlers do not delay timers until the end of a chunk', async (t) => {
  const { node, native } = await fakeNetwork(t)
  let heard = 0
  let heardByTimer
  node.broadcast.on('n', () => {
    heard++
    const end = performance.now() + 1
    while (performance.now() < end);
  })
  await settled()
  setTimeout(() => {
    heardByTimer = heard
  }, 1)
  native.push(...Array.from({ length: 99 }, (_, n) => [0, ['n', n]]))
  while (heard < 99) await settled()
  assert.ok(heardByTimer < 99, `${heardByTimer} before the timer`)
})

test('nothing from a peer arrives after its removal, even from the same chunk', async (t) => {
  const { node, native, peer } = await fakeNetwork(t)
  const heard = []
  peer.on('n', (n) => {
    heard.push(n)
    if (n === 2) peer.close()
  })
  node.peers.on('remove', ({ id }) => heard.push(`remove ${id}`))
  native.push([PEER, ['n', 1]], [PEER, ['n', 2]], [PEER, ['n', 3]])
  native.push({ t: 'remove', peer: PEER, reason: 'local' })
  await settled()
  assert.deepEqual(heard, [1, 2, 'remove abc'])
})

test('a handler of add can listen before anything from the peer arrives', async (t) => {
  const { node, native } = await fakeNetwork(t)
  const heard = []
  node.peers.on('add', (peer) => peer.on('first', (word) => heard.push(word)))
  native.push({ ...ADDED, peer: 8, id: 'def' }, [8, ['first', 'word']])
  await settled()
  assert.deepEqual(heard, ['word'])
})

test('lines go to the listeners of their path', async (t) => {
  const { native, peer } = await fakeNetwork(t)
  const heard = []
  const { socket } = peer
  socket.data(['my', 'path'], (data) => heard.push(['path', data]))
  socket.data('my::*', (data) => heard.push(['any', data]))
  socket.dataOnce('my::path', (data) => heard.push(['once', data]))
  native.push([PEER, { line: ['my', 'path', 1] }], [PEER, { line: ['my', 'path', { a: 2 }] }])
  native.push([PEER, { line: ['my', 'other', 3] }], [PEER, { line: ['my', 4] }])
  await settled()
  assert.deepEqual(heard, [
    ['path', 1],
    ['any', 1],
    ['once', 1],
    ['path', { a: 2 }],
    ['any', { a: 2 }],
    ['any', 3],
  ])
})

test('missed messages cause events, and messages lost here are logged', async (t) => {
  const warnings = []
  const { native, node } = await fakeNetwork(t, { logger: { warn: (line) => warnings.push(line) } })
  const missed = []
  node.on('lost', (drop) => missed.push(['lost', drop]))
  node.on('skipped', (gap) => missed.push(['skipped', gap]))
  node.on('undelivered', (loss) => missed.push(['undelivered', loss]))
  native.push(
    { t: 'lost', count: 3, chunks: [] },
    { t: 'skipped', id: 'abc', count: 4, chunks: false },
    { t: 'joined', member: 2 ** 31, id: 'm', address: '10.0.0.1', port: 1, body: '{}' },
    { t: 'undelivered', member: 2 ** 31, count: 5 },
    { t: 'undelivered', member: 2 ** 31 + 1, count: 6 },
  )
  await settled()
  assert.deepEqual(missed, [
    ['lost', { count: 3 }],
    ['skipped', { id: 'abc', count: 4 }],
    ['undelivered', { id: 'm', count: 5 }],
  ])
  assert.deepEqual(warnings, ['3 messages were dropped: handlers are too slow'])
})
