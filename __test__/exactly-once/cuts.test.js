'use strict'

// Four nodes send at once, while links between them are cut and restored. Each hears every message
// of the others once and in order.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { FlakyProxy } = require('../support/flaky-proxy')
const { Flock, seedOf, seeded } = require('../support/flock')
const { pause } = require('../support/wait')

const FOUR = ['ours', 'ours', 'ours', 'ours']
const EACH = Number(process.env.MESSAGES ?? 200000) / FOUR.length
/** Messages per second and node: slow enough that the cuts happen during the sending. */
const RATE = 4000

describe('four native nodes that all send at once', () => {
  test('hear everything once and in order while peers are closed at random', async (t) => {
    const random = seeded(seedOf(t))
    const flock = await Flock.mesh(t, FOUR)
    const sent = await flock.send(flock.nodes, EACH, { rate: RATE })
    let isOver = false
    const over = sent().finally(() => {
      isOver = true
    })
    let cuts = 0
    while (!isOver) {
      const one = random.pick(flock.nodes)
      const other = random.pick(flock.nodes.filter((node) => node !== one))
      if (await one.command('cut', { id: other.id })) cuts++
      await pause(random.between(0, 150))
      await (random.chance(0.5) ? one.addPeer(other) : other.addPeer(one))
      await pause(random.between(0, 100))
    }
    await over
    t.diagnostic(`${cuts} links were cut`)
    assert.ok(cuts > 10, `${cuts} cuts`)
    await flock.expect(flock.nodes, flock.nodes, EACH)
    flock.assertHealthy()
  })

  test('hear everything once and in order while connections are reset in the middle of a frame', async (t) => {
    const random = seeded(seedOf(t))
    const flock = new Flock(t)
    // One peer is enough for them, so they do not seek ways around the proxies.
    for (const kind of FOUR) await flock.add(kind, { minPeerNo: 1 })
    const proxies = []
    t.after(() => Promise.all(proxies.map(({ proxy }) => proxy.close())))
    for (const [index, one] of flock.nodes.entries()) {
      for (const other of flock.nodes.slice(0, index)) {
        const proxy = await FlakyProxy.before(other)
        proxies.push({ proxy, one, other })
        await one.command('addPeer', { address: '127.0.0.1', port: proxy.port })
      }
    }
    await flock.until(() => flock.nodes.every((n) => n.peers.length === 3), 20000, 'a full mesh')
    const sent = await flock.send(flock.nodes, EACH, { rate: RATE })
    let isOver = false
    const over = sent().finally(() => {
      isOver = true
    })
    while (!isOver) {
      const { proxy, one, other } = random.pick(proxies)
      proxy.breakNext()
      await pause(random.between(20, 150))
      if (!one.peers.includes(other.id)) {
        await one.command('addPeer', { address: '127.0.0.1', port: proxy.port })
      }
      await pause(random.between(0, 100))
    }
    await over
    const resets = proxies.reduce((sum, { proxy }) => sum + proxy.resets, 0)
    t.diagnostic(`${resets} connections were reset`)
    assert.ok(resets > 10, `${resets} resets`)
    await flock.expect(flock.nodes, flock.nodes, EACH)
    flock.assertHealthy()
  })
})
