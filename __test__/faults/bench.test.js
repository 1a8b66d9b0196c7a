'use strict'

// Seeded rounds of faults. Nodes that stay connected hear each other's messages once and in order,
// no node crashes, and everything returns to normal. FAULT_ROUNDS sets the number of rounds; the
// default is 5.

const assert = require('node:assert/strict')
const { execFileSync } = require('node:child_process')
const net = require('node:net')
const { describe, test } = require('node:test')
const { isDeepStrictEqual } = require('node:util')
const { FlakyProxy } = require('../support/flaky-proxy')
const { Flock, dataOf, descriptorsOf, rssOf, seedOf, seeded } = require('../support/flock')
const { Lan, unavailable } = require('../support/namespaces')
const { NativePeer } = require('../support/native-wire')
const { pause, poll } = require('../support/wait')

const ROUNDS = Number(process.env.FAULT_ROUNDS ?? 5)
const COUNT = 3000
const RATE = 600
const MIB = 1 << 20
/** The limit of file descriptors for one node: enough to start, few enough to run out. */
const FEW = 40
/** The memory that a process short of memory may use on top of its current use. */
const HEADROOM = 48 * MIB

const faults = {
  /** A node is killed, and restarts at once with its id and port. */
  async kill({ flock, random, seeds, state }) {
    const { id, port } = state.guest
    await state.guest.kill()
    flock.drop(state.guest)
    await pause(random.between(0, 300))
    state.guest = await flock.add('ours', { id, port, seeds, maxPeerNo: 8 })
    await state.guest.command('send', { count: 200, rate: 400 })
  },

  async stop({ random, core }) {
    const node = random.pick(core)
    node.signal('SIGSTOP')
    await pause(random.between(200, 3000))
    node.signal('SIGCONT')
  },

  async cut({ random, core }) {
    const node = random.pick(core)
    for (const id of await node.command('peers')) await node.command('cut', { id })
    const others = core.filter((other) => other !== node)
    for (const other of others) await node.addPeer(other)
  },

  /** The node's connections through a proxy end in the middle of a frame. */
  async reset({ random, core, proxies }) {
    const { proxy, from } = random.pick(proxies)
    await from.command('addPeer', { address: '127.0.0.1', port: proxy.port })
    proxy.breakNext()
    await pause(random.between(20, 100))
    for (const other of core) if (other !== from) await from.addPeer(other)
  },

  /**
   * More connections than the node can have: it must keep the existing ones, and later take new
   * ones.
   */
  async exhaust({ random, state }) {
    const sockets = Array.from({ length: 2 * FEW }, () => {
      const socket = net.connect({ port: state.poor.port, host: '127.0.0.1' })
      return socket.on('error', () => {})
    })
    await pause(random.between(300, 1000))
    for (const socket of sockets) socket.destroy()
  },

  /** A peer that never reads: first its receive buffer fills, then the node's queue. */
  async deafen({ random, core, state }) {
    const node = random.pick(core)
    const id = `deaf${state.deaf++}`
    const peer = await NativePeer.join(node.port, id, { reads: false })
    await node.until(() => node.peers.includes(id), 10000, 'the deaf peer')
    await node.command('fill', { id })
    await pause(random.between(300, 1000))
    peer.destroy()
    await node.until(() => !node.peers.includes(id), 10000, 'that it is gone')
  },

  /** The node has hardly any memory left, and a peer that never reads needs some. */
  async starve({ core, random, ...rest }) {
    const node = random.pick(core)
    const limit = (bytes) => execFileSync('prlimit', [`--pid=${node.pid}`, `--data=${bytes}:`])
    limit(dataOf(node.pid) + HEADROOM)
    try {
      await faults.deafen({ core: [node], random, ...rest })
    } finally {
      limit('unlimited')
    }
  },

  /** A name that cannot be resolved. */
  async dns({ random, core }) {
    const node = random.pick(core)
    await node.command('addPeer', { address: 'nobody.invalid', port: 9 })
  },
}

