'use strict'

// Framing of the legacy wire: a scripted legacy peer sends its lines in odd ways.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { NsSocket } = require('nssocket')
const { heard, startOwn } = require('../support/nodes')
const { poll } = require('../support/wait')
const { dial, join, packet } = require('../support/wire')

const line = (type, data) => JSON.stringify(['smoke', type].concat(data))

describe('lines', () => {
  test('nssocket speaks with us and understands us', async (t) => {
    const node = await startOwn(t)
    const socket = new NsSocket()
    t.after(() => socket.destroy())
    const got = []
    socket.data(['smoke', 'handshake ack'], (data) => got.push(['ack', data.id]))
    socket.data(['smoke', 'broadcast'], (data) => got.push(['broadcast', data.data]))
    await new Promise((resolve) => socket.connect(node.options.port, '127.0.0.1', resolve))
    socket.send(['smoke', 'handshake'], { id: 'ns1' })
    await poll(() => got.length === 1, 5000, 'ack')
    socket.send(['smoke', 'broadcast'], packet('ns1', ['chat', 'from nssocket']))
    await poll(() => heard(node).length === 1, 5000, 'event')
    node.broadcast.emit('chat', 'to nssocket')
    await poll(() => got.length === 2, 5000, 'broadcast')
    assert.deepEqual(got, [
      ['ack', node.id],
      ['broadcast', ['chat', 'to nssocket']],
    ])
    assert.deepEqual(heard(node), [['chat', 'from nssocket']])
  })

  test('may come in any pieces, many at once, and end with CRLF', async (t) => {
    const node = await startOwn(t)
    const wire = await dial(node.options.port)
    t.after(() => wire.destroy())
    wire.socket.setNoDelay(true)
    for (const byte of Buffer.from(`${line('handshake', { id: 'pieces' })}\r\n`)) {
      await new Promise((resolve) => wire.socket.write(Buffer.of(byte), resolve))
    }
    await wire.next('handshake ack')
    const events = ['ö', '👋', 'three'].map((text) => packet('pieces', ['chat', text]))
    const bytes = Buffer.from(events.map((event) => `${line('broadcast', event)}\r\n`).join(''))
    const cut = bytes.indexOf(Buffer.from('👋')) + 2
    await new Promise((resolve) => wire.socket.write(bytes.subarray(0, cut), resolve))
    await new Promise((resolve) => setTimeout(resolve, 20))
    wire.socket.write(bytes.subarray(cut))
    await poll(() => heard(node).length === 3, 5000, 'three events')
    assert.deepEqual(heard(node), [
      ['chat', 'ö'],
      ['chat', '👋'],
      ['chat', 'three'],
    ])
  })

  test('that are blank, no JSON or of no known kind are ignored, before and after the handshake', async (t) => {
    const node = await startOwn(t)
    const wire = await dial(node.options.port)
    t.after(() => wire.destroy())
    const junk = [
      ...['', '\r', ' ', '{', '[]', '[1,2', 'null', '"smoke"', '7', '{"smoke":"handshake"}'],
      ...[
        '["smoke"]',
        '["smoke","handshake"]',
        '["smoke","sing",{"id":"x"}]',
        '["fire","ping",{}]',
      ],
      ...['["smoke",null,{}]', '["smoke",["handshake"],{"id":"x"}]', '[["smoke","handshake"],{}]'],
      ...['GET / HTTP/1.1', '["smoke","broadcast"]', '["smoke","ping",{}]', '["smoke","event"]'],
    ]
    wire.raw(junk.map((text) => `${text}\n`).join(''))
    await wire.handshake('junk')
    wire.raw(junk.map((text) => `${text}\n`).join(''))
    wire.broadcast('junk', ['chat', 'still here'])
    await poll(() => heard(node).length === 1, 5000, 'the event')
    // `connect` comes with the first `add`; which of them is told first is not said anywhere.
    const [first, second, ...rest] = node.seen.events
    assert.deepEqual(
      [[first, second].sort(), rest],
      [['add junk', 'connect'], [['chat', 'still here']]],
    )
    assert.equal(wire.ended, false)
    assert.deepEqual(wire.of('handshake ack').length, 1)
  })

  test('that follow the handshake in the same segment are heard by listeners that "add" sets up', async (t) => {
    const node = await startOwn(t)
    const wire = await dial(node.options.port)
    t.after(() => wire.destroy())
    const got = []
    node.peers.on('add', (peer) => peer.on('hi', (...args) => got.push([peer.id, ...args])))
    wire.raw(`${line('handshake', { id: 'hasty' })}\n${line('event', [['hi', 1]])}\n`)
    wire.broadcast('hasty', ['chat', 'at once'])
    await poll(() => heard(node).length === 1, 5000, 'the event')
    assert.deepEqual(got, [['hasty', 1]])
  })

  test('may be long as soon as the handshake makes their sender a peer, in the same segment, too', async (t) => {
    const node = await startOwn(t)
    const wire = await dial(node.options.port)
    t.after(() => wire.destroy())
    const long = packet('long', ['chat', 'x'.repeat(1 << 20)])
    wire.socket.write(`${line('handshake', { id: 'long' })}\n${line('broadcast', long)}\n`)
    await poll(() => heard(node).length === 1, 5000, 'the long one')
    for (let n = 0; n < 200; n++) {
      wire.socket.write(`${line('broadcast', packet('long', ['chat', n]))}\n`)
    }
    await poll(() => heard(node).length === 201, 5000, 'many more')
  })

  test('from the node itself: the ack carries its id and comes first', async (t) => {
    const node = await startOwn(t)
    const wire = await join(node.options.port, 'first')
    t.after(() => wire.destroy())
    assert.equal(wire.lines[0].length, 3)
    assert.deepEqual(wire.lines[0].slice(0, 2), ['smoke', 'handshake ack'])
    assert.equal(wire.lines[0][2].id, node.id)
    assert.match(node.id, /^[0-9a-z]+$/)
  })
})
