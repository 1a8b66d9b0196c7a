'use strict'

// Flooding on the legacy wire: packets, hashes, forwarding, and frames no legacy node may get.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { heard, startOwn } = require('../support/nodes')
const { poll, quiet } = require('../support/wait')
const { hashIsRight, join, md5, packet } = require('../support/wire')

/** A node with three scripted legacy peers. */
async function star(t, options) {
  const node = await startOwn(t, options)
  const wires = []
  for (const id of ['a', 'b', 'c']) {
    const wire = await join(node.options.port, id)
    t.after(() => wire.destroy())
    wires.push(wire)
  }
  await poll(() => node.peers.list.length === 3, 5000, 'three peers')
  return [node, ...wires]
}

const packets = (wire) => wire.of('broadcast').map(([one]) => one)

/** Sends one more event through the same link and waits until it came out at the other end. */
async function flush(node, from, to) {
  const last = from.broadcast(from.id, ['chat', 'flush'])
  await to.until(() => packets(to).some(({ id }) => id === last.id), 5000, 'flush')
  await poll(() => heard(node).some(([, text]) => text === 'flush'), 5000, 'flush is heard')
  return last
}

describe('a packet', () => {
  test('is heard once and forwarded once to all but the one it came from', async (t) => {
    const [node, a, b, c] = await star(t)
    const sent = a.broadcast('far', ['chat', 1, { two: 2 }, [null]])
    await b.next('broadcast')
    await c.next('broadcast')
    a.send('broadcast', sent)
    b.send('broadcast', sent)
    c.send('broadcast', sent)
    const last = await flush(node, a, b)
    await c.until(() => packets(c).length === 2, 5000)
    await quiet()
    assert.deepEqual([packets(a), packets(b), packets(c)], [[], [sent, last], [sent, last]])
    assert.deepEqual(heard(node), [
      ['chat', 1, { two: 2 }, [null]],
      ['chat', 'flush'],
    ])
  })

  test('keeps fields that nobody knows', async (t) => {
    const [, a, b] = await star(t)
    const sent = { ...packet('far', ['chat', 'x']), ttl: 7, ключ: { deep: [1, 'two', null] } }
    a.send('broadcast', sent)
    assert.deepEqual(await b.next('broadcast'), [sent])
  })

  test('with a wrong hash is dropped; the link stays, and the genuine packet is accepted', async (t) => {
    const [node, a, b] = await star(t)
    const genuine = packet('far', ['chat', 'genuine'])
    a.send('broadcast', { ...genuine, data: ['chat', 'forged'] })
    a.send('broadcast', { ...genuine, data: 'Zm9yZ2Vk' })
    a.send('broadcast', genuine)
    const last = await flush(node, a, b)
    assert.deepEqual(packets(b), [genuine, last])
    assert.deepEqual(heard(node), [
      ['chat', 'genuine'],
      ['chat', 'flush'],
    ])
    assert.deepEqual(node.seen.chunks, [])
    assert.equal(a.ended, false)
  })

  test('that JavaScript would spell otherwise is accepted with either hash', async (t) => {
    const [node, a, b] = await star(t)
    const raw = '["chat", 1.0, 1e2, "\\u0041\\/", {"b":1, "2":"x", "1":"y"}]'
    const canonical = JSON.stringify(JSON.parse(raw))
    const ids = [`far-u1-${md5(canonical)}`, `far-u2-${md5(raw)}`]
    for (const id of ids) a.raw(`["smoke","broadcast",{"id":"${id}","data":${raw}}]\n`)
    const last = await flush(node, a, b)
    const event = JSON.parse(raw)
    assert.deepEqual(heard(node), [event, event, ['chat', 'flush']])
    // What an old node would take must arrive there so that it takes it.
    const forwarded = packets(b)
    assert.deepEqual(forwarded[0], { id: ids[0], data: event })
    assert.ok(hashIsRight(forwarded[0]))
    assert.deepEqual(forwarded.at(-1), last)
  })

  test('of the node itself that returns is neither heard nor forwarded', async (t) => {
    const [node, a, b, c] = await star(t)
    node.broadcast.emit('chat', 'mine')
    const [own] = await a.next('broadcast')
    await b.next('broadcast')
    await c.next('broadcast')
    a.send('broadcast', own)
    b.send('broadcast', own)
    const last = await flush(node, a, b)
    await c.until(() => packets(c).length === 2, 5000)
    assert.deepEqual(
      [packets(b), packets(c)],
      [
        [own, last],
        [own, last],
      ],
    )
    assert.deepEqual(heard(node), [['chat', 'flush']])
  })

  test('with no proper id or data is neither heard nor forwarded, and breaks nothing', async (t) => {
    const [node, a, b] = await star(t)
    const good = packet('far', ['chat', 'x'])
    const nulls = `far-u-${md5('null')}`
    const bad = [
      { ...good, id: 7 },
      { ...good, id: null },
      { ...good, id: [good.id] },
      { ...good, id: { toString: 1 } },
      { ...good, id: '' },
      { ...good, id: 'nodashes' },
      { ...good, id: `-${md5(JSON.stringify(good.data))}` },
      { data: good.data },
      { id: good.id },
      { id: nulls, data: null },
      { id: `far-u-${md5('{}')}`, data: {} },
      { id: `far-u-${md5('[]')}`, data: [] },
      { id: `far-u-${md5('[7]')}`, data: [7] },
      'text',
      7,
    ]
    for (const one of bad) a.raw(`${JSON.stringify(['smoke', 'broadcast', one])}\n`)
    a.raw('["smoke","broadcast",null]\n')
    const last = await flush(node, a, b)
    await quiet(100)
    const forwarded = packets(b)
    assert.deepEqual(heard(node), [['chat', 'flush']])
    // Legacy nodes may be sent what they survive: data that is no event, with a right hash.
    const harmless = forwarded.filter(
      (one) => typeof one?.id === 'string' && one.data && hashIsRight(one),
    )
    assert.deepEqual(forwarded, harmless)
    assert.deepEqual(forwarded.at(-1), last)
  })
})

