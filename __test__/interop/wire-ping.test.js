'use strict'

// Pings, pongs and netsplits on the legacy wire. The tick of the protocol is 10 s and real here, so
// the tests run side by side.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { startOwn } = require('../support/nodes')
const { freePort } = require('../support/ports')
const { event, quiet } = require('../support/wait')
const { dial, packet, peer, server, hashIsRight } = require('../support/wire')

const TICK = 10000

const pingData = (from, target) => ({
  remoteAddress: from.address,
  remotePort: from.port,
  targetAddress: target.address,
  targetPort: target.port,
})

describe('a ping', { concurrency: true }, () => {
  test('that names us is answered on a fresh connection and not forwarded', async (t) => {
    const node = await startOwn(t)
    const [from, other] = [await peer(t, node, 'from'), await peer(t, node, 'other')]
    const asking = await server(t)
    const ping = packet('asking', pingData(asking, node.options))
    from.send('ping', ping)
    from.send('ping', ping)
    const wire = await asking.nextOf('pong')
    await wire.until(() => wire.ended, 5000, 'half-closed')
    assert.deepEqual(wire.lines, [
      [
        'smoke',
        'pong',
        {
          id: node.id,
          remoteAddress: '127.0.0.1',
          remotePort: node.options.port,
          respondsTo: ping.id,
        },
      ],
    ])
    await quiet()
    assert.equal(asking.connections.length, 1)
    assert.deepEqual([...other.of('ping'), ...from.of('ping')], [])
  })

  test('for somebody else is forwarded unchanged, once, to all but the one it came from', async (t) => {
    const node = await startOwn(t)
    const [from, other] = [await peer(t, node, 'from'), await peer(t, node, 'other')]
    const asking = await server(t)
    const target = { address: '127.0.0.1', port: node.options.port === 1 ? 2 : 1 }
    const ping = { ...packet('asking', pingData(asking, target)), extra: true }
    from.send('ping', ping)
    // Two connections have no order between them: the other one sends what it has received.
    assert.deepEqual(await other.next('ping'), [ping])
    other.send('ping', ping)
    from.send('ping', ping)
    await quiet()
    assert.deepEqual([other.of('ping').length, from.of('ping').length], [1, 0])
    assert.deepEqual(asking.connections, [])
  })

  test('with a wrong hash, or that makes no sense, is neither answered nor forwarded', async (t) => {
    const node = await startOwn(t)
    const [from, other] = [await peer(t, node, 'from'), await peer(t, node, 'other')]
    const asking = await server(t)
    const data = pingData(asking, node.options)
    const bad = [
      { ...data, remoteAddress: 'localhost' },
      { ...data, remotePort: String(asking.port) },
      { ...data, remotePort: 1e9 },
      { ...data, targetAddress: 7 },
      { ...data, targetPort: null },
    ]
    for (const one of bad) from.send('ping', packet('asking', one))
    from.send('ping', { ...packet('asking', { ...data, targetPort: 1 }), data })
    const good = packet('asking', { ...data, targetPort: 1 })
    from.send('ping', good)
    await other.next('ping')
    await quiet()
    assert.deepEqual([other.of('ping'), asking.connections], [[[good]], []])
  })

  test('goes out on every tick for each seed but oneself, and an answer keeps the peace', async (t) => {
    const seed = await server(t)
    const port = await freePort()
    const itself = { address: '127.0.0.1', port }
    const node = await startOwn(t, {
      port,
      pingTimeout: 400,
      seeds: [itself, { address: '127.0.0.1', port: seed.port }],
    })
    const wire = await peer(t, node, 'seed')
    const [ping] = await wire.next('ping', TICK + 3000)
    assert.deepEqual(ping.data, pingData(itself, { address: '127.0.0.1', port: seed.port }))
    assert.match(ping.id, new RegExp(`^${node.id}-[0-9a-z]+-[0-9a-f]{32}$`))
    assert.ok(hashIsRight(ping))
    await pong(t, node, seed, ping)
    await quiet(800)
    assert.deepEqual(
      node.seen.events.filter((name) => name.startsWith('netsplit')),
      [],
    )
    assert.equal(wire.of('ping').length, 1)
  })

  test('unanswered is a netsplit: the node enters again; answered again, it is resolved', async (t) => {
    const seed = await server(t)
    const node = await startOwn(t, {
      pingTimeout: 300,
      seeds: [{ address: '127.0.0.1', port: seed.port }],
    })
    await seed.nextOf('peer request')
    const wire = await peer(t, node, 'other')
    const split = event(node, 'netsplit', TICK + 5000)
    await wire.next('ping', TICK + 3000)
    const sent = Date.now()
    await split
    assert.ok(Date.now() - sent < 2000, 'pingTimeout is the one we set')
    await seed.nextOf('peer request', 3000)
    const resolved = event(node, 'netsplit resolved', TICK + 5000)
    const [ping] = await wire.next('ping', TICK + 3000)
    await pong(t, node, seed, ping)
    await resolved
    assert.deepEqual(
      node.seen.events.filter((name) => name.startsWith('netsplit')),
      ['netsplit', 'netsplit resolved'],
    )
  })

  test('is not answered by pongs that respond to something else', async (t) => {
    const seed = await server(t)
    const node = await startOwn(t, {
      pingTimeout: 600,
      seeds: [{ address: '127.0.0.1', port: seed.port }],
    })
    const wire = await peer(t, node, 'other')
    const split = event(node, 'netsplit', TICK + 5000)
    const [ping] = await wire.next('ping', TICK + 3000)
    await pong(t, node, seed, { id: `${ping.id}x` })
    const bare = await dial(node.options.port)
    t.after(() => bare.destroy())
    bare.raw('["smoke","pong",null]\n')
    await split
  })
})

/** Answers a ping as a legacy node does: on a connection of its own. */
async function pong(t, node, { address, port }, { id }) {
  const wire = await dial(node.options.port)
  t.after(() => wire.destroy())
  wire.send('pong', { id: 'seed', remoteAddress: address, remotePort: port, respondsTo: id })
}
