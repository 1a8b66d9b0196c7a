'use strict'

// Membership on the legacy wire: entry, peer requests, refusals, refill, leaving. The other end is a
// scripted legacy peer. The slow tests wait for real timeouts of 5 s and run side by side.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { startOwn } = require('../support/nodes')
const { event, poll, quiet } = require('../support/wait')
const { dial, packet, peer, server, hashIsRight } = require('../support/wire')

async function stranger(t, node) {
  const wire = await dial(node.options.port)
  t.after(() => wire.destroy())
  return wire
}

const request = (id, { address, port }) => ({ id, remoteAddress: address, remotePort: port })

describe('a handshake', () => {
  test('makes the dialer a peer, whose address is that of its socket, also after the end', async (t) => {
    const node = await startOwn(t)
    const wire = await peer(t, node, 'dialer')
    const [added] = node.peers.list
    const remotePort = wire.socket.localPort
    const where = () => [added.id, added.remoteAddress, added.remotePort, added.closed]
    assert.deepEqual(where(), ['dialer', '127.0.0.1', remotePort, false])
    assert.equal(node.connected, true)
    const removed = event(node.peers, 'remove')
    wire.socket.end()
    await removed
    await poll(() => added.closed, 1000, 'closed')
    assert.deepEqual(where(), ['dialer', '127.0.0.1', remotePort, true])
    assert.deepEqual(node.peers.list, [])
  })

  test('is what addPeer sends, once; the ack makes the other a peer', async (t) => {
    const node = await startOwn(t)
    const other = await server(t)
    const added = node.addPeer('127.0.0.1', other.port)
    const wire = await other.accept('acceptor')
    await poll(() => node.peers.inList('acceptor'), 5000, 'the acceptor is a peer')
    await added
    assert.equal(wire.hello.id, node.id)
    assert.equal(other.connections.length, 1)
    assert.equal(wire.of('handshake').length, 1)
  })

  test('with nothing, null or no id in it is not acknowledged and does no harm', async (t) => {
    const node = await startOwn(t)
    for (const data of [
      null,
      {},
      { id: '' },
      { id: null },
      { id: ['x'] },
      { id: 'x'.repeat(513) },
      'x',
      7,
    ]) {
      const wire = await stranger(t, node)
      wire.raw(`${JSON.stringify(['smoke', 'handshake', data])}\n`)
      await quiet(30)
      assert.deepEqual(wire.lines, [], JSON.stringify(data))
      wire.destroy()
    }
    await peer(t, node, 'afterwards')
    assert.deepEqual(node.peers.dump(), ['afterwards'])
  })

  test('is refused without an ack when the list is full', async (t) => {
    const node = await startOwn(t, { maxPeerNo: 1 })
    await peer(t, node, 'first')
    const second = await stranger(t, node)
    second.send('handshake', { id: 'second' })
    await second.until(() => second.ended, 2000, 'refused')
    assert.deepEqual(second.lines, [])
    assert.deepEqual(node.peers.dump(), ['first'])
    assert.equal(node.peers.isFull(), true)
  })

  test('with the id of a peer is refused without an ack, and the peer stays', async (t) => {
    const node = await startOwn(t)
    const first = await peer(t, node, 'same')
    const second = await stranger(t, node)
    second.send('handshake', { id: 'same' })
    await second.until(() => second.ended, 2000, 'refused')
    assert.deepEqual(second.lines, [])
    node.broadcast.emit('chat', 1)
    const [sent] = await first.next('broadcast')
    assert.deepEqual(sent.data, ['chat', 1])
  })

  test('that waits for a dial of ours is answered once that dial turns out to be to another', async (t) => {
    const node = await startOwn(t)
    const other = await server(t)
    node.addPeer('127.0.0.1', other.port)
    const ours = await other.nextOf('handshake')
    const theirs = await stranger(t, node)
    theirs.send('handshake', { id: 'third' })
    await quiet(50)
    ours.send('handshake ack', { id: 'other' })
    await theirs.next('handshake ack', 2000)
    assert.deepEqual(node.peers.dump().sort(), ['other', 'third'])
  })

  test('that the other side refuses fails addPeer and leaves nothing behind', async (t) => {
    const node = await startOwn(t)
    const other = await server(t)
    const added = assert.rejects(
      async () => node.addPeer('127.0.0.1', other.port),
      (error) => typeof error.code === 'string',
    )
    const wire = await other.next()
    await wire.next('handshake')
    wire.socket.end()
    await added
    await wire.gone()
    assert.deepEqual(node.peers.list, [])
  })
})

