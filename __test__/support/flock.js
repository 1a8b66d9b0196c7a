'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { freePorts } = require('./ports')
const { RemoteNode, killAll } = require('./process')
const { Watched, poll, quiet } = require('./wait')

const program = path.join(__dirname, 'numbered.js')

/** Several nodes that send numbered messages (see numbered.js), as one thing. */
class Flock extends Watched {
  /** `t` may be anything with `after`. */
  constructor(t) {
    super()
    this.nodes = []
    this.history = []
    /** How many messages each has sent in `exchange`. */
    this.exchanged = 0
    t?.after(() => this.end())
  }

  end() {
    return killAll(this.history)
  }

  dump() {
    return this.nodes.map((node) => node.dump()).join('\n----\n')
  }

  async add(kind, options = {}, launchOptions = {}) {
    const [port] = options.port ? [options.port] : await freePorts(1)
    const node = this.prepare(kind, { ...options, port }, launchOptions)
    await node.ready()
    await node.begin()
    return node
  }

  /** Starts the process of a node, but not yet the node. */
  prepare(kind, options, launchOptions = {}) {
    const given = { address: '127.0.0.1', ...options }
    const node = new RemoteNode(kind, given, { ...launchOptions, program })
    node.on('changed', () => this.changed())
    this.nodes.push(node)
    this.history.push(node)
    return node
  }

  /** Forgets nodes that were killed. */
  drop(...dead) {
    this.nodes = this.nodes.filter((node) => !dead.includes(node))
  }

  /** `kinds`, each linked with each. */
  static async mesh(t, kinds, options = {}) {
    const flock = new Flock(t)
    for (const kind of kinds) {
      const node = await flock.add(kind, options)
      for (const other of flock.nodes.slice(0, -1)) await flock.link(node, other)
    }
    return flock
  }

  /** `kinds`, each linked with its neighbours only, and full, so that it stays a line. */
  static async line(t, kinds) {
    const flock = new Flock(t)
    for (const [index, kind] of kinds.entries()) {
      const ends = index === 0 || index === kinds.length - 1
      const node = await flock.add(kind, { minPeerNo: 1, maxPeerNo: ends ? 1 : 2 })
      if (index > 0) await flock.link(node, flock.nodes[index - 1])
    }
    return flock
  }

  /** Has one dial the other until both know each other. */
  async link(one, other, ms = 20000) {
    const linked = () => one.peers.includes(other.id) && other.peers.includes(one.id)
    const end = Date.now() + ms
    while (!linked() && Date.now() < end) {
      await one.addPeer(other)
      await this.until(linked, 1000, 'a link').catch(() => {})
    }
    assert.ok(linked(), `${one.name} and ${other.name} are linked\n${this.dump()}`)
  }

  /** Each of `senders` sends `count` messages; resolves when the last is out. */
  async send(senders, count, how = {}) {
    const before = new Map(senders.map((node) => [node, sentReports(node)]))
    await Promise.all(senders.map((node) => node.command('send', { count, ...how })))
    return () =>
      this.until(
        () => {
          const dead = senders.find((node) => node.exit)
          if (dead) throw new Error(`a sender is gone\n${dead.dump()}`)
          return senders.every((node) => sentReports(node) > before.get(node))
        },
        180000,
        'all is sent',
      )
  }

  /** What `node` heard, by sender. */
  tally(node) {
    return node.command('tally', {}, 20000)
  }

  /**
   * Waits until each of `receivers` has heard of each of the `senders` as many messages as `count`
   * says, or has heard more. `nameOf`: the name under which a sender speaks.
   */
  async heard(receivers, senders, count, { ms = 120000, every = 100, nameOf = idOf } = {}) {
    let missing
    const isComplete = async () => {
      const tallies = await Promise.all(receivers.map((node) => this.tally(node)))
      missing = receivers.flatMap((node, index) =>
        others(senders, node)
          .filter((sender) => (tallies[index][nameOf(sender)]?.count ?? 0) < count)
          .map((sender) => `${node.name} ${node.id} lacks some of ${nameOf(sender)}`),
      )
      return missing.length === 0
    }
    try {
      await poll(isComplete, ms, `everyone has heard ${count} of ${senders.map(nameOf)}`, every)
    } catch (error) {
      error.message += `\n${missing.join('\n')}\n${await this.states()}`
      throw error
    }
  }

