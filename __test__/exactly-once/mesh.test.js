'use strict'

// A mesh of four nodes: each message arrives once, despite restarts, in both generations.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { Flock } = require('../support/flock')
const { poll } = require('../support/wait')

const FOUR = ['ours', 'ours', 'ours', 'ours']

describe('a full mesh of four native nodes', () => {
  test('carries little more than one copy of each message to each node', async (t) => {
    const flock = await Flock.mesh(t, FOUR)
    // The first messages of each origin build its tree.
    await (await flock.send(flock.nodes, 2000, { rate: 2000 }))()
    await flock.expect(flock.nodes, flock.nodes, 2000)
    const before = await stats(flock, 6000)
    await (await flock.send(flock.nodes, 10000, { rate: 4000 }))()
    await flock.expect(flock.nodes, flock.nodes, 12000)
    const after = await stats(flock, 36000)
    for (const [index, node] of flock.nodes.entries()) {
      const delivered = after[index].delivered - before[index].delivered
      const duplicates = after[index].duplicates - before[index].duplicates
      const copies = 1 + duplicates / delivered
      t.diagnostic(`${node.name}: ${copies.toFixed(4)} copies`)
      assert.equal(delivered, 30000)
      assert.ok(copies <= 1.05, `${copies} copies at ${node.name}`)
    }
  })

  test('hears everything at full speed', async (t) => {
    const flock = await Flock.mesh(t, FOUR)
    await (await flock.send(flock.nodes, 50000))()
    await flock.expect(flock.nodes, flock.nodes, 50000)
    flock.assertHealthy()
  })

  test('hears a node both before and after it is killed and restarted with the same id', async (t) => {
    const flock = await Flock.mesh(t, FOUR)
    const [first, ...others] = flock.nodes
    const sent = await flock.send(others, 20000, { rate: 3000 })
    await (await flock.send([first], 3000, { rate: 3000, name: 'firstlife' }))()
    await flock.expect(others, [{ id: 'firstlife' }], 3000)
    const { id, port } = first
    await first.kill()
    await flock.until(() => others.every((node) => !node.peers.includes(id)), 20000, 'it is gone')

    const [second] = [await flock.add('ours', { id, port })]
    for (const other of others) await flock.link(second, other)
    await (await flock.send([second], 3000, { rate: 3000, name: 'secondlife' }))()
    await sent()
    await flock.expect(others, [{ id: 'firstlife' }], 3000)
    await flock.expect(others, [{ id: 'secondlife' }], 3000)
    await flock.expect(others, others, 20000)
    // After its first message, the second life misses nothing.
    const heard = await flock.tally(second)
    for (const { id: other } of others) {
      const { first: begin, ...rest } = heard[other]
      const count = 20000 - begin + 1
      const whole = { last: 20000, count, doubles: 0, holes: 0, late: 0, example: null, missing: 0 }
      assert.deepEqual(rest, whole, `what it heard of ${other}, from ${begin} on`)
    }
    flock.assertHealthy([second, ...others])
  })
})

describe('a network of both generations under load', { concurrency: 1 }, () => {
  const meshes = [
    ['ours', 'ours', 'legacy', 'legacy'],
    ['ours', 'ours', 'ours', 'legacy'],
  ]
  for (const kinds of meshes) {
    test(`a mesh of ${kinds.join(', ')}: every message reaches every node once`, async (t) => {
      const flock = await Flock.mesh(t, kinds)
      await (await flock.send(flock.nodes, 3000, { rate: 1000, asLines: true }))()
      await flock.expect(flock.nodes, flock.nodes, 3000, { anyOrder: true })
      flock.assertHealthy()
    })
  }

  const lines = [
    ['ours', 'legacy', 'ours'],
    ['ours', 'ours', 'legacy', 'ours', 'ours'],
    ['ours', 'legacy', 'legacy', 'ours'],
  ]
  for (const kinds of lines) {
    test(`a line of ${kinds.join(' - ')}: every message reaches every node once`, async (t) => {
      const flock = await Flock.line(t, kinds)
      await (await flock.send(flock.nodes, 2000, { rate: 800, asLines: true }))()
      await flock.expect(flock.nodes, flock.nodes, 2000, { anyOrder: true })
      flock.assertHealthy()
    })
  }

  test('a ring of native and legacy nodes, where each message arrives from both sides', async (t) => {
    const flock = new Flock(t)
    const kinds = ['ours', 'legacy', 'ours', 'ours', 'legacy', 'ours']
    for (const kind of kinds) await flock.add(kind, { minPeerNo: 1, maxPeerNo: 2 })
    for (const [index, node] of flock.nodes.entries()) {
      await flock.link(node, flock.nodes[(index + 1) % kinds.length])
    }
    await (await flock.send(flock.nodes, 2000, { rate: 800, asLines: true }))()
    await flock.expect(flock.nodes, flock.nodes, 2000, { anyOrder: true })
    flock.assertHealthy()
  })
})

/** The counters of all nodes, once each has `delivered` messages: the counters lag a little. */
async function stats(flock, delivered) {
  return poll(
    async () => {
      const all = await Promise.all(flock.nodes.map((node) => node.command('stats')))
      return all.every((counters) => counters.delivered >= delivered) && all
    },
    20000,
    `${delivered} messages are counted`,
  )
}
