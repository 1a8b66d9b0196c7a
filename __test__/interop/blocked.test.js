'use strict'

// Relaying needs no JavaScript: a node whose event loop stands still for 10 s relays between its
// neighbours, answers pings and keeps its peers.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { Network } = require('../support/network')
const { WireServer, join, packet } = require('../support/wire')

const BLOCKED = 10000

async function everyoneButTheRelay(network, t, kind) {
  const [left, relay, right] = [
    await network.add(kind, { minPeerNo: 1, maxPeerNo: 1 }),
    await network.add('ours', { minPeerNo: 1, maxPeerNo: 3 }),
    await network.add(kind, { minPeerNo: 1, maxPeerNo: 1 }),
  ]
  await left.addPeer(relay)
  await right.addPeer(relay)
  await network.until(() => relay.peers.length === 2, 5000, 'a line')
  const asking = await WireServer.listen()
  const wire = await join(relay.port, 'scripted')
  t.after(() => {
    wire.destroy()
    return asking.close()
  })
  await network.until(() => relay.peers.length === 3, 5000, 'the scripted peer')
  return { left, relay, right, asking, wire }
}

describe('a node whose event loop is blocked', { concurrency: true }, () => {
  for (const kind of ['ours', 'legacy']) {
    test(`relays between two of kind "${kind}", answers pings and keeps its peers`, async (t) => {
      const network = new Network(t)
      const { left, relay, right, asking, wire } = await everyoneButTheRelay(network, t, kind)
      const before = [...relay.peers]
      // A legacy peer that only ever sent events is taken for a 0.1 node, which chunks would crash.
      await right.write('first')
      await relay.until(() => relay.chunks.includes('first'), 5000, 'the first chunk')
      relay.chunks.length = 0

      await relay.command('block', { ms: BLOCKED })
      await relay.until(() => relay.history.some(({ t }) => t === 'blocking'), 5000)
      const isAwake = () => relay.history.some(({ t }) => t === 'unblocked')
      const until = Date.now() + BLOCKED - 1500
      let rounds = 0
      while (Date.now() < until) {
        const text = `round ${rounds++}`
        await left.write(text)
        await right.broadcast(['chat', text])
        await right.until(() => right.chunks.includes(text), 1000, `${text} to the right`)
        await left.until(() => left.events.some((event) => event[1] === text), 1000, `${text} left`)
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
      const ping = packet('asking', {
        remoteAddress: asking.address,
        remotePort: asking.port,
        targetAddress: '127.0.0.1',
        targetPort: relay.port,
      })
      wire.send('ping', ping)
      const answer = await asking.nextOf('pong', 1000)
      assert.equal(answer.of('pong')[0][0].respondsTo, ping.id)
      assert.equal(isAwake(), false, 'all of that while it was blocked')
      assert.ok(rounds > 10, `${rounds} rounds`)

      await relay.until(isAwake, 5000, 'awake')
      const texts = Array.from({ length: rounds }, (_, n) => `round ${n}`)
      await relay.until(() => relay.events.length >= rounds && relay.chunks.length >= rounds, 5000)
      assert.deepEqual(relay.chunks, texts, 'what came meanwhile is heard afterwards')
      assert.deepEqual(
        relay.events,
        texts.map((text) => ['chat', text]),
      )
      assert.deepEqual(await relay.command('peers'), before)
      assert.deepEqual(
        relay.history.filter(({ t }) => t === 'remove'),
        [],
      )
      network.assertHealthy()
    })
  }
})