  /** The peers of each node, and what it counted. */
  async states() {
    const stats = await Promise.all(this.nodes.map((node) => node.command('stats').catch(String)))
    const state = (node, index) =>
      `${node.name} ${node.id} peers ${node.peers}: ${JSON.stringify(stats[index])}`
    return this.nodes.map(state).join('\n')
  }

  /**
   * Waits for what `heard` waits for, then looks whether they were the right ones. Messages of
   * legacy nodes, and to them, may overtake each other.
   */
  async expect(receivers, senders, count, { anyOrder = false, ...how } = {}) {
    const { nameOf = idOf } = how
    await this.heard(receivers, senders, count, how).catch(() => {})
    // A second copy may be on its way still.
    await quiet()
    const tallies = await Promise.all(receivers.map((node) => this.tally(node)))
    for (const [index, node] of receivers.entries()) {
      const seen = {}
      const expected = {}
      for (const sender of others(senders, node)) {
        const name = nameOf(sender)
        const { late, holes, ...entry } = tallies[index][name] ?? {}
        const order = anyOrder ? {} : { late, holes }
        seen[name] = { ...entry, ...order }
        expected[name] = { first: 1, last: count, count, doubles: 0, missing: 0 }
        if (!anyOrder) Object.assign(expected[name], { late: 0, holes: 0 })
        if (anyOrder) delete seen[name].example
        else expected[name].example = null
      }
      try {
        assert.deepEqual(seen, expected, `what ${node.name} heard`)
      } catch ({ message }) {
        // Not the assertion itself: only its own message would be printed.
        const context = `${node.dump()}\n${await this.states()}`
        throw new Error(`${message}\n${JSON.stringify(seen)}\n${context}`)
      }
    }
  }

  /** Each sends `count` messages as fast as it may and hears the others'; returns messages a second. */
  async exchange(count) {
    const began = Date.now()
    const sent = await this.send(this.nodes, count)
    await sent()
    this.exchanged += count
    await this.heard(this.nodes, this.nodes, this.exchanged, { every: 20 })
    const seconds = (Date.now() - began) / 1000
    await this.expect(this.nodes, this.nodes, this.exchanged)
    return (this.nodes.length * count) / seconds
  }

  /** Nobody crashed. */
  assertHealthy(nodes = this.nodes) {
    for (const node of nodes) {
      const seen = { uncaught: node.uncaught, errors: node.errors, exit: node.exit, err: node.err }
      assert.deepEqual(seen, { uncaught: [], errors: [], exit: null, err: '' }, node.name)
    }
  }
}

const idOf = (node) => node.id

const others = (nodes, node) => nodes.filter((other) => other !== node)

const sentReports = (node) => node.history.filter(({ t }) => t === 'sent').length

/** Memory of a process in bytes, as the kernel sees it: also of one that is stopped. */
function memoryOf(pid, field) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)[1]) * 1024
}

/** What is resident of it. */
const rssOf = (pid) => memoryOf(pid, 'VmRSS')

/** What counts towards the limit of its data segment (RLIMIT_DATA). */
const dataOf = (pid) => memoryOf(pid, 'VmData')

/** CPU time that a process has used, in seconds (to a hundredth, in `USER_HZ`). */
function cpuOf(pid) {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
  // Behind the name, which may contain anything: utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** How many descriptors a process has open. */
function descriptorsOf(pid) {
  return fs.readdirSync(`/proc/${pid}/fd`).length
}

/** A random source that gives the same numbers for the same seed (mulberry32). */
function seeded(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (items) => items[Math.floor(next() * items.length)],
    chance: (probability) => next() < probability,
  }
}

/** The seed of this run, from the environment (SEED) or fresh; printed, so that it can be given. */
function seedOf(t) {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`SEED=${seed}`)
  return seed
}

module.exports = { Flock, cpuOf, dataOf, descriptorsOf, rssOf, seedOf, seeded }
