'use strict'

const assert = require('node:assert/strict')
const { randomInt } = require('node:crypto')
const { test } = require('node:test')
const { Requests } = require('../../lib/requests')
const { Net, settled } = require('./fake-net')

const ROUNDS = 150
const STEPS = 120
const LIMITS = { maxRequests: 12, maxHandled: 8, maxHandledPerNode: 3 }
const NAMES = ['now', 'later', 'throws', 'never', 'unknown']
const CODES = [
  ...['ABORT_ERR', 'ERR_SMOKE_NO_HANDLER', 'ERR_SMOKE_OVERLOADED', 'ERR_SMOKE_REMOTE'],
  ...['ERR_SMOKE_TIMEOUT', 'ERR_SMOKE_UNREACHABLE', 'STOPPED'],
]

/** Random numbers from a seed (mulberry32). */
function generator(seed) {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** A network with random deliveries, losses, leaves, aborts and time steps, in any order. */
class Round {
  net = new Net()
  // The requests and their outcomes.
  asked = []
  handled = new Map()
  #random
  #ends = []
  #count = 0

  constructor(random) {
    this.#random = random
    for (let n = 0; n < 4; n++) this.#join()
  }

  async play() {
    for (let step = 0; step < STEPS; step++) await this.#step()
    // All remaining work is done, and all other requests time out.
    for (const end of this.#ends.splice(0)) end()
    await settled()
    await this.net.run()
    await this.net.pass(10_000)
  }

  #pick(list) {
    return list[this.#random(list.length)]
  }

  async #step() {
    const what = this.#random(20)
    const ids = [...this.net.nodes.keys()]
    if (what < 6) this.#ask(this.#pick(ids), this.#pick([...ids, 'stranger']))
    else if (what < 8) this.#askAll(this.#pick(ids))
    else if (what < 14) await this.net.step((ways) => this.#pick(ways), this.#random(8) === 0)
    else if (what < 16) this.#ends.splice(this.#random(this.#ends.length + 1), 1)[0]?.()
    else if (what < 17) this.#pick(this.asked)?.controller.abort()
    else if (what < 18) await this.net.pass(this.#random(60))
    else if (what < 19 && ids.length > 2) this.#leave(this.#pick(ids))
    else if (ids.length < 5) this.#join()
    await settled()
  }

  #join() {
    const node = this.net.add(`n${this.#count++}`, (transport, clock) => {
      return new Requests(transport, LIMITS, clock)
    })
    const later = () => new Promise((resolve) => this.#ends.push(resolve))
    const count = (number) => this.handled.set(number, (this.handled.get(number) ?? 0) + 1)
    node.handlers.set('now', (_, number) => count(number) && number)
    node.handlers.set('later', (_, number) => count(number) && later().then(() => number))
    node.handlers.set('throws', async (_, number) => {
      count(number)
      throw new Error(number)
    })
    node.handlers.set('never', (context, number) => {
      count(number)
      if (this.#random(2) === 0) return later()
      return new Promise((_, reject) => {
        context.signal.addEventListener('abort', () => reject(context.signal.reason))
        if (context.signal.aborted) reject(context.signal.reason)
      })
    })
  }

  #leave(id) {
    const { net } = this
    const gone = net.nodes.get(id)
    net.remove(id)
    for (const node of net.nodes.values()) node.left(id)
    gone.stop(Object.assign(new Error(), { code: 'STOPPED' }))
  }

  #ask(from, to) {
    this.#follow(from, [to], (node, settings, name, number) => {
      return node.ask(to, name, [number], settings)
    })
  }

  #askAll(from) {
    const others = [...this.net.nodes.keys()].filter((id) => id !== from)
    const send = (kind, payload) => {
      for (const id of others) this.net.send(from, id, kind, payload)
    }
    this.#follow(from, others, (node, settings, name, number) => {
      return node.askAll(others, send, name, [number], settings)
    })
  }

  #follow(from, to, ask) {
    const controller = new AbortController()
    const number = this.asked.length
    const name = this.#pick(NAMES)
    const settings = { timeout: 1 + this.#random(100), signal: controller.signal }
    const entry = { number, name, to, controller, ends: 0, value: undefined, error: undefined }
    this.asked.push(entry)
    ask(this.net.nodes.get(from), settings, name, number).then(
      (value) => Object.assign(entry, { ends: entry.ends + 1, value }),
      (error) => Object.assign(entry, { ends: entry.ends + 1, error }),
    )
  }
}

function check({ asked, handled, net }) {
  for (const { number, name, to, ends, value, error } of asked) {
    assert.equal(ends, 1, `request ${number} ended ${ends} times`)
    assert.ok((handled.get(number) ?? 0) <= to.length, `request ${number} was handled too often`)
    if (error !== undefined) {
      assert.ok(CODES.includes(error.code), error)
      if (error.code === 'ERR_SMOKE_REMOTE') assert.equal(name === 'now' || name === 'later', false)
    } else if (value instanceof Object) {
      const { replies, missing } = value
      assert.deepEqual([...replies.keys(), ...missing].sort(), [...to].sort())
      for (const reply of replies.values()) if (name !== 'never') assert.equal(reply, number)
    } else if (name !== 'never') {
      assert.equal(value, number)
    }
  }
  assert.equal(net.timers, 0, 'timers are left')
}

test('every request ends exactly once in random networks', async () => {
  const seed = Number(process.env.SEED ?? randomInt(2 ** 31))
  for (let round = 0; round < ROUNDS; round++) {
    const current = new Round(generator(seed + round))
    try {
      await current.play()
      check(current)
    } catch (error) {
      throw new Error(`with SEED=${seed + round}`, { cause: error })
    }
  }
})
