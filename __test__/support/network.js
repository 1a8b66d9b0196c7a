'use strict'

const assert = require('node:assert/strict')
const { isTogether } = require('./graph')
const { freePorts } = require('./ports')
const { RemoteNode, killAll } = require('./process')
const { Watched, quiet } = require('./wait')

/** Several nodes in processes of their own on loopback, as one thing. */
class Network extends Watched {
  constructor(t) {
    super()
    /** The nodes a test looks at; one that was killed stays until another takes its place. */
    this.nodes = []
    /** Every node there ever was. */
    this.history = []
    t.after(() => killAll(this.history))
  }

  dump() {
    return this.nodes.map((node) => node.dump()).join('\n----\n')
  }

  get live() {
    return this.nodes.filter((node) => !node.exit)
  }

  async add(kind, options) {
    const [port] = options.port ? [options.port] : await freePorts(1)
    const node = await RemoteNode.start(kind, { address: '127.0.0.1', ...options, port })
    node.on('changed', () => this.changed())
    this.nodes.push(node)
    this.history.push(node)
    return node
  }

  /** The first is the seed; each of the others enters through it once the one before has entered. */
  static async grow(t, kinds, options = {}) {
    const network = new Network(t)
    for (const kind of kinds) {
      const [seed] = network.nodes
      const seeds = seed ? [{ address: seed.address, port: seed.port }] : []
      await network.add(kind, { ...options, seeds })
      if (seed) await network.together(20000)
    }
    return network
  }

  /** Kills a node as `kill -9` does, and waits until the others have seen that. */
  async kill(victim) {
    await victim.kill()
    await this.together()
  }

  /** A new node of the same kind at the address of one that was killed. */
  async replace(victim) {
    const [{ address, port }] = this.live
    const { kind, options } = victim
    const node = await this.add(kind, { ...options, seeds: [{ address, port }] })
    this.nodes.splice(this.nodes.indexOf(victim), 1, this.nodes.pop())
    await this.together()
    return node
  }

  /** A line: each is connected with its neighbours only, and full, so that it stays a line. */
  static async line(t, kinds) {
    const network = new Network(t)
    for (const [index, kind] of kinds.entries()) {
      const isEnd = index === 0 || index === kinds.length - 1
      await network.add(kind, { minPeerNo: 1, maxPeerNo: isEnd ? 1 : 2 })
    }
    for (let index = 1; index < kinds.length; index++) {
      await network.nodes[index - 1].addPeer(network.nodes[index])
    }
    const wanted = (index) =>
      [network.nodes[index - 1], network.nodes[index + 1]].filter(Boolean).map((node) => node.id)
    await network.until(
      () => network.nodes.every((node, index) => sameSet(node.peers, wanted(index))),
      10000,
      `a line of ${kinds}`,
    )
    return network
  }

  /** Every live node has a peer, both ends know of every link, and the graph is in one piece. */
  together(ms = 20000) {
    return this.until(() => isTogether(this.live), ms, 'all nodes are one network')
  }

  /**
   * Each node writes `count` chunks and emits `count` events; each of the others must get each of
   * them exactly once.
   */
  async everyoneHearsEveryone(label, count = 3) {
    const nodes = this.live
    const numbers = Array.from({ length: count }, (_, n) => n)
    const mine = (node) => numbers.map((n) => `${label}/${node.id}/${n}`)
    for (const node of nodes) {
      await node.write(...mine(node))
      await node.broadcast(...mine(node).map((text) => ['chat', { text }, null, [1.5, 'é\u2028']]))
    }
    const expected = (node) =>
      nodes
        .filter((other) => other !== node)
        .flatMap(mine)
        .sort()
    const chunks = (node) => node.chunks.filter((line) => line.startsWith(`${label}/`)).sort()
    const events = (node) =>
      node.events.filter((event) => String(event[1]?.text).startsWith(`${label}/`))
    await this.until(
      () =>
        nodes.every((node) => {
          const wanted = expected(node)
          const heard = new Set(events(node).map((event) => event[1].text))
          const read = new Set(chunks(node))
          return wanted.every((text) => heard.has(text) && read.has(text))
        }),
      15000,
      `everyone hears everyone (${label})`,
    )
    await quiet()
    for (const node of nodes) {
      const wanted = expected(node)
      assert.deepEqual(chunks(node), wanted, `chunks at ${node.name}`)
      assert.deepEqual(
        events(node).sort((a, b) => (a[1].text < b[1].text ? -1 : 1)),
        wanted.map((text) => ['chat', { text }, null, [1.5, 'é\u2028']]),
        `events at ${node.name}`,
      )
    }
  }

  /**
   * Nobody crashed, and nobody logged an error. After a kill, a broken connection is nothing that
   * old nodes would not have among their own: `allowed` says what may be in the log.
   */
  assertHealthy(allowed = /^$/) {
    for (const node of this.history) {
      const seen = {
        uncaught: node.uncaught,
        errors: node.errors,
        log: node.logged('error', 'fatal').filter((text) => !allowed.test(text)),
        stderr: node.err,
      }
      assert.deepEqual(seen, { uncaught: [], errors: [], log: [], stderr: '' }, node.name)
    }
    for (const node of this.live) assert.equal(node.exit, null, `${node.name} still runs`)
  }
}

function sameSet(a, b) {
  return a.length === b.length && a.every((item) => b.includes(item))
}

module.exports = { Network }
