'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const { fakeNetwork, fakeNode, settled } = require('./fake-node')

const DIRECT = 2 ** 32 - 1
const BROADCAST = 0
// The addon's results for a message.
const [PRESSED, OVERLOADED, CLOSED] = [1, 2, 3]

/** The handle of member number `n`, and the addon's notice about it. */
const handle = (n) => 2 ** 31 + n
const told = (t, n, { m, h } = {}, rest = {}) => {
  const body = JSON.stringify({ m, h })
  return {
    t,
    member: handle(n),
    id: `m${n}`,
    address: '10.0.0.1',
    port: n,
    body,
    legacy: false,
    ...rest,
  }
}

/** A node in a network of `count` others. */
async function withMembers(t, count, options) {
  const network = await fakeNetwork(t, options)
  for (let n = 1; n <= count; n++) network.native.push(told('joined', n))
  await settled()
  return network
}

/** The messages sent since the last call: [handle, message], parsed. */
function sent(native) {
  return native.sent().flatMap(([, channel, text, attachments]) => {
    return text
      .split('\n')
      .map((json) => [channel, JSON.parse(json), ...(attachments ? [attachments] : [])])
  })
}

test('members join, change and leave; the node itself is one of them', async (t) => {
  const { node, native } = await fakeNetwork(t, { meta: { zone: 1 } })
  const heard = []
  for (const event of ['join', 'update', 'leave']) {
    node.members.on(event, (member) => heard.push([event, member, node.members.get(member.id)]))
  }
  assert.equal(node.members.size, 1)
  const { self, meta, handles, address, port } = node.members.get(node.id)
  assert.deepEqual(
    { self, meta, handles, address, port },
    {
      self: true,
      meta: { zone: 1 },
      handles: [],
      address: '127.0.0.1',
      port: 4000,
    },
  )
  native.push(told('joined', 1, { m: [1], h: ['sum'] }))
  native.push({ ...told('joined', 2), legacy: true })
  native.push(told('updated', 1, { m: [2] }))
  native.push({ t: 'left', member: handle(1) }, { t: 'left', member: handle(9) })
  await settled()
  const first = heard[0][1]
  assert.deepEqual(first, {
    id: 'm1',
    address: '10.0.0.1',
    port: 1,
    meta: [1],
    handles: ['sum'],
    legacy: false,
    self: false,
  })
  assert.throws(() => first.handles.push('x'), TypeError)
  assert.deepEqual(
    heard.map(([event, { id, meta }, now]) => [event, id, meta, now?.meta]),
    [
      ['join', 'm1', [1], [1]],
      ['join', 'm2', undefined, undefined],
      ['update', 'm1', [2], [2]],
      ['leave', 'm1', [2], undefined],
    ],
  )
  assert.deepEqual([...node.members.keys()], [node.id, 'm2'])
  assert.equal(node.members.get('m2').legacy, true)
})

test("a member's record can be anything", async (t) => {
  const { node, native } = await fakeNetwork(t)
  const bodies = ['', '{', 'null', '7', '[]', '{"h":7}', '{"h":[1]}', '{"h":["x","x"],"m":null}']
  for (const [n, body] of bodies.entries()) native.push({ ...told('joined', n), body })
  await settled()
  assert.equal(node.members.size, bodies.length + 1)
  const handles = bodies.map((_, n) => node.members.get(`m${n}`).handles)
  assert.deepEqual(handles, [[], [], [], [], [], [], [], ['x']])
  for (const n of bodies.keys()) native.push({ t: 'left', member: handle(n) })
  await settled()
  assert.equal(node.members.size, 1)
})

test('to() sends to one member or several, and throws if one is missing', async (t) => {
  const { node, native } = await withMembers(t, 2)
  assert.equal(node.to('m1').emit('ev', 1, { two: [3] }), true)
  assert.equal(node.to(['m1', 'm2']).emit('both', Buffer.from('x')), true)
  await settled()
  assert.deepEqual(sent(native), [
    [handle(1), ['ev', 1, { two: [3] }]],
    [handle(1), ['both', { '\0b': 0 }], ['x']],
    [handle(2), ['both', { '\0b': 0 }], ['x']],
  ])
  assert.deepEqual(native.together, [[handle(1), handle(2)]])
  native.push({ ...told('joined', 3), legacy: true })
  await settled()
  for (const ids of ['nobody', ['m1', 'nobody'], 'm3']) {
    const unknown = [ids].flat().filter((id) => id !== 'm1')
    assert.throws(() => node.to(ids).emit('ev'), { code: 'ERR_SMOKE_UNREACHABLE', ids: unknown })
  }
  const target = node.to('m2')
  native.push({ t: 'left', member: handle(2) })
  await settled()
  assert.throws(() => target.emit('ev'), { code: 'ERR_SMOKE_UNREACHABLE' })
  native.push({ ...told('joined', 2), member: handle(7) })
  await settled()
  target.emit('back')
  assert.deepEqual(sent(native), [[handle(7), ['back']]])
})