/** A node's counters match the messages that its application sent and heard. */
async function countersAddUp(flock, node, sent) {
  let [seen, expected] = [null, null]
  const addUp = async () => {
    const heard = Object.values(await flock.tally(node))
    const delivered = heard.reduce((sum, { count }) => sum + count, 0)
    const stats = await node.command('stats')
    const { skipped, lost, unreadable } = stats
    const handedOver = stats.crossed + stats.unheard
    seen = { sent: stats.sent, delivered: stats.delivered, handedOver, skipped, lost, unreadable }
    expected = { sent, delivered, handedOver: delivered, skipped: 0, lost: 0, unreadable: 0 }
    return isDeepStrictEqual(seen, expected)
  }
  // The counters may be a second old.
  await poll(addUp, 5000).catch(() => assert.deepEqual(seen, expected, node.name))
}

describe('a network with faults', { concurrency: false }, () => {
  test(`${ROUNDS} rounds of kills, stops, cuts, resets, full buffers, exhausted resources and broken names`, async (t) => {
    const random = seeded(seedOf(t))
    const flock = new Flock(t)
    const core = []
    for (let n = 0; n < 3; n++) {
      core.push(await flock.add('ours', { maxPeerNo: 8 }))
      for (const other of core.slice(0, -1)) await flock.link(core[n], other)
    }
    const seeds = core.map(({ address, port }) => ({ address, port }))
    const state = { guest: await flock.add('ours', { seeds, maxPeerNo: 8 }), deaf: 0 }
    state.poor = await flock.add('ours', { seeds, maxPeerNo: 8 }, { descriptors: FEW })
    core.push(state.poor)
    for (const other of core.slice(0, -1)) await flock.link(state.poor, other)
    const proxies = []
    for (const [index, from] of core.entries()) {
      proxies.push({ from, proxy: await FlakyProxy.before(core[(index + 1) % core.length]) })
    }
    t.after(() => Promise.all(proxies.map(({ proxy }) => proxy.close())))

    let total = 0
    let before = null
    for (let round = 1; round <= ROUNDS; round++) {
      const sent = await flock.send(core, COUNT, { rate: RATE })
      let isOver = false
      const over = sent().finally(() => {
        isOver = true
      })
      const done = []
      const names = Object.keys(faults)
      while (!isOver) {
        const name = names.shift() ?? random.pick(Object.keys(faults))
        done.push(name)
        await faults[name]({ flock, random, core, seeds, proxies, state })
        await pause(random.between(50, 300))
      }
      await over
      total += COUNT
      t.diagnostic(`round ${round}: ${done.join(', ')}`)
      await flock.expect(core, core, total)
      flock.assertHealthy(core)
      for (const node of core) {
        const { skipped, lost } = await node.command('told')
        assert.deepEqual({ skipped, lost }, { skipped: 0, lost: 0 }, node.name)
        await countersAddUp(flock, node, total)
      }
      const now = core.map(({ pid }) => ({ rss: rssOf(pid), descriptors: descriptorsOf(pid) }))
      before ??= now
      for (const [index, { rss }] of now.entries()) {
        const grown = (rss - before[index].rss) / MIB
        assert.ok(grown < 64, `${core[index].name} grew by ${grown} MiB`)
        await poll(
          () => descriptorsOf(core[index].pid) <= before[index].descriptors + 8,
          20000,
          `${core[index].name} has closed what it opened`,
        )
      }
    }
  })

  const reason = unavailable()
  test('nothing is lost when cables are pulled and put back', {
    skip: reason ?? false,
  }, async (t) => {
    const random = seeded(seedOf(t))
    const addresses = ['10.9.0.1', '10.9.0.2', '10.9.0.3', '10.9.0.4']
    const lan = await Lan.create(addresses)
    t.after(() => lan.destroy())
    const flock = new Flock(t)
    for (const [index, { namespace, address }] of lan.hosts.entries()) {
      const seeds = index === 0 ? [] : [{ address: addresses[0], port: flock.nodes[0].port }]
      await flock.add('ours', { address, seeds }, { namespace })
      for (const other of flock.nodes.slice(0, -1)) await flock.link(flock.nodes[index], other)
    }
    const sent = await flock.send(flock.nodes, COUNT * 2, { rate: RATE })
    let isOver = false
    const over = sent().finally(() => {
      isOver = true
    })
    let pulled = 0
    while (!isOver) {
      const host = random.between(0, addresses.length - 1)
      await lan.link(host, 'down')
      pulled++
      await pause(random.between(100, 2500))
      await lan.link(host, 'up')
      await pause(random.between(100, 500))
    }
    await over
    t.diagnostic(`${pulled} cables were pulled`)
    await flock.expect(flock.nodes, flock.nodes, COUNT * 2)
    flock.assertHealthy()
  })
})