describe('a message of the application', () => {
  const awkward = [
    ['numbers', 1e21, 1e-7, 0.1, -0, 123456789012345680000, 2 ** 53, 5e-324, Infinity, Number.NaN],
    ['keys', { b: 1, 2: 'two', a: 2, 1: 'one', '-1': 0, '01': 1, '': '' }],
    ['text', 'é \u2028\u2029 👋 \u007f \b\f\n\r\t\u0001 "\\/ </script>', '\ud800 alone', '\udc00'],
    ['values', undefined, null, true, [undefined], { gone: undefined }, new Date(0)],
    ['proto', JSON.parse('{"__proto__":{"x":1},"constructor":2}')],
    ['name with spaces, ünïcode and "quotes"', []],
    ['alone'],
  ]

  test('has the hash a legacy node computes, whatever is in it', async (t) => {
    const [node, a, b, c] = await star(t)
    for (const event of awkward) node.broadcast.emit(...event)
    const expected = JSON.parse(JSON.stringify(awkward))
    for (const wire of [a, b, c]) {
      await wire.until(() => packets(wire).length === awkward.length, 5000)
      const got = packets(wire)
      assert.deepEqual(
        got.map(({ data }) => data),
        expected,
      )
      for (const one of got) {
        assert.ok(hashIsRight(one), JSON.stringify(one))
        assert.match(one.id, new RegExp(`^${node.id}-[0-9a-z]+-[0-9a-f]{32}$`))
        assert.deepEqual(Object.keys(one), ['id', 'data'])
      }
    }
    assert.equal(new Set(packets(a).map(({ id }) => id)).size, awkward.length)
  })

  test('is base64 text when it is a stream chunk, and such text is a chunk', async (t) => {
    const [node, a, b] = await star(t)
    node.broadcast.write('héllo')
    node.broadcast.write(Buffer.from([0, 255, 10]))
    await a.until(() => packets(a).length === 2, 5000)
    assert.deepEqual(
      packets(a).map(({ data }) => data),
      ['aMOpbGxv', 'AP8K'],
    )
    assert.ok(packets(a).every(hashIsRight))
    const sent = a.broadcast('far', Buffer.from('zurück').toString('base64'))
    await poll(() => node.seen.chunks.length === 1, 5000, 'the chunk')
    await b.until(() => packets(b).length === 3, 5000)
    assert.deepEqual([node.seen.chunks, packets(b).at(-1)], [['zurück'], sent])
  })

  test('named "error" is neither sent nor forwarded to legacy nodes, which it would crash', async (t) => {
    const [node, a, b, c] = await star(t)
    const errors = []
    node.broadcast.on('error', (...args) => errors.push(args))
    node.broadcast.emit('error', 'ours')
    a.broadcast('far', ['error', 'theirs'])
    const last = await flush(node, a, b)
    await c.until(() => packets(c).length === 1, 5000)
    assert.deepEqual([packets(a), packets(b), packets(c)], [[], [last], [last]])
    assert.deepEqual(errors, [['theirs']])
  })

  test('is kept from a 0.1 node when it is a stream chunk, which would crash it', async (t) => {
    const [node, a, b, c] = await star(t)
    b.broadcast('b', ['chat', 'I am 0.1'])
    await a.until(() => packets(a).length === 1, 5000)
    c.broadcast('c', Buffer.from('I am 0.2').toString('base64'))
    await a.until(() => packets(a).length === 2, 5000)
    const [fromB] = packets(c)
    node.broadcast.write('chunk of ours')
    await c.until(() => packets(c).length === 2, 5000)
    const chunk = a.broadcast('far', Buffer.from('chunk of theirs').toString('base64'))
    const last = await flush(node, a, b)
    await c.until(() => packets(c).at(-1)?.id === last.id, 5000)
    const [own] = packets(c).filter(({ id }) => id.startsWith(`${node.id}-`))
    assert.equal(Buffer.from(own.data, 'base64').toString(), 'chunk of ours')
    assert.deepEqual([packets(b), packets(c)], [[last], [fromB, own, chunk, last]])
  })

  test('"error" from a legacy peer hurts nobody who does not listen', async (t) => {
    const [node, a, b] = await star(t)
    a.broadcast('far', ['error', 'nobody listens'])
    a.send('event', [['error', 'directly']])
    await flush(node, a, b)
    assert.deepEqual(heard(node), [['chat', 'flush']])
  })
})