test('mistakes in a call are thrown', async (t) => {
  const { node } = await withMembers(t, 1)
  for (const name of [undefined, 7, Symbol('x'), '\0q', '\0']) {
    for (const call of ['emit', 'emitWithAck']) {
      assert.throws(() => node.to('m1')[call](name), { code: 'ERR_SMOKE_BAD_EVENT' })
    }
    assert.throws(() => node.request(name), { code: 'ERR_SMOKE_BAD_EVENT' })
    assert.throws(() => node.handle(name, () => {}), { code: 'ERR_SMOKE_BAD_EVENT' })
  }
  for (const ms of [0, -1, 2 ** 31, Infinity, NaN, '5', undefined]) {
    for (const asking of [node, node.broadcast, node.to('m1')]) {
      assert.throws(() => asking.timeout(ms), { code: 'ERR_SMOKE_ARGUMENT' })
    }
  }
  assert.throws(() => node.signal(7), { code: 'ERR_SMOKE_ARGUMENT' })
  for (const id of [undefined, 7, null, [7]]) {
    assert.throws(() => node.to(id), { code: 'ERR_SMOKE_ARGUMENT' })
  }
  assert.throws(() => node.handle('x'), { code: 'ERR_SMOKE_ARGUMENT' })
  node.handle('x', () => {})
  assert.throws(() => node.handle('x', () => {}), { code: 'ERR_SMOKE_ARGUMENT' })
  assert.throws(() => node.to('m1').emit('x', 'y'.repeat(2 ** 23)), { code: 'ERR_SMOKE_TOO_LARGE' })
  assert.throws(() => node.to('m1').emit('x', 1n), TypeError)
  for (const options of [{ members: 0 }, { members: 'x' }, { timeout: 0 }, { signal: 7 }]) {
    assert.throws(() => node.ready(options), { code: 'ERR_SMOKE_ARGUMENT' })
  }
})

test('what is sent to several keeps its place among what is sent to one, and crosses together', async (t) => {
  const { node, native } = await withMembers(t, 3)
  const [one, both, others] = [node.to('m1'), node.to(['m1', 'm2']), node.to(['m2', 'm3'])]
  for (let n = 0; n < 3; n++) {
    one.emit('one', n)
    both.emit('both', n)
    others.emit('others', n)
  }
  both.emit('both', 3)
  both.emit('rich', Buffer.from('x'))
  both.emit('both', 4)
  one.emit('one', 3)
  others.emit('others', 3)
  others.emit('others', 4)
  await settled()
  const all = sent(native)
  const heard = (n) => {
    const lines = all.filter(([channel]) => channel === handle(n))
    return lines.map(([, [event, number]]) => `${event} ${Number.isInteger(number) ? number : '-'}`)
  }
  const rich = ['both 3', 'rich -', 'both 4']
  assert.deepEqual(heard(1), [
    ...['one 0', 'both 0', 'one 1', 'both 1', 'one 2', 'both 2'],
    ...rich,
    'one 3',
  ])
  assert.deepEqual(heard(2), [
    ...['both 0', 'others 0', 'both 1', 'others 1', 'both 2', 'others 2'],
    ...rich,
    ...['others 3', 'others 4'],
  ])
  assert.deepEqual(
    heard(3),
    [0, 1, 2, 3, 4].map((n) => `others ${n}`),
  )
  // Batches: the last two of `others` are one.
  assert.equal(native.together.length, 3 + 3 + 2 + 1 + 1)
})

