'use strict'

const { SmokeError } = require('../../lib/errors')

/** A network in memory with its own clock. Only `run`, `step` and `pass` make it act. */
class Net {
  /** The sent messages: [from, to, kind, payload]. */
  log = []
  nodes = new Map()
  // The messages on their way, by pair of nodes, oldest first.
  #ways = new Map()
  #timers = new Set()
  #now = 0

  clock = {
    now: () => this.#now,
    setTimeout: (call, ms) => {
      const timer = { at: this.#now + ms, call, unref() {} }
      this.#timers.add(timer)
      return timer
    },
    clearTimeout: (timer) => this.#timers.delete(timer),
  }

  /** `create(transport, clock)` makes the node's requests. */
  add(id, create) {
    const send = (to, kind, payload) => this.send(id, to, kind, payload)
    const node = create({ send }, this.clock)
    this.nodes.set(id, node)
    return node
  }

  get timers() {
    return this.#timers.size
  }

  send(from, to, kind, payload) {
    if (!this.nodes.has(to)) throw new SmokeError('ERR_SMOKE_UNREACHABLE')
    const text = JSON.stringify(payload)
    this.log.push([from, to, kind, payload])
    const way = `${from} ${to}`
    if (!this.#ways.has(way)) this.#ways.set(way, [])
    this.#ways.get(way).push([kind, text])
  }

  /** Removes the node `id` and all messages to and from it. */
  remove(id) {
    this.nodes.delete(id)
    for (const way of this.#ways.keys()) if (way.split(' ').includes(id)) this.#ways.delete(way)
  }

  /** Delivers, or loses, the oldest message of the way that `choose(ways)` picks. */
  async step(choose = ([first]) => first, isLost = false) {
    const ways = [...this.#ways.keys()]
    if (ways.length === 0) return false
    const way = choose(ways)
    const [from, to] = way.split(' ')
    const queue = this.#ways.get(way)
    const [kind, text] = queue.shift()
    if (queue.length === 0) this.#ways.delete(way)
    if (!isLost) this.nodes.get(to).received({ from, authenticated: true }, kind, JSON.parse(text))
    await settled()
    return true
  }

  /** Delivers everything. */
  async run() {
    while (await this.step());
  }

  /** Lets time pass. */
  async pass(ms) {
    this.#now += ms
    const due = [...this.#timers].filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at)
    for (const timer of due) {
      if (this.#timers.delete(timer)) timer.call()
    }
    await settled()
  }
}

/** Resolves once all pending promises have settled. */
async function settled() {
  await new Promise(setImmediate)
}

module.exports = { Net, settled }