describe('a peer request', () => {
  test('of a stranger is flooded under our own id, and taken up by dialling back', async (t) => {
    const node = await startOwn(t, { minPeerNo: 3 })
    const known = await peer(t, node, 'known')
    const entering = await server(t)
    const wire = await stranger(t, node)
    const data = request('entering', entering)
    const asked = known.of('peer request').length
    wire.send('peer request', data)
    const link = await entering.accept('entering')
    await poll(() => node.peers.inList('entering'), 5000, 'it is a peer')
    const flooded = await known.until(
      () => known.of('peer request').find(([{ data }]) => data.id === 'entering'),
      5000,
    )
    assert.deepEqual(flooded[0].data, data)
    assert.match(flooded[0].id, new RegExp(`^${node.id}-[0-9a-z]+-[0-9a-f]{32}$`))
    assert.ok(hashIsRight(flooded[0]))
    assert.ok(asked <= 1)
    assert.deepEqual([link.hello.id, link.of('handshake').length], [node.id, 1])
    assert.deepEqual(wire.lines, [], 'the asking connection gets no answer')
  })

  test('that names no address or port we could dial is ignored', async (t) => {
    const node = await startOwn(t)
    const known = await peer(t, node, 'known')
    const target = await server(t)
    const good = request('entering', target)
    const bad = [
      { ...good, id: undefined },
      { ...good, remoteAddress: 'localhost' },
      { ...good, remoteAddress: '127.0.0.1.evil' },
      { ...good, remoteAddress: null },
      { ...good, remotePort: String(target.port) },
      { ...good, remotePort: 65536 + target.port },
      { ...good, remotePort: -1 },
      null,
      'x',
    ]
    const before = known.of('peer request').length
    for (const data of bad) {
      const wire = await stranger(t, node)
      wire.raw(`${JSON.stringify(['smoke', 'peer request', data])}\n`)
      wire.socket.end()
    }
    await quiet()
    assert.deepEqual(target.connections, [])
    assert.deepEqual(known.of('peer request').slice(before), [])
    assert.deepEqual(node.peers.dump(), ['known'])
  })

  test('of a stranger to a full node is flooded, not taken up', async (t) => {
    const node = await startOwn(t, { maxPeerNo: 1 })
    const known = await peer(t, node, 'known')
    const entering = await server(t)
    const wire = await stranger(t, node)
    wire.send('peer request', request('entering', entering))
    await known.until(
      () => known.of('peer request').find(([{ data }]) => data.id === 'entering'),
      5000,
    )
    await quiet()
    assert.deepEqual(entering.connections, [])
  })

  test('between peers is answered by a node that needs peers, which does not forward it', async (t) => {
    const node = await startOwn(t, { minPeerNo: 4 })
    const [from, other] = [await peer(t, node, 'from'), await peer(t, node, 'other')]
    const asking = await server(t)
    from.send('peer request', packet('asking', request('asking', asking)))
    await asking.accept('asking')
    await poll(() => node.peers.inList('asking'), 5000, 'it is a peer')
    await quiet()
    const forwarded = other.of('peer request').filter(([{ data }]) => data.id === 'asking')
    assert.deepEqual(forwarded, [])
  })

  test('between peers is forwarded unchanged by one who is full or knows the asker', async (t) => {
    const node = await startOwn(t, { maxPeerNo: 2 })
    const [from, other] = [await peer(t, node, 'from'), await peer(t, node, 'other')]
    const asking = await server(t)
    const sent = [
      { ...packet('asking', request('asking', asking)), extra: [1] },
      packet('other', request('other', asking)),
    ]
    for (const one of sent) from.send('peer request', one)
    const ids = sent.map(({ id }) => id)
    const forwarded = () => other.of('peer request').filter(([{ id }]) => ids.includes(id))
    await other.until(() => forwarded().length === 2, 5000, 'both are forwarded')
    await quiet()
    assert.deepEqual(
      forwarded(),
      sent.map((one) => [one]),
    )
    assert.deepEqual(asking.connections, [])
    assert.deepEqual(
      from.of('peer request').filter(([{ id }]) => ids.includes(id)),
      [],
    )
  })

  test('goes out at once when there are fewer peers than wanted', async (t) => {
    const node = await startOwn(t, { minPeerNo: 2 })
    const [staying, leaving] = [await peer(t, node, 'staying'), await peer(t, node, 'leaving')]
    await quiet(50)
    const before = staying.of('peer request').length
    leaving.socket.end()
    await staying.until(() => staying.of('peer request').length > before, 2000, 'refill')
    const [asked] = staying.of('peer request').at(-1)
    assert.deepEqual(asked.data, {
      id: node.id,
      remoteAddress: '127.0.0.1',
      remotePort: node.options.port,
    })
    assert.ok(hashIsRight(asked))
  })
})