test("'drain' comes when there is room again, and when there is no use in waiting", async (t) => {
  const { node, native } = await withMembers(t, 3)
  native.outcomes = [PRESSED]
  assert.equal(node.to('m1').emit('x'), false)
  const drained = once(node.to('m1'), 'drain')
  native.push({ t: 'drain', peer: handle(1) })
  await drained

  // For all of them together, and then for each.
  native.outcomes = [0, PRESSED, OVERLOADED, 0, PRESSED, OVERLOADED]
  const several = node.to(['m1', 'm2', 'm3'])
  let drains = 0
  several.on('drain', () => drains++)
  await settled()
  assert.equal(several.emit('y'), false)
  native.push({ t: 'drain', peer: handle(2) })
  await settled()
  assert.equal(drains, 0)
  native.sent()
  native.push({ t: 'drain', peer: handle(3) })
  await settled()
  assert.equal(drains, 1)
  assert.deepEqual(sent(native), [[handle(3), ['y']]])

  native.outcomes = [CLOSED]
  const gone = node.to('m1')
  assert.equal(gone.emit('z'), false)
  const left = once(gone, 'drain')
  native.push({ t: 'left', member: handle(1) })
  await left
})

test('direct listeners get the sender first, for every event', async (t) => {
  const { node, native } = await withMembers(t, 2)
  const heard = []
  node.direct.on('ev', ({ from }, a, b) => heard.push([from, a, b]))
  await settled()
  native.push([handle(1), ['ev', 1]], [handle(2), ['ev', 1, { from: 'm1' }, { from: 'm1' }]])
  native.push([handle(2), { rich: ['ev', { '\0b': 0 }], attachments: ['x'] }])
  native.push([handle(1), ['error', new Error('remote')]], [handle(1), ['nobody', 1]])
  await settled()
  assert.deepEqual(heard, [
    ['m1', 1, undefined],
    ['m2', 1, { from: 'm1' }],
    ['m2', Buffer.from('x'), undefined],
  ])
})

test('the addon gets the names that are listened for from members', async (t) => {
  const { node, native } = await fakeNetwork(t)
  const names = () => native.filters.get(DIRECT).names.filter((name) => !name.startsWith('\0'))
  const [one, two] = [() => {}, () => {}]
  node.direct.on('a', one).once('b', two).prependListener('c', one)
  await settled()
  assert.deepEqual(names().sort(), ['a', 'b', 'c'])
  node.direct.off('a', one).off('c', one)
  node.direct.on('c', one)
  await settled()
  assert.deepEqual(names().sort(), ['b', 'c'])
  native.push(told('joined', 1), [handle(1), ['b']])
  await settled()
  assert.deepEqual(names(), ['c'])
  node.direct.removeAllListeners()
  await settled()
  assert.deepEqual(names(), [])
  assert.equal(native.filters.get(DIRECT).names.length, 4)
})

test('a request and its answer have the expected form', async (t) => {
  const { node, native } = await withMembers(t, 1)
  const asked = node.to('m1').timeout(700).emitWithAck('sum', 1, Buffer.from('x'))
  const [[channel, [kind, [number, ms, name, args]]]] = sent(native)
  assert.deepEqual(
    [channel, kind, ms, name, args],
    [handle(1), '\0q', 700, 'sum', [1, { '\0b': 0 }]],
  )
  native.push([handle(1), ['\0a', [number, { three: 3 }]]])
  assert.deepEqual(await asked, { three: 3 })

  node.handle('double', (_, x) => 2 * x)
  native.push([handle(1), ['\0q', [7, 1000, 'double', [4]]]])
  await settled()
  assert.deepEqual(sent(native).slice(-1), [[handle(1), ['\0a', [7, 8]]]])
})