describe('direct events', () => {
  test('of a legacy peer are heard flat and nested', async (t) => {
    const [node, a] = await star(t)
    const got = []
    node.peers.inList('a').on('hi', (...args) => got.push(args))
    a.raw('["smoke","event","hi",1,{"b":[2]}]\n')
    a.raw('["smoke","event",["hi",3,[4]]]\n')
    a.raw('["smoke","event",["hi"]]\n')
    a.raw('["smoke","event","hi"]\n')
    a.raw('["smoke","event",[]]\n["smoke","event",[7]]\n["smoke","event",null]\n')
    a.raw('["smoke","event",["hi","last"]]\n')
    await poll(() => got.at(-1)?.[0] === 'last', 5000, 'the last event')
    assert.deepEqual(got, [[1, { b: [2] }], [3, [4]], [], [], ['last']])
  })

  test('to a legacy peer go nested, to it alone; chunks are base64', async (t) => {
    const [node, a, b] = await star(t)
    const peer = node.peers.inList('a')
    peer.emit('hi', 1, { b: [2] })
    peer.emit('hi')
    peer.write('zwölf')
    await a.next('direct')
    assert.deepEqual(
      a.lines.filter(([, type]) => type === 'event' || type === 'direct'),
      [
        ['smoke', 'event', ['hi', 1, { b: [2] }]],
        ['smoke', 'event', ['hi']],
        ['smoke', 'direct', Buffer.from('zwölf').toString('base64')],
      ],
    )
    await quiet(100)
    assert.deepEqual([...b.of('event'), ...b.of('direct')], [])
  })

  test('as chunks of a legacy peer are stream data', async (t) => {
    const [node, a] = await star(t)
    const got = []
    node.peers.inList('a').on('data', (chunk) => got.push(chunk.toString()))
    a.send('direct', Buffer.from('eins').toString('base64'))
    a.send('direct', Buffer.from('zwei').toString('base64'))
    await poll(() => got.join('').length === 8, 5000, 'both chunks')
    assert.equal(got.join(''), 'einszwei')
  })

  test('nssocket-like: peer.socket.send and peer.socket.data carry lines of one’s own', async (t) => {
    const [node, a] = await star(t)
    const { socket } = node.peers.inList('a')
    const got = []
    socket.data(['my', 'own'], (data) => got.push(data))
    a.raw('["my","own",{"x":1}]\n["my","other",2]\n["my","own",3]\n')
    await poll(() => got.length === 2, 5000, 'both lines')
    socket.send(['my', 'answer'], { y: [1] })
    const isAnswer = (line) => line[0] === 'my'
    const answer = await a.until(() => a.lines.find(isAnswer), 5000, 'the answer')
    assert.deepEqual(
      [got, answer],
      [
        [{ x: 1 }, 3],
        ['my', 'answer', { y: [1] }],
      ],
    )
  })
})