describe('entry and leaving', { concurrency: true }, () => {
  test('a node enters through its seed: one line, then our half of the connection is closed', async (t) => {
    const seed = await server(t)
    const node = await startOwn(t, { seeds: [{ address: '127.0.0.1', port: seed.port }] })
    const wire = await seed.nextOf('peer request')
    await wire.until(() => wire.ended, 5000, 'half-closed')
    assert.deepEqual(wire.lines, [
      [
        'smoke',
        'peer request',
        { id: node.id, remoteAddress: '127.0.0.1', remotePort: node.options.port },
      ],
    ])
    assert.equal(wire.closed, false, 'the receiver closes')
    await quiet()
    assert.equal(wire.error, null)
  })

  test('a node that lost its last peer enters again through its seed', async (t) => {
    const seed = await server(t)
    const node = await startOwn(t, { seeds: [{ address: '127.0.0.1', port: seed.port }] })
    await seed.nextOf('peer request')
    const wire = await peer(t, node, 'seed')
    const lost = event(node, 'disconnect')
    wire.destroy()
    await lost
    await seed.nextOf('peer request', 12000)
    await peer(t, node, 'seed')
    const { events } = node.seen
    assert.deepEqual(
      events.filter((name) => !name.startsWith('add') && !name.startsWith('remove')),
      ['connect', 'disconnect', 'connect'],
    )
  })

  test('stop says goodbye with a FIN, and so does a peer to us', async (t) => {
    const node = await startOwn(t)
    const [one, two] = [await peer(t, node, 'one'), await peer(t, node, 'two')]
    const removed = event(node.peers, 'remove')
    two.socket.end()
    const [peerThatLeft] = await removed
    assert.equal(peerThatLeft.id, 'two')
    await node.stop()
    await one.until(() => one.ended, 2000, 'FIN')
    await one.gone()
    assert.equal(one.error, null)
    assert.equal(node.listening, false)
    assert.deepEqual(node.peers.list, [])
  })

  test('a silent connection is closed after 5 s', async (t) => {
    const node = await startOwn(t)
    const wire = await stranger(t, node)
    const from = Date.now()
    await wire.until(() => wire.ended || wire.closed, 8000, 'closed')
    const took = Date.now() - from
    assert.ok(took > 4000 && took < 7500, `${took} ms`)
  })

  test('a dial without an answer is given up after 5 s', async (t) => {
    const node = await startOwn(t)
    const silent = await server(t)
    const from = Date.now()
    const failed = assert.rejects(
      async () => node.addPeer('127.0.0.1', silent.port),
      (error) => typeof error.code === 'string',
    )
    const wire = await silent.next()
    await wire.until(() => wire.ended || wire.closed, 8000, 'given up')
    await failed
    const took = Date.now() - from
    assert.ok(took > 4000 && took < 7500, `${took} ms`)
  })

  test('the connection of a peer request is closed by us at the latest after 5 s', async (t) => {
    const node = await startOwn(t)
    const entering = await server(t)
    const wire = await stranger(t, node)
    wire.send('peer request', request('entering', entering))
    await entering.accept('entering')
    await wire.until(() => wire.ended || wire.closed, 8000, 'closed')
    await poll(() => node.peers.inList('entering'), 5000, 'the entering node is a peer')
  })
})