test('requests go to the nodes with a handler in turn, and to the next if one refuses', async (t) => {
  const { node, native } = await fakeNetwork(t)
  await assert.rejects(node.request('x'), { code: 'ERR_SMOKE_NO_HANDLER' })
  for (const n of [1, 2, 3]) native.push(told('joined', n, { h: ['x'] }))
  native.push(told('joined', 4, { h: ['y'] }))
  await settled()
  const asked = [1, 2, 3, 4].map(() => node.request('x'))
  await settled()
  const requests = sent(native)
  assert.deepEqual(
    requests.map(([channel]) => channel),
    [1, 2, 3, 1].map(handle),
  )
  for (const [channel, [, [number]]] of requests) native.push([channel, ['\0a', [number, channel]]])
  assert.deepEqual(await Promise.all(asked), [1, 2, 3, 1].map(handle))

  const retried = assert.rejects(node.request('x'), { code: 'ERR_SMOKE_OVERLOADED', from: 'm1' })
  const tried = []
  for (const reason of [1, 1, 2]) {
    const [[channel, [, [number]]]] = sent(native)
    tried.push(channel)
    native.push([channel, ['\0e', [number, reason]]])
    await settled()
  }
  await retried
  assert.deepEqual(tried, [2, 3, 1].map(handle))
  // A request whose handler threw was handled, and is not repeated.
  const failed = assert.rejects(node.request('x'), { code: 'ERR_SMOKE_REMOTE' })
  const [[channel, [, [number]]]] = sent(native)
  native.push([channel, ['\0e', [number, 0, 'E', 'no']]])
  await failed
  assert.deepEqual(sent(native), [])
})

test('one broadcast asks all nodes', async (t) => {
  const { node, native } = await withMembers(t, 2)
  native.push({ ...told('joined', 3), legacy: true }, told('joined', 4))
  for (const n of [1, 2]) native.push(told('updated', n, { h: ['ping'] }))
  await settled()
  const asked = node.broadcast.emitWithAck('ping', 1)
  const [[channel, [, payload]]] = sent(native)
  const [number, ms, ...rest] = payload
  assert.deepEqual([channel, ms, rest], [BROADCAST, 5000, ['ping', [1], node.id]])
  native.push([handle(1), ['\0a', [number, 'pong']]], { t: 'left', member: handle(2) })
  const { replies, missing, errors } = await asked
  assert.deepEqual([[...replies], missing], [[['m1', 'pong']], ['m4', 'm2']])
  assert.equal(errors.get('m4').code, 'ERR_SMOKE_NO_HANDLER')
  await node.broadcast.emitWithAck('nothing')
  assert.deepEqual(sent(native), [], 'nobody handles it')
  assert.equal(errors.get('m2').code, 'ERR_SMOKE_UNREACHABLE')
})

test('a node answers a broadcast request only to the member that it names', async (t) => {
  const { node, native } = await withMembers(t, 1)
  const names = async () => {
    await settled()
    return native.filters.get(BROADCAST).names
  }
  assert.deepEqual(await names(), [])
  node.handle('ping', () => 'pong')
  assert.deepEqual(await names(), ['\0q'])
  native.sent()
  const ask = (...from) => native.push([BROADCAST, ['\0q', [7, 1000, 'ping', [], ...from]]])
  ask('m1')
  for (const from of ['stranger', node.id, 7, null]) ask(from)
  ask()
  native.push([BROADCAST, ['\0q', 'nonsense']], [BROADCAST, ['\0q', null]])
  await settled()
  assert.deepEqual(sent(native), [[handle(1), ['\0a', [7, 'pong']]]])
  node.unhandle('ping')
  assert.deepEqual(await names(), [])
})

test('all members learn of handlers and meta, within bounds', async (t) => {
  const { node, native } = fakeNode({ meta: 'first' })
  node.handle('a', () => {})
  node.start()
  t.after(() => {
    native.push({ t: 'stopped' })
    return node.stop()
  })
  const [, { body, members, meta }] = native.calls.find(([call]) => call === 'start')
  assert.deepEqual([JSON.parse(body), members, meta], [{ m: 'first', h: ['a'] }, true, undefined])
  native.push({ t: 'listening', port: 1 })
  await settled()
  native.calls = []
  assert.equal(
    node.handle('b', () => {}),
    node,
  )
  assert.equal(node.unhandle('a'), true)
  assert.equal(node.unhandle('a'), false)
  node.setMeta({ second: 2 })
  const bodies = native.calls
    .filter(([call]) => call === 'setBody')
    .map(([, text]) => JSON.parse(text))
  assert.deepEqual(bodies, [
    { m: 'first', h: ['a', 'b'] },
    { m: 'first', h: ['b'] },
    { m: { second: 2 }, h: ['b'] },
  ])
  assert.deepEqual(node.members.get(node.id).meta, { second: 2 })
  assert.deepEqual(node.options.meta, { second: 2 })

  assert.throws(() => node.setMeta('x'.repeat(511)), {
    name: 'RangeError',
    code: 'ERR_SMOKE_ARGUMENT',
  })
  assert.throws(() => node.setMeta(() => {}), { name: 'TypeError', code: 'ERR_SMOKE_ARGUMENT' })
  node.setMeta('x'.repeat(510))
  const long = 'y'.repeat(1000)
  node.handle(long, () => {})
  assert.throws(() => node.handle('y'.repeat(20), () => {}), { code: 'ERR_SMOKE_ARGUMENT' })
  const text = native.calls.at(-1)[1]
  assert.ok(Buffer.byteLength(text) <= 2048, `${text.length}`)
  for (const meta of ['x'.repeat(511), () => {}, Symbol('x')]) {
    assert.throws(() => fakeNode({ meta }), { code: 'ERR_SMOKE_OPTION', option: 'meta' })
  }
  assert.throws(() => fakeNode({ members: 'no' }), { code: 'ERR_SMOKE_OPTION', option: 'members' })
})

test('ready() waits for members, for a time, for a signal, and not beyond stop()', async () => {
  const { node, native } = fakeNode()
  const two = node.ready()
  const three = node.ready({ members: 3 })
  const controller = new AbortController()
  const failing = [
    [node.ready({ members: 9, timeout: 1 }), 'ERR_SMOKE_TIMEOUT'],
    [node.ready({ members: 9, signal: controller.signal }), 'ABORT_ERR'],
  ].map(([promise, code]) => assert.rejects(promise, { code }))
  controller.abort()
  await Promise.all(failing)
  node.start()
  native.push({ t: 'listening', port: 1 }, told('joined', 1))
  await two
  let isThere = false
  three.then(() => {
    isThere = true
  })
  await settled()
  assert.equal(isThere, false)
  native.push(told('joined', 2))
  await three
  await node.ready({ members: 3 })
  const never = assert.rejects(node.ready({ members: 4 }), { code: 'ERR_SMOKE_STOPPED' })
  const stopped = node.stop()
  native.push({ t: 'stopped' })
  await Promise.all([never, stopped])
})

test('a message to the node itself arrives like any other, later, as a copy', async (t) => {
  const { node } = await fakeNetwork(t)
  const heard = []
  node.direct.on('ev', (...args) => heard.push(args))
  const bytes = Buffer.from('x')
  const object = { a: 1, drop: undefined }
  assert.equal(node.to(node.id).emit('ev', object, bytes), true)
  bytes[0] = 0
  object.a = 2
  assert.deepEqual(heard, [])
  await settled()
  assert.deepEqual(heard, [[{ from: node.id, authenticated: true }, { a: 1 }, Buffer.from('x')]])
  node.handle('sum', ({ from }, a, b) => [from, a + b])
  assert.deepEqual(await node.request('sum', 1, 2), [node.id, 3])

  const target = node.to(node.id)
  const large = 'x'.repeat(600_000)
  assert.deepEqual([target.emit('ev', large), target.emit('ev', large)], [true, false])
  await once(target, 'drain')
  assert.throws(
    () => {
      for (let n = 0; n < 20; n++) target.emit('ev', large)
    },
    { code: 'ERR_SMOKE_OVERLOADED' },
  )
})

test('stop() rejects pending requests, sends earlier messages, and removes all members', async (t) => {
  const { node, native } = await withMembers(t, 1)
  const left = []
  node.members.on('leave', ({ id }) => left.push(id))
  native.push(told('updated', 1, { h: ['x'] }))
  await settled()
  node.to('m1').emit('first')
  node.to('m1').emit('last')
  const waiting = [node.to('m1').emitWithAck('x'), node.broadcast.emitWithAck('x')]
  const stopped = node.stop()
  for (const promise of waiting) await assert.rejects(promise, { code: 'ERR_SMOKE_STOPPED' })
  assert.deepEqual(
    sent(native).filter(([, [name]]) => !name.startsWith('\0')),
    [
      [handle(1), ['first']],
      [handle(1), ['last']],
    ],
  )
  assert.throws(() => node.to('m1').emit('x'), { code: 'ERR_SMOKE_STOPPED' })
  await assert.rejects(node.to('m1').emitWithAck('x'), { code: 'ERR_SMOKE_STOPPED' })
  await assert.rejects(node.broadcast.emitWithAck('x'), { code: 'ERR_SMOKE_STOPPED' })
  native.push({ t: 'stopped' })
  await stopped
  assert.deepEqual([left, node.members.size], [['m1'], 0])
})
